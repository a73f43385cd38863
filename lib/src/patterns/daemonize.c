/* patterns/daemonize.c: a program that goes on by itself.
 *
 * Two forks: the process in between makes the session and ends, so that the
 * daemon leads none and can never get a terminal. The daemon reports by a pipe:
 * an error travels to the process that called and is returned there; that the
 * pipe ends with "up" lets the caller exit. All that can fail is tried before
 * anything is said.
 */
#include "base/env.h"
#include "base/error.h"
#include "base/fds.h"
#include "base/outlive.h"
#include "core/core.h"
#include "start/launcher.h"

#include <serry/subprocess.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define DAEMON_UMASK 022

/* What the daemon has to say: an error, or SERRY_OK when it is up. */
typedef struct daemon_word {
    serry_err err;
    char text[500];
} daemon_word;

/* The pid file, held by the daemon until its end. */
static struct {
    pid_t owner;
    int fd;
    char *path; /* absolute */
} daemon_file = { .fd = -1 };

/* ---- may it? ---- */

/* Entries of /proc/self/task; 1 where that cannot be seen. */
static long daemon_threads(void)
{
    struct stat st;
    if (stat("/proc/self/task", &st) != 0)
        return 1;
    return (long)st.st_nlink - 2;
}

static serry_err daemon_check(const serry_daemon_options *o)
{
    if (sri_is_member())
        return sri_fail(SERRY_ESTATE,
                        "rank %d cannot become a daemon: serry_daemonize comes before "
                        "serry_init",
                        sri_world.rank);
    sri_launcher l;
    SRI_TRY(sri_launcher_find(&l));
    if (sri_env("SERRY_JOIN_FD") || l.plugin)
        return sri_fail(SERRY_ESTATE, "a program under a launcher cannot become a daemon: the "
                                      "launcher waits for it");
    long threads = daemon_threads();
    if (threads > 1)
        return sri_fail(SERRY_ESTATE,
                        "a program with %ld threads cannot become a daemon: only the "
                        "calling one would go on",
                        threads);
    if (o->umask & ~(mode_t)0777)
        return sri_fail(SERRY_EINVAL, "the umask %#o has other bits than 0777", (unsigned)o->umask);
    return SERRY_OK;
}

static serry_err daemon_fail_path(const char *what, const char *path)
{
    char text[300];
    snprintf(text, sizeof text, "%s %.200s", what, path);
    return sri_fail_errno(text);
}

/* ---- the pid file ---- */

static void daemon_remove_file(void)
{
    if (daemon_file.path && daemon_file.owner == getpid())
        unlink(daemon_file.path);
}

/* Opens the file and locks it. The lock belongs to this process, not to a
 * descriptor: no child can keep it, and the kernel says who has it. */
static serry_err daemon_lock(const char *path, int *fd)
{
    struct stat mine, there;
    for (;;) {
        struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
        *fd = sri_fd_high(open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644));
        if (*fd < 0)
            return daemon_fail_path("opening the pid file", path);
        if (fcntl(*fd, F_SETLK, &lock) != 0) {
            bool held = errno == EACCES || errno == EAGAIN;
            serry_err e = daemon_fail_path("locking the pid file", path);
            if (held && fcntl(*fd, F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK)
                e = sri_fail(SERRY_ESTATE,
                             "it runs already, as process %d, which holds the pid file "
                             "%.200s",
                             (int)lock.l_pid, path);
            sri_close(fd);
            if (held && lock.l_type == F_UNLCK)
                continue; /* let go in between */
            return e;
        }
        /* The last holder may have removed the file before we had its lock. */
        if (fstat(*fd, &mine) == 0 && stat(path, &there) == 0 && mine.st_ino == there.st_ino
            && mine.st_dev == there.st_dev)
            return SERRY_OK;
        sri_close(fd);
    }
}

static serry_err daemon_take_file(const char *path)
{
    char text[32];
    int fd;
    daemon_file.path = realpath(path, NULL);
    SRI_TRY(daemon_lock(path, &fd));
    if (!daemon_file.path)
        daemon_file.path = realpath(path, NULL); /* now that it exists */
    int len = snprintf(text, sizeof text, "%d\n", (int)getpid());
    if (!daemon_file.path || ftruncate(fd, 0) != 0 || pwrite(fd, text, (size_t)len, 0) != len) {
        serry_err e = daemon_fail_path("writing the pid file", path);
        unlink(path);
        sri_close(&fd);
        return e;
    }
    daemon_file.fd = fd;
    daemon_file.owner = getpid();
    atexit(daemon_remove_file);
    return SERRY_OK;
}

/* ---- the daemon ---- */

static serry_err daemon_open(const char *path, int flags, int *fd)
{
    if (!path) {
        path = "/dev/null";
        flags = O_RDWR;
    }
    *fd = sri_fd_high(open(path, flags | O_NOCTTY | O_CLOEXEC, 0666));
    return *fd < 0 ? daemon_fail_path("opening", path) : SERRY_OK;
}

/* Its streams, opened while the directory is still the caller's. */
static serry_err daemon_streams(const serry_daemon_options *o, int *fd)
{
    const int append = O_WRONLY | O_CREAT | O_APPEND;
    SRI_TRY(daemon_open(NULL, 0, &fd[0]));
    SRI_TRY(daemon_open(o->out, append, &fd[1]));
    if (o->err)
        return daemon_open(o->err, append, &fd[2]);
    fd[2] = fd[1];
    return SERRY_OK;
}

static void daemon_close_others(const serry_daemon_options *o, int report)
{
    int keep[2] = { report, daemon_file.fd };
    if (o->keep_open)
        return;
    if (keep[1] >= 0 && keep[1] < keep[0]) {
        keep[0] = daemon_file.fd;
        keep[1] = report;
    }
    sri_close_all_but(3, keep, keep[1] >= 0 ? 2 : 1);
}

static serry_err daemon_become(const serry_daemon_options *o, int report)
{
    int fd[3] = { -1, -1, -1 };
    SRI_TRY(daemon_streams(o, fd));
    if (o->pid_file)
        SRI_TRY(daemon_take_file(o->pid_file));
    const char *directory = o->directory ? o->directory : "/";
    if (chdir(directory) != 0) {
        serry_err e = daemon_fail_path("the directory", directory);
        daemon_remove_file();
        return e;
    }
    umask(o->umask ? o->umask : DAEMON_UMASK);
    for (int i = 0; i < 3; i++)
        dup2(fd[i], i);
    for (int i = 0; i < 3; i++) {
        if (i != 2 || fd[2] != fd[1])
            sri_close(&fd[i]);
    }
    daemon_close_others(o, report);
    sri_outlive_mark();
    return SERRY_OK;
}

/* In the daemon: returns when it is up, or ends. */
static void daemon_main(const serry_daemon_options *o, int report)
{
    daemon_word word = { .err = daemon_become(o, report) };
    if (word.err != SERRY_OK)
        snprintf(word.text, sizeof word.text, "%s", serry_err_detail());
    ssize_t ignored = write(report, &word, sizeof word);
    (void)ignored;
    if (word.err != SERRY_OK)
        _exit(1);
    sri_close(&report);
}

/* In the child of the caller: makes the session, has the daemon forked. True in
 * the daemon. */
static bool daemon_between(int report)
{
    setsid();
    pid_t pid = fork();
    if (pid < 0) {
        daemon_word word = { .err = sri_fail_errno("fork of a daemon") };
        snprintf(word.text, sizeof word.text, "%s", serry_err_detail());
        ssize_t ignored = write(report, &word, sizeof word);
        (void)ignored;
    }
    if (pid != 0)
        _exit(0);
    return true;
}

/* ---- the caller ---- */

static serry_err daemon_hear(int report, pid_t between)
{
    daemon_word word;
    ssize_t got;
    do {
        got = read(report, &word, sizeof word);
    } while (got < 0 && errno == EINTR);
    while (waitpid(between, NULL, 0) < 0 && errno == EINTR)
        ;
    if (got != (ssize_t)sizeof word)
        return sri_fail(SERRY_EDIED, "the daemon died before it was up");
    word.text[sizeof word.text - 1] = 0;
    return word.err == SERRY_OK ? SERRY_OK : sri_fail_text(word.err, word.text);
}

serry_err serry_daemonize(const serry_daemon_options *o)
{
    static const serry_daemon_options defaults;
    int report[2];
    if (!o)
        o = &defaults;
    SRI_TRY(daemon_check(o));
    if (pipe2(report, O_CLOEXEC) != 0)
        return sri_fail_errno("a pipe to the daemon");
    report[0] = sri_fd_high(report[0]);
    report[1] = sri_fd_high(report[1]);
    fflush(NULL); /* what is buffered is printed once */
    pid_t between = report[0] < 0 || report[1] < 0 ? -1 : fork();
    if (between == 0) {
        sri_close(&report[0]);
        if (daemon_between(report[1]))
            daemon_main(o, report[1]);
        return SERRY_OK;
    }
    serry_err e = between < 0 ? sri_fail_errno("fork of a daemon") : SERRY_OK;
    sri_close(&report[1]);
    if (e == SERRY_OK)
        e = daemon_hear(report[0], between);
    sri_close(&report[0]);
    if (e == SERRY_OK)
        _exit(0);
    return e;
}
