/* agent/wire.h: the agent's own operations, requests to object 0, and their arguments. */
#ifndef SRI_AGENT_WIRE_H
#define SRI_AGENT_WIRE_H

#include "agent/object.h"
#include "base/fnref.h"

#include <assert.h>

enum {
    SRI_AGENT_FINALIZE = SRI_OP_OWN, /* answered when all launched ranks have arrived or died;
                                      * right before it comes an empty feed of object 0. Answer:
                                      * int32: the lowest launched rank that ended without
                                      * being released; -1: none */
    SRI_AGENT_ABORT,                 /* post: int32 code */
    SRI_AGENT_EXIT,                  /* int32 code; a started process is about to end */
    SRI_AGENT_START,                 /* sri_agent_start; answer: sri_agent_started (+ descriptor) */
    SRI_AGENT_JOIN,                  /* u64 processes...; answer: sri_agent_joined */
    SRI_AGENT_SIGNAL,                /* sri_agent_signal */
    SRI_AGENT_INFO,                  /* u64 process; answer: sri_agent_info */
    SRI_AGENT_CHILDREN,              /* answer: u64 processes... */
    SRI_AGENT_STREAMS,               /* with a socket in which a packet with the asker's descriptors
                                      * 0, 1 and 2 waits: for what is started for it from now on */
    SRI_AGENT_CLEAN,                 /* OK if processes can be started from the clean copy of the
                                      * asker's node */
};

typedef struct sri_agent_start {
    uint8_t daemon;
    uint8_t by_agent; /* forked from the clean copy; fn and arg follow. Else the asker forks */
    uint8_t reserved[2];
    int32_t node; /* -1: any; if it is another than the asker's, by its agent */
    sri_fnref fn;
    char name[64]; /* "": by number */
} sri_agent_start;
static_assert(sizeof(sri_agent_start) == 88, "on the wire");

/* To an asker that forks itself the answer is a packet with the new member's socket. */
typedef struct sri_agent_started {
    uint64_t process;
    int32_t rank;
    int32_t reserved;
} sri_agent_started;

typedef struct sri_agent_joined {
    uint32_t which;
    int32_t code;
} sri_agent_joined;

typedef struct sri_agent_signal {
    uint64_t process;
    int32_t signal;
    int32_t reserved;
} sri_agent_signal;

typedef struct sri_agent_info {
    int32_t pid;
    int32_t rank;
    int32_t parent;
    uint8_t alive;
    uint8_t daemon;
    uint8_t reserved[2];
    char name[64];
} sri_agent_info;

/* Agent to nursery: a packet of kind REQUEST with this and descriptors: the new member's socket, a
 * memfd that holds the argument if there is one, and its three streams if they are known. */
typedef struct sri_nursery_order {
    sri_fnref fn;
    uint64_t len;
    uint32_t streams; /* 0 or 3 */
    uint32_t reserved;
} sri_nursery_order;

#endif
