/* run_guard.c: a process that outlives a killed launcher for an instant. Ranks die with the
 * launcher by the kernel's hand; their own children would not.
 *
 * Each rank writes its process group to the guard's pipe before it becomes the program, so there
 * is no moment at which one exists that the guard has not been told of. The pipe's end without a
 * goodbye means that the launcher is dead: its copies of the descriptor were the only ones.
 */
#include "run.h"

#include "base/fds.h"
#include "transport/local/segment.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define GUARD_GOODBYE 0

static const int guard_deaf_to[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGPIPE };

static _Noreturn void guard_main(int fd)
{
    static pid_t groups[SRI_SLOTS];
    size_t n = 0;
    setsid();
    for (size_t i = 0; i < sizeof guard_deaf_to / sizeof *guard_deaf_to; i++)
        signal(guard_deaf_to[i], SIG_IGN);
    sri_close_all_but(0, &fd, 1);
    prctl(PR_SET_NAME, "serry-guard");
    for (;;) {
        pid_t group;
        ssize_t got = read(fd, &group, sizeof group);
        if (got < 0 && errno == EINTR)
            continue;
        if (got != (ssize_t)sizeof group)
            break;
        if (group == GUARD_GOODBYE)
            _exit(0);
        if (group > 1 && n < SRI_SLOTS)
            groups[n++] = group;
    }
    for (size_t i = 0; i < n; i++)
        kill(-groups[i], SIGKILL);
    _exit(0);
}

serry_err run_guard_start(run *r)
{
    int fd[2];
    if (pipe2(fd, O_CLOEXEC) != 0)
        return sri_fail_errno("a pipe to the guard");
    pid_t pid = fork();
    if (pid == 0)
        guard_main(fd[0]);
    close(fd[0]);
    if (pid < 0) {
        close(fd[1]);
        return sri_fail_errno("starting the guard");
    }
    r->guard = fd[1];
    r->guard_pid = pid;
    return SERRY_OK;
}

void run_guard_end(run *r)
{
    if (r->guard < 0)
        return;
    pid_t goodbye = GUARD_GOODBYE;
    ssize_t ignored = write(r->guard, &goodbye, sizeof goodbye);
    (void)ignored;
    sri_close(&r->guard);
    while (waitpid(r->guard_pid, NULL, 0) < 0 && errno == EINTR)
        ;
}
