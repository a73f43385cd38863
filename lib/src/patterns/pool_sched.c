/* patterns/pool_sched.c: hands out items in chunks, ahead of the workers' need.
 *
 * Chunk size: guided self-scheduling (Polychronopoulos, Kuck 1987) bounded by measured time: about
 * CHUNK_NS of work, no more than remaining / (4 * workers), grown in steps from 1. A worker has two
 * chunks, so that it has one while its results travel, and work for AHEAD_NS, so that neither it
 * nor the home needs to be woken often. When one runs dry at the end, what others have not begun is
 * taken back from them by their grant words.
 */
#include "patterns/pool_home.h"

#include "base/error.h"
#include "base/log.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#define CHUNK_ITEMS (1u << 16)   /* far below the range of seq */
#define CHUNK_NS 10000000        /* work in a chunk, */
#define UNSHARED_CHUNK_NS 700000 /* and in one that cannot be taken back */
#define CHUNK_BYTES (32u << 10)  /* two of them fit a lane */
#define CHUNK_GROWTH 8
#define AHEAD_NS 40000000           /* two chunks for a worker, and more if it has less than this */
#define AHEAD_BYTES (48u << 10)     /* and they fit its lane */
#define ROB_NS 100000               /* less work than this is not worth taking back */
#define BACKLOG_BYTES (256u << 10)  /* a worker whose lane lags by this gets no more ahead */
#define UNSHARED_AHEAD_NS SRI_MS(2) /* what cannot be taken back goes ahead behind these only */
#define LOOK_NS SRI_MS(1)           /* how long a worker may sit on items while another has none */
#define ROBS_MAX 1000               /* times that one who says nothing is robbed */
#define HOLDS_MAX 64u               /* tasks that wait at one worker, before it runs only theirs */

/* ---- handing out ---- */

static void sched_look_at(pool_home *p, sri_ns when)
{
    if (when < p->look_due)
        p->look_due = when;
}

static uint32_t sched_workers(const pool_home *p)
{
    int n = p->set.served ? p->servers : p->processes;
    return n > 0 ? (uint32_t)n : 1;
}

static uint32_t sched_chunk(const pool_home *p, const home_worker *w, const home_call *call)
{
    if (call->chunk)
        return call->chunk < CHUNK_ITEMS ? call->chunk : CHUNK_ITEMS;
    uint64_t mean = pool_lease_mean(call);
    if (!call->tasks)
        return 1;
    uint64_t k = (w->cell ? CHUNK_NS : UNSHARED_CHUNK_NS) / (mean ? mean : 1);
    uint64_t share = (call->n - call->ended - call->leased) / (4 * (uint64_t)sched_workers(p));
    uint64_t step = (uint64_t)call->longest * CHUNK_GROWTH;
    uint64_t fit = call->item_size ? CHUNK_BYTES / call->item_size : CHUNK_ITEMS;
    k = k < share ? k : share;
    k = k < step ? k : step;
    k = k < fit ? k : fit;
    k = k < CHUNK_ITEMS ? k : CHUNK_ITEMS;
    return k ? (uint32_t)k : 1;
}

/* It has two chunks: is what is left of them so little that it should have more? */
static bool sched_wants_more(const home_worker *w)
{
    const home_call *call = w->lease[w->head].block->call;
    uint64_t items = (w->next_seq - w->reported) & POOL_SEQ_MASK;
    return w->cell && call->tasks > 0 && items * pool_lease_mean(call) < AHEAD_NS
           && items * call->item_size < AHEAD_BYTES;
}

/* May others wait behind it at a worker from which they cannot be taken back? Not as long as
 * nothing is known of it. */
static bool sched_is_quick(pool_home *p, home_call *call)
{
    if (call->tasks == 0) /* others of its function may have ended since it came */
        pool_lease_expect(p, call);
    return call->tasks > 0 && pool_lease_mean(call) <= (uint64_t)UNSHARED_AHEAD_NS;
}

/* Does it work for the pool now? The owner only while no rank serves it, a deputy while its rank
 * works, or if its tasks wait for others. */
static bool sched_works(const pool_home *p, const home_worker *w)
{
    const home_worker *rank = w->role == POOL_ROLE_DEPUTY ? w->principal : w;
    if (w->deputes || !rank || !w->attached || w->ending)
        return false;
    if (w->role == POOL_ROLE_DEPUTY && w->holds > 0)
        return true;
    return rank->attached && !w->retired && !(rank->role == POOL_ROLE_SELF && p->servers > 0);
}

/* One that did not begin what it had, so that it was taken back, may have just woken late: it gets
 * more. It does not pile up what it does not read, and who is robbed again and again stands still:
 * it gets something only if there is nobody else, for it could not be taken back for ever (the
 * epoch of its word has few bits). */
static bool sched_reads(pool_home *p, const home_worker *w)
{
    const home_worker *other;
    if (!w->robbed || (w->robs < ROBS_MAX && sri_home_backlog(&p->o, w->rank) == 0))
        return true;
    DL_FOREACH (p->workers, other) {
        if (other != w && !other->robbed && sched_works(p, other)) {
            if (pool_sched_queued(p))
                sched_look_at(p, sri_now() + LOOK_NS);
            return false;
        }
    }
    return true;
}

/* May this worker have one chunk more? */
static bool sched_wants(pool_home *p, home_worker *w, bool ahead)
{
    if (!sched_works(p, w) || w->resumed || (w->budget == 0 && w->holds == 0))
        return false;
    if (w->leases == 0)
        return sched_reads(p, w);
    if (!ahead || w->robbed || w->holds > 0 || w->leases == POOL_LEASES)
        return false;
    if (w->leases >= 2 && !sched_wants_more(w))
        return false;
    if (!w->cell && !sched_is_quick(p, pool_lease_front(w)->block->call))
        return false;
    return sri_home_backlog(&p->o, w->rank) < BACKLOG_BYTES;
}

bool pool_sched_queued(const pool_home *p)
{
    return p->nested.back || p->nested.blocks || p->queue.back || p->queue.blocks;
}

/* Which queue a worker is given from: the tasks' own first, lest tasks that wait pile up. */
static home_queue *sched_queue(pool_home *p, const home_worker *w)
{
    if (p->nested.back || p->nested.blocks || w->holds >= HOLDS_MAX)
        return &p->nested;
    return &p->queue;
}

/* The next items to hand out, as a lease; false if there are none. */
static bool sched_cut(pool_home *p, home_worker *w, home_lease *l)
{
    const home_queue *q = sched_queue(p, w);
    home_span *s = q->back;
    home_block *b = s ? s->block : q->blocks;
    if (!b)
        return false;
    uint32_t have = s ? s->count : b->count - b->cut;
    uint32_t k = s && s->attempt > 1 ? 1 : sched_chunk(p, w, b->call);
    bool extra = w->budget == 0; /* only for one whose tasks wait */
    k = k < have ? k : have;
    k = extra ? 1 : k < w->budget ? k : (uint32_t)w->budget;
    *l = (home_lease){ .block = b,
                       .at = s ? s->at : b->cut,
                       .count = k,
                       .given = k,
                       .attempt = s ? s->attempt : 1,
                       .extra = extra };
    return true;
}

/* The items of a lease are no longer in the queue. */
static void sched_commit(pool_home *p, const home_worker *w, const home_lease *l)
{
    home_queue *q = sched_queue(p, w);
    home_span *s = q->back;
    if (s) {
        s->at += l->count;
        s->count -= l->count;
        if (s->count == 0) {
            DL_DELETE(q->back, s);
            LL_PREPEND(p->spare_spans, s);
        }
        return;
    }
    home_block *b = l->block;
    b->cut += l->count;
    b->call->cut += l->count;
    if (b->cut == b->count)
        pool_items_unlist(p, b);
}

static bool sched_give(pool_home *p, home_worker *w)
{
    home_lease l;
    if (!sched_cut(p, w, &l))
        return false;
    home_block *b = l.block;
    home_call *call = b->call;
    pool_wire_chunk head = { .kind = POOL_FEED_CHUNK,
                             .call = call->serial,
                             .epoch = w->epoch,
                             .seq = w->next_seq,
                             .count = l.count,
                             .attempt = (uint16_t)l.attempt,
                             .flags = (uint16_t)call->flags,
                             .first = b->first + l.at,
                             .item_size = call->item_size,
                             .result_cap = call->result_cap,
                             .fn = call->fn };
    if (!pool_lease_grant(w, l.count))
        return false; /* its DETACH, HOLD or RESUME is on the way */
    sched_commit(p, w, &l);
    w->lease[(w->head + w->leases++) % POOL_LEASES] = l;
    w->budget -= l.extra ? 0 : l.count;
    call->leased += l.count;
    if (p->set.task_timeout > 0 && p->look_due == SRI_NEVER)
        p->look_due = sri_now() + p->set.task_timeout / 8;
    sri_home_feed(&p->o, w->rank, &head, sizeof head, b->bytes + l.at * call->item_size,
                  l.count * call->item_size);
    return true;
}

/* For an idle worker when nothing is queued: what another has not begun and will not begin soon. */
static bool sched_rob(pool_home *p, const home_worker *idle, sri_ns now)
{
    home_worker *w, *best = NULL;
    uint64_t most = 0;
    DL_FOREACH (p->workers, w) {
        if (w == idle || !w->cell || w->leases == 0 || w->robs == ROBS_MAX)
            continue;
        uint64_t v = atomic_load_explicit(w->cell, memory_order_relaxed);
        uint64_t left = (pool_grant_granted(v) - pool_grant_started(v)) & POOL_SEQ_MASK;
        if (left == 0)
            continue;
        uint64_t ns = left * pool_lease_mean(pool_lease_front(w)->block->call);
        if (ns < ROB_NS && now - w->heard < LOOK_NS) {
            sched_look_at(p, now + LOOK_NS);
            continue;
        }
        if (!best || ns > most) {
            best = w;
            most = ns;
        }
    }
    if (!best || !pool_lease_revoke(p, best))
        return false;
    best->robbed = true;
    best->robs++;
    return true;
}

/* Gives one worker what it may have. */
static void sched_fill(pool_home *p, home_worker *w, bool ahead)
{
    bool idle = w->leases == 0;
    while (sched_wants(p, w, ahead) && sched_give(p, w))
        ;
    if (idle && w->leases > 0) {
        w->heard = sri_now();
        pool_lease_idle(w);
    }
}

static void sched_find_work(pool_home *p, home_worker *w)
{
    if (w->leases > 0 || pool_sched_queued(p) || !p->calls || !sched_wants(p, w, false))
        return;
    if (!sched_rob(p, w, sri_now()))
        return;
    sched_fill(p, w, false);
    DL_FOREACH (p->workers, w)
        if (w->leases == 0)
            sched_fill(p, w, false);
}

void pool_sched(pool_home *p, home_worker *w)
{
    if (p->broken || p->terminated)
        return;
    if (w) {
        sched_fill(p, w, true);
        sched_find_work(p, w);
        return;
    }
    /* Who has nothing comes first, so that a few long tasks go to as many workers. */
    DL_FOREACH (p->workers, w)
        if (w->leases == 0)
            sched_fill(p, w, false);
    DL_FOREACH (p->workers, w) {
        sched_fill(p, w, true);
        sched_find_work(p, w);
    }
}

/* ---- time ---- */

void pool_sched_arm(pool_home *p)
{
    sri_ns due = p->out_due < p->heal_due ? p->out_due : p->heal_due;
    due = due < p->look_due ? due : p->look_due;
    home_span *s;
    DL_FOREACH (p->later, s)
        due = due < s->due ? due : s->due;
    if (due == p->armed)
        return;
    p->armed = due;
    sri_home_timer(&p->o, due);
}

void pool_sched_tick(pool_home *p, sri_ns now)
{
    home_span *s, *next;
    bool more = false;
    DL_FOREACH_SAFE (p->later, s, next) {
        if (s->due > now)
            continue;
        DL_DELETE(p->later, s);
        s->due = 0;
        DL_PREPEND(pool_queue_of(p, s->block->call)->back, s);
        more = true;
    }
    if (p->out_due <= now)
        pool_items_flush(p);
    if (p->heal_due <= now) {
        p->heal_due = SRI_NEVER;
        pool_heal(p);
    }
    if (p->look_due <= now) {
        p->look_due = SRI_NEVER;
        if (p->set.task_timeout > 0)
            sched_look_at(p, pool_heal_overdue(p, now));
        more = true;
    }
    if (more)
        pool_sched(p, NULL);
}
