/* run_events.c: what the launcher waits for beside the agent's members. */
#include "run.h"

#include "base/fds.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

enum { EVENTS_BATCH = 64 };

static void events_on_ready(void *ctx, int fd)
{
    (void)fd;
    run_events_handle(ctx, 0);
}

serry_err run_events_add(run *r, int fd, uint32_t what, run_event kind, int rank)
{
    struct epoll_event ev = { .events = what, .data.u64 = (uint64_t)kind << 32 | (uint32_t)rank };
    if (epoll_ctl(r->events, EPOLL_CTL_ADD, fd, &ev) != 0)
        return sri_fail_errno("epoll_ctl");
    return SERRY_OK;
}

void run_events_remove(run *r, int fd)
{
    epoll_ctl(r->events, EPOLL_CTL_DEL, fd, NULL);
}

serry_err run_events_open(run *r)
{
    r->events = epoll_create1(EPOLL_CLOEXEC);
    if (r->events < 0)
        return sri_fail_errno("epoll_create1");
    r->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (r->timer < 0)
        return sri_fail_errno("timerfd_create");
    SRI_TRY(run_signals_open(r));
    SRI_TRY(run_events_add(r, r->timer, EPOLLIN, RUN_EVENT_TIMER, 0));
    SRI_TRY(run_events_add(r, r->signals, EPOLLIN, RUN_EVENT_SIGNAL, 0));
    return sri_agent_watch(r->agent, r->events, events_on_ready, r);
}

void run_events_close(run *r)
{
    if (r->agent && r->events >= 0)
        sri_agent_unwatch(r->agent, r->events);
    run_signals_close(r);
    sri_close(&r->timer);
    sri_close(&r->events);
}

void run_events_arm(run *r)
{
    sri_ns at = r->timeout_at < r->kill_at ? r->timeout_at : r->kill_at;
    if (r->stop_at < at)
        at = r->stop_at;
    if (r->reap_at < at)
        at = r->reap_at;
    /* A time of 0 would disarm it. */
    struct itimerspec when = { 0 };
    if (at != SRI_NEVER) {
        when.it_value.tv_sec = at / 1000000000;
        when.it_value.tv_nsec = at % 1000000000 + (at < 1000000000);
    }
    timerfd_settime(r->timer, TFD_TIMER_ABSTIME, &when, NULL);
}

static void events_on_timer(run *r)
{
    uint64_t times;
    ssize_t ignored = read(r->timer, &times, sizeof times);
    (void)ignored;
    sri_ns now = sri_now();
    if (now >= r->timeout_at) {
        r->timeout_at = SRI_NEVER;
        run_timed_out(r);
    }
    if (now >= r->kill_at)
        run_kill(r);
    if (now >= r->stop_at) {
        r->stop_at = SRI_NEVER;
        sri_agent_stop(r->agent);
    }
    if (now >= r->reap_at)
        run_orphans_reap(r);
    run_events_arm(r);
}

void run_events_handle(run *r, int timeout_ms)
{
    struct epoll_event ready[EVENTS_BATCH];
    int n = epoll_wait(r->events, ready, EVENTS_BATCH, timeout_ms);
    for (int i = 0; i < n; i++) {
        switch ((run_event)(ready[i].data.u64 >> 32)) {
        case RUN_EVENT_RANK:
            run_rank_ended(r, (int)(uint32_t)ready[i].data.u64);
            break;
        case RUN_EVENT_SIGNAL:
            run_signals_handle(r);
            break;
        case RUN_EVENT_TIMER:
            events_on_timer(r);
            break;
        case RUN_EVENT_INPUT:
            run_input_news(r);
            break;
        case RUN_EVENT_STDIN:
            run_input_room(r, (int)(uint32_t)ready[i].data.u64);
            break;
        case RUN_EVENT_OUTPUT:
            r->output_ended = true;
            break;
        }
    }
}
