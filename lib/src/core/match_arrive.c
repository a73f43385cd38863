/* core/match_arrive.c: what arrives finds the receive that was posted for it, or waits. */
#include "core/incoming.h"

#include "base/log.h"

#include <assert.h>
#include <string.h>
#include <utlist.h>

void sri_match_bad(const sri_peer *p, const char *what)
{
    sri_log(SRI_LOG_ERROR, "rank %d breaks the protocol: %s; ignored", p->rank, what);
}

/* Of a flag each for those beyond the user's, without a branch; both at once is nobody's. */
static inline unsigned match_context(const sri_arrival *a)
{
    static_assert(SRI_FLAG_COLLECTIVE >> 1 == SRI_CONTEXT_COLLECTIVE, "the flag is the context");
    static_assert(SRI_FLAG_PIPE >> 3 == SRI_CONTEXT_PIPE, "the flag is the context");
    unsigned c = (a->flags & SRI_FLAG_COLLECTIVE) >> 1 | (a->flags & SRI_FLAG_PIPE) >> 3;
    return c < SRI_CONTEXTS ? c : SRI_CONTEXT_USER;
}

static void match_keep(sri_peer *p, const sri_arrival *a)
{
    int tag = (int)a->aux;
    sri_incoming *in = sri_incoming_make(p, match_context(a), tag, a->len, a->len);
    if (in) {
        if (a->len)
            memcpy(in->bytes, a->bytes, a->len);
    } else {
        in = sri_incoming_make(p, match_context(a), tag, a->len, 0);
        sri_log(SRI_LOG_ERROR, "no memory for a message of rank %d, tag %d, %zu bytes", p->rank,
                tag, a->len);
        if (!in)
            return;
        in->lost = true;
    }
    sri_incoming_queue(in);
}

static bool match_news_of_lost(sri_peer *p, const sri_arrival *a)
{
    uint32_t news[2];
    if (a->aux != SRI_TAG_LOST || match_context(a) != SRI_CONTEXT_COLLECTIVE
        || a->len != sizeof news) {
        sri_match_bad(p, "a message without a tag");
        return false;
    }
    memcpy(news, a->bytes, sizeof news);
    if (news[0] >= (uint32_t)sri_world.size) {
        sri_match_bad(p, "news of a rank that is none");
        return false;
    }
    return sri_match_lose((int)news[0], news[1]);
}

/* A message no receive has gets its bytes here; what finds no memory is counted, not kept. */
static void match_keep_data(sri_incoming *in, const sri_arrival *a)
{
    if (in->lost)
        return;
    if (sri_buffer_add(&in->kept, a->bytes, a->len) == SERRY_OK)
        return;
    sri_log(SRI_LOG_ERROR, "no memory for a message of rank %d, tag %d, %zu bytes", in->peer->rank,
            in->tag, in->len);
    sri_buffer_fini(&in->kept);
    in->lost = true;
}

/* The next bytes of a message that is arriving. True: a gate has opened. */
static bool match_piece(sri_incoming *in, const sri_arrival *a)
{
    sri_request *r = in->request;
    if (r)
        memcpy(r->buf.into + in->got, a->bytes, a->len);
    else
        match_keep_data(in, a);
    in->got += a->len;
    if (in->got < in->len)
        return false;
    if (!r && in->queued) {
        in->state = SRI_INCOMING_WHOLE;
        if (in->token)
            sri_ids_release(&sri_match.incomings, in->token);
        else
            in->peer->current = NULL;
        in->token = 0;
        return false;
    }
    sri_incoming_free(in);
    return r && sri_request_complete(r, SERRY_OK);
}

/* The sender has taken it back, and will not answer a CLEAR that crosses this. */
static bool match_taken_back(sri_incoming *in)
{
    sri_request *r = in->request;
    if (in->bulk && !sri_bulk_back(in)) {
        sri_match_bad(in->peer, "it takes back what it sends");
        return false;
    }
    sri_incoming_free(in);
    if (!r)
        return false;
    r->incoming = NULL;
    r->place = SRI_PLACE_NONE;
    return sri_match_begin(r);
}

/* A message of which the bytes are still to come. */
static sri_incoming *match_note(sri_peer *p, const sri_arrival *a, size_t len)
{
    sri_incoming *in = sri_incoming_make(p, match_context(a), (int)a->aux, len, 0);
    if (!in)
        sri_log(SRI_LOG_ERROR, "no memory to note a message of rank %d, tag %d", p->rank,
                (int)a->aux);
    return in;
}

/* The first piece of a message that goes unasked; the others are told by their order. */
static bool match_first_piece(sri_peer *p, const sri_arrival *a)
{
    uint64_t whole;
    if (a->aux > INT32_MAX || p->current || a->len <= sizeof whole) {
        sri_match_bad(p, "a first piece of a wrong form, or out of turn");
        return false;
    }
    memcpy(&whole, a->bytes, sizeof whole);
    sri_arrival rest = *a;
    rest.bytes += sizeof whole;
    rest.len -= sizeof whole;
    if (whole > SRI_UNASKED_MAX || whole <= rest.len) {
        sri_match_bad(p, "a message in pieces of a wrong length");
        return false;
    }
    sri_incoming *in = match_note(p, a, (size_t)whole);
    if (!in)
        return false;
    in->state = SRI_INCOMING_ARRIVING;
    p->current = in;
    sri_incoming_queue(in);
    bool opened = sri_match_offer(in);
    return match_piece(in, &rest) || opened;
}

bool sri_match_message(sri_peer *p, const sri_arrival *a)
{
    if (__builtin_expect(a->flags & SRI_FLAG_MORE, 0))
        return match_first_piece(p, a);
    if (__builtin_expect(a->aux > INT32_MAX, 0))
        return match_news_of_lost(p, a);
    unsigned context = match_context(a);
    int tag = (int)a->aux;
    bool opened = false;
    sri_request *r;
    while ((r = sri_match_posted(p, context, tag)) != NULL) {
        sri_match_unpost(r);
        sri_match_describe(r, p->rank, tag, a->len);
        if (__builtin_expect(sri_match_fits(a->len, r), 1)) {
            if (a->len)
                memcpy(r->buf.into, a->bytes, a->len);
            return sri_request_complete(r, SERRY_OK) || opened;
        }
        opened |= sri_request_complete(r, SERRY_ETRUNC);
    }
    match_keep(p, a);
    return opened;
}

bool sri_match_announce(sri_peer *p, const sri_arrival *a)
{
    uint64_t head[2];
    if (a->aux > INT32_MAX || a->len != sizeof head) {
        sri_match_bad(p, "an announcement of a wrong form");
        return false;
    }
    memcpy(head, a->bytes, sizeof head);
    if (head[1] > sri_world.max_message) {
        sri_match_bad(p, "an announcement beyond the limit of a message");
        return false;
    }
    sri_incoming *in = match_note(p, a, (size_t)head[1]);
    if (!in)
        return false;
    in->state = SRI_INCOMING_ANNOUNCED;
    in->remote = head[0];
    sri_incoming_queue(in);
    return sri_match_offer(in);
}

bool sri_match_data(sri_peer *p, const sri_arrival *a)
{
    sri_incoming *in = a->aux ? sri_ids_find(&sri_match.incomings, a->aux) : p->current;
    if (!in || in->peer != p || in->bulk || a->len == 0 || a->len > in->len - in->got) {
        sri_match_bad(p, "data that nobody asked for");
        return false;
    }
    return match_piece(in, a);
}

bool sri_match_withdraw(sri_peer *p, const sri_arrival *a)
{
    sri_incoming *in;
    DL_FOREACH (p->arriving, in)
        if (in->remote == a->aux && in->got == 0 && (!in->lost || in->bulk))
            return match_taken_back(in);
    for (unsigned c = 0; c < SRI_CONTEXTS; c++)
        DL_FOREACH (p->queued[c], in)
            if (in->remote == a->aux && in->got == 0 && in->state != SRI_INCOMING_WHOLE)
                return match_taken_back(in);
    sri_match_bad(p, "it takes back what it did not announce");
    return false;
}
