/* transport/routed_fate.c: the ends of members of other nodes. Our agent tells of them by a way of
 * its own, which may be faster than what the member had sent, and a fate is to be told behind that.
 *
 * Through the agents: all that the dead or departed had sent is on its way to us, or already in the
 * lane, when our agent hears of the fate. So we send the agent a frame for ourselves, a fence: when
 * it is back, everything is here.
 *
 * Over the far transport, a rank that has left still polls, in finalize: it is asked, and its
 * answer comes behind all it sent. A dead one cannot be asked; what it left is polled for, for a
 * while.
 *
 * A world ends with everybody leaving, which interests nobody. So departures are asked about only
 * if this member waits for that rank or for anybody, or needs to know for a send.
 */
#include "transport/routed_private.h"

#include "base/log.h"

#include <stdlib.h>
#include <utlist.h>

static void fate_up(routed *r, int rank, sri_fate fate, int code)
{
    r->transport.sink.fate(r->transport.sink.ctx, rank, fate, code);
}

void routed_ask(routed *r, routed_peer *p)
{
    if (p->asked || !p->is_ending)
        return;
    if (!p->far) {
        p->asked = true;
        p->fence = r->fence_next;
        r->fence_wanted = true; /* goes with the errands: one for all that have come together */
    } else if (!p->end) {
        p->asked = true;
        routed_owe(r, p, ROUTED_OWES_ASK);
    }
}

static bool fate_concerns(const sri_waiting *w, int rank)
{
    switch (w->kind) {
    case SRI_WAIT_OBJECT:
    case SRI_WAIT_WORD:
    case SRI_WAIT_FINALIZE:
        return false;
    case SRI_WAIT_NONE:
        return true; /* who says nothing may wait for anything */
    default:
        return w->peer == rank || w->peer < 0;
    }
}

void routed_ask_for(routed *r, const sri_waiting *w)
{
    routed_peer *p;
    DL_FOREACH2 (r->ending, p, next_ending)
        if (!p->asked && fate_concerns(w, p->rank))
            routed_ask(r, p);
}

void routed_fate(routed *r, int rank, sri_fate fate, int code)
{
    routed_peer *p = rank < ROUTED_RANKS ? routed_peer_of(r, rank) : NULL;
    if (!p) {
        sri_log(SRI_LOG_ERROR, "no memory to put off the end of rank %d", rank);
        fate_up(r, rank, fate, code);
        return;
    }
    if (p == &routed_dead || p->end || (fate == SRI_FATE_LEFT && p->left != ROUTED_HERE))
        return;
    if (fate == SRI_FATE_LEFT) {
        p->left = ROUTED_LEAVING;
    } else {
        p->end = (uint8_t)fate;
        p->code = code;
    }
    p->since = sri_now();
    if (!p->is_ending) {
        p->is_ending = true;
        p->asked = p->answered = false;
        DL_APPEND2(r->ending, p, prev_ending, next_ending);
    }
    r->unsettled = true;
    if (fate == SRI_FATE_DIED)
        routed_ask(r, p); /* ends more than waits for this rank */
}

/* ---- telling ---- */

static void fate_tell(routed *r, routed_peer *p)
{
    int rank = p->rank, code = p->code;
    sri_fate end = p->end;
    bool left = p->left == ROUTED_LEAVING;
    DL_DELETE2(r->ending, p, prev_ending, next_ending);
    p->is_ending = false;
    p->left = ROUTED_LEFT;
    if (end) {
        if (p->far && r->far->ops->gone)
            r->far->ops->gone(r->far, rank);
        r->bulks -= p->bulks;
        routed_forget_errands(r, p);
        r->peers[rank] = &routed_dead;
        free(p);
    }
    if (left)
        fate_up(r, rank, SRI_FATE_LEFT, 0);
    if (end)
        fate_up(r, rank, end, code);
}

/* Has this member polled without sleeping or saying what it waits for, since it could have known?
 */
static sri_ns fate_lazy_at(const routed *r, const routed_peer *p)
{
    return (p->since > r->published ? p->since : r->published) + ROUTED_LAZY;
}

/* When can p be told of, or must be asked about? 0: tell it now. */
static sri_ns fate_when(routed *r, routed_peer *p, sri_ns now)
{
    if (p->left == ROUTED_LEFT)
        return 0; /* everything was here when that was told */
    if (p->far && p->end) {
        sri_ns over = p->since + ROUTED_DRAIN;
        bool drained = now >= over && r->quiet >= ROUTED_DRAIN_POLLS;
        return drained || now >= p->since + ROUTED_DRAIN_LAST ? 0 : over;
    }
    if (!p->asked) {
        sri_ns lazy = fate_lazy_at(r, p);
        if (now < lazy)
            return lazy;
        routed_ask(r, p);
    }
    if (p->far)
        return p->answered && p->bulks == 0 ? 0 : SRI_NEVER;
    /* Numbers of fences may wrap. */
    return (int32_t)(r->fence_back - p->fence) >= 0 ? 0 : SRI_NEVER;
}

bool routed_settle(routed *r)
{
    sri_ns now = sri_now();
    if (!r->unsettled && now < r->settle_at)
        return false;
    r->unsettled = false;
    bool any = false;
    sri_ns at = SRI_NEVER;
    for (routed_peer *p = r->ending, *next; p; p = next) {
        next = p->next_ending;
        sri_ns when = fate_when(r, p, now);
        if (when == 0) {
            fate_tell(r, p);
            any = true;
        } else if (when < at) {
            at = when;
        }
    }
    r->settle_at = at;
    return any;
}
