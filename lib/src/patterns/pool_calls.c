/* patterns/pool_calls.c: what submitters ask of a pool's home: to run, to withdraw, to tell.
 *
 * What has not begun is withdrawn exactly: where it may be with a worker the home takes it back by
 * the grant word. Without grant words the worker is told to skip it, and its answer tells. */
#include "patterns/pool_home.h"

#include "base/error.h"
#include "base/log.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

static home_call *calls_find(pool_home *p, int rank, uint32_t id)
{
    home_call *call;
    home_call_key key = { rank, id };
    HASH_FIND(hh, p->calls, &key, sizeof key, call);
    return call;
}

/* ---- to run ---- */

/* Keeps items; those of a stopped call, and those that are not what was announced, are dropped. */
static bool calls_keep(pool_home *p, home_call *call, uint64_t first, uint32_t count,
                       const uint8_t *bytes, size_t len)
{
    uint64_t size;
    if (count == 0 || call->stopped)
        return true;
    if (first != call->arrived || count > call->n - first
        || __builtin_mul_overflow(call->item_size, (uint64_t)count, &size) || size > len) {
        sri_log(SRI_LOG_WARN, "pool: items %zu of call %u are not what was announced",
                (size_t)first, call->key.id);
        return false;
    }
    home_block *b = malloc(sizeof *b + size);
    if (!b)
        return false;
    *b = (home_block){ .call = call, .first = first, .count = count, .open = count };
    memcpy(b->bytes, bytes, size);
    pool_items_list(p, b);
    call->arrived += count;
    return true;
}

static void calls_take_items(pool_home *p, home_call *call, uint64_t first, uint32_t count,
                             const uint8_t *bytes, size_t len)
{
    if (!calls_keep(p, call, first, count, bytes, len)) {
        pool_heal_break(p, "the pool's home has no memory for a task");
        return;
    }
    pool_sched(p, NULL);
    if (p->set.isolate)
        pool_heal(p); /* the owner may need a deputy from now on */
}

static void calls_call(pool_home *p, int rank, const uint8_t *bytes, size_t len)
{
    pool_wire_call in;
    if (len < sizeof in || p->broken || p->terminated)
        return;
    memcpy(&in, bytes, sizeof in);
    if (in.n == 0 || calls_find(p, rank, in.call))
        return;
    home_call *call = calloc(1, sizeof *call);
    if (!call) {
        pool_heal_break(p, "the pool's home has no memory for a call");
        return;
    }
    *call = (home_call){ .key = { rank, in.call },
                         .serial = ++p->serial,
                         .flags = in.flags,
                         .nested = (in.flags & POOL_CALL_NESTED) != 0,
                         .level = in.level,
                         .fn = in.fn,
                         .n = in.n,
                         .item_size = in.item_size,
                         .result_cap = in.result_cap,
                         .chunk = in.chunk,
                         .longest = 1 };
    HASH_ADD(hh, p->calls, key, sizeof call->key, call);
    if (!SRI_HASHED(hh, call)) {
        free(call);
        pool_heal_break(p, "the pool's home has no memory for a call");
        return;
    }
    pool_lease_expect(p, call);
    calls_take_items(p, call, 0, in.count, bytes + sizeof in, len - sizeof in);
}

static void calls_items(pool_home *p, int rank, const uint8_t *bytes, size_t len)
{
    pool_wire_items in;
    if (len < sizeof in)
        return;
    memcpy(&in, bytes, sizeof in);
    home_call *call = calls_find(p, rank, in.call);
    if (call) /* else it has stopped and settled meanwhile */
        calls_take_items(p, call, in.first, in.count, bytes + sizeof in, len - sizeof in);
}

/* ---- to withdraw ---- */

static void calls_withdraw(pool_home *p, home_call *call)
{
    pool_lease_revoke_all(p, call);
    pool_items_stop(p, call);
    pool_sched(p, NULL);
}

static bool calls_holds(const home_worker *w, const home_call *call)
{
    for (unsigned i = 0; i < w->holds; i++)
        if (w->held[i].block->call == call)
            return true;
    return false;
}

/* Is the worker at an item of that call? Without a grant word: at the first it has, or near it. */
static bool calls_runs(home_worker *w, const home_call *call)
{
    uint32_t offset;
    if (calls_holds(w, call))
        return true;
    if (!pool_lease_running(w, &offset))
        return false;
    for (unsigned i = 0; i < w->leases; i++) {
        const home_lease *l = &w->lease[(w->head + i) % POOL_LEASES];
        if (offset < l->count)
            return l->block->call == call;
        offset -= l->count;
    }
    return false;
}

static bool calls_running(pool_home *p, const home_call *call)
{
    home_worker *w;
    if (call->ended > 0)
        return true;
    if (call->leased > 0)
        DL_FOREACH (p->workers, w)
            if (calls_runs(w, call))
                return true;
    return false;
}

/* Ends the workers that are at items of this call, if that is allowed. False: some go on. */
static bool calls_kill(pool_home *p, home_call *call)
{
    home_worker *w;
    bool all = true;
    DL_FOREACH (p->workers, w) {
        if (!calls_runs(w, call))
            continue;
        if (pool_is_process(w) && p->set.isolate) {
            w->victim = true;
            sri_home_kill(&p->o, w->rank);
        } else {
            all = false;
        }
    }
    return all;
}

static void calls_cancel(pool_home *p, sri_asker who, home_call *call)
{
    pool_wire_state out = { 0 };
    if (!call) {
        sri_home_refuse(&p->o, who, SERRY_ESTATE, "the task has ended");
        return;
    }
    pool_lease_revoke_all(p, call);
    if (call->n == 1 && call->leased > 0 && calls_running(p, call) && !p->set.isolate) {
        pool_sched(p, NULL);
        sri_home_refuse(&p->o, who, SERRY_ESTATE,
                        "the task runs, and without isolate or task_timeout no worker is killed");
        return;
    }
    out.running = call->leased > 0;
    (void)calls_kill(p, call);
    pool_items_stop(p, call); /* may free it */
    sri_home_reply(&p->o, who, &out, sizeof out, NULL, 0);
    pool_sched(p, NULL);
}

/* ---- to tell ---- */

static void calls_state(pool_home *p, sri_asker who, const home_call *call)
{
    pool_wire_state out = { .running = call && calls_running(p, call) };
    sri_home_reply(&p->o, who, &out, sizeof out, NULL, 0);
}

static void calls_add_worker(sri_buffer *out, const home_deeds *d, bool alive)
{
    sri_ns idle = d->idle + (d->idle_since ? sri_now() - d->idle_since : 0);
    pool_wire_worker w = { .rank = d->rank,
                           .pid = d->pid,
                           .alive = alive,
                           .principal = d->principal,
                           .tasks = d->tasks,
                           .busy = d->busy,
                           .idle = idle };
    (void)!sri_buffer_add(out, &w, sizeof w); /* without memory there is less to tell */
}

static void calls_stats(pool_home *p, sri_asker who)
{
    sri_buffer out = { 0 };
    home_worker *w;
    DL_FOREACH (p->workers, w)
        if (!w->deputes)
            calls_add_worker(&out, &w->deeds, true);
    uint32_t n = p->pasts < POOL_LEFT ? p->pasts : POOL_LEFT;
    for (uint32_t i = 0; i < n; i++)
        calls_add_worker(&out, &p->past[(p->pasts - 1 - i) % POOL_LEFT], false);
    sri_home_reply(&p->o, who, NULL, 0, out.data, out.len);
    sri_buffer_fini(&out);
}

/* ---- all of them ---- */

void pool_calls_op(pool_home *p, sri_asker who, uint16_t op, const uint8_t *bytes, size_t len)
{
    pool_wire_of in = { 0 };
    if (op == POOL_OP_CALL) {
        calls_call(p, who.rank, bytes, len);
        return;
    }
    if (op == POOL_OP_ITEMS) {
        calls_items(p, who.rank, bytes, len);
        return;
    }
    if (len >= sizeof in)
        memcpy(&in, bytes, sizeof in);
    home_call *call = calls_find(p, who.rank, in.call);
    switch (op) {
    case POOL_OP_CANCEL:
        calls_cancel(p, who, call);
        break;
    case POOL_OP_STATE:
        calls_state(p, who, call);
        break;
    case POOL_OP_STATS:
        calls_stats(p, who);
        break;
    default: /* POOL_OP_WITHDRAW */
        if (call)
            calls_withdraw(p, call);
    }
}

void pool_calls_gone(pool_home *p, int rank, bool died)
{
    home_call *call, *next;
    HASH_ITER (hh, p->calls, call, next) {
        if (call->key.submitter != rank || call->orphan)
            continue;
        call->orphan = true;                 /* outcomes are for nobody */
        if (died || call->arrived < call->n) /* the rest of its items will not come */
            calls_withdraw(p, call);
    }
}
