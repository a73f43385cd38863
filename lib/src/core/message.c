/* core/message.c: sending, receiving and waiting, for callers inside serry that have entered the
 * core and checked their arguments. */
#include "core/message.h"

#include "core/match.h"
#include "core/wait.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

serry_err sri_message_init(void)
{
    memset(&sri_match, 0, sizeof sri_match);
    sri_requests_reset();
    size_t max = sri_world.transport->frame_max;
    sri_match.eager_max = max < SRI_EAGER_MAX ? max : SRI_EAGER_MAX;
    return SERRY_OK;
}

static void message_forget(sri_peer *p)
{
    sri_output_drop(p, NULL, SERRY_ESTATE);
    while (p->arriving)
        sri_incoming_free(p->arriving);
    for (unsigned c = 0; c < SRI_CONTEXTS; c++)
        while (p->queued[c])
            sri_incoming_free(p->queued[c]);
    free(p);
}

void sri_message_fini(void)
{
    for (int i = 0; i < sri_match.n_peers; i++)
        if (sri_match.peers[i])
            message_forget(sri_match.peers[i]);
    free(sri_match.peers);
    free(sri_match.untold);
    sri_ids_fini(&sri_match.sends);
    sri_ids_fini(&sri_match.incomings);
    sri_requests_fini();
    memset(&sri_match, 0, sizeof sri_match);
}

/* ---- requests of blocking calls, on the stack ---- */

static inline void message_fill(sri_request *r, sri_context c, int peer, int tag, size_t len,
                                sri_gate *gate)
{
    r->context = (uint8_t)c;
    r->error = SERRY_OK;
    r->peer = peer;
    r->tag = tag;
    r->len = len;
    r->least = 0;
    r->gate = gate;
}

static inline sri_waiting message_why(sri_context c, sri_wait_kind kind, int peer, int tag)
{
    return (sri_waiting){ .kind = c == SRI_CONTEXT_COLLECTIVE ? SRI_WAIT_COLLECTIVE : kind,
                          .peer = peer,
                          .object = (uint32_t)tag };
}

static serry_err message_send_slowly(sri_context c, sri_peer *p, int tag, const void *buf,
                                     size_t len)
{
    sri_gate gate = { .left = 1 };
    sri_request r;
    message_fill(&r, c, p->rank, tag, len, &gate);
    r.buf.from = buf;
    if (!sri_output_send(p, &r)) {
        sri_waiting why = message_why(c, SRI_WAIT_SEND, p->rank, tag);
        SRI_TRY(sri_wait(&gate.open, SRI_NEVER, &why));
    }
    return sri_request_result(&r);
}

serry_err sri_message_send(sri_context c, int dest, int tag, const void *buf, size_t len)
{
    if (__builtin_expect(dest == sri_world.rank, 0))
        return sri_match_self(c, tag, buf, len);
    sri_peer *p = sri_peer_of(dest);
    if (__builtin_expect(!p, 0))
        return sri_fail(SERRY_ENOMEM, "no memory to know rank %d", dest);
    if (__builtin_expect(len <= sri_match.eager_max && !p->out && !p->gone, 1)
        && __builtin_expect(sri_output_short(p, c, tag, buf, len) == SRI_SENT, 1))
        return SERRY_OK;
    return message_send_slowly(c, p, tag, buf, len);
}

static serry_err message_not_in_time(int source, int tag)
{
    char from[32] = "any rank", tagged[32] = "any tag";
    if (source != SERRY_ANY)
        snprintf(from, sizeof from, "rank %d", source);
    if (tag != SERRY_ANY)
        snprintf(tagged, sizeof tagged, "tag %d", tag);
    return sri_fail(SERRY_ETIMEDOUT, "no message of %s, %s", from, tagged);
}

/* What a receive tells its caller. */
static inline serry_err message_received(const sri_request *r, serry_status *status)
{
    if (status && (r->error == SERRY_OK || r->error == SERRY_ETRUNC || r->error == SERRY_EDIED))
        *status = r->status;
    return __builtin_expect(r->error == SERRY_OK, 1) ? SERRY_OK : sri_request_result(r);
}

serry_err sri_message_recv(sri_context c, int source, int tag, void *buf, size_t cap,
                           serry_status *status, sri_ns deadline)
{
    sri_gate gate = { .left = 1 };
    sri_request r;
    message_fill(&r, c, source, tag, cap, &gate);
    r.buf.into = buf;
    if (!sri_match_receive(&r)) {
        sri_waiting why = message_why(c, SRI_WAIT_RECV, source, tag);
        if (sri_wait(&gate.open, deadline, &why) != SERRY_OK) {
            if (sri_match_abandon(&r))
                return message_not_in_time(source, tag);
        }
    }
    return message_received(&r, status);
}

/* The receive that goes with a send that has failed, or the other way round, is given up; the send
 * if it still can be: otherwise its end is waited for, since it borrows the caller's bytes. */
static void message_give_up(sri_request *send, sri_request *recv, sri_gate *gate)
{
    if (!recv->done)
        sri_match_abandon(recv);
    if (send->done || sri_output_withdraw(send) == SERRY_OK)
        return;
    *gate = (sri_gate){ .left = 1 };
    SERRY_IGNORE(sri_wait(&gate->open, SRI_NEVER, NULL));
}

serry_err sri_message_sendrecv(sri_context c, int dest, int send_tag, const void *out, size_t len,
                               int source, int recv_tag, void *in, size_t cap, serry_status *status)
{
    sri_gate gate = { .left = 2, .hasty = true };
    sri_request recv, send;
    message_fill(&recv, c, source, recv_tag, cap, &gate);
    recv.buf.into = in;
    sri_match_receive(&recv);
    message_fill(&send, c, dest, send_tag, len, &gate);
    send.buf.from = out;
    if (dest == sri_world.rank) {
        send.place = SRI_PLACE_NONE;
        send.status = (serry_status){ dest, send_tag, len };
        sri_request_complete(&send, sri_match_self(c, send_tag, out, len));
    } else {
        sri_peer *p = sri_peer_of(dest);
        if (p)
            sri_output_send(p, &send);
        else
            sri_request_complete(&send, SERRY_ENOMEM);
    }
    if (!gate.open) {
        /* For two peers at once. */
        sri_waiting why = message_why(c, SRI_WAIT_REQUEST, SERRY_ANY, recv_tag);
        SRI_TRY(sri_wait(&gate.open, SRI_NEVER, &why));
    }
    if (!recv.done || !send.done) {
        /* The one that failed first decides, whatever becomes of the other. */
        bool recv_failed = recv.done;
        message_give_up(&send, &recv, &gate);
        if (recv_failed)
            return message_received(&recv, status);
    }
    if (send.error != SERRY_OK)
        return sri_request_result(&send);
    return message_received(&recv, status);
}

/* ---- requests that outlive the call ---- */

serry_err sri_message_isend(sri_context c, serry_request *r, int dest, int tag, const void *buf,
                            size_t len)
{
    sri_peer *p = sri_peer_of(dest);
    if (!p)
        return sri_fail(SERRY_ENOMEM, "no memory to know rank %d", dest);
    if (dest == sri_world.rank
        || (len <= sri_match.eager_max && !p->out && !p->gone
            && sri_output_short(p, c, tag, buf, len) == SRI_SENT)) {
        if (dest == sri_world.rank)
            SRI_TRY(sri_match_self(c, tag, buf, len));
        r->id = 0; /* finished */
        return SERRY_OK;
    }
    sri_request *q;
    uint64_t id;
    SRI_TRY(sri_request_take(&q, &id));
    message_fill(q, c, dest, tag, len, NULL);
    q->buf.from = buf;
    if (sri_output_send(p, q) && q->error != SERRY_OK) {
        serry_err e = sri_request_result(q);
        sri_request_release(id);
        return e;
    }
    r->id = id;
    return SERRY_OK;
}

serry_err sri_message_irecv(sri_context c, serry_request *r, int source, int tag, void *buf,
                            size_t cap)
{
    sri_request *q;
    uint64_t id;
    SRI_TRY(sri_request_take(&q, &id));
    message_fill(q, c, source, tag, cap, NULL);
    q->buf.into = buf;
    if (sri_match_receive(q) && q->error == SERRY_EDIED && source != SERRY_ANY) {
        serry_err e = sri_request_result(q);
        sri_request_release(id);
        return e;
    }
    r->id = id;
    return SERRY_OK;
}

static serry_err message_bad_handle(uint64_t id)
{
    return sri_fail(SERRY_EHANDLE, "no request has the handle %#llx: stale, foreign or finished",
                    (unsigned long long)id);
}

/* The requests of a wait stand at its gate while it lasts. */
static void message_detach(serry_request *rs, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        sri_request *q = rs[i].id ? sri_request_find(rs[i].id) : NULL;
        if (q)
            q->gate = NULL;
    }
}

/* All that are not zero, each once; SERRY_EHANDLE, SERRY_ESTATE change nothing. *done is how many
 * have finished already. */
static serry_err message_attach(serry_request *rs, size_t n, sri_gate *gate, size_t *pending,
                                size_t *done)
{
    *pending = *done = 0;
    for (size_t i = 0; i < n; i++) {
        if (rs[i].id == 0)
            continue;
        sri_request *q = sri_request_find(rs[i].id);
        if (!q || q->gate) {
            message_detach(rs, i);
            return !q ? message_bad_handle(rs[i].id)
                      : sri_fail(SERRY_ESTATE, "request %zu is waited for already", i);
        }
        q->gate = gate;
        if (q->done)
            ++*done;
        else
            ++*pending;
    }
    return SERRY_OK;
}

/* A finished request tells its result and becomes zero. */
static serry_err message_harvest(serry_request *r, serry_status *status)
{
    sri_request *q = sri_request_find(r->id);
    sri_match.order++; /* it may have been posted long ago: this is when its news is heard */
    serry_err e = message_received(q, status);
    sri_request_release(r->id);
    r->id = 0;
    return e;
}

static const serry_status message_no_status = { SERRY_NONE, SERRY_ANY, 0 };

/* "a receive of rank 3, tag 7" */
static void message_describe(const sri_request *q, char *text, size_t cap)
{
    char peer[32] = "any rank", tag[32] = "any tag";
    if (q->peer != SERRY_ANY)
        snprintf(peer, sizeof peer, "rank %d", q->peer);
    if (q->tag != SERRY_ANY)
        snprintf(tag, sizeof tag, "tag %d", q->tag);
    snprintf(text, cap, "%s %s, %s", q->kind ? "a send to" : "a receive of", peer, tag);
}

static serry_err message_requests_late(const serry_request *rs, size_t n, size_t pending)
{
    char text[96] = "";
    for (size_t i = 0; i < n && !text[0]; i++) {
        const sri_request *q = rs[i].id ? sri_request_find(rs[i].id) : NULL;
        if (q && !q->done)
            message_describe(q, text, sizeof text);
    }
    if (pending == 1)
        return sri_fail(SERRY_ETIMEDOUT, "%s, did not finish", text);
    return sri_fail(SERRY_ETIMEDOUT, "%zu requests did not finish, the first of them %s", pending,
                    text);
}

serry_err sri_message_wait_all(serry_request *rs, size_t n, serry_status *statuses, sri_ns deadline)
{
    sri_gate gate = { 0 };
    size_t done;
    SRI_TRY(message_attach(rs, n, &gate, &gate.left, &done));
    if (gate.left) {
        const sri_waiting why = { .kind = SRI_WAIT_REQUEST, .peer = SERRY_ANY };
        SERRY_IGNORE(sri_wait(&gate.open, deadline, &why));
    }
    size_t pending = gate.left;
    sri_kept_error first = { .e = SERRY_OK };
    message_detach(rs, n);
    for (size_t i = 0; i < n; i++) {
        serry_status *st = statuses ? &statuses[i] : NULL;
        if (rs[i].id == 0) {
            if (st)
                *st = message_no_status;
            continue;
        }
        if (!sri_request_find(rs[i].id)->done)
            continue;
        serry_err e = message_harvest(&rs[i], st);
        if (e != SERRY_OK && first.e == SERRY_OK)
            first = sri_error_keep(e);
    }
    if (first.e != SERRY_OK)
        return sri_error_again(&first);
    return pending ? message_requests_late(rs, n, pending) : SERRY_OK;
}

serry_err sri_message_wait_any(serry_request *rs, size_t n, size_t *which, serry_status *status,
                               sri_ns deadline)
{
    sri_gate gate = { .left = 1 };
    size_t pending, done;
    SRI_TRY(message_attach(rs, n, &gate, &pending, &done));
    if (pending && !done) {
        const sri_waiting why = { .kind = SRI_WAIT_REQUEST, .peer = SERRY_ANY };
        SERRY_IGNORE(sri_wait(&gate.open, deadline, &why));
    }
    message_detach(rs, n);
    for (size_t i = 0; i < n; i++) {
        if (rs[i].id == 0 || !sri_request_find(rs[i].id)->done)
            continue;
        if (which)
            *which = i;
        return message_harvest(&rs[i], status);
    }
    if (pending)
        return message_requests_late(rs, n, pending);
    if (which)
        *which = n;
    if (status)
        *status = message_no_status;
    return SERRY_OK;
}

serry_err sri_message_wait(serry_request *r, serry_status *status, sri_ns deadline)
{
    sri_request *q = sri_request_find(r->id);
    if (!q)
        return message_bad_handle(r->id);
    if (q->gate)
        return sri_fail(SERRY_ESTATE, "the request is waited for already");
    if (!q->done) {
        sri_gate gate = { .left = 1 };
        q->gate = &gate;
        sri_waiting why =
            message_why(q->context, q->kind ? SRI_WAIT_SEND : SRI_WAIT_RECV, q->peer, q->tag);
        SERRY_IGNORE(sri_wait(&gate.open, deadline, &why));
        q->gate = NULL;
        if (!q->done)
            return message_requests_late(r, 1, 1);
    }
    return message_harvest(r, status);
}

serry_err sri_message_cancel(serry_request *r)
{
    sri_request *q = sri_request_find(r->id);
    if (!q)
        return message_bad_handle(r->id);
    if (q->gate)
        return sri_fail(SERRY_ESTATE, "a thread waits for the request");
    if (q->done)
        return sri_fail(SERRY_ESTATE, "the request has finished: wait for it");
    if (q->kind != 0) {
        SRI_TRY(sri_output_withdraw(q));
    } else if (q->place == SRI_PLACE_POSTED) {
        sri_match_abandon(q);
    } else {
        return sri_fail(SERRY_ESTATE,
                        "a message of rank %d, tag %d, is on its way into the request",
                        q->status.source, q->status.tag);
    }
    sri_request_release(r->id);
    r->id = 0;
    return SERRY_OK;
}

void sri_message_drop(serry_request *r)
{
    sri_request *q = r->id ? sri_request_find(r->id) : NULL;
    if (!q)
        return;
    if (!q->done && q->kind == 0) {
        sri_match_abandon(q);
    } else if (!q->done && sri_output_withdraw(q) != SERRY_OK) {
        sri_gate gate = { .left = 1 };
        q->gate = &gate;
        SERRY_IGNORE(sri_wait(&gate.open, SRI_NEVER, NULL));
    }
    sri_request_release(r->id);
    r->id = 0;
}

/* ---- probing ---- */

typedef struct message_probe {
    sri_context context;
    int source;
    int tag;
    sri_incoming *found;
    bool failed;
    int failed_source;
} message_probe;

static bool message_probe_ready(void *ctx)
{
    message_probe *p = ctx;
    p->found = sri_match_find(p->context, p->source, p->tag);
    if (p->found)
        return true;
    if (p->source == SERRY_ANY)
        p->failed = sri_match_any_failed(&p->failed_source);
    else if (sri_message_peer_gone(p->source))
        p->failed = true;
    return p->failed;
}

serry_err sri_message_probe(sri_context c, int source, int tag, serry_status *status,
                            sri_ns deadline)
{
    message_probe p = { .context = c, .source = source, .tag = tag, .failed_source = source };
    sri_waiting why = message_why(c, SRI_WAIT_RECV, source, tag);
    if (sri_wait_until(message_probe_ready, &p, deadline, &why) != SERRY_OK)
        return message_not_in_time(source, tag);
    if (p.failed) {
        if (status)
            *status = (serry_status){ p.failed_source, tag, 0 };
        return p.failed_source >= 0 ? sri_match_fail_gone(p.failed_source)
                                    : sri_fail(SERRY_EDIED, "no other rank is left");
    }
    if (status)
        *status = (serry_status){ p.found->peer->rank, p.found->tag, p.found->len };
    return SERRY_OK;
}
