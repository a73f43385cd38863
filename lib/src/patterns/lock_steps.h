/* patterns/lock_steps.h: a member's steps on the word of a lock (lock_wire.h). Each is one
 * compare-and-swap that is done whole or, if the word is anything but what is expected, not at all.
 *
 * Who takes acquires and who gives releases, so that what was done while the lock was held is seen
 * by the next holder; the home, which only hands on, does both. */
#ifndef SRI_PATTERNS_LOCK_STEPS_H
#define SRI_PATTERNS_LOCK_STEPS_H

#include "base/point.h"
#include "patterns/lock_wire.h"

#include <stdatomic.h>

/* free, mine: what the word says when nobody, when this process holds it. Fails also if somebody is
 * parked, or the last holder died. */
static inline bool lock_step_take(sri_atomic_u64 *word, uint64_t free, uint64_t mine)
{
    SRI_POINT(30);
    bool taken = atomic_compare_exchange_strong_explicit(word, &free, mine, memory_order_acquire,
                                                         memory_order_relaxed);
    SRI_POINT(31);
    return taken;
}

/* From a holder that died; died is the word that says so. */
static inline bool lock_step_take_over(sri_atomic_u64 *word, uint64_t died, uint64_t mine)
{
    SRI_POINT(32);
    bool taken = atomic_compare_exchange_strong_explicit(word, &died, mine, memory_order_acquire,
                                                         memory_order_relaxed);
    SRI_POINT(33);
    return taken;
}

/* Fails if somebody is parked: the home gives it to him. */
static inline bool lock_step_give(sri_atomic_u64 *word, uint64_t free, uint64_t mine)
{
    SRI_POINT(36);
    bool given = atomic_compare_exchange_strong_explicit(word, &mine, free, memory_order_release,
                                                         memory_order_relaxed);
    SRI_POINT(37);
    return given;
}

/* The same by a thread that ended while it held the lock: as a holder that died. */
static inline bool lock_step_abandon(sri_atomic_u64 *word, uint64_t mine)
{
    return atomic_compare_exchange_strong_explicit(word, &mine, mine | LOCK_DIED,
                                                   memory_order_release, memory_order_relaxed);
}

#endif
