/* patterns/queue_credit.c: room for writers, handed out ahead as credits in their cells. */
#include "patterns/queue_home.h"

#include <stdatomic.h>
#include <utlist.h>

#define CREDIT_MAX 256u  /* with one writer */
#define CREDIT_TURN 8u   /* with one writer, even if others then have none: longer turns */
#define CREDIT_LEAST 32u /* room worth handing out; a quarter of the capacity if that is less */

uint64_t queue_room(const queue_home *q)
{
    if (q->capacity == 0)
        return UINT64_MAX;
    uint64_t used = q->stored.n + q->returned.n + q->n_fed + q->n_credit;
    return used < q->capacity ? q->capacity - used : 0;
}

static uint32_t credit_out(const queue_user *u)
{
    return (u->granted - u->arrived) & QUEUE_COUNT_MASK;
}

/* Takes back what the writer has not used. Its count is not believed beyond what is out. */
static void credit_recall(queue_home *q, queue_user *u)
{
    uint64_t old = atomic_load(u->credit);
    uint32_t taken;
    do {
        taken = queue_credit_taken(old);
        if (((u->granted - taken) & QUEUE_COUNT_MASK) > credit_out(u))
            taken = u->arrived;
    } while (!atomic_compare_exchange_weak(u->credit, &old, queue_credit_word(old, taken, taken)));
    q->n_credit -= (u->granted - taken) & QUEUE_COUNT_MASK;
    u->granted = taken;
}

void queue_credits_recall(queue_home *q)
{
    queue_user *u;
    DL_FOREACH2 (q->writers, u, in_writers.next) {
        if (u->credit && credit_out(u) > 0)
            credit_recall(q, u);
    }
}

uint64_t queue_find_room(queue_home *q)
{
    if (queue_room(q) == 0)
        queue_readers_look(q);
    if (queue_room(q) == 0 && q->n_credit)
        queue_credits_recall(q);
    return queue_room(q);
}

static void credit_hungry(queue_home *q, queue_user *u, bool hungry)
{
    if (u->hungry == hungry)
        return;
    u->hungry = hungry;
    if (hungry)
        DL_APPEND2(q->hungry, u, in_hungry.prev, in_hungry.next);
    else
        DL_DELETE2(q->hungry, u, in_hungry.prev, in_hungry.next);
}

static uint64_t credit_window(const queue_home *q)
{
    uint64_t window = q->capacity / q->n_writers;
    if (window < CREDIT_TURN)
        window = q->capacity < CREDIT_TURN ? q->capacity : CREDIT_TURN;
    return window < CREDIT_MAX ? window : CREDIT_MAX;
}

/* A writer that gets no credit asks in the end, and then any room counts. */
static bool credit_worth(const queue_home *q)
{
    uint64_t least = q->capacity / 4 < CREDIT_LEAST ? q->capacity / 4 : CREDIT_LEAST;
    uint64_t room = queue_room(q);
    return !q->waits[QUEUE_WAIT_PUT] && room > 0 && room >= least;
}

void queue_writer_grant(queue_home *q, queue_user *u)
{
    if (!u->credit || q->capacity == 0 || q->closed || u->hungry)
        return;
    uint64_t window = credit_window(q);
    uint32_t out = credit_out(u);
    if (out * 2 > window)
        return;
    if (!credit_worth(q)) {
        credit_hungry(q, u, true);
        return;
    }
    uint64_t room = queue_room(q);
    uint32_t n = (uint32_t)(room < window - out ? room : window - out);
    uint32_t granted = (u->granted + n) & QUEUE_COUNT_MASK;
    uint64_t old = atomic_load_explicit(u->credit, memory_order_relaxed);
    while (!atomic_compare_exchange_weak(u->credit, &old,
                                         queue_credit_word(old, granted, queue_credit_taken(old))))
        ;
    u->granted = granted;
    q->n_credit += n;
}

void queue_grant_hungry(queue_home *q)
{
    while (q->hungry && credit_worth(q)) {
        queue_user *u = q->hungry;
        credit_hungry(q, u, false);
        queue_writer_grant(q, u);
    }
}

void queue_writer_arrived(queue_home *q, queue_user *u)
{
    if (credit_out(u) == 0) /* it had none: not a writer of ours, but the item is here */
        return;
    u->arrived = (u->arrived + 1) & QUEUE_COUNT_MASK;
    q->n_credit--;
}

serry_err queue_writer_open(queue_home *q, queue_user *u, queue_wire_opened *out)
{
    sri_atomic_u64 *cell = sri_home_cell(&q->object, u->rank, QUEUE_WRITER, &out->cell);
    out->shared = cell != NULL;
    if (!u->writes) {
        u->credit = cell;
        u->writes = true;
        DL_APPEND2(q->writers, u, in_writers.prev, in_writers.next);
        q->n_writers++;
        if (cell && q->closed)
            atomic_fetch_or(cell, QUEUE_CREDIT_CLOSED);
        queue_writer_grant(q, u);
    }
    return SERRY_OK;
}

void queue_writers_flag(queue_home *q, uint64_t flag)
{
    queue_user *u;
    DL_FOREACH2 (q->writers, u, in_writers.next) {
        if (u->credit)
            atomic_fetch_or(u->credit, flag);
    }
}

void queue_writer_close(queue_home *q, queue_user *u)
{
    if (!u->writes)
        return;
    /* All it had sent has arrived: what is still out never will. */
    q->n_credit -= credit_out(u);
    u->granted = u->arrived;
    credit_hungry(q, u, false);
    DL_DELETE2(q->writers, u, in_writers.prev, in_writers.next);
    q->n_writers--;
    u->writes = false;
}
