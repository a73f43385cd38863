/* patterns/event_steps.h: a member's look at the word of an event (event_wire.h). */
#ifndef SRI_PATTERNS_EVENT_STEPS_H
#define SRI_PATTERNS_EVENT_STEPS_H

#include "patterns/event_wire.h"

#include <stdatomic.h>

/* What was done before the set is seen by whoever reads that it is set. */
static inline uint64_t event_step_read(const sri_atomic_u64 *word)
{
    return atomic_load_explicit(word, memory_order_acquire);
}

#endif
