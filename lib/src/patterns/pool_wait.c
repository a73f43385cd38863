/* patterns/pool_wait.c: waiting for a pool, which may mean to work oneself: for one's own pool
 * while no rank serves it, and in a task that waits for tasks of its own. */
#include "patterns/pool.h"

#include "core/core.h"
#include "core/wait.h"

#include <string.h>

/* The owner of a served pool works while it waits. The greeting fails if the pool is broken or
 * gone, and then there is nothing to work for. */
static void stay_work(serry_pool *pool)
{
    if (pool->waiting++ > 0 || !pool->served)
        return;
    sri_worker *w = pool->self;
    pool_wire_hello hello = { .role = POOL_ROLE_SELF };
    if (!w && sri_worker_open(pool->id, hello, &w) == SERRY_OK)
        pool->self = w;
    if (pool->self)
        sri_worker_attach(pool->self);
}

static void stay_rest(serry_pool *pool)
{
    bool last = --pool->waiting == 0;
    if (last && pool->served && pool->self)
        sri_worker_detach(pool->self);
    if (last && pool->doomed)
        sri_pool_free(pool);
}

void sri_pool_begin_stay(pool_stay *s, serry_pool *pool)
{
    *s = (pool_stay){ .pool = pool, .task = sri_task_here() };
    if (s->task) {
        bool own = pool && s->task->w->pool == pool->id;
        s->held = own && sri_task_hold(s->task);
        s->but = own ? s->task->w : NULL;
        sri_workers_suspend(s->but);
    }
    if (pool)
        stay_work(pool);
}

void sri_pool_end_stay(pool_stay *s)
{
    if (s->pool)
        stay_rest(s->pool);
    if (s->held)
        sri_task_resume(s->task);
    if (s->task)
        sri_workers_resume(s->but);
}

static bool stay_has_work(const pool_stay *s)
{
    const sri_worker *w = s->pool ? s->pool->self : NULL;
    return w && sri_worker_ready(w) && (!s->pool->guest || w->holds > 0);
}

static bool stay_has_start(const pool_stay *s)
{
    return s->pool && sri_deputy_wanted(s->pool->self);
}

typedef struct stay_waiting {
    pool_stay *stay;
    bool (*ready)(void *ctx);
    void *ctx;
} stay_waiting;

static bool stay_has_news(void *ctx)
{
    stay_waiting *w = ctx;
    return w->ready(w->ctx) || stay_has_work(w->stay) || stay_has_start(w->stay)
           || sri_care_pending();
}

serry_err sri_pool_wait(pool_stay *s, bool (*ready)(void *ctx), void *ctx, sri_ns deadline)
{
    stay_waiting w = { s, ready, ctx };
    sri_waiting why = { .kind = SRI_WAIT_OBJECT,
                        .peer = SERRY_ANY,
                        .object = s->pool ? s->pool->id : 0 };
    for (bool worked = false;; worked = true) {
        sri_care_run();
        if (ready(ctx))
            return SERRY_OK;
        if (worked && deadline != SRI_NEVER && sri_now() >= deadline)
            return SERRY_ETIMEDOUT;
        if (stay_has_start(s)) {
            sri_deputy_start(s->pool->self);
            continue;
        }
        if (stay_has_work(s)) {
            sri_worker_run(s->pool->self);
            sri_wait_notify();
            continue;
        }
        sri_ns due = sri_care_due();
        SERRY_IGNORE(sri_wait_until(stay_has_news, &w, due < deadline ? due : deadline, &why));
    }
}
