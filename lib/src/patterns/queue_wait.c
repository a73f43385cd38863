/* patterns/queue_wait.c: who waits at a queue, and in which order they are served. */
#include "base/clock.h"
#include "patterns/queue_home.h"

#include <stdlib.h>
#include <utlist.h>

/* A reader that has taken nothing for so long while others wait loses what it was fed ahead. */
#define WAIT_STILL SRI_MS(50)

static void wait_look(queue_home *q)
{
    if (q->looking)
        return;
    q->looking = true;
    sri_home_timer(&q->object, 0);
}

void queue_park(queue_home *q, queue_wait_kind kind, sri_asker who, queue_item *item, bool look)
{
    queue_wait *w = malloc(sizeof *w);
    if (!w) {
        queue_item_free(item);
        sri_home_refuse(&q->object, who, SERRY_ENOMEM, "no memory for one more who waits");
        return;
    }
    *w = (queue_wait){ .who = who, .item = item, .rounds = look ? QUEUE_ROUNDS : 0 };
    DL_APPEND(q->waits[kind], w);
    if (look)
        wait_look(q);
}

void queue_unpark(queue_home *q, queue_wait_kind kind, queue_wait *w)
{
    DL_DELETE(q->waits[kind], w);
    queue_item_free(w->item);
    free(w);
}

void queue_answer(queue_home *q, queue_wait_kind kind, queue_wait *w)
{
    sri_home_reply(&q->object, w->who, NULL, 0, NULL, 0);
    queue_unpark(q, kind, w);
}

void queue_refuse_closed(queue_home *q, sri_asker who)
{
    sri_home_refuse(&q->object, who, SERRY_ECLOSED, "closed");
}

bool queue_is_drained(const queue_home *q)
{
    return q->closed && queue_items_here(q) == 0 && q->n_fed == 0 && q->n_credit == 0;
}

/* ---- serving ---- */

static void wait_serve_gets(queue_home *q, bool any)
{
    queue_wait *w, *next;
    DL_FOREACH_SAFE (q->waits[QUEUE_WAIT_GET], w, next) {
        if (queue_items_here(q) == 0)
            return;
        if (queue_reader_feed(q, queue_user_of(q, w->who.rank), true, any))
            queue_answer(q, QUEUE_WAIT_GET, w);
    }
    queue_feed_ahead(q);
}

static bool wait_serve_puts(queue_home *q)
{
    bool any = false;
    while (q->waits[QUEUE_WAIT_PUT] && queue_room(q) > 0) {
        queue_wait *w = q->waits[QUEUE_WAIT_PUT];
        queue_accept(q, w->item);
        w->item = NULL;
        queue_answer(q, QUEUE_WAIT_PUT, w);
        any = true;
    }
    return any;
}

void queue_turn(queue_home *q)
{
    bool again;
    do {
        wait_serve_gets(q, false);
        again = wait_serve_puts(q);
        /* Those who still wait for what a reader may do hear of each of its steps. */
        if (!again && (q->waits[QUEUE_WAIT_PUT] || (q->closed && q->waits[QUEUE_WAIT_GET])))
            again = q->n_fed && queue_readers_notify(q);
    } while (again);
    if (q->hungry)
        queue_grant_hungry(q);
    if (!q->waits[QUEUE_WAIT_GET])
        return;
    if (queue_is_drained(q)) {
        queue_wait *w;
        DL_FOREACH (q->waits[QUEUE_WAIT_GET], w)
            if (w->rounds == 0)
                w->rounds = QUEUE_ROUNDS;
        wait_look(q);
    } else if (!q->watch && (q->returned.n || q->n_fed)) {
        q->watch = sri_now() + WAIT_STILL;
        if (!q->looking)
            sri_home_timer(&q->object, q->watch);
    }
}

/* Before anybody is told that there is nothing: all idle items of readers go to those who wait. */
static void wait_squeeze(queue_home *q)
{
    do
        wait_serve_gets(q, true);
    while (q->waits[QUEUE_WAIT_GET] && queue_recall_oldest(q, 0));
    wait_serve_gets(q, true);
}

/* ---- a second look ---- */

/* Why there is nothing to be had. */
static void wait_refuse_late(queue_home *q, queue_wait_kind kind, sri_asker who)
{
    if (kind == QUEUE_WAIT_GET)
        sri_home_refuse(&q->object, who, SERRY_ETIMEDOUT, "empty");
    else if (kind == QUEUE_WAIT_PUT)
        sri_home_refuse(&q->object, who, SERRY_ETIMEDOUT, "full, with %llu item%s",
                        (unsigned long long)q->capacity, q->capacity == 1 ? "" : "s");
    else
        sri_home_refuse(&q->object, who, SERRY_ETIMEDOUT, "%llu item%s not done",
                        (unsigned long long)q->unfinished, q->unfinished == 1 ? " is" : "s are");
}

/* True: it is answered. */
static bool wait_settle(queue_home *q, queue_wait_kind kind, sri_asker who)
{
    uint64_t n;
    switch (kind) {
    case QUEUE_WAIT_GET:
        if (queue_is_drained(q))
            queue_refuse_closed(q, who);
        else if (who.nowait)
            wait_refuse_late(q, kind, who);
        else
            return false;
        return true;
    case QUEUE_WAIT_PUT:
        if (!who.nowait)
            return false;
        wait_refuse_late(q, kind, who);
        return true;
    case QUEUE_WAIT_JOIN:
        if (q->unfinished == 0)
            sri_home_reply(&q->object, who, NULL, 0, NULL, 0);
        else if (who.nowait)
            wait_refuse_late(q, kind, who);
        else
            return false;
        return true;
    case QUEUE_WAIT_SIZE:
        queue_readers_look(q);
        n = queue_items_here(q) + q->n_fed;
        sri_home_reply(&q->object, who, &n, sizeof n, NULL, 0);
        return true;
    case QUEUE_WAIT_KINDS:
        break;
    }
    return false;
}

static void wait_rounds(queue_home *q)
{
    bool more = false;
    queue_wait *w, *next;
    DL_FOREACH (q->waits[QUEUE_WAIT_GET], w)
        if (w->rounds == 1)
            break;
    if (w)
        wait_squeeze(q);
    for (queue_wait_kind kind = 0; kind < QUEUE_WAIT_KINDS; kind++) {
        DL_FOREACH_SAFE (q->waits[kind], w, next) {
            if (w->rounds == 0)
                continue;
            if (--w->rounds > 0)
                more = true;
            else if (wait_settle(q, kind, w->who))
                queue_unpark(q, kind, w);
        }
    }
    q->looking = more;
}

/* What lies with readers that stand still, and what was returned and nobody has come for in order,
 * goes to those who wait, and is anybody's from then on. */
static void wait_watch(queue_home *q)
{
    uint64_t first = q->returned.first ? q->returned.first->order : 0;
    bool lies = first && first == q->stood_returned;
    q->watch = 0;
    if (queue_recall_still(q) || lies) {
        for (queue_item *i = q->returned.first; i; i = i->next)
            i->orphan = true;
        wait_serve_gets(q, true);
    }
    q->stood_returned = q->returned.first ? q->returned.first->order : 0;
}

void queue_timer(sri_object *o)
{
    queue_home *q = (queue_home *)o;
    queue_readers_look(q);
    queue_turn(q);
    if (q->looking)
        wait_rounds(q);
    if (q->watch && sri_now() >= q->watch) {
        wait_watch(q);
        queue_turn(q);
    }
    sri_home_timer(o, q->looking ? 0 : q->watch ? q->watch : SRI_NEVER);
}

static queue_wait *wait_find(queue_home *q, queue_wait_kind kind, sri_asker who)
{
    queue_wait *w;
    DL_FOREACH (q->waits[kind], w)
        if (w->who.rank == who.rank && w->who.number == who.number)
            break;
    return w;
}

void queue_cancel(sri_object *o, sri_asker who)
{
    queue_home *q = (queue_home *)o;
    for (queue_wait_kind kind = 0; kind < QUEUE_WAIT_KINDS; kind++) {
        queue_wait *w = wait_find(q, kind, who);
        if (w && kind == QUEUE_WAIT_GET) {
            wait_squeeze(q);
            w = wait_find(q, kind, who);
        }
        if (w) {
            wait_refuse_late(q, kind, who);
            queue_unpark(q, kind, w);
            queue_turn(q);
            return;
        }
    }
}
