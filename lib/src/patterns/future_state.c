/* patterns/future_state.c: is a task queued, under way, or cancelled; and cancelling it. */
#include "patterns/pool_future.h"

#include "base/error.h"
#include "core/core.h"
#include "core/service.h"
#include "core/wait.h"

#include <string.h>

/* Asks the home about a call that is not over. The outcome may come before the answer. */
static serry_err state_ask(serry_future *f, uint16_t op, pool_wire_state *state)
{
    pool_wire_of args = { .call = f->call.id };
    sri_reply reply = { 0 };
    serry_err e =
        sri_service_call(f->call.pool->id, op, &args, sizeof args, NULL, 0, &reply, SRI_NEVER);
    if (e == SERRY_OK && reply.len == sizeof *state)
        memcpy(state, reply.bytes, sizeof *state);
    sri_reply_fini(&reply);
    return e;
}

bool serry_future_running(const serry_future *f)
{
    pool_wire_state state = { 0 };
    if (!f || sri_future_enter(f) != SERRY_OK)
        return false;
    (void)sri_progress();
    serry_future *mine = (serry_future *)f; /* its state is asked, not changed */
    bool running = !f->call.over && f->call.pool
                   && state_ask(mine, POOL_OP_STATE, &state) == SERRY_OK && state.running
                   && !f->call.over;
    sri_pool_leave();
    return running;
}

bool serry_future_cancelled(const serry_future *f)
{
    return serry_future_done(f) && f->call.err == SERRY_ECANCELLED;
}

static bool state_is_over(void *ctx)
{
    return ((const serry_future *)ctx)->call.over;
}

static serry_err state_cancel(serry_future *f)
{
    pool_wire_state state = { 0 };
    if (!f->call.over)
        (void)sri_progress();
    if (f->call.over || !f->call.pool)
        return sri_fail(SERRY_ESTATE, "the task has ended");
    SRI_TRY(state_ask(f, POOL_OP_CANCEL, &state));
    if (f->map)
        return SERRY_OK;
    /* Its worker is being ended, or asked; how it went is told by its outcome. */
    pool_stay stay;
    sri_pool_begin_stay(&stay, NULL);
    SERRY_IGNORE(sri_pool_wait(&stay, state_is_over, f, SRI_NEVER));
    sri_pool_end_stay(&stay);
    if (f->call.err != SERRY_ECANCELLED)
        return sri_fail(SERRY_ESTATE, "the task has ended");
    return SERRY_OK;
}

serry_err serry_future_cancel(serry_future *f)
{
    if (!f)
        return sri_fail(SERRY_EINVAL, "the future is NULL");
    SRI_TRY(sri_future_enter(f));
    f->refs++;
    serry_err e = state_cancel(f);
    sri_care_leave();
    sri_future_unref(f);
    sri_leave();
    return e;
}
