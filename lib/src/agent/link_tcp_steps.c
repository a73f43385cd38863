/* agent/link_tcp_steps.c: the steps by which a connection becomes a link, or nothing; see
 * link_tcp_hello.h for what is said. None waits. */
#include "agent/link_tcp_join.h"
#include "base/fds.h"
#include "base/log.h"
#include "base/sha256.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static bool join_dials(const joining *j, const join_place *p)
{
    return p - j->places < j->t->links.node;
}

static void join_watch(joining *j, int op, join_place *p, uint32_t events)
{
    struct epoll_event ev = { .events = events,
                              .data.u64 = JOIN_PLACE | (uint64_t)(p - j->places) };
    if (epoll_ctl(j->t->epoll, op, p->fd, &ev) != 0)
        j->err = sri_fail_errno("epoll_ctl");
}

void link_join_drop(joining *j, join_place *p, const char *why, ...)
{
    int node = p->node;
    if (node < 0 || p->step == JOIN_SHOWN)
        node = j->t->links.nodes;
    if (p->step != JOIN_SHOWN) {
        va_list ap;
        va_start(ap, why);
        vsnprintf(j->reasons[node], JOIN_REASON, why, ap);
        va_end(ap);
        sri_log(SRI_LOG_DEBUG, "node %d: a connection with %s %d failed: %s", j->t->links.node,
                p->node < 0 ? "a stranger" : "node", p->node, j->reasons[node]);
    }
    sri_close(&p->fd);
    if (!join_dials(j, p)) {
        p->step = JOIN_FREE;
        return;
    }
    p->step = JOIN_LATER;
    p->pause = p->pause * 2 < JOIN_PAUSE_MOST ? p->pause * 2 : JOIN_PAUSE_MOST;
    p->deadline = sri_now() + p->pause;
}

/* There is no point in trying again. */
static void join_refused(joining *j, join_place *p, uint32_t why)
{
    char text[JOIN_REASON];
    link_refusal_text(text, sizeof text, (link_refusal)why, &p->mine, &p->theirs);
    j->err = sri_fail(why == LINK_NO_KEY ? SERRY_EPERM : SERRY_EINVAL,
                      "node %d cannot be linked to node %d at %s: %s", j->t->links.node, p->node,
                      j->addresses[p->node], text);
}

/* A new connection takes all of so few bytes at once, or is of no use. */
static bool join_say(joining *j, join_place *p, const void *bytes, size_t len)
{
    ssize_t sent = send(p->fd, bytes, len, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent == (ssize_t)len)
        return true;
    link_join_drop(j, p, "%s", sent < 0 ? strerror(errno) : "it takes no bytes");
    return false;
}

static void join_step_to(join_place *p, join_step step)
{
    p->step = step;
    p->got = 0;
    p->deadline = sri_now() + JOIN_STEP;
}

/* Both have proved it: a link. */
static void join_done(joining *j, join_place *p)
{
    link_tcp_peer *peer = &j->t->peers[p->node];
    peer->fd = p->fd;
    peer->heard = peer->said = sri_now();
    /* Of a node that is ready before us nothing is read yet, but its end is seen. */
    struct epoll_event ev = { .events = EPOLLRDHUP, .data.u64 = (uint64_t)p->node };
    if (epoll_ctl(j->t->epoll, EPOLL_CTL_MOD, p->fd, &ev) != 0)
        j->err = sri_fail_errno("epoll_ctl");
    p->fd = -1;
    p->step = JOIN_FREE;
    j->missing--;
}

/* ---- room ---- */

static bool join_no_room(int code)
{
    return code == EMFILE || code == ENFILE || code == ENOMEM || code == ENOBUFS;
}

/* Shows out the guest who has been here for longest, if for so long at least: one of this world is
 * done in less, or comes again. */
static bool join_make_room(joining *j, sri_ns stay)
{
    join_place *oldest = NULL;
    for (join_place *p = j->places + j->t->links.node; p < j->places + j->n; p++) {
        if (p->step != JOIN_FREE && (!oldest || p->since < oldest->since))
            oldest = p;
    }
    if (!oldest || sri_now() - oldest->since < stay)
        return false;
    link_join_drop(j, oldest, "too many connections from strangers");
    return true;
}

/* ---- who dials ---- */

static void join_greet(joining *j, join_place *p)
{
    serry_err e = link_hello_make(&p->mine, j->t->links.node, p->node, j->t->links.nodes);
    if (e != SERRY_OK) {
        j->err = e;
        return;
    }
    join_watch(j, EPOLL_CTL_MOD, p, EPOLLIN);
    if (join_say(j, p, &p->mine, sizeof p->mine))
        join_step_to(p, JOIN_GREETED);
}

void link_join_dial(joining *j, join_place *p)
{
    struct sockaddr_storage to;
    socklen_t len;
    int one = 1;
    serry_err e = link_tcp_parse(j->addresses[p->node], &to, &len);
    if (e != SERRY_OK) {
        j->err = e;
        return;
    }
    do {
        p->fd = sri_fd_high(socket(to.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    } while (p->fd < 0 && join_no_room(errno) && join_make_room(j, 0));
    if (p->fd < 0) {
        j->err = sri_fail_errno("a socket for a link");
        return;
    }
    setsockopt(p->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    join_step_to(p, JOIN_DIALLED);
    if (connect(p->fd, (struct sockaddr *)&to, len) != 0 && errno != EINPROGRESS)
        link_join_drop(j, p, "%s: %s", j->addresses[p->node], strerror(errno));
    else
        join_watch(j, EPOLL_CTL_ADD, p, EPOLLOUT);
}

static void join_dialled(joining *j, join_place *p)
{
    int code = 0;
    socklen_t len = sizeof code;
    if (getsockopt(p->fd, SOL_SOCKET, SO_ERROR, &code, &len) != 0)
        code = errno;
    if (code)
        link_join_drop(j, p, "%s: %s", j->addresses[p->node], strerror(code));
    else
        join_greet(j, p);
}

static void join_answered(joining *j, join_place *p)
{
    link_hello *h = &p->theirs;
    memcpy(h, p->in, sizeof *h);
    if (memcmp(h->magic, LINK_HELLO_MAGIC, sizeof h->magic) != 0) {
        link_join_drop(j, p, "what answers at %s is no agent", j->addresses[p->node]);
        return;
    }
    uint32_t why = h->refusal;
    if (h->order != LINK_HELLO_ORDER)
        why = LINK_OTHER_ORDER;
    else if (h->version != LINK_HELLO_VERSION)
        why = LINK_OTHER_VERSION;
    else if (h->from != (uint32_t)p->node)
        why = LINK_OTHER_NODE;
    if (why) {
        join_refused(j, p, why);
        return;
    }
    link_hello_prove(&p->proofs, j->key, &p->mine, h);
    join_step_to(p, JOIN_PROVE);
}

static void join_proved(joining *j, join_place *p)
{
    if (!sri_secret_equal(p->in, p->proofs.acceptor, LINK_PROOF_LEN)) {
        link_join_drop(j, p, "what answers at %s does not have the key of this world",
                       j->addresses[p->node]);
        return;
    }
    if (!join_say(j, p, p->proofs.dialler, LINK_PROOF_LEN))
        return;
    join_step_to(p, JOIN_HOPE);
    p->deadline = SRI_NEVER; /* it may count us as connected by now: no second try */
}

static void join_judged(joining *j, join_place *p)
{
    link_verdict v;
    memcpy(&v, p->in, sizeof v);
    if (v.refusal)
        join_refused(j, p, v.refusal);
    else
        join_done(j, p);
}

/* ---- who is dialled ---- */

static join_place *join_guest_place(joining *j)
{
    for (join_place *p = j->places + j->t->links.node;; p++) {
        if (p == j->places + j->n) {
            join_make_room(j, 0);
            p = j->places + j->t->links.node;
        }
        if (p->step == JOIN_FREE)
            return p;
    }
}

void link_join_accept(joining *j)
{
    int one = 1;
    for (int i = 0; i < JOIN_EVENTS; i++) {
        int fd = sri_fd_high(accept4(j->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK));
        if (fd < 0 && join_no_room(errno)) {
            snprintf(j->reasons[j->t->links.nodes], JOIN_REASON, "accept: %s", strerror(errno));
            if (join_make_room(j, JOIN_STAY))
                continue;
            j->accept_at = sri_now() + JOIN_PAUSE; /* it stays readable for as long */
        }
        if (fd < 0)
            return;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        join_place *p = join_guest_place(j);
        *p = (join_place){ .fd = fd, .node = -1, .since = sri_now() };
        join_step_to(p, JOIN_GUEST);
        join_watch(j, EPOLL_CTL_ADD, p, EPOLLIN);
    }
}

static void join_show_out(joining *j, join_place *p)
{
    shutdown(p->fd, SHUT_WR);
    join_step_to(p, JOIN_SHOWN);
    (void)j;
}

static void join_guest(joining *j, join_place *p)
{
    link_hello *h = &p->theirs;
    memcpy(h, p->in, sizeof *h);
    if (memcmp(h->magic, LINK_HELLO_MAGIC, sizeof h->magic) != 0) {
        link_join_drop(j, p, "a stranger connected");
        return;
    }
    link_refusal why = link_hello_check(h, j->t->links.node, j->t->links.nodes);
    serry_err e = link_hello_make(&p->mine, j->t->links.node, (int)h->from, j->t->links.nodes);
    if (e != SERRY_OK) {
        j->err = e;
        return;
    }
    p->mine.refusal = why;
    link_hello_prove(&p->proofs, j->key, h, &p->mine);
    if (!join_say(j, p, &p->mine, sizeof p->mine))
        return;
    if (why) {
        link_refusal_text(j->reasons[j->t->links.nodes], JOIN_REASON, why, &p->mine, h);
        join_show_out(j, p);
        return;
    }
    p->node = (int)h->from;
    if (join_say(j, p, p->proofs.acceptor, LINK_PROOF_LEN))
        join_step_to(p, JOIN_PROBE);
}

static void join_probe(joining *j, join_place *p)
{
    link_verdict v = { .magic = { 'l', 'i', 'n', 'k' } };
    bool twice = j->t->peers[p->node].fd >= 0;
    if (!sri_secret_equal(p->in, p->proofs.dialler, LINK_PROOF_LEN)) {
        snprintf(j->reasons[p->node], JOIN_REASON,
                 "who said he was this node does not have the key of this world");
        v.refusal = LINK_NO_KEY;
    } else if (twice) {
        v.refusal = LINK_TWICE;
    }
    if (!join_say(j, p, &v, sizeof v))
        return;
    if (v.refusal)
        join_show_out(j, p);
    else
        join_done(j, p);
}

/* ---- what comes ---- */

/* What a step waits for, in bytes, and who takes it. */
static const struct {
    size_t len;
    void (*take)(joining *j, join_place *p);
} join_steps[] = {
    [JOIN_GREETED] = { sizeof(link_hello), join_answered },
    [JOIN_PROVE] = { LINK_PROOF_LEN, join_proved },
    [JOIN_HOPE] = { sizeof(link_verdict), join_judged },
    [JOIN_GUEST] = { sizeof(link_hello), join_guest },
    [JOIN_PROBE] = { LINK_PROOF_LEN, join_probe },
};

static void join_readable(joining *j, join_place *p)
{
    uint8_t waste[512];
    while (p->fd >= 0 && j->err == SERRY_OK) {
        bool shown = p->step == JOIN_SHOWN;
        size_t need = shown ? sizeof waste : join_steps[p->step].len - p->got;
        ssize_t got = recv(p->fd, shown ? waste : p->in + p->got, need, MSG_DONTWAIT);
        if (got < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (got <= 0) {
            link_join_drop(j, p, "the connection ended before the key was proved%s%s",
                           got < 0 ? ": " : "", got < 0 ? strerror(errno) : "");
            return;
        }
        if (shown)
            return; /* the rest another time: others wait */
        p->got += (size_t)got;
        if (p->got == join_steps[p->step].len)
            join_steps[p->step].take(j, p);
    }
}

void link_join_event(joining *j, join_place *p)
{
    if (p->fd < 0)
        return; /* closed since */
    if (p->step == JOIN_DIALLED)
        join_dialled(j, p);
    else
        join_readable(j, p);
}
