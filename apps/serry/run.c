/* run.c: `serry run` from beginning to end. */
#include "run.h"
#include "command.h"

#include "base/fds.h"
#include "base/outlive.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define RUN_GROUPS_END SRI_MS(50) /* for killed processes to be gone */

void run_say(const run *r, const char *fmt, ...)
{
    if (r->o.quiet)
        return;
    char text[2048];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    command_say("run", "%s", text);
}

/* Says why the run cannot be started; the exit status. */
static int run_fail(int status)
{
    command_say("run", "%s", serry_err_detail());
    return status;
}

/* -1, or the exit status. */
static int run_change_directory(const char *wdir)
{
    if (!wdir)
        return -1;
    char path[PATH_MAX];
    if (chdir(wdir) != 0) {
        command_say("run", "--wdir: cannot change to '%s': %s", wdir, strerror(errno));
        return EXIT_USAGE;
    }
    if (getcwd(path, sizeof path))
        setenv("PWD", path, 1);
    return -1;
}

/* What this process changes of itself, and puts back for the ranks. */
static void run_prepare_self(run *r)
{
    sigprocmask(SIG_BLOCK, NULL, &r->mask);
    unsetenv(SRI_OUTLIVE); /* it was said of us, not of the ranks */
    r->ignores_children = signal(SIGCHLD, SIG_DFL) == SIG_IGN;
    getrlimit(RLIMIT_NOFILE, &r->files);
    struct rlimit all = { .rlim_cur = r->files.rlim_max, .rlim_max = r->files.rlim_max };
    setrlimit(RLIMIT_NOFILE, &all);
}

static serry_err run_open(run *r)
{
    sri_agent_options a = {
        .size = r->o.size, .ctx = r, .fate = run_member_fate, .aborted = run_member_aborted
    };
    SRI_TRY(sri_agent_options_read(&a));
    r->null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (r->null < 0)
        return sri_fail_errno("/dev/null");
    r->ranks = calloc((size_t)r->o.size, sizeof *r->ranks);
    if (!r->ranks)
        return sri_fail(SERRY_ENOMEM, "no memory for %d ranks", r->o.size);
    for (int i = 0; i < r->o.size; i++)
        r->ranks[i].pidfd = -1;
    run_orphans_adopt(r);
    SRI_TRY(run_guard_start(r));
    SRI_TRY(sri_agent_create(&r->agent, &a));
    SRI_TRY(run_events_open(r));
    if (!r->o.tag && !r->o.timestamp)
        return SERRY_OK;
    SRI_TRY(run_output_create(&r->output, r->o.size, r->o.tag, r->o.timestamp));
    return run_events_add(r, run_output_ended(r->output), EPOLLIN, RUN_EVENT_OUTPUT, 0);
}

/* execvp says EACCES, too, where nothing was found and a directory of the PATH cannot be searched.
 */
static bool run_is_in_path(const char *program)
{
    const char *all = getenv("PATH");
    char path[PATH_MAX];
    for (const char *at = all; at; at = *at ? at + 1 : NULL) {
        int n = (int)strcspn(at, ":");
        snprintf(path, sizeof path, "%.*s/%s", n, at, program);
        if (access(path, F_OK) == 0)
            return true;
        at += n;
    }
    return false;
}

static int run_refused(const char *program, int error)
{
    struct stat st;
    if (error == EACCES && !strchr(program, '/') && !run_is_in_path(program))
        error = ENOENT;
    if (error != ENOENT && stat(program, &st) == 0 && S_ISDIR(st.st_mode))
        command_say("run", "cannot execute '%s': it is a directory", program);
    else if (error != ENOENT)
        command_say("run", "cannot execute '%s': %s", program, strerror(error));
    else if (strchr(program, '/') && access(program, F_OK) == 0)
        command_say("run", "cannot execute '%s': its interpreter is not found", program);
    else
        command_say("run", "program '%s' is not found", program);
    return error == ENOENT ? EXIT_NOT_FOUND : EXIT_CANNOT_EXECUTE;
}

/* For want of what serry_err_detail says. */
static int run_cannot_start(int rank)
{
    command_say("run", "cannot start rank %d: %s", rank, serry_err_detail());
    return EXIT_FAILURE;
}

/* The process, its seat, and how its end is noticed. -1, or the exit status. */
static int run_start_process(run *r, run_spawn *s, int rank)
{
    int pair[2];
    if (sri_socket_pair(pair) != SERRY_OK)
        return run_cannot_start(rank);
    if (sri_agent_seat(r->agent, rank, pair[0]) != SERRY_OK) {
        close(pair[1]);
        return run_cannot_start(rank);
    }
    run_rank *k = &r->ranks[rank];
    s->join = pair[1];
    int error = run_spawn_rank(s, rank, &k->pid);
    close(pair[1]);
    if (error != 0 && s->refused)
        return run_refused(s->argv[0], error);
    errno = error;
    if (error != 0 && sri_fail_errno("fork") != SERRY_OK)
        return run_cannot_start(rank);
    r->alive++;
    k->pidfd = (int)syscall(SYS_pidfd_open, k->pid, 0);
    if (k->pidfd < 0 && sri_fail_errno("pidfd_open") != SERRY_OK)
        return run_cannot_start(rank);
    return run_events_add(r, k->pidfd, EPOLLIN, RUN_EVENT_RANK, rank) == SERRY_OK
               ? -1
               : run_cannot_start(rank);
}

/* Where it writes to; *own: the caller's to close. */
static serry_err run_take_output(run *r, int rank, int *out, int *err, bool *own)
{
    *out = STDOUT_FILENO;
    *err = STDERR_FILENO;
    *own = r->output || r->dir >= 0;
    if (!*own)
        return SERRY_OK;
    *out = *err = -1;
    return r->output ? run_output_pipes(r->output, rank, out, err)
                     : run_files_take(r, rank, out, err);
}

/* Gives it its three streams. */
static int run_start_rank(run *r, run_spawn *s, int rank)
{
    bool own_in = false, own_out = false;
    int status = EXIT_FAILURE;
    s->in = s->out = s->err = -1;
    if (run_input_take(r, rank, &s->in, &own_in) != SERRY_OK
        || run_take_output(r, rank, &s->out, &s->err, &own_out) != SERRY_OK)
        run_fail(status);
    else
        status = run_start_process(r, s, rank);
    if (own_in)
        sri_close(&s->in);
    if (own_out) {
        sri_close(&s->out);
        sri_close(&s->err);
    }
    return status;
}

/* The ranks of one program, from this one on. */
static int run_start_app(run *r, run_spawn *s, const run_app *app, int first, const cpu_set_t *cpus)
{
    int status = -1;
    s->argv = app->program;
    for (int rank = first; rank < first + app->size && status < 0; rank++) {
        s->cpus = cpus ? &cpus[rank] : NULL;
        status = run_start_rank(r, s, rank);
    }
    return status;
}

static int run_start_all(run *r)
{
    run_spawn s;
    if (run_input_open(r) != SERRY_OK || run_spawn_init(&s, r) != SERRY_OK)
        return run_fail(EXIT_FAILURE);
    cpu_set_t *cpus = run_bind_plan(r);
    if (r->o.report_bindings)
        run_bind_report(r, cpus);
    int status = -1, first = 0;
    for (int i = 0; i < r->o.n_apps && status < 0; i++) {
        status = run_start_app(r, &s, &r->o.apps[i], first, cpus);
        first += r->o.apps[i].size;
    }
    free(cpus);
    run_spawn_fini(&s);
    if (status < 0 && r->output && run_output_start(r->output) != SERRY_OK)
        return run_fail(EXIT_FAILURE);
    return status;
}

static void run_loop(run *r)
{
    SERRY_IGNORE(sri_deadline(r->o.timeout, &r->timeout_at));
    run_events_arm(r);
    sri_agent_run(r->agent);
    while (r->alive > 0)
        run_events_handle(r, -1);
    while (r->output && !r->output_ended && !r->output_abandoned)
        run_events_handle(r, -1);
}

/* Ends and reaps what is left. Only then can a group's number become somebody else's. */
static void run_reap(run *r)
{
    run_signal_all(r, SIGKILL);
    for (int i = 0; i < r->o.size; i++) {
        while (r->ranks[i].pid > 0 && waitpid(r->ranks[i].pid, NULL, 0) < 0 && errno == EINTR)
            ;
        sri_close(&r->ranks[i].pidfd);
    }
    r->reaped = true;
    run_orphans_end(r);
    /* Others in the groups are not our children, and are gone a moment after they were killed;
     * where nobody reaps orphans they stay as zombies, and are not waited for any longer. */
    sri_ns until = sri_now() + RUN_GROUPS_END;
    for (int i = 0; i < r->o.size; i++) {
        while (r->ranks[i].pid > 1 && kill(-r->ranks[i].pid, 0) == 0 && sri_now() < until)
            usleep(500);
    }
}

static void run_close(run *r)
{
    if (r->ranks)
        run_reap(r);
    run_guard_end(r);
    run_input_close(r);
    if (r->output) {
        int error = run_output_destroy(r->output, !r->output_abandoned);
        if (error != 0 && error != EPIPE) {
            command_say("run", "cannot write the ranks' output: %s", strerror(error));
            /* Ranks that wrote on have got SIGPIPE, which is not the cause. */
            if (r->status == 0 || r->status == EXIT_SIGNAL + SIGPIPE)
                r->status = EXIT_FAILURE;
        }
    }
    run_events_close(r);
    run_files_close(r);
    if (r->agent)
        sri_agent_destroy(r->agent);
    sri_close(&r->null);
    free(r->ranks);
}

static void run_all(run *r)
{
    run_prepare_self(r);
    serry_err e = run_open(r);
    if (e != SERRY_OK) {
        r->status = run_fail(e == SERRY_EINVAL ? EXIT_USAGE : EXIT_FAILURE);
    } else {
        int status = run_start_all(r);
        if (status < 0)
            run_loop(r);
        else
            r->status = status;
    }
    run_close(r);
}

int command_run(int argc, char **argv)
{
    run r = { .events = -1,
              .signals = -1,
              .timer = -1,
              .null = -1,
              .dir = -1,
              .guard = -1,
              .timeout_at = SRI_NEVER,
              .kill_at = SRI_NEVER,
              .stop_at = SRI_NEVER,
              .reap_at = SRI_NEVER };
    int status = run_options_read(&r.o, argc, argv);
    if (status < 0 && run_files_open(&r) != SERRY_OK) /* from where we were called */
        status = run_fail(EXIT_FAILURE);
    if (status < 0)
        status = run_change_directory(r.o.wdir);
    if (status < 0) {
        run_all(&r);
        status = r.status;
    }
    run_options_free(&r.o);
    return status;
}
