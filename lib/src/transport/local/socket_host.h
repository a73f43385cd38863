/* transport/local/socket_host.h: what the files of the agent's side of socket lanes share.
 *
 * socket_host.c   seats, lanes, fates; what arrives
 * socket_late.c   the agent's own packets, kept while a socket is full
 */
#ifndef SRI_LOCAL_SOCKET_HOST_H
#define SRI_LOCAL_SOCKET_HOST_H

#include "transport/local/socket.h"

/* A packet of the agent's own (LANE, EVENT) that did not fit the socket, or came before the
 * welcome. */
typedef struct socket_late {
    uint64_t aux;
    uint8_t bytes[8];
    uint8_t kind;
    uint8_t len;
    int fd; /* ours, or -1 */
} socket_late;

typedef struct socket_seat {
    int socket; /* borrowed; -1: nobody */
    bool gone;
    bool far;          /* a started process of another node, which has no socket here */
    bool welcomed;     /* before that, its socket is for the welcome alone */
    bool watched;      /* for room */
    socket_late *late; /* in order */
    uint32_t n_late;
    size_t late_cap;
} socket_seat;

typedef struct socket_host {
    sri_host host;
    socket_seat *seats; /* by rank */
    uint32_t ranks;
    uint32_t n_late; /* seats with something late */
    int room;        /* epoll: readable when a full socket has room again; it is the bell */
    uint64_t *pairs; /* pairs of ranks that have a lane: low rank << 32 | high rank, sorted */
    size_t n_pairs;
    size_t pairs_cap;
} socket_host;

/* NULL: nobody sits there. */
static inline socket_seat *sri_socket_seat_of(socket_host *s, int rank)
{
    if (rank < 0 || (uint32_t)rank >= s->ranks || s->seats[rank].socket < 0)
        return NULL;
    return &s->seats[rank];
}

/* Sends a packet of at most 8 bytes, now or when there is room: SRI_SENT; or SRI_GONE, SRI_LIMIT.
 */
sri_sent sri_socket_post(socket_host *s, int rank, const sri_frame *f);

/* Sends what is late, as far as it goes. True if anything went. */
bool sri_socket_send_late(socket_host *s, socket_seat *seat);

/* What is late goes nowhere. */
void sri_socket_drop_late(socket_host *s, socket_seat *seat);

/* Is the bell to say when its socket has room? */
void sri_socket_watch_room(socket_host *s, socket_seat *seat, bool on);

#endif
