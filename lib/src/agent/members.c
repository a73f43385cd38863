/* agent/members.c: members come: their numbers, seats and hellos. */
#include "agent/far.h"
#include "base/grow.h"
#include "base/log.h"

#include <stdio.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

agent_member *agent_member_of(sri_agent *a, int rank)
{
    return rank >= 0 && rank < a->n_ranks ? a->members[rank] : NULL;
}

bool agent_member_present(sri_agent *a, int rank)
{
    agent_member *m = agent_member_of(a, rank);
    return m && (m->state == AGENT_SEATED || m->state == AGENT_JOINED);
}

static serry_err members_room(sri_agent *a, int rank)
{
    if (rank >= a->members_cap) {
        size_t cap = (size_t)a->members_cap;
        agent_member **more = sri_grow(a->members, &cap, (size_t)rank + 1, sizeof *more);
        if (!more)
            return sri_fail(SERRY_ENOMEM, "no memory for %d members", rank + 1);
        a->members = more;
        a->members_cap = (int)cap;
    }
    while (a->n_ranks <= rank)
        a->members[a->n_ranks++] = NULL;
    return SERRY_OK;
}

serry_err agent_new_rank(sri_agent *a, int rank, int socket, agent_member **out)
{
    SRI_TRY(members_room(a, rank));
    agent_member *m = calloc(1, sizeof *m);
    if (!m)
        return sri_fail(SERRY_ENOMEM, "no memory for rank %d", rank);
    *m = (agent_member){ .rank = rank,
                         .node = a->options.places.node,
                         .state = AGENT_SEATED,
                         .parent = -1,
                         .socket = socket,
                         .pidfd = -1,
                         .streams = { -1, -1, -1 } };
    m->late_end = &m->late;
    serry_err e = a->host->ops->seat(a->host, rank, socket);
    if (e == SERRY_OK)
        e = agent_epoll(a, socket, agent_event(AGENT_EVENT_SOCKET, rank));
    if (e != SERRY_OK) {
        free(m);
        return e;
    }
    a->members[rank] = m;
    a->alive++;
    *out = m;
    return SERRY_OK;
}

/* Of a member elsewhere only the record is here. */
serry_err agent_new_far_rank(sri_agent *a, int rank, agent_member **out)
{
    SRI_TRY(members_room(a, rank));
    agent_member *m = calloc(1, sizeof *m);
    if (!m)
        return sri_fail(SERRY_ENOMEM, "no memory for rank %d", rank);
    *m = (agent_member){ .rank = rank,
                         .node = sri_places_node(&a->options.places, rank),
                         .far = true,
                         .state = AGENT_JOINED,
                         .parent = -1,
                         .socket = -1,
                         .pidfd = -1,
                         .streams = { -1, -1, -1 } };
    m->late_end = &m->late;
    a->members[rank] = m;
    *out = m;
    return SERRY_OK;
}

serry_err sri_agent_seat(sri_agent *a, int rank, int fd)
{
    agent_member *m;
    serry_err e = agent_member_of(a, rank) ? sri_fail(SERRY_EINVAL, "rank %d has a seat", rank)
                                           : agent_new_rank(a, rank, fd, &m);
    if (e != SERRY_OK) {
        close(fd);
        return e;
    }
    m->launched = true;
    a->launched_in++;
    snprintf(m->name, sizeof m->name, "Rank-%d", rank);
    return SERRY_OK;
}

/* ---- joining ---- */

/* Answers a hello, or ends what cannot be answered: nobody waits for a welcome in vain. */
static serry_err members_welcome(sri_agent *a, agent_member *m, serry_err e)
{
    sri_packet_head head = { .kind = SRI_KIND_JOIN, .mark = SRI_PACKET_MARK };
    sri_welcome w = { .version = SRI_JOIN_VERSION,
                      .rank = m->rank,
                      .size = a->options.size,
                      .parent = m->parent,
                      .daemon = m->daemon,
                      .node = a->options.places.node,
                      .nodes = a->options.places.nodes,
                      .table = a->places_table >= 0,
                      .max_message = a->options.max_message,
                      .process = agent_process_id(a, m->rank),
                      .parent_process = m->parent >= 0 ? agent_process_id(a, m->parent) : 0 };
    int fds[SRI_FDS_MAX];
    int n = 0;
    if (e == SERRY_OK)
        e = a->host->ops->welcome(a->host, m->rank, &w, fds, &n);
    w.err = (uint32_t)e;
    if (e == SERRY_OK) {
        /* The process that was started by hand is the user's own: it is told, not killed. */
        if (!(m->rank == 0 && a->options.direct)) {
            w.lifeline = 1;
            fds[n++] = a->lifeline[0];
        }
        if (w.table)
            fds[n++] = a->places_table;
    } else {
        snprintf(w.text, sizeof w.text, "%s", serry_err_detail());
    }
    int code = sri_packet_send(m->socket, &head, sizeof head, &w, sizeof w, fds, n);
    if (code != 0) {
        sri_log(SRI_LOG_INFO, "rank %d could not be welcomed: %s", m->rank, strerror(code));
        shutdown(m->socket, SHUT_RDWR);
    }
    return e;
}

void agent_deliver_join(sri_agent *a, agent_member *m, const sri_arrival *f)
{
    sri_hello hello;
    int fd = f->fd;
    if (f->len != sizeof hello) {
        sri_close(&fd);
        return;
    }
    memcpy(&hello, f->bytes, sizeof hello);
    if (hello.role == SRI_JOIN_NURSERY) {
        agent_take_nursery(a, fd); /* the descriptor is the nursery's socket */
        return;
    }
    if (m->state != AGENT_SEATED || hello.version != SRI_JOIN_VERSION) {
        serry_err e = sri_fail(SERRY_ESTATE, "rank %d has joined already", m->rank);
        SERRY_IGNORE(members_welcome(a, m, e));
        sri_close(&fd);
        return;
    }
    m->state = AGENT_JOINED;
    m->pid = hello.pid;
    m->pidfd = fd >= 0 ? fd : (int)syscall(SYS_pidfd_open, hello.pid, 0);
    if (m->pidfd >= 0
        && agent_epoll(a, m->pidfd, agent_event(AGENT_EVENT_PIDFD, m->rank)) != SERRY_OK)
        sri_close(&m->pidfd);
    if (members_welcome(a, m, SERRY_OK) != SERRY_OK)
        m->state = AGENT_SEATED; /* its socket ends, and it with it */
    else if (m->pending_signal)
        agent_end_member(a, m, m->pending_signal);
}
