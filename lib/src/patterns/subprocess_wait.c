/* patterns/subprocess_wait.c: the end of a subprocess, its exit code, and
 * bringing it about.
 *
 * Only this one child is ever waited for. When a program ignores SIGCHLD, or
 * waits for any child, the kernel or that wait takes the exit code; newer
 * kernels keep it for whoever has the pidfd.
 */
#include "patterns/subprocess.h"

#include "base/fds.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define WAIT_KILLED SRI_MS(5000)
#define WAIT_LOOK_MIN SRI_US(200) /* between looks at a child, without a pidfd */
#define WAIT_LOOK_MAX SRI_MS(10)

/* From linux/pidfd.h, which may be older than the kernel. */
typedef struct wait_info {
    uint64_t mask;
    uint64_t cgroup;
    uint32_t ids[11];
    int32_t exit_code;
} wait_info;
_Static_assert(sizeof(wait_info) == 64, "the first version of struct pidfd_info");
#define WAIT_GET_INFO _IOWR(0xFF, 11, wait_info)
#define WAIT_INFO_EXIT (1u << 3)
#define WAIT_TO_GROUP (1u << 2) /* PIDFD_SIGNAL_PROCESS_GROUP */

static int wait_code(int status)
{
    return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

/* It is no child of ours any more: somebody else has reaped it, or is at it. The pidfd hangs up
 * when that is over; by then the kernel keeps the exit code, if it ever does. False: it is not
 * over. */
static bool wait_trace(serry_subprocess *sp)
{
    wait_info info = { .mask = WAIT_INFO_EXIT };
    bool over = sp->pidfd < 0 || sri_fd_wait(sp->pidfd, 0, 0);
    bool told = sp->pidfd >= 0 && ioctl(sp->pidfd, WAIT_GET_INFO, &info) == 0;
    if (told && info.mask & WAIT_INFO_EXIT) {
        sp->code = wait_code(info.exit_code);
        return true;
    }
    /* ESRCH comes also when it was there at the call's beginning and not at its end. */
    sp->lost = over || (!told && errno != ESRCH);
    return sp->lost;
}

/* Reaps it if it has ended; sp->lock is held. */
static bool wait_reap_locked(serry_subprocess *sp)
{
    int status;
    pid_t got;
    if (sp->reaped)
        return true;
    if (!sp->taken) { /* else its number may be another child's by now */
        do {
            got = waitpid(sp->pid, &status, WNOHANG | __WALL);
        } while (got < 0 && errno == EINTR);
        if (got == 0)
            return false;
        sp->taken = got < 0;
    }
    if (sp->taken)
        sp->reaped = wait_trace(sp);
    else {
        sp->code = wait_code(status);
        sp->reaped = true;
    }
    return sp->reaped;
}

/* *event: what its pidfd will say next. A hang-up is said unasked. */
static bool wait_look(serry_subprocess *sp, short *event)
{
    pthread_mutex_lock(&sp->lock);
    bool ended = wait_reap_locked(sp);
    *event = sp->taken ? 0 : POLLIN;
    pthread_mutex_unlock(&sp->lock);
    return ended;
}

/* For kernels without pidfds. */
static bool wait_by_looking(serry_subprocess *sp, sri_ns deadline)
{
    sri_ns pause = WAIT_LOOK_MIN;
    short event;
    while (!wait_look(sp, &event)) {
        sri_ns now = sri_now();
        if (now >= deadline)
            return false;
        sri_ns step = pause < deadline - now ? pause : deadline - now;
        nanosleep(&(struct timespec){ 0, (long)step }, NULL);
        pause = pause < WAIT_LOOK_MAX ? 2 * pause : WAIT_LOOK_MAX;
    }
    return true;
}

bool sri_subprocess_await(serry_subprocess *sp, sri_ns deadline)
{
    short event;
    if (sp->pidfd < 0)
        return wait_by_looking(sp, deadline);
    while (!wait_look(sp, &event)) {
        if (!sri_fd_wait(sp->pidfd, event, deadline))
            return wait_look(sp, &event);
    }
    return true;
}

serry_err serry_subprocess_wait(serry_subprocess *sp, int *code, double timeout)
{
    sri_ns deadline;
    SRI_TRY(sri_subprocess_check(sp));
    SRI_TRY(sri_deadline(timeout, &deadline));
    if (!sri_subprocess_await(sp, deadline))
        return sri_within(
            sri_fail(SERRY_ETIMEDOUT, "%s (process %d) has not ended", sp->name, (int)sp->pid),
            timeout);
    if (sp->lost)
        return sri_fail(SERRY_ESYS,
                        "the exit code of %s (process %d) is lost: the program "
                        "ignores SIGCHLD or "
                        "waits for children that are not its own",
                        sp->name, (int)sp->pid);
    if (code)
        *code = sp->code;
    return SERRY_OK;
}

serry_err serry_subprocess_poll(serry_subprocess *sp, int *code)
{
    return serry_subprocess_wait(sp, code, SERRY_NOWAIT);
}

/* ---- signals ---- */

static serry_err wait_ended(const serry_subprocess *sp)
{
    return sri_fail(SERRY_ESTATE, "%s (process %d) has ended", sp->name, (int)sp->pid);
}

static serry_err wait_refused(const serry_subprocess *sp, int signal)
{
    if (errno == ESRCH)
        return wait_ended(sp);
    int code = errno;
    if (code == EPERM)
        return sri_fail(SERRY_EPERM, "%s (process %d) runs as another user: signal %d was refused",
                        sp->name, (int)sp->pid, signal);
    errno = code;
    return sri_fail_errno("a signal to a subprocess");
}

/* Is it there, running or as a zombie? Then its number is its own, and that of its group. */
static bool wait_is_there(const serry_subprocess *sp)
{
    siginfo_t info;
    return !sp->reaped && !sp->taken
           && waitid(P_PID, (id_t)sp->pid, &info, WEXITED | WNOHANG | WNOWAIT | __WALL) == 0;
}

/* By the pidfd, which never names anybody else. A filter of system calls may not know of that, and
 * then says one of many things. */
static int wait_signal(const serry_subprocess *sp, int signal)
{
    if (sp->pidfd >= 0 && syscall(SYS_pidfd_send_signal, sp->pidfd, signal, NULL, 0) == 0)
        return 0;
    if (wait_is_there(sp))
        return kill(sp->pid, signal);
    errno = ESRCH;
    return -1;
}

serry_err serry_subprocess_signal(serry_subprocess *sp, int signal)
{
    SRI_TRY(sri_subprocess_check(sp));
    if (signal < 0 || signal > 64)
        return sri_fail(SERRY_EINVAL, "there is no signal %d", signal);
    serry_err e = SERRY_OK;
    pthread_mutex_lock(&sp->lock);
    if (wait_reap_locked(sp))
        e = wait_ended(sp);
    else if (wait_signal(sp, signal) != 0)
        e = wait_refused(sp, signal);
    pthread_mutex_unlock(&sp->lock);
    return e;
}

static int wait_signal_group(const serry_subprocess *sp, int signal)
{
    if (sp->pidfd >= 0) {
        if (syscall(SYS_pidfd_send_signal, sp->pidfd, signal, NULL, WAIT_TO_GROUP) == 0)
            return 0;
        if (errno == ESRCH)
            return -1;
    }
    if (wait_is_there(sp))
        return kill(-sp->pid, signal);
    errno = ESRCH;
    return -1;
}

serry_err sri_subprocess_signal_all(serry_subprocess *sp, int signal)
{
    serry_err e = SERRY_OK;
    pthread_mutex_lock(&sp->lock);
    int got =
        sp->group == SERRY_GROUP_SAME ? wait_signal(sp, signal) : wait_signal_group(sp, signal);
    if (got != 0)
        e = wait_refused(sp, signal);
    pthread_mutex_unlock(&sp->lock);
    return e;
}

serry_err serry_subprocess_terminate(serry_subprocess *sp)
{
    SRI_TRY(sri_subprocess_check(sp));
    return sri_subprocess_signal_all(sp, SIGTERM);
}

serry_err serry_subprocess_kill(serry_subprocess *sp)
{
    SRI_TRY(sri_subprocess_check(sp));
    return sri_subprocess_signal_all(sp, SIGKILL);
}

bool sri_subprocess_end(serry_subprocess *sp)
{
    SERRY_IGNORE(sri_subprocess_signal_all(sp, SIGKILL));
    return sri_subprocess_await(sp, sri_now() + WAIT_KILLED);
}
