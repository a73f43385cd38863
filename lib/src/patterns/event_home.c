/* patterns/event_home.c: an event at its home. */
#include "base/error.h"
#include "patterns/event_wire.h"
#include "patterns/parked.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

typedef struct event_home {
    sri_object object;
    bool set;
    uint64_t times;       /* it was set */
    sri_atomic_u64 *word; /* NULL: nobody has opened it yet, or there are no shared words */
    uint32_t number;      /* of the word */
    sri_parked *line;
} event_home;

/* What is kept for each member: nothing but that it is to be told of the event's end. */
typedef struct event_user {
    uint64_t reserved;
} event_user;

static uint64_t event_state(const event_home *e)
{
    return event_word(e->object.id, e->times, e->set);
}

static void event_publish(event_home *e)
{
    if (e->word)
        atomic_store_explicit(e->word, event_state(e), memory_order_release);
}

static void event_open(event_home *e, sri_asker who)
{
    event_wire_opened out = { 0 };
    bool near = sri_home_near(&e->object, who.rank);
    if (near && !e->word) {
        e->word = sri_home_word(&e->object, &e->number);
        event_publish(e);
    }
    out.word = e->number;
    out.shared = near && e->word;
    sri_home_reply(&e->object, who, &out, sizeof out, NULL, 0);
}

static void event_change(event_home *e, sri_asker who, bool set)
{
    e->times += set && !e->set;
    e->set = set;
    event_publish(e);
    while (set && e->line)
        sri_parked_grant(&e->object, &e->line, e->line);
    /* Last: while its processor looks for the answer, the others need not start one that sleeps. */
    sri_home_reply(&e->object, who, NULL, 0, NULL, 0);
}

static void event_wait(event_home *e, sri_asker who, const uint8_t *bytes, size_t len)
{
    uint64_t began = event_state(e);
    if (len == sizeof began)
        memcpy(&began, bytes, sizeof began);
    if (event_word_lets_go(event_state(e), began))
        sri_home_reply(&e->object, who, NULL, 0, NULL, 0);
    else
        sri_park(&e->object, &e->line, who, 0, "the event is clear");
}

static void event_request(sri_object *o, sri_asker who, uint16_t op, const uint8_t *bytes,
                          size_t len)
{
    event_home *e = (event_home *)o;
    uint64_t set = e->set;
    if (!sri_home_session(o, who.rank)) {
        sri_home_refuse(o, who, SERRY_ENOMEM, "no memory for one more user of an event");
        return;
    }
    switch (op) {
    case EVENT_OP_OPEN:
        event_open(e, who);
        break;
    case EVENT_OP_SET:
        event_change(e, who, true);
        break;
    case EVENT_OP_CLEAR:
        event_change(e, who, false);
        break;
    case EVENT_OP_IS_SET:
        sri_home_reply(o, who, &set, sizeof set, NULL, 0);
        break;
    case EVENT_OP_WAIT:
        event_wait(e, who, bytes, len);
        break;
    default:
        sri_home_refuse(o, who, SERRY_EINVAL, "an event has no operation %u", op);
    }
}

static void event_cancel(sri_object *o, sri_asker who)
{
    event_home *e = (event_home *)o;
    sri_parked *p = sri_parked_find(e->line, who);
    if (p)
        sri_parked_refuse(o, &e->line, p, SERRY_ETIMEDOUT, "the event stayed clear");
}

static void event_gone(sri_object *o, int rank, sri_fate fate)
{
    (void)fate;
    sri_parked_drop(&((event_home *)o)->line, rank);
}

static void event_destroy(sri_object *o)
{
    event_home *e = (event_home *)o;
    if (e->word)
        atomic_store(e->word, 0); /* no tag: it names no event any more */
    sri_parked_refuse_all(o, &e->line, SERRY_EHANDLE, "the event was destroyed");
}

static void event_describe(sri_object *o, char *text, size_t cap)
{
    event_home *e = (event_home *)o;
    const char *name = o->name[0] ? o->name : "without a name";
    char waiters[512];
    sri_parked_text(e->line, waiters, sizeof waiters);
    if (e->set)
        snprintf(text, cap, "event %s: set", name);
    else
        snprintf(text, cap, "event %s: clear, waited for by %s", name, waiters);
}

static const sri_object_class event_class = {
    .type = SRI_TYPE_EVENT,
    .name = "event",
    .size = sizeof(event_home),
    .session = sizeof(event_user),
    .request = event_request,
    .cancel = event_cancel,
    .gone = event_gone,
    .destroy = event_destroy,
    .describe = event_describe,
    .forget = event_forget,
};
SRI_OBJECT_CLASS(event_class)
