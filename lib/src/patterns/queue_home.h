/* patterns/queue_home.h: what the files of a queue's home share.
 *
 * Where an item can be: stored (never fed to anybody), fed (on its way to one reader or with it,
 * and not known to be taken; the home keeps its copy), returned (it was fed and taken back), or
 * parked with the put that waits for room. Always
 *
 *     stored + returned + fed + credits granted whose item has not arrived <= capacity
 *
 * Each reader is fed in the order of arrival. So one that is waiting does not get what was taken
 * back from another if it has had later items, unless it would be told that there is nothing, or
 * the other has died, gave it back, or has stood still for a while.
 */
#ifndef SRI_PATTERNS_QUEUE_HOME_H
#define SRI_PATTERNS_QUEUE_HOME_H

#include "base/error.h"
#include "patterns/queue_wire.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct queue_item {
    struct queue_item *next;
    uint64_t order; /* of arrival at this home, from 1 */
    size_t len;
    bool orphan; /* given back, or its reader has died or stood still: anybody's */
    uint8_t bytes[];
} queue_item;

/* By order. */
typedef struct queue_items {
    queue_item *first, *last;
    size_t n;
} queue_items;

typedef struct queue_links {
    struct queue_user *prev, *next;
} queue_links;

/* A member that uses the queue: its session. */
typedef struct queue_user {
    int rank;

    /* As a writer. */
    bool writes;
    bool hungry;            /* in the list of those that get credits when there is room */
    sri_atomic_u64 *credit; /* NULL: no cell, it asks each time */
    uint32_t granted;       /* as in the cell */
    uint32_t arrived;       /* of those; modulo 2^24 */

    /* As a reader. */
    bool reads;
    bool shared;   /* its word is a cell; else it is .own, and follows its messages */
    bool ahead;    /* is fed without asking */
    bool ready;    /* in the list of those that may be fed ahead now */
    bool notified; /* NOTIFY was set and no TAKEN has come since */
    sri_atomic_u64 *word;
    sri_atomic_u64 own;
    uint32_t taken; /* modulo 2^16, as far as known */
    uint32_t epoch;
    uint32_t promised; /* of those fed: asked for by a get that waits or is about to take it */
    uint32_t window;   /* items to be fed ahead at most */
    uint32_t streak;   /* so often in a row it came back quickly */
    uint32_t unasked;  /* items and bytes fed since the last one with the ask mark */
    size_t unasked_bytes;
    queue_items fed;
    size_t fed_bytes;
    uint64_t last;        /* order of the last item it took */
    uint32_t stood_taken; /* .taken when a watch for those that stand still began */
    sri_ns since;         /* last heard of as a reader, or answered */

    queue_links in_writers, in_readers, in_ready, in_hungry;
} queue_user;

/* A parked request. One that may have to be refused is looked at again two rounds of the agent
 * later, when everything that had been sent before it has arrived. */
typedef enum queue_wait_kind {
    QUEUE_WAIT_GET,
    QUEUE_WAIT_PUT,
    QUEUE_WAIT_JOIN,
    QUEUE_WAIT_SIZE,
    QUEUE_WAIT_KINDS
} queue_wait_kind;

typedef struct queue_wait {
    struct queue_wait *prev, *next;
    sri_asker who;
    queue_item *item; /* of a put */
    int rounds;       /* until it is looked at; 0: it waits for something to happen */
} queue_wait;

#define QUEUE_ROUNDS 2 /* of polling */
#define QUEUE_NEAR 16

typedef struct queue_home {
    sri_object object;
    uint64_t capacity; /* 0: unbounded */
    uint64_t arrivals;
    uint64_t unfinished;
    uint64_t n_fed;    /* and not known to be taken */
    uint64_t n_credit; /* granted, item not arrived */
    uint32_t n_writers;
    uint32_t turn; /* items fed ahead to the reader whose turn it is */
    bool closed;
    bool looking; /* some wait has rounds to go */
    sri_ns watch; /* when readers that stand still lose what they have; 0: nobody waits for it */
    uint64_t stood_returned; /* order of the first one returned when the last watch ended */
    queue_items stored, returned;
    queue_user *writers, *readers, *ready, *hungry;
    queue_user *near[QUEUE_NEAR]; /* users by rank, a cache */
    queue_wait *waits[QUEUE_WAIT_KINDS];
} queue_home;

/* With no reader. */
static inline uint64_t queue_items_here(const queue_home *q)
{
    return q->stored.n + q->returned.n;
}

/* ---- queue_items.c ---- */

/* NULL: no memory. Short ones come from a stock of their own. */
queue_item *queue_item_make(const void *bytes, size_t len);
void queue_item_free(queue_item *i);
void queue_items_append(queue_items *l, queue_item *i);
queue_item *queue_items_shift(queue_items *l);
/* Merges what is in `from` into `to`, by order; `from` is empty then. */
void queue_items_merge(queue_items *to, queue_items *from);
void queue_items_drop(queue_items *l);

/* ---- queue_feed.c: items to readers ---- */

serry_err queue_reader_open(queue_home *q, queue_user *u, queue_wire_opened *out);
void queue_reader_close(queue_home *q, queue_user *u); /* it is gone; its items are stored again */
/* Learns what the reader has taken. Returns how many. */
size_t queue_reader_look(queue_home *q, queue_user *u);
bool queue_readers_look(queue_home *q); /* all of them; true if any has taken something */
/* Feeds the next item that is for this reader; any: or else the oldest of all. False: none. */
bool queue_reader_feed(queue_home *q, queue_user *u, bool promised, bool any);
/* Feeds stored items to those that are fed ahead, in turn. */
void queue_feed_ahead(queue_home *q);
/* Takes back what was fed to a reader and not taken. What was promised to it is fed again, unless
 * it gave all up. It is not fed ahead any more. */
void queue_reader_recall(queue_home *q, queue_user *u, bool given_up);
/* Recalls from the reader with the oldest item that was not promised, if that has at least this
 * order. False: there is none. */
bool queue_recall_oldest(queue_home *q, uint64_t from);
/* The order from which on items are for this reader. */
uint64_t queue_reader_from(const queue_user *u);
/* Recalls from all readers that have taken nothing since the last call. True if any has. */
bool queue_recall_still(queue_home *q);
/* Wants to know of each step from now on. True if some were taken meanwhile. */
bool queue_readers_notify(queue_home *q);
/* It has reported: by a get that found nothing, or because it was asked to. */
void queue_reader_heard(queue_home *q, queue_user *u, bool wants);

/* ---- queue_wait.c: who waits ---- */

void queue_park(queue_home *q, queue_wait_kind kind, sri_asker who, queue_item *item, bool look);
void queue_unpark(queue_home *q, queue_wait_kind kind, queue_wait *w);
void queue_answer(queue_home *q, queue_wait_kind kind, queue_wait *w); /* OK, and unparks */
void queue_refuse_closed(queue_home *q, sri_asker who);
bool queue_is_drained(const queue_home *q);
/* Something has changed: serves whom it can. */
void queue_turn(queue_home *q);
void queue_timer(sri_object *o);
void queue_cancel(sri_object *o, sri_asker who);

/* ---- queue_home.c ---- */

queue_user *queue_user_of(queue_home *q, int rank);
void queue_accept(queue_home *q, queue_item *item); /* stores it, in order */

/* ---- queue_credit.c: room for writers ---- */

uint64_t queue_room(const queue_home *q); /* as far as known */
/* Finds room if there is any: looks at readers, takes back idle credits. */
uint64_t queue_find_room(queue_home *q);
serry_err queue_writer_open(queue_home *q, queue_user *u, queue_wire_opened *out);
void queue_writer_close(queue_home *q, queue_user *u);
void queue_writer_arrived(queue_home *q, queue_user *u); /* an item posted on a credit */
void queue_writer_grant(queue_home *q, queue_user *u);   /* if it is short of credits */
void queue_grant_hungry(queue_home *q);
void queue_credits_recall(queue_home *q); /* all idle ones */
void queue_writers_flag(queue_home *q, uint64_t flag);

#ifdef __cplusplus
}
#endif
#endif
