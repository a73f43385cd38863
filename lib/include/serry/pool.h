/* serry/pool.h: the same function over many inputs, by processes that take work as they can.
 *
 *     static int square(serry_task *t, const void *in, size_t len)
 *     {
 *         double x = *(const double *)in;
 *         (void)len;
 *         x *= x;
 *         return serry_task_return(t, &x, sizeof x) != SERRY_OK;
 *     }
 *     ...
 *     double xs[100] = { 1, 2, 3 }, ys[100];
 *     serry_pool *pool;
 *     SERRY_CHECK(serry_pool_create(&pool, NULL));
 *     SERRY_CHECK(serry_pool_map(pool, square, xs, sizeof *xs, 100, ys, sizeof *ys, NULL));
 *     serry_pool_destroy(pool);
 *
 * Who works: in a world of one, worker processes of the pool (options .workers, serry_cpu_count()
 * by default). In a world of several launched ranks, the ranks that are in serry_pool_serve or in
 * serry_finalize; a rank that waits in its own map runs tasks itself while nobody serves it. With
 * .isolate a process of each such rank's own does that in its stead, so that a task that crashes
 * does not take the rank with it.
 * Tasks and results wait at the pool's home, so workers stay fed while the owner computes. A worker
 * that dies is replaced; its task is retried (.retries) or reported, and the tasks whose results
 * had not reached the home are run again. A pool belongs to the process that made it: other
 * processes get SERRY_ESTATE.
 */
#ifndef SERRY_POOL_H
#define SERRY_POOL_H

#include <serry/future.h>
#include <serry/process.h>
#include <serry/world.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct serry_pool serry_pool;
typedef struct serry_task serry_task;

/* A task reads len bytes of in, aligned for any type, and returns 0; or another value, and it has
 * failed. Its result are the bytes given to serry_task_return, none if it gave none. */
typedef int (*serry_task_fn)(serry_task *t, const void *in, size_t len);

/* Gives the result; a second call replaces it. The bytes are copied. */
SERRY_API SERRY_WARN_UNUSED serry_err serry_task_return(serry_task *t, const void *out, size_t len);

/* Says why the task fails. Always returns 1, so that a task can `return serry_task_fail(...)`. */
SERRY_API int serry_task_fail(serry_task *t, const char *fmt, ...) SERRY_PRINTF(2, 3);

/* The task's index in its map (0 for one task alone), the rank that runs it, and which attempt
 * this is (from 1). */
SERRY_API size_t serry_task_index(const serry_task *t);
SERRY_API int serry_task_worker(const serry_task *t);
SERRY_API int serry_task_attempt(const serry_task *t);

/* The pool to which a task may give tasks of its own (submit, apply, map, map_async, imap, stats);
 * valid while the task runs. A task that waits for one of these runs other tasks of the pool
 * meanwhile, on its own stack, so that tasks that wait for tasks never use up the workers. It may
 * not close, join, terminate or destroy the pool: SERRY_ESTATE. Tasks it gives are taken even by a
 * closed pool. If the worker dies, what its tasks had submitted is withdrawn. */
SERRY_API serry_pool *serry_task_pool(serry_task *t);

typedef struct serry_pool_options {
    const char *name;             /* for messages; up to 63 bytes */
    int workers;                  /* worker processes; 0: serry_cpu_count(); world of one only */
    serry_process_fn initializer; /* run once in each worker before its first task; not 0: the pool
                                     is broken */
    const void *init_arg;         /* copied */
    size_t init_len;
    int max_tasks_per_worker; /* a worker is replaced after so many; 0: never */
    int retries;              /* how often a task whose worker died is tried again */
    double retry_delay;       /* seconds before the first retry, doubled each time */
    double task_timeout;      /* seconds a task may run, then its worker is killed; 0: no limit. As
                                 .isolate, where ranks serve */
    bool isolate;             /* tasks run in processes of the pool, never in a launched rank: each
                                 rank that works is represented by one, started by the agent of its
                                 node from the program as it was at serry_init (or serry_prepare),
                                 without MPI. Worker processes are such processes anyway */
} serry_pool_options;

/* Makes a pool and starts its workers; they need not be up when it returns. If one cannot be
 * started, those that were are ended. Errors: SERRY_EINVAL, SERRY_ELIMIT, SERRY_ESYS,
 * SERRY_ESTATE (also if .isolate or .task_timeout need the clean copy of the program, and there is
 * none: serry_attach without serry_prepare). */
SERRY_API SERRY_WARN_UNUSED serry_err serry_pool_create(serry_pool **pool,
                                                        const serry_pool_options *o);

typedef struct serry_map_options {
    size_t chunk;      /* tasks handed out together; 0: adapts to the measured task time */
    bool keep_going;   /* a failing task does not stop the map */
    bool progress;     /* a progress bar on standard error */
    double timeout;    /* seconds for the whole map; 0: no limit */
    serry_err *errors; /* n places, or NULL: what became of each task */
    void (*on_error)(void *ctx, size_t index, serry_err e, const char *text);
    void *ctx;
} serry_map_options;

/* Runs fn over n items of item_size bytes; results[i], result_size bytes, is what task i returned,
 * zero-filled if shorter; a longer result fails its task with SERRY_ETRUNC. Blocks until all are
 * done, the map stops at a failing task (SERRY_ETASK, or SERRY_EDIED if its worker died), or the
 * time is up. Finished results are kept in each case; a task not run is SERRY_ECANCELLED in errors
 * (and so is one, when the time is up, whose result was still with its worker: those of short tasks
 * are sent together, every 5 ms).
 * With keep_going all are run, and the first error in the order of items is returned.
 * The error's detail is the text of the task that failed. items and results are borrowed. */
SERRY_API SERRY_WARN_UNUSED serry_err serry_pool_map(serry_pool *pool, serry_task_fn fn,
                                                     const void *items, size_t item_size, size_t n,
                                                     void *results, size_t result_size,
                                                     const serry_map_options *o);

/* The same without waiting: a future whose get returns the map's status. All arguments as above;
 * items, results, o->errors must live until the future is done (the options themselves are copied).
 * Items go ahead of the workers by up to 64 MiB; the rest of a longer map, on_error, the progress
 * bar and the timeout are seen to inside future, results and pool calls of this process. A map's
 * future may be freed while it is pending: then what has not been run is withdrawn, and results is
 * no longer written to. */
SERRY_API SERRY_WARN_UNUSED serry_err serry_pool_map_async(serry_future **f, serry_pool *pool,
                                                           serry_task_fn fn, const void *items,
                                                           size_t item_size, size_t n,
                                                           void *results, size_t result_size,
                                                           const serry_map_options *o);

/* One task; waits for its result. As serry_pool_submit, serry_future_get. */
SERRY_API SERRY_WARN_UNUSED serry_err serry_pool_apply(serry_pool *pool, serry_task_fn fn,
                                                       const void *in, size_t len, void *out,
                                                       size_t cap, size_t *out_len, double timeout);

/* One task; its result comes in a future, which you free. in is copied. */
SERRY_API SERRY_WARN_UNUSED serry_err serry_pool_submit(serry_future **f, serry_pool *pool,
                                                        serry_task_fn fn, const void *in,
                                                        size_t len);

/* Writes item number index, up to cap bytes (aligned for any type), sets *len and returns true; or
 * returns false: there are no more. A source that meets an error ends there, too, and tells about
 * it by its ctx. Called in the process of the pool's owner, inside serry_pool_imap and
 * serry_results_next only, one call at a time. */
typedef bool (*serry_source_fn)(void *ctx, size_t index, void *item, size_t cap, size_t *len);

typedef struct serry_results serry_results;

typedef struct serry_imap_options {
    bool unordered;   /* results as they come; else in the order of the items */
    size_t in_flight; /* items read and not yet returned, at most; 0: 4 for each worker, at least 16
                         and at least 2 chunks */
    size_t chunk;     /* items handed out together, if they have the same length; 0: 1 */
    size_t item_cap;  /* bytes of the buffer that the source writes into; 0: 4096 */
} serry_imap_options;

/* A lazy map: items are read from next(ctx, ...) as results are taken, so there may be any number
 * of them. Reads the first ones and returns. A failing task does not stop the others.
 *
 *     serry_results *it;
 *     SERRY_CHECK(serry_pool_imap(&it, pool, square, next_number, &ctx, NULL));
 *     while ((e = serry_results_next(it, &y, sizeof y, NULL, &i, SERRY_FOREVER)) != SERRY_ECLOSED)
 *         ...
 *     serry_results_free(it);
 */
SERRY_API SERRY_WARN_UNUSED serry_err serry_pool_imap(serry_results **it, serry_pool *pool,
                                                      serry_task_fn fn, serry_source_fn next,
                                                      void *ctx, const serry_imap_options *o);

/* The next result, copied to out of cap bytes; *len is its length (NULL: exactly cap bytes are
 * expected), *index its item's number. Waits for it. SERRY_ECLOSED: there are no more.
 * SERRY_ETASK, SERRY_EDIED: that item's task failed, *index is set, the text is in
 * serry_err_detail; go on. SERRY_ELIMIT: the source gave more than item_cap bytes; go on.
 * SERRY_EBROKEN, SERRY_ECANCELLED: so ended each item under way (*index is set) when the pool did;
 * no more are read, SERRY_ECLOSED comes after them. SERRY_ETRUNC: *len and *index are set, the
 * result is kept: call again with more room. SERRY_ETIMEDOUT: nothing was taken. */
SERRY_API SERRY_WARN_UNUSED serry_err serry_results_next(serry_results *it, void *out, size_t cap,
                                                         size_t *len, size_t *index,
                                                         double timeout);

/* Frees it; items under way that have not begun are withdrawn. It may outlive its pool. NULL is
 * fine. */
SERRY_API void serry_results_free(serry_results *it);

/* One worker of a pool: a worker process, a serving rank, or the owner while it works itself. */
typedef struct serry_worker_stats {
    int rank;
    pid_t pid;      /* 0: it has not come up yet */
    int principal;  /* with isolate, the launched rank in whose stead it works; else -1 */
    bool alive;     /* works for the pool; those that have ended are still told, the last 512 */
    uint64_t tasks; /* ended by it, failed ones too; as far as the pool has heard */
    double busy;    /* seconds spent in these tasks */
    double idle;    /* seconds in which it worked for the pool and had nothing to do */
} serry_worker_stats;

/* What each worker has done: the first cap of them go to out (NULL for cap 0), *n is how many there
 * are. Asks the pool's home, waits for no worker. */
SERRY_API SERRY_WARN_UNUSED serry_err serry_pool_stats(serry_pool *pool, serry_worker_stats *out,
                                                       size_t cap, size_t *n);

/* How unevenly n workers were busy: the longest time over the mean, minus 1. 0: evenly; 1: with
 * even work all could have ended in half the time. */
SERRY_API double serry_stats_imbalance(const serry_worker_stats *s, size_t n);

/* Works for the pools of rank owner (or SERRY_ANY) until it destroys one, finalizes or dies (with
 * SERRY_ANY: until all other launched ranks have finalized or died). Whoever comes too late,
 * because the owner has destroyed a pool since the last collective already, is let go at once. At
 * the end of its time a task under way is finished first; with isolate that means to wait for the
 * process that runs it. Errors: SERRY_ETIMEDOUT; SERRY_EINVAL (no such rank, or this one),
 * SERRY_ESTATE (in a started process, in a task, or if another thread serves). */
SERRY_API SERRY_WARN_UNUSED serry_err serry_pool_serve(int owner, double timeout);

/* No more tasks: who gives it one gets SERRY_ECLOSED. Idempotent. */
SERRY_API SERRY_WARN_UNUSED serry_err serry_pool_close(serry_pool *pool);

/* Waits until a closed or terminated pool has finished its tasks and its workers have ended.
 * SERRY_ESTATE: it is neither. */
SERRY_API SERRY_WARN_UNUSED serry_err serry_pool_join(serry_pool *pool, double timeout);

/* Ends the pool at once: its workers are killed, tasks that wait are SERRY_ECANCELLED. What a
 * serving rank is at goes on, for nothing; over shared-memory lanes it begins nothing more once
 * this has returned. */
SERRY_API SERRY_WARN_UNUSED serry_err serry_pool_terminate(serry_pool *pool);

/* Terminates the pool if need be and frees it. A pool that lives when its process finalizes (or a
 * started process returns) is closed there and its tasks are waited for. Its futures must be freed
 * by their owners; they are SERRY_ECANCELLED if they were pending. NULL is fine. */
SERRY_API void serry_pool_destroy(serry_pool *pool);

#ifdef __cplusplus
}
#endif
#endif
