/* start/world.c: serry_init, serry_finalize, serry_abort, and the life of a started process. */
#include "start/world.h"

#include "agent/wire.h"
#include "base/env.h"
#include "base/log.h"
#include "core/member.h"
#include "core/message.h"
#include "core/progress.h"
#include "core/service.h"
#include "core/wait.h"
#include "start/launch.h"
#include "start/world_mpi.h"
#include "transport/fault/fault.h"
#include "transport/local/local.h"
#include "transport/routed.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/single_threaded.h>
#include <sys/socket.h>
#include <unistd.h>

static struct {
    bool released;
    bool start_by_agent;
    uint16_t *node_of; /* what sri_world.places points to; NULL: there is one node */
} world;

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

serry_err sri_world_options(void)
{
    static const char *const starts[] = { "fork", "agent" };
    int which = 0;
    const char *level = sri_env("SERRY_LOG");
    sri_log_level l;
    SRI_TRY(sri_env_word("SERRY_START", starts, 2, &which));
    world.start_by_agent = which == 1;
    if (level && !sri_log_level_named(level, &l))
        return sri_fail(SERRY_EINVAL,
                        "SERRY_LOG is '%s'; it must be one of: none, error, warn, "
                        "info, debug",
                        level);
    if (level)
        sri_log_set_level(l);
    return SERRY_OK;
}

bool sri_world_may_fork(void)
{
    return __libc_single_threaded && !world.start_by_agent && !sri_far_active();
}

static serry_err world_places(sri_welcome *w, sri_places *p)
{
    *p = (sri_places){ .node = w->node, .nodes = w->nodes > 1 ? w->nodes : 1, .size = w->size };
    serry_err e = SERRY_OK;
    if (p->nodes > 1)
        e = sri_places_read(w->table, w->size, p->nodes, &world.node_of);
    p->node_of = world.node_of;
    sri_close(&w->table);
    return e;
}

/* Between the members of one node there is nothing between them and their lanes. */
static serry_err world_route(sri_transport **t, sri_transport *far, const sri_places *p)
{
    sri_transport *routed;
    serry_err e = SERRY_OK;
    if (p->nodes > 1)
        e = sri_routed_open(&routed, *t, far, p, &sri_progress_sink);
    if (p->nodes > 1 && e == SERRY_OK)
        *t = routed;
    else if (far)
        far->ops->close(far, false);
    return e;
}

/* Tests may have the seam behave as badly as it is allowed to. */
static serry_err world_faults(sri_transport **t)
{
#ifdef SRI_POINTS
    const char *text = sri_env("SERRY_FAULT");
    sri_fault_rates rates;
    if (!text)
        return SERRY_OK;
    SRI_TRY(sri_fault_parse(text, &rates));
    return sri_fault_wrap(t, &rates);
#else
    (void)t;
    return SERRY_OK;
#endif
}

serry_err sri_world_join(int socket, sri_transport *far)
{
    sri_transport *t;
    sri_welcome w;
    serry_err e = sri_local_join(socket, SRI_JOIN_MEMBER, &sri_progress_sink, &t, &w);
    if (e != SERRY_OK) {
        if (far)
            far->ops->close(far, false);
        return e;
    }
    sri_world = (sri_core){ .transport = t,
                            .rank = w.rank,
                            .size = w.size,
                            .parent = w.parent,
                            .process = w.process,
                            .parent_process = w.parent_process,
                            .daemon = w.daemon,
                            .max_message = w.max_message };
    world.released = false;
    e = world_places(&w, &sri_world.places);
    if (e == SERRY_OK)
        e = world_route(&sri_world.transport, far, &sri_world.places);
    else if (far)
        far->ops->close(far, false);
    if (e == SERRY_OK)
        e = world_faults(&sri_world.transport);
    sri_log_set_rank(w.rank);
    sri_wait_reset();
    if (e == SERRY_OK)
        e = sri_message_init();
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
    sri_world.places.node_of = NULL;
    free(world.node_of);
    world.node_of = NULL;
}

/* ---- the ways to come into the world ---- */

/* The lowest launched rank of each node keeps a clean copy of the program for it. */
static void world_nursery(void)
{
    if (sri_world.rank != sri_places_first(&sri_world.places, sri_world.places.node))
        return;
    SERRY_IGNORE(sri_nursery_fork() ? SERRY_OK : SERRY_ELIMIT);
    sri_nursery_introduce();
}

static serry_err world_init_direct(void)
{
    int socket;
    SRI_TRY(sri_launch(&socket));
    serry_err e = sri_world_join(socket, NULL);
    if (e == SERRY_OK)
        world_nursery();
    else
        sri_launch_undo();
    return e;
}

static serry_err world_init_launched(const char *text)
{
    int64_t fd;
    int kind;
    socklen_t len = sizeof kind;
    SRI_TRY(sri_parse_int("SERRY_JOIN_FD", text, 0, INT32_MAX, &fd));
    const char *nodes = sri_env("SERRY_NODES");
    if (nodes && strcmp(nodes, "1") != 0)
        return sri_fail(SERRY_EINVAL,
                        "SERRY_NODES is '%s', but under serry run all ranks are on one "
                        "node: unset it, or start the program directly (SERRY_NP=4 "
                        "SERRY_NODES=2 ./app) or by mpirun",
                        nodes);
    if (getsockopt((int)fd, SOL_SOCKET, SO_TYPE, &kind, &len) != 0 || kind != SOCK_SEQPACKET)
        return sri_fail(SERRY_EINVAL, "SERRY_JOIN_FD is %s, which is not a launcher's socket",
                        text);
    /* For this process alone: neither its children nor the programs they execute are this rank. */
    fcntl((int)fd, F_SETFD, FD_CLOEXEC);
    unsetenv("SERRY_JOIN_FD");
    SRI_TRY(sri_world_join((int)fd, NULL));
    world_nursery();
    return SERRY_OK;
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
    SRI_TRY(sri_world_options());
    const char *launched = sri_env("SERRY_JOIN_FD");
    if (launched)
        return world_init_launched(launched);
    sri_launcher l;
    SRI_TRY(sri_launcher_find(&l));
    return l.plugin ? sri_far_init(&l) : world_init_direct();
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
        if (sri_service_call(SRI_SERVICE_AGENT, SRI_AGENT_INFO, &id, sizeof id, NULL, 0,
                             &info_reply, SRI_NEVER)
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

/* Joins this process's children that are not daemons; core not entered. */
static void world_join_children(void)
{
    uint64_t child;
    if (sri_enter() != SERRY_OK)
        return;
    while ((child = world_next_child()) != 0)
        SERRY_IGNORE(sri_service_call(SRI_SERVICE_AGENT, SRI_AGENT_JOIN, &child, sizeof child, NULL,
                                      0, NULL, SRI_NEVER));
    sri_leave();
}

/* What this process has forked for the world ends with it. */
static void world_reap(int lost)
{
    sri_launch_reap_ranks(lost);
    sri_nursery_reap();
    sri_launch_reap_agents();
    sri_far_end(lost);
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
    world_join_children();
    world_leaving();

    SRI_TRY(sri_enter());
    serry_err e =
        sri_service_start(SRI_SERVICE_AGENT, SRI_AGENT_FINALIZE, NULL, 0, NULL, 0, &number);
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
    sri_reply reply = { 0 };
    int32_t lost = -1;
    SERRY_IGNORE(sri_wait(&world.released, SRI_NEVER, &why));
    if (sri_service_finish(number, &reply, SRI_NEVER, false) == SERRY_OK
        && reply.len == sizeof lost)
        memcpy(&lost, reply.bytes, sizeof lost);
    sri_reply_fini(&reply);
    sri_far_part(lost);
    sri_world_leave(false);
    sri_leave();
    world_reap(lost);
    return SERRY_OK;
}

void serry_abort(int code)
{
    int32_t c = code ? code : 1;
    if (sri_is_member()) {
        sri_lock();
        /* A home never waits for a member: the post goes out, or the agent is gone with us. */
        SERRY_IGNORE(sri_service_post(SRI_SERVICE_AGENT, SRI_AGENT_ABORT, &c, sizeof c, NULL, 0));
        sri_far_abort(c); /* whoever has launched the ranks ends them, and with this code */
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
    sri_launch_forget();
    sri_far_forget();
    sri_nursery_forget();
    serry_err e = sri_world_join(socket, NULL);
    if (e != SERRY_OK) {
        sri_log(SRI_LOG_ERROR, "a started process cannot join: %s", serry_err_detail());
        _exit(70);
    }
    int32_t code = fn(arg, len);
    world_join_children();
    world_leaving();
    fflush(NULL);
    if (sri_enter() == SERRY_OK) {
        sri_world.finalizing = true; /* other threads may still go on for a moment */
        SERRY_IGNORE(sri_service_call(SRI_SERVICE_AGENT, SRI_AGENT_EXIT, &code, sizeof code, NULL,
                                      0, NULL, SRI_NEVER));
        sri_leave();
    }
    _exit(code & 0xff);
}
