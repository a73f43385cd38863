/* patterns/shared_value.c: the public calls of values. */
#include "core/reduce.h"
#include "patterns/shared_call.h"

#include <string.h>

serry_err serry_value_create(serry_value *v, serry_type type, const void *initial,
                             const serry_shared_options *o)
{
    shared_wire_value args = { .type = (uint32_t)type };
    size_t size = sri_type_size(type);
    if (!v)
        return sri_fail(SERRY_EINVAL, "no place for the handle");
    if (size == 0)
        return sri_fail(SERRY_EINVAL, "%d is not a type", (int)type);
    if (initial)
        memcpy(args.initial.bytes, initial, size);
    return shared_create(SRI_TYPE_VALUE, o, &args, sizeof args, &v->id);
}

serry_err serry_value_get(serry_value v, void *out)
{
    sri_reply reply = { 0 };
    shared_form form;
    if (!out)
        return sri_fail(SERRY_EINVAL, "no place for the value");
    SRI_TRY(sri_enter());
    serry_err e = shared_learn(v.id, SRI_TYPE_VALUE, &form);
    if (e == SERRY_OK)
        e = sri_service_call(v.id, SHARED_OP_GET, NULL, 0, NULL, 0, &reply, SRI_NEVER);
    if (e == SERRY_OK)
        e = shared_expect(&reply, out, form.size);
    sri_reply_fini(&reply);
    sri_leave();
    return e;
}

serry_err serry_value_set(serry_value v, const void *in)
{
    shared_wire_element args = { { 0 } };
    shared_form form;
    if (!in)
        return sri_fail(SERRY_EINVAL, "a value at NULL");
    SRI_TRY(sri_enter());
    serry_err e = shared_learn(v.id, SRI_TYPE_VALUE, &form);
    if (e == SERRY_OK) {
        memcpy(args.bytes, in, form.size);
        e = sri_service_call(v.id, SHARED_OP_SET, &args, sizeof args, NULL, 0, NULL, SRI_NEVER);
    }
    sri_leave();
    return e;
}

serry_err serry_value_add(serry_value v, const void *delta, void *before)
{
    sri_reply reply = { 0 };
    shared_wire_element args = { { 0 } };
    shared_form form;
    if (!delta)
        return sri_fail(SERRY_EINVAL, "a value at NULL");
    SRI_TRY(sri_enter());
    serry_err e = shared_learn(v.id, SRI_TYPE_VALUE, &form);
    if (e == SERRY_OK) {
        memcpy(args.bytes, delta, form.size);
        e = sri_service_call(v.id, SHARED_OP_ADD, &args, sizeof args, NULL, 0, &reply, SRI_NEVER);
    }
    if (e == SERRY_OK && before)
        e = shared_expect(&reply, before, form.size);
    sri_reply_fini(&reply);
    sri_leave();
    return e;
}

serry_err serry_value_compare_set(serry_value v, const void *expected, const void *desired,
                                  bool *done)
{
    sri_reply reply = { 0 };
    shared_wire_compare args = { .expected = { { 0 } } };
    shared_form form;
    uint64_t was;
    if (!expected || !desired)
        return sri_fail(SERRY_EINVAL, "a value at NULL");
    SRI_TRY(sri_enter());
    serry_err e = shared_learn(v.id, SRI_TYPE_VALUE, &form);
    if (e == SERRY_OK) {
        memcpy(args.expected.bytes, expected, form.size);
        memcpy(args.desired.bytes, desired, form.size);
        e = sri_service_call(v.id, SHARED_OP_COMPARE, &args, sizeof args, NULL, 0, &reply,
                             SRI_NEVER);
    }
    if (e == SERRY_OK)
        e = shared_expect(&reply, &was, sizeof was);
    if (e == SERRY_OK && done)
        *done = was != 0;
    sri_reply_fini(&reply);
    sri_leave();
    return e;
}

serry_err serry_value_destroy(serry_value v)
{
    return shared_destroy(v.id, SRI_TYPE_VALUE);
}
