/* patterns/pipe_home.c: a pipe at its home: its operations, and its life. Who has which end is in
 * pipe_ends.c, the messages are in pipe_way.c. */
#include "patterns/pipe_home.h"

#include <stdio.h>
#include <string.h>

static pipe_home *pipe_of(sri_object *o)
{
    return (pipe_home *)o;
}

/* ---- operations ---- */

static void pipe_open(pipe_home *p, sri_asker who, const pipe_wire_ask *ask)
{
    pipe_wire_opened out = { .duplex = p->duplex };
    if (!pipe_admit(p, who, ask->end))
        return;
    if (!p->ways[ask->use == PIPE_USE_RECV ? ask->end : !ask->end].allowed) {
        sri_home_refuse(&p->object, who, SERRY_EPERM, "this end only %s",
                        ask->use == PIPE_USE_RECV ? "sends" : "receives");
        return;
    }
    if (!sri_home_session(&p->object, who.rank)) {
        sri_home_refuse(&p->object, who, SERRY_ENOMEM, "no memory for one more user");
        return;
    }
    if (!p->ends[ask->end].used)
        pipe_own(p, ask->end, who.rank);
    sri_home_opened(&p->object, who, &out, sizeof out);
}

static void pipe_close(pipe_home *p, sri_asker who, const pipe_wire_ask *ask)
{
    pipe_wire_closed out = { .ended = p->ends[!ask->end].over != 0 };
    if (!pipe_admit(p, who, ask->end))
        return;
    p->ends[ask->end].closed = true;
    pipe_end_mark(&p->ends[ask->end], SERRY_ECLOSED, -1, 0);
    /* A leg that it does not name has begun behind its back: it has sent nothing on it. */
    uint32_t tag = p->ways[!ask->end].leg.tag;
    pipe_leg_end(p, !ask->end, tag, who.rank, tag == ask->tag ? ask->count : 0);
    pipe_end_over(p, ask->end);
    sri_home_reply(&p->object, who, &out, sizeof out, NULL, 0);
    if (out.ended)
        sri_home_end(&p->object);
}

static void pipe_give(pipe_home *p, sri_asker who, unsigned end, int rank)
{
    pipe_end *e = &p->ends[end];
    if (!pipe_admit(p, who, end))
        return;
    if (!sri_home_present(&p->object, rank) || !sri_home_session(&p->object, rank)) {
        sri_home_refuse(&p->object, who, SERRY_EDIED, "rank %d is not there to be given an end",
                        rank);
        return;
    }
    if (e->used && p->ways[end].forwarder >= 0) {
        sri_park(&p->object, &p->ways[end].gives, who, (uint64_t)rank,
                 "the last owner's messages are still on their way");
        return;
    }
    if (e->used && e->owner != rank) {
        pipe_leg_stop(p, end);
        pipe_leg_stop(p, !end);
        p->ways[end].forwarder = who.rank;
    }
    if (!e->used || e->owner != rank)
        pipe_own(p, end, rank);
    sri_home_reply(&p->object, who, NULL, 0, NULL, 0);
}

static void pipe_forwarded_all(pipe_home *p, unsigned end, int rank, bool lost)
{
    pipe_way *w = &p->ways[end];
    if (w->forwarder != rank)
        return;
    w->forwarder = -1;
    if (lost)
        pipe_break(p, end, rank);
    pipe_flow(p, end);
    if (p->ends[!end].over || p->ends[!end].orphan_told)
        pipe_tell(p, end); /* that was all */
    if (w->gives) {
        sri_asker who = w->gives->who;
        int to = (int)w->gives->note;
        sri_unpark(&w->gives, w->gives);
        pipe_give(p, who, end, to);
    }
}

static void pipe_request(sri_object *o, sri_asker who, uint16_t op, const uint8_t *bytes,
                         size_t len)
{
    pipe_home *p = pipe_of(o);
    pipe_wire_ask ask;
    if (len < sizeof ask || bytes[0] > 1) {
        sri_home_refuse(o, who, SERRY_EINVAL, "not a request to it");
        return;
    }
    memcpy(&ask, bytes, sizeof ask);
    bytes += sizeof ask;
    len -= sizeof ask;
    switch (op) {
    case PIPE_OP_OPEN:
        pipe_open(p, who, &ask);
        break;
    case PIPE_OP_PUT:
    case PIPE_OP_WAIT:
        if (p->ends[ask.end].used && pipe_admit(p, who, ask.end))
            pipe_put(p, who, ask.end, op == PIPE_OP_PUT, bytes, len);
        else if (!p->ends[ask.end].used)
            sri_home_refuse(o, who, SERRY_EPERM, "nobody has used this end");
        break;
    case PIPE_OP_CLOSE:
        pipe_close(p, who, &ask);
        break;
    case PIPE_OP_GIVE:
        pipe_give(p, who, ask.end, ask.rank);
        break;
    case PIPE_OP_STOPPED:
        pipe_leg_end(p, !ask.end, ask.tag, who.rank, ask.count);
        break;
    case PIPE_OP_FORWARD:
        pipe_forwarded(p, ask.end, who.rank, bytes, len);
        break;
    case PIPE_OP_FORWARDED:
        pipe_forwarded_all(p, ask.end, who.rank, ask.count != 0);
        break;
    default:
        sri_home_refuse(o, who, SERRY_EINVAL, "there is no operation %u", op);
    }
}

static void pipe_cancel(sri_object *o, sri_asker who)
{
    pipe_home *p = pipe_of(o);
    for (unsigned i = 0; i < 2; i++) {
        if (!sri_parked_cancel(o, &p->ways[i].puts, who, "the other end took nothing"))
            sri_parked_cancel(o, &p->ways[i].gives, who,
                              "the last owner's messages are still on their way");
    }
}

/* ---- life ---- */

static void pipe_timer(sri_object *o)
{
    pipe_orphan_look(pipe_of(o), false);
}

static serry_err pipe_create(sri_object *o, const uint8_t *args, size_t len)
{
    pipe_home *p = pipe_of(o);
    uint64_t duplex;
    if (len != sizeof duplex)
        return sri_fail(SERRY_EINVAL, "not the settings of a pipe");
    memcpy(&duplex, args, sizeof duplex);
    p->duplex = duplex != 0;
    for (unsigned i = 0; i < 2; i++) {
        p->ends[i] = (pipe_end){ .owner = o->creator, .by = -1 };
        p->ways[i] = (pipe_way){ .allowed = p->duplex || i == 0, .forwarder = -1 };
    }
    return SERRY_OK;
}

/* What a member that is gone had to do with one direction. */
static void pipe_way_gone(pipe_home *p, unsigned into, int rank)
{
    pipe_way *w = &p->ways[into];
    sri_parked_drop(&w->puts, rank);
    sri_parked_drop(&w->gives, rank);
    if (w->leg.state != PIPE_LEG_NONE && w->leg.writer == rank)
        pipe_leg_end(p, into, w->leg.tag, rank, PIPE_LOST);
    if (w->leg.state != PIPE_LEG_NONE && w->leg.reader == rank)
        w->leg.state = PIPE_LEG_NONE;
    if (w->forwarder == rank)
        pipe_forwarded_all(p, into, rank, true);
}

static void pipe_gone(sri_object *o, int rank, sri_fate fate)
{
    pipe_home *p = pipe_of(o);
    int code = sri_home_exit_code(o, rank);
    uint16_t over = fate == SRI_FATE_DIED && code < 0 ? SERRY_EDIED : SERRY_ECLOSED;
    bool fresh[2] = { false, false };
    for (unsigned end = 0; end < 2; end++) {
        pipe_end *e = &p->ends[end];
        if (e->owner != rank || e->over)
            continue;
        fresh[end] = e->used;
        if (e->used)
            pipe_end_mark(e, over, rank, code);
        else
            *e = (pipe_end){ .owner = rank,
                             .by = rank,
                             .code = code,
                             .orphan = over,
                             .orphan_told = e->orphan_told,
                             .orphan_at = e->orphan_at };
    }
    for (unsigned end = 0; end < 2; end++) {
        pipe_way_gone(p, end, rank);
        if (fresh[end])
            pipe_end_over(p, end);
    }
    if ((fresh[0] || fresh[1]) && p->ends[0].over && p->ends[1].over)
        sri_home_end(o);
    else
        pipe_orphan_look(p, true);
}

static void pipe_destroy(sri_object *o)
{
    pipe_home *p = pipe_of(o);
    for (unsigned i = 0; i < 2; i++) {
        pipe_drop_kept(&p->ways[i]);
        sri_parked_refuse_all(o, &p->ways[i].puts, SERRY_EHANDLE, "both ends are closed");
        sri_parked_refuse_all(o, &p->ways[i].gives, SERRY_EHANDLE, "both ends are closed");
    }
}

static void pipe_describe_end(const pipe_home *p, unsigned end, char *text, size_t cap)
{
    const pipe_end *e = &p->ends[end];
    const pipe_way *w = &p->ways[end];
    char waits[64] = "";
    if (w->kept)
        snprintf(waits, sizeof waits, ", messages for it are kept");
    else if (w->leg.state == PIPE_LEG_OPEN && !e->over)
        snprintf(waits, sizeof waits, ", it receives from rank %d", w->leg.writer);
    snprintf(text, cap, "%s rank %d%s%s%s", e->used ? "of" : "not used yet, made by", e->owner,
             e->closed ? ", closed"
             : e->over ? ", which has ended"
                       : "",
             waits, w->puts ? ", a send to it waits" : "");
}

static void pipe_describe(sri_object *o, char *text, size_t cap)
{
    const pipe_home *p = pipe_of(o);
    char first[160], second[160];
    pipe_describe_end(p, 0, first, sizeof first);
    pipe_describe_end(p, 1, second, sizeof second);
    snprintf(text, cap, "%s, %s: one end %s; the other %s", sri_home_called(o),
             p->duplex ? "duplex" : "simplex", first, second);
}

static const sri_object_class pipe_class = {
    .type = SRI_TYPE_PIPE,
    .name = "pipe",
    .size = sizeof(pipe_home),
    .session = sizeof(uint64_t), /* nothing is kept in it: having one is what counts */
    .create = pipe_create,
    .request = pipe_request,
    .cancel = pipe_cancel,
    .gone = pipe_gone,
    .timer = pipe_timer,
    .destroy = pipe_destroy,
    .describe = pipe_describe,
    .feed = pipe_feed_arrived,
    .forget = pipe_forget,
    .lost = pipe_lost,
    .leaving = pipe_leaving,
};
SRI_OBJECT_CLASS(pipe_class)
