/* core/incoming.c: peers, and the queues of what has arrived from them and no receive has yet. */
#include "core/incoming.h"

#include "base/grow.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

sri_match_state sri_match;

sri_peer *sri_peer_make(int rank)
{
    sri_match_state *m = &sri_match;
    if (rank >= m->n_peers) {
        size_t n = (size_t)m->n_peers;
        sri_peer **more = sri_grow(m->peers, &n, (size_t)rank + 1, sizeof *more);
        if (!more)
            return NULL;
        memset(more + m->n_peers, 0, (n - (size_t)m->n_peers) * sizeof *more);
        m->peers = more;
        m->n_peers = (int)n;
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

void sri_incoming_queue(sri_incoming *in)
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

void sri_incoming_unqueue(sri_incoming *in)
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
        sri_incoming_unqueue(in);
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

sri_incoming *sri_incoming_make(sri_peer *p, unsigned context, int tag, size_t len, size_t n)
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
