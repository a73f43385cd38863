/* agent/agent.c: the loop. Busy, it polls lanes, yields for a while, and then sleeps on its
 * descriptors: the bell, sockets, pidfds, and what its launcher watches. */
#include "agent/far.h"
#include "base/env.h"
#include "base/futex.h"
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#define AGENT_EVENTS 64
/* Idle polls before the first yield; and when all who asked have been answered: they may ask again
 * at once. */
#define AGENT_SPINS 10
#define AGENT_SPINS_ANSWERED 50
#define AGENT_YIELD SRI_US(200)
#define AGENT_YIELD_LEAST SRI_US(5)
#define AGENT_LOOK_EVERY 256 /* rounds of polling between two looks at descriptors */

#define AGENT_FAR_EVERY 16 /* rounds of polling between two looks at the links, unless idle */

#define MAX_MESSAGE_DEFAULT (UINT64_C(4) << 30)

serry_err sri_agent_options_read(sri_agent_options *o)
{
    static const char *const lanes[] = { "shm", "socket" };
    int which = 0;
    int64_t max = (int64_t)MAX_MESSAGE_DEFAULT;
    SRI_TRY(sri_env_word("SERRY_LANES", lanes, 2, &which));
    SRI_TRY(sri_env_int("SERRY_MAX_MESSAGE", 1, INT64_C(1) << 46, &max));
    o->lanes = which == 0 ? SRI_LANES_SHM : SRI_LANES_SOCKET;
    o->max_message = (uint64_t)max;
    return SERRY_OK;
}

serry_err agent_epoll(sri_agent *a, int fd, uint64_t what)
{
    struct epoll_event ev = { .events = EPOLLIN, .data.u64 = what };
    if (epoll_ctl(a->epoll, EPOLL_CTL_ADD, fd, &ev) != 0)
        return sri_fail_errno("epoll_ctl");
    return SERRY_OK;
}

/* ---- what arrives ---- */

/* There is no memory for a chain: it is passed over, and its sender is told if he waits for it. */
static void agent_lose_chain(sri_agent *a, agent_member *m)
{
    sri_asker who = { .rank = m->rank, .number = m->chain_head.number };
    static const char text[] = "the agent has no memory for a long request";
    m->chain_lost = false;
    if (who.number) {
        agent_answer(a, who, SERRY_ENOMEM, text, sizeof text - 1);
        return;
    }
    sri_log(SRI_LOG_ERROR, "no memory for a long post of rank %d: it is ended", m->rank);
    agent_end_member(a, m, 9);
}

/* Long requests come as a chain; what they announce is not believed, only what comes. */
static void agent_chain(sri_agent *a, agent_member *m, const sri_arrival *f)
{
    if (!m->chained) {
        m->chain_aux = f->aux;
        m->chain_head = (sri_request_head){ 0 };
        memcpy(&m->chain_head, f->bytes,
               f->len < sizeof m->chain_head ? f->len : sizeof m->chain_head);
    }
    m->chained = f->flags & SRI_FLAG_MORE;
    if (m->chain.len + f->len > a->options.max_message + 65536) {
        sri_log(SRI_LOG_ERROR, "a request of rank %d is too long: it is ended", m->rank);
        agent_end_member(a, m, 9);
        sri_buffer_fini(&m->chain);
        m->chained = false;
        return;
    }
    if (!m->chain_lost && sri_buffer_add(&m->chain, f->bytes, f->len) != SERRY_OK) {
        sri_buffer_fini(&m->chain);
        m->chain_lost = true;
    }
    if (m->chained)
        return;
    if (m->chain_lost) {
        agent_lose_chain(a, m);
        return;
    }
    sri_buffer whole = m->chain;
    m->chain = (sri_buffer){ 0 };
    agent_request(a, m->rank, m->chain_aux, whole.data, whole.len);
    sri_buffer_fini(&whole);
}

static bool agent_deliver(void *ctx, const sri_arrival *f)
{
    sri_agent *a = ctx;
    agent_member *m = agent_member_of(a, f->source);
    int fd = f->fd;
    if (!m || m->state == AGENT_GONE) {
        sri_close(&fd);
    } else if (f->kind == SRI_KIND_JOIN) {
        agent_deliver_join(a, m, f);
    } else if (f->kind == SRI_KIND_REQUEST) {
        a->arrived = fd;
        if (__builtin_expect(m->chained || (f->flags & SRI_FLAG_MORE), 0))
            agent_chain(a, m, f);
        else
            agent_request(a, f->source, f->aux, f->bytes, f->len);
        sri_close(&a->arrived);
    } else if (f->kind == SRI_KIND_ROUTE && a->links) {
        far_route(a, f);
        sri_close(&fd);
    } else {
        sri_log(SRI_LOG_ERROR, "rank %d sent the agent a frame of kind %u", f->source, f->kind);
        sri_close(&fd);
    }
    return true;
}

static void agent_no_fate(void *ctx, int rank, sri_fate fate, int code)
{
    (void)ctx;
    (void)rank;
    (void)fate;
    (void)code;
}

/* ---- life ---- */

static void agent_free_members(sri_agent *a)
{
    for (int r = 0; r < a->n_ranks; r++) {
        agent_member *m = a->members[r];
        if (!m)
            continue;
        agent_drop_late(a, m);
        sri_buffer_fini(&m->chain);
        sri_close(&m->socket);
        sri_close(&m->pidfd);
        for (int i = 0; i < 3; i++)
            sri_close(&m->streams[i]);
        free(m);
    }
    free(a->members);
}

serry_err sri_agent_create(sri_agent **out, const sri_agent_options *o)
{
    sri_sink sink = { .deliver = agent_deliver, .fate = agent_no_fate };
    serry_err e;
    sri_agent *a = calloc(1, sizeof *a);
    if (!a)
        return sri_fail(SERRY_ENOMEM, "no memory for an agent");
    a->options = *o;
    if (o->places.nodes <= 1)
        a->options.places = (sri_places){ .nodes = 1, .size = o->size };
    a->nursery = a->arrived = a->places_table = a->lost = -1;
    sink.ctx = a;
    a->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (a->epoll < 0) {
        e = sri_fail_errno("epoll_create1");
        goto free_agent;
    }
    if (pipe2(a->lifeline, O_CLOEXEC | O_NONBLOCK) != 0) {
        e = sri_fail_errno("pipe");
        goto close_epoll;
    }
    e = o->lanes == SRI_LANES_SHM ? sri_host_create_shm(&a->host, o->size, &sink)
                                  : sri_host_create_socket(&a->host, o->size, &sink);
    if (e != SERRY_OK)
        goto close_lifeline;
    int bell = a->host->ops->bell(a->host);
    if (bell >= 0) {
        e = agent_epoll(a, bell, agent_event(AGENT_EVENT_BELL, 0));
        if (e != SERRY_OK)
            goto close_host;
    }
    if (o->places.nodes > 1) {
        e = sri_places_table(&o->places, &a->places_table);
        if (e != SERRY_OK)
            goto close_host;
    }
    e = agent_objects_init(a);
    if (e != SERRY_OK)
        goto close_table;
    e = far_init(a);
    if (e != SERRY_OK)
        goto free_far;
    *out = a;
    return SERRY_OK;

free_far:
    free(a->far_nodes);
    agent_free_members(a);
    agent_objects_fini(a);
close_table:
    sri_close(&a->places_table);
close_host:
    a->host->transport.ops->close(&a->host->transport, false);
close_lifeline:
    close(a->lifeline[0]);
    close(a->lifeline[1]);
close_epoll:
    close(a->epoll);
free_agent:
    free(a);
    return e;
}

void sri_agent_destroy(sri_agent *a)
{
    if (!a)
        return;
    a->destroying = true;
    agent_objects_fini(a);
    agent_free_members(a);
    while (a->waiters) {
        agent_waiter *w = a->waiters;
        a->waiters = w->next;
        free(w);
    }
    while (a->timers) {
        agent_timer *t = a->timers;
        a->timers = t->next;
        free(t);
    }
    agent_watch *w, *next;
    HASH_ITER (hh, a->watches, w, next) {
        HASH_DEL(a->watches, w);
        free(w);
    }
    agent_drop_orders(a);
    agent_drop_starters(a);
    far_fini(a);
    a->host->transport.ops->close(&a->host->transport, false);
    sri_close(&a->nursery);
    sri_close(&a->places_table);
    close(a->lifeline[0]);
    close(a->lifeline[1]);
    close(a->epoll);
    free(a);
}

/* ---- watches and timers ---- */

serry_err sri_agent_watch(sri_agent *a, int fd, void (*fn)(void *ctx, int fd), void *ctx)
{
    agent_watch *w = calloc(1, sizeof *w);
    if (!w)
        return sri_fail(SERRY_ENOMEM, "no memory to watch a descriptor");
    *w = (agent_watch){ .fd = fd, .fn = fn, .ctx = ctx };
    serry_err e = agent_epoll(a, fd, agent_event(AGENT_EVENT_WATCH, fd));
    if (e != SERRY_OK) {
        free(w);
        return e;
    }
    HASH_ADD_INT(a->watches, fd, w);
    if (SRI_HASHED(hh, w))
        return SERRY_OK;
    epoll_ctl(a->epoll, EPOLL_CTL_DEL, fd, &(struct epoll_event){ 0 });
    free(w);
    return sri_fail(SERRY_ENOMEM, "no memory to watch a descriptor");
}

void sri_agent_unwatch(sri_agent *a, int fd)
{
    agent_watch *w;
    HASH_FIND_INT(a->watches, &fd, w);
    if (!w)
        return;
    struct epoll_event none = { 0 };
    epoll_ctl(a->epoll, EPOLL_CTL_DEL, fd, &none);
    HASH_DEL(a->watches, w);
    free(w);
}

void sri_agent_at(sri_agent *a, sri_ns deadline, void (*fn)(void *ctx), void *ctx)
{
    agent_timer **p = &a->timers;
    while (*p && (*p)->fn != fn)
        p = &(*p)->next;
    if (deadline == SRI_NEVER) {
        agent_timer *t = *p;
        if (t) {
            *p = t->next;
            free(t);
        }
        return;
    }
    if (!*p) {
        *p = calloc(1, sizeof **p);
        if (!*p)
            return;
    }
    (*p)->fn = fn;
    (*p)->ctx = ctx;
    (*p)->deadline = deadline;
}

static sri_ns agent_deadline(sri_agent *a)
{
    sri_ns first = agent_objects_deadline(a);
    for (agent_timer *t = a->timers; t; t = t->next) {
        if (t->deadline < first)
            first = t->deadline;
    }
    return first;
}

static void agent_run_timers(sri_agent *a, sri_ns now)
{
    for (agent_timer **p = &a->timers; *p;) {
        agent_timer *t = *p;
        if (t->deadline > now) {
            p = &t->next;
            continue;
        }
        *p = t->next;
        agent_timer due = *t;
        free(t);
        due.fn(due.ctx);
        p = &a->timers; /* the list may have changed */
    }
    agent_objects_tick(a, now);
}

/* ---- the loop ---- */

static void agent_handle(sri_agent *a, uint64_t what)
{
    int n = (int)(uint32_t)what;
    switch (what >> 32) {
    case AGENT_EVENT_SOCKET:
        agent_member_readable(a, n);
        break;
    case AGENT_EVENT_PIDFD: {
        agent_member *m = agent_member_of(a, n);
        if (m)
            agent_member_ended(a, m);
        break;
    }
    case AGENT_EVENT_WATCH: {
        agent_watch *w;
        HASH_FIND_INT(a->watches, &n, w);
        if (w)
            w->fn(w->ctx, n);
        break;
    }
    case AGENT_EVENT_NURSERY:
        agent_nursery_event(a);
        break;
    case AGENT_EVENT_LINKS:
        far_poll(a);
        break;
    default: /* the bell: the next poll silences it */
        break;
    }
}

static bool agent_round(sri_agent *a)
{
    sri_transport *t = &a->host->transport;
    bool any = t->ops->poll(t);
    if (a->late_members > 0)
        any |= agent_push(a);
    if (__builtin_expect(a->orders != NULL, 0))
        any |= agent_push_orders(a);
    if (__builtin_expect(a->links != NULL, 0) && ++a->far_rounds >= AGENT_FAR_EVERY)
        any |= far_poll(a);
    return any;
}

/* Links without a descriptor are looked at more often than milliseconds can say. */
static int agent_wait(sri_agent *a, struct epoll_event *events, sri_ns deadline)
{
    sri_ns left = a->links && a->far_fd < 0 && deadline != 0 ? deadline - sri_now() : SRI_MS(1);
    if (left > 0 && left < SRI_MS(1)) {
        struct timespec t = { .tv_nsec = left };
        int n = (int)syscall(SYS_epoll_pwait2, a->epoll, events, AGENT_EVENTS, &t, NULL, 0);
        if (n >= 0 || errno != ENOSYS)
            return n;
    }
    return epoll_wait(a->epoll, events, AGENT_EVENTS, sri_poll_timeout(deadline));
}

/* Looks at descriptors, waiting until the deadline (0: not at all). True if there was any. */
static bool agent_look(sri_agent *a, sri_ns deadline)
{
    struct epoll_event events[AGENT_EVENTS];
    int n = agent_wait(a, events, deadline);
    if (n > 0)
        agent_round(a); /* what a process sent before it ended comes before its end */
    for (int i = 0; i < n; i++)
        agent_handle(a, events[i].data.u64);
    agent_members_tick(a);
    return n > 0;
}

static void agent_sleep(sri_agent *a)
{
    sri_transport *t = &a->host->transport;
    sri_ns until = agent_deadline(a);
    sri_ns soon = sri_now() + SRI_MS(5);
    /* Sockets do not ring when they have room again, and a lost socket's process is looked at. */
    bool busy_nursery = a->orders && a->nursery >= 0;
    if ((a->late_members > 0 || a->lost_members > 0 || busy_nursery) && soon < until)
        until = soon;
    if (a->links)
        until = far_deadline(a, until);
    if (t->ops->arm(t))
        agent_look(a, until);
}

void sri_agent_stop(sri_agent *a)
{
    a->stop = true;
}

/* Yielding before sleeping pays while news comes at short intervals, and takes processor time from
 * the ranks while it does not: the time it is tried for follows what it was good for. */
static sri_ns agent_patience(sri_ns patience, sri_ns slept)
{
    if (slept < AGENT_YIELD)
        return AGENT_YIELD;
    return patience > AGENT_YIELD_LEAST ? patience / 2 : 0;
}

void sri_agent_run(sri_agent *a)
{
    sri_ns patience = AGENT_YIELD;
    sri_ns idle_since = 0; /* 0: not idle */
    unsigned spins = 0;
    unsigned rounds = 0;
    a->stop = false;
    while (!a->stop && (a->alive > 0 || far_lingers(a))) {
        bool any = agent_round(a);
        if (__builtin_expect(a->objects_due, 0)) {
            /* A round of polling is one in which all that has been sent is looked at. */
            if (a->host->by_socket)
                agent_look(a, 0);
            agent_objects_tick(a, 1);
            any = true;
        }
        if (++rounds >= AGENT_LOOK_EVERY) {
            rounds = 0;
            any |= agent_look(a, 0);
            agent_run_timers(a, sri_now());
        }
        if (any) {
            spins = 0;
            idle_since = 0;
            continue;
        }
        if (++spins < AGENT_SPINS
            || (spins < AGENT_SPINS_ANSWERED && a->answered && a->owed == 0)) {
            sri_cpu_relax();
            continue;
        }
        a->answered = false;
        a->owed = 0;
        sri_ns now = sri_now();
        if (idle_since == 0)
            idle_since = now;
        if (now - idle_since < patience) {
            if (a->links && far_poll(a))
                idle_since = 0;
            else
                sched_yield();
            continue;
        }
        agent_sleep(a);
        sri_ns woken = sri_now();
        patience = agent_patience(patience, woken - idle_since);
        agent_run_timers(a, woken);
        spins = 0;
        idle_since = 0;
    }
}
