/* transport/mpi/far_receive.c: frames on their way in.
 *
 * MPI keeps the order of a pair's messages when it matches them, but a long one may come to its end
 * after shorter ones behind it, or never, if its sender is killed. So frames of a peer have
 * numbers, and those that come too soon are held; those of others go on.
 */
#include "transport/mpi/frame.h"

#include <string.h>

#define FAR_BATCH 32 /* frames in one poll */
#define FAR_LOOK 16u /* quiet polls between two looks behind the head */
/* At the head in one poll that finds nothing; one, while the process sleeps. */
#define FAR_LOOKS 3

/* MPI has failed where it must not: nothing more can be said over it. Deaths are told by others. */
static void far_fail(far_transport *m)
{
    m->over = true;
}

static bool far_post(far_transport *m)
{
    far_slot *s = m->read.first;
    if (s) {
        far_remove(&m->read, s);
    } else {
        s = far_slot_make(m->body_max);
        if (!s)
            return false;
        m->n_receiving++;
    }
    if (MPI_Irecv(s->bytes, (int)s->room, MPI_BYTE, MPI_ANY_SOURCE, MPI_ANY_TAG, m->frames,
                  &s->request)
        != MPI_SUCCESS) {
        far_append(&m->read, s);
        far_fail(m);
        return false;
    }
    m->posted[(m->head + m->n_posted++) % MPI_FAR_POSTED] = s;
    return true;
}

void far_post_all(far_transport *m)
{
    while (m->n_posted < MPI_FAR_POSTED && far_post(m))
        ;
}

/* Hands a whole frame up, whose turn it is. */
static inline bool far_deliver(far_transport *m, far_slot *s, int source, uint32_t tag,
                               uint32_t len)
{
    sri_arrival a = { .source = source,
                      .kind = (uint8_t)(tag >> 6 & 15),
                      .flags = (uint8_t)((tag >> 10 & 7) | (tag >> 9 & 16)),
                      .aux = tag >> FAR_AUX_SHIFT,
                      .bytes = s->bytes,
                      .len = len,
                      .fd = -1 };
    if (__builtin_expect(tag < FAR_NUMBERS, 0)) {
        far_tail tail = { 0 };
        if (len < sizeof tail)
            return true;
        a.len -= sizeof tail;
        memcpy(&tail, s->bytes + a.len, sizeof tail);
        a.aux = tail.aux;
        a.kind = tail.kind;
        a.flags = tail.flags;
    } else if (__builtin_expect((tag & FAR_TAIL) != 0, 0)) {
        if (len < sizeof a.aux)
            return true;
        a.len -= sizeof a.aux;
        memcpy(&a.aux, s->bytes + a.len, sizeof a.aux);
    }
    far_peer *p = &m->peers[source];
    p->in = (p->in + 1) % FAR_NUMBERS;
    if (__builtin_expect(p->gone, 0))
        return true;
    return m->base.sink.deliver(m->base.sink.ctx, &a);
}

/* A receive is complete: the frame goes up, or is held until it is its turn. False: stop. */
static inline bool far_arrived(far_transport *m, far_slot *s, const MPI_Status *status)
{
    int len = 0;
    MPI_Get_count(status, MPI_BYTE, &len);
    int source = status->MPI_SOURCE;
    uint32_t tag = (uint32_t)status->MPI_TAG;
    m->received++;
    if (__builtin_expect(tag % FAR_NUMBERS == m->peers[source].in, 1)) {
        bool go_on = far_deliver(m, s, source, tag, (uint32_t)len);
        far_append(&m->read, s);
        return go_on;
    }
    s->peer = source;
    s->tag = tag;
    s->len = (uint32_t)len;
    m->peers[source].held++;
    far_append(&m->held, s);
    return true;
}

/* Delivers a held frame whose turn it is. False: there is none. */
static bool far_release(far_transport *m, bool *go_on)
{
    for (far_slot *s = m->held.first; s; s = s->next) {
        far_peer *p = &m->peers[s->peer];
        if (s->tag % FAR_NUMBERS != p->in && !p->gone)
            continue;
        far_remove(&m->held, s);
        p->held--;
        if (!p->gone)
            *go_on = far_deliver(m, s, s->peer, s->tag, s->len);
        far_append(&m->read, s);
        return true;
    }
    return false;
}

/* A request that was tested has failed: what it was for is lost, and so is its sender. */
static void far_broken(far_transport *m, far_slot *s, const MPI_Status *status)
{
    int source = status->MPI_SOURCE;
    if (source >= 0 && source < m->size)
        m->peers[source].gone = true;
    far_append(&m->read, s);
}

/* Those that others have overtaken. True: one has arrived. */
static bool far_poll_late(far_transport *m, bool *go_on)
{
    far_slot *s = m->late.first, *next;
    for (int n = 0; s && n < MPI_FAR_TESTS; s = next, n++) {
        next = s->next;
        int done = 0;
        MPI_Status status;
        int e = MPI_Test(&s->request, &done, &status);
        far_remove(&m->late, s);
        if (e != MPI_SUCCESS) {
            far_broken(m, s, &status);
        } else if (done) {
            *go_on = far_arrived(m, s, &status);
            return true;
        } else {
            far_append(&m->late, s);
        }
    }
    return false;
}

/* Looks at one behind the head: if that is complete, those before it have been matched with
 * messages that are still on their way. */
static bool far_poll_behind(far_transport *m, bool *go_on)
{
    unsigned i = 1 + m->quiet / FAR_LOOK % (MPI_FAR_POSTED - 1);
    if (i >= m->n_posted)
        return false;
    far_slot *s = m->posted[(m->head + i) % MPI_FAR_POSTED];
    int done = 0;
    MPI_Status status;
    int e = MPI_Test(&s->request, &done, &status);
    if (e == MPI_SUCCESS && !done)
        return false;
    for (; i > 0; i--) {
        far_append(&m->late, m->posted[m->head]);
        far_forget_head(m);
    }
    far_forget_head(m);
    if (e != MPI_SUCCESS) {
        far_broken(m, s, &status);
        return false;
    }
    *go_on = far_arrived(m, s, &status);
    return true;
}

/* The rare things. True: something has moved; *go_on false: stop. */
static bool far_poll_rest(far_transport *m, bool *go_on)
{
    bool moved = false;
    while (m->held.n && *go_on && far_release(m, go_on))
        moved = true;
    if (*go_on && m->late.n)
        moved |= far_poll_late(m, go_on);
    if (*go_on && m->bulks)
        moved |= far_bulk_poll(m);
    if (m->pending.n)
        far_reap(m);
    if (m->room) {
        m->room = m->full = false;
        moved = true;
    }
    return moved;
}

bool far_poll(sri_transport *t)
{
    far_transport *m = (far_transport *)t;
    if (__builtin_expect(m->over, 0))
        return false;
    bool moved = false, go_on = true;
    int looks = m->asleep ? 1 : FAR_LOOKS;
    if (m->n_posted < MPI_FAR_POSTED)
        far_post_all(m);
    for (int i = 0; i < FAR_BATCH && m->n_posted && m->held.n < MPI_FAR_HELD; i++) {
        far_slot *s = m->posted[m->head];
        int done = 0;
        MPI_Status status;
        int e = MPI_Test(&s->request, &done, &status);
        /* A few looks more: between two polls there is much that is not MPI. */
        for (int n = 1; n < looks && i == 0 && !done && e == MPI_SUCCESS; n++)
            e = MPI_Test(&s->request, &done, &status);
        if (__builtin_expect(e != MPI_SUCCESS, 0)) {
            far_forget_head(m);
            far_broken(m, s, &status);
            break;
        }
        if (!done)
            break;
        far_forget_head(m);
        moved = true;
        m->asleep = false;
        if (!far_arrived(m, s, &status))
            return true;
        if (m->n_posted == 0)
            far_post_all(m);
    }
    if (__builtin_expect(m->held.n | m->late.n | m->pending.n || m->bulks || m->room, 0))
        moved |= far_poll_rest(m, &go_on);
    if (moved)
        m->quiet = 0;
    else if (++m->quiet % FAR_LOOK == 0)
        moved = far_poll_behind(m, &go_on);
    return moved;
}
