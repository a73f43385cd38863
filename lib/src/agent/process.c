/* agent/process.c: the agent's own operations: starting, naming, signalling and joining processes,
 * finalize and abort; and the nursery, from which it has processes forked. */
#include "agent/private.h"
#include "base/log.h"
#include "agent/handle.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PROCESS_GRACE SRI_MS(1000) /* from SIGTERM to SIGKILL, when the world ends */

uint64_t agent_process_id(int rank)
{
    return sri_handle_make(SRI_TYPE_PROCESS, 0, (uint32_t)rank, 1);
}

static agent_member *process_of(sri_agent *a, uint64_t id)
{
    if (sri_handle_class(id) != SRI_TYPE_PROCESS || sri_handle_home(id) != 0
        || sri_handle_generation(id) != 1)
        return NULL;
    return agent_member_of(a, (int)sri_handle_index(id));
}

static void process_refuse(sri_agent *a, sri_asker who, serry_err e)
{
    agent_answer(a, who, e, serry_err_detail(), strlen(serry_err_detail()));
}

/* ---- starting ---- */

static void process_name(agent_member *m, agent_member *parent, const char *name)
{
    parent->children++;
    if (name && name[0])
        snprintf(m->name, sizeof m->name, "%.63s", name);
    else if (parent->launched)
        snprintf(m->name, sizeof m->name, "Process-%u", parent->children);
    else
        snprintf(m->name, sizeof m->name, "%.50s:%u", parent->name, parent->children);
}

/* A new member with a socket of its own; *other is the end for the process-to-be. */
static serry_err process_seat(sri_agent *a, agent_member *parent, const char *name, bool daemon,
                              agent_member **m, int *other)
{
    int pair[2];
    if (a->releasing)
        return sri_fail(SERRY_ESTATE, "all launched ranks have finalized: nothing is started any more");
    SRI_TRY(sri_socket_pair(pair));
    serry_err e = agent_new_rank(a, a->n_ranks < a->options.size ? a->options.size : a->n_ranks,
                                 pair[0], m);
    if (e != SERRY_OK) {
        close(pair[0]);
        close(pair[1]);
        return e;
    }
    (*m)->parent = parent->rank;
    (*m)->daemon = daemon;
    process_name(*m, parent, name);
    *other = pair[1];
    return SERRY_OK;
}

/* A memfd that holds the bytes; -1: there are none. */
static serry_err process_argument(const void *arg, size_t len, int *fd)
{
    *fd = -1;
    if (len == 0)
        return SERRY_OK;
    *fd = memfd_create("serry-arg", MFD_CLOEXEC);
    if (*fd < 0)
        return sri_fail_errno("memfd_create for an argument");
    const uint8_t *at = arg;
    for (size_t left = len; left > 0;) {
        ssize_t n = write(*fd, at, left);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            serry_err e = sri_fail_errno("writing an argument");
            sri_close(fd);
            return e;
        }
        at += n;
        left -= (size_t)n;
    }
    return SERRY_OK;
}

/* 0, or an errno. */
static int process_send_order(sri_agent *a, const agent_order *o)
{
    sri_packet_head head = { .kind = SRI_KIND_REQUEST, .mark = SRI_PACKET_MARK };
    sri_nursery_order start = o->start;
    const agent_member *parent = agent_member_of(a, o->parent);
    int fds[5] = { o->socket, o->argument };
    int n = o->argument >= 0 ? 2 : 1;
    for (int i = 0; i < 3 && parent->streams[2] >= 0; i++) {
        fds[n++] = parent->streams[i];
        start.streams++;
    }
    return sri_packet_send(a->nursery, &head, sizeof head, &start, sizeof start, fds, n);
}

static void process_free_order(agent_order *o)
{
    sri_close(&o->socket);
    sri_close(&o->argument);
    free(o);
}

bool agent_push_orders(sri_agent *a)
{
    bool any = false;
    while (a->nursery >= 0 && a->orders) {
        agent_order *o = a->orders;
        int code = process_send_order(a, o);
        if (sri_packet_refused(code))
            break; /* it has many to start */
        a->orders = o->next;
        process_free_order(o); /* if it did not go, the seat's socket ends by this */
        any = true;
    }
    return any;
}

void agent_drop_orders(sri_agent *a)
{
    while (a->orders) {
        agent_order *o = a->orders;
        a->orders = o->next;
        process_free_order(o);
    }
}

/* Asks the nursery, now or when it has come. Takes the socket on success. */
static serry_err process_by_nursery(sri_agent *a, const agent_member *parent, int socket,
                                    const sri_fnref *fn, const void *arg, size_t len)
{
    if (a->nursery < 0 && a->nursery_settled)
        return sri_fail(SERRY_ESTATE, "there is no clean copy of the program on this node to start "
                                      "processes from");
    agent_order *o = calloc(1, sizeof *o);
    if (!o)
        return sri_fail(SERRY_ENOMEM, "no memory for an order");
    serry_err e = process_argument(arg, len, &o->argument);
    if (e != SERRY_OK) {
        free(o);
        return e;
    }
    o->parent = parent->rank;
    o->socket = socket;
    o->start = (sri_nursery_order){ .fn = *fn, .len = len };
    agent_order **end = &a->orders;
    while (*end)
        end = &(*end)->next;
    *end = o;
    agent_push_orders(a);
    return SERRY_OK;
}

serry_err agent_start_process(sri_agent *a, int parent, const sri_fnref *fn, const void *arg,
                              size_t len, const char *name, bool daemon, int *rank)
{
    agent_member *p = agent_member_of(a, parent);
    agent_member *m;
    int other;
    if (!p || p->state == AGENT_GONE || p->state == AGENT_RELEASED)
        return sri_fail(SERRY_EDIED, "rank %d, which would be the parent, has gone", parent);
    SRI_TRY(process_seat(a, p, name, daemon, &m, &other));
    serry_err e = process_by_nursery(a, p, other, fn, arg, len);
    if (e != SERRY_OK) {
        close(other);
        char text[256];
        snprintf(text, sizeof text, "%s", serry_err_detail());
        agent_member_ended(a, m);
        return sri_fail_text(e, text);
    }
    *rank = m->rank;
    return SERRY_OK;
}

static void process_start(sri_agent *a, sri_asker who, const uint8_t *bytes, size_t len)
{
    sri_agent_start args;
    agent_member *parent = agent_member_of(a, who.rank);
    if (len < sizeof args || !parent)
        return;
    memcpy(&args, bytes, sizeof args);
    args.name[sizeof args.name - 1] = 0;
    sri_agent_started done = { 0 };
    if (parent->daemon) {
        process_refuse(a, who, sri_fail(SERRY_EPERM, "%s is a daemon: it may not start processes",
                                        parent->name));
        return;
    }
    if (args.by_agent) {
        serry_err e = agent_start_process(a, who.rank, &args.fn, bytes + sizeof args,
                                          len - sizeof args, args.name, args.daemon, &done.rank);
        if (e != SERRY_OK) {
            process_refuse(a, who, e);
            return;
        }
        done.process = agent_process_id(done.rank);
        agent_answer(a, who, SERRY_OK, &done, sizeof done);
        return;
    }
    agent_member *m;
    int other;
    serry_err e = process_seat(a, parent, args.name, args.daemon, &m, &other);
    if (e != SERRY_OK) {
        process_refuse(a, who, e);
        return;
    }
    done.rank = m->rank;
    done.process = agent_process_id(m->rank);
    sri_frame f = { .kind = SRI_KIND_REPLY, .aux = who.number, .head = &done,
                    .head_len = sizeof done, .fd = other };
    agent_send(a, who.rank, &f);
    close(other);
}

void agent_take_nursery(sri_agent *a, int fd)
{
    if (a->nursery >= 0) {
        sri_close(&fd);
        return;
    }
    a->nursery_settled = true;
    if (fd < 0 || agent_epoll(a, fd, agent_event(AGENT_EVENT_NURSERY, 0)) != SERRY_OK) {
        sri_close(&fd);
        agent_drop_orders(a);
        return;
    }
    a->nursery = fd;
    /* It is welcomed with the lifeline, like everybody who goes with the agent. */
    sri_packet_head head = { .kind = SRI_KIND_JOIN, .mark = SRI_PACKET_MARK };
    sri_welcome w = { .version = SRI_JOIN_VERSION };
    if (sri_packet_send(fd, &head, sizeof head, &w, sizeof w, &a->lifeline[0], 1) != 0) {
        sri_close(&a->nursery);
        agent_drop_orders(a);
    }
}

void agent_nursery_event(sri_agent *a)
{
    uint8_t packet[SRI_PACKET_MAX];
    int fds[SRI_FDS_MAX];
    int n = 0;
    ssize_t got = sri_packet_recv(a->nursery, packet, sizeof packet, fds, &n);
    for (int i = 0; i < n; i++)
        sri_close(&fds[i]);
    if (got == 0 || (got < 0 && got != -EAGAIN)) {
        sri_close(&a->nursery);
        agent_drop_orders(a);
    }
}

/* ---- waiting for ends ---- */

static void process_joined(sri_agent *a, sri_asker who, uint32_t which, const agent_member *m)
{
    sri_agent_joined joined = { which, m->code };
    agent_answer(a, who, SERRY_OK, &joined, sizeof joined);
}

/* The end of the world: everybody launched has arrived or died. Processes that are still there are
 * daemons, or have lost their parents: they are ended, and then everybody is let go. */
static void process_end_strays(sri_agent *a, int signal)
{
    for (int r = 0; r < a->n_ranks; r++) {
        agent_member *m = a->members[r];
        if (m && !m->launched && m->state != AGENT_GONE)
            agent_end_member(a, m, signal);
    }
}

static void process_kill_strays(void *ctx)
{
    process_end_strays(ctx, SIGKILL);
}

static bool process_strays(const sri_agent *a)
{
    for (int r = 0; r < a->n_ranks; r++) {
        if (a->members[r] && !a->members[r]->launched && a->members[r]->state != AGENT_GONE)
            return true;
    }
    return false;
}

static void process_release(sri_agent *a)
{
    if (a->launched_in > 0)
        return;
    if (process_strays(a)) {
        if (!a->releasing) {
            process_end_strays(a, SIGTERM);
            sri_agent_at(a, sri_now() + PROCESS_GRACE, process_kill_strays, a);
        }
        a->releasing = true;
        return;
    }
    sri_agent_at(a, SRI_NEVER, process_kill_strays, a);
    sri_close(&a->nursery); /* nobody starts anything any more: it ends, and its parent reaps it */
    for (agent_waiter **p = &a->waiters; *p;) {
        agent_waiter *w = *p;
        if (w->op != SRI_AGENT_FINALIZE) {
            p = &w->next;
            continue;
        }
        agent_member *m = agent_member_of(a, w->who.rank);
        m->state = AGENT_RELEASED;
        sri_frame released = { .kind = SRI_KIND_FEED, .aux = 0, .fd = -1 };
        agent_send(a, w->who.rank, &released);
        agent_answer(a, w->who, SERRY_OK, NULL, 0);
        *p = w->next;
        free(w);
    }
}

static bool process_answer_waiter(sri_agent *a, const agent_waiter *w)
{
    for (uint32_t i = 0; i < w->n; i++) {
        const agent_member *m = agent_member_of(a, w->ranks[i]);
        if (m->state == AGENT_GONE) {
            process_joined(a, w->who, i, m);
            return true;
        }
    }
    return false;
}

void agent_waiters_look(sri_agent *a)
{
    for (agent_waiter **p = &a->waiters; *p;) {
        agent_waiter *w = *p;
        if (w->op == SRI_AGENT_JOIN && process_answer_waiter(a, w)) {
            *p = w->next;
            free(w);
        } else {
            p = &w->next;
        }
    }
    process_release(a);
}

void agent_forget_asker(sri_agent *a, int rank)
{
    for (agent_waiter **p = &a->waiters; *p;) {
        agent_waiter *w = *p;
        if (w->who.rank == rank) {
            *p = w->next;
            free(w);
        } else {
            p = &w->next;
        }
    }
}

void agent_own_cancel(sri_agent *a, sri_asker who)
{
    for (agent_waiter **p = &a->waiters; *p; p = &(*p)->next) {
        agent_waiter *w = *p;
        if (w->who.rank != who.rank || w->who.number != who.number)
            continue;
        *p = w->next;
        agent_answer(a, w->who, SERRY_ETIMEDOUT, NULL, 0);
        free(w);
        return;
    }
}

static void process_park(sri_agent *a, agent_waiter *w)
{
    if (w->who.nowait) {
        agent_answer(a, w->who, SERRY_ETIMEDOUT, NULL, 0);
        free(w);
        return;
    }
    w->next = a->waiters;
    a->waiters = w;
}

static void process_join(sri_agent *a, sri_asker who, uint16_t op, const uint8_t *bytes, size_t len)
{
    uint32_t n = (uint32_t)(len / sizeof(uint64_t));
    agent_waiter *w = malloc(sizeof *w + n * sizeof w->ranks[0]);
    if (!w) {
        process_refuse(a, who, sri_fail(SERRY_ENOMEM, "no memory to wait for %u processes", n));
        return;
    }
    *w = (agent_waiter){ .who = who, .op = op, .n = n };
    for (uint32_t i = 0; i < n; i++) {
        uint64_t id;
        memcpy(&id, bytes + i * sizeof id, sizeof id);
        agent_member *m = process_of(a, id);
        if (!m) {
            free(w);
            process_refuse(a, who, sri_fail(SERRY_EHANDLE, "the handle names no process"));
            return;
        }
        w->ranks[i] = m->rank;
    }
    if (process_answer_waiter(a, w))
        free(w);
    else
        process_park(a, w);
}

/* ---- the rest ---- */

static void process_finalize(sri_agent *a, sri_asker who)
{
    agent_member *m = agent_member_of(a, who.rank);
    agent_waiter *w = calloc(1, sizeof *w);
    if (!w)
        return; /* its end will be noticed like any other */
    *w = (agent_waiter){ .who = who, .op = SRI_AGENT_FINALIZE };
    process_park(a, w);
    agent_member_left(a, m);
    process_release(a);
}

static void process_signal(sri_agent *a, sri_asker who, const uint8_t *bytes, size_t len)
{
    sri_agent_signal args;
    if (len < sizeof args)
        return;
    memcpy(&args, bytes, sizeof args);
    agent_member *m = process_of(a, args.process);
    serry_err e = SERRY_OK;
    if (!m)
        e = sri_fail(SERRY_EHANDLE, "the handle names no process");
    else if (m->state == AGENT_GONE)
        e = sri_fail(SERRY_ESTATE, "%s has ended", m->name);
    else if (m->state == AGENT_SEATED)
        m->pending_signal = args.signal;
    else if (m->pidfd >= 0 ? syscall(SYS_pidfd_send_signal, m->pidfd, args.signal, NULL, 0) != 0
                           : kill(m->pid, args.signal) != 0)
        e = sri_fail_errno(m->name);
    if (e == SERRY_OK)
        agent_answer(a, who, SERRY_OK, NULL, 0);
    else
        process_refuse(a, who, e);
}

static void process_info(sri_agent *a, sri_asker who, const uint8_t *bytes, size_t len)
{
    uint64_t id;
    if (len < sizeof id)
        return;
    memcpy(&id, bytes, sizeof id);
    agent_member *m = process_of(a, id);
    if (!m) {
        process_refuse(a, who, sri_fail(SERRY_EHANDLE, "the handle names no process"));
        return;
    }
    sri_agent_info info = { .pid = m->pid, .rank = m->rank, .parent = m->parent,
                            .alive = m->state != AGENT_GONE, .daemon = m->daemon };
    memcpy(info.name, m->name, sizeof info.name);
    agent_answer(a, who, SERRY_OK, &info, sizeof info);
}

static void process_children(sri_agent *a, sri_asker who)
{
    sri_buffer ids = { 0 };
    for (int r = 0; r < a->n_ranks; r++) {
        agent_member *m = a->members[r];
        uint64_t id = agent_process_id(r);
        if (m && m->parent == who.rank && m->state != AGENT_GONE
            && sri_buffer_add(&ids, &id, sizeof id) != SERRY_OK)
            break;
    }
    agent_answer(a, who, SERRY_OK, ids.data, ids.len);
    sri_buffer_fini(&ids);
}

/* Everybody but the one who asked, who ends by himself with his code. */
static void process_abort(sri_agent *a, int asker)
{
    for (int r = 0; r < a->n_ranks; r++) {
        if (a->members[r] && r != asker)
            agent_end_member(a, a->members[r], SIGKILL);
    }
}

static void process_streams(sri_agent *a, sri_asker who)
{
    agent_member *m = agent_member_of(a, who.rank);
    char byte;
    int fds[SRI_FDS_MAX];
    int n = 0;
    if (a->arrived >= 0)
        (void)sri_packet_recv(a->arrived, &byte, 1, fds, &n);
    for (int i = 0; i < n; i++) {
        if (i < 3) {
            sri_close(&m->streams[i]);
            m->streams[i] = fds[i] >= 0 ? fds[i] : -1;
        } else {
            sri_close(&fds[i]);
        }
    }
    agent_answer(a, who, SERRY_OK, NULL, 0);
}

static int process_code(const uint8_t *bytes, size_t len)
{
    int32_t code = 1;
    if (len >= sizeof code)
        memcpy(&code, bytes, sizeof code);
    return code;
}

void agent_own_request(sri_agent *a, sri_asker who, uint16_t op, const uint8_t *bytes, size_t len)
{
    agent_member *m = agent_member_of(a, who.rank);
    switch (op) {
    case SRI_AGENT_FINALIZE:
        process_finalize(a, who);
        break;
    case SRI_AGENT_ABORT:
        if (a->options.aborted)
            a->options.aborted(a->options.ctx, who.rank, process_code(bytes, len));
        process_abort(a, who.rank);
        break;
    case SRI_AGENT_EXIT:
        m->code = process_code(bytes, len) & 0xff;
        m->code_known = true;
        agent_member_left(a, m);
        agent_answer(a, who, SERRY_OK, NULL, 0);
        break;
    case SRI_AGENT_START:
        process_start(a, who, bytes, len);
        break;
    case SRI_AGENT_JOIN:
        process_join(a, who, op, bytes, len);
        break;
    case SRI_AGENT_SIGNAL:
        process_signal(a, who, bytes, len);
        break;
    case SRI_AGENT_INFO:
        process_info(a, who, bytes, len);
        break;
    case SRI_AGENT_CHILDREN:
        process_children(a, who);
        break;
    case SRI_AGENT_STREAMS:
        process_streams(a, who);
        break;
    default:
        process_refuse(a, who, sri_fail(SERRY_EINTERNAL, "the agent knows no operation %u", op));
    }
}
