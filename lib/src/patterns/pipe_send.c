/* patterns/pipe_send.c: sending: straight to the process at the other end, once the home has said
 * which one that is, and by way of the home before. */
#include "patterns/pipe_local.h"

#include "base/point.h"
#include "core/fence.h"
#include "core/service.h"
#include "core/wait.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

static serry_err send_late(const pipe_local *l)
{
    return sri_local_fail(&l->local, SERRY_ETIMEDOUT, "the other end took nothing");
}

/* ---- by way of the home ---- */

static serry_err send_home(pipe_local *l, const void *buf, size_t len, sri_ns deadline, bool *again)
{
    pipe_wire_ask ask = { .end = (uint8_t)pipe_side(l->local.id) };
    pipe_wire_put out = { .what = PIPE_PUT_KEPT };
    sri_reply reply = { 0 };
    bool fits = len + PIPE_MESSAGE_COST <= PIPE_KEPT_MAX;
    SRI_POINT(82);
    serry_err e = sri_service_call(pipe_object(l->local.id), fits ? PIPE_OP_PUT : PIPE_OP_WAIT,
                                   &ask, sizeof ask, buf, fits ? len : 0, &reply, deadline);
    SRI_POINT(83);
    if (e == SERRY_OK && reply.len != sizeof out)
        e = sri_fail(SERRY_EINTERNAL, "the answer to a send has %zu bytes", reply.len);
    if (e == SERRY_OK)
        memcpy(&out, reply.bytes, sizeof out);
    sri_reply_fini(&reply);
    *again = out.what == PIPE_PUT_AGAIN;
    return e;
}

/* ---- straight ---- */

static bool send_ready(void *ctx)
{
    const pipe_sending *s = ctx;
    return s->request.done || s->withdrawn;
}

/* It has begun to flow when its time is over: it will be sent, so it counts as sent. */
static serry_err send_hand_over(const pipe_local *l, pipe_sending *s)
{
    if (!pipe_rest_send(s)) {
        SERRY_IGNORE(sri_wait_until(send_ready, s, SRI_NEVER, NULL));
        serry_err e = s->request.error;
        free(s);
        return e == SERRY_OK ? e : sri_local_fail(&l->local, e, "the other end is gone");
    }
    return SERRY_OK;
}

/* It was counted and was not sent. Its leg may be another by now. */
static void send_uncount(pipe_local *l, const sri_request *r)
{
    if (l->to >= 0 && l->tag == r->tag)
        l->sent--;
}

static serry_err send_slowly(pipe_local *l, sri_peer *p, const void *buf, size_t len,
                             sri_ns deadline, bool *again)
{
    unsigned seen = l->stirs;
    pipe_sending *s = calloc(1, sizeof *s);
    if (!s) {
        l->sent--;
        return sri_local_fail(&l->local, SERRY_ENOMEM, "no memory for a message of %zu bytes", len);
    }
    s->gate.left = 1;
    s->request = (sri_request){ .context = SRI_CONTEXT_PIPE,
                                .peer = p->rank,
                                .tag = l->tag,
                                .len = len,
                                .gate = &s->gate,
                                .buf.from = buf };
    DL_APPEND(l->sending, s);
    if (!sri_output_send(p, &s->request)) {
        sri_waiting why = { .kind = SRI_WAIT_SEND, .peer = p->rank, .object = (uint32_t)l->tag };
        SERRY_IGNORE(sri_wait_until(send_ready, s, deadline, &why));
    }
    DL_DELETE(l->sending, s);
    if (!s->withdrawn && !s->request.done) {
        if (sri_output_withdraw(&s->request) != SERRY_OK)
            return send_hand_over(l, s);
        send_uncount(l, &s->request);
        free(s);
        return send_late(l);
    }
    bool withdrawn = s->withdrawn;
    serry_err e = s->request.error;
    if (!withdrawn && e != SERRY_OK)
        send_uncount(l, &s->request);
    free(s);
    if (withdrawn) {
        *again = true;
        return SERRY_OK;
    }
    if (e == SERRY_OK)
        return e;
    if (e != SERRY_EDIED)
        return sri_local_fail(&l->local, e, "no message of %zu bytes can be sent to rank %d", len,
                              p->rank);
    /* The end may have gone to another before: the home says which it is. */
    e = pipe_wait_stir(l, seen, deadline);
    if (e != SERRY_OK)
        return e == SERRY_ETIMEDOUT ? send_late(l) : e;
    *again = true;
    return SERRY_OK;
}

static inline serry_err send_straight(pipe_local *l, const void *buf, size_t len, sri_ns deadline,
                                      bool *again)
{
    if (__builtin_expect(l->to == sri_world.rank, 0)) {
        SRI_TRY(sri_match_self(SRI_CONTEXT_PIPE, l->tag, buf, len));
        l->sent++;
        return SERRY_OK;
    }
    sri_peer *p = sri_peer_of(l->to);
    if (__builtin_expect(!p, 0))
        return sri_local_fail(&l->local, SERRY_ENOMEM, "no memory to know rank %d", l->to);
    l->sent++;
    SRI_POINT(84);
    if (__builtin_expect(len <= sri_match.eager_max && !p->out && !p->gone, 1)
        && __builtin_expect(sri_output_short(p, SRI_CONTEXT_PIPE, l->tag, buf, len) == SRI_SENT,
                            1)) {
        SRI_POINT(85);
        return SERRY_OK;
    }
    return send_slowly(l, p, buf, len, deadline, again);
}

/* ---- both ---- */

static inline serry_err send_state(const pipe_local *l)
{
    if (__builtin_expect(l->local.destroyed || l->closed || l->over, 0))
        return pipe_fail_over(l);
    if (__builtin_expect(l->out_broken, 0))
        return sri_local_fail(&l->local, SERRY_EDIED,
                              "messages were lost with a process that gave its end away");
    return SERRY_OK;
}

serry_err pipe_send(pipe_local *l, const void *buf, size_t len, sri_ns deadline)
{
    if (__builtin_expect(sri_service_unsettled != 0 && deadline == 0, 0))
        sri_fence_wait(deadline); /* that it has to wait for this is not for the other end to pay */
    for (;;) {
        bool again = false;
        SRI_TRY(send_state(l));
        serry_err e = l->to >= 0 ? send_straight(l, buf, len, deadline, &again)
                                 : send_home(l, buf, len, deadline, &again);
        if (__builtin_expect(!again, 1))
            return e;
    }
}

void pipe_send_withdraw(pipe_local *l)
{
    pipe_sending *s;
    DL_FOREACH (l->sending, s) {
        if (s->withdrawn || s->request.done || sri_output_withdraw(&s->request) != SERRY_OK)
            continue;
        s->withdrawn = true;
        send_uncount(l, &s->request);
    }
}

void pipe_send_stop(pipe_local *l, unsigned end, uint32_t tag)
{
    if (l->to < 0 || l->tag != (int)tag)
        return; /* closed in the meantime, which said the same */
    pipe_send_withdraw(l);
    l->to = -1;
    SRI_POINT(86);
    pipe_wire_ask ask = { .end = (uint8_t)end, .tag = tag, .count = l->sent };
    if (sri_service_post_soon(pipe_object(l->local.id), PIPE_OP_STOPPED, &ask, sizeof ask, NULL, 0)
        != SERRY_OK)
        l->no_memory = true;
}
