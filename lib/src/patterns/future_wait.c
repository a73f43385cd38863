/* patterns/future_wait.c: callbacks of futures, and waiting for several. */
#include "patterns/pool_future.h"

#include "base/error.h"
#include "core/core.h"
#include "core/wait.h"

#include <stdlib.h>
#include <utlist.h>

serry_err serry_future_on_done(serry_future *f, serry_future_fn fn, void *ctx)
{
    if (!f || !fn)
        return sri_fail(SERRY_EINVAL, "%s is NULL", f ? "the callback" : "the future");
    SRI_TRY(sri_future_enter(f));
    if (!f->call.over)
        (void)sri_progress();
    future_callback *cb = malloc(sizeof *cb);
    if (!cb) {
        sri_leave();
        return sri_fail(SERRY_ENOMEM, "no memory for a callback");
    }
    *cb = (future_callback){ .fn = fn, .ctx = ctx };
    DL_APPEND(f->callbacks, cb);
    if (f->call.over) {
        sri_care_line(f);
        sri_care_call(f);
    }
    sri_pool_leave();
    return SERRY_OK;
}

/* ---- waiting for several ---- */

typedef struct several {
    serry_future *const *fs;
    size_t n;
    serry_wait_for mode;
    size_t over; /* those before it are over: for SERRY_ALL, which need not look at them again */
    size_t which;
    bool ready;
    uint64_t seen; /* calls that were over when last looked at; nothing has changed since */
} several;

static bool several_failed(const serry_future *f)
{
    return f->call.over && f->call.err != SERRY_OK && f->call.err != SERRY_ECANCELLED;
}

/* The one that was over first, of all or of those that failed; n: none. */
static size_t several_first(const several *s, bool failed)
{
    size_t first = s->n;
    uint64_t stamp = UINT64_MAX;
    for (size_t i = 0; i < s->n; i++) {
        const serry_future *f = s->fs[i];
        if (!f || !f->call.over || f->call.stamp >= stamp || (failed && !several_failed(f)))
            continue;
        first = i;
        stamp = f->call.stamp;
    }
    return first;
}

static bool several_all(several *s)
{
    while (s->over < s->n && (!s->fs[s->over] || s->fs[s->over]->call.over))
        s->over++;
    return s->over == s->n;
}

static bool several_look(several *s)
{
    if (s->mode != SERRY_ALL)
        s->which = several_first(s, s->mode == SERRY_FIRST_ERROR);
    if (s->mode != SERRY_ALL && s->which < s->n)
        return true;
    if (s->mode == SERRY_FIRST || !several_all(s))
        return false;
    s->which = several_first(s, false);
    return true;
}

static bool several_ready(void *ctx)
{
    several *s = ctx;
    uint64_t now = sri_pool_stamp();
    if (!s->ready && now != s->seen) {
        s->seen = now;
        s->ready = several_look(s);
    }
    return s->ready;
}

/* Work is done for the pool of the first one that is pending: whose tasks this thread may run, the
 * own pool's in a task, is that of all, unless there are several pools. */
static serry_pool *several_pool(const several *s)
{
    serry_pool *pool = NULL;
    const serry_task *t = sri_task_here();
    for (size_t i = 0; i < s->n; i++) {
        const serry_future *f = s->fs[i];
        if (!f || f->call.over || !f->call.pool)
            continue;
        if (t && t->w->pool == f->call.pool->id)
            return f->call.pool;
        pool = pool ? pool : f->call.pool;
    }
    return pool;
}

static size_t several_pending(const several *s, size_t *all)
{
    size_t pending = 0;
    *all = 0;
    for (size_t i = 0; i < s->n; i++) {
        *all += s->fs[i] != NULL;
        pending += s->fs[i] && !s->fs[i]->call.over;
    }
    return pending;
}

static serry_err several_wait(several *s, sri_ns deadline)
{
    size_t all;
    pool_stay stay;
    (void)sri_progress();
    if (several_ready(s))
        return SERRY_OK;
    sri_pool_begin_stay(&stay, several_pool(s));
    serry_err e = sri_pool_wait(&stay, several_ready, s, deadline);
    sri_pool_end_stay(&stay);
    if (e == SERRY_OK)
        return e;
    size_t pending = several_pending(s, &all);
    return sri_fail(e, "%zu (of %zu) futures unfinished", pending, all);
}

static serry_err several_check(serry_future *const *fs, size_t n, serry_wait_for mode)
{
    bool any = false;
    if (!fs || n == 0)
        return sri_fail(SERRY_EINVAL, "there are no futures to wait for");
    SRI_TRY(sri_check_array(n, sizeof(serry_future *), "futures"));
    if (mode != SERRY_FIRST && mode != SERRY_FIRST_ERROR && mode != SERRY_ALL)
        return sri_fail(SERRY_EINVAL, "%d is nothing that futures can be waited for", (int)mode);
    for (size_t i = 0; i < n; i++) {
        any = any || fs[i];
        if (fs[i] && fs[i]->rank != serry_rank())
            return sri_fail(SERRY_ESTATE, "the future at place %zu belongs to rank %d", i,
                            fs[i]->rank);
    }
    return any ? SERRY_OK : sri_fail(SERRY_EINVAL, "all %zu futures are NULL", n);
}

serry_err serry_future_wait(serry_future *const *fs, size_t n, serry_wait_for mode, size_t *which,
                            double timeout)
{
    sri_ns deadline;
    SRI_TRY(sri_deadline(timeout, &deadline));
    SRI_TRY(several_check(fs, n, mode));
    SRI_TRY(sri_enter());
    several s = { .fs = fs, .n = n, .mode = mode, .seen = UINT64_MAX };
    serry_err e = several_wait(&s, deadline);
    if (e == SERRY_OK && which)
        *which = s.which;
    sri_pool_leave();
    return sri_within(e, timeout);
}
