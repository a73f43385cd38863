/* agent/members_end.c: members leave, end and die: how an agent learns of it, and what it does
 * then.
 *
 * A member has ended when its pidfd is readable or its socket has ended. The socket alone decides
 * only if there is no pidfd, or if the process has closed it and lives on: then it is given a
 * moment to end, and is dead to us after it. */
#include "agent/far.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* Between the end of a process's descriptors and the end of the process. On a busy machine one that
 * is seen to be on its way is given longer: its code is known at its end only. */
#define END_MOMENT SRI_MS(40)
#define END_MOMENT_EXITING SRI_MS(2000)
#define END_EXITING 0x4u /* PF_EXITING among the flags in /proc/PID/stat */

/* What the kernel says of a process that nobody has reaped yet. */
typedef struct end_stat {
    char state;
    unsigned flags;
    int status; /* of a zombie */
} end_stat;

static bool end_read_stat(pid_t pid, end_stat *s)
{
    char path[64];
    char text[1024];
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t n = read(fd, text, sizeof text - 1);
    close(fd);
    if (n <= 0)
        return false;
    text[n] = 0;
    char *at = strrchr(text, ')'); /* field 2 ends here; flags is field 9, exit_code field 52 */
    char *last = strrchr(text, ' ');
    return at && last && sscanf(at + 1, " %c %*d %*d %*d %*d %*d %u", &s->state, &s->flags) == 2
           && sscanf(last, " %d", &s->status) == 1;
}

static bool end_zombie_status(pid_t pid, int *status)
{
    end_stat s;
    if (!end_read_stat(pid, &s) || (s.state != 'Z' && s.state != 'X'))
        return false;
    *status = s.status;
    return true;
}

/* Has it begun to end, and not got there yet? */
static bool end_is_exiting(const agent_member *m)
{
    end_stat s;
    return m->pid > 0 && end_read_stat(m->pid, &s) && (s.flags & END_EXITING);
}

/* The same of one that has been reaped, where the kernel keeps it with the pidfd (Linux 6.15). */
static bool end_reaped_status(int pidfd, int *status)
{
    struct {
        uint64_t mask;
        uint64_t rest[6];
        uint32_t egid;
        int32_t exit_code;
    } info = { .mask = 1u << 3 };
    _Static_assert(sizeof info == 64, "struct pidfd_info, version 0");
    if (pidfd < 0 || ioctl(pidfd, _IOC(_IOC_READ | _IOC_WRITE, 0xFF, 11, sizeof info), &info) != 0
        || !(info.mask & (1u << 3)))
        return false;
    *status = info.exit_code;
    return true;
}

static void end_learn_code(agent_member *m)
{
    int status;
    if (m->code_known)
        return;
    if (m->pid == 0) { /* it never joined: of a started one that is no good end */
        m->code = m->launched ? 0 : -SIGKILL;
        return;
    }
    if (!end_zombie_status(m->pid, &status) && !end_reaped_status(m->pidfd, &status)) {
        m->code = m->state == AGENT_JOINED ? -SIGKILL : 0; /* nobody knows */
        return;
    }
    m->code = WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
    m->code_known = true;
}

static bool end_process_runs(const agent_member *m)
{
    struct pollfd p = { .fd = m->pidfd, .events = POLLIN };
    return m->pidfd >= 0 && poll(&p, 1, 0) == 0;
}

void agent_end_member(sri_agent *a, agent_member *m, int signal)
{
    if (m->state == AGENT_GONE)
        return;
    if (m->far) {
        far_signal(a, m, signal);
        return;
    }
    if (m->state == AGENT_SEATED) { /* who it is, it says when it joins */
        m->pending_signal = signal;
        return;
    }
    if (m->pidfd >= 0)
        syscall(SYS_pidfd_send_signal, m->pidfd, signal, NULL, 0);
    else if (m->pid > 0)
        kill(m->pid, signal);
}

void agent_end_daemons(sri_agent *a, const agent_member *parent)
{
    for (int r = 0; r < a->n_ranks; r++) {
        agent_member *m = a->members[r];
        if (!m || m->far || m->parent != parent->rank || !m->daemon || m->ending)
            continue;
        m->ending = true;
        agent_end_member(a, m, SIGTERM);
    }
}

void agent_member_left(sri_agent *a, agent_member *m)
{
    if (m->state != AGENT_JOINED)
        return;
    m->state = AGENT_LEFT;
    if (m->launched)
        a->launched_in--;
    far_tell(a, m, SRI_FATE_LEFT, m->code);
    agent_objects_gone(a, m->rank, SRI_FATE_LEFT);
    a->host->ops->tell(a->host, m->rank, SRI_FATE_LEFT, 0);
    if (a->options.fate)
        a->options.fate(a->options.ctx, m->rank, m->pid, SRI_FATE_LEFT, 0);
    agent_end_daemons(a, m);
}

void agent_rank_lost(sri_agent *a, int rank)
{
    if (a->lost < 0 || rank < a->lost)
        a->lost = rank;
}

/* Everything that this member had sent has been handled first. */
void agent_member_ended(sri_agent *a, agent_member *m)
{
    if (m->state == AGENT_GONE)
        return;
    a->host->ops->drain(a->host, m->rank);
    if (m->state == AGENT_GONE)
        return;
    end_learn_code(m);
    sri_fate fate =
        m->state == AGENT_SEATED || m->state == AGENT_JOINED ? SRI_FATE_DIED : SRI_FATE_ENDED;
    if (m->launched && fate == SRI_FATE_DIED)
        a->launched_in--;
    if (m->launched && m->state != AGENT_RELEASED)
        agent_rank_lost(a, m->rank);
    if (!a->nursery_settled && m->rank == sri_places_first(&a->options.places, m->node))
        agent_take_nursery(a, -1);
    /* The program that the user started is no more: nothing of it goes on behind his back. */
    if (m->rank == 0 && a->options.direct && m->state != AGENT_RELEASED)
        a->stop = true;
    m->state = AGENT_GONE;
    a->alive--;
    a->lost_members -= m->lost_at != 0;
    agent_drop_late(a, m);
    sri_buffer_fini(&m->chain);
    agent_forget_asker(a, m->rank);
    far_tell(a, m, fate, m->code);
    agent_objects_gone(a, m->rank, fate);
    a->host->ops->tell(a->host, m->rank, fate, m->code);
    a->host->ops->unseat(a->host, m->rank);
    sri_close(&m->socket);
    sri_close(&m->pidfd);
    for (int i = 0; i < 3; i++)
        sri_close(&m->streams[i]);
    agent_end_daemons(a, m);
    if (a->options.fate)
        a->options.fate(a->options.ctx, m->rank, m->pid, fate, m->code);
    agent_waiters_look(a);
}

void agent_member_readable(sri_agent *a, int rank)
{
    agent_member *m = agent_member_of(a, rank);
    if (!m || m->state == AGENT_GONE || m->lost_at)
        return;
    if (a->host->ops->readable(a->host, rank) || m->state == AGENT_GONE)
        return;
    if (end_process_runs(m) && m->state != AGENT_RELEASED) {
        m->lost_at = sri_now();
        a->lost_members++;
        struct epoll_event none = { 0 };
        epoll_ctl(a->epoll, EPOLL_CTL_DEL, m->socket, &none);
        return;
    }
    agent_member_ended(a, m);
}

void agent_members_tick(sri_agent *a)
{
    for (int r = 0; r < a->n_ranks && a->lost_members > 0; r++) {
        agent_member *m = a->members[r];
        if (!m || m->state == AGENT_GONE || !m->lost_at)
            continue;
        sri_ns since = sri_now() - m->lost_at;
        if (since > END_MOMENT && (since > END_MOMENT_EXITING || !end_is_exiting(m)))
            agent_member_ended(a, m);
    }
}

void sri_agent_kill_all(sri_agent *a)
{
    for (int r = 0; r < a->n_ranks; r++) {
        if (a->members[r] && !a->members[r]->far)
            agent_end_member(a, a->members[r], SIGKILL);
    }
}
