/* core/wait.h: waiting. A few spins, then yields for up to 500 us, then sleep, again and again
 * until there is news. One thread polls the transport and sleeps at its doorbell; the others of the
 * process sleep at a word of their own and take over when it leaves. */
#ifndef SRI_CORE_WAIT_H
#define SRI_CORE_WAIT_H

#include "core/core.h"
#include "core/mutex.h"

#ifdef __cplusplus
extern "C" {
#endif

/* All below: with the core entered. */

/* Polls the transport once and pushes out what was kept back for full lanes. True if anything
 * moved. Never blocks. Delivers to messages and services; user code is never called from it. */
bool sri_progress(void);

/* Waits until *done is true, making progress. *done is set by a delivery, under the mutex. The
 * mutex is let go while waiting. A deadline of 0 makes a few rounds of progress. why, if not NULL,
 * is published while this thread sleeps (its .since is filled in). SERRY_OK or SERRY_ETIMEDOUT
 * (without a detail text). */
serry_err sri_wait(const bool *done, sri_ns deadline, const sri_waiting *why);

/* The same for an answer of the agent, which often comes at once. */
serry_err sri_wait_answer(const bool *done, sri_ns deadline, const sri_waiting *why);

/* The same for anything that can be asked; ready is called under the mutex after each round. */
serry_err sri_wait_until(bool (*ready)(void *ctx), void *ctx, sri_ns deadline,
                         const sri_waiting *why);

/* May this thread sleep at a word that members share? Not where the transport cannot, nor where
 * the process has other threads: one of them sleeps for all. */
bool sri_wait_can_watch(void);

/* As sri_wait_until, asleep at that word too: ready has to be true once the low half of the word is
 * not `low`. To be called right after sri_wait_can_watch has said yes. */
serry_err sri_wait_watch(const sri_atomic_u64 *word, uint32_t low, bool (*ready)(void *ctx),
                         void *ctx, sri_ns deadline, const sri_waiting *why);

/* Something that another thread may wait for has changed outside of a delivery (a thread finished
 * a request by itself): makes all waiting threads look again. Cheap when none waits. */
void sri_wait_notify(void);

/* From sri_progress: frames were delivered or sent. Threads in sri_wait_until look again. */
void sri_wait_moved(void);

/* In the child of a fork: no thread waits, the mutex is free. */
void sri_wait_reset(void);

#ifdef __cplusplus
}
#endif
#endif
