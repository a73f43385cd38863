/* patterns/shared_list_home.c: a list at its home. */
#include "patterns/shared_row.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct list_home {
    sri_object object;
    shared_row row;
} list_home;

static list_home *list_of(sri_object *o)
{
    return (list_home *)o;
}

static void list_refuse_at(list_home *l, sri_asker who, uint64_t at)
{
    if (l->row.n == 0)
        sri_home_refuse(&l->object, who, SERRY_EINVAL, "empty");
    else
        sri_home_refuse(&l->object, who, SERRY_EINVAL, "index %llu, it has %zu item%s",
                        (unsigned long long)at, l->row.n, l->row.n == 1 ? "" : "s");
}

static void list_insert(list_home *l, sri_asker who, uint64_t at, const uint8_t *bytes, size_t len)
{
    shared_item *item = NULL;
    if (at > l->row.n) {
        list_refuse_at(l, who, at);
    } else if (!shared_item_set(&item, bytes, len) || !shared_row_insert(&l->row, at, item)) {
        free(item);
        shared_home_no_memory(&l->object, who, len);
    } else {
        shared_home_done(&l->object, who);
    }
}

static void list_set(list_home *l, sri_asker who, uint64_t at, const uint8_t *bytes, size_t len)
{
    if (at >= l->row.n)
        list_refuse_at(l, who, at);
    else if (!shared_item_set(shared_row_at(&l->row, at), bytes, len))
        shared_home_no_memory(&l->object, who, len);
    else
        shared_home_done(&l->object, who);
}

static void list_fetch(list_home *l, sri_asker who, bool take, const uint8_t *bytes)
{
    shared_wire_want want;
    memcpy(&want, bytes, sizeof want);
    if (take && want.at == SHARED_LAST)
        want.at = l->row.n - 1; /* of an empty list still none */
    if (want.at >= l->row.n)
        list_refuse_at(l, who, want.at);
    else if (shared_home_found(&l->object, who, &want, *shared_row_at(&l->row, want.at)) && take)
        free(shared_row_remove(&l->row, want.at));
}

static void list_request(sri_object *o, sri_asker who, uint16_t op, const uint8_t *bytes,
                         size_t len)
{
    list_home *l = list_of(o);
    bool fetch = op == SHARED_OP_GET || op == SHARED_OP_POP;
    bool bring = op == SHARED_OP_APPEND || op == SHARED_OP_INSERT || op == SHARED_OP_SET;
    uint64_t at;
    if (fetch && len == sizeof(shared_wire_want)) {
        list_fetch(l, who, op == SHARED_OP_POP, bytes);
    } else if (bring && len >= sizeof at) {
        memcpy(&at, bytes, sizeof at);
        if (op == SHARED_OP_SET)
            list_set(l, who, at, bytes + sizeof at, len - sizeof at);
        else
            list_insert(l, who, op == SHARED_OP_APPEND ? l->row.n : at, bytes + sizeof at,
                        len - sizeof at);
    } else if (op == SHARED_OP_INFO) {
        shared_home_info(o, who, 0, l->row.n);
    } else if (op == SHARED_OP_CLEAR) {
        shared_row_clear(&l->row);
        shared_home_done(o, who);
    } else {
        shared_home_unknown(o, who, op, len);
    }
}

static void list_destroy(sri_object *o)
{
    shared_row_clear(&list_of(o)->row);
}

static void list_describe(sri_object *o, char *text, size_t cap)
{
    size_t n = list_of(o)->row.n;
    snprintf(text, cap, "%s: %zu item%s", sri_home_called(o), n, n == 1 ? "" : "s");
}

static const sri_object_class list_class = {
    .type = SRI_TYPE_LIST,
    .name = "list",
    .size = sizeof(list_home),
    .request = list_request,
    .destroy = list_destroy,
    .describe = list_describe,
};
SRI_OBJECT_CLASS(list_class)
