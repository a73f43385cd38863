/* agent/link_tcp_join.c: until every pair of nodes is connected. Nothing here waits for one
 * connection: each has its own state and its own deadline, and strangers who connect and say
 * nothing, or nonsense, only take a place until somebody needs it. */
#include "agent/link_tcp_join.h"
#include "base/fds.h"

#include <stdio.h>
#include <stdlib.h>

static void join_event(joining *j, const struct epoll_event *ev)
{
    if (ev->data.u64 == JOIN_LISTENER) {
        if (j->accept_at == 0)
            link_join_accept(j);
    } else if (ev->data.u64 & JOIN_PLACE) {
        link_join_event(j, &j->places[(uint32_t)ev->data.u64]);
    } else if (ev->events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) {
        j->dead = (int)ev->data.u64;
    }
}

static void join_listen(joining *j, bool on)
{
    struct epoll_event ev = { .events = on ? EPOLLIN : 0, .data.u64 = JOIN_LISTENER };
    epoll_ctl(j->t->epoll, EPOLL_CTL_MOD, j->listener, &ev);
}

/* What is due; when to look again. */
static sri_ns join_timers(joining *j, sri_ns now)
{
    sri_ns next = SRI_NEVER;
    if (j->accept_at && j->accept_at <= now) {
        j->accept_at = 0;
        join_listen(j, true);
    } else if (j->accept_at) {
        join_listen(j, false);
        next = j->accept_at;
    }
    if (j->t->heartbeat && j->alive_at <= now) {
        j->t->round++;
        for (int node = 0; node < j->t->links.nodes; node++) {
            if (j->t->peers[node].fd >= 0)
                link_tcp_say(j->t, node, LINK_TCP_ALIVE);
        }
        j->alive_at = now + j->t->heartbeat / 3;
    }
    if (j->t->heartbeat && j->alive_at < next)
        next = j->alive_at;
    for (join_place *p = j->places; p < j->places + j->n && j->err == SERRY_OK; p++) {
        if (p->step == JOIN_FREE)
            continue;
        if (p->deadline <= now && p->step == JOIN_LATER)
            link_join_dial(j, p);
        else if (p->deadline <= now)
            link_join_drop(j, p, "it said nothing for %g s", (double)JOIN_STEP * 1e-9);
        if (p->step != JOIN_FREE && p->deadline < next)
            next = p->deadline;
    }
    return next;
}

/* "nodes 2, 3 are not linked (2: Connection refused)" */
static void join_missing(const joining *j, char *text, size_t cap)
{
    char who[100] = "";
    size_t at = 0;
    int named = 0;
    int first = -1; /* of whom there is something to tell */
    for (int node = 0; node < j->t->links.nodes; node++) {
        if (node == j->t->links.node || j->t->peers[node].fd >= 0)
            continue;
        if (first < 0 && j->reasons[node][0])
            first = node;
        if (named++ < 10)
            at += (size_t)snprintf(who + at, sizeof who - at, at ? ", %d" : "%d", node);
    }
    if (named > 10)
        snprintf(who + at, sizeof who - at, " and %d more", named - 10);
    int n = snprintf(text, cap, "node%s %s %s not linked to node %d", named > 1 ? "s" : "", who,
                     named > 1 ? "are" : "is", j->t->links.node);
    const char *stranger = j->reasons[j->t->links.nodes];
    if (first >= 0)
        snprintf(text + n, cap - (size_t)n, " (%d: %s)", first, j->reasons[first]);
    else if (*stranger)
        snprintf(text + n, cap - (size_t)n, " (others came: %s)", stranger);
}

/* All are needed: those who are here are told, by our end, that it has come to nothing. */
static serry_err join_dead(joining *j)
{
    char missing[400];
    join_missing(j, missing, sizeof missing);
    if (j->dead >= 0)
        return sri_fail(SERRY_EDIED, "node %d ended while the nodes were being linked; %s", j->dead,
                        missing);
    return sri_fail(SERRY_ETIMEDOUT, "not in time: %s", missing);
}

static serry_err join_all(joining *j, sri_ns deadline)
{
    struct epoll_event events[JOIN_EVENTS];
    struct epoll_event ev = { .events = EPOLLIN, .data.u64 = JOIN_LISTENER };
    if (epoll_ctl(j->t->epoll, EPOLL_CTL_ADD, j->listener, &ev) != 0)
        return sri_fail_errno("epoll_ctl");
    while (j->missing > 0) {
        sri_ns now = sri_now();
        sri_ns next = join_timers(j, now);
        if (j->err != SERRY_OK)
            return j->err;
        if (now >= deadline || j->dead >= 0)
            return join_dead(j);
        int n = epoll_wait(j->t->epoll, events, JOIN_EVENTS,
                           sri_poll_timeout(next < deadline ? next : deadline));
        for (int i = 0; i < n && j->err == SERRY_OK; i++)
            join_event(j, &events[i]);
        if (j->err != SERRY_OK)
            return j->err;
    }
    return SERRY_OK;
}

static serry_err join_begin(joining *j)
{
    int nodes = j->t->links.nodes;
    j->n = nodes + JOIN_GUESTS;
    j->missing = nodes - 1;
    j->places = calloc((size_t)j->n, sizeof *j->places);
    j->reasons = calloc((size_t)nodes + 1, sizeof *j->reasons);
    if (!j->places || !j->reasons)
        return sri_fail(SERRY_ENOMEM, "no memory to link %d nodes", nodes);
    for (int i = 0; i < j->n; i++)
        j->places[i].fd = -1;
    for (int i = 0; i < j->t->links.node; i++) {
        j->places[i].node = i;
        j->places[i].step = JOIN_LATER;
        j->places[i].pause = JOIN_PAUSE / 2;
    }
    return SERRY_OK;
}

static void join_end(joining *j)
{
    for (int i = 0; j->places && i < j->n; i++)
        sri_close(&j->places[i].fd);
    free(j->places);
    free(j->reasons);
}

serry_err sri_links_tcp_open(sri_links **l, int listener, int node, int nodes,
                             const char (*addresses)[SRI_LINK_ADDRESS],
                             const uint8_t key[SRI_LINK_KEY], double heartbeat, sri_ns deadline)
{
    joining j = { .listener = listener, .addresses = addresses, .key = key, .dead = -1 };
    serry_err e = SERRY_OK;
    if (nodes < 1 || nodes > SRI_NODES_MAX || node < 0 || node >= nodes)
        e = sri_fail(SERRY_EINVAL, "node %d of %d: there are 1 to %d", node, nodes, SRI_NODES_MAX);
    else if (!(heartbeat >= 0 && heartbeat < 1e9))
        e = sri_fail(SERRY_EINVAL, "a heartbeat of %g s", heartbeat);
    else
        e = link_tcp_create(&j.t, node, nodes, (sri_ns)(heartbeat * 1e9));
    if (e == SERRY_OK)
        e = join_begin(&j);
    if (e == SERRY_OK)
        e = join_all(&j, deadline);
    if (e == SERRY_OK) {
        sri_ns now = sri_now();
        for (int i = 0; i < nodes; i++) {
            if (j.t->peers[i].fd < 0)
                continue;
            j.t->peers[i].heard = now;
            link_tcp_watch(j.t, i, j.t->peers[i].out ? EPOLLIN | EPOLLOUT : EPOLLIN);
        }
        j.t->next_tick = now;
        *l = &j.t->links;
    } else if (j.t) {
        link_tcp_free(j.t);
    }
    join_end(&j);
    sri_close(&listener);
    return e;
}
