/* patterns/shared_value_home.c: a value at its home. */
#include "base/error.h"
#include "core/reduce.h"
#include "patterns/shared_home.h"

#include <stdio.h>
#include <string.h>

typedef struct value_home {
    sri_object object;
    serry_type type;
    size_t size;
    size_t used;       /* bytes of it that count: the rest is padding, and 0 */
    sri_reduce_fn sum; /* NULL: it has none */
    union {
        shared_wire_element element;
        uint8_t byte;
        int32_t int32;
        int64_t int64;
        float one;
        double two;
        serry_double_int pair;
    } is;
} value_home;

static value_home *value_of(sri_object *o)
{
    return (value_home *)o;
}

static void value_put(value_home *v, const shared_wire_element *to)
{
    memcpy(&v->is, to->bytes, v->used);
}

static void value_add(value_home *v, sri_asker who, const shared_wire_element *delta)
{
    shared_wire_element before = v->is.element;
    if (!v->sum) {
        sri_home_refuse(&v->object, who, SERRY_EINVAL, "a DOUBLE_INT has no sum");
        return;
    }
    v->sum(&v->is, &v->is, delta, 1);
    sri_home_reply(&v->object, who, &before, v->size, NULL, 0);
}

static void value_compare(value_home *v, sri_asker who, const shared_wire_compare *c)
{
    uint64_t done = memcmp(&v->is, c->expected.bytes, v->used) == 0;
    if (done)
        value_put(v, &c->desired);
    sri_home_reply(&v->object, who, &done, sizeof done, NULL, 0);
}

static void value_request(sri_object *o, sri_asker who, uint16_t op, const uint8_t *bytes,
                          size_t len)
{
    value_home *v = value_of(o);
    const void *in = bytes; /* aligned to 8 */
    if (op == SHARED_OP_INFO) {
        shared_home_info(o, who, v->type, 1);
    } else if (op == SHARED_OP_GET) {
        sri_home_reply(o, who, &v->is, v->size, NULL, 0);
    } else if (op == SHARED_OP_SET && len == sizeof(shared_wire_element)) {
        value_put(v, in);
        sri_home_reply(o, who, NULL, 0, NULL, 0);
    } else if (op == SHARED_OP_ADD && len == sizeof(shared_wire_element)) {
        value_add(v, who, in);
    } else if (op == SHARED_OP_COMPARE && len == sizeof(shared_wire_compare)) {
        value_compare(v, who, in);
    } else {
        shared_home_unknown(o, who, op, len);
    }
}

static serry_err value_args(const uint8_t *bytes, size_t len, shared_wire_value *args)
{
    if (len != sizeof *args)
        return sri_fail(SERRY_EINVAL, "not the settings of a value");
    memcpy(args, bytes, sizeof *args);
    return SERRY_OK;
}

static serry_err value_create(sri_object *o, const uint8_t *bytes, size_t len)
{
    value_home *v = value_of(o);
    shared_wire_value args = { 0 };
    SRI_TRY(value_args(bytes, len, &args));
    SRI_TRY(shared_home_type(args.type, &v->type, &v->size, &v->sum));
    v->used =
        v->type == SERRY_DOUBLE_INT ? offsetof(serry_double_int, index) + sizeof(int32_t) : v->size;
    value_put(v, &args.initial);
    return SERRY_OK;
}

static serry_err value_same(sri_object *o, const uint8_t *bytes, size_t len)
{
    value_home *v = value_of(o);
    shared_wire_value args = { 0 };
    SRI_TRY(value_args(bytes, len, &args));
    if (args.type != (uint32_t)v->type)
        return sri_fail(SERRY_EINVAL, "the value \"%s\" exists with type %s, not %s", o->name,
                        shared_type_name(v->type), shared_type_name((serry_type)args.type));
    return SERRY_OK;
}

static void value_describe(sri_object *o, char *text, size_t cap)
{
    value_home *v = value_of(o);
    char now[64];
    switch (v->type) {
    case SERRY_BYTE:
        snprintf(now, sizeof now, "%u", v->is.byte);
        break;
    case SERRY_INT32:
        snprintf(now, sizeof now, "%d", (int)v->is.int32);
        break;
    case SERRY_INT64:
        snprintf(now, sizeof now, "%lld", (long long)v->is.int64);
        break;
    case SERRY_FLOAT:
        snprintf(now, sizeof now, "%g", (double)v->is.one);
        break;
    case SERRY_DOUBLE:
        snprintf(now, sizeof now, "%g", v->is.two);
        break;
    case SERRY_DOUBLE_INT:
        snprintf(now, sizeof now, "%g of %d", v->is.pair.value, (int)v->is.pair.index);
        break;
    }
    snprintf(text, cap, "%s: %s %s", sri_home_called(o), shared_type_name(v->type), now);
}

static const sri_object_class value_class = {
    .type = SRI_TYPE_VALUE,
    .name = "value",
    .size = sizeof(value_home),
    .session = 1, /* so that users are told when it ends */
    .create = value_create,
    .same = value_same,
    .request = value_request,
    .describe = value_describe,
    .forget = shared_forget,
};
SRI_OBJECT_CLASS(value_class)
