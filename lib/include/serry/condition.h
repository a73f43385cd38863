/* serry/condition.h: waiting, under a lock, for something that others bring about under it.
 *
 *     serry_lock l;
 *     serry_condition c;
 *     SERRY_CHECK(serry_lock_create(&l, NULL));
 *     SERRY_CHECK(serry_condition_create(&c, l, NULL));
 *
 *     int32_t ready = 0; // elsewhere, in a serry_value: what all can see
 *     SERRY_CHECK(serry_lock_acquire(l, SERRY_FOREVER));
 *     while (!ready)
 *         SERRY_CHECK(serry_condition_wait(c, SERRY_FOREVER));
 *     SERRY_CHECK(serry_lock_release(l));
 *
 * and elsewhere: with the lock held it is made ready, then serry_condition_notify_all(c).
 *
 * Every return of a wait holds the lock again, unless it says SERRY_EPERM, SERRY_EHANDLE or
 * SERRY_EINVAL. SERRY_EOWNERDIED, where due, is told in place of SERRY_OK or SERRY_ETIMEDOUT: look
 * at what you waited for.
 */
#ifndef SERRY_CONDITION_H
#define SERRY_CONDITION_H

#include <serry/lock.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct serry_condition {
    uint64_t id;
} serry_condition;

typedef struct serry_condition_options {
    const char *name; /* the same name is the same condition; up to 63 bytes; NULL: a new one */
} serry_condition_options;

/* Makes a condition of that lock, which lives where the lock lives, or finds the one of that name.
 * SERRY_EINVAL: it exists with another lock. SERRY_EHANDLE: there is no such lock. */
SERRY_API SERRY_WARN_UNUSED serry_err serry_condition_create(serry_condition *c, serry_lock l,
                                                             const serry_condition_options *o);

/* Lets the lock go, all levels of a recursive one, waits to be notified, and takes the lock again
 * as deep as it was held; the last step may take longer than the timeout. A notify given under the
 * lock after it was let go is never missed.
 *   SERRY_OK: notified. SERRY_ETIMEDOUT: not in time. A notify that came first wins.
 *   SERRY_EOWNERDIED: one of the two, and the last holder of the lock has died.
 *   SERRY_EPERM: the calling thread does not hold the lock; nothing has changed.
 *   SERRY_EHANDLE: the condition is destroyed, or was while waiting: then the lock is held. Or the
 *     lock is destroyed, or was while waiting: then there is none to hold. */
SERRY_API SERRY_WARN_UNUSED serry_err serry_condition_wait(serry_condition c, double timeout);

/* Waits until predicate(ctx) is true; it is called by this thread, with the lock held, before each
 * wait and at the end. SERRY_ETIMEDOUT: it was still false at the end. SERRY_EOWNERDIED ends it at
 * once, the predicate true or not: who was to make it true may be the one that died. Otherwise as
 * serry_condition_wait. */
SERRY_API SERRY_WARN_UNUSED serry_err serry_condition_wait_for(serry_condition c,
                                                               bool (*predicate)(void *ctx),
                                                               void *ctx, double timeout);

/* Ends the waits of the n that have waited longest, or of all if there are fewer. A waiter that
 * dies before its wait returns hands its notify on to the next. SERRY_EPERM: the calling thread
 * does not hold the lock. SERRY_EINVAL: n is negative. */
SERRY_API SERRY_WARN_UNUSED serry_err serry_condition_notify(serry_condition c, int n);

/* The same for all who wait now. */
SERRY_API SERRY_WARN_UNUSED serry_err serry_condition_notify_all(serry_condition c);

/* Ends the condition, not its lock; whoever waits gets SERRY_EHANDLE, with the lock held. */
SERRY_API SERRY_WARN_UNUSED serry_err serry_condition_destroy(serry_condition c);

#ifdef __cplusplus
}
#endif
#endif
