/* core/unseen.c: forking a helper that wait() does not find. A child with exit signal 0 does; it is
 * made by the bare system call, which is sound only while the process has one thread. Otherwise a
 * child in between, reaped at once, leaves the helper to init. */
#include "core/unseen.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/fds.h"

#include <errno.h>
#include <poll.h>
#include <sys/single_threaded.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

void (*sri_unseen_hook)(void);

static serry_err unseen_twice(pid_t *pid)
{
    int ends[2];
    if (pipe(ends) != 0)
        return sri_fail_errno("pipe");
    pid_t between = fork();
    if (between < 0) {
        serry_err e = sri_fail_errno("fork");
        close(ends[0]);
        close(ends[1]);
        return e;
    }
    if (between == 0) {
        pid_t own = fork();
        if (own == 0) {
            close(ends[0]);
            close(ends[1]);
            *pid = 0;
            return SERRY_OK;
        }
        ssize_t ignored = write(ends[1], &own, sizeof own);
        (void)ignored;
        _exit(0);
    }
    close(ends[1]);
    ssize_t got = read(ends[0], pid, sizeof *pid);
    close(ends[0]);
    while (waitpid(between, NULL, 0) < 0 && errno == EINTR)
        ;
    if (got != sizeof *pid || *pid < 0)
        return sri_fail(SERRY_ESYS, "fork of a helper process failed");
    return SERRY_OK;
}

serry_err sri_unseen_fork(pid_t *pid, int *pidfd)
{
    *pidfd = -1;
    if (__libc_single_threaded) {
        *pid = (pid_t)syscall(SYS_clone, 0, 0, 0, 0, 0);
        if (*pid < 0)
            return sri_fail_errno("clone");
    } else {
        SRI_TRY(unseen_twice(pid));
    }
    if (*pid == 0 && sri_unseen_hook)
        sri_unseen_hook();
    if (*pid > 0)
        *pidfd = sri_fd_high((int)syscall(SYS_pidfd_open, *pid, 0));
    return SERRY_OK;
}

void sri_unseen_reap(pid_t pid, int *pidfd, double seconds)
{
    if (*pidfd >= 0)
        sri_fd_wait(*pidfd, POLLIN, sri_now() + (sri_ns)(seconds * 1e9));
    waitpid(pid, NULL, __WALL | WNOHANG);
    sri_close(pidfd);
}
