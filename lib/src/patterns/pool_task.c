/* patterns/pool_task.c: runs the tasks of a chunk and sends their results.
 *
 * Before each task the worker moves on in its grant word, which fails if the home has taken the
 * item back meanwhile. Results gather in one message and go out after FLUSH_NS (those of short
 * tasks, of which as many are still here, after FLUSH_SHORT_NS), at FLUSH_BYTES, with a failure, at
 * the end of what is here, and at once for single tasks. Without a shared grant word they go out
 * after each task, so that the home knows how far it is. */
#include "patterns/pool.h"

#include "base/error.h"
#include "base/log.h"
#include "base/point.h"
#include "core/core.h"
#include "core/service.h"
#include "core/wait.h"
#include "patterns/pool_steps.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <utlist.h>

#define FLUSH_NS SRI_MS(5)
#define FLUSH_SHORT_NS SRI_MS(20) /* half of what the home gives ahead */
#define SHORT_NS SRI_MS(2)
#define FLUSH_BYTES 8192u
#define STRIDE 16u /* tasks between looks at the clock, while they are tiny */
#define TINY_NS 1000

static _Thread_local serry_task *task_here;

serry_task *sri_task_here(void)
{
    return task_here;
}

void sri_task_set_here(serry_task *t)
{
    task_here = t;
}

uint64_t sri_worker_pool_here(void)
{
    return task_here ? task_here->w->pool : 0;
}

bool sri_worker_ready(const sri_worker *w)
{
    return w->inbox && !w->busy && (w->holds == 0 || (task_here && task_here->w == w));
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

/* ---- sending ---- */

void sri_worker_flush(sri_worker *w)
{
    SRI_POINT(103);
    if (!w->waits)
        pool_step_pause(w->grant);
    SRI_POINT(104);
    sri_ns now = sri_now();
    w->run_at = SIZE_MAX;
    w->flushed = now;
    w->told = pool_grant_started(atomic_load_explicit(w->grant, memory_order_relaxed));
    if (w->out.len > sizeof(pool_wire_results)) {
        pool_wire_results head = { .spent = now - w->mark };
        memcpy(w->out.data, &head, sizeof head);
        if (!w->ended)
            SERRY_IGNORE(
                sri_service_post(w->pool, POOL_OP_RESULTS, NULL, 0, w->out.data, w->out.len));
        SRI_POINT(105);
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

/* A result that is not kept fails its task, whatever that returns. */
static serry_err task_refuse(serry_task *t, serry_err e)
{
    t->err = e;
    if (e != SERRY_OK) {
        free(t->text);
        t->text = strdup(serry_err_detail());
    }
    return e;
}

serry_err serry_task_return(serry_task *t, const void *out, size_t len)
{
    if (!t || (!out && len > 0))
        return sri_fail(SERRY_EINVAL, "%s is NULL, the length %zu", t ? "the result" : "the task",
                        len);
    sri_worker *w = t->w;
    if (t->err != SERRY_OK) { /* this one replaces the one that could not be kept */
        t->err = SERRY_OK;
        free(t->text);
        t->text = NULL;
    }
    if (len > t->chunk->is.result_cap)
        return task_refuse(t, sri_fail(SERRY_ETRUNC,
                                       "task %zu returned %zu bytes, there is room "
                                       "for %zu",
                                       t->index, len, (size_t)t->chunk->is.result_cap));
    if (len > sri_world.max_message)
        return task_refuse(t, sri_fail(SERRY_ELIMIT,
                                       "the result of task %zu, %zu bytes, is too "
                                       "long",
                                       t->index, len));
    if (t->held)
        return task_refuse(t, sri_task_keep(t, out, len));
    if (!task_room(w, len))
        return task_refuse(t, sri_fail(SERRY_ENOMEM,
                                       "no memory for the result of task %zu, %zu "
                                       "bytes",
                                       t->index, len));
    t->len = len;
    t->at = task_continues(w, len) ? w->out.len : task_next_head(w) + sizeof(pool_wire_run);
    if (len > 0)
        memcpy(w->out.data + t->at, out, len);
    return SERRY_OK;
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

const char *sri_task_why(const serry_task *t, int code, char *buf, size_t cap)
{
    if (t->text)
        return t->text;
    if (t->err != SERRY_OK)
        return serry_err_text(t->err);
    snprintf(buf, cap, "task %zu returned %d", t->index, code);
    return buf;
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
        return false;
    }
    char buf[128];
    task_add_failure(w, seq, t->err != SERRY_OK ? t->err : SERRY_ETASK,
                     sri_task_why(t, code, buf, sizeof buf));
    return true;
}

/* Runs item k of a chunk outside of the core; true if its outcome is to be told at once. */
static bool task_run_one(sri_worker *w, serry_task *t, uint32_t k)
{
    worker_chunk *c = t->chunk;
    uint32_t seq = (c->is.seq + k) & POOL_SEQ_MASK;
    if (!c->fn) {
        task_add_failure(w, seq, SERRY_EINVAL,
                         "the task's function is not in the worker's program: all ranks must run "
                         "the same build");
        return true;
    }
    SRI_POINT(101);
    int code = c->fn(t, task_item(w, c, k), (size_t)c->is.item_size);
    SRI_POINT(102);
    bool now = false;
    if (t->held)
        sri_task_send_late(t, code);
    else
        now = task_keep(w, t, seq, code);
    if (__builtin_expect(t->text != NULL, 0))
        free(t->text);
    return now;
}

/* Has it, without news from the home, at least as many tasks as it has not told of? */
static bool task_has_plenty(const sri_worker *w)
{
    uint64_t v = atomic_load_explicit(w->grant, memory_order_relaxed);
    uint32_t started = pool_grant_started(v);
    return ((pool_grant_granted(v) - started) & POOL_SEQ_MASK)
           >= ((started - w->told) & POOL_SEQ_MASK);
}

/* Looks at the clock now and then; true if results have waited long enough. */
static bool task_time(sri_worker *w, uint32_t k, uint32_t *last)
{
    if (k + 1 - *last < w->stride)
        return false;
    sri_ns now = sri_now();
    sri_ns spent = now - w->looked;
    sri_ns tasks = k + 1 - *last;
    w->stride = spent < tasks * TINY_NS ? STRIDE : 1;
    w->looked = now;
    *last = k + 1;
    if (now - w->flushed < FLUSH_NS)
        return false;
    bool later = spent < tasks * SHORT_NS && task_has_plenty(w);
    return !later || now - w->flushed >= FLUSH_SHORT_NS;
}

/* The items of a chunk, as long as they are ours. Core not entered. */
static void task_run_all(sri_worker *w, worker_chunk *c, serry_task *t)
{
    bool each = w->grant == &w->own || (c->is.flags & POOL_CALL_SINGLE);
    uint32_t last = 0;
    if (w->looked < w->mark)
        w->looked = w->mark;
    w->stride = 1;
    for (uint32_t k = 0; k < c->is.count; k++) {
        if (atomic_load_explicit(&c->skip, memory_order_relaxed)) {
            uint32_t rest = c->is.count - k;
            if (pool_step_take(w->grant, c->is.epoch, rest, false)) {
                task_open_run(w, (c->is.seq + k) & POOL_SEQ_MASK, 0, SERRY_ECANCELLED);
                task_add_count(w, rest);
                w->run_at = SIZE_MAX;
            }
            return;
        }
        if (!pool_step_take(w->grant, c->is.epoch, 1, true))
            return;
        *t =
            (serry_task){ .w = w, .chunk = c, .index = (size_t)c->is.first + k, .level = w->holds };
        bool now = task_run_one(w, t, k);
        if (t->held)
            return; /* the rest of the chunk went back when it waited */
        if (now || each || w->out.len >= FLUSH_BYTES || task_time(w, k, &last)) {
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
    w->waits = false; /* the home knows of it: it has sent this chunk since */
    w->current = c;
    sri_any_fn fn;
    c->fn = sri_fnref_resolve(&c->is.fn, &fn) == SERRY_OK ? (serry_task_fn)fn : NULL;
    if (w->out.len == sizeof(pool_wire_results))
        w->mark = w->flushed = sri_now();
    serry_task task = { .w = w, .chunk = c }, *outer = task_here;
    task_here = &task;
    sri_leave();
    task_run_all(w, c, &task);
    sri_worker_enter_again();
    task_here = outer;
    w->current = NULL;
    w->run_at = SIZE_MAX; /* runs do not go over the end of a chunk */
    while (!w->inbox && sri_progress())
        ;
    if (!w->inbox || w->inbox->is.call != c->is.call || w->out.len >= FLUSH_BYTES)
        sri_worker_flush(w);
    w->busy = false;
    sri_worker_free_chunk(w, c);
}
