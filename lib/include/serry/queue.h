/* serry/queue.h: a first-in first-out queue of byte strings, shared by any number of processes.
 *
 *     serry_queue q;
 *     SERRY_CHECK(serry_queue_create(&q, &(serry_queue_options){ .capacity = 100 }));
 *     SERRY_CHECK(serry_queue_put(q, "work", 4, SERRY_FOREVER));
 *     char item[16];
 *     size_t len;
 *     SERRY_CHECK(serry_queue_get(q, item, sizeof item, &len, SERRY_FOREVER));
 *
 * Order is kept for each writer. A put has happened when its bytes are on their way to the home;
 * a get when its call returns. An item handed to a reader that dies before that goes to the next,
 * as do items sent ahead to one that stands still while others find nothing: these may then come
 * behind later ones.
 */
#ifndef SERRY_QUEUE_H
#define SERRY_QUEUE_H

#include <serry/world.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct serry_queue {
    uint64_t id;
} serry_queue;

typedef struct serry_queue_options {
    const char *name; /* the same name is the same queue; up to 63 bytes; NULL: a new one */
    size_t capacity;  /* items; 0: unbounded */
    int node;         /* where it lives: 0 here, SERRY_NODE(k) */
} serry_queue_options;

/* Makes a queue, or finds the one of that name. SERRY_EINVAL: it exists with another capacity. */
SERRY_API SERRY_WARN_UNUSED serry_err serry_queue_create(serry_queue *q,
                                                         const serry_queue_options *o);

/* Adds an item, waiting while the queue is full. SERRY_ETIMEDOUT: it stayed full, nothing was put;
 * SERRY_ECLOSED. item is borrowed during the call. */
SERRY_API SERRY_WARN_UNUSED serry_err serry_queue_put(serry_queue q, const void *item, size_t len,
                                                      double timeout);

/* Takes the oldest item into item of cap bytes, waiting while there is none; *len is its length.
 * len NULL: exactly cap bytes are expected (SERRY_EINVAL otherwise, the item stays).
 * SERRY_ETIMEDOUT: none came. SERRY_ECLOSED: closed and empty. SERRY_ETRUNC: *len is set, the item
 * stays, and the next reader may get it. */
SERRY_API SERRY_WARN_UNUSED serry_err serry_queue_get(serry_queue q, void *item, size_t cap,
                                                      size_t *len, double timeout);

/* How many items are in it now; exact. */
SERRY_API SERRY_WARN_UNUSED serry_err serry_queue_size(serry_queue q, size_t *n);

/* Says that an item taken earlier has been dealt with; join waits until that holds for all items
 * ever put. More of them than items: SERRY_EINVAL. */
SERRY_API SERRY_WARN_UNUSED serry_err serry_queue_task_done(serry_queue q);
SERRY_API SERRY_WARN_UNUSED serry_err serry_queue_join(serry_queue q, double timeout);

/* No more puts, from anybody; gets drain what is there, then SERRY_ECLOSED. Idempotent. */
SERRY_API SERRY_WARN_UNUSED serry_err serry_queue_close(serry_queue q);

/* Ends the queue with what is in it; whoever waits at it gets SERRY_EHANDLE. */
SERRY_API SERRY_WARN_UNUSED serry_err serry_queue_destroy(serry_queue q);

#ifdef __cplusplus
}
#endif
#endif
