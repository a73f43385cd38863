/* patterns/semaphore_home.c: a semaphore at its home: its operations, who waits, and its life. The
 * permits that lie with members are in semaphore_cells.c. */
#include "patterns/semaphore_home.h"

#include "base/error.h"

#include <stdio.h>
#include <string.h>
#include <utlist.h>

#define SEM_NAMED 8 /* holders named in a description */

static sem_home *sem_of(sri_object *o)
{
    return (sem_home *)o;
}

static sem_user *sem_user_of(sem_home *s, int rank)
{
    sem_user *u = sri_home_session(&s->object, rank);
    if (u && !u->known) {
        u->rank = rank;
        u->known = true;
        DL_APPEND2(s->users, u, in_users.prev, in_users.next);
        s->n_users++;
    }
    return u;
}

/* ---- who waits ---- */

static void sem_give_out(sem_home *s)
{
    while (s->line && s->stock > 0) {
        sem_user *u = sem_user_of(s, s->line->who.rank);
        u->streak = 0;
        sem_grant(s, u);
        sri_parked_grant(&s->object, &s->line, s->line);
    }
}

static void sem_watch(sem_home *s, bool watch)
{
    if (watch || s->watching)
        sri_home_timer(&s->object, watch ? 0 : SRI_NEVER);
    s->watching = watch;
}

/* Something has changed: serves whom it can, and sees to it that it hears of what the others wait
 * for. */
static void sem_serve(sem_home *s)
{
    sri_ns due = SRI_NEVER;
    bool any = true;
    sem_give_out(s);
    while (s->line && any) {
        due = SRI_NEVER;
        any = sem_collect(s, &due);
        sem_give_out(s);
    }
    if (!s->line)
        sem_unmark(s);
    sem_watch(s, s->line && due != SRI_NEVER);
}

/* Before anybody is told that there is none: all free permits are fetched, from everywhere. Twice:
 * one may have been released behind the first look, another taken before it. The first look marks
 * all cells, so the second finds everything that is free. */
static void sem_squeeze(sem_home *s)
{
    for (int i = 0; i < 2; i++) {
        sem_collect(s, NULL);
        sem_give_out(s);
    }
}

/* ---- operations ---- */

static void sem_open(sem_home *s, sem_user *u, sri_asker who)
{
    sem_wire_opened out = { 0 };
    sri_atomic_u64 *cell = sri_home_cell(&s->object, u->rank, 0, &out.cell);
    out.shared = cell != NULL;
    if (cell && !u->cell)
        sem_cell_open(s, u, cell);
    sri_home_opened(&s->object, who, &out, sizeof out);
}

static void sem_acquire(sem_home *s, sem_user *u, sri_asker who)
{
    bool got = !s->line && (s->stock > 0 || sem_find(s));
    if (!got && who.nowait) {
        sem_squeeze(s);
        got = !s->line && s->stock > 0;
    }
    if (got) {
        sem_grant(s, u);
        sem_grant_ahead(s, u);
        sri_home_reply(&s->object, who, NULL, 0, NULL, 0);
    } else {
        sri_park(&s->object, &s->line, who, 0, "no permit is free");
    }
    if (!got || s->marked)
        sem_serve(s);
}

static void sem_release(sem_home *s, sem_user *u, sri_asker who)
{
    serry_err e = sem_take_held(s, u) ? SERRY_OK : sem_raise(s, u);
    if (e == SERRY_OK)
        sri_home_reply(&s->object, who, NULL, 0, NULL, 0);
    else
        sri_home_refuse(&s->object, who, e, "%s", sri_error_keep(e).text);
    sem_serve(s);
}

static void sem_tell_value(sem_home *s, sri_asker who)
{
    int64_t value = sem_value(s);
    sri_home_reply(&s->object, who, &value, sizeof value, NULL, 0);
    if (s->line)
        sem_serve(s);
}

static void sem_request(sri_object *o, sri_asker who, uint16_t op, const uint8_t *bytes, size_t len)
{
    (void)bytes;
    (void)len;
    sem_home *s = sem_of(o);
    sem_user *u = sem_user_of(s, who.rank);
    if (!u) {
        sri_home_refuse(o, who, SERRY_ENOMEM, "no memory for one more user");
        return;
    }
    switch (op) {
    case SEM_OP_OPEN:
        sem_open(s, u, who);
        break;
    case SEM_OP_ACQUIRE:
        sem_acquire(s, u, who);
        break;
    case SEM_OP_RELEASE:
        sem_release(s, u, who);
        break;
    case SEM_OP_LOOK:
        sem_serve(s);
        break;
    case SEM_OP_VALUE:
        sem_tell_value(s, who);
        break;
    default:
        sri_home_refuse(o, who, SERRY_EINVAL, "there is no operation %u", op);
    }
}

static void sem_cancel(sri_object *o, sri_asker who)
{
    sem_home *s = sem_of(o);
    if (!sri_parked_find(s->line, who))
        return;
    sem_squeeze(s);
    sri_parked *p = sri_parked_find(s->line, who);
    if (p)
        sri_parked_refuse(o, &s->line, p, SERRY_ETIMEDOUT, "no permit is free");
    sem_serve(s);
}

static void sem_timer(sri_object *o)
{
    sem_of(o)->watching = false;
    sem_serve(sem_of(o));
}

/* ---- life ---- */

static serry_err sem_settings(const uint8_t *args, size_t len, sem_wire_settings *in)
{
    if (len != sizeof *in)
        return sri_fail(SERRY_EINVAL, "not the settings of a semaphore");
    memcpy(in, args, sizeof *in);
    if (in->value < 0)
        return sri_fail(SERRY_EINVAL, "a semaphore with %d permits", in->value);
    return SERRY_OK;
}

static serry_err sem_create(sri_object *o, const uint8_t *args, size_t len)
{
    sem_wire_settings in = { 0 };
    SRI_TRY(sem_settings(args, len, &in));
    sem_home *s = sem_of(o);
    s->initial = s->stock = in.value;
    s->bounded = in.bounded;
    return SERRY_OK;
}

static serry_err sem_same(sri_object *o, const uint8_t *args, size_t len)
{
    sem_wire_settings in = { 0 };
    sem_home *s = sem_of(o);
    SRI_TRY(sem_settings(args, len, &in));
    if (in.value != s->initial || (in.bounded != 0) != s->bounded)
        return sri_fail(SERRY_EINVAL, "the semaphore \"%s\" exists with %lld permits%s, not %d%s",
                        o->name, (long long)s->initial, s->bounded ? ", bounded" : "", in.value,
                        in.bounded ? ", bounded" : "");
    return SERRY_OK;
}

static void sem_gone(sri_object *o, int rank, sri_fate fate)
{
    (void)fate;
    sem_home *s = sem_of(o);
    sri_parked_drop(&s->line, rank);
    sem_user *u = sri_home_session(o, rank);
    if (u && u->known) {
        sem_cell_close(s, u);
        DL_DELETE2(s->users, u, in_users.prev, in_users.next);
        s->n_users--;
        u->known = false;
    }
    sem_serve(s);
}

static void sem_destroy(sri_object *o)
{
    sem_home *s = sem_of(o);
    sem_user *u;
    DL_FOREACH2 (s->users, u, in_users.next)
        sem_cell_close(s, u);
    sri_parked_refuse_all(o, &s->line, SERRY_EHANDLE, "destroyed");
}

/* "rank 3 (2), rank 4 (1)": who holds how many. */
static void sem_holders_text(sem_home *s, char *text, size_t cap)
{
    size_t at = 0, named = 0, more = 0;
    sem_user *u;
    snprintf(text, cap, "nobody");
    DL_FOREACH2 (s->users, u, in_users.next) {
        uint64_t held = u->held + (u->cell ? sem_cell_held(atomic_load(u->cell)) : 0);
        if (held == 0 || at >= cap)
            continue;
        if (named++ >= SEM_NAMED)
            more++;
        else
            at += (size_t)snprintf(text + at, cap - at, "%srank %d (%llu)", at ? ", " : "", u->rank,
                                   (unsigned long long)held);
    }
    if (more && at < cap)
        snprintf(text + at, cap - at, " and %zu more", more);
}

static void sem_describe(sri_object *o, char *text, size_t cap)
{
    sem_home *s = sem_of(o);
    char holders[256], waiters[256];
    long long value = sem_value(s);
    sem_serve(s);
    const char *of = sri_home_called(o);
    sem_holders_text(s, holders, sizeof holders);
    sri_parked_text(s->line, waiters, sizeof waiters);
    if (s->counter)
        snprintf(text, cap, "%s: %lld free, a counter, waited for by %s", of, value, waiters);
    else
        snprintf(text, cap, "%s: %lld of %lld free, held by %s, waited for by %s", of, value,
                 (long long)s->initial, holders, waiters);
}

static const sri_object_class sem_class = {
    .type = SRI_TYPE_SEMAPHORE,
    .name = "semaphore",
    .size = sizeof(sem_home),
    .session = sizeof(sem_user),
    .create = sem_create,
    .same = sem_same,
    .request = sem_request,
    .cancel = sem_cancel,
    .gone = sem_gone,
    .timer = sem_timer,
    .destroy = sem_destroy,
    .describe = sem_describe,
    .forget = sem_forget,
};
SRI_OBJECT_CLASS(sem_class)
