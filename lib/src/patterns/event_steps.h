/* patterns/event_steps.h: the steps on the word of an event (event_wire.h), a member's and the
 * home's alike. */
#ifndef SRI_PATTERNS_EVENT_STEPS_H
#define SRI_PATTERNS_EVENT_STEPS_H

#include "base/point.h"
#include "patterns/event_wire.h"

#include <stdatomic.h>

/* What was done before the set is seen by whoever reads that it is set. */
static inline uint64_t event_step_read(const sri_atomic_u64 *word)
{
    return atomic_load_explicit(word, memory_order_acquire);
}

/* Sets it; one that is set stays as it is. False: it is not this event's word. *was: the word
 * before: if it was clear, those asleep at the word are to be woken, and with EVENT_HOME the home
 * is to be told. */
static inline bool event_step_set(sri_atomic_u64 *word, uint64_t id, uint64_t *was)
{
    *was = atomic_load_explicit(word, memory_order_relaxed);
    uint64_t next;
    do {
        if (!event_word_names(*was, id))
            return false;
        /* Written even if it is set already: what was done before this set is to be seen, too. */
        next = *was;
        if (!(next & EVENT_SET))
            next = (((next | EVENT_SET) + EVENT_TIMES_ONE) & ~EVENT_HOME) | (next & EVENT_HOME);
        SRI_POINT(54);
    } while (!atomic_compare_exchange_weak_explicit(word, was, next, memory_order_acq_rel,
                                                    memory_order_relaxed));
    SRI_POINT(55);
    return true;
}

static inline bool event_step_clear(sri_atomic_u64 *word, uint64_t id)
{
    uint64_t was = atomic_load_explicit(word, memory_order_relaxed);
    do {
        if (!event_word_names(was, id))
            return false;
        SRI_POINT(56);
        /* Acquires what the set that is cleared has published, as a wait for it would. */
    } while (!atomic_compare_exchange_weak_explicit(word, &was, was & ~EVENT_SET,
                                                    memory_order_acq_rel, memory_order_relaxed));
    return true;
}

/* The home's: from now on whoever sets it tells it, or no more. Returns the word before. */
static inline uint64_t event_step_listen(sri_atomic_u64 *word, bool listen)
{
    return listen ? atomic_fetch_or(word, EVENT_HOME) : atomic_fetch_and(word, ~EVENT_HOME);
}

#endif
