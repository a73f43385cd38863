/* patterns/pool_deputies.c: the deputies of ranks, as the pool's home sees them.
 *
 * In a pool with isolate a rank that serves, or the owner that waits, runs no task: a process of
 * its node, forked from the clean copy of the program, runs them in its stead. So what a task does
 * to its process costs that task and not the rank. The home asks the rank for a deputy
 * (FEED_DEPUTY), the rank has its agent start it and tells the home its number (DEPUTY), and the
 * deputy greets the home like any worker. It gets items while its rank is attached; if it ends, the
 * rank is asked for another; if the rank is gone, it is killed, and the task it was at is begun
 * elsewhere as if it had not been. Each is asked for by a number, so that one that comes too late
 * is told apart. */
#include "patterns/pool_home.h"

#include <stdio.h>
#include <string.h>
#include <utlist.h>

/* The owner's is started when there is something to do that nobody else will do. */
static bool deputies_needed(const pool_home *p, const home_worker *w)
{
    if (!w->deputes || !w->attached || w->asked || w->deputy)
        return false;
    return w->role != POOL_ROLE_SELF || (p->servers == 0 && pool_sched_queued(p));
}

void pool_deputies_ask(pool_home *p)
{
    home_worker *w;
    DL_FOREACH (p->workers, w) {
        if (!deputies_needed(p, w))
            continue;
        w->asked = true;
        if (++w->ask == 0) /* that would be none */
            w->ask = 1;
        pool_wire_feed head = { .kind = POOL_FEED_DEPUTY, .call = w->ask };
        sri_home_feed(&p->o, w->rank, &head, sizeof head, NULL, 0);
    }
}

/* The process of that rank is the deputy that w was asked for. NULL: it has ended already. */
static home_worker *deputies_link(pool_home *p, home_worker *w, int rank)
{
    home_worker *d = pool_heal_worker(p, rank, POOL_ROLE_DEPUTY);
    if (!d || d->role != POOL_ROLE_DEPUTY)
        return NULL;
    d->principal = w;
    d->deeds.principal = w->rank;
    w->deputy = d;
    w->asked = false;
    return d;
}

void pool_deputies_started(pool_home *p, home_worker *w, const uint8_t *bytes, size_t len)
{
    pool_wire_deputy in;
    if (len < sizeof in)
        return;
    memcpy(&in, bytes, sizeof in);
    if (!w->asked || in.ask != w->ask)
        return; /* it has greeted us before, and may have ended since */
    if (in.rank < 0) {
        char text[192];
        size_t n = len - sizeof in < sizeof text - 1 ? len - sizeof in : sizeof text - 1;
        memcpy(text, bytes + sizeof in, n);
        text[n] = '\0';
        w->asked = false;
        pool_heal_failed(p, text);
    } else if (!deputies_link(p, w, in.rank)) {
        w->asked = false;
        pool_heal_failed(p, "it ended at once");
    } else if (p->terminated || p->broken) {
        pool_heal_end_workers(p);
    }
}

home_worker *pool_deputies_greet(pool_home *p, int rank, const pool_wire_hello *hello)
{
    home_worker *w;
    DL_FOREACH (p->workers, w)
        if (w->rank == hello->principal)
            break;
    if (!w || !w->deputes || w->ask != hello->ask)
        return NULL;
    if (w->deputy)
        return w->deputy->rank == rank ? w->deputy : NULL;
    return w->asked ? deputies_link(p, w, rank) : NULL;
}

void pool_deputies_leave(pool_home *p, home_worker *w, sri_asker who)
{
    if (!w || !w->deputy || w->leaving.number) {
        if (w)
            w->asked = false; /* and so one that was asked for in vain is not waited for */
        sri_home_reply(&p->o, who, NULL, 0, NULL, 0);
        return;
    }
    w->leaving = who;
    w->deputy->retired = true;
    pool_heal_finish(p);
}

void pool_deputies_part(pool_home *p, home_worker *w)
{
    if (w->deputy) {
        home_worker *d = w->deputy;
        d->principal = NULL;
        d->victim = true;
        sri_home_kill(&p->o, d->rank);
    }
    home_worker *rank = w->principal;
    if (!rank)
        return;
    rank->deputy = NULL;
    sri_home_reply(&p->o, rank->leaving, NULL, 0, NULL, 0);
    rank->leaving.number = 0;
}
