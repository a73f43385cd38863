/* base/fds.c: passing, closing and waiting for descriptors. */
#include "base/fds.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

int sri_fd_high(int fd)
{
    if (fd < 0 || fd > 2)
        return fd;
    int high = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    int why = errno;
    close(fd);
    errno = why;
    return high;
}

serry_err sri_socket_pair(int fd[2])
{
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fd) != 0)
        return sri_fail_errno("socketpair");
    fd[0] = sri_fd_high(fd[0]);
    fd[1] = sri_fd_high(fd[1]);
    if (fd[0] >= 0 && fd[1] >= 0)
        return SERRY_OK;
    serry_err e = sri_fail_errno("socketpair");
    sri_close(&fd[0]);
    sri_close(&fd[1]);
    return e;
}

int sri_packet_send(int fd, const void *head, size_t head_len, const void *body, size_t len,
                    const int *fds, int n)
{
    struct iovec iov[2] = { { (void *)(uintptr_t)head, head_len },
                            { (void *)(uintptr_t)body, len } };
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int) * SRI_FDS_MAX)];
    } control;
    struct msghdr msg = { .msg_iov = iov, .msg_iovlen = len ? 2 : 1 };
    if (n > 0) {
        memset(&control, 0, sizeof control);
        msg.msg_control = control.bytes;
        msg.msg_controllen = CMSG_SPACE(sizeof(int) * (size_t)n);
        struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(int) * (size_t)n);
        memcpy(CMSG_DATA(c), fds, sizeof(int) * (size_t)n);
    }
    for (;;) {
        if (sendmsg(fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0)
            return 0;
        if (errno != EINTR)
            return errno;
    }
}

bool sri_packet_refused(int code)
{
    return code == EAGAIN || code == ENOBUFS || code == ENOMEM || code == ETOOMANYREFS;
}

ssize_t sri_packet_recv(int fd, void *buf, size_t cap, int *fds, int *n)
{
    struct iovec iov = { buf, cap };
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int) * SRI_FDS_MAX)];
    } control;
    struct msghdr msg = { .msg_iov = &iov,
                          .msg_iovlen = 1,
                          .msg_control = control.bytes,
                          .msg_controllen = sizeof control.bytes };
    *n = 0;
    ssize_t got;
    do {
        got = recvmsg(fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    } while (got < 0 && errno == EINTR);
    if (got < 0)
        return errno == EWOULDBLOCK ? -EAGAIN : -errno;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&msg); c; c = CMSG_NXTHDR(&msg, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        *n = (int)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
        memcpy(fds, CMSG_DATA(c), sizeof(int) * (size_t)*n);
    }
    for (int i = 0; i < *n; i++) {
        fds[i] = sri_fd_high(fds[i]);
        if (fds[i] < 0)
            fds[i] = SRI_FD_LOST;
    }
    if ((msg.msg_flags & MSG_CTRUNC) && *n < SRI_FDS_MAX)
        fds[(*n)++] = SRI_FD_LOST;
    return got;
}

bool sri_fd_wait(int fd, short events, sri_ns deadline)
{
    struct pollfd p = { .fd = fd, .events = events };
    for (;;) {
        int n = poll(&p, 1, sri_poll_timeout(deadline));
        if (n > 0)
            return true;
        if (n == 0 && (deadline == 0 || sri_now() >= deadline))
            return false;
    }
}

static void fds_close_range(unsigned first, unsigned last)
{
    if (first > last)
        return;
    if (syscall(SYS_close_range, first, last, 0) == 0)
        return;
    long max = sysconf(_SC_OPEN_MAX);
    for (unsigned fd = first; fd <= last && fd < (unsigned)max; fd++)
        close((int)fd);
}

void sri_close_all_but(int from, const int *keep, int n)
{
    unsigned first = (unsigned)from;
    for (int i = 0; i < n; i++) {
        if (keep[i] < from)
            continue;
        fds_close_range(first, (unsigned)keep[i] - 1);
        first = (unsigned)keep[i] + 1;
    }
    fds_close_range(first, ~0u);
}

void sri_close(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}
