/* agent/agent.h: the agent of a node: one loop that admits, names, watches and reaps members, and
 * in which objects live. It runs in a process of its own (./app, mpirun) or in the launcher
 * (serry run). Single-threaded; nothing here may be called from another thread.
 */
#ifndef SRI_AGENT_H
#define SRI_AGENT_H

#include "agent/link.h"
#include "base/clock.h"
#include "transport/transport.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sri_agent sri_agent;

typedef enum sri_lanes {
    SRI_LANES_SHM,
    SRI_LANES_SOCKET,
} sri_lanes;

typedef struct sri_agent_options {
    int size; /* launched ranks of the world */
    sri_lanes lanes;
    uint64_t max_message; /* bytes */
    sri_places places;    /* what it points to must stay; .nodes 0 or 1: the only node */
    sri_links *links; /* to the other nodes' agents, open; NULL: the only node. Taken on success */
    /* Rank 0 was started by hand: it is told when the agent dies, not killed; and if it ends
     * without being released, so does everything else. */
    bool direct;
    /* All below may be NULL. */
    void *ctx;
    /* A member's fate, launched or started; of other nodes' members, a launched rank's. pid is 0 if
     * it never joined here. */
    void (*fate)(void *ctx, int rank, pid_t pid, sri_fate fate, int code);
    /* A member has called serry_abort. The world ends: all members are killed after this. */
    void (*aborted)(void *ctx, int rank, int code);
} sri_agent_options;

/* Makes an agent: its segment, doorbell and loop, no members yet. Options as the environment has
 * them are read by sri_agent_options_read. */
serry_err sri_agent_create(sri_agent **a, const sri_agent_options *o);

/* Fills lanes and max_message from SERRY_LANES and SERRY_MAX_MESSAGE, or the defaults. */
serry_err sri_agent_options_read(sri_agent_options *o);

/* Seats launched rank `rank`: fd is the agent's end of a pair made by sri_socket_pair; the other
 * end goes to the rank, which says hello on it. Takes fd, even on failure. */
serry_err sri_agent_seat(sri_agent *a, int rank, int fd);

/* Runs until all members have gone, or sri_agent_stop. Members that never said hello and whose
 * socket ends count as gone. */
void sri_agent_run(sri_agent *a);

/* Makes run return after the current round. */
void sri_agent_stop(sri_agent *a);

/* What a member waits for, a clause for people, like "has waited 3.2 s for a message from rank 1,
 * tag 7"; "" if it does not sleep, or its lanes tell nothing. */
void sri_agent_waiting(sri_agent *a, int rank, char *text, size_t cap);

/* Kills every member (SIGKILL). Their fates follow in run. */
void sri_agent_kill_all(sri_agent *a);

/* Calls fn(ctx, fd) in the loop when fd is readable or has ended, until unwatched. */
serry_err sri_agent_watch(sri_agent *a, int fd, void (*fn)(void *ctx, int fd), void *ctx);
void sri_agent_unwatch(sri_agent *a, int fd);

/* Calls fn(ctx) once in the loop, at or after the deadline. One timer for each fn; setting it again
 * moves it, SRI_NEVER removes it. */
void sri_agent_at(sri_agent *a, sri_ns deadline, void (*fn)(void *ctx), void *ctx);

/* Frees everything. The members that are left notice. */
void sri_agent_destroy(sri_agent *a);

#ifdef __cplusplus
}
#endif
#endif
