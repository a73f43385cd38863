/* core/output.c: sending. What a full lane does not take is kept back in order; long messages are
 * announced and, once asked for, flow in pieces between the other frames. */
#include "core/match.h"

#include "base/log.h"
#include "core/fence.h"
#include "core/wait.h"

#include <string.h>
#include <utlist.h>

#define OUTPUT_BATCH 64 /* pieces for one peer in one push */

/* So much of a stream goes before it is the next one's turn. */
#define OUTPUT_TURN (256u << 10)

static inline uint8_t output_flags(unsigned context)
{
    static const uint8_t flags[SRI_CONTEXTS] = {
        [SRI_CONTEXT_COLLECTIVE] = SRI_FLAG_COLLECTIVE, [SRI_CONTEXT_PIPE] = SRI_FLAG_PIPE
    };
    return flags[context];
}

static inline sri_sent output_frame(sri_peer *p, const sri_frame *f)
{
    sri_transport *t = sri_world.transport;
    return t->ops->send(t, p->rank, f);
}

static inline sri_sent output_whole(sri_peer *p, unsigned context, int tag, const void *buf,
                                    size_t len)
{
    sri_frame f = { .kind = SRI_KIND_MESSAGE,
                    .flags = output_flags(context),
                    .aux = (uint32_t)tag,
                    .body = buf,
                    .body_len = len,
                    .fd = -1 };
    return output_frame(p, &f);
}

sri_sent sri_output_short(sri_peer *p, unsigned context, int tag, const void *buf, size_t len)
{
    if (__builtin_expect(sri_service_unsettled != 0, 0))
        return SRI_FULL; /* it is kept back until it may go */
    return output_whole(p, context, tag, buf, len);
}

static inline serry_err output_error(sri_sent sent)
{
    return sent == SRI_SENT ? SERRY_OK : sent == SRI_LIMIT ? SERRY_ELIMIT : SERRY_EDIED;
}

/* The next pieces of a message that goes unasked. */
static sri_sent output_pieces(sri_peer *p, sri_request *r)
{
    uint64_t whole = r->len;
    while (r->sent < r->len || r->sent == 0) {
        bool first = r->sent == 0;
        size_t room = sri_match.eager_max - (first ? sizeof whole : 0);
        size_t n = r->len - r->sent < room ? r->len - r->sent : room;
        sri_frame f = { .kind = first ? SRI_KIND_MESSAGE : SRI_KIND_DATA,
                        .flags = first ? SRI_FLAG_MORE | output_flags(r->context) : 0,
                        .aux = first ? (uint32_t)r->tag : 0,
                        .head = &whole,
                        .head_len = first ? sizeof whole : 0,
                        .body = r->buf.from + r->sent,
                        .body_len = n,
                        .fd = -1 };
        if (r->sent + n < r->len)
            f.flags |= SRI_FLAG_SOON;
        sri_sent sent = output_frame(p, &f);
        if (sent != SRI_SENT)
            return sent;
        r->sent += n;
    }
    return SRI_SENT;
}

/* Tries the frame that r stands for. */
static sri_sent output_try(sri_peer *p, sri_request *r)
{
    uint64_t head[2] = { r->token, r->len };
    sri_frame f = { .kind = r->kind, .flags = output_flags(r->context), .fd = -1 };
    if (__builtin_expect(!sri_fence_open(r->fence), 0))
        return SRI_FULL;
    switch (r->kind) {
    case SRI_KIND_MESSAGE:
        if (r->len > sri_match.eager_max)
            return output_pieces(p, r);
        return output_whole(p, r->context, r->tag, r->buf.from, r->len);
    case SRI_KIND_ANNOUNCE:
        f.aux = (uint32_t)r->tag;
        f.head = head;
        f.head_len = sizeof head;
        break;
    case SRI_KIND_CLEAR:
        f.flags = r->bulk ? SRI_CLEAR_BULK : 0;
        f.aux = r->remote;
        f.head = head;
        f.head_len = sizeof head[0];
        break;
    default:
        f.aux = r->remote;
        break;
    }
    return output_frame(p, &f);
}

/* r is in no list any more and is over. True: a gate has opened. */
static bool output_end(sri_request *r, serry_err e)
{
    switch (r->kind) {
    case SRI_KIND_CLEAR: /* the incoming message owns it */
        r->place = SRI_PLACE_NONE;
        return false;
    case SRI_KIND_WITHDRAW:
        sri_request_free(r);
        return false;
    case SRI_KIND_MESSAGE:
        break;
    default:
        if (r->token)
            sri_ids_release(&sri_match.sends, r->token);
        r->token = 0;
        break;
    }
    return sri_request_complete(r, e);
}

/* r, in no list, was tried and not found full. True: a gate has opened. */
static bool output_tried(sri_peer *p, sri_request *r, sri_sent sent)
{
    if (sent != SRI_SENT) {
        if (sent == SRI_LIMIT && r->kind == SRI_KIND_CLEAR)
            sri_log(SRI_LOG_ERROR, "no lane to rank %d can be had; it waits in vain", p->rank);
        return output_end(r, output_error(sent));
    }
    if (r->kind == SRI_KIND_MESSAGE)
        return sri_request_complete(r, SERRY_OK);
    if (r->kind != SRI_KIND_ANNOUNCE)
        return output_end(r, SERRY_OK);
    r->place = SRI_PLACE_ANNOUNCED;
    DL_APPEND(p->announced, r);
    return false;
}

static void output_list(sri_peer *p)
{
    if (p->has_output)
        return;
    p->has_output = true;
    DL_APPEND2(sri_match.output, p, prev_output, next_output);
}

static void output_keep(sri_peer *p, sri_request *r)
{
    r->place = SRI_PLACE_OUT;
    DL_APPEND(p->out, r);
    output_list(p);
}

bool sri_output_send(sri_peer *p, sri_request *r)
{
    bool unasked =
        r->len <= sri_match.eager_max
        || (r->len <= SRI_UNASKED_MAX && r->context != SRI_CONTEXT_COLLECTIVE && !sri_bulk_to(p));
    r->kind = unasked ? SRI_KIND_MESSAGE : SRI_KIND_ANNOUNCE;
    r->sent = 0;
    r->place = SRI_PLACE_NONE;
    r->done = false;
    r->token = 0;
    r->bulk = false;
    r->fence = sri_service_posted;
    r->status = (serry_status){ r->peer, r->tag, r->len };
    if (p->gone) {
        sri_request_complete(r, SERRY_EDIED);
        return true;
    }
    if (r->kind == SRI_KIND_ANNOUNCE) {
        r->token = sri_ids_take(&sri_match.sends, r);
        if (r->token == 0) {
            sri_request_complete(r, SERRY_ENOMEM);
            return true;
        }
    }
    sri_sent sent = p->out ? SRI_FULL : output_try(p, r);
    if (sent == SRI_FULL)
        output_keep(p, r);
    else
        output_tried(p, r, sent);
    return r->done;
}

serry_err sri_output_control(sri_peer *p, sri_request *r, sri_kind kind, uint64_t token,
                             uint64_t ours, bool bulk)
{
    if (p->gone)
        return SERRY_OK;
    sri_request now = { .kind = (uint8_t)kind, .bulk = bulk, .remote = token, .token = ours };
    sri_sent sent = p->out ? SRI_FULL : output_try(p, &now);
    if (sent == SRI_SENT || sent == SRI_GONE)
        return SERRY_OK;
    if (sent == SRI_LIMIT) {
        sri_log(SRI_LOG_ERROR, "no lane to rank %d can be had; it waits in vain", p->rank);
        return SERRY_OK;
    }
    if (!r && !(r = sri_request_alloc()))
        return sri_fail(SERRY_ENOMEM, "no memory for a frame to rank %d", p->rank);
    *r = now;
    output_keep(p, r);
    return SERRY_OK;
}

serry_err sri_output_withdraw(sri_request *r)
{
    sri_peer *p = sri_match.peers[r->peer];
    if (r->place == SRI_PLACE_ANNOUNCED) {
        SRI_TRY(sri_output_control(p, NULL, SRI_KIND_WITHDRAW, r->token, 0, false));
        DL_DELETE(p->announced, r);
    } else if (r->place == SRI_PLACE_OUT && (r->kind != SRI_KIND_MESSAGE || r->sent == 0)) {
        DL_DELETE(p->out, r);
    } else {
        return sri_fail(SERRY_ESTATE, "the message to rank %d, tag %d, is on its way", r->peer,
                        r->tag);
    }
    if (r->token)
        sri_ids_release(&sri_match.sends, r->token);
    r->token = 0;
    r->place = SRI_PLACE_NONE;
    return SERRY_OK;
}

bool sri_output_clear(sri_peer *p, const sri_arrival *a)
{
    uint64_t theirs;
    if (a->len != sizeof theirs) {
        sri_match_bad(p, "a clear of a wrong form");
        return false;
    }
    memcpy(&theirs, a->bytes, sizeof theirs);
    sri_request *r = sri_ids_find(&sri_match.sends, a->aux);
    if (!r)
        return false; /* taken back: it has crossed the withdrawal */
    bool bulk = (a->flags & SRI_CLEAR_BULK) != 0;
    if (r->peer != p->rank || r->place != SRI_PLACE_ANNOUNCED) {
        sri_match_bad(p, "a clear for what was not announced");
        return false;
    }
    if (bulk && !sri_bulk_to(p))
        return false; /* it has left since; its fate ends the send */
    sri_ids_release(&sri_match.sends, r->token);
    r->token = 0;
    r->remote = theirs;
    r->sent = 0;
    r->kind = SRI_KIND_DATA;
    r->bulk = bulk;
    DL_DELETE(p->announced, r);
    if (bulk && sri_bulk_send(p, r))
        return false;
    r->place = SRI_PLACE_STREAM;
    DL_APPEND(p->streams, r);
    output_list(p);
    return true; /* stop polling and push */
}

/* ---- pushing ---- */

/* What was kept back, in order. False: the lane is full. */
static bool output_push_kept(sri_peer *p, bool *moved)
{
    while (p->out) {
        sri_request *r = p->out;
        sri_sent sent = output_try(p, r);
        if (sent == SRI_FULL)
            return false;
        DL_DELETE(p->out, r);
        if (output_tried(p, r, sent))
            sri_wait_notify();
        *moved = true;
    }
    return true;
}

/* One that the transport is to move and could not begin before. */
static bool output_push_bulk(sri_peer *p, sri_request *r)
{
    DL_DELETE(p->streams, r);
    if (sri_bulk_send(p, r))
        return true;
    DL_APPEND(p->streams, r);
    sri_match.output_again = true;
    return false;
}

/* One piece of the first stream, which now and then goes behind the others. False: the lane is
 * full. */
static bool output_push_piece(sri_peer *p, bool last)
{
    sri_request *r = p->streams;
    if (__builtin_expect(r->bulk, 0))
        return output_push_bulk(p, r);
    size_t left = r->len - r->sent, max = sri_world.transport->frame_max;
    sri_frame f = { .kind = SRI_KIND_DATA,
                    .flags = !last && (left > max || r->next) ? SRI_FLAG_SOON : 0,
                    .aux = r->remote,
                    .body = r->buf.from + r->sent,
                    .body_len = left < max ? left : max,
                    .fd = -1 };
    sri_sent sent = output_frame(p, &f);
    if (sent == SRI_FULL)
        return false;
    if (sent == SRI_SENT)
        r->sent += f.body_len;
    bool over = sent != SRI_SENT || r->sent == r->len;
    if (over || (r->next && r->sent / OUTPUT_TURN != (r->sent - f.body_len) / OUTPUT_TURN)) {
        DL_DELETE(p->streams, r);
        if (!over)
            DL_APPEND(p->streams, r);
    }
    if (over && output_end(r, output_error(sent)))
        sri_wait_notify();
    return true;
}

static bool output_push_peer(sri_peer *p)
{
    bool moved = false;
    if (!output_push_kept(p, &moved))
        return moved;
    for (int i = 0; p->streams && i < OUTPUT_BATCH; i++) {
        if (!output_push_piece(p, i == OUTPUT_BATCH - 1))
            return moved;
        moved = true;
    }
    if (p->streams) {
        sri_match.output_again = true;
    } else {
        p->has_output = false;
        DL_DELETE2(sri_match.output, p, prev_output, next_output);
    }
    return moved;
}

bool sri_message_push(void)
{
    bool moved = false;
    sri_match.output_again = false;
    sri_peer *p, *next;
    DL_FOREACH_SAFE2 (sri_match.output, p, next, next_output)
        moved |= output_push_peer(p);
    return moved;
}

/* The other end lives and may have lent memory to a transfer for this one. */
static void output_take_back(sri_request *r, bool alive)
{
    sri_peer *p = alive && r->kind == SRI_KIND_ANNOUNCE ? sri_match.peers[r->peer] : NULL;
    if (p && r->place == SRI_PLACE_ANNOUNCED && sri_bulk_to(p))
        SERRY_IGNORE(sri_output_control(p, NULL, SRI_KIND_WITHDRAW, r->token, 0, false));
}

static bool output_drop_list(sri_request **list, bool (*meant)(const sri_request *r), serry_err e)
{
    bool opened = false;
    sri_request *r, *next;
    DL_FOREACH_SAFE (*list, r, next) {
        if (meant && !meant(r))
            continue;
        DL_DELETE(*list, r);
        output_take_back(r, meant != NULL);
        opened |= output_end(r, e);
    }
    return opened;
}

bool sri_output_drop(sri_peer *p, bool (*meant)(const sri_request *r), serry_err e)
{
    bool opened = output_drop_list(&p->out, meant, e);
    opened |= output_drop_list(&p->announced, meant, e);
    opened |= output_drop_list(&p->streams, meant, e);
    if (!meant) /* of those that are moving, only if nobody is left at the other end */
        opened |= output_drop_list(&p->bulks, meant, e);
    if (p->has_output && !p->out && !p->streams) {
        p->has_output = false;
        DL_DELETE2(sri_match.output, p, prev_output, next_output);
    }
    return opened;
}
