/* patterns/pool_map.c: many tasks. The submitter sends the items in blocks, a window ahead of the
 * results, so that neither it nor the home holds much more than is being worked on. A map that
 * nobody waits in has a wide window: its workers are to be busy while its owner calls nothing. */
#include "patterns/pool_future.h"

#include "base/error.h"
#include "core/core.h"
#include "core/service.h"
#include "core/wait.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#define MAP_BLOCK_BYTES (256u << 10)
#define MAP_BLOCK_ITEMS (1u << 16)
#define MAP_WINDOW_BYTES (4u << 20) /* items sent, and their results, before results are back */
#define MAP_WINDOW_ASYNC (64u << 20)
#define MAP_WINDOW_TASKS 8u /* but at least so many for each worker */

static serry_err map_check(serry_task_fn fn, const void *items, size_t item_size, size_t n,
                           const void *results, size_t result_size, const serry_map_options *o)
{
    size_t bytes;
    if (!fn)
        return sri_fail(SERRY_EINVAL, "the task is NULL");
    if ((!items && item_size > 0 && n > 0) || (!results && result_size > 0 && n > 0))
        return sri_fail(SERRY_EINVAL, "%s is NULL, %zu of %zu bytes", items ? "results" : "items",
                        n, items ? result_size : item_size);
    if (__builtin_mul_overflow(n, item_size, &bytes) || bytes > SIZE_MAX / 2
        || __builtin_mul_overflow(n, result_size, &bytes) || bytes > SIZE_MAX / 2)
        return sri_fail(SERRY_EINVAL,
                        "%zu items of %zu bytes with results of %zu bytes are more "
                        "than there can be: the limit of each is %zu bytes in all",
                        n, item_size, result_size, SIZE_MAX / 2);
    if (isnan(o->timeout))
        return sri_fail(SERRY_EINVAL, "the timeout is not a number");
    return SERRY_OK;
}

static void map_shape(sri_map *m, size_t window)
{
    size_t size = m->item_size ? m->item_size : 1;
    m->block = MAP_BLOCK_BYTES / size < MAP_BLOCK_ITEMS ? MAP_BLOCK_BYTES / size : MAP_BLOCK_ITEMS;
    m->block = m->block ? m->block : 1;
    size_t cost = m->item_size + m->call->result_size + 8;
    size_t least = MAP_WINDOW_TASKS * (size_t)m->pool->workers;
    if (m->o.chunk > 0 && m->o.chunk < m->n && __builtin_mul_overflow(least, m->o.chunk, &least))
        least = m->n;
    m->window = window / cost > least ? window / cost : least;
}

static size_t map_next_block(const sri_map *m)
{
    size_t left = m->n - m->sent;
    return left < m->block ? left : m->block;
}

/* ---- sending ---- */

/* The call itself, with its first items. */
static serry_err map_send_call(sri_map *m)
{
    size_t count = map_next_block(m), chunk = m->o.chunk;
    pool_wire_call head = { .flags = m->o.keep_going ? POOL_CALL_KEEP_GOING : 0,
                            .n = m->n,
                            .item_size = m->item_size,
                            .result_cap = m->call->result_size,
                            .chunk = chunk > UINT32_MAX ? UINT32_MAX : (uint32_t)chunk,
                            .count = (uint32_t)count,
                            .fn = m->fn };
    m->sent = count;
    return sri_pool_send_call(m->call, &head, m->items, count * m->item_size);
}

static serry_err map_send_block(sri_map *m)
{
    size_t count = map_next_block(m);
    pool_wire_items head = { .call = m->call->id, .count = (uint32_t)count, .first = m->sent };
    const uint8_t *items = m->item_size ? m->items + m->sent * m->item_size : NULL;
    m->sent += count;
    return sri_service_post(m->pool->id, POOL_OP_ITEMS, &head, sizeof head, items,
                            count * m->item_size);
}

static bool map_may_send(const sri_map *m)
{
    const pool_call *c = m->call;
    bool stopped = c->over || !c->pool || (c->err != SERRY_OK && !m->o.keep_going);
    return m->sent < m->n && m->sent - c->ended < m->window && !stopped;
}

/* ---- care ---- */

bool sri_map_needs(const sri_map *m)
{
    return m->call->reports || map_may_send(m);
}

sri_ns sri_map_due(const sri_map *m)
{
    if (m->call->over)
        return SRI_NEVER;
    return m->deadline < m->bar.due ? m->deadline : m->bar.due;
}

/* Calls on_error, outside of the core, for what has failed so far. */
static void map_report(sri_map *m)
{
    while (m->call->reports) {
        pool_report *r = m->call->reports;
        DL_DELETE(m->call->reports, r);
        sri_leave();
        m->o.on_error(m->o.ctx, r->index, r->err, r->text ? r->text : "");
        sri_worker_enter_again();
        free(r->text);
        free(r);
    }
}

void sri_map_drop_reports(pool_call *c)
{
    pool_report *r, *next;
    DL_FOREACH_SAFE (c->reports, r, next) {
        DL_DELETE(c->reports, r);
        free(r->text);
        free(r);
    }
}

/* Its time is up: nobody is to work for it any more. */
static void map_late(sri_map *m)
{
    pool_call *c = m->call;
    char text[SRI_DETAIL];
    SERRY_IGNORE(sri_within(sri_pool_fail(m->pool, SERRY_ETIMEDOUT,
                                          "%zu of %zu tasks were not done", m->n - c->ended, m->n),
                            m->o.timeout));
    strncpy(text, serry_err_detail(), sizeof text - 1);
    text[sizeof text - 1] = '\0';
    sri_pool_give_up(c);
    sri_pool_settle(m->pool->id); /* whoever is told of it finds nobody beginning anything more */
    free(c->text);
    c->text = NULL;
    c->err = SERRY_OK;
    sri_pool_fail_call(c, SERRY_ETIMEDOUT, text);
}

void sri_map_tend(sri_map *m)
{
    while (map_may_send(m)) {
        SERRY_IGNORE(map_send_block(m));
        (void)sri_progress();
    }
    map_report(m);
    sri_bar_show(&m->bar, m->call->ended);
    if (m->deadline != SRI_NEVER && !m->call->over && sri_now() >= m->deadline)
        map_late(m);
    if (m->call->over) {
        map_report(m);
        sri_bar_end(&m->bar, m->call->ended);
        m->bar.on = false;
    }
}

/* ---- calls ---- */

static serry_err map_begin(sri_map *m)
{
    const serry_map_options *o = &m->o;
    m->deadline = SRI_NEVER;
    m->bar.due = SRI_NEVER;
    for (size_t i = 0; o->errors && i < m->n; i++)
        o->errors[i] = SERRY_ECANCELLED;
    if (m->item_size > sri_world.max_message)
        return sri_fail(SERRY_ELIMIT, "items of %zu bytes, the limit is %zu", m->item_size,
                        (size_t)sri_world.max_message);
    if (o->timeout != 0)
        SRI_TRY(sri_deadline(o->timeout, &m->deadline));
    SRI_TRY(sri_pool_open(m->pool));
    if (m->n == 0) {
        sri_pool_over(m->call);
        return SERRY_OK;
    }
    SRI_TRY(sri_pool_add_call(m->pool, m->call));
    sri_bar_begin(&m->bar, o->progress, m->n);
    return map_send_call(m);
}

static bool map_has_news(void *ctx)
{
    const sri_map *m = ctx;
    return m->call->over || sri_map_needs(m);
}

static serry_err map_run(sri_map *m)
{
    pool_stay stay;
    SRI_TRY(map_begin(m));
    if (m->n > 0) {
        sri_pool_begin_stay(&stay, m->pool);
        while (!m->call->over) {
            SERRY_IGNORE(sri_pool_wait(&stay, map_has_news, m, sri_map_due(m)));
            sri_map_tend(m);
        }
        sri_pool_drop_call(m->call);
        sri_map_tend(m);
        sri_pool_end_stay(&stay);
    }
    pool_call *c = m->call;
    if (c->err == SERRY_OK)
        return SERRY_OK;
    return sri_fail_text(c->err, c->text ? c->text : serry_err_text(c->err));
}

static serry_err map_prepare(sri_map *m, pool_call *c, serry_pool *pool, serry_task_fn fn,
                             const void *items, size_t item_size, size_t n, void *results,
                             size_t result_size, const serry_map_options *o)
{
    static const serry_map_options defaults;
    o = o ? o : &defaults;
    SRI_TRY(map_check(fn, items, item_size, n, results, result_size, o));
    *m = (sri_map){
        .pool = pool, .call = c, .o = *o, .items = items, .item_size = item_size, .n = n
    };
    c->n = n;
    c->results = results;
    c->result_size = result_size;
    c->errors = o->errors;
    c->wants_reports = o->on_error != NULL;
    return sri_fnref_of((sri_any_fn)fn, &m->fn);
}

serry_err serry_pool_map(serry_pool *pool, serry_task_fn fn, const void *items, size_t item_size,
                         size_t n, void *results, size_t result_size, const serry_map_options *o)
{
    sri_map m;
    pool_call c = { 0 };
    SRI_TRY(map_prepare(&m, &c, pool, fn, items, item_size, n, results, result_size, o));
    SRI_TRY(sri_pool_enter(pool));
    map_shape(&m, MAP_WINDOW_BYTES);
    serry_err e = map_run(&m);
    free(c.text);
    sri_pool_leave();
    return e;
}

serry_err serry_pool_map_async(serry_future **out, serry_pool *pool, serry_task_fn fn,
                               const void *items, size_t item_size, size_t n, void *results,
                               size_t result_size, const serry_map_options *o)
{
    if (!out)
        return sri_fail(SERRY_EINVAL, "the place for the future is NULL");
    SRI_TRY(sri_pool_enter(pool));
    serry_future *f = sri_future_new();
    sri_map *m = f ? calloc(1, sizeof *m) : NULL;
    serry_err e = m ? SERRY_OK : sri_fail(SERRY_ENOMEM, "no memory for a future");
    if (m) {
        f->map = m;
        e = map_prepare(m, &f->call, pool, fn, items, item_size, n, results, result_size, o);
    }
    if (e == SERRY_OK) {
        map_shape(m, MAP_WINDOW_ASYNC);
        e = map_begin(m);
    }
    if (e == SERRY_OK) {
        if (!f->call.over)
            sri_care_add(f);
        *out = f;
    } else if (f) {
        sri_future_unref(f);
    }
    sri_pool_leave();
    return e;
}
