/* patterns/shared_array_home.c: an array at its home. */
#include "base/error.h"
#include "patterns/shared_home.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define ARRAY_MAPPED (1u << 20) /* bytes from which on an array has pages of its own */

typedef struct array_home {
    sri_object object;
    serry_type type;
    size_t size; /* of an element */
    sri_reduce_fn sum;
    uint64_t n;
    uint8_t *bytes;
    size_t mapped; /* a large one: its pages come, zeroed, when they are written */
} array_home;

static array_home *array_of(sri_object *o)
{
    return (array_home *)o;
}

static void array_request(sri_object *o, sri_asker who, uint16_t op, const uint8_t *bytes,
                          size_t len)
{
    array_home *a = array_of(o);
    shared_wire_slice s;
    if (op == SHARED_OP_INFO) {
        shared_home_info(o, who, a->type, a->n);
        return;
    }
    if (len < sizeof s || (op != SHARED_OP_GET && op != SHARED_OP_SET && op != SHARED_OP_ADD)) {
        shared_home_unknown(o, who, op, len);
        return;
    }
    memcpy(&s, bytes, sizeof s);
    bytes += sizeof s;
    len -= sizeof s;
    if (s.first > a->n || s.n > a->n - s.first) {
        sri_home_refuse(o, who, SERRY_EINVAL, "%llu elements from %llu on, it has %llu",
                        (unsigned long long)s.n, (unsigned long long)s.first,
                        (unsigned long long)a->n);
        return;
    }
    uint8_t *at = a->bytes + s.first * a->size;
    if (op == SHARED_OP_GET) {
        sri_home_reply(o, who, NULL, 0, at, s.n * a->size);
        return;
    }
    if (len != s.n * a->size) {
        shared_home_unknown(o, who, op, len);
        return;
    }
    if (op == SHARED_OP_ADD && !a->sum) {
        sri_home_refuse(o, who, SERRY_EINVAL, "a DOUBLE_INT has no sum");
        return;
    }
    if (op == SHARED_OP_ADD)
        a->sum(at, at, bytes, s.n);
    else if (len)
        memcpy(at, bytes, len);
    shared_home_done(o, who);
}

static serry_err array_args(const uint8_t *bytes, size_t len, shared_wire_info *args)
{
    if (len != sizeof *args)
        return sri_fail(SERRY_EINVAL, "not the settings of an array");
    memcpy(args, bytes, sizeof *args);
    return SERRY_OK;
}

/* A kernel that promises more than it has would end the agent when the promise is called in. */
static serry_err array_allocate(array_home *a)
{
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE), pages = (uint64_t)sysconf(_SC_PHYS_PAGES);
    if (a->n > SIZE_MAX / 2 / a->size)
        return sri_fail(SERRY_ELIMIT, "an array of %llu elements of %zu bytes: the limit is %zu",
                        (unsigned long long)a->n, a->size, SIZE_MAX / 2 / a->size);
    size_t bytes = a->n * a->size;
    if (bytes / page >= pages)
        return sri_fail(SERRY_ENOMEM, "an array of %zu bytes: the machine has %llu", bytes,
                        (unsigned long long)(page * pages));
    a->mapped = bytes < ARRAY_MAPPED ? 0 : bytes;
    void *p = a->mapped
                  ? mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
                  : calloc(1, bytes ? bytes : 1);
    if (!p || p == MAP_FAILED)
        return sri_fail(SERRY_ENOMEM, "no memory for an array of %zu bytes", bytes);
    a->bytes = p;
    return SERRY_OK;
}

static serry_err array_create(sri_object *o, const uint8_t *bytes, size_t len)
{
    array_home *a = array_of(o);
    shared_wire_info args = { 0 };
    SRI_TRY(array_args(bytes, len, &args));
    SRI_TRY(shared_home_type(args.type, &a->type, &a->size, &a->sum));
    a->n = args.n;
    return array_allocate(a);
}

static serry_err array_same(sri_object *o, const uint8_t *bytes, size_t len)
{
    array_home *a = array_of(o);
    shared_wire_info args = { 0 };
    SRI_TRY(array_args(bytes, len, &args));
    if (args.type != (uint32_t)a->type || args.n != a->n)
        return sri_fail(SERRY_EINVAL,
                        "the array \"%s\" exists with %llu of type %s, not %llu of %s", o->name,
                        (unsigned long long)a->n, shared_type_name(a->type),
                        (unsigned long long)args.n, shared_type_name((serry_type)args.type));
    return SERRY_OK;
}

static void array_destroy(sri_object *o)
{
    array_home *a = array_of(o);
    if (a->mapped)
        munmap(a->bytes, a->mapped);
    else
        free(a->bytes);
}

static void array_describe(sri_object *o, char *text, size_t cap)
{
    array_home *a = array_of(o);
    snprintf(text, cap, "%s: %llu of type %s", sri_home_called(o), (unsigned long long)a->n,
             shared_type_name(a->type));
}

static const sri_object_class array_class = {
    .type = SRI_TYPE_ARRAY,
    .name = "array",
    .size = sizeof(array_home),
    .session = 1, /* so that users are told when it ends */
    .create = array_create,
    .same = array_same,
    .request = array_request,
    .destroy = array_destroy,
    .describe = array_describe,
    .forget = shared_forget,
};
SRI_OBJECT_CLASS(array_class)
