/* agent/link_tcp_address.c: where an agent listens: an interface by name, an address, or the way
 * out of this host; and addresses as the text that travels to the other nodes. */
#include "agent/link_tcp.h"

#include "base/fds.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct address {
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
        struct sockaddr_storage room;
    };
    socklen_t len;
} address;

static bool address_literal(const char *text, address *a)
{
    memset(a, 0, sizeof *a);
    if (inet_pton(AF_INET, text, &a->v4.sin_addr) == 1) {
        a->v4.sin_family = AF_INET;
        a->len = sizeof a->v4;
        return true;
    }
    if (inet_pton(AF_INET6, text, &a->v6.sin6_addr) == 1) {
        a->v6.sin6_family = AF_INET6;
        a->len = sizeof a->v6;
        return true;
    }
    return false;
}

static serry_err address_text(const address *a, char text[SRI_LINK_ADDRESS])
{
    char host[INET6_ADDRSTRLEN];
    bool v6 = a->any.sa_family == AF_INET6;
    const void *from = v6 ? (const void *)&a->v6.sin6_addr : (const void *)&a->v4.sin_addr;
    if (!inet_ntop(a->any.sa_family, from, host, sizeof host))
        return sri_fail_errno("inet_ntop");
    snprintf(text, SRI_LINK_ADDRESS, v6 ? "[%s]:%u" : "%s:%u", host,
             ntohs(v6 ? a->v6.sin6_port : a->v4.sin_port));
    return SERRY_OK;
}

serry_err link_tcp_parse(const char *text, struct sockaddr_storage *to, socklen_t *len)
{
    char host[SRI_LINK_ADDRESS];
    address a;
    size_t n = strnlen(text, SRI_LINK_ADDRESS);
    const char *colon = n < SRI_LINK_ADDRESS ? strrchr(text, ':') : NULL;
    char *end;
    if (colon) {
        bool brackets = text[0] == '[' && colon > text + 1 && colon[-1] == ']';
        int skip = brackets ? 1 : 0;
        snprintf(host, sizeof host, "%.*s", (int)(colon - text) - 2 * skip, text + skip);
        unsigned long port = strtoul(colon + 1, &end, 10);
        if (colon[1] >= '0' && colon[1] <= '9' && *end == 0 && port > 0 && port < 65536
            && address_literal(host, &a) && (a.any.sa_family == AF_INET6) == brackets) {
            /* The port lies at the same place in both. */
            a.v4.sin_port = htons((uint16_t)port);
            *to = a.room;
            *len = a.len;
            return SERRY_OK;
        }
    }
    return sri_fail(SERRY_EINVAL, "\"%.*s\" is not the address of a link", (int)n, text);
}

static_assert(offsetof(struct sockaddr_in, sin_port) == offsetof(struct sockaddr_in6, sin6_port),
              "one place for both");

/* ---- which address ---- */

/* The better the more hosts it can be reached from: 0 is of no use. Addresses that hold within one
 * cable only mean nothing to another host without the name of his interface. */
static int address_rank(const struct ifaddrs *i)
{
    if (!i->ifa_addr || !(i->ifa_flags & IFF_UP))
        return 0;
    int v4 = i->ifa_addr->sa_family == AF_INET;
    if (!v4 && i->ifa_addr->sa_family != AF_INET6)
        return 0;
    const struct sockaddr_in6 *six = (const void *)i->ifa_addr;
    if (!v4 && IN6_IS_ADDR_LINKLOCAL(&six->sin6_addr))
        return 0;
    if (i->ifa_flags & IFF_LOOPBACK)
        return 1 + v4;
    return (i->ifa_flags & IFF_RUNNING ? 5 : 3) + v4;
}

/* The best one of an interface, or of all (NULL). */
static bool address_best(const struct ifaddrs *all, const char *interface, address *a)
{
    int best = 0;
    for (const struct ifaddrs *i = all; i; i = i->ifa_next) {
        int rank = address_rank(i);
        if (rank <= best || (interface && strcmp(i->ifa_name, interface) != 0))
            continue;
        best = rank;
        memset(a, 0, sizeof *a);
        a->len = i->ifa_addr->sa_family == AF_INET ? sizeof a->v4 : sizeof a->v6;
        memcpy(&a->room, i->ifa_addr, a->len);
    }
    return best > 0;
}

/* The address this host would use to speak to one far away. Nothing is sent. */
static bool address_out(const char *far, address *a)
{
    address to;
    if (!address_literal(far, &to))
        return false;
    to.v4.sin_port = htons(9);
    int fd = socket(to.any.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return false;
    memset(a, 0, sizeof *a);
    a->len = sizeof a->room;
    bool found = connect(fd, &to.any, to.len) == 0 && getsockname(fd, &a->any, &a->len) == 0;
    close(fd);
    if (found && a->any.sa_family == AF_INET6)
        found = !IN6_IS_ADDR_LINKLOCAL(&a->v6.sin6_addr);
    return found;
}

static void address_names(const struct ifaddrs *all, char *text, size_t cap)
{
    size_t at = 0;
    text[0] = 0;
    for (const struct ifaddrs *i = all; i && at < cap; i = i->ifa_next) {
        bool before = false;
        for (const struct ifaddrs *j = all; j != i; j = j->ifa_next)
            before |= address_rank(j) && strcmp(j->ifa_name, i->ifa_name) == 0;
        if (address_rank(i) && !before)
            at += (size_t)snprintf(text + at, cap - at, at ? ", %s" : "%s", i->ifa_name);
    }
}

static serry_err address_choose(const char *interface, address *a)
{
    if (interface && address_literal(interface, a))
        return SERRY_OK;
    /* Addresses set aside for documentation: on no network but behind a default route. */
    if (!interface && (address_out("198.51.100.1", a) || address_out("2001:db8::1", a)))
        return SERRY_OK;
    struct ifaddrs *all;
    if (getifaddrs(&all) != 0)
        return sri_fail_errno("getifaddrs");
    serry_err e = SERRY_OK;
    if (!address_best(all, interface, a)) {
        char names[200];
        address_names(all, names, sizeof names);
        e = interface ? sri_fail(SERRY_EINVAL,
                                 "no interface \"%s\" that is up and has an address is here; there "
                                 "are: %s",
                                 interface, names)
                      : sri_fail(SERRY_ESYS, "no network interface of this host is up");
    }
    freeifaddrs(all);
    return e;
}

serry_err sri_links_tcp_listen(const char *interface, int *fd, char text[SRI_LINK_ADDRESS])
{
    address a;
    char what[128];
    char found[SRI_LINK_ADDRESS] = { 0 };
    SRI_TRY(address_choose(interface && *interface ? interface : NULL, &a));
    a.v4.sin_port = 0;
    int s = sri_fd_high(socket(a.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (s < 0)
        return sri_fail_errno("socket");
    serry_err e = SERRY_OK;
    if (bind(s, &a.any, a.len) != 0 || listen(s, SOMAXCONN) != 0
        || getsockname(s, &a.any, &a.len) != 0) {
        int code = errno;
        char host[SRI_LINK_ADDRESS] = "";
        SERRY_IGNORE(address_text(&a, host));
        snprintf(what, sizeof what, "cannot listen on %s%s%s", interface ? interface : "",
                 interface ? ", " : "", host);
        errno = code;
        e = sri_fail_errno(what);
    } else {
        e = address_text(&a, found);
    }
    if (e != SERRY_OK) {
        close(s);
        return e;
    }
    memcpy(text, found, sizeof found);
    *fd = s;
    return SERRY_OK;
}
