/* patterns/queue_home.c: a queue at its home: its operations, and its life. Who waits is in
 * queue_wait.c, items on their way to readers in queue_feed.c, room for writers in
 * queue_credit.c. */
#include "patterns/queue_home.h"

#include "base/log.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

static queue_home *queue_of(sri_object *o)
{
    return (queue_home *)o;
}

queue_user *queue_user_of(queue_home *q, int rank)
{
    queue_user *u = q->near[(unsigned)rank % QUEUE_NEAR];
    if (u && u->rank == rank)
        return u;
    u = sri_home_session(&q->object, rank);
    if (u) {
        u->rank = rank;
        q->near[(unsigned)rank % QUEUE_NEAR] = u;
    }
    return u;
}

void queue_accept(queue_home *q, queue_item *item)
{
    item->order = ++q->arrivals;
    q->unfinished++;
    queue_items_append(&q->stored, item);
}

/* ---- operations ---- */

static void queue_open(queue_home *q, queue_user *u, sri_asker who, const uint8_t *bytes,
                       size_t len)
{
    queue_wire_open in;
    queue_wire_opened out = { .capacity = q->capacity, .closed = q->closed };
    if (len != sizeof in) {
        sri_home_refuse(&q->object, who, SERRY_EINVAL, "not an open");
        return;
    }
    memcpy(&in, bytes, sizeof in);
    if (in.role == QUEUE_READER)
        queue_reader_open(q, u, &out);
    else
        queue_writer_open(q, u, &out);
    sri_home_opened(&q->object, who, &out, sizeof out);
}

static void queue_put_posted(queue_home *q, queue_user *u, const uint8_t *bytes, size_t len)
{
    if (q->capacity)
        queue_writer_arrived(q, u);
    queue_item *item = queue_item_make(bytes, len);
    if (!item) {
        /* It was told that the item is in. */
        sri_log(SRI_LOG_ERROR, "no memory for an item of %zu bytes of rank %d, which is ended", len,
                u->rank);
        sri_home_kill(&q->object, u->rank);
        return;
    }
    queue_accept(q, item);
    if (q->capacity)
        queue_writer_grant(q, u);
    queue_turn(q);
}

static void queue_put(queue_home *q, queue_user *u, sri_asker who, const uint8_t *bytes, size_t len)
{
    if (who.number == 0) {
        queue_put_posted(q, u, bytes, len);
        return;
    }
    if (q->closed) {
        queue_refuse_closed(q, who);
        return;
    }
    queue_item *item = queue_item_make(bytes, len);
    if (!item) {
        sri_home_refuse(&q->object, who, SERRY_ENOMEM, "no memory for an item of %zu bytes", len);
        return;
    }
    if (!q->waits[QUEUE_WAIT_PUT] && queue_find_room(q) > 0) {
        queue_accept(q, item);
        sri_home_reply(&q->object, who, NULL, 0, NULL, 0);
        queue_writer_grant(q, u);
    } else {
        queue_park(q, QUEUE_WAIT_PUT, who, item, who.nowait);
    }
    queue_turn(q);
}

static void queue_want(queue_home *q, queue_user *u, sri_asker who, const uint8_t *bytes,
                       size_t len)
{
    uint64_t again = 0;
    if (!u->reads || len != sizeof again) {
        sri_home_refuse(&q->object, who, SERRY_EINVAL, "rank %d is no reader", u->rank);
        return;
    }
    memcpy(&again, bytes, sizeof again);
    queue_reader_look(q, u);
    if (again && u->promised)
        u->promised--;
    queue_reader_heard(q, u, true);
    if (u->fed.n > u->promised) { /* it has some, or they are on their way */
        u->promised++;
        sri_home_reply(&q->object, who, NULL, 0, NULL, 0);
    } else {
        bool fed = queue_reader_feed(q, u, true, false);
        if (!fed && q->n_fed && queue_recall_oldest(q, queue_reader_from(u)))
            fed = queue_reader_feed(q, u, true, false);
        if (fed)
            sri_home_reply(&q->object, who, NULL, 0, NULL, 0);
        else
            queue_park(q, QUEUE_WAIT_GET, who, NULL, who.nowait || queue_is_drained(q));
    }
    queue_turn(q);
}

static void queue_taken(queue_home *q, queue_user *u)
{
    if (!u->reads)
        return;
    if (!u->shared && u->fed.n)
        atomic_store(u->word, queue_read_step(atomic_load(u->word)));
    u->notified = false;
    if (q->hungry)
        queue_readers_look(q);
    else
        queue_reader_look(q, u);
    queue_reader_heard(q, u, false);
    queue_turn(q);
}

static void queue_returned(queue_home *q, queue_user *u)
{
    if (!u->reads)
        return;
    queue_reader_recall(q, u, true);
    queue_turn(q);
}

static void queue_done(queue_home *q, sri_asker who)
{
    if (q->unfinished == 0) {
        sri_home_refuse(&q->object, who, SERRY_EINVAL, "task_done: all items are done already");
        return;
    }
    sri_home_reply(&q->object, who, NULL, 0, NULL, 0);
    if (--q->unfinished > 0)
        return;
    while (q->waits[QUEUE_WAIT_JOIN])
        queue_answer(q, QUEUE_WAIT_JOIN, q->waits[QUEUE_WAIT_JOIN]);
}

static void queue_close(queue_home *q, sri_asker who)
{
    if (!q->closed) {
        q->closed = true;
        queue_writers_flag(q, QUEUE_CREDIT_CLOSED);
        queue_credits_recall(q);
        queue_wire_feed head = { .what = QUEUE_FEED_CLOSED };
        queue_user *u;
        DL_FOREACH2 (q->writers, u, in_writers.next)
            sri_home_feed(&q->object, u->rank, &head, sizeof head, NULL, 0);
        while (q->waits[QUEUE_WAIT_PUT]) {
            queue_refuse_closed(q, q->waits[QUEUE_WAIT_PUT]->who);
            queue_unpark(q, QUEUE_WAIT_PUT, q->waits[QUEUE_WAIT_PUT]);
        }
        queue_turn(q);
    }
    sri_home_reply(&q->object, who, NULL, 0, NULL, 0);
}

static void queue_request(sri_object *o, sri_asker who, uint16_t op, const uint8_t *bytes,
                          size_t len)
{
    queue_home *q = queue_of(o);
    queue_user *u = queue_user_of(q, who.rank);
    if (!u) {
        sri_home_refuse(o, who, SERRY_ENOMEM, "no memory for one more user");
        return;
    }
    switch (op) {
    case QUEUE_OP_OPEN:
        queue_open(q, u, who, bytes, len);
        break;
    case QUEUE_OP_PUT:
        queue_put(q, u, who, bytes, len);
        break;
    case QUEUE_OP_WANT:
        queue_want(q, u, who, bytes, len);
        break;
    case QUEUE_OP_TAKEN:
        queue_taken(q, u);
        break;
    case QUEUE_OP_RETURN:
        queue_returned(q, u);
        break;
    case QUEUE_OP_SIZE:
        queue_park(q, QUEUE_WAIT_SIZE, who, NULL, true);
        break;
    case QUEUE_OP_DONE:
        queue_done(q, who);
        break;
    case QUEUE_OP_JOIN:
        queue_park(q, QUEUE_WAIT_JOIN, who, NULL, who.nowait || q->unfinished == 0);
        break;
    case QUEUE_OP_CLOSE:
        queue_close(q, who);
        break;
    default:
        sri_home_refuse(o, who, SERRY_EINVAL, "there is no operation %u", op);
    }
}

/* ---- life ---- */

static serry_err queue_args(const uint8_t *args, size_t len, uint64_t *capacity)
{
    if (len != sizeof *capacity)
        return sri_fail(SERRY_EINVAL, "not the settings of a queue");
    memcpy(capacity, args, sizeof *capacity);
    return SERRY_OK;
}

static serry_err queue_create(sri_object *o, const uint8_t *args, size_t len)
{
    return queue_args(args, len, &queue_of(o)->capacity);
}

static serry_err queue_same(sri_object *o, const uint8_t *args, size_t len)
{
    uint64_t capacity = 0;
    SRI_TRY(queue_args(args, len, &capacity));
    if (capacity != queue_of(o)->capacity)
        return sri_fail(SERRY_EINVAL, "the queue \"%s\" exists with capacity %llu, not %llu",
                        o->name, (unsigned long long)queue_of(o)->capacity,
                        (unsigned long long)capacity);
    return SERRY_OK;
}

static void queue_gone(sri_object *o, int rank, sri_fate fate)
{
    (void)fate;
    queue_home *q = queue_of(o);
    for (queue_wait_kind kind = 0; kind < QUEUE_WAIT_KINDS; kind++) {
        queue_wait *w, *next;
        DL_FOREACH_SAFE (q->waits[kind], w, next)
            if (w->who.rank == rank)
                queue_unpark(q, kind, w);
    }
    queue_user *u = queue_user_of(q, rank);
    q->near[(unsigned)rank % QUEUE_NEAR] = NULL;
    if (u) {
        queue_reader_close(q, u);
        queue_writer_close(q, u);
    }
    queue_turn(q);
}

static void queue_destroy(sri_object *o)
{
    queue_home *q = queue_of(o);
    queue_user *u;
    queue_writers_flag(q, QUEUE_CREDIT_DEAD);
    DL_FOREACH2 (q->readers, u, in_readers.next) {
        atomic_fetch_or(u->word, QUEUE_READ_DEAD);
        queue_items_drop(&u->fed);
    }
    queue_items_drop(&q->stored);
    queue_items_drop(&q->returned);
    for (queue_wait_kind kind = 0; kind < QUEUE_WAIT_KINDS; kind++) {
        while (q->waits[kind]) {
            sri_home_refuse(o, q->waits[kind]->who, SERRY_EHANDLE, "destroyed");
            queue_unpark(q, kind, q->waits[kind]);
        }
    }
}

static size_t queue_count(const queue_wait *head)
{
    size_t n = 0;
    const queue_wait *w;
    DL_COUNT(head, w, n);
    return n;
}

static void queue_describe(sri_object *o, char *text, size_t cap)
{
    queue_home *q = queue_of(o);
    queue_readers_look(q);
    unsigned long long items = queue_items_here(q) + q->n_fed;
    size_t gets = queue_count(q->waits[QUEUE_WAIT_GET]),
           puts = queue_count(q->waits[QUEUE_WAIT_PUT]);
    snprintf(text, cap, "%s: %llu item%s, capacity %llu, %zu get%s and %zu put%s wait%s",
             sri_home_called(o), items, items == 1 ? "" : "s", (unsigned long long)q->capacity,
             gets, gets == 1 ? "" : "s", puts, puts == 1 ? "" : "s", q->closed ? ", closed" : "");
}

static const sri_object_class queue_class = {
    .type = SRI_TYPE_QUEUE,
    .name = "queue",
    .size = sizeof(queue_home),
    .session = sizeof(queue_user),
    .create = queue_create,
    .same = queue_same,
    .request = queue_request,
    .cancel = queue_cancel,
    .gone = queue_gone,
    .timer = queue_timer,
    .destroy = queue_destroy,
    .describe = queue_describe,
    .feed = queue_feed_arrived,
    .forget = queue_forget,
};
SRI_OBJECT_CLASS(queue_class)
