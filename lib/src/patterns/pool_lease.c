/* patterns/pool_lease.c: what workers have been given: granted by their words, taken back by them,
 * held for them while their tasks wait. */
#include "patterns/pool_home.h"

#include "base/grow.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#define FADE_NS SRI_MS(20) /* how far back the mean time of a task looks */

/* ---- how long tasks take ---- */

uint64_t pool_lease_mean(const home_call *call)
{
    return call->tasks ? call->ns / call->tasks : 0;
}

/* Single tasks are calls of their own: what is known of a function is kept for the next one. */
static home_kind *lease_kind(pool_home *p, const sri_fnref *fn)
{
    return &p->kinds[(fn->offset >> 4 ^ fn->module) % POOL_KINDS];
}

void pool_lease_expect(pool_home *p, home_call *call)
{
    const home_kind *k = lease_kind(p, &call->fn);
    bool same = k->known && memcmp(&k->fn, &call->fn, sizeof k->fn) == 0;
    if ((call->flags & POOL_CALL_SINGLE) && same) {
        call->tasks = 1;
        call->ns = k->mean;
    }
}

void pool_lease_measure(pool_home *p, home_call *call, uint64_t tasks, sri_ns ns)
{
    if (call->flags & POOL_CALL_SINGLE) {
        uint64_t mean = ns > 0 ? (uint64_t)ns / tasks : 0;
        home_kind *k = lease_kind(p, &call->fn);
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

void pool_lease_idle(home_worker *w)
{
    home_deeds *d = &w->deeds;
    bool idle = w->attached && w->leases == 0 && !w->resumed;
    if (idle == (d->idle_since != 0))
        return;
    sri_ns now = sri_now();
    if (!idle)
        d->idle += now - d->idle_since;
    d->idle_since = idle ? now : 0;
}

/* ---- granting and taking back ---- */

bool pool_lease_grant(home_worker *w, uint32_t count)
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

static uint32_t lease_held(const home_worker *w)
{
    return (w->next_seq - w->reported) & POOL_SEQ_MASK;
}

void pool_lease_take_back(pool_home *p, home_worker *w, uint32_t keep)
{
    uint32_t held = lease_held(w);
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
        w->budget += l->extra ? 0 : back;
        b->call->leased -= back;
        pool_items_return(p, b, at, back, attempt, 0);
    }
}

bool pool_lease_revoke(pool_home *p, home_worker *w)
{
    if (!w->cell)
        return false;
    uint64_t v = atomic_load_explicit(w->cell, memory_order_acquire);
    uint32_t epoch = (w->epoch + 1) & POOL_EPOCH_MASK;
    do {
        if (pool_grant_epoch(v) != w->epoch || pool_grant_granted(v) == pool_grant_started(v))
            return false;
    } while (!atomic_compare_exchange_weak_explicit(
        w->cell, &v,
        pool_grant_make(epoch, pool_grant_started(v), pool_grant_started(v), pool_grant_running(v)),
        memory_order_acq_rel, memory_order_acquire));
    w->epoch = epoch;
    pool_lease_take_back(p, w, (pool_grant_started(v) - w->reported) & POOL_SEQ_MASK);
    return true;
}

bool pool_lease_has(const home_worker *w, const home_call *call)
{
    for (unsigned i = 0; i < w->leases; i++)
        if (w->lease[(w->head + i) % POOL_LEASES].block->call == call)
            return true;
    return false;
}

void pool_lease_revoke_all(pool_home *p, const home_call *call)
{
    home_worker *w;
    DL_FOREACH (p->workers, w)
        if (!call || (call->leased > 0 && pool_lease_has(w, call)))
            (void)pool_lease_revoke(p, w);
}

bool pool_lease_running(const home_worker *w, uint32_t *offset)
{
    uint32_t held = lease_held(w);
    *offset = 0;
    if (held == 0 || w->resumed)
        return false;
    if (!w->cell)
        return true; /* it tells each result before it goes on */
    uint64_t v = atomic_load(w->cell);
    *offset = (pool_grant_started(v) - 1 - w->reported) & POOL_SEQ_MASK;
    return pool_grant_running(v) && *offset < held;
}

/* ---- tasks that wait for tasks ---- */

static bool lease_hold_room(home_worker *w)
{
    if (w->holds < w->hold_room)
        return true;
    home_held *more = sri_grow(w->held, &w->hold_room, w->holds + 1, sizeof *more);
    if (!more)
        return false;
    w->held = more;
    return true;
}

/* The item under way leaves the order of the worker's items. */
static bool lease_set_aside(home_worker *w)
{
    home_lease *l = pool_lease_front(w);
    if (w->leases == 0 || lease_held(w) != 1 || !lease_hold_room(w))
        return false;
    w->held[w->holds++] = (home_held){ .block = l->block, .at = l->at, .attempt = l->attempt };
    w->head = (w->head + 1) % POOL_LEASES;
    w->leases--;
    w->reported = w->next_seq;
    return true;
}

/* What has not begun comes back; how many items the worker is at: 0 or 1. */
static uint32_t lease_come_back(pool_home *p, home_worker *w, const pool_wire_hold *in)
{
    uint32_t keep = (in->started - w->reported) & POOL_SEQ_MASK;
    w->epoch = in->epoch & POOL_EPOCH_MASK;
    pool_lease_take_back(p, w, keep);
    return keep;
}

void pool_lease_hold(pool_home *p, home_worker *w, const uint8_t *bytes, size_t len)
{
    pool_wire_hold in;
    if (len < sizeof in || p->broken || p->terminated)
        return;
    memcpy(&in, bytes, sizeof in);
    (void)lease_come_back(p, w, &in);
    if (in.again)
        w->resumed = false;
    else if (!lease_set_aside(w)) {
        pool_heal_break(p, "the pool's home has no memory for a task that waits");
        return;
    }
    pool_lease_idle(w);
    pool_sched(p, NULL);
}

void pool_lease_resume(pool_home *p, home_worker *w, const uint8_t *bytes, size_t len)
{
    pool_wire_hold in;
    if (len < sizeof in || p->broken || p->terminated)
        return;
    memcpy(&in, bytes, sizeof in);
    (void)lease_come_back(p, w, &in);
    w->resumed = w->holds > 0;
    w->seen = 0;
    w->seen_at = sri_now();
    pool_lease_idle(w);
    if (w->resumed && p->set.task_timeout > 0 && p->look_due == SRI_NEVER)
        p->look_due = sri_now() + p->set.task_timeout / 8;
    pool_sched(p, NULL);
}
