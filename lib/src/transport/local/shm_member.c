/* transport/local/shm_member.c: the seam's operations of a member over shared memory. */
#include "transport/local/shm.h"

#include "base/futex.h"
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* Where no lifeline ends the process with its agent, a sleeper looks after it now and then. */
#define MEMBER_LOOK_AFTER SRI_MS(50)

/* One line of the log of fates: everything that member had sent comes first. */
static void member_tell(sri_shm *s, uint64_t word)
{
    int rank = (int)(uint32_t)(word >> 32);
    sri_fate fate = (sri_fate)(word & 0xff);
    int code = (int)((uint32_t)word) >> 8; /* keeps its sign */
    if (rank == s->host.transport.rank)
        return;
    uint32_t slot = SRI_SLOT_UNKNOWN;
    if ((uint32_t)rank < s->ranks)
        slot = s->slot_of[rank];
    if (slot == SRI_SLOT_UNKNOWN && (uint32_t)rank < SRI_RANKS)
        slot = (uint32_t)(atomic_load(&s->segment.ranks[rank]) >> 8);
    if (slot < SRI_SLOTS && slot != 0 && slot != s->slot) {
        sri_shm_open_in(s, slot);
        if (s->peers[slot].rank == rank && (s->peers[slot].in.lane || s->peers[slot].out.lane)) {
            sri_shm_drain(s, slot);
            if (fate != SRI_FATE_LEFT)
                sri_shm_drop(s, slot);
        }
    }
    if (fate != SRI_FATE_LEFT && (uint32_t)rank < s->ranks)
        s->slot_of[rank] = SRI_SLOT_GONE;
    s->host.transport.sink.fate(s->host.transport.sink.ctx, rank, fate, code);
}

static void member_read_log(sri_shm *s)
{
    uint64_t count = atomic_load_explicit(&s->segment.header->log_count, memory_order_acquire);
    while (s->log_at < count && s->log_at < SRI_LOG_MAX)
        member_tell(s, atomic_load_explicit(&s->segment.log[s->log_at++], memory_order_relaxed));
}

static void member_read_mail(sri_shm *s)
{
    alignas(16) uint8_t packet[SRI_PACKET_MAX];
    atomic_exchange(&s->segment.slots[s->slot].mail, 0);
    for (;;) {
        sri_arrival a;
        int came = sri_packet_next(s->socket, packet, SRI_AGENT, &a);
        if (came < 0)
            s->agent_gone = true;
        if (came <= 0)
            return;
        if (a.kind != 0 && !s->host.transport.sink.deliver(s->host.transport.sink.ctx, &a)) {
            atomic_store(&s->segment.slots[s->slot].mail, 1); /* there may be more */
            return;
        }
    }
}

static bool member_poll(sri_transport *t)
{
    sri_shm *s = sri_shm_of(t);
    sri_slot *me = &s->segment.slots[s->slot];
    bool stopped;
    bool any = sri_shm_poll_lanes(s, &stopped);
    if (stopped)
        return true;
    if (__builtin_expect(atomic_load_explicit(&s->segment.header->log_count, memory_order_relaxed)
                             != s->log_at,
                         0)) {
        member_read_log(s);
        any = true;
    }
    if (__builtin_expect(atomic_load_explicit(&me->mail, memory_order_relaxed) != 0, 0)) {
        member_read_mail(s);
        any = true;
    }
    if (__builtin_expect(s->packet_refused, 0)) {
        s->packet_refused = false;
        any = true;
    }
    if (__builtin_expect(s->agent_gone && !s->agent_told, 0)) {
        s->agent_told = true;
        t->sink.fate(t->sink.ctx, SRI_AGENT, SRI_FATE_DIED, 0);
        any = true;
    }
    if (__builtin_expect(any && atomic_load_explicit(&s->still, memory_order_relaxed), 0)) {
        atomic_store(&s->still, false);
        sri_shm_awake(s);
    }
    return any;
}

static bool member_agent_lives(const sri_shm *s)
{
    struct pollfd p = { .fd = s->socket, .events = 0 };
    return poll(&p, 1, 0) <= 0 || !(p.revents & (POLLHUP | POLLERR));
}

/* Asleep at the bell; with a word, beside that. */
static void member_sleep_at(sri_transport *t, sri_ns deadline, const sri_atomic_u64 *word,
                            uint32_t low)
{
    sri_shm *s = sri_shm_of(t);
    sri_slot *me = &s->segment.slots[s->slot];
    _Atomic uint32_t *bell = &me->bell;
    bool look_after = !s->has_lifeline;
    sri_ns until = deadline;
    if (look_after) {
        sri_ns next = sri_now() + MEMBER_LOOK_AFTER;
        until = next < deadline ? next : deadline;
    }
    if (word)
        sri_futex_wait_two(bell, SRI_ASLEEP, word, low, until);
    else if (atomic_load(bell) == SRI_ASLEEP)
        sri_futex_wait(bell, SRI_ASLEEP, until, true);
    bool over = word && (uint32_t)atomic_load_explicit(word, memory_order_relaxed) != low;
    if (!over && atomic_load(bell) == SRI_ASLEEP) {
        atomic_store(&s->still, true);
        atomic_store(&me->wait_kind, SRI_WAIT_NONE); /* it is awake, whatever its bell says */
    } else {
        sri_shm_awake(s);
    }
    if (look_after && !member_agent_lives(s))
        s->agent_gone = true;
}

static void member_sleep(sri_transport *t, sri_ns deadline)
{
    member_sleep_at(t, deadline, NULL, 0);
}

static void member_wake(sri_transport *t)
{
    sri_shm *s = sri_shm_of(t);
    sri_shm_ring(s, s->slot, true);
}

static bool member_present(sri_transport *t, int peer)
{
    sri_shm *s = sri_shm_of(t);
    if (peer == SRI_AGENT)
        return !s->agent_gone;
    if (peer < 0 || (uint32_t)peer >= SRI_RANKS)
        return false;
    unsigned state = atomic_load(&s->segment.ranks[peer]) & 0xff;
    /* Its fate may stand in the log and not be told yet, nor what it sent before be delivered. */
    return state == SRI_RANK_SEATED
           || (state != SRI_RANK_NONE && atomic_load(&s->segment.header->log_count) != s->log_at);
}

/* Those of members that have left are still counted: it need not be exact. */
static void member_count_cpus(sri_shm *s)
{
    sri_segment_header *h = s->segment.header;
    sri_cpus all;
    s->joined = atomic_load_explicit(&h->joined, memory_order_acquire);
    for (int i = 0; i < SRI_CPUS_WORDS; i++)
        all.words[i] = atomic_load_explicit(&h->cpus[i], memory_order_relaxed);
    s->cpus_all = sri_cpus_count(&all);
}

static void member_tell_cpus(sri_shm *s)
{
    sri_segment_header *h = s->segment.header;
    sri_cpus own = sri_cpus_own();
    s->cpus = sri_cpus_count(&own);
    for (int i = 0; i < SRI_CPUS_WORDS; i++)
        if (own.words[i] & ~atomic_load_explicit(&h->cpus[i], memory_order_relaxed))
            atomic_fetch_or(&h->cpus[i], own.words[i]);
    atomic_fetch_add(&h->joined, 1);
}

static int member_members(sri_transport *t)
{
    sri_shm *s = sri_shm_of(t);
    sri_segment_header *h = s->segment.header;
    if (__builtin_expect(atomic_load_explicit(&h->joined, memory_order_acquire) != s->joined, 0))
        member_count_cpus(s);
    return sri_cpus_share(atomic_load_explicit(&h->seated, memory_order_relaxed), s->cpus,
                          s->cpus_all);
}

static sri_atomic_u64 *member_cell(sri_transport *t, uint32_t number)
{
    sri_shm *s = sri_shm_of(t);
    return number < SRI_CELLS ? sri_segment_cell(&s->segment, number) : NULL;
}

static void member_ring_agent(sri_transport *t)
{
    sri_shm *s = sri_shm_of(t);
    if (atomic_load(&s->segment.slots[0].bell) == SRI_ASLEEP)
        sri_shm_ring(s, 0, false);
}

static void member_publish(sri_transport *t, const sri_waiting *w)
{
    sri_slot *me = &sri_shm_of(t)->segment.slots[sri_shm_of(t)->slot];
    atomic_store_explicit(&me->wait_peer, w->peer, memory_order_relaxed);
    atomic_store_explicit(&me->wait_object, w->object, memory_order_relaxed);
    atomic_store_explicit(&me->wait_since, w->since, memory_order_relaxed);
    atomic_store_explicit(&me->wait_kind, w->kind, memory_order_release);
}

static void member_close(sri_transport *t, bool inherited)
{
    sri_shm *s = sri_shm_of(t);
    /* Nothing shared is touched either way: the agent frees what was ours. */
    sri_lifeline_close(&s->lifeline, inherited);
    sri_segment_close(&s->segment);
    if (!inherited) /* a forked copy may hold it open for longer */
        shutdown(s->socket, SHUT_RDWR);
    sri_close(&s->socket);
    sri_close(&s->bell);
    sri_shm_fini(s);
    free(s);
}

static const sri_transport_ops member_ops = {
    .name = "shm",
    .send = sri_shm_send,
    .poll = member_poll,
    .arm = sri_shm_arm,
    .sleep = member_sleep,
    .sleep_beside = member_sleep_at,
    .wake = member_wake,
    .present = member_present,
    .members = member_members,
    .cell = member_cell,
    .ring_agent = member_ring_agent,
    .publish = member_publish,
    .close = member_close,
};

serry_err sri_shm_open(sri_transport **t, int socket, const int *fds, int n, const sri_welcome *w,
                       const sri_sink *sink)
{
    if (n < 2 || w->slot == 0 || w->slot >= SRI_SLOTS)
        return sri_fail(SERRY_EINTERNAL, "the agent's welcome lacks the shared segment");
    sri_shm *s = calloc(1, sizeof *s);
    if (!s)
        return sri_fail(SERRY_ENOMEM, "no memory for a transport");
    serry_err e = sri_shm_init(s);
    if (e != SERRY_OK)
        goto free_shm;
    int memory = fcntl(fds[0], F_DUPFD_CLOEXEC, 3);
    if (memory < 0) {
        e = sri_fail_errno("dup");
        goto fini_shm;
    }
    e = sri_segment_open(&s->segment, memory);
    if (e != SERRY_OK)
        goto fini_shm;
    /* A launched rank hears of everybody; a started process only of what happens from now on. */
    s->log_at = w->parent < 0 ? 0 : atomic_load(&s->segment.header->log_count);
    s->slot = w->slot;
    s->host.transport = (sri_transport){ .ops = &member_ops,
                                         .sink = *sink,
                                         .frame_max = SRI_RECORD_BODY_MAX,
                                         .rank = w->rank,
                                         .size = w->size,
                                         .beside = sri_futex_has_two() };
    /* What is needed to the very end is made now, when it can still be refused. */
    if (!sri_shm_open_out(s, SRI_AGENT, 0)) {
        e = sri_fail(SERRY_ELIMIT,
                     "no lane to the agent can be had: the memory for shared segments "
                     "is full");
        goto close_segment;
    }
    close(fds[0]);
    member_tell_cpus(s);
    sri_shm_register(s);
    s->socket = socket;
    s->bell = fds[1];
    s->lifeline = n > 2 ? fds[2] : -1;
    if (s->lifeline >= 0)
        sri_lifeline_arm(&s->lifeline, &s->has_lifeline);
    *t = &s->host.transport;
    return SERRY_OK;

close_segment:
    sri_segment_close(&s->segment);
fini_shm:
    sri_shm_fini(s);
free_shm:
    free(s);
    return e;
}
