/* patterns/condition_steps.h: a notifier's look at the word of a condition (condition_wire.h). */
#ifndef SRI_PATTERNS_CONDITION_STEPS_H
#define SRI_PATTERNS_CONDITION_STEPS_H

#include "patterns/condition_wire.h"

#include <stdatomic.h>

/* Nobody waits: for the holder of the lock, who sees what was written before it was let go. */
static inline bool condition_step_nobody(const sri_atomic_u64 *word, uint64_t id)
{
    return atomic_load_explicit(word, memory_order_acquire) == condition_word(id, 0);
}

#endif
