/* patterns/pipe_local.c: the ends of pipes as a member knows them, and what the home tells it. */
#include "patterns/pipe_local.h"

#include "base/fate.h"
#include "base/point.h"
#include "core/service.h"
#include "core/wait.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

/* ---- pieces ---- */

void pipe_piece_out(pipe_piece **list, pipe_piece *piece)
{
    DL_DELETE(*list, piece);
    piece->out = true;
    if (piece->users == 0)
        free(piece);
}

void pipe_piece_leave(pipe_piece *piece)
{
    if (--piece->users == 0 && piece->out)
        free(piece);
}

sri_incoming *pipe_leg_find(const pipe_piece *leg)
{
    return sri_match_find(SRI_CONTEXT_PIPE, leg->rank, leg->tag);
}

/* Nothing more comes of its writer. One who had gone before this process came was never heard of.
 */
static bool local_writer_gone(const pipe_piece *leg)
{
    sri_transport *t = sri_world.transport;
    if (leg->rank == sri_world.rank)
        return false;
    return sri_message_peer_gone(leg->rank)
           || (leg->lost && !sri_peer_known(leg->rank) && !t->ops->present(t, leg->rank));
}

bool pipe_leg_is_over(const pipe_piece *leg)
{
    if (leg->known)
        return leg->taken >= leg->count;
    return leg->lost && !pipe_leg_find(leg) && local_writer_gone(leg);
}

bool pipe_leg_is_torn(const pipe_piece *leg)
{
    /* What another thread has in its hands is not counted yet. */
    return leg->known && leg->taken < leg->count && leg->users == 0 && !pipe_leg_find(leg)
           && local_writer_gone(leg);
}

/* ---- records ---- */

static void local_fini(void *record)
{
    pipe_local *l = record;
    while (l->in)
        pipe_piece_out(&l->in, l->in);
}

sri_locals pipe_conns = { .size = sizeof(pipe_local), .fini = local_fini };

serry_err pipe_local_know_slowly(uint64_t handle, pipe_local **out)
{
    sri_local *base;
    bool fresh = !sri_local_find(&pipe_conns, handle);
    SRI_TRY(sri_local_use(&pipe_conns, handle, &base));
    *out = (pipe_local *)base;
    if (fresh)
        (*out)->to = -1;
    return SERRY_OK;
}

static serry_err local_open(pipe_local *l, pipe_use use)
{
    uint64_t handle = l->local.id;
    pipe_wire_ask ask = { .end = (uint8_t)pipe_side(handle), .use = (uint8_t)use };
    pipe_wire_opened out = { 0 };
    sri_reply reply = { 0 };
    SRI_POINT(80);
    serry_err e = sri_service_call(pipe_object(handle), PIPE_OP_OPEN, &ask, sizeof ask, NULL, 0,
                                   &reply, SRI_NEVER);
    SRI_POINT(81);
    if (e == SERRY_OK)
        e = sri_local_name(&l->local, reply.bytes, reply.len, sizeof out);
    if (e == SERRY_OK)
        memcpy(&out, reply.bytes, sizeof out);
    sri_reply_fini(&reply);
    SRI_TRY(e);
    l->mine = true;
    l->sends = out.duplex || ask.end == 1;
    l->recvs = out.duplex || ask.end == 0;
    return SERRY_OK;
}

/* Nothing is known of it that would be missed. */
static void local_drop_empty(pipe_local *l)
{
    bool told = l->over || l->in_broken || l->out_broken || l->no_memory || l->in || l->to >= 0;
    if (l->local.users == 1 && !l->local.destroyed && !l->mine && !told)
        sri_locals_forget(&pipe_conns, l->local.id);
}

static serry_err local_check(pipe_local *l, pipe_use use)
{
    if (l->giving)
        return sri_local_fail(&l->local, SERRY_ESTATE,
                              "another thread is giving or closing this end");
    if (!l->mine)
        SRI_TRY(local_open(l, use));
    if (use == PIPE_USE_SEND ? !l->sends : !l->recvs)
        return sri_local_fail(&l->local, SERRY_EPERM, "this end only %s",
                              use == PIPE_USE_SEND ? "receives" : "sends");
    return SERRY_OK;
}

serry_err pipe_local_use_slowly(pipe_local *l, pipe_use use)
{
    serry_err e = local_check(l, use);
    if (e != SERRY_OK) {
        local_drop_empty(l);
        pipe_local_leave(l);
    }
    return e;
}

/* ---- waiting ---- */

typedef struct local_wait {
    const pipe_local *l;
    unsigned seen;
} local_wait;

static bool local_stirred(void *ctx)
{
    const local_wait *w = ctx;
    return w->l->stirs != w->seen || w->l->local.destroyed;
}

serry_err pipe_wait_stir(pipe_local *l, unsigned seen, sri_ns deadline)
{
    if (l->homeless) /* nobody will say any more */
        return pipe_fail_over(l);
    local_wait w = { .l = l, .seen = seen };
    sri_waiting why = { .kind = SRI_WAIT_OBJECT,
                        .peer = SRI_AGENT,
                        .object = pipe_object(l->local.id) };
    return sri_wait_until(local_stirred, &w, deadline, &why);
}

void pipe_stir(pipe_local *l)
{
    l->stirs++;
    sri_wait_notify();
}

serry_err pipe_fail_over(const pipe_local *l)
{
    if (l->closed)
        return sri_local_fail(&l->local, SERRY_ECLOSED, "this end was closed");
    if (l->local.destroyed)
        return sri_local_fail(&l->local, SERRY_EHANDLE, "both ends are closed");
    if (!l->over)
        return l->homeless ? sri_local_fail(&l->local, SERRY_EDIED, "node %u is lost, its home",
                                            sri_handle_home(l->local.id))
                           : SERRY_OK;
    if (l->by < 0)
        return sri_local_fail(&l->local, SERRY_ECLOSED, "the other end is closed");
    char end[48];
    if (l->code < 0)
        return sri_local_fail(&l->local, (serry_err)l->over, "rank %d, which had the other end, %s",
                              l->by, sri_code_text(l->code, end, sizeof end));
    return sri_local_fail(&l->local, (serry_err)l->over,
                          "rank %d, which had the other end, has ended", l->by);
}

/* ---- what the home sends unasked ---- */

static void local_add(pipe_local *l, const pipe_wire_feed *head, const uint8_t *bytes, size_t len)
{
    if (l->no_memory) /* nothing may come behind what is missing */
        return;
    pipe_piece *piece = malloc(sizeof *piece + len);
    if (!piece) {
        l->no_memory = true;
        return;
    }
    *piece = (pipe_piece){
        .leg = head->what == PIPE_FEED_LEG, .rank = head->rank, .tag = (int)head->tag, .len = len
    };
    if (len)
        memcpy(piece->bytes, bytes, len);
    DL_APPEND(l->in, piece);
}

static void local_leg_end(pipe_local *l, const pipe_wire_feed *head)
{
    pipe_piece *leg;
    DL_FOREACH (l->in, leg) {
        if (leg->leg && leg->tag == (int)head->tag)
            break;
    }
    if (!leg)
        leg = pipe_rest_leg(l->local.id, (int)head->tag);
    if (!leg)
        return;
    leg->known = head->count != PIPE_LOST;
    leg->lost = !leg->known;
    leg->count = head->count;
}

static void local_fed(pipe_local *l, const pipe_wire_feed *head, const uint8_t *bytes, size_t len)
{
    switch (head->what) {
    case PIPE_FEED_MSG:
    case PIPE_FEED_LEG:
        local_add(l, head, bytes, len);
        break;
    case PIPE_FEED_LEG_END:
        local_leg_end(l, head);
        break;
    case PIPE_FEED_ROUTE:
        l->to = head->rank;
        l->tag = (int)head->tag;
        l->sent = 0;
        break;
    case PIPE_FEED_STOP:
        pipe_send_stop(l, head->end, head->tag);
        break;
    case PIPE_FEED_PEER:
        l->over = head->over;
        l->by = head->rank;
        l->code = head->code;
        l->more = head->count != 0;
        break;
    case PIPE_FEED_BROKEN:
        if (head->over)
            l->out_broken = true;
        else
            l->in_broken = true;
        break;
    default:
        break;
    }
}

void pipe_feed_arrived(uint64_t object, const uint8_t *bytes, size_t len)
{
    pipe_wire_feed head;
    pipe_local *l;
    if (len < sizeof head) { /* lost for want of memory: it may have been for either end */
        for (unsigned end = 0; end < 2; end++) {
            l = sri_local_find(&pipe_conns, pipe_handle(object, end));
            if (l) {
                l->no_memory = true;
                pipe_stir(l);
            }
        }
        return;
    }
    memcpy(&head, bytes, sizeof head);
    if (head.end > 1 || pipe_local_know(pipe_handle(object, head.end), &l) != SERRY_OK)
        return;
    local_fed(l, &head, bytes + sizeof head, len - sizeof head);
    pipe_stir(l);
    local_drop_empty(l);
    pipe_local_leave(l);
}

void pipe_lost(int node)
{
    sri_local *base, *next;
    HASH_ITER (hh, pipe_conns.all, base, next) {
        pipe_local *l = (pipe_local *)base;
        if ((int)sri_handle_home(l->local.id) != node)
            continue;
        l->homeless = true;
        l->more = false;
        pipe_stir(l);
    }
    pipe_rest_lost(node);
}

void pipe_local_forget(pipe_local *l)
{
    if (!l->local.destroyed)
        sri_locals_forget(&pipe_conns, l->local.id);
}

void pipe_forget(uint64_t object)
{
    if (object == 0)
        pipe_rest_forget();
    sri_locals_forget(&pipe_conns, object);
    if (object)
        sri_locals_forget(&pipe_conns, pipe_handle(object, 1));
}
