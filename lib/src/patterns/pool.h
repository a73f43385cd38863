/* patterns/pool.h: the owner's side of a pool, shared by pool.c, pool_owner.c, pool_map.c,
 * future.c and pool_serve.c. */
#ifndef SRI_PATTERNS_POOL_H
#define SRI_PATTERNS_POOL_H

#include "patterns/pool_worker.h"

#include "base/clock.h"

#include <serry/pool.h>

/* What the owner waits for: a map's outcomes, or one task's. */
typedef struct pool_call pool_call;

/* An outcome for the map's on_error. */
typedef struct pool_report {
    struct pool_report *prev, *next;
    size_t index;
    serry_err err;
    char *text;
} pool_report;

struct pool_call {
    uint32_t id;
    pool_call *hash_next; /* in the pool's table */
    serry_pool *pool;     /* NULL: destroyed */
    bool single;
    bool over;  /* no more will come */
    size_t n;
    size_t ended; /* outcomes that have come */
    serry_err err; /* of the first failing task in order, or of the pool */
    size_t bad;    /* its index; SIZE_MAX: the pool's */
    char *text;    /* its text; NULL: none */
    /* a map's */
    uint8_t *results;
    size_t result_size;
    serry_err *errors;
    bool wants_reports;
    pool_report *reports;
    /* one task's */
    void *result;
    size_t result_len;
};

struct serry_pool {
    struct serry_pool *prev, *next; /* of this process */
    uint64_t id;
    int rank;    /* whose it is */
    bool served; /* by ranks */
    int workers; /* processes, or launched ranks */
    bool closed;
    bool terminated;
    bool broken;
    char *cause; /* of being broken */
    uint32_t next_call;
    pool_call **table; /* calls under way, by id */
    uint32_t table_size; /* a power of two */
    uint32_t calls;
    sri_worker *self; /* the owner as a worker; NULL: not yet */
    unsigned waiting; /* threads of ours that wait, and work if nobody serves us */
    uint64_t servers; /* the node's servers, if served */
    bool announced; /* the home knows the first workers */
    size_t processes;
    serry_process *process; /* the first workers */
};

/* Takes the core for a pool of this process: SERRY_EINVAL, SERRY_ESTATE. */
serry_err sri_pool_enter(serry_pool *pool);

/* With the core entered, all below. */

/* May tasks be given to it? SERRY_ECLOSED, SERRY_EBROKEN; SERRY_ESTATE in a task of its own. */
serry_err sri_pool_open(serry_pool *pool);
/* May this thread wait for it? */
serry_err sri_pool_may_wait(serry_pool *pool);

/* Gives a call its number and puts it where its outcomes find it. */
serry_err sri_pool_add_call(serry_pool *pool, pool_call *c);
void sri_pool_drop_call(pool_call *c);

/* The pool ends, and so do all calls that are not over. detach: they outlive it. */
void sri_pool_end_calls(serry_pool *pool, serry_err e, const char *text, bool detach);

/* Among the pools of this process, where what their homes send finds them. */
void sri_pool_list(serry_pool *pool);
void sri_pool_unlist(serry_pool *pool);

/* Waits until ready(ctx), working meanwhile if this rank is to. SERRY_OK, SERRY_ETIMEDOUT. begin
 * and end go around a number of waits. */
void sri_pool_begin_wait(serry_pool *pool);
serry_err sri_pool_wait(serry_pool *pool, bool (*ready)(void *ctx), void *ctx, sri_ns deadline);
void sri_pool_end_wait(serry_pool *pool);

/* The class's member side. */
void sri_pool_feed(uint64_t object, const uint8_t *bytes, size_t len);
void sri_pool_forget(uint64_t object);
void sri_serve_feed(uint64_t object, const uint8_t *bytes, size_t len);
void sri_serve_forget(uint64_t object);
void sri_serve_finalizing(const bool *released);

#endif
