/* patterns/pipe_way.c: one direction of a pipe at its home: what is kept, and its legs. */
#include "patterns/pipe_home.h"

#include "base/log.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

/* Tags of legs: of each home its own, so that two homes never give the same to one pair. */
#define WAY_TAG_BITS 21

static uint32_t way_tag(const pipe_home *p)
{
    static uint32_t last;
    last = (last + 1) & ((1u << WAY_TAG_BITS) - 1);
    if (last == 0)
        last = 1;
    return sri_handle_home(p->object.id) << WAY_TAG_BITS | last;
}

void pipe_feed(pipe_home *p, unsigned end, pipe_wire_feed head, const void *body, size_t len)
{
    head.end = (uint8_t)end;
    sri_home_feed(&p->object, p->ends[end].owner, &head, sizeof head, body, len);
}

void pipe_tell(pipe_home *p, unsigned end)
{
    const pipe_end *other = &p->ends[!end];
    if (!p->ends[end].used || p->ends[end].over)
        return;
    pipe_wire_feed head = { .what = PIPE_FEED_PEER,
                            .over = other->over,
                            .rank = other->by,
                            .code = other->code,
                            .count = p->ways[end].forwarder >= 0 };
    if (!other->over && other->orphan_told)
        head.over = other->orphan;
    pipe_feed(p, end, head, NULL, 0);
}

/* ---- legs ---- */

static void way_leg_begin(pipe_home *p, unsigned into)
{
    pipe_way *w = &p->ways[into];
    w->leg.state = PIPE_LEG_OPEN;
    w->leg.tag = way_tag(p);
    w->leg.writer = p->ends[!into].owner;
    w->leg.reader = p->ends[into].owner;
    pipe_wire_feed leg = { .what = PIPE_FEED_LEG, .tag = w->leg.tag, .rank = w->leg.writer };
    pipe_wire_feed route = { .what = PIPE_FEED_ROUTE, .tag = w->leg.tag, .rank = w->leg.reader };
    pipe_feed(p, into, leg, NULL, 0);
    pipe_feed(p, !into, route, NULL, 0);
}

void pipe_leg_stop(pipe_home *p, unsigned into)
{
    pipe_way *w = &p->ways[into];
    if (w->leg.state != PIPE_LEG_OPEN)
        return;
    w->leg.state = PIPE_LEG_STOPPING;
    pipe_wire_feed stop = { .what = PIPE_FEED_STOP, .end = !into, .tag = w->leg.tag };
    sri_home_feed(&p->object, w->leg.writer, &stop, sizeof stop, NULL, 0);
}

void pipe_leg_end(pipe_home *p, unsigned into, uint32_t tag, int writer, uint64_t count)
{
    pipe_way *w = &p->ways[into];
    if (w->leg.state == PIPE_LEG_NONE || w->leg.tag != tag || w->leg.writer != writer)
        return; /* it was ended before */
    w->leg.state = PIPE_LEG_NONE;
    pipe_wire_feed end = {
        .what = PIPE_FEED_LEG_END, .end = (uint8_t)into, .tag = tag, .count = count
    };
    sri_home_feed(&p->object, w->leg.reader, &end, sizeof end, NULL, 0);
    pipe_flow(p, into);
}

/* ---- what is kept ---- */

static size_t way_cost(size_t len)
{
    return len + PIPE_MESSAGE_COST;
}

static bool way_keep(pipe_way *w, const uint8_t *bytes, size_t len)
{
    pipe_kept *k = malloc(sizeof *k + len);
    if (!k)
        return false;
    k->len = len;
    if (len)
        memcpy(k->bytes, bytes, len);
    DL_APPEND(w->kept, k);
    w->kept_size += way_cost(len);
    return true;
}

static void way_drop(pipe_way *w, pipe_kept *k)
{
    DL_DELETE(w->kept, k);
    w->kept_size -= way_cost(k->len);
    free(k);
}

void pipe_drop_kept(pipe_way *w)
{
    while (w->kept)
        way_drop(w, w->kept);
}

static void way_answer(pipe_home *p, sri_asker who, uint64_t what)
{
    pipe_wire_put out = { .what = what };
    sri_home_reply(&p->object, who, &out, sizeof out, NULL, 0);
}

void pipe_flow(pipe_home *p, unsigned into)
{
    pipe_way *w = &p->ways[into];
    pipe_end *to = &p->ends[into], *from = &p->ends[!into];
    if (!w->allowed || !to->used || to->over || w->forwarder >= 0 || w->broken)
        return;
    while (w->kept) {
        pipe_feed(p, into, (pipe_wire_feed){ .what = PIPE_FEED_MSG }, w->kept->bytes, w->kept->len);
        way_drop(w, w->kept);
    }
    if (w->leg.state == PIPE_LEG_NONE && from->used && !from->over)
        way_leg_begin(p, into);
    while (w->leg.state == PIPE_LEG_OPEN && w->puts) {
        way_answer(p, w->puts->who, PIPE_PUT_AGAIN);
        sri_unpark(&w->puts, w->puts);
    }
}

void pipe_put(pipe_home *p, sri_asker who, unsigned from, bool bytes_too, const uint8_t *bytes,
              size_t len)
{
    pipe_way *w = &p->ways[!from];
    if (w->leg.state == PIPE_LEG_OPEN || p->ends[!from].over || w->broken) {
        way_answer(p, who, PIPE_PUT_AGAIN); /* it has been told why */
    } else if (!bytes_too || w->puts || w->kept_size + way_cost(len) > PIPE_KEPT_MAX) {
        sri_park(&p->object, &w->puts, who, 0, "the other end takes nothing more");
    } else if (way_keep(w, bytes, len)) {
        way_answer(p, who, PIPE_PUT_KEPT);
    } else {
        sri_home_refuse(&p->object, who, SERRY_ENOMEM, "no memory for a message of %zu bytes", len);
    }
}

/* ---- an end that is handed over ---- */

void pipe_forwarded(pipe_home *p, unsigned into, int rank, const uint8_t *bytes, size_t len)
{
    pipe_way *w = &p->ways[into];
    if (w->forwarder == rank && p->ends[into].used && !p->ends[into].over && !w->broken)
        pipe_feed(p, into, (pipe_wire_feed){ .what = PIPE_FEED_MSG }, bytes, len);
}

void pipe_break(pipe_home *p, unsigned into, int rank)
{
    pipe_way *w = &p->ways[into];
    w->broken = true;
    pipe_drop_kept(w);
    pipe_wire_feed broken = { .what = PIPE_FEED_BROKEN, .rank = rank };
    if (p->ends[into].used && !p->ends[into].over)
        pipe_feed(p, into, broken, NULL, 0);
    broken.over = SERRY_EDIED; /* to the writer */
    if (p->ends[!into].used && !p->ends[!into].over)
        pipe_feed(p, !into, broken, NULL, 0);
    while (w->puts)
        sri_parked_refuse(&p->object, &w->puts, w->puts, SERRY_EDIED,
                          "messages were lost with a process that handed its end over");
}
