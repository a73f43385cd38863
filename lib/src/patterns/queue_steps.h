/* patterns/queue_steps.h: a member's steps on its two cells of a queue (queue_wire.h). */
#ifndef SRI_PATTERNS_QUEUE_STEPS_H
#define SRI_PATTERNS_QUEUE_STEPS_H

#include "base/point.h"
#include "patterns/queue_wire.h"

#include <stdatomic.h>

static inline bool queue_credit_left(uint64_t word)
{
    return queue_credit_taken(word) != queue_credit_granted(word);
}

/* Takes a credit: one item may be posted. *word is the cell as it was read, and as it is when there
 * is none to be had. */
static inline bool queue_step_post(sri_atomic_u64 *credit, uint64_t *word)
{
    while (!(*word & (QUEUE_CREDIT_CLOSED | QUEUE_CREDIT_DEAD)) && queue_credit_left(*word)) {
        uint64_t next =
            queue_credit_word(*word, queue_credit_granted(*word), queue_credit_taken(*word) + 1);
        SRI_POINT(20);
        if (atomic_compare_exchange_weak(credit, word, next))
            return true;
    }
    return false;
}

/* The moment an item of that epoch is taken: before it is the queue's, after it this process's.
 * *word is the reader's word it was the next for, and as the step found it. False: it was recalled.
 */
static inline bool queue_step_taken(sri_atomic_u64 *cell, uint64_t *word, uint32_t epoch)
{
    SRI_POINT(23);
    /* Twice, since the home may have set NOTIFY in between; it does so once. */
    bool taken = atomic_compare_exchange_strong(cell, word, queue_read_step(*word))
                 || (queue_read_epoch(*word) == epoch
                     && atomic_compare_exchange_strong(cell, word, queue_read_step(*word)));
    if (taken)
        SRI_POINT(24);
    return taken;
}

#endif
