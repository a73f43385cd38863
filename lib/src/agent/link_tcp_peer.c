/* agent/link_tcp_peer.c: frames in and out of one connection. What goes out is written from where
 * it lies, and only what the kernel did not take is copied and kept. What comes in is delivered
 * from where it was read to; a long frame is gathered in memory that grows as its bytes come.
 */
#include "agent/link_tcp.h"

#include <errno.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/uio.h>
#include <unistd.h>

#define PEER_CHUNK ((size_t)32 << 10)
#define PEER_IOVS 16
#define PEER_LONG_BATCH ((size_t)1 << 20) /* bytes of long frames in one poll */

void link_tcp_watch(link_tcp *t, int node, uint32_t events)
{
    struct epoll_event ev = { .events = events, .data.u64 = (uint64_t)node };
    epoll_ctl(t->epoll, EPOLL_CTL_MOD, t->peers[node].fd, &ev); /* a change takes no memory */
}

static void peer_want_out(link_tcp *t, int node, bool want)
{
    link_tcp_peer *p = &t->peers[node];
    if (p->want_out == want)
        return;
    p->want_out = want;
    link_tcp_watch(t, node, want ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

static void peer_drop_out(link_tcp_peer *p)
{
    while (p->out) {
        link_tcp_chunk *c = p->out;
        p->out = c->next;
        free(c);
    }
    p->out_end = &p->out;
    p->backlog = 0;
}

void link_tcp_drop(link_tcp_peer *p)
{
    if (p->fd >= 0)
        close(p->fd);
    p->fd = -1;
    peer_drop_out(p);
    sri_buffer_fini(&p->in);
}

/* Nothing more can go out. What has come is still to be read; the end of it makes poll tell. */
void link_tcp_fail(link_tcp *t, int node, const char *why)
{
    link_tcp_peer *p = &t->peers[node];
    if (p->failed)
        return;
    p->failed = true;
    snprintf(p->why, sizeof p->why, "%s", why);
    peer_drop_out(p);
    peer_want_out(t, node, false);
    shutdown(p->fd, SHUT_RDWR);
}

void link_tcp_lose(link_tcp *t, int node, const char *why)
{
    link_tcp_peer *p = &t->peers[node];
    bool orderly = p->bye || t->said_bye;
    char text[sizeof p->why];
    snprintf(text, sizeof text, "%s", p->failed ? p->why : orderly ? "it said goodbye" : why);
    link_tcp_drop(p);
    if (t->links.sink.lost)
        t->links.sink.lost(t->links.sink.ctx, node, orderly, text);
}

/* ---- out ---- */

/* Keeps what is behind the first `skip` bytes. */
static bool peer_keep(link_tcp_peer *p, const struct iovec *iov, int n, size_t skip)
{
    size_t rest = 0;
    for (int i = 0; i < n; i++)
        rest += iov[i].iov_len;
    rest -= skip;
    link_tcp_chunk *c = NULL;
    if (p->out) {
        c = (link_tcp_chunk *)(void *)((char *)p->out_end - offsetof(link_tcp_chunk, next));
        if (c->cap - c->len < rest)
            c = NULL;
    }
    if (!c) {
        size_t cap = rest > PEER_CHUNK ? rest : PEER_CHUNK;
        c = malloc(sizeof *c + cap);
        if (!c)
            return false;
        *c = (link_tcp_chunk){ .cap = cap };
        *p->out_end = c;
        p->out_end = &c->next;
    }
    p->backlog += rest;
    for (int i = 0; i < n; i++) {
        size_t len = iov[i].iov_len;
        size_t from = skip < len ? skip : len;
        skip -= from;
        if (len > from)
            memcpy(c->bytes + c->len, (const uint8_t *)iov[i].iov_base + from, len - from);
        c->len += len - from;
    }
    return true;
}

/* How much of it the kernel took; -1: the connection is gone (errno). */
static ssize_t peer_send(link_tcp *t, link_tcp_peer *p, struct iovec *iov, int n)
{
    size_t sent = 0;
    for (;;) {
        struct msghdr m = { .msg_iov = iov, .msg_iovlen = (size_t)n };
        ssize_t took = sendmsg(p->fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (took < 0 && errno == EINTR)
            continue;
        if (took < 0 && (errno == EAGAIN || errno == ENOBUFS || errno == ENOMEM))
            break;
        if (took < 0)
            return -1;
        sent += (size_t)took;
        while (n > 0 && (size_t)took >= iov->iov_len) {
            took -= (ssize_t)iov->iov_len;
            iov++;
            n--;
        }
        if (n == 0)
            break;
        iov->iov_base = (uint8_t *)iov->iov_base + took;
        iov->iov_len -= (size_t)took;
    }
    if (sent && t->heartbeat)
        p->said = sri_now();
    return (ssize_t)sent;
}

static struct iovec peer_iov(const void *bytes, size_t len)
{
    return (struct iovec){ (void *)(uintptr_t)bytes, len };
}

bool link_tcp_write(link_tcp *t, int node, const link_head *head, const sri_link_frame *f)
{
    static const uint8_t zeros[16];
    link_tcp_peer *p = &t->peers[node];
    struct iovec whole[4], left[4];
    int n = 0;
    size_t sent = 0;
    whole[n++] = peer_iov(head, sizeof *head);
    if (f && f->head_len)
        whole[n++] = peer_iov(f->head, f->head_len);
    if (f && f->body_len)
        whole[n++] = peer_iov(f->body, f->body_len);
    size_t padding = (size_t)(link_tcp_padded(head->len) - head->len);
    if (padding)
        whole[n++] = peer_iov(zeros, padding);
    size_t total = 0;
    for (int i = 0; i < n; i++)
        total += whole[i].iov_len;

    if (!p->out && (p->round != t->round || total > LINK_TCP_JOINED)) {
        p->round = t->round;
        memcpy(left, whole, sizeof left);
        ssize_t took = peer_send(t, p, left, n);
        if (took < 0) {
            link_tcp_fail(t, node, strerror(errno));
            return true;
        }
        sent = (size_t)took;
    }
    if (sent == total)
        return true;
    if (!peer_keep(p, whole, n, sent)) {
        link_tcp_fail(t, node, "there is no memory to keep what goes there");
        return false;
    }
    peer_want_out(t, node, true);
    return true;
}

void link_tcp_say(link_tcp *t, int node, uint16_t word)
{
    link_head head = { .mark = LINK_TCP_WORD, .op = word };
    link_tcp_write(t, node, &head, NULL);
}

bool link_tcp_flush(link_tcp *t, int node)
{
    link_tcp_peer *p = &t->peers[node];
    bool any = false;
    while (p->out) {
        struct iovec iov[PEER_IOVS];
        int n = 0;
        size_t total = 0;
        for (link_tcp_chunk *c = p->out; c && n < PEER_IOVS; c = c->next) {
            iov[n] = peer_iov(c->bytes + c->sent, c->len - c->sent);
            total += iov[n++].iov_len;
        }
        ssize_t took = peer_send(t, p, iov, n);
        if (took < 0) {
            link_tcp_fail(t, node, strerror(errno));
            return true;
        }
        any |= took > 0;
        p->backlog -= (size_t)took;
        for (size_t rest = (size_t)took; rest > 0;) {
            link_tcp_chunk *c = p->out;
            size_t part = c->len - c->sent < rest ? c->len - c->sent : rest;
            c->sent += part;
            rest -= part;
            if (c->sent < c->len)
                break;
            p->out = c->next;
            if (!p->out)
                p->out_end = &p->out;
            free(c);
        }
        if ((size_t)took < total)
            return any;
    }
    peer_want_out(t, node, false);
    return any;
}

/* ---- in ---- */

static const char *peer_check(const link_head *h)
{
    if (h->mark == LINK_TCP_WORD && h->len == 0 && h->op >= LINK_TCP_ALIVE && h->op <= LINK_TCP_BYE)
        return NULL;
    if (h->mark != LINK_TCP_FRAME)
        return "what it sent is no frame";
    return h->len > LINK_FRAME_MAX ? "it announced a frame of impossible length" : NULL;
}

static void peer_arrived(link_tcp *t, int node, const link_head *h, const uint8_t *bytes)
{
    if (h->mark == LINK_TCP_WORD) {
        if (h->op == LINK_TCP_BYE)
            t->peers[node].bye = true;
        return;
    }
    link_head_deliver(&t->links, node, h, bytes);
}

/* What recv said, as what is to be done: true: there are bytes. */
static bool peer_received(link_tcp *t, int node, ssize_t got, bool *any)
{
    link_tcp_peer *p = &t->peers[node];
    if (got > 0) {
        *any = true;
        if (t->heartbeat)
            p->heard = sri_now();
        return true;
    }
    if (got < 0 && (errno == EAGAIN || errno == EINTR || errno == ENOMEM || errno == ENOBUFS))
        return false;
    *any = true;
    link_tcp_lose(t, node, got == 0 ? "the connection has ended" : strerror(errno));
    return false;
}

/* Takes the whole frames that are in the buffer, and puts what is left aside. */
static void peer_parse(link_tcp *t, int node, size_t end)
{
    link_tcp_peer *p = &t->peers[node];
    link_head h;
    size_t at = 0;
    p->in.len = 0;
    while (end - at >= sizeof h) {
        memcpy(&h, t->buffer + at, sizeof h);
        const char *wrong = peer_check(&h);
        if (wrong) {
            link_tcp_lose(t, node, wrong);
            return;
        }
        uint64_t whole = sizeof h + link_tcp_padded(h.len);
        if (whole > end - at) {
            if (whole <= LINK_TCP_SHORT)
                break;
            p->long_frame = true;
            p->head = h;
            at += sizeof h;
            break;
        }
        peer_arrived(t, node, &h, t->buffer + at + sizeof h);
        at += (size_t)whole;
    }
    if (at == end && !p->long_frame)
        sri_buffer_fini(&p->in);
    else if (sri_buffer_add(&p->in, t->buffer + at, end - at) != SERRY_OK)
        link_tcp_lose(t, node, "there is no memory for what it sent");
}

static bool peer_read_short(link_tcp *t, int node)
{
    link_tcp_peer *p = &t->peers[node];
    bool any = false;
    if (p->in.len)
        memcpy(t->buffer, p->in.data, p->in.len);
    ssize_t got = recv(p->fd, t->buffer + p->in.len, LINK_TCP_BUFFER - p->in.len, MSG_DONTWAIT);
    if (peer_received(t, node, got, &any))
        peer_parse(t, node, p->in.len + (size_t)got);
    return any;
}

/* Of a long frame: never more memory than twice what has come, whatever its head says. */
static bool peer_read_long(link_tcp *t, int node)
{
    link_tcp_peer *p = &t->peers[node];
    uint64_t all = link_tcp_padded(p->head.len);
    bool any = false;
    for (size_t batch = 0; batch < PEER_LONG_BATCH;) {
        uint64_t rest = all - p->in.len;
        size_t step = p->in.len > LINK_TCP_BUFFER ? p->in.len : LINK_TCP_BUFFER;
        if (p->in.cap == p->in.len
            && sri_buffer_reserve(&p->in, rest < step ? (size_t)rest : step) != SERRY_OK) {
            link_tcp_lose(t, node, "there is no memory for what it sent");
            return true;
        }
        size_t room = p->in.cap - p->in.len;
        room = room < rest ? room : (size_t)rest;
        room = room < PEER_LONG_BATCH ? room : PEER_LONG_BATCH;
        ssize_t got = recv(p->fd, p->in.data + p->in.len, room, MSG_DONTWAIT);
        if (!peer_received(t, node, got, &any))
            return any;
        p->in.len += (size_t)got;
        batch += (size_t)got;
        if (p->in.len == all) {
            sri_buffer whole = p->in;
            p->in = (sri_buffer){ 0 };
            p->long_frame = false;
            peer_arrived(t, node, &p->head, whole.data);
            sri_buffer_fini(&whole);
            return true;
        }
        if ((size_t)got < room)
            return true;
    }
    return any;
}

bool link_tcp_read(link_tcp *t, int node)
{
    return t->peers[node].long_frame ? peer_read_long(t, node) : peer_read_short(t, node);
}
