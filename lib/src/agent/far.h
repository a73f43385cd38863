/* agent/far.h: what agents of different nodes say to each other, as frames of links. An object is used
 * from another node through both agents: the request goes to the home named in its handle, the
 * answer back to the member's own agent, which puts it into his lane.
 *
 * Every agent is told of every member that comes and of its fate, by its own agent, on the same link as
 * what that member sent, and behind it.
 */
#ifndef SRI_FAR_H
#define SRI_FAR_H

#include "agent/private.h"

typedef enum sri_far_kind {
    SRI_FAR_REQUEST = 1, /* source: the member; aux = object; bytes: request head, args, body */
    SRI_FAR_MEMBER,      /* dest: a member there; op = frame kind (REPLY, FEED), aux and bytes its own */
    SRI_FAR_ROUTE,       /* member to member: aux = route of the frame, bytes its own */
    SRI_FAR_ADMIT,       /* source: a started process; bytes: far_admit */
    SRI_FAR_JOINED,      /* source: a launched rank has joined; bytes: far_admit */
    SRI_FAR_FATE,        /* source: whose; op = sri_fate, aux = code */
    SRI_FAR_ABORT,       /* source: who aborts; aux = code */
    SRI_FAR_STRAYS,      /* aux: started processes still alive there, when all have arrived */
} sri_far_kind;

#endif
