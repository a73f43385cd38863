/* agent/loop.c: the loop. Busy, it polls lanes, yields for a while, and then sleeps on its
 * descriptors: the bell, sockets, pidfds, and what its launcher watches. */
#include "agent/far.h"
#include "base/futex.h"

#include <errno.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LOOP_EVENTS 64
/* Idle polls before the first yield; and when all who asked have been answered: they may ask again
 * at once. */
#define LOOP_SPINS 10
#define LOOP_SPINS_ANSWERED 50
#define LOOP_YIELD SRI_US(200)
#define LOOP_YIELD_LEAST SRI_US(5)
#define LOOP_LOOK_EVERY 256 /* rounds of polling between two looks at descriptors */

#define LOOP_FAR_EVERY 16 /* rounds of polling between two looks at the links, unless idle */

/* ---- watches and timers ---- */

serry_err agent_epoll(sri_agent *a, int fd, uint64_t what)
{
    struct epoll_event ev = { .events = EPOLLIN, .data.u64 = what };
    if (epoll_ctl(a->epoll, EPOLL_CTL_ADD, fd, &ev) != 0)
        return sri_fail_errno("epoll_ctl");
    return SERRY_OK;
}

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

static sri_ns loop_deadline(sri_agent *a)
{
    sri_ns first = agent_objects_deadline(a);
    for (agent_timer *t = a->timers; t; t = t->next) {
        if (t->deadline < first)
            first = t->deadline;
    }
    return first;
}

static void loop_run_timers(sri_agent *a, sri_ns now)
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

static void loop_handle(sri_agent *a, uint64_t what)
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

static bool loop_round(sri_agent *a)
{
    sri_transport *t = &a->host->transport;
    bool any = t->ops->poll(t);
    if (a->late_members > 0)
        any |= agent_push(a);
    if (__builtin_expect(a->orders != NULL, 0))
        any |= agent_push_orders(a);
    if (__builtin_expect(a->links != NULL, 0) && ++a->far_rounds >= LOOP_FAR_EVERY)
        any |= far_poll(a);
    return any;
}

/* Links without a descriptor are looked at more often than milliseconds can say. */
static int loop_wait(sri_agent *a, struct epoll_event *events, sri_ns deadline)
{
    sri_ns left = a->links && a->far_fd < 0 && deadline != 0 ? deadline - sri_now() : SRI_MS(1);
    if (left > 0 && left < SRI_MS(1)) {
        struct timespec t = { .tv_nsec = left };
        int n = (int)syscall(SYS_epoll_pwait2, a->epoll, events, LOOP_EVENTS, &t, NULL, 0);
        if (n >= 0 || errno != ENOSYS)
            return n;
    }
    return epoll_wait(a->epoll, events, LOOP_EVENTS, sri_poll_timeout(deadline));
}

/* Looks at descriptors, waiting until the deadline (0: not at all). True if there was any. */
static bool loop_look(sri_agent *a, sri_ns deadline)
{
    struct epoll_event events[LOOP_EVENTS];
    int n = loop_wait(a, events, deadline);
    if (n > 0)
        loop_round(a); /* what a process sent before it ended comes before its end */
    for (int i = 0; i < n; i++)
        loop_handle(a, events[i].data.u64);
    agent_members_tick(a);
    return n > 0;
}

static void loop_sleep(sri_agent *a)
{
    sri_transport *t = &a->host->transport;
    sri_ns until = loop_deadline(a);
    sri_ns soon = sri_now() + SRI_MS(5);
    /* Sockets do not ring when they have room again, and a lost socket's process is looked at. */
    bool busy_nursery = a->orders && a->nursery >= 0;
    if ((a->late_members > 0 || a->lost_members > 0 || busy_nursery) && soon < until)
        until = soon;
    if (a->links)
        until = far_deadline(a, until);
    if (t->ops->arm(t))
        loop_look(a, until);
}

void sri_agent_stop(sri_agent *a)
{
    a->stop = true;
}

/* Yielding before sleeping pays while news comes at short intervals, and takes processor time from
 * the ranks while it does not: the time it is tried for follows what it was good for. */
static sri_ns loop_patience(sri_ns patience, sri_ns slept)
{
    if (slept < LOOP_YIELD)
        return LOOP_YIELD;
    return patience > LOOP_YIELD_LEAST ? patience / 2 : 0;
}

void sri_agent_run(sri_agent *a)
{
    sri_ns patience = LOOP_YIELD;
    sri_ns idle_since = 0; /* 0: not idle */
    unsigned spins = 0;
    unsigned rounds = 0;
    a->stop = false;
    while (!a->stop && (a->alive > 0 || far_lingers(a))) {
        bool any = loop_round(a);
        if (__builtin_expect(a->objects_due, 0)) {
            /* A round of polling is one in which all that has been sent is looked at. */
            if (a->host->by_socket)
                loop_look(a, 0);
            agent_objects_tick(a, 1);
            any = true;
        }
        if (++rounds >= LOOP_LOOK_EVERY) {
            rounds = 0;
            any |= loop_look(a, 0);
            loop_run_timers(a, sri_now());
        }
        if (any) {
            spins = 0;
            idle_since = 0;
            continue;
        }
        if (++spins < LOOP_SPINS || (spins < LOOP_SPINS_ANSWERED && a->answered && a->owed == 0)) {
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
        loop_sleep(a);
        sri_ns woken = sri_now();
        patience = loop_patience(patience, woken - idle_since);
        loop_run_timers(a, woken);
        spins = 0;
        idle_since = 0;
    }
}
