/* serry/future.h: the result of a task that may still be running. Futures come from a pool:
 * serry_pool_submit (one task), serry_pool_map_async (a whole map).
 * A future belongs to the process that got it: in others SERRY_ESTATE. It may outlive its pool. */
#ifndef SERRY_FUTURE_H
#define SERRY_FUTURE_H

#include <serry/world.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct serry_future serry_future;

/* Waits for the result and copies it into out of cap bytes; *len is its length (NULL: exactly cap
 * bytes are expected). May be called again. Callbacks and, in a pool's own task, other tasks may
 * run inside. Errors: the task's: SERRY_ETASK (it failed), SERRY_EDIED (its worker died),
 * SERRY_ECANCELLED, SERRY_EBROKEN (the pool broke); SERRY_ETIMEDOUT; SERRY_ETRUNC, the result is
 * kept. The text is serry_future_error(). */
SERRY_API SERRY_WARN_UNUSED serry_err serry_future_get(serry_future *f, void *out, size_t cap,
                                                       size_t *len, double timeout);

/* Has it ended, in whatever way? Does not block. */
SERRY_API bool serry_future_done(const serry_future *f);

/* Has its task begun, and not ended (of a map: any of its tasks)? Asks the pool's home; waits for
 * no worker. */
SERRY_API bool serry_future_running(const serry_future *f);

/* Has it ended because it was cancelled, or its pool was terminated? */
SERRY_API bool serry_future_cancelled(const serry_future *f);

/* Cancels a task: one that has not begun never begins, and the future ends with SERRY_ECANCELLED at
 * once. One that runs is ended with its worker process if the pool has .task_timeout or .isolate,
 * which say that workers may be killed; else SERRY_ESTATE, and it goes on. Done: SERRY_ESTATE.
 * Of a map, what has not begun is withdrawn in each case; it is done, with SERRY_ECANCELLED, when
 * those that run have ended. Asks the pool's home; waits for no task, but over socket lanes perhaps
 * for the short ones in front of it at its worker. */
SERRY_API SERRY_WARN_UNUSED serry_err serry_future_cancel(serry_future *f);

/* Calls fn(ctx, f) once when the future is done: inside a future, results or pool call of this
 * process, never elsewhere; at once, if it is done already. Several are called in the order in
 * which they were added. fn may use serry, and may free f (then those after it are not called). */
typedef void (*serry_future_fn)(void *ctx, serry_future *f);
SERRY_API SERRY_WARN_UNUSED serry_err serry_future_on_done(serry_future *f, serry_future_fn fn,
                                                           void *ctx);

typedef enum serry_wait_for {
    SERRY_FIRST,       /* until one is done; of several, the one that was done first */
    SERRY_FIRST_ERROR, /* until one has failed (cancelled ones have not), or all are done */
    SERRY_ALL,         /* until all are done */
} serry_wait_for;

/* Waits for futures, of any pools of this process. *which is the index of one that is done: the
 * first one that was, or with SERRY_FIRST_ERROR the one that failed, if one has. The same future
 * may be there several times; NULLs are skipped, so that each can be taken in the order of
 * completion:
 *
 *     for (size_t k = 0, i; k < n; k++) {
 *         SERRY_CHECK(serry_future_wait(fs, n, SERRY_FIRST, &i, SERRY_FOREVER));
 *         SERRY_CHECK(serry_future_get(fs[i], &y, sizeof y, NULL, SERRY_NOWAIT));
 *         serry_future_free(fs[i]);
 *         fs[i] = NULL;
 *     }
 *
 * Errors: SERRY_EINVAL (n is 0, or all are NULL), SERRY_ETIMEDOUT. A failed task is no error of the
 * wait. */
SERRY_API SERRY_WARN_UNUSED serry_err serry_future_wait(serry_future *const *fs, size_t n,
                                                        serry_wait_for mode, size_t *which,
                                                        double timeout);

/* What went wrong, "" while it is pending and when nothing did. Valid as long as the future. */
SERRY_API const char *serry_future_error(const serry_future *f);

/* Frees a future. While it is pending: lets the task run and forgets it, and its callbacks (of a
 * map: what has not been run is withdrawn). NULL is fine. */
SERRY_API void serry_future_free(serry_future *f);

#ifdef __cplusplus
}
#endif
#endif
