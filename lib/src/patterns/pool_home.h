/* patterns/pool_home.h: the pool's home, in the agent: calls and their items, workers and what each
 * of them has been given. pool_home.c is the class; pool_calls.c takes what submitters send,
 * pool_items.c keeps it, pool_lease.c grants and takes back, pool_sched.c decides who gets what,
 * pool_report.c takes results, pool_heal.c sees to workers that come, die and are replaced,
 * pool_deputies.c to those that run the tasks of ranks.
 *
 * An item is in exactly one place: in its block (not handed out yet), in a span (it came back), in
 * a lease (a worker has it), held (its task waits for others), or it has ended and its outcome is
 * with its submitter.
 */
#ifndef SRI_PATTERNS_POOL_HOME_H
#define SRI_PATTERNS_POOL_HOME_H

#include "base/hash.h"
#include "patterns/pool_wire.h"

#include "base/buffer.h"

#include <stdalign.h>
#include <serry/error.h>

#define POOL_LEASES 64 /* chunks that one worker has at a time, at most */

typedef struct home_call_key {
    int32_t submitter; /* rank */
    uint32_t id;       /* its number for it */
} home_call_key;

/* A map or a single task. */
typedef struct home_call {
    home_call_key key;
    uint32_t serial; /* workers know it by */
    uint32_t flags;
    bool nested;    /* given by a task: comes first */
    uint32_t level; /* of that task among those held at the submitter */
    bool orphan;    /* the submitter has left: nobody waits for outcomes */
    sri_fnref fn;
    uint64_t n;
    uint64_t item_size;
    uint64_t result_cap;
    uint32_t chunk;
    bool stopped;     /* run no more of it */
    uint64_t arrived; /* items that the owner has sent */
    uint64_t cut;     /* items handed out for the first time */
    uint64_t ended;   /* items whose outcome is known */
    uint64_t leased;  /* items with workers now, leased or held */
    uint64_t tasks;   /* measured: so many tasks took so many ns; both fade */
    uint64_t ns;
    uint32_t longest;        /* chunk whose results have come, for growing in steps */
    struct home_block *last; /* of its items: the block that came last */
    UT_hash_handle hh;
} home_call;

/* Items as they came from the submitter. */
typedef struct home_block {
    struct home_block *prev, *next; /* in its queue, while there are items to hand out */
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
    bool extra;     /* beyond the worker's number of tasks */
} home_lease;

/* An item whose task waits for others. */
typedef struct home_held {
    home_block *block;
    uint32_t at;
    uint32_t attempt;
    bool charged; /* by its worker's death: it, or a task that it waits for, was under way */
} home_held;

/* What a worker has done, for statistics. */
typedef struct home_deeds {
    int32_t rank;
    int32_t pid;
    int32_t principal; /* a deputy's, else -1 */
    uint64_t tasks;
    sri_ns busy;
    sri_ns idle;
    sri_ns idle_since; /* 0: it has something to do */
} home_deeds;

typedef struct home_worker {
    struct home_worker *prev, *next;
    int rank;
    pool_role role;
    home_deeds deeds;
    bool attached;     /* wants items */
    bool ending;       /* told to end: gets no more */
    bool robbed;       /* what it had not begun was taken back: no more until it has sent results */
    unsigned robs;     /* since it has sent any */
    bool overdue;      /* killed for a task over its time */
    bool victim;       /* killed for one that was cancelled: its others are innocent */
    bool resumed;      /* the last task held goes on, and nothing else */
    bool retired;      /* ends when it is at no task */
    bool deputes;      /* a rank whose tasks its deputy runs: it has none itself */
    bool asked;        /* for a deputy, which has not come yet */
    uint32_t ask;      /* number of the last one that it was asked for */
    sri_asker leaving; /* waits for the end of its deputy; number 0: does not */
    struct home_worker *deputy;    /* NULL: none */
    struct home_worker *principal; /* a deputy's; NULL: gone */
    sri_atomic_u64 *cell;          /* its grant word; NULL: not shared */
    uint32_t cell_number;
    uint32_t epoch;
    uint32_t next_seq; /* of the next item to grant */
    uint32_t reported; /* seq of the first item whose result has not come */
    uint64_t budget;   /* items it may still be given (max_tasks_per_worker) */
    sri_ns heard;      /* when its last results came, or it got its first item */
    uint64_t seen;     /* item it was at when last looked at for task_timeout, from 1; 0: none */
    sri_ns seen_at;
    unsigned head, leases;
    home_lease lease[POOL_LEASES];
    home_held *held; /* a stack */
    unsigned holds;
    size_t hold_room;
} home_worker;

/* What is to be handed out: what came back first. */
typedef struct home_queue {
    home_block *blocks;
    home_span *back;
} home_queue;

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
    home_call *calls; /* by key */
    uint32_t serial;
    home_queue nested; /* of tasks: handed out before all else, the newest first */
    home_queue queue;
    home_span *later; /* waiting for .due */
    home_span *spare_spans;
    home_worker *workers;
    home_kind kinds[POOL_KINDS];
    int processes;  /* worker processes and deputies that have not ended */
    int servers;    /* attached serving ranks */
    bool announced; /* the owner has named its workers: deaths are healed from here on */
    bool closed;
    bool terminated;
    bool broken;
    bool joining; /* somebody is parked in JOIN */
    sri_asker join;
    sri_buffer out;  /* outcomes for one submitter */
    int out_rank;    /* for whom */
    size_t out_last; /* where the last outcome's head is; SIZE_MAX: none to add to */
    sri_ns out_due;  /* SRI_NEVER: nothing waits */
    sri_ns heal_due; /* a worker could not be started: try again */
    sri_ns look_due; /* idle workers, but others have what they have not begun */
    sri_ns armed;    /* what the timer is set to */
    int deaths;      /* of workers at no task, since the last task ended */
    sri_ns death_at[5];
    int32_t left[POOL_LEFT]; /* ranks of processes that have left or died, the last of them */
    uint32_t lefts;
    home_deeds *past; /* of workers that have ended, the last POOL_LEFT */
    uint32_t pasts;
    char cause[256]; /* of the last death or failed start */
} pool_home;

static inline home_queue *pool_queue_of(pool_home *p, const home_call *call)
{
    return call->nested ? &p->nested : &p->queue;
}

/* Is it a process of the pool, which may be ended? Else it is a rank. */
static inline bool pool_is_process(const home_worker *w)
{
    return w->role == POOL_ROLE_PROCESS || w->role == POOL_ROLE_DEPUTY;
}

/* ---- pool_items.c ---- */

/* Puts a new block into its queue. */
void pool_items_list(pool_home *p, home_block *b);

/* The outcome of count items of a block goes to the submitter and their bytes are let go. */
void pool_items_end(pool_home *p, home_block *b, uint32_t at, uint32_t count, serry_err status,
                    int worker, const void *bytes, uint64_t size);

/* Puts items back in front of the queue, or to be tried again at a later time (due 0: now). */
void pool_items_return(pool_home *p, home_block *b, uint32_t at, uint32_t count, uint32_t attempt,
                       sri_ns due);

/* A block all of whose items have been handed out leaves the queue. */
void pool_items_unlist(pool_home *p, home_block *b);

/* No more of this call is handed out; it ends when its items under way have. */
void pool_items_stop(pool_home *p, home_call *call);

/* Sends what is kept for a submitter. */
void pool_items_flush(pool_home *p);

/* Frees all items and calls without a word to anybody. */
void pool_items_drop_all(pool_home *p);

/* ---- pool_calls.c ---- */

/* CALL, ITEMS, WITHDRAW, CANCEL, STATE, STATS. */
void pool_calls_op(pool_home *p, sri_asker who, uint16_t op, const uint8_t *bytes, size_t len);

/* A submitter that is not the owner is gone. died: what it had submitted is withdrawn; else it is
 * run, for nobody. */
void pool_calls_gone(pool_home *p, int rank, bool died);

/* ---- pool_lease.c ---- */

/* How long a task of that call takes, as far as is known; and what earlier ones tell of a new
 * call's. */
uint64_t pool_lease_mean(const home_call *call);
void pool_lease_expect(pool_home *p, home_call *call);
void pool_lease_measure(pool_home *p, home_call *call, uint64_t tasks, sri_ns ns);

static inline home_lease *pool_lease_front(home_worker *w)
{
    return &w->lease[w->head];
}

/* Raises granted; false if the worker has taken back, meanwhile, what it had not begun. */
bool pool_lease_grant(home_worker *w, uint32_t count);

/* Takes back from a worker all from item `keep` (counted from the first unreported) on. */
void pool_lease_take_back(pool_home *p, home_worker *w, uint32_t keep);

/* Takes back by its grant word what a worker has not begun; false if there is nothing to be had. */
bool pool_lease_revoke(pool_home *p, home_worker *w);
/* From all workers; from those without a grant word nothing. call: from those that have items of
 * it; NULL: from all. */
void pool_lease_revoke_all(pool_home *p, const home_call *call);

bool pool_lease_has(const home_worker *w, const home_call *call);

/* Is the worker at an item? *offset is which, counted from the first unreported. */
bool pool_lease_running(const home_worker *w, uint32_t *offset);

/* HOLD, RESUME. */
void pool_lease_hold(pool_home *p, home_worker *w, const uint8_t *bytes, size_t len);
void pool_lease_resume(pool_home *p, home_worker *w, const uint8_t *bytes, size_t len);

/* The worker has, or has not, something to do from now on. */
void pool_lease_idle(home_worker *w);

/* ---- pool_report.c ---- */

/* RESULTS and LATE from a worker. */
void pool_report_results(pool_home *p, home_worker *w, const uint8_t *bytes, size_t len);
void pool_report_late(pool_home *p, home_worker *w, const uint8_t *bytes, size_t len);

/* ---- pool_sched.c ---- */

/* Hands out what can be handed out. worker NULL: to all of them. */
void pool_sched(pool_home *p, home_worker *w);

/* Is there anything to hand out? */
bool pool_sched_queued(const pool_home *p);

/* Sets the timer for the first thing due; what is due is done by pool_sched_tick. */
void pool_sched_arm(pool_home *p);
void pool_sched_tick(pool_home *p, sri_ns now);

/* ---- pool_heal.c ---- */

/* The worker of that rank, made if need be; NULL if the rank is gone or there is no memory. */
home_worker *pool_heal_worker(pool_home *p, int rank, pool_role role);
home_worker *pool_heal_find(pool_home *p, int rank);

/* A worker is gone: its items are tried again, reported or handed to others. */
void pool_heal_gone(pool_home *p, home_worker *w);

void pool_heal_free_worker(home_worker *w);

/* Starts worker processes for those that are missing, and asks for deputies that are. */
void pool_heal(pool_home *p);

/* Every pending and later call fails; text is the cause. */
void pool_heal_break(pool_home *p, const char *text);

/* Ends idle workers of a closed pool, and answers who waits in join when all is over. */
void pool_heal_finish(pool_home *p);

/* Kills worker processes and deputies, tells serving ranks that no more will come. */
void pool_heal_end_workers(pool_home *p);

/* Kills workers at one task for longer than task_timeout; when to look again. */
sri_ns pool_heal_overdue(pool_home *p, sri_ns now);

/* Another start of a worker fails, for this reason; it is tried again later. */
void pool_heal_failed(pool_home *p, const char *text);

/* ---- pool_deputies.c ---- */

/* Asks ranks that are to have deputies, and have none, to start them. */
void pool_deputies_ask(pool_home *p);

/* DEPUTY and LEAVE from a rank; a deputy's greeting (NULL: nobody waits for it any more). */
void pool_deputies_started(pool_home *p, home_worker *w, const uint8_t *bytes, size_t len);
void pool_deputies_leave(pool_home *p, home_worker *w, sri_asker who);
home_worker *pool_deputies_greet(pool_home *p, int rank, const pool_wire_hello *hello);

/* A rank or its deputy is gone: they part. */
void pool_deputies_part(pool_home *p, home_worker *w);

#endif
