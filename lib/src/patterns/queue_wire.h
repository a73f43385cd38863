/* patterns/queue_wire.h: what the users of a queue and its home say to each other.
 *
 * A writer's credit cell says how many items it may still post without asking:
 *
 *      63    56 55   48 47         24 23          0
 *     |        | flags |   granted   |    taken    |     both counted from the beginning, modulo
 *                                                        2^24; the writer takes, the home grants,
 *                                                        and recalls by granted = taken
 *
 * A reader's cell says how many of the items fed to it it has taken:
 *
 *      63          48 47   40 39          16 15        0
 *     |              | flags |    epoch     |  taken    |   taken counts modulo 2^16; the reader's
 *                                                           step from one to the next is the moment
 *                                                           an item is taken; the home recalls what
 *                                                           it has fed by epoch + 1
 *
 * Where there is no cell a writer asks each time (unless the queue is unbounded), and a reader
 * keeps such a word by itself, is fed only what it asks for, and tells of each step (TAKEN,
 * RETURN).
 */
#ifndef SRI_PATTERNS_QUEUE_WIRE_H
#define SRI_PATTERNS_QUEUE_WIRE_H

#include "agent/object.h"

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>

/* To the home. Requests, unless said otherwise. */
enum {
    QUEUE_OP_OPEN = SRI_OP_OWN, /* queue_wire_open; answer: queue_wire_opened */
    QUEUE_OP_PUT,    /* the item. A post with a credit or where there is no capacity; as a request
                        parked until there is room */
    QUEUE_OP_WANT,   /* uint64_t: 1 if what the last WANT of this get was promised was recalled, or
                        another thread's. Parked until an item is on its way, by a feed */
    QUEUE_OP_TAKEN,  /* post: look at my cell; without a cell: I have taken one */
    QUEUE_OP_RETURN, /* post: take back all you have fed me */
    QUEUE_OP_SIZE,   /* answer: uint64_t */
    QUEUE_OP_DONE,
    QUEUE_OP_JOIN, /* parked until all is done */
    QUEUE_OP_CLOSE,
};

enum { QUEUE_WRITER, QUEUE_READER }; /* roles, and which cell */

typedef struct queue_wire_open {
    uint32_t role;
    uint32_t reserved;
} queue_wire_open;

typedef struct queue_wire_opened {
    uint64_t capacity;
    uint64_t word; /* of a reader without a cell, as it stands */
    uint32_t cell;
    uint8_t shared; /* there is a cell */
    uint8_t closed;
    uint8_t reserved[2];
} queue_wire_opened;
static_assert(sizeof(queue_wire_opened) == 24, "on the wire");

/* What is fed. */
enum { QUEUE_FEED_ITEM = 1, QUEUE_FEED_CLOSED };

typedef struct queue_wire_feed {
    uint8_t what;
    uint8_t ask;   /* post TAKEN when this one is taken */
    uint8_t ahead; /* more will come without asking */
    uint8_t reserved;
    uint16_t seq; /* what taken must be for this item to be the next */
    uint16_t reserved2;
    uint32_t epoch;
    uint32_t reserved3;
} queue_wire_feed;
static_assert(sizeof(queue_wire_feed) == 16, "on the wire");

/* The member's side of the class (queue_local.c). */
void queue_feed_arrived(uint64_t object, const uint8_t *bytes, size_t len);
void queue_forget(uint64_t object);

/* ---- a writer's cell ---- */

#define QUEUE_COUNT_MASK 0xffffffu
#define QUEUE_CREDIT_CLOSED (UINT64_C(1) << 48)
#define QUEUE_CREDIT_DEAD (UINT64_C(1) << 49)

static inline uint32_t queue_credit_taken(uint64_t word)
{
    return (uint32_t)word & QUEUE_COUNT_MASK;
}

static inline uint32_t queue_credit_granted(uint64_t word)
{
    return (uint32_t)(word >> 24) & QUEUE_COUNT_MASK;
}

static inline uint64_t queue_credit_word(uint64_t word, uint32_t granted, uint32_t taken)
{
    uint64_t flags = word & (QUEUE_CREDIT_CLOSED | QUEUE_CREDIT_DEAD);
    return flags | (uint64_t)(granted & QUEUE_COUNT_MASK) << 24 | (taken & QUEUE_COUNT_MASK);
}

/* ---- a reader's cell ---- */

#define QUEUE_READ_NOTIFY (UINT64_C(1) << 40) /* post TAKEN at the next step; cleared by it */
#define QUEUE_READ_DEAD (UINT64_C(1) << 41)

static inline uint32_t queue_read_taken(uint64_t word)
{
    return (uint32_t)word & 0xffffu;
}

static inline uint32_t queue_read_epoch(uint64_t word)
{
    return (uint32_t)(word >> 16) & QUEUE_COUNT_MASK;
}

/* One more taken. */
static inline uint64_t queue_read_step(uint64_t word)
{
    return (word & ~(QUEUE_READ_NOTIFY | UINT64_C(0xffff))) | ((word + 1) & 0xffff);
}

/* The next epoch: what was fed before is void. */
static inline uint64_t queue_read_recall(uint64_t word)
{
    uint64_t epoch = (uint64_t)((queue_read_epoch(word) + 1) & QUEUE_COUNT_MASK) << 16;
    return (word & (QUEUE_READ_DEAD | UINT64_C(0xffff))) | epoch;
}

#endif
