/* patterns/pipe_ends.c: the ends of a pipe at its home: whose they are, and when they are over. */
#include "patterns/pipe_home.h"

#include <stdio.h>

/* So long may an end whose maker has left still be used first, before the other end is told that
 * nobody is there. */
#define PIPE_ORPHAN_GRACE SRI_MS(2000)

static serry_err ends_refusal(const pipe_home *p, unsigned end, int rank, char *text, size_t cap)
{
    const pipe_end *e = &p->ends[end];
    if (e->used && e->owner != rank) {
        snprintf(text, cap, "this end belongs to rank %d%s", e->owner,
                 e->closed ? ", which has closed it" : "");
        return SERRY_EPERM;
    }
    if (e->over) {
        snprintf(text, cap, "this end is closed");
        return SERRY_ECLOSED;
    }
    return SERRY_OK;
}

bool pipe_admit(pipe_home *p, sri_asker who, unsigned end)
{
    char text[100];
    serry_err e = ends_refusal(p, end, who.rank, text, sizeof text);
    if (e != SERRY_OK)
        sri_home_refuse(&p->object, who, e, "%s", text);
    return e == SERRY_OK;
}

void pipe_orphan_look(pipe_home *p, bool again)
{
    sri_ns next = SRI_NEVER, now = sri_now();
    for (unsigned end = 0; end < 2; end++) {
        pipe_end *e = &p->ends[end];
        if (!e->orphan || e->used || e->over || e->orphan_told || !p->ends[!end].used)
            continue;
        if (again || !e->orphan_at)
            e->orphan_at = now + (e->orphan == SERRY_EDIED ? 0 : PIPE_ORPHAN_GRACE);
        if (e->orphan_at <= now) {
            e->orphan_told = true;
            pipe_tell(p, !end);
        } else if (e->orphan_at < next) {
            next = e->orphan_at;
        }
    }
    sri_home_timer(&p->object, next);
}

void pipe_own(pipe_home *p, unsigned end, int rank)
{
    pipe_end *e = &p->ends[end];
    e->used = true;
    e->owner = rank;
    if (e->orphan) {
        bool told = e->orphan_told;
        e->orphan = 0;
        e->orphan_told = false;
        e->by = -1;
        if (told)
            pipe_tell(p, !end);
    }
    if (p->ways[end].broken || p->ways[!end].broken) {
        pipe_wire_feed broken = { .what = PIPE_FEED_BROKEN, .rank = -1 };
        if (p->ways[end].broken)
            pipe_feed(p, end, broken, NULL, 0);
        broken.over = SERRY_EDIED;
        if (p->ways[!end].broken)
            pipe_feed(p, end, broken, NULL, 0);
    }
    pipe_orphan_look(p, true);
    pipe_flow(p, end);
    pipe_flow(p, !end);
    if (p->ends[!end].over || p->ends[!end].orphan_told)
        pipe_tell(p, end);
}

void pipe_end_mark(pipe_end *e, uint16_t over, int by, int code)
{
    e->over = over;
    e->by = by;
    e->code = code;
}

void pipe_end_over(pipe_home *p, unsigned end)
{
    pipe_end *e = &p->ends[end];
    pipe_way *in = &p->ways[end];
    pipe_drop_kept(in);
    pipe_tell(p, !end);
    if (e->closed)
        pipe_leg_stop(p, end);
    while (in->puts) { /* they have been told */
        pipe_wire_put again = { .what = PIPE_PUT_AGAIN };
        sri_home_reply(&p->object, in->puts->who, &again, sizeof again, NULL, 0);
        sri_unpark(&in->puts, in->puts);
    }
    sri_parked_refuse_all(&p->object, &in->gives, SERRY_ECLOSED, "this end is closed");
}
