/* patterns/pool.c: making and ending pools. */
#include "patterns/pool.h"

#include "base/error.h"
#include "base/fnref.h"
#include "base/log.h"
#include "core/core.h"
#include "agent/handle.h"
#include "agent/wire.h"
#include "core/match.h"
#include "core/service.h"
#include "core/wait.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#define POOL_WORKERS_MAX 4096
#define POOL_END_NS SRI_MS(60000) /* destroy waits no longer for killed workers to be gone */

static serry_err pool_seconds(const char *what, double seconds, sri_ns *ns)
{
    if (isnan(seconds) || seconds < 0)
        return sri_fail(SERRY_EINVAL, "%s is %g, it must be 0 or more seconds", what, seconds);
    *ns = seconds > 1e9 ? SRI_NEVER / 4 : (sri_ns)(seconds * 1e9);
    return SERRY_OK;
}

static serry_err pool_check_options(const serry_pool_options *o)
{
    if (o->workers < 0)
        return sri_fail(SERRY_EINVAL,
                        "a pool of %d workers: there must be 1 at least, or 0 for the usual number",
                        o->workers);
    if (o->workers > POOL_WORKERS_MAX)
        return sri_fail(SERRY_ELIMIT, "a pool of %d workers, the limit is %d", o->workers,
                        POOL_WORKERS_MAX);
    if (o->max_tasks_per_worker < 0 || o->retries < 0)
        return sri_fail(SERRY_EINVAL,
                        "max_tasks_per_worker is %d, retries %d: neither may be "
                        "negative",
                        o->max_tasks_per_worker, o->retries);
    if (o->retries > 10000)
        return sri_fail(SERRY_EINVAL, "%d retries, the limit is 10000", o->retries);
    if (!o->init_arg && o->init_len > 0)
        return sri_fail(SERRY_EINVAL, "init_arg is NULL, init_len %zu", o->init_len);
    if (o->init_len > sri_world.max_message)
        return sri_fail(SERRY_ELIMIT, "init_arg has %zu bytes, the limit is %llu", o->init_len,
                        (unsigned long long)sri_world.max_message);
    if (o->name && strlen(o->name) > 63)
        return sri_fail(SERRY_EINVAL, "the pool's name has %zu bytes, the limit is 63",
                        strlen(o->name));
    return SERRY_OK;
}

static serry_err pool_settings(const serry_pool_options *o, serry_pool *pool, pool_wire_create *set)
{
    SRI_TRY(pool_check_options(o));
    pool->workers = pool->served ? sri_world.size : o->workers ? o->workers : serry_cpu_count();
    *set = (pool_wire_create){ .served = pool->served,
                               .isolate = o->isolate || o->task_timeout > 0,
                               .workers = pool->workers,
                               .max_tasks = o->max_tasks_per_worker,
                               .retries = o->retries,
                               .init_len = o->init_len };
    SRI_TRY(pool_seconds("retry_delay", o->retry_delay, &set->retry_delay));
    SRI_TRY(pool_seconds("task_timeout", o->task_timeout, &set->task_timeout));
    SRI_TRY(sri_fnref_of((sri_any_fn)sri_pool_worker_main, &set->main));
    if (o->initializer)
        SRI_TRY(sri_fnref_of((sri_any_fn)o->initializer, &set->init));
    if (o->name)
        memcpy(set->name, o->name, strlen(o->name));
    if (set->served && set->isolate) /* deputies are forked from a clean copy: is there one? */
        return sri_service_call(SRI_SERVICE_AGENT, SRI_AGENT_CLEAN, NULL, 0, NULL, 0, NULL,
                                SRI_NEVER);
    return SERRY_OK;
}

static serry_err pool_register(serry_pool *pool, uint16_t op)
{
    servers_wire_pool out = { .id = pool->id, .section = sri_match.collective };
    if (pool->servers == 0)
        SRI_TRY(sri_service_create(SRI_TYPE_SERVERS, SERVERS_NAME, SERRY_NODE(0), NULL, 0,
                                   &pool->servers));
    return sri_service_post(pool->servers, op, &out, sizeof out, NULL, 0);
}

/* The pool's home, and its servers told of it. */
static serry_err pool_make_home(serry_pool *pool, const serry_pool_options *o)
{
    pool_wire_create set;
    SRI_TRY(pool_settings(o, pool, &set));
    sri_buffer args = { 0 };
    serry_err e = sri_buffer_add(&args, &set, sizeof set);
    if (e == SERRY_OK && o->init_len > 0)
        e = sri_buffer_add(&args, o->init_arg, o->init_len);
    if (e == SERRY_OK)
        e = sri_service_create(SRI_TYPE_POOL, NULL, 0, args.data, args.len, &pool->id);
    sri_buffer_fini(&args);
    SRI_TRY(e);
    sri_pool_list(pool);
    if (pool->served)
        e = pool_register(pool, SERVERS_OP_REGISTER);
    return e;
}

/* Starts the worker processes. Core not entered: starting may fork. */
static serry_err pool_start_workers(serry_pool *pool)
{
    pool->process = calloc((size_t)pool->workers, sizeof *pool->process);
    if (!pool->process)
        return sri_fail(SERRY_ENOMEM, "no memory for %d workers", pool->workers);
    serry_process_options o = { .daemon = true };
    while (pool->processes < (size_t)pool->workers) {
        SRI_TRY(serry_process_start(&pool->process[pool->processes], sri_pool_worker_main,
                                    &pool->id, sizeof pool->id, &o));
        pool->processes++;
    }
    return SERRY_OK;
}

/* Tells the home their ranks, which process handles have as their index. */
static serry_err pool_announce(serry_pool *pool)
{
    sri_buffer ranks = { 0 };
    serry_err e = SERRY_OK;
    for (size_t i = 0; i < pool->processes && e == SERRY_OK; i++) {
        int32_t rank = (int32_t)sri_handle_index(pool->process[i].id);
        e = sri_buffer_add(&ranks, &rank, sizeof rank);
    }
    if (e == SERRY_OK)
        e = sri_service_post(pool->id, POOL_OP_WORKERS, NULL, 0, ranks.data, ranks.len);
    sri_buffer_fini(&ranks);
    pool->announced = e == SERRY_OK;
    return e;
}

serry_err serry_pool_create(serry_pool **out, const serry_pool_options *o)
{
    static const serry_pool_options defaults;
    if (!out)
        return sri_fail(SERRY_EINVAL, "the place for the pool is NULL");
    SRI_TRY(sri_enter());
    serry_pool *pool = calloc(1, sizeof *pool);
    serry_err e = pool ? SERRY_OK : sri_fail(SERRY_ENOMEM, "no memory for a pool");
    if (pool) {
        pool->rank = sri_world.rank;
        if (o && o->name)
            strncpy(pool->name, o->name, sizeof pool->name - 1);
        pool->served = sri_world.size > 1 && sri_world.parent < 0;
        e = pool_make_home(pool, o ? o : &defaults);
    }
    sri_leave();
    if (e == SERRY_OK && !pool->served) {
        e = pool_start_workers(pool);
        if (e == SERRY_OK)
            e = sri_pool_enter(pool);
        if (e == SERRY_OK) {
            e = pool_announce(pool);
            sri_leave();
        }
    }
    if (e == SERRY_OK) {
        *out = pool;
        return SERRY_OK;
    }
    sri_kept_error kept = sri_error_keep(e);
    serry_pool_destroy(pool);
    return sri_error_again(&kept);
}

/* ---- ending ---- */

serry_err serry_pool_close(serry_pool *pool)
{
    SRI_TRY(sri_pool_enter(pool));
    serry_err e = sri_pool_may_end(pool);
    if (e == SERRY_OK && !pool->closed) {
        e = sri_service_post(pool->id, POOL_OP_CLOSE, NULL, 0, NULL, 0);
        pool->closed = true;
    }
    sri_pool_leave();
    return e;
}

static serry_err pool_terminate(serry_pool *pool)
{
    if (pool->terminated)
        return SERRY_OK;
    pool->closed = pool->terminated = true;
    /* Asked, not posted: once we return, no task begins that has not begun. */
    serry_err e = sri_service_call(pool->id, POOL_OP_TERMINATE, NULL, 0, NULL, 0, NULL, SRI_NEVER);
    if (e == SERRY_OK && !pool->served && !pool->announced)
        e = pool_announce(pool); /* create has failed half way: these are to be killed, too */
    sri_pool_end_calls(pool, SERRY_ECANCELLED, "the pool was terminated", false);
    return e;
}

serry_err serry_pool_terminate(serry_pool *pool)
{
    SRI_TRY(sri_pool_enter(pool));
    serry_err e = sri_pool_may_end(pool);
    if (e == SERRY_OK)
        e = pool_terminate(pool);
    sri_pool_leave();
    return e;
}

static bool pool_joined(void *ctx)
{
    return sri_service_done(*(uint32_t *)ctx);
}

/* Waits until the home says that all is over; reply names processes that may be about to end. */
static serry_err pool_join_home(serry_pool *pool, sri_reply *reply, sri_ns deadline)
{
    uint32_t number;
    SRI_TRY(sri_service_start(pool->id, POOL_OP_JOIN, NULL, 0, NULL, 0, &number));
    pool_stay stay;
    sri_pool_begin_stay(&stay, pool);
    (void)sri_pool_wait(&stay, pool_joined, &number, deadline);
    sri_pool_end_stay(&stay);
    /* Either it is done, or the home takes the request back: both without a wait. */
    return sri_service_finish(number, reply, 0, true);
}

static serry_err pool_join_processes(const sri_reply *reply, sri_ns deadline)
{
    for (size_t at = 0; at + sizeof(int32_t) <= reply->len; at += sizeof(int32_t)) {
        int32_t rank;
        memcpy(&rank, reply->bytes + at, sizeof rank);
        unsigned node = (unsigned)sri_places_node(&sri_world.places, rank);
        serry_process p = { sri_handle_make(SRI_TYPE_PROCESS, node, (uint32_t)rank, 1) };
        SRI_TRY(serry_process_join(p, NULL, sri_seconds_until(deadline)));
    }
    return SERRY_OK;
}

static serry_err pool_join(serry_pool *pool, sri_ns deadline)
{
    sri_reply reply = { 0 };
    SRI_TRY(sri_pool_enter(pool));
    serry_err e = sri_pool_may_end(pool);
    if (e == SERRY_OK && !pool->closed)
        e = sri_pool_fail(pool, SERRY_ESTATE, "neither closed nor terminated");
    if (e == SERRY_OK)
        e = pool_join_home(pool, &reply, deadline);
    sri_pool_leave();
    if (e == SERRY_OK)
        e = pool_join_processes(&reply, deadline);
    sri_reply_fini(&reply);
    return e;
}

serry_err serry_pool_join(serry_pool *pool, double timeout)
{
    sri_ns deadline;
    SRI_TRY(sri_deadline(timeout, &deadline));
    return sri_within(pool_join(pool, deadline), timeout);
}

void serry_pool_destroy(serry_pool *pool)
{
    if (!pool)
        return;
    if (sri_pool_enter(pool) != SERRY_OK)
        return; /* another process's, or after finalize: nothing of it is ours to end */
    if (pool->guest) {
        sri_leave();
        return; /* its worker's */
    }
    if (pool->id == 0) { /* it has never had a home */
        sri_leave();
        sri_pool_free(pool);
        return;
    }
    SERRY_IGNORE(pool_terminate(pool));
    sri_leave();
    if (sri_worker_pool_here() != pool->id)
        SERRY_IGNORE(pool_join(pool, sri_now() + POOL_END_NS));
    if (sri_pool_enter(pool) != SERRY_OK)
        return;
    sri_pool_end_calls(pool, SERRY_ECANCELLED, "the pool was destroyed", true);
    if (pool->self)
        sri_worker_close(pool->self);
    if (pool->served)
        SERRY_IGNORE(pool_register(pool, SERVERS_OP_UNREGISTER));
    SERRY_IGNORE(sri_service_destroy(pool->id));
    sri_pool_unlist(pool);
    sri_pool_leave();
    sri_pool_free(pool);
}

/* One of this process's that has not been seen to yet; NULL: none. */
static serry_pool *pool_next_left(void)
{
    serry_pool *pool;
    DL_FOREACH (sri_pools, pool)
        if (!pool->guest && !pool->left)
            return pool;
    return NULL;
}

/* The process is about to leave the world: what its pools were given is done first. */
void sri_pool_leaving(void)
{
    serry_pool *pool;
    if (sri_enter() != SERRY_OK)
        return;
    while ((pool = pool_next_left()) != NULL) {
        pool->left = true;
        sri_log(SRI_LOG_INFO, "pool%s%s of rank %d was never destroyed%s", pool->name[0] ? " " : "",
                pool->name, pool->rank, pool->closed ? "" : ": what it was given is done first");
        if (pool->terminated || pool->broken)
            continue;
        sri_leave();
        SERRY_IGNORE(serry_pool_close(pool));
        SERRY_IGNORE(serry_pool_join(pool, SERRY_FOREVER));
        sri_lock();
    }
    sri_leave();
}
