/* patterns/pipe.c: the public calls. */
#include <serry/pipe.h>

#include "base/point.h"
#include "core/service.h"
#include "core/wait.h"
#include "patterns/pipe_local.h"

#include <stdlib.h>
#include <string.h>

static inline serry_err pipe_check(serry_conn c)
{
    if (__builtin_expect(sri_handle_class(pipe_object(c.id)) == SRI_TYPE_PIPE
                             && sri_handle_generation(c.id) != 0,
                         1))
        return SERRY_OK;
    return sri_fail(SERRY_EHANDLE, "the handle %#llx names no end of a pipe",
                    (unsigned long long)c.id);
}

static inline serry_err pipe_deadline(double timeout, sri_ns *deadline)
{
    if (__builtin_expect(timeout != SERRY_FOREVER, 0))
        return sri_deadline(timeout, deadline);
    *deadline = SRI_NEVER;
    return SERRY_OK;
}

serry_err serry_pipe_create(serry_conn *a, serry_conn *b, bool duplex)
{
    uint64_t id, settings = duplex;
    SRI_TRY(sri_enter());
    serry_err e = a && b ? SERRY_OK : sri_fail(SERRY_EINVAL, "no place for the two ends of a pipe");
    if (e == SERRY_OK)
        e = sri_service_create(SRI_TYPE_PIPE, NULL, 0, &settings, sizeof settings, &id);
    sri_leave();
    SRI_TRY(e);
    a->id = pipe_handle(id, 0);
    b->id = pipe_handle(id, 1);
    return SERRY_OK;
}

/* ---- messages ---- */

static inline serry_err pipe_check_send(serry_conn c, const void *buf, size_t len, double timeout,
                                        sri_ns *deadline)
{
    SRI_TRY(pipe_check(c));
    if (__builtin_expect(!buf && len, 0))
        return sri_fail(SERRY_EINVAL, "a message of %zu bytes at NULL", len);
    if (__builtin_expect(len > sri_world.max_message, 0))
        return sri_fail(SERRY_ELIMIT, "a message of %zu bytes: the limit is %llu", len,
                        (unsigned long long)sri_world.max_message);
    return pipe_deadline(timeout, deadline);
}

serry_err serry_conn_send(serry_conn c, const void *buf, size_t len, double timeout)
{
    pipe_local *l;
    sri_ns deadline;
    SRI_TRY(sri_enter());
    serry_err e = pipe_check_send(c, buf, len, timeout, &deadline);
    if (e == SERRY_OK)
        e = pipe_local_use(c.id, PIPE_USE_SEND, &l);
    if (e == SERRY_OK) {
        e = pipe_send(l, buf, len, deadline);
        pipe_local_leave(l);
    }
    sri_leave();
    return sri_within(e, timeout);
}

static inline serry_err pipe_check_recv(serry_conn c, const void *buf, size_t cap, double timeout,
                                        sri_ns *deadline)
{
    SRI_TRY(pipe_check(c));
    if (__builtin_expect(!buf && cap, 0))
        return sri_fail(SERRY_EINVAL, "a buffer of %zu bytes at NULL", cap);
    return pipe_deadline(timeout, deadline);
}

serry_err serry_conn_recv(serry_conn c, void *buf, size_t cap, size_t *len, double timeout)
{
    pipe_local *l;
    sri_ns deadline;
    SRI_TRY(sri_enter());
    serry_err e = pipe_check_recv(c, buf, cap, timeout, &deadline);
    if (e == SERRY_OK)
        e = pipe_local_use(c.id, PIPE_USE_RECV, &l);
    if (e == SERRY_OK) {
        e = pipe_recv(l, buf, cap, len, deadline);
        pipe_local_leave(l);
    }
    sri_leave();
    return sri_within(e, timeout);
}

serry_err serry_conn_poll(serry_conn c, double timeout)
{
    pipe_local *l;
    sri_ns deadline;
    SRI_TRY(sri_enter());
    serry_err e = pipe_check_recv(c, NULL, 0, timeout, &deadline);
    if (e == SERRY_OK)
        e = pipe_local_use(c.id, PIPE_USE_RECV, &l);
    if (e == SERRY_OK) {
        e = pipe_poll(l, deadline);
        pipe_local_leave(l);
    }
    sri_leave();
    return sri_within(e, timeout);
}

/* ---- giving and closing ---- */

/* The end is no longer this process's. Its outgoing leg stays until the home stops it. */
static void pipe_lose(pipe_local *l)
{
    l->mine = l->sends = l->recvs = false;
    l->over = 0;
    l->more = false;
    l->in_broken = l->out_broken = false;
}

static serry_err pipe_leave_ready(const pipe_local *l)
{
    return l->giving ? sri_local_fail(&l->local, SERRY_ESTATE,
                                      "another thread is giving or closing this end")
                     : SERRY_OK;
}

static serry_err pipe_give_asked(pipe_local *l, int rank)
{
    pipe_wire_ask ask = { .end = (uint8_t)pipe_side(l->local.id), .rank = rank };
    pipe_rest *rest;
    SRI_TRY(pipe_leave_ready(l));
    if (l->local.users > 1)
        return sri_local_fail(&l->local, SERRY_ESTATE,
                              "a thread of this process is in a call on this end");
    SRI_TRY(pipe_rest_new(l->local.id, true, &rest));
    l->giving = true;
    SRI_POINT(88);
    serry_err e = sri_service_call(pipe_object(l->local.id), PIPE_OP_GIVE, &ask, sizeof ask, NULL,
                                   0, NULL, SRI_NEVER);
    l->giving = false;
    if (e != SERRY_OK || rank == sri_world.rank) {
        free(rest);
        return e;
    }
    uint64_t handle = l->local.id;
    pipe_lose(l);
    pipe_rest_begin(rest, &l->in);
    pipe_rest_linger(handle);
    return SERRY_OK;
}

serry_err serry_conn_give(serry_conn c, int rank)
{
    pipe_local *l;
    SRI_TRY(sri_enter());
    serry_err e = pipe_check(c);
    if (e == SERRY_OK)
        e = sri_message_check_rank("the new owner", rank);
    if (e == SERRY_OK)
        e = pipe_local_know(c.id, &l);
    if (e == SERRY_OK) {
        e = pipe_give_asked(l, rank);
        pipe_local_leave(l);
    }
    sri_leave();
    return e;
}

static serry_err pipe_close_asked(pipe_local *l)
{
    uint64_t object = pipe_object(l->local.id);
    pipe_wire_closed out = { 0 };
    sri_reply reply = { 0 };
    pipe_rest *rest;
    SRI_TRY(pipe_leave_ready(l));
    SRI_TRY(pipe_rest_new(l->local.id, false, &rest));
    l->giving = true;
    if (l->mine) {
        l->closed = true;
        pipe_send_withdraw(l);
        pipe_stir(l);
    }
    pipe_wire_ask ask = { .end = (uint8_t)pipe_side(l->local.id),
                          .tag = l->to >= 0 ? (uint32_t)l->tag : 0,
                          .count = l->sent };
    SRI_POINT(88);
    serry_err e =
        sri_service_call(object, PIPE_OP_CLOSE, &ask, sizeof ask, NULL, 0, &reply, SRI_NEVER);
    l->giving = false;
    if (e == SERRY_OK && reply.len == sizeof out)
        memcpy(&out, reply.bytes, sizeof out);
    sri_reply_fini(&reply);
    if (e != SERRY_OK) {
        free(rest);
        return e;
    }
    l->closed = true;
    l->to = -1;
    pipe_lose(l);
    pipe_rest_begin(rest, &l->in);
    pipe_stir(l);
    pipe_local_forget(l);
    if (out.ended)
        pipe_forget(object);
    return SERRY_OK;
}

serry_err serry_conn_close(serry_conn c)
{
    pipe_local *l;
    SRI_TRY(sri_enter());
    serry_err e = pipe_check(c);
    if (e == SERRY_OK)
        e = pipe_local_know(c.id, &l);
    if (e == SERRY_OK) {
        e = pipe_close_asked(l);
        pipe_local_leave(l);
    }
    sri_leave();
    return e;
}
