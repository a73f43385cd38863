/* patterns/pool_task.c: runs the tasks of a chunk and sends their results.
 *
 * Before each task the worker moves on in its grant word, which fails if the home has taken the
 * item back meanwhile. Results gather in one message and go out after FLUSH_NS, at FLUSH_BYTES,
 * with a failure, at the end of what is here, and at once for single tasks. Without a shared grant
 * word they go out after each task, so that the home knows how far it is. */
#include "patterns/pool_worker.h"

#include "base/error.h"
#include "base/log.h"
#include "core/core.h"
#include "core/service.h"
#include "core/wait.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <utlist.h>

#define FLUSH_NS SRI_US(1500)
#define FLUSH_BYTES 8192u
#define STRIDE 16u                  /* tasks between looks at the clock, while they are tiny */
#define TINY_NS 1000

struct serry_task {
    sri_worker *w;
    const worker_chunk *chunk;
    size_t index;
    serry_err err; /* a result that could not be kept */
    size_t at;     /* where its result is in w->out */
    size_t len;
    char *text; /* why it failed */
};

static _Thread_local uint64_t task_pool_here;

uint64_t sri_worker_pool_here(void)
{
    return task_pool_here;
}

void sri_worker_leave_pool(void)
{
    task_pool_here = 0;
}

/* A task that forked returns twice: the copy is no member of the world and must not go on. */
void sri_worker_enter_again(void)
{
    if (!sri_is_member()) {
        sri_log(SRI_LOG_ERROR, "pool: a task returned in a forked copy of its process, which ends");
        _exit(1);
    }
    sri_lock();
}

/* ---- the message of results ---- */

static uint8_t *task_run_head(sri_worker *w)
{
    return w->out.data + w->run_at;
}

/* Where the next head may be: runs begin at multiples of 8. */
static size_t task_next_head(const sri_worker *w)
{
    return (w->out.len + 7) & ~(size_t)7;
}

/* Room for a head and len bytes; false if there is no memory. */
static bool task_room(sri_worker *w, size_t len)
{
    size_t need = sizeof(pool_wire_run) + 8;
    if (w->out.cap - w->out.len >= need && w->out.cap - w->out.len - need >= len)
        return true;
    return len <= SIZE_MAX / 4 && sri_buffer_reserve(&w->out, len + need) == SERRY_OK;
}

/* Begins a run; its head has room. Bytes behind it may be there already. */
static void task_open_run(sri_worker *w, uint32_t seq, uint64_t size, serry_err status)
{
    size_t at = task_next_head(w);
    memset(w->out.data + w->out.len, 0, at - w->out.len);
    pool_wire_run run = { .seq = seq, .size = size, .status = (uint32_t)status };
    memcpy(w->out.data + at, &run, sizeof run);
    w->out.len = at + sizeof run;
    w->run_at = at;
}

static void task_add_count(sri_worker *w, uint32_t count)
{
    pool_wire_run *run = (pool_wire_run *)(void *)task_run_head(w);
    run->count += count;
}

/* Can a result of that size join the open run? */
static bool task_continues(sri_worker *w, size_t size)
{
    if (w->run_at == SIZE_MAX)
        return false;
    const pool_wire_run *run = (const pool_wire_run *)(const void *)task_run_head(w);
    return run->size == size;
}

/* The outcome of one task that failed. */
static void task_add_failure(sri_worker *w, uint32_t seq, serry_err e, const char *text)
{
    size_t len = strlen(text);
    if (!task_room(w, len))
        len = 0;
    task_open_run(w, seq, len, e);
    memcpy(w->out.data + w->out.len, text, len);
    w->out.len += len;
    task_add_count(w, 1);
    w->run_at = SIZE_MAX;
}

/* ---- the grant word ---- */

/* Takes n items, the first of which begins to run; false if the home has taken them back. */
static bool task_take(sri_worker *w, uint32_t epoch, uint32_t n, bool running)
{
    uint64_t v = atomic_load_explicit(w->grant, memory_order_relaxed), next;
    do {
        uint32_t left = (pool_grant_granted(v) - pool_grant_started(v)) & POOL_SEQ_MASK;
        if (pool_grant_epoch(v) != epoch || left < n)
            return false;
        next = pool_grant_make(epoch, pool_grant_granted(v), pool_grant_started(v) + n, running);
    } while (!atomic_compare_exchange_weak_explicit(w->grant, &v, next, memory_order_acq_rel,
                                                    memory_order_relaxed));
    return true;
}

static void task_pause(sri_worker *w)
{
    atomic_fetch_and_explicit(w->grant, ~UINT64_C(1), memory_order_acq_rel);
}

/* ---- sending ---- */

void sri_worker_flush(sri_worker *w)
{
    task_pause(w);
    sri_ns now = sri_now();
    w->run_at = SIZE_MAX;
    w->flushed = now;
    if (w->out.len > sizeof(pool_wire_results)) {
        pool_wire_results head = { .spent = now - w->mark };
        memcpy(w->out.data, &head, sizeof head);
        if (!w->ended)
            SERRY_IGNORE(sri_service_post(w->pool, POOL_OP_RESULTS, NULL, 0, w->out.data,
                                          w->out.len));
        w->out.len = sizeof head;
        if (w->out.cap > (1u << 20)) {
            uint8_t *less = realloc(w->out.data, SRI_WORKER_OUT);
            w->out.data = less ? less : w->out.data;
            w->out.cap = less ? SRI_WORKER_OUT : w->out.cap;
        }
    }
    w->mark = now;
}

/* ---- the task's view ---- */

serry_err serry_task_return(serry_task *t, const void *out, size_t len)
{
    if (!t || (!out && len > 0))
        return sri_fail(SERRY_EINVAL, "%s is NULL, the length %zu", t ? "the result" : "the task",
                        len);
    sri_worker *w = t->w;
    t->err = SERRY_OK;
    if (len > t->chunk->is.result_cap) {
        t->err = sri_fail(SERRY_ETRUNC, "task %zu returned %zu bytes, there is room for %zu",
                          t->index, len, (size_t)t->chunk->is.result_cap);
        return t->err;
    }
    if (len > sri_world.max_message || !task_room(w, len)) {
        t->err = sri_fail(len > sri_world.max_message ? SERRY_ELIMIT : SERRY_ENOMEM,
                          "the result of task %zu, %zu bytes, is too long", t->index, len);
        return t->err;
    }
    t->len = len;
    t->at = task_continues(w, len) ? w->out.len : task_next_head(w) + sizeof(pool_wire_run);
    if (len > 0)
        memcpy(w->out.data + t->at, out, len);
    return SERRY_OK;
}

int serry_task_fail(serry_task *t, const char *fmt, ...)
{
    if (!t || !fmt)
        return 1;
    free(t->text);
    va_list ap;
    va_start(ap, fmt);
    if (vasprintf(&t->text, fmt, ap) < 0)
        t->text = NULL;
    va_end(ap);
    return 1;
}

size_t serry_task_index(const serry_task *t)
{
    return t ? t->index : 0;
}

int serry_task_worker(const serry_task *t)
{
    return t ? sri_world.rank : -1;
}

int serry_task_attempt(const serry_task *t)
{
    return t ? t->chunk->is.attempt : 0;
}

/* ---- running ---- */

/* Item k, aligned to 16. */
static const uint8_t *task_item(sri_worker *w, const worker_chunk *c, uint32_t k)
{
    size_t size = (size_t)c->is.item_size;
    const uint8_t *item = c->bytes + k * size;
    if ((uintptr_t)item % 16 == 0)
        return item;
    if (size > w->scratch_cap) {
        size_t cap = (size + 63) & ~(size_t)63;
        uint8_t *more = aligned_alloc(16, cap);
        if (!more)
            return item; /* as aligned as its size, which does for an array of any type */
        free(w->scratch);
        w->scratch = more;
        w->scratch_cap = cap;
    }
    memcpy(w->scratch, item, size);
    return w->scratch;
}

/* Keeps the outcome of a task; true if it is to be told at once. */
static bool task_keep(sri_worker *w, serry_task *t, uint32_t seq, int code)
{
    if (code == 0 && t->err == SERRY_OK) {
        bool more = t->at != 0 ? t->at == w->out.len : task_continues(w, 0);
        if (!more)
            task_open_run(w, seq, t->len, SERRY_OK);
        w->out.len += t->len;
        task_add_count(w, 1);
        free(t->text);
        return false;
    }
    char text[128];
    const char *why = t->text;
    if (t->err != SERRY_OK)
        why = serry_err_detail();
    else if (!why) {
        snprintf(text, sizeof text, "task %zu returned %d", t->index, code);
        why = text;
    }
    task_add_failure(w, seq, t->err != SERRY_OK ? t->err : SERRY_ETASK, why);
    free(t->text);
    return true;
}

/* Runs item k of a chunk outside of the core; true if its outcome is to be told at once. */
static bool task_run_one(sri_worker *w, const worker_chunk *c, uint32_t k)
{
    serry_task t = { .w = w, .chunk = c, .index = (size_t)c->is.first + k };
    uint32_t seq = (c->is.seq + k) & POOL_SEQ_MASK;
    if (!c->fn) {
        task_add_failure(w, seq, SERRY_EINVAL,
                           "the task's function is not in the worker's program: all ranks must run "
                           "the same build");
        return true;
    }
    int code = c->fn(&t, task_item(w, c, k), (size_t)c->is.item_size);
    return task_keep(w, &t, seq, code);
}

/* Looks at the clock now and then; true if results have waited long enough. */
static bool task_time(sri_worker *w, uint32_t k, uint32_t *last, sri_ns *last_at)
{
    if (k + 1 - *last < w->stride)
        return false;
    sri_ns now = sri_now();
    w->stride = now - *last_at < (sri_ns)(k + 1 - *last) * TINY_NS ? STRIDE : 1;
    *last = k + 1;
    *last_at = now;
    return now - w->flushed >= FLUSH_NS;
}

/* The items of a chunk, as long as they are ours. Core not entered. */
static void task_run_all(sri_worker *w, worker_chunk *c)
{
    bool each = w->grant == &w->own || (c->is.flags & POOL_CALL_SINGLE);
    uint32_t last = 0;
    sri_ns last_at = w->mark;
    w->stride = 1;
    for (uint32_t k = 0; k < c->is.count; k++) {
        if (atomic_load_explicit(&c->skip, memory_order_relaxed)) {
            uint32_t rest = c->is.count - k;
            if (task_take(w, c->is.epoch, rest, false)) {
                task_open_run(w, (c->is.seq + k) & POOL_SEQ_MASK, 0, SERRY_ECANCELLED);
                task_add_count(w, rest);
                w->run_at = SIZE_MAX;
            }
            return;
        }
        if (!task_take(w, c->is.epoch, 1, true))
            return;
        bool now = task_run_one(w, c, k);
        if (now || each || w->out.len >= FLUSH_BYTES || task_time(w, k, &last, &last_at)) {
            sri_worker_enter_again();
            sri_worker_flush(w);
            (void)sri_progress();
            w->mark = sri_now();
            sri_leave();
        }
    }
}

void sri_worker_run(sri_worker *w)
{
    worker_chunk *c = w->inbox;
    DL_DELETE(w->inbox, c);
    w->busy = true;
    w->current = c;
    sri_any_fn fn;
    c->fn = sri_fnref_resolve(&c->is.fn, &fn) == SERRY_OK ? (serry_task_fn)fn : NULL;
    if (w->out.len == sizeof(pool_wire_results))
        w->mark = w->flushed = sri_now();
    uint64_t outer = task_pool_here;
    task_pool_here = w->pool;
    sri_leave();
    task_run_all(w, c);
    sri_worker_enter_again();
    task_pool_here = outer;
    w->current = NULL;
    w->run_at = SIZE_MAX; /* runs do not go over the end of a chunk */
    while (!w->inbox && sri_progress())
        ;
    if (!w->inbox || w->inbox->is.call != c->is.call || w->out.len >= FLUSH_BYTES)
        sri_worker_flush(w);
    w->busy = false;
    sri_worker_free_chunk(w, c);
}
