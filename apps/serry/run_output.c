/* run_output.c: tagged output. A thread reads the pipes of all ranks and writes whole lines, each
 * with its tag; the agent's loop never waits for whoever reads ours.
 *
 * If standard output (or error) cannot be written, all pipes that lead to it are closed: ranks
 * that write on get SIGPIPE, as they would have without us.
 */
#include "run.h"

#include "base/buffer.h"
#include "base/fds.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

enum {
    OUTPUT_BATCH = 64,
    OUTPUT_READ = 65536,
    OUTPUT_LINE = 1 << 20, /* longer lines are cut */
    /* What a pipe can hold at most, as far as this is known: read from each pipe, and no more, once
     * all ranks have ended, since someone who escaped may write for ever. */
    OUTPUT_LAST = 1 << 20,
};

#define OUTPUT_FINISH UINT64_MAX /* in the epoll set: the event of that name; else a stream */

typedef struct output_stream {
    int fd;          /* -1: ended */
    size_t last;     /* bytes read since the finish */
    sri_buffer line; /* tag and beginning of a line whose end has not come */
} output_stream;

struct run_output {
    int size;
    bool tag;
    bool timestamp;
    output_stream *streams; /* rank 0 out, rank 0 err, rank 1 out, ... */
    int events;             /* epoll */
    int finish;             /* eventfd: finish */
    int ended;              /* eventfd: has ended */
    bool finishing;
    bool started;
    bool broken[2];    /* cannot be written */
    _Atomic int error; /* the first errno that was not EPIPE, or EPIPE */
    pthread_t thread;
    sri_buffer lines; /* to be written */
    uint8_t bytes[OUTPUT_READ];
};

static void output_fail(run_output *o, int which, int error)
{
    int before = atomic_load(&o->error);
    if (before == 0 || before == EPIPE)
        atomic_store(&o->error, error);
    o->broken[which] = true;
    for (int i = which; i < 2 * o->size; i += 2)
        sri_close(&o->streams[i].fd);
}

/* Writes o->lines. */
static void output_write(run_output *o, int which)
{
    int fd = which ? STDERR_FILENO : STDOUT_FILENO;
    size_t at = 0;
    while (at < o->lines.len && !o->broken[which]) {
        ssize_t n = write(fd, o->lines.data + at, o->lines.len - at);
        if (n >= 0)
            at += (size_t)n;
        else if (errno == EAGAIN)
            sri_fd_wait(fd, POLLOUT, SRI_NEVER);
        else if (errno != EINTR)
            output_fail(o, which, errno);
    }
    o->lines.len = 0;
}

static serry_err output_tag(const run_output *o, sri_buffer *line, int stream)
{
    char tag[96];
    size_t n = 0;
    if (o->timestamp) {
        struct timespec now;
        struct tm day;
        clock_gettime(CLOCK_REALTIME, &now);
        localtime_r(&now.tv_sec, &day);
        n = strftime(tag, sizeof tag, "%Y-%m-%d %H:%M:%S", &day);
        n += (size_t)snprintf(tag + n, sizeof tag - n, ".%03ld ", now.tv_nsec / 1000000);
    }
    if (o->tag)
        n += (size_t)snprintf(tag + n, sizeof tag - n, "[%d]<%s>: ", stream / 2,
                              stream % 2 ? "stderr" : "stdout");
    return sri_buffer_add(line, tag, n);
}

static serry_err output_end_line(run_output *o, output_stream *s)
{
    serry_err e = sri_buffer_add(&o->lines, s->line.data, s->line.len);
    s->line.len = 0;
    if (s->line.cap > OUTPUT_READ)
        sri_buffer_fini(&s->line);
    return e;
}

/* Cuts bytes into lines. */
static serry_err output_cut(run_output *o, int stream, const uint8_t *bytes, size_t len)
{
    output_stream *s = &o->streams[stream];
    while (len > 0) {
        const uint8_t *end = memchr(bytes, '\n', len);
        size_t n = end ? (size_t)(end - bytes) + 1 : len;
        if (s->line.len == 0)
            SRI_TRY(output_tag(o, &s->line, stream));
        SRI_TRY(sri_buffer_add(&s->line, bytes, n));
        if (!end && s->line.len >= OUTPUT_LINE) {
            SRI_TRY(sri_buffer_add(&s->line, "\n", 1));
            end = bytes;
        }
        if (end)
            SRI_TRY(output_end_line(o, s));
        bytes += n;
        len -= n;
    }
    return SERRY_OK;
}

/* The end of a stream: what there is of its last line is a line. */
static void output_close(run_output *o, int stream)
{
    output_stream *s = &o->streams[stream];
    sri_close(&s->fd);
    if (s->line.len > 0 && sri_buffer_add(&s->line, "\n", 1) == SERRY_OK
        && output_end_line(o, s) == SERRY_OK)
        output_write(o, stream % 2);
    sri_buffer_fini(&s->line);
}

static void output_read(run_output *o, int stream)
{
    output_stream *s = &o->streams[stream];
    if (s->fd < 0)
        return;
    ssize_t n = read(s->fd, o->bytes, sizeof o->bytes);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        output_close(o, stream);
        return;
    }
    if (output_cut(o, stream, o->bytes, (size_t)n) != SERRY_OK) {
        output_fail(o, stream % 2, ENOMEM);
        return;
    }
    output_write(o, stream % 2);
    s->last += o->finishing ? (size_t)n : 0;
    if (s->last > OUTPUT_LAST)
        output_close(o, stream);
}

static void output_handle(run_output *o, uint64_t what)
{
    if (what == OUTPUT_FINISH) {
        o->finishing = true;
        epoll_ctl(o->events, EPOLL_CTL_DEL, o->finish, NULL);
    } else {
        output_read(o, (int)what);
    }
}

static void *output_main(void *ctx)
{
    run_output *o = ctx;
    struct epoll_event ready[OUTPUT_BATCH];
    for (;;) {
        int n = epoll_wait(o->events, ready, OUTPUT_BATCH, o->finishing ? 0 : -1);
        if (n == 0 && o->finishing)
            break;
        for (int i = 0; i < n; i++)
            output_handle(o, ready[i].data.u64);
    }
    for (int i = 0; i < 2 * o->size; i++)
        output_close(o, i);
    eventfd_write(o->ended, 1);
    return NULL;
}

static serry_err output_add(run_output *o, int fd, uint64_t what)
{
    struct epoll_event ev = { .events = EPOLLIN, .data.u64 = what };
    if (epoll_ctl(o->events, EPOLL_CTL_ADD, fd, &ev) != 0)
        return sri_fail_errno("epoll_ctl");
    return SERRY_OK;
}

serry_err run_output_create(run_output **out, int size, bool tag, bool timestamp)
{
    run_output *o = calloc(1, sizeof *o);
    if (!o || !(o->streams = calloc((size_t)size * 2, sizeof *o->streams))) {
        free(o);
        return sri_fail(SERRY_ENOMEM, "no memory for the output of %d ranks", size);
    }
    o->size = size;
    o->tag = tag;
    o->timestamp = timestamp;
    for (int i = 0; i < 2 * size; i++)
        o->streams[i].fd = -1;
    o->events = epoll_create1(EPOLL_CLOEXEC);
    o->finish = eventfd(0, EFD_CLOEXEC);
    o->ended = eventfd(0, EFD_CLOEXEC);
    serry_err e =
        o->events < 0 || o->finish < 0 || o->ended < 0 ? sri_fail_errno("eventfd") : SERRY_OK;
    if (e == SERRY_OK)
        e = output_add(o, o->finish, OUTPUT_FINISH);
    if (e != SERRY_OK)
        run_output_destroy(o, true);
    else
        *out = o;
    return e;
}

static serry_err output_pipe(run_output *o, int stream, int *end)
{
    int fd[2];
    if (pipe2(fd, O_CLOEXEC) != 0)
        return sri_fail_errno("a pipe for a rank's output");
    fcntl(fd[0], F_SETFL, O_NONBLOCK);
    o->streams[stream].fd = fd[0];
    *end = fd[1];
    return output_add(o, fd[0], (uint64_t)stream);
}

serry_err run_output_pipes(run_output *o, int rank, int *out, int *err)
{
    SRI_TRY(output_pipe(o, 2 * rank, out));
    return output_pipe(o, 2 * rank + 1, err);
}

serry_err run_output_start(run_output *o)
{
    errno = pthread_create(&o->thread, NULL, output_main, o);
    if (errno != 0)
        return sri_fail_errno("starting the thread for output");
    o->started = true;
    return SERRY_OK;
}

int run_output_ended(const run_output *o)
{
    return o->ended;
}

void run_output_finish(run_output *o)
{
    eventfd_write(o->finish, 1);
}

int run_output_destroy(run_output *o, bool wait)
{
    if (o->started && !wait)
        return 0;
    if (o->started)
        pthread_join(o->thread, NULL);
    int error = atomic_load(&o->error);
    for (int i = 0; i < 2 * o->size; i++) {
        sri_close(&o->streams[i].fd);
        sri_buffer_fini(&o->streams[i].line);
    }
    sri_close(&o->events);
    sri_close(&o->finish);
    sri_close(&o->ended);
    sri_buffer_fini(&o->lines);
    free(o->streams);
    free(o);
    return error;
}
