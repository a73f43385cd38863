/* patterns/future.c: single tasks, and the results of futures. */
#include "patterns/pool_future.h"

#include "base/error.h"
#include "core/core.h"
#include "core/wait.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

/* ---- life ---- */

static void future_over(pool_call *c)
{
    sri_care_line((serry_future *)((char *)c - offsetof(serry_future, call)));
}

serry_future *sri_future_new(void)
{
    serry_future *f = calloc(1, sizeof *f);
    if (!f)
        return NULL;
    f->rank = sri_world.rank;
    f->refs = 1;
    f->call.on_over = future_over;
    return f;
}

static void future_free(serry_future *f)
{
    future_callback *cb, *next;
    DL_FOREACH_SAFE (f->callbacks, cb, next)
        free(cb);
    sri_map_drop_reports(&f->call);
    free(f->map);
    free(f->call.text);
    free(f->result);
    free(f);
}

void sri_future_unref(serry_future *f)
{
    if (--f->refs == 0)
        future_free(f);
}

serry_err sri_future_enter(const serry_future *f)
{
    SRI_TRY(sri_enter());
    if (f->rank == sri_world.rank)
        return SERRY_OK;
    sri_leave();
    return sri_fail(SERRY_ESTATE, "the future belongs to rank %d", f->rank);
}

/* ---- one task ---- */

static void future_take_one(pool_call *c, const pool_wire_outcome *oc, const uint8_t *bytes)
{
    serry_future *f = (serry_future *)((char *)c - offsetof(serry_future, call));
    size_t len = (size_t)oc->size;
    if (oc->status != SERRY_OK) {
        c->err = (serry_err)oc->status;
        c->text = sri_pool_text(bytes, len);
        return;
    }
    f->result = malloc(len ? len : 1);
    if (!f->result) {
        c->err = SERRY_ENOMEM;
        c->text = strdup("no memory for the result");
        return;
    }
    if (len)
        memcpy(f->result, bytes, len);
    f->result_len = len;
}

static serry_err future_begin(serry_pool *pool, serry_future *f, const sri_fnref *fn,
                              const void *in, size_t len)
{
    SRI_TRY(sri_pool_open(pool));
    if (len > sri_world.max_message)
        return sri_fail(SERRY_ELIMIT, "a task's input has %zu bytes, the limit is %zu", len,
                        (size_t)sri_world.max_message);
    SRI_TRY(sri_pool_add_call(pool, &f->call));
    pool_wire_call head = { .flags = POOL_CALL_SINGLE,
                            .n = 1,
                            .item_size = len,
                            .result_cap = UINT64_MAX,
                            .chunk = 1,
                            .count = 1,
                            .fn = *fn };
    return sri_pool_send_call(&f->call, &head, in, len);
}

serry_err serry_pool_submit(serry_future **out, serry_pool *pool, serry_task_fn fn, const void *in,
                            size_t len)
{
    if (!out || !fn || (!in && len > 0))
        return sri_fail(SERRY_EINVAL, !out  ? "the place for the future is NULL"
                                      : !fn ? "the task is NULL"
                                            : "the input is NULL, its length is not 0");
    sri_fnref ref;
    SRI_TRY(sri_fnref_of((sri_any_fn)fn, &ref));
    SRI_TRY(sri_pool_enter(pool));
    serry_future *f = sri_future_new();
    serry_err e = f ? SERRY_OK : sri_fail(SERRY_ENOMEM, "no memory for a future");
    if (f) {
        f->call.n = 1;
        f->call.take = future_take_one;
        e = future_begin(pool, f, &ref, in, len);
    }
    if (e != SERRY_OK && f)
        sri_future_unref(f);
    sri_pool_leave();
    if (e == SERRY_OK)
        *out = f;
    return e;
}

/* ---- results ---- */

static bool future_is_over(void *ctx)
{
    return ((const serry_future *)ctx)->call.over;
}

static serry_err future_late(const serry_future *f)
{
    const char text[] = "the task has not ended";
    return f->call.pool ? sri_pool_fail(f->call.pool, SERRY_ETIMEDOUT, "%s", text)
                        : sri_fail(SERRY_ETIMEDOUT, "%s", text);
}

static serry_err future_wait(serry_future *f, sri_ns deadline)
{
    if (!f->call.over)
        (void)sri_progress();
    if (f->call.over)
        return SERRY_OK;
    pool_stay stay;
    sri_pool_begin_stay(&stay, f->call.pool);
    serry_err e = sri_pool_wait(&stay, future_is_over, f, deadline);
    sri_pool_end_stay(&stay);
    return e == SERRY_ETIMEDOUT ? future_late(f) : e;
}

static serry_err future_take(const serry_future *f, void *out, size_t cap, size_t *len)
{
    const pool_call *c = &f->call;
    size_t has = f->result_len;
    if (c->err != SERRY_OK)
        return sri_fail_text(c->err, c->text ? c->text : serry_err_text(c->err));
    if (!len && has != cap && out)
        return sri_fail(has > cap ? SERRY_ETRUNC : SERRY_EINVAL,
                        "the result has %zu bytes, exactly %zu were expected", has, cap);
    if (len)
        *len = has;
    if (has > cap && (out || cap > 0))
        return sri_fail(SERRY_ETRUNC, "the result has %zu bytes, there is room for %zu", has, cap);
    if (out && has > 0)
        memcpy(out, f->result, has);
    return SERRY_OK;
}

serry_err serry_future_get(serry_future *f, void *out, size_t cap, size_t *len, double timeout)
{
    sri_ns deadline;
    if (!f || (!out && cap > 0))
        return sri_fail(SERRY_EINVAL,
                        !f ? "the future is NULL"
                           : "the buffer is NULL, it has %zu "
                             "bytes",
                        cap);
    SRI_TRY(sri_deadline(timeout, &deadline));
    SRI_TRY(sri_future_enter(f));
    f->refs++; /* a callback may free it */
    serry_err e = future_wait(f, deadline);
    if (e == SERRY_OK)
        e = future_take(f, out, cap, len);
    sri_care_leave();
    sri_future_unref(f);
    sri_leave();
    return sri_within(e, timeout);
}

bool serry_future_done(const serry_future *f)
{
    if (!f || sri_future_enter(f) != SERRY_OK)
        return false;
    if (!f->call.over)
        (void)sri_progress();
    bool done = f->call.over;
    sri_pool_leave();
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
    if (sri_future_enter(f) != SERRY_OK) { /* after the world: nobody else has it */
        future_free(f);
        return;
    }
    f->freed = true;
    sri_care_remove(f);
    if (f->map && f->call.pool && !f->call.over) {
        uint64_t pool = f->call.pool->id;
        sri_pool_give_up(&f->call);
        sri_pool_settle(pool);
    } else {
        sri_pool_drop_call(&f->call);
    }
    sri_future_unref(f);
    sri_pool_leave();
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
