/* transport/local/packet.c: what comes by a packet socket, as an arrival. */
#include "transport/local/local.h"

#include <errno.h>
#include <string.h>

bool sri_packet_arrival(const uint8_t *packet, size_t len, int source, int fd, sri_arrival *a)
{
    sri_packet_head head;
    if (len < sizeof head)
        return false;
    memcpy(&head, packet, sizeof head);
    if (head.mark != SRI_PACKET_MARK || head.kind == 0 || head.kind > SRI_KIND_LAST)
        return false;
    *a = (sri_arrival){ .source = source,
                        .kind = head.kind,
                        .flags = head.flags,
                        .aux = head.aux,
                        .bytes = packet + sizeof head,
                        .len = len - sizeof head,
                        .fd = fd };
    return true;
}

int sri_packet_next(int socket, uint8_t *packet, int source, sri_arrival *a)
{
    int fds[SRI_FDS_MAX];
    int n;
    ssize_t got = sri_packet_recv(socket, packet, SRI_PACKET_MAX, fds, &n);
    if (got == -EAGAIN)
        return 0;
    if (got <= 0)
        return -1;
    bool ours = sri_packet_arrival(packet, (size_t)got, source, n > 0 ? fds[0] : -1, a);
    if (!ours)
        a->kind = 0;
    for (int i = ours ? 1 : 0; i < n; i++)
        sri_close(&fds[i]);
    return 1;
}
