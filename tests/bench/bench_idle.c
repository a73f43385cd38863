/* What waiting costs, and what it saves. Rank 0 is awake, all others wait for it in a receive:
 *     bench_idle blocked SECONDS    processor time of rank 1, of two, in that time, in ms
 *     bench_idle use SECONDS        processor use of all other processes of this run, launcher and
 *                                   agents too, in % of one processor
 *     bench_idle first SECONDS      each of them gets a message after so long: how late it is
 * taken, the mean of all, in ms bench_idle latest SECONDS     the latest of these The sleep of rank
 * 0 is the workload here, not a synchronisation.
 */
#include "bench_comm.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <sys/resource.h>
#include <unistd.h>

enum { TAG_WARM = 1, TAG_WAKE, TAG_FIGURE };

static double idle_own_ms(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return 1e3 * (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec)
           + 1e-3 * (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

static void idle_sleep(double seconds)
{
    struct timespec left = { .tv_sec = (time_t)seconds };
    left.tv_nsec = (long)(1e9 * (seconds - (double)left.tv_sec));
    while (nanosleep(&left, &left) != 0)
        ;
}

/* ---- all processes of this run ---- */

/* The whole of a small file of /proc. Its length; 0 if it is not there any more. */
static size_t idle_read(const char *path, char *text, size_t cap)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n, len = 0;
    while (fd >= 0 && (size_t)len < cap - 1
           && (n = read(fd, text + len, cap - 1 - (size_t)len)) > 0)
        len += n;
    if (fd >= 0)
        close(fd);
    text[len] = '\0';
    return (size_t)len;
}

/* The driver has put a word of its own into the environment of all it starts. */
static bool idle_is_ours(const char *pid, const char *word)
{
    static char text[1 << 17];
    char path[64];
    snprintf(path, sizeof path, "/proc/%.20s/environ", pid);
    size_t len = idle_read(path, text, sizeof text);
    for (const char *at = text; at < text + len; at += strlen(at) + 1)
        if (strcmp(at, word) == 0)
            return true;
    return false;
}

/* Seconds on a processor of all threads of a process: the first number of their schedstat, in ns.
 */
static double idle_seconds_of(const char *pid)
{
    char path[128], text[128];
    snprintf(path, sizeof path, "/proc/%.20s/task", pid);
    DIR *dir = opendir(path);
    double sum = 0;
    for (struct dirent *e; dir != NULL && (e = readdir(dir)) != NULL;) {
        snprintf(path, sizeof path, "/proc/%.20s/task/%.20s/schedstat", pid, e->d_name);
        if (e->d_name[0] != '.' && idle_read(path, text, sizeof text) > 0)
            sum += 1e-9 * strtod(text, NULL);
    }
    if (dir != NULL)
        closedir(dir);
    return sum;
}

/* Of all that this run has started and that lives, but for this process, which looks. */
static double idle_seconds(void)
{
    char word[64], own[32];
    const char *run = getenv("BENCH_RUN");
    DIR *dir = run != NULL ? opendir("/proc") : NULL;
    if (dir == NULL)
        bench_die("bench_idle: BENCH_RUN, which names this run, is not set");
    snprintf(word, sizeof word, "BENCH_RUN=%s", run);
    snprintf(own, sizeof own, "%ld", (long)getpid());
    double sum = 0;
    for (struct dirent *e; (e = readdir(dir)) != NULL;)
        if (e->d_name[0] >= '0' && e->d_name[0] <= '9' && strcmp(e->d_name, own) != 0
            && idle_is_ours(e->d_name, word))
            sum += idle_seconds_of(e->d_name);
    closedir(dir);
    return sum;
}

/* ---- the roles ---- */

static void idle_warm(void)
{
    char byte = 0;
    for (int r = 1; r < comm_size(); r++) {
        comm_send(r, TAG_WARM, &byte, 1);
        comm_recv(r, TAG_WARM, &byte, 1);
    }
}

/* Wakes all, one after the other and not in step with anything. What they say is added up, or the
 * most of it is kept. */
static double idle_wake_all(bool most)
{
    double figure = 0;
    for (int r = 1; r < comm_size(); r++) {
        idle_sleep(1e-3 * (1 + (double)(r * 7919 % 1000) / 137));
        double now = bench_now(), late;
        comm_send(r, TAG_WAKE, &now, sizeof now);
        comm_recv(r, TAG_FIGURE, &late, sizeof late);
        figure = !most ? figure + late : late > figure ? late : figure;
    }
    return figure;
}

static double idle_conduct(const char *what, double seconds)
{
    idle_warm();
    idle_sleep(0.2); /* so that all sleep as deep as they do */
    bool use = strcmp(what, "use") == 0;
    double before = use ? idle_seconds() : 0, start = bench_now();
    idle_sleep(seconds);
    double used = use ? (idle_seconds() - before) / (bench_now() - start) : 0;
    double sum = idle_wake_all(strcmp(what, "latest") == 0);
    idle_warm(); /* so that none has left before, and stirred the others by that */
    if (use)
        return 100 * used;
    return strcmp(what, "first") == 0 ? sum / (comm_size() - 1) : sum;
}

static void idle_echo(void)
{
    char byte = 0;
    comm_recv(0, TAG_WARM, &byte, 1);
    comm_send(0, TAG_WARM, &byte, 1);
}

static void idle_wait(bool blocked)
{
    double sent = 0;
    idle_echo();
    double before = idle_own_ms();
    comm_recv(0, TAG_WAKE, &sent, sizeof sent);
    double figure = blocked ? idle_own_ms() - before : 1e3 * (bench_now() - sent);
    comm_send(0, TAG_FIGURE, &figure, sizeof figure);
    idle_echo();
}

int main(int argc, char **argv)
{
    comm_init(&argc, &argv);
    const char *what = argc > 1 ? argv[1] : "";
    size_t seconds = bench_count(argc, argv, 2);
    if (comm_size() < 2)
        bench_die("bench_idle takes two ranks or more");
    if (comm_rank() == 0)
        bench_print(idle_conduct(what, (double)seconds));
    else
        idle_wait(strcmp(what, "blocked") == 0);
    comm_finalize();
    return 0;
}
