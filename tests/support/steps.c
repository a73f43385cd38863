/* support/steps.c: see steps.h. */
#include "support/steps.h"

#include "base/point.h"

#include <sched.h>

/* In these copies of the steps a thread may linger at each point. */
#undef SRI_POINT
#define SRI_POINT(n) step_linger()

static _Thread_local unsigned linger_times, linger_count;

void steps_linger(unsigned times)
{
    linger_times = times;
}

static void step_linger(void)
{
    if (linger_times > 0 && ++linger_count % linger_times == 0)
        sched_yield();
}

#include "patterns/condition_steps.h"
#include "patterns/event_steps.h"
#include "patterns/lock_steps.h"
#include "patterns/pool_steps.h"
#include "patterns/queue_steps.h"
#include "patterns/semaphore_steps.h"

uint64_t step_look(const sri_atomic_u64 *word)
{
    return atomic_load_explicit(word, memory_order_relaxed);
}

bool lock_take(sri_atomic_u64 *word, uint64_t id, int rank)
{
    return lock_step_take(word, lock_word_free(id), lock_word(id, rank));
}

bool lock_take_over(sri_atomic_u64 *word, uint64_t died, uint64_t id, int rank)
{
    return lock_step_take_over(word, died, lock_word(id, rank));
}

bool lock_give(sri_atomic_u64 *word, uint64_t id, int rank)
{
    return lock_step_give(word, lock_word_free(id), lock_word(id, rank));
}

bool lock_abandon(sri_atomic_u64 *word, uint64_t id, int rank)
{
    return lock_step_abandon(word, lock_word(id, rank));
}

bool semaphore_take(sri_atomic_u64 *cell, uint64_t id)
{
    return sem_step_take(cell, sri_handle_tag(id));
}

bool semaphore_give(sri_atomic_u64 *cell, uint64_t id, bool *waited)
{
    return sem_step_give(cell, sri_handle_tag(id), waited);
}

uint64_t event_read(const sri_atomic_u64 *word)
{
    return event_step_read(word);
}

bool event_set(sri_atomic_u64 *word, uint64_t id, uint64_t *was)
{
    return event_step_set(word, id, was);
}

bool event_clear(sri_atomic_u64 *word, uint64_t id)
{
    return event_step_clear(word, id);
}

bool condition_nobody(const sri_atomic_u64 *word, uint64_t id)
{
    return condition_step_nobody(word, id);
}

bool queue_post(sri_atomic_u64 *credit, bool *closed)
{
    uint64_t word = atomic_load_explicit(credit, memory_order_acquire);
    bool posted = queue_step_post(credit, &word);
    *closed = word & (QUEUE_CREDIT_CLOSED | QUEUE_CREDIT_DEAD);
    return posted;
}

uint64_t queue_read(const sri_atomic_u64 *cell)
{
    return atomic_load_explicit(cell, memory_order_acquire);
}

bool queue_taken(sri_atomic_u64 *cell, uint64_t *word, uint32_t epoch)
{
    return queue_step_taken(cell, word, epoch);
}

bool pool_take(sri_atomic_u64 *grant, uint32_t epoch, uint32_t n, bool running)
{
    return pool_step_take(grant, epoch, n, running);
}

void pool_pause(sri_atomic_u64 *grant)
{
    pool_step_pause(grant);
}

uint64_t pool_take_back(sri_atomic_u64 *grant)
{
    return pool_step_take_back(grant);
}
