/* base/grow.c: arrays that double when they are full. */
#include "base/grow.h"

#include <stdint.h>
#include <stdlib.h>

#define GROW_FIRST 64

void *sri_grow(void *items, size_t *cap, size_t need, size_t size)
{
    size_t most = (size_t)PTRDIFF_MAX / size;
    size_t n = *cap ? *cap : GROW_FIRST;
    if (need > most)
        return NULL;
    while (n < need)
        n = n <= most / 2 ? 2 * n : most;
    void *more = n <= most ? realloc(items, n * size) : NULL;
    if (more)
        *cap = n;
    return more;
}
