/* patterns/lock.c: the public calls, and what a condition may do with its lock. */
#include <serry/lock.h>

#include "base/futex.h"
#include "base/point.h"
#include "core/service.h"
#include "core/wait.h"
#include "patterns/lock_held.h"
#include "patterns/lock_local.h"
#include "patterns/lock_steps.h"

#include <sched.h>
#include <stdatomic.h>

/* Before one parks at the home: so many looks in a row, then yields for as long as the word goes on
 * changing within LOCK_QUIET, up to LOCK_PATIENCE in all. Once somebody is parked each step is two
 * messages; that those who come back meanwhile do not park at once lets the line end. */
#define LOCK_SPINS 10
#define LOCK_QUIET SRI_US(200)
#define LOCK_PATIENCE SRI_MS(5)

static void lock_hold(lock_local *l, uint64_t thread)
{
    l->thread = thread;
    l->depth = 1;
}

/* ---- acquire ---- */

/* Nearly all of them end here. A rank that finalizes has been written off by the home, which has to
 * hear of it again. */
static inline bool lock_acquire_fast(lock_local *l)
{
    if (!l || !l->word || l->thread || sri_world.finalizing
        || !lock_step_take(l->word, l->free, l->mine))
        return false;
    lock_hold(l, lock_thread());
    return true;
}

static serry_err lock_destroyed(const lock_local *l)
{
    return sri_local_fail(&l->local, SERRY_EHANDLE, "destroyed");
}

/* Why it is not to be had. */
static serry_err lock_late(const lock_local *l)
{
    char text[80];
    if (l->thread)
        return sri_local_fail(&l->local, SERRY_ETIMEDOUT, "held by another thread of this process");
    lock_why(atomic_load_explicit(l->word, memory_order_relaxed), text, sizeof text);
    return sri_local_fail(&l->local, SERRY_ETIMEDOUT, "%s", text);
}

/* Takes the word if it can be had: SERRY_OK, SERRY_EOWNERDIED. SERRY_ETIMEDOUT without a text: it
 * cannot. */
static serry_err lock_try(lock_local *l, uint64_t thread)
{
    if (lock_local_ended(l))
        return lock_destroyed(l);
    uint64_t word = atomic_load_explicit(l->word, memory_order_relaxed);
    if (l->thread || !lock_is_free(word) || (word & LOCK_WAITERS))
        return SERRY_ETIMEDOUT;
    if (!(word & LOCK_DIED)) {
        if (!lock_step_take(l->word, l->free, l->mine))
            return SERRY_ETIMEDOUT;
        lock_hold(l, thread);
        return SERRY_OK;
    }
    int owner = lock_owner(word);
    if (!lock_step_take_over(l->word, word, l->mine))
        return SERRY_ETIMEDOUT;
    lock_hold(l, thread);
    return sri_local_fail(&l->local, SERRY_EOWNERDIED,
                          "you hold it; rank %d ended while it held it", owner);
}

/* Looks at the word for a while. As lock_try. */
static serry_err lock_linger(lock_local *l, uint64_t thread, sri_ns deadline)
{
    uint64_t seen = 0;
    sri_ns begin = 0, changed = 0;
    for (unsigned i = 0;; i++) {
        serry_err e = lock_try(l, thread);
        if (e != SERRY_ETIMEDOUT)
            return e;
        if (i < LOCK_SPINS && !l->thread) {
            sri_cpu_relax();
            continue;
        }
        sri_ns now = sri_now();
        uint64_t word = atomic_load_explicit(l->word, memory_order_relaxed);
        if (!begin)
            begin = now;
        if (word != seen || !changed) {
            seen = word;
            changed = now;
        }
        if (now >= deadline || now - changed >= LOCK_QUIET || now - begin >= LOCK_PATIENCE)
            return SERRY_ETIMEDOUT;
        sri_progress();
        sri_unlock();
        sched_yield();
        sri_lock();
        /* Another thread has said that this process leaves: a word that is taken now would be
         * nobody's business at the home. It is asked instead. */
        if (sri_world.finalizing)
            return SERRY_ETIMEDOUT;
    }
}

static serry_err lock_ask(lock_local *l, uint64_t thread, sri_ns deadline)
{
    SRI_POINT(34);
    serry_err e = sri_service_call(l->local.id, LOCK_OP_ACQUIRE, NULL, 0, NULL, 0, NULL, deadline);
    SRI_POINT(35);
    if (e == SERRY_OK || e == SERRY_EOWNERDIED)
        lock_hold(l, thread);
    return e;
}

/* The calling thread holds it already. */
static serry_err lock_again(lock_local *l, uint64_t thread, sri_ns deadline)
{
    if (l->recursive) {
        if (l->depth == UINT32_MAX)
            return sri_local_fail(&l->local, SERRY_ELIMIT, "held %u deep, the limit", l->depth);
        l->depth++;
        return SERRY_OK;
    }
    if (deadline == SRI_NEVER)
        return sri_local_fail(&l->local, SERRY_EDEADLOCK,
                              "this thread holds it already, and it is not recursive");
    if (deadline == 0)
        return sri_local_fail(&l->local, SERRY_ETIMEDOUT, "this thread holds it already");
    return lock_ask(l, thread, deadline);
}

static serry_err lock_acquire_known(lock_local *l, sri_ns deadline)
{
    uint64_t thread = lock_thread();
    if (lock_local_ended(l))
        return lock_destroyed(l);
    if (l->thread == thread)
        return lock_again(l, thread, deadline);
    if (l->word && !sri_world.finalizing) {
        serry_err e = deadline == 0 ? lock_try(l, thread) : lock_linger(l, thread, deadline);
        if (e != SERRY_ETIMEDOUT)
            return e;
        if (deadline == 0) {
            sri_progress(); /* who asks again and again gets his messages */
            return lock_late(l);
        }
    }
    return lock_ask(l, thread, deadline);
}

static serry_err lock_acquire(uint64_t id, sri_ns deadline)
{
    lock_local *l;
    SRI_TRY(lock_local_use(id, &l));
    serry_err e = lock_acquire_known(l, deadline);
    lock_local_leave(l);
    return e;
}

/* ---- release ---- */

/* The last level goes. Who hears of it afterwards finds it done: the home is asked, not told. */
static serry_err lock_give(lock_local *l)
{
    uint64_t id = l->local.id; /* l may end while others are let in */
    l->thread = 0;
    l->depth = 0;
    if (l->word) {
        if (__builtin_expect(lock_step_give(l->word, l->free, l->mine), 1))
            return SERRY_OK;
        if (lock_local_ended(l))
            return lock_destroyed(l);
    }
    SRI_POINT(38);
    serry_err e = sri_service_call(id, LOCK_OP_RELEASE, NULL, 0, NULL, 0, NULL, SRI_NEVER);
    if (e == SERRY_ENOMEM || e == SERRY_ELIMIT) /* no room for an answer */
        e = sri_service_post(id, LOCK_OP_RELEASE, NULL, 0, NULL, 0);
    SRI_POINT(39);
    return e;
}

static inline bool lock_release_fast(lock_local *l, serry_err *e)
{
    if (!l || l->thread != lock_thread())
        return false;
    *e = --l->depth ? SERRY_OK : lock_give(l);
    return true;
}

/* The lock, held by the calling thread; the caller is one of its users. */
static serry_err lock_use_held(uint64_t id, lock_local **out)
{
    lock_local *l;
    SRI_TRY(lock_local_use(id, &l));
    serry_err e = SERRY_OK;
    if (lock_local_ended(l))
        e = lock_destroyed(l);
    else if (!l->thread)
        e = sri_local_fail(&l->local, SERRY_EPERM, "this process does not hold it");
    else if (l->thread != lock_thread())
        e = sri_local_fail(&l->local, SERRY_EPERM, "another thread of this process holds it");
    if (e == SERRY_OK)
        *out = l;
    else
        lock_local_leave(l);
    return e;
}

static serry_err lock_release(uint64_t id)
{
    lock_local *l;
    SRI_TRY(lock_use_held(id, &l));
    serry_err e = SERRY_OK;
    if (--l->depth == 0)
        e = lock_give(l);
    lock_local_leave(l);
    return e;
}

/* ---- for conditions ---- */

serry_err sri_lock_exists(uint64_t lock)
{
    lock_local *l;
    SRI_TRY(lock_local_use(lock, &l));
    serry_err e = lock_local_ended(l) ? lock_destroyed(l) : SERRY_OK;
    lock_local_leave(l);
    return e;
}

serry_err sri_lock_held(uint64_t lock)
{
    lock_local *l;
    SRI_TRY(lock_use_held(lock, &l));
    lock_local_leave(l);
    return SERRY_OK;
}

serry_err sri_lock_let_go(uint64_t lock, uint32_t *depth)
{
    lock_local *l;
    SRI_TRY(lock_use_held(lock, &l));
    *depth = l->depth;
    serry_err e = lock_give(l);
    lock_local_leave(l);
    return e;
}

static bool lock_never(void *ctx)
{
    (void)ctx;
    return false;
}

serry_err sri_lock_take_back(uint64_t lock, uint32_t depth)
{
    lock_local *l;
    serry_err e;
    while ((e = lock_acquire(lock, SRI_NEVER)) == SERRY_ENOMEM || e == SERRY_ELIMIT)
        SERRY_IGNORE(sri_wait_until(lock_never, NULL, sri_now() + SRI_MS(1), NULL));
    if (e != SERRY_OK && e != SERRY_EOWNERDIED)
        return e;
    l = sri_local_find(&lock_locals, lock);
    if (!l)
        return sri_service_destroyed(lock);
    if (l->thread != lock_thread())
        return lock_destroyed(l);
    l->depth = depth;
    return e;
}

bool sri_lock_ended(uint64_t lock)
{
    lock_local *l = sri_local_find(&lock_locals, lock);
    return !l || lock_local_ended(l);
}

/* ---- the public calls ---- */

serry_err serry_lock_create(serry_lock *l, const serry_lock_options *o)
{
    if (!l)
        return sri_fail(SERRY_EINVAL, "no place for the handle");
    serry_lock_options none = { 0 };
    if (!o)
        o = &none;
    lock_wire_settings settings = { .recursive = o->recursive };
    SRI_TRY(sri_enter());
    serry_err e =
        sri_service_create(SRI_TYPE_LOCK, o->name, o->node, &settings, sizeof settings, &l->id);
    sri_leave();
    return e;
}

serry_err serry_lock_acquire(serry_lock l, double timeout)
{
    sri_ns deadline;
    serry_err e = SERRY_OK;
    SRI_TRY(sri_enter());
    /* What is free is had at once, without asking the clock. */
    if (timeout != timeout || !lock_acquire_fast(lock_local_known(l.id))) {
        e = sri_deadline(timeout, &deadline);
        if (e == SERRY_OK)
            e = lock_acquire(l.id, deadline);
    }
    sri_leave();
    return sri_within(e, timeout);
}

serry_err serry_lock_release(serry_lock l)
{
    serry_err e;
    SRI_TRY(sri_enter());
    if (!lock_release_fast(lock_local_known(l.id), &e))
        e = lock_release(l.id);
    sri_leave();
    return e;
}

serry_err serry_lock_destroy(serry_lock l)
{
    SRI_TRY(sri_enter());
    serry_err e = sri_service_check(l.id, SRI_TYPE_LOCK);
    if (e == SERRY_OK)
        e = sri_service_destroy(l.id);
    sri_leave();
    return e;
}
