/* patterns/pool_care.c: what is done inside any call of a future, its results or a pool: callbacks
 * of futures, and what maps need that nobody waits in. */
#include "patterns/pool_future.h"

#include "base/error.h"
#include "core/core.h"

#include <serry/error.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

/* Under the core's mutex. */
static serry_future *care_line;           /* futures that are done and have callbacks */
static serry_future *care_maps;           /* maps under way */
static _Thread_local unsigned care_depth; /* callbacks on this thread's stack */

#define CARE_DETAIL 512
#define CARE_DEPTH 16u /* callbacks that wait, and in whose waits others are called */

void sri_care_forget(void)
{
    care_line = care_maps = NULL;
    care_depth = 0;
}

void sri_care_line(serry_future *f)
{
    if (f->in_line || !f->callbacks || f->freed)
        return;
    DL_APPEND(care_line, f);
    f->in_line = true;
}

void sri_care_add(serry_future *f)
{
    DL_APPEND2(care_maps, f, care_prev, care_next);
}

void sri_care_remove(serry_future *f)
{
    if (f->in_line) {
        DL_DELETE(care_line, f);
        f->in_line = false;
    }
    if (f->care_prev) {
        DL_DELETE2(care_maps, f, care_prev, care_next);
        f->care_prev = f->care_next = NULL;
    }
}

/* A map that can be tended now; NULL: none. now: SRI_NEVER - 1 to leave the time aside. */
static serry_future *care_next_map(sri_ns now)
{
    serry_future *f;
    DL_FOREACH2 (care_maps, f, care_next)
        if (!f->map->busy && (sri_map_needs(f->map) || f->call.over || sri_map_due(f->map) <= now))
            return f;
    return NULL;
}

bool sri_care_pending(void)
{
    return care_depth < CARE_DEPTH && (care_line || (care_maps && care_next_map(-1)));
}

sri_ns sri_care_due(void)
{
    sri_ns due = SRI_NEVER;
    serry_future *f;
    DL_FOREACH2 (care_maps, f, care_next) {
        sri_ns its = f->map->busy ? SRI_NEVER : sri_map_due(f->map);
        due = its < due ? its : due;
    }
    return due;
}

static void care_tend(serry_future *f)
{
    f->refs++;
    f->map->busy = true;
    sri_map_tend(f->map);
    f->map->busy = false;
    if (f->call.over && f->care_prev) {
        DL_DELETE2(care_maps, f, care_prev, care_next);
        f->care_prev = f->care_next = NULL;
    }
    sri_future_unref(f);
}

static void care_call_back(serry_future *f)
{
    DL_DELETE(care_line, f);
    f->in_line = false;
    f->refs++;
    care_depth++;
    while (f->callbacks && !f->freed) {
        future_callback cb = *f->callbacks, *done = f->callbacks;
        DL_DELETE(f->callbacks, done);
        free(done);
        sri_leave();
        cb.fn(cb.ctx, f);
        sri_worker_enter_again();
    }
    care_depth--;
    sri_future_unref(f);
}

/* What user code does is no failure of the call in which it runs. */
static void care_save(char detail[static CARE_DETAIL])
{
    snprintf(detail, CARE_DETAIL, "%s", serry_err_detail());
}

static void care_restore(const char *detail)
{
    SERRY_IGNORE(sri_fail_text(SERRY_OK, detail));
}

void sri_care_call(serry_future *f)
{
    char detail[CARE_DETAIL];
    if (!f->in_line)
        return;
    care_save(detail);
    care_call_back(f);
    care_restore(detail);
}

void sri_care_leave(void)
{
    if (care_depth == 0)
        sri_care_run();
}

void sri_care_run(void)
{
    if ((!care_line && !care_maps) || care_depth >= CARE_DEPTH)
        return;
    sri_ns now = care_maps ? sri_now() : -1;
    serry_future *f = care_next_map(now);
    if (!f && !care_line)
        return;
    char detail[CARE_DETAIL];
    care_save(detail);
    care_depth++;
    for (; f; f = care_next_map(now))
        care_tend(f);
    care_depth--;
    while (care_line)
        care_call_back(care_line);
    care_restore(detail);
}
