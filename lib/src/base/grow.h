/* base/grow.h: arrays that double when they are full. */
#ifndef SRI_BASE_GROW_H
#define SRI_BASE_GROW_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Makes room for at least `need` items of `size` bytes where there is room for *cap: twice as much,
 * 64 at first. Gives the items, perhaps elsewhere, and the new *cap; what the new places hold is
 * not set. NULL: there is no such memory, and all is as it was. */
void *sri_grow(void *items, size_t *cap, size_t need, size_t size);

#ifdef __cplusplus
}
#endif
#endif
