/* start/launch.h: a program that was started without a launcher: its agents, and the ranks of
 * SERRY_NP. */
#ifndef SRI_START_LAUNCH_H
#define SRI_START_LAUNCH_H

#include <serry/error.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Forks one agent for each node, then the other ranks, and returns in each rank: *socket is its own
 * end of the way to its agent. */
serry_err sri_launch(int *socket);

/* There will be no world: neither ranks that were forked nor agents are left behind. */
void sri_launch_undo(void);

/* Waits for the ranks and agents that this process has forked, when the world has ended, and says
 * which ranks failed. lost: the lowest launched rank that did not finalize, or -1. */
void sri_launch_reap_ranks(int lost);
void sri_launch_reap_agents(void);

/* In a copy of this process: they are not its own. */
void sri_launch_forget(void);

#ifdef __cplusplus
}
#endif
#endif
