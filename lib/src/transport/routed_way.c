/* transport/routed_way.c: frames to and from members of other nodes.
 *
 * Through the agents a frame goes inside another, of kind SRI_KIND_ROUTE:
 *
 *     | inner aux, 8 | taken, 8 | inner head and body |
 *
 * `taken` is how much the sender of this frame has taken of what came the other way, counted from
 * the beginning, so that a lost or late word of it does no harm. Who has more than a window under
 * way gets SRI_FULL. A receiver that has taken half a window since it last said so, says so in a
 * frame without an inner kind; in traffic to and fro that is never needed.
 */
#include "transport/routed_private.h"

#include "base/grow.h"
#include "base/log.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

static_assert(SRI_ROUTE_HEAD == 16, "inner bytes stay aligned to 16");

routed_peer routed_dead;

routed_peer *routed_peer_of(routed *r, int rank)
{
    routed_peer *p = routed_known(r, rank);
    if (__builtin_expect(p != NULL, 1))
        return p;
    if (rank >= r->n_peers) {
        size_t n = (size_t)r->n_peers;
        routed_peer **more = sri_grow(r->peers, &n, (size_t)rank + 1, sizeof *more);
        if (!more)
            return NULL;
        memset(more + r->n_peers, 0, (n - (size_t)r->n_peers) * sizeof *more);
        r->peers = more;
        r->n_peers = (int)n;
    }
    p = calloc(1, sizeof *p);
    if (!p)
        return NULL;
    p->rank = rank;
    p->far = r->far && rank < r->transport.size && r->transport.rank < r->transport.size;
    r->peers[rank] = p;
    return p;
}

static inline uint64_t way_cost(size_t len)
{
    return ROUTED_FRAME_COST + len;
}

/* Wraps a frame for p and gives it to our agent, whatever the window says. */
static sri_sent way_wrap(routed *r, routed_peer *p, const sri_frame *f, bool soon)
{
    uint8_t head[SRI_ROUTE_HEAD + SRI_HEAD_MAX];
    sri_route route = { .rank = p->rank,
                        .kind = f->kind,
                        .flags = (uint8_t)(f->flags & ~SRI_FLAG_SOON) };
    sri_frame outer = { .kind = SRI_KIND_ROUTE,
                        .flags = soon ? SRI_FLAG_SOON : 0,
                        .aux = sri_route_pack(route),
                        .head = head,
                        .head_len = SRI_ROUTE_HEAD + f->head_len,
                        .body = f->body,
                        .body_len = f->body_len,
                        .fd = -1 };
    assert(f->head_len <= SRI_HEAD_MAX);
    memcpy(head, &f->aux, 8);
    memcpy(head + 8, &p->got, 8);
    if (f->head_len)
        memcpy(head + SRI_ROUTE_HEAD, f->head, f->head_len);
    sri_sent sent = r->near->ops->send(r->near, SRI_AGENT, &outer);
    if (sent == SRI_SENT)
        p->got_told = p->got;
    return sent;
}

static sri_sent way_send_by_agents(routed *r, routed_peer *p, const sri_frame *f)
{
    uint64_t cost = way_cost(f->head_len + f->body_len);
    uint64_t out = p->sent - p->taken;
    if (out != 0 && out + cost > ROUTED_WINDOW)
        return SRI_FULL;
    /* SOON promises another frame: it must not be the window that keeps it back. */
    bool soon = (f->flags & SRI_FLAG_SOON)
                && out + cost + way_cost(r->transport.frame_max) <= ROUTED_WINDOW;
    sri_sent sent = way_wrap(r, p, f, soon);
    if (sent == SRI_SENT)
        p->sent += cost;
    return sent;
}

sri_sent routed_send_away(routed *r, int rank, const sri_frame *f)
{
    if (rank >= ROUTED_RANKS || f->fd >= 0)
        return SRI_GONE;
    routed_peer *p = routed_peer_of(r, rank);
    if (__builtin_expect(!p, 0))
        return SRI_LIMIT;
    if (__builtin_expect(p == &routed_dead, 0))
        return SRI_GONE;
    if (__builtin_expect(p->left != ROUTED_HERE || p->end, 0)) {
        routed_ask(r, p);
        return SRI_GONE;
    }
    if (p->far)
        return r->far->ops->send(r->far, rank, f);
    return way_send_by_agents(r, p, f);
}

/* ---- what is owed ---- */

static sri_sent way_run_errand(routed *r, routed_peer *p, uint8_t errand)
{
    sri_frame f = { .kind = 0, .fd = -1 };
    if (errand == ROUTED_OWES_CREDIT)
        return p->got_told == p->got ? SRI_SENT : way_wrap(r, p, &f, false);
    f.kind = SRI_KIND_ROUTE;
    f.aux = errand == ROUTED_OWES_ASK ? ROUTED_ASK : ROUTED_ANSWER;
    return r->far->ops->send(r->far, p->rank, &f);
}

void routed_owe(routed *r, routed_peer *p, uint8_t errand)
{
    if ((p->errands & errand) || way_run_errand(r, p, errand) != SRI_FULL)
        return;
    if (!p->errands)
        DL_APPEND2(r->errands, p, prev_errand, next_errand);
    p->errands |= errand;
}

void routed_forget_errands(routed *r, routed_peer *p)
{
    if (p->errands)
        DL_DELETE2(r->errands, p, prev_errand, next_errand);
    p->errands = 0;
}

static sri_sent way_send_fence(routed *r)
{
    uint64_t head[2] = { r->fence_next, 0 };
    sri_frame f = { .kind = SRI_KIND_ROUTE,
                    .aux = sri_route_pack((sri_route){ .rank = r->transport.rank }),
                    .head = head,
                    .head_len = sizeof head,
                    .fd = -1 };
    sri_sent sent = r->near->ops->send(r->near, SRI_AGENT, &f);
    if (sent == SRI_SENT) {
        r->fence_wanted = false;
        r->fence_next++;
    }
    return sent;
}

bool routed_run_errands(routed *r)
{
    bool any = r->fence_wanted && way_send_fence(r) == SRI_SENT;
    routed_peer *p, *next;
    DL_FOREACH_SAFE2 (r->errands, p, next, next_errand) {
        for (uint8_t errand = 1; errand <= ROUTED_OWES_ANSWER; errand = (uint8_t)(errand << 1)) {
            if (!(p->errands & errand) || way_run_errand(r, p, errand) == SRI_FULL)
                continue;
            p->errands &= (uint8_t)~errand;
            any = true;
        }
        if (!p->errands)
            DL_DELETE2(r->errands, p, prev_errand, next_errand);
    }
    return any;
}

/* ---- arriving through the agents ---- */

/* The inner frame goes up; bytes are behind the head. */
static bool way_deliver(routed *r, routed_peer *p, sri_route route, uint64_t aux,
                        const sri_arrival *a)
{
    sri_arrival inner = { .source = p->rank,
                          .kind = route.kind,
                          .flags = route.flags,
                          .aux = aux,
                          .bytes = a->bytes + SRI_ROUTE_HEAD,
                          .len = a->len - SRI_ROUTE_HEAD,
                          .fd = -1 };
    p->got += way_cost(inner.len);
    bool go_on = r->transport.sink.deliver(r->transport.sink.ctx, &inner);
    if (p->got - p->got_told >= ROUTED_WINDOW / 2)
        routed_owe(r, p, ROUTED_OWES_CREDIT);
    return go_on;
}

bool routed_take(routed *r, const sri_arrival *a)
{
    sri_route route = sri_route_unpack(a->aux);
    uint64_t aux, taken;
    if (a->len < SRI_ROUTE_HEAD || route.rank < 0 || route.rank >= ROUTED_RANKS) {
        sri_log(SRI_LOG_ERROR, "a routed frame of a wrong form is dropped");
        return true;
    }
    memcpy(&aux, a->bytes, 8);
    memcpy(&taken, a->bytes + 8, 8);
    if (route.rank == r->transport.rank) {
        r->fence_back = (uint32_t)aux;
        r->unsettled = true;
        return true;
    }
    if (routed_is_near(r, route.rank)) {
        sri_log(SRI_LOG_ERROR, "a routed frame of rank %d, which is near, is dropped", route.rank);
        return true;
    }
    routed_peer *p = routed_peer_of(r, route.rank);
    if (!p) {
        sri_log(SRI_LOG_ERROR, "no memory for a frame of rank %d", route.rank);
        return true;
    }
    if (p == &routed_dead)
        return true;
    p->heard = true;
    if (taken - p->taken <= p->sent - p->taken) /* more than was sent is not believed */
        p->taken = taken;
    return route.kind == 0 || way_deliver(r, p, route, aux, a);
}
