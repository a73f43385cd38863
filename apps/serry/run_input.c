/* run_input.c: standard input. The rank that is to have it inherits a file or a pipe as it is. A
 * terminal is not inherited: it is read by its foreground process group, and ranks are in groups of
 * their own; the launcher reads it and passes the bytes on. If all ranks are to have it, each gets
 * all of it: a file is opened once for each, anything else is passed on, as fast as the slowest of
 * them reads.
 */
#include "run.h"

#include "base/fds.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <unistd.h>

static bool input_is_file(void)
{
    struct stat st;
    return fstat(STDIN_FILENO, &st) == 0 && S_ISREG(st.st_mode);
}

/* For /dev/null and the like, of which all may read; the others cannot be waited for. */
static bool input_can_be_awaited(run *r)
{
    struct epoll_event ev = { .events = 0 };
    if (epoll_ctl(r->events, EPOLL_CTL_ADD, STDIN_FILENO, &ev) != 0)
        return false;
    run_events_remove(r, STDIN_FILENO);
    return true;
}

serry_err run_input_open(run *r)
{
    run_input *in = &r->input;
    bool all = r->o.in == RUN_STDIN_ALL;
    in->terminal = isatty(STDIN_FILENO);
    bool passed_on = in->terminal || (all && r->o.size > 1 && input_can_be_awaited(r));
    if (!passed_on || r->o.in == RUN_STDIN_NONE)
        return SERRY_OK;
    in->pipes = calloc(all ? (size_t)r->o.size : 1, sizeof *in->pipes);
    if (!in->pipes)
        return sri_fail(SERRY_ENOMEM, "no memory for the input of %d ranks", r->o.size);
    /* A terminal by edges: new lines are news, those that are not for us are not. */
    return run_events_add(r, STDIN_FILENO, in->terminal ? EPOLLIN | EPOLLET : EPOLLIN,
                          RUN_EVENT_INPUT, 0);
}

/* One that reads the file by itself, from where we are in it. */
static serry_err input_again(int *fd)
{
    off_t at = lseek(STDIN_FILENO, 0, SEEK_CUR);
    *fd = open("/proc/self/fd/0", O_RDONLY | O_CLOEXEC);
    if (*fd < 0 || lseek(*fd, at, SEEK_SET) < 0)
        return sri_fail_errno("opening standard input once more");
    return SERRY_OK;
}

static serry_err input_pipe(run *r, int rank, int *fd)
{
    run_input *in = &r->input;
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0)
        return sri_fail_errno("a pipe for a rank's input");
    fcntl(ends[1], F_SETFL, O_NONBLOCK);
    in->pipes[in->n++] = (run_input_pipe){ .rank = rank, .fd = ends[1] };
    in->open++;
    *fd = ends[0];
    return SERRY_OK;
}

serry_err run_input_take(run *r, int rank, int *fd, bool *own)
{
    bool all = r->o.in == RUN_STDIN_ALL;
    *own = false;
    *fd = r->null;
    if (!all && r->o.in != rank)
        return SERRY_OK;
    *own = r->input.pipes || (all && r->o.size > 1 && input_is_file());
    *fd = STDIN_FILENO;
    if (!*own)
        return SERRY_OK;
    *fd = -1;
    return r->input.pipes ? input_pipe(r, rank, fd) : input_again(fd);
}

static void input_close_pipe(run *r, run_input_pipe *p)
{
    if (p->fd < 0)
        return;
    if (p->waits)
        run_events_remove(r, p->fd);
    p->waits = false;
    sri_close(&p->fd);
    if (--r->input.open == 0)
        run_events_remove(r, STDIN_FILENO);
}

void run_input_close(run *r)
{
    run_input *in = &r->input;
    for (int i = 0; i < in->n; i++)
        input_close_pipe(r, &in->pipes[i]);
    free(in->pipes);
    *in = (run_input){ .pipes = NULL };
}

/* Writes what it has not taken yet, or begins to wait for room. Nobody reads: the end of it. */
static void input_pass_on(run *r, run_input_pipe *p)
{
    run_input *in = &r->input;
    while (p->fd >= 0 && p->from < in->to) {
        ssize_t n = write(p->fd, in->bytes + p->from, in->to - p->from);
        if (n < 0 && errno == EAGAIN) {
            if (!p->waits
                && run_events_add(r, p->fd, EPOLLOUT, RUN_EVENT_STDIN, (int)(p - in->pipes))
                       != SERRY_OK)
                input_close_pipe(r, p);
            else
                p->waits = true;
            return;
        }
        if (n < 0 && errno != EINTR)
            input_close_pipe(r, p);
        p->from += n > 0 ? (size_t)n : 0;
    }
    if (p->waits)
        run_events_remove(r, p->fd);
    p->waits = false;
}

static bool input_is_taken(const run *r)
{
    for (int i = 0; i < r->input.n; i++) {
        if (r->input.pipes[i].waits)
            return false;
    }
    return true;
}

/* In the background lines are for the shell, or for whoever else is in front. */
static bool input_is_ours(const run_input *in)
{
    struct pollfd p = { .fd = STDIN_FILENO, .events = POLLIN };
    bool front = !in->terminal || tcgetpgrp(STDIN_FILENO) == getpgrp();
    return front && poll(&p, 1, 0) > 0;
}

void run_input_news(run *r)
{
    run_input *in = &r->input;
    while (in->open > 0 && input_is_taken(r) && input_is_ours(in)) {
        ssize_t n = read(STDIN_FILENO, in->bytes, sizeof in->bytes);
        if (n < 0 && (errno == EINTR || errno == EAGAIN))
            continue;
        if (n < 0 && errno == EIO) /* not in front any more, or hung up, which a signal tells */
            return;
        in->to = n > 0 ? (size_t)n : 0;
        for (int i = 0; i < in->n; i++) {
            in->pipes[i].from = 0;
            if (n > 0)
                input_pass_on(r, &in->pipes[i]);
            else
                input_close_pipe(r, &in->pipes[i]);
        }
    }
    /* What nobody takes is not to wake us again and again. */
    if (!in->terminal && in->open > 0 && !input_is_taken(r))
        run_events_remove(r, STDIN_FILENO);
}

void run_input_room(run *r, int pipe)
{
    run_input *in = &r->input;
    if (pipe >= in->n)
        return;
    input_pass_on(r, &in->pipes[pipe]);
    if (!input_is_taken(r) || in->open == 0)
        return;
    if (!in->terminal && run_events_add(r, STDIN_FILENO, EPOLLIN, RUN_EVENT_INPUT, 0) != SERRY_OK) {
        run_input_close(r);
        return;
    }
    run_input_news(r);
}
