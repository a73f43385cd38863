/* run.h: `serry run`, in parts. The launcher is the node's agent: sri_agent_run is the main loop.
 *
 *     run_options   the command line
 *     run_help      what --help prints
 *     run_nearest   the option that a misspelt one may have meant
 *     run           starting, the loop, the end
 *     run_events    the launcher's own epoll set and timers
 *     run_end       ends of ranks, who failed first, and ending the others
 *     run_signals   what Ctrl-C and the like mean
 *     run_spawn     one rank's process
 *     run_guard     the process that cleans up after a launcher that was killed
 *     run_orphans   processes that ranks left behind outside of their groups
 *     run_input     standard input, for the ranks that are to have it
 *     run_files     the ranks' output in files, if that is wanted
 *     run_output    tagged output, on a thread, since whoever reads it may be slow
 *     run_bind      which rank on which processors
 *
 * Everything the launcher itself waits for is in one epoll set, which the agent watches. A program
 * that never joins gives up its seat early; the loop then goes on without the agent.
 */
#ifndef RUN_H
#define RUN_H

#include "agent/agent.h"
#include "base/clock.h"

#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

/* One program of the run, and how many ranks of it. */
typedef struct run_app {
    int size;
    char **program; /* its argv, in ours, ended by NULL */
} run_app;

typedef enum run_bind { RUN_BIND_NONE, RUN_BIND_CORE, RUN_BIND_SOCKET, RUN_BIND_HWTHREAD } run_bind;

/* Whose exit code is the run's, if ranks fail. */
typedef enum run_exit { RUN_EXIT_FIRST, RUN_EXIT_LOWEST, RUN_EXIT_MAX } run_exit;

/* Which rank gets standard input, if it is not one of them. */
enum { RUN_STDIN_NONE = -1, RUN_STDIN_ALL = -2 };

typedef struct run_options {
    int size; /* of all */
    run_app *apps;
    int n_apps;
    bool tag;
    bool timestamp;
    bool keep_going;
    bool report_bindings;
    bool quiet;
    run_bind bind;
    run_exit exit;
    int in;             /* the rank that gets standard input, or one of the above */
    const char *output; /* the directory of the ranks' files; NULL: none */
    double timeout;     /* seconds; infinity: none */
    double grace;       /* seconds between SIGTERM and SIGKILL */
    const char *wdir;   /* NULL: here */
} run_options;

/* -1: go on; else the exit status to end with. -x takes effect on this process's environment. argv
 * is cut where one program ends and the next begins. */
int run_options_read(run_options *o, int argc, char **argv);
void run_options_free(run_options *o);

extern const char run_help[];

/* The one of n names that is spelt most alike, dashes apart; NULL: none is like it. */
const char *run_nearest(const char *name, const char *const *names, size_t n);

typedef enum run_fate {
    RUN_FATE_UNKNOWN,
    RUN_FATE_LEFT, /* it has called serry_finalize */
    RUN_FATE_DIED, /* joined, and ended without */
} run_fate;

typedef struct run_rank {
    pid_t pid;   /* also the number of its group; 0: not started */
    int pidfd;   /* -1: has ended, or the kernel has none */
    bool ended;  /* a zombie: reaped last of all, so that its group's number stays its own */
    bool judged; /* it counted as good or failed already */
    int status;  /* exit code, or 128 + signal; valid once ended */
    int failure; /* what it counts for in the run's exit status; 0: nothing */
    run_fate fate;
} run_rank;

/* How far the run has been ended. */
typedef enum run_phase {
    RUN_GOING,
    RUN_ASKED, /* the ranks got a signal and have until kill_at */
    RUN_KILLED,
} run_phase;

typedef struct run_output run_output;

/* A pipe to a rank that gets what the launcher reads. */
typedef struct run_input_pipe {
    int rank;
    int fd;      /* -1: closed */
    size_t from; /* of the bytes that it did not take yet */
    bool waits;  /* for room */
} run_input_pipe;

/* What ranks get by way of the launcher. */
typedef struct run_input {
    run_input_pipe *pipes; /* NULL: nothing is passed on */
    int n, open;
    bool terminal;
    size_t to; /* bytes read */
    char bytes[4096];
} run_input;

typedef struct run {
    run_options o;
    sri_agent *agent;
    run_rank *ranks;
    int alive;

    int events;  /* epoll */
    int signals; /* signalfd */
    int timer;   /* timerfd, for the earliest of these */
    sri_ns timeout_at;
    sri_ns kill_at;
    sri_ns stop_at; /* no member should be left by then */
    sri_ns reap_at; /* orphans that have ended are reaped */

    int null;    /* /dev/null; opened first, so that it has a small number */
    int dir;     /* of the ranks' output; -1: it goes where ours goes */
    bool reaped; /* the ranks: their numbers may be others' by now */
    bool adopts; /* orphans become children of this process */
    int guard;   /* its pipe */
    pid_t guard_pid;
    run_input input;
    run_output *output; /* NULL: ranks write where this process writes */
    bool output_ended;
    bool output_abandoned; /* nobody wants to wait for it */

    run_phase phase;
    bool decided; /* status is final */
    bool looking; /* for others that have failed by themselves, before the ranks are asked to end */
    bool stopped; /* the ranks, by Ctrl-Z */
    int status;

    /* As they were, for the ranks. */
    sigset_t mask;
    struct rlimit files;
    bool ignores_children; /* SIGCHLD was ignored */
} run;

/* What an event in the epoll set is about; a rank's number is in the lower half. */
typedef enum run_event {
    RUN_EVENT_RANK,
    RUN_EVENT_SIGNAL,
    RUN_EVENT_TIMER,
    RUN_EVENT_INPUT,  /* standard input has news */
    RUN_EVENT_STDIN,  /* a rank's pipe takes bytes again; rank: which of the pipes */
    RUN_EVENT_OUTPUT, /* the relay has ended */
} run_event;

/* Nothing if the user asked for quiet. */
void run_say(const run *r, const char *fmt, ...) SERRY_PRINTF(2, 3);

/* ---- run_events ---- */

serry_err run_events_open(run *r);
void run_events_close(run *r);
serry_err run_events_add(run *r, int fd, uint32_t what, run_event kind, int rank);
void run_events_remove(run *r, int fd);
/* Waits, and handles what there is. */
void run_events_handle(run *r, int timeout_ms);
/* Sets the timer for the earliest deadline. */
void run_events_arm(run *r);

/* ---- run_end ---- */

/* A rank's process has ended, perhaps. */
void run_rank_ended(run *r, int rank);
/* --timeout has run out. */
void run_timed_out(run *r);

/* The agent's callbacks. */
void run_member_fate(void *ctx, int rank, pid_t pid, sri_fate fate, int code);
void run_member_aborted(void *ctx, int rank, int code);

/* A signal to every rank's group, and to nobody else. */
void run_signal_all(run *r, int signal);
/* Asks the ranks to end by a signal, and sees that they have by the end of the grace time. */
void run_ask(run *r, int signal);
void run_kill(run *r);

/* ---- run_signals ---- */

/* Blocks the signals that are handled and opens r->signals; r->mask is what it was. */
serry_err run_signals_open(run *r);
void run_signals_close(run *r);
void run_signals_handle(run *r);

/* ---- run_spawn ---- */

typedef struct run_spawn {
    char **argv;
    char **environment; /* its first entries are the rank's own */
    char own[3][64];
    const run *run;
    pid_t launcher;
    const cpu_set_t *cpus; /* NULL: any */
    int in, out, err, join;
    /* Written by the child, which shares our memory until it has another program. */
    volatile int error;
    volatile bool refused; /* it was the program that could not be executed */
} run_spawn;

serry_err run_spawn_init(run_spawn *s, const run *r);
void run_spawn_fini(run_spawn *s);
/* Starts one rank; s->in and so on are what it gets. 0, or an errno: then *pid is -1, or a child
 * that has ended. */
int run_spawn_rank(run_spawn *s, int rank, pid_t *pid);

/* ---- run_guard ---- */

/* Forks the guard. Must come before there are descriptors it would have to close. */
serry_err run_guard_start(run *r);
/* Says goodbye, so that it kills nobody, and reaps it. */
void run_guard_end(run *r);

/* ---- run_orphans ---- */

/* From here on what ranks leave behind becomes a child of this process, if the kernel can tell
 * which children there are. */
void run_orphans_adopt(run *r);
/* A child has ended, perhaps one of those. */
void run_orphans_noticed(run *r);
/* Reaps those that have ended, and when all are to end kills the others. */
void run_orphans_reap(run *r);
/* Kills them. */
void run_orphans_kill(run *r);
/* Kills and reaps all, those that come meanwhile too. The ranks have been reaped. */
void run_orphans_end(run *r);

/* ---- run_input ---- */

/* Decides how standard input reaches the ranks; after it run_input_take for each. */
serry_err run_input_open(run *r);
/* *fd is what this rank gets as standard input; *own: it is the caller's to close. */
serry_err run_input_take(run *r, int rank, int *fd, bool *own);
void run_input_close(run *r);
/* There is news, or we are in front of the terminal again. */
void run_input_news(run *r);
void run_input_room(run *r, int pipe);

/* ---- run_files ---- */

/* Opens the directory, and makes it if need be. */
serry_err run_files_open(run *r);
/* The files of one rank, the caller's to close: rank.N/stdout and rank.N/stderr. */
serry_err run_files_take(const run *r, int rank, int *out, int *err);
void run_files_close(run *r);

/* ---- run_output ---- */

/* Of the two something is wanted. */
serry_err run_output_create(run_output **o, int size, bool tag, bool timestamp);
/* The ends that a rank writes to; the caller closes them when it has them. */
serry_err run_output_pipes(run_output *o, int rank, int *out, int *err);
/* Starts the thread. */
serry_err run_output_start(run_output *o);
/* Readable when all has been written, or cannot be. */
int run_output_ended(const run_output *o);
/* Nobody writes any more who should: what is in the pipes is the end. */
void run_output_finish(run_output *o);
/* Waits for the thread. Returns the errno of a failed write, 0, or EPIPE. wait = false: the thread
 * is left to itself, as this process ends now. */
int run_output_destroy(run_output *o, bool wait);

/* ---- run_bind ---- */

/* The processors of each rank, to be freed; NULL: they are not bound, with a warning if that was
 * wanted. */
cpu_set_t *run_bind_plan(const run *r);
/* Says of each rank on which processors it is. */
void run_bind_report(const run *r, const cpu_set_t *sets);

#endif
