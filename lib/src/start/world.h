/* start/world.h: becoming a member and ceasing to be one: what init, started processes and the
 * nursery share. */
#ifndef SRI_START_WORLD_H
#define SRI_START_WORLD_H

#include "base/fnref.h"
#include "core/core.h"

#include <serry/process.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Joins over a socket and makes this process a member. far: what reaches the launched ranks of
 * other nodes, or NULL: nothing but the agents does. Takes both, even on failure. */
serry_err sri_world_join(int socket, sri_transport *far);

/* Reads the options of every member from the environment. */
serry_err sri_world_options(void);

/* The end of membership: closes the transport. inherited: this is the copy of a fork, whose parent
 * goes on with it. */
void sri_world_leave(bool inherited);

/* In the child of a fork: joins over the socket as a started process, runs fn, and ends. Does not
 * return. */
SERRY_NORETURN void sri_world_child(int socket, serry_process_fn fn, const void *arg, size_t len);

/* Forks the nursery, the clean copy of the program. Without it everything works but starting
 * processes from the agent. False: it cannot be had. */
bool sri_nursery_fork(void);
bool sri_nursery_there(void);

/* Introduces it to the agent of this node, or says that there is none. */
void sri_nursery_introduce(void);

/* Reaps it, after the agent has gone; or, in a copy of this process, forgets it. */
void sri_nursery_reap(void);
void sri_nursery_forget(void);

/* Says whether this process may fork itself: one thread, and not told otherwise. */
bool sri_world_may_fork(void);

#ifdef __cplusplus
}
#endif
#endif
