/* start/world_mpi.h: a world whose ranks an MPI has launched. Of MPI itself there is nothing here:
 * it is behind the plugin. */
#ifndef SRI_START_WORLD_MPI_H
#define SRI_START_WORLD_MPI_H

#include "start/launcher.h"

#include <serry/error.h>
#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Joins as the launcher's environment says. With SERRY_AGENTS=mpi it may be that this process
 * serves as an agent: then it does not return. */
serry_err sri_far_init(const sri_launcher *l);

/* Is this a rank of such a world? It does not fork itself. */
bool sri_far_active(void);

/* After the release and before the end of membership: no message is left in MPI. lost: as below. */
void sri_far_part(int lost);

/* After the release and the end of membership: ends what was begun. lost: a launched rank that has
 * died, -1: none has. MPI waits for all of them in its own end, so it is then left as it is. */
void sri_far_end(int lost);

/* The end of all processes of the job, whoever has launched them. Returns if there is nobody to
 * tell. */
void sri_far_abort(int code);

/* In a copy of this process. */
void sri_far_forget(void);

#ifdef __cplusplus
}
#endif
#endif
