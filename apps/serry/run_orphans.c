/* run_orphans.c: what ranks have started and left behind in sessions of its own, where no signal to
 * a rank's group finds it. Whoever loses its parent becomes a child of the launcher: only those are
 * touched, each known by a number that cannot become another's before it is reaped here.
 *
 * Those that are marked as meant to outlive the run do.
 *
 * A launcher that is killed adopts nobody any more; see run_guard.c for what is ended then.
 */
#include "run.h"

#include "base/outlive.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define ORPHANS_REST SRI_MS(50)  /* between two looks at who has ended */
#define ORPHANS_HASTE SRI_MS(1)  /* the same when all are to end */
#define ORPHANS_END SRI_MS(2000) /* for killed ones to be gone */

void run_orphans_adopt(run *r)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)getpid());
    r->adopts = access(path, R_OK) == 0 && prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0;
}

static bool orphans_is_own(const run *r, pid_t pid)
{
    if (pid == r->guard_pid)
        return true;
    for (int i = 0; !r->reaped && i < r->o.size; i++) {
        if (r->ranks[i].pid == pid)
            return true;
    }
    return false;
}

/* Calls fn for each that this thread has; for how many it was true. */
static size_t orphans_of_thread(const run *r, const char *thread, bool (*fn)(pid_t pid))
{
    char path[64];
    long pid;
    size_t n = 0;
    snprintf(path, sizeof path, "/proc/self/task/%.20s/children", thread);
    FILE *f = fopen(path, "re");
    while (f && fscanf(f, "%ld", &pid) == 1) {
        if (!orphans_is_own(r, (pid_t)pid) && fn((pid_t)pid))
            n++;
    }
    if (f)
        fclose(f);
    return n;
}

static size_t orphans_each(const run *r, bool (*fn)(pid_t pid))
{
    size_t n = 0;
    DIR *threads = r->adopts ? opendir("/proc/self/task") : NULL;
    for (struct dirent *d; threads && (d = readdir(threads));) {
        if (d->d_name[0] != '.')
            n += orphans_of_thread(r, d->d_name, fn);
    }
    if (threads)
        closedir(threads);
    return n;
}

/* Whether it was killed. */
static bool orphans_kill_one(pid_t pid)
{
    if (sri_outlive_is_marked(pid))
        return false;
    kill(pid, SIGKILL);
    return true;
}

static bool orphans_reap_one(pid_t pid)
{
    return waitpid(pid, NULL, WNOHANG) == pid;
}

void run_orphans_noticed(run *r)
{
    if (!r->adopts || r->reap_at != SRI_NEVER)
        return;
    r->reap_at = sri_now() + (r->phase == RUN_KILLED ? ORPHANS_HASTE : ORPHANS_REST);
    run_events_arm(r);
}

void run_orphans_reap(run *r)
{
    r->reap_at = SRI_NEVER;
    orphans_each(r, orphans_reap_one);
    if (r->phase == RUN_KILLED) /* those of them that have lost their parents since */
        run_orphans_kill(r);
}

void run_orphans_kill(run *r)
{
    orphans_each(r, orphans_kill_one);
}

void run_orphans_end(run *r)
{
    sri_ns until = sri_now() + ORPHANS_END;
    while (orphans_each(r, orphans_kill_one) > 0 && sri_now() < until) {
        orphans_each(r, orphans_reap_one);
        usleep(500);
    }
}
