/* patterns/pipe_recv.c: receiving: what the home has handed over, and the legs, in order. */
#include "patterns/pipe_local.h"

#include "base/point.h"
#include "core/wait.h"

#include <string.h>
#include <utlist.h>

static serry_err recv_late(const pipe_local *l)
{
    return sri_local_fail(&l->local, SERRY_ETIMEDOUT, "no message came");
}

static serry_err recv_misfit(const pipe_local *l, size_t got, size_t cap, size_t *len)
{
    if (!len)
        return sri_local_fail(&l->local, SERRY_EINVAL, "the message has %zu bytes, not %zu", got,
                              cap);
    *len = got;
    return sri_local_fail(&l->local, SERRY_ETRUNC, "the message has %zu bytes, the buffer %zu", got,
                          cap);
}

/* SERRY_OK: more may come. */
static serry_err recv_state(const pipe_local *l)
{
    if (l->in_broken)
        return sri_local_fail(&l->local, SERRY_EDIED,
                              "messages were lost with a process that gave its end away");
    if (l->no_memory)
        return sri_local_fail(&l->local, SERRY_ENOMEM, "no memory for a message");
    return l->more && !l->closed && !l->local.destroyed ? SERRY_OK : pipe_fail_over(l);
}

/* The first piece from which anything may come. */
static pipe_piece *recv_front(pipe_local *l)
{
    pipe_piece *piece;
    while ((piece = l->in) && piece->leg) {
        if (pipe_leg_is_torn(piece))
            l->in_broken = true;
        else if (!pipe_leg_is_over(piece))
            return piece;
        pipe_piece_out(&l->in, piece);
        if (l->local.users > 1)
            pipe_stir(l);
    }
    return piece;
}

static serry_err recv_kept(pipe_local *l, pipe_piece *piece, void *buf, size_t cap, size_t *len)
{
    if (piece->len > cap || (!len && piece->len != cap))
        return recv_misfit(l, piece->len, cap, len);
    if (piece->len)
        memcpy(buf, piece->bytes, piece->len);
    if (len)
        *len = piece->len;
    pipe_piece_out(&l->in, piece);
    SRI_POINT(89);
    return SERRY_OK;
}

typedef struct recv_wait {
    const pipe_local *l;
    const sri_request *request;
    unsigned seen;
} recv_wait;

/* A message on its way into the buffer is not let go. */
static bool recv_ready(void *ctx)
{
    const recv_wait *w = ctx;
    if (w->request->done)
        return true;
    return (w->l->stirs != w->seen || w->l->local.destroyed)
           && w->request->place == SRI_PLACE_POSTED;
}

/* What a receive from a leg has come to. */
static serry_err recv_done(pipe_local *l, pipe_piece *leg, const sri_request *r, size_t cap,
                           size_t *len, bool *again)
{
    switch (r->error) {
    case SERRY_OK:
        SRI_POINT(89);
        leg->taken++;
        if (__builtin_expect(leg->known || leg->lost, 0))
            pipe_stir(l); /* other threads may wait for this leg's end */
        if (len)
            *len = r->status.len;
        return SERRY_OK;
    case SERRY_ETRUNC:
        return recv_misfit(l, r->status.len, cap, len);
    case SERRY_EDIED:
        *again = true;
        return SERRY_OK;
    default:
        return sri_local_fail(&l->local, r->error, "a message is lost: %s",
                              serry_err_text(r->error));
    }
}

static serry_err recv_leg(pipe_local *l, pipe_piece *leg, void *buf, size_t cap, size_t *len,
                          sri_ns deadline, bool *again)
{
    sri_gate gate = { .left = 1 };
    sri_request r;
    unsigned seen = l->stirs;
    r.context = SRI_CONTEXT_PIPE;
    r.error = SERRY_OK;
    r.peer = leg->rank;
    r.tag = leg->tag;
    r.buf.into = buf;
    r.len = cap;
    r.least = len ? 0 : cap;
    r.gate = &gate;
    leg->users++;
    if (!sri_match_receive(&r)) {
        recv_wait w = { .l = l, .request = &r, .seen = seen };
        sri_waiting why = { .kind = SRI_WAIT_RECV,
                            .peer = leg->rank,
                            .object = (uint32_t)leg->tag };
        serry_err e = sri_wait_until(recv_ready, &w, deadline, &why);
        if (!r.done && sri_match_abandon(&r)) {
            pipe_piece_leave(leg);
            *again = e == SERRY_OK;
            return e == SERRY_OK ? e : recv_late(l);
        }
    }
    serry_err e = recv_done(l, leg, &r, cap, len, again);
    pipe_piece_leave(leg);
    if (__builtin_expect(*again, 0)) {
        /* Its writer is gone. The home says whether that was all. */
        const pipe_piece *front = recv_front(l);
        bool same = front && front->leg && front->tag == r.tag;
        serry_err stirred = same ? pipe_wait_stir(l, seen, deadline) : SERRY_OK;
        if (stirred != SERRY_OK) {
            *again = false;
            return stirred == SERRY_ETIMEDOUT ? recv_late(l) : stirred;
        }
    }
    return e;
}

serry_err pipe_recv(pipe_local *l, void *buf, size_t cap, size_t *len, sri_ns deadline)
{
    for (;;) {
        unsigned seen = l->stirs;
        if (__builtin_expect(l->closed || l->local.destroyed, 0))
            return pipe_fail_over(l);
        pipe_piece *piece = recv_front(l);
        if (__builtin_expect(piece && !piece->leg, 0))
            return recv_kept(l, piece, buf, cap, len);
        if (__builtin_expect(!piece, 0)) {
            SRI_TRY(recv_state(l));
            if (pipe_wait_stir(l, seen, deadline) != SERRY_OK)
                return recv_late(l);
            continue;
        }
        bool again = false;
        serry_err e = recv_leg(l, piece, buf, cap, len, deadline, &again);
        if (__builtin_expect(!again, 1))
            return e;
    }
}

/* A receive would not wait. */
static bool poll_ready(void *ctx)
{
    pipe_local *l = ctx;
    if (l->closed || l->local.destroyed)
        return true;
    pipe_piece *piece = recv_front(l);
    if (!piece)
        return l->in_broken || l->no_memory || l->homeless || (l->over && !l->more);
    return !piece->leg || pipe_leg_find(piece)
           || (l->homeless && sri_message_peer_gone(piece->rank));
}

serry_err pipe_poll(pipe_local *l, sri_ns deadline)
{
    sri_waiting why = { .kind = SRI_WAIT_REQUEST, .peer = SERRY_ANY };
    if (sri_wait_until(poll_ready, l, deadline, &why) != SERRY_OK)
        return recv_late(l);
    return SERRY_OK;
}
