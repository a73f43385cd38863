/* patterns/pool_home.c: the pool's class: what the owner and the workers ask of the home. */
#include "patterns/pool_home.h"

#include "patterns/pool.h"

#include "base/error.h"
#include "base/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

static serry_err home_create(sri_object *o, const uint8_t *args, size_t len)
{
    pool_home *p = (pool_home *)o;
    if (len < sizeof p->set)
        return sri_fail(SERRY_EINVAL, "a pool's settings are %zu bytes too short",
                        sizeof p->set - len);
    memcpy(&p->set, args, sizeof p->set);
    if (p->set.init_len != len - sizeof p->set)
        return sri_fail(SERRY_EINVAL, "a pool's initial argument is not as long as it says");
    p->set.name[sizeof p->set.name - 1] = '\0';
    memcpy(p->o.name, p->set.name, sizeof p->o.name); /* nobody finds it by that */
    p->init_arg = malloc(p->set.init_len ? p->set.init_len : 1);
    if (!p->init_arg)
        return sri_fail(SERRY_ENOMEM, "no memory for a pool's initial argument of %zu bytes",
                        (size_t)p->set.init_len);
    memcpy(p->init_arg, args + sizeof p->set, p->set.init_len);
    p->out_last = SIZE_MAX;
    p->out_due = p->heal_due = p->look_due = p->armed = SRI_NEVER;
    if (!sri_home_session(o, o->creator)) { /* so that the owner's death is told */
        free(p->init_arg);
        return sri_fail(SERRY_EDIED, "the pool's owner, rank %d, is gone", o->creator);
    }
    return SERRY_OK;
}

/* The owner has started these; some may have come and gone already. */
static void home_workers_op(pool_home *p, const uint8_t *bytes, size_t len)
{
    for (size_t i = 0; i + sizeof(int32_t) <= len; i += sizeof(int32_t)) {
        int32_t rank;
        memcpy(&rank, bytes + i, sizeof rank);
        pool_heal_worker(p, rank, POOL_ROLE_PROCESS);
    }
    p->announced = true;
    if (p->terminated)
        pool_heal_end_workers(p);
    pool_heal(p);
}

static void home_hello_op(pool_home *p, sri_asker who, const uint8_t *bytes, size_t len)
{
    pool_wire_hello in;
    if (len < sizeof in || (memcpy(&in, bytes, sizeof in), in.role >= POOL_ROLES)) {
        sri_home_refuse(&p->o, who, SERRY_EINVAL, "a worker's greeting is not valid");
        return;
    }
    bool deputy = in.role == POOL_ROLE_DEPUTY;
    home_worker *w = deputy ? pool_deputies_greet(p, who.rank, &in)
                            : pool_heal_worker(p, who.rank, (pool_role)in.role);
    if (!w && deputy) {
        sri_home_refuse(&p->o, who, SERRY_ESTATE, "rank %d needs no deputy any more", in.principal);
        return;
    }
    if (!w) {
        sri_home_refuse(&p->o, who, SERRY_ENOMEM, "the pool's home has no memory for a worker");
        return;
    }
    if (pool_is_process(w) && (p->terminated || p->broken))
        pool_heal_end_workers(p); /* it could not be killed before it had joined */
    w->deeds.pid = in.pid;
    pool_wire_welcome out = { .cell = w->cell_number,
                              .has_cell = w->cell != NULL,
                              .init = p->set.init,
                              .init_len = p->set.init_len,
                              .workers = p->set.workers,
                              .deputes = w->deputes };
    sri_home_reply(&p->o, who, &out, sizeof out, p->init_arg, p->set.init_len);
}

static void home_attach_op(pool_home *p, home_worker *w)
{
    if (w->attached)
        return;
    w->attached = true;
    w->heard = sri_now();
    if (w->role == POOL_ROLE_SERVER)
        p->servers++;
    if (p->terminated || p->broken) {
        pool_heal_end_workers(p);
        return;
    }
    if (w->deputes)
        pool_heal(p);
    pool_sched(p, w->deputy ? w->deputy : w);
    pool_lease_idle(w);
    pool_heal_finish(p);
}

static void home_detach_op(pool_home *p, home_worker *w, const uint8_t *bytes, size_t len)
{
    pool_wire_detach in;
    if (len < sizeof in || !w->attached)
        return;
    memcpy(&in, bytes, sizeof in);
    w->attached = false;
    if (w->role == POOL_ROLE_SERVER)
        p->servers--;
    w->epoch = in.epoch & POOL_EPOCH_MASK;
    uint32_t keep = (in.started - w->reported) & POOL_SEQ_MASK;
    pool_lease_take_back(p, w, keep);
    if (w->deputy)
        (void)pool_lease_revoke(p, w->deputy);
    pool_lease_idle(w);
    pool_heal(p);
    pool_sched(p, NULL);
    pool_heal_finish(p);
}

static void home_init_failed_op(pool_home *p, home_worker *w, const uint8_t *bytes, size_t len)
{
    pool_wire_init_failed in;
    if (len < sizeof in)
        return;
    memcpy(&in, bytes, sizeof in);
    char text[128];
    snprintf(text, sizeof text, "the initializer failed with %d in worker rank %d", in.code,
             w->rank);
    pool_heal_break(p, text);
}

static void home_terminate_op(pool_home *p, sri_asker who)
{
    p->terminated = true;
    p->closed = true;
    pool_lease_revoke_all(p, NULL);
    pool_items_drop_all(p);
    pool_heal_end_workers(p);
    sri_home_reply(&p->o, who, NULL, 0, NULL, 0);
    pool_heal_finish(p);
}

static void home_join_op(pool_home *p, sri_asker who)
{
    if (!p->closed || p->joining) {
        sri_home_refuse(&p->o, who, SERRY_ESTATE,
                        p->joining ? "another thread joins it" : "neither closed nor terminated");
        return;
    }
    p->join = who;
    p->joining = true;
    pool_heal_finish(p);
}

static void home_owner_op(pool_home *p, sri_asker who, uint16_t op, const uint8_t *bytes,
                          size_t len)
{
    if (who.rank != p->o.creator) {
        sri_home_refuse(&p->o, who, SERRY_EPERM, "it belongs to rank %d", p->o.creator);
        return;
    }
    switch (op) {
    case POOL_OP_WORKERS:
        home_workers_op(p, bytes, len);
        break;
    case POOL_OP_TERMINATE:
        home_terminate_op(p, who);
        break;
    case POOL_OP_JOIN:
        home_join_op(p, who);
        break;
    default: /* POOL_OP_CLOSE */
        p->closed = true;
        pool_heal_finish(p);
        break;
    }
}

static void home_worker_op(pool_home *p, home_worker *w, uint16_t op, const uint8_t *bytes,
                           size_t len)
{
    switch (op) {
    case POOL_OP_RESULTS:
        pool_report_results(p, w, bytes, len);
        break;
    case POOL_OP_HOLD:
        pool_lease_hold(p, w, bytes, len);
        break;
    case POOL_OP_RESUME:
        pool_lease_resume(p, w, bytes, len);
        break;
    case POOL_OP_LATE:
        pool_report_late(p, w, bytes, len);
        break;
    case POOL_OP_ATTACH:
        home_attach_op(p, w);
        break;
    case POOL_OP_DETACH:
        home_detach_op(p, w, bytes, len);
        break;
    case POOL_OP_DEPUTY:
        pool_deputies_started(p, w, bytes, len);
        break;
    default: /* POOL_OP_INIT_FAILED */
        home_init_failed_op(p, w, bytes, len);
        break;
    }
}

static void home_request(sri_object *o, sri_asker who, uint16_t op, const uint8_t *bytes,
                         size_t len)
{
    pool_home *p = (pool_home *)o;
    home_worker *w =
        who.rank != o->creator || op >= POOL_OP_ATTACH ? pool_heal_find(p, who.rank) : NULL;
    if (op >= POOL_OP_CALL && op <= POOL_OP_STATS) {
        if (w || who.rank == o->creator)
            pool_calls_op(p, who, op, bytes, len);
        else
            sri_home_refuse(o, who, SERRY_EPERM, "it belongs to rank %d", o->creator);
    } else if (op >= POOL_OP_WORKERS && op <= POOL_OP_JOIN) {
        home_owner_op(p, who, op, bytes, len);
    } else if (op == POOL_OP_HELLO) {
        home_hello_op(p, who, bytes, len);
    } else if (op == POOL_OP_LEAVE) {
        pool_deputies_leave(p, w, who);
    } else if (op > POOL_OP_HELLO && op < POOL_OP_LEAVE) {
        if (w)
            home_worker_op(p, w, op, bytes, len);
    } else {
        sri_home_refuse(o, who, SERRY_EINVAL, "there is no operation %d", op);
    }
    pool_sched_arm(p);
}

static void home_cancel(sri_object *o, sri_asker who)
{
    pool_home *p = (pool_home *)o;
    if (!p->joining || p->join.rank != who.rank || p->join.number != who.number)
        return;
    p->joining = false;
    sri_home_refuse(o, who, SERRY_ETIMEDOUT, "not ended");
}

static void home_gone(sri_object *o, int rank, sri_fate fate)
{
    pool_home *p = (pool_home *)o;
    if (rank == o->creator) {
        p->joining = false;
        p->terminated = p->closed = true;
        pool_items_drop_all(p);
        pool_heal_end_workers(p);
        sri_home_end(o);
        return;
    }
    home_worker *w = pool_heal_find(p, rank);
    pool_calls_gone(p, rank, fate == SRI_FATE_DIED);
    if (w)
        pool_heal_gone(p, w);
    pool_sched_arm(p);
}

static void home_timer(sri_object *o)
{
    pool_home *p = (pool_home *)o;
    p->armed = SRI_NEVER;
    pool_sched_tick(p, sri_now());
    pool_sched_arm(p);
}

static void home_destroy(sri_object *o)
{
    pool_home *p = (pool_home *)o;
    if (p->joining)
        sri_home_refuse(o, p->join, SERRY_EHANDLE, "destroyed");
    pool_items_drop_all(p);
    pool_heal_end_workers(p);
    home_worker *w, *next;
    DL_FOREACH_SAFE (p->workers, w, next) {
        sri_home_reply(o, w->leaving, NULL, 0, NULL, 0);
        pool_heal_free_worker(w);
    }
    free(p->past);
    home_span *s, *next_span;
    LL_FOREACH_SAFE (p->spare_spans, s, next_span)
        free(s);
    sri_buffer_fini(&p->out);
    free(p->init_arg);
}

static void home_describe(sri_object *o, char *text, size_t cap)
{
    pool_home *p = (pool_home *)o;
    size_t queued = 0, leased = 0;
    home_call *call, *next;
    HASH_ITER (hh, p->calls, call, next) {
        queued += call->n - call->ended;
        leased += call->leased;
    }
    home_worker *w;
    int workers = 0;
    DL_FOREACH (p->workers, w)
        workers += !w->deputes;
    snprintf(text, cap, "%s of rank %d: %d worker%s, %zu task%s left, %zu with workers%s",
             sri_home_called(o), o->creator, workers, workers == 1 ? "" : "s", queued,
             queued == 1 ? "" : "s", leased,
             p->broken   ? ", broken"
             : p->closed ? ", closed"
                         : "");
}

static const sri_object_class pool_class = {
    .type = SRI_TYPE_POOL,
    .name = "pool",
    .size = sizeof(pool_home),
    .session = sizeof(home_session),
    .create = home_create,
    .request = home_request,
    .cancel = home_cancel,
    .gone = home_gone,
    .timer = home_timer,
    .destroy = home_destroy,
    .describe = home_describe,
    .feed = sri_pool_feed,
    .forget = sri_pool_forget,
    .leaving = sri_pool_leaving,
};
SRI_OBJECT_CLASS(pool_class)
