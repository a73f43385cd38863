/* agent/link_tcp.c: links over TCP: one connection for each pair of nodes, one epoll descriptor
 * over all, and a heartbeat that tells a silent host from one that has nothing to say. */
#include "agent/link_tcp.h"

#include "base/fds.h"

#include <errno.h>
#include <linux/sockios.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define TCP_EVENTS 64
#define TCP_CLOSE SRI_MS(1000)

static link_tcp *tcp_of(sri_links *l)
{
    return (link_tcp *)(void *)l;
}

static link_tcp_peer *tcp_peer(link_tcp *t, int node)
{
    if (node < 0 || node >= t->links.nodes || t->peers[node].fd < 0)
        return NULL;
    return &t->peers[node];
}

static bool tcp_send(sri_links *l, int node, const sri_link_frame *f)
{
    link_tcp *t = tcp_of(l);
    link_tcp_peer *p = tcp_peer(t, node);
    if (!p || p->failed)
        return true;
    link_head head = link_head_of(LINK_TCP_FRAME, f);
    return link_tcp_write(t, node, &head, f);
}

/* Says a word where nothing was said for a while, and gives up those of whom nothing was heard: not
 * before what they sent has been read, since it may be us who were away. */
static bool tcp_tick(link_tcp *t, sri_ns now)
{
    bool any = false;
    sri_ns third = t->heartbeat / 3;
    t->next_tick = now + third;
    for (int node = 0; node < t->links.nodes; node++) {
        link_tcp_peer *p = tcp_peer(t, node);
        if (!p)
            continue;
        int unread = 0;
        if (now - p->heard >= t->heartbeat && ioctl(p->fd, FIONREAD, &unread) == 0 && unread == 0) {
            char why[64];
            snprintf(why, sizeof why, "nothing was heard of it for %g s",
                     (double)t->heartbeat * 1e-9);
            link_tcp_lose(t, node, why);
            any = true;
            continue;
        }
        if (!p->failed && !p->out && now - p->said >= third)
            link_tcp_say(t, node, LINK_TCP_ALIVE);
        sri_ns silent = p->heard + t->heartbeat;
        sri_ns speak = p->said + third;
        if (silent > now && silent < t->next_tick)
            t->next_tick = silent;
        if (speak > now && speak < t->next_tick)
            t->next_tick = speak;
    }
    return any;
}

static bool tcp_poll(sri_links *l)
{
    link_tcp *t = tcp_of(l);
    struct epoll_event events[TCP_EVENTS];
    bool any = false;
    if (t->polling)
        return false;
    t->polling = true;
    t->round++;
    int n = epoll_wait(t->epoll, events, TCP_EVENTS, 0);
    for (int i = 0; i < n; i++) {
        int node = (int)events[i].data.u64;
        if ((events[i].events & EPOLLOUT) && tcp_peer(t, node))
            any |= link_tcp_flush(t, node);
        if ((events[i].events & ~(uint32_t)EPOLLOUT) && tcp_peer(t, node))
            any |= link_tcp_read(t, node);
    }
    if (t->heartbeat) {
        sri_ns now = sri_now();
        if (now >= t->next_tick)
            any |= tcp_tick(t, now);
    }
    t->polling = false;
    return any;
}

static int tcp_fd(sri_links *l)
{
    return tcp_of(l)->epoll;
}

static sri_ns tcp_deadline(sri_links *l)
{
    link_tcp *t = tcp_of(l);
    return t->heartbeat ? t->next_tick : SRI_NEVER;
}

static size_t tcp_backlog(sri_links *l, int node)
{
    link_tcp_peer *p = tcp_peer(tcp_of(l), node);
    return p ? p->backlog : 0;
}

static void tcp_cut(sri_links *l, int node, const char *why)
{
    link_tcp *t = tcp_of(l);
    link_tcp_peer *p = tcp_peer(t, node);
    if (p && p->out && !p->failed)
        link_tcp_flush(t, node);
    if (p)
        link_tcp_fail(t, node, why);
}

static void tcp_bye(sri_links *l)
{
    link_tcp *t = tcp_of(l);
    if (t->said_bye)
        return;
    t->said_bye = true;
    for (int node = 0; node < l->nodes; node++) {
        link_tcp_peer *p = tcp_peer(t, node);
        if (p && !p->failed)
            link_tcp_say(t, node, LINK_TCP_BYE);
    }
}

/* ---- the end ---- */

/* Pushes out what was kept, then our end of the stream. True: there it is, acknowledged, so that
 * closing with something unread, which resets the connection, loses nothing. What comes is read
 * and forgotten. */
static bool tcp_settled(link_tcp *t, int node, bool *ended)
{
    link_tcp_peer *p = &t->peers[node];
    int unsent = 0;
    for (int i = 0; i < 16; i++) {
        ssize_t got = recv(p->fd, t->buffer, LINK_TCP_BUFFER, MSG_DONTWAIT);
        if (got < 0 && errno != EAGAIN && errno != EINTR)
            return true;
        if (got == 0)
            return true; /* who has ended its side reads no more */
        if (got < 0)
            break;
    }
    if (p->out)
        link_tcp_flush(t, node);
    if (p->failed)
        return true;
    if (p->out)
        return false;
    if (!*ended) {
        *ended = true;
        shutdown(p->fd, SHUT_WR);
    }
    return ioctl(p->fd, SIOCOUTQ, &unsent) != 0 || unsent == 0;
}

static void tcp_settle(link_tcp *t)
{
    sri_ns until = sri_now() + TCP_CLOSE;
    bool *ended = calloc((size_t)t->links.nodes, sizeof *ended);
    if (!ended)
        return;
    for (;;) {
        int left = 0;
        for (int node = 0; node < t->links.nodes; node++) {
            if (!tcp_peer(t, node))
                continue;
            if (tcp_settled(t, node, &ended[node]))
                link_tcp_drop(&t->peers[node]);
            else
                left++;
        }
        if (left == 0 || sri_now() >= until)
            break;
        poll(NULL, 0, 1); /* an acknowledgement wakes nobody */
    }
    free(ended);
}

static void tcp_close(sri_links *l)
{
    tcp_settle(tcp_of(l));
    link_tcp_free(tcp_of(l));
}

void link_tcp_free(link_tcp *t)
{
    for (int node = 0; node < t->links.nodes; node++)
        link_tcp_drop(&t->peers[node]);
    sri_close(&t->epoll);
    free(t->buffer);
    free(t);
}

static const sri_links_ops tcp_ops = {
    .name = "tcp",
    .send = tcp_send,
    .poll = tcp_poll,
    .fd = tcp_fd,
    .deadline = tcp_deadline,
    .backlog = tcp_backlog,
    .cut = tcp_cut,
    .bye = tcp_bye,
    .close = tcp_close,
};

serry_err link_tcp_create(link_tcp **out, int node, int nodes, sri_ns heartbeat)
{
    link_tcp *t = calloc(1, sizeof *t + (size_t)nodes * sizeof *t->peers);
    if (!t)
        return sri_fail(SERRY_ENOMEM, "no memory for links to %d nodes", nodes);
    t->links = (sri_links){ .ops = &tcp_ops, .node = node, .nodes = nodes };
    t->heartbeat = heartbeat;
    t->round = 1;
    for (int i = 0; i < nodes; i++) {
        t->peers[i].fd = -1;
        t->peers[i].out_end = &t->peers[i].out;
    }
    t->buffer = aligned_alloc(16, LINK_TCP_BUFFER);
    t->epoll = sri_fd_high(epoll_create1(EPOLL_CLOEXEC));
    if (t->buffer && t->epoll >= 0) {
        *out = t;
        return SERRY_OK;
    }
    serry_err e = t->buffer ? sri_fail_errno("epoll_create1")
                            : sri_fail(SERRY_ENOMEM, "no memory for links to %d nodes", nodes);
    link_tcp_free(t);
    return e;
}
