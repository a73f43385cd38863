/* serry/message.h: bytes from one rank to another.
 *
 *     double x = 1.5;
 *     serry_status st;
 *     if (serry_rank() == 0)
 *         SERRY_CHECK(serry_send(1, 7, &x, sizeof x));
 *     if (serry_rank() == 1)
 *         SERRY_CHECK(serry_recv(SERRY_ANY, 7, &x, sizeof x, &st, SERRY_FOREVER));
 *
 * Tags are 0 .. INT32_MAX. Order is kept for each pair of ranks and tag. A send may wait for its
 * receiver, so do not rely on buffering: short messages (up to 64 KiB) are usually on their way
 * when the call returns, longer ones when the receiver has asked for them.
 * A message is 0 bytes to SERRY_MAX_MESSAGE (an environment option; 4 GiB unless set).
 *
 * Errors of every call here: SERRY_ESTATE before init, after finalize and in a forked copy;
 * SERRY_EINVAL for a rank or tag out of range or NULL with a length; SERRY_EDIED for a peer that
 * died or left.
 */
#ifndef SERRY_MESSAGE_H
#define SERRY_MESSAGE_H

#include <serry/world.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Where a message came from. len is in bytes. */
typedef struct serry_status {
    int source;
    int tag;
    size_t len;
} serry_status;

/* A send or receive under way. A zero request is a finished one. */
typedef struct serry_request {
    uint64_t id;
} serry_request;

/* Sends len bytes of buf to rank dest. Borrows buf during the call. Blocks until buf may be used
 * again; a receiver that dies ends the wait with SERRY_EDIED. dest SERRY_NONE does nothing. */
SERRY_API SERRY_WARN_UNUSED serry_err serry_send(int dest, int tag, const void *buf, size_t len);

/* Receives one message of source and tag (or SERRY_ANY) into buf of cap bytes. status, where
 * wanted, says who sent it and how long it is; it is set on SERRY_OK, and on SERRY_ETRUNC, which
 * leaves the message where it was. With status NULL a shorter message than cap is taken too.
 * SERRY_EDIED: source is dead and all it sent has been read; from SERRY_ANY once for each newly
 * dead rank (status->source names it), and always when no other rank is left.
 * SERRY_ETIMEDOUT: nothing matched in time; nothing was taken. */
SERRY_API SERRY_WARN_UNUSED serry_err serry_recv(int source, int tag, void *buf, size_t cap,
                                                 serry_status *status, double timeout);

/* Sends and receives at once, as neighbours in a ring do, without a deadlock. Blocks until both
 * are done. out and in must not overlap. If it fails, the other half may or may not have been done.
 */
SERRY_API SERRY_WARN_UNUSED serry_err serry_sendrecv(int dest, int send_tag, const void *out,
                                                     size_t len, int source, int recv_tag, void *in,
                                                     size_t cap, serry_status *status);

/* Waits until a message that a recv of the same source and tag would take is here, and describes
 * it without taking it. */
SERRY_API SERRY_WARN_UNUSED serry_err serry_probe(int source, int tag, serry_status *status,
                                                  double timeout);

/* Starts a send or receive and returns at once. buf is borrowed until the request has finished.
 * SERRY_ELIMIT: too many requests under way (1,048,576). */
SERRY_API SERRY_WARN_UNUSED serry_err serry_isend(serry_request *r, int dest, int tag,
                                                  const void *buf, size_t len);
SERRY_API SERRY_WARN_UNUSED serry_err serry_irecv(serry_request *r, int source, int tag, void *buf,
                                                  size_t cap);

/* Waits for a request. When it has finished, *r becomes zero and its error is returned. On
 * SERRY_ETIMEDOUT the request goes on. */
SERRY_API SERRY_WARN_UNUSED serry_err serry_wait(serry_request *r, serry_status *status,
                                                 double timeout);

/* Waits for one of n requests; *which is its index and its error is returned. Zero requests are
 * passed over; if all are zero, *which is n and the result SERRY_OK. */
SERRY_API SERRY_WARN_UNUSED serry_err serry_wait_any(serry_request *rs, size_t n, size_t *which,
                                                     serry_status *status, double timeout);

/* Waits for all of n requests; statuses, where wanted, has n places. Returns the first error in
 * the order of rs. On SERRY_ETIMEDOUT the finished ones are zero, the others go on. */
SERRY_API SERRY_WARN_UNUSED serry_err serry_wait_all(serry_request *rs, size_t n,
                                                     serry_status *statuses, double timeout);

/* Withdraws a request that has not been matched: *r becomes zero and nothing was transferred.
 * SERRY_ESTATE: its transfer has begun; wait for it. */
SERRY_API SERRY_WARN_UNUSED serry_err serry_cancel(serry_request *r);

#ifdef __cplusplus
}
#endif
#endif
