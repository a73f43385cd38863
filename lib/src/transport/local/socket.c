/* transport/local/socket.c: the seam's operations of a member over packet sockets. */
#include "transport/local/socket.h"

#include "base/grow.h"
#include "base/log.h"
#include "transport/nothing.h"

#include <errno.h>
#include <stdalign.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define SOCKET_BATCH 64
#define SOCKET_EVENTS 32
#define SOCKET_RANKS (1u << 20)

/* LOST: its end is closed; what became of it, the agent is about to tell. */
enum { PEER_UNKNOWN, PEER_ASKED, PEER_OPEN, PEER_LIMIT, PEER_LOST, PEER_GONE };

#define SOCKET_NEWS SRI_MS(1000) /* so long is waited for what the agent has to tell */
#define SOCKET_LOOK SRI_MS(20)   /* how often peers that are lost or unwatched are looked at */

typedef struct socket_peer {
    int fd;
    uint8_t state;
    bool full; /* EPOLLOUT is asked for */
    bool left;
    bool unwatched; /* open, but epoll has refused it so far */
    sri_ns lost_at;
    bool known; /* a started process that was introduced */
} socket_peer;

typedef struct socket_member {
    sri_transport transport;
    int control;
    int epoll;
    int waker; /* eventfd */
    int lifeline;
    bool has_lifeline;
    bool agent_full;
    bool agent_gone;
    bool agent_told;
    socket_peer *peers; /* by rank */
    uint32_t ranks;
    uint32_t n_odd; /* peers that are lost or unwatched */
} socket_member;

/* What an epoll event is about: a rank, or one of these. */
#define EVENT_CONTROL UINT64_C(0xffffffff)
#define EVENT_WAKER UINT64_C(0xfffffffe)

static socket_member *socket_of(sri_transport *t)
{
    return (socket_member *)(void *)t;
}

sri_sent sri_socket_packet(int fd, const sri_frame *f)
{
    sri_packet_head head = {
        .kind = f->kind, .flags = f->flags, .mark = SRI_PACKET_MARK, .aux = f->aux
    };
    uint8_t front[sizeof head + SRI_HEAD_MAX];
    memcpy(front, &head, sizeof head);
    if (f->head_len)
        memcpy(front + sizeof head, f->head, f->head_len);
    int code = sri_packet_send(fd, front, sizeof head + f->head_len, f->body, f->body_len, &f->fd,
                               f->fd >= 0 ? 1 : 0);
    if (code == 0)
        return SRI_SENT;
    return sri_packet_refused(code) ? SRI_FULL : SRI_GONE;
}

static socket_peer *socket_peer_of(socket_member *s, int rank)
{
    if (rank < 0 || (uint32_t)rank >= SOCKET_RANKS)
        return NULL;
    uint32_t r = (uint32_t)rank;
    if (r >= s->ranks) {
        size_t n = s->ranks;
        socket_peer *more = sri_grow(s->peers, &n, (size_t)r + 1, sizeof *more);
        if (!more)
            return NULL;
        for (size_t i = s->ranks; i < n; i++)
            more[i] = (socket_peer){ .fd = -1 };
        s->peers = more;
        s->ranks = (uint32_t)n;
    }
    return &s->peers[r];
}

/* Adding may fail for want of memory; a change does not, but is tried again rather than be deaf. */
static bool socket_watch(socket_member *s, int op, int fd, uint32_t events, uint64_t what)
{
    struct epoll_event ev = { .events = events, .data.u64 = what };
    for (int tries = 0; epoll_ctl(s->epoll, op, fd, &ev) != 0; tries++) {
        if (op == EPOLL_CTL_MOD && tries < 10)
            continue;
        if (op != EPOLL_CTL_DEL)
            sri_log(SRI_LOG_ERROR, "epoll_ctl: %s", strerror(errno));
        return false;
    }
    return true;
}

static sri_sent socket_send_agent(socket_member *s, const sri_frame *f)
{
    sri_sent sent = sri_socket_packet(s->control, f);
    if (sent == SRI_FULL && !s->agent_full) {
        s->agent_full = true;
        socket_watch(s, EPOLL_CTL_MOD, s->control, EPOLLIN | EPOLLOUT, EVENT_CONTROL);
    }
    if (sent == SRI_GONE)
        s->agent_gone = true;
    return sent;
}

static void socket_close_peer(socket_member *s, socket_peer *p)
{
    if (p->fd >= 0) {
        socket_watch(s, EPOLL_CTL_DEL, p->fd, 0, 0);
        sri_close(&p->fd);
    }
    p->full = p->unwatched = false;
}

static void socket_lose_peer(socket_member *s, socket_peer *p)
{
    socket_close_peer(s, p);
    p->state = p->left ? PEER_GONE : PEER_LOST;
    p->lost_at = sri_now();
    s->n_odd++;
}

/* True if a peer is no longer what it was. */
static bool socket_look_after(socket_member *s)
{
    bool any = false;
    s->n_odd = 0;
    for (uint32_t r = 0; r < s->ranks; r++) {
        socket_peer *p = &s->peers[r];
        if (p->unwatched && socket_watch(s, EPOLL_CTL_ADD, p->fd, EPOLLIN, r)) {
            p->unwatched = false;
            any = true;
        }
        if (p->state == PEER_LOST && sri_now() - p->lost_at > SOCKET_NEWS) {
            p->state = PEER_GONE;
            any = true;
        }
        s->n_odd += p->unwatched || p->state == PEER_LOST;
    }
    return any;
}

static sri_sent socket_send(sri_transport *t, int peer, const sri_frame *f)
{
    socket_member *s = socket_of(t);
    if (peer == SRI_AGENT)
        return socket_send_agent(s, f);
    socket_peer *p = socket_peer_of(s, peer);
    if (!p)
        return SRI_GONE;
    if (p->state == PEER_UNKNOWN) {
        sri_frame ask = { .kind = SRI_KIND_LANE, .aux = (uint32_t)peer, .fd = -1 };
        if (socket_send_agent(s, &ask) == SRI_SENT)
            p->state = PEER_ASKED;
        return SRI_FULL;
    }
    if (p->state == PEER_LIMIT) {
        p->state = PEER_UNKNOWN;
        return SRI_LIMIT;
    }
    if (p->state != PEER_OPEN)
        return p->state == PEER_GONE ? SRI_GONE : SRI_FULL;
    sri_sent sent = sri_socket_packet(p->fd, f);
    if (sent == SRI_FULL && !p->full) {
        p->full = true;
        socket_watch(s, EPOLL_CTL_MOD, p->fd, EPOLLIN | EPOLLOUT, (uint32_t)peer);
    }
    if (sent == SRI_GONE) {
        socket_lose_peer(s, p);
        return p->state == PEER_GONE ? SRI_GONE : SRI_FULL;
    }
    return sent;
}

/* Delivers up to `batch` packets of one socket. False: the sink said stop. *ended: end of file. */
static bool socket_read(socket_member *s, int fd, int source, int batch, bool *any, bool *ended);

static void socket_lane(socket_member *s, const sri_arrival *a)
{
    int fd = a->fd;
    sri_socket_lane lane;
    socket_peer *p = a->aux < SOCKET_RANKS ? socket_peer_of(s, (int)a->aux) : NULL;
    if (!p || a->len != sizeof lane || p->state == PEER_OPEN) {
        sri_close(&fd);
        return;
    }
    memcpy(&lane, a->bytes, sizeof lane);
    if (lane.sent == SRI_SENT && fd >= 0) {
        p->fd = fd;
        p->state = PEER_OPEN;
        p->unwatched = !socket_watch(s, EPOLL_CTL_ADD, fd, EPOLLIN, a->aux);
        s->n_odd += p->unwatched;
    } else if (p->state != PEER_GONE) {
        p->state = lane.sent == SRI_GONE ? PEER_GONE : PEER_LIMIT;
    }
}

static void socket_event(socket_member *s, const sri_arrival *a)
{
    sri_socket_event event;
    socket_peer *p = a->aux < SOCKET_RANKS ? socket_peer_of(s, (int)a->aux) : NULL;
    if (!p || a->len != sizeof event)
        return;
    memcpy(&event, a->bytes, sizeof event);
    if (event.fate == 0) {
        p->known = true;
        return;
    }
    bool any = true;
    bool ended = false;
    while (p->state == PEER_OPEN && any && !ended) {
        any = false;
        socket_read(s, p->fd, (int)a->aux, SOCKET_BATCH, &any, &ended);
        p = &s->peers[a->aux];
    }
    p->left = true;
    if (event.fate != SRI_FATE_LEFT) {
        socket_close_peer(s, p);
        p->state = PEER_GONE;
    } else if (p->state == PEER_LOST) {
        p->state = PEER_GONE;
    }
    s->transport.sink.fate(s->transport.sink.ctx, (int)a->aux, (sri_fate)event.fate, event.code);
}

static bool socket_read(socket_member *s, int fd, int source, int batch, bool *any, bool *ended)
{
    alignas(16) uint8_t packet[SRI_PACKET_MAX];
    for (int i = 0; i < batch; i++) {
        sri_arrival a;
        int came = sri_packet_next(fd, packet, source, &a);
        if (came == 0)
            return true;
        if (came < 0) {
            *ended = true;
            return true;
        }
        *any = true;
        if (a.kind == 0)
            continue;
        if (a.kind == SRI_KIND_EVENT && source == SRI_AGENT)
            socket_event(s, &a);
        else if (a.kind == SRI_KIND_LANE && source == SRI_AGENT)
            socket_lane(s, &a);
        else if (!s->transport.sink.deliver(s->transport.sink.ctx, &a))
            return false;
    }
    return true;
}

static bool socket_handle(socket_member *s, const struct epoll_event *ev, bool *any)
{
    bool ended = false;
    bool go_on = true;
    if (ev->data.u64 == EVENT_WAKER) {
        uint64_t rung;
        ssize_t ignored = read(s->waker, &rung, sizeof rung);
        (void)ignored;
        return true;
    }
    if (ev->data.u64 == EVENT_CONTROL) {
        if (ev->events & EPOLLOUT) {
            s->agent_full = false;
            *any = true;
            socket_watch(s, EPOLL_CTL_MOD, s->control, EPOLLIN, EVENT_CONTROL);
        }
        if (ev->events & (EPOLLIN | EPOLLHUP | EPOLLERR))
            go_on = socket_read(s, s->control, SRI_AGENT, SOCKET_BATCH, any, &ended);
        if (ended)
            s->agent_gone = true;
        return go_on;
    }
    int rank = (int)ev->data.u64;
    socket_peer *p = &s->peers[rank];
    if (p->state != PEER_OPEN)
        return true;
    if (ev->events & EPOLLOUT) {
        p->full = false;
        *any = true;
        socket_watch(s, EPOLL_CTL_MOD, p->fd, EPOLLIN, (uint32_t)rank);
    }
    if (ev->events & (EPOLLIN | EPOLLHUP | EPOLLERR))
        go_on = socket_read(s, p->fd, rank, SOCKET_BATCH, any, &ended);
    if (ended) {
        /* All it sent has been read. */
        socket_lose_peer(s, &s->peers[rank]);
    }
    return go_on;
}

static bool socket_poll(sri_transport *t)
{
    socket_member *s = socket_of(t);
    struct epoll_event events[SOCKET_EVENTS];
    bool any = false;
    int n = epoll_wait(s->epoll, events, SOCKET_EVENTS, 0);
    for (int i = 0; i < n; i++) {
        if (!socket_handle(s, &events[i], &any))
            return true;
    }
    if (__builtin_expect(s->n_odd > 0, 0))
        any |= socket_look_after(s);
    if (s->agent_gone && !s->agent_told) {
        s->agent_told = true;
        t->sink.fate(t->sink.ctx, SRI_AGENT, SRI_FATE_DIED, 0);
        any = true;
    }
    return any;
}

static void socket_sleep(sri_transport *t, sri_ns deadline)
{
    socket_member *s = socket_of(t);
    sri_ns soon = sri_now() + SOCKET_LOOK;
    sri_fd_wait(s->epoll, 1 /* POLLIN */, s->n_odd > 0 && soon < deadline ? soon : deadline);
}

static void socket_wake(sri_transport *t)
{
    uint64_t one = 1;
    ssize_t ignored = write(socket_of(t)->waker, &one, sizeof one);
    (void)ignored;
}

/* As far as the agent has told. A frame to a started process not heard of yet goes all the same:
 * the agent refuses the lane if there is no such rank. */
static bool socket_present(sri_transport *t, int peer)
{
    socket_member *s = socket_of(t);
    if (peer == SRI_AGENT)
        return !s->agent_gone;
    socket_peer *p = socket_peer_of(s, peer);
    return p && (peer < s->transport.size || p->known) && p->state != PEER_GONE
           && p->state != PEER_LOST && !p->left;
}

static int socket_members(sri_transport *t)
{
    return t->size; /* started processes are not heard of by all */
}

static void socket_close(sri_transport *t, bool inherited)
{
    socket_member *s = socket_of(t);
    sri_lifeline_close(&s->lifeline, inherited);
    for (uint32_t i = 0; i < s->ranks; i++)
        sri_close(&s->peers[i].fd);
    if (!inherited) /* a forked copy may hold it open for longer */
        shutdown(s->control, SHUT_RDWR);
    sri_close(&s->control);
    sri_close(&s->epoll);
    sri_close(&s->waker);
    free(s->peers);
    free(s);
}

static const sri_transport_ops socket_ops = {
    .name = "socket",
    .send = socket_send,
    .poll = socket_poll,
    .arm = sri_nothing_arm, /* sockets stay readable */
    .sleep = socket_sleep,
    .wake = socket_wake,
    .present = socket_present,
    .members = socket_members,
    .cell = sri_nothing_cell,
    .ring_agent = sri_nothing_ring,
    .publish = sri_nothing_publish,
    .close = socket_close,
};

serry_err sri_socket_open(sri_transport **t, int socket, const int *fds, int n,
                          const sri_welcome *w, const sri_sink *sink)
{
    serry_err e;
    socket_member *s = calloc(1, sizeof *s);
    if (!s)
        return sri_fail(SERRY_ENOMEM, "no memory for a transport");
    s->control = socket;
    s->lifeline = n > 0 ? fds[0] : -1;
    s->epoll = sri_fd_high(epoll_create1(EPOLL_CLOEXEC));
    if (s->epoll < 0) {
        e = sri_fail_errno("epoll_create1");
        goto free_member;
    }
    s->waker = sri_fd_high(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (s->waker < 0) {
        e = sri_fail_errno("eventfd");
        goto close_epoll;
    }
    if (!socket_watch(s, EPOLL_CTL_ADD, s->control, EPOLLIN, EVENT_CONTROL)
        || !socket_watch(s, EPOLL_CTL_ADD, s->waker, EPOLLIN, EVENT_WAKER)) {
        e = sri_fail_errno("epoll_ctl");
        goto close_waker;
    }
    if (s->lifeline >= 0)
        sri_lifeline_arm(&s->lifeline, &s->has_lifeline);
    s->transport = (sri_transport){ .ops = &socket_ops,
                                    .sink = *sink,
                                    .frame_max = SRI_SOCKET_FRAME_MAX,
                                    .rank = w->rank,
                                    .size = w->size };
    *t = &s->transport;
    return SERRY_OK;

close_waker:
    close(s->waker);
close_epoll:
    close(s->epoll);
free_member:
    free(s);
    return e;
}
