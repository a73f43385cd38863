/* core/launch.c: the agent of a program that was started without a launcher. */
#include "agent/agent.h"
#include "base/log.h"
#include "core/unseen.h"
#include "core/world.h"
#include "transport/local/local.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

/* A good guest: its own process group, nothing of the program's streams and descriptors, deaf to the
 * signals that are meant for the program. Not its own session: the kernel schedules sessions as
 * groups (sched_autogroup), and sched_yield lets nobody of another group run. */
static void launch_settle(const int *sockets, int n)
{
    static const int deaf[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE, SIGUSR1, SIGUSR2 };
    for (size_t i = 0; i < sizeof deaf / sizeof *deaf; i++)
        signal(deaf[i], SIG_IGN);
    setpgid(0, 0);
    int null = open("/dev/null", O_RDWR);
    for (int fd = 0; fd <= 2 && null >= 0; fd++)
        dup2(null, fd);
    sri_close_all_but(3, sockets, n);
    prctl(PR_SET_NAME, "serry-agent");
}

/* There will be no agent: whoever says hello is told why. */
static void launch_refuse(const int *sockets, int n, serry_err e)
{
    sri_packet_head head = { .kind = SRI_KIND_JOIN, .mark = SRI_PACKET_MARK };
    sri_welcome w = { .version = SRI_JOIN_VERSION, .err = (uint32_t)e };
    snprintf(w.text, sizeof w.text, "%s", serry_err_detail());
    for (int i = 0; i < n; i++) {
        uint8_t hello[SRI_PACKET_MAX];
        int fds[SRI_FDS_MAX];
        int got = 0;
        sri_fd_wait(sockets[i], POLLIN, sri_now() + SRI_MS(1000));
        /* What is left unread when this socket closes would be an error over there, and hide ours. */
        if (sri_packet_recv(sockets[i], hello, sizeof hello, fds, &got) < 0)
            got = 0;
        for (int k = 0; k < got; k++)
            sri_close(&fds[k]);
        sri_packet_send(sockets[i], &head, sizeof head, &w, sizeof w, NULL, 0);
    }
}

static void launch_agent(const int *sockets, int n)
{
    sri_agent_options o = { .size = n, .direct = true };
    sri_agent *a;
    launch_settle(sockets, n);
    serry_err e = sri_agent_options_read(&o);
    if (e == SERRY_OK)
        e = sri_agent_create(&a, &o);
    if (e != SERRY_OK) {
        launch_refuse(sockets, n, e);
        return;
    }
    for (int i = 0; i < n && e == SERRY_OK; i++)
        e = sri_agent_seat(a, i, sockets[i]);
    if (e == SERRY_OK)
        sri_agent_run(a);
    sri_agent_destroy(a);
}

serry_err sri_world_fork_agent(const int *sockets, int n, pid_t *pid, int *pidfd)
{
    SRI_TRY(sri_unseen_fork(pid, pidfd));
    if (*pid == 0) {
        launch_agent(sockets, n);
        _exit(0);
    }
    return SERRY_OK;
}
