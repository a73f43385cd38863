/* core/wait.c: waiting: spin, yield, sleep.
 *
 * One waiting thread is the poller: it makes progress and, when nothing has come for a while,
 * sleeps at the transport's doorbell. The others sleep at one private word; whoever finishes
 * something for them, and a poller that leaves, changes the word and wakes all. They look, and one
 * of those that must wait on becomes the poller. While the process has one thread none of this
 * costs anything.
 */
#include "core/wait.h"

#include "base/futex.h"

#include <sched.h>
#include <stdatomic.h>
#include <sys/single_threaded.h>

#define WAIT_SPINS 2         /* polls before the first yield, */
#define WAIT_SPINS_ALONE 200 /* and if everybody can have a processor of its own */
#define WAIT_SPINS_ANSWER 60 /* and for an answer, if the agent seems to have one of its own */
#define WAIT_DOUBT 63u       /* answers not spun for, at most, before it is tried again */
#define WAIT_RANKS_ALONE 256 /* beyond that nobody asks how many processors there are */
/* Then yields, for so long, */
#define WAIT_YIELD SRI_US(200)
/* and for members where they take turns: the next may come late, and a waking takes longer. */
#define WAIT_YIELD_CROWD SRI_US(500)

#define WAIT_CLOCK 64u       /* busy rounds between two looks at the clock */
#define WAIT_COUNT 64u       /* waits between two looks at how many members there are */
#define WAIT_NOWAIT_ROUNDS 3 /* of progress, for a deadline of 0 */

static struct {
    int processors;
    bool poller;           /* some thread is */
    bool poller_asleep;    /* and sleeps at the doorbell */
    bool poller_asks;      /* and is in sri_wait_until */
    bool poller_for_all;   /* what it has published covers other threads too */
    _Atomic uint32_t word; /* changes when those asleep are to look again */
    uint32_t asleep;       /* threads asleep at word */
    uint32_t askers;       /* of these, in sri_wait_until */
    uint32_t doubt;        /* so many answers are not spun for, */
    uint32_t doubted;      /* and so many of them there have been */
    int members;           /* as the transport said */
    uint32_t asked;        /* waits that wanted to know */
} waiting;

/* What is waited for: a flag, or anything that can be asked. */
typedef struct wait_for {
    const bool *done;
    bool (*ready)(void *ctx);
    void *ctx;
    const sri_atomic_u64 *word; /* NULL, or where it shows: its low half is not `low` any more */
    uint32_t low;
    bool answer; /* of the agent */
} wait_for;

static inline bool wait_over(const wait_for *w)
{
    return w->done ? *w->done : w->ready(w->ctx);
}

void sri_wait_reset(void)
{
    sri_lock_reset();
    waiting.poller = waiting.poller_asleep = false;
    waiting.asleep = waiting.askers = 0;
    waiting.doubt = waiting.doubted = waiting.asked = 0;
    waiting.processors = sri_world.size <= WAIT_RANKS_ALONE ? serry_cpu_count() : 1;
}

static void wait_wake(void)
{
    if (waiting.asleep) {
        waiting.asleep = waiting.askers = 0;
        atomic_fetch_add(&waiting.word, 1);
        sri_futex_wake(&waiting.word, INT32_MAX, false);
    }
    if (waiting.poller_asleep) {
        waiting.poller_asleep = false;
        sri_world.transport->ops->wake(sri_world.transport);
    }
}

void sri_wait_notify(void)
{
    if (__builtin_expect(waiting.asleep || waiting.poller_asleep, 0))
        wait_wake();
}

void sri_wait_moved(void)
{
    if (__builtin_expect(waiting.askers || (waiting.poller_asleep && waiting.poller_asks), 0))
        wait_wake();
}

static inline void wait_relax(void)
{
    if (!sri_world.transport->slow)
        sri_cpu_relax();
}

/* Lets others in between two rounds. */
static inline void wait_let_in(bool yield)
{
    bool wanted = sri_lock_wanted();
    if (!yield && !wanted) {
        wait_relax();
        return;
    }
    if (!wanted && !sri_lock_shared()) {
        sched_yield();
        return;
    }
    sri_unlock();
    sched_yield();
    sri_lock();
}

/* The poller sleeps at the doorbell. What it publishes decides which departures wake it, so it
 * speaks for the threads aside as well. False: it has not slept, there is news already. */
static bool wait_sleep(const wait_for *what, sri_ns deadline, const sri_waiting *why, sri_ns since)
{
    static const sri_waiting for_all = { .kind = SRI_WAIT_REQUEST, .peer = SERRY_ANY };
    sri_transport *t = sri_world.transport;
    sri_waiting w = { 0 };
    waiting.poller_for_all = !why || waiting.asleep != 0;
    if (why) {
        w = waiting.poller_for_all ? for_all : *why;
        w.since = since;
        t->ops->publish(t, &w);
    }
    bool quiet = t->ops->arm(t);
    if (quiet) {
        waiting.poller_asleep = true;
        sri_unlock();
        if (what->word)
            t->ops->sleep_beside(t, deadline, what->word, what->low);
        else
            t->ops->sleep(t, deadline);
        sri_lock();
        waiting.poller_asleep = false;
    }
    if (why) {
        w = (sri_waiting){ .kind = SRI_WAIT_NONE };
        t->ops->publish(t, &w);
    }
    return quiet;
}

/* A yield may cost a whole turn of some other process: worth it only where they share processors.
 * Who waits for an object needs one for the agent, too. */
static bool wait_alone(const sri_waiting *why)
{
    sri_transport *t = sri_world.transport;
    bool agent = !why || why->kind == SRI_WAIT_OBJECT;
    if (waiting.asked++ % WAIT_COUNT == 0)
        waiting.members = t->ops->members(t);
    return waiting.members + agent <= waiting.processors;
}

/* An agent that runs at this moment, on another processor, answers sooner than a yield comes back.
 * One that shares this processor, or keeps whoever asks waiting, is spun for in vain: after that
 * the next answers are not, twice as many each time, and a quarter as many after each that comes at
 * once. */
static unsigned wait_spins(const wait_for *w, const sri_waiting *why, sri_ns *yields)
{
    bool alone = wait_alone(why);
    *yields = alone || w->answer ? WAIT_YIELD : WAIT_YIELD_CROWD;
    if (alone)
        return WAIT_SPINS_ALONE;
    return w->answer && waiting.doubted == waiting.doubt ? WAIT_SPINS_ANSWER : WAIT_SPINS;
}

static void wait_learn(bool at_once)
{
    if (at_once) {
        waiting.doubt /= 4;
        waiting.doubted = 0;
    } else if (waiting.doubted < waiting.doubt) {
        waiting.doubted++;
    } else {
        waiting.doubt = waiting.doubt < WAIT_DOUBT ? 2 * waiting.doubt + 1 : WAIT_DOUBT;
        waiting.doubted = 0;
    }
}

/* Quiet rounds: the first few by spinning, without a clock; then yielding for a while; then asleep.
 * Any movement begins anew. A sleep that brings nothing is followed by another at once: some
 * transports look up from time to time, and what they cost while idle is that look and no more. */
static serry_err wait_poll(const wait_for *w, sri_ns deadline, const sri_waiting *why)
{
    unsigned spins = 0, most = 0, busy = 0;
    sri_ns since = 0, quiet = 0, yields = WAIT_YIELD;
    bool slept = false;
    for (;;) {
        bool moved = sri_progress();
        if (wait_over(w)) {
            if (w->answer && since == 0)
                wait_learn(true);
            return SERRY_OK;
        }
        if (moved) {
            slept = false;
            spins = 0;
            quiet = 0;
            if (deadline != SRI_NEVER && ++busy % WAIT_CLOCK == 0 && sri_now() >= deadline)
                return SERRY_ETIMEDOUT;
            wait_let_in(false);
            continue;
        }
        if (spins == WAIT_SPINS && most == 0)
            most = wait_spins(w, why, &yields);
        if (!slept && (spins < WAIT_SPINS || spins < most)) {
            spins++;
            wait_let_in(false);
            continue;
        }
        sri_ns now = sri_now();
        if (now >= deadline)
            return SERRY_ETIMEDOUT;
        if (since == 0) {
            since = now;
            if (w->answer)
                wait_learn(false);
        }
        if (quiet == 0)
            quiet = now;
        if (!slept && now - quiet < yields) {
            wait_let_in(true);
            continue;
        }
        slept = wait_sleep(w, deadline, why, since);
        spins = 0;
        quiet = 0;
        if (wait_over(w))
            return SERRY_OK;
    }
}

/* Another thread polls. */
static serry_err wait_aside(const wait_for *w, sri_ns deadline)
{
    uint32_t seen = atomic_load(&waiting.word);
    waiting.asleep++;
    if (waiting.poller_asleep && !waiting.poller_for_all) {
        waiting.poller_asleep = false;
        sri_world.transport->ops->wake(sri_world.transport);
    }
    if (!w->done)
        waiting.askers++;
    sri_unlock();
    sri_futex_wait(&waiting.word, seen, deadline, false);
    sri_lock();
    if (atomic_load(&waiting.word) == seen) {
        waiting.asleep--;
        if (!w->done)
            waiting.askers--;
    }
    if (wait_over(w))
        return SERRY_OK;
    return deadline != SRI_NEVER && sri_now() >= deadline ? SERRY_ETIMEDOUT : SERRY_EINTERNAL;
}

static serry_err wait_slow(const wait_for *w, sri_ns deadline, const sri_waiting *why)
{
    while (waiting.poller) {
        serry_err e = wait_aside(w, deadline);
        if (e != SERRY_EINTERNAL)
            return e;
    }
    waiting.poller = true;
    waiting.poller_asks = !w->done;
    serry_err e = wait_poll(w, deadline, why);
    waiting.poller = false;
    if (__builtin_expect(waiting.asleep != 0, 0))
        wait_wake(); /* one of them polls from now on */
    return e;
}

static serry_err wait_now(const wait_for *w)
{
    for (int i = 0; i < WAIT_NOWAIT_ROUNDS; i++) {
        sri_progress();
        if (wait_over(w))
            return SERRY_OK;
    }
    return SERRY_ETIMEDOUT;
}

static inline serry_err wait_on(const wait_for *w, sri_ns deadline, const sri_waiting *why)
{
    if (wait_over(w))
        return SERRY_OK;
    return deadline == 0 ? wait_now(w) : wait_slow(w, deadline, why);
}

serry_err sri_wait(const bool *done, sri_ns deadline, const sri_waiting *why)
{
    wait_for w = { .done = done };
    return wait_on(&w, deadline, why);
}

serry_err sri_wait_answer(const bool *done, sri_ns deadline, const sri_waiting *why)
{
    wait_for w = { .done = done, .answer = true };
    return wait_on(&w, deadline, why);
}

serry_err sri_wait_until(bool (*ready)(void *ctx), void *ctx, sri_ns deadline,
                         const sri_waiting *why)
{
    wait_for w = { .ready = ready, .ctx = ctx };
    return wait_on(&w, deadline, why);
}

bool sri_wait_can_watch(void)
{
    return __libc_single_threaded && sri_world.transport->beside;
}

serry_err sri_wait_watch(const sri_atomic_u64 *word, uint32_t low, bool (*ready)(void *ctx),
                         void *ctx, sri_ns deadline, const sri_waiting *why)
{
    wait_for w = { .ready = ready, .ctx = ctx, .word = word, .low = low };
    return wait_on(&w, deadline, why);
}
