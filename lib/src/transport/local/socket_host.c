/* transport/local/socket_host.c: the agent's side of socket lanes: it makes the pairs, passes their
 * ends, and tells each member what becomes of the others. */
#include "transport/local/socket_host.h"

#include "base/grow.h"
#include "transport/nothing.h"

#include <errno.h>
#include <stdalign.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#define HOST_BATCH 64

static socket_host *host_of(void *h)
{
    return h;
}

static serry_err host_welcome(sri_host *h, int rank, sri_welcome *w, int *fds, int *n)
{
    socket_seat *seat = sri_socket_seat_of(host_of(h), rank);
    (void)fds;
    if (seat)
        seat->welcomed = true; /* it goes out before anything else is sent */
    w->lanes = 1;
    *n = 0;
    return SERRY_OK;
}

/* ---- pairs ---- */

static uint64_t host_pair(int a, int b)
{
    uint32_t low = (uint32_t)(a < b ? a : b);
    uint32_t high = (uint32_t)(a < b ? b : a);
    return (uint64_t)low << 32 | high;
}

static size_t host_pair_place(const socket_host *s, uint64_t pair)
{
    size_t low = 0;
    size_t high = s->n_pairs;
    while (low < high) {
        size_t mid = (low + high) / 2;
        if (s->pairs[mid] < pair)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

/* True if it is new and now entered. */
static bool host_pair_enter(socket_host *s, uint64_t pair, bool *known)
{
    size_t at = host_pair_place(s, pair);
    *known = at < s->n_pairs && s->pairs[at] == pair;
    if (*known)
        return false;
    if (s->n_pairs == s->pairs_cap) {
        uint64_t *more = sri_grow(s->pairs, &s->pairs_cap, s->n_pairs + 1, sizeof *more);
        if (!more)
            return false;
        s->pairs = more;
    }
    memmove(&s->pairs[at + 1], &s->pairs[at], (s->n_pairs - at) * sizeof *s->pairs);
    s->pairs[at] = pair;
    s->n_pairs++;
    return true;
}

static void host_pair_remove(socket_host *s, uint64_t pair)
{
    size_t at = host_pair_place(s, pair);
    if (at < s->n_pairs && s->pairs[at] == pair) {
        memmove(&s->pairs[at], &s->pairs[at + 1], (s->n_pairs - at - 1) * sizeof *s->pairs);
        s->n_pairs--;
    }
}

/* ---- lanes ---- */

static sri_sent host_give_lane(socket_host *s, int to, int peer, int fd, sri_sent sent)
{
    sri_socket_lane lane = { (int32_t)sent };
    sri_frame f = { .kind = SRI_KIND_LANE,
                    .aux = (uint32_t)peer,
                    .head = &lane,
                    .head_len = sizeof lane,
                    .fd = fd };
    return sri_socket_post(s, to, &f);
}

/* A member asks for a lane to `peer`: both get their end, or the asker a reason. */
static void host_lane(socket_host *s, int asker, uint64_t aux)
{
    int peer = aux < s->ranks ? (int)aux : -1;
    int fd[2] = { -1, -1 };
    bool known = false;
    socket_seat *seat = sri_socket_seat_of(s, peer);
    if (!seat || seat->gone || peer == asker) {
        host_give_lane(s, asker, (int)aux, -1, SRI_GONE);
        return;
    }
    uint64_t pair = host_pair(asker, peer);
    if (!host_pair_enter(s, pair, &known)) {
        if (!known) /* if it is known, its end is on its way already */
            host_give_lane(s, asker, peer, -1, SRI_LIMIT);
        return;
    }
    sri_sent sent = SRI_LIMIT;
    if (sri_socket_pair(fd) == SERRY_OK)
        sent = host_give_lane(s, peer, asker, fd[1], SRI_SENT);
    if (sent != SRI_SENT) {
        host_pair_remove(s, pair);
        host_give_lane(s, asker, peer, -1, sent);
    } else if (host_give_lane(s, asker, peer, fd[0], SRI_SENT) != SRI_SENT) {
        host_pair_remove(s, pair);
    }
    sri_close(&fd[0]);
    sri_close(&fd[1]);
}

/* ---- reading, telling ---- */

/* Delivers up to `batch` packets (all: -1). False: end of file. */
static bool host_read(socket_host *s, int rank, int batch)
{
    alignas(16) uint8_t packet[SRI_PACKET_MAX];
    for (int i = 0; i != batch; i++) {
        sri_arrival a;
        socket_seat *seat = sri_socket_seat_of(s, rank);
        if (!seat)
            return false;
        int came = sri_packet_next(seat->socket, packet, rank, &a);
        if (came == 0)
            return true;
        if (came < 0 || a.kind == 0)
            return false;
        if (a.kind == SRI_KIND_LANE)
            host_lane(s, rank, a.aux);
        else
            s->host.transport.sink.deliver(s->host.transport.sink.ctx, &a);
    }
    return true;
}

static bool host_readable(sri_host *h, int rank)
{
    return host_read(host_of(h), rank, HOST_BATCH);
}

static void host_drain(sri_host *h, int rank)
{
    host_read(host_of(h), rank, -1);
}

/* Of launched ranks everybody knows; of started ones everybody is told, and a newcomer of all of
 * them. */
static void host_introduce(socket_host *s, int rank)
{
    sri_socket_event here = { 0, 0 };
    sri_frame f = { .kind = SRI_KIND_EVENT, .head = &here, .head_len = sizeof here, .fd = -1 };
    for (uint32_t r = 0; r < s->ranks; r++) {
        const socket_seat *other = &s->seats[r];
        if ((other->socket < 0 && !other->far) || other->gone || (int)r == rank)
            continue;
        f.aux = (uint32_t)rank;
        if (rank >= s->host.transport.size)
            sri_socket_post(s, (int)r, &f);
        f.aux = r;
        if ((int)r >= s->host.transport.size)
            sri_socket_post(s, rank, &f);
    }
}

static serry_err host_room(socket_host *s, uint32_t r)
{
    if (r < s->ranks)
        return SERRY_OK;
    size_t n = s->ranks;
    socket_seat *more = sri_grow(s->seats, &n, (size_t)r + 1, sizeof *more);
    if (!more)
        return sri_fail(SERRY_ENOMEM, "no memory for %u seats", r + 1);
    for (size_t i = s->ranks; i < n; i++)
        more[i] = (socket_seat){ .socket = -1 };
    s->seats = more;
    s->ranks = (uint32_t)n;
    return SERRY_OK;
}

static void host_note(sri_host *h, int rank)
{
    socket_host *s = host_of(h);
    if (rank < 0 || host_room(s, (uint32_t)rank) != SERRY_OK)
        return;
    s->seats[rank].far = true;
    host_introduce(s, rank);
}

static serry_err host_seat(sri_host *h, int rank, int socket)
{
    socket_host *s = host_of(h);
    uint32_t r = (uint32_t)rank;
    SRI_TRY(host_room(s, r));
    s->seats[r] = (socket_seat){ .socket = socket };
    host_introduce(s, rank);
    return SERRY_OK;
}

static void host_tell(sri_host *h, int rank, sri_fate fate, int code)
{
    socket_host *s = host_of(h);
    sri_socket_event event = { (int32_t)fate, code };
    sri_frame f = { .kind = SRI_KIND_EVENT,
                    .aux = (uint32_t)rank,
                    .head = &event,
                    .head_len = sizeof event,
                    .fd = -1 };
    if (rank >= 0 && (uint32_t)rank < s->ranks)
        s->seats[rank].gone = true;
    for (uint32_t r = 0; r < s->ranks; r++) {
        if ((int)r != rank)
            sri_socket_post(s, (int)r, &f);
    }
}

static void host_unseat(sri_host *h, int rank)
{
    socket_host *s = host_of(h);
    if (rank < 0 || (uint32_t)rank >= s->ranks)
        return;
    sri_socket_drop_late(s, &s->seats[rank]);
    if (s->seats[rank].socket >= 0)
        sri_socket_watch_room(s, &s->seats[rank], false);
    s->seats[rank] = (socket_seat){ .socket = -1, .gone = true };
    for (size_t i = 0; i < s->n_pairs;) {
        if (s->pairs[i] >> 32 == (uint32_t)rank || (uint32_t)s->pairs[i] == (uint32_t)rank)
            host_pair_remove(s, s->pairs[i]);
        else
            i++;
    }
}

static int host_bell(sri_host *h)
{
    return host_of(h)->room;
}

static void host_waiting(sri_host *h, int rank, sri_waiting *w)
{
    (void)h;
    (void)rank;
    *w = (sri_waiting){ 0 };
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

static sri_sent agent_send(sri_transport *t, int peer, const sri_frame *f)
{
    socket_seat *seat = sri_socket_seat_of(host_of(t), peer);
    if (!seat)
        return SRI_GONE;
    if (!seat->welcomed)
        return SRI_FULL;
    if (seat->n_late)
        sri_socket_send_late(host_of(t), seat);
    return sri_socket_packet(seat->socket, f);
}

/* What arrives comes by .readable, from the agent's loop; here late packets go out. */
static bool agent_poll(sri_transport *t)
{
    socket_host *s = host_of(t);
    bool any = false;
    for (uint32_t r = 0; s->n_late > 0 && r < s->ranks; r++) {
        if (s->seats[r].n_late)
            any |= sri_socket_send_late(s, &s->seats[r]);
    }
    return any;
}

static bool agent_present(sri_transport *t, int peer)
{
    socket_seat *seat = sri_socket_seat_of(host_of(t), peer);
    return seat && !seat->gone;
}

static int agent_members(sri_transport *t)
{
    return t->size;
}

static void agent_close(sri_transport *t, bool inherited)
{
    socket_host *s = host_of(t);
    (void)inherited;
    for (uint32_t r = 0; r < s->ranks; r++)
        sri_socket_drop_late(s, &s->seats[r]);
    sri_close(&s->room);
    free(s->seats);
    free(s->pairs);
    free(s);
}

static const sri_transport_ops agent_ops = {
    .name = "socket",
    .send = agent_send,
    .poll = agent_poll,
    .arm = sri_nothing_arm,
    .sleep = sri_nothing_sleep, /* it does in its own loop, on all sockets and .room */
    .wake = sri_nothing_ring,
    .present = agent_present,
    .members = agent_members,
    .cell = sri_nothing_cell,
    .ring_agent = sri_nothing_ring,
    .publish = sri_nothing_publish,
    .close = agent_close,
};

serry_err sri_host_create_socket(sri_host **h, int size, const sri_sink *sink)
{
    socket_host *s = calloc(1, sizeof *s);
    if (!s)
        return sri_fail(SERRY_ENOMEM, "no memory for a transport");
    s->room = epoll_create1(EPOLL_CLOEXEC);
    if (s->room < 0) {
        free(s);
        return sri_fail_errno("epoll_create1");
    }
    s->host.transport = (sri_transport){ .ops = &agent_ops,
                                         .sink = *sink,
                                         .frame_max = SRI_SOCKET_FRAME_MAX,
                                         .rank = SRI_AGENT,
                                         .size = size };
    s->host.ops = &host_ops;
    s->host.by_socket = true;
    *h = &s->host;
    return SERRY_OK;
}
