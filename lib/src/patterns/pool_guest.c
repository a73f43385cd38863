/* patterns/pool_guest.c: the pools of this process, its own and those of its workers, by which
 * tasks give tasks. */
#include "patterns/pool.h"

#include "core/core.h"

#include <stdlib.h>
#include <utlist.h>

serry_pool *sri_pools; /* under the core's mutex */

void sri_pool_list(serry_pool *pool)
{
    DL_APPEND(sri_pools, pool);
}

void sri_pool_unlist(serry_pool *pool)
{
    DL_DELETE(sri_pools, pool);
}

serry_pool *sri_pool_find(uint64_t id)
{
    serry_pool *pool;
    DL_FOREACH (sri_pools, pool)
        if (pool->id == id)
            return pool;
    return NULL;
}

void sri_pool_free(serry_pool *pool)
{
    free(pool->table);
    free(pool->process);
    free(pool->cause);
    free(pool);
}

/* ---- guests ---- */

serry_pool *sri_pool_guest(sri_worker *w)
{
    serry_pool *pool = sri_pool_find(w->pool); /* the owner's own, where it works itself */
    if (pool)
        return pool;
    pool = calloc(1, sizeof *pool);
    if (!pool)
        return NULL;
    pool->id = w->pool;
    pool->rank = sri_world.rank;
    pool->guest = true;
    pool->workers = w->workers > 0 ? w->workers : 1;
    pool->self = w;
    w->guest = pool;
    sri_pool_list(pool);
    return pool;
}

void sri_pool_close_guest(serry_pool *pool)
{
    sri_pool_end_calls(pool, SERRY_ECANCELLED, "the pool has ended", true);
    sri_pool_unlist(pool);
    pool->self = NULL;
    pool->closed = pool->doomed = true;
    if (pool->waiting == 0)
        sri_pool_free(pool);
}
