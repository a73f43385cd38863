/* start/setup.h: what an agent that was forked early has to be told before it can begin: the shape
 * of the world, the other agents, and who its members are. It travels as a file without a name. */
#ifndef SRI_START_SETUP_H
#define SRI_START_SETUP_H

#include "agent/link.h"
#include "transport/places.h"

#include <serry/error.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SRI_SETUP_KEY SRI_LINK_KEY

typedef struct sri_setup {
    sri_places places;
    uint16_t *node_of;                   /* what places points to; ours */
    char (*addresses)[SRI_LINK_ADDRESS]; /* of the agents, by node */
    uint8_t link_key[SRI_LINK_KEY];
    int n; /* members of this node, in the order of their ranks */
    int *ranks;
    int *pids; /* 0: not known, or not by that number over there */
} sri_setup;

/* Room for a world of that size; all zero. */
serry_err sri_setup_init(sri_setup *s, int size, int nodes, int members);
void sri_setup_fini(sri_setup *s);

serry_err sri_setup_pack(const sri_setup *s, int *fd);
serry_err sri_setup_read(int fd, sri_setup *s);

#ifdef __cplusplus
}
#endif
#endif
