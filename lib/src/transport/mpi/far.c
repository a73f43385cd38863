/* transport/mpi/far.c: frames as MPI messages. One frame is one message whose tag says what it is:
 *
 *     aux << 15 | tail << 14 | flags << 10 | kind << 6 | number of the frame mod 64
 *
 * A short message of the user's is thus no longer than MPI's own would be. What does not fit there
 * comes behind the bytes: with `tail` set the aux (8 bytes), with kind 0 aux, kind and flags (16).
 *
 * MPI keeps the order of a pair's messages when it matches them, but a long one may come to its end
 * after shorter ones behind it, or never, if its sender is killed. So frames of a peer have numbers,
 * and those that come too soon are held; those of others go on.
 */
#include "transport/mpi/private.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define FAR_NUMBERS 64u
#define FAR_TAIL (1u << 14)
#define FAR_AUX_SHIFT 15
#define FAR_TAG_BITS 15 /* that MPI promises */
#define FAR_SMALL 256u  /* bytes in a small slot for sending */
#define FAR_BATCH 32    /* frames in one poll */
#define FAR_LOOKS 3     /* at the head in one poll that finds nothing */
#define FAR_LOOK 16u    /* quiet polls between two looks behind the head */
#define FAR_TESTS 4     /* requests that may be incomplete, looked at in one poll */
#define FAR_SLEEP SRI_US(50)
#define FAR_DRAIN SRI_MS(300) /* in close, for what has not gone out */

static_assert(MPI_FAR_PENDING + MPI_FAR_HELD < FAR_NUMBERS, "numbers are unambiguous");

/* What is behind the bytes of a frame of kind 0. */
typedef struct far_tail {
    uint64_t aux;
    uint8_t kind;
    uint8_t flags;
    uint8_t zero[6];
} far_tail;

static_assert(sizeof(far_tail) == 16, "the longest tail");

static inline void far_append(far_list *l, far_slot *s)
{
    s->next = NULL;
    s->prev = l->last;
    if (l->last)
        l->last->next = s;
    else
        l->first = s;
    l->last = s;
    l->n++;
}

static inline void far_remove(far_list *l, far_slot *s)
{
    if (s->prev)
        s->prev->next = s->next;
    else
        l->first = s->next;
    if (s->next)
        s->next->prev = s->prev;
    else
        l->last = s->prev;
    l->n--;
}

static far_slot *far_slot_make(uint32_t room)
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

/* MPI has failed where it must not: nothing more can be said over it. Deaths are told by others. */
static void far_fail(far_transport *m)
{
    m->over = true;
}

/* ---- sending ---- */

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

/* Looks at some of the sends that MPI had not done with. */
static void far_reap(far_transport *m)
{
    far_slot *s, *next;
    int n = 0;
    for (s = m->pending.first; s && n < FAR_TESTS; s = next, n++) {
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

static sri_sent far_send(sri_transport *t, int peer, const sri_frame *f)
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
    uint32_t tag = p->out;
    if (__builtin_expect(far_flags_fit(flags) && f->kind - 1u < 15u, 1))
        tag = far_tag(m, f, flags, p->out);
    uint32_t len = far_pack(s->bytes, f, flags, tag);
    if (MPI_Isend(s->bytes, (int)len, MPI_BYTE, peer, (int)tag, m->frames, &s->request)
        != MPI_SUCCESS) {
        far_put(m, s);
        p->gone = true;
        return SRI_GONE;
    }
    p->out = (p->out + 1) % FAR_NUMBERS;
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

/* ---- receiving ---- */

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

static inline void far_post_all(far_transport *m)
{
    while (m->n_posted < MPI_FAR_POSTED && far_post(m))
        ;
}

static inline void far_forget_head(far_transport *m)
{
    m->head = (m->head + 1) % MPI_FAR_POSTED;
    m->n_posted--;
}

/* Hands a whole frame up, whose turn it is. */
static inline bool far_deliver(far_transport *m, far_slot *s, int source, uint32_t tag, uint32_t len)
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
    for (int n = 0; s && n < FAR_TESTS; s = next, n++) {
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

/* Looks at one behind the head: if that is complete, those before it have been matched with messages
 * that are still on their way. */
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

static bool far_poll(sri_transport *t)
{
    far_transport *m = (far_transport *)t;
    if (__builtin_expect(m->over, 0))
        return false;
    bool moved = false, go_on = true;
    if (m->n_posted < MPI_FAR_POSTED)
        far_post_all(m);
    for (int i = 0; i < FAR_BATCH && m->n_posted && m->held.n < MPI_FAR_HELD; i++) {
        far_slot *s = m->posted[m->head];
        int done = 0;
        MPI_Status status;
        int e = MPI_Test(&s->request, &done, &status);
        /* A few looks more: between two polls there is much that is not MPI. */
        for (int n = 1; n < FAR_LOOKS && i == 0 && !done && e == MPI_SUCCESS; n++)
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

/* ---- the rest ---- */

/* While long bodies move, each poll moves them on: no pause. */
static bool far_arm(sri_transport *t)
{
    far_transport *m = (far_transport *)t;
    return !m->bulks || sri_now() >= m->busy_until;
}

/* MPI rings nobody: a short pause, that .wake ends. */
static void far_sleep(sri_transport *t, sri_ns deadline)
{
    far_transport *m = (far_transport *)t;
    uint32_t seen = atomic_load(&m->doorbell);
    sri_ns soon = sri_now() + FAR_SLEEP;
    sri_futex_wait(&m->doorbell, seen, soon < deadline ? soon : deadline, false);
}

static void far_wake(sri_transport *t)
{
    far_transport *m = (far_transport *)t;
    atomic_fetch_add(&m->doorbell, 1);
    sri_futex_wake(&m->doorbell, INT32_MAX, false);
}

static bool far_present(sri_transport *t, int peer)
{
    far_transport *m = (far_transport *)t;
    return peer >= 0 && peer < m->size && !m->peers[peer].gone && !m->over;
}

static int far_members(sri_transport *t)
{
    (void)t;
    return 1;
}

static sri_atomic_u64 *far_cell(sri_transport *t, uint32_t number)
{
    (void)t, (void)number;
    return NULL;
}

static void far_ring_agent(sri_transport *t)
{
    (void)t;
}

static void far_publish(sri_transport *t, const sri_waiting *w)
{
    (void)t, (void)w;
}

/* Its frames that MPI has not sent may be looked at by MPI as long as it likes. */
static void far_gone(sri_transport *t, int peer)
{
    far_transport *m = (far_transport *)t;
    if (peer < 0 || peer >= m->size)
        return;
    m->peers[peer].gone = true;
    far_slot *s, *next;
    for (s = m->pending.first; s; s = next) {
        next = s->next;
        if (s->peer != peer)
            continue;
        far_remove(&m->pending, s);
        far_append(&m->lost, s);
    }
    m->peers[peer].pending = 0;
    m->room |= m->full;
    if (!m->over)
        far_bulk_gone(m, peer);
}

static void far_free_list(far_slot *s)
{
    while (s) {
        far_slot *next = s->next;
        free(s);
        s = next;
    }
}

/* A receive that is not wanted any more. False: MPI has its memory still. */
static bool far_cancel(far_slot *s)
{
    int done = 0;
    MPI_Cancel(&s->request);
    for (int i = 0; i < 100 && !done; i++)
        if (MPI_Test(&s->request, &done, MPI_STATUS_IGNORE) != MPI_SUCCESS)
            return false;
    return done;
}

/* What was sent is to go out, if somebody takes it; then MPI gets its receives back. Memory it may
 * still look at is left to it. */
void far_stop(far_transport *m)
{
    if (m->over)
        return;
    for (sri_ns end = sri_now() + FAR_DRAIN; m->pending.n > 0 && sri_now() < end;)
        far_reap(m);
    m->over = true;
    for (; m->n_posted > 0; far_forget_head(m)) {
        far_slot *s = m->posted[m->head];
        if (far_cancel(s))
            far_append(&m->read, s);
    }
    for (far_slot *s = m->late.first; s; s = s->next)
        MPI_Request_free(&s->request);
    for (far_slot *s = m->pending.first; s; s = s->next)
        MPI_Request_free(&s->request);
    m->late = m->pending = (far_list){ 0 };
    far_bulk_close(m, false);
}

static void far_close(sri_transport *t, bool inherited)
{
    far_transport *m = (far_transport *)t;
    if (inherited)
        far_bulk_close(m, true);
    else
        far_stop(m);
    for (unsigned i = 0; inherited && i < m->n_posted; i++)
        free(m->posted[(m->head + i) % MPI_FAR_POSTED]);
    far_free_list(m->read.first);
    far_free_list(m->held.first);
    far_free_list(m->small);
    far_free_list(m->large);
    free(m->peers);
    if (m->opened)
        *m->opened = NULL;
    free(m);
}

static const sri_transport_ops far_ops = {
    .name = "mpi",
    .send = far_send,
    .poll = far_poll,
    .arm = far_arm,
    .sleep = far_sleep,
    .bulk_send = far_bulk_send,
    .bulk_recv = far_bulk_recv,
    .bulk = far_bulk_to,
    .bulk_back = far_bulk_back,
    .gone = far_gone,
    .wake = far_wake,
    .present = far_present,
    .members = far_members,
    .cell = far_cell,
    .ring_agent = far_ring_agent,
    .publish = far_publish,
    .close = far_close,
};

int far_open(far_transport **t, MPI_Comm comm, int rank, int size, size_t frame_max,
             const sri_sink *sink)
{
    *t = NULL;
    far_transport *m = calloc(1, sizeof *m);
    if (!m)
        return 0;
    m->base = (sri_transport){ .ops = &far_ops,
                               .sink = *sink,
                               .frame_max = frame_max,
                               .rank = rank,
                               .size = size };
    m->size = size;
    m->frames = m->bulk = MPI_COMM_NULL;
    m->body_max = (uint32_t)(frame_max + sizeof(far_tail));
    m->peers = calloc((size_t)size, sizeof *m->peers);
    int e = MPI_Comm_dup(comm, &m->frames);
    if (e == MPI_SUCCESS)
        e = MPI_Comm_dup(comm, &m->bulk);
    if (e != MPI_SUCCESS || !m->peers)
        goto fail;
    MPI_Comm_set_errhandler(m->frames, MPI_ERRORS_RETURN);
    MPI_Comm_set_errhandler(m->bulk, MPI_ERRORS_RETURN);
    int *most = NULL, found = 0;
    m->tag_max = (1u << FAR_TAG_BITS) - 1;
    if (MPI_Comm_get_attr(m->frames, MPI_TAG_UB, &most, &found) == MPI_SUCCESS && found
        && *most > 0 && (uint32_t)*most > m->tag_max)
        m->tag_max = (uint32_t)*most;
    far_post_all(m);
    *t = m;
    return 0;
fail:
    free(m->peers);
    free(m);
    return e;
}
