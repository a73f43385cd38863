/* start/host.h: an agent that ranks find by a name: its door, its early life, and coming in.
 *
 * It is forked before the world is known, when the process that makes it has opened no devices yet.
 * It waits to be told the shape of the world; then it opens its links to the other agents, lets
 * its members in through the door, and is an agent like any other. The end of the process that made
 * it, before all that, is its own. */
#ifndef SRI_START_HOST_H
#define SRI_START_HOST_H

#include "agent/agent.h"
#include "start/setup.h"

#include <serry/error.h>
#include <stdbool.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* How members find it: an abstract socket, and a key that is shown to nobody but them. */
typedef struct sri_door {
    char name[40];
    uint8_t key[SRI_SETUP_KEY];
} sri_door;

/* Makes a door with a random name; *fd listens behind it. */
serry_err sri_door_open(sri_door *d, int *fd);

/* A launched rank comes in: *socket is its way to the agent. Blocks for no longer than the agent's
 * machine is busy. SERRY_EDIED: nobody is behind the door. */
serry_err sri_door_enter(const sri_door *d, int rank, int *socket);

/* The agent forked by this process, if there is one. */
typedef struct sri_host_process {
    pid_t pid;   /* 0: none */
    int pidfd;   /* -1: none, likewise */
    int control; /* its end is the agent's, until it has been set up; -1: none */
    sri_door door;
    char address[SRI_LINK_ADDRESS]; /* for links */
} sri_host_process;

/* Forks it. It listens for links on an interface (NULL: the one that leads to the others). */
serry_err sri_host_fork(sri_host_process *p, const char *interface);

/* Tells it the shape of the world. */
serry_err sri_host_set_up(sri_host_process *p, const sri_setup *s);

/* It is not wanted, or has to end: waits for that. */
void sri_host_dismiss(sri_host_process *p);
/* The world has ended, and it with it. */
void sri_host_reap(sri_host_process *p);
/* In a copy of this process. */
void sri_host_forget(sri_host_process *p);

/* The rest of an agent's life, from where it knows the world: takes the door's listener and the
 * links (NULL: one node). e: there will be none, and members are told so. True if no launched rank
 * has died. */
bool sri_host_serve(const sri_setup *s, const sri_door *d, int listener, sri_links *links,
                    serry_err e);

#ifdef __cplusplus
}
#endif
#endif
