/* patterns/pool_steps.h: a worker's steps on its grant word (pool_wire.h). The home's are in
 * pool_lease.c. */
#ifndef SRI_PATTERNS_POOL_STEPS_H
#define SRI_PATTERNS_POOL_STEPS_H

#include "base/point.h"
#include "patterns/pool_wire.h"

#include <stdatomic.h>

/* Takes n items, the first of which begins to run; false if the home has taken them back. */
static inline bool pool_step_take(sri_atomic_u64 *grant, uint32_t epoch, uint32_t n, bool running)
{
    uint64_t v = atomic_load_explicit(grant, memory_order_relaxed), next;
    do {
        uint32_t left = (pool_grant_granted(v) - pool_grant_started(v)) & POOL_SEQ_MASK;
        if (pool_grant_epoch(v) != epoch || left < n)
            return false;
        SRI_POINT(100);
        next = pool_grant_make(epoch, pool_grant_granted(v), pool_grant_started(v) + n, running);
    } while (!atomic_compare_exchange_weak_explicit(grant, &v, next, memory_order_acq_rel,
                                                    memory_order_relaxed));
    return true;
}

/* The item under way, if there is one, has ended. */
static inline void pool_step_pause(sri_atomic_u64 *grant)
{
    atomic_fetch_and_explicit(grant, ~UINT64_C(1), memory_order_acq_rel);
}

/* Takes back by its own hand what has not begun: the word from then on. */
static inline uint64_t pool_step_take_back(sri_atomic_u64 *grant)
{
    uint64_t v = atomic_load_explicit(grant, memory_order_relaxed), next;
    SRI_POINT(106);
    do {
        next = pool_grant_make(pool_grant_epoch(v) + 1, pool_grant_started(v),
                               pool_grant_started(v), pool_grant_running(v));
    } while (!atomic_compare_exchange_weak_explicit(grant, &v, next, memory_order_acq_rel,
                                                    memory_order_relaxed));
    SRI_POINT(107);
    return next;
}

#endif
