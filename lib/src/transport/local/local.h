/* transport/local/local.h: joining a node, and hosting one. Two kinds of lanes behind one seam:
 * shared memory (shm*.c) and packet sockets (socket*.c).
 *
 * Joining: the member-to-be holds one end of a socket pair, the agent the other. It says hello, and
 * sends a pidfd of itself; it is welcomed with its place in the world and the descriptors it needs.
 */
#ifndef SRI_LOCAL_H
#define SRI_LOCAL_H

#include "base/fds.h"
#include "transport/transport.h"

#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Packets on the control socket: a head, then bytes. Frames of socket lanes have the same. */
typedef struct sri_packet_head {
    uint8_t kind; /* sri_kind */
    uint8_t flags;
    uint16_t mark;
    uint32_t reserved;
    uint64_t aux;
} sri_packet_head;

#define SRI_PACKET_MARK 0x5352u
#define SRI_PACKET_MAX (sizeof(sri_packet_head) + 16384)

#define SRI_JOIN_VERSION 3u

typedef enum sri_join_role {
    SRI_JOIN_MEMBER = 1,
    SRI_JOIN_NURSERY, /* the clean copy of the program, from which processes are forked */
} sri_join_role;

/* With one descriptor: a pidfd of the sender, where the kernel has them. */
typedef struct sri_hello {
    uint32_t version;
    uint32_t role;
    int32_t pid;
    int32_t reserved;
} sri_hello;

typedef struct sri_welcome {
    uint32_t version;
    uint32_t err; /* a serry_err; then text says why, and the rest is nothing */
    int32_t rank;
    int32_t size;
    int32_t parent; /* -1: launched */
    uint32_t slot;  /* shm */
    uint32_t lanes; /* 0: shm, 1: socket */
    uint8_t daemon;
    uint8_t lifeline; /* a descriptor comes whose end kills this process: sri_lifeline_arm */
    uint8_t reserved[2];
    int32_t node;
    int32_t nodes;
    int32_t table; /* 1: the last descriptor is a file of uint16_t, the node of each launched rank.
                    * Behind sri_local_join: that descriptor, the caller's to close, or -1 */
    int32_t reserved2;
    uint64_t max_message;
    uint64_t process; /* this process's handle */
    uint64_t parent_process;
    char text[256];
} sri_welcome;

/* Takes the socket, even on failure. Blocks until the agent has answered; SERRY_EDIED if it went
 * away. On success *t is the member's transport, not yet polled, and *w its place. */
serry_err sri_local_join(int socket, sri_join_role role, const sri_sink *sink, sri_transport **t,
                         sri_welcome *w);

/* ---- the agent's side ---- */

typedef struct sri_host sri_host;

typedef struct sri_host_ops {
    /* A place for a rank whose control socket is `socket` (borrowed). SERRY_ELIMIT, SERRY_ENOMEM.
     */
    serry_err (*seat)(sri_host *h, int rank, int socket);
    /* What its welcome says of the transport, and the descriptors to go with it (borrowed). From
     * here on sends to it never need anything that might be refused. SERRY_ELIMIT: that cannot be
     * had. */
    serry_err (*welcome)(sri_host *h, int rank, sri_welcome *w, int *fds, int *n);
    /* Its control socket is readable: delivers what is there. Packets of kind JOIN are delivered as
     * well, from any seat. False: the socket has ended. */
    bool (*readable)(sri_host *h, int rank);
    /* It has ended: delivers everything that it had sent. */
    void (*drain)(sri_host *h, int rank);
    /* A started process of another node is there: the members' .present knows it until its fate is
     * told. */
    void (*note)(sri_host *h, int rank);
    /* Tells the members. The rank may be one of another node, which has no seat here. */
    void (*tell)(sri_host *h, int rank, sri_fate fate, int code);
    /* Its place is free; sends to it are SRI_GONE from now on. */
    void (*unseat)(sri_host *h, int rank);
    /* Readable when a member rings, or a full socket has room again: .poll is to be called. */
    int (*bell)(sri_host *h);
    /* What it waits for; kind 0 if it is not asleep. */
    void (*waiting)(sri_host *h, int rank, sri_waiting *w);
} sri_host_ops;

struct sri_host {
    sri_transport transport; /* .rank is SRI_AGENT */
    const sri_host_ops *ops;
    bool by_socket; /* all frames come by .readable, none by .poll */
};

serry_err sri_host_create_shm(sri_host **h, int size, const sri_sink *sink);
serry_err sri_host_create_socket(sri_host **h, int size, const sri_sink *sink);

/* Member transports, for sri_local_join. Take the descriptors on success. */
serry_err sri_shm_open(sri_transport **t, int socket, const int *fds, int n, const sri_welcome *w,
                       const sri_sink *sink);
serry_err sri_socket_open(sri_transport **t, int socket, const int *fds, int n,
                          const sri_welcome *w, const sri_sink *sink);

/* One packet as an arrival from `source`; false if it is not one of ours. */
bool sri_packet_arrival(const uint8_t *packet, size_t len, int source, int fd, sri_arrival *a);

/* Receives the next packet into SRI_PACKET_MAX bytes, aligned to 16. 1: *a is it, with kind 0 if it
 * is not one of ours; its descriptor is the caller's to close. 0: nothing is there; -1: the socket
 * has ended. Never blocks. */
int sri_packet_next(int socket, uint8_t *packet, int source, sri_arrival *a);

/* The kernel kills this process when the last writer of the pipe is gone. Fails silently where it
 * cannot be arranged (*armed tells); fd is replaced by one of this process's own. */
void sri_lifeline_arm(int *fd, bool *armed);

/* This process goes on without. inherited: it is a copy of the one that armed it, which does not.
 */
void sri_lifeline_close(int *fd, bool inherited);

#ifdef __cplusplus
}
#endif
#endif
