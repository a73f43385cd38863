/* core/world.c: serry_init, serry_finalize, serry_abort, and the life of a started process. */
#include "core/world.h"

#include "agent/wire.h"
#include "base/env.h"
#include "base/log.h"
#include "core/member.h"
#include "core/message.h"
#include "core/progress.h"
#include "core/service.h"
#include "core/unseen.h"
#include "core/wait.h"
#include "transport/local/local.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/single_threaded.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define WORLD_RANKS_MAX 4094

/* What finalize has to clean up after, in the process that made it. */
static struct {
    pid_t agent;
    int agent_pidfd;
    pid_t *ranks; /* forked for SERRY_NP */
    int n_ranks;
    bool released;
    bool start_by_agent;
} world = { .agent_pidfd = -1 };

/* ---- the agent's word that everybody may go ---- */

static void world_released(uint64_t object, const uint8_t *bytes, size_t len)
{
    (void)object;
    (void)bytes;
    (void)len;
    world.released = true;
}

static const sri_object_class world_class = {
    .type = SRI_TYPE_AGENT,
    .name = "agent",
    .feed = world_released,
};
SRI_OBJECT_CLASS(world_class)

/* ---- joining ---- */

static serry_err world_options(void)
{
    static const char *const starts[] = { "fork", "agent" };
    int which = 0;
    const char *level = sri_env("SERRY_LOG");
    sri_log_level l;
    SRI_TRY(sri_env_word("SERRY_START", starts, 2, &which));
    world.start_by_agent = which == 1;
    if (level && !sri_log_level_named(level, &l))
        return sri_fail(SERRY_EINVAL, "SERRY_LOG is '%s'; it must be one of: none, error, warn, "
                                      "info, debug", level);
    if (level)
        sri_log_set_level(l);
    return SERRY_OK;
}

bool sri_world_may_fork(void)
{
    return __libc_single_threaded && !world.start_by_agent;
}

serry_err sri_world_join(int socket)
{
    sri_transport *t;
    sri_welcome w;
    SRI_TRY(sri_local_join(socket, SRI_JOIN_MEMBER, &sri_progress_sink, &t, &w));
    sri_world = (sri_core){ .transport = t, .rank = w.rank, .size = w.size, .parent = w.parent,
                            .process = w.process, .parent_process = w.parent_process,
                            .daemon = w.daemon, .max_message = w.max_message,
                            .places = { .nodes = 1, .size = w.size } };
    world.released = false;
    sri_log_set_rank(w.rank);
    sri_wait_reset();
    serry_err e = sri_message_init();
    if (e == SERRY_OK)
        e = sri_service_init();
    if (e == SERRY_OK)
        e = sri_member_set(true);
    if (e != SERRY_OK)
        sri_world_leave(false);
    return e;
}

void sri_world_leave(bool inherited)
{
    sri_transport *t = sri_world.transport;
    if (!t)
        return;
    sri_member_set(false);
    sri_message_fini();
    sri_service_fini();
    t->ops->close(t, inherited);
    sri_world.transport = NULL;
}

/* ---- SERRY_NP ---- */

static void world_close_all(int *fds, int n)
{
    for (int i = 0; i < n; i++)
        sri_close(&fds[i]);
}

static serry_err world_pairs(int n, int **agents, int **members)
{
    int *fds = malloc(2 * (size_t)n * sizeof *fds);
    if (!fds)
        return sri_fail(SERRY_ENOMEM, "no memory for %d sockets", 2 * n);
    for (int i = 0; i < n; i++) {
        int pair[2];
        if (sri_socket_pair(pair) != SERRY_OK) {
            world_close_all(fds, i);
            world_close_all(fds + n, i);
            free(fds);
            return sri_fail(SERRY_ELIMIT, "%d ranks need %d descriptors and more: see ulimit -n", n,
                            2 * n);
        }
        fds[i] = pair[0];
        fds[n + i] = pair[1];
    }
    *agents = fds;
    *members = fds + n;
    return SERRY_OK;
}

/* Forks ranks 1 .. n-1. Returns in each of them: *rank says which this process is. */
static serry_err world_fork_ranks(int n, int *rank)
{
    *rank = 0;
    if (n == 1)
        return SERRY_OK;
    world.ranks = calloc((size_t)n, sizeof *world.ranks);
    if (!world.ranks)
        return sri_fail(SERRY_ENOMEM, "no memory for %d ranks", n);
    fflush(NULL); /* what is buffered is printed once */
    for (int r = 1; r < n; r++) {
        pid_t pid = fork();
        if (pid == 0) {
            free(world.ranks);
            world.ranks = NULL;
            world.n_ranks = 0;
            *rank = r;
            return SERRY_OK;
        }
        if (pid < 0)
            return sri_fail_errno("forking the ranks of SERRY_NP");
        world.ranks[world.n_ranks++] = pid;
    }
    return SERRY_OK;
}

/* There will be no world: neither the ranks that were forked nor the agent are left behind. */
static void world_undo(void)
{
    for (int i = 0; i < world.n_ranks; i++) {
        kill(world.ranks[i], SIGKILL);
        waitpid(world.ranks[i], NULL, 0);
    }
    free(world.ranks);
    world.ranks = NULL;
    world.n_ranks = 0;
    if (world.agent > 0)
        sri_unseen_reap(world.agent, &world.agent_pidfd, 5);
    world.agent = 0;
}

static serry_err world_init_direct(void)
{
    int64_t n = 1;
    int *agents = NULL;
    int *members = NULL;
    int rank;
    SRI_TRY(sri_env_int("SERRY_NP", 1, WORLD_RANKS_MAX, &n));
    SRI_TRY(world_pairs((int)n, &agents, &members));
    serry_err e = sri_world_fork_agent(agents, (int)n, &world.agent, &world.agent_pidfd);
    world_close_all(agents, (int)n);
    if (e == SERRY_OK)
        e = world_fork_ranks((int)n, &rank);
    if (e == SERRY_OK) {
        int mine = members[rank];
        members[rank] = -1;
        world_close_all(members, (int)n);
        if (rank != 0) {
            world.agent = 0;
            sri_close(&world.agent_pidfd);
        }
        e = sri_world_join(mine);
    } else {
        world_close_all(members, (int)n);
    }
    if (e != SERRY_OK)
        world_undo();
    free(agents);
    return e;
}

/* ---- under a launcher ---- */

static serry_err world_init_launched(const char *text)
{
    int64_t fd;
    int kind;
    socklen_t len = sizeof kind;
    SRI_TRY(sri_parse_int("SERRY_JOIN_FD", text, 0, INT32_MAX, &fd));
    if (getsockopt((int)fd, SOL_SOCKET, SO_TYPE, &kind, &len) != 0 || kind != SOCK_SEQPACKET)
        return sri_fail(SERRY_EINVAL, "SERRY_JOIN_FD is %s, which is not a launcher's socket", text);
    /* For this process alone: neither its children nor the programs they execute are this rank. */
    fcntl((int)fd, F_SETFD, FD_CLOEXEC);
    unsetenv("SERRY_JOIN_FD");
    return sri_world_join((int)fd);
}

serry_err serry_init(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    if (sri_is_member())
        return sri_fail(SERRY_ESTATE, sri_world.parent >= 0
                                          ? "a started process is a member already"
                                          : "serry_init has been called already");
    if (sri_world.rank >= 0)
        return sri_fail(SERRY_ESTATE, "a process joins the world once");
    SRI_TRY(world_options());
    const char *launched = sri_env("SERRY_JOIN_FD");
    SRI_TRY(launched ? world_init_launched(launched) : world_init_direct());
    if (sri_world.rank == 0)
        sri_nursery_start();
    return SERRY_OK;
}

/* ---- leaving ---- */

/* Which of this process's live children must be joined; zero: none. */
static uint64_t world_next_child(void)
{
    sri_reply reply = { 0 };
    uint64_t found = 0;
    if (sri_service_call(SRI_SERVICE_AGENT, SRI_AGENT_CHILDREN, NULL, 0, NULL, 0, &reply, SRI_NEVER)
        != SERRY_OK)
        return 0;
    for (size_t i = 0; i + 8 <= reply.len && !found; i += 8) {
        uint64_t id;
        sri_reply info_reply = { 0 };
        sri_agent_info info;
        memcpy(&id, reply.bytes + i, sizeof id);
        if (sri_service_call(SRI_SERVICE_AGENT, SRI_AGENT_INFO, &id, sizeof id, NULL, 0, &info_reply,
                             SRI_NEVER)
                == SERRY_OK
            && info_reply.len == sizeof info) {
            memcpy(&info, info_reply.bytes, sizeof info);
            if (!info.daemon)
                found = id;
        }
        sri_reply_fini(&info_reply);
    }
    sri_reply_fini(&reply);
    return found;
}

/* What this member has promised is done before it says that it leaves. */
static void world_leaving(void)
{
    size_t n;
    const sri_object_class *const *classes = sri_object_classes(&n);
    for (size_t i = 0; i < n; i++) {
        if (classes[i]->leaving)
            classes[i]->leaving();
    }
}

void sri_world_join_children(void)
{
    uint64_t child;
    if (sri_enter() != SERRY_OK)
        return;
    while ((child = world_next_child()) != 0)
        SERRY_IGNORE(sri_service_call(SRI_SERVICE_AGENT, SRI_AGENT_JOIN, &child, sizeof child, NULL,
                                      0, NULL, SRI_NEVER));
    sri_leave();
}

static void world_reap(void)
{
    for (int i = 0; i < world.n_ranks; i++) {
        int status = 0;
        pid_t got;
        while ((got = waitpid(world.ranks[i], &status, 0)) < 0 && errno == EINTR)
            ;
        if (got > 0 && WIFSIGNALED(status))
            sri_log(SRI_LOG_WARN, "rank %d (pid %d) was killed by signal %d", i + 1, (int)got,
                    WTERMSIG(status));
        else if (got > 0 && WEXITSTATUS(status) != 0)
            sri_log(SRI_LOG_WARN, "rank %d (pid %d) exited with code %d", i + 1, (int)got,
                    WEXITSTATUS(status));
    }
    free(world.ranks);
    world.ranks = NULL;
    world.n_ranks = 0;
    sri_nursery_reap();
    if (world.agent > 0)
        sri_unseen_reap(world.agent, &world.agent_pidfd, 5);
    world.agent = 0;
}

serry_err serry_finalize(void)
{
    uint32_t number;
    SRI_TRY(sri_enter());
    if (sri_world.parent >= 0) {
        sri_leave();
        return sri_fail(SERRY_ESTATE, "a started process does not finalize: its function returns");
    }
    if (sri_world.finalizing) {
        sri_leave();
        return sri_fail(SERRY_ESTATE, "serry_finalize has been called already");
    }
    sri_world.finalizing = true;
    sri_leave();
    sri_world_join_children();
    world_leaving();

    SRI_TRY(sri_enter());
    serry_err e = sri_service_start(SRI_SERVICE_AGENT, SRI_AGENT_FINALIZE, NULL, 0, NULL, 0, &number);
    sri_leave();
    if (e != SERRY_OK)
        return e;
    size_t n;
    const sri_object_class *const *classes = sri_object_classes(&n);
    for (size_t i = 0; i < n; i++) {
        if (classes[i]->finalizing)
            classes[i]->finalizing(&world.released);
    }
    SRI_TRY(sri_enter());
    sri_waiting why = { .kind = SRI_WAIT_FINALIZE, .peer = SRI_AGENT };
    SERRY_IGNORE(sri_wait(&world.released, SRI_NEVER, &why));
    SERRY_IGNORE(sri_service_finish(number, NULL, SRI_NEVER, false));
    sri_world_leave(false);
    sri_leave();
    world_reap();
    return SERRY_OK;
}

void serry_abort(int code)
{
    int32_t c = code ? code : 1;
    if (sri_is_member()) {
        sri_lock();
        /* A home never waits for a member: the post goes out, or the agent is gone with us. */
        SERRY_IGNORE(sri_service_post(SRI_SERVICE_AGENT, SRI_AGENT_ABORT, &c, sizeof c, NULL, 0));
        sri_unlock();
    }
    _exit(c);
}

void serry_check_failed(const char *file, int line, const char *call, serry_err e)
{
    sri_log(SRI_LOG_ERROR, "%s:%d: %s: %s (%s): %s", file, line, call, serry_err_name(e),
            serry_err_text(e), serry_err_detail());
    serry_abort(1);
}

/* ---- started processes ---- */

void sri_world_child(int socket, serry_process_fn fn, const void *arg, size_t len)
{
    /* What the parent would have cleaned up is the parent's. */
    world.agent = 0;
    sri_close(&world.agent_pidfd);
    free(world.ranks);
    world.ranks = NULL;
    world.n_ranks = 0;
    sri_nursery_forget();
    serry_err e = sri_world_join(socket);
    if (e != SERRY_OK) {
        sri_log(SRI_LOG_ERROR, "a started process cannot join: %s", serry_err_detail());
        _exit(70);
    }
    int32_t code = fn(arg, len);
    sri_world_join_children();
    world_leaving();
    fflush(NULL);
    if (sri_enter() == SERRY_OK) {
        sri_world.finalizing = true; /* other threads may still go on for a moment */
        SERRY_IGNORE(sri_service_call(SRI_SERVICE_AGENT, SRI_AGENT_EXIT, &code, sizeof code, NULL, 0,
                                      NULL, SRI_NEVER));
        sri_leave();
    }
    _exit(code & 0xff);
}
