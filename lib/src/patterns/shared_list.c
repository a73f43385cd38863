/* patterns/shared_list.c: the public calls of lists. */
#include "patterns/shared_call.h"

serry_err serry_list_create(serry_list *l, const serry_shared_options *o)
{
    if (!l)
        return sri_fail(SERRY_EINVAL, "no place for the handle");
    return shared_create(SRI_TYPE_LIST, o, NULL, 0, &l->id);
}

serry_err serry_list_len(serry_list l, size_t *n)
{
    return shared_len(l.id, SRI_TYPE_LIST, n);
}

/* An operation that brings an item. */
static serry_err list_bring(serry_list l, uint16_t op, size_t at, const void *item, size_t len)
{
    uint64_t args = at;
    if (!item && len)
        return sri_fail(SERRY_EINVAL, "an item of %zu bytes at NULL", len);
    return shared_call(l.id, SRI_TYPE_LIST, op, &args, sizeof args, item, len, NULL);
}

serry_err serry_list_append(serry_list l, const void *item, size_t len)
{
    return list_bring(l, SHARED_OP_APPEND, 0, item, len);
}

serry_err serry_list_insert(serry_list l, size_t at, const void *item, size_t len)
{
    return list_bring(l, SHARED_OP_INSERT, at, item, len);
}

serry_err serry_list_set(serry_list l, size_t at, const void *item, size_t len)
{
    return list_bring(l, SHARED_OP_SET, at, item, len);
}

/* An operation that fetches one. */
static serry_err list_fetch(serry_list l, uint16_t op, uint64_t at, void *item, size_t cap,
                            size_t *len)
{
    sri_reply reply = { 0 };
    shared_wire_want want = { .at = at, .cap = cap, .exact = !len };
    if (!item && cap)
        return sri_fail(SERRY_EINVAL, "a buffer of %zu bytes at NULL", cap);
    serry_err e = shared_call(l.id, SRI_TYPE_LIST, op, &want, sizeof want, NULL, 0, &reply);
    if (e == SERRY_OK)
        e = shared_take(&reply, "item", item, cap, len);
    sri_reply_fini(&reply);
    return e;
}

serry_err serry_list_get(serry_list l, size_t at, void *item, size_t cap, size_t *len)
{
    return list_fetch(l, SHARED_OP_GET, at, item, cap, len);
}

serry_err serry_list_pop(serry_list l, size_t at, void *item, size_t cap, size_t *len)
{
    return list_fetch(l, SHARED_OP_POP, at == SIZE_MAX ? SHARED_LAST : at, item, cap, len);
}

serry_err serry_list_clear(serry_list l)
{
    return shared_call(l.id, SRI_TYPE_LIST, SHARED_OP_CLEAR, NULL, 0, NULL, 0, NULL);
}

serry_err serry_list_destroy(serry_list l)
{
    return shared_destroy(l.id, SRI_TYPE_LIST);
}
