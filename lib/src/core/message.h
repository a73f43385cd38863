/* core/message.h: messages between ranks as the core sees them: the public calls, the collectives
 * and the pipes stand on these. Contexts are matched apart. */
#ifndef SRI_CORE_MESSAGE_H
#define SRI_CORE_MESSAGE_H

#include "core/core.h"

#include <serry/message.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum sri_context {
    SRI_CONTEXT_USER = 0,
    SRI_CONTEXT_COLLECTIVE = 1,
    SRI_CONTEXT_PIPE = 2,
    SRI_CONTEXTS
} sri_context;

/* All below: with the core entered, arguments already checked. */

serry_err sri_message_send(sri_context c, int dest, int tag, const void *buf, size_t len);
serry_err sri_message_recv(sri_context c, int source, int tag, void *buf, size_t cap,
                           serry_status *status, sri_ns deadline);
serry_err sri_message_sendrecv(sri_context c, int dest, int send_tag, const void *out, size_t len,
                               int source, int recv_tag, void *in, size_t cap,
                               serry_status *status);
serry_err sri_message_isend(sri_context c, serry_request *r, int dest, int tag, const void *buf,
                            size_t len);
serry_err sri_message_irecv(sri_context c, serry_request *r, int source, int tag, void *buf,
                            size_t cap);
serry_err sri_message_probe(sri_context c, int source, int tag, serry_status *status,
                            sri_ns deadline);
/* r must not be zero. */
serry_err sri_message_wait(serry_request *r, serry_status *status, sri_ns deadline);
serry_err sri_message_wait_any(serry_request *rs, size_t n, size_t *which, serry_status *status,
                               sri_ns deadline);
serry_err sri_message_wait_all(serry_request *rs, size_t n, serry_status *statuses,
                               sri_ns deadline);
serry_err sri_message_cancel(serry_request *r);
/* Gives a request up, whatever has become of it: *r becomes zero. Blocks while a send's bytes flow.
 */
void sri_message_drop(serry_request *r);

/* From the dispatcher (core/progress.c). */
void sri_message_fate(int rank, sri_fate fate, int code);
bool sri_message_push(void); /* sends what was kept back for full lanes; true if anything moved */

/* A new member: nothing posted, nothing arrived, no request. Also in the child of a fork, where
 * what the parent had is dropped without touching it. */
serry_err sri_message_init(void);
void sri_message_fini(void);

/* Is `what`, a rank named by the caller, one of this world? SERRY_EINVAL: it never was.
 * SERRY_EDIED: it had ended before this process heard of it. May ask the agent and wait for the
 * answer. */
serry_err sri_message_check_rank(const char *what, int rank);

/* Has this rank died or left, as far as this process has been told? */
bool sri_message_peer_gone(int rank);

#ifdef __cplusplus
}
#endif
#endif
