/* patterns/subprocess.h: what the parts of a subprocess share. It is an object
 * of this process alone: no home, no message, no world.
 *
 *     subprocess.c          start, signals, the end of the object
 *     subprocess_program.c  argv, environment and PATH, made ready for exec
 *     subprocess_launch.c   the child between clone and exec
 *     subprocess_fds.c      descriptors: the list of all, pipes, the lifeline
 *     subprocess_wait.c     its end and its exit code
 *     subprocess_talk.c     communicate
 *     subprocess_run.c      from start to end in one call
 */
#ifndef SRI_PATTERNS_SUBPROCESS_H
#define SRI_PATTERNS_SUBPROCESS_H

#include "base/buffer.h"
#include "base/clock.h"

#include <serry/subprocess.h>

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define SUBPROCESS_FDS 9 /* three pipes, the lifeline, the pidfd */

/* Bytes of the program's name that messages show. */
#define SUBPROCESS_NAME 64

struct serry_subprocess {
    pid_t pid;
    pid_t starter; /* whose object it is; a forked copy has no part in it */
    serry_subprocess_group group;
    bool detach;
    size_t max_output;
    char name[SUBPROCESS_NAME];

    /* Descriptors, -1 where there is none. They change under the lock of the list
     * only. */
    int pidfd;
    int ours[3];   /* our ends of its pipes */
    int theirs[3]; /* for the child: pipe ends, files; until it runs */
    int life[2];   /* the lifeline */
    serry_subprocess *next, *prev;

    pthread_mutex_t lock; /* guards what follows */
    bool reaped;
    bool taken; /* by somebody else, who reaps it or has done so */
    bool lost;  /* that, without a trace of its exit code */
    int code;

    bool talking; /* a thread is in communicate */
    bool talked;  /* the output was handed out */
    bool given;   /* the input, by the first call */
    size_t in_len;
    size_t in_sent;
    char *in_rest;      /* a copy of what is to be sent after a timeout */
    sri_buffer said[2]; /* by streams 1 and 2 */
};

/* sri_fail_errno, which tells more if there are too few descriptors. */
serry_err sri_subprocess_fail(const char *what);

/* Frees the object, whose descriptors are closed. */
void sri_subprocess_unmake(serry_subprocess *sp);

/* ---- descriptors ---- */

/* Enters sp into the list of those whose descriptors a forked copy of this
 * process closes. */
serry_err sri_subprocess_enlist(serry_subprocess *sp);
void sri_subprocess_delist(serry_subprocess *sp);

/* Makes the pipe of a stream, both ends above 2. */
serry_err sri_subprocess_pipe(serry_subprocess *sp, int stream);

/* Takes one that runs out of the list, to be reaped later; and reaps those that
 * have ended. */
void sri_subprocess_leave(serry_subprocess *sp);
void sri_subprocess_reap_left(void);

/* Puts fd, which is taken, into *place. */
void sri_subprocess_keep(int *place, int fd);
void sri_subprocess_close(int *fd);

/* A pipe with both ends in this process, armed by the child, see
 * sri_subprocess_arm. */
serry_err sri_subprocess_lifeline(serry_subprocess *sp);

/* In the child, async-signal-safe: from now on the end of the starter ends it.
 */
void sri_subprocess_arm(const int life[2], bool whole_group);

/* ---- programs ---- */

typedef struct sri_program {
    char *const *argv;
    char *const *env;
    char **files;   /* to try in turn, NULL at the end */
    char **own_env; /* what of env is ours to free */
} sri_program;

/* Borrows argv and the strings of o. */
serry_err sri_program_init(sri_program *p, const char *const argv[],
                           const serry_subprocess_options *o);
void sri_program_fini(sri_program *p);

/* ---- launching ---- */

typedef struct sri_launch {
    const sri_program *program;
    const char *cwd;
    int fd[3]; /* what becomes 0, 1 and 2; may be any numbers, in any order */
    int life[2];
    serry_subprocess_group group;
    /* Said by the child when it fails: the errno, and whether exec or the
     * directory refused. */
    int error;
    enum { SRI_LAUNCH_STREAMS, SRI_LAUNCH_CWD, SRI_LAUNCH_EXEC } stage;
} sri_launch;

/* Starts the child and returns once it has executed the program (0) or given up
 * (an errno, and there is no process). *pidfd is -1 where the kernel has none.
 */
int sri_launch_run(sri_launch *l, pid_t *pid, int *pidfd);

/* ---- its end ---- */

/* Waits until it has ended and is reaped; false: not before the deadline. */
bool sri_subprocess_await(serry_subprocess *sp, sri_ns deadline);

/* To the group, or to it alone where it has none of its own. SERRY_ESTATE: it
 * has ended. */
serry_err sri_subprocess_signal_all(serry_subprocess *sp, int signal);

/* SIGKILL to all, and waits. False: it cannot be killed (another user's by now,
 * or it hangs in the kernel). */
bool sri_subprocess_end(serry_subprocess *sp);

/* SERRY_EINVAL for NULL, SERRY_ESTATE in a forked copy. */
serry_err sri_subprocess_check(const serry_subprocess *sp);

/* ---- talking ---- */

/* communicate up to an absolute deadline, without handing the output out. */
serry_err sri_subprocess_talk(serry_subprocess *sp, const void *in, size_t len, sri_ns deadline);

/* Hands out what was said on stream 1 or 2, at most max_output bytes. */
void sri_subprocess_take(serry_subprocess *sp, int stream, serry_bytes *out);

#endif
