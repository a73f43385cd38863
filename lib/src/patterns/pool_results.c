/* patterns/pool_results.c: the results of a lazy map. */
#include "patterns/pool_imap.h"

#include "base/error.h"
#include "core/core.h"
#include "core/wait.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

/* The result to be taken next, if it is here. */
static imap_slot *results_ready(const serry_results *it)
{
    imap_group *g = it->groups;
    if (it->unordered)
        return it->done;
    return g && g->slot[g->taken].done ? &g->slot[g->taken] : NULL;
}

static bool results_has_news(void *ctx)
{
    const serry_results *it = ctx;
    return results_ready(it) || (it->pending == 0 && !it->reading) || sri_imap_may_read(it);
}

static void results_taken(serry_results *it, imap_slot *s)
{
    imap_group *g = s->group;
    if (it->unordered)
        DL_DELETE(it->done, s);
    free(s->bytes);
    s->bytes = NULL;
    it->pending--;
    if (++g->taken < g->call.n)
        return;
    sri_pool_drop_call(&g->call);
    sri_imap_free_group(it, g);
}

/* Copies a result; it is kept if there is no room for it. */
static serry_err results_give(serry_results *it, imap_slot *s, void *out, size_t cap, size_t *len,
                              size_t *index)
{
    if (index)
        *index = s->group->first + (size_t)(s - s->group->slot);
    if (s->err != SERRY_OK) {
        serry_err e =
            sri_fail_text(s->err, s->bytes ? (const char *)s->bytes : serry_err_text(s->err));
        results_taken(it, s);
        return e;
    }
    if (!len && s->len != cap && out)
        return sri_fail(s->len > cap ? SERRY_ETRUNC : SERRY_EINVAL,
                        "the result has %zu bytes, exactly %zu were expected", s->len, cap);
    if (len)
        *len = s->len;
    if (s->len > cap && (out || cap > 0))
        return sri_fail(SERRY_ETRUNC, "the result has %zu bytes, there is room for %zu", s->len,
                        cap);
    if (out && s->len > 0)
        memcpy(out, s->bytes, s->len);
    results_taken(it, s);
    return SERRY_OK;
}

/* No more are to come; the pool's error is told once, if items were lost by it. */
static serry_err results_end(serry_results *it)
{
    serry_err e = it->ended;
    it->ended = SERRY_ECLOSED;
    if (e == SERRY_EBROKEN || e == SERRY_ECANCELLED)
        return sri_fail(e, "the pool %s before all items were read",
                        e == SERRY_EBROKEN ? "broke" : "was terminated");
    return sri_fail(SERRY_ECLOSED, "there are no more results");
}

static serry_err results_late(const serry_results *it, const serry_pool *pool)
{
    const char text[] = "no result, with %zu under way";
    return pool ? sri_pool_fail(pool, SERRY_ETIMEDOUT, text, it->pending)
                : sri_fail(SERRY_ETIMEDOUT, text, it->pending);
}

static serry_err results_next_one(serry_results *it, void *out, size_t cap, size_t *len,
                                  size_t *index, sri_ns deadline)
{
    for (;;) {
        (void)sri_progress();
        if (!sri_imap_fill(it))
            return sri_fail(SERRY_ECLOSED, "the results were freed");
        imap_slot *s = results_ready(it);
        if (s)
            return results_give(it, s, out, cap, len, index);
        if (it->pending == 0 && !it->reading && it->ended != SERRY_OK)
            return results_end(it);
        pool_stay stay;
        serry_pool *pool = sri_pool_find(it->pool_id);
        sri_pool_begin_stay(&stay, pool == it->pool ? pool : NULL);
        serry_err e = sri_pool_wait(&stay, results_has_news, it, deadline);
        sri_pool_end_stay(&stay);
        if (e != SERRY_OK)
            return results_late(it, pool == it->pool ? pool : NULL);
    }
}

/* ---- calls ---- */

static serry_err results_enter(const serry_results *it)
{
    SRI_TRY(sri_enter());
    if (it->rank == sri_world.rank)
        return SERRY_OK;
    sri_leave();
    return sri_fail(SERRY_ESTATE, "the results belong to rank %d", it->rank);
}

serry_err serry_results_next(serry_results *it, void *out, size_t cap, size_t *len, size_t *index,
                             double timeout)
{
    sri_ns deadline;
    if (!it || (!out && cap > 0))
        return sri_fail(SERRY_EINVAL, "%s is NULL", it ? "the buffer" : "the results");
    SRI_TRY(sri_deadline(timeout, &deadline));
    SRI_TRY(results_enter(it));
    serry_err e = results_next_one(it, out, cap, len, index, deadline);
    sri_pool_leave();
    return sri_within(e, timeout);
}

void serry_results_free(serry_results *it)
{
    imap_group *g;
    if (!it)
        return;
    if (results_enter(it) != SERRY_OK) { /* after the world: nothing is under way */
        sri_imap_free(it);
        return;
    }
    bool pending = false;
    DL_FOREACH (it->groups, g) {
        pending = pending || (g->call.pool && !g->call.over);
        sri_pool_give_up(&g->call);
    }
    if (pending)
        sri_pool_settle(it->pool_id);
    it->freed = true;
    if (!it->reading)
        sri_imap_free(it);
    sri_pool_leave();
}
