/* agent/link.h: links, the way frames travel between the agents of two nodes. They know no objects,
 * members or patterns; what a frame means is the agent's business (agent/far.c).
 *
 * Frames of one pair of nodes arrive whole, once, and in the order they were sent, until the link
 * is lost; a lost link stays lost. All calls are made by the agent's one thread; none blocks, save
 * open, which the caller bounds by a deadline.
 */
#ifndef SRI_LINK_H
#define SRI_LINK_H

#include "base/clock.h"
#include "transport/places.h"
#include "transport/transport.h"

#include <serry/error.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sri_link_frame {
    uint8_t kind; /* sri_far_kind, of agent/far.h; links only carry it */
    uint8_t flags;
    uint16_t op;
    int32_t source; /* rank, or -1: the agent */
    int32_t dest;   /* likewise */
    uint64_t aux;
    const void *head; /* head and body arrive as one run, of any length */
    size_t head_len;
    const void *body;
    size_t body_len;
} sri_link_frame;

/* A frame as it arrives: bytes are valid during the call, aligned to 16. */
typedef struct sri_link_arrival {
    int node; /* it comes from */
    uint8_t kind;
    uint8_t flags;
    uint16_t op;
    int32_t source;
    int32_t dest;
    uint64_t aux;
    const uint8_t *bytes;
    size_t len;
} sri_link_arrival;

typedef struct sri_link_sink {
    void *ctx;
    void (*deliver)(void *ctx, const sri_link_arrival *f);
    /* Told once for each node that is lost, after everything that came from it has been delivered.
     * orderly: it said goodbye first (.bye). why is for people. Called inside .poll only. */
    void (*lost)(void *ctx, int node, bool orderly, const char *why);
} sri_link_sink;

typedef struct sri_links sri_links;

typedef struct sri_links_ops {
    const char *name; /* "tcp", "transport" */
    /* Sends a frame to a node, or keeps a copy and sends it later, in order. A lost node gets
     * nothing. False: no memory to keep it; the link is then lost, and .poll says so. */
    bool (*send)(sri_links *l, int node, const sri_link_frame *f);
    /* Delivers what has arrived, a bounded batch, and sends what was kept. True if anything moved.
     */
    bool (*poll)(sri_links *l);
    /* Readable when poll has something to do; -1: poll must be called now and then. */
    int (*fd)(sri_links *l);
    /* When poll is to be called at the latest (heartbeats). SRI_NEVER: no need. */
    sri_ns (*deadline)(sri_links *l);
    /* Bytes kept for a node, not yet taken by the network. */
    size_t (*backlog)(sri_links *l, int node);
    /* Ends the link to a node from here: what was sent goes as far as there is room for it, what
     * has come from there may still be delivered, and .poll tells .lost soon, whatever the other
     * side does. */
    void (*cut)(sri_links *l, int node, const char *why);
    /* Says goodbye to every node: the end of the links after it is no failure. Nothing that is sent
     * after it need arrive. */
    void (*bye)(sri_links *l);
    /* Closes and frees. What was kept goes out first if that takes at most a second. */
    void (*close)(sri_links *l);
} sri_links_ops;

struct sri_links {
    const sri_links_ops *ops;
    sri_link_sink sink;
    int node;
    int nodes;
};

/* ---- TCP ---- */

#define SRI_LINK_ADDRESS 64 /* bytes; as text, "192.0.2.1:40123" or "[::1]:40123" */
#define SRI_LINK_KEY 32     /* bytes, known to the agents of one world alone */

/* Listens on an interface (by name, or an address; NULL: the one that leads to the other hosts, or
 * loopback if there is none), at a port the kernel picks. *fd is the listener, address[] how others
 * reach it. Names the interface in its errors. */
serry_err sri_links_tcp_listen(const char *interface, int *fd, char address[SRI_LINK_ADDRESS]);

/* Connects every pair of nodes: who comes second dials. Each side proves by HMAC-SHA-256 over the
 * other's random challenge that it has the key, which never travels; who does not is dropped, and
 * dialling goes on to be heard from others. Takes the listener, even on failure. Blocks until all
 * are connected, or the deadline: SERRY_ETIMEDOUT names the nodes that are missing; SERRY_EDIED:
 * one that was connected has ended meanwhile; SERRY_EINVAL: another version or number of nodes, or
 * a number that two have. heartbeat: seconds of silence after which a host counts as lost (0:
 * never); when idle a link says a word every third of it. */
serry_err sri_links_tcp_open(sri_links **l, int listener, int node, int nodes,
                             const char (*addresses)[SRI_LINK_ADDRESS],
                             const uint8_t key[SRI_LINK_KEY], double heartbeat, sri_ns deadline);

/* ---- over a transport ---- */

/* Links over a transport whose peers are nodes, as open(ctx) makes it with the sink it is given; it
 * is closed with the links. There is no descriptor to wait for (.fd is -1): .poll moves things.
 * Such a transport may not see that a node is lost: then .lost tells of those alone that said
 * goodbye. */
serry_err sri_links_over(sri_links **l,
                         serry_err (*open)(sri_transport **t, const sri_sink *sink, void *ctx),
                         void *ctx, int node, int nodes);

#ifdef __cplusplus
}
#endif
#endif
