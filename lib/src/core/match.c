/* core/match.c: receiving: what arrives finds the receive that was posted for it, or waits. */
#include "core/match.h"

#include "base/log.h"
#include "core/wait.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

sri_match_state sri_match;

sri_peer *sri_peer_make(int rank)
{
    sri_match_state *m = &sri_match;
    if (rank >= m->n_peers) {
        int n = m->n_peers ? m->n_peers : 64;
        while (n <= rank)
            n *= 2;
        sri_peer **more = realloc(m->peers, (size_t)n * sizeof *more);
        if (!more)
            return NULL;
        memset(more + m->n_peers, 0, (size_t)(n - m->n_peers) * sizeof *more);
        m->peers = more;
        m->n_peers = n;
    }
    sri_peer *p = calloc(1, sizeof *p);
    if (!p)
        return NULL;
    p->rank = rank;
    m->peers[rank] = p;
    if (rank > m->highest)
        m->highest = rank;
    return p;
}

void sri_match_bad(const sri_peer *p, const char *what)
{
    sri_log(SRI_LOG_ERROR, "rank %d breaks the protocol: %s; ignored", p->rank, what);
}

/* ---- the queue of a peer ---- */

static void match_queue(sri_incoming *in)
{
    sri_peer *p = in->peer;
    unsigned c = in->context;
    if (!p->queued[c])
        DL_APPEND2(sri_match.queued[c], p, prev_queued[c], next_queued[c]);
    /* In the order of arrival: at the end, unless a receive has given its message back. */
    sri_incoming *after = p->queued[c] ? p->queued[c]->prev : NULL;
    while (after && after->order > in->order)
        after = after == p->queued[c] ? NULL : after->prev;
    if (after)
        DL_APPEND_ELEM(p->queued[c], after, in);
    else
        DL_PREPEND(p->queued[c], in);
    in->queued = true;
}

static void match_unqueue(sri_incoming *in)
{
    sri_peer *p = in->peer;
    unsigned c = in->context;
    DL_DELETE(p->queued[c], in);
    if (!p->queued[c])
        DL_DELETE2(sri_match.queued[c], p, prev_queued[c], next_queued[c]);
    in->queued = false;
}

void sri_incoming_free(sri_incoming *in)
{
    if (in->bulk)
        sri_bulk_forget(in);
    if (in->queued)
        match_unqueue(in);
    else if (in->state == SRI_INCOMING_ARRIVING)
        DL_DELETE(in->peer->arriving, in);
    if (in->peer->current == in)
        in->peer->current = NULL;
    if (in->token)
        sri_ids_release(&sri_match.incomings, in->token);
    if (in->clear.place == SRI_PLACE_OUT)
        DL_DELETE(in->peer->out, &in->clear);
    sri_buffer_fini(&in->kept);
    free(in);
}

/* A new message with room for n bytes of it, in no list yet. */
static sri_incoming *match_incoming(sri_peer *p, unsigned context, int tag, size_t len, size_t n)
{
    sri_incoming *in = malloc(sizeof *in + n);
    if (!in)
        return NULL;
    memset(in, 0, sizeof *in);
    in->peer = p;
    in->context = (uint8_t)context;
    in->tag = tag;
    in->len = len;
    in->order = ++sri_match.order;
    return in;
}

static inline bool match_tag(int wanted, int tag)
{
    return wanted == tag || wanted == SERRY_ANY;
}

static sri_incoming *match_find_of(sri_peer *p, unsigned context, int tag)
{
    sri_incoming *in;
    DL_FOREACH (p->queued[context], in)
        if (match_tag(tag, in->tag))
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

static inline void match_unpost(sri_request *r)
{
    sri_request **list = r->peer == SERRY_ANY ? &sri_match.any[r->context]
                                              : &sri_match.peers[r->peer]->posted[r->context];
    DL_DELETE(*list, r);
    r->place = SRI_PLACE_NONE;
}

static inline sri_request *match_first(sri_request *list, int tag)
{
    while (list && !match_tag(list->tag, tag))
        list = list->next;
    return list;
}

/* The oldest posted receive that a message of p and tag may go to. */
static inline sri_request *match_posted(sri_peer *p, unsigned context, int tag)
{
    sri_request *own = match_first(p->posted[context], tag);
    if (__builtin_expect(sri_match.any[context] == NULL, 1))
        return own;
    sri_request *any = match_first(sri_match.any[context], tag);
    if (own && any)
        return own->order < any->order ? own : any;
    return own ? own : any;
}

/* ---- a message and a receive come together ---- */

static inline void match_describe(sri_request *r, int source, int tag, size_t len)
{
    r->status.source = source;
    r->status.tag = tag;
    r->status.len = len;
}

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
    match_queue(in);
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
    SERRY_IGNORE(
        sri_output_control(p, &in->clear, SRI_KIND_CLEAR, in->remote, in->token, bulk));
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

/* Neither too long nor, for a receive that expects so many bytes, too short. */
static inline bool match_fits(size_t len, const sri_request *r)
{
    return len - r->least <= r->len - r->least;
}

/* Gives a queued message to a receive that matches and is in no list. If it does not fit, the
 * receive fails and the message stays. True: a gate has opened. */
static bool match_take(sri_incoming *in, sri_request *r)
{
    match_describe(r, in->peer->rank, in->tag, in->len);
    if (!match_fits(in->len, r))
        return sri_request_complete(r, SERRY_ETRUNC);
    if (in->state == SRI_INCOMING_WHOLE)
        return match_finish(in, r);
    match_unqueue(in);
    return in->state == SRI_INCOMING_ANNOUNCED ? match_ask(in, r) : match_resume(in, r);
}

/* A message has come into the queue: posted receives that match go first. */
static bool match_offer(sri_incoming *in)
{
    sri_peer *p = in->peer;
    bool opened = false;
    sri_request *r;
    while ((r = match_posted(p, in->context, in->tag)) != NULL) {
        match_unpost(r);
        bool fits = match_fits(in->len, r);
        opened |= match_take(in, r);
        if (fits)
            break;
    }
    return opened;
}

/* Begins, or begins again when its message is taken back, in the place its order says. */
static bool match_begin(sri_request *r)
{
    sri_incoming *in = sri_match_find(r->context, r->peer, r->tag);
    if (in)
        return match_take(in, r);
    match_describe(r, r->peer, r->tag, 0);
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
    match_begin(r);
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
        match_unpost(r);
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
    match_queue(in);
    if (match_offer(in))
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
    while (!taken && (r = match_posted(p, context, tag)) != NULL) {
        match_unpost(r);
        match_describe(r, p->rank, tag, len);
        taken = match_fits(len, r);
        if (taken && len)
            memcpy(r->buf.into, buf, len);
        opened |= sri_request_complete(r, taken ? SERRY_OK : SERRY_ETRUNC);
    }
    if (opened)
        sri_wait_notify();
    if (taken)
        return SERRY_OK;
    sri_incoming *in = match_incoming(p, context, tag, len, len);
    if (!in)
        return sri_fail(SERRY_ENOMEM, "no memory for a message of %zu bytes", len);
    if (len)
        memcpy(in->bytes, buf, len);
    match_queue(in);
    return SERRY_OK;
}

/* ---- arrivals ---- */

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
    sri_incoming *in = match_incoming(p, match_context(a), tag, a->len, a->len);
    if (in) {
        if (a->len)
            memcpy(in->bytes, a->bytes, a->len);
    } else {
        in = match_incoming(p, match_context(a), tag, a->len, 0);
        sri_log(SRI_LOG_ERROR, "no memory for a message of rank %d, tag %d, %zu bytes", p->rank,
                tag, a->len);
        if (!in)
            return;
        in->lost = true;
    }
    match_queue(in);
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
    return match_begin(r);
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
    sri_incoming *in = match_incoming(p, match_context(a), (int)a->aux, (size_t)whole, 0);
    if (!in) {
        sri_log(SRI_LOG_ERROR, "no memory to note a message of rank %d, tag %d", p->rank,
                (int)a->aux);
        return false;
    }
    in->state = SRI_INCOMING_ARRIVING;
    p->current = in;
    match_queue(in);
    bool opened = match_offer(in);
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
    while ((r = match_posted(p, context, tag)) != NULL) {
        match_unpost(r);
        match_describe(r, p->rank, tag, a->len);
        if (__builtin_expect(match_fits(a->len, r), 1)) {
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
    sri_incoming *in = match_incoming(p, match_context(a), (int)a->aux, (size_t)head[1], 0);
    if (!in) {
        sri_log(SRI_LOG_ERROR, "no memory to note a message of rank %d, tag %d", p->rank,
                (int)a->aux);
        return false;
    }
    in->state = SRI_INCOMING_ANNOUNCED;
    in->remote = head[0];
    match_queue(in);
    return match_offer(in);
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
