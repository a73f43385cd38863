/* core/request.c: the tables of requests and of tokens, and what a finished request has to say. */
#include "core/request.h"

#include "base/grow.h"
#include "core/match.h"

#include <stdlib.h>
#include <string.h>

#define REQUEST_BLOCK 64u

typedef struct request_block {
    struct request_block *next;
    sri_request requests[REQUEST_BLOCK];
} request_block;

static struct {
    sri_ids ids;
    sri_request *free; /* by next */
    request_block *blocks;
} requests;

/* Where generations start: a process made by a fork starts elsewhere, so that ids it inherited
 * name nothing. */
static uint32_t ids_first = 1;

static bool ids_grow(sri_ids *t)
{
    size_t room = t->n;
    struct sri_id_entry *more = sri_grow(t->entries, &room, room + 1, sizeof *more);
    if (!more)
        return false;
    uint32_t n = (uint32_t)room;
    for (uint32_t i = t->n; i < n; i++)
        more[i] = (struct sri_id_entry){ .generation = ids_first, .next = i + 1 < n ? i + 2 : 0 };
    t->entries = more;
    t->free = t->n + 1;
    t->n = n;
    return true;
}

uint64_t sri_ids_take(sri_ids *t, void *what)
{
    if (t->free == 0 && !ids_grow(t))
        return 0;
    uint32_t i = t->free - 1;
    struct sri_id_entry *e = &t->entries[i];
    t->free = e->next;
    t->used++;
    e->what = what;
    return (uint64_t)e->generation << 32 | (i + 1);
}

void sri_ids_release(sri_ids *t, uint64_t id)
{
    uint32_t i = (uint32_t)id - 1;
    struct sri_id_entry *e = &t->entries[i];
    e->what = NULL;
    e->generation++;
    e->next = t->free;
    t->free = i + 1;
    t->used--;
}

void sri_ids_fini(sri_ids *t)
{
    free(t->entries);
    memset(t, 0, sizeof *t);
}

sri_request *sri_request_alloc(void)
{
    if (!requests.free) {
        request_block *b = malloc(sizeof *b);
        if (!b)
            return NULL;
        b->next = requests.blocks;
        requests.blocks = b;
        for (uint32_t i = 0; i < REQUEST_BLOCK; i++)
            b->requests[i].next = i + 1 < REQUEST_BLOCK ? &b->requests[i + 1] : NULL;
        requests.free = b->requests;
    }
    sri_request *r = requests.free;
    requests.free = r->next;
    return r;
}

void sri_request_free(sri_request *r)
{
    r->next = requests.free;
    requests.free = r;
}

serry_err sri_request_take(sri_request **r, uint64_t *id)
{
    if (requests.ids.used >= SRI_REQUESTS_MAX)
        return sri_fail(SERRY_ELIMIT, "%u requests are under way already", SRI_REQUESTS_MAX);
    sri_request *q = sri_request_alloc();
    if (!q)
        return sri_fail(SERRY_ENOMEM, "no memory for a request");
    *id = sri_ids_take(&requests.ids, q);
    if (*id == 0) {
        sri_request_free(q);
        return sri_fail(SERRY_ENOMEM, "no memory for a request");
    }
    *r = q;
    return SERRY_OK;
}

void sri_request_release(uint64_t id)
{
    sri_request *r = sri_ids_find(&requests.ids, id);
    sri_ids_release(&requests.ids, id);
    sri_request_free(r);
}

sri_request *sri_request_find(uint64_t id)
{
    return sri_ids_find(&requests.ids, id);
}

void sri_requests_reset(void)
{
    memset(&requests, 0, sizeof requests);
    ids_first += UINT32_C(1) << 20;
}

void sri_requests_fini(void)
{
    while (requests.blocks) {
        request_block *b = requests.blocks;
        requests.blocks = b->next;
        free(b);
    }
    sri_ids_fini(&requests.ids);
    sri_requests_reset();
}

static serry_err request_died(const sri_request *r)
{
    if (r->context == SRI_CONTEXT_COLLECTIVE && sri_match.lost.known)
        return sri_match_fail_lost();
    if (r->peer != SERRY_ANY)
        return sri_match_fail_gone(r->peer);
    if (r->status.source >= 0)
        return sri_match_fail_gone(r->status.source);
    return sri_fail(SERRY_EDIED, "no other rank is left");
}

serry_err sri_request_result(const sri_request *r)
{
    switch (r->error) {
    case SERRY_OK:
        return SERRY_OK;
    case SERRY_EDIED:
        return request_died(r);
    case SERRY_ETRUNC:
        return sri_fail(SERRY_ETRUNC,
                        "the message of rank %d, tag %d, has %zu bytes, the buffer %zu",
                        r->status.source, r->status.tag, r->status.len, r->len);
    case SERRY_ELIMIT:
        return sri_fail(SERRY_ELIMIT, "no lane to rank %d can be had", r->peer);
    case SERRY_ENOMEM:
        return sri_fail(SERRY_ENOMEM, "no memory for a message of rank %d, tag %d, %zu bytes",
                        r->status.source, r->status.tag, r->status.len);
    default:
        return sri_fail(r->error, "a request to rank %d, tag %d, failed", r->peer, r->tag);
    }
}
