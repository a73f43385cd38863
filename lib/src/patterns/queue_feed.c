/* patterns/queue_feed.c: items on their way to readers.
 *
 * A reader that comes back quickly, many times in a row, is fed ahead: the more the longer it keeps
 * coming. One that takes its time gets one item for each request, so that what waits stays in one
 * line, in order. */
#include "base/clock.h"
#include "patterns/queue_home.h"

#include <stdatomic.h>
#include <utlist.h>

#define FEED_WINDOW_MAX 256u        /* items with one reader, fed ahead */
#define FEED_TURN 8u                /* items to one reader before it is another's turn */
#define FEED_BYTES_MAX (32u * 1024) /* and their bytes, unless it is one item */
#define FEED_QUICK SRI_US(200)      /* a reader that is back within this is quick */
#define FEED_STILL SRI_MS(20)       /* a reader unheard of for longer may be standing still */
#define FEED_STREAK 16u             /* so often in a row, and it is fed ahead */

serry_err queue_reader_open(queue_home *q, queue_user *u, queue_wire_opened *out)
{
    if (!u->reads) {
        u->word = sri_home_cell(&q->object, u->rank, QUEUE_READER, &out->cell);
        u->shared = u->word != NULL;
        if (!u->shared)
            u->word = &u->own;
        u->reads = true;
        DL_APPEND2(q->readers, u, in_readers.prev, in_readers.next);
    } else if (u->shared) {
        sri_home_cell(&q->object, u->rank, QUEUE_READER, &out->cell);
    }
    out->shared = u->shared;
    out->word = atomic_load(u->word);
    return SERRY_OK;
}

/* Fed ahead as long as it has room for more. */
static void feed_ready(queue_home *q, queue_user *u, bool ready)
{
    if (u->ready == ready)
        return;
    u->ready = ready;
    if (ready)
        DL_APPEND2(q->ready, u, in_ready.prev, in_ready.next);
    else
        DL_DELETE2(q->ready, u, in_ready.prev, in_ready.next);
}

/* What the reader's word says it has taken is gone. The word is a member's to write: it is not
 * believed beyond what was fed. */
static size_t feed_account(queue_home *q, queue_user *u, uint64_t word)
{
    size_t n = (queue_read_taken(word) - u->taken) & 0xffff;
    if (n > u->fed.n)
        n = u->fed.n;
    for (size_t i = 0; i < n; i++) {
        queue_item *item = queue_items_shift(&u->fed);
        u->fed_bytes -= item->len;
        if (item->order > u->last)
            u->last = item->order;
        queue_item_free(item);
    }
    u->taken = (u->taken + (uint32_t)n) & 0xffff;
    u->promised = u->promised > n ? u->promised - (uint32_t)n : 0;
    q->n_fed -= n;
    return n;
}

size_t queue_reader_look(queue_home *q, queue_user *u)
{
    if (u->fed.n == 0)
        return 0;
    return feed_account(q, u, atomic_load_explicit(u->word, memory_order_acquire));
}

bool queue_readers_look(queue_home *q)
{
    bool any = false;
    if (q->n_fed == 0)
        return false;
    queue_user *u;
    DL_FOREACH2 (q->readers, u, in_readers.next)
        any |= queue_reader_look(q, u) > 0;
    return any;
}

/* The reader is to report before it has used up what it has, and before writers that wait for room
 * run dry. */
static bool feed_ask(const queue_home *q, queue_user *u, size_t len)
{
    uint64_t most = u->window / 2;
    if (q->capacity && q->capacity / 4 < most)
        most = q->capacity / 4;
    u->unasked++;
    u->unasked_bytes += len;
    if (u->unasked < most && u->unasked_bytes < FEED_BYTES_MAX / 2)
        return false;
    u->unasked = 0;
    u->unasked_bytes = 0;
    return true;
}

uint64_t queue_reader_from(const queue_user *u)
{
    return (u->fed.last && u->fed.last->order > u->last ? u->fed.last->order : u->last) + 1;
}

/* The next item for this reader. What was returned is older than all that is stored. */
static queue_item *feed_pick(queue_home *q, const queue_user *u, bool any)
{
    uint64_t from = any ? 0 : queue_reader_from(u);
    queue_item *before = NULL;
    for (queue_item *i = q->returned.first; i; before = i, i = i->next) {
        if (!i->orphan && i->order < from)
            continue;
        if (before)
            before->next = i->next;
        else
            q->returned.first = i->next;
        if (q->returned.last == i)
            q->returned.last = before;
        q->returned.n--;
        return i;
    }
    return queue_items_shift(&q->stored);
}

bool queue_reader_feed(queue_home *q, queue_user *u, bool promised, bool any)
{
    queue_item *i = feed_pick(q, u, any);
    if (!i)
        return false;
    queue_wire_feed head = { .what = QUEUE_FEED_ITEM,
                             .ask = u->ahead && feed_ask(q, u, i->len),
                             .ahead = u->ahead,
                             .seq = (uint16_t)(u->taken + u->fed.n),
                             .epoch = u->epoch };
    i->orphan = false;
    queue_items_append(&u->fed, i);
    u->fed_bytes += i->len;
    q->n_fed++;
    if (promised) {
        u->promised++;
        u->since = sri_now();
    }
    sri_home_feed(&q->object, u->rank, &head, sizeof head, i->bytes, i->len);
    return true;
}

static bool feed_has_room(const queue_user *u, size_t len)
{
    return u->fed.n < u->window && (u->fed.n == 0 || u->fed_bytes + len <= FEED_BYTES_MAX);
}

void queue_feed_ahead(queue_home *q)
{
    while (q->stored.n && q->ready) {
        queue_user *u = q->ready;
        size_t len = q->stored.first->len; /* about: it may get one that was returned */
        if (!feed_has_room(u, len) && (queue_reader_look(q, u) == 0 || !feed_has_room(u, len))) {
            feed_ready(q, u, false);
            continue;
        }
        queue_reader_feed(q, u, false, false);
        if (++q->turn >= FEED_TURN && u->in_ready.next) {
            q->turn = 0;
            DL_DELETE2(q->ready, u, in_ready.prev, in_ready.next);
            DL_APPEND2(q->ready, u, in_ready.prev, in_ready.next);
        }
    }
}

void queue_reader_recall(queue_home *q, queue_user *u, bool given_up)
{
    uint64_t old = atomic_load(u->word);
    while (!atomic_compare_exchange_weak(u->word, &old, queue_read_recall(old)))
        ;
    feed_account(q, u, old);
    u->epoch = queue_read_epoch(queue_read_recall(old));
    size_t again = given_up ? 0 : u->promised < u->fed.n ? u->promised : u->fed.n;
    for (queue_item *i = u->fed.first; i; i = i->next)
        i->orphan = given_up;
    q->n_fed -= u->fed.n;
    queue_items_merge(&q->returned, &u->fed);
    u->fed_bytes = 0;
    u->promised = 0;
    u->unasked = 0;
    u->unasked_bytes = 0;
    u->notified = false;
    u->ahead = false;
    feed_ready(q, u, false);
    while (again-- > 0)
        queue_reader_feed(q, u, true, false);
}

static const queue_item *feed_first_idle(const queue_user *u)
{
    const queue_item *i = u->shared ? u->fed.first : NULL;
    for (uint32_t n = 0; i && n < u->promised; n++)
        i = i->next;
    return i;
}

bool queue_recall_oldest(queue_home *q, uint64_t from)
{
    queue_readers_look(q);
    while (q->n_fed) {
        queue_user *u, *best = NULL;
        const queue_item *oldest = NULL;
        DL_FOREACH2 (q->readers, u, in_readers.next) {
            const queue_item *i = feed_first_idle(u);
            if (i && i->order >= from && (!oldest || i->order < oldest->order)) {
                oldest = i;
                best = u;
            }
        }
        if (!best)
            return false;
        size_t before = q->returned.n;
        queue_reader_recall(q, best, false);
        if (q->returned.n > before) /* else they were taken meanwhile */
            return true;
    }
    return false;
}

bool queue_recall_still(queue_home *q)
{
    bool any = false;
    sri_ns now = sri_now();
    queue_user *u;
    queue_readers_look(q);
    DL_FOREACH2 (q->readers, u, in_readers.next) {
        if (u->taken == u->stood_taken && now - u->since > FEED_STILL && feed_first_idle(u)) {
            queue_reader_recall(q, u, false);
            any = true;
        }
        u->stood_taken = u->taken;
    }
    return any;
}

bool queue_readers_notify(queue_home *q)
{
    bool any = false;
    queue_user *u;
    DL_FOREACH2 (q->readers, u, in_readers.next) {
        if (!u->shared || u->fed.n == 0 || u->notified)
            continue;
        uint64_t old = atomic_load(u->word);
        while (!atomic_compare_exchange_weak(u->word, &old, old | QUEUE_READ_NOTIFY))
            ;
        u->notified = true;
        any |= feed_account(q, u, old) > 0;
    }
    return any;
}

void queue_reader_heard(queue_home *q, queue_user *u, bool wants)
{
    sri_ns now = sri_now();
    bool quick = now - u->since < FEED_QUICK;
    u->since = now;
    u->streak = quick ? u->streak + 1 : 0;
    if (!u->shared)
        return;
    if (u->ahead) {
        if (quick && u->window < FEED_WINDOW_MAX)
            u->window *= 2;
        else if (!quick && u->window > 2)
            u->window /= 2;
        else if (!quick)
            u->ahead = false;
    } else if (wants && u->streak >= FEED_STREAK) {
        u->ahead = true;
        u->window = 2;
    }
    feed_ready(q, u, u->ahead);
}

void queue_reader_close(queue_home *q, queue_user *u)
{
    if (!u->reads)
        return;
    queue_reader_recall(q, u, true);
    DL_DELETE2(q->readers, u, in_readers.prev, in_readers.next);
    u->reads = false;
}
