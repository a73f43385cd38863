/* serry/world.h: joining the world, leaving it, and who is in it.
 *
 *     int main(int argc, char **argv)
 *     {
 *         SERRY_CHECK(serry_init(&argc, &argv));
 *         printf("rank %d of %d\n", serry_rank(), serry_size());
 *         SERRY_CHECK(serry_finalize());
 *         return 0;
 *     }
 */
#ifndef SERRY_WORLD_H
#define SERRY_WORLD_H

#include <serry/error.h>
#include <math.h> /* INFINITY */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SERRY_VERSION_MAJOR 0
#define SERRY_VERSION_MINOR 1
#define SERRY_VERSION_PATCH 0
#define SERRY_VERSION "0.1.0"

/* Any source, any tag, any node, any owner. */
#define SERRY_ANY (-1)
/* For options' .node: the k-th node of the world. 0 is here, SERRY_ANY any of them. */
#define SERRY_NODE(k) ((k) + 1)
/* The peer that is not there: sending to it and receiving from it do nothing and succeed. */
#define SERRY_NONE (-2)

/* Timeouts are seconds. A negative one counts as SERRY_NOWAIT; NaN is SERRY_EINVAL. */
#define SERRY_FOREVER ((double)INFINITY)
#define SERRY_NOWAIT 0.0

/* Joins the world. Comes first in main, before threads are started and before MPI_Init. Started
 * directly, the program becomes rank 0 of a world of one that can grow (or of SERRY_NP ranks, on
 * SERRY_NODES nodes); under serry run, mpirun or srun it becomes the rank it was launched as. argc
 * and argv are reserved for a launcher's own arguments and may be NULL; they are not changed today.
 * Blocks until the node's agent has answered, and under an MPI launcher until all ranks have called
 * it. Errors: SERRY_ESTATE (called twice, or in a started process), SERRY_EINVAL (an option in the
 * environment, a launcher that does not go with the MPI), SERRY_ELIMIT, SERRY_ESYS, SERRY_EDIED. */
SERRY_API SERRY_WARN_UNUSED serry_err serry_init(int *argc, char ***argv);

/* Leaves the world. Joins the started processes of this rank that are not daemons, ends the
 * daemons, then works for the pools of other ranks until all launched ranks have arrived here or
 * died. From its call on this rank counts as gone for whoever still expects a message of it.
 * Errors: SERRY_ESTATE (before init, twice, in a started process or in a forked copy). */
SERRY_API SERRY_WARN_UNUSED serry_err serry_finalize(void);

/* True between init and finalize, and in started processes; false in a forked copy. */
SERRY_API bool serry_initialized(void);

/* This process's rank, 0 .. size-1 for a launched rank, the next free number for a started one;
 * -1 before init and in a forked copy. Ranks are never reused. */
SERRY_API int serry_rank(void);

/* How many ranks were launched; started processes do not count. -1 before init. */
SERRY_API int serry_size(void);

/* This process's node, and how many there are. -1 before init. */
SERRY_API int serry_node(void);
SERRY_API int serry_nodes(void);

/* The processors this process may use: the smaller of its affinity mask and of its cgroup's quota
 * (rounded up), at least 1. Needs no init. */
SERRY_API int serry_cpu_count(void);

/* Seconds on a clock that never steps back, the same for all ranks of a node. Needs no init. */
SERRY_API double serry_time(void);

/* Ends the whole world: every rank is killed, a launcher exits with this code (1 if it is 0). */
SERRY_API SERRY_NORETURN void serry_abort(int code);

#ifdef __cplusplus
}
#endif

#endif
