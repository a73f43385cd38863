/* patterns/pool.h: the submitter's side of a pool: its owner's, or that of a worker whose tasks
 * give tasks of their own. pool.c makes and ends pools, pool_owner.c has the calls under way,
 * pool_wait.c waits, pool_care.c does what is due inside any call, pool_map.c, pool_imap.c and
 * future*.c are the calls themselves. */
#ifndef SRI_PATTERNS_POOL_H
#define SRI_PATTERNS_POOL_H

#include "patterns/pool_worker.h"

#include "base/clock.h"

#include <serry/pool.h>

/* What a submitter waits for: the outcomes of a map, of some items of an imap, or of one task. */
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
    serry_pool *pool;     /* NULL: destroyed, or given up */
    bool over;            /* no more will come */
    size_t n;
    size_t ended;   /* outcomes that have come */
    serry_err err;  /* of the first failing task in order, or of the pool */
    size_t bad;     /* its index; SIZE_MAX: the pool's */
    char *text;     /* its text; NULL: none */
    uint64_t stamp; /* calls of this process that were over before, and this one; 0: not over */
    /* Takes an outcome, under the core's mutex; NULL: as a map does. */
    void (*take)(pool_call *c, const pool_wire_outcome *oc, const uint8_t *bytes);
    /* It is over; under the core's mutex. NULL: nothing to do. */
    void (*on_over)(pool_call *c);
    /* a map's */
    uint8_t *results;
    size_t result_size;
    serry_err *errors;
    bool wants_reports;
    pool_report *reports;
};

struct serry_pool {
    struct serry_pool *prev, *next; /* of this process */
    uint64_t id;
    int rank;    /* whose it is */
    bool guest;  /* of a worker, for its tasks */
    bool doomed; /* a guest that is freed when nobody waits for it any more */
    bool served; /* by ranks */
    int workers; /* processes, or launched ranks */
    bool closed;
    bool terminated;
    bool broken;
    bool left;   /* its process is leaving the world, and has seen to it */
    char *cause; /* of being broken */
    uint32_t next_call;
    pool_call **table;   /* calls under way, by id */
    uint32_t table_size; /* a power of two */
    uint32_t calls;
    sri_worker *self; /* this process as a worker; NULL: not yet */
    unsigned waiting; /* threads of ours that wait, and work if nobody serves us */
    uint64_t servers; /* the node's servers, if served */
    bool announced;   /* the home knows the first workers */
    size_t processes;
    serry_process *process; /* the first workers */
    char name[64];
};

/* Takes the core for a pool of this process: SERRY_EINVAL, SERRY_ESTATE. */
serry_err sri_pool_enter(serry_pool *pool);
/* Fails with a text that is put behind what the pool is called. */
serry_err sri_pool_fail(const serry_pool *pool, serry_err e, const char *fmt, ...)
    SERRY_PRINTF(3, 4);
/* Does what is due, and lets the core go. */
void sri_pool_leave(void);

/* With the core entered, all below. */

/* May tasks be given to it? SERRY_ECLOSED, SERRY_EBROKEN. */
serry_err sri_pool_open(serry_pool *pool);
/* May this thread end it? SERRY_ESTATE in its own tasks, and for guests. */
serry_err sri_pool_may_end(serry_pool *pool);

/* Gives a call its number and puts it where its outcomes find it. */
serry_err sri_pool_add_call(serry_pool *pool, pool_call *c);
void sri_pool_drop_call(pool_call *c);
/* Sends it with its first items. */
serry_err sri_pool_send_call(pool_call *c, pool_wire_call *head, const void *items, size_t len);
/* What has not begun of it is withdrawn, and it is dropped. */
void sri_pool_give_up(pool_call *c);
/* Once it returns the home has seen all that was sent to it: what was given up begins no more. */
void sri_pool_settle(uint64_t pool);
void sri_pool_over(pool_call *c);
/* How many calls of this process have been over. */
uint64_t sri_pool_stamp(void);

/* The call ends so, unless it has ended already. */
void sri_pool_fail_call(pool_call *c, serry_err e, const char *text);

/* The pool ends, and so do all calls that are not over. detach: they outlive it. */
void sri_pool_end_calls(serry_pool *pool, serry_err e, const char *text, bool detach);

/* A text of len bytes as a string; NULL: no memory. */
char *sri_pool_text(const uint8_t *bytes, size_t len);

/* The pools of this process, where what their homes send finds them. */
extern serry_pool *sri_pools;
serry_pool *sri_pool_find(uint64_t id);
void sri_pool_list(serry_pool *pool);
void sri_pool_unlist(serry_pool *pool);

/* The pool for the tasks of a worker, made at its first use; NULL: no memory. */
serry_pool *sri_pool_guest(sri_worker *w);
void sri_pool_close_guest(serry_pool *pool);
void sri_pool_free(serry_pool *pool);

/* ---- pool_wait.c ---- */

/* A time in which this thread waits for pools. */
typedef struct pool_stay {
    serry_pool *pool; /* for which it waits first of all; NULL: no work is done meanwhile */
    serry_task *task; /* in which it waits; NULL: none */
    bool held;        /* that lets others run meanwhile */
    const sri_worker *but;
} pool_stay;

void sri_pool_begin_stay(pool_stay *s, serry_pool *pool);
/* Waits until ready(ctx), doing what is due, and working meanwhile if this thread is to. SERRY_OK,
 * SERRY_ETIMEDOUT. */
serry_err sri_pool_wait(pool_stay *s, bool (*ready)(void *ctx), void *ctx, sri_ns deadline);
void sri_pool_end_stay(pool_stay *s);

/* ---- pool_care.c: callbacks, and what maps without a thread of their own need ---- */

/* Is there anything to do now? When will there be? */
bool sri_care_pending(void);
sri_ns sri_care_due(void);
/* Does it, in a wait; callbacks run with the core left. A callback that waits has others called
 * meanwhile, up to some depth. */
void sri_care_run(void);
/* The same at the end of a call: not in a callback, which would be called from one another. */
void sri_care_leave(void);
/* Of a process that is a fresh copy. */
void sri_care_forget(void);

/* ---- the class's member side ---- */
void sri_pool_feed(uint64_t object, const uint8_t *bytes, size_t len);
void sri_pool_forget(uint64_t object);
void sri_pool_leaving(void);
void sri_serve_feed(uint64_t object, const uint8_t *bytes, size_t len);
void sri_serve_forget(uint64_t object);
void sri_serve_finalizing(const bool *released);

#endif
