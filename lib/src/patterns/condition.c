/* patterns/condition.c: the public calls. */
#include <serry/condition.h>

#include "base/point.h"
#include "core/service.h"
#include "core/wait.h"
#include "patterns/condition_steps.h"
#include "patterns/local.h"
#include "patterns/lock_held.h"

#include <serry/process.h>

#include <string.h>

/* What a member keeps of a condition it uses. */
typedef struct condition_local {
    sri_local local;
    uint64_t lock;
    sri_atomic_u64 *word; /* NULL: no shared word */
    bool open;            /* the above is known */
} condition_local;

static sri_locals conditions = { .size = sizeof(condition_local) };

void condition_forget(uint64_t object)
{
    sri_locals_forget(&conditions, object);
}

static serry_err condition_open(condition_local *c)
{
    condition_wire_opened out;
    SRI_TRY(sri_local_open(&c->local, CONDITION_OP_OPEN, NULL, 0, &out, sizeof out));
    SRI_TRY(sri_local_word(out.shared, out.cell, &c->word));
    c->lock = out.lock;
    c->open = true;
    return SERRY_OK;
}

/* The condition of this handle; asks the home the first time. The caller is one of its users. */
static serry_err condition_use(uint64_t id, condition_local **out)
{
    sri_local *base;
    SRI_TRY(sri_service_check(id, SRI_TYPE_CONDITION));
    SRI_TRY(sri_local_use(&conditions, id, &base));
    condition_local *c = (condition_local *)base;
    serry_err e = c->open ? SERRY_OK : condition_open(c);
    if (e == SERRY_OK) {
        *out = c;
        return SERRY_OK;
    }
    sri_local_give_up(&conditions, base);
    return e;
}

/* The same, and the calling thread holds the lock. */
static serry_err condition_use_held(uint64_t id, condition_local **out)
{
    condition_local *c;
    SRI_TRY(condition_use(id, &c));
    serry_err e = sri_lock_held(c->lock);
    if (e == SERRY_OK)
        *out = c;
    else
        sri_local_leave(&conditions, &c->local);
    return e;
}

/* ---- wait ---- */

static serry_err condition_enter(uint64_t id, uint64_t *ticket)
{
    sri_reply reply = { 0 };
    serry_err e = sri_service_call(id, CONDITION_OP_ENTER, NULL, 0, NULL, 0, &reply, SRI_NEVER);
    if (e == SERRY_OK && reply.len != sizeof *ticket)
        e = sri_fail(SERRY_EINTERNAL, "a ticket has %zu bytes", reply.len);
    if (e == SERRY_OK)
        memcpy(ticket, reply.bytes, sizeof *ticket);
    sri_reply_fini(&reply);
    return e;
}

static void condition_post(uint64_t id, uint16_t op, uint64_t ticket)
{
    SERRY_IGNORE(sri_service_post(id, op, &ticket, sizeof ticket, NULL, 0));
}

typedef struct condition_waits {
    uint32_t call;
    uint64_t lock;
} condition_waits;

/* Without the lock nobody can notify. */
static bool condition_over(void *ctx)
{
    const condition_waits *w = ctx;
    return sri_service_done(w->call) || sri_lock_ended(w->lock);
}

/* SERRY_OK: notified. Whatever it returns, the ticket is not in line any more. */
static serry_err condition_await(const condition_local *c, uint64_t ticket, sri_ns deadline)
{
    uint64_t id = c->local.id;
    if (deadline == 0)
        return sri_service_call(id, CONDITION_OP_AWAIT, &ticket, sizeof ticket, NULL, 0, NULL, 0);
    condition_waits w = { .lock = c->lock };
    serry_err e =
        sri_service_start(id, CONDITION_OP_AWAIT, &ticket, sizeof ticket, NULL, 0, &w.call);
    if (e != SERRY_OK) {
        condition_post(id, CONDITION_OP_LEAVE, ticket);
        return e;
    }
    SRI_POINT(72);
    sri_waiting why = { .kind = SRI_WAIT_OBJECT, .peer = SRI_AGENT, .object = id };
    SERRY_IGNORE(sri_wait_until(condition_over, &w, deadline, &why));
    return sri_service_finish(w.call, NULL, 0, true);
}

/* The order matters: in line before the lock is free, so that whoever has it next finds this one
 * there; and done only when the lock is held, since until then it would not act on the notify. */
static serry_err condition_wait_in(condition_local *c, sri_ns deadline)
{
    uint64_t id = c->local.id, ticket;
    uint32_t depth;
    SRI_TRY(condition_enter(id, &ticket));
    SRI_POINT(70);
    serry_err e = sri_lock_let_go(c->lock, &depth);
    if (e != SERRY_OK) {
        condition_post(id, CONDITION_OP_LEAVE, ticket);
        return e;
    }
    SRI_POINT(71);
    e = condition_await(c, ticket, deadline);
    SRI_POINT(73);
    serry_err back = sri_lock_take_back(c->lock, depth);
    SRI_POINT(74);
    if (e == SERRY_OK)
        condition_post(id, back == SERRY_EHANDLE ? CONDITION_OP_LEAVE : CONDITION_OP_DONE, ticket);
    SRI_POINT(75);
    if (back != SERRY_OK)
        return back;
    if (e == SERRY_ETIMEDOUT)
        return sri_local_fail(&c->local, e, "not notified");
    if (e == SERRY_EHANDLE)
        return sri_local_fail(&c->local, e, "destroyed");
    return e;
}

static serry_err condition_wait(uint64_t id, sri_ns deadline)
{
    condition_local *c;
    SRI_TRY(sri_enter());
    serry_err e = condition_use_held(id, &c);
    if (e == SERRY_OK) {
        e = condition_wait_in(c, deadline);
        sri_local_leave(&conditions, &c->local);
    }
    sri_leave();
    return e;
}

/* ---- notify ---- */

static serry_err condition_notify_in(const condition_local *c, uint64_t n)
{
    if (c->word && condition_step_nobody(c->word, c->local.id))
        return SERRY_OK;
    SRI_POINT(76);
    serry_err e =
        sri_service_call(c->local.id, CONDITION_OP_NOTIFY, &n, sizeof n, NULL, 0, NULL, SRI_NEVER);
    SRI_POINT(77);
    return e;
}

static serry_err condition_notify(uint64_t id, uint64_t n)
{
    condition_local *c;
    SRI_TRY(sri_enter());
    serry_err e = condition_use_held(id, &c);
    if (e == SERRY_OK) {
        if (n > 0)
            e = condition_notify_in(c, n);
        sri_local_leave(&conditions, &c->local);
    }
    sri_leave();
    return e;
}

/* ---- the public calls ---- */

serry_err serry_condition_create(serry_condition *c, serry_lock l, const serry_condition_options *o)
{
    if (!c)
        return sri_fail(SERRY_EINVAL, "no place for the handle");
    condition_wire_settings settings = { .lock = l.id };
    SRI_TRY(sri_enter());
    serry_err e = sri_lock_exists(l.id);
    if (e == SERRY_OK)
        e = sri_service_create(SRI_TYPE_CONDITION, o ? o->name : NULL,
                               SERRY_NODE((int)sri_handle_home(l.id)), &settings, sizeof settings,
                               &c->id);
    sri_leave();
    return e;
}

serry_err serry_condition_wait(serry_condition c, double timeout)
{
    sri_ns deadline;
    SRI_TRY(sri_deadline(timeout, &deadline));
    return sri_within(condition_wait(c.id, deadline), timeout);
}

static serry_err condition_untrue(uint64_t id)
{
    SRI_TRY(sri_enter());
    const sri_local *l = sri_local_find(&conditions, id);
    serry_err e = !l ? sri_service_destroyed(id)
                     : sri_local_fail(l, SERRY_ETIMEDOUT, "what is waited for is not true");
    sri_leave();
    return e;
}

serry_err serry_condition_wait_for(serry_condition c, bool (*predicate)(void *ctx), void *ctx,
                                   double timeout)
{
    sri_ns deadline;
    if (!predicate)
        return sri_fail(SERRY_EINVAL, "there is no predicate");
    SRI_TRY(sri_deadline(timeout, &deadline));
    SRI_TRY(condition_notify(c.id, 0)); /* is it there, and is its lock held? */
    serry_err e = SERRY_OK;
    while (!predicate(ctx)) {
        if (e == SERRY_ETIMEDOUT || deadline == 0)
            return sri_within(condition_untrue(c.id), timeout);
        e = condition_wait(c.id, deadline);
        if (e != SERRY_OK && e != SERRY_ETIMEDOUT)
            return e;
    }
    return SERRY_OK;
}

serry_err serry_condition_notify(serry_condition c, int n)
{
    if (n < 0)
        return sri_fail(SERRY_EINVAL, "to notify %d of those who wait: it must be 0 or more", n);
    return condition_notify(c.id, (uint64_t)n);
}

serry_err serry_condition_notify_all(serry_condition c)
{
    return condition_notify(c.id, CONDITION_ALL);
}

serry_err serry_condition_destroy(serry_condition c)
{
    SRI_TRY(sri_enter());
    serry_err e = sri_service_check(c.id, SRI_TYPE_CONDITION);
    if (e == SERRY_OK)
        e = sri_service_destroy(c.id);
    sri_leave();
    return e;
}
