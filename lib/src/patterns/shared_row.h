/* patterns/shared_row.h: the items of a list: pointers in a row, with room at both ends, so that
 * what comes and goes at either end costs the same whatever the length. */
#ifndef SRI_PATTERNS_SHARED_ROW_H
#define SRI_PATTERNS_SHARED_ROW_H

#include "patterns/shared_home.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Zeroed is empty. */
typedef struct shared_row {
    shared_item **all; /* places */
    size_t cap;
    size_t first; /* the place of item 0 */
    size_t n;
} shared_row;

static inline shared_item **shared_row_at(const shared_row *r, size_t at)
{
    return &r->all[r->first + at];
}

/* Puts an item in front of item at <= n, and takes item at < n out; the items on the shorter side
 * move up. False: no memory, nothing has changed. */
bool shared_row_insert(shared_row *r, size_t at, shared_item *item);
shared_item *shared_row_remove(shared_row *r, size_t at);

/* Frees all items, and the row. */
void shared_row_clear(shared_row *r);

#ifdef __cplusplus
}
#endif
#endif
