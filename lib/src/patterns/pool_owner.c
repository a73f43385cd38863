/* patterns/pool_owner.c: the calls under way of this process's pools: where outcomes find them. */
#include "patterns/pool.h"

#include "base/error.h"
#include "base/point.h"
#include "core/core.h"
#include "core/service.h"
#include "core/wait.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#define POOL_TABLE_FIRST 64u

static uint64_t pool_stamps;

uint64_t sri_pool_stamp(void)
{
    return pool_stamps;
}

/* ---- checks ---- */

serry_err sri_pool_fail(const serry_pool *pool, serry_err e, const char *fmt, ...)
{
    char of[SRI_CALLED];
    va_list ap;
    va_start(ap, fmt);
    sri_fail_of(e, sri_called(pool->id, pool->name, sri_world.places.nodes, of), fmt, ap);
    va_end(ap);
    return e;
}

serry_err sri_pool_enter(serry_pool *pool)
{
    if (!pool)
        return sri_fail(SERRY_EINVAL, "the pool is NULL");
    SRI_TRY(sri_enter());
    if (pool->rank == sri_world.rank)
        return SERRY_OK;
    sri_leave();
    return sri_pool_fail(pool, SERRY_ESTATE, "it belongs to rank %d", pool->rank);
}

void sri_pool_leave(void)
{
    sri_care_leave();
    sri_leave();
}

serry_err sri_pool_may_end(serry_pool *pool)
{
    if (pool->guest || sri_worker_pool_here() == pool->id)
        return sri_pool_fail(pool, SERRY_ESTATE,
                             "a task cannot end the pool that runs it, or wait for its "
                             "end");
    return SERRY_OK;
}

serry_err sri_pool_open(serry_pool *pool)
{
    if (pool->closed)
        return sri_pool_fail(pool, SERRY_ECLOSED, "%s, it takes no more tasks",
                             pool->terminated ? "terminated" : "closed");
    if (pool->broken)
        return sri_pool_fail(pool, SERRY_EBROKEN, "broken: %s", pool->cause ? pool->cause : "?");
    return SERRY_OK;
}

/* ---- calls under way ---- */

static pool_call **pool_slot(serry_pool *pool, uint32_t id)
{
    return &pool->table[id & (pool->table_size - 1)];
}

static pool_call *pool_find_call(serry_pool *pool, uint32_t id)
{
    pool_call *c = pool->table_size ? *pool_slot(pool, id) : NULL;
    while (c && c->id != id)
        c = c->hash_next;
    return c;
}

static bool pool_grow_table(serry_pool *pool)
{
    uint32_t size = pool->table_size ? 2 * pool->table_size : POOL_TABLE_FIRST;
    pool_call **old = pool->table, **more = calloc(size, sizeof *more);
    if (!more)
        return pool->table_size > 0; /* longer chains will do */
    uint32_t old_size = pool->table_size;
    pool->table = more;
    pool->table_size = size;
    for (uint32_t i = 0; i < old_size; i++) {
        for (pool_call *c = old[i], *next; c; c = next) {
            next = c->hash_next;
            pool_call **slot = pool_slot(pool, c->id);
            c->hash_next = *slot;
            *slot = c;
        }
    }
    free(old);
    return true;
}

serry_err sri_pool_add_call(serry_pool *pool, pool_call *c)
{
    if (pool->calls >= pool->table_size && !pool_grow_table(pool))
        return sri_pool_fail(pool, SERRY_ENOMEM, "no memory for a call");
    do
        c->id = ++pool->next_call;
    while (pool_find_call(pool, c->id));
    c->pool = pool;
    pool_call **slot = pool_slot(pool, c->id);
    c->hash_next = *slot;
    *slot = c;
    pool->calls++;
    return SERRY_OK;
}

void sri_pool_drop_call(pool_call *c)
{
    serry_pool *pool = c->pool;
    if (!pool)
        return;
    pool_call **at = pool_slot(pool, c->id);
    while (*at != c)
        at = &(*at)->hash_next;
    *at = c->hash_next;
    c->pool = NULL;
    pool->calls--;
}

serry_err sri_pool_send_call(pool_call *c, pool_wire_call *head, const void *items, size_t len)
{
    const serry_task *t = sri_task_here();
    head->call = c->id;
    if (t && t->w->pool == c->pool->id) {
        head->flags |= POOL_CALL_NESTED;
        head->level = t->level;
    } else if (c->pool->guest) { /* a thread of a worker, but not that of a task */
        head->flags |= POOL_CALL_NESTED;
        head->level = UINT32_MAX;
    }
    SRI_POINT(113);
    serry_err e = sri_service_post(c->pool->id, POOL_OP_CALL, head, sizeof *head, items, len);
    SRI_POINT(114);
    if (e != SERRY_OK)
        sri_pool_drop_call(c);
    return e;
}

void sri_pool_give_up(pool_call *c)
{
    pool_wire_of out = { .call = c->id };
    uint64_t pool = c->pool ? c->pool->id : 0;
    bool pending = !c->over;
    sri_pool_drop_call(c);
    if (pool && pending)
        SERRY_IGNORE(sri_service_post(pool, POOL_OP_WITHDRAW, &out, sizeof out, NULL, 0));
}

void sri_pool_settle(uint64_t pool)
{
    pool_wire_of none = { 0 };
    SERRY_IGNORE(
        sri_service_call(pool, POOL_OP_STATE, &none, sizeof none, NULL, 0, NULL, SRI_NEVER));
}

void sri_pool_over(pool_call *c)
{
    if (c->over)
        return;
    c->over = true;
    c->stamp = ++pool_stamps;
    if (c->on_over)
        c->on_over(c);
}

void sri_pool_fail_call(pool_call *c, serry_err e, const char *text)
{
    if (c->over)
        return;
    if (c->err == SERRY_OK) {
        c->err = e;
        c->text = strdup(text);
        c->bad = SIZE_MAX;
    }
    sri_pool_over(c);
}

void sri_pool_end_calls(serry_pool *pool, serry_err e, const char *text, bool detach)
{
    for (uint32_t i = 0; i < pool->table_size; i++) {
        for (pool_call *c = pool->table[i], *next; c; c = next) {
            next = c->hash_next;
            if (detach)
                sri_pool_drop_call(c);
            sri_pool_fail_call(c, e, text);
        }
    }
    sri_wait_notify();
}

/* ---- what the home sends ---- */

char *sri_pool_text(const uint8_t *bytes, size_t len)
{
    char *text = malloc(len + 1);
    if (!text)
        return NULL;
    if (len)
        memcpy(text, bytes, len);
    text[len] = '\0';
    return text;
}

static void pool_report_failure(pool_call *c, size_t index, serry_err e, const char *text)
{
    pool_report *r = c->wants_reports ? malloc(sizeof *r) : NULL;
    if (!r)
        return;
    *r = (pool_report){ .index = index, .err = e, .text = text ? strdup(text) : NULL };
    DL_APPEND(c->reports, r);
}

static void pool_take_failure(pool_call *c, size_t index, serry_err e, const uint8_t *bytes,
                              size_t len)
{
    char *text = sri_pool_text(bytes, len);
    if (c->errors)
        c->errors[index] = e;
    pool_report_failure(c, index, e, text);
    if (c->err != SERRY_OK && c->bad <= index) {
        free(text);
        return;
    }
    free(c->text);
    c->text = text;
    c->err = e;
    c->bad = index;
}

static void pool_take_results(pool_call *c, const pool_wire_outcome *oc, const uint8_t *bytes)
{
    size_t size = (size_t)oc->size, place = c->result_size;
    uint8_t *out = place ? c->results + (size_t)oc->first * place : NULL;
    if (c->errors)
        for (uint32_t i = 0; i < oc->count; i++)
            c->errors[oc->first + i] = SERRY_OK;
    if (!out)
        return;
    if (size == place) {
        memcpy(out, bytes, oc->count * size);
        return;
    }
    for (uint32_t i = 0; i < oc->count; i++, out += place, bytes += size) {
        if (size)
            memcpy(out, bytes, size);
        memset(out + size, 0, place - size);
    }
}

/* As a map does it. */
static void pool_take_map(pool_call *c, const pool_wire_outcome *oc, const uint8_t *bytes)
{
    if (oc->status != SERRY_OK)
        pool_take_failure(c, (size_t)oc->first, (serry_err)oc->status, bytes, (size_t)oc->size);
    else if (oc->size <= c->result_size)
        pool_take_results(c, oc, bytes);
}

static void pool_take(serry_pool *pool, const pool_wire_outcome *oc, const uint8_t *bytes)
{
    pool_call *c = pool_find_call(pool, oc->call);
    if (!c || c->over)
        return;           /* given up meanwhile */
    if (oc->count == 0) { /* some of it will never be run: it failed before, or was cancelled */
        sri_pool_fail_call(c, SERRY_ECANCELLED,
                           c->n == 1 ? "the task was cancelled" : "the map was cancelled");
        return;
    }
    if (oc->first >= c->n || oc->count > c->n - oc->first)
        return;
    if (c->take)
        c->take(c, oc, bytes);
    else
        pool_take_map(c, oc, bytes);
    c->ended += oc->count;
    if (c->ended == c->n)
        sri_pool_over(c);
}

static void pool_feed_results(serry_pool *pool, const uint8_t *bytes, size_t len)
{
    for (size_t at = 0, padded; at + sizeof(pool_wire_outcome) <= len; at += padded) {
        pool_wire_outcome oc;
        memcpy(&oc, bytes + at, sizeof oc);
        at += sizeof oc;
        if (!pool_wire_payload(oc.count, oc.size, len - at, &padded))
            return;
        pool_take(pool, &oc, bytes + at);
    }
}

static void pool_feed_broken(serry_pool *pool, const uint8_t *bytes, size_t len)
{
    free(pool->cause);
    pool->cause = sri_pool_text(bytes, len);
    pool->broken = true;
    const char *text = pool->cause ? pool->cause : "the pool is broken";
    sri_pool_end_calls(pool, SERRY_EBROKEN, text, false);
}

void sri_pool_feed(uint64_t object, const uint8_t *bytes, size_t len)
{
    pool_wire_feed head;
    if (len < sizeof head)
        return;
    memcpy(&head, bytes, sizeof head);
    serry_pool *pool = head.kind >= POOL_FEED_END ? sri_pool_find(object) : NULL;
    if (head.kind < POOL_FEED_RESULTS)
        sri_worker_feed(object, bytes, len);
    if (pool && head.kind == POOL_FEED_END && pool->guest)
        sri_pool_end_calls(pool, SERRY_ECANCELLED, "the pool has ended", false);
    else if (pool && head.kind == POOL_FEED_RESULTS)
        pool_feed_results(pool, bytes + sizeof head, len - sizeof head);
    else if (pool && head.kind == POOL_FEED_BROKEN)
        pool_feed_broken(pool, bytes + sizeof head, len - sizeof head);
}

void sri_pool_forget(uint64_t object)
{
    sri_worker_forget(object);
    if (object == 0) { /* the parent's, and out of reach here */
        sri_pools = NULL;
        sri_care_forget();
        return;
    }
    serry_pool *pool = sri_pool_find(object);
    if (pool && pool->guest)
        sri_pool_end_calls(pool, SERRY_ECANCELLED, "the pool has ended", false);
}
