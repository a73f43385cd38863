/* core/fate.c: peers that leave or die, as far as messages are concerned: whatever still needs them
 * fails, what they had sent whole can still be received. */
#include "core/match.h"

#include "base/grow.h"
#include "base/log.h"
#include "core/wait.h"
#include "base/fate.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

/* A lane may be found dead before the news of its owner's end: so long is waited for the news. */
#define FATE_NEWS SRI_MS(1000)

/* Started ranks are looked for this far beyond the highest one ever heard of. */
#define FATE_UNHEARD 64

bool sri_message_peer_gone(int rank)
{
    sri_peer *p = sri_peer_known(rank);
    return p && p->gone;
}

static bool fate_is_known(void *rank)
{
    return sri_message_peer_gone(*(int *)rank);
}

serry_err sri_match_fail_gone(int rank)
{
    SERRY_IGNORE(sri_wait_until(fate_is_known, &rank, sri_now() + FATE_NEWS, NULL));
    sri_peer *p = sri_peer_known(rank);
    if (!p || !p->gone)
        return sri_fail(SERRY_EDIED, "rank %d has died or left", rank);
    if (p->gone == SRI_FATE_LEFT && rank < sri_world.size)
        return sri_fail(SERRY_EDIED, "rank %d has finalized", rank);
    if (p->gone == SRI_FATE_LEFT)
        return sri_fail(SERRY_EDIED, "the started process of rank %d has ended", rank);
    char text[48];
    if (p->code < 0)
        return sri_fail(SERRY_EDIED, "rank %d %s", rank, sri_code_text(p->code, text, sizeof text));
    return sri_fail(SERRY_EDIED, "rank %d ended with exit code %d and without %s", rank, p->code,
                    rank < sri_world.size ? "finalizing" : "returning from its function");
}

serry_err sri_match_fail_lost(void)
{
    int rank = sri_match.lost.rank;
    if (sri_message_peer_gone(rank))
        return sri_match_fail_gone(rank);
    return sri_fail(SERRY_EDIED, "rank %d could not take part in a collective", rank);
}

/* ---- receives from any source ---- */

static bool fate_is_open(int rank)
{
    sri_transport *t = sri_world.transport;
    return rank != sri_world.rank && !sri_message_peer_gone(rank) && t->ops->present(t, rank);
}

/* Has every other rank there ever was left or died? */
static bool fate_alone(void)
{
    sri_match_state *m = &sri_match;
    int size = sri_world.size;
    int others = size - (sri_world.rank < size ? 1 : 0);
    if (m->launched_gone < others || (others == 0 && m->highest < size))
        return false;
    if (m->lowest_open < size)
        m->lowest_open = size;
    while (m->lowest_open <= m->highest && sri_message_peer_gone(m->lowest_open))
        m->lowest_open++;
    int nodes = sri_world.places.nodes > 1 ? sri_world.places.nodes : 1; /* they number in turn */
    int last = m->highest + FATE_UNHEARD * nodes;
    for (int rank = m->lowest_open; rank <= last; rank++)
        if (fate_is_open(rank))
            return false;
    return true;
}

bool sri_match_any_failed(int *source)
{
    sri_match_state *m = &sri_match;
    if (m->n_untold > 0) {
        *source = m->untold[0];
        m->n_untold--;
        memmove(m->untold, m->untold + 1, m->n_untold * sizeof *m->untold);
        return true;
    }
    *source = SERRY_NONE;
    return fate_alone();
}

static void fate_note_untold(int rank)
{
    sri_match_state *m = &sri_match;
    if (m->n_untold == m->cap_untold) {
        int *more = sri_grow(m->untold, &m->cap_untold, m->n_untold + 1, sizeof *more);
        if (!more) {
            sri_log(SRI_LOG_ERROR, "no memory to tell of the death of rank %d", rank);
            return;
        }
        m->untold = more;
    }
    m->untold[m->n_untold++] = rank;
}

/* The oldest receive from any source is told of a death; all of them, if nobody is left. */
static bool fate_tell_any(void)
{
    bool opened = false;
    int source;
    while (sri_match.any[SRI_CONTEXT_USER] && sri_match_any_failed(&source)) {
        sri_request *r = sri_match.any[SRI_CONTEXT_USER];
        DL_DELETE(sri_match.any[SRI_CONTEXT_USER], r);
        r->status.source = source;
        opened |= sri_request_complete(r, SERRY_EDIED);
    }
    return opened;
}

/* ---- one peer ---- */

static bool fate_end_posted(sri_peer *p)
{
    bool opened = false;
    for (unsigned c = 0; c < SRI_CONTEXTS; c++) {
        while (p->posted[c]) {
            sri_request *r = p->posted[c];
            DL_DELETE(p->posted[c], r);
            opened |= sri_request_complete(r, SERRY_EDIED);
        }
    }
    return opened;
}

static sri_incoming *fate_drop_tag(sri_incoming *from, int tag)
{
    sri_incoming *first = NULL, *next;
    for (; from; from = next) {
        next = from->next;
        if (from->tag == tag)
            sri_incoming_free(from);
        else if (!first)
            first = from;
    }
    return first;
}

/* What has not arrived whole never will. What came behind it with the same tag goes with it: nobody
 * is to take it for the one that is missing. */
static void fate_end_queued(sri_incoming *in)
{
    while (in)
        in = in->state == SRI_INCOMING_WHOLE ? in->next : fate_drop_tag(in, in->tag);
}

static bool fate_end_incoming(sri_peer *p)
{
    bool opened = false;
    while (p->arriving) {
        sri_request *r = p->arriving->request;
        sri_incoming_free(p->arriving);
        if (r)
            opened |= sri_request_complete(r, SERRY_EDIED);
    }
    for (unsigned c = 0; c < SRI_CONTEXTS; c++)
        fate_end_queued(p->queued[c]);
    return opened;
}

void sri_message_fate(int rank, sri_fate fate, int code)
{
    if (rank == sri_world.rank)
        return;
    sri_peer *p = rank >= 0 ? sri_peer_of(rank) : NULL;
    if (!p) {
        sri_log(SRI_LOG_ERROR, "no memory to note the end of rank %d", rank);
        return;
    }
    if (fate == SRI_FATE_ENDED || p->gone)
        return;
    p->gone = (uint8_t)fate;
    p->code = code;
    bool launched = rank < sri_world.size;
    if (launched)
        sri_match.launched_gone++;

    /* Outgoing first: a clear that was kept back belongs to an incoming message. */
    bool opened = sri_output_drop(p, NULL, SERRY_EDIED);
    opened |= fate_end_incoming(p);
    opened |= fate_end_posted(p);
    if (fate == SRI_FATE_DIED) {
        fate_note_untold(rank);
        if (launched)
            opened |= sri_match_lose(rank, sri_match.collective);
    }
    opened |= fate_tell_any();
    if (opened)
        sri_wait_notify();
}

/* ---- collectives ---- */

static bool fate_is_lost(const sri_request *r)
{
    return r->context == SRI_CONTEXT_COLLECTIVE
           && sri_collective_reached(sri_collective_of(r->tag), sri_match.lost.from);
}

static bool fate_lose_peer(sri_peer *p)
{
    bool opened = sri_output_drop(p, fate_is_lost, SERRY_EDIED);
    sri_request *r, *next;
    DL_FOREACH_SAFE (p->posted[SRI_CONTEXT_COLLECTIVE], r, next) {
        if (fate_is_lost(r)) {
            DL_DELETE(p->posted[SRI_CONTEXT_COLLECTIVE], r);
            opened |= sri_request_complete(r, SERRY_EDIED);
        }
    }
    sri_incoming *in;
    DL_FOREACH (p->arriving, in) {
        if (in->request && fate_is_lost(in->request)) {
            if (in->bulk && !sri_bulk_discard(in))
                continue; /* it will be here in a moment */
            /* Its data may go on arriving; nobody wants them. */
            opened |= sri_request_complete(in->request, SERRY_EDIED);
            in->request = NULL;
            in->lost = true;
        }
    }
    return opened;
}

bool sri_match_lose(int rank, uint32_t from)
{
    if (sri_match.lost.known && sri_collective_reached(from, sri_match.lost.from))
        return false;
    sri_match.lost.known = true;
    sri_match.lost.rank = rank;
    sri_match.lost.from = from;
    bool opened = false;
    for (int i = 0; i < sri_match.n_peers; i++)
        if (sri_match.peers[i])
            opened |= fate_lose_peer(sri_match.peers[i]);
    return opened;
}
