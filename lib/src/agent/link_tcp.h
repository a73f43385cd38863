/* agent/link_tcp.h: what the files of the TCP links share.
 *
 *     link_tcp_address.c   interfaces, addresses as text, the listener
 *     link_tcp_join.c      until every pair is connected
 *     link_tcp_steps.c     dialling, accepting, proving, by what link_tcp_hello.c says
 *     link_tcp_peer.c      frames in and out of one connection
 *     link_tcp.c           the operations of the links
 */
#ifndef SRI_LINK_TCP_H
#define SRI_LINK_TCP_H

#include "agent/link_head.h"
#include "base/buffer.h"

#include <sys/socket.h>

#define LINK_TCP_BUFFER ((size_t)128 << 10) /* read at once; holds some whole frames */
#define LINK_TCP_JOINED ((size_t)4 << 10)   /* frames up to this length go together if they can */
#define LINK_TCP_SHORT ((size_t)32 << 10)   /* on the wire; longer ones are gathered apart */

/* Frames are padded to 16 bytes, so that each lies aligned where it was read to. */
enum { LINK_TCP_FRAME = 0x53524C46, LINK_TCP_WORD = 0x53524C57 }; /* .mark */
enum { LINK_TCP_ALIVE = 1, LINK_TCP_BYE };                        /* .op of a word */

static inline uint64_t link_tcp_padded(uint64_t len)
{
    return (len + 15) & ~UINT64_C(15);
}

/* Kept for the network: many short frames, or one long one. */
typedef struct link_tcp_chunk {
    struct link_tcp_chunk *next;
    size_t len;
    size_t cap;
    size_t sent;
    uint8_t bytes[];
} link_tcp_chunk;

typedef struct link_tcp_peer {
    int fd;          /* -1: this node itself, or lost */
    bool failed;     /* nothing more goes out; what has come is read to its end */
    bool bye;        /* it has said goodbye */
    bool want_out;   /* EPOLLOUT is asked for */
    bool long_frame; /* in is the inside of one, whose head is .head */
    link_head head;
    sri_buffer in; /* the beginning of a frame */
    link_tcp_chunk *out;
    link_tcp_chunk **out_end;
    size_t backlog;
    uint64_t round; /* of polling, in which something was written to it last */
    sri_ns heard;   /* with heartbeats: when anything came last, and when anything went */
    sri_ns said;
    char why[120]; /* of .failed */
} link_tcp_peer;

typedef struct link_tcp {
    sri_links links;
    int epoll; /* data: the node */
    bool said_bye;
    bool polling;
    sri_ns heartbeat; /* 0: none */
    sri_ns next_tick;
    uint64_t round;
    uint8_t *buffer; /* LINK_TCP_BUFFER, aligned to 16 */
    link_tcp_peer peers[];
} link_tcp;

/* ---- link_tcp.c ---- */
/* Links that are not connected yet. */
serry_err link_tcp_create(link_tcp **t, int node, int nodes, sri_ns heartbeat);
/* Closes all at once and frees. */
void link_tcp_free(link_tcp *t);

/* ---- link_tcp_peer.c ---- */
/* Events of a peer: EPOLLIN and others. The registration is there already. */
void link_tcp_watch(link_tcp *t, int node, uint32_t events);
/* Writes, and keeps what is not taken; the second short frame of a round of polling and those
 * behind it are kept to go together. False: no memory, and the peer has failed. */
bool link_tcp_write(link_tcp *t, int node, const link_head *head, const sri_link_frame *f);
void link_tcp_say(link_tcp *t, int node, uint16_t word);
/* Writes what was kept; true if anything went. */
bool link_tcp_flush(link_tcp *t, int node);
/* Reads and delivers a batch; true if anything came, or the peer was lost. */
bool link_tcp_read(link_tcp *t, int node);
void link_tcp_lose(link_tcp *t, int node, const char *why);
void link_tcp_fail(link_tcp *t, int node, const char *why); /* its end is for .poll to tell */
void link_tcp_drop(link_tcp_peer *p);                       /* closes and frees, says nothing */

/* ---- link_tcp_address.c ---- */
serry_err link_tcp_parse(const char *text, struct sockaddr_storage *to, socklen_t *len);

#endif
