/* base/grow.c: arrays that double when they are full. */
#include "base/grow.h"

#include <stdint.h>
#include <stdlib.h>

#define GROW_FIRST 64

void *sri_grow(void *items, size_t *cap, size_t need, size_t size)
{
    size_t n = *cap ? *cap : GROW_FIRST;
    if (need > SIZE_MAX / 4 / size) /* twice as much can be computed still */
        return NULL;
    while (n < need)
        n *= 2;
    void *more = n <= SIZE_MAX / size ? realloc(items, n * size) : NULL;
    if (more)
        *cap = n;
    return more;
}
