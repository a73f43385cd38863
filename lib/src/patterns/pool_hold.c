/* patterns/pool_hold.c: a task that waits for tasks of its own pool, at its worker.
 *
 * It is taken out of the order in which the worker ends its items: what the worker has not begun
 * goes back, and others are run on the stack above it, as they come. When it goes on, what these
 * have not begun goes back again. Its result travels by itself, as the last one held. */
#include "patterns/pool_worker.h"

#include "base/error.h"
#include "base/point.h"
#include "core/core.h"
#include "core/service.h"

#include <stdlib.h>
#include <string.h>

static void hold_post(serry_task *t, uint16_t op)
{
    sri_worker *w = t->w;
    uint64_t v = sri_worker_take_back(w);
    pool_wire_hold out = { .epoch = pool_grant_epoch(v),
                           .started = pool_grant_started(v),
                           .again = t->held };
    SRI_POINT(109);
    if (!w->ended)
        SERRY_IGNORE(sri_service_post(w->pool, op, &out, sizeof out, NULL, 0));
    SRI_POINT(110);
}

/* The result it has given already would be overwritten by the next task's. */
static bool hold_keep_result(serry_task *t)
{
    if (t->at == 0)
        return true;
    t->kept = malloc(t->len ? t->len : 1);
    if (!t->kept)
        return false;
    memcpy(t->kept, t->w->out.data + t->at, t->len);
    t->at = 0;
    return true;
}

bool sri_task_hold(serry_task *t)
{
    sri_worker *w = t->w;
    if (w->ended || !w->attached || !w->busy)
        return false; /* it waits already, and this is a callback */
    if (!t->held && !hold_keep_result(t))
        return false;
    if (t->held) {
        t->spent += sri_now() - w->mark;
    } else {
        w->waits = true;
        sri_worker_flush(w); /* all before it; its own time so far goes with them */
        w->holds++;
    }
    hold_post(t, POOL_OP_HOLD);
    t->held = true;
    w->busy = false;
    w->current = NULL;
    return true;
}

void sri_task_resume(serry_task *t)
{
    sri_worker *w = t->w;
    sri_worker_flush(w);
    hold_post(t, POOL_OP_RESUME);
    w->busy = true;
    w->current = t->chunk;
    w->mark = sri_now();
}

serry_err sri_task_keep(serry_task *t, const void *out, size_t len)
{
    uint8_t *more = realloc(t->kept, len ? len : 1);
    if (!more)
        return sri_fail(SERRY_ENOMEM, "no memory for the result of task %zu, %zu bytes", t->index,
                        len);
    if (len)
        memcpy(more, out, len);
    t->kept = more;
    t->len = len;
    return SERRY_OK;
}

void sri_task_send_late(serry_task *t, int code)
{
    struct {
        pool_wire_results head;
        pool_wire_run run;
    } out = { { 0 }, { .count = 1 } };
    sri_worker *w = t->w;
    char buf[128];
    const void *bytes = t->kept;
    size_t len = t->kept ? t->len : 0;
    if (code != 0 || t->err != SERRY_OK) {
        out.run.status = (uint32_t)(t->err != SERRY_OK ? t->err : SERRY_ETASK);
        bytes = sri_task_why(t, code, buf, sizeof buf);
        len = strlen(bytes);
    }
    out.run.size = len;
    sri_worker_enter_again();
    sri_ns now = sri_now();
    out.head.spent = t->spent + (now - w->mark);
    w->mark = now;
    w->holds--;
    SRI_POINT(111);
    if (!w->ended)
        SERRY_IGNORE(sri_service_post(w->pool, POOL_OP_LATE, &out, sizeof out, bytes, len));
    SRI_POINT(112);
    w->waits = false;
    sri_leave();
    free(t->kept);
}
