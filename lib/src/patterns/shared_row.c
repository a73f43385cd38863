/* patterns/shared_row.c: the items of a list. */
#include "patterns/shared_row.h"

#include <stdlib.h>
#include <string.h>

#define ROW_LEAST 16u

/* Moves the items to the middle of so many places: half of the free ones are in front. */
static bool row_resize(shared_row *r, size_t cap)
{
    shared_item **all = r->all;
    if (cap != r->cap && (cap > SIZE_MAX / sizeof *all || !(all = malloc(cap * sizeof *all))))
        return false;
    size_t first = (cap - r->n) / 2;
    if (r->n)
        memmove(all + first, r->all + r->first, r->n * sizeof *all);
    if (all != r->all)
        free(r->all);
    *r = (shared_row){ .all = all, .cap = cap, .first = first, .n = r->n };
    return true;
}

/* Makes a free place in front of the first item or behind the last. A row at most two thirds full
 * only moves to its middle: each end then has a sixth of the places, and so many more come before
 * the next time. */
static bool row_room(shared_row *r, bool front)
{
    if (front ? r->first > 0 : r->first + r->n < r->cap)
        return true;
    if (r->cap == 0)
        return row_resize(r, ROW_LEAST);
    return row_resize(r, r->n > r->cap - r->cap / 3 ? 2 * r->cap : r->cap);
}

bool shared_row_insert(shared_row *r, size_t at, shared_item *item)
{
    bool front = at < r->n - at;
    if (!row_room(r, front))
        return false;
    shared_item **items = r->all + r->first;
    if (front) {
        memmove(items - 1, items, at * sizeof *items);
        r->first--;
    } else {
        memmove(items + at + 1, items + at, (r->n - at) * sizeof *items);
    }
    r->n++;
    *shared_row_at(r, at) = item;
    return true;
}

shared_item *shared_row_remove(shared_row *r, size_t at)
{
    shared_item **items = r->all + r->first;
    shared_item *item = items[at];
    size_t behind = r->n - at - 1;
    if (at < behind) {
        memmove(items + 1, items, at * sizeof *items);
        r->first++;
    } else {
        memmove(items + at, items + at + 1, behind * sizeof *items);
    }
    r->n--;
    if (r->n < r->cap / 8 && r->cap > ROW_LEAST)
        (void)row_resize(r, r->cap / 4); /* without memory it stays as it is */
    return item;
}

void shared_row_clear(shared_row *r)
{
    for (size_t i = 0; i < r->n; i++)
        free(*shared_row_at(r, i));
    free(r->all);
    *r = (shared_row){ 0 };
}
