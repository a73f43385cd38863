/* patterns/pool_worker.c: a worker's beginning and end, and what its pool's home sends it. */
#include "patterns/pool.h"

#include "base/error.h"
#include "base/log.h"
#include "base/point.h"
#include "core/core.h"
#include "core/service.h"
#include "core/wait.h"
#include "patterns/pool_steps.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <utlist.h>

#define SPARES 8u
#define SPARE_BYTES (64u << 10)

static sri_worker *workers; /* of this process; under the core's mutex */

void sri_worker_free_chunk(sri_worker *w, worker_chunk *c)
{
    if (w->spares >= SPARES || c->cap > SPARE_BYTES) {
        free(c);
        return;
    }
    LL_PREPEND(w->spare, c);
    w->spares++;
}

/* ---- what the home sends ---- */

static sri_worker *worker_find(uint64_t pool)
{
    sri_worker *w;
    DL_FOREACH (workers, w)
        if (w->pool == pool)
            return w;
    return NULL;
}

static worker_chunk *worker_new_chunk(sri_worker *w, size_t len)
{
    worker_chunk *c = w->spare;
    if (c && c->cap >= len) {
        LL_DELETE(w->spare, c);
        w->spares--;
        return c;
    }
    size_t cap = len < 512 ? 512 : len;
    c = malloc(sizeof *c + cap);
    if (c)
        c->cap = cap;
    return c;
}

static void worker_feed_chunk(sri_worker *w, const uint8_t *bytes, size_t len)
{
    pool_wire_chunk is;
    uint64_t size;
    if (len < sizeof is)
        return;
    memcpy(&is, bytes, sizeof is);
    if (__builtin_mul_overflow(is.item_size, (uint64_t)is.count, &size) || size > len - sizeof is
        || is.count == 0)
        return;
    uint64_t v = atomic_load_explicit(w->grant, memory_order_relaxed);
    if (!w->attached || pool_grant_epoch(v) != is.epoch)
        return; /* taken back while it was on its way */
    worker_chunk *c = worker_new_chunk(w, (size_t)size);
    if (!c) { /* the home learns by our end that we cannot go on */
        sri_log(SRI_LOG_ERROR, "pool: no memory for tasks of %zu bytes", (size_t)size);
        abort();
    }
    c->is = is;
    atomic_init(&c->skip, false);
    memcpy(c->bytes, bytes + sizeof is, (size_t)size);
    if (w->grant == &w->own)
        atomic_store(w->grant, pool_grant_make(is.epoch, pool_grant_granted(v) + is.count,
                                               pool_grant_started(v), pool_grant_running(v)));
    DL_APPEND(w->inbox, c);
}

static void worker_feed_stop(sri_worker *w, uint32_t call)
{
    worker_chunk *c;
    DL_FOREACH (w->inbox, c)
        if (c->is.call == call)
            atomic_store_explicit(&c->skip, true, memory_order_relaxed);
    if (w->current && w->current->is.call == call)
        atomic_store_explicit(&w->current->skip, true, memory_order_relaxed);
}

static void worker_empty_inbox(sri_worker *w)
{
    worker_chunk *c, *next;
    DL_FOREACH_SAFE (w->inbox, c, next) {
        DL_DELETE(w->inbox, c);
        sri_worker_free_chunk(w, c);
    }
}

/* The pool wants nothing more of us, and nothing that we still have. */
static void worker_end(sri_worker *w)
{
    w->ended = true;
    worker_empty_inbox(w);
    if (w->current)
        atomic_store_explicit(&w->current->skip, true, memory_order_relaxed);
}

void sri_worker_feed(uint64_t pool, const uint8_t *bytes, size_t len)
{
    sri_worker *w = worker_find(pool);
    pool_wire_feed head;
    if (!w || len < sizeof head)
        return;
    memcpy(&head, bytes, sizeof head);
    if (head.kind == POOL_FEED_CHUNK)
        worker_feed_chunk(w, bytes, len);
    else if (head.kind == POOL_FEED_STOP)
        worker_feed_stop(w, head.call);
    else if (head.kind == POOL_FEED_DEPUTY)
        w->ask = head.call;
    else if (head.kind == POOL_FEED_END)
        worker_end(w);
}

void sri_worker_forget(uint64_t pool)
{
    if (pool == 0) { /* a fresh copy: the parent's memory is left alone */
        workers = NULL;
        sri_task_set_here(NULL);
        return;
    }
    sri_worker *w = worker_find(pool);
    if (w)
        worker_end(w);
}

/* ---- life ---- */

static int worker_init(const pool_wire_welcome *hello, const uint8_t *arg)
{
    sri_any_fn fn;
    if (sri_fnref_resolve(&hello->init, &fn) != SERRY_OK)
        return -1;
    void *copy = malloc(hello->init_len ? hello->init_len : 1); /* aligned, as is promised */
    if (!copy)
        return -1;
    memcpy(copy, arg, hello->init_len);
    sri_leave();
    int code = ((serry_process_fn)fn)(copy, hello->init_len);
    sri_worker_enter_again();
    free(copy);
    return code;
}

static serry_err worker_welcome(sri_worker *w, const sri_reply *r)
{
    pool_wire_welcome hello;
    if (r->len < sizeof hello)
        return sri_fail(SERRY_EINTERNAL, "a pool's welcome has %zu bytes", r->len);
    memcpy(&hello, r->bytes, sizeof hello);
    if (hello.init_len != r->len - sizeof hello)
        return sri_fail(SERRY_EINTERNAL, "a pool's welcome is not as long as it says");
    sri_transport *t = sri_world.transport;
    sri_atomic_u64 *cell = hello.has_cell ? t->ops->cell(t, hello.cell) : NULL;
    if (hello.has_cell && !cell)
        return sri_fail(SERRY_EINTERNAL, "the pool's grant cell %u is not to be had", hello.cell);
    w->grant = cell ? cell : &w->own;
    w->workers = hello.workers;
    w->deputes = hello.deputes;
    if (hello.init.module == 0 || w->deputes)
        return SERRY_OK;
    pool_wire_init_failed failed = { .code = worker_init(&hello, r->bytes + sizeof hello) };
    if (failed.code == 0)
        return SERRY_OK;
    SERRY_IGNORE(sri_service_post(w->pool, POOL_OP_INIT_FAILED, &failed, sizeof failed, NULL, 0));
    return sri_fail(SERRY_EBROKEN, "the pool's initializer failed with %d", failed.code);
}

serry_err sri_worker_open(uint64_t pool, pool_wire_hello hello, sri_worker **out)
{
    sri_worker *w = calloc(1, sizeof *w);
    if (!w || sri_buffer_reserve(&w->out, SRI_WORKER_OUT) != SERRY_OK) {
        free(w);
        return sri_fail(SERRY_ENOMEM, "no memory for a pool's worker");
    }
    w->pool = pool;
    w->role = (pool_role)hello.role;
    w->grant = &w->own;
    w->run_at = SIZE_MAX;
    w->out.len = sizeof(pool_wire_results);
    sri_reply reply = { 0 };
    hello.pid = (int32_t)getpid();
    DL_APPEND(workers, w);
    serry_err e =
        sri_service_call(pool, POOL_OP_HELLO, &hello, sizeof hello, NULL, 0, &reply, SRI_NEVER);
    if (e == SERRY_OK)
        e = worker_welcome(w, &reply);
    sri_reply_fini(&reply);
    if (e != SERRY_OK)
        sri_worker_close(w);
    else
        *out = w;
    return e;
}

void sri_worker_close(sri_worker *w)
{
    sri_worker_detach(w);
    DL_DELETE(workers, w);
    if (w->guest)
        sri_pool_close_guest(w->guest);
    worker_chunk *c, *next;
    LL_FOREACH_SAFE (w->spare, c, next)
        free(c);
    sri_buffer_fini(&w->out);
    free(w->scratch);
    free(w);
}

void sri_worker_attach(sri_worker *w)
{
    if (w->attached || w->ended || w->suspended)
        return;
    w->attached = true;
    SERRY_IGNORE(sri_service_post(w->pool, POOL_OP_ATTACH, NULL, 0, NULL, 0));
}

uint64_t sri_worker_take_back(sri_worker *w)
{
    worker_empty_inbox(w);
    return pool_step_take_back(w->grant);
}

void sri_worker_detach(sri_worker *w)
{
    if (!w->attached)
        return;
    w->attached = false;
    worker_empty_inbox(w);
    if (!w->busy) /* else the task under way may have put its result there already */
        sri_worker_flush(w);
    uint64_t v = sri_worker_take_back(w);
    pool_wire_detach out = { .epoch = pool_grant_epoch(v), .started = pool_grant_started(v) };
    if (!w->ended)
        SERRY_IGNORE(sri_service_post(w->pool, POOL_OP_DETACH, &out, sizeof out, NULL, 0));
    SRI_POINT(108);
}

void sri_workers_suspend(const sri_worker *but)
{
    sri_worker *w;
    DL_FOREACH (workers, w) {
        if (w == but || w->deputes || (!w->attached && w->suspended == 0))
            continue;
        sri_worker_detach(w);
        w->suspended++;
    }
}

void sri_workers_resume(const sri_worker *but)
{
    sri_worker *w;
    DL_FOREACH (workers, w)
        if (w != but && w->suspended > 0 && --w->suspended == 0)
            sri_worker_attach(w);
}

static bool worker_has_news(void *ctx)
{
    const sri_worker *w = ctx;
    return w->inbox || w->ended || sri_care_pending();
}

void sri_worker_live(uint64_t pool, pool_wire_hello hello)
{
    sri_worker *w;
    if (sri_enter() != SERRY_OK)
        return;
    serry_err e = sri_worker_open(pool, hello, &w);
    if (e == SERRY_OK) {
        sri_worker_attach(w);
        sri_waiting why = { .kind = SRI_WAIT_OBJECT, .peer = SRI_AGENT, .object = pool };
        while (!w->ended || w->inbox) {
            why.since = sri_now();
            SERRY_IGNORE(sri_wait_until(worker_has_news, w, SRI_NEVER, &why));
            if (w->inbox)
                sri_worker_run(w);
            sri_care_run();
        }
        sri_worker_close(w);
    }
    sri_leave();
}

int sri_pool_worker_main(const void *arg, size_t len)
{
    uint64_t pool;
    if (len != sizeof pool)
        return 1;
    memcpy(&pool, arg, sizeof pool);
    sri_worker_live(pool, (pool_wire_hello){ .role = POOL_ROLE_PROCESS });
    return 0;
}
