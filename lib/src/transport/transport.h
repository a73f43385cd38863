/* transport/transport.h: the seam. A transport moves frames between members, knows when one has
 * gone, and lets a process sleep until there is news. It knows no messages, objects or patterns.
 *
 * Peers are world ranks; SRI_AGENT is the agent of this node. A frame is a small fixed part, an
 * optional protocol header and an optional body; it arrives whole or not at all, and frames of one
 * pair of members arrive in the order they were sent. What is longer than .frame_max is cut by the
 * layers above.
 *
 * One mutex above the seam serialises all calls on a transport, except that .sleep is called
 * without it, as is .sleep_beside, by one thread at a time, while others may call the rest.
 *
 * For each operation: may it block? on which thread? who owns what when it fails? is it
 * idempotent? what must it never call back?
 */
#ifndef SRI_TRANSPORT_H
#define SRI_TRANSPORT_H

#include "base/atomic.h"
#include "base/clock.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SRI_AGENT (-1)

/* The kind of a frame says which layer it is for; transports only carry it. */
typedef enum sri_kind {
    SRI_KIND_MESSAGE = 1, /* a whole message: aux = tag, body = its bytes */
    SRI_KIND_ANNOUNCE,    /* a long message waits at the sender: aux = tag */
    SRI_KIND_CLEAR,       /* the receiver asks for it */
    SRI_KIND_DATA,        /* a piece of it */
    SRI_KIND_WITHDRAW,    /* the sender takes its announcement back */
    SRI_KIND_REQUEST,     /* member to home: aux = object */
    SRI_KIND_REPLY,       /* home to member: aux = the request's number */
    SRI_KIND_FEED,        /* home to member, unasked: aux = object */
    SRI_KIND_JOIN,        /* joining, before there are lanes */
    SRI_KIND_LANE,        /* socket lanes: asks for, and brings, the socket of a pair */
    SRI_KIND_EVENT,       /* socket lanes: a member's fate, as sri_fate */
    SRI_KIND_ROUTE,       /* to and from the agent: of a member of another node, see routed.h */
    SRI_KIND_LAST = SRI_KIND_ROUTE,
} sri_kind;

#define SRI_FLAG_MORE 1u       /* the next frame of this kind from this peer continues it */
#define SRI_FLAG_COLLECTIVE 2u /* a message of a collective: matched apart from the user's */
/* 4 and 32 are SRI_FLAG_FORGET and SRI_FLAG_LOST of the object protocol. */
/* For the transport: the caller's next call is another send to this peer, so that the peer need not
 * be rung for this one alone. */
#define SRI_FLAG_SOON 8u
#define SRI_FLAG_PIPE 16u /* a message of a pipe: matched apart, too */

typedef struct sri_frame {
    uint8_t kind;
    uint8_t flags;
    uint64_t aux;
    const void *head; /* up to SRI_HEAD_MAX bytes, borrowed during send */
    size_t head_len;
    const void *body; /* head_len + body_len <= frame_max */
    size_t body_len;
    int fd; /* -1, or a descriptor that travels along (a copy; the sender keeps his) */
} sri_frame;

#define SRI_HEAD_MAX 64

typedef enum sri_sent {
    SRI_SENT,
    SRI_FULL,  /* not now: try again after the next poll that reports anything */
    SRI_GONE,  /* the peer has died or left, or there never was one */
    SRI_LIMIT, /* no lane to this peer can be had, for want of lanes, memory or descriptors */
} sri_sent;

/* A frame as it arrives. bytes is valid during the call, aligned to 16. fd is -1 or the receiver's
 * to close. */
typedef struct sri_arrival {
    int source;
    uint8_t kind;
    uint8_t flags;
    uint64_t aux;
    const uint8_t *bytes;
    size_t len;
    int fd;
} sri_arrival;

/* What became of a member. */
typedef enum sri_fate {
    SRI_FATE_LEFT = 1, /* finalized, or a started process that is about to end */
    SRI_FATE_DIED,     /* ended without leaving */
    SRI_FATE_ENDED,    /* the process that left has ended: its exit code is known */
} sri_fate;

/* Where a transport delivers. Both are called inside .poll only, with the caller's mutex held, and
 * may call .send of the same transport, never .poll, .sleep or .close. */
typedef struct sri_sink {
    void *ctx;
    /* True: go on polling; false: return from poll after this frame. */
    bool (*deliver)(void *ctx, const sri_arrival *frame);
    /* Told once for each member and fate, after everything that member had sent here has been
     * delivered. code is the exit code, or -N for signal N, or as base/fate.h says. */
    void (*fate)(void *ctx, int rank, sri_fate fate, int code);
    /* A bulk transfer has ended, well or not; its memory is the caller's again. All of a peer's are
     * told before its fate. May begin others. NULL if the caller never begins one. */
    void (*bulk_done)(void *ctx, int peer, uint64_t token, bool sending, bool ok);
} sri_sink;

/* What a member waits for, published so that others can read it while it sleeps. */
typedef struct sri_waiting {
    uint32_t kind;   /* sri_wait_kind; 0: for nothing */
    int32_t peer;    /* rank, SERRY_ANY */
    uint64_t object; /* or the tag */
    sri_ns since;
} sri_waiting;

typedef enum sri_wait_kind {
    SRI_WAIT_NONE,
    SRI_WAIT_RECV,
    SRI_WAIT_SEND,
    SRI_WAIT_REQUEST,
    SRI_WAIT_OBJECT, /* an answer of its home */
    SRI_WAIT_WORD,   /* an object, at a word of its own: .sleep_beside */
    SRI_WAIT_COLLECTIVE,
    SRI_WAIT_FINALIZE,
    SRI_WAIT_KINDS
} sri_wait_kind;

typedef struct sri_transport sri_transport;

typedef struct sri_transport_ops {
    const char *name; /* "shm", "socket": for people */

    /* Sends one frame or nothing. Never blocks. Any thread. Whatever it returns, all memory stays
     * the caller's. Calls nothing back. A frame with a descriptor may only go to or from the
     * agent, and may overtake those without one, or be overtaken. */
    sri_sent (*send)(sri_transport *t, int peer, const sri_frame *f);

    /* Delivers what has arrived, a bounded batch, or until the sink says stop. Never blocks. Any
     * thread. True if anything was delivered or a FULL lane may take more. */
    bool (*poll)(sri_transport *t);

    /* Says that this process is about to sleep, so that senders ring from now on. False if there
     * is news already: poll instead. Never blocks. With the mutex, right before sleep. */
    bool (*arm)(sri_transport *t);

    /* Sleeps until rung or until the deadline; uses no processor. Returns at once if rung since
     * arm; may return early for no reason. Blocks; without the mutex, one thread at a time. Calls
     * nothing back. */
    void (*sleep)(sri_transport *t, sri_ns deadline);

    /* The same beside a word that members share: returns also at once if the low half of the word
     * is not `low`, and when whoever changes it wakes those asleep at it (base/futex.h). To be
     * called only where .beside says so. */
    void (*sleep_beside)(sri_transport *t, sri_ns deadline, const sri_atomic_u64 *word,
                         uint32_t low);

    /* Long bodies, moved as they lie, without cutting and copying, where the transport can do that:
     * all NULL if not. Peer and token name the transfer, len is the same at both ends; both ends
     * must begin it, in either order, and own their memory until sink.bulk_done has told of the
     * end, which comes inside .poll. False: it cannot be begun (the peer is gone, no memory, or
     * this pair has no such way); nothing is told then. Never block. */
    bool (*bulk_send)(sri_transport *t, int peer, uint64_t token, const void *bytes, size_t len);
    bool (*bulk_recv)(sri_transport *t, int peer, uint64_t token, void *bytes, size_t len);
    /* Is there such a way to this peer? */
    bool (*bulk)(sri_transport *t, int peer);
    /* Takes a bulk_recv back. True: none of its bytes had come, the memory is the caller's, nothing
     * will be told, and it may be begun anew, for the sender's part of it stands. False: bytes are
     * coming or have come, bulk_done will tell. Never blocks, calls nothing back. */
    bool (*bulk_back)(sri_transport *t, int peer, uint64_t token);

    /* The peer has died or ended: what is under way with it will never come to an end by itself.
     * Ends its bulk transfers, not well, here or in the next poll; nothing of it is delivered from
     * then on. NULL where the transport learns of deaths by itself. Called inside the .poll of a
     * transport above. Never blocks. */
    void (*gone)(sri_transport *t, int peer);

    /* Makes a thread in sleep return. Never blocks. Any thread, idempotent. */
    void (*wake)(sri_transport *t);

    /* Is the member here, and has it neither died nor left, as far as is known now? */
    bool (*present)(sri_transport *t, int peer);

    /* About how many members of this machine there are now for as many processors as this one may
     * run on: tells how busy these may be, no more. Where each is bound to processors of its own
     * that is 1, however many they are. Never blocks. */
    int (*members)(sri_transport *t);

    /* The grant cell of that number, a word shared by this member and its home alone; NULL if this
     * transport has no shared words. The same pointer each time, valid until close. */
    sri_atomic_u64 *(*cell)(sri_transport *t, uint32_t number);

    /* Rings the agent, so that it looks at cells. Never blocks. */
    void (*ring_agent)(sri_transport *t);

    /* Publishes what this member waits for; kind 0: nothing. Never blocks. */
    void (*publish)(sri_transport *t, const sri_waiting *w);

    /* Closes everything and frees t. Blocks for nothing. In the child of a fork, where the parent's
     * transport lives on: inherited = true closes this process's copies and touches nothing that
     * is shared. */
    void (*close)(sri_transport *t, bool inherited);
} sri_transport_ops;

struct sri_transport {
    const sri_transport_ops *ops;
    sri_sink sink;
    size_t frame_max; /* head and body together */
    int rank;         /* this member, or SRI_AGENT */
    int size;         /* launched ranks */
    bool slow;        /* a poll asks a library, which takes longer than a processor's pause: whoever
                       * spins over it needs none */
    bool beside;      /* it has .sleep_beside, and so has the kernel */
};

#ifdef __cplusplus
}
#endif
#endif
