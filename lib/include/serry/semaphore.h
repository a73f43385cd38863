/* serry/semaphore.h: permits, so many and no more, shared by any number of processes.
 *
 *     serry_semaphore disks;
 *     SERRY_CHECK(serry_semaphore_create(&disks, 2, NULL));
 *     SERRY_CHECK(serry_semaphore_acquire(disks, SERRY_FOREVER));
 *     // at most two processes are here
 *     SERRY_CHECK(serry_semaphore_release(disks));
 *
 * A permit belongs to the process that acquired it, all its threads alike. When a process dies or
 * ends, the permits it holds return. Releasing one the process does not hold raises the value, as
 * in Python: from then on the semaphore is a counter, for signals from one process to another, and
 * nothing returns by itself.
 */
#ifndef SERRY_SEMAPHORE_H
#define SERRY_SEMAPHORE_H

#include <serry/world.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct serry_semaphore {
    uint64_t id;
} serry_semaphore;

typedef struct serry_semaphore_options {
    const char *name; /* the same name is the same semaphore; up to 63 bytes; NULL: a new one */
    bool bounded;     /* the value never exceeds the initial one */
    int node;         /* where it lives: 0 here, SERRY_NODE(k) */
} serry_semaphore_options;

/* Makes a semaphore with that many permits, or finds the one of that name.
 * SERRY_EINVAL: value < 0, or it exists with another initial value or bound. */
SERRY_API SERRY_WARN_UNUSED serry_err serry_semaphore_create(serry_semaphore *s, int value,
                                                             const serry_semaphore_options *o);

/* Takes a permit, waiting while there is none; who waits is served first come first served.
 * SERRY_ETIMEDOUT: none came. SERRY_EHANDLE: it was destroyed. */
SERRY_API SERRY_WARN_UNUSED serry_err serry_semaphore_acquire(serry_semaphore s, double timeout);

/* Gives a permit back. If this process holds none the value is raised by one, which of a bounded
 * semaphore is SERRY_EINVAL beyond its initial value, as it is of any beyond INT_MAX. Does not
 * wait for other processes. */
SERRY_API SERRY_WARN_UNUSED serry_err serry_semaphore_release(serry_semaphore s);

/* How many permits are free now, exactly. */
SERRY_API SERRY_WARN_UNUSED serry_err serry_semaphore_value(serry_semaphore s, int *value);

/* Ends the semaphore; whoever waits at it gets SERRY_EHANDLE. */
SERRY_API SERRY_WARN_UNUSED serry_err serry_semaphore_destroy(serry_semaphore s);

#ifdef __cplusplus
}
#endif
#endif
