/* serry/mpi.h: serry inside a program that uses MPI itself. Not part of serry.h: it needs mpi.h.
 *
 *     #include <serry/mpi.h>
 *
 *     int main(int argc, char **argv)
 *     {
 *         int level;
 *         SERRY_CHECK(serry_prepare());
 *         MPI_Init_thread(&argc, &argv, MPI_THREAD_SERIALIZED, &level);
 *         SERRY_CHECK(serry_attach(MPI_COMM_WORLD));
 *         SERRY_CHECK(serry_world_barrier());
 *         MPI_Barrier(MPI_COMM_WORLD);
 *         SERRY_CHECK(serry_finalize());
 *         MPI_Finalize();
 *         return 0;
 *     }
 *
 * serry works on a duplicate of the communicator: the program's own traffic is never touched. MPI
 * must allow SERIALIZED at least, and no two threads may call MPI and serry at the same time unless
 * it allows MULTIPLE: to MPI, a call of serry is a call of MPI.
 */
#ifndef SERRY_MPI_H
#define SERRY_MPI_H

#include <mpi.h>
#include <serry/mpi_attach.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Joins the world of the processes of comm: rank and size are those of comm. Collective over comm;
 * processes outside of it are no members. Takes the place of serry_init; serry_finalize leaves the
 * world as usual and leaves MPI alone. It comes before MPI_Finalize; if it comes after it, it still
 * ends the world, but messages between nodes that are then under way are lost.
 * Blocks until all of comm have called it. Errors: SERRY_ESTATE (before MPI_Init_thread or after
 * MPI_Finalize, a thread level below SERIALIZED, a member already, an MPI that serry has no plugin
 * for), SERRY_EINVAL (MPI_COMM_NULL, an option in the environment), SERRY_ELIMIT, SERRY_ESYS,
 * SERRY_EDIED. */
static inline SERRY_WARN_UNUSED serry_err serry_attach(MPI_Comm comm)
{
    int initialized = 0;
    int finalized = 0;
    MPI_Initialized(&initialized);
    MPI_Finalized(&finalized);
    if (!initialized)
        return serry_attach_f(0, SERRY_ATTACH_EARLY);
    if (finalized)
        return serry_attach_f(0, SERRY_ATTACH_LATE);
    if (comm == MPI_COMM_NULL)
        return serry_attach_f(0, SERRY_ATTACH_NULL);
    return serry_attach_f((int)MPI_Comm_c2f(comm), SERRY_ATTACH_READY);
}

#ifdef __cplusplus
}
#endif

#endif
