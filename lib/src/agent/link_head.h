/* agent/link_head.h: what stands before a frame between two nodes, whatever carries it, in the
 * order of bytes that all nodes were found to have in common. */
#ifndef SRI_LINK_HEAD_H
#define SRI_LINK_HEAD_H

#include "agent/link.h"

#include <assert.h>

#define LINK_FRAME_MAX ((UINT64_C(1) << 46) + 65536) /* the longest message there may be */

typedef struct link_head {
    uint64_t len; /* of what follows, all pieces together, without padding */
    uint64_t aux;
    int32_t source;
    int32_t dest;
    uint32_t mark; /* says what it is: each kind of link has its own */
    uint16_t op;
    uint8_t kind;
    uint8_t flags;
} link_head;

static_assert(sizeof(link_head) == 32, "as on the wire; what follows is aligned to 16 as it is");

static inline link_head link_head_of(uint32_t mark, const sri_link_frame *f)
{
    return (link_head){ .len = f->head_len + f->body_len,
                        .aux = f->aux,
                        .source = f->source,
                        .dest = f->dest,
                        .mark = mark,
                        .op = f->op,
                        .kind = f->kind,
                        .flags = f->flags };
}

/* Hands a whole frame on. */
static inline void link_head_deliver(sri_links *l, int node, const link_head *h,
                                     const uint8_t *bytes)
{
    sri_link_arrival a = { .node = node,
                           .kind = h->kind,
                           .flags = h->flags,
                           .op = h->op,
                           .source = h->source,
                           .dest = h->dest,
                           .aux = h->aux,
                           .bytes = bytes,
                           .len = (size_t)h->len };
    l->sink.deliver(l->sink.ctx, &a);
}

#endif
