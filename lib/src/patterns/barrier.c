/* patterns/barrier.c: the public calls, and the action. */
#include <serry/barrier.h>

#include "base/point.h"
#include "core/service.h"
#include "patterns/barrier_wire.h"
#include "patterns/local.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct barrier_local {
    sri_local local;
    bool opened;
    double timeout;          /* of waits that have none */
    serry_process_fn action; /* NULL: none */
    void *arg;
    size_t arg_len;
} barrier_local;

static void barrier_local_fini(void *record)
{
    free(((barrier_local *)record)->arg);
}

static sri_locals barriers = { .size = sizeof(barrier_local), .fini = barrier_local_fini };

void barrier_forget(uint64_t object)
{
    sri_locals_forget(&barriers, object);
}

/* ---- a barrier as this member knows it ---- */

static serry_err barrier_learn(barrier_local *l, const uint8_t *bytes, size_t len)
{
    barrier_wire_settings s;
    if (l->opened) /* by another thread meanwhile */
        return SERRY_OK;
    if (len >= sizeof s)
        memcpy(&s, bytes, sizeof s);
    if (len < sizeof s || len - sizeof s != s.arg_len)
        return sri_fail(SERRY_EINTERNAL, "the answer to an open has %zu bytes", len);
    sri_any_fn action = NULL;
    if (s.has_action)
        SRI_TRY(sri_fnref_resolve(&s.action, &action));
    void *arg = s.arg_len ? malloc(s.arg_len) : NULL;
    if (s.arg_len && !arg)
        return sri_fail(SERRY_ENOMEM, "no memory for an argument of %llu bytes",
                        (unsigned long long)s.arg_len);
    if (arg)
        memcpy(arg, bytes + sizeof s, s.arg_len);
    l->timeout = s.timeout;
    l->action = (serry_process_fn)action;
    l->arg = arg;
    l->arg_len = s.arg_len;
    l->opened = true;
    return SERRY_OK;
}

/* named: by somebody who has made or found it by its name, and so is one of its parties. */
static serry_err barrier_open(barrier_local *l, bool named)
{
    uint64_t args = named;
    sri_reply reply = { 0 };
    serry_err e = sri_service_call(l->local.id, BARRIER_OP_OPEN, &args, sizeof args, NULL, 0,
                                   &reply, SRI_NEVER);
    if (e == SERRY_OK)
        e = barrier_learn(l, reply.bytes, reply.len);
    sri_reply_fini(&reply);
    return e;
}

/* The caller is one of its users until barrier_leave. */
static serry_err barrier_use(uint64_t id, bool named, barrier_local **out)
{
    sri_local *base;
    SRI_TRY(sri_service_check(id, SRI_TYPE_BARRIER));
    SRI_TRY(sri_local_use(&barriers, id, &base));
    barrier_local *l = (barrier_local *)base;
    if (!l->opened || named) {
        serry_err e = barrier_open(l, named);
        if (e != SERRY_OK) {
            if (base->users == 1 && !base->destroyed && !l->opened)
                sri_locals_forget(&barriers, id);
            sri_local_leave(&barriers, base);
            return e;
        }
    }
    *out = l;
    return SERRY_OK;
}

static void barrier_leave(barrier_local *l)
{
    sri_local_leave(&barriers, &l->local);
}

/* ---- waiting ---- */

static serry_err barrier_ask_place(uint64_t id, uint16_t op, const void *args, size_t len,
                                   sri_ns deadline, barrier_wire_place *place)
{
    sri_reply reply = { 0 };
    serry_err e = sri_service_call(id, op, args, len, NULL, 0, &reply, deadline);
    if (e == SERRY_OK && reply.len != sizeof *place)
        e = sri_fail(SERRY_EINTERNAL, "a place in a barrier has %zu bytes", reply.len);
    if (e == SERRY_OK)
        memcpy(place, reply.bytes, sizeof *place);
    sri_reply_fini(&reply);
    return e;
}

/* All are here. The action is the user's: the core is let go while it runs. */
static serry_err barrier_act(barrier_local *l, barrier_wire_place *place)
{
    barrier_wire_done done = { .round = place->round };
    sri_leave();
    SRI_POINT(62);
    done.result = l->action(l->arg, l->arg_len);
    SRI_POINT(63);
    serry_err e = sri_enter();
    if (e != SERRY_OK) /* it has finalized; that it has left breaks the barrier */
        return e;
    return barrier_ask_place(l->local.id, BARRIER_OP_DONE, &done, sizeof done, SRI_NEVER, place);
}

/* Core entered; *entered is false if it is not any more. */
static serry_err barrier_wait_entered(barrier_local *l, sri_ns deadline, double timeout, int *index,
                                      bool *entered)
{
    barrier_wire_place place = { 0 };
    if (deadline == SRI_NEVER && l->timeout > 0) {
        timeout = l->timeout;
        SRI_TRY(sri_deadline(timeout, &deadline));
    }
    SRI_POINT(60);
    serry_err e = barrier_ask_place(l->local.id, BARRIER_OP_ARRIVE, NULL, 0, deadline, &place);
    SRI_POINT(61);
    if (e == SERRY_OK && place.run) {
        e = barrier_act(l, &place);
        *entered = e != SERRY_ESTATE;
        SRI_POINT(64);
    }
    if (e == SERRY_OK && index)
        *index = (int)place.index;
    return sri_within(e, timeout);
}

/* ---- the public calls ---- */

static serry_err barrier_settings_of(int parties, const serry_barrier_options *o,
                                     barrier_wire_settings *s)
{
    if (parties < 1)
        return sri_fail(SERRY_EINVAL, "a barrier for %d parties: there must be 1 at least",
                        parties);
    if (isnan(o->timeout))
        return sri_fail(SERRY_EINVAL, "the timeout of the barrier is NaN");
    *s = (barrier_wire_settings){ .parties = parties };
    s->timeout = o->timeout > 0 && !isinf(o->timeout) ? o->timeout : 0;
    if (!o->action)
        return SERRY_OK;
    if (!o->arg && o->arg_len)
        return sri_fail(SERRY_EINVAL, "an argument of %zu bytes at NULL", o->arg_len);
    s->has_action = 1;
    s->arg_len = o->arg_len;
    return sri_fnref_of((sri_any_fn)o->action, &s->action);
}

static serry_err barrier_create_entered(serry_barrier *b, const barrier_wire_settings *s,
                                        const serry_barrier_options *o)
{
    barrier_local *l;
    uint64_t id;
    if (s->arg_len > sri_world.max_message)
        return sri_fail(SERRY_ELIMIT, "an argument of %llu bytes: the limit is %llu",
                        (unsigned long long)s->arg_len, (unsigned long long)sri_world.max_message);
    size_t len = sizeof *s + (size_t)s->arg_len;
    uint8_t *args = malloc(len);
    if (!args)
        return sri_fail(SERRY_ENOMEM, "no memory for an argument of %llu bytes",
                        (unsigned long long)s->arg_len);
    memcpy(args, s, sizeof *s);
    if (s->arg_len)
        memcpy(args + sizeof *s, o->arg, (size_t)s->arg_len);
    serry_err e = sri_service_create(SRI_TYPE_BARRIER, o->name, o->node, args, len, &id);
    free(args);
    if (e == SERRY_OK && o->name) {
        e = barrier_use(id, true, &l);
        if (e == SERRY_OK)
            barrier_leave(l);
    }
    if (e == SERRY_OK)
        b->id = id;
    return e;
}

serry_err serry_barrier_create(serry_barrier *b, int parties, const serry_barrier_options *o)
{
    if (!b)
        return sri_fail(SERRY_EINVAL, "no place for the handle");
    serry_barrier_options none = { 0 };
    barrier_wire_settings s;
    if (!o)
        o = &none;
    SRI_TRY(barrier_settings_of(parties, o, &s));
    SRI_TRY(sri_enter());
    serry_err e = barrier_create_entered(b, &s, o);
    sri_leave();
    return e;
}

serry_err serry_barrier_wait(serry_barrier b, int *index, double timeout)
{
    sri_ns deadline;
    barrier_local *l;
    bool entered = true;
    SRI_TRY(sri_deadline(timeout, &deadline));
    SRI_TRY(sri_enter());
    serry_err e = barrier_use(b.id, false, &l);
    if (e == SERRY_OK) {
        e = barrier_wait_entered(l, deadline, timeout, index, &entered);
        if (entered)
            barrier_leave(l);
    }
    if (entered)
        sri_leave();
    return e;
}

/* An operation without bytes. */
static serry_err barrier_call(serry_barrier b, uint16_t op, sri_reply *reply)
{
    SRI_TRY(sri_enter());
    serry_err e = sri_service_check(b.id, SRI_TYPE_BARRIER);
    if (e == SERRY_OK)
        e = sri_service_call(b.id, op, NULL, 0, NULL, 0, reply, SRI_NEVER);
    sri_leave();
    return e;
}

static serry_err barrier_state(serry_barrier b, barrier_wire_state *state)
{
    sri_reply reply = { 0 };
    serry_err e = barrier_call(b, BARRIER_OP_STATE, &reply);
    if (e == SERRY_OK && reply.len != sizeof *state)
        e = sri_fail(SERRY_EINTERNAL, "the state of a barrier has %zu bytes", reply.len);
    if (e == SERRY_OK)
        memcpy(state, reply.bytes, sizeof *state);
    sri_reply_fini(&reply);
    return e;
}

serry_err serry_barrier_reset(serry_barrier b)
{
    return barrier_call(b, BARRIER_OP_RESET, NULL);
}

serry_err serry_barrier_abort(serry_barrier b)
{
    return barrier_call(b, BARRIER_OP_ABORT, NULL);
}

serry_err serry_barrier_waiting(serry_barrier b, int *n)
{
    barrier_wire_state state = { 0 };
    SRI_TRY(barrier_state(b, &state));
    if (n)
        *n = (int)state.waiting;
    return SERRY_OK;
}

bool serry_barrier_is_broken(serry_barrier b)
{
    barrier_wire_state state = { 0 };
    return barrier_state(b, &state) == SERRY_OK && state.broken;
}

serry_err serry_barrier_destroy(serry_barrier b)
{
    SRI_TRY(sri_enter());
    serry_err e = sri_service_check(b.id, SRI_TYPE_BARRIER);
    if (e == SERRY_OK)
        e = sri_service_destroy(b.id);
    sri_leave();
    return e;
}
