/* serry/future.h: the result of a task that may still be running. Futures come from a pool. */
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

/* What went wrong, "" while it is pending and when nothing did. Valid as long as the future. */
SERRY_API const char *serry_future_error(const serry_future *f);

/* Frees a future. While it is pending: lets the task run and forgets it. NULL is fine. */
SERRY_API void serry_future_free(serry_future *f);

#ifdef __cplusplus
}
#endif
#endif
