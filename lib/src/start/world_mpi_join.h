/* start/world_mpi_join.h: a process that MPI connects with others, on its way into the world. */
#ifndef SRI_START_WORLD_MPI_JOIN_H
#define SRI_START_WORLD_MPI_JOIN_H

#include "start/host.h"
#include "start/plugin.h"

/* What this process has of MPI, and of its agent. */
typedef struct sri_far_state {
    const sri_mpi_plugin *plugin; /* started or attached; NULL: none */
    sri_transport *transport; /* of this rank, until the world is left; NULL: there is one node */
    sri_host_process host;
    bool alone;
    bool set_aside;
    bool prepared;
    bool attached; /* MPI is the program's */
    /* While joining. */
    int n;  /* processes */
    int me; /* among them */
    sri_door door;
    int door_fd;
    char address[SRI_LINK_ADDRESS];
} sri_far_state;

extern sri_far_state sri_far; /* of this process */

/* With the plugin started or attached, in all of its processes: late where some may have come
 * without preparing. A process that is set aside for an agent does not return. */
serry_err sri_far_join(bool late);

/* The agent and the clean copy that this process has forked end. */
void sri_far_dismiss(void);

/* MPICH over TCP may wait for ever in its end for one that is there already and does not listen any
 * more: they go there together. */
void sri_far_gather_to_end(void);

#endif
