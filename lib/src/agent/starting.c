/* agent/starting.c: new members: their seats, the nursery, from which processes are forked, and
 * where they are put. */
#include "agent/far.h"

#include <errno.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

static void starting_name(char out[64], agent_member *parent, const char *name)
{
    parent->children++;
    if (name && name[0])
        snprintf(out, 64, "%.63s", name);
    else if (parent->launched)
        snprintf(out, 64, "Process-%u", parent->children);
    else
        snprintf(out, 64, "%.50s:%u", parent->name, parent->children);
}

/* A new member with a socket of its own; *other is the end for the process-to-be. */
static serry_err starting_seat(sri_agent *a, agent_member *parent, const char *name, bool daemon,
                               agent_member **m, int *other)
{
    int pair[2];
    if (a->releasing)
        return sri_fail(SERRY_ESTATE,
                        "all launched ranks have finalized: nothing is started any more");
    SRI_TRY(sri_socket_pair(pair));
    const sri_places *places = &a->options.places;
    serry_err e =
        agent_new_rank(a, sri_places_started(places, places->node, a->n_started), pair[0], m);
    if (e != SERRY_OK) {
        close(pair[0]);
        close(pair[1]);
        return e;
    }
    a->n_started++;
    (*m)->parent = parent->rank;
    (*m)->daemon = daemon;
    starting_name((*m)->name, parent, name);
    far_admit_member(a, *m);
    *other = pair[1];
    return SERRY_OK;
}

/* A memfd that holds the bytes; -1: there are none. */
static serry_err starting_argument(const void *arg, size_t len, int *fd)
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
static int starting_send_order(sri_agent *a, const agent_order *o)
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

static void starting_free_order(agent_order *o)
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
        if (!far_admitted(a, agent_member_of(a, o->rank)))
            break;
        int code = starting_send_order(a, o);
        if (sri_packet_refused(code))
            break; /* it has many to start */
        a->orders = o->next;
        starting_free_order(o); /* if it did not go, the seat's socket ends by this */
        any = true;
    }
    return any;
}

void agent_drop_orders(sri_agent *a)
{
    while (a->orders) {
        agent_order *o = a->orders;
        a->orders = o->next;
        starting_free_order(o);
    }
}

serry_err agent_check_clean(const sri_agent *a)
{
    if (a->nursery < 0 && a->nursery_settled)
        return sri_fail(SERRY_ESTATE, "there is no clean copy of the program on this node to start "
                                      "processes from");
    return SERRY_OK;
}

/* Asks the nursery, now or when it has come. Takes the socket on success. */
static serry_err starting_by_nursery(sri_agent *a, const agent_member *m, int socket,
                                     const sri_fnref *fn, const void *arg, size_t len)
{
    SRI_TRY(agent_check_clean(a));
    agent_order *o = calloc(1, sizeof *o);
    if (!o)
        return sri_fail(SERRY_ENOMEM, "no memory for an order");
    serry_err e = starting_argument(arg, len, &o->argument);
    if (e != SERRY_OK) {
        free(o);
        return e;
    }
    o->rank = m->rank;
    o->parent = m->parent;
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
    SRI_TRY(starting_seat(a, p, name, daemon, &m, &other));
    serry_err e = starting_by_nursery(a, m, other, fn, arg, len);
    if (e != SERRY_OK) {
        sri_kept_error kept = sri_error_keep(e);
        close(other);
        agent_member_ended(a, m);
        return sri_error_again(&kept);
    }
    *rank = m->rank;
    return SERRY_OK;
}

/* ---- START ---- */

/* A node for a process that may run on any: where the fewest members are, as far as is known here;
 * this one if it is no worse, else the first. */
static int starting_any_node(const sri_agent *a)
{
    int nodes = a->options.places.nodes;
    int best = a->options.places.node;
    uint32_t *members = a->links ? calloc((size_t)nodes, sizeof *members) : NULL;
    if (!members)
        return best;
    for (int r = 0; r < a->n_ranks; r++) {
        const agent_member *m = a->members[r];
        if (m && m->state != AGENT_GONE && m->state != AGENT_RELEASED)
            members[m->node]++;
    }
    for (int node = 0; node < nodes; node++) {
        if (!a->far_nodes[node].ended && members[node] < members[best])
            best = node;
    }
    free(members);
    return best;
}

/* The new member is known to all: the asker is told, and gets its socket if he forks it. */
static void starting_answer(sri_agent *a, sri_asker who, int rank, int socket)
{
    sri_agent_started done = { .process = agent_process_id(a, rank), .rank = rank };
    if (socket < 0) {
        agent_answer(a, who, SERRY_OK, &done, sizeof done);
        return;
    }
    sri_frame f = { .kind = SRI_KIND_REPLY,
                    .aux = who.number,
                    .head = &done,
                    .head_len = sizeof done,
                    .fd = socket };
    agent_send(a, who.rank, &f);
    close(socket);
}

void agent_push_starters(sri_agent *a)
{
    while (a->starters && far_admitted(a, agent_member_of(a, a->starters->rank))) {
        agent_starter *s = a->starters;
        a->starters = s->next;
        starting_answer(a, s->who, s->rank, s->socket);
        free(s);
    }
}

void agent_drop_starters(sri_agent *a)
{
    while (a->starters) {
        agent_starter *s = a->starters;
        a->starters = s->next;
        sri_close(&s->socket);
        free(s);
    }
}

/* Answers now, or when all agents know of it. Takes the socket. */
static void starting_done(sri_agent *a, sri_asker who, agent_member *m, int socket)
{
    if (far_admitted(a, m)) {
        starting_answer(a, who, m->rank, socket);
        return;
    }
    agent_starter *s = calloc(1, sizeof *s);
    if (!s) {
        sri_close(&socket);
        agent_refuse(a, who, sri_fail(SERRY_ENOMEM, "no memory to start a process"));
        if (m->state == AGENT_SEATED)
            agent_member_ended(a, m);
        return;
    }
    *s = (agent_starter){ .rank = m->rank, .who = who, .socket = socket };
    agent_starter **end = &a->starters;
    while (*end)
        end = &(*end)->next;
    *end = s;
}

static void starting_by_agent(sri_agent *a, sri_asker who, const sri_agent_start *args,
                              const uint8_t *arg, size_t len)
{
    int rank;
    serry_err e =
        agent_start_process(a, who.rank, &args->fn, arg, len, args->name, args->daemon, &rank);
    if (e == SERRY_OK)
        starting_done(a, who, agent_member_of(a, rank), -1);
    else
        agent_refuse(a, who, e);
}

static void starting_by_asker(sri_agent *a, sri_asker who, agent_member *parent,
                              const sri_agent_start *args)
{
    agent_member *m;
    int other;
    serry_err e = starting_seat(a, parent, args->name, args->daemon, &m, &other);
    if (e == SERRY_OK)
        starting_done(a, who, m, other);
    else
        agent_refuse(a, who, e);
}

/* On the node of the parent, or, forwarded from there, on the one that was chosen. */
void agent_start(sri_agent *a, sri_asker who, const uint8_t *bytes, size_t len)
{
    sri_agent_start args;
    agent_member *parent = agent_member_of(a, who.rank);
    if (len < sizeof args || !parent)
        return;
    memcpy(&args, bytes, sizeof args);
    bytes += sizeof args;
    len -= sizeof args;
    args.name[sizeof args.name - 1] = 0;
    if (args.node < 0)
        args.node = starting_any_node(a);
    serry_err e = far_check_node(a, args.node);
    if (e == SERRY_OK && parent->daemon)
        e = sri_fail(SERRY_EPERM, "%s is a daemon: it may not start processes", parent->name);
    if (e != SERRY_OK) {
        agent_refuse(a, who, e);
    } else if (args.node != a->options.places.node) {
        char name[sizeof args.name];
        starting_name(name, parent, args.name);
        memcpy(args.name, name, sizeof name);
        args.by_agent = 1;
        far_ask(a, who, args.node, SRI_AGENT_START, &args, sizeof args, bytes, len);
    } else if (args.by_agent) {
        starting_by_agent(a, who, &args, bytes, len);
    } else {
        starting_by_asker(a, who, parent, &args);
    }
}

/* ---- the nursery ---- */

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
