/* transport/local/shm.c: sending and polling over shared-memory lanes, for members and the agent.
 *
 * A sender publishes a record, then looks whether the receiver polls the lane by itself (else it
 * sets the lane's bit in the receiver's map) and whether the receiver sleeps (else no bell).
 * Whoever goes to sleep or stops polling says so first and looks again afterwards, so one of the
 * two sees the other, provided that neither's look overtakes its own store. A fence on both sides
 * sees to that; but a fence for each message is dear, and sleeping is rare, so where the kernel has
 * membarrier(2) the sleeper makes all processors fence that run a process of serry, and senders go
 * without. */
#include "transport/local/shm.h"

#include "base/futex.h"
#include "base/grow.h"
#include "base/log.h"

#include <errno.h>
#include <linux/membarrier.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SHM_BATCH 64u         /* records of one lane in one poll */
#define SHM_QUIET_LIMIT 4096u /* polls after which an active lane may give way */

serry_err sri_shm_init(sri_shm *s)
{
    s->segment.fd = -1;
    s->socket = s->bell = s->lifeline = -1;
    s->peers = calloc(SRI_SLOTS, sizeof *s->peers);
    s->ready = calloc(SRI_SLOTS, sizeof *s->ready);
    s->blocked = calloc(SRI_SLOTS, sizeof *s->blocked);
    if (!s->peers || !s->ready || !s->blocked) {
        sri_shm_fini(s);
        return sri_fail(SERRY_ENOMEM, "no memory for the tables of %u members", SRI_SLOTS);
    }
    return SERRY_OK;
}

void sri_shm_fini(sri_shm *s)
{
    free(s->peers);
    free(s->ready);
    free(s->blocked);
    free(s->slot_of);
    s->peers = NULL;
    s->ready = s->blocked = s->slot_of = NULL;
}

void sri_shm_register(sri_shm *s)
{
    s->fenced = syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED, 0, 0) == 0;
    atomic_store(&s->segment.slots[s->slot].barrier, s->fenced);
}

/* After saying that this process sleeps or no longer polls, before looking again. */
static void shm_barrier(sri_shm *s)
{
    if (s->fenced)
        syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL_EXPEDITED, 0, 0);
}

serry_err sri_shm_know(sri_shm *s, int rank, uint32_t slot)
{
    uint32_t r = (uint32_t)rank;
    if (r >= s->ranks) {
        size_t n = s->ranks;
        uint32_t *more = sri_grow(s->slot_of, &n, (size_t)r + 1, sizeof *more);
        if (!more)
            return sri_fail(SERRY_ENOMEM, "no memory for %u ranks", r + 1);
        for (size_t i = s->ranks; i < n; i++)
            more[i] = SRI_SLOT_UNKNOWN;
        s->slot_of = more;
        s->ranks = (uint32_t)n;
    }
    s->slot_of[r] = slot;
    return SERRY_OK;
}

uint32_t sri_shm_slot_of(sri_shm *s, int rank)
{
    if (rank == SRI_AGENT)
        return 0;
    if (rank >= 0 && (uint32_t)rank < s->ranks && s->slot_of[rank] != SRI_SLOT_UNKNOWN)
        return s->slot_of[rank];
    if (rank < 0 || (uint32_t)rank >= SRI_RANKS)
        return SRI_SLOT_UNKNOWN;
    uint64_t word = atomic_load(&s->segment.ranks[rank]);
    uint32_t slot = (uint32_t)(word >> 8);
    unsigned state = word & 0xff;
    if (state == SRI_RANK_NONE || slot >= SRI_SLOTS)
        return SRI_SLOT_UNKNOWN;
    if (state != SRI_RANK_SEATED)
        return SRI_SLOT_GONE;
    return sri_shm_know(s, rank, slot) == SERRY_OK ? slot : SRI_SLOT_UNKNOWN;
}

void sri_shm_ring(sri_shm *s, uint32_t slot, bool always)
{
    sri_slot *p = &s->segment.slots[slot];
    SRI_POINT(9);
    if (atomic_exchange(&p->bell, SRI_AWAKE) != SRI_ASLEEP && !always)
        return;
    SRI_POINT(10);
    if (slot != 0) {
        sri_futex_wake(&p->bell, 1, true);
    } else {
        uint64_t one = 1;
        while (write(s->bell, &one, sizeof one) < 0 && errno == EINTR)
            ;
    }
}

/* The receiver's part of a published record. */
static inline void shm_announce(sri_shm *s, uint32_t slot, const sri_lane_writer *w)
{
    sri_slot *to = &s->segment.slots[slot];
    SRI_POINT(11);
    if (!atomic_load_explicit(&w->lane->polled, memory_order_seq_cst)) {
        uint32_t word = s->slot / 64;
        uint64_t bit = UINT64_C(1) << (s->slot % 64);
        if (!(atomic_load(&to->heard[word]) & bit)) {
            atomic_fetch_or(&to->heard[word], bit);
            SRI_POINT(12);
            atomic_fetch_or(&to->summary, UINT64_C(1) << word);
        }
    }
    SRI_POINT(13);
    if (atomic_load_explicit(&to->bell, memory_order_seq_cst) == SRI_ASLEEP)
        sri_shm_ring(s, slot, false);
}

bool sri_shm_open_out(sri_shm *s, int peer, uint32_t slot)
{
    sri_lane_writer *w = &s->peers[slot].out;
    uint32_t n = sri_segment_take_lane(&s->segment, s->slot, slot, s->host.transport.rank);
    if (n == 0)
        return false;
    /* The slot may have been given to somebody else since its rank was looked up; the agent takes
     * the rank out before it looks for lanes, so one of the two notices. */
    if (peer != SRI_AGENT && atomic_load(&s->segment.slots[slot].rank) != peer) {
        sri_segment_free_lane(&s->segment, n);
        return false;
    }
    *w = (sri_lane_writer){ .lane = &s->segment.lanes[n],
                            .ring = sri_segment_ring(&s->segment, n),
                            .lap = SRI_LAP_SHORT,
                            .number = n };
    sri_pace_init(&w->pace);
    s->peers[slot].rank = peer;
    return true;
}

static sri_sent shm_send_packet(sri_shm *s, uint32_t slot, const sri_frame *f);

sri_sent sri_shm_send(sri_transport *t, int peer, const sri_frame *f)
{
    sri_shm *s = sri_shm_of(t);
    uint32_t slot = sri_shm_slot_of(s, peer);
    if (__builtin_expect(slot >= SRI_SLOTS, 0))
        return SRI_GONE;
    if (__builtin_expect(f->fd >= 0, 0))
        return shm_send_packet(s, slot, f);
    sri_lane_writer *w = &s->peers[slot].out;
    if (__builtin_expect(!w->lane, 0) && !sri_shm_open_out(s, peer, slot))
        return peer == SRI_AGENT || atomic_load(&s->segment.slots[slot].rank) == peer ? SRI_LIMIT
                                                                                      : SRI_GONE;
    bool soon = f->flags & SRI_FLAG_SOON;
    bool fence =
        !soon
        && !(s->fenced
             && atomic_load_explicit(&s->segment.slots[slot].barrier, memory_order_relaxed));
    if (__builtin_expect(!sri_lane_write(w, f, fence), 0)) {
        /* The most a record can need, pad and all. */
        if (!sri_lane_want_room(w, 2 * SRI_RECORD_MAX + 8) || !sri_lane_write(w, f, true)) {
            shm_announce(s, slot, w); /* what went before it, perhaps with SOON */
            if (!s->peers[slot].blocked) {
                s->peers[slot].blocked = true;
                s->blocked[s->n_blocked++] = slot;
            }
            return SRI_FULL;
        }
    }
    atomic_signal_fence(memory_order_seq_cst);
    if (!soon)
        shm_announce(s, slot, w);
    if (__builtin_expect(w->wants_wide, 0)) {
        w->wants_wide = false;
        w->wide = sri_segment_widen_lane(&s->segment, w->number);
    }
    return SRI_SENT;
}

/* A descriptor travels over the control socket; the mail flag says that one is there. */
static sri_sent shm_send_packet(sri_shm *s, uint32_t slot, const sri_frame *f)
{
    int socket = s->slot == 0 ? sri_shm_seat_socket(s, slot) : s->socket;
    sri_packet_head head = {
        .kind = f->kind, .flags = f->flags, .mark = SRI_PACKET_MARK, .aux = f->aux
    };
    uint8_t bytes[SRI_HEAD_MAX + 512];
    if (f->head_len + f->body_len > sizeof bytes)
        return SRI_LIMIT;
    if (f->head_len)
        memcpy(bytes, f->head, f->head_len);
    if (f->body_len)
        memcpy(bytes + f->head_len, f->body, f->body_len);
    int code =
        sri_packet_send(socket, &head, sizeof head, bytes, f->head_len + f->body_len, &f->fd, 1);
    if (sri_packet_refused(code)) {
        s->packet_refused = true;
        return SRI_FULL;
    }
    if (code != 0)
        return SRI_GONE;
    if (s->slot == 0) {
        atomic_store(&s->segment.slots[slot].mail, 1);
        sri_shm_ring(s, slot, false);
    }
    return SRI_SENT;
}

/* ---- polling ---- */

void sri_shm_open_in(sri_shm *s, uint32_t slot)
{
    sri_shm_peer *p = &s->peers[slot];
    if (p->in.lane)
        return;
    uint32_t n =
        atomic_load_explicit(sri_segment_table(&s->segment, s->slot, slot), memory_order_acquire);
    if (n == 0 || n >= SRI_LANES_MAX)
        return;
    /* The lane knows whose it is; the slot may have been taken from its owner already. */
    int rank = atomic_load(&s->segment.lanes[n].rank);
    if ((rank < 0 || (uint32_t)rank >= SRI_RANKS) && slot != 0)
        return;
    p->in = (sri_lane_reader){ .lane = &s->segment.lanes[n],
                               .ring = sri_segment_ring(&s->segment, n),
                               .number = n };
    p->rank = slot == 0 ? SRI_AGENT : rank;
    p->quiet = 0;
}

static void shm_deactivate(sri_shm *s, uint32_t i)
{
    s->peers[s->active[i]].active = false;
    s->active[i] = s->active[--s->n_active];
}

static void shm_make_ready(sri_shm *s, uint32_t slot)
{
    if (!s->peers[slot].ready && !s->peers[slot].active) {
        s->peers[slot].ready = true;
        s->ready[s->n_ready++] = slot;
    }
}

/* Room among the lanes polled: one that has long been quiet gives way. */
static bool shm_make_room(sri_shm *s)
{
    if (s->n_active < SRI_SHM_ACTIVE)
        return true;
    for (uint32_t i = 0; i < s->n_active; i++) {
        uint32_t slot = s->active[i];
        sri_shm_peer *p = &s->peers[slot];
        if (p->quiet < SHM_QUIET_LIMIT)
            continue;
        shm_deactivate(s, i);
        atomic_exchange(&p->in.lane->polled, 0);
        shm_barrier(s);
        if (sri_lane_ready(&p->in))
            shm_make_ready(s, slot);
        return true;
    }
    return false;
}

/* A lane with news: polled from now on if there is room, else until it is empty. */
static void shm_attend(sri_shm *s, uint32_t slot)
{
    sri_shm_open_in(s, slot);
    sri_shm_peer *p = &s->peers[slot];
    if (!p->in.lane || p->active || p->ready)
        return;
    if (!shm_make_room(s)) {
        shm_make_ready(s, slot);
        return;
    }
    p->active = true;
    p->quiet = 0;
    s->active[s->n_active++] = slot;
    atomic_exchange(&p->in.lane->polled, 1);
}

static void shm_hear(sri_shm *s)
{
    sri_slot *me = &s->segment.slots[s->slot];
    uint64_t summary = atomic_exchange(&me->summary, 0);
    while (summary) {
        uint32_t word = (uint32_t)__builtin_ctzll(summary);
        summary &= summary - 1;
        uint64_t bits = atomic_exchange(&me->heard[word], 0);
        while (bits) {
            uint32_t slot = word * 64 + (uint32_t)__builtin_ctzll(bits);
            bits &= bits - 1;
            shm_attend(s, slot);
        }
    }
}

/* Delivers up to a batch of one lane. False: the sink said stop. */
static inline bool shm_read(sri_shm *s, uint32_t slot, unsigned batch, bool *any)
{
    sri_shm_peer *p = &s->peers[slot];
    sri_record record;
    for (unsigned i = 0; i < batch; i++) {
        int got = sri_lane_peek(&p->in, &record);
        if (got == 0) {
            p->quiet = i == 0 ? p->quiet + 1 : 0;
            return true;
        }
        *any = true;
        if (__builtin_expect(got < 0, 0)) {
            sri_log(SRI_LOG_ERROR, "what rank %d writes cannot be read; its lane is closed",
                    p->rank);
            sri_shm_drop(s, slot);
            return true;
        }
        sri_arrival a = { .source = p->rank,
                          .kind = record.kind,
                          .flags = record.flags,
                          .aux = record.aux,
                          .bytes = record.bytes,
                          .len = record.size,
                          .fd = -1 };
        bool go_on = s->host.transport.sink.deliver(s->host.transport.sink.ctx, &a);
        if (sri_lane_next(&p->in, &record))
            sri_shm_ring(s, slot, false);
        if (!go_on) {
            p->quiet = 0;
            return false;
        }
    }
    p->quiet = 0;
    return true;
}

static bool shm_unblock(sri_shm *s)
{
    bool any = false;
    for (uint32_t i = 0; i < s->n_blocked;) {
        uint32_t slot = s->blocked[i];
        sri_shm_peer *p = &s->peers[slot];
        if (p->out.lane && atomic_load(&p->out.lane->want) != 0) {
            i++;
            continue;
        }
        p->blocked = false;
        s->blocked[i] = s->blocked[--s->n_blocked];
        any = true;
    }
    return any;
}

bool sri_shm_poll_lanes(sri_shm *s, bool *stopped)
{
    bool any = false;
    *stopped = true;
    for (uint32_t i = 0; i < s->n_active; i++) {
        uint32_t at = s->first + i;
        if (at >= s->n_active)
            at -= s->n_active;
        if (!shm_read(s, s->active[at], SHM_BATCH, &any))
            return true;
    }
    if (s->n_active > 1 && ++s->first >= s->n_active)
        s->first = 0;
    const sri_slot *me = &s->segment.slots[s->slot];
    if (__builtin_expect(atomic_load_explicit(&me->summary, memory_order_relaxed) != 0, 0))
        shm_hear(s);
    /* Lanes that are not polled: each until it is empty, in turn. */
    for (uint32_t i = 0; i < s->n_ready;) {
        uint32_t slot = s->ready[i];
        if (!shm_read(s, slot, SHM_BATCH, &any))
            return true;
        if (s->peers[slot].in.lane && sri_lane_ready(&s->peers[slot].in)) {
            i++;
            continue;
        }
        if (s->peers[slot].ready && i < s->n_ready && s->ready[i] == slot) {
            s->peers[slot].ready = false;
            s->ready[i] = s->ready[--s->n_ready];
        }
    }
    if (s->n_blocked && shm_unblock(s))
        any = true;
    *stopped = false;
    return any;
}

static void shm_forget(uint32_t *list, uint32_t *n, uint32_t slot)
{
    for (uint32_t i = 0; i < *n; i++) {
        if (list[i] == slot) {
            list[i] = list[--*n];
            return;
        }
    }
}

void sri_shm_drop(sri_shm *s, uint32_t slot)
{
    sri_shm_peer *p = &s->peers[slot];
    if (p->active)
        shm_forget(s->active, &s->n_active, slot);
    if (p->ready)
        shm_forget(s->ready, &s->n_ready, slot);
    if (p->blocked)
        shm_forget(s->blocked, &s->n_blocked, slot);
    if (s->first >= s->n_active)
        s->first = 0;
    if (p->in.lane)
        sri_segment_free_lane(&s->segment, p->in.number);
    if (p->out.lane)
        sri_segment_free_lane(&s->segment, p->out.number);
    *p = (sri_shm_peer){ .rank = -2 };
}

void sri_shm_drain(sri_shm *s, uint32_t slot)
{
    sri_shm_open_in(s, slot);
    sri_shm_peer *p = &s->peers[slot];
    bool any = true;
    while (any && p->in.lane) {
        any = false;
        shm_read(s, slot, UINT32_MAX, &any);
    }
}

bool sri_shm_arm(sri_transport *t)
{
    sri_shm *s = sri_shm_of(t);
    sri_slot *me = &s->segment.slots[s->slot];
    /* A barrier interrupts all processors. Who looks up now and then, and sleeps again, needs one
     * for the first sleep alone: whoever has sent since has found the bell as it still is. */
    bool still = atomic_exchange(&s->still, false) && atomic_load(&me->bell) == SRI_ASLEEP;
    s->armed = true;
    if (still) {
        atomic_thread_fence(memory_order_seq_cst); /* what it waits for now, before it looks */
    } else {
        atomic_exchange(&me->bell, SRI_ASLEEP);
        SRI_POINT(14);
        shm_barrier(s);
    }
    bool news = atomic_load(&me->summary) != 0 || atomic_load(&me->mail) != 0 || s->n_ready != 0
                || (s->slot != 0 && atomic_load(&s->segment.header->log_count) != s->log_at);
    for (uint32_t i = 0; i < s->n_active && !news; i++) {
        sri_shm_peer *p = &s->peers[s->active[i]];
        news = atomic_load(sri_lane_word(p->in.ring, p->in.at)) != 0;
    }
    for (uint32_t i = 0; i < s->n_blocked && !news; i++)
        news = atomic_load(&s->peers[s->blocked[i]].out.lane->want) == 0;
    if (news)
        sri_shm_awake(s);
    return !news;
}

void sri_shm_awake(sri_shm *s)
{
    s->armed = false;
    atomic_store(&s->segment.slots[s->slot].bell, SRI_AWAKE);
}
