/* transport/mpi/far_send.c: frames on their way out. What MPI has not done with at once is kept in
 * a list and looked at again, a few at a time. */
#include "transport/mpi/frame.h"

#include <stdlib.h>
#include <string.h>

#define FAR_SMALL 256u /* bytes in a small slot */

far_slot *far_slot_make(uint32_t room)
{
    far_slot *s;
    size_t size = (sizeof *s + room + 63) & ~(size_t)63;
    s = aligned_alloc(64, size);
    if (s) {
        memset(s, 0, sizeof *s);
        s->request = MPI_REQUEST_NULL;
        s->room = room;
    }
    return s;
}

static inline void far_put(far_transport *m, far_slot *s)
{
    far_slot **list = s->room == FAR_SMALL ? &m->small : &m->large;
    s->next = *list;
    *list = s;
}

static inline far_slot *far_take(far_transport *m, uint32_t len)
{
    far_slot **list = len <= FAR_SMALL ? &m->small : &m->large;
    far_slot *s = *list;
    if (__builtin_expect(!s, 0))
        return far_slot_make(len <= FAR_SMALL ? FAR_SMALL : m->body_max);
    *list = s->next;
    return s;
}

void far_reap(far_transport *m)
{
    far_slot *s, *next;
    int n = 0;
    for (s = m->pending.first; s && n < MPI_FAR_TESTS; s = next, n++) {
        next = s->next;
        int done = 0;
        if (MPI_Test(&s->request, &done, MPI_STATUS_IGNORE) != MPI_SUCCESS)
            done = 1;
        far_remove(&m->pending, s);
        if (done) {
            m->peers[s->peer].pending--;
            far_put(m, s);
            m->room |= m->full;
        } else {
            far_append(&m->pending, s); /* others have their turn first */
        }
    }
}

/* Flags that fit the tag: 1, 2, 4, 16. */
static inline bool far_flags_fit(uint8_t flags)
{
    return (flags & ~0x17u) == 0;
}

static inline uint32_t far_tag(far_transport *m, const sri_frame *f, uint8_t flags, unsigned number)
{
    uint32_t tag = (uint32_t)(flags & 7u) << 10 | (uint32_t)(flags & 16u) << 9
                   | (uint32_t)f->kind << 6 | number;
    if (__builtin_expect(f->aux <= m->tag_max >> FAR_AUX_SHIFT, 1))
        return tag | (uint32_t)f->aux << FAR_AUX_SHIFT;
    return tag | FAR_TAIL;
}

/* Copies the frame into a slot. Returns its length. */
static inline uint32_t far_pack(uint8_t *to, const sri_frame *f, uint8_t flags, uint32_t tag)
{
    uint8_t *at = to;
    if (f->head_len)
        memcpy(at, f->head, f->head_len);
    at += f->head_len;
    if (f->body_len)
        memcpy(at, f->body, f->body_len);
    at += f->body_len;
    if (__builtin_expect(tag < FAR_NUMBERS, 0)) {
        far_tail tail = { .aux = f->aux, .kind = f->kind, .flags = flags };
        memcpy(at, &tail, sizeof tail);
        at += sizeof tail;
    } else if (tag & FAR_TAIL) {
        memcpy(at, &f->aux, sizeof f->aux);
        at += sizeof f->aux;
    }
    return (uint32_t)(at - to);
}

sri_sent far_send(sri_transport *t, int peer, const sri_frame *f)
{
    far_transport *m = (far_transport *)t;
    if (__builtin_expect((unsigned)peer >= (unsigned)m->size || peer == t->rank || m->over, 0))
        return SRI_GONE;
    far_peer *p = &m->peers[peer];
    if (__builtin_expect(p->gone, 0))
        return SRI_GONE;
    if (__builtin_expect(m->pending.n, 0)) {
        far_reap(m); /* a slot used before is at hand, a new one is not */
        if (p->pending >= MPI_FAR_PENDING || m->pending.n >= MPI_FAR_PENDING_ALL) {
            m->full = true;
            return SRI_FULL;
        }
    }
    far_slot *s = far_take(m, (uint32_t)(f->head_len + f->body_len + sizeof(far_tail)));
    if (__builtin_expect(!s, 0)) {
        m->full = m->pending.n > 0;
        return m->full ? SRI_FULL : SRI_LIMIT;
    }
    uint8_t flags = f->flags & (uint8_t)~SRI_FLAG_SOON;
    uint32_t tag = p->sent % FAR_NUMBERS;
    if (__builtin_expect(far_flags_fit(flags) && f->kind - 1u < 15u, 1))
        tag = far_tag(m, f, flags, tag);
    uint32_t len = far_pack(s->bytes, f, flags, tag);
    if (MPI_Isend(s->bytes, (int)len, MPI_BYTE, peer, (int)tag, m->frames, &s->request)
        != MPI_SUCCESS) {
        far_put(m, s);
        p->gone = true;
        return SRI_GONE;
    }
    p->sent++;
    /* A short one is done at once, and asking now is hidden by its way through the network. */
    int done = 0;
    MPI_Test(&s->request, &done, MPI_STATUS_IGNORE);
    if (__builtin_expect(done, 1)) {
        far_put(m, s);
    } else {
        s->peer = peer;
        p->pending++;
        far_append(&m->pending, s);
    }
    return SRI_SENT;
}
