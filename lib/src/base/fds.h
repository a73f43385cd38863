/* base/fds.h: descriptors: passing them, closing what is not ours, waiting for one. */
#ifndef SRI_BASE_FDS_H
#define SRI_BASE_FDS_H

#include "base/clock.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SRI_FDS_MAX 8 /* passed with one packet */

/* A program may have closed its standard streams: what it prints then must not go into a descriptor
 * of ours that got their number. Moves fd above them; -1 (errno) if that fails, fd is gone then.
 * Those made and received by the functions below are there already. */
int sri_fd_high(int fd);

/* A pair of connected packet sockets, close-on-exec, non-blocking. */
serry_err sri_socket_pair(int fd[2]);

/* Sends one packet with n descriptors. Never blocks, never raises SIGPIPE. Returns 0, or the errno
 * (EAGAIN: full; EPIPE, ECONNRESET: the other end is gone). */
int sri_packet_send(int fd, const void *head, size_t head_len, const void *body, size_t len,
                    const int *fds, int n);

/* Says of what send returned that the same packet may go later: the socket is full, or the kernel
 * is short of memory or has too many descriptors under way. */
bool sri_packet_refused(int code);

/* Receives one packet and up to SRI_FDS_MAX descriptors, close-on-exec; those lost for want of
 * descriptors are SRI_FD_LOST. Returns its length, 0 for end of file, or -errno. Never blocks. */
#define SRI_FD_LOST (-2)
ssize_t sri_packet_recv(int fd, void *buf, size_t cap, int *fds, int *n);

/* Waits for POLLIN or POLLOUT on one descriptor; true if it came before the deadline. */
bool sri_fd_wait(int fd, short events, sri_ns deadline);

/* Closes all descriptors from `from` up but those n in keep, which must be sorted ascending. */
void sri_close_all_but(int from, const int *keep, int n);

/* close, if it is a descriptor; -1 is left behind. */
void sri_close(int *fd);

#ifdef __cplusplus
}
#endif
#endif
