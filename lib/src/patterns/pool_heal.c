/* patterns/pool_heal.c: the pool's workers as its home sees them: they come, die and are replaced.
 *
 * When a worker dies, its grant word says at which item it was. That one has had an attempt: it is
 * tried again or reported. What it had finished without telling, and what it had not begun, goes
 * back to the queue as if nothing had been. A worker that dies at no task costs no task an attempt,
 * but too many of these in a row break the pool, which could only go on starting them for ever.
 */
#include "patterns/pool_home.h"

#include "base/error.h"
#include "base/log.h"
#include "base/fate.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#define DEATHS 5               /* so many */
#define DEATHS_NS SRI_MS(5000) /* within this break the pool */
#define START_AGAIN_NS SRI_MS(200)

home_worker *pool_heal_find(pool_home *p, int rank)
{
    home_session *s = sri_home_session(&p->o, rank);
    return s ? s->worker : NULL;
}

home_worker *pool_heal_worker(pool_home *p, int rank, pool_role role)
{
    home_session *s = sri_home_session(&p->o, rank);
    if (!s || s->worker)
        return s ? s->worker : NULL;
    home_worker *w = calloc(1, sizeof *w);
    if (!w)
        return NULL;
    w->rank = w->deeds.rank = rank;
    w->deeds.principal = -1;
    w->role = role;
    w->deputes = p->set.isolate && (role == POOL_ROLE_SERVER || role == POOL_ROLE_SELF);
    if (!w->deputes)
        w->cell = sri_home_cell(&p->o, rank, 0, &w->cell_number);
    if (w->cell) { /* a cell may have served another worker of this rank before */
        uint64_t v = atomic_load(w->cell);
        w->epoch = pool_grant_epoch(v);
        w->next_seq = w->reported = pool_grant_started(v);
    }
    bool limited = pool_is_process(w) && p->set.max_tasks > 0;
    w->budget = limited ? (uint64_t)p->set.max_tasks : UINT64_MAX / 2;
    DL_APPEND(p->workers, w);
    s->worker = w;
    if (pool_is_process(w))
        p->processes++;
    return w;
}

/* ---- death ---- */

static void heal_fate_text(pool_home *p, const home_worker *w, char *text, size_t cap)
{
    int code = sri_home_exit_code(&p->o, w->rank);
    const char *what = pool_is_process(w) ? "worker" : "serving";
    char who[64];
    char end[48];
    if (w->role == POOL_ROLE_DEPUTY)
        snprintf(who, sizeof who, "worker rank %d, for rank %d,", w->rank, w->deeds.principal);
    else
        snprintf(who, sizeof who, "%s rank %d", what, w->rank);
    if (w->overdue)
        snprintf(text, cap, "%s was killed: it took longer than %g s", who,
                 (double)p->set.task_timeout * 1e-9);
    else if (code < 0)
        snprintf(text, cap, "%s %s", who, sri_code_text(code, end, sizeof end));
    else if (code > 0)
        snprintf(text, cap, "%s exited with code %d", who, code);
    else
        snprintf(text, cap, "%s ended", who);
}

/* The item that the worker was at: tried again, later each time, or reported. */
static void heal_culprit(pool_home *p, home_worker *w, const home_held *l)
{
    home_call *call = l->block->call;
    uint32_t at = l->at;
    call->leased--;
    if (w->victim) { /* killed for a task that was cancelled, which may be another */
        pool_items_return(p, l->block, at, 1, l->attempt, 0);
        return;
    }
    if (l->attempt <= (uint32_t)p->set.retries && !call->stopped) {
        sri_ns delay = p->set.retry_delay;
        for (uint32_t k = 1; k < l->attempt && delay < SRI_NEVER / 4; k++)
            delay *= 2;
        sri_ns due = delay ? sri_now() + delay : 0;
        pool_items_return(p, l->block, at, 1, l->attempt + 1, due);
        return;
    }
    char text[384], attempts[48] = "";
    if (l->attempt > 1)
        snprintf(attempts, sizeof attempts, " (attempt %u of %d)", l->attempt, p->set.retries + 1);
    int len = snprintf(text, sizeof text, "task %zu%s%s: %s%s", (size_t)(l->block->first + at),
                       p->set.name[0] ? " of pool " : "", p->set.name, p->cause, attempts);
    pool_items_end(p, l->block, at, 1, SERRY_EDIED, w->rank, text, (uint64_t)len);
}

/* Splits what the worker held into the item it was at (offset culprit, UINT32_MAX: none) and the
 * rest. From the last to the first, so that they go back in their order. */
static void heal_scatter(pool_home *p, home_worker *w, uint32_t culprit)
{
    uint32_t offset = (w->next_seq - w->reported) & POOL_SEQ_MASK;
    while (w->leases > 0) {
        home_lease l = w->lease[(w->head + --w->leases) % POOL_LEASES];
        offset -= l.count;
        uint32_t before = l.count, after = 0; /* the culprit's neighbours in this lease */
        bool here = culprit >= offset && culprit - offset < l.count;
        if (here) {
            before = culprit - offset;
            after = l.count - before - 1;
        }
        l.block->call->leased -= before + after; /* the culprit keeps its call until the end */
        pool_items_return(p, l.block, l.at + l.count - after, after, l.attempt, 0);
        pool_items_return(p, l.block, l.at, before, l.attempt, 0);
        if (here)
            heal_culprit(
                p, w, &(home_held){ .block = l.block, .at = l.at + before, .attempt = l.attempt });
    }
}

/* A task of this call has ended the worker. Those on its stack that wait for it have had an
 * attempt, too: they would only give it again. */
static void heal_charge(home_worker *w, const home_call *call)
{
    unsigned below = w->holds;
    while (call->nested && call->key.submitter == w->rank && call->level < below) {
        below = call->level;
        w->held[below].charged = true;
        call = w->held[below].block->call;
    }
}

static void heal_charge_culprit(home_worker *w, uint32_t culprit)
{
    if (w->resumed) {
        w->held[w->holds - 1].charged = true;
        heal_charge(w, w->held[w->holds - 1].block->call);
        return;
    }
    for (unsigned i = 0; i < w->leases && culprit != UINT32_MAX; i++) {
        const home_lease *l = &w->lease[(w->head + i) % POOL_LEASES];
        if (culprit < l->count) {
            heal_charge(w, l->block->call);
            return;
        }
        culprit -= l->count;
    }
}

/* Those that waited for tasks of their own begin anew. */
static void heal_scatter_held(pool_home *p, home_worker *w)
{
    while (w->holds > 0) {
        home_held h = w->held[--w->holds];
        if (h.charged) {
            heal_culprit(p, w, &h);
            continue;
        }
        h.block->call->leased--;
        pool_items_return(p, h.block, h.at, 1, h.attempt, 0);
    }
}

static uint32_t heal_culprit_of(const home_worker *w)
{
    uint32_t offset;
    return pool_lease_running(w, &offset) ? offset : UINT32_MAX;
}

/* What it has done is still told for a while. */
static void heal_keep_deeds(pool_home *p, const home_worker *w)
{
    if (!p->past)
        p->past = calloc(POOL_LEFT, sizeof *p->past);
    if (p->past)
        p->past[p->pasts++ % POOL_LEFT] = w->deeds;
}

void pool_heal_free_worker(home_worker *w)
{
    free(w->held);
    free(w);
}

static void heal_forget(pool_home *p, home_worker *w)
{
    home_session *s = sri_home_session(&p->o, w->rank);
    if (s)
        s->worker = NULL;
    DL_DELETE(p->workers, w);
    if (!w->deputes)
        heal_keep_deeds(p, w);
    pool_heal_free_worker(w);
}

/* Whoever joins the pool waits for the ends of those processes that have left last. */
static void heal_remember(pool_home *p, int32_t rank)
{
    p->left[p->lefts++ % POOL_LEFT] = rank;
}

/* A worker ended at no task, or could not be started; too many of them break the pool. */
static void heal_count(pool_home *p)
{
    if (p->broken || p->terminated)
        return;
    sri_ns now = sri_now();
    p->death_at[p->deaths % DEATHS] = now;
    p->deaths++;
    if (p->deaths < DEATHS || now - p->death_at[p->deaths % DEATHS] > DEATHS_NS)
        return;
    char text[sizeof p->cause + 64];
    snprintf(text, sizeof text, "%d workers ended at no task; the last: %s", DEATHS, p->cause);
    pool_heal_break(p, text);
}

void pool_heal_gone(pool_home *p, home_worker *w)
{
    if (w->attached && w->role == POOL_ROLE_SERVER)
        p->servers--;
    if (pool_is_process(w))
        p->processes--;
    w->attached = false;
    heal_fate_text(p, w, p->cause, sizeof p->cause);
    uint32_t culprit = heal_culprit_of(w);
    bool process = pool_is_process(w);
    bool expected = w->ending || w->victim || w->resumed;
    pool_lease_idle(w);
    heal_charge_culprit(w, culprit);
    heal_scatter(p, w, culprit);
    heal_scatter_held(p, w);
    if (process)
        heal_remember(p, w->rank);
    pool_deputies_part(p, w);
    heal_forget(p, w);
    if (process && culprit == UINT32_MAX && !expected)
        heal_count(p);
    pool_heal(p);
    pool_sched(p, NULL);
    pool_heal_finish(p);
}

/* ---- healing ---- */

void pool_heal(pool_home *p)
{
    if (p->broken || p->terminated || (p->closed && !p->calls) || p->heal_due != SRI_NEVER)
        return;
    if (p->set.served)
        pool_deputies_ask(p);
    if (p->set.served || !p->announced)
        return;
    while (p->processes < p->set.workers) {
        int rank = -1;
        serry_err e =
            sri_home_start(&p->o, p->o.creator, &p->set.main, &p->o.id, sizeof p->o.id, "", &rank);
        if (e == SERRY_OK && pool_heal_worker(p, rank, POOL_ROLE_PROCESS))
            continue;
        pool_heal_failed(p, e == SERRY_OK ? "it ended at once" : serry_err_detail());
        return;
    }
}

void pool_heal_failed(pool_home *p, const char *text)
{
    snprintf(p->cause, sizeof p->cause, "a worker could not be started: %s", text);
    p->heal_due = sri_now() + START_AGAIN_NS;
    heal_count(p);
}

void pool_heal_break(pool_home *p, const char *text)
{
    if (p->broken || p->terminated)
        return;
    sri_log(SRI_LOG_WARN, "pool%s%s of rank %d is broken: %s", p->set.name[0] ? " " : "",
            p->set.name, p->o.creator, text);
    p->broken = true;
    pool_lease_revoke_all(p, NULL);
    pool_items_flush(p); /* what has come is kept */
    pool_items_drop_all(p);
    pool_wire_feed head = { .kind = POOL_FEED_BROKEN };
    sri_home_feed(&p->o, p->o.creator, &head, sizeof head, text, strlen(text));
    pool_heal_end_workers(p);
}

/* ---- ending ---- */

static void heal_tell_end(pool_home *p, home_worker *w)
{
    if (w->ending)
        return;
    w->ending = true;
    pool_wire_feed head = { .kind = POOL_FEED_END };
    sri_home_feed(&p->o, w->rank, &head, sizeof head, NULL, 0);
}

void pool_heal_end_workers(pool_home *p)
{
    home_worker *w;
    DL_FOREACH (p->workers, w) {
        if (pool_is_process(w)) {
            w->ending = true;
            sri_home_kill(&p->o, w->rank);
        } else {
            heal_tell_end(p, w);
        }
    }
}

void pool_heal_finish(pool_home *p)
{
    bool over = p->closed && !p->calls;
    home_worker *w;
    DL_FOREACH (p->workers, w) {
        bool done = pool_is_process(w) && (w->budget == 0 || w->retired);
        bool spent = done && w->attached && w->leases == 0 && w->holds == 0;
        if (spent || (over && w->attached))
            heal_tell_end(p, w);
    }
    if (!p->joining || !(over || p->broken) || p->processes > 0)
        return;
    p->joining = false;
    uint32_t n = p->lefts < POOL_LEFT ? p->lefts : POOL_LEFT;
    sri_home_reply(&p->o, p->join, NULL, 0, p->left, n * sizeof p->left[0]);
}

static void heal_overdue_since(pool_home *p, home_worker *w, sri_ns now, sri_ns since)
{
    if (now - since < p->set.task_timeout || w->overdue)
        return;
    w->overdue = true;
    sri_home_kill(&p->o, w->rank);
}

sri_ns pool_heal_overdue(pool_home *p, sri_ns now)
{
    sri_ns again = SRI_NEVER;
    home_worker *w;
    DL_FOREACH (p->workers, w) {
        if ((w->leases == 0 && !w->resumed) || !pool_is_process(w))
            continue;
        if (w->resumed) {
            heal_overdue_since(p, w, now, w->seen_at);
            again = now + p->set.task_timeout / 8;
            continue;
        }
        uint32_t offset;
        bool running = pool_lease_running(w, &offset);
        uint64_t at = ((w->reported + offset) & POOL_SEQ_MASK) + 1;
        if (!running || at != w->seen) {
            w->seen = at;
            w->seen_at = w->cell ? now : w->heard;
        } else {
            heal_overdue_since(p, w, now, w->seen_at);
        }
        again = now + p->set.task_timeout / 8;
    }
    return again;
}
