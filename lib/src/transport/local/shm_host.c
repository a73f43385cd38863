/* transport/local/shm_host.c: the agent's side of shared-memory lanes: slots, the table of ranks,
 * the log of fates. */
#include "transport/local/shm.h"

#include "transport/nothing.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

typedef struct sri_shm_seat {
    int rank;   /* -1: free */
    int socket; /* borrowed */
    bool gone;  /* its lanes may still be held by others: not to be given out yet */
} sri_shm_seat;

int sri_shm_seat_socket(sri_shm *s, uint32_t slot)
{
    return s->seats[slot].socket;
}

/* No slot was never used: those of the gone to which no lane leads any more are free again. The
 * rank is taken out first, so that a sender who claims a lane meanwhile notices. */
static void host_recycle(sri_shm *s)
{
    bool *held = calloc(SRI_SLOTS, sizeof *held);
    if (!held)
        return;
    uint32_t top = atomic_load(&s->segment.header->lanes_top);
    for (uint32_t n = 1; n <= top && n < SRI_LANES_MAX; n++) {
        uint64_t owner = atomic_load(&s->segment.lanes[n].owner);
        uint32_t from = sri_lane_owner_from(owner);
        uint32_t to = sri_lane_owner_to(owner);
        if (owner == 0 || from >= SRI_SLOTS || to >= SRI_SLOTS)
            continue;
        bool entered = atomic_load(sri_segment_table(&s->segment, to, from)) == n;
        if (s->seats[from].gone && (s->seats[to].gone || !entered))
            sri_segment_free_lane(&s->segment, n);
        else
            held[from] = held[to] = true;
    }
    for (uint32_t slot = 1; slot < SRI_SLOTS; slot++) {
        if (s->seats[slot].gone && !held[slot])
            s->seats[slot].gone = false;
    }
    free(held);
}

static uint32_t host_free_slot(sri_shm *s)
{
    for (int round = 0; round < 2; round++) {
        for (uint32_t slot = 1; slot < SRI_SLOTS; slot++) {
            if (s->seats[slot].rank < 0 && !s->seats[slot].gone)
                return slot;
        }
        host_recycle(s);
    }
    return 0;
}

static serry_err host_seat(sri_host *h, int rank, int socket)
{
    sri_shm *s = sri_shm_of(&h->transport);
    if (rank < 0 || (uint32_t)rank >= SRI_RANKS)
        return sri_fail(SERRY_ELIMIT, "rank %d: a world has at most %u ranks, ended ones included",
                        rank, SRI_RANKS);
    uint32_t slot = host_free_slot(s);
    if (slot == 0)
        return sri_fail(SERRY_ELIMIT, "a node has at most %u members at once", SRI_SLOTS - 1);
    SRI_TRY(sri_shm_know(s, rank, slot));
    s->seats[slot] = (sri_shm_seat){ .rank = rank, .socket = socket };
    sri_slot *p = &s->segment.slots[slot];
    for (uint32_t w = 0; w < SRI_BITMAP_WORDS; w++) {
        if (atomic_load_explicit(&p->heard[w], memory_order_relaxed))
            atomic_store_explicit(&p->heard[w], 0, memory_order_relaxed);
    }
    atomic_store_explicit(&p->summary, 0, memory_order_relaxed);
    atomic_store_explicit(&p->mail, 0, memory_order_relaxed);
    atomic_store_explicit(&p->barrier, 0, memory_order_relaxed);
    atomic_store_explicit(&p->bell, SRI_AWAKE, memory_order_relaxed);
    atomic_store_explicit(&p->wait_kind, 0, memory_order_relaxed);
    atomic_fetch_add_explicit(&p->generation, 1, memory_order_relaxed);
    atomic_store(&p->rank, rank);
    atomic_store(&s->segment.ranks[rank], sri_rank_word(slot, SRI_RANK_SEATED));
    atomic_fetch_add(&s->segment.header->seated, 1);
    return SERRY_OK;
}

static serry_err host_welcome(sri_host *h, int rank, sri_welcome *w, int *fds, int *n)
{
    sri_shm *s = sri_shm_of(&h->transport);
    w->slot = sri_shm_slot_of(s, rank);
    if (!s->peers[w->slot].out.lane && !sri_shm_open_out(s, rank, w->slot))
        return sri_fail(SERRY_ELIMIT,
                        "no lane from the agent to rank %d can be had: the memory for "
                        "shared segments is full",
                        rank);
    w->lanes = 0;
    fds[0] = s->segment.fd;
    fds[1] = s->bell;
    *n = 2;
    return SERRY_OK;
}

static bool host_readable(sri_host *h, int rank)
{
    sri_shm *s = sri_shm_of(&h->transport);
    alignas(16) uint8_t packet[SRI_PACKET_MAX];
    uint32_t slot = sri_shm_slot_of(s, rank);
    if (slot >= SRI_SLOTS)
        return false;
    for (;;) {
        sri_arrival a;
        int came = sri_packet_next(s->seats[slot].socket, packet, rank, &a);
        if (came == 0)
            return true;
        if (came < 0 || a.kind == 0)
            return false;
        h->transport.sink.deliver(h->transport.sink.ctx, &a);
    }
}

static void host_drain(sri_host *h, int rank)
{
    sri_shm *s = sri_shm_of(&h->transport);
    uint32_t slot = sri_shm_slot_of(s, rank);
    if (slot < SRI_SLOTS)
        sri_shm_drain(s, slot);
}

/* Does a fate concern a sleeper, by what it says it waits for? Deaths concern everybody: the dead
 * may have been about to ring. Of those who leave in good order only those are told at once who
 * may wait for them; the others read the log when they next wake. */
static bool host_concerns(sri_slot *p, int rank, sri_fate fate)
{
    if (fate == SRI_FATE_DIED)
        return true;
    uint32_t kind = atomic_load(&p->wait_kind);
    int peer = atomic_load(&p->wait_peer);
    switch (kind) {
    case SRI_WAIT_RECV:
    case SRI_WAIT_SEND:
        return peer == rank || peer < 0;
    case SRI_WAIT_REQUEST:
    case SRI_WAIT_COLLECTIVE:
        return fate == SRI_FATE_LEFT;
    case SRI_WAIT_OBJECT:
    case SRI_WAIT_WORD:
    case SRI_WAIT_FINALIZE:
        return false;
    default:
        return true;
    }
}

/* It has no slot here: its word names none. */
static void host_note(sri_host *h, int rank)
{
    sri_shm *s = sri_shm_of(&h->transport);
    if (rank >= 0 && (uint32_t)rank < SRI_RANKS)
        atomic_store(&s->segment.ranks[rank], sri_rank_word(SRI_SLOTS, SRI_RANK_SEATED));
}

static void host_tell(sri_host *h, int rank, sri_fate fate, int code)
{
    sri_shm *s = sri_shm_of(&h->transport);
    uint32_t slot = sri_shm_slot_of(s, rank);
    uint64_t count = atomic_load(&s->segment.header->log_count);
    if (slot == SRI_SLOT_UNKNOWN)
        slot = SRI_SLOTS; /* a member of another node */
    if (slot == SRI_SLOT_GONE || rank < 0 || (uint32_t)rank >= SRI_RANKS || count >= SRI_LOG_MAX)
        return;
    unsigned state = fate == SRI_FATE_LEFT ? SRI_RANK_LEFT : SRI_RANK_GONE;
    /* Whoever sees by its word that a rank is gone finds the news of it in the log. */
    atomic_store(&s->segment.log[count], sri_log_word(rank, code, fate));
    SRI_POINT(15);
    atomic_store(&s->segment.header->log_count, count + 1);
    SRI_POINT(16);
    atomic_store(&s->segment.ranks[rank], sri_rank_word(slot, state));
    for (uint32_t other = 1; other < SRI_SLOTS; other++) {
        sri_slot *p = &s->segment.slots[other];
        if (s->seats[other].rank < 0 || other == slot)
            continue;
        if (fate == SRI_FATE_DIED)
            sri_shm_ring(s, other, true);
        else if (atomic_load(&p->bell) == SRI_ASLEEP && host_concerns(p, rank, fate))
            sri_shm_ring(s, other, false);
    }
}

static void host_unseat(sri_host *h, int rank)
{
    sri_shm *s = sri_shm_of(&h->transport);
    uint32_t slot = sri_shm_slot_of(s, rank);
    if (slot >= SRI_SLOTS)
        return;
    atomic_store(&s->segment.slots[slot].rank, -1);
    sri_shm_drop(s, slot);
    s->seats[slot] = (sri_shm_seat){ .rank = -1, .socket = -1, .gone = true };
    s->slot_of[rank] = SRI_SLOT_GONE;
    atomic_fetch_sub(&s->segment.header->seated, 1);
}

static int host_bell(sri_host *h)
{
    return sri_shm_of(&h->transport)->bell;
}

static void host_waiting(sri_host *h, int rank, sri_waiting *w)
{
    sri_shm *s = sri_shm_of(&h->transport);
    uint32_t slot = sri_shm_slot_of(s, rank);
    *w = (sri_waiting){ 0 };
    if (slot >= SRI_SLOTS || atomic_load(&s->segment.slots[slot].bell) != SRI_ASLEEP)
        return;
    sri_slot *p = &s->segment.slots[slot];
    w->kind = atomic_load(&p->wait_kind);
    w->peer = atomic_load(&p->wait_peer);
    w->object = atomic_load(&p->wait_object);
    w->since = atomic_load(&p->wait_since);
}

static const sri_host_ops host_ops = {
    .seat = host_seat,
    .welcome = host_welcome,
    .readable = host_readable,
    .drain = host_drain,
    .note = host_note,
    .tell = host_tell,
    .unseat = host_unseat,
    .bell = host_bell,
    .waiting = host_waiting,
};

/* ---- the agent's own transport ---- */

static bool agent_poll(sri_transport *t)
{
    sri_shm *s = sri_shm_of(t);
    if (s->armed) {
        uint64_t rung;
        ssize_t ignored = read(s->bell, &rung, sizeof rung);
        (void)ignored;
        sri_shm_awake(s);
    }
    bool stopped;
    return sri_shm_poll_lanes(s, &stopped);
}

/* The agent sleeps in its own loop, on the bell's descriptor among others. */
static void agent_sleep(sri_transport *t, sri_ns deadline)
{
    sri_fd_wait(sri_shm_of(t)->bell, 1 /* POLLIN */, deadline);
}

static void agent_wake(sri_transport *t)
{
    sri_shm_ring(sri_shm_of(t), 0, true);
}

static bool agent_present(sri_transport *t, int peer)
{
    sri_shm *s = sri_shm_of(t);
    return peer >= 0 && (uint32_t)peer < SRI_RANKS
           && (atomic_load(&s->segment.ranks[peer]) & 0xff) == SRI_RANK_SEATED;
}

static int agent_members(sri_transport *t)
{
    return atomic_load_explicit(&sri_shm_of(t)->segment.header->seated, memory_order_relaxed);
}

static sri_atomic_u64 *agent_cell(sri_transport *t, uint32_t number)
{
    return number < SRI_CELLS ? sri_segment_cell(&sri_shm_of(t)->segment, number) : NULL;
}

static void agent_close(sri_transport *t, bool inherited)
{
    sri_shm *s = sri_shm_of(t);
    (void)inherited;
    sri_segment_close(&s->segment);
    sri_close(&s->bell);
    free(s->seats);
    sri_shm_fini(s);
    free(s);
}

static const sri_transport_ops agent_ops = {
    .name = "shm",
    .send = sri_shm_send,
    .poll = agent_poll,
    .arm = sri_shm_arm,
    .sleep = agent_sleep,
    .wake = agent_wake,
    .present = agent_present,
    .members = agent_members,
    .cell = agent_cell,
    .ring_agent = sri_nothing_ring,
    .publish = sri_nothing_publish,
    .close = agent_close,
};

serry_err sri_host_create_shm(sri_host **h, int size, const sri_sink *sink)
{
    sri_shm *s = calloc(1, sizeof *s);
    if (!s)
        return sri_fail(SERRY_ENOMEM, "no memory for a transport");
    serry_err e = sri_shm_init(s);
    if (e != SERRY_OK)
        goto free_shm;
    s->seats = malloc(SRI_SLOTS * sizeof *s->seats);
    if (!s->seats) {
        e = sri_fail(SERRY_ENOMEM, "no memory for %u seats", SRI_SLOTS);
        goto fini_shm;
    }
    for (uint32_t i = 0; i < SRI_SLOTS; i++)
        s->seats[i] = (sri_shm_seat){ .rank = -1, .socket = -1 };
    s->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (s->bell < 0) {
        e = sri_fail_errno("eventfd");
        goto free_seats;
    }
    e = sri_segment_create(&s->segment, size);
    if (e != SERRY_OK)
        goto close_bell;
    s->host.transport = (sri_transport){ .ops = &agent_ops,
                                         .sink = *sink,
                                         .frame_max = SRI_RECORD_BODY_MAX,
                                         .rank = SRI_AGENT,
                                         .size = size };
    s->host.ops = &host_ops;
    sri_shm_register(s);
    *h = &s->host;
    return SERRY_OK;

close_bell:
    close(s->bell);
free_seats:
    free(s->seats);
fini_shm:
    sri_shm_fini(s);
free_shm:
    free(s);
    return e;
}
