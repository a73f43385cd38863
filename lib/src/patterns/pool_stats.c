/* patterns/pool_stats.c: what a pool's workers have done. */
#include "patterns/pool.h"

#include "base/error.h"
#include "core/core.h"
#include "core/service.h"

#include <string.h>

static void stats_take(serry_worker_stats *out, const uint8_t *bytes)
{
    pool_wire_worker w;
    memcpy(&w, bytes, sizeof w);
    *out = (serry_worker_stats){ .rank = w.rank,
                                 .pid = w.pid,
                                 .principal = w.principal,
                                 .alive = w.alive != 0,
                                 .tasks = w.tasks,
                                 .busy = (double)w.busy * 1e-9,
                                 .idle = (double)w.idle * 1e-9 };
}

serry_err serry_pool_stats(serry_pool *pool, serry_worker_stats *out, size_t cap, size_t *n)
{
    sri_reply reply = { 0 };
    if (!out && cap > 0)
        return sri_fail(SERRY_EINVAL, "the array is NULL, it has %zu places", cap);
    SRI_TRY(sri_pool_enter(pool));
    serry_err e = sri_service_call(pool->id, POOL_OP_STATS, NULL, 0, NULL, 0, &reply, SRI_NEVER);
    if (e == SERRY_OK) {
        size_t all = reply.len / sizeof(pool_wire_worker);
        for (size_t i = 0; i < all && i < cap; i++)
            stats_take(&out[i], reply.bytes + i * sizeof(pool_wire_worker));
        if (n)
            *n = all;
    }
    sri_reply_fini(&reply);
    sri_pool_leave();
    return e;
}

double serry_stats_imbalance(const serry_worker_stats *s, size_t n)
{
    double sum = 0, most = 0;
    for (size_t i = 0; s && i < n; i++) {
        sum += s[i].busy;
        most = s[i].busy > most ? s[i].busy : most;
    }
    return sum > 0 ? most * (double)n / sum - 1 : 0;
}
