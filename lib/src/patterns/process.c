/* patterns/process.c: a function run in a process of its own.
 *
 * The agent gives out the rank and the socket to join by; then either the caller forks itself, and
 * the child joins over that socket, or the agent has the nursery fork a clean copy. Whose ends are
 * whose: the caller reaps what it forked, by its pid, when the agent says that it has ended; exit
 * codes come from the agent, so that any process may join. */
#include "agent/wire.h"
#include "base/hash.h"
#include "base/fds.h"
#include "base/log.h"
#include "agent/handle.h"
#include "core/clean_start.h"
#include "core/progress.h"
#include "core/service.h"
#include "core/wait.h"
#include "start/world.h"

#include <serry/process.h>

#include <stdalign.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* A child that this process forked and has not reaped. */
typedef struct process_forked {
    int rank;
    pid_t pid;
    UT_hash_handle hh;
} process_forked;

static process_forked *process_children_forked;

static process_forked *process_find(int rank)
{
    process_forked *f;
    HASH_FIND_INT(process_children_forked, &rank, f);
    return f;
}

/* Told of every fate: a child of ours that has ended is reaped, it alone. */
static void process_fate(int rank, sri_fate fate, int code)
{
    (void)code;
    process_forked *f = process_children_forked ? process_find(rank) : NULL;
    if (!f || fate == SRI_FATE_LEFT)
        return;
    pid_t got = waitpid(f->pid, NULL, WNOHANG);
    if (got == 0)
        return; /* lives on without us: it has closed its socket */
    HASH_DEL(process_children_forked, f);
    free(f);
}

static void process_forget_all(void)
{
    process_forked *f, *next;
    HASH_ITER (hh, process_children_forked, f, next) {
        HASH_DEL(process_children_forked, f);
        free(f);
    }
}

static serry_err process_check_arguments(serry_process *p, serry_process_fn fn, const void *arg,
                                         size_t len, const serry_process_options *o)
{
    if (!p || !fn)
        return sri_fail(SERRY_EINVAL, "%s is NULL", p ? "the function" : "the handle's place");
    if (!arg && len > 0)
        return sri_fail(SERRY_EINVAL, "the argument is NULL, with a length of %zu bytes", len);
    if (len > sri_world.max_message)
        return sri_fail(SERRY_ELIMIT, "an argument has at most %llu bytes, not %zu",
                        (unsigned long long)sri_world.max_message, len);
    if (o && o->name && (o->name[0] == 0 || strlen(o->name) > 63))
        return sri_fail(SERRY_EINVAL, "a process's name has 1 to 63 bytes, not %zu",
                        strlen(o->name));
    return SERRY_OK;
}

static serry_err process_args(sri_agent_start *args, const serry_process_options *o)
{
    *args = (sri_agent_start){ .daemon = o && o->daemon };
    if (o && o->name)
        memcpy(args->name, o->name, strlen(o->name) + 1);
    return sri_node_of(o ? o->node : 0, &args->node);
}

/* From the clean copy of the program, by the agent. */
static serry_err process_by_agent(sri_agent_started *started, serry_process_fn fn, const void *arg,
                                  size_t len, sri_agent_start *args)
{
    sri_any_fn any;
    memcpy(&any, &fn, sizeof any);
    fflush(NULL); /* what was printed before comes before what the child prints */
    return sri_clean_start(args, any, arg, len, started);
}

/* In the child: the caller's bytes, aligned for any type as those from the agent are. */
static const void *process_aligned(const void *arg, size_t len)
{
    if (len == 0 || (uintptr_t)arg % alignof(max_align_t) == 0)
        return arg;
    void *copy = malloc(len);
    if (!copy) {
        sri_log(SRI_LOG_ERROR, "a started process has no memory for its argument of %zu bytes",
                len);
        _exit(70);
    }
    return memcpy(copy, arg, len);
}

/* By forking the caller. Returns in the parent only; core entered. */
static serry_err process_by_fork(sri_agent_started *started, serry_process_fn fn, const void *arg,
                                 size_t len, const sri_agent_start *args)
{
    sri_reply reply = { 0 };
    SRI_TRY(sri_service_call(SRI_SERVICE_AGENT, SRI_AGENT_START, args, sizeof *args, NULL, 0,
                             &reply, SRI_NEVER));
    int socket = reply.fd;
    if (reply.len != sizeof *started || socket < 0) {
        sri_reply_fini(&reply);
        return sri_fail(SERRY_ELIMIT, "no descriptor for a new process: see ulimit -n");
    }
    memcpy(started, reply.bytes, sizeof *started);
    sri_reply_fini(&reply);
    process_forked *f = malloc(sizeof *f);
    if (!f) {
        sri_close(&socket);
        return sri_fail(SERRY_ENOMEM, "no memory for a child");
    }
    f->rank = started->rank;
    HASH_ADD_INT(process_children_forked, rank, f);
    if (!SRI_HASHED(hh, f)) {
        free(f);
        sri_close(&socket);
        return sri_fail(SERRY_ENOMEM, "no memory for a child");
    }
    fflush(NULL); /* what is buffered is printed once */
    f->pid = fork();
    if (f->pid == 0) {
        sri_world_leave(true);
        process_forget_all();
        sri_world_child(socket, fn, process_aligned(arg, len), len);
    }
    sri_close(&socket); /* if there is no child, the agent notices by this */
    if (f->pid < 0) {
        serry_err e = sri_fail_errno("fork");
        HASH_DEL(process_children_forked, f);
        free(f);
        return e;
    }
    sri_fate_hook = process_fate;
    return SERRY_OK;
}

serry_err serry_process_start(serry_process *p, serry_process_fn fn, const void *arg, size_t len,
                              const serry_process_options *o)
{
    sri_agent_start args;
    sri_agent_started started;
    SRI_TRY(sri_enter());
    serry_err e = process_check_arguments(p, fn, arg, len, o);
    if (e == SERRY_OK)
        e = process_args(&args, o);
    if (e == SERRY_OK && sri_world.daemon)
        e = sri_fail(SERRY_EPERM, "rank %d is a daemon: it may not start processes",
                     sri_world.rank);
    if (e == SERRY_OK)
        e = sri_world_may_fork() && args.node == sri_world.places.node
                ? process_by_fork(&started, fn, arg, len, &args)
                : process_by_agent(&started, fn, arg, len, &args);
    if (e == SERRY_OK)
        p->id = started.process;
    sri_leave();
    return e;
}

/* ---- asking ---- */

static serry_err process_check(serry_process p)
{
    if (sri_handle_class(p.id) != SRI_TYPE_PROCESS || sri_handle_generation(p.id) == 0)
        return sri_fail(SERRY_EHANDLE, "the handle %#llx names no process",
                        (unsigned long long)p.id);
    return SERRY_OK;
}

static serry_err process_ask(serry_process p, sri_agent_info *info)
{
    sri_reply reply = { 0 };
    SRI_TRY(process_check(p));
    SRI_TRY(sri_service_call(SRI_SERVICE_AGENT, SRI_AGENT_INFO, &p.id, sizeof p.id, NULL, 0, &reply,
                             SRI_NEVER));
    serry_err e = SERRY_OK;
    if (reply.len == sizeof *info)
        memcpy(info, reply.bytes, sizeof *info);
    else
        e = sri_fail(SERRY_EINTERNAL, "the answer about a process has %zu bytes", reply.len);
    sri_reply_fini(&reply);
    if (e == SERRY_OK && info->pid == 0) {
        /* It has not joined yet; whoever forked it knows. */
        process_forked *f = process_find(info->rank);
        info->pid = f ? f->pid : 0;
    }
    return e;
}

serry_err serry_process_info_of(serry_process p, serry_process_info *info)
{
    sri_agent_info got;
    if (!info)
        return sri_fail(SERRY_EINVAL, "the place for the answer is NULL");
    SRI_TRY(sri_enter());
    serry_err e = process_ask(p, &got);
    sri_leave();
    if (e != SERRY_OK)
        return e;
    *info = (serry_process_info){
        .pid = got.pid, .rank = got.rank, .alive = got.alive, .daemon = got.daemon
    };
    memcpy(info->name, got.name, sizeof info->name);
    info->name[sizeof info->name - 1] = 0;
    return SERRY_OK;
}

bool serry_process_is_alive(serry_process p)
{
    sri_agent_info info;
    if (sri_enter() != SERRY_OK)
        return false;
    bool alive = process_ask(p, &info) == SERRY_OK && info.alive;
    sri_leave();
    return alive;
}

serry_process serry_process_self(void)
{
    return (serry_process){ sri_is_member() ? sri_world.process : 0 };
}

serry_process serry_process_parent(void)
{
    return (serry_process){ sri_is_member() ? sri_world.parent_process : 0 };
}

size_t serry_process_children(serry_process *out, size_t cap)
{
    sri_reply reply = { 0 };
    size_t n = 0;
    if (sri_enter() != SERRY_OK)
        return 0;
    if (sri_service_call(SRI_SERVICE_AGENT, SRI_AGENT_CHILDREN, NULL, 0, NULL, 0, &reply, SRI_NEVER)
        == SERRY_OK) {
        n = reply.len / sizeof(uint64_t);
        for (size_t i = 0; i < n && i < cap && out; i++)
            memcpy(&out[i].id, reply.bytes + i * sizeof(uint64_t), sizeof(uint64_t));
    }
    sri_reply_fini(&reply);
    sri_leave();
    return n;
}

/* ---- waiting ---- */

static serry_err process_wait(const serry_process *ps, size_t n, sri_agent_joined *joined,
                              sri_ns deadline)
{
    sri_reply reply = { 0 };
    for (size_t i = 0; i < n; i++) {
        SRI_TRY(process_check(ps[i]));
        if (ps[i].id == sri_world.process)
            return sri_fail(SERRY_EINVAL, "a process cannot wait for its own end");
    }
    serry_err e = sri_service_call(SRI_SERVICE_AGENT, SRI_AGENT_JOIN, ps, n * sizeof *ps, NULL, 0,
                                   &reply, deadline);
    if (e == SERRY_ETIMEDOUT)
        return n == 1
                   ? sri_fail(e, "the process of rank %u has not ended", sri_handle_index(ps[0].id))
                   : sri_fail(e, "none of %zu processes has ended, the first of them rank %u", n,
                              sri_handle_index(ps[0].id));
    if (e == SERRY_OK && reply.len != sizeof *joined)
        e = sri_fail(SERRY_EINTERNAL, "the answer to a join has %zu bytes", reply.len);
    if (e == SERRY_OK)
        memcpy(joined, reply.bytes, sizeof *joined);
    sri_reply_fini(&reply);
    return e;
}

serry_err serry_process_join(serry_process p, int *code, double timeout)
{
    sri_agent_joined joined;
    sri_ns deadline;
    SRI_TRY(sri_deadline(timeout, &deadline));
    SRI_TRY(sri_enter());
    serry_err e = process_wait(&p, 1, &joined, deadline);
    if (e == SERRY_OK)
        sri_progress(); /* hear of the fate: the child is reaped now, not at the next call */
    sri_leave();
    if (e == SERRY_OK && code)
        *code = joined.code;
    return sri_within(e, timeout);
}

serry_err serry_process_wait_any(const serry_process *ps, size_t n, size_t *which, double timeout)
{
    sri_agent_joined joined;
    sri_ns deadline;
    if (!ps || n == 0)
        return sri_fail(SERRY_EINVAL, "there is no process to wait for");
    SRI_TRY(sri_check_array(n, sizeof *ps, "processes"));
    SRI_TRY(sri_deadline(timeout, &deadline));
    SRI_TRY(sri_enter());
    serry_err e = process_wait(ps, n, &joined, deadline);
    sri_leave();
    if (e == SERRY_OK && which)
        *which = joined.which;
    return sri_within(e, timeout);
}

/* ---- signals ---- */

serry_err serry_process_signal(serry_process p, int signal)
{
    if (signal < 0 || signal > 64)
        return sri_fail(SERRY_EINVAL, "there is no signal %d", signal);
    SRI_TRY(sri_enter());
    sri_agent_signal args = { .process = p.id, .signal = signal };
    serry_err e = process_check(p);
    if (e == SERRY_OK)
        e = sri_service_call(SRI_SERVICE_AGENT, SRI_AGENT_SIGNAL, &args, sizeof args, NULL, 0, NULL,
                             SRI_NEVER);
    sri_leave();
    return e;
}

serry_err serry_process_terminate(serry_process p)
{
    return serry_process_signal(p, 15);
}

serry_err serry_process_kill(serry_process p)
{
    return serry_process_signal(p, 9);
}
