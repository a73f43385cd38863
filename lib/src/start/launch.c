/* start/launch.c: a program that was started without a launcher makes its own world: one agent for
 * each node of SERRY_NODES, all on this machine, and the ranks of SERRY_NP. */
#include "start/launch.h"

#include "base/env.h"
#include "base/fds.h"
#include "base/log.h"
#include "core/unseen.h"
#include "start/guest.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/single_threaded.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define LAUNCH_RANKS_MAX 4094
#define LAUNCH_LINKS_WITHIN(nodes) (SRI_MS(10000) + (nodes)*SRI_MS(50)) /* for agents to meet */
#define LAUNCH_MOMENT SRI_MS(2000) /* for those who are told that there will be no world */

/* What is made before anybody is forked. */
typedef struct launch {
    int n; /* ranks */
    int nodes;
    uint16_t *node_of; /* by rank */
    int *agents;       /* by rank: the agents' ends of the sockets, */
    int *members;      /* and the ranks' own */
    int *listeners;    /* by node */
    char (*addresses)[SRI_LINK_ADDRESS];
    uint8_t key[SRI_LINK_KEY];
} launch;

/* What has to be waited for, in the process that forked it. */
static struct {
    pid_t *agents;
    int *agent_pidfds;
    int n_agents;
    pid_t *ranks;
    int n_ranks;
} forked;

/* ---- options ---- */

static serry_err launch_options(launch *l)
{
    int64_t n = 1;
    int64_t nodes = 1;
    const char *text = sri_env("SERRY_NODES");
    SRI_TRY(sri_env_int("SERRY_NP", 1, LAUNCH_RANKS_MAX, &n));
    if (text && strcmp(text, "rank") == 0)
        nodes = n;
    else if (text && sri_parse_int("SERRY_NODES", text, 1, SRI_NODES_MAX, &nodes) != SERRY_OK)
        return sri_fail(SERRY_EINVAL,
                        "SERRY_NODES is '%s'; it must be 'rank' (every rank a node) or "
                        "a number from 1 to %d",
                        text, SRI_NODES_MAX);
    if (nodes > n)
        return sri_fail(SERRY_EINVAL,
                        "SERRY_NODES asks for %d nodes, but SERRY_NP for %d rank%s: every "
                        "node needs one at least",
                        (int)nodes, (int)n, n == 1 ? "" : "s");
    if (nodes > SRI_NODES_MAX)
        return sri_fail(SERRY_EINVAL,
                        "SERRY_NODES=rank makes %d nodes of SERRY_NP; there can be %d", (int)nodes,
                        SRI_NODES_MAX);
    l->n = (int)n;
    l->nodes = (int)nodes;
    return SERRY_OK;
}

/* ---- what is made first ---- */

static void launch_close_all(int *fds, int n)
{
    for (int i = 0; fds && i < n; i++)
        sri_close(&fds[i]);
}

static void launch_fini(launch *l)
{
    launch_close_all(l->agents, l->n);
    launch_close_all(l->members, l->n);
    launch_close_all(l->listeners, l->nodes);
    free(l->node_of);
    free(l->agents);
    free(l->members);
    free(l->listeners);
    free(l->addresses);
    explicit_bzero(l->key, sizeof l->key);
}

static int *launch_none(int n)
{
    int *fds = malloc((size_t)n * sizeof *fds);
    for (int i = 0; fds && i < n; i++)
        fds[i] = -1;
    return fds;
}

static serry_err launch_memory(launch *l)
{
    l->node_of = calloc((size_t)l->n, sizeof *l->node_of);
    l->agents = launch_none(l->n);
    l->members = launch_none(l->n);
    l->listeners = launch_none(l->nodes);
    l->addresses = calloc((size_t)l->nodes, sizeof *l->addresses);
    forked.agents = calloc((size_t)l->nodes, sizeof *forked.agents);
    forked.agent_pidfds = launch_none(l->nodes);
    forked.ranks = calloc((size_t)l->n, sizeof *forked.ranks);
    if (!l->node_of || !l->agents || !l->members || !l->listeners || !l->addresses || !forked.agents
        || !forked.agent_pidfds || !forked.ranks)
        return sri_fail(SERRY_ENOMEM, "no memory for %d ranks", l->n);
    for (int r = 0; r < l->n; r++)
        l->node_of[r] = (uint16_t)((int64_t)r * l->nodes / l->n);
    return SERRY_OK;
}

static serry_err launch_pairs(launch *l)
{
    for (int r = 0; r < l->n; r++) {
        int pair[2];
        if (sri_socket_pair(pair) != SERRY_OK)
            return sri_fail(SERRY_ELIMIT, "%d ranks need %d descriptors and more: see ulimit -n",
                            l->n, 2 * l->n);
        l->agents[r] = pair[0];
        l->members[r] = pair[1];
    }
    return SERRY_OK;
}

static serry_err launch_listeners(launch *l)
{
    if (l->nodes == 1)
        return SERRY_OK;
    if (getrandom(l->key, sizeof l->key, 0) != (ssize_t)sizeof l->key)
        return sri_fail_errno("getrandom for the key of the links");
    for (int k = 0; k < l->nodes; k++)
        SRI_TRY(sri_links_tcp_listen("lo", &l->listeners[k], l->addresses[k]));
    return SERRY_OK;
}

static serry_err launch_make(launch *l)
{
    serry_err e = launch_memory(l);
    if (e == SERRY_OK)
        e = launch_pairs(l);
    if (e == SERRY_OK)
        e = launch_listeners(l);
    return e;
}

/* ---- the agents ---- */

static serry_err launch_links(launch *l, int node, sri_agent_options *o)
{
    double heartbeat = 0; /* on one machine the kernel tells */
    SRI_TRY(sri_guest_heartbeat(&heartbeat));
    int listener = l->listeners[node];
    l->listeners[node] = -1;
    return sri_links_tcp_open(&o->links, listener, node, l->nodes,
                              (const char(*)[SRI_LINK_ADDRESS])l->addresses, l->key, heartbeat,
                              sri_now() + LAUNCH_LINKS_WITHIN(l->nodes));
}

/* parent: the process that has forked this one; 0: somebody in between has. */
static void launch_agent(launch *l, int node, pid_t parent)
{
    sri_agent_options o = {
        .size = l->n,
        .direct = true,
        .places = { .node = node, .nodes = l->nodes, .size = l->n, .node_of = l->node_of }
    };
    int *ranks = calloc((size_t)l->n + 1, sizeof *ranks);
    int *sockets = calloc((size_t)l->n + 1, sizeof *sockets);
    int n = 0;
    if (!ranks || !sockets)
        return; /* the ranks see their sockets end */
    for (int r = 0; r < l->n; r++) {
        if (l->node_of[r] != node)
            continue;
        ranks[n] = r;
        sockets[n++] = l->agents[r];
    }
    sockets[n] = l->listeners[node];
    sri_guest_settle(sockets, l->nodes > 1 ? n + 1 : n);
    serry_err e = sri_agent_options_read(&o);
    if (e == SERRY_OK && l->nodes > 1) {
        /* Nobody listens to the ranks' sockets meanwhile: whoever starts all this takes us along.
         */
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        e = parent == 0 || getppid() == parent ? launch_links(l, node, &o)
                                               : sri_fail(SERRY_EDIED, "rank 0 has gone");
        prctl(PR_SET_PDEATHSIG, 0);
    }
    sri_guest_run(&o, ranks, sockets, n, e);
}

static serry_err launch_agents(launch *l)
{
    pid_t parent = __libc_single_threaded ? getpid() : 0;
    for (int k = 0; k < l->nodes; k++) {
        pid_t pid;
        SRI_TRY(sri_unseen_fork(&pid, &forked.agent_pidfds[k]));
        if (pid == 0) {
            launch_agent(l, k, parent);
            _exit(0);
        }
        forked.agents[k] = pid;
        forked.n_agents = k + 1;
    }
    return SERRY_OK;
}

/* ---- the ranks ---- */

/* Forks ranks 1 .. n-1. Returns in each of them: *rank says which this process is. */
static serry_err launch_ranks(const launch *l, int *rank)
{
    *rank = 0;
    if (l->n == 1)
        return SERRY_OK;
    fflush(NULL); /* what is buffered is printed once */
    for (int r = 1; r < l->n; r++) {
        pid_t pid = fork();
        if (pid == 0) {
            sri_launch_forget();
            *rank = r;
            return SERRY_OK;
        }
        if (pid < 0)
            return sri_fail_errno("forking the ranks of SERRY_NP");
        forked.ranks[forked.n_ranks++] = pid;
    }
    return SERRY_OK;
}

serry_err sri_launch(int *socket)
{
    launch l = { 0 };
    int rank = 0;
    SRI_TRY(launch_options(&l));
    serry_err e = launch_make(&l);
    if (e == SERRY_OK)
        e = launch_agents(&l);
    launch_close_all(l.agents, l.n);
    launch_close_all(l.listeners, l.nodes);
    if (e == SERRY_OK)
        e = launch_ranks(&l, &rank);
    if (e == SERRY_OK) {
        *socket = l.members[rank];
        l.members[rank] = -1;
    }
    launch_fini(&l);
    if (e != SERRY_OK)
        sri_launch_undo();
    return e;
}

/* ---- the end ---- */

static bool launch_waited(pid_t pid, int *status, sri_ns deadline)
{
    for (;;) {
        pid_t got = waitpid(pid, status, deadline == SRI_NEVER ? 0 : WNOHANG);
        if (got == pid || (got < 0 && errno != EINTR))
            return got == pid;
        if (got == 0 && sri_now() >= deadline) {
            kill(pid, SIGKILL);
            deadline = SRI_NEVER;
        } else if (got == 0) {
            usleep(1000);
        }
    }
}

/* Those who have been told why there is no world have a moment to end by themselves. */
void sri_launch_undo(void)
{
    sri_ns until = sri_now() + LAUNCH_MOMENT;
    for (int i = 0; i < forked.n_ranks; i++) {
        int status;
        launch_waited(forked.ranks[i], &status, until);
    }
    forked.n_ranks = 0;
    for (int k = 0; k < forked.n_agents; k++) {
        if (forked.agent_pidfds[k] >= 0)
            syscall(SYS_pidfd_send_signal, forked.agent_pidfds[k], SIGKILL, NULL, 0);
        else
            kill(forked.agents[k], SIGKILL);
    }
    sri_launch_reap_agents();
    sri_launch_forget();
}

void sri_launch_reap_ranks(int lost)
{
    for (int i = 0; i < forked.n_ranks; i++) {
        int status = 0;
        bool got = launch_waited(forked.ranks[i], &status, SRI_NEVER);
        if (got && WIFSIGNALED(status))
            sri_log(SRI_LOG_WARN, "rank %d (pid %d) was killed by signal %d", i + 1,
                    (int)forked.ranks[i], WTERMSIG(status));
        else if (got && WEXITSTATUS(status) != 0)
            sri_log(SRI_LOG_WARN, "rank %d (pid %d) exited with code %d", i + 1,
                    (int)forked.ranks[i], WEXITSTATUS(status));
        else if (got && i + 1 == lost)
            sri_log(SRI_LOG_WARN, "rank %d (pid %d) exited with code 0, but without serry_finalize",
                    lost, (int)forked.ranks[i]);
    }
    forked.n_ranks = 0;
}

void sri_launch_reap_agents(void)
{
    for (int k = 0; k < forked.n_agents; k++)
        sri_unseen_reap(forked.agents[k], &forked.agent_pidfds[k], 5);
    forked.n_agents = 0;
    sri_launch_forget();
}

void sri_launch_forget(void)
{
    for (int k = 0; k < forked.n_agents; k++)
        sri_close(&forked.agent_pidfds[k]);
    free(forked.agents);
    free(forked.agent_pidfds);
    free(forked.ranks);
    forked.agents = forked.ranks = NULL;
    forked.agent_pidfds = NULL;
    forked.n_agents = forked.n_ranks = 0;
}
