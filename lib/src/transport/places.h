/* transport/places.h: which node a rank is on. Launched ranks are listed; a started process has a
 * number from which its node follows, so that nobody has to be asked: node k gives out size + k,
 * size + k + nodes, size + k + 2 * nodes and so on.
 */
#ifndef SRI_PLACES_H
#define SRI_PLACES_H

#include <serry/error.h>

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SRI_NODES_MAX 1024 /* as many as a handle can name */

typedef struct sri_places {
    int node;                /* this one */
    int nodes;               /* 1: there is no other, and node_of may be NULL */
    int size;                /* launched ranks */
    const uint16_t *node_of; /* by launched rank */
} sri_places;

static inline int sri_places_node(const sri_places *p, int rank)
{
    if (p->nodes <= 1 || rank < 0)
        return p->node;
    return rank < p->size ? p->node_of[rank] : (rank - p->size) % p->nodes;
}

/* The n-th started process (from 0) of a node. */
static inline int sri_places_started(const sri_places *p, int node, int n)
{
    return p->size + node + n * p->nodes;
}

/* The lowest launched rank of a node; -1 if it has none. */
static inline int sri_places_first(const sri_places *p, int node)
{
    for (int r = 0; r < p->size; r++) {
        if (sri_places_node(p, r) == node)
            return r;
    }
    return -1;
}

/* node_of as a sealed file, for members; and read back (*node_of is then the caller's to free). */
serry_err sri_places_table(const sri_places *p, int *fd);
serry_err sri_places_read(int fd, int size, int nodes, uint16_t **node_of);

#ifdef __cplusplus
}
#endif
#endif
