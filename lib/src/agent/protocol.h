/* agent/protocol.h: the object protocol on the wire, between a member (core/service.c) and the
 * homes of objects (agent/objects.c).
 *
 *     REQUEST  aux = object; the first frame of a run has a request head, then args and body
 *     REPLY    aux = number | error << 32; the answer, or with an error its detail text
 *     FEED     aux = object; what the home sends unasked, or with FORGET nothing: it is destroyed
 *
 * A run longer than a frame goes as a chain: all frames but the last have SRI_FLAG_MORE, all have
 * the same aux, and the chain may be cut anywhere behind the head. Frames of one kind from one
 * member are never interleaved. Object 0 is the agent itself.
 */
#ifndef SRI_AGENT_PROTOCOL_H
#define SRI_AGENT_PROTOCOL_H

#include <assert.h>
#include <stdint.h>

typedef struct sri_request_head {
    uint32_t number; /* 0: a post */
    uint16_t op;
    uint16_t flags;
} sri_request_head;
static_assert(sizeof(sri_request_head) == 8, "on the wire");

/* Beside as many bytes as a message may have, a request has at most so many more. Longer ones are
 * not sent; who sends one all the same is no member of ours. */
#define SRI_REQUEST_MORE ((uint64_t)1 << 20)

/* Answer now, with SERRY_ETIMEDOUT if it would have to wait. */
#define SRI_REQUEST_NOWAIT 1u
/* A post to a home on another node: its number is answered, with nothing, once the home has dealt
 * with it (core/fence.h says why). */
#define SRI_REQUEST_ACK 2u

/* Of a FEED frame: the object is destroyed (.forget of its class). Sent to every member with a
 * session when an object ends. */
#define SRI_FLAG_FORGET 4u

/* Of a FEED frame: aux is a node, and its agent is lost with all homes there. What was asked of
 * them and not answered by now never will be. If it is this very node, the others have given it up,
 * and the bytes say so to a person. */
#define SRI_FLAG_LOST 32u

/* The target of the agent's own operations. */
#define SRI_SERVICE_AGENT UINT64_C(0)

/* What create sends, before the class's own args. The answer is the object's id. CANCEL is a post
 * to the same object; its args are the request's number as uint64_t. */
typedef struct sri_create_args {
    uint32_t type;
    int32_t node; /* where it is to live; -1: with the asker's own agent */
    char name[64];
} sri_create_args;
static_assert(sizeof(sri_create_args) == 72, "on the wire");

#endif
