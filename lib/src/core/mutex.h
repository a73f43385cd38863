/* core/mutex.h: the mutex of the core, which serialises everything of this process that touches the
 * transport, messages and objects.
 *
 * While the process has one thread it costs nothing. Where it has several (an MPI and OpenMP bring
 * their own) still nearly always one alone uses serry: that one, the owner, takes the mutex without
 * an atomic step. It says that it is inside, and looks whether others have come. Whoever comes for
 * the first time says so, makes all processors pass a fence that run a thread of this process
 * (membarrier(2)), so that one of the two sees the other, and waits until the owner is out; from
 * then on everybody takes a pthread mutex. The idea is that of biased locks: Kawachiya, Koseki,
 * Onodera, Lock reservation, OOPSLA 2002.
 */
#ifndef SRI_CORE_MUTEX_H
#define SRI_CORE_MUTEX_H

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

void sri_lock(void);
void sri_unlock(void);

/* The holder asks: does another thread want it now? */
bool sri_lock_wanted(void);

/* The holder asks: may another thread come at all without a word? False: there is one thread, or
 * one that owns it, and sri_lock_wanted says so when there is another. */
bool sri_lock_shared(void);

/* In the child of a fork: no thread holds it or waits for it. */
void sri_lock_reset(void);

#ifdef __cplusplus
}
#endif
#endif
