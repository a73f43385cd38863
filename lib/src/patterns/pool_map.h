/* patterns/pool_map.h: a map under way at its submitter. */
#ifndef SRI_PATTERNS_POOL_MAP_H
#define SRI_PATTERNS_POOL_MAP_H

#include "patterns/pool.h"
#include "patterns/pool_progress.h"

#include "base/fnref.h"

typedef struct sri_map {
    serry_pool *pool;
    pool_call *call;
    serry_map_options o;
    sri_fnref fn;
    const uint8_t *items;
    size_t item_size;
    size_t n;
    size_t sent;
    size_t block;  /* items */
    size_t window; /* items */
    sri_ns deadline;
    bool busy; /* a thread tends it */
    sri_bar bar;
} sri_map;

/* Is there anything to send or to report? */
bool sri_map_needs(const sri_map *m);
/* When it is to be looked after, whatever comes. */
sri_ns sri_map_due(const sri_map *m);
/* Sends and reports what there is, draws the bar, ends it when its time is up. Lets the core go
 * while on_error runs. */
void sri_map_tend(sri_map *m);
void sri_map_drop_reports(pool_call *c);

#endif
