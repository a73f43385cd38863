/* serry/pipe.h: a connection between two processes, one at each end.
 *
 *     static int child(const void *arg, size_t len)
 *     {
 *         serry_conn c = *(const serry_conn *)arg;
 *         (void)len;
 *         return serry_conn_send(c, "hello", 5, SERRY_FOREVER) != SERRY_OK;
 *     }
 *     ...
 *     serry_conn mine, theirs;
 *     serry_process p;
 *     char word[16];
 *     size_t len;
 *     SERRY_CHECK(serry_pipe_create(&mine, &theirs, true));
 *     SERRY_CHECK(serry_process_start(&p, child, &theirs, sizeof theirs, NULL));
 *     SERRY_CHECK(serry_conn_recv(mine, word, sizeof word, &len, SERRY_FOREVER));
 *     SERRY_CHECK(serry_conn_close(mine));
 *
 * Messages are whole, from 0 bytes up to the world's max_message, and keep their order. Each end
 * has one owner: the process that made it, until another process uses it first or it is given. What
 * was sent to it before that arrives at whoever owns it then. An end that belongs to another
 * process: SERRY_EPERM, naming its owner. All threads of the owner may use an end, in both
 * directions at once.
 */
#ifndef SERRY_PIPE_H
#define SERRY_PIPE_H

#include <serry/world.h>

#ifdef __cplusplus
extern "C" {
#endif

/* One end of a pipe. It may travel in messages, queues and the arguments of processes. */
typedef struct serry_conn {
    uint64_t id;
} serry_conn;

/* Makes a pipe. duplex: both ends send and receive; otherwise *a only receives and *b only sends,
 * and the wrong direction is SERRY_EPERM. */
SERRY_API SERRY_WARN_UNUSED serry_err serry_pipe_create(serry_conn *a, serry_conn *b, bool duplex);

/* Sends len bytes to the other end; a length of 0 is a message too. buf is borrowed during the
 * call. Waits while there is no room: for a long message, until the other end receives it.
 * SERRY_ETIMEDOUT: nothing was sent. SERRY_ECLOSED: the other end is closed, or its process has
 * ended; SERRY_EDIED: it was killed. SERRY_ELIMIT: len is above the limit. */
SERRY_API SERRY_WARN_UNUSED serry_err serry_conn_send(serry_conn c, const void *buf, size_t len,
                                                      double timeout);

/* Receives the next message into buf of cap bytes, waiting while there is none; *len is its length.
 * len NULL: exactly cap bytes are expected (SERRY_EINVAL otherwise, the message stays).
 * SERRY_ETIMEDOUT: none came. SERRY_ETRUNC: it is longer than cap, *len is set, the message stays.
 * SERRY_ECLOSED, SERRY_EDIED: as for send, once all that was sent has been received. */
SERRY_API SERRY_WARN_UNUSED serry_err serry_conn_recv(serry_conn c, void *buf, size_t cap,
                                                      size_t *len, double timeout);

/* SERRY_OK as soon as a receive would not wait: there is a message, or there will be none any more.
 * SERRY_ETIMEDOUT: neither. Takes nothing. */
SERRY_API SERRY_WARN_UNUSED serry_err serry_conn_poll(serry_conn c, double timeout);

/* Makes rank the owner of an end of this process, or of one that nobody has used. What was sent to
 * it and not yet received follows. From then on it is the other's: SERRY_EPERM here. No thread of
 * this process may be in a call on it: SERRY_ESTATE. SERRY_EDIED: that rank is gone, the end stays
 * here. Waits for the home and for messages on their way, never for rank. */
SERRY_API SERRY_WARN_UNUSED serry_err serry_conn_give(serry_conn c, int rank);

/* Closes an end of this process; what it has sent will still be received at the other. Threads of
 * this process that wait at it get SERRY_ECLOSED, as does any later use, or SERRY_EHANDLE once both
 * ends are closed. An end nobody has used may be closed by its maker. */
SERRY_API SERRY_WARN_UNUSED serry_err serry_conn_close(serry_conn c);

#ifdef __cplusplus
}
#endif
#endif
