/* run_spawn.c: one rank's process. vfork, because a launcher with thousands of descriptors and a
 * large segment is slow to copy, and because the child can then say in plain memory why it did not
 * become the program. Between vfork and exec it makes system calls and nothing else.
 */
#include "run.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

extern char **environ;

static const char *const spawn_own[3] = { "SERRY_JOIN_FD", "SERRY_RANK", "SERRY_SIZE" };

static bool spawn_is_own(const char *variable)
{
    for (int i = 0; i < 3; i++) {
        size_t len = strlen(spawn_own[i]);
        if (strncmp(variable, spawn_own[i], len) == 0 && variable[len] == '=')
            return true;
    }
    return false;
}

serry_err run_spawn_init(run_spawn *s, const run *r)
{
    *s = (run_spawn){ .run = r, .launcher = getpid() };
    size_t n = 0;
    while (environ[n])
        n++;
    s->environment = malloc((n + 4) * sizeof *s->environment);
    if (!s->environment)
        return sri_fail(SERRY_ENOMEM, "no memory for an environment of %zu variables", n);
    size_t at = 0;
    for (int i = 0; i < 3; i++)
        s->environment[at++] = s->own[i];
    for (size_t i = 0; i < n; i++) {
        if (!spawn_is_own(environ[i]))
            s->environment[at++] = environ[i];
    }
    s->environment[at] = NULL;
    return SERRY_OK;
}

void run_spawn_fini(run_spawn *s)
{
    free(s->environment);
    s->environment = NULL;
}

/* In the child: everything that must be so before the program's first instruction. */
static int spawn_prepare(const run_spawn *s)
{
    const run *r = s->run;
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    /* The launcher may have died before the kernel knew that this matters. */
    if (getppid() != s->launcher)
        return ESRCH;
    pid_t self = getpid();
    ssize_t ignored = write(r->guard, &self, sizeof self);
    (void)ignored;
    if (dup2(s->in, STDIN_FILENO) < 0 || dup2(s->out, STDOUT_FILENO) < 0
        || dup2(s->err, STDERR_FILENO) < 0)
        return errno;
    /* The socket takes the place of a small number that the rank does not need, since the rank's
     * limit of descriptors may be lower than ours. dup2 clears close-on-exec. */
    if (dup2(s->join, r->null) < 0)
        return errno;
    if (s->cpus)
        sched_setaffinity(0, sizeof *s->cpus, s->cpus);
    setrlimit(RLIMIT_NOFILE, &r->files);
    if (r->ignores_children)
        signal(SIGCHLD, SIG_IGN);
    sigprocmask(SIG_SETMASK, &r->mask, NULL);
    return 0;
}

static _Noreturn void spawn_child(run_spawn *s)
{
    int error = spawn_prepare(s);
    if (error == 0) {
        execvpe(s->argv[0], s->argv, s->environment);
        s->refused = true;
        error = errno;
    }
    s->error = error;
    _exit(127);
}

int run_spawn_rank(run_spawn *s, int rank, pid_t *pid)
{
    const int values[3] = { s->run->null, rank, s->run->o.size };
    for (int i = 0; i < 3; i++)
        snprintf(s->own[i], sizeof s->own[i], "%s=%d", spawn_own[i], values[i]);
    s->error = 0;
    s->refused = false;
    *pid = vfork();
    if (*pid == 0)
        spawn_child(s);
    return *pid < 0 ? errno : s->error;
}
