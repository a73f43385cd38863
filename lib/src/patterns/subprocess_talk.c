/* patterns/subprocess_talk.c: communicate: one poll over all pipes, so that
 * neither side can wait for the other. Our ends do not block from then on;
 * those of the child are not touched. */
#include "patterns/subprocess.h"

#include "base/fds.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define TALK_CHUNK (64 * 1024)  /* bytes: what a pipe holds */
#define TALK_AT_ONCE SRI_MS(50) /* with no time to wait, what is there is taken for so long */

typedef struct talk {
    serry_subprocess *sp;
    const char *in; /* all in_len bytes of it, or NULL: what is left is in in_rest */
} talk;

/* write, without SIGPIPE: the signal is this thread's, and is taken back where
 * it would come. */
static ssize_t talk_write(int fd, const void *bytes, size_t len)
{
    sigset_t pipe_only, before, pending;
    sigemptyset(&pipe_only);
    sigaddset(&pipe_only, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &pipe_only, &before);
    sigpending(&pending);
    ssize_t n = write(fd, bytes, len);
    int code = errno;
    if (n < 0 && code == EPIPE && !sigismember(&pending, SIGPIPE)) {
        while (sigtimedwait(&pipe_only, NULL, &(struct timespec){ 0 }) < 0 && errno == EINTR)
            ;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    errno = code;
    return n;
}

static void talk_end_input(serry_subprocess *sp)
{
    sri_subprocess_close(&sp->ours[0]);
    free(sp->in_rest);
    sp->in_rest = NULL;
}

/* As much as goes now. */
static serry_err talk_send(talk *t)
{
    serry_subprocess *sp = t->sp;
    while (sp->in_sent < sp->in_len) {
        const char *from = t->in ? t->in + sp->in_sent : sp->in_rest + sp->in_sent;
        ssize_t n = talk_write(sp->ours[0], from, sp->in_len - sp->in_sent);
        if (n > 0) {
            sp->in_sent += (size_t)n;
        } else if (errno == EAGAIN) {
            return SERRY_OK;
        } else if (errno == EPIPE) {
            break; /* it wants no more, which is its affair */
        } else if (errno != EINTR) {
            return sri_fail_errno("writing to a subprocess");
        }
    }
    talk_end_input(sp);
    return SERRY_OK;
}

/* As much as is there, but no more than a few chunks, so that the other streams
 * have their turn. */
static serry_err talk_receive(talk *t, int stream)
{
    serry_subprocess *sp = t->sp;
    sri_buffer *b = &sp->said[stream - 1];
    for (int i = 0; i < 8; i++) {
        size_t room = TALK_CHUNK;
        if (sp->max_output > 0 && b->len > sp->max_output)
            return sri_fail(SERRY_ELIMIT, "%s (process %d) said more than %zu bytes on stream %d",
                            sp->name, (int)sp->pid, sp->max_output, stream);
        if (sp->max_output > 0 && sp->max_output - b->len < TALK_CHUNK)
            room = sp->max_output - b->len + 1;   /* one more shows that there is more */
        SRI_TRY(sri_buffer_reserve(b, room + 1)); /* and the zero behind it */
        ssize_t n = read(sp->ours[stream], b->data + b->len, room);
        if (n > 0) {
            b->len += (size_t)n;
        } else if (n == 0) {
            sri_subprocess_close(&sp->ours[stream]);
            return SERRY_OK;
        } else if (errno == EAGAIN) {
            return SERRY_OK;
        } else if (errno != EINTR) {
            return sri_fail_errno("reading from a subprocess");
        }
    }
    return SERRY_OK;
}

/* Serves the streams that are ready. */
static serry_err talk_serve(talk *t, const struct pollfd *p)
{
    if (p[0].fd >= 0 && p[0].revents)
        SRI_TRY(talk_send(t));
    for (int i = 1; i < 3; i++) {
        if (p[i].fd >= 0 && p[i].revents)
            SRI_TRY(talk_receive(t, i));
    }
    return SERRY_OK;
}

static serry_err talk_late(const serry_subprocess *sp)
{
    return sri_fail(SERRY_ETIMEDOUT, "%s (process %d) has not said all and ended", sp->name,
                    (int)sp->pid);
}

static serry_err talk_until(talk *t, sri_ns deadline)
{
    serry_subprocess *sp = t->sp;
    sri_ns stop = deadline > 0 ? deadline : sri_now() + TALK_AT_ONCE;
    for (;;) {
        struct pollfd p[3] = { { .fd = sp->ours[0], .events = POLLOUT },
                               { .fd = sp->ours[1], .events = POLLIN },
                               { .fd = sp->ours[2], .events = POLLIN } };
        if (p[0].fd < 0 && p[1].fd < 0 && p[2].fd < 0)
            break;
        int n = poll(p, 3, sri_poll_timeout(deadline));
        if (n < 0 && errno != EINTR)
            return sri_fail_errno("poll for a subprocess");
        if (n > 0)
            SRI_TRY(talk_serve(t, p));
        /* One that never stops talking is not in time either. */
        if (sri_now() >= (n > 0 ? stop : deadline))
            return talk_late(sp);
    }
    return sri_subprocess_await(sp, deadline) ? SERRY_OK : talk_late(sp);
}

/* The first call says what the input is. */
static serry_err talk_begin(talk *t, size_t len)
{
    serry_subprocess *sp = t->sp;
    if (sp->given) {
        if (len != 0 && len != sp->in_len)
            return sri_fail(SERRY_EINVAL,
                            "the input of %s has %zu bytes, by an earlier call, not %zu", sp->name,
                            sp->in_len, len);
        if (sp->in_rest)
            t->in = NULL;
        else if (len == 0 && sp->ours[0] >= 0 && sp->in_sent < sp->in_len)
            return sri_fail(SERRY_EINVAL, "the input of %s could not be kept: give it again",
                            sp->name);
        return SERRY_OK;
    }
    if (len > 0 && sp->ours[0] < 0)
        return sri_fail(SERRY_EINVAL,
                        "the input of %s is no pipe, or it was closed: %zu bytes cannot "
                        "be written to it",
                        sp->name, len);
    for (int i = 1; i < 3; i++) { /* so that what says nothing gives a text, of no bytes */
        if (sp->ours[i] >= 0)
            SRI_TRY(sri_buffer_reserve(&sp->said[i - 1], 1));
    }
    for (int i = 0; i < 3; i++) {
        if (sp->ours[i] >= 0)
            fcntl(sp->ours[i], F_SETFL, fcntl(sp->ours[i], F_GETFL) | O_NONBLOCK);
    }
    sp->in_len = len;
    sp->given = true;
    return SERRY_OK;
}

/* The caller's bytes are not ours when the call is over. */
static serry_err talk_keep_input(talk *t, serry_err e)
{
    serry_subprocess *sp = t->sp;
    if (!t->in || sp->ours[0] < 0 || sp->in_sent == sp->in_len)
        return e;
    /* From its first byte on, so that in_sent counts in both. What was sent is
     * not copied. */
    sp->in_rest = malloc(sp->in_len);
    if (!sp->in_rest)
        return sri_fail(SERRY_ENOMEM,
                        "no memory to keep %zu bytes of input for %s: call again "
                        "with all of them",
                        sp->in_len - sp->in_sent, sp->name);
    memcpy(sp->in_rest + sp->in_sent, t->in + sp->in_sent, sp->in_len - sp->in_sent);
    return e;
}

serry_err sri_subprocess_talk(serry_subprocess *sp, const void *in, size_t len, sri_ns deadline)
{
    talk t = { .sp = sp, .in = in };
    SRI_TRY(talk_begin(&t, len));
    serry_err e = talk_until(&t, deadline);
    return e == SERRY_OK ? e : talk_keep_input(&t, e);
}

void sri_subprocess_take(serry_subprocess *sp, int stream, serry_bytes *out)
{
    sri_buffer *b = &sp->said[stream - 1];
    if (sp->max_output > 0 && b->len > sp->max_output)
        b->len = sp->max_output;
    if (b->data)
        b->data[b->len] = 0;
    *out = (serry_bytes){ (char *)b->data, b->len };
    *b = (sri_buffer){ 0 };
}

static serry_err talk_enter(serry_subprocess *sp)
{
    serry_err e = SERRY_OK;
    pthread_mutex_lock(&sp->lock);
    if (sp->talking || sp->talked)
        e = sri_fail(SERRY_ESTATE,
                     sp->talked ? "the output of %s was handed out by an earlier call"
                                : "another thread communicates with %s",
                     sp->name);
    else
        sp->talking = true;
    pthread_mutex_unlock(&sp->lock);
    return e;
}

serry_err serry_subprocess_communicate(serry_subprocess *sp, const void *in, size_t len,
                                       serry_bytes *out, serry_bytes *err, double timeout)
{
    sri_ns deadline;
    serry_bytes unwanted;
    SRI_TRY(sri_subprocess_check(sp));
    if (!in && len > 0)
        return sri_fail(SERRY_EINVAL, "the input is NULL, with a length of %zu bytes", len);
    SRI_TRY(sri_deadline(timeout, &deadline));
    SRI_TRY(talk_enter(sp));
    serry_err e = sri_subprocess_talk(sp, in, len, deadline);
    if (e == SERRY_OK) {
        sri_subprocess_take(sp, 1, out ? out : &unwanted);
        if (!out)
            serry_bytes_free(&unwanted);
        sri_subprocess_take(sp, 2, err ? err : &unwanted);
        if (!err)
            serry_bytes_free(&unwanted);
    }
    pthread_mutex_lock(&sp->lock);
    sp->talking = false;
    sp->talked = e == SERRY_OK;
    pthread_mutex_unlock(&sp->lock);
    return sri_within(e, timeout);
}
