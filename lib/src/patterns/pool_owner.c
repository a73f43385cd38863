/* patterns/pool_owner.c: the owner's calls under way: where outcomes find them, and waiting for
 * them, which in a world of several ranks may mean to work oneself. */
#include "patterns/pool.h"

#include "base/error.h"
#include "core/core.h"
#include "core/service.h"
#include "core/wait.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#define POOL_TABLE_FIRST 64u

static serry_pool *pools; /* of this process; under the core's mutex */

void sri_pool_list(serry_pool *pool)
{
    DL_APPEND(pools, pool);
}

void sri_pool_unlist(serry_pool *pool)
{
    DL_DELETE(pools, pool);
}

/* ---- checks ---- */

serry_err sri_pool_enter(serry_pool *pool)
{
    if (!pool)
        return sri_fail(SERRY_EINVAL, "the pool is NULL");
    SRI_TRY(sri_enter());
    if (pool->rank == sri_world.rank)
        return SERRY_OK;
    sri_leave();
    return sri_fail(SERRY_ESTATE, "the pool belongs to rank %d", pool->rank);
}

serry_err sri_pool_may_wait(serry_pool *pool)
{
    if (sri_worker_pool_here() == pool->id)
        return sri_fail(SERRY_ESTATE, "a task cannot use its own pool");
    return SERRY_OK;
}

serry_err sri_pool_open(serry_pool *pool)
{
    SRI_TRY(sri_pool_may_wait(pool));
    if (pool->closed)
        return sri_fail(SERRY_ECLOSED, "the pool was %s: it takes no more tasks",
                        pool->terminated ? "terminated" : "closed");
    if (pool->broken)
        return sri_fail(SERRY_EBROKEN, "the pool is broken: %s", pool->cause ? pool->cause : "?");
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
        return sri_fail(SERRY_ENOMEM, "no memory for a call of the pool");
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

void sri_pool_end_calls(serry_pool *pool, serry_err e, const char *text, bool detach)
{
    for (uint32_t i = 0; i < pool->table_size; i++) {
        for (pool_call *c = pool->table[i], *next; c; c = next) {
            next = c->hash_next;
            if (!c->over && c->err == SERRY_OK) {
                c->err = e;
                c->text = strdup(text);
                c->bad = SIZE_MAX;
            }
            c->over = true;
            if (detach)
                sri_pool_drop_call(c);
        }
    }
    sri_wait_notify();
}

/* ---- what the home sends ---- */

static char *pool_text(const uint8_t *bytes, size_t len)
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
    char *text = pool_text(bytes, len);
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

static void pool_take_one(pool_call *c, const uint8_t *bytes, size_t len)
{
    c->result = malloc(len ? len : 1);
    if (!c->result) {
        c->err = SERRY_ENOMEM;
        c->text = strdup("no memory for the result");
        return;
    }
    if (len)
        memcpy(c->result, bytes, len);
    c->result_len = len;
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

static void pool_take(serry_pool *pool, const pool_wire_outcome *oc, const uint8_t *bytes)
{
    pool_call *c = pool_find_call(pool, oc->call);
    if (!c || c->over)
        return; /* given up meanwhile */
    if (oc->count == 0) {
        c->over = true;
        return;
    }
    if (oc->first >= c->n || oc->count > c->n - oc->first)
        return;
    if (oc->status != SERRY_OK)
        pool_take_failure(c, (size_t)oc->first, (serry_err)oc->status, bytes, (size_t)oc->size);
    else if (c->single)
        pool_take_one(c, bytes, (size_t)oc->size);
    else if (oc->size <= c->result_size)
        pool_take_results(c, oc, bytes);
    c->ended += oc->count;
    c->over = c->ended == c->n;
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

static serry_pool *pool_find(uint64_t id)
{
    serry_pool *pool;
    DL_FOREACH(pools, pool)
        if (pool->id == id)
            return pool;
    return NULL;
}

static void pool_feed_broken(serry_pool *pool, const uint8_t *bytes, size_t len)
{
    free(pool->cause);
    pool->cause = pool_text(bytes, len);
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
    if (head.kind < POOL_FEED_RESULTS) {
        sri_worker_feed(object, bytes, len);
        return;
    }
    serry_pool *pool = pool_find(object);
    if (pool && head.kind == POOL_FEED_RESULTS)
        pool_feed_results(pool, bytes + sizeof head, len - sizeof head);
    else if (pool && head.kind == POOL_FEED_BROKEN)
        pool_feed_broken(pool, bytes + sizeof head, len - sizeof head);
}

void sri_pool_forget(uint64_t object)
{
    sri_worker_forget(object);
    if (object == 0)
        pools = NULL; /* the parent's, and out of reach here */
}

/* ---- waiting ---- */

void sri_pool_begin_wait(serry_pool *pool)
{
    if (sri_worker_pool_here())
        sri_workers_suspend();
    if (!pool->served || pool->waiting++ > 0)
        return;
    /* The greeting fails if the pool is broken or gone, and then there is nothing to work for. */
    sri_worker *w = pool->self;
    if (!w && sri_worker_open(pool->id, POOL_ROLE_SELF, &w) == SERRY_OK)
        pool->self = w;
    if (pool->self)
        sri_worker_attach(pool->self);
}

void sri_pool_end_wait(serry_pool *pool)
{
    if (pool->served && --pool->waiting == 0 && pool->self)
        sri_worker_detach(pool->self);
    if (sri_worker_pool_here())
        sri_workers_resume();
}

typedef struct pool_waiting {
    serry_pool *pool;
    bool (*ready)(void *ctx);
    void *ctx;
} pool_waiting;

static bool pool_has_work(const serry_pool *pool)
{
    return pool->self && sri_worker_ready(pool->self);
}

static bool pool_has_news(void *ctx)
{
    pool_waiting *w = ctx;
    return w->ready(w->ctx) || pool_has_work(w->pool);
}

serry_err sri_pool_wait(serry_pool *pool, bool (*ready)(void *ctx), void *ctx, sri_ns deadline)
{
    pool_waiting w = { pool, ready, ctx };
    sri_waiting why = { .kind = SRI_WAIT_OBJECT, .peer = SERRY_ANY, .object = pool->id };
    while (!ready(ctx)) {
        if (pool_has_work(pool)) {
            if (deadline != SRI_NEVER && sri_now() >= deadline)
                return SERRY_ETIMEDOUT;
            sri_worker_run(pool->self);
            sri_wait_notify();
            continue;
        }
        serry_err e = sri_wait_until(pool_has_news, &w, deadline, &why);
        if (e != SERRY_OK)
            return e;
    }
    return SERRY_OK;
}
