/* start/host.c: an agent that is forked before the world is known: forking it, telling it, and the
 * early life it leads. */
#include "start/host.h"

#include "base/fds.h"
#include "core/unseen.h"
#include "start/guest.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/single_threaded.h>
#include <sys/syscall.h>
#include <unistd.h>

#define HOST_SETUP_MARK 0x53525550u
#define HOST_HEARTBEAT 10.0
#define HOST_LINKS_WITHIN SRI_MS(30000)
#define HOST_LEAVE 5.0 /* seconds for an agent to end once its world has */

/* What the agent's process starts with. */
typedef struct host_life {
    int control;
    int door;
    int links;
    int maker;    /* a pidfd of the process that makes all this, -1: none */
    pid_t parent; /* 0: the maker is not the parent */
} host_life;

/* Until it knows the world nothing keeps it alive but its maker. */
static bool host_await(const host_life *l, int *file)
{
    for (;;) {
        struct pollfd p[2] = { { .fd = l->control, .events = POLLIN },
                               { .fd = l->maker, .events = POLLIN } };
        uint32_t mark = 0;
        int fds[SRI_FDS_MAX];
        int n = 0;
        if (poll(p, 2, -1) < 0 && errno != EINTR)
            return false;
        ssize_t got = sri_packet_recv(l->control, &mark, sizeof mark, fds, &n);
        if (got == -EAGAIN && !p[1].revents)
            continue;
        if (got == (ssize_t)sizeof mark && mark == HOST_SETUP_MARK && n == 1 && fds[0] >= 0) {
            *file = fds[0];
            return true;
        }
        return false;
    }
}

static serry_err host_links(const sri_setup *s, host_life *l, sri_links **links)
{
    double heartbeat = HOST_HEARTBEAT;
    serry_err e = sri_guest_heartbeat(&heartbeat);
    if (e == SERRY_OK && s->places.nodes > 1)
        return sri_links_tcp_open(links, l->links, s->places.node, s->places.nodes,
                                  (const char(*)[SRI_LINK_ADDRESS])s->addresses, s->link_key,
                                  heartbeat, sri_now() + HOST_LINKS_WITHIN);
    sri_close(&l->links);
    return e;
}

static void host_live(host_life *l, const sri_door *d)
{
    const int keep[] = { l->control, l->door, l->links, l->maker };
    sri_links *links = NULL;
    sri_setup s;
    int file;
    sri_guest_settle(keep, l->maker >= 0 ? 4 : 3);
    if (!host_await(l, &file) || sri_setup_read(file, &s) != SERRY_OK)
        return;
    sri_close(&file);
    /* Nobody listens to anything else meanwhile. */
    if (l->parent)
        prctl(PR_SET_PDEATHSIG, SIGKILL);
    serry_err e = l->parent && getppid() != l->parent
                      ? sri_fail(SERRY_EDIED, "the process that made the agent has gone")
                      : host_links(&s, l, &links);
    prctl(PR_SET_PDEATHSIG, 0);
    sri_close(&l->control);
    sri_close(&l->maker);
    (void)sri_host_serve(&s, d, l->door, links, e);
}

serry_err sri_host_fork(sri_host_process *p, const char *interface)
{
    host_life l = { .door = -1, .links = -1, .parent = __libc_single_threaded ? getpid() : 0 };
    int pair[2];
    SRI_TRY(sri_socket_pair(pair));
    l.control = pair[0];
    serry_err e = sri_links_tcp_listen(interface, &l.links, p->address);
    if (e == SERRY_OK)
        e = sri_door_open(&p->door, &l.door);
    if (e == SERRY_OK) {
        l.maker = sri_fd_high((int)syscall(SYS_pidfd_open, getpid(), 0));
        e = sri_unseen_fork(&p->pid, &p->pidfd);
        if (e == SERRY_OK && p->pid == 0) {
            host_live(&l, &p->door);
            _exit(0);
        }
        sri_close(&l.maker);
    }
    close(pair[0]);
    sri_close(&l.links);
    sri_close(&l.door);
    p->control = pair[1];
    if (e != SERRY_OK) {
        p->pid = 0;
        sri_close(&p->control);
    }
    return e;
}

serry_err sri_host_set_up(sri_host_process *p, const sri_setup *s)
{
    const uint32_t mark = HOST_SETUP_MARK;
    int file;
    SRI_TRY(sri_setup_pack(s, &file));
    int code = sri_packet_send(p->control, &mark, sizeof mark, NULL, 0, &file, 1);
    close(file);
    if (code == 0)
        return SERRY_OK;
    errno = code;
    return code == EPIPE || code == ECONNRESET
               ? sri_fail(SERRY_EDIED, "the agent of this node has died before the world began")
               : sri_fail_errno("telling the agent of this node about the world");
}

void sri_host_dismiss(sri_host_process *p)
{
    if (p->pid > 0 && p->pidfd >= 0)
        syscall(SYS_pidfd_send_signal, p->pidfd, SIGKILL, NULL, 0);
    sri_host_reap(p);
}

void sri_host_reap(sri_host_process *p)
{
    sri_close(&p->control);
    if (p->pid > 0)
        sri_unseen_reap(p->pid, &p->pidfd, HOST_LEAVE);
    p->pid = 0;
}

void sri_host_forget(sri_host_process *p)
{
    sri_close(&p->control);
    sri_close(&p->pidfd);
    p->pid = 0;
}
