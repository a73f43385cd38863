/* patterns/semaphore.c: the public calls. As long as there are permits in this member's cell and
 * nobody waits, acquire and release are one compare-and-swap each. */
#include <serry/semaphore.h>

#include "base/point.h"
#include "core/service.h"
#include "patterns/local.h"
#include "patterns/semaphore_steps.h"

#include <stdatomic.h>
#include <string.h>

typedef struct sem_local {
    sri_local local;
    bool opened;
    sri_atomic_u64 *cell; /* NULL: no shared words */
    uint32_t tag;         /* what its word begins with */
} sem_local;

static sri_locals semaphores = { .size = sizeof(sem_local) };

void sem_forget(uint64_t object)
{
    sri_locals_forget(&semaphores, object);
}

/* ---- a semaphore as this member knows it ---- */

static serry_err sem_open(sem_local *l)
{
    sem_wire_opened out;
    SRI_TRY(sri_local_open(&l->local, SEM_OP_OPEN, NULL, 0, &out, sizeof out));
    SRI_TRY(sri_local_word(out.shared, out.cell, &l->cell));
    l->tag = sri_handle_tag(l->local.id);
    l->opened = true;
    return SERRY_OK;
}

/* With a cell that is this semaphore's. One may have been taken back, from a member that has left
 * and goes on using objects. */
static serry_err sem_ready(sem_local *l)
{
    while (!l->opened || (l->cell && !sem_cell_names(atomic_load(l->cell), l->tag))) {
        if (l->local.destroyed)
            return sri_local_fail(&l->local, SERRY_EHANDLE, "destroyed");
        SRI_TRY(sem_open(l));
    }
    return SERRY_OK;
}

/* The caller is one of its users until sem_leave. */
static serry_err sem_use(uint64_t id, sem_local **out)
{
    sri_local *base;
    SRI_TRY(sri_service_check(id, SRI_TYPE_SEMAPHORE));
    SRI_TRY(sri_local_use(&semaphores, id, &base));
    serry_err e = sem_ready((sem_local *)base);
    if (e != SERRY_OK) {
        sri_local_give_up(&semaphores, base);
        return e;
    }
    *out = (sem_local *)base;
    return SERRY_OK;
}

static void sem_leave(sem_local *l)
{
    sri_local_leave(&semaphores, &l->local);
}

/* ---- with the core entered ---- */

/* The one it was last: what is asked again and again. NULL: look it up. */
static inline sem_local *sem_last(uint64_t id)
{
    sem_local *l = (sem_local *)semaphores.last;
    return l && l->local.id == id && l->cell ? l : NULL;
}

static serry_err sem_acquire_slow(uint64_t id, double timeout)
{
    sri_ns deadline;
    sem_local *l;
    SRI_TRY(sri_deadline(timeout, &deadline));
    SRI_TRY(sem_use(id, &l));
    serry_err e = SERRY_OK;
    if (!l->cell || !sem_step_take(l->cell, l->tag)) {
        SRI_POINT(44);
        e = sri_service_call(id, SEM_OP_ACQUIRE, NULL, 0, NULL, 0, NULL, deadline);
        SRI_POINT(45);
    }
    sem_leave(l);
    return e;
}

static serry_err sem_release_slow(uint64_t id)
{
    sem_local *l;
    bool waited = false;
    SRI_TRY(sem_use(id, &l));
    serry_err e = SERRY_OK;
    if (!l->cell || !sem_step_give(l->cell, l->tag, &waited)) {
        SRI_POINT(46);
        e = sri_service_call(id, SEM_OP_RELEASE, NULL, 0, NULL, 0, NULL, SRI_NEVER);
        SRI_POINT(47);
    } else if (waited) {
        e = sri_service_post(id, SEM_OP_LOOK, NULL, 0, NULL, 0);
    }
    sem_leave(l);
    return e;
}

/* ---- the public calls ---- */

serry_err serry_semaphore_create(serry_semaphore *s, int value, const serry_semaphore_options *o)
{
    if (!s)
        return sri_fail(SERRY_EINVAL, "no place for the handle");
    if (value < 0)
        return sri_fail(SERRY_EINVAL, "a semaphore with %d permits: it begins with 0 or more",
                        value);
    serry_semaphore_options none = { 0 };
    if (!o)
        o = &none;
    sem_wire_settings settings = { .value = value, .bounded = o->bounded };
    SRI_TRY(sri_enter());
    serry_err e = sri_service_create(SRI_TYPE_SEMAPHORE, o->name, o->node, &settings,
                                     sizeof settings, &s->id);
    sri_leave();
    return e;
}

serry_err serry_semaphore_acquire(serry_semaphore s, double timeout)
{
    SRI_TRY(sri_enter());
    sem_local *l = sem_last(s.id);
    serry_err e = SERRY_OK;
    /* NaN, the only one not equal to itself, is for the slow way to refuse. */
    if (!l || timeout != timeout || !sem_step_take(l->cell, l->tag))
        e = sem_acquire_slow(s.id, timeout);
    sri_leave();
    return sri_within(e, timeout);
}

serry_err serry_semaphore_release(serry_semaphore s)
{
    SRI_TRY(sri_enter());
    sem_local *l = sem_last(s.id);
    bool waited = false;
    serry_err e = SERRY_OK;
    if (!l || !sem_step_give(l->cell, l->tag, &waited))
        e = sem_release_slow(s.id);
    else if (waited)
        e = sri_service_post(s.id, SEM_OP_LOOK, NULL, 0, NULL, 0);
    sri_leave();
    return e;
}

serry_err serry_semaphore_value(serry_semaphore s, int *value)
{
    sri_reply reply = { 0 };
    int64_t n = 0;
    SRI_TRY(sri_enter());
    serry_err e = sri_service_check(s.id, SRI_TYPE_SEMAPHORE);
    if (e == SERRY_OK)
        e = sri_service_call(s.id, SEM_OP_VALUE, NULL, 0, NULL, 0, &reply, SRI_NEVER);
    sri_leave();
    if (e == SERRY_OK && reply.len != sizeof n)
        e = sri_fail(SERRY_EINTERNAL, "the value of a semaphore has %zu bytes", reply.len);
    if (e == SERRY_OK && value) {
        memcpy(&n, reply.bytes, sizeof n);
        *value = (int)n;
    }
    sri_reply_fini(&reply);
    return e;
}

serry_err serry_semaphore_destroy(serry_semaphore s)
{
    SRI_TRY(sri_enter());
    serry_err e = sri_service_check(s.id, SRI_TYPE_SEMAPHORE);
    if (e == SERRY_OK)
        e = sri_service_destroy(s.id);
    sri_leave();
    return e;
}
