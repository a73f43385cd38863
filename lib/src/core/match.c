/* core/match.c: receiving: a receive finds what has arrived, or is posted; how it ends. */
#include "core/incoming.h"
#include "core/wait.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

static sri_incoming *match_find_of(sri_peer *p, unsigned context, int tag)
{
    sri_incoming *in;
    DL_FOREACH (p->queued[context], in)
        if (sri_match_tag(tag, in->tag))
            return in;
    return NULL;
}

sri_incoming *sri_match_find(unsigned context, int source, int tag)
{
    if (!sri_match.queued[context])
        return NULL;
    if (source != SERRY_ANY) {
        sri_peer *p = sri_peer_known(source);
        return p ? match_find_of(p, context, tag) : NULL;
    }
    sri_incoming *oldest = NULL;
    sri_peer *p;
    DL_FOREACH2 (sri_match.queued[context], p, next_queued[context]) {
        sri_incoming *in = match_find_of(p, context, tag);
        if (in && (!oldest || in->order < oldest->order))
            oldest = in;
    }
    return oldest;
}

/* ---- posted receives ---- */

static void match_post(sri_request **list, sri_request *r)
{
    r->place = SRI_PLACE_POSTED;
    sri_request *after = *list ? (*list)->prev : NULL;
    /* Usually the last; not if its message was taken back by the sender. */
    while (after && after->order > r->order)
        after = after == *list ? NULL : after->prev;
    if (after)
        DL_APPEND_ELEM(*list, after, r);
    else
        DL_PREPEND(*list, r);
}

/* ---- a message and a receive come together ---- */

/* All bytes are here. */
static bool match_finish(sri_incoming *in, sri_request *r)
{
    serry_err e = in->lost ? SERRY_ENOMEM : SERRY_OK;
    if (!in->lost && in->len)
        memcpy(r->buf.into, in->kept.data ? in->kept.data : in->bytes, in->len);
    sri_incoming_free(in);
    return sri_request_complete(r, e);
}

static void match_attach(sri_incoming *in, sri_request *r)
{
    in->request = r;
    r->incoming = in;
    r->place = SRI_PLACE_ARRIVING;
}

/* It stays where it is; this receive cannot have it. */
static bool match_refuse(sri_incoming *in, sri_request *r, serry_err e)
{
    sri_incoming_queue(in);
    return sri_request_complete(r, e);
}

static bool match_arriving(sri_incoming *in, sri_request *r)
{
    in->state = SRI_INCOMING_ARRIVING;
    DL_APPEND(in->peer->arriving, in);
    match_attach(in, r);
    return false;
}

static bool match_ask(sri_incoming *in, sri_request *r)
{
    sri_peer *p = in->peer;
    if (in->bulk == SRI_BULK_STANDS) { /* asked for before */
        if (sri_bulk_receive(in, r->buf.into, SRI_BULK_DIRECT))
            return match_arriving(in, r);
        return match_refuse(in, r, sri_bulk_to(p) ? SERRY_ENOMEM : SERRY_EDIED);
    }
    in->token = sri_ids_take(&sri_match.incomings, in);
    if (in->token == 0)
        return match_refuse(in, r, SERRY_ENOMEM);
    bool bulk = sri_bulk_to(p) && sri_bulk_receive(in, r->buf.into, SRI_BULK_DIRECT);
    match_arriving(in, r);
    SERRY_IGNORE(sri_output_control(p, &in->clear, SRI_KIND_CLEAR, in->remote, in->token, bulk));
    return false;
}

/* A message that another receive gave back half-way goes on with this one. */
static bool match_resume(sri_incoming *in, sri_request *r)
{
    bool stands = in->bulk == SRI_BULK_STANDS;
    if (stands || (in->bulk && sri_bulk_to(in->peer) && sri_bulk_back(in)))
        return match_ask(in, r); /* straight into the buffer, then */
    if (in->bulk)
        return match_arriving(in, r); /* all at once, at the end */
    DL_APPEND(in->peer->arriving, in);
    if (in->lost)
        return sri_request_complete(r, SERRY_ENOMEM);
    if (in->got)
        memcpy(r->buf.into, in->kept.data, in->got);
    sri_buffer_fini(&in->kept);
    match_attach(in, r);
    return false;
}

/* Gives a queued message to a receive that matches and is in no list. If it does not fit, the
 * receive fails and the message stays. True: a gate has opened. */
static bool match_take(sri_incoming *in, sri_request *r)
{
    sri_match_describe(r, in->peer->rank, in->tag, in->len);
    if (!sri_match_fits(in->len, r))
        return sri_request_complete(r, SERRY_ETRUNC);
    if (in->state == SRI_INCOMING_WHOLE)
        return match_finish(in, r);
    sri_incoming_unqueue(in);
    return in->state == SRI_INCOMING_ANNOUNCED ? match_ask(in, r) : match_resume(in, r);
}

/* A message has come into the queue: posted receives that match go first. */
bool sri_match_offer(sri_incoming *in)
{
    sri_peer *p = in->peer;
    bool opened = false;
    sri_request *r;
    while ((r = sri_match_posted(p, in->context, in->tag)) != NULL) {
        sri_match_unpost(r);
        bool fits = sri_match_fits(in->len, r);
        opened |= match_take(in, r);
        if (fits)
            break;
    }
    return opened;
}

/* Begins, or begins again when its message is taken back, in the place its order says. */
bool sri_match_begin(sri_request *r)
{
    sri_incoming *in = sri_match_find(r->context, r->peer, r->tag);
    if (in)
        return match_take(in, r);
    sri_match_describe(r, r->peer, r->tag, 0);
    if (__builtin_expect(r->context == SRI_CONTEXT_COLLECTIVE && sri_match.lost.known, 0)
        && sri_collective_reached(sri_collective_of(r->tag), sri_match.lost.from))
        return sri_request_complete(r, SERRY_EDIED);
    if (r->peer == SERRY_ANY) {
        if (sri_match_any_failed(&r->status.source))
            return sri_request_complete(r, SERRY_EDIED);
        match_post(&sri_match.any[r->context], r);
        return false;
    }
    sri_peer *p = sri_peer_of(r->peer);
    if (!p)
        return sri_request_complete(r, SERRY_ENOMEM);
    if (__builtin_expect(p->gone != 0, 0))
        return sri_request_complete(r, SERRY_EDIED);
    match_post(&p->posted[r->context], r);
    return false;
}

bool sri_match_receive(sri_request *r)
{
    r->kind = 0;
    r->place = SRI_PLACE_NONE;
    r->done = false;
    r->incoming = NULL;
    r->order = ++sri_match.order;
    sri_match_begin(r);
    return r->done;
}

/* Until the transport has moved all of it into the receive's buffer. */
static bool match_wait_bulk(sri_request *r)
{
    static const sri_waiting why = { .kind = SRI_WAIT_REQUEST, .peer = SERRY_ANY };
    sri_gate gate = { .left = 1 };
    r->gate = &gate;
    SERRY_IGNORE(sri_wait(&gate.open, SRI_NEVER, &why));
    r->gate = NULL;
    return false;
}

bool sri_match_abandon(sri_request *r)
{
    if (r->place == SRI_PLACE_POSTED) {
        sri_match_unpost(r);
        return true;
    }
    sri_incoming *in = r->incoming;
    if (in->bulk == SRI_BULK_DIRECT && !sri_bulk_back(in))
        return match_wait_bulk(r);
    r->place = SRI_PLACE_NONE;
    r->incoming = NULL;
    in->request = NULL;
    if (in->got && sri_buffer_add(&in->kept, r->buf.into, in->got) != SERRY_OK)
        in->lost = true;
    DL_DELETE(in->peer->arriving, in);
    if (in->bulk == SRI_BULK_STANDS && !sri_bulk_keep(in))
        in->state = SRI_INCOMING_ANNOUNCED;
    sri_incoming_queue(in);
    if (sri_match_offer(in))
        sri_wait_notify();
    return true;
}

serry_err sri_match_self(unsigned context, int tag, const void *buf, size_t len)
{
    sri_peer *p = sri_peer_of(sri_world.rank);
    if (!p)
        return sri_fail(SERRY_ENOMEM, "no memory for a message of %zu bytes", len);
    bool opened = false, taken = false;
    sri_request *r;
    while (!taken && (r = sri_match_posted(p, context, tag)) != NULL) {
        sri_match_unpost(r);
        sri_match_describe(r, p->rank, tag, len);
        taken = sri_match_fits(len, r);
        if (taken && len)
            memcpy(r->buf.into, buf, len);
        opened |= sri_request_complete(r, taken ? SERRY_OK : SERRY_ETRUNC);
    }
    if (opened)
        sri_wait_notify();
    if (taken)
        return SERRY_OK;
    sri_incoming *in = sri_incoming_make(p, context, tag, len, len);
    if (!in)
        return sri_fail(SERRY_ENOMEM, "no memory for a message of %zu bytes", len);
    if (len)
        memcpy(in->bytes, buf, len);
    sri_incoming_queue(in);
    return SERRY_OK;
}
