/* start/setup.c: the shape of the world as a run of bytes:
 *
 *     | head | node_of: u16 x size | addresses: 64 x nodes | ranks: i32 x n | pids: i32 x n |
 */
#include "start/setup.h"

#include "base/error.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#define SETUP_VERSION 1u

typedef struct setup_head {
    uint32_t version;
    int32_t node;
    int32_t nodes;
    int32_t size;
    int32_t n;
    uint8_t link_key[SRI_LINK_KEY];
} setup_head;

#define SETUP_PARTS 5

serry_err sri_setup_init(sri_setup *s, int size, int nodes, int members)
{
    *s = (sri_setup){ .places = { .nodes = nodes, .size = size }, .n = members };
    s->node_of = calloc((size_t)size, sizeof *s->node_of);
    s->addresses = calloc((size_t)nodes, sizeof *s->addresses);
    s->ranks = calloc((size_t)members, sizeof *s->ranks);
    s->pids = calloc((size_t)members, sizeof *s->pids);
    s->places.node_of = s->node_of;
    if (s->node_of && s->addresses && s->ranks && s->pids)
        return SERRY_OK;
    sri_setup_fini(s);
    return sri_fail(SERRY_ENOMEM, "no memory for a world of %d ranks", size);
}

void sri_setup_fini(sri_setup *s)
{
    free(s->node_of);
    free(s->addresses);
    free(s->ranks);
    free(s->pids);
    explicit_bzero(s, sizeof *s);
}

static void setup_parts(const sri_setup *s, setup_head *head, struct iovec parts[SETUP_PARTS])
{
    parts[0] = (struct iovec){ head, sizeof *head };
    parts[1] = (struct iovec){ s->node_of, (size_t)s->places.size * sizeof *s->node_of };
    parts[2] = (struct iovec){ s->addresses, (size_t)s->places.nodes * sizeof *s->addresses };
    parts[3] = (struct iovec){ s->ranks, (size_t)s->n * sizeof *s->ranks };
    parts[4] = (struct iovec){ s->pids, (size_t)s->n * sizeof *s->pids };
}

static size_t setup_length(const struct iovec *parts, int n)
{
    size_t len = 0;
    for (int i = 0; i < n; i++)
        len += parts[i].iov_len;
    return len;
}

serry_err sri_setup_pack(const sri_setup *s, int *fd)
{
    setup_head head = { .version = SETUP_VERSION,
                        .node = s->places.node,
                        .nodes = s->places.nodes,
                        .size = s->places.size,
                        .n = s->n };
    struct iovec parts[SETUP_PARTS];
    memcpy(head.link_key, s->link_key, sizeof head.link_key);
    setup_parts(s, &head, parts);
    int made = memfd_create("serry-setup", MFD_CLOEXEC);
    if (made < 0)
        return sri_fail_errno("memfd_create for the agent's setup");
    ssize_t got = writev(made, parts, SETUP_PARTS);
    explicit_bzero(&head, sizeof head);
    if (got != (ssize_t)setup_length(parts, SETUP_PARTS)) {
        serry_err e = sri_fail_errno("writing the agent's setup");
        close(made);
        return e;
    }
    *fd = made;
    return SERRY_OK;
}

serry_err sri_setup_read(int fd, sri_setup *s)
{
    setup_head head;
    struct iovec parts[SETUP_PARTS];
    if (pread(fd, &head, sizeof head, 0) != (ssize_t)sizeof head || head.version != SETUP_VERSION
        || head.size < 1 || head.nodes < 1 || head.n < 1)
        return sri_fail(SERRY_EINTERNAL, "the agent's setup is damaged");
    SRI_TRY(sri_setup_init(s, head.size, head.nodes, head.n));
    s->places.node = head.node;
    memcpy(s->link_key, head.link_key, sizeof s->link_key);
    setup_parts(s, &head, parts);
    ssize_t got = preadv(fd, parts + 1, SETUP_PARTS - 1, sizeof head);
    explicit_bzero(&head, sizeof head);
    if (got == (ssize_t)setup_length(parts + 1, SETUP_PARTS - 1))
        return SERRY_OK;
    sri_setup_fini(s);
    return sri_fail(SERRY_EINTERNAL, "the agent's setup is damaged");
}
