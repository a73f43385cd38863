/* patterns/subprocess_fds.c: the descriptors of subprocesses.
 *
 * All are close-on-exec and above 2. A copy of this process that somebody forks
 * would hold our ends of pipes and lifelines open: a subprocess would not see
 * the end of its input, nor that of its starter. So a list of all is kept, and
 * the copy closes what it got, before fork returns in it. Every change of a
 * descriptor is made under the list's lock, which fork takes.
 */
#include "patterns/subprocess.h"

#include "base/fds.h"
#include "core/unseen.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include <utlist.h>

static pthread_mutex_t fds_lock = PTHREAD_MUTEX_INITIALIZER;
static serry_subprocess *fds_list;
static serry_subprocess *fds_left;
static pthread_once_t fds_once = PTHREAD_ONCE_INIT;
static int fds_error; /* of registering the handlers */

static void fds_close_all(serry_subprocess *sp)
{
    sri_close(&sp->pidfd);
    for (int i = 0; i < 3; i++) {
        sri_close(&sp->ours[i]);
        sri_close(&sp->theirs[i]);
    }
    sri_close(&sp->life[0]);
    sri_close(&sp->life[1]);
}

static void fds_before_fork(void)
{
    pthread_mutex_lock(&fds_lock);
}

static void fds_in_parent(void)
{
    pthread_mutex_unlock(&fds_lock);
}

static void fds_drop(void)
{
    serry_subprocess *sp, *next;
    DL_FOREACH_SAFE (fds_list, sp, next) {
        fds_close_all(sp);
        DL_DELETE(fds_list, sp);
    }
}

static void fds_in_child(void)
{
    fds_drop();
    pthread_mutex_unlock(&fds_lock);
}

static void fds_register(void)
{
    sri_unseen_hook = fds_drop; /* of a program with one thread, which holds no lock */
    fds_error = pthread_atfork(fds_before_fork, fds_in_parent, fds_in_child);
}

serry_err sri_subprocess_enlist(serry_subprocess *sp)
{
    pthread_once(&fds_once, fds_register);
    if (fds_error)
        return sri_fail(SERRY_ENOMEM, "no memory to be told of forks");
    pthread_mutex_lock(&fds_lock);
    DL_APPEND(fds_list, sp);
    pthread_mutex_unlock(&fds_lock);
    return SERRY_OK;
}

/* The end of this process is not to end it any more. */
static void fds_disarm(serry_subprocess *sp)
{
    pthread_mutex_lock(&fds_lock);
    for (int i = 0; i < 2; i++) {
        if (sp->life[i] >= 0)
            fcntl(sp->life[i], F_SETOWN, 0);
    }
    sri_close(&sp->life[0]);
    sri_close(&sp->life[1]);
    pthread_mutex_unlock(&fds_lock);
}

void sri_subprocess_delist(serry_subprocess *sp)
{
    fds_disarm(sp);
    pthread_mutex_lock(&fds_lock);
    fds_close_all(sp);
    DL_DELETE(fds_list, sp);
    pthread_mutex_unlock(&fds_lock);
}

/* ---- left behind ----
 *
 * Detached ones that were freed while they run: each is reaped by a later call.
 */

void sri_subprocess_leave(serry_subprocess *sp)
{
    pthread_mutex_lock(&fds_lock);
    int pidfd = sp->pidfd;
    sp->pidfd = -1;
    fds_close_all(sp);
    sp->pidfd = pidfd;
    DL_DELETE(fds_list, sp);
    DL_APPEND(fds_left, sp);
    pthread_mutex_unlock(&fds_lock);
}

void sri_subprocess_reap_left(void)
{
    serry_subprocess *sp, *next;
    pthread_mutex_lock(&fds_lock);
    DL_FOREACH_SAFE (fds_left, sp, next) {
        /* In a copy of their starter they are not ours. */
        if (sp->starter == getpid() && !sri_subprocess_await(sp, 0))
            continue;
        DL_DELETE(fds_left, sp);
        sri_close(&sp->pidfd);
        sri_subprocess_unmake(sp);
    }
    pthread_mutex_unlock(&fds_lock);
}

/* ---- pipes ---- */

void sri_subprocess_keep(int *place, int fd)
{
    pthread_mutex_lock(&fds_lock);
    *place = fd;
    pthread_mutex_unlock(&fds_lock);
}

void sri_subprocess_close(int *fd)
{
    pthread_mutex_lock(&fds_lock);
    sri_close(fd);
    pthread_mutex_unlock(&fds_lock);
}

static serry_err fds_pipe(const char *what, int *read_end, int *write_end)
{
    int pair[2];
    pthread_mutex_lock(&fds_lock);
    int got = pipe2(pair, O_CLOEXEC);
    if (got == 0) {
        *read_end = sri_fd_high(pair[0]);
        int code = errno;
        *write_end = sri_fd_high(pair[1]);
        if (*read_end < 0)
            errno = code;
    }
    serry_err e = SERRY_OK;
    if (got != 0 || *read_end < 0 || *write_end < 0) {
        e = sri_subprocess_fail(what);
        if (got == 0) {
            sri_close(read_end);
            sri_close(write_end);
        }
    }
    pthread_mutex_unlock(&fds_lock);
    return e;
}

serry_err sri_subprocess_pipe(serry_subprocess *sp, int stream)
{
    return stream == 0
               ? fds_pipe("a pipe for a subprocess", &sp->theirs[0], &sp->ours[0])
               : fds_pipe("a pipe for a subprocess", &sp->ours[stream], &sp->theirs[stream]);
}

/* ---- the lifeline ----
 *
 * When one end of a pipe is released while the other is open, the kernel sends
 * the signal that was asked for by F_SETSIG to the owner of the other. Both
 * ends belong to the starter, neither to the child: when the starter ends, in
 * whatever way, one of them goes first, and the kernel kills the owner, which
 * is the child's group. It does not matter which thread started the child, nor
 * whether the child closes what it finds open. */

serry_err sri_subprocess_lifeline(serry_subprocess *sp)
{
    return fds_pipe("a lifeline for a subprocess", &sp->life[0], &sp->life[1]);
}

void sri_subprocess_arm(const int life[2], bool whole_group)
{
    struct f_owner_ex owner = { whole_group ? F_OWNER_PGRP : F_OWNER_PID, getpid() };
    for (int i = 0; i < 2 && life[i] >= 0; i++) {
        /* Where the kernel has it not, the child lives on: there is no other way to
         * have it. */
        if (fcntl(life[i], F_SETSIG, SIGKILL) != 0 || fcntl(life[i], F_SETOWN_EX, &owner) != 0)
            continue;
        fcntl(life[i], F_SETFL, O_ASYNC | O_NONBLOCK);
    }
}
