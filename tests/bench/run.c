/* run.h: fork, watch by pidfd and two pipes, and sweep up afterwards. */
#include "run.h"

#include "bench_util.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { GRACE_SECONDS = 3, POLL_MS = 200 };

/* One stream of the command; text keeps its first bytes, the rest is read and dropped. */
struct stream {
    int fd;
    size_t len;
    char text[1024];
};

static volatile sig_atomic_t interrupted;

static void on_interrupt(int sig)
{
    (void)sig;
    interrupted = 1;
}

void run_setup(void)
{
    struct sigaction sa = { .sa_handler = on_interrupt };
    sigaction(SIGINT, &sa, NULL);
    sigaction(SIGTERM, &sa, NULL);
    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
}

bool run_interrupted(void)
{
    return interrupted != 0;
}

/* In the child. Open MPI refuses root unless told twice. */
static _Noreturn void run_exec(char *const argv[], double budget, int out, int err)
{
    char text[32];
    snprintf(text, sizeof text, "%g", budget);
    setenv("BENCH_SECONDS", text, 1);
    snprintf(text, sizeof text, "%ld", (long)getpid());
    setenv("BENCH_RUN", text, 1);
    setenv("OMPI_ALLOW_RUN_AS_ROOT", "1", 1);
    setenv("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1", 1);
    signal(SIGINT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
    setpgid(0, 0);
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (null >= 0 && dup2(null, 0) == 0 && dup2(out, 1) == 1 && dup2(err, 2) == 2)
        execvp(argv[0], argv);
    dprintf(2, "%s: %s\n", argv[0], strerror(errno));
    _exit(127);
}

/* Takes what is there; false at the end of the stream. */
static bool stream_read(struct stream *s)
{
    char drop[4096];
    size_t room = sizeof s->text - 1 - s->len;
    ssize_t n = read(s->fd, room > 0 ? s->text + s->len : drop, room > 0 ? room : sizeof drop);
    if (n < 0)
        return errno == EAGAIN || errno == EINTR;
    if (room > 0)
        s->len += (size_t)n;
    s->text[s->len] = '\0';
    return n > 0;
}

/* Reads both streams until the process has ended (true) or the time is up or an interrupt came. */
static bool run_watch(int pidfd, struct stream *streams, double deadline, bool heed_interrupt)
{
    struct pollfd p[3] = { { .fd = streams[0].fd, .events = POLLIN },
                           { .fd = streams[1].fd, .events = POLLIN },
                           { .fd = pidfd, .events = POLLIN } };
    while (!(heed_interrupt && interrupted)) {
        double left = deadline - bench_now();
        if (left <= 0)
            return false;
        int ms = left * 1e3 < POLL_MS ? (int)(left * 1e3) + 1 : POLL_MS;
        if (poll(p, 3, ms) <= 0)
            continue;
        for (int k = 0; k < 2; k++)
            if (p[k].revents != 0 && !stream_read(&streams[k]))
                p[k].fd = -1;
        if (p[2].revents != 0)
            return true;
    }
    return false;
}

static size_t run_kill_children(void)
{
    FILE *f = fopen("/proc/thread-self/children", "re");
    size_t n = 0;
    long pid;
    while (f != NULL && fscanf(f, "%ld", &pid) == 1) {
        kill((pid_t)pid, SIGKILL);
        n++;
    }
    if (f != NULL)
        fclose(f);
    return n;
}

/* Kills what the command left, which has become ours. Returns how many were still running. What
 * they in turn leave becomes ours too, so it takes rounds. */
static size_t run_sweep(void)
{
    size_t alive = 0;
    for (;;) {
        while (waitpid(-1, NULL, WNOHANG) > 0)
            ;
        size_t n = run_kill_children();
        if (n == 0)
            return alive;
        alive += n;
        waitpid(-1, NULL, 0);
    }
}

/* The figure is the last line that is a number: launchers may print warnings before it. */
static bool run_parse(const char *text, double *figure)
{
    bool found = false;
    while (*text != '\0') {
        char *end;
        double v = strtod(text, &end);
        if (end != text && (*end == '\n' || *end == '\0')) {
            *figure = v;
            found = true;
        }
        text += strcspn(text, "\n");
        text += *text == '\n';
    }
    return found;
}

/* The first line of err that says something. */
static void run_reason(struct run_result *r, int status, const char *err)
{
    err += strspn(err, " \t\n-");
    int len = (int)strcspn(err, "\n");
    if (WIFSIGNALED(status))
        snprintf(r->text, sizeof r->text, "signal %d; %.*s", WTERMSIG(status), len, err);
    else
        snprintf(r->text, sizeof r->text, "exit code %d; %.*s", WEXITSTATUS(status), len, err);
}

static void run_judge(struct run_result *r, int status, struct stream *streams)
{
    r->printed = run_parse(streams[0].text, &r->figure);
    if (status == 0)
        return;
    r->status = RUN_FAILED;
    run_reason(r, status, streams[1].text);
}

/* The parent's part, from the fork to the last process of the group. */
static void run_parent(struct run_result *r, pid_t pid, struct stream *streams, double limit)
{
    double start = bench_now();
    int status = 0;
    int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    bool ended = run_watch(pidfd, streams, start + limit, true);
    r->wall = bench_now() - start;
    if (!ended) {
        r->status = interrupted ? RUN_STOPPED : RUN_TIMED_OUT;
        snprintf(r->text, sizeof r->text, "not done in %.0f s", limit);
        kill(-pid, SIGTERM);
        run_watch(pidfd, streams, bench_now() + GRACE_SECONDS, false);
        kill(-pid, SIGKILL);
    }
    waitpid(pid, &status, 0);
    for (int k = 0; k < 2; k++) {
        fcntl(streams[k].fd, F_SETFL, O_NONBLOCK);
        while (poll(&(struct pollfd){ .fd = streams[k].fd, .events = POLLIN }, 1, 0) > 0
               && stream_read(&streams[k]))
            ;
    }
    if (ended)
        run_judge(r, status, streams);
    kill(-pid, SIGKILL);
    size_t left = run_sweep();
    if (left > 0 && ended)
        fprintf(stderr, "serry-bench: %zu processes were left behind and killed\n", left);
    close(pidfd);
}

void run_command(struct run_result *r, char *const argv[], double budget, double limit)
{
    *r = (struct run_result){ .status = RUN_OK };
    struct stream streams[2] = { { .fd = -1 }, { .fd = -1 } };
    int out[2], err[2];
    if (pipe2(out, O_CLOEXEC) != 0 || pipe2(err, O_CLOEXEC) != 0)
        bench_die("pipe failed");
    fflush(NULL);
    pid_t pid = fork();
    if (pid < 0)
        bench_die("fork failed");
    if (pid == 0)
        run_exec(argv, budget, out[1], err[1]);
    setpgid(pid, pid); /* here too, so that the group exists before anyone is killed */
    close(out[1]);
    close(err[1]);
    streams[0].fd = out[0];
    streams[1].fd = err[0];
    run_parent(r, pid, streams, limit);
    close(out[0]);
    close(err[0]);
}
