/* core/service.h: the member's side of the object protocol: requests to homes and their answers.
 *
 * A request that must wait is parked at its home. When its time is over the member sends a cancel
 * and waits for the answer, which comes at once: the result, if the home was faster, or
 * SERRY_ETIMEDOUT. So nothing is done twice and nothing is lost. What was asked of a home whose
 * node is lost ends with SERRY_EDIED.
 */
#ifndef SRI_CORE_SERVICE_H
#define SRI_CORE_SERVICE_H

#include "agent/object.h"
#include "agent/protocol.h"
#include "base/buffer.h"
#include "core/core.h"

#ifdef __cplusplus
extern "C" {
#endif

/* An answer. Zero it first, sri_reply_fini it last; bytes points into it. */
typedef struct sri_reply {
    const uint8_t *bytes;
    size_t len;
    int fd; /* a descriptor that came along, the caller's to close; else -1 */
    uint8_t small[128];
    sri_buffer large;
} sri_reply;

static inline void sri_reply_fini(sri_reply *r)
{
    sri_buffer_fini(&r->large);
}

/* All below: with the core entered. args and body travel as one run of bytes; args_len is a
 * multiple of 8, so that body is aligned to 8 at the home. */

/* One request and its answer. Blocks until the answer or the deadline, making progress. The home's
 * error is returned with its text. reply may be NULL. A stale object: SERRY_EHANDLE. */
serry_err sri_service_call(uint64_t object, uint16_t op, const void *args, size_t args_len,
                           const void *body, size_t len, sri_reply *reply, sri_ns deadline);

/* The same with a descriptor, of which the home gets a copy. The run must fit one frame. */
serry_err sri_service_call_fd(uint64_t object, uint16_t op, const void *args, size_t args_len,
                              int fd, sri_reply *reply, sri_ns deadline);

/* The same without an answer. Blocks only while the lane is full, or with a home on another node
 * until not too much is under way there. It does not say whether the object exists. */
serry_err sri_service_post(uint64_t object, uint16_t op, const void *args, size_t args_len,
                           const void *body, size_t len);

/* The same, never waiting, from a feed or the hook of progress too: what the lane does not take now
 * is copied and goes later, in its turn. SERRY_ENOMEM. */
serry_err sri_service_post_soon(uint64_t object, uint16_t op, const void *args, size_t args_len,
                                const void *body, size_t len);

/* A call whose answer is awaited later: start gives a number, finish waits for it. On
 * SERRY_ETIMEDOUT of finish with cancel = false it goes on and can be finished again. */
serry_err sri_service_start(uint64_t object, uint16_t op, const void *args, size_t args_len,
                            const void *body, size_t len, uint32_t *number);
bool sri_service_done(uint32_t number);
serry_err sri_service_finish(uint32_t number, sri_reply *reply, sri_ns deadline, bool cancel);

/* Makes an object, or finds the one of that name (NULL: none). node: 0 or SERRY_ANY: here,
 * SERRY_NODE(k). */
serry_err sri_service_create(unsigned type, const char *name, int node, const void *args,
                             size_t len, uint64_t *id);
serry_err sri_service_destroy(uint64_t id);

/* SERRY_EHANDLE unless id could name an object of that class. */
serry_err sri_service_check(uint64_t id, unsigned type);

/* SERRY_EHANDLE: it was an object, and has been destroyed. */
serry_err sri_service_destroyed(uint64_t id);

/* Answers of homes that have come: news that may have been waited for. */
extern uint64_t sri_service_answers;

/* From the dispatcher (core/progress.c). The first two: false if something awaited has come. */
bool sri_service_reply(const sri_arrival *frame);
bool sri_service_feed(const sri_arrival *frame);
bool sri_service_push(void); /* sends what was kept back for a full lane; true if anything moved */
serry_err sri_service_init(void); /* also in the child of a fork */
void sri_service_fini(void);

/* ---- between core/service.c and core/object.c ---- */
void sri_service_lost(int node);   /* what was asked of homes there fails */
void sri_service_feed_reset(void); /* what has come of a feed is nothing */
void sri_service_forget_all(void); /* all classes: their objects */

#ifdef __cplusplus
}
#endif
#endif
