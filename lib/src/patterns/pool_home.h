/* patterns/pool_home.h: the pool's home, in the agent: calls and their items, workers and what each
 * of them has been given. pool_home.c takes what the owner sends, pool_sched.c hands items out and
 * results on, pool_heal.c sees to workers that come, die and are replaced.
 *
 * An item is in exactly one place: in its block (not handed out yet), in a span (it came back), in
 * a lease (a worker has it), or it has ended and its outcome is with the owner.
 */
#ifndef SRI_PATTERNS_POOL_HOME_H
#define SRI_PATTERNS_POOL_HOME_H

#include "patterns/pool_wire.h"

#include "base/buffer.h"

#include <stdalign.h>
#include <uthash.h>

#define POOL_LEASES 64 /* chunks that one worker has at a time, at most */

/* A map or a single task. */
typedef struct home_call {
    uint32_t id;
    uint32_t flags;
    sri_fnref fn;
    uint64_t n;
    uint64_t item_size;
    uint64_t result_cap;
    uint32_t chunk;
    bool stopped;      /* run no more of it */
    uint64_t arrived;  /* items that the owner has sent */
    uint64_t cut;      /* items handed out for the first time */
    uint64_t ended;    /* items whose outcome is known */
    uint64_t leased;   /* items with workers now */
    uint64_t tasks;    /* measured: so many tasks took so many ns; both fade */
    uint64_t ns;
    uint32_t longest;  /* chunk whose results have come, for growing in steps */
    UT_hash_handle hh;
} home_call;

/* Items as they came from the owner. */
typedef struct home_block {
    struct home_block *prev, *next; /* among those with items to hand out */
    home_call *call;
    uint64_t first;
    uint32_t count;
    uint32_t cut;  /* items handed out, from the front */
    uint32_t open; /* items not ended; the last one frees the block */
    bool listed;
    alignas(16) uint8_t bytes[];
} home_block;

/* Items that came back: taken from a worker, or to be tried again. */
typedef struct home_span {
    struct home_span *prev, *next;
    home_block *block;
    uint32_t at;
    uint32_t count;
    uint32_t attempt;
    sri_ns due; /* not before; 0: now */
} home_span;

typedef struct home_lease {
    home_block *block;
    uint32_t at;
    uint32_t count;
    uint32_t attempt;
    uint32_t given; /* count at first */
} home_lease;

typedef struct home_worker {
    struct home_worker *prev, *next;
    int rank;
    pool_role role;
    bool attached; /* wants items */
    bool ending;   /* told to end: gets no more */
    bool robbed;   /* what it had not begun was taken back: no more until it has sent results */
    bool overdue;  /* killed for a task over its time */
    sri_atomic_u64 *cell; /* its grant word; NULL: not shared */
    uint32_t cell_number;
    uint32_t epoch;
    uint32_t next_seq; /* of the next item to grant */
    uint32_t reported; /* seq of the first item whose result has not come */
    uint64_t budget;   /* items it may still be given (max_tasks_per_worker) */
    sri_ns heard;      /* when its last results came, or it got its first item */
    uint64_t seen;     /* grant word (or reported) when last looked at for task_timeout */
    sri_ns seen_at;
    unsigned head, leases;
    home_lease lease[POOL_LEASES];
} home_worker;

/* How long a function takes, as a single task. */
#define POOL_KINDS 16
typedef struct home_kind {
    sri_fnref fn;
    uint64_t mean; /* ns */
    bool known;
} home_kind;

/* A member's session at a pool. */
typedef struct home_session {
    home_worker *worker; /* NULL: the owner, or told once and forgotten */
} home_session;

#define POOL_LEFT 512
typedef struct pool_home {
    sri_object o;
    pool_wire_create set;
    uint8_t *init_arg;
    home_call *calls; /* by id */
    home_block *blocks;
    home_span *back;  /* first to be handed out */
    home_span *later; /* waiting for .due */
    home_span *spare_spans;
    home_worker *workers;
    home_kind kinds[POOL_KINDS];
    int processes; /* worker processes started and not ended */
    int servers;   /* attached serving ranks */
    bool announced; /* the owner has named its workers: deaths are healed from here on */
    bool closed;
    bool terminated;
    bool broken;
    bool joining; /* somebody is parked in JOIN */
    sri_asker join;
    sri_buffer out; /* outcomes for the owner */
    size_t out_last;  /* where the last outcome's head is; SIZE_MAX: none to add to */
    sri_ns out_due;   /* SRI_NEVER: nothing waits */
    sri_ns heal_due;  /* a worker could not be started: try again */
    sri_ns look_due;  /* idle workers, but others have what they have not begun */
    sri_ns armed;     /* what the timer is set to */
    int deaths;       /* of workers at no task, since the last task ended */
    sri_ns death_at[5];
    int32_t left[POOL_LEFT]; /* ranks of processes that have left or died, the last of them */
    uint32_t lefts;
    char cause[256]; /* of the last death or failed start */
} pool_home;

/* ---- pool_items.c ---- */

/* The outcome of count items of a block goes to the owner and their bytes are let go. */
void pool_items_end(pool_home *p, home_block *b, uint32_t at, uint32_t count, serry_err status,
                    int worker, const void *bytes, uint64_t size);

/* Puts items back in front of the queue, or to be tried again at a later time (due 0: now). */
void pool_items_return(pool_home *p, home_block *b, uint32_t at, uint32_t count, uint32_t attempt,
                       sri_ns due);

/* A block all of whose items have been handed out leaves the queue. */
void pool_items_unlist(pool_home *p, home_block *b);

/* No more of this call is handed out; it ends when its items under way have. */
void pool_items_stop(pool_home *p, home_call *call);

/* Ends a call that has nothing more to come. */
void pool_items_settle(pool_home *p, home_call *call);

/* Sends the owner what is kept for it. */
void pool_items_flush(pool_home *p);

/* Frees all items and calls without a word to anybody. */
void pool_items_drop_all(pool_home *p);

/* ---- pool_sched.c ---- */

/* Hands out what can be handed out. worker NULL: to all of them. */
void pool_sched(pool_home *p, home_worker *w);

/* What earlier tasks tell of a new call's. */
void pool_sched_expect(pool_home *p, home_call *call);

/* Results from a worker. */
void pool_sched_results(pool_home *p, home_worker *w, const uint8_t *bytes, size_t len);

/* Takes back from a worker all from item `keep` (counted from the first unreported) on. */
void pool_sched_take_back(pool_home *p, home_worker *w, uint32_t keep);

/* Takes back from all workers what they have not begun; from those without a grant word nothing. */
void pool_sched_revoke_all(pool_home *p);

/* Sets the timer for the first thing due; what is due is done by pool_sched_tick. */
void pool_sched_arm(pool_home *p);
void pool_sched_tick(pool_home *p, sri_ns now);

/* ---- pool_heal.c ---- */

/* The worker of that rank, made if need be; NULL if the rank is gone or there is no memory. */
home_worker *pool_heal_worker(pool_home *p, int rank, pool_role role);
home_worker *pool_heal_find(pool_home *p, int rank);

/* A worker is gone: its items are tried again, reported or handed to others. */
void pool_heal_gone(pool_home *p, home_worker *w);

/* Starts worker processes for those that are missing. */
void pool_heal(pool_home *p);

/* A worker ended at no task, or could not be started; too many of them break the pool. */
void pool_heal_count(pool_home *p);

/* Every pending and later call fails; text is the cause. */
void pool_heal_break(pool_home *p, const char *text);

/* Ends idle workers of a closed pool, and answers who waits in join when all is over. */
void pool_heal_finish(pool_home *p);

/* Kills worker processes, tells serving ranks that no more will come. */
void pool_heal_end_workers(pool_home *p);

/* Kills workers at one task for longer than task_timeout; when to look again. */
sri_ns pool_heal_overdue(pool_home *p, sri_ns now);

#endif
