/* transport/local/join.c: hello, welcome, and the lifeline. */
#include "transport/local/local.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* A pipe end that came by descriptor shares its owner with everybody who got it; opened anew it is
 * ours alone. SIGKILL then comes from the kernel when the last writer closes, whatever this process
 * does at the time. */
void sri_lifeline_arm(int *fd, bool *armed)
{
    char path[64];
    *armed = false;
    snprintf(path, sizeof path, "/proc/self/fd/%d", *fd);
    int own = sri_fd_high(open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC));
    if (own < 0)
        return;
    struct f_owner_ex owner = { F_OWNER_PID, getpid() };
    if (fcntl(own, F_SETSIG, SIGKILL) != 0 || fcntl(own, F_SETOWN_EX, &owner) != 0
        || fcntl(own, F_SETFL, O_NONBLOCK | O_ASYNC) != 0) {
        close(own);
        return;
    }
    close(*fd);
    *fd = own;
    *armed = true;
    /* It may have ended before the signal was asked for. */
    struct pollfd p = { .fd = own, .events = POLLIN };
    if (poll(&p, 1, 0) > 0 && (p.revents & POLLHUP))
        kill(getpid(), SIGKILL);
}

/* Before the socket is closed: that may be what the agent waits for with its own end. And a copy of
 * this process that somebody forked may hold the pipe open for longer than we do. */
void sri_lifeline_close(int *fd, bool inherited)
{
    if (*fd >= 0 && !inherited)
        fcntl(*fd, F_SETFL, O_NONBLOCK);
    sri_close(fd);
}

static serry_err join_say_hello(int socket, sri_join_role role)
{
    sri_packet_head head = { .kind = SRI_KIND_JOIN, .mark = SRI_PACKET_MARK };
    sri_hello hello = { .version = SRI_JOIN_VERSION, .role = (uint32_t)role, .pid = getpid() };
    int self = (int)syscall(SYS_pidfd_open, getpid(), 0);
    int code =
        sri_packet_send(socket, &head, sizeof head, &hello, sizeof hello, &self, self >= 0 ? 1 : 0);
    sri_close(&self);
    if (code == EPIPE || code == ECONNRESET)
        return sri_fail(SERRY_EDIED, "the agent of this node has gone");
    if (code != 0) {
        errno = code;
        return sri_fail_errno("saying hello to the agent");
    }
    return SERRY_OK;
}

static serry_err join_await_welcome(int socket, sri_welcome *w, int *fds, int *n)
{
    uint8_t packet[sizeof(sri_packet_head) + sizeof *w];
    ssize_t got;
    do {
        sri_fd_wait(socket, POLLIN, SRI_NEVER);
        got = sri_packet_recv(socket, packet, sizeof packet, fds, n);
    } while (got == -EAGAIN);
    if (got <= 0)
        return sri_fail(SERRY_EDIED, "the agent of this node has gone, or this place was taken");
    sri_arrival a;
    if (!sri_packet_arrival(packet, (size_t)got, SRI_AGENT, -1, &a) || a.kind != SRI_KIND_JOIN
        || a.len != sizeof *w)
        return sri_fail(SERRY_EINTERNAL, "the agent's welcome is of another version of serry");
    memcpy(w, a.bytes, sizeof *w);
    w->text[sizeof w->text - 1] = 0;
    if (w->version != SRI_JOIN_VERSION)
        return sri_fail(SERRY_EINVAL, "the launcher or agent is of another version of serry");
    if (w->err != SERRY_OK)
        return sri_fail_text((serry_err)w->err, w->text);
    for (int i = 0; i < *n; i++) {
        if (fds[i] < 0)
            return sri_fail(SERRY_ELIMIT,
                            "joining needs %d more descriptors than this process may "
                            "have (see ulimit -n)",
                            *n);
    }
    return SERRY_OK;
}

serry_err sri_local_join(int socket, sri_join_role role, const sri_sink *sink, sri_transport **t,
                         sri_welcome *w)
{
    int fds[SRI_FDS_MAX];
    int n = 0;
    serry_err e = join_say_hello(socket, role);
    if (e == SERRY_OK)
        e = join_await_welcome(socket, w, fds, &n);
    w->table = e == SERRY_OK && w->table && n > 0 ? fds[--n] : -1;
    if (e == SERRY_OK && role == SRI_JOIN_MEMBER)
        e = w->lanes == 0 ? sri_shm_open(t, socket, fds, n, w, sink)
                          : sri_socket_open(t, socket, fds, n, w, sink);
    if (e == SERRY_OK && role == SRI_JOIN_MEMBER)
        return SERRY_OK;
    if (e == SERRY_OK && n > 0) {
        /* The nursery has no transport; its lifeline, the last descriptor, stays with it. */
        bool armed;
        sri_lifeline_arm(&fds[n - 1], &armed);
        n--;
        for (int i = 0; i < n; i++)
            sri_close(&fds[i]);
        return SERRY_OK;
    }
    for (int i = 0; i < n; i++)
        sri_close(&fds[i]);
    sri_close(&w->table);
    sri_close(&socket);
    return e;
}
