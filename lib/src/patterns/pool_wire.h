/* patterns/pool_wire.h: what submitters, home and workers of a pool say to each other.
 *
 *     submitter  --CALL, ITEMS-->  home  --CHUNK-->    worker
 *     submitter  <--RESULTS------  home  <--RESULTS--  worker
 *
 * A submitter is the pool's owner, or a worker one of whose tasks gives tasks of its own. Nobody
 * waits for an answer on these four; the others are rare. Within one worker the items it is given
 * are numbered one after the other (seq, modulo 2^25), and it ends them in that order, save those
 * that wait for tasks of their own: HOLD takes them out of the order, LATE brings their results.
 */
#ifndef SRI_PATTERNS_POOL_WIRE_H
#define SRI_PATTERNS_POOL_WIRE_H

#include "agent/object.h"
#include "base/fnref.h"

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>

/* To the pool's home. */
enum {
    POOL_OP_CALL = SRI_OP_OWN, /* submitter: pool_wire_call and the first items */
    POOL_OP_ITEMS,             /* submitter: pool_wire_items and items */
    POOL_OP_WITHDRAW,          /* submitter: pool_wire_of: what has not begun is not to be run */
    POOL_OP_CANCEL,            /* submitter, a request: pool_wire_of; pool_wire_state */
    POOL_OP_STATE,             /* submitter, a request: pool_wire_of; pool_wire_state */
    POOL_OP_STATS,             /* submitter, a request; pool_wire_worker for each */
    POOL_OP_WORKERS,           /* owner: int32_t ranks of the processes it has started */
    POOL_OP_CLOSE,             /* owner */
    POOL_OP_TERMINATE,         /* owner */
    POOL_OP_JOIN,              /* owner, a request: parked until all is over; int32_t ranks of
                                  processes that were workers and may be about to end */
    POOL_OP_HELLO,             /* worker, a request: pool_wire_hello; pool_wire_welcome */
    POOL_OP_ATTACH,            /* worker: feed me */
    POOL_OP_DETACH,            /* worker: pool_wire_detach: take back what I have not begun */
    POOL_OP_INIT_FAILED,       /* worker: pool_wire_init_failed */
    POOL_OP_RESULTS,           /* worker: pool_wire_results, then runs */
    POOL_OP_HOLD,   /* worker: pool_wire_hold: its task waits, others may run meanwhile */
    POOL_OP_RESUME, /* worker: pool_wire_hold: the last task held goes on, nothing else */
    POOL_OP_LATE,   /* worker: pool_wire_results, one run: it has ended */
    POOL_OP_DEPUTY, /* rank: pool_wire_deputy: the one that was asked for, or why there is none */
    POOL_OP_LEAVE,  /* rank, a request: answered when its deputy has ended, after its task */
};

/* To the home of the servers. */
enum {
    SERVERS_OP_SERVE = SRI_OP_OWN, /* a request: servers_wire_serve */
    SERVERS_OP_UNSERVE,
    SERVERS_OP_REGISTER,   /* owner: servers_wire_pool */
    SERVERS_OP_UNREGISTER, /* owner: servers_wire_pool */
};

#define POOL_CALL_KEEP_GOING 1u /* a failing task does not stop the others */
#define POOL_CALL_SINGLE 2u     /* one task: its result is wanted at once */
#define POOL_CALL_NESTED 4u     /* given by a task of this pool */

typedef struct pool_wire_create {
    uint32_t served;   /* by ranks; else by worker processes */
    uint32_t isolate;  /* tasks run in processes that may be ended: worker processes or deputies */
    int32_t workers;   /* processes */
    int32_t max_tasks; /* per worker process; 0: no limit */
    int32_t retries;
    uint32_t reserved;
    sri_ns retry_delay;
    sri_ns task_timeout; /* 0: none */
    sri_fnref main;      /* what a worker process runs, a serry_process_fn */
    sri_fnref init;      /* offset and module 0: none */
    uint64_t init_len;   /* bytes that follow */
    char name[64];
} pool_wire_create;
static_assert(sizeof(pool_wire_create) == 144, "on the wire");

typedef struct pool_wire_call {
    uint32_t call; /* the submitter's number for it */
    uint32_t flags;
    uint64_t n; /* items in all */
    uint64_t item_size;
    uint64_t result_cap; /* a longer result fails its task */
    uint32_t chunk;      /* 0: adapt */
    uint32_t count;      /* items that follow */
    sri_fnref fn;
    uint32_t level; /* nested: of the task that gives it: how many wait below it at its worker */
    uint32_t reserved;
} pool_wire_call;
static_assert(sizeof(pool_wire_call) == 64, "on the wire");

typedef struct pool_wire_items {
    uint32_t call;
    uint32_t count;
    uint64_t first;
} pool_wire_items;

typedef struct pool_wire_of {
    uint32_t call;
    uint32_t reserved;
} pool_wire_of;

typedef struct pool_wire_state {
    uint32_t running; /* STATE: some of it has begun; CANCEL: its end is on the way, not here yet */
    uint32_t reserved;
} pool_wire_state;

typedef struct pool_wire_worker {
    int32_t rank;
    int32_t pid;
    uint32_t alive;
    int32_t principal; /* the rank in whose stead it works; -1: its own */
    uint64_t tasks;
    sri_ns busy;
    sri_ns idle;
} pool_wire_worker;
static_assert(sizeof(pool_wire_worker) == 40, "on the wire");

typedef struct pool_wire_hello {
    uint32_t role; /* pool_role */
    int32_t pid;
    int32_t principal; /* a deputy's, and the number by which it was asked for */
    uint32_t ask;
} pool_wire_hello;

typedef enum pool_role {
    POOL_ROLE_PROCESS, /* a worker process of this pool */
    POOL_ROLE_SERVER,  /* a rank that serves */
    POOL_ROLE_SELF,    /* the owner, which waits */
    POOL_ROLE_DEPUTY,  /* a process that runs the tasks of one of these two ranks (isolate) */
    POOL_ROLES
} pool_role;

typedef struct pool_wire_welcome {
    uint32_t cell; /* its number, if there is one */
    uint32_t has_cell;
    sri_fnref init;
    uint64_t init_len; /* bytes that follow */
    int32_t workers;   /* of the pool */
    uint32_t deputes;  /* a deputy works, not who greets */
} pool_wire_welcome;

typedef struct pool_wire_detach {
    uint32_t epoch;   /* the worker's new one */
    uint32_t started; /* seq of the first item that it has not begun */
} pool_wire_detach;

/* HOLD: the item before `started`, which is under way, waits; or, again, the last one held does.
 * RESUME: the last one held goes on. Both take back what has not begun. */
typedef struct pool_wire_hold {
    uint32_t epoch;   /* the worker's new one */
    uint32_t started; /* seq of the first item that it has not begun */
    uint32_t again;
    uint32_t reserved;
} pool_wire_hold;

typedef struct pool_wire_deputy {
    uint32_t ask;
    int32_t rank; /* -1: it could not be started; a text follows (no NUL) */
} pool_wire_deputy;

typedef struct pool_wire_init_failed {
    int32_t code;
    uint32_t reserved;
} pool_wire_init_failed;

typedef struct pool_wire_results {
    sri_ns spent; /* in the tasks of this message, and in those taken back */
} pool_wire_results;

/* A run of results of one chunk with one length, from a worker; count * size bytes follow, then
 * zeros up to a multiple of 8. With an error: one task, and the bytes are its text (no NUL). */
typedef struct pool_wire_run {
    uint32_t seq;
    uint32_t count;
    uint64_t size;
    uint32_t status; /* serry_err; SERRY_ECANCELLED: not run, as the home had asked */
    uint32_t reserved;
} pool_wire_run;
static_assert(sizeof(pool_wire_run) == 24, "on the wire");

/* What the home sends unasked starts with its kind. */
enum {
    POOL_FEED_CHUNK = 1, /* to a worker: pool_wire_chunk and items */
    POOL_FEED_STOP,      /* to a worker: pool_wire_feed: run no more of that call (as in chunks) */
    POOL_FEED_DEPUTY,    /* to a rank: pool_wire_feed: start a deputy, .call is its number */
    POOL_FEED_END,       /* to a worker: no more will come */
    POOL_FEED_RESULTS,   /* to a submitter: pool_wire_feed, then outcomes */
    POOL_FEED_BROKEN,    /* to the owner: pool_wire_feed, then a text (no NUL) */
};

typedef struct pool_wire_feed {
    uint32_t kind;
    uint32_t call;
} pool_wire_feed;

typedef struct pool_wire_chunk {
    uint32_t kind;
    uint32_t call; /* the home's number for it */
    uint32_t epoch;
    uint32_t seq; /* of the first item */
    uint32_t count;
    uint16_t attempt; /* from 1 */
    uint16_t flags;   /* POOL_CALL_ */
    uint64_t first;   /* index of the first item in its call */
    uint64_t item_size;
    uint64_t result_cap;
    sri_fnref fn;
} pool_wire_chunk;
static_assert(sizeof(pool_wire_chunk) == 64 && sizeof(pool_wire_chunk) <= SRI_HEAD_MAX,
              "a head, and items behind it stay aligned to 16");

/* Outcomes of a call, to its submitter; bytes follow as behind a run. count 0: no more will come.
 */
typedef struct pool_wire_outcome {
    uint32_t call;
    uint32_t count;
    uint64_t first;
    uint64_t size;
    uint32_t status;
    int32_t worker;
} pool_wire_outcome;
static_assert(sizeof(pool_wire_outcome) == 32, "on the wire");

#define SERVERS_NAME "serry.servers"

/* section: how many collectives the sender has called. They come in the same order everywhere, so
 * this is a clock that owners and servers share. */
typedef struct servers_wire_serve {
    int32_t owner; /* rank or SERRY_ANY */
    uint32_t size; /* launched ranks */
    uint32_t section;
    uint32_t reserved;
} servers_wire_serve;

typedef struct servers_wire_pool {
    uint64_t id;
    uint32_t section;
    uint32_t reserved;
} servers_wire_pool;

enum {
    SERVERS_FEED_POOL = 1, /* a pool to work for */
    SERVERS_FEED_OVER,     /* what this rank served is over */
};

typedef struct servers_wire_feed {
    uint32_t kind;
    int32_t owner;
    uint64_t id;
} servers_wire_feed;

/* Bytes behind a run or outcome, padded; false if that is more than there can be. */
static inline bool pool_wire_payload(uint64_t count, uint64_t size, size_t left, size_t *padded)
{
    uint64_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes) || bytes > left)
        return false;
    uint64_t up = (bytes + 7) & ~UINT64_C(7);
    *padded = up > left ? left : (size_t)up; /* the last may lack its padding */
    return true;
}

/* The grant word: one for each worker, in its grant cell where there are shared words.
 *
 *      63  | 62      51 | 50        26 | 25        1 |    0
 *       0  |    epoch   |   granted    |   started   | running
 *
 * The home grants items by raising granted, then sends them. The worker takes the next one by
 * raising started, which sets running; running ends before it sends results. A task that waits for
 * others runs until the home has its HOLD: the mark may stay then, but is not of an item that the
 * worker has by what the home knows, and so tells nothing. All by compare-and-swap. Whoever takes
 * back what was granted and not started, the home or the worker, sets granted to started and raises
 * epoch, so that items of the old epoch that are still on their way or in the worker's hands are
 * void. When a worker dies the word says which item it was at. */
#define POOL_SEQ_MASK UINT32_C(0x1ffffff)
#define POOL_EPOCH_MASK UINT32_C(0xfff)

static inline uint64_t pool_grant_make(uint32_t epoch, uint32_t granted, uint32_t started,
                                       bool running)
{
    return (uint64_t)(epoch & POOL_EPOCH_MASK) << 51 | (uint64_t)(granted & POOL_SEQ_MASK) << 26
           | (uint64_t)(started & POOL_SEQ_MASK) << 1 | (running ? 1 : 0);
}

static inline uint32_t pool_grant_epoch(uint64_t v)
{
    return (uint32_t)(v >> 51) & POOL_EPOCH_MASK;
}

static inline uint32_t pool_grant_granted(uint64_t v)
{
    return (uint32_t)(v >> 26) & POOL_SEQ_MASK;
}

static inline uint32_t pool_grant_started(uint64_t v)
{
    return (uint32_t)(v >> 1) & POOL_SEQ_MASK;
}

static inline bool pool_grant_running(uint64_t v)
{
    return v & 1;
}

#endif
