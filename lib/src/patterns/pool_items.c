/* patterns/pool_items.c: where the items of a pool's calls are kept at its home, from the owner's
 * message to the outcome that goes back. */
#include "patterns/pool_home.h"

#include "base/error.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#define OUT_BYTES (32u << 10)    /* outcomes gathered for the owner */
#define OUT_NS SRI_MS(20)        /* so long at most; single tasks and failures do not wait */
#define OUT_WINDOW_NS SRI_MS(1)  /* if the submitter waits for them to send more items */
#define DIRECT_BYTES (16u << 10) /* longer results are sent on as they are */
#define MERGE_ITEMS (1u << 16)   /* in one outcome, before it grows by another run */

/* ---- items: blocks and spans ---- */

void pool_items_list(pool_home *p, home_block *b)
{
    home_queue *q = pool_queue_of(p, b->call);
    home_block *before = b->call->last;
    if (!b->call->nested)
        DL_APPEND(q->blocks, b);
    else if (before && before->listed)
        DL_APPEND_ELEM(q->blocks, before, b);
    else
        DL_PREPEND(q->blocks, b);
    b->call->last = b;
    b->listed = true;
}

void pool_items_unlist(pool_home *p, home_block *b)
{
    if (!b->listed)
        return;
    home_queue *q = pool_queue_of(p, b->call);
    DL_DELETE(q->blocks, b);
    b->listed = false;
}

/* count items of a block need not be kept any more. */
static void items_let_go(pool_home *p, home_block *b, uint32_t count)
{
    b->open -= count;
    if (b->open > 0)
        return;
    pool_items_unlist(p, b);
    if (b->call->last == b)
        b->call->last = NULL;
    free(b);
}

static home_span *items_span(pool_home *p)
{
    home_span *s = p->spare_spans;
    if (s)
        LL_DELETE(p->spare_spans, s);
    else
        s = malloc(sizeof *s);
    return s;
}

void pool_items_return(pool_home *p, home_block *b, uint32_t at, uint32_t count, uint32_t attempt,
                       sri_ns due)
{
    if (count == 0)
        return;
    home_span *s = b->call->stopped ? NULL : items_span(p);
    if (!s) { /* stopped; or no memory, and then the task is lost but not forgotten */
        bool stopped = b->call->stopped;
        pool_items_end(p, b, at, count, stopped ? SERRY_ECANCELLED : SERRY_ENOMEM, -1, NULL, 0);
        return;
    }
    *s = (home_span){ .block = b, .at = at, .count = count, .attempt = attempt, .due = due };
    if (due)
        DL_APPEND(p->later, s);
    else
        DL_PREPEND(pool_queue_of(p, b->call)->back, s);
}

/* Drops the spans of one call, or of all. */
static void items_drop_spans(pool_home *p, home_span **list, const home_call *call)
{
    home_span *s, *next;
    DL_FOREACH_SAFE (*list, s, next) {
        if (call && s->block->call != call)
            continue;
        DL_DELETE(*list, s);
        home_block *b = s->block;
        uint32_t count = s->count;
        LL_PREPEND(p->spare_spans, s);
        items_let_go(p, b, count);
    }
}

/* ---- outcomes for submitters ---- */

void pool_items_flush(pool_home *p)
{
    p->out_due = SRI_NEVER;
    p->out_last = SIZE_MAX;
    if (p->out.len == 0)
        return;
    pool_wire_feed head = { .kind = POOL_FEED_RESULTS };
    sri_home_feed(&p->o, p->out_rank, &head, sizeof head, p->out.data, p->out.len);
    p->out.len = 0;
    if (p->out.cap > 16 * OUT_BYTES)
        sri_buffer_fini(&p->out);
}

/* A long result: straight from the worker's message to the submitter's lane. */
static void items_emit_direct(pool_home *p, int rank, const pool_wire_outcome *oc,
                              const void *bytes, size_t len)
{
    pool_items_flush(p);
    struct {
        pool_wire_feed head;
        pool_wire_outcome oc;
    } out = { { .kind = POOL_FEED_RESULTS }, *oc };
    sri_home_feed(&p->o, rank, &out, sizeof out, bytes, len);
}

/* Adds to the outcome before, if this one continues it. */
static bool items_emit_more(pool_home *p, const pool_wire_outcome *oc, const void *bytes,
                            size_t len)
{
    if (p->out_last == SIZE_MAX || len % 8 != 0 || oc->status != SERRY_OK)
        return false;
    pool_wire_outcome last;
    memcpy(&last, p->out.data + p->out_last, sizeof last);
    if (last.call != oc->call || last.size != oc->size || last.first + last.count != oc->first
        || last.status != SERRY_OK || last.count > MERGE_ITEMS
        || sri_buffer_add(&p->out, bytes, len) != SERRY_OK)
        return false;
    last.count += oc->count;
    memcpy(p->out.data + p->out_last, &last, sizeof last);
    return true;
}

static void items_emit(pool_home *p, const home_call *call, const pool_wire_outcome *oc,
                       const void *bytes)
{
    static const uint8_t zeros[8];
    size_t len = (size_t)(oc->count * oc->size);
    int rank = call->key.submitter;
    if (call->orphan)
        return;
    if (len >= DIRECT_BYTES) {
        items_emit_direct(p, rank, oc, bytes, len);
        return;
    }
    if (rank != p->out_rank) {
        pool_items_flush(p);
        p->out_rank = rank;
    }
    if (!items_emit_more(p, oc, bytes, len)) {
        size_t padding = (8 - len % 8) % 8;
        if (sri_buffer_reserve(&p->out, sizeof *oc + len + padding) != SERRY_OK) {
            items_emit_direct(p, rank, oc, bytes, len);
            return;
        }
        p->out_last = padding ? SIZE_MAX : p->out.len;
        (void)!sri_buffer_add(&p->out, oc, sizeof *oc); /* cannot fail: reserved */
        (void)!sri_buffer_add(&p->out, bytes, len);
        (void)!sri_buffer_add(&p->out, zeros, padding);
    }
    if (p->out.len >= OUT_BYTES || oc->status != SERRY_OK)
        pool_items_flush(p);
    else if (p->out_due == SRI_NEVER)
        p->out_due = sri_now() + (call->arrived < call->n ? OUT_WINDOW_NS : OUT_NS);
}

/* Ends a call that has nothing more to come. */
static void items_settle(pool_home *p, home_call *call)
{
    if (call->ended < call->n && !(call->stopped && call->leased == 0))
        return;
    if (call->stopped) { /* the submitter is told that no more will come */
        pool_wire_outcome oc = { .call = call->key.id, .status = SERRY_ECANCELLED };
        items_emit(p, call, &oc, NULL);
    }
    HASH_DEL(p->calls, call);
    free(call);
    pool_items_flush(p);
}

void pool_items_end(pool_home *p, home_block *b, uint32_t at, uint32_t count, serry_err status,
                    int worker, const void *bytes, uint64_t size)
{
    home_call *call = b->call;
    if (status != SERRY_ECANCELLED) {
        pool_wire_outcome oc = { .call = call->key.id,
                                 .count = count,
                                 .first = b->first + at,
                                 .size = size,
                                 .status = (uint32_t)status,
                                 .worker = worker };
        items_emit(p, call, &oc, bytes);
        p->deaths = 0;
    }
    call->ended += count;
    items_let_go(p, b, count);
    if (status != SERRY_OK && !(call->flags & POOL_CALL_KEEP_GOING) && !call->stopped)
        pool_items_stop(p, call); /* settles it, too */
    else
        items_settle(p, call);
}

/* ---- calls ---- */

/* Lets go what has not been handed out of a call. */
static void items_drop_blocks(pool_home *p, home_queue *q, home_call *call)
{
    home_block *b, *next;
    if (call && call->n == 1) { /* no need to look through the queue for it */
        b = call->last;
        if (b && b->listed)
            items_let_go(p, b, b->count - b->cut);
        return;
    }
    DL_FOREACH_SAFE (q->blocks, b, next) {
        if (call && b->call != call)
            continue;
        pool_items_unlist(p, b);
        items_let_go(p, b, b->count - b->cut);
    }
}

void pool_items_stop(pool_home *p, home_call *call)
{
    if (call->stopped)
        return;
    call->stopped = true;
    home_queue *q = pool_queue_of(p, call);
    items_drop_spans(p, &q->back, call);
    items_drop_spans(p, &p->later, call);
    items_drop_blocks(p, q, call);
    home_worker *w;
    pool_wire_feed head = { .kind = POOL_FEED_STOP, .call = call->serial };
    DL_FOREACH (p->workers, w)
        if (pool_lease_has(w, call))
            sri_home_feed(&p->o, w->rank, &head, sizeof head, NULL, 0);
    items_settle(p, call);
}

static void items_drop_queue(pool_home *p, home_queue *q)
{
    items_drop_spans(p, &q->back, NULL);
    items_drop_blocks(p, q, NULL);
}

/* What a worker has comes to nothing. */
static void items_drop_worker(pool_home *p, home_worker *w)
{
    for (; w->leases > 0; w->leases--, w->head = (w->head + 1) % POOL_LEASES)
        items_let_go(p, w->lease[w->head].block, w->lease[w->head].count);
    while (w->holds > 0)
        items_let_go(p, w->held[--w->holds].block, 1);
    w->reported = w->next_seq; /* it may attach and detach once more, and has nothing then */
    w->attached = false;       /* what it still sends is void, and it gets nothing any more */
    pool_lease_idle(w);
}

void pool_items_drop_all(pool_home *p)
{
    items_drop_spans(p, &p->later, NULL);
    home_worker *w;
    DL_FOREACH (p->workers, w)
        items_drop_worker(p, w);
    p->servers = 0;
    items_drop_queue(p, &p->nested);
    items_drop_queue(p, &p->queue);
    home_call *call, *next_call;
    HASH_ITER (hh, p->calls, call, next_call) {
        HASH_DEL(p->calls, call);
        free(call);
    }
    p->out.len = 0;
    p->out_last = SIZE_MAX;
    p->out_due = SRI_NEVER;
}
