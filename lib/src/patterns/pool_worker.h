/* patterns/pool_worker.h: a process at work for one pool, be it a worker process, a serving rank or
 * the owner that waits. All with the core entered, but the initializer and the tasks run outside of
 * it. One thread runs the tasks of a worker; chunks may be delivered by any.
 */
#ifndef SRI_PATTERNS_POOL_WORKER_H
#define SRI_PATTERNS_POOL_WORKER_H

#include "patterns/pool_wire.h"

#include "base/buffer.h"

#include <serry/pool.h>
#include <stdalign.h>
#include <stdatomic.h>

#define SRI_WORKER_OUT 16384u /* bytes that out has room for at least, for heads without asking */

/* Items of one call, one after the other. */
typedef struct worker_chunk {
    struct worker_chunk *prev, *next;
    pool_wire_chunk is;
    serry_task_fn fn; /* NULL: this program has no such function */
    size_t cap;
    atomic_bool skip; /* the home wants no more of it */
    alignas(16) uint8_t bytes[];
} worker_chunk;

typedef struct sri_worker {
    struct sri_worker *prev, *next; /* of this process */
    uint64_t pool;
    pool_role role;
    int workers;           /* of the pool */
    serry_pool *guest;     /* by which its tasks give tasks; NULL: not yet, or this is the owner */
    unsigned holds;        /* tasks on the stack of its thread that have waited for others */
    sri_atomic_u64 *grant; /* the grant word: shared with the home, or .own */
    sri_atomic_u64 own;
    bool attached;
    bool busy;          /* a thread runs a chunk */
    bool waits;         /* the item that its word says runs is a task that waits, or has waited */
    bool ended;         /* no more will come */
    bool deputes;       /* not this rank runs tasks: a process in its stead does */
    uint32_t ask;       /* number of the deputy that is to be started; 0: none is */
    uint64_t deputy;    /* the process that was started last; 0: none */
    unsigned suspended; /* its thread waits inside a task */
    worker_chunk *inbox;
    worker_chunk *current;
    worker_chunk *spare; /* to be used again, a few */
    unsigned spares;
    sri_buffer out;   /* a message of results: pool_wire_results and runs */
    size_t run_at;    /* where the open run's head is; SIZE_MAX: none is open */
    sri_ns mark;      /* the time spent in tasks counts from here */
    sri_ns looked;    /* at the clock, between two tasks */
    uint32_t told;    /* what had been started when results were last sent */
    sri_ns flushed;   /* when results were last sent, or work began after a pause */
    unsigned stride;  /* tasks between looks at the clock */
    uint8_t *scratch; /* an aligned copy of one item */
    size_t scratch_cap;
} sri_worker;

/* A task under way. */
struct serry_task {
    sri_worker *w;
    worker_chunk *chunk;
    size_t index;
    serry_err err; /* a result that could not be kept; the text says why */
    size_t at;     /* where its result is in w->out; 0: none, or it is in .kept */
    size_t len;
    char *text;     /* why it failed */
    uint32_t level; /* tasks that are held below it at its worker */
    /* of one that has waited for tasks of its own, which goes its own way from then on */
    bool held;
    uint8_t *kept; /* its result; NULL: none */
    sri_ns spent;  /* before it waited */
};

/* The task that this thread runs; NULL: none. A fresh copy of the process runs none. */
serry_task *sri_task_here(void);
void sri_task_set_here(serry_task *t);

/* ---- pool_hold.c: a task of this thread waits for tasks of its own pool; others run meanwhile.
 * False: it is to wait without that. */
bool sri_task_hold(serry_task *t);
void sri_task_resume(serry_task *t);
/* The result of a task that was held. */
serry_err sri_task_keep(serry_task *t, const void *out, size_t len);
void sri_task_send_late(serry_task *t, int code);

/* Says hello to a pool and runs its initializer, unless a deputy is to work. Nothing comes before
 * attach. */
serry_err sri_worker_open(uint64_t pool, pool_wire_hello hello, sri_worker **w);
/* Detaches; frees w. */
void sri_worker_close(sri_worker *w);

void sri_worker_attach(sri_worker *w);
/* Gives back what is not begun. */
void sri_worker_detach(sri_worker *w);

/* Has it a chunk that this thread may run? While its tasks wait, only the thread that they are on.
 */
bool sri_worker_ready(const sri_worker *w);

/* Runs one chunk of a ready worker and sends its results, at the latest when no other is here. */
void sri_worker_run(sri_worker *w);

/* A feed for a worker of that pool in this process, if there is one. */
void sri_worker_feed(uint64_t pool, const uint8_t *bytes, size_t len);
/* The pool was destroyed; 0: this process is a fresh copy and works for nobody. */
void sri_worker_forget(uint64_t pool);

/* The pool whose task this thread runs; 0: none. */
uint64_t sri_worker_pool_here(void);

/* Takes back by its own hand what it has not begun: the grant word from then on. */
uint64_t sri_worker_take_back(sri_worker *w);

/* What is said of a task that failed; buf is room for it. */
const char *sri_task_why(const serry_task *t, int code, char *buf, size_t cap);

/* Sends the results there are. From here on a death costs no task an attempt, but one that begins
 * to wait: that runs until the home knows that it waits. */
void sri_worker_flush(sri_worker *w);
void sri_worker_free_chunk(sri_worker *w, worker_chunk *c);
/* Into the core again after code of the user. */
void sri_worker_enter_again(void);

/* This thread, in a task, is about to wait: what pools (save that of one worker, or NULL) have sent
 * ahead goes back to them, lest they wait for us. */
void sri_workers_suspend(const sri_worker *but);
void sri_workers_resume(const sri_worker *but);

/* What a worker process runs, a serry_process_fn: arg is the pool's id. */
int sri_pool_worker_main(const void *arg, size_t len);
/* The life of one. */
void sri_worker_live(uint64_t pool, pool_wire_hello hello);

/* ---- pool_deputy.c: the process that runs tasks in the stead of this rank ---- */

static inline bool sri_deputy_wanted(const sri_worker *w)
{
    return w && w->ask != 0 && !w->ended;
}

/* Starts the one that is wanted. */
void sri_deputy_start(sri_worker *w);
/* This rank works no longer: its deputy ends, after its task, and has ended when this returns. */
void sri_deputy_end(sri_worker *w);

#endif
