/* core/fence.h: the order between what is posted to a home and what is sent after it.
 *
 * On one node a post lies in the agent's lane before the next message lies in anybody's, so whoever
 * acts on the message finds the post done. Between nodes they take different ways. So a post to a
 * home on another node is acknowledged, and while one is not, messages and whatever is for other
 * homes are held back: all posts that are under way have the same home, and their acknowledgements
 * come in order. In a world of one node nothing is ever unsettled.
 */
#ifndef SRI_CORE_FENCE_H
#define SRI_CORE_FENCE_H

#include "base/clock.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* All with the core entered. */

extern uint32_t sri_service_unsettled; /* posts not acknowledged */
extern uint64_t sri_service_posted;    /* of all there ever were */

/* Have all been acknowledged that had been posted when .posted was `mark`? */
static inline bool sri_fence_open(uint64_t mark)
{
    return sri_service_posted - sri_service_unsettled >= mark;
}

/* Waits until all that has been posted so far is settled. It is at the deadline, or when the home
 * is lost. A deadline of 0 waits too: agents answer at once, whatever members do. */
void sri_fence_wait(sri_ns deadline);

/* ---- for core/service.c ---- */

/* May a run for that home be sent now? bytes: of a post that is to be acknowledged; else 0. */
bool sri_fence_admits(int home, size_t bytes);
/* The number the next such post goes under, and: it has gone. */
uint32_t sri_fence_number(void);
void sri_fence_post(int home, size_t bytes);
/* Is this the number of an answer that acknowledges? */
bool sri_fence_is_ack(uint32_t number);
void sri_fence_ack(uint32_t number);
void sri_fence_lost(int home); /* nothing will come from there any more */
void sri_fence_reset(void);

#ifdef __cplusplus
}
#endif
#endif
