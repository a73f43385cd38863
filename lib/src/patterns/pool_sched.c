/* patterns/pool_sched.c: hands out items in chunks, ahead of the workers' need, and takes results.
 *
 * Chunk size: guided self-scheduling (Polychronopoulos, Kuck 1987) bounded by measured time: about
 * CHUNK_NS of work, no more than remaining / (4 * workers), grown in steps from 1. A worker has two
 * chunks, so that it has one while its results travel; more if they are small, so that nobody needs
 * to be woken for each. When one runs dry at the end, what others have not begun is taken back from
 * them by their grant words.
 */
#include "patterns/pool_home.h"

#include "base/error.h"
#include "base/log.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#define CHUNK_ITEMS (1u << 16)   /* far below the range of seq */
#define CHUNK_NS 700000          /* work in a chunk */
#define CHUNK_BYTES (32u << 10)  /* two of them fit a lane */
#define CHUNK_GROWTH 8
#define AHEAD_NS 4000000         /* two chunks for a worker, and more if they are less than this */
#define AHEAD_BYTES (48u << 10)  /* and fit its lane */
#define ROB_NS 100000            /* less work than this is not worth taking back */
#define BACKLOG_BYTES (256u << 10) /* a worker whose lane lags by this gets no more ahead */
#define UNSHARED_AHEAD_NS SRI_MS(2) /* what cannot be taken back goes ahead behind these only */
#define LOOK_NS SRI_MS(1)        /* how long a worker may sit on items while another has none */
#define FADE_NS SRI_MS(20)       /* how far back the mean time of a task looks */

/* ---- how long tasks take ---- */

static uint64_t sched_mean(const home_call *call)
{
    return call->tasks ? call->ns / call->tasks : 0;
}

/* Single tasks are calls of their own: what is known of a function is kept for the next one. */
static home_kind *sched_kind(pool_home *p, const sri_fnref *fn)
{
    return &p->kinds[(fn->offset >> 4 ^ fn->module) % POOL_KINDS];
}

void pool_sched_expect(pool_home *p, home_call *call)
{
    const home_kind *k = sched_kind(p, &call->fn);
    bool same = k->known && memcmp(&k->fn, &call->fn, sizeof k->fn) == 0;
    if ((call->flags & POOL_CALL_SINGLE) && same) {
        call->tasks = 1;
        call->ns = k->mean;
    }
}

static void sched_measure(pool_home *p, home_call *call, uint64_t tasks, sri_ns ns)
{
    if (call->flags & POOL_CALL_SINGLE) {
        uint64_t mean = ns > 0 ? (uint64_t)ns / tasks : 0;
        home_kind *k = sched_kind(p, &call->fn);
        bool same = k->known && memcmp(&k->fn, &call->fn, sizeof k->fn) == 0;
        *k = (home_kind){ call->fn, same ? (3 * k->mean + mean) / 4 : mean, true };
        return;
    }
    call->tasks += tasks;
    call->ns += ns > 0 ? (uint64_t)ns : 0;
    if (call->ns > (uint64_t)FADE_NS && call->tasks > 1) {
        call->ns /= 2;
        call->tasks /= 2;
    }
}

/* ---- grants and leases ---- */

static home_lease *sched_front(home_worker *w)
{
    return &w->lease[w->head];
}

/* Raises granted; false if the worker has detached meanwhile. */
static bool sched_grant(home_worker *w, uint32_t count)
{
    uint32_t to = (w->next_seq + count) & POOL_SEQ_MASK;
    if (w->cell) {
        uint64_t v = atomic_load_explicit(w->cell, memory_order_acquire);
        do {
            if (pool_grant_epoch(v) != w->epoch)
                return false;
        } while (!atomic_compare_exchange_weak_explicit(
            w->cell, &v,
            pool_grant_make(w->epoch, to, pool_grant_started(v), pool_grant_running(v)),
            memory_order_acq_rel, memory_order_acquire));
    }
    w->next_seq = to;
    return true;
}

static uint32_t sched_held(const home_worker *w)
{
    return (w->next_seq - w->reported) & POOL_SEQ_MASK;
}

void pool_sched_take_back(pool_home *p, home_worker *w, uint32_t keep)
{
    uint32_t held = sched_held(w);
    if (keep < held)
        w->next_seq = (w->reported + keep) & POOL_SEQ_MASK;
    while (held > keep) { /* from the last one on, so that they go back in their order */
        home_lease *l = &w->lease[(w->head + w->leases - 1) % POOL_LEASES];
        uint32_t before = held - l->count;
        uint32_t stays = before < keep ? keep - before : 0;
        uint32_t back = l->count - stays;
        home_block *b = l->block;
        uint32_t at = l->at + stays, attempt = l->attempt;
        l->count = stays;
        if (stays == 0)
            w->leases--;
        held -= back;
        w->budget += back;
        b->call->leased -= back;
        pool_items_return(p, b, at, back, attempt, 0);
    }
}

/* Takes back by its grant word what a worker has not begun; false if there is nothing to be had. */
static bool sched_revoke(pool_home *p, home_worker *w)
{
    if (!w->cell)
        return false;
    uint64_t v = atomic_load_explicit(w->cell, memory_order_acquire);
    uint32_t epoch = (w->epoch + 1) & POOL_EPOCH_MASK;
    do {
        if (pool_grant_epoch(v) != w->epoch
            || pool_grant_granted(v) == pool_grant_started(v))
            return false;
    } while (!atomic_compare_exchange_weak_explicit(
        w->cell, &v,
        pool_grant_make(epoch, pool_grant_started(v), pool_grant_started(v),
                        pool_grant_running(v)),
        memory_order_acq_rel, memory_order_acquire));
    w->epoch = epoch;
    pool_sched_take_back(p, w, (pool_grant_started(v) - w->reported) & POOL_SEQ_MASK);
    return true;
}

void pool_sched_revoke_all(pool_home *p)
{
    home_worker *w;
    DL_FOREACH(p->workers, w)
        (void)sched_revoke(p, w);
}

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

static uint32_t sched_chunk(const pool_home *p, const home_call *call)
{
    if (call->chunk)
        return call->chunk < CHUNK_ITEMS ? call->chunk : CHUNK_ITEMS;
    uint64_t mean = sched_mean(call);
    if (!call->tasks)
        return 1;
    uint64_t k = CHUNK_NS / (mean ? mean : 1);
    uint64_t share = (call->n - call->ended - call->leased) / (4 * (uint64_t)sched_workers(p));
    uint64_t step = (uint64_t)call->longest * CHUNK_GROWTH;
    uint64_t fit = call->item_size ? CHUNK_BYTES / call->item_size : CHUNK_ITEMS;
    k = k < share ? k : share;
    k = k < step ? k : step;
    k = k < fit ? k : fit;
    k = k < CHUNK_ITEMS ? k : CHUNK_ITEMS;
    return k ? (uint32_t)k : 1;
}

/* It has two chunks: are they so little that it should have more? */
static bool sched_wants_more(const home_worker *w)
{
    const home_lease *l = &w->lease[w->head];
    const home_call *call = l->block->call;
    uint64_t items = (uint64_t)w->leases * l->given;
    return w->cell && call->tasks > 0 && items * sched_mean(call) < AHEAD_NS
           && items * call->item_size < AHEAD_BYTES;
}

/* May others wait behind it at a worker from which they cannot be taken back? Not as long as
 * nothing is known of it. */
static bool sched_is_quick(pool_home *p, home_call *call)
{
    if (call->tasks == 0) /* others of its function may have ended since it came */
        pool_sched_expect(p, call);
    return call->tasks > 0 && sched_mean(call) <= (uint64_t)UNSHARED_AHEAD_NS;
}

/* May this worker have one chunk more? */
static bool sched_wants(pool_home *p, home_worker *w, bool ahead)
{
    if (!w->attached || w->ending || w->budget == 0)
        return false;
    if (w->role == POOL_ROLE_SELF && p->servers > 0)
        return false;
    if (w->leases == 0)
        return true;
    if (!ahead || w->robbed || w->leases == POOL_LEASES)
        return false;
    if (w->leases >= 2 && !sched_wants_more(w))
        return false;
    if (!w->cell && !sched_is_quick(p, sched_front(w)->block->call))
        return false;
    return sri_home_backlog(&p->o, w->rank) < BACKLOG_BYTES;
}

/* The next items to hand out, as a lease; false if there are none. */
static bool sched_cut(pool_home *p, home_worker *w, home_lease *l)
{
    home_span *s = p->back;
    home_block *b = s ? s->block : p->blocks;
    if (!b)
        return false;
    uint32_t have = s ? s->count : b->count - b->cut;
    uint32_t k = s && s->attempt > 1 ? 1 : sched_chunk(p, b->call);
    k = k < have ? k : have;
    k = k < w->budget ? k : (uint32_t)w->budget;
    *l = (home_lease){ .block = b, .at = s ? s->at : b->cut, .count = k, .given = k,
                       .attempt = s ? s->attempt : 1 };
    return true;
}

/* The items of a lease are no longer in the queue. */
static void sched_commit(pool_home *p, const home_lease *l)
{
    home_span *s = p->back;
    if (s) {
        s->at += l->count;
        s->count -= l->count;
        if (s->count == 0) {
            DL_DELETE(p->back, s);
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
    pool_wire_chunk head = { .kind = POOL_FEED_CHUNK, .call = call->id, .epoch = w->epoch,
                             .seq = w->next_seq, .count = l.count,
                             .attempt = (uint16_t)l.attempt, .flags = (uint16_t)call->flags,
                             .first = b->first + l.at, .item_size = call->item_size,
                             .result_cap = call->result_cap, .fn = call->fn };
    if (!sched_grant(w, l.count))
        return false; /* its DETACH is on the way */
    sched_commit(p, &l);
    w->lease[(w->head + w->leases++) % POOL_LEASES] = l;
    w->budget -= l.count;
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
    DL_FOREACH(p->workers, w) {
        if (w == idle || !w->cell || w->robbed || w->leases == 0)
            continue;
        uint64_t v = atomic_load_explicit(w->cell, memory_order_relaxed);
        uint64_t left = (pool_grant_granted(v) - pool_grant_started(v)) & POOL_SEQ_MASK;
        if (left == 0)
            continue;
        uint64_t ns = left * sched_mean(sched_front(w)->block->call);
        if (ns < ROB_NS && now - w->heard < LOOK_NS) {
            sched_look_at(p, now + LOOK_NS);
            continue;
        }
        if (!best || ns > most) {
            best = w;
            most = ns;
        }
    }
    if (!best || !sched_revoke(p, best))
        return false;
    best->robbed = true;
    return true;
}

/* Gives one worker what it may have. */
static void sched_fill(pool_home *p, home_worker *w, bool ahead)
{
    bool idle = w->leases == 0;
    while (sched_wants(p, w, ahead) && sched_give(p, w))
        ;
    if (idle && w->leases > 0)
        w->heard = sri_now();
}

static void sched_find_work(pool_home *p, home_worker *w)
{
    if (w->leases > 0 || p->back || p->blocks || !p->calls || !sched_wants(p, w, false))
        return;
    if (!sched_rob(p, w, sri_now()))
        return;
    sched_fill(p, w, false);
    DL_FOREACH(p->workers, w)
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
    DL_FOREACH(p->workers, w)
        if (w->leases == 0)
            sched_fill(p, w, false);
    DL_FOREACH(p->workers, w) {
        sched_fill(p, w, true);
        sched_find_work(p, w);
    }
}

/* ---- results ---- */

/* One run: outcomes of the first items of the worker's first lease. False if it is not that. */
static bool sched_run(pool_home *p, home_worker *w, const pool_wire_run *run, const uint8_t *bytes)
{
    home_lease *l = sched_front(w);
    if (w->leases == 0 || run->seq != w->reported || run->count == 0 || run->count > l->count
        || run->status > SERRY_EINTERNAL || (run->status != SERRY_OK && run->count > 1
                                            && run->status != SERRY_ECANCELLED))
        return false;
    home_block *b = l->block;
    home_call *call = b->call;
    uint32_t at = l->at;
    l->at += run->count;
    l->count -= run->count;
    w->reported = (w->reported + run->count) & POOL_SEQ_MASK;
    call->leased -= run->count;
    if (l->count == 0) {
        if (l->given > call->longest)
            call->longest = l->given;
        w->head = (w->head + 1) % POOL_LEASES;
        w->leases--;
    }
    pool_items_end(p, b, at, run->count, (serry_err)run->status, w->rank, bytes, run->size);
    return true;
}

static uint64_t sched_count_tasks(const uint8_t *bytes, size_t len)
{
    uint64_t tasks = 0;
    for (size_t at = 0, padded; at + sizeof(pool_wire_run) <= len; at += padded) {
        pool_wire_run run;
        memcpy(&run, bytes + at, sizeof run);
        at += sizeof run;
        if (!pool_wire_payload(run.count, run.size, len - at, &padded))
            break;
        tasks += run.status == SERRY_ECANCELLED ? 0 : run.count;
    }
    return tasks;
}

void pool_sched_results(pool_home *p, home_worker *w, const uint8_t *bytes, size_t len)
{
    pool_wire_results head;
    if (len < sizeof head || p->broken || p->terminated)
        return;
    memcpy(&head, bytes, sizeof head);
    uint64_t tasks = sched_count_tasks(bytes + sizeof head, len - sizeof head);
    if (w->leases > 0 && tasks > 0)
        sched_measure(p, sched_front(w)->block->call, tasks, head.spent);
    for (size_t at = sizeof head, padded; at + sizeof(pool_wire_run) <= len; at += padded) {
        pool_wire_run run;
        memcpy(&run, bytes + at, sizeof run);
        at += sizeof run;
        if (!pool_wire_payload(run.count, run.size, len - at, &padded)
            || !sched_run(p, w, &run, bytes + at)) {
            sri_log(SRI_LOG_WARN, "pool: results of rank %d are not for what it was given",
                    w->rank);
            break;
        }
    }
    w->heard = sri_now();
    w->robbed = false;
    if (w->budget == 0 && w->leases == 0)
        pool_heal_finish(p);
    pool_sched(p, w);
    if (!p->calls)
        pool_heal_finish(p);
}

/* ---- time ---- */

void pool_sched_arm(pool_home *p)
{
    sri_ns due = p->out_due < p->heal_due ? p->out_due : p->heal_due;
    due = due < p->look_due ? due : p->look_due;
    home_span *s;
    DL_FOREACH(p->later, s)
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
    DL_FOREACH_SAFE(p->later, s, next) {
        if (s->due > now)
            continue;
        DL_DELETE(p->later, s);
        s->due = 0;
        DL_PREPEND(p->back, s);
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
