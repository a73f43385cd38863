/* patterns/pool_map.c: many tasks. The owner sends the items in blocks, a window ahead of the
 * results, so that neither it nor the home holds much more than is being worked on. */
#include "patterns/pool.h"
#include "patterns/pool_progress.h"

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
#define MAP_WINDOW_TASKS 8u         /* but at least so many for each worker */

typedef struct map {
    serry_pool *pool;
    pool_call call;
    const serry_map_options *o;
    sri_fnref fn;
    const uint8_t *items;
    size_t item_size;
    size_t n;
    size_t sent;
    size_t block;  /* items */
    size_t window; /* items */
    sri_bar bar;
} map;

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
        return sri_fail(SERRY_EINVAL, "%zu items of %zu bytes with results of %zu bytes are more "
                                      "than there can be", n, item_size, result_size);
    if (isnan(o->timeout))
        return sri_fail(SERRY_EINVAL, "the timeout is not a number");
    return SERRY_OK;
}

static void map_shape(map *m)
{
    size_t size = m->item_size ? m->item_size : 1;
    m->block = MAP_BLOCK_BYTES / size < MAP_BLOCK_ITEMS ? MAP_BLOCK_BYTES / size : MAP_BLOCK_ITEMS;
    m->block = m->block ? m->block : 1;
    size_t cost = m->item_size + m->call.result_size + 8;
    size_t least = MAP_WINDOW_TASKS * (size_t)m->pool->workers;
    if (m->o->chunk > 0 && m->o->chunk < m->n)
        least *= m->o->chunk;
    m->window = MAP_WINDOW_BYTES / cost > least ? MAP_WINDOW_BYTES / cost : least;
}

static size_t map_next_block(const map *m)
{
    size_t left = m->n - m->sent;
    return left < m->block ? left : m->block;
}

/* The call itself, with its first items. */
static serry_err map_send_call(map *m)
{
    size_t count = map_next_block(m), chunk = m->o->chunk;
    pool_wire_call head = { .call = m->call.id,
                            .flags = m->o->keep_going ? POOL_CALL_KEEP_GOING : 0,
                            .n = m->n, .item_size = m->item_size,
                            .result_cap = m->call.result_size,
                            .chunk = chunk > UINT32_MAX ? UINT32_MAX : (uint32_t)chunk,
                            .count = (uint32_t)count, .fn = m->fn };
    m->sent = count;
    return sri_service_post(m->pool->id, POOL_OP_CALL, &head, sizeof head, m->items,
                            count * m->item_size);
}

static serry_err map_send_block(map *m)
{
    size_t count = map_next_block(m);
    pool_wire_items head = { .call = m->call.id, .count = (uint32_t)count, .first = m->sent };
    const uint8_t *items = m->item_size ? m->items + m->sent * m->item_size : NULL;
    m->sent += count;
    return sri_service_post(m->pool->id, POOL_OP_ITEMS, &head, sizeof head, items,
                            count * m->item_size);
}

static bool map_may_send(const map *m)
{
    bool stopped = m->call.over || (m->call.err != SERRY_OK && !m->o->keep_going);
    return m->sent < m->n && m->sent - m->call.ended < m->window && !stopped;
}

static bool map_has_news(void *ctx)
{
    const map *m = ctx;
    return m->call.over || m->call.reports || map_may_send(m);
}

/* Calls on_error, outside of the core, for what has failed so far. */
static void map_report(map *m)
{
    while (m->call.reports) {
        pool_report *r = m->call.reports;
        DL_DELETE(m->call.reports, r);
        sri_leave();
        m->o->on_error(m->o->ctx, r->index, r->err, r->text ? r->text : "");
        sri_lock();
        free(r->text);
        free(r);
    }
}

static serry_err map_loop(map *m, sri_ns deadline)
{
    while (!m->call.over) {
        while (map_may_send(m)) {
            SRI_TRY(map_send_block(m));
            (void)sri_progress();
        }
        sri_ns until = deadline < m->bar.due ? deadline : m->bar.due;
        serry_err e = sri_pool_wait(m->pool, map_has_news, m, until);
        map_report(m);
        sri_bar_show(&m->bar, m->call.ended);
        if (e == SERRY_ETIMEDOUT && deadline != SRI_NEVER && !m->call.over
            && sri_now() >= deadline)
            return sri_fail(SERRY_ETIMEDOUT, "%zu of %zu tasks were not done in time",
                            m->n - m->call.ended, m->n);
    }
    map_report(m);
    return SERRY_OK;
}

/* The time is up: nobody is to work for this map any more. */
static void map_withdraw(map *m)
{
    pool_wire_withdraw out = { .call = m->call.id };
    SERRY_IGNORE(sri_service_post(m->pool->id, POOL_OP_WITHDRAW, &out, sizeof out, NULL, 0));
}

static serry_err map_run(map *m)
{
    sri_ns deadline = SRI_NEVER;
    if (m->o->timeout != 0)
        SRI_TRY(sri_deadline(m->o->timeout, &deadline));
    SRI_TRY(sri_pool_open(m->pool));
    SRI_TRY(sri_pool_add_call(m->pool, &m->call));
    sri_bar_begin(&m->bar, m->o->progress, m->n);
    sri_pool_begin_wait(m->pool);
    serry_err e = map_send_call(m);
    if (e == SERRY_OK)
        e = map_loop(m, deadline);
    if (e != SERRY_OK)
        map_withdraw(m);
    sri_pool_drop_call(&m->call);
    map_report(m);
    sri_pool_end_wait(m->pool);
    sri_bar_end(&m->bar, m->call.ended);
    if (e == SERRY_OK && m->call.err != SERRY_OK)
        e = sri_fail_text(m->call.err, m->call.text ? m->call.text : serry_err_text(m->call.err));
    free(m->call.text);
    return e;
}

serry_err serry_pool_map(serry_pool *pool, serry_task_fn fn, const void *items, size_t item_size,
                         size_t n, void *results, size_t result_size, const serry_map_options *o)
{
    static const serry_map_options defaults;
    o = o ? o : &defaults;
    SRI_TRY(map_check(fn, items, item_size, n, results, result_size, o));
    map m = { .pool = pool, .o = o, .items = items, .item_size = item_size, .n = n,
              .call = { .n = n, .results = results, .result_size = result_size,
                        .errors = o->errors, .wants_reports = o->on_error != NULL } };
    SRI_TRY(sri_fnref_of((sri_any_fn)fn, &m.fn));
    SRI_TRY(sri_pool_enter(pool));
    serry_err e = SERRY_OK;
    if (item_size > sri_world.max_message)
        e = sri_fail(SERRY_ELIMIT, "items of %zu bytes, the limit is %zu", item_size,
                     (size_t)sri_world.max_message);
    if (e == SERRY_OK && n > 0) {
        for (size_t i = 0; o->errors && i < n; i++)
            o->errors[i] = SERRY_ECANCELLED;
        map_shape(&m);
        e = map_run(&m);
    }
    sri_leave();
    return e;
}
