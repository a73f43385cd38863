/* patterns/pool_imap.c: a lazy map: items are read from the caller's source as results are taken.
 *
 * Items go out in groups, each a call of its own: up to .chunk items of one length. A group keeps
 * its results until they are taken. */
#include "patterns/pool_imap.h"

#include "base/error.h"
#include "core/core.h"
#include "core/wait.h"

#include <stdlib.h>
#include <string.h>
#include <stddef.h>
#include <utlist.h>

#define IMAP_ITEM_CAP 4096u
#define IMAP_LEAST 16u
#define IMAP_PER_WORKER 4u

/* ---- groups ---- */

static void imap_done(imap_group *g, imap_slot *s, serry_err e, const void *bytes, size_t len)
{
    s->done = true;
    s->err = e;
    s->len = len;
    s->bytes = malloc(len + 1);
    if (s->bytes) {
        if (len)
            memcpy(s->bytes, bytes, len);
        s->bytes[len] = '\0';
    } else {
        s->err = e != SERRY_OK ? e : SERRY_ENOMEM;
        s->len = 0;
    }
    if (g->it->unordered)
        DL_APPEND(g->it->done, s);
}

static imap_group *imap_of(pool_call *c)
{
    return (imap_group *)((char *)c - offsetof(imap_group, call));
}

static void imap_take(pool_call *c, const pool_wire_outcome *oc, const uint8_t *bytes)
{
    imap_group *g = imap_of(c);
    for (uint32_t i = 0; i < oc->count; i++, bytes += oc->size) {
        imap_slot *s = &g->slot[oc->first + i];
        if (!s->done)
            imap_done(g, s, (serry_err)oc->status, bytes, (size_t)oc->size);
    }
}

/* Those whose outcomes have not come will have none. */
static void imap_over(pool_call *c)
{
    imap_group *g = imap_of(c);
    const char *text = c->text ? c->text : serry_err_text(c->err);
    for (size_t i = 0; i < c->n; i++)
        if (!g->slot[i].done)
            imap_done(g, &g->slot[i], c->err, text, strlen(text));
}

static imap_group *imap_new_group(serry_results *it, size_t n)
{
    imap_group *g = calloc(1, sizeof *g + n * sizeof g->slot[0]);
    if (!g)
        return NULL;
    g->it = it;
    g->call.n = n;
    g->call.take = imap_take;
    g->call.on_over = imap_over;
    for (size_t i = 0; i < n; i++)
        g->slot[i].group = g;
    return g;
}

void sri_imap_free_group(serry_results *it, imap_group *g)
{
    DL_DELETE(it->groups, g);
    for (size_t i = 0; i < g->call.n; i++)
        free(g->slot[i].bytes);
    free(g->call.text);
    free(g);
}

/* ---- reading ---- */

static serry_err imap_send(serry_results *it, imap_group *g, size_t len)
{
    SRI_TRY(sri_pool_open(it->pool));
    SRI_TRY(sri_pool_add_call(it->pool, &g->call));
    uint32_t n = (uint32_t)g->call.n;
    pool_wire_call head = { .flags = n == 1 ? POOL_CALL_SINGLE : POOL_CALL_KEEP_GOING,
                            .n = n,
                            .item_size = len,
                            .result_cap = UINT64_MAX,
                            .chunk = n,
                            .count = n,
                            .fn = it->fn };
    return sri_pool_send_call(&g->call, &head, it->items, n * len);
}

/* n items of len bytes each, or, with an error, one that cannot be sent. */
static serry_err imap_add_group(serry_results *it, size_t n, size_t len, serry_err bad)
{
    imap_group *g = imap_new_group(it, n);
    if (!g)
        return sri_fail(SERRY_ENOMEM, "no memory for the results of %zu items", n);
    g->first = it->read;
    it->read += n;
    it->pending += n;
    DL_APPEND(it->groups, g);
    serry_err e = bad == SERRY_OK ? imap_send(it, g, len) : bad;
    if (e != SERRY_OK)
        sri_pool_fail_call(&g->call, e, serry_err_detail());
    return SERRY_OK;
}

/* One item from the source, which runs outside of the core. */
static bool imap_read(serry_results *it, size_t index, size_t *len)
{
    *len = 0;
    sri_leave();
    bool more = it->next(it->ctx, index, it->item, it->item_cap, len);
    sri_worker_enter_again();
    if (!more && it->ended == SERRY_OK)
        it->ended = SERRY_ECLOSED;
    return more && !it->freed;
}

static serry_err imap_read_group(serry_results *it)
{
    size_t n = 0, size = 0, len = 0;
    if (it->carried) {
        size = it->carried_len;
        memcpy(it->items, it->item, size);
        it->carried = false;
        n = 1;
    }
    while (n < it->chunk && it->pending + n < it->in_flight && imap_read(it, it->read + n, &len)) {
        bool fits = len <= it->item_cap;
        bool much = len > 0 && n >= sri_world.max_message / len; /* for one request */
        if (n > 0 && (!fits || len != size || much)) {
            it->carried = true; /* it begins the next group */
            it->carried_len = len;
            break;
        }
        if (!fits) {
            it->carried = true;
            it->carried_len = len;
            break;
        }
        size = len;
        memcpy(it->items + n * size, it->item, size);
        n++;
    }
    if (n > 0 && !it->freed)
        SRI_TRY(imap_add_group(it, n, size, SERRY_OK));
    if (it->carried && it->carried_len > it->item_cap && !it->freed) {
        it->carried = false;
        return imap_add_group(it, 1, 0,
                              sri_fail(SERRY_ELIMIT,
                                       "the source gave item %zu %zu bytes, item_cap "
                                       "is %zu",
                                       it->read, it->carried_len, it->item_cap));
    }
    return SERRY_OK;
}

bool sri_imap_may_read(const serry_results *it)
{
    if (it->reading || (it->ended != SERRY_OK && !it->carried))
        return false;
    size_t room = it->in_flight - it->pending;
    return it->pending < it->in_flight && (room >= it->chunk || it->pending == 0);
}

/* A pool that takes no more ends the reading. */
static void imap_check_pool(serry_results *it)
{
    serry_pool *pool = sri_pool_find(it->pool_id);
    if (pool != it->pool || !pool || pool->closed || pool->broken) {
        if (it->ended == SERRY_OK)
            it->ended = pool && pool == it->pool && !pool->broken && !pool->terminated
                            ? SERRY_ECLOSED
                        : pool && pool->broken ? SERRY_EBROKEN
                                               : SERRY_ECANCELLED;
        it->carried = false;
    }
}

void sri_imap_free(serry_results *it)
{
    imap_group *g, *next;
    DL_FOREACH_SAFE (it->groups, g, next)
        sri_imap_free_group(it, g);
    free(it->item);
    free(it->items);
    free(it);
}

bool sri_imap_fill(serry_results *it)
{
    imap_check_pool(it);
    while (sri_imap_may_read(it)) {
        it->reading = true;
        serry_err e = imap_read_group(it);
        it->reading = false;
        if (it->freed) { /* by the source */
            sri_imap_free(it);
            return false;
        }
        if (e != SERRY_OK)
            break; /* no memory now: again at the next call */
        imap_check_pool(it);
    }
    return true;
}

/* ---- calls ---- */

static serry_err imap_new(serry_results **out, serry_pool *pool, const serry_imap_options *o)
{
    size_t least = IMAP_PER_WORKER * (size_t)pool->workers, bytes;
    serry_results *it = calloc(1, sizeof *it);
    if (!it)
        return sri_fail(SERRY_ENOMEM, "no memory for results");
    it->unordered = o->unordered;
    it->chunk = o->chunk ? o->chunk : 1;
    it->item_cap = o->item_cap ? o->item_cap : IMAP_ITEM_CAP;
    least = least > IMAP_LEAST ? least : IMAP_LEAST;
    least = least > 2 * it->chunk ? least : 2 * it->chunk;
    it->in_flight = o->in_flight ? o->in_flight : least;
    it->chunk = it->chunk < it->in_flight ? it->chunk : it->in_flight;
    bool fits = !__builtin_mul_overflow(it->chunk, it->item_cap, &bytes) && it->chunk <= 1u << 16;
    it->item = fits ? malloc(it->item_cap) : NULL;
    it->items = fits ? malloc(bytes) : NULL;
    if (!it->item || !it->items) {
        size_t chunk = it->chunk, cap = it->item_cap;
        sri_imap_free(it);
        return sri_fail(fits ? SERRY_ENOMEM : SERRY_EINVAL,
                        "chunks of %zu items of %zu bytes are "
                        "too large",
                        chunk, cap);
    }
    *out = it;
    return SERRY_OK;
}

serry_err serry_pool_imap(serry_results **out, serry_pool *pool, serry_task_fn fn,
                          serry_source_fn next, void *ctx, const serry_imap_options *o)
{
    static const serry_imap_options defaults;
    serry_results *it = NULL;
    sri_fnref ref;
    if (!out || !fn || !next)
        return sri_fail(SERRY_EINVAL, "%s is NULL",
                        !out  ? "the place for the results"
                        : !fn ? "the task"
                              : "the source");
    SRI_TRY(sri_fnref_of((sri_any_fn)fn, &ref));
    SRI_TRY(sri_pool_enter(pool));
    o = o ? o : &defaults;
    serry_err e = sri_pool_open(pool);
    if (e == SERRY_OK && o->item_cap > sri_world.max_message)
        e = sri_fail(SERRY_ELIMIT, "items of %zu bytes, the limit is %zu", o->item_cap,
                     (size_t)sri_world.max_message);
    if (e == SERRY_OK)
        e = imap_new(&it, pool, o);
    if (e == SERRY_OK) {
        it->rank = sri_world.rank;
        it->pool = pool;
        it->pool_id = pool->id;
        it->fn = ref;
        it->next = next;
        it->ctx = ctx;
        (void)sri_imap_fill(it);
    }
    sri_pool_leave();
    if (e == SERRY_OK)
        *out = it;
    return e;
}
