/* patterns/semaphore_steps.h: a member's steps on its cell of a semaphore (semaphore_wire.h). */
#ifndef SRI_PATTERNS_SEMAPHORE_STEPS_H
#define SRI_PATTERNS_SEMAPHORE_STEPS_H

#include "base/point.h"
#include "patterns/semaphore_wire.h"

#include <stdatomic.h>

static inline bool sem_cell_names(uint64_t word, uint32_t tag)
{
    return word >> 48 == tag;
}

/* Takes a permit that lies here. */
static inline bool sem_step_take(sri_atomic_u64 *cell, uint32_t tag)
{
    uint64_t word = atomic_load_explicit(cell, memory_order_relaxed), next;
    do {
        if (!sem_cell_names(word, tag) || (word & SEM_WAITED) || sem_cell_free(word) == 0)
            return false;
        next = word - SEM_FREE_ONE + (word & SEM_COUNTER ? 0 : SEM_HELD_ONE);
        SRI_POINT(40);
        /* Acquires what the release of the last holder, here or through the home, has published. */
    } while (!atomic_compare_exchange_weak_explicit(cell, &word, next, memory_order_acquire,
                                                    memory_order_relaxed));
    SRI_POINT(41);
    return true;
}

/* Puts one back. *waited: somebody waits, the home is to be told. */
static inline bool sem_step_give(sri_atomic_u64 *cell, uint32_t tag, bool *waited)
{
    uint64_t word = atomic_load_explicit(cell, memory_order_relaxed), next;
    do {
        if (!sem_cell_names(word, tag) || (word & SEM_CHECKED))
            return false;
        if (word & SEM_COUNTER ? sem_cell_free(word) >= SEM_CELL_LOCAL : sem_cell_held(word) == 0)
            return false;
        next = word + SEM_FREE_ONE - (word & SEM_COUNTER ? 0 : SEM_HELD_ONE);
        SRI_POINT(42);
    } while (!atomic_compare_exchange_weak_explicit(cell, &word, next, memory_order_release,
                                                    memory_order_relaxed));
    SRI_POINT(43);
    *waited = word & SEM_WAITED;
    return true;
}

#endif
