/* start/muster.h: what every process of a job tells all others before there is a world, and what
 * follows from it: the nodes, their agents, and who is which rank. Computed by all, from the same
 * facts, so that all come to the same. */
#ifndef SRI_START_MUSTER_H
#define SRI_START_MUSTER_H

#include "start/host.h"

#include <serry/error.h>
#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sri_muster_card {
    uint32_t version;
    uint8_t alone;     /* SERRY_NODES=rank */
    uint8_t set_aside; /* SERRY_AGENTS=mpi: the last process of each node is its agent */
    uint8_t has_agent; /* has forked one */
    uint8_t reserved;
    int32_t machine; /* the first process there */
    int32_t machine_rank;
    int32_t err; /* a serry_err: there can be no world, and text says why */
    int32_t pid;
    uint64_t pid_space; /* in which the number means something */
    sri_door door;
    char address[SRI_LINK_ADDRESS];
    char text[192];
} sri_muster_card;

typedef struct sri_muster {
    const sri_muster_card *cards; /* by process */
    int n;
    int size; /* launched ranks */
    int nodes;
    int *rank_of;  /* by process: its rank, -1: serves as an agent */
    int *node_of;  /* by process */
    int *agent_of; /* by node: the process that has the agent, or is it */
} sri_muster;

/* Keeps cards as they are, which must stay. SERRY_ESTATE and others: names the process that could
 * not, or what does not fit together. lacking: a node for which nobody has an agent is no error;
 * agent_of is -1 for it. */
serry_err sri_muster_call(sri_muster *m, const sri_muster_card *cards, int n, bool lacking);
void sri_muster_fini(sri_muster *m);

/* What the agent of a node has to know; sri_setup_fini. */
serry_err sri_muster_setup(const sri_muster *m, int node, const uint8_t key[SRI_LINK_KEY],
                           sri_setup *s);

#ifdef __cplusplus
}
#endif
#endif
