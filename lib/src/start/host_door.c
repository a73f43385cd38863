/* start/host_door.c: how ranks come to an agent that they have not inherited a socket from: an
 * abstract unix socket with a random name. Whoever comes must be of the same user and show the
 * key; the rest is the same hello and welcome as everywhere. */
#include "start/host.h"

#include "base/error.h"
#include "base/fds.h"
#include "base/sha256.h"
#include "start/guest.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#define DOOR_MARK 0x53524b59u
#define DOOR_STRANGERS 16           /* at the door at the same time, beyond the members */
#define DOOR_LAUNCHER_FIRST 1000000 /* us */
#define DOOR_WITHIN SRI_MS(30000)

/* What a rank shows. */
typedef struct door_pass {
    uint32_t mark;
    int32_t rank;
    uint8_t key[SRI_SETUP_KEY];
} door_pass;

static socklen_t door_address(const sri_door *d, struct sockaddr_un *a)
{
    size_t len = strnlen(d->name, sizeof d->name);
    *a = (struct sockaddr_un){ .sun_family = AF_UNIX };
    memcpy(a->sun_path + 1, d->name, len);
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + len);
}

serry_err sri_door_open(sri_door *d, int *fd)
{
    uint8_t random[16 + SRI_SETUP_KEY];
    struct sockaddr_un address;
    if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random)
        return sri_fail_errno("getrandom for the key of a node");
    *d = (sri_door){ .name = "serry-" };
    for (int i = 0; i < 16; i++)
        snprintf(d->name + 6 + 2 * i, 3, "%02x", random[i]);
    memcpy(d->key, random + 16, sizeof d->key);
    int made = sri_fd_high(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (made < 0)
        return sri_fail_errno("socket for the ranks of this node");
    socklen_t len = door_address(d, &address);
    if (bind(made, (struct sockaddr *)&address, len) != 0 || listen(made, SOMAXCONN) != 0) {
        serry_err e = sri_fail_errno("listening for the ranks of this node");
        close(made);
        return e;
    }
    *fd = made;
    return SERRY_OK;
}

serry_err sri_door_enter(const sri_door *d, int rank, int *socket_out)
{
    struct sockaddr_un address;
    socklen_t len = door_address(d, &address);
    door_pass pass = { .mark = DOOR_MARK, .rank = rank };
    memcpy(pass.key, d->key, sizeof pass.key);
    int fd = sri_fd_high(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
    if (fd < 0)
        return sri_fail_errno("socket to the agent");
    int code;
    while ((code = connect(fd, (struct sockaddr *)&address, len)) != 0 && errno == EINTR)
        ;
    if (code != 0) {
        serry_err e = errno == ECONNREFUSED
                          ? sri_fail(SERRY_EDIED,
                                     "the agent of this node has gone, or is in another "
                                     "network namespace than rank %d",
                                     rank)
                          : sri_fail_errno("connecting to the agent of this node");
        close(fd);
        return e;
    }
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    code = sri_packet_send(fd, &pass, sizeof pass, NULL, 0, NULL, 0);
    explicit_bzero(&pass, sizeof pass);
    if (code != 0) {
        close(fd);
        errno = code;
        return sri_fail_errno("showing the key to the agent of this node");
    }
    *socket_out = fd;
    return SERRY_OK;
}

/* ---- behind it ---- */

/* While members come in. */
typedef struct door_hall {
    const sri_setup *setup;
    const sri_door *door;
    int listener;
    int *seats;  /* sockets by member, -1: not here yet */
    int *pidfds; /* likewise, of those that are awaited */
    int *guests; /* who has not shown a key */
    int n_guests;
    int guests_cap;
    int missing;
    bool lost; /* a rank */
} door_hall;

static bool door_same_user(int fd)
{
    struct ucred who;
    socklen_t len = sizeof who;
    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) == 0 && who.uid == geteuid();
}

static void door_accept(door_hall *h)
{
    while (h->n_guests < h->guests_cap) {
        int fd = sri_fd_high(accept4(h->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK));
        if (fd < 0)
            return;
        if (door_same_user(fd))
            h->guests[h->n_guests++] = fd;
        else
            close(fd);
    }
}

/* Seats a guest who has shown the key of an awaited rank, sends others away. */
static void door_admit(door_hall *h, int guest)
{
    door_pass pass;
    int fds[SRI_FDS_MAX];
    int n = 0;
    int fd = h->guests[guest];
    ssize_t got = sri_packet_recv(fd, &pass, sizeof pass, fds, &n);
    for (int i = 0; got > 0 && i < n; i++)
        sri_close(&fds[i]);
    if (got == -EAGAIN)
        return;
    h->guests[guest] = h->guests[--h->n_guests];
    for (int i = 0; i < h->setup->n; i++) {
        if (got != (ssize_t)sizeof pass || pass.mark != DOOR_MARK || h->seats[i] >= 0
            || pass.rank != h->setup->ranks[i]
            || !sri_secret_equal(h->door->key, pass.key, sizeof pass.key))
            continue;
        h->seats[i] = fd;
        h->missing--;
        return;
    }
    close(fd);
}

/* A seat whose owner has ended already: the agent sees it like any other end. */
static void door_give_up(door_hall *h, int member)
{
    int pair[2];
    sri_close(&h->pidfds[member]);
    if (h->seats[member] >= 0 || sri_socket_pair(pair) != SERRY_OK)
        return;
    close(pair[1]);
    h->seats[member] = pair[0];
    h->missing--;
}

static void door_look(door_hall *h, struct pollfd *p, sri_ns until)
{
    int n = h->setup->n;
    int guests = h->n_guests;
    p[0] =
        (struct pollfd){ .fd = h->n_guests < h->guests_cap ? h->listener : -1, .events = POLLIN };
    for (int i = 0; i < n; i++)
        p[1 + i] = (struct pollfd){ .fd = h->seats[i] < 0 ? h->pidfds[i] : -1, .events = POLLIN };
    for (int i = 0; i < guests; i++)
        p[1 + n + i] = (struct pollfd){ .fd = h->guests[i], .events = POLLIN };
    if (poll(p, (nfds_t)(1 + n + guests), sri_poll_timeout(until)) <= 0)
        return;
    for (int i = guests; i-- > 0;) {
        if (p[1 + n + i].revents)
            door_admit(h, i);
    }
    if (p[0].revents) { /* who has ended may have come before that: he is seen first */
        door_accept(h);
        return;
    }
    for (int i = 0; i < n; i++) {
        if (p[1 + i].revents && h->n_guests == 0)
            door_give_up(h, i);
    }
}

static serry_err door_hall_init(door_hall *h)
{
    size_t n = (size_t)h->setup->n;
    h->guests_cap = h->setup->n + DOOR_STRANGERS;
    h->seats = malloc(n * sizeof *h->seats);
    h->pidfds = malloc(n * sizeof *h->pidfds);
    h->guests = malloc((size_t)h->guests_cap * sizeof *h->guests);
    if (!h->seats || !h->pidfds || !h->guests)
        return sri_fail(SERRY_ENOMEM, "no memory for the members of a node");
    h->missing = h->setup->n;
    for (int i = 0; i < h->setup->n; i++) {
        h->seats[i] = -1;
        h->pidfds[i] =
            h->setup->pids[i] > 0 ? (int)syscall(SYS_pidfd_open, h->setup->pids[i], 0) : -1;
    }
    return SERRY_OK;
}

static serry_err door_let_in(door_hall *h)
{
    sri_ns until = sri_now() + DOOR_WITHIN;
    struct pollfd *p = calloc((size_t)(1 + h->setup->n + h->guests_cap), sizeof *p);
    if (!p)
        return sri_fail(SERRY_ENOMEM, "no memory for the members of a node");
    while (h->missing > 0 && sri_now() < until)
        door_look(h, p, until);
    for (int i = 0; i < h->setup->n; i++)
        door_give_up(h, i);
    for (int i = 0; i < h->n_guests; i++)
        close(h->guests[i]);
    free(p);
    return SERRY_OK;
}

/* A launched rank's end without a farewell, of this node or another. */
static void door_fate(void *ctx, int rank, pid_t pid, sri_fate fate, int code)
{
    const sri_setup *s = ((door_hall *)ctx)->setup;
    (void)pid;
    (void)code;
    if (fate == SRI_FATE_DIED && rank < s->places.size)
        ((door_hall *)ctx)->lost = true;
}

/* Whoever has launched the ranks ends them first, so that it ends with their code; then the agent
 * does, where the launcher was told to put up with losses. */
static void door_aborted(void *ctx, int rank, int code)
{
    (void)ctx;
    (void)rank;
    (void)code;
    usleep(DOOR_LAUNCHER_FIRST);
}

bool sri_host_serve(const sri_setup *s, const sri_door *d, int listener, sri_links *links,
                    serry_err e)
{
    sri_agent_options o = { .size = s->places.size,
                            .places = s->places,
                            .links = links,
                            .fate = door_fate,
                            .aborted = door_aborted };
    door_hall h = { .setup = s, .door = d, .listener = listener };
    o.ctx = &h;
    if (e == SERRY_OK)
        e = sri_agent_options_read(&o);
    sri_kept_error why = sri_error_keep(e);
    serry_err made = door_hall_init(&h);
    if (made == SERRY_OK)
        made = door_let_in(&h);
    close(listener);
    if (made == SERRY_OK)
        e = sri_error_again(&why);
    if (made == SERRY_OK)
        sri_guest_run(&o, s->ranks, h.seats, s->n, e);
    free(h.seats);
    free(h.pidfds);
    free(h.guests);
    return e == SERRY_OK && made == SERRY_OK && !h.lost;
}
