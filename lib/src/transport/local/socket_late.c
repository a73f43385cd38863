/* transport/local/socket_late.c: the agent's own packets. A full socket may not stop the agent, so
 * what it has to say of lanes and fates is kept and goes out, in order, when there is room. */
#include "transport/local/socket_host.h"

#include "base/grow.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

static sri_sent late_keep(socket_host *s, socket_seat *seat, const sri_frame *f)
{
    if (seat->n_late == seat->late_cap) {
        socket_late *more =
            sri_grow(seat->late, &seat->late_cap, (size_t)seat->n_late + 1, sizeof *more);
        if (!more)
            return SRI_LIMIT;
        seat->late = more;
    }
    socket_late late = { .aux = f->aux, .kind = f->kind, .len = (uint8_t)f->head_len, .fd = -1 };
    if (f->fd >= 0) {
        late.fd = fcntl(f->fd, F_DUPFD_CLOEXEC, 3);
        if (late.fd < 0)
            return SRI_LIMIT;
    }
    memcpy(late.bytes, f->head, f->head_len);
    if (seat->n_late++ == 0)
        s->n_late++;
    seat->late[seat->n_late - 1] = late;
    return SRI_SENT;
}

void sri_socket_watch_room(socket_host *s, socket_seat *seat, bool on)
{
    struct epoll_event ev = { .events = EPOLLOUT };
    if (seat->watched == on)
        return;
    seat->watched = on;
    epoll_ctl(s->room, on ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, seat->socket, &ev);
}

bool sri_socket_send_late(socket_host *s, socket_seat *seat)
{
    uint32_t i = 0;
    for (; seat->welcomed && i < seat->n_late; i++) {
        socket_late *l = &seat->late[i];
        sri_frame f = {
            .kind = l->kind, .aux = l->aux, .head = l->bytes, .head_len = l->len, .fd = l->fd
        };
        if (sri_socket_packet(seat->socket, &f) == SRI_FULL)
            break;
        sri_close(&l->fd);
    }
    if (i > 0) {
        memmove(seat->late, seat->late + i, (seat->n_late - i) * sizeof *seat->late);
        seat->n_late -= i;
        if (seat->n_late == 0)
            s->n_late--;
    }
    sri_socket_watch_room(s, seat, seat->welcomed && seat->n_late > 0);
    return i > 0;
}

sri_sent sri_socket_post(socket_host *s, int rank, const sri_frame *f)
{
    socket_seat *seat = sri_socket_seat_of(s, rank);
    if (!seat)
        return SRI_GONE;
    sri_sent sent = SRI_FULL;
    if (seat->welcomed && !seat->n_late)
        sent = sri_socket_packet(seat->socket, f);
    if (sent != SRI_FULL)
        return sent;
    sent = late_keep(s, seat, f);
    sri_socket_watch_room(s, seat, seat->welcomed && seat->n_late > 0);
    return sent;
}

void sri_socket_drop_late(socket_host *s, socket_seat *seat)
{
    if (seat->n_late)
        s->n_late--;
    for (uint32_t i = 0; i < seat->n_late; i++)
        sri_close(&seat->late[i].fd);
    free(seat->late);
    seat->late = NULL;
    seat->n_late = 0;
    seat->late_cap = 0;
}
