/* serry/subprocess.h: other programs, run with their streams, directory and environment chosen.
 *
 *     const char *const argv[] = { "sort", "-n", NULL };
 *     serry_completed done = { 0 };
 *     SERRY_CHECK(serry_subprocess_run(argv, &done,
 *                                      &(serry_subprocess_options){ .capture = true,
 *                                                                   .input = "3\n1\n2\n",
 *                                                                   .input_len = 6 },
 *                                      10));
 *     printf("exit code %d, sorted: %s", done.code, done.out.data);
 *     serry_completed_free(&done);
 *
 * A program is named by argv, never by a line for a shell (but serry_system). None of this needs
 * serry_init: it works inside a world and outside of it, in any thread.
 *
 * A subprocess leads a process group of its own, so that what it started is ended together with it:
 * at a timeout, by terminate and kill, and when the process that started it ends, however that
 * comes about (.detach lets it live). It has the descriptors 0, 1 and 2 and no other; no signal is
 * blocked or ignored in it. The caller's signal mask, dispositions and children are left alone.
 *
 * Exit codes are 0 to 255, or -N where signal N ended it. In a copy of the process that somebody
 * forked the calls give SERRY_ESTATE.
 */
#ifndef SERRY_SUBPROCESS_H
#define SERRY_SUBPROCESS_H

#include <serry/world.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Bytes given to you; a zero byte that does not count lies behind them. data may be NULL, with len
 * 0, only where nothing was given. */
typedef struct serry_bytes {
    char *data;
    size_t len;
} serry_bytes;

/* Frees them and zeroes *b. NULL and a zeroed one are fine. */
SERRY_API void serry_bytes_free(serry_bytes *b);

/* ---- starting ---- */

typedef enum serry_stream_kind {
    SERRY_STREAM_INHERIT = 0, /* this process's; /dev/null where that is closed */
    SERRY_STREAM_PIPE,        /* a pipe to this process, for communicate */
    SERRY_STREAM_NULL,        /* /dev/null */
    SERRY_STREAM_FILE,        /* .path: read, or created and truncated */
    SERRY_STREAM_FD,          /* .fd, an open descriptor; borrowed while the call lasts */
    SERRY_STREAM_STDOUT,      /* err only: wherever out goes */
} serry_stream_kind;

typedef struct serry_stream {
    serry_stream_kind kind;
    const char *path;
    bool append; /* to .path, in place of truncating it */
    int fd;
} serry_stream;

typedef enum serry_subprocess_group {
    SERRY_GROUP_OWN = 0, /* a process group of its own. It may not read this process's terminal */
    SERRY_GROUP_SAME, /* this process's: a terminal's Ctrl-C and input reach it, and it alone, not
                         what it started, is ended */
    SERRY_GROUP_SESSION, /* a session of its own, and by that a group; no terminal */
} serry_subprocess_group;

/* All strings are borrowed while the call lasts. */
typedef struct serry_subprocess_options {
    serry_stream in, out, err;
    /* The whole environment, "NAME=value" each, NULL at the end; NULL: this process's. Then what is
     * set over that, likewise; "NAME" without = takes a variable away. */
    const char *const *env;
    const char *const *env_add;
    const char *cwd; /* its directory, which an argv[0] with a / is relative to; NULL: ours */
    /* The file to execute; NULL: argv[0]. Without a / it is looked for in the PATH of the
     * subprocess's environment. */
    const char *program;
    serry_subprocess_group group;
    bool detach;       /* lives on when this process ends, and when it is freed */
    size_t max_output; /* bytes that may come by one pipe; 0: no limit */

    /* For run, call, check_call and check_output. */
    bool check;        /* an exit code other than 0 is SERRY_ETASK */
    bool capture;      /* out and err are pipes where they would be inherited */
    const void *input; /* what its standard input reads, which is a pipe then */
    size_t input_len;
    double grace; /* seconds between SIGTERM and SIGKILL at a timeout; 0: SIGKILL at once */
} serry_subprocess_options;

typedef struct serry_subprocess serry_subprocess;

/* Starts a program; argv ends with NULL. Returns when it runs, or when it is known that it cannot:
 * then there is no process, and the error is SERRY_ESYS (SERRY_ENOMEM, SERRY_ELIMIT) with a detail
 * that names the program, or the directory, and the reason. *sp is yours to free.
 * SERRY_EINVAL: argv is NULL or empty, or an option makes no sense. */
SERRY_API SERRY_WARN_UNUSED serry_err serry_subprocess_start(serry_subprocess **sp,
                                                             const char *const argv[],
                                                             const serry_subprocess_options *o);

/* Its process id, which stays the same when it has ended. -1: sp is NULL. */
SERRY_API pid_t serry_subprocess_pid(const serry_subprocess *sp);

/* This process's end of the pipe to its stream 0, or from its stream 1 or 2; -1 where there is
 * none. It blocks until communicate is called, and belongs to sp. */
SERRY_API int serry_subprocess_fd(const serry_subprocess *sp, int stream);

/* Closes that end: for 0, the subprocess reads the end of its input. SERRY_EINVAL: none. */
SERRY_API SERRY_WARN_UNUSED serry_err serry_subprocess_close(serry_subprocess *sp, int stream);

/* ---- talking and waiting ---- */

/* Writes len bytes to its input and closes that, reads all it says on the streams that are pipes,
 * and waits for its end; any amount, without a deadlock. in is borrowed. That it stops reading
 * before all is written is no error. *out and *err are yours to free; for a stream that is no pipe
 * they are zeroed.
 * SERRY_ETIMEDOUT: not all of it in time. Call again, with the same in and len or with NULL and 0:
 * nothing is lost and nothing is written twice. SERRY_ELIMIT: more than .max_output; the subprocess
 * goes on, and what was read is kept. SERRY_EINVAL: bytes for an input that is no pipe.
 * SERRY_ESTATE: it has been done, or another thread is at it. */
SERRY_API SERRY_WARN_UNUSED serry_err serry_subprocess_communicate(serry_subprocess *sp,
                                                                   const void *in, size_t len,
                                                                   serry_bytes *out,
                                                                   serry_bytes *err,
                                                                   double timeout);

/* Waits for its end; as often as you like. Reads no pipe: one that is full keeps the subprocess
 * from ending. SERRY_ETIMEDOUT: it runs. SERRY_ESYS: its exit code is lost, because the program
 * waits for children that are not its own or ignores SIGCHLD, and the kernel (before Linux 6.15)
 * does not tell. */
SERRY_API SERRY_WARN_UNUSED serry_err serry_subprocess_wait(serry_subprocess *sp, int *code,
                                                            double timeout);

/* wait with SERRY_NOWAIT. */
SERRY_API SERRY_WARN_UNUSED serry_err serry_subprocess_poll(serry_subprocess *sp, int *code);

/* Sends a signal to it alone; 0 only asks. SERRY_ESTATE: it has ended. */
SERRY_API SERRY_WARN_UNUSED serry_err serry_subprocess_signal(serry_subprocess *sp, int signal);

/* SIGTERM, or SIGKILL, to it and to all that it started and that has stayed in its group.
 * SERRY_ESTATE: it has ended. */
SERRY_API SERRY_WARN_UNUSED serry_err serry_subprocess_terminate(serry_subprocess *sp);
SERRY_API SERRY_WARN_UNUSED serry_err serry_subprocess_kill(serry_subprocess *sp);

/* Closes its pipes and forgets it. One that runs is killed with its group and waited for; a
 * detached one lives on. NULL is fine. */
SERRY_API void serry_subprocess_free(serry_subprocess *sp);

/* ---- from start to end in one call ---- */

typedef struct serry_completed {
    int code;
    serry_bytes out, err; /* what came by pipes */
} serry_completed;

SERRY_API void serry_completed_free(serry_completed *c);

/* Starts a program, communicates and waits. done may be NULL.
 * Failures that have a result set *done too: SERRY_ETIMEDOUT (the whole group was killed; done has
 * what it said until then), SERRY_ETASK (.check), SERRY_ELIMIT where .max_output was reached
 * (killed likewise). Others leave *done as it was. */
SERRY_API SERRY_WARN_UNUSED serry_err serry_subprocess_run(const char *const argv[],
                                                           serry_completed *done,
                                                           const serry_subprocess_options *o,
                                                           double timeout);

/* run that wants the code only; *code is set as *done is. */
SERRY_API SERRY_WARN_UNUSED serry_err serry_subprocess_call(const char *const argv[], int *code,
                                                            const serry_subprocess_options *o,
                                                            double timeout);

/* run with .check. */
SERRY_API SERRY_WARN_UNUSED serry_err serry_subprocess_check_call(const char *const argv[],
                                                                  const serry_subprocess_options *o,
                                                                  double timeout);

/* run with .check that wants the output; *out is set as *done is. */
SERRY_API SERRY_WARN_UNUSED serry_err serry_subprocess_check_output(
    const char *const argv[], serry_bytes *out, const serry_subprocess_options *o, double timeout);

/* Runs a command by /bin/sh -c, with this process's streams, and waits for its end. Where standard
 * input is a terminal the command stays in this process's group and may read it. */
SERRY_API SERRY_WARN_UNUSED serry_err serry_system(const char *command, int *code);

/* ---- a program that goes on by itself ---- */

typedef struct serry_daemon_options {
    mode_t umask;          /* 0: 022 */
    const char *directory; /* NULL: / */
    const char *pid_file;  /* has its pid while it runs, and is locked; NULL: none */
    const char *out;       /* files to append its streams to; NULL: /dev/null */
    const char *err;       /* NULL: where out goes */
    bool keep_open;        /* descriptors above 2 stay open */
} serry_daemon_options;

/* Makes the program a daemon: a session of its own without a terminal, a child of init, standard
 * input from /dev/null. Relative paths are relative to the directory of the caller. Comes before
 * serry_init and before threads, or it is SERRY_ESTATE; subprocesses that were not detached end.
 * Returns SERRY_OK in the daemon only: the process that called exits with 0 once the daemon is up,
 * without running exit handlers. Any error is returned in the process that called, nothing has
 * changed then. SERRY_ESTATE: another process, which the detail names, holds the pid file. */
SERRY_API SERRY_WARN_UNUSED serry_err serry_daemonize(const serry_daemon_options *o);

#ifdef __cplusplus
}
#endif
#endif
