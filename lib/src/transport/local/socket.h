/* transport/local/socket.h: socket lanes: one packet socket for each pair of members that talk,
 * made by the agent and passed to both on first use; the control socket is the lane to the agent. A
 * packet is a frame, whole or not there. The number of lanes is limited by descriptors: each member
 * needs one for every member it talks to. */
#ifndef SRI_LOCAL_SOCKET_H
#define SRI_LOCAL_SOCKET_H

#include "transport/local/local.h"

#define SRI_SOCKET_FRAME_MAX 8176u

/* SRI_KIND_EVENT, agent to member: aux = rank, bytes: */
typedef struct sri_socket_event {
    int32_t fate; /* sri_fate; 0: a started process has its seat */
    int32_t code;
} sri_socket_event;

/* SRI_KIND_LANE: member to agent: aux = the rank it wants to talk to. Agent to member: aux = rank,
 * with the descriptor; bytes: */
typedef struct sri_socket_lane {
    int32_t sent; /* SRI_SENT: here it is; else why not */
} sri_socket_lane;

/* Sends a frame as a packet. */
sri_sent sri_socket_packet(int fd, const sri_frame *f);

#endif
