/* transport/routed.h: one transport over several: members of this node are reached by its own
 * lanes, launched ranks of other nodes by a far transport (MPI) if there is one, and everybody else
 * through the agents, in frames of kind SRI_KIND_ROUTE. Which way a pair takes depends only on who
 * they are, so that their frames cannot overtake each other. In a world of one node it is not used.
 */
#ifndef SRI_ROUTED_H
#define SRI_ROUTED_H

#include "transport/places.h"
#include "transport/transport.h"

#include <serry/error.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A frame between a member and its agent that belongs to a member of another node. The agent looks
 * at nothing but the rank: who it is for on the way there, who it comes from on the way back. One
 * for a member of the agent's own node comes back to it, behind all the agent had for it. */
typedef struct sri_route {
    int rank;
    uint8_t kind; /* of the frame inside; 0: none, only its head counts */
    uint8_t flags;
} sri_route;

/* Before the inner frame's own bytes, which stay aligned to 16: its aux, and how much of what came
 * the other way has been taken so far (routed_way.c). The agent looks at neither. */
#define SRI_ROUTE_HEAD 16

static inline uint64_t sri_route_pack(sri_route r)
{
    return (uint64_t)(uint32_t)r.rank << 32 | (uint64_t)r.kind << 8 | r.flags;
}

static inline sri_route sri_route_unpack(uint64_t aux)
{
    sri_route r = { (int)(aux >> 32), (uint8_t)(aux >> 8), (uint8_t)aux };
    return r;
}

/* Takes `near` and `far` (NULL: none) on success, closes them when it is closed, and puts itself
 * between them and their sinks. What places points to must stay. */
serry_err sri_routed_open(sri_transport **t, sri_transport *near, sri_transport *far,
                          const sri_places *places, const sri_sink *sink);

#ifdef __cplusplus
}
#endif
#endif
