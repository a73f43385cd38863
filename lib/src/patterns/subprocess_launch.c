/* patterns/subprocess_launch.c: the child between clone and exec.
 *
 * It shares the caller's memory, whose calling thread stands still until exec:
 * no page table is copied, however large the process is, and the child can say
 * in plain memory why it failed. It makes system calls and nothing else.
 * Signals are blocked from before the clone, so that none of the program's
 * handlers runs in it.
 */
#include "patterns/subprocess.h"

#include "base/fds.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define LAUNCH_STACK (64 * 1024)

#define LAUNCH_SIGSET ((size_t)(NSIG / 8)) /* bytes of the kernel's signal sets */

#ifndef CLONE_PIDFD
#define CLONE_PIDFD 0x00001000
#endif

/* The child leaves its frames by exec: what a sanitizer notes about them would
 * stay behind. */
#define LAUNCH_CHILD __attribute__((no_sanitize("address", "thread")))

/* What was opened above 2 goes down to 0, 1 and 2. */
LAUNCH_CHILD static int launch_streams(sri_launch *l)
{
    for (int i = 0; i < 3; i++) {
        if (l->fd[i] <= 2 && l->fd[i] != i) { /* another one's place, which may be taken soon */
            l->fd[i] = fcntl(l->fd[i], F_DUPFD_CLOEXEC, 3);
            if (l->fd[i] < 0)
                return errno;
        }
    }
    for (int i = 0; i < 3; i++) {
        int got = l->fd[i] == i ? fcntl(i, F_SETFD, 0) : dup2(l->fd[i], i);
        if (got < 0)
            return errno;
    }
    return 0;
}

/* All to their defaults, by the bare calls: no library keeps book of it, in
 * memory that is not the child's. Of the kernel's struct sigaction zeroes are
 * the default, on every machine. */
LAUNCH_CHILD static void launch_signals(void)
{
    static const uint64_t zero[16];
    for (int i = 1; i < NSIG; i++)
        syscall(SYS_rt_sigaction, i, zero, NULL, LAUNCH_SIGSET);
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, zero, NULL, LAUNCH_SIGSET);
}

/* Tries each file; of several reasons the first that says more than "not here".
 */
LAUNCH_CHILD static int launch_exec(const sri_program *p)
{
    int error = ENOENT;
    for (char **file = p->files; *file; file++) {
        execve(*file, p->argv, p->env);
        switch (errno) {
        case ENOENT:
        case ENOTDIR:
            continue;
        case EACCES:
        case ELOOP:
        case ENAMETOOLONG:
        case ESTALE:
        case ENODEV:
        case ETIMEDOUT:
            if (error == ENOENT)
                error = errno;
            continue;
        default:
            return errno;
        }
    }
    return error;
}

LAUNCH_CHILD static int launch_child(void *arg)
{
    sri_launch *l = arg;
    if (l->group == SERRY_GROUP_OWN)
        setpgid(0, 0);
    else if (l->group == SERRY_GROUP_SESSION)
        setsid();
    if (l->life[0] >= 0)
        sri_subprocess_arm(l->life, l->group != SERRY_GROUP_SAME);
    l->stage = SRI_LAUNCH_STREAMS;
    l->error = launch_streams(l);
    if (l->error)
        _exit(127);
    l->stage = SRI_LAUNCH_CWD;
    if (l->cwd && chdir(l->cwd) != 0) {
        l->error = errno;
        _exit(127);
    }
    sri_close_all_but(3, NULL, 0);
    launch_signals();
    l->stage = SRI_LAUNCH_EXEC;
    l->error = 0;
    l->error = launch_exec(l->program);
    _exit(127);
}

int sri_launch_run(sri_launch *l, pid_t *pid, int *pidfd)
{
    sigset_t all, before;
    int cancel, ignored, fd = -1;
    char *stack = mmap(NULL, LAUNCH_STACK, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
    *pid = -1;
    *pidfd = -1;
    if (stack == MAP_FAILED)
        return errno;
    l->error = 0;
    sigfillset(&all);
    /* A thread that is cancelled would unwind in the child. */
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    /* No exit signal: the program is not told of a child that did not come to
     * exec. */
    *pid = clone(launch_child, stack + LAUNCH_STACK, CLONE_VM | CLONE_VFORK | CLONE_PIDFD, l, &fd);
    int error = *pid < 0 ? errno : l->error;
    if (*pid > 0 && error) {
        while (waitpid(*pid, NULL, __WALL) < 0 && errno == EINTR)
            ;
        sri_close(&fd);
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_setcancelstate(cancel, &ignored);
    munmap(stack, LAUNCH_STACK);
    *pidfd = sri_fd_high(fd);
    return error;
}
