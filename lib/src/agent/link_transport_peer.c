/* agent/link_transport_peer.c: frames to and from one node over a transport: cut into pieces that
 * fit, kept while there is no room, and gathered again in memory that grows as the pieces come. */
#include "agent/link_transport.h"

over_peer *link_over_peer(over_links *o, int node)
{
    if (node < 0 || node >= o->links.nodes || node == o->links.node || o->peers[node].lost)
        return NULL;
    return &o->peers[node];
}

void link_over_drop_out(over_links *o, over_peer *p)
{
    if (p->out)
        o->n_kept--;
    while (p->out) {
        over_kept *k = p->out;
        p->out = k->next;
        free(k);
    }
    p->out_end = &p->out;
    p->backlog = 0;
}

/* Told from poll. */
void link_over_fail(over_links *o, over_peer *p, const char *why)
{
    if (p->failed)
        return;
    p->failed = true;
    p->why = why;
    o->n_failed++;
    if (!p->bye || !o->said_bye) /* who has said goodbye still waits for ours */
        link_over_drop_out(o, p);
}

/* The same, and it is not listened to. */
static void over_fail_deaf(over_links *o, over_peer *p, const char *why)
{
    link_over_fail(o, p, why);
    p->deaf = true;
    p->gathering = false;
    sri_buffer_fini(&p->in);
}

/* ---- out ---- */

/* One piece of a frame that lies in two places; what is sent of it is added to *sent. */
static sri_sent over_piece(over_links *o, int node, const link_head *head, bool begun,
                           const uint8_t *front, size_t front_len, const uint8_t *rest,
                           size_t rest_len, size_t *sent)
{
    size_t room = o->piece - (begun ? 0 : sizeof *head);
    size_t left = front_len + rest_len - *sent;
    size_t n = left < room ? left : room;
    const uint8_t *body = NULL;
    if (*sent >= front_len) {
        body = n ? rest + (*sent - front_len) : NULL;
    } else if (front_len - *sent >= n) {
        body = front + *sent;
    } else {
        size_t first = front_len - *sent;
        memcpy(o->bounce, front + *sent, first);
        memcpy(o->bounce + first, rest, n - first);
        body = o->bounce;
    }
    sri_frame f = { .kind = SRI_KIND_ROUTE,
                    .flags = n < left ? SRI_FLAG_MORE : 0,
                    .head = begun ? NULL : head,
                    .head_len = begun ? 0 : sizeof *head,
                    .body = body,
                    .body_len = n,
                    .fd = -1 };
    sri_sent result = o->transport->ops->send(o->transport, node, &f);
    if (result == SRI_SENT)
        *sent += n;
    return result;
}

static const char *over_why(sri_sent sent)
{
    return sent == SRI_LIMIT ? "there is no way to it" : "it is gone";
}

static bool over_keep(over_links *o, over_peer *p, const link_head *head, bool begun,
                      const sri_link_frame *f, size_t sent)
{
    size_t len = f->head_len + f->body_len - sent;
    over_kept *k = malloc(sizeof *k + len);
    if (!k)
        return false;
    *k = (over_kept){ .head = *head, .begun = begun, .len = len };
    size_t first = sent < f->head_len ? f->head_len - sent : 0;
    size_t skip = sent > f->head_len ? sent - f->head_len : 0;
    if (first)
        memcpy(k->bytes, (const uint8_t *)f->head + sent, first);
    if (len > first)
        memcpy(k->bytes + first, (const uint8_t *)f->body + skip, len - first);
    if (!p->out)
        o->n_kept++;
    *p->out_end = k;
    p->out_end = &k->next;
    p->backlog += len;
    return true;
}

bool link_over_put(over_links *o, int node, const link_head *head, const sri_link_frame *f)
{
    over_peer *p = &o->peers[node];
    size_t len = f->head_len + f->body_len;
    size_t sent = 0;
    bool begun = false;
    while (!p->out && (!begun || sent < len)) {
        sri_sent result =
            over_piece(o, node, head, begun, f->head, f->head_len, f->body, f->body_len, &sent);
        if (result == SRI_FULL)
            break;
        if (result != SRI_SENT) {
            link_over_fail(o, p, over_why(result));
            return true;
        }
        begun = true;
    }
    if (begun && sent == len)
        return true;
    if (over_keep(o, p, head, begun, f, sent))
        return true;
    link_over_fail(o, p, "there is no memory to keep what goes there");
    return false;
}

/* Sends what was kept, as far as there is room. */
bool link_over_flush(over_links *o, int node)
{
    over_peer *p = &o->peers[node];
    bool any = false;
    while (p->out) {
        over_kept *k = p->out;
        size_t before = k->sent;
        sri_sent result =
            over_piece(o, node, &k->head, k->begun, k->bytes, k->len, NULL, 0, &k->sent);
        if (result == SRI_FULL)
            return any;
        any = true;
        if (result != SRI_SENT) {
            link_over_fail(o, p, over_why(result));
            return true;
        }
        k->begun = true;
        p->backlog -= k->sent - before;
        if (k->sent < k->len)
            continue;
        p->out = k->next;
        free(k);
        if (!p->out) {
            p->out_end = &p->out;
            o->n_kept--;
        }
    }
    return any;
}

void link_over_cut(over_links *o, int node, const char *why)
{
    over_peer *p = link_over_peer(o, node);
    if (p)
        link_over_flush(o, node);
    if (p)
        over_fail_deaf(o, p, why);
}

/* ---- in ---- */

/* The first piece of a frame. */
static void over_begin(over_links *o, int node, const sri_arrival *f)
{
    over_peer *p = &o->peers[node];
    link_head *h = &p->head;
    if (f->len < sizeof *h) {
        over_fail_deaf(o, p, "what it sent is no frame");
        return;
    }
    memcpy(h, f->bytes, sizeof *h);
    size_t n = f->len - sizeof *h;
    if (h->mark == OVER_BYE) {
        p->bye = true;
        over_fail_deaf(o, p, "it said goodbye");
        return;
    }
    bool more = f->flags & SRI_FLAG_MORE;
    if (h->mark != OVER_FRAME || h->len > LINK_FRAME_MAX || (more ? n >= h->len : n != h->len)) {
        over_fail_deaf(o, p, "what it sent is no frame");
        return;
    }
    if (!more) {
        link_head one = *h;
        link_head_deliver(&o->links, node, &one, f->bytes + sizeof one);
        return;
    }
    p->gathering = true;
    if (sri_buffer_add(&p->in, f->bytes + sizeof *h, n) != SERRY_OK)
        over_fail_deaf(o, p, "there is no memory for what it sent");
}

static void over_go_on(over_links *o, int node, const sri_arrival *f)
{
    over_peer *p = &o->peers[node];
    bool more = f->flags & SRI_FLAG_MORE;
    uint64_t left = p->head.len - p->in.len;
    if (more ? f->len >= left : f->len != left) {
        over_fail_deaf(o, p, "its frame has another length than it said");
        return;
    }
    if (sri_buffer_add(&p->in, f->bytes, f->len) != SERRY_OK) {
        over_fail_deaf(o, p, "there is no memory for what it sent");
        return;
    }
    if (more)
        return;
    sri_buffer whole = p->in;
    link_head h = p->head;
    p->in = (sri_buffer){ 0 };
    p->gathering = false;
    link_head_deliver(&o->links, node, &h, whole.data);
    sri_buffer_fini(&whole);
}

bool link_over_deliver(void *ctx, const sri_arrival *f)
{
    over_links *o = ctx;
    over_peer *p = link_over_peer(o, f->source);
    if (!p || p->deaf)
        return true;
    p->heard = true;
    if (p->gathering)
        over_go_on(o, f->source, f);
    else
        over_begin(o, f->source, f);
    return true;
}
