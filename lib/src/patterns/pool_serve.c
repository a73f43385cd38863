/* patterns/pool_serve.c: a rank that works for the pools of others, in serry_pool_serve or in
 * serry_finalize. */
#include "patterns/pool.h"

#include "base/error.h"
#include "core/core.h"
#include "core/match.h"
#include "core/service.h"
#include "core/wait.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

typedef struct serve_pool {
    struct serve_pool *prev, *next;
    uint64_t id;
    sri_worker *worker; /* NULL: not greeted yet */
} serve_pool;

/* One thread of a process serves at a time. */
static struct {
    bool active;
    bool over;            /* the home says so */
    const bool *released; /* in finalize */
    uint64_t object;
    serve_pool *pools;
} serve;

void sri_serve_feed(uint64_t object, const uint8_t *bytes, size_t len)
{
    servers_wire_feed in;
    if (len < sizeof in || !serve.active || object != serve.object)
        return;
    memcpy(&in, bytes, sizeof in);
    if (in.kind == SERVERS_FEED_OVER) {
        serve.over = true;
        return;
    }
    serve_pool *p = calloc(1, sizeof *p);
    if (!p)
        return; /* others will serve it */
    p->id = in.id;
    DL_APPEND(serve.pools, p);
}

void sri_serve_forget(uint64_t object)
{
    if (object == 0)
        memset(&serve, 0, sizeof serve);
}

static bool serve_finished(void)
{
    return serve.released ? *serve.released : serve.over;
}

/* The next thing to do: greet a pool, leave one that has ended, run a chunk. */
static serve_pool *serve_next(void)
{
    serve_pool *p;
    DL_FOREACH (serve.pools, p)
        if (!p->worker || p->worker->ended || sri_deputy_wanted(p->worker)
            || sri_worker_ready(p->worker))
            return p;
    return NULL;
}

static bool serve_has_news(void *ctx)
{
    (void)ctx;
    return serve_finished() || serve_next();
}

static void serve_leave_pool(serve_pool *p)
{
    DL_DELETE(serve.pools, p);
    /* With the world's end all pools have ended, and their homes may be gone. */
    if (p->worker && serve.released && *serve.released)
        p->worker->ended = true;
    if (p->worker && p->worker->deputes)
        sri_deputy_end(p->worker);
    if (p->worker)
        sri_worker_close(p->worker);
    free(p);
}

static void serve_step(serve_pool *p)
{
    if (!p->worker) {
        /* A pool that is gone already, or whose initializer fails here: not ours to report. */
        pool_wire_hello hello = { .role = POOL_ROLE_SERVER };
        if (sri_worker_open(p->id, hello, &p->worker) != SERRY_OK)
            serve_leave_pool(p);
        else
            sri_worker_attach(p->worker);
    } else if (p->worker->ended) {
        serve_leave_pool(p);
    } else if (sri_deputy_wanted(p->worker)) {
        sri_deputy_start(p->worker);
    } else {
        /* Fair to all pools: this one goes to the end of the line. */
        DL_DELETE(serve.pools, p);
        DL_APPEND(serve.pools, p);
        sri_worker_run(p->worker);
    }
}

static serry_err serve_loop(sri_ns deadline)
{
    sri_waiting why = { .kind = serve.released ? SRI_WAIT_FINALIZE : SRI_WAIT_OBJECT,
                        .peer = SERRY_ANY,
                        .object = serve.object };
    for (bool stepped = false; !serve_finished(); stepped = true) {
        if (stepped && deadline != SRI_NEVER && sri_now() >= deadline)
            return SERRY_ETIMEDOUT;
        SRI_TRY(sri_wait_until(serve_has_news, NULL, deadline, &why));
        serve_pool *p = serve_next();
        if (p && !serve_finished())
            serve_step(p);
    }
    return SERRY_OK;
}

static serry_err serve_run(int owner, const bool *released, sri_ns deadline)
{
    uint64_t object;
    if (serve.active)
        return sri_fail(SERRY_ESTATE, "this process serves already");
    SRI_TRY(sri_service_create(SRI_TYPE_SERVERS, SERVERS_NAME, SERRY_NODE(0), NULL, 0, &object));
    if (serve.active) /* another thread was faster */
        return sri_fail(SERRY_ESTATE, "this process serves already");
    serve.active = true;
    serve.over = false;
    serve.released = released;
    serve.object = object;
    servers_wire_serve args = { .owner = owner,
                                .size = (uint32_t)sri_world.size,
                                .section = sri_match.collective };
    serry_err e =
        sri_service_call(object, SERVERS_OP_SERVE, &args, sizeof args, NULL, 0, NULL, SRI_NEVER);
    if (e == SERRY_OK)
        e = serve_loop(deadline);
    if (e == SERRY_ETIMEDOUT)
        e = sri_fail(SERRY_ETIMEDOUT, "those whom this rank serves have not ended");
    if (!released || !*released)
        SERRY_IGNORE(sri_service_post(object, SERVERS_OP_UNSERVE, NULL, 0, NULL, 0));
    while (serve.pools) /* one more may come meanwhile */
        serve_leave_pool(serve.pools);
    serve.active = false;
    serve.released = NULL;
    return e;
}

serry_err serry_pool_serve(int owner, double timeout)
{
    sri_ns deadline;
    SRI_TRY(sri_deadline(timeout, &deadline));
    SRI_TRY(sri_enter());
    serry_err e;
    if (sri_world.parent >= 0)
        e = sri_fail(SERRY_ESTATE, "a started process does not serve: only launched ranks do");
    else if (owner != SERRY_ANY && (owner < 0 || owner >= sri_world.size))
        e = sri_fail(SERRY_EINVAL, "there is no rank %d to serve: the world has %d", owner,
                     sri_world.size);
    else if (owner == sri_world.rank)
        e = sri_fail(SERRY_EINVAL, "a rank cannot serve itself");
    else if (sri_worker_pool_here())
        e = sri_fail(SERRY_ESTATE, "a task cannot serve");
    else
        e = serve_run(owner, NULL, deadline);
    sri_leave();
    return sri_within(e, timeout);
}

void sri_serve_finalizing(const bool *released)
{
    if (sri_world.size <= 1 || sri_enter() != SERRY_OK)
        return;
    if (serve_run(SERRY_ANY, released, SRI_NEVER) != SERRY_OK) /* another thread serves */
        SERRY_IGNORE(sri_wait(released, SRI_NEVER, NULL));
    sri_leave();
}
