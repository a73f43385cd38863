/* patterns/condition_home.c: a condition at its home: a line of tickets, and those that were
 * notified and whose waits are not over. Of the lock it knows the handle; that only its holder
 * notifies is the member's to see to. */
#include "base/error.h"
#include "patterns/condition_wire.h"
#include "patterns/parked.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <utlist.h>

typedef struct condition_home {
    sri_object object;
    uint64_t lock;
    uint32_t cell;
    sri_atomic_u64 *word; /* NULL: there is none */
    uint64_t tickets;     /* given out so far */
    /* By order of entering. .note is the ticket; .who.number 0 as long as it is not awaited. */
    sri_parked *line;
    sri_parked *notified;
    uint32_t waiting; /* in line */
} condition_home;

typedef struct condition_user { /* nothing is kept but that there is one: see .gone */
    uint64_t reserved;
} condition_user;

static condition_home *condition_of(sri_object *o)
{
    return (condition_home *)o;
}

/* ---- the line ---- */

static void condition_count(condition_home *c, int64_t more)
{
    c->waiting = (uint32_t)(c->waiting + more);
    if (c->word)
        atomic_store(c->word, condition_word(c->object.id, c->waiting));
}

static sri_parked *condition_find(sri_parked *line, int rank, uint64_t ticket)
{
    sri_parked *p;
    DL_FOREACH (line, p)
        if (p->note == ticket && p->who.rank == rank)
            return p;
    return NULL;
}

/* The next n in line are notified; each stays known until its wait is over. */
static void condition_notify(condition_home *c, uint64_t n)
{
    for (; n > 0 && c->line; n--) {
        sri_parked *p = c->line;
        DL_DELETE(c->line, p);
        DL_APPEND(c->notified, p);
        condition_count(c, -1);
        sri_home_reply(&c->object, p->who, NULL, 0, NULL, 0);
    }
}

/* ---- operations ---- */

static void condition_open(condition_home *c, sri_asker who)
{
    condition_wire_opened out = { .lock = c->lock, .cell = c->cell };
    out.shared = c->word && sri_home_near(&c->object, who.rank);
    sri_home_opened(&c->object, who, &out, sizeof out);
}

static void condition_enter(condition_home *c, sri_asker who)
{
    uint64_t ticket = c->tickets + 1;
    sri_asker later = { .rank = who.rank }; /* it is awaited by another request */
    if (!sri_park(&c->object, &c->line, later, ticket, "")) {
        sri_home_refuse(&c->object, who, SERRY_ENOMEM, "no memory for one more who waits");
        return;
    }
    c->tickets = ticket;
    condition_count(c, 1);
    sri_home_reply(&c->object, who, &ticket, sizeof ticket, NULL, 0);
}

static void condition_await(condition_home *c, sri_asker who, uint64_t ticket)
{
    sri_parked *p = condition_find(c->line, who.rank, ticket);
    if (p && who.nowait) {
        sri_home_refuse(&c->object, who, SERRY_ETIMEDOUT, "not notified");
        sri_unpark(&c->line, p);
        condition_count(c, -1);
    } else if (p) {
        p->who.number = who.number;
    } else if (condition_find(c->notified, who.rank, ticket)) {
        sri_home_reply(&c->object, who, NULL, 0, NULL, 0);
    } else {
        sri_home_refuse(&c->object, who, SERRY_EINTERNAL, "there is no ticket %llu",
                        (unsigned long long)ticket);
    }
}

static void condition_leave(condition_home *c, int rank, uint64_t ticket, bool hand_on)
{
    sri_parked *p = condition_find(c->line, rank, ticket);
    if (p) {
        sri_unpark(&c->line, p);
        condition_count(c, -1);
        return;
    }
    p = condition_find(c->notified, rank, ticket);
    if (p) {
        sri_unpark(&c->notified, p);
        condition_notify(c, hand_on ? 1 : 0);
    }
}

static void condition_request(sri_object *o, sri_asker who, uint16_t op, const uint8_t *bytes,
                              size_t len)
{
    condition_home *c = condition_of(o);
    uint64_t n = 0;
    if (!sri_home_session(o, who.rank)) {
        sri_home_refuse(o, who, SERRY_ENOMEM, "no memory for one more user");
        return;
    }
    if (op > CONDITION_OP_ENTER && len != sizeof n) {
        sri_home_refuse(o, who, SERRY_EINVAL, "a request of %zu bytes", len);
        return;
    }
    if (len == sizeof n)
        memcpy(&n, bytes, sizeof n);
    switch (op) {
    case CONDITION_OP_OPEN:
        condition_open(c, who);
        break;
    case CONDITION_OP_ENTER:
        condition_enter(c, who);
        break;
    case CONDITION_OP_AWAIT:
        condition_await(c, who, n);
        break;
    case CONDITION_OP_DONE:
    case CONDITION_OP_LEAVE:
        condition_leave(c, who.rank, n, op == CONDITION_OP_LEAVE);
        break;
    case CONDITION_OP_NOTIFY:
        condition_notify(c, n);
        sri_home_reply(o, who, NULL, 0, NULL, 0);
        break;
    default:
        sri_home_refuse(o, who, SERRY_EINVAL, "there is no operation %u", op);
    }
}

static void condition_cancel(sri_object *o, sri_asker who)
{
    condition_home *c = condition_of(o);
    if (sri_parked_cancel(o, &c->line, who, "not notified"))
        condition_count(c, -1);
}

/* ---- life ---- */

static serry_err condition_args(const uint8_t *args, size_t len, uint64_t *lock)
{
    condition_wire_settings in;
    if (len != sizeof in)
        return sri_fail(SERRY_EINVAL, "not the settings of a condition");
    memcpy(&in, args, sizeof in);
    *lock = in.lock;
    return SERRY_OK;
}

static serry_err condition_create(sri_object *o, const uint8_t *args, size_t len)
{
    condition_home *c = condition_of(o);
    SRI_TRY(condition_args(args, len, &c->lock));
    /* Whoever asks may not have heard yet that it was destroyed. */
    if (!sri_home_beside(o, c->lock, SRI_TYPE_LOCK))
        return sri_fail(SERRY_EHANDLE, "the lock of the condition was destroyed");
    c->word = sri_home_word(o, &c->cell);
    condition_count(c, 0);
    return SERRY_OK;
}

static serry_err condition_same(sri_object *o, const uint8_t *args, size_t len)
{
    uint64_t lock = 0;
    SRI_TRY(condition_args(args, len, &lock));
    if (lock != condition_of(o)->lock)
        return sri_fail(SERRY_EINVAL, "the condition \"%s\" exists with another lock", o->name);
    return SERRY_OK;
}

static void condition_gone(sri_object *o, int rank, sri_fate fate)
{
    condition_home *c = condition_of(o);
    (void)fate;
    condition_count(c, -(int64_t)sri_parked_drop(&c->line, rank));
    condition_notify(c, sri_parked_drop(&c->notified, rank));
}

static void condition_destroy(sri_object *o)
{
    condition_home *c = condition_of(o);
    if (c->word)
        atomic_store(c->word, 0);
    sri_parked_refuse_all(o, &c->line, SERRY_EHANDLE, "destroyed");
    while (c->notified)
        sri_unpark(&c->notified, c->notified);
}

static void condition_describe(sri_object *o, char *text, size_t cap)
{
    condition_home *c = condition_of(o);
    char who[192], under_way[64] = "";
    sri_parked_text(c->line, who, sizeof who);
    const char *since = strstr(who, ", for ");
    int names = since ? (int)(since - who) : (int)strlen(who);
    size_t notified = sri_parked_count(c->notified);
    if (notified)
        snprintf(under_way, sizeof under_way, "; %zu notified and not yet done", notified);
    snprintf(text, cap, "%s: %.*s wait%s%s%s", sri_home_called(o), names, who,
             c->waiting > 1 ? "" : "s", since ? since : "", under_way);
}

static const sri_object_class condition_class = {
    .type = SRI_TYPE_CONDITION,
    .name = "condition",
    .size = sizeof(condition_home),
    .session = sizeof(condition_user),
    .create = condition_create,
    .same = condition_same,
    .request = condition_request,
    .cancel = condition_cancel,
    .gone = condition_gone,
    .destroy = condition_destroy,
    .describe = condition_describe,
    .forget = condition_forget,
};
SRI_OBJECT_CLASS(condition_class)
