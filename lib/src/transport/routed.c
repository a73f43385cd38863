/* transport/routed.c: the seam's operations over several transports: which of them does what, who
 * is polled first, and how long may be slept while one of them cannot ring. */
#include "transport/routed_private.h"

#include "base/error.h"
#include "base/log.h"

#include <stdlib.h>

/* ---- where the others deliver ---- */

static bool near_deliver(void *ctx, const sri_arrival *a)
{
    routed *r = ctx;
    bool go_on;
    if (__builtin_expect(a->kind == SRI_KIND_ROUTE && a->source == SRI_AGENT, 0))
        go_on = routed_take(r, a);
    else
        go_on = r->transport.sink.deliver(r->transport.sink.ctx, a);
    r->stopped |= !go_on;
    return go_on;
}

static void near_fate(void *ctx, int rank, sri_fate fate, int code)
{
    routed *r = ctx;
    if (routed_is_near(r, rank))
        r->transport.sink.fate(r->transport.sink.ctx, rank, fate, code);
    else
        routed_fate(r, rank, fate, code);
}

static void far_own_frame(routed *r, routed_peer *p, uint64_t what)
{
    if (what == ROUTED_ASK) {
        routed_owe(r, p, ROUTED_OWES_ANSWER);
    } else {
        p->answered = true;
        r->unsettled = true;
    }
}

static bool far_deliver(void *ctx, const sri_arrival *a)
{
    routed *r = ctx;
    routed_peer *p =
        a->source >= 0 && a->source < r->transport.size ? routed_peer_of(r, a->source) : NULL;
    if (__builtin_expect(!p || !p->far, 0)) {
        if (p != &routed_dead)
            sri_log(SRI_LOG_ERROR, "a frame of rank %d is dropped", a->source);
        return true;
    }
    if (__builtin_expect(a->kind == SRI_KIND_ROUTE, 0)) {
        far_own_frame(r, p, a->aux);
        return true;
    }
    bool go_on = r->transport.sink.deliver(r->transport.sink.ctx, a);
    r->stopped |= !go_on;
    return go_on;
}

/* Fates are for the agents to tell. */
static void far_fate(void *ctx, int rank, sri_fate fate, int code)
{
    (void)ctx;
    (void)rank;
    (void)fate;
    (void)code;
}

static void far_bulk_done(void *ctx, int peer, uint64_t token, bool sending, bool ok)
{
    routed *r = ctx;
    routed_peer *p = routed_known(r, peer);
    if (p && p->bulks > 0) {
        p->bulks--;
        r->bulks--;
    }
    r->unsettled = true;
    if (r->transport.sink.bulk_done)
        r->transport.sink.bulk_done(r->transport.sink.ctx, peer, token, sending, ok);
}

/* ---- sending and polling ---- */

static sri_sent routed_send(sri_transport *t, int peer, const sri_frame *f)
{
    routed *r = routed_of(t);
    if (routed_is_near(r, peer))
        return r->near->ops->send(r->near, peer, f);
    return routed_send_away(r, peer, f);
}

static bool routed_poll_far(routed *r)
{
    bool any = r->far->ops->poll(r->far);
    r->quiet = any ? 0 : r->quiet + 1;
    return any;
}

/* Near first: it is the cheaper one to ask. If it had the sink stop, the far one's turn comes first
 * the next time. */
static bool routed_poll_both(routed *r)
{
    bool any = false, far_first = r->far_first;
    r->far_first = false;
    r->stopped = false;
    if (__builtin_expect(far_first, 0)) {
        any = routed_poll_far(r);
        if (r->stopped)
            return true;
    }
    any |= r->near->ops->poll(r->near);
    if (r->stopped)
        r->far_first = r->far && !far_first;
    else if (r->far && !far_first)
        any |= routed_poll_far(r);
    return any;
}

static bool routed_poll(sri_transport *t)
{
    routed *r = routed_of(t);
    bool any = routed_poll_both(r);
    if (__builtin_expect(r->errands || r->fence_wanted, 0))
        any |= routed_run_errands(r);
    if (__builtin_expect(r->ending && !r->stopped, 0))
        any |= routed_settle(r);
    if (any)
        r->pause = ROUTED_PAUSE_FIRST;
    return any;
}

/* ---- sleeping ---- */

static bool routed_arm(sri_transport *t)
{
    routed *r = routed_of(t);
    if (__builtin_expect(r->ending != NULL, 0) && r->waiting.kind == SRI_WAIT_NONE)
        routed_ask_for(r, &r->waiting);
    if (__builtin_expect(r->errands || r->fence_wanted, 0))
        routed_run_errands(r);
    if (r->unsettled && r->ending)
        return false;
    r->sleep_for = SRI_NEVER;
    if (r->far) {
        if (r->far->ops->arm && !r->far->ops->arm(r->far))
            return false;
        r->sleep_for = r->pause;
        r->pause = r->bulks ? ROUTED_PAUSE_FIRST : 2 * r->pause;
        if (r->pause > ROUTED_PAUSE_LAST)
            r->pause = ROUTED_PAUSE_LAST;
    }
    return r->near->ops->arm(r->near);
}

/* Until it must look at the far transport again. */
static sri_ns routed_until(const routed *r, sri_ns deadline)
{
    if (r->sleep_for == SRI_NEVER)
        return deadline;
    sri_ns until = sri_now() + r->sleep_for;
    return until < deadline ? until : deadline;
}

static void routed_sleep(sri_transport *t, sri_ns deadline)
{
    routed *r = routed_of(t);
    r->near->ops->sleep(r->near, routed_until(r, deadline));
}

static void routed_sleep_beside(sri_transport *t, sri_ns deadline, const sri_atomic_u64 *word,
                                uint32_t low)
{
    routed *r = routed_of(t);
    r->near->ops->sleep_beside(r->near, routed_until(r, deadline), word, low);
}

static void routed_wake(sri_transport *t)
{
    routed *r = routed_of(t);
    r->near->ops->wake(r->near);
}

static void routed_publish(sri_transport *t, const sri_waiting *w)
{
    routed *r = routed_of(t);
    r->near->ops->publish(r->near, w);
    r->waiting = *w;
    if (__builtin_expect(r->ending != NULL, 0)) {
        r->published = sri_now();
        if (w->kind != SRI_WAIT_NONE)
            routed_ask_for(r, w);
    }
}

/* ---- the rest ---- */

static bool routed_present(sri_transport *t, int peer)
{
    routed *r = routed_of(t);
    if (routed_is_near(r, peer))
        return r->near->ops->present(r->near, peer);
    routed_peer *p = routed_known(r, peer);
    /* Of a started process more may be on its way until its fate is told: nobody is alone before.
     */
    if (p && p != &routed_dead && p->is_ending && peer >= r->transport.size)
        return true;
    if (p == &routed_dead || (p && (p->left != ROUTED_HERE || p->end)))
        return false;
    if (peer < r->transport.size)
        return true;
    return (p && p->heard) || r->near->ops->present(r->near, peer);
}

static int routed_members(sri_transport *t)
{
    routed *r = routed_of(t);
    int near = r->near->ops->members(r->near), far = r->far ? r->far->ops->members(r->far) : 0;
    return near > far ? near : far;
}

static sri_atomic_u64 *routed_cell(sri_transport *t, uint32_t number)
{
    routed *r = routed_of(t);
    return r->near->ops->cell(r->near, number);
}

static void routed_ring_agent(sri_transport *t)
{
    routed *r = routed_of(t);
    r->near->ops->ring_agent(r->near);
}

static bool routed_bulk(sri_transport *t, int peer)
{
    routed *r = routed_of(t);
    if (routed_is_near(r, peer))
        return false;
    routed_peer *p = routed_peer_of(r, peer);
    return p && p->far && p->left == ROUTED_HERE && !p->end && r->far->ops->bulk(r->far, peer);
}

static bool routed_bulk_begun(routed *r, int peer, bool begun)
{
    if (!begun)
        return false;
    routed_peer *p = routed_known(r, peer);
    p->bulks++;
    r->bulks++;
    return true;
}

static bool routed_bulk_send(sri_transport *t, int peer, uint64_t token, const void *bytes,
                             size_t len)
{
    routed *r = routed_of(t);
    return routed_bulk(t, peer)
           && routed_bulk_begun(r, peer, r->far->ops->bulk_send(r->far, peer, token, bytes, len));
}

static bool routed_bulk_recv(sri_transport *t, int peer, uint64_t token, void *bytes, size_t len)
{
    routed *r = routed_of(t);
    return routed_bulk(t, peer)
           && routed_bulk_begun(r, peer, r->far->ops->bulk_recv(r->far, peer, token, bytes, len));
}

static bool routed_bulk_back(sri_transport *t, int peer, uint64_t token)
{
    routed *r = routed_of(t);
    routed_peer *p = routed_known(r, peer);
    if (!p || p->bulks == 0 || !r->far->ops->bulk_back
        || !r->far->ops->bulk_back(r->far, peer, token))
        return false;
    p->bulks--;
    r->bulks--;
    r->unsettled = true;
    return true;
}

static void routed_close(sri_transport *t, bool inherited)
{
    routed *r = routed_of(t);
    r->near->ops->close(r->near, inherited);
    if (r->far)
        r->far->ops->close(r->far, inherited);
    for (int i = 0; i < r->n_peers; i++)
        if (r->peers[i] != &routed_dead)
            free(r->peers[i]);
    free(r->peers);
    free(r);
}

#define ROUTED_OPS                                                                                 \
    .name = "routed", .send = routed_send, .poll = routed_poll, .arm = routed_arm,                 \
    .sleep = routed_sleep, .sleep_beside = routed_sleep_beside, .wake = routed_wake,               \
    .present = routed_present, .members = routed_members, .cell = routed_cell,                     \
    .ring_agent = routed_ring_agent, .publish = routed_publish, .close = routed_close

static const sri_transport_ops routed_ops = { ROUTED_OPS };
static const sri_transport_ops routed_bulk_ops = { ROUTED_OPS, .bulk = routed_bulk,
                                                   .bulk_send = routed_bulk_send,
                                                   .bulk_recv = routed_bulk_recv,
                                                   .bulk_back = routed_bulk_back };

serry_err sri_routed_open(sri_transport **t, sri_transport *near, sri_transport *far,
                          const sri_places *places, const sri_sink *sink)
{
    routed *r = calloc(1, sizeof *r);
    if (!r)
        return sri_fail(SERRY_ENOMEM, "no memory for a transport");
    bool bulk = far && far->ops->bulk;
    size_t max = far && far->frame_max < near->frame_max ? far->frame_max : near->frame_max;
    r->transport = (sri_transport){ .ops = bulk ? &routed_bulk_ops : &routed_ops,
                                    .slow = far != NULL,
                                    .beside = near->beside,
                                    .sink = *sink,
                                    .frame_max = max - SRI_ROUTE_HEAD,
                                    .rank = near->rank,
                                    .size = near->size };
    r->near = near;
    r->far = far;
    r->places = places;
    r->pause = ROUTED_PAUSE_FIRST;
    r->fence_next = 1;
    near->sink = (sri_sink){ .ctx = r, .deliver = near_deliver, .fate = near_fate };
    if (far)
        far->sink = (sri_sink){
            .ctx = r, .deliver = far_deliver, .fate = far_fate, .bulk_done = far_bulk_done
        };
    *t = &r->transport;
    return SERRY_OK;
}
