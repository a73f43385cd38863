/* support/steps.h: a member's steps on shared words for tests in C++, which cannot include headers
 * with C11 atomics. Each is the function of the same name in patterns/..._steps.h, unless said. */
#ifndef SERRY_TEST_STEPS_H
#define SERRY_TEST_STEPS_H

#include "base/atomic.h"

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* From now on this thread lets others run, once in so many times, between its look at a word and
 * its change (0: never): else nobody would ever come in between. */
void steps_linger(unsigned times);

uint64_t step_look(const sri_atomic_u64 *word); /* relaxed: no step, to choose one */

bool lock_take(sri_atomic_u64 *word, uint64_t id, int rank);
bool lock_take_over(sri_atomic_u64 *word, uint64_t died, uint64_t id, int rank);
bool lock_give(sri_atomic_u64 *word, uint64_t id, int rank);
bool lock_abandon(sri_atomic_u64 *word, uint64_t id, int rank);

bool semaphore_take(sri_atomic_u64 *cell, uint64_t id);
bool semaphore_give(sri_atomic_u64 *cell, uint64_t id, bool *waited);

uint64_t event_read(const sri_atomic_u64 *word);
bool event_set(sri_atomic_u64 *word, uint64_t id, uint64_t *was);
bool event_clear(sri_atomic_u64 *word, uint64_t id);

bool condition_nobody(const sri_atomic_u64 *word, uint64_t id);

bool queue_post(sri_atomic_u64 *credit, bool *closed); /* looks first */
uint64_t queue_read(const sri_atomic_u64 *cell);       /* the reader's word, for queue_taken */
bool queue_taken(sri_atomic_u64 *cell, uint64_t *word, uint32_t epoch);

bool pool_take(sri_atomic_u64 *grant, uint32_t epoch, uint32_t n, bool running);
void pool_pause(sri_atomic_u64 *grant);
uint64_t pool_take_back(sri_atomic_u64 *grant); /* the word from then on */

#ifdef __cplusplus
}
#endif
#endif
