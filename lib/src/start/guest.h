/* start/guest.h: the process in which an agent runs when no launcher does: a copy of the program
 * that is no part of it, and a good guest beside it. */
#ifndef SRI_START_GUEST_H
#define SRI_START_GUEST_H

#include "agent/agent.h"

#include <serry/error.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Its own process group, nothing of the program's streams and descriptors but those n, deaf to the
 * signals that are meant for the program. */
void sri_guest_settle(const int *keep, int n);

/* Seconds of silence after which a host counts as lost, from SERRY_HEARTBEAT, or as given. */
serry_err sri_guest_heartbeat(double *seconds);

/* The life of an agent whose members' sockets are there: seats the n sockets as those ranks, or
 * refuses them all if e is an error already. Takes sockets and links. */
void sri_guest_run(const sri_agent_options *o, const int *ranks, const int *sockets, int n,
                   serry_err e);

#ifdef __cplusplus
}
#endif
#endif
