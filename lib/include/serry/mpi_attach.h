/* serry/mpi_attach.h: what is behind serry/mpi.h, without MPI's own header. Programs include that
 * one.
 */
#ifndef SERRY_MPI_ATTACH_H
#define SERRY_MPI_ATTACH_H

#include <serry/error.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What the program's MPI says of itself. */
typedef enum serry_attach_state {
    SERRY_ATTACH_READY,
    SERRY_ATTACH_EARLY, /* MPI_Init has not been called */
    SERRY_ATTACH_LATE,  /* MPI_Finalize has been called */
    SERRY_ATTACH_NULL,  /* the communicator is MPI_COMM_NULL */
} serry_attach_state;

/* Comes before MPI_Init: forks the agent of this machine, and the clean copy of the program from
 * which processes are started, while the process is still small and MPI has opened nothing. To be
 * called by all processes of the job, or by none: the first one of each machine does the work.
 * Without it serry_attach works, but starting processes, and pools with .isolate, give
 * SERRY_ESTATE; the same holds on machines whose first process is not in the communicator that is
 * attached. Does not block. Errors: SERRY_ESTATE (called twice, MPI is initialised, a member
 * already), SERRY_EINVAL (an option in the environment), SERRY_ELIMIT, SERRY_ESYS. */
SERRY_API SERRY_WARN_UNUSED serry_err serry_prepare(void);

/* serry_attach, with the communicator as Fortran knows it. */
SERRY_API SERRY_WARN_UNUSED serry_err serry_attach_f(int comm, serry_attach_state state);

#ifdef __cplusplus
}
#endif

#endif
