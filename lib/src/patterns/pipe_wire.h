/* patterns/pipe_wire.h: what the ends of a pipe and its home say to each other.
 *
 * A direction of a pipe is a line of messages that is cut into legs. A leg goes straight from one
 * process to another, as messages of the core with a tag of its own; what no leg can carry goes
 * through the home, which hands it to the reader in order:
 *
 *     writer                  home                    reader
 *     PUT bytes          ->                                       nobody has used the other end yet
 *                                       MSG bytes ->              now somebody has
 *                                       LEG w t   ->              what comes next: rank w, tag t
 *               <- ROUTE r t
 *     message of tag t   --------------------------->
 *               <- STOP t                                         the reader gives its end away
 *     STOPPED t n        ->             LEG_END t n ->            so many were sent on it
 *                                       FORWARD   <-              the unread, for the new owner
 *                                       FORWARDED <-
 *     PUT bytes          ->                                       until there is another leg
 *
 * Whatever is said of a leg carries its tag and a count, so nothing depends on what comes first,
 * the home's word or the other process's messages.
 */
#ifndef SRI_PATTERNS_PIPE_WIRE_H
#define SRI_PATTERNS_PIPE_WIRE_H

#include "agent/handle.h"
#include "agent/object.h"

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>

/* To the home; args: pipe_wire_ask. Requests, unless said otherwise. */
enum {
    PIPE_OP_OPEN = SRI_OP_OWN, /* first use here; answer: pipe_wire_opened */
    PIPE_OP_PUT,       /* and the bytes; answer: pipe_wire_put. Parked while there is no room */
    PIPE_OP_WAIT,      /* as PUT, of a message too long to be kept: answered with PIPE_PUT_AGAIN */
    PIPE_OP_CLOSE,     /* answer: pipe_wire_closed */
    PIPE_OP_GIVE,      /* .rank; parked while the last giver still forwards */
    PIPE_OP_STOPPED,   /* post */
    PIPE_OP_FORWARD,   /* post: the bytes of a message */
    PIPE_OP_FORWARDED, /* post; .count: 1 if something was lost on the way */
};

typedef enum pipe_use { PIPE_USE_SEND = 1, PIPE_USE_RECV } pipe_use;

typedef struct pipe_wire_ask {
    uint8_t end; /* 0 or 1: whose end this is about, the asker's */
    uint8_t use;
    uint16_t reserved;
    int32_t rank;
    uint32_t tag; /* STOPPED, CLOSE: of the asker's outgoing leg; 0: none */
    uint32_t reserved2;
    uint64_t count; /* messages sent on it */
} pipe_wire_ask;
static_assert(sizeof(pipe_wire_ask) == 24, "on the wire");

typedef struct pipe_wire_opened {
    uint64_t duplex;
} pipe_wire_opened;

enum { PIPE_PUT_KEPT, PIPE_PUT_AGAIN }; /* AGAIN: look where it goes now */

typedef struct pipe_wire_put {
    uint64_t what;
} pipe_wire_put;

typedef struct pipe_wire_closed {
    uint64_t ended; /* the other end was closed before */
} pipe_wire_closed;

/* What is fed. */
enum {
    PIPE_FEED_MSG = 1, /* the bytes of a message */
    PIPE_FEED_LEG,     /* .rank, .tag: what comes next comes from there */
    PIPE_FEED_LEG_END, /* .tag, .count: how many there are of it in all, or PIPE_LOST */
    PIPE_FEED_ROUTE,   /* .rank, .tag: send there from now on */
    PIPE_FEED_STOP,    /* .tag: no more; answer with STOPPED */
    PIPE_FEED_PEER,    /* .over, .rank, .code: what has become of the other end; .count: 1 if what
                          it had sent is still being forwarded */
    PIPE_FEED_BROKEN,  /* messages for this end were lost with rank .rank */
};

/* The writer is gone: all of it has come once the core knows that too. */
#define PIPE_LOST UINT64_MAX

typedef struct pipe_wire_feed {
    uint8_t what;
    uint8_t end;   /* of the one it is for */
    uint16_t over; /* 0, SERRY_ECLOSED, SERRY_EDIED */
    int32_t rank;  /* of PEER: who has ended; -1: it was closed */
    uint32_t tag;
    int32_t code; /* exit code of the dead */
    uint64_t count;
} pipe_wire_feed;
static_assert(sizeof(pipe_wire_feed) == 24, "on the wire");

/* The home keeps so much for an end that nobody has used, counting PIPE_MESSAGE_COST for each. */
#define PIPE_KEPT_MAX (1u << 20)
#define PIPE_MESSAGE_COST 64u

static inline uint64_t pipe_handle(uint64_t object, unsigned end)
{
    return end ? object | SRI_HANDLE_SIDE : object;
}

static inline uint64_t pipe_object(uint64_t handle)
{
    return handle & ~SRI_HANDLE_SIDE;
}

static inline unsigned pipe_side(uint64_t handle)
{
    return handle & SRI_HANDLE_SIDE ? 1 : 0;
}

/* The member's side of the class (pipe_local.c, pipe_rest.c). */
void pipe_feed_arrived(uint64_t object, const uint8_t *bytes, size_t len);
void pipe_forget(uint64_t object);
void pipe_lost(int node);
void pipe_leaving(void);

#endif
