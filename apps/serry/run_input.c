/* run_input.c: standard input of rank 0. A file or a pipe is simply inherited. A terminal is not:
 * it is read by its foreground process group, and ranks are in groups of their own; the launcher
 * reads it and passes the bytes on.
 */
#include "run.h"

#include "base/fds.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <unistd.h>

serry_err run_input_open(run *r, int *fd)
{
    r->input.pipe = -1;
    *fd = STDIN_FILENO;
    if (!isatty(STDIN_FILENO))
        return SERRY_OK;
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0)
        return sri_fail_errno("a pipe to rank 0");
    fcntl(ends[1], F_SETFL, O_NONBLOCK);
    /* By edges: new lines are news, those that are not for us are not. */
    serry_err e = run_events_add(r, STDIN_FILENO, EPOLLIN | EPOLLET, RUN_EVENT_TERMINAL, 0);
    if (e != SERRY_OK) {
        close(ends[0]);
        close(ends[1]);
        return e;
    }
    *fd = ends[0];
    r->input.pipe = ends[1];
    return SERRY_OK;
}

void run_input_close(run *r)
{
    if (r->input.pipe < 0)
        return;
    run_events_remove(r, STDIN_FILENO);
    sri_close(&r->input.pipe);
}

/* Writes what is there; false if some of it has to wait for room. Nobody reads: the end. */
static bool input_pass_on(run *r)
{
    run_input *in = &r->input;
    while (in->from < in->to) {
        ssize_t n = write(in->pipe, in->bytes + in->from, in->to - in->from);
        if (n < 0 && errno == EAGAIN)
            return false;
        if (n < 0 && errno != EINTR) {
            run_input_close(r);
            return false;
        }
        in->from += n > 0 ? (size_t)n : 0;
    }
    return true;
}

/* In the background lines are for the shell, or for whoever else is in front. */
static bool input_is_ours(void)
{
    struct pollfd p = { .fd = STDIN_FILENO, .events = POLLIN };
    return tcgetpgrp(STDIN_FILENO) == getpgrp() && poll(&p, 1, 0) > 0;
}

void run_input_terminal(run *r)
{
    run_input *in = &r->input;
    while (in->pipe >= 0 && in->from == in->to && input_is_ours()) {
        ssize_t n = read(STDIN_FILENO, in->bytes, sizeof in->bytes);
        if (n < 0 && (errno == EINTR || errno == EAGAIN))
            continue;
        if (n < 0 && errno == EIO) /* not in front any more, or hung up, which a signal tells */
            return;
        if (n <= 0) {
            run_input_close(r);
            return;
        }
        in->from = 0;
        in->to = (size_t)n;
        if (!input_pass_on(r) && in->pipe >= 0
            && run_events_add(r, in->pipe, EPOLLOUT, RUN_EVENT_STDIN, 0) != SERRY_OK)
            run_input_close(r);
    }
}

void run_input_room(run *r)
{
    if (r->input.pipe < 0 || !input_pass_on(r))
        return;
    run_events_remove(r, r->input.pipe);
    run_input_terminal(r);
}
