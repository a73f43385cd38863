/* patterns/future.c: single tasks and their results. */
#include "patterns/pool.h"

#include "base/error.h"
#include "core/core.h"
#include "core/service.h"
#include "core/wait.h"

#include <stdlib.h>
#include <string.h>

struct serry_future {
    int rank; /* whose it is */
    pool_call call;
};

static serry_err future_send(serry_pool *pool, serry_future *f, const sri_fnref *fn, const void *in,
                             size_t len)
{
    pool_wire_call head = { .call = f->call.id, .flags = POOL_CALL_SINGLE, .n = 1, .item_size = len,
                            .result_cap = UINT64_MAX, .chunk = 1, .count = 1, .fn = *fn };
    return sri_service_post(pool->id, POOL_OP_CALL, &head, sizeof head, in, len);
}

static serry_err future_begin(serry_pool *pool, serry_future *f, const sri_fnref *fn,
                              const void *in, size_t len)
{
    SRI_TRY(sri_pool_open(pool));
    if (len > sri_world.max_message)
        return sri_fail(SERRY_ELIMIT, "a task's input has %zu bytes, the limit is %zu", len,
                        (size_t)sri_world.max_message);
    f->rank = sri_world.rank;
    SRI_TRY(sri_pool_add_call(pool, &f->call));
    serry_err e = future_send(pool, f, fn, in, len);
    if (e != SERRY_OK)
        sri_pool_drop_call(&f->call);
    return e;
}

serry_err serry_pool_submit(serry_future **out, serry_pool *pool, serry_task_fn fn, const void *in,
                            size_t len)
{
    if (!out || !fn || (!in && len > 0))
        return sri_fail(SERRY_EINVAL, !out   ? "the place for the future is NULL"
                                      : !fn ? "the task is NULL"
                                            : "the input is NULL, its length is not 0");
    sri_fnref ref;
    SRI_TRY(sri_fnref_of((sri_any_fn)fn, &ref));
    SRI_TRY(sri_pool_enter(pool));
    serry_future *f = calloc(1, sizeof *f);
    serry_err e = f ? SERRY_OK : sri_fail(SERRY_ENOMEM, "no memory for a future");
    if (f) {
        f->call.n = 1;
        f->call.single = true;
        e = future_begin(pool, f, &ref, in, len);
    }
    sri_leave();
    if (e == SERRY_OK)
        *out = f;
    else
        free(f);
    return e;
}

static bool future_over(void *ctx)
{
    return ((const serry_future *)ctx)->call.over;
}

static serry_err future_wait(serry_future *f, sri_ns deadline)
{
    if (!f->call.over)
        (void)sri_progress();
    if (f->call.over)
        return SERRY_OK;
    serry_pool *pool = f->call.pool;
    SRI_TRY(sri_pool_may_wait(pool));
    sri_pool_begin_wait(pool);
    serry_err e = sri_pool_wait(pool, future_over, f, deadline);
    sri_pool_end_wait(pool);
    return e == SERRY_ETIMEDOUT ? sri_fail(e, "the task has not ended in time") : e;
}

static serry_err future_take(const serry_future *f, void *out, size_t cap, size_t *len)
{
    const pool_call *c = &f->call;
    if (c->err != SERRY_OK)
        return sri_fail_text(c->err, c->text ? c->text : serry_err_text(c->err));
    if (!len && c->result_len != cap && out)
        return sri_fail(c->result_len > cap ? SERRY_ETRUNC : SERRY_EINVAL,
                        "the result has %zu bytes, exactly %zu were expected", c->result_len, cap);
    if (len)
        *len = c->result_len;
    if (c->result_len > cap && (out || cap > 0))
        return sri_fail(SERRY_ETRUNC, "the result has %zu bytes, there is room for %zu",
                        c->result_len, cap);
    if (out && c->result_len > 0)
        memcpy(out, c->result, c->result_len);
    return SERRY_OK;
}

/* A future outlives its pool, and even the world. */
static serry_err future_enter(const serry_future *f)
{
    SRI_TRY(sri_enter());
    if (f->rank == sri_world.rank)
        return SERRY_OK;
    sri_leave();
    return sri_fail(SERRY_ESTATE, "the future belongs to rank %d", f->rank);
}

serry_err serry_future_get(serry_future *f, void *out, size_t cap, size_t *len, double timeout)
{
    sri_ns deadline;
    if (!f || (!out && cap > 0))
        return sri_fail(SERRY_EINVAL, !f ? "the future is NULL" : "the buffer is NULL, it has %zu "
                                                                  "bytes", cap);
    SRI_TRY(sri_deadline(timeout, &deadline));
    SRI_TRY(future_enter(f));
    serry_err e = future_wait(f, deadline);
    if (e == SERRY_OK)
        e = future_take(f, out, cap, len);
    sri_leave();
    return e;
}

bool serry_future_done(const serry_future *f)
{
    if (!f || future_enter(f) != SERRY_OK)
        return false;
    if (!f->call.over)
        (void)sri_progress();
    bool done = f->call.over;
    sri_leave();
    return done;
}

const char *serry_future_error(const serry_future *f)
{
    if (!f || !f->call.over || f->call.err == SERRY_OK)
        return "";
    return f->call.text ? f->call.text : serry_err_text(f->call.err);
}

void serry_future_free(serry_future *f)
{
    if (!f)
        return;
    bool ours = future_enter(f) == SERRY_OK;
    if (ours) {
        sri_pool_drop_call(&f->call);
        sri_leave();
    }
    free(f->call.text);
    free(f->call.result);
    free(f);
}

serry_err serry_pool_apply(serry_pool *pool, serry_task_fn fn, const void *in, size_t len,
                           void *out, size_t cap, size_t *out_len, double timeout)
{
    serry_future *f;
    sri_ns deadline;
    if (!out && cap > 0)
        return sri_fail(SERRY_EINVAL, "the buffer is NULL, it has %zu bytes", cap);
    SRI_TRY(sri_deadline(timeout, &deadline));
    SRI_TRY(serry_pool_submit(&f, pool, fn, in, len));
    serry_err e = serry_future_get(f, out, cap, out_len, sri_seconds_until(deadline));
    serry_future_free(f);
    return e;
}
