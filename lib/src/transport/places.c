/* transport/places.c: the table of places on its way from the agent to its members, in a file
 * without a name that nobody can change any more. */
#include "transport/places.h"

#include "base/error.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

serry_err sri_places_table(const sri_places *p, int *fd)
{
    size_t len = (size_t)p->size * sizeof *p->node_of;
    int made = memfd_create("serry-places", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (made < 0)
        return sri_fail_errno("memfd_create for the table of nodes");
    ssize_t n = write(made, p->node_of, len);
    if (n != (ssize_t)len
        || fcntl(made, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL)
               != 0) {
        serry_err e = sri_fail_errno("writing the table of nodes");
        close(made);
        return e;
    }
    *fd = made;
    return SERRY_OK;
}

serry_err sri_places_read(int fd, int size, int nodes, uint16_t **node_of)
{
    size_t len = (size_t)size * sizeof **node_of;
    uint16_t *table = malloc(len);
    if (!table)
        return sri_fail(SERRY_ENOMEM, "no memory for the table of nodes");
    ssize_t n = pread(fd, table, len, 0);
    bool good = n == (ssize_t)len;
    for (int r = 0; r < size && good; r++)
        good = table[r] < nodes;
    if (!good) {
        free(table);
        return sri_fail(SERRY_EINTERNAL,
                        "the table of nodes that came with the welcome is damaged");
    }
    *node_of = table;
    return SERRY_OK;
}
