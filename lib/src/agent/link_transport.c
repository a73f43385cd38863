/* agent/link_transport.c: links over a transport whose peers are nodes. What the transport has no
 * room for goes on from poll. A transport of this kind knows its peers by what they send alone:
 * that a node is gone is learned from its goodbye, or when the transport does say so, never from
 * silence.
 */
#include "agent/link_transport.h"

#include <poll.h>

#define OVER_CLOSE SRI_MS(1000)
#define OVER_BYE_WITHIN SRI_MS(3000)

static over_links *over_of(sri_links *l)
{
    return (over_links *)(void *)l;
}

static bool over_send(sri_links *l, int node, const sri_link_frame *f)
{
    over_links *o = over_of(l);
    over_peer *p = link_over_peer(o, node);
    if (!p || p->failed || o->said_bye)
        return true;
    link_head head = link_head_of(OVER_FRAME, f);
    return link_over_put(o, node, &head, f);
}

/* If the transport knows after all. */
static void over_fate(void *ctx, int node, sri_fate fate, int code)
{
    over_links *o = ctx;
    over_peer *p = link_over_peer(o, node);
    (void)fate;
    (void)code;
    if (p && !o->closing)
        link_over_fail(o, p, "it is gone");
}

/* Tells of the ends, each after a round in which nothing more came from there. */
static bool over_tell(over_links *o)
{
    bool any = false;
    for (int node = 0; node < o->links.nodes && o->n_failed > 0; node++) {
        over_peer *p = &o->peers[node];
        if (!p->failed || p->lost || p->heard)
            continue;
        p->lost = true;
        o->n_failed--;
        any = true;
        o->links.sink.lost(o->links.sink.ctx, node, p->bye || o->said_bye, p->why);
    }
    return any;
}

static bool over_round(over_links *o)
{
    bool any = o->transport->ops->poll(o->transport);
    for (int node = 0; o->n_kept > 0 && node < o->links.nodes; node++)
        any |= link_over_flush(o, node);
    return any;
}

static bool over_poll(sri_links *l)
{
    over_links *o = over_of(l);
    if (o->polling)
        return false;
    o->polling = true;
    for (int node = 0; o->n_failed > 0 && node < l->nodes; node++)
        o->peers[node].heard = false;
    bool any = over_round(o);
    if (o->n_failed > 0)
        any |= over_tell(o);
    o->polling = false;
    return any || o->n_failed > 0;
}

/* ---- the rest ---- */

static int over_fd(sri_links *l)
{
    (void)l;
    return -1;
}

static sri_ns over_deadline(sri_links *l)
{
    (void)l;
    return SRI_NEVER;
}

static size_t over_backlog(sri_links *l, int node)
{
    over_peer *p = link_over_peer(over_of(l), node);
    return p ? p->backlog : 0;
}

static void over_cut(sri_links *l, int node, const char *why)
{
    link_over_cut(over_of(l), node, why);
}

static void over_bye(sri_links *l)
{
    over_links *o = over_of(l);
    link_head head = { .mark = OVER_BYE };
    sri_link_frame nothing = { 0 };
    if (o->said_bye)
        return;
    o->said_bye = true;
    for (int node = 0; node < l->nodes; node++) {
        over_peer *p = &o->peers[node];
        if (node != l->node && (!p->failed || p->bye)) /* who has said it waits for ours */
            link_over_put(o, node, &head, &nothing);
    }
}

/* A transport may not bear to be left with what nobody has fetched, and behind a goodbye there is
 * nothing. */
static bool over_awaits_bye(const over_links *o)
{
    for (int node = 0; o->said_bye && node < o->links.nodes; node++) {
        const over_peer *p = &o->peers[node];
        if (node != o->links.node && !p->bye && !p->failed)
            return true;
    }
    return false;
}

static void over_free(over_links *o)
{
    for (int node = 0; node < o->links.nodes; node++) {
        link_over_drop_out(o, &o->peers[node]);
        sri_buffer_fini(&o->peers[node].in);
    }
    free(o->bounce);
    free(o);
}

static void over_drop(void *ctx, const sri_link_arrival *f)
{
    (void)ctx;
    (void)f;
}

static void over_close(sri_links *l)
{
    over_links *o = over_of(l);
    sri_ns now = sri_now();
    sri_ns until = now + OVER_CLOSE;
    sri_ns bye_until = now + OVER_BYE_WITHIN;
    o->closing = true;
    l->sink.deliver = over_drop;
    while ((o->n_kept > 0 && now < until) || (over_awaits_bye(o) && now < bye_until)) {
        if (!over_round(o))
            poll(NULL, 0, 1);
        now = sri_now();
    }
    o->transport->ops->close(o->transport, false);
    over_free(o);
}

static void over_no_lost(void *ctx, int node, bool orderly, const char *why)
{
    (void)ctx;
    (void)node;
    (void)orderly;
    (void)why;
}

serry_err sri_links_over(sri_links **l,
                         serry_err (*open)(sri_transport **t, const sri_sink *sink, void *ctx),
                         void *ctx, int node, int nodes)
{
    static const sri_links_ops ops = {
        .name = "transport",
        .send = over_send,
        .poll = over_poll,
        .fd = over_fd,
        .deadline = over_deadline,
        .backlog = over_backlog,
        .cut = over_cut,
        .bye = over_bye,
        .close = over_close,
    };
    if (nodes < 1 || nodes > SRI_NODES_MAX || node < 0 || node >= nodes)
        return sri_fail(SERRY_EINVAL, "node %d of %d: there are 1 to %d", node, nodes,
                        SRI_NODES_MAX);
    over_links *o = calloc(1, sizeof *o + (size_t)nodes * sizeof *o->peers);
    if (!o)
        return sri_fail(SERRY_ENOMEM, "no memory for links to %d nodes", nodes);
    o->links =
        (sri_links){ .ops = &ops, .sink = { .lost = over_no_lost }, .node = node, .nodes = nodes };
    for (int i = 0; i < nodes; i++)
        o->peers[i].out_end = &o->peers[i].out;
    sri_sink sink = { .ctx = o, .deliver = link_over_deliver, .fate = over_fate };
    serry_err e = open(&o->transport, &sink, ctx);
    if (e != SERRY_OK) {
        over_free(o);
        return e;
    }
    o->piece = o->transport->frame_max;
    o->bounce = o->piece > sizeof(link_head) ? malloc(o->piece) : NULL;
    if (!o->bounce) {
        e = o->piece > sizeof(link_head)
                ? sri_fail(SERRY_ENOMEM, "no memory for links to %d nodes", nodes)
                : sri_fail(SERRY_EINTERNAL, "a transport of frames of %zu bytes", o->piece);
        o->transport->ops->close(o->transport, false);
        over_free(o);
        return e;
    }
    *l = &o->links;
    return SERRY_OK;
}
