/* serry/lock.h: mutual exclusion among the threads of all processes of the world.
 *
 *     serry_lock l;
 *     SERRY_CHECK(serry_lock_create(&l, &(serry_lock_options){ .name = "results" }));
 *     serry_err e = serry_lock_acquire(l, SERRY_FOREVER);
 *     if (e == SERRY_EOWNERDIED)
 *         puts("held, but its last holder died in the middle of something");
 *     else
 *         SERRY_CHECK(e);
 *     puts("one at a time");
 *     SERRY_CHECK(serry_lock_release(l));
 *
 * The holder is a thread of a process: only that thread may release. A started process does not
 * inherit the locks its parent holds.
 */
#ifndef SERRY_LOCK_H
#define SERRY_LOCK_H

#include <serry/world.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct serry_lock {
    uint64_t id;
} serry_lock;

typedef struct serry_lock_options {
    const char *name; /* the same name is the same lock; up to 63 bytes; NULL: a new one */
    bool recursive;   /* its holder may acquire it again, and releases it as often */
    int node;         /* where it lives: 0 here, SERRY_NODE(k) */
} serry_lock_options;

/* Makes a lock that nobody holds, or finds the one of that name. SERRY_EINVAL: it exists with
 * another .recursive. */
SERRY_API SERRY_WARN_UNUSED serry_err serry_lock_create(serry_lock *l, const serry_lock_options *o);

/* Makes the calling thread the holder, waiting while another is. Who waits is served in the order
 * of coming.
 *   SERRY_OK, SERRY_EOWNERDIED: you hold it. The latter is told once after a holder has died, or
 *     has ended without releasing: what the lock guards may be half done.
 *   SERRY_ETIMEDOUT: it was held all the time.
 *   SERRY_EDEADLOCK: a lock that is not recursive is held by this very thread, and timeout is
 *     SERRY_FOREVER. With another timeout that is a SERRY_ETIMEDOUT.
 *   SERRY_EHANDLE: the lock is destroyed, or was while waiting. */
SERRY_API SERRY_WARN_UNUSED serry_err serry_lock_acquire(serry_lock l, double timeout);

/* Lets it go, or one level of a recursive lock; waits for no other member. SERRY_EPERM: the calling
 * thread does not hold it; nothing has changed. */
SERRY_API SERRY_WARN_UNUSED serry_err serry_lock_release(serry_lock l);

/* Ends the lock, held or not; whoever waits for it gets SERRY_EHANDLE. */
SERRY_API SERRY_WARN_UNUSED serry_err serry_lock_destroy(serry_lock l);

#ifdef __cplusplus
}
#endif
#endif
