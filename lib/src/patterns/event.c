/* patterns/event.c: the public calls. Where there is a word, it is set, cleared and read there, and
 * who waits sleeps there; a process with several threads looks at it for a while and then asks the
 * home to be told. */
#include <serry/event.h>

#include "base/futex.h"
#include "base/point.h"
#include "core/service.h"
#include "core/wait.h"
#include "patterns/event_steps.h"
#include "patterns/local.h"

#include <string.h>

/* How long one looks: shorter than a wait stays awake. */
#define EVENT_LINGER SRI_US(180)

typedef struct event_local {
    sri_local local;
    bool opened;
    sri_atomic_u64 *word; /* NULL: no shared words */
} event_local;

static sri_locals events = { .size = sizeof(event_local) };

void event_forget(uint64_t object)
{
    sri_locals_forget(&events, object);
}

/* ---- an event as this member knows it ---- */

static serry_err event_open(event_local *l)
{
    event_wire_opened out;
    SRI_TRY(sri_local_open(&l->local, EVENT_OP_OPEN, NULL, 0, &out, sizeof out));
    SRI_TRY(sri_local_word(out.shared, out.word, &l->word));
    l->opened = true;
    return SERRY_OK;
}

/* The caller is one of its users until event_leave. */
static serry_err event_use(uint64_t id, event_local **out)
{
    sri_local *base;
    SRI_TRY(sri_service_check(id, SRI_TYPE_EVENT));
    SRI_TRY(sri_local_use(&events, id, &base));
    event_local *l = (event_local *)base;
    if (!l->opened) {
        serry_err e = event_open(l);
        if (e != SERRY_OK) {
            sri_local_give_up(&events, base);
            return e;
        }
    }
    *out = l;
    return SERRY_OK;
}

static void event_leave(event_local *l)
{
    sri_local_leave(&events, &l->local);
}

static serry_err event_destroyed(const event_local *l)
{
    return sri_local_fail(&l->local, SERRY_EHANDLE, "destroyed");
}

/* SERRY_EHANDLE: the word is not this event's any more. */
static serry_err event_look(const event_local *l, uint64_t *word)
{
    *word = event_step_read(l->word);
    if (l->local.destroyed || !event_word_names(*word, l->local.id))
        return event_destroyed(l);
    return SERRY_OK;
}

/* ---- waiting and asking ---- */

typedef struct event_watch {
    event_local *l;
    uint64_t began; /* the word then */
} event_watch;

static bool event_over(void *ctx)
{
    const event_watch *w = ctx;
    uint64_t word = event_step_read(w->l->word);
    return event_word_lets_go(word, w->began) || !event_word_names(word, w->l->local.id)
           || w->l->local.destroyed;
}

/* Looks, and sleeps at the word. SERRY_ETIMEDOUT: it stayed clear. */
static serry_err event_wait_here(event_watch *w, sri_ns deadline)
{
    sri_waiting why = { .kind = SRI_WAIT_WORD, .peer = SRI_AGENT, .object = w->l->local.id };
    uint64_t word;
    SRI_POINT(57);
    (void)sri_wait_watch(w->l->word, (uint32_t)w->began, event_over, w, deadline, &why);
    SRI_POINT(58);
    SRI_TRY(event_look(w->l, &word));
    return event_word_lets_go(word, w->began) ? SERRY_OK : SERRY_ETIMEDOUT;
}

/* Looks for a while, and asks the home to be told. */
static serry_err event_wait_there(event_watch *w, sri_ns deadline)
{
    event_local *l = w->l;
    if (l->word) {
        uint64_t word;
        sri_ns until = sri_now() + EVENT_LINGER;
        (void)sri_wait_until(event_over, w, until < deadline ? until : deadline, NULL);
        SRI_TRY(event_look(l, &word));
        if (event_word_lets_go(word, w->began))
            return SERRY_OK;
        if (until >= deadline)
            return SERRY_ETIMEDOUT;
    }
    SRI_POINT(50);
    serry_err e = sri_service_call(l->local.id, EVENT_OP_WAIT, &w->began,
                                   l->word ? sizeof w->began : 0, NULL, 0, NULL, deadline);
    SRI_POINT(51);
    return e;
}

static serry_err event_wait_entered(event_local *l, sri_ns deadline)
{
    event_watch w = { .l = l };
    if (!l->word)
        return event_wait_there(&w, deadline);
    SRI_TRY(event_look(l, &w.began));
    if (w.began & EVENT_SET)
        return SERRY_OK;
    if (deadline == 0)
        return sri_local_fail(&l->local, SERRY_ETIMEDOUT, "clear");
    serry_err e =
        sri_wait_can_watch() ? event_wait_here(&w, deadline) : event_wait_there(&w, deadline);
    return e == SERRY_ETIMEDOUT ? sri_local_fail(&l->local, e, "clear") : e;
}

static serry_err event_ask(event_local *l, bool *set)
{
    uint64_t answer = 0;
    if (l->word) {
        SRI_TRY(event_look(l, &answer));
        *set = answer & EVENT_SET;
        return SERRY_OK;
    }
    sri_reply reply = { 0 };
    serry_err e =
        sri_service_call(l->local.id, EVENT_OP_IS_SET, NULL, 0, NULL, 0, &reply, SRI_NEVER);
    if (e == SERRY_OK && reply.len != sizeof answer)
        e = sri_fail(SERRY_EINTERNAL, "the state of an event has %zu bytes", reply.len);
    if (e == SERRY_OK)
        memcpy(&answer, reply.bytes, sizeof answer);
    sri_reply_fini(&reply);
    *set = answer;
    return e;
}

/* ---- changing it ---- */

static serry_err event_set_here(event_local *l)
{
    uint64_t was;
    if (!event_step_set(l->word, l->local.id, &was))
        return event_destroyed(l);
    if (was & EVENT_SET)
        return SERRY_OK;
    sri_futex_wake_low(l->word);
    SRI_POINT(59);
    return was & EVENT_HOME ? sri_service_post(l->local.id, EVENT_OP_WAS_SET, NULL, 0, NULL, 0)
                            : SERRY_OK;
}

static serry_err event_clear_here(event_local *l)
{
    return event_step_clear(l->word, l->local.id) ? SERRY_OK : event_destroyed(l);
}

static serry_err event_change(event_local *l, bool set)
{
    if (l->word && !l->local.destroyed)
        return set ? event_set_here(l) : event_clear_here(l);
    SRI_POINT(52);
    serry_err e = sri_service_call(l->local.id, set ? EVENT_OP_SET : EVENT_OP_CLEAR, NULL, 0, NULL,
                                   0, NULL, SRI_NEVER);
    SRI_POINT(53);
    return e;
}

static serry_err event_change_entered(serry_event ev, bool set)
{
    event_local *l;
    SRI_TRY(event_use(ev.id, &l));
    serry_err e = event_change(l, set);
    event_leave(l);
    return e;
}

/* ---- the public calls ---- */

serry_err serry_event_create(serry_event *e, const serry_event_options *o)
{
    if (!e)
        return sri_fail(SERRY_EINVAL, "no place for the handle");
    serry_event_options none = { 0 };
    if (!o)
        o = &none;
    SRI_TRY(sri_enter());
    serry_err err = sri_service_create(SRI_TYPE_EVENT, o->name, o->node, NULL, 0, &e->id);
    sri_leave();
    return err;
}

serry_err serry_event_set(serry_event e)
{
    SRI_TRY(sri_enter());
    serry_err err = event_change_entered(e, true);
    sri_leave();
    return err;
}

serry_err serry_event_clear(serry_event e)
{
    SRI_TRY(sri_enter());
    serry_err err = event_change_entered(e, false);
    sri_leave();
    return err;
}

bool serry_event_is_set(serry_event e)
{
    event_local *l;
    bool set = false;
    if (sri_enter() != SERRY_OK)
        return false;
    if (event_use(e.id, &l) == SERRY_OK) {
        bool answer = false;
        set = event_ask(l, &answer) == SERRY_OK && answer;
        event_leave(l);
    }
    sri_leave();
    return set;
}

serry_err serry_event_wait(serry_event e, double timeout)
{
    sri_ns deadline;
    event_local *l;
    SRI_TRY(sri_deadline(timeout, &deadline));
    SRI_TRY(sri_enter());
    serry_err err = event_use(e.id, &l);
    if (err == SERRY_OK) {
        err = event_wait_entered(l, deadline);
        event_leave(l);
    }
    sri_leave();
    return sri_within(err, timeout);
}

serry_err serry_event_destroy(serry_event e)
{
    SRI_TRY(sri_enter());
    serry_err err = sri_service_check(e.id, SRI_TYPE_EVENT);
    if (err == SERRY_OK)
        err = sri_service_destroy(e.id);
    sri_leave();
    return err;
}
