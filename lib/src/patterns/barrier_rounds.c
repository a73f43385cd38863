/* patterns/barrier_rounds.c: the rounds of a barrier at its home: who has come, and how a round
 * ends. */
#include "patterns/barrier_home.h"

#include "base/error.h"
#include "base/fate.h"

#include <stdio.h>
#include <string.h>
#include <utlist.h>

/* ---- rounds ---- */

static void barrier_new_round(barrier_home *b)
{
    b->round++;
    b->arrived = 0;
    b->runner = -1;
}

static void barrier_user_stays_out(sri_object *o, int rank, void *session, void *ctx)
{
    (void)o;
    (void)rank;
    (void)ctx;
    ((barrier_user *)session)->here = false;
}

void barrier_dismiss(barrier_home *b, const char *text)
{
    barrier_new_round(b);
    sri_home_sessions(&b->object, barrier_user_stays_out, NULL);
    sri_parked_refuse_all(&b->object, &b->line, SERRY_EBROKEN, text);
    sri_parked_refuse_all(&b->object, &b->next, SERRY_EBROKEN, text);
}

void barrier_break(barrier_home *b, const char *how)
{
    if (b->broken)
        return;
    b->broken = true;
    snprintf(b->why, sizeof b->why, "broken: %s", how);
    barrier_dismiss(b, b->why);
}

static void barrier_place(barrier_home *b, sri_asker who, uint32_t index, bool run)
{
    barrier_wire_place place = { .index = index, .run = run, .round = b->round };
    sri_home_reply(&b->object, who, &place, sizeof place, NULL, 0);
}

/* Who was here is expected to come again. */
static void barrier_user_passes(sri_object *o, int rank, void *session, void *ctx)
{
    (void)o;
    (void)rank;
    (void)ctx;
    barrier_user *u = session;
    u->party = u->here;
    u->here = false;
}

/* All go on. last is answered behind the others: it is awake. */
static void barrier_complete(barrier_home *b, sri_asker last, uint32_t index)
{
    while (b->line) {
        sri_parked *p = b->line;
        barrier_place(b, p->who, (uint32_t)p->note, false);
        sri_unpark(&b->line, p);
    }
    barrier_place(b, last, index, false);
    barrier_new_round(b);
    b->passed = true;
    b->lost = 0;
    sri_home_sessions(&b->object, barrier_user_passes, NULL);
    sri_parked *early = b->next;
    b->next = NULL;
    while (early) {
        sri_asker who = early->who;
        sri_unpark(&early, early);
        barrier_arrive(b, who);
    }
}

/* One that will not wait: that breaks it, as any wait that is not in time. */
static void barrier_refuse_nowait(barrier_home *b, sri_asker who)
{
    char how[64];
    snprintf(how, sizeof how, "rank %d did not wait", who.rank);
    sri_home_refuse(&b->object, who, SERRY_ETIMEDOUT, "%d of %d parties are here", b->arrived,
                    b->settings.parties);
    barrier_break(b, how);
}

void barrier_arrive(barrier_home *b, sri_asker who)
{
    barrier_user *u = barrier_user_of(b, who.rank);
    if (!b->broken && u->party && b->lost > 0)
        barrier_break(b, b->lost_how);
    if (b->broken) {
        sri_home_refuse(&b->object, who, SERRY_EBROKEN, "%s", b->why);
        return;
    }
    bool last = b->runner < 0 && b->arrived + 1 == b->settings.parties;
    if (!last && who.nowait) {
        barrier_refuse_nowait(b, who);
        return;
    }
    if (b->runner >= 0) {
        sri_park(&b->object, &b->next, who, 0, "");
        return;
    }
    uint32_t index = (uint32_t)b->arrived;
    if (!last && !sri_park(&b->object, &b->line, who, index, ""))
        return;
    b->arrived++;
    if (!u->party && !u->here)
        b->lost--;
    u->here = true;
    if (last && b->settings.has_action) {
        b->runner = who.rank;
        b->runner_index = index;
        barrier_place(b, who, index, true);
    } else if (last) {
        barrier_complete(b, who, index);
    }
}

void barrier_done(barrier_home *b, sri_asker who, const uint8_t *bytes, size_t len)
{
    barrier_wire_done in;
    if (len != sizeof in) {
        sri_home_refuse(&b->object, who, SERRY_EINVAL, "not the end of an action");
        return;
    }
    memcpy(&in, bytes, sizeof in);
    if (b->runner != who.rank || in.round != b->round) {
        sri_home_refuse(&b->object, who, SERRY_EBROKEN, "%s",
                        b->broken ? b->why : "reset while the action ran");
    } else if (in.result != 0) {
        char how[96];
        snprintf(how, sizeof how, "the action failed with %lld in rank %d", (long long)in.result,
                 who.rank);
        barrier_break(b, how);
        sri_home_refuse(&b->object, who, SERRY_EBROKEN, "%s", b->why);
    } else {
        barrier_complete(b, who, b->runner_index);
    }
}

void barrier_cancel(sri_object *o, sri_asker who)
{
    barrier_home *b = barrier_of(o);
    char how[64];
    sri_parked **line = sri_parked_find(b->line, who) ? &b->line : &b->next;
    sri_parked *p = sri_parked_find(*line, who);
    if (!p)
        return;
    snprintf(how, sizeof how, "rank %d did not wait any longer", who.rank);
    sri_home_refuse(o, who, SERRY_ETIMEDOUT, "%d of %d parties came", b->arrived,
                    b->settings.parties);
    sri_unpark(line, p);
    barrier_break(b, how);
}

/* ---- deaths ---- */

static void barrier_how_gone(barrier_home *b, int rank, sri_fate fate, char *text, size_t cap)
{
    int code = sri_home_exit_code(&b->object, rank);
    char end[48];
    if (fate == SRI_FATE_LEFT)
        snprintf(text, cap, "rank %d has left", rank);
    else if (code < 0)
        snprintf(text, cap, "rank %d %s", rank, sri_code_text(code, end, sizeof end));
    else
        snprintf(text, cap, "rank %d has ended", rank);
}

/* Is somebody here who expects those that are expected? */
static bool barrier_is_awaited(barrier_home *b)
{
    sri_parked *p;
    DL_FOREACH (b->line, p)
        if (barrier_user_of(b, p->who.rank)->party)
            return true;
    return false;
}

void barrier_gone(sri_object *o, int rank, sri_fate fate)
{
    barrier_home *b = barrier_of(o);
    char how[96];
    barrier_user *u = barrier_user_of(b, rank);
    bool expected = u && u->party && fate == SRI_FATE_DIED;
    size_t waited = sri_parked_drop(&b->line, rank) + sri_parked_drop(&b->next, rank);
    barrier_how_gone(b, rank, fate, how, sizeof how);
    if (waited || b->runner == rank) {
        barrier_break(b, how);
    } else if (expected && !b->broken) {
        /* It was to come and never will. Those of its round who wait are told now, those who
         * come later then; unless another has come in its place. */
        b->lost++;
        memcpy(b->lost_how, how, sizeof how);
        if (b->lost > 0 && barrier_is_awaited(b))
            barrier_break(b, how);
    }
}
