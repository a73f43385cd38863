/* patterns/queue.c: the public calls. */
#include <serry/queue.h>

#include "base/point.h"
#include "core/fence.h"
#include "core/match.h"
#include "core/service.h"
#include "core/wait.h"
#include "patterns/queue_local.h"
#include "patterns/queue_steps.h"

#include <stdatomic.h>
#include <string.h>

/* How long one waits for what usually comes unasked before asking for it: longer than a few turns
 * of everybody on a processor, shorter than a wait stays awake. */
#define QUEUE_LINGER SRI_US(180)

static sri_ns queue_linger(sri_ns deadline)
{
    sri_ns until = sri_now() + QUEUE_LINGER;
    return until < deadline ? until : deadline;
}

/* ---- put ---- */

static bool queue_credit_changed(void *ctx)
{
    const queue_local *l = ctx;
    uint64_t word = atomic_load_explicit(l->credit, memory_order_acquire);
    return queue_credit_left(word) || (word & (QUEUE_CREDIT_CLOSED | QUEUE_CREDIT_DEAD))
           || l->local.destroyed;
}

/* The news that a queue on another node is closed or destroyed may come later than a message of one
 * who knows. Whoever has heard anything of others since the home last answered therefore asks. */
static uint64_t queue_heard(void)
{
    return sri_match.order + sri_service_answers;
}

/* SERRY_OK: *posted says whether the item may be posted, now. */
static serry_err queue_may_post(queue_local *l, bool *posted)
{
    *posted = l->capacity == 0 && (!l->far || l->heard == queue_heard());
    if (!l->credit) {
        sri_progress(); /* a close is told by a message */
    } else {
        uint64_t word = atomic_load_explicit(l->credit, memory_order_acquire);
        if (!*posted)
            *posted = queue_step_post(l->credit, &word);
        if (word & QUEUE_CREDIT_CLOSED)
            l->closed = true;
        if (word & QUEUE_CREDIT_DEAD)
            return queue_local_alive(l);
    }
    if (l->local.destroyed)
        return queue_local_alive(l);
    return l->closed ? sri_local_fail(&l->local, SERRY_ECLOSED, "closed") : SERRY_OK;
}

static serry_err queue_put_entered(queue_local *l, const void *item, size_t len, sri_ns deadline)
{
    bool posted;
    SRI_TRY(queue_may_post(l, &posted));
    if (!posted && l->credited && deadline != 0) {
        sri_wait_until(queue_credit_changed, l, queue_linger(deadline), NULL);
        SRI_TRY(queue_may_post(l, &posted));
    }
    l->credited = posted && l->credit;
    if (!posted) {
        serry_err e =
            sri_service_call(l->local.id, QUEUE_OP_PUT, NULL, 0, item, len, NULL, deadline);
        l->credited = l->credit && e == SERRY_OK;
        l->heard = queue_heard();
        return e;
    }
    SRI_POINT(21);
    serry_err e = sri_service_post(l->local.id, QUEUE_OP_PUT, NULL, 0, item, len);
    SRI_POINT(22);
    return e;
}

/* ---- get ---- */

static bool queue_stock_changed(void *ctx)
{
    queue_local *l = ctx;
    uint64_t word;
    return l->local.destroyed || l->lost || queue_local_next(l, &word) != NULL;
}

/* Gives back all that was fed. Without a cell both sides count the recall for themselves. */
static serry_err queue_give_back(queue_local *l)
{
    queue_local_drop(l);
    l->ahead = false;
    if (!l->shared)
        atomic_store(&l->own, queue_read_recall(atomic_load(&l->own)));
    return sri_service_post(l->local.id, QUEUE_OP_RETURN, NULL, 0, NULL, 0);
}

static serry_err queue_misfit(queue_local *l, size_t need, size_t cap, size_t *len)
{
    SRI_TRY(queue_give_back(l));
    if (!len)
        return sri_local_fail(&l->local, SERRY_EINVAL, "the item has %zu bytes, %zu are expected",
                              need, cap);
    *len = need;
    return sri_local_fail(&l->local, SERRY_ETRUNC, "the item has %zu bytes, the buffer %zu", need,
                          cap);
}

/* Takes the next item in stock; *got is false if there is none. */
static serry_err queue_take(queue_local *l, void *item, size_t cap, size_t *len, bool *got)
{
    const queue_entry *next;
    uint64_t word;
    *got = false;
    while ((next = queue_local_next(l, &word))) {
        size_t n = next->len;
        if (word & QUEUE_READ_DEAD)
            return queue_local_alive(l);
        if (len ? n > cap : n != cap) {
            *got = true;
            return queue_misfit(l, n, cap, len);
        }
        if (n)
            memcpy(item, next->bytes, n);
        if (!queue_step_taken(l->word, &word, next->epoch))
            continue;
        bool tell = next->ask || (word & QUEUE_READ_NOTIFY) || !l->shared;
        queue_local_pop(l);
        *got = true;
        if (len)
            *len = n;
        if (tell) /* taken it is, also if its home is lost by now */
            SERRY_IGNORE(sri_service_post(l->local.id, QUEUE_OP_TAKEN, NULL, 0, NULL, 0));
        return SERRY_OK;
    }
    return SERRY_OK;
}

static serry_err queue_get_entered(queue_local *l, void *item, size_t cap, size_t *len,
                                   sri_ns deadline)
{
    bool got;
    uint64_t again = 0;
    for (;;) {
        if (l->local.destroyed)
            return queue_local_alive(l);
        if (l->lost) {
            l->lost = false;
            SRI_TRY(queue_give_back(l));
            return sri_local_fail(&l->local, SERRY_ENOMEM,
                                  "no memory for an item; it stays in the queue");
        }
        serry_err e = queue_take(l, item, cap, len, &got);
        if (got || e != SERRY_OK)
            return e;
        if (l->ahead && deadline != 0) {
            l->ahead = false; /* unless something comes */
            sri_wait_until(queue_stock_changed, l, queue_linger(deadline), NULL);
            continue;
        }
        SRI_TRY(sri_service_call(l->local.id, QUEUE_OP_WANT, &again, sizeof again, NULL, 0, NULL,
                                 deadline));
        again = 1;
    }
}

/* ---- the public calls ---- */

serry_err serry_queue_create(serry_queue *q, const serry_queue_options *o)
{
    if (!q)
        return sri_fail(SERRY_EINVAL, "no place for the handle");
    serry_queue_options none = { 0 };
    if (!o)
        o = &none;
    uint64_t capacity = o->capacity;
    SRI_TRY(sri_enter());
    serry_err e =
        sri_service_create(SRI_TYPE_QUEUE, o->name, o->node, &capacity, sizeof capacity, &q->id);
    sri_leave();
    return e;
}

serry_err serry_queue_put(serry_queue q, const void *item, size_t len, double timeout)
{
    sri_ns deadline;
    queue_local *l;
    SRI_TRY(sri_deadline(timeout, &deadline));
    if (!item && len)
        return sri_fail(SERRY_EINVAL, "an item of %zu bytes at NULL", len);
    SRI_TRY(sri_enter());
    serry_err e = sri_service_check(q.id, SRI_TYPE_QUEUE);
    if (e == SERRY_OK && len > sri_world.max_message)
        e = sri_fail(SERRY_ELIMIT, "an item of %zu bytes: the limit is %llu", len,
                     (unsigned long long)sri_world.max_message);
    if (e == SERRY_OK)
        e = queue_local_use(q.id, QUEUE_WRITER, &l);
    if (e == SERRY_OK) {
        e = queue_put_entered(l, item, len, deadline);
        queue_local_leave(l);
    }
    sri_leave();
    return sri_within(e, timeout);
}

serry_err serry_queue_get(serry_queue q, void *item, size_t cap, size_t *len, double timeout)
{
    sri_ns deadline;
    queue_local *l;
    SRI_TRY(sri_deadline(timeout, &deadline));
    if (!item && cap)
        return sri_fail(SERRY_EINVAL, "a buffer of %zu bytes at NULL", cap);
    SRI_TRY(sri_enter());
    serry_err e = sri_service_check(q.id, SRI_TYPE_QUEUE);
    if (e == SERRY_OK)
        e = queue_local_use(q.id, QUEUE_READER, &l);
    if (e == SERRY_OK) {
        e = queue_get_entered(l, item, cap, len, deadline);
        queue_local_leave(l);
    }
    sri_leave();
    return sri_within(e, timeout);
}

/* An operation without bytes. */
static serry_err queue_call(serry_queue q, uint16_t op, sri_reply *reply, sri_ns deadline)
{
    SRI_TRY(sri_enter());
    serry_err e = sri_service_check(q.id, SRI_TYPE_QUEUE);
    if (e == SERRY_OK)
        e = sri_service_call(q.id, op, NULL, 0, NULL, 0, reply, deadline);
    sri_leave();
    return e;
}

serry_err serry_queue_size(serry_queue q, size_t *n)
{
    sri_reply reply = { 0 };
    uint64_t count;
    serry_err e = queue_call(q, QUEUE_OP_SIZE, &reply, SRI_NEVER);
    if (e == SERRY_OK && reply.len != sizeof count)
        e = sri_fail(SERRY_EINTERNAL, "the size of a queue has %zu bytes", reply.len);
    if (e == SERRY_OK && n) {
        memcpy(&count, reply.bytes, sizeof count);
        *n = (size_t)count;
    }
    sri_reply_fini(&reply);
    return e;
}

serry_err serry_queue_task_done(serry_queue q)
{
    return queue_call(q, QUEUE_OP_DONE, NULL, SRI_NEVER);
}

serry_err serry_queue_join(serry_queue q, double timeout)
{
    sri_ns deadline;
    SRI_TRY(sri_deadline(timeout, &deadline));
    return sri_within(queue_call(q, QUEUE_OP_JOIN, NULL, deadline), timeout);
}

serry_err serry_queue_close(serry_queue q)
{
    return queue_call(q, QUEUE_OP_CLOSE, NULL, SRI_NEVER);
}

serry_err serry_queue_destroy(serry_queue q)
{
    SRI_TRY(sri_enter());
    serry_err e = sri_service_check(q.id, SRI_TYPE_QUEUE);
    if (e == SERRY_OK)
        e = sri_service_destroy(q.id);
    sri_leave();
    return e;
}
