/* start/guest.c: the agent's process: settling down, and its life there. */
#include "start/guest.h"

#include "base/env.h"
#include "base/fds.h"
#include "transport/local/local.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#define GUEST_HEARTBEAT_MIN 0.5
#define GUEST_HEARTBEAT_MAX 86400.0

static int guest_by_number(const void *a, const void *b)
{
    int x = *(const int *)a;
    int y = *(const int *)b;
    return (x > y) - (x < y);
}

/* Not its own session: the kernel schedules sessions as groups (sched_autogroup), and sched_yield
 * lets nobody of another group run. */
void sri_guest_settle(const int *keep, int n)
{
    static const int deaf[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE, SIGUSR1, SIGUSR2 };
    for (size_t i = 0; i < sizeof deaf / sizeof *deaf; i++)
        signal(deaf[i], SIG_IGN);
    setpgid(0, 0);
    int null = open("/dev/null", O_RDWR);
    for (int fd = 0; fd <= 2 && null >= 0; fd++)
        dup2(null, fd);
    int *sorted = malloc((size_t)n * sizeof *sorted);
    if (sorted) {
        memcpy(sorted, keep, (size_t)n * sizeof *sorted);
        qsort(sorted, (size_t)n, sizeof *sorted, guest_by_number);
        sri_close_all_but(3, sorted, n);
        free(sorted);
    }
    prctl(PR_SET_NAME, "serry-agent");
}

/* There will be no agent: whoever says hello on these sockets is told why (serry_err_detail). */
static void guest_refuse(const int *sockets, int n, serry_err e)
{
    sri_packet_head head = { .kind = SRI_KIND_JOIN, .mark = SRI_PACKET_MARK };
    sri_welcome w = { .version = SRI_JOIN_VERSION, .err = (uint32_t)e };
    snprintf(w.text, sizeof w.text, "%s", serry_err_detail());
    for (int i = 0; i < n; i++) {
        uint8_t hello[SRI_PACKET_MAX];
        int fds[SRI_FDS_MAX];
        int got = 0;
        sri_fd_wait(sockets[i], POLLIN, sri_now() + SRI_MS(1000));
        /* What is left unread when this socket closes would be an error over there, and hide ours.
         */
        if (sri_packet_recv(sockets[i], hello, sizeof hello, fds, &got) < 0)
            got = 0;
        for (int k = 0; k < got; k++)
            sri_close(&fds[k]);
        sri_packet_send(sockets[i], &head, sizeof head, &w, sizeof w, NULL, 0);
    }
}

serry_err sri_guest_heartbeat(double *seconds)
{
    const char *text = sri_env("SERRY_HEARTBEAT");
    char *end;
    if (!text)
        return SERRY_OK;
    double given = strtod(text, &end);
    if (*end || end == text || !(given == 0 || given >= GUEST_HEARTBEAT_MIN)
        || given > GUEST_HEARTBEAT_MAX)
        return sri_fail(SERRY_EINVAL,
                        "SERRY_HEARTBEAT is '%s'; it must be a number of seconds from "
                        "%g to %g, or 0: never",
                        text, GUEST_HEARTBEAT_MIN, GUEST_HEARTBEAT_MAX);
    *seconds = given;
    return SERRY_OK;
}

void sri_guest_run(const sri_agent_options *o, const int *ranks, const int *sockets, int n,
                   serry_err e)
{
    sri_agent *a;
    if (e == SERRY_OK)
        e = sri_agent_create(&a, o);
    if (e != SERRY_OK) {
        guest_refuse(sockets, n, e);
        if (o->links)
            o->links->ops->close(o->links);
        return;
    }
    for (int i = 0; i < n && e == SERRY_OK; i++)
        e = sri_agent_seat(a, ranks[i], sockets[i]);
    if (e == SERRY_OK)
        sri_agent_run(a);
    sri_agent_destroy(a);
}
