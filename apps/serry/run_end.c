/* run_end.c: how ranks end, which of them decides the exit status, and how the others are ended.
 *
 * An ended rank stays a zombie until the run is over: its process group's number cannot become
 * somebody else's, so that signals to all groups hit what ranks have left behind, and only that.
 */
#include "command.h"
#include "run.h"

#include "base/fds.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#define END_TOLD 16                /* ranks whose waits are told when the time is up */
#define END_LEFTOVERS SRI_MS(1000) /* for the agent to see the last members go */

void run_signal_all(run *r, int signal)
{
    for (int i = 0; i < r->o.size; i++) {
        if (r->ranks[i].pid > 1)
            kill(-r->ranks[i].pid, signal);
    }
}

void run_kill(run *r)
{
    r->phase = RUN_KILLED;
    r->kill_at = SRI_NEVER;
    run_signal_all(r, SIGKILL);
    run_orphans_kill(r);
}

void run_ask(run *r, int signal)
{
    if (r->phase == RUN_KILLED)
        return;
    run_signal_all(r, signal);
    if (r->stopped) {
        /* Who is stopped cannot end. */
        r->stopped = false;
        run_signal_all(r, SIGCONT);
    }
    if (r->phase == RUN_ASKED)
        return;
    r->phase = RUN_ASKED;
    SERRY_IGNORE(sri_deadline(r->o.grace, &r->kill_at));
    run_events_arm(r);
}

/* "killed by signal 9 (Killed)" or "exited with code 3". */
static void end_describe(int status, char *text, size_t cap)
{
    if (status > EXIT_SIGNAL)
        snprintf(text, cap, "was killed by signal %d (%s)", status - EXIT_SIGNAL,
                 strsignal(status - EXIT_SIGNAL));
    else
        snprintf(text, cap, "exited with code %d", status);
}

/* Of all that have failed so far by themselves. */
static int end_status(const run *r)
{
    int status = r->status;
    for (int i = 0; i < r->o.size && r->o.exit != RUN_EXIT_FIRST; i++) {
        int failure = r->ranks[i].failure;
        if (r->o.exit == RUN_EXIT_LOWEST && failure != 0)
            return failure;
        if (failure > status)
            status = failure;
    }
    return status;
}

/* Those that have ended by now have done so by themselves, and may decide as well. */
static void end_look_at_others(run *r)
{
    for (int i = 0; i < r->o.size && r->o.exit != RUN_EXIT_FIRST && !r->looking; i++) {
        r->looking = true;
        run_rank_ended(r, i);
        r->looking = false;
    }
}

static void end_failed(run *r, int rank, int status, const char *how)
{
    if (r->decided)
        return;
    r->ranks[rank].failure = status;
    if (!r->o.keep_going)
        end_look_at_others(r);
    if (r->status == 0)
        r->status = status;
    r->status = end_status(r);
    if (r->looking) {
        run_say(r, "rank %d (pid %d) %s", rank, (int)r->ranks[rank].pid, how);
        return;
    }
    bool others = r->alive > 0 && !r->o.keep_going;
    run_say(r, "rank %d (pid %d) %s%s", rank, (int)r->ranks[rank].pid, how,
            others ? "; ending the other ranks" : "");
    if (r->o.keep_going)
        return;
    r->decided = true;
    if (others)
        run_ask(r, SIGTERM);
}

/* Good or failed? Of a rank that ended with 0, the agent knows: it may say so earlier or later. */
static void end_judge(run *r, int rank)
{
    run_rank *k = &r->ranks[rank];
    if (!k->ended || k->judged || (k->status == 0 && k->fate == RUN_FATE_UNKNOWN))
        return;
    k->judged = true;
    char how[128];
    end_describe(k->status, how, sizeof how);
    if (k->status != 0)
        end_failed(r, rank, k->status, how);
    else if (k->fate == RUN_FATE_DIED)
        end_failed(r, rank, EXIT_FAILURE, "exited with code 0, but without serry_finalize");
}

/* What they started and left behind goes with them, members or not. */
static void end_all_ended(run *r)
{
    r->timeout_at = SRI_NEVER;
    run_kill(r);
    sri_agent_kill_all(r->agent);
    r->stop_at = sri_now() + END_LEFTOVERS;
    run_events_arm(r);
    if (r->output)
        run_output_finish(r->output);
}

void run_rank_ended(run *r, int rank)
{
    run_rank *k = &r->ranks[rank];
    siginfo_t how = { 0 };
    if (k->ended || waitid(P_PID, (id_t)k->pid, &how, WEXITED | WNOHANG | WNOWAIT) != 0
        || how.si_pid == 0)
        return;
    k->ended = true;
    k->status = how.si_code == CLD_EXITED ? how.si_status : EXIT_SIGNAL + how.si_status;
    run_events_remove(r, k->pidfd);
    sri_close(&k->pidfd);
    r->alive--;
    end_judge(r, rank);
    if (r->alive == 0)
        end_all_ended(r);
}

void run_member_fate(void *ctx, int rank, pid_t pid, sri_fate fate, int code)
{
    run *r = ctx;
    (void)code;
    if (rank < 0 || rank >= r->o.size || r->ranks[rank].fate != RUN_FATE_UNKNOWN || pid == 0)
        return;
    r->ranks[rank].fate = fate == SRI_FATE_DIED ? RUN_FATE_DIED : RUN_FATE_LEFT;
    end_judge(r, rank);
}

void run_member_aborted(void *ctx, int rank, int code)
{
    run *r = ctx;
    /* Its own end, which has perhaps come as well, is the abort's. But it may have called it
     * because of another's death, and then that decides. */
    if (rank < r->o.size)
        r->ranks[rank].judged = true;
    run_events_handle(r, 0);
    if (!r->decided) {
        r->decided = true;
        r->status = code & 0xff ? code & 0xff : EXIT_FAILURE;
        run_say(r, "rank %d called serry_abort(%d); ending all ranks", rank, code);
    }
    run_kill(r);
}

/* "0-3, 7" */
static void end_list_alive(const run *r, char *text, size_t cap)
{
    size_t at = 0;
    for (int i = 0; i < r->o.size && at < cap; i++) {
        if (r->ranks[i].ended)
            continue;
        int last = i;
        while (last + 1 < r->o.size && !r->ranks[last + 1].ended)
            last++;
        int n =
            snprintf(text + at, cap - at, last > i ? "%s%d-%d" : "%s%d", at ? ", " : "", i, last);
        at += n > 0 ? (size_t)n : 0;
        i = last;
    }
}

/* What the first of them wait for, as far as they have said. */
static void end_tell_waits(const run *r)
{
    int told = 0;
    for (int i = 0; i < r->o.size && told < END_TOLD; i++) {
        char text[512] = "";
        if (!r->ranks[i].ended)
            sri_agent_waiting(r->agent, i, text, sizeof text);
        if (text[0])
            run_say(r, "rank %d %s", i, text);
        told += text[0] != '\0';
    }
}

void run_timed_out(run *r)
{
    if (!r->decided) {
        char list[1024] = "";
        end_list_alive(r, list, sizeof list);
        run_say(r, "out of time after %g s; still running: rank%s %s", r->o.timeout,
                r->alive > 1 ? "s" : "", list);
        end_tell_waits(r);
        r->decided = true;
        r->status = EXIT_TIMEOUT;
    }
    run_ask(r, SIGTERM);
}
