/* transport/mpi/plugin.h: what a plugin gives to the core: MPI, behind plain C. There is one plugin
 * for each MPI there is, a shared object linked to it, loaded at run time (start/plugin.c); it
 * calls nothing of the library's. The core passes what it would otherwise link to.
 *
 * All calls are made by the thread that holds the core's mutex (MPI_THREAD_SERIALIZED). Errors are
 * told as a text: 0 is success, -1 has written why.
 */
#ifndef SRI_MPI_PLUGIN_H
#define SRI_MPI_PLUGIN_H

#include "transport/transport.h"

#ifdef __cplusplus
extern "C" {
#endif

#define SRI_MPI_PLUGIN_VERSION 2u
#define SRI_MPI_PLUGIN_SYMBOL "sri_mpi_plugin" /* a const sri_mpi_plugin */

typedef struct sri_mpi_text {
    char text[256];
} sri_mpi_text;

typedef struct sri_mpi_plugin {
    uint32_t version; /* SRI_MPI_PLUGIN_VERSION */
    uint32_t size;    /* sizeof(sri_mpi_plugin) */
    const char *mpi;  /* "Open MPI", "MPICH" */

    /* MPI_Init_thread at SERIALIZED, unless MPI is initialized already, and a duplicate of
     * MPI_COMM_WORLD with errors returned. Fails if the level is too low. */
    int (*start)(sri_mpi_text *why);
    /* The same over the program's own communicator (from MPI_Comm_c2f); MPI must be initialized.
     * Collective over it. */
    int (*attach)(int fortran_comm, sri_mpi_text *why);
    int (*rank)(void);
    int (*size_of)(void);

    /* Collective, blocking, small: for joining only. */
    /* Splits off the processes of this machine (alone: every process by itself). */
    int (*split)(bool alone, int *node_rank, int *node_size, sri_mpi_text *why);
    int (*bcast)(void *bytes, size_t len, int root, sri_mpi_text *why);      /* among all */
    int (*node_bcast)(void *bytes, size_t len, int root, sri_mpi_text *why); /* on this machine */
    int (*allgather)(const void *in, size_t len, void *out, sri_mpi_text *why);
    int (*barrier)(sri_mpi_text *why);

    /* The far transport, between ranks as rank_of says: rank_of[i] is the world rank of MPI process
     * i, or -1 if it is none (it serves as an agent). Copies rank_of. `rank` is this process. */
    int (*open)(sri_transport **t, const int *rank_of, int n, int rank, size_t frame_max,
                const sri_sink *sink, sri_mpi_text *why);
    /* A second one of the same kind on a communicator of its own, among agents: peers are nodes. */
    int (*open_links)(sri_transport **t, const int *node_of, int n, int node, size_t frame_max,
                      const sri_sink *sink, sri_mpi_text *why);

    /* At the end of a transport, collective among its members, none of which sends any more: all
     * that was sent arrives, and is dropped, so that MPI is left without a message that nobody has
     * fetched. Gives up after seconds, or when a peer is gone. */
    void (*part)(sri_transport *t);

    /* Frees what start or attach made; MPI_Finalize if start called MPI_Init and all is well
     * (orderly). Without it, and after a death, MPI is left as it is. */
    void (*end)(bool orderly);
    /* MPI_Abort with this code; does not return. */
    void (*abort)(int code);
} sri_mpi_plugin;

#ifdef __cplusplus
}
#endif
#endif
