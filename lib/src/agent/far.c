/* agent/far.c: the agent among others: its links, and what travels over them. */
#include "agent/far.h"

#include "base/log.h"
#include "transport/routed.h"

#include <stdio.h>

/* Links without a descriptor are looked at so often: at first, and after long silence. */
#define FAR_PAUSE_LEAST SRI_US(50)
#define FAR_PAUSE_MOST SRI_MS(1)
#define FAR_LINGER SRI_MS(1000) /* after the end of the world, for those who are still at it */

/* ---- sending ---- */

void far_send(sri_agent *a, int node, const sri_link_frame *f)
{
    /* If there is no memory, the link ends: see far_link_ended. */
    if (!a->far_nodes[node].ended && !a->outcast)
        a->links->ops->send(a->links, node, f);
}

void far_send_all(sri_agent *a, const sri_link_frame *f)
{
    for (int node = 0; node < a->options.places.nodes; node++) {
        if (node != a->options.places.node)
            far_send(a, node, f);
    }
}

/* A request for a home elsewhere. Who asks a home that is lost is refused; what was asked before
 * that, the member fails by itself. */
void far_request(sri_agent *a, int rank, uint64_t aux, const uint8_t *bytes, size_t len)
{
    int node = (int)sri_handle_home(aux);
    sri_request_head head;
    if (len < sizeof head)
        return;
    memcpy(&head, bytes, sizeof head);
    serry_err e = SERRY_OK;
    if (node >= a->options.places.nodes)
        e = sri_fail(SERRY_EHANDLE, "the handle %#llx names no object: there is no node %d",
                     (unsigned long long)aux, node);
    else
        e = far_check_node(a, node);
    if (e != SERRY_OK) {
        if (head.op != SRI_OP_CANCEL)
            agent_refuse(a, (sri_asker){ .rank = rank, .number = head.number }, e);
        return;
    }
    sri_link_frame f = { .kind = SRI_FAR_REQUEST,
                         .source = rank,
                         .dest = -1,
                         .aux = aux,
                         .body = bytes,
                         .body_len = len };
    far_send(a, node, &f);
}

void far_member(sri_agent *a, const agent_member *m, uint8_t kind, uint8_t flags, uint64_t aux,
                const void *head, size_t head_len, const void *body, size_t len)
{
    sri_link_frame f = { .kind = SRI_FAR_MEMBER,
                         .flags = flags,
                         .op = kind,
                         .source = -1,
                         .dest = m->rank,
                         .aux = aux,
                         .head = head,
                         .head_len = head_len,
                         .body = body,
                         .body_len = len };
    if (m->state != AGENT_GONE)
        far_send(a, m->node, &f);
}

static void far_route_to(sri_agent *a, int source, int dest, sri_route r, const uint8_t *bytes,
                         size_t len)
{
    const agent_member *m = agent_member_of(a, dest);
    if (!m || m->far || m->state == AGENT_GONE)
        return;
    if (len > a->host->transport.frame_max) {
        sri_log(SRI_LOG_ERROR,
                "a frame of %zu bytes of rank %d is dropped: rank %d has other lanes", len, source,
                dest);
        return;
    }
    r.rank = source;
    sri_frame f = {
        .kind = SRI_KIND_ROUTE, .aux = sri_route_pack(r), .body = bytes, .body_len = len, .fd = -1
    };
    agent_send(a, dest, &f);
}

/* From a member of this node. One for its own node comes back from here, behind all that is on its
 * way in that lane. */
void far_route(sri_agent *a, const sri_arrival *f)
{
    sri_route r = sri_route_unpack(f->aux);
    int node = sri_places_node(&a->options.places, r.rank);
    if (r.rank < 0)
        return;
    if (node == a->options.places.node) {
        far_route_to(a, f->source, r.rank, r, f->bytes, f->len);
        return;
    }
    sri_link_frame out = { .kind = SRI_FAR_ROUTE,
                           .source = f->source,
                           .dest = r.rank,
                           .aux = f->aux,
                           .body = f->bytes,
                           .body_len = f->len };
    far_send(a, node, &out);
}

/* ---- what arrives ---- */

static void far_to_member(sri_agent *a, const sri_link_arrival *f)
{
    const agent_member *m = agent_member_of(a, f->dest);
    if (!m || m->far)
        return;
    if (f->op == SRI_KIND_REPLY)
        far_answered(a, f->dest, (uint32_t)f->aux);
    if (f->flags == 0) {
        agent_send_run(a, f->dest, (uint8_t)f->op, f->aux, NULL, 0, f->bytes, f->len);
        return;
    }
    sri_frame mark = { .kind = (uint8_t)f->op, .flags = f->flags, .aux = f->aux, .fd = -1 };
    agent_send(a, f->dest, &mark);
}

static void far_take_request(sri_agent *a, const sri_link_arrival *f)
{
    const agent_member *m = agent_member_of(a, f->source);
    if (f->source >= 0 && (!m || m->node != f->node || m->state == AGENT_GONE))
        return;
    agent_request_here(a, f->source, f->aux, f->bytes, f->len);
}

static void far_take_abort(sri_agent *a, const sri_link_arrival *f)
{
    if (a->aborted)
        return;
    if (a->options.aborted)
        a->options.aborted(a->options.ctx, f->source, (int)(int64_t)f->aux);
    agent_abort(a, f->source, (int)(int64_t)f->aux);
}

static void far_deliver(void *ctx, const sri_link_arrival *f)
{
    sri_agent *a = ctx;
    agent_node *n = &a->far_nodes[f->node];
    agent_member *m = agent_member_of(a, f->source);
    if (a->outcast)
        return;
    switch ((sri_far_kind)f->kind) {
    case SRI_FAR_REQUEST:
        far_take_request(a, f);
        break;
    case SRI_FAR_MEMBER:
        if (f->op == SRI_KIND_REPLY || f->op == SRI_KIND_FEED)
            far_to_member(a, f);
        break;
    case SRI_FAR_ROUTE:
        far_route_to(a, f->source, f->dest, sri_route_unpack(f->aux), f->bytes, f->len);
        break;
    case SRI_FAR_ADMIT:
        far_take_admit(a, f);
        break;
    case SRI_FAR_ADMITTED:
        n->admitted = f->aux;
        far_look_admitted(a);
        break;
    case SRI_FAR_FATE:
        if (m && m->far && m->node == f->node && f->op >= SRI_FATE_LEFT && f->op <= SRI_FATE_ENDED)
            far_fate(a, m, (sri_fate)f->op, (int)(int64_t)f->aux);
        break;
    case SRI_FAR_ABORT:
        far_take_abort(a, f);
        break;
    case SRI_FAR_STRAYS:
        n->quiet = true;
        agent_waiters_look(a);
        break;
    case SRI_FAR_CREATE:
    case SRI_FAR_CREATED:
    case SRI_FAR_UNNAMED:
        directory_arrived(a, f);
        break;
    case SRI_FAR_REACH:
        far_reach(a, f);
        break;
    default:
        sri_log(SRI_LOG_ERROR, "node %d sent a frame of kind %u, which nobody knows", f->node,
                f->kind);
    }
}

/* ---- the loop's side ---- */

bool far_poll(sri_agent *a)
{
    a->far_rounds = 0;
    bool any = a->links->ops->poll(a->links);
    if (any)
        a->far_pause = FAR_PAUSE_LEAST;
    return any;
}

sri_ns far_deadline(sri_agent *a, sri_ns until)
{
    sri_ns first = a->links->ops->deadline(a->links);
    if (a->far_fd < 0) {
        sri_ns pause = sri_now() + a->far_pause;
        a->far_pause = 2 * a->far_pause < FAR_PAUSE_MOST ? 2 * a->far_pause : FAR_PAUSE_MOST;
        first = pause < first ? pause : first;
    }
    return first < until ? first : until;
}

static void far_nothing(void *ctx)
{
    (void)ctx;
}

bool far_lingers(sri_agent *a)
{
    if (!a->links || a->aborted || a->outcast)
        return false;
    if (!a->over)
        return true; /* the objects here are the world's */
    bool anybody = false;
    for (int r = 0; r < a->n_ranks && !anybody; r++)
        anybody = a->members[r] && a->members[r]->state != AGENT_GONE;
    if (!anybody)
        return false;
    sri_ns now = sri_now();
    if (!a->far_linger) {
        a->far_linger = now + FAR_LINGER;
        sri_agent_at(a, a->far_linger, far_nothing, a);
    }
    return now < a->far_linger;
}

static serry_err far_launched(sri_agent *a)
{
    for (int r = 0; r < a->options.size; r++) {
        agent_member *m;
        if (sri_places_node(&a->options.places, r) == a->options.places.node)
            continue;
        SRI_TRY(agent_new_far_rank(a, r, &m));
        m->launched = true;
        snprintf(m->name, sizeof m->name, "Rank-%d", r);
        a->launched_in++;
    }
    return SERRY_OK;
}

serry_err far_init(sri_agent *a)
{
    sri_links *l = a->options.links;
    a->far_fd = -1;
    if (!l)
        return SERRY_OK;
    a->far_nodes = calloc((size_t)a->options.places.nodes, sizeof *a->far_nodes);
    if (!a->far_nodes)
        return sri_fail(SERRY_ENOMEM, "no memory for %d nodes", a->options.places.nodes);
    SRI_TRY(far_reach_init(a));
    SRI_TRY(far_launched(a));
    a->far_fd = l->ops->fd(l);
    if (a->far_fd >= 0)
        SRI_TRY(agent_epoll(a, a->far_fd, agent_event(AGENT_EVENT_LINKS, 0)));
    a->far_pause = FAR_PAUSE_LEAST;
    l->sink = (sri_link_sink){ .ctx = a, .deliver = far_deliver, .lost = far_link_ended };
    a->links = l;
    return SERRY_OK;
}

void far_fini(sri_agent *a)
{
    directory_fini(a);
    agent_asked *q, *next;
    HASH_ITER (hh, a->far_asked, q, next) {
        HASH_DEL(a->far_asked, q);
        free(q);
    }
    if (a->links && a->over)
        a->links->ops->bye(a->links);
    if (a->links)
        a->links->ops->close(a->links);
    reach_free(a->reach);
    free(a->far_nodes);
}
