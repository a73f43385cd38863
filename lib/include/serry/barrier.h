/* serry/barrier.h: a place where a fixed number of parties wait for each other, round after round.
 *
 *     serry_barrier b;
 *     int index;
 *     SERRY_CHECK(serry_barrier_create(&b, serry_size(), &(serry_barrier_options){ .name = "b" }));
 *     SERRY_CHECK(serry_barrier_wait(b, &index, SERRY_FOREVER));
 *     if (index == 0)
 *         puts("all are here");
 *
 * A party is a call of wait: any rank, and any thread of one. A barrier breaks when a wait is not
 * in time, when a process that is a party of the round dies, when its action fails, or by abort;
 * then all waits fail with SERRY_EBROKEN, at once, until it is reset.
 */
#ifndef SERRY_BARRIER_H
#define SERRY_BARRIER_H

#include <serry/process.h>
#include <serry/world.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct serry_barrier {
    uint64_t id;
} serry_barrier;

typedef struct serry_barrier_options {
    const char *name; /* the same name is the same barrier; up to 63 bytes; NULL: a new one */
    int node;         /* where it lives: 0 here, SERRY_NODE(k) */
    serry_process_fn action; /* run once a round by the last to arrive, in its process, before
                              * anyone leaves; not 0: the barrier breaks. NULL: none */
    const void *arg;         /* its argument, copied when the barrier is made */
    size_t arg_len;
    double timeout; /* seconds, of waits whose own timeout is SERRY_FOREVER; 0: no limit */
} serry_barrier_options;

/* Makes a barrier, or finds the one of that name. SERRY_EINVAL: parties < 1, or it exists with
 * other settings. SERRY_ELIMIT: an argument of more bytes than a message may have. */
SERRY_API SERRY_WARN_UNUSED serry_err serry_barrier_create(serry_barrier *b, int parties,
                                                           const serry_barrier_options *o);

/* Waits until all parties are here. *index is 0 .. parties-1, different for each party of a round.
 * SERRY_EBROKEN: it is broken, or broke or was reset meanwhile; the detail says why.
 * SERRY_ETIMEDOUT: not in time, which breaks it for all. SERRY_EHANDLE: it was destroyed. */
SERRY_API SERRY_WARN_UNUSED serry_err serry_barrier_wait(serry_barrier b, int *index,
                                                         double timeout);

/* Makes it new: those who wait get SERRY_EBROKEN, then it can be used, also if it was broken. */
SERRY_API SERRY_WARN_UNUSED serry_err serry_barrier_reset(serry_barrier b);

/* Breaks it: those who wait, and those who come, get SERRY_EBROKEN until it is reset. */
SERRY_API SERRY_WARN_UNUSED serry_err serry_barrier_abort(serry_barrier b);

/* How many parties of this round are waiting now. */
SERRY_API SERRY_WARN_UNUSED serry_err serry_barrier_waiting(serry_barrier b, int *n);

/* Is it broken? False too for a handle that names no barrier (any more). */
SERRY_API bool serry_barrier_is_broken(serry_barrier b);

/* Ends the barrier; whoever waits at it gets SERRY_EHANDLE. */
SERRY_API SERRY_WARN_UNUSED serry_err serry_barrier_destroy(serry_barrier b);

#ifdef __cplusplus
}
#endif
#endif
