/* patterns/event_home.c: an event at its home.
 *
 * Members of the home's node set and clear it by steps on its word and sleep there. The others ask
 * here, and who waits is parked, with the word as it was then; while there are any the word says
 * so, and who sets it tells the home. One who dies between the two is told of by event_gone. */
#include "base/error.h"
#include "base/futex.h"
#include "patterns/event_steps.h"
#include "patterns/parked.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

typedef struct event_home {
    sri_object object;
    sri_atomic_u64 *word; /* own, or the one that is shared with the members of this node */
    sri_atomic_u64 own;
    uint32_t number;  /* of the shared word */
    sri_parked *line; /* note: the word when the wait began */
} event_home;

/* What is kept for each member: nothing but that it is to be told of the event's end. */
typedef struct event_user {
    uint64_t reserved;
} event_user;

static serry_err event_create(sri_object *o, const uint8_t *args, size_t len)
{
    event_home *e = (event_home *)o;
    (void)args, (void)len;
    e->word = &e->own;
    atomic_store(e->word, event_word_new(o->id));
    return SERRY_OK;
}

static bool event_shared(const event_home *e)
{
    return e->word != &e->own;
}

static void event_share(event_home *e)
{
    sri_atomic_u64 *word = sri_home_word(&e->object, &e->number);
    if (!word)
        return;
    atomic_store(word, atomic_load(e->word));
    e->word = word;
}

static void event_open(event_home *e, sri_asker who)
{
    event_wire_opened out = { 0 };
    bool near = sri_home_near(&e->object, who.rank);
    if (near && !event_shared(e))
        event_share(e);
    out.word = e->number;
    out.shared = near && event_shared(e);
    sri_home_opened(&e->object, who, &out, sizeof out);
}

/* The word has changed, or somebody who may have changed it is gone. */
static void event_settle(event_home *e)
{
    uint64_t word = event_step_read(e->word);
    sri_parked *p, *next;
    DL_FOREACH_SAFE (e->line, p, next)
        if (event_word_lets_go(word, p->note))
            sri_parked_grant(&e->object, &e->line, p);
    if (!e->line && word & EVENT_HOME)
        event_step_listen(e->word, false);
}

static void event_wake(const event_home *e)
{
    if (event_shared(e))
        sri_futex_wake_low(e->word);
}

static void event_set(event_home *e, sri_asker who)
{
    uint64_t was;
    if (event_step_set(e->word, e->object.id, &was) && !(was & EVENT_SET)) {
        event_wake(e);
        event_settle(e);
    }
    /* Last: while its processor looks for the answer, the others need not start one that sleeps. */
    sri_home_reply(&e->object, who, NULL, 0, NULL, 0);
}

static void event_wait(event_home *e, sri_asker who, const uint8_t *bytes, size_t len)
{
    uint64_t began = event_step_read(e->word);
    if (len == sizeof began)
        memcpy(&began, bytes, sizeof began);
    if (event_word_lets_go(event_step_read(e->word), began)) {
        sri_home_reply(&e->object, who, NULL, 0, NULL, 0);
        return;
    }
    if (!sri_park(&e->object, &e->line, who, began, "clear"))
        return;
    /* Who set it before this told nobody. */
    if (event_word_lets_go(event_step_listen(e->word, true), began))
        event_settle(e);
}

static void event_request(sri_object *o, sri_asker who, uint16_t op, const uint8_t *bytes,
                          size_t len)
{
    event_home *e = (event_home *)o;
    uint64_t set;
    if (!sri_home_session(o, who.rank)) {
        sri_home_refuse(o, who, SERRY_ENOMEM, "no memory for one more user");
        return;
    }
    switch (op) {
    case EVENT_OP_OPEN:
        event_open(e, who);
        break;
    case EVENT_OP_SET:
        event_set(e, who);
        break;
    case EVENT_OP_CLEAR:
        event_step_clear(e->word, o->id);
        sri_home_reply(o, who, NULL, 0, NULL, 0);
        break;
    case EVENT_OP_IS_SET:
        set = event_step_read(e->word) & EVENT_SET;
        sri_home_reply(o, who, &set, sizeof set, NULL, 0);
        break;
    case EVENT_OP_WAIT:
        event_wait(e, who, bytes, len);
        break;
    case EVENT_OP_WAS_SET:
        event_settle(e);
        sri_home_reply(o, who, NULL, 0, NULL, 0);
        break;
    default:
        sri_home_refuse(o, who, SERRY_EINVAL, "there is no operation %u", op);
    }
}

static void event_cancel(sri_object *o, sri_asker who)
{
    event_home *e = (event_home *)o;
    sri_parked *p = sri_parked_find(e->line, who);
    if (!p)
        return;
    sri_parked_refuse(o, &e->line, p, SERRY_ETIMEDOUT, "clear");
    event_settle(e);
}

/* It may have set the event, and have woken or told nobody. */
static void event_gone(sri_object *o, int rank, sri_fate fate)
{
    event_home *e = (event_home *)o;
    (void)fate;
    sri_parked_drop(&e->line, rank);
    event_wake(e);
    event_settle(e);
}

static void event_destroy(sri_object *o)
{
    event_home *e = (event_home *)o;
    atomic_store(e->word, 0); /* no tag: it names no event any more */
    event_wake(e);
    sri_parked_refuse_all(o, &e->line, SERRY_EHANDLE, "destroyed");
}

/* ---- in words ---- */

static int event_by_time(const sri_parked *a, const sri_parked *b)
{
    return (a->since > b->since) - (a->since < b->since);
}

static void event_add(sri_parked **line, int rank, sri_ns since)
{
    sri_parked *p = malloc(sizeof *p);
    if (!p)
        return; /* one less is named */
    *p = (sri_parked){ .who.rank = rank, .since = since };
    DL_INSERT_INORDER(*line, p, event_by_time);
}

static void event_add_sleeper(sri_object *o, int rank, void *session, void *line)
{
    sri_ns since;
    (void)session;
    if (sri_home_watched(o, rank, &since))
        event_add(line, rank, since);
}

/* Those parked here and those asleep at the word. */
static void event_waiters(event_home *e, char *text, size_t cap)
{
    sri_parked *all = NULL, *p, *next;
    DL_FOREACH (e->line, p)
        event_add(&all, p->who.rank, p->since);
    sri_home_sessions(&e->object, event_add_sleeper, &all);
    sri_parked_text(all, text, cap);
    DL_FOREACH_SAFE (all, p, next)
        sri_unpark(&all, p);
}

static void event_describe(sri_object *o, char *text, size_t cap)
{
    event_home *e = (event_home *)o;
    const char *of = sri_home_called(o);
    char waiters[512];
    if (event_step_read(e->word) & EVENT_SET) {
        snprintf(text, cap, "%s: set", of);
        return;
    }
    event_waiters(e, waiters, sizeof waiters);
    snprintf(text, cap, "%s: clear, waited for by %s", of, waiters);
}

static const sri_object_class event_class = {
    .type = SRI_TYPE_EVENT,
    .name = "event",
    .size = sizeof(event_home),
    .session = sizeof(event_user),
    .create = event_create,
    .request = event_request,
    .cancel = event_cancel,
    .gone = event_gone,
    .destroy = event_destroy,
    .describe = event_describe,
    .forget = event_forget,
};
SRI_OBJECT_CLASS(event_class)
