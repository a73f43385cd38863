/* info.c: what this machine offers, and how serry would use it. */
#include "command.h"

#include "agent/agent.h"
#include "base/fds.h"
#include "transport/local/segment.h"

#include <serry/world.h>

#include <inttypes.h>
#include <sched.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

extern char **environ;

static const char info_help[] =
    "Usage: serry info\n"
    "Prints the version, the transports found, the limits that hold here, the processors,\n"
    "the options of serry in the environment, and how programs would be run on this\n"
    "machine. Tries things out; changes nothing.\n"
    "\n"
    "Exit status: 0; 1 if there is no working transport; 2 for wrong usage, or an option in\n"
    "the environment that is none.\n";

static void info_line(const char *what, const char *fmt, ...) SERRY_PRINTF(2, 3);

static void info_line(const char *what, const char *fmt, ...)
{
    va_list ap;
    printf("  %-22s ", what);
    va_start(ap, fmt);
    vprintf(fmt, ap);
    va_end(ap);
    putchar('\n');
}

/* "4 GiB", "1.5 MiB" */
static const char *info_bytes(uint64_t n, char *text, size_t cap)
{
    static const char *const units[] = { "bytes", "KiB", "MiB", "GiB", "TiB" };
    int unit = 0;
    double value = (double)n;
    while (value >= 1024 && unit < 4) {
        value /= 1024;
        unit++;
    }
    snprintf(text, cap, "%.4g %s", value, units[unit]);
    return text;
}

static bool info_shm_works(void)
{
    sri_segment s;
    if (sri_segment_create(&s, 1) != SERRY_OK)
        return false;
    sri_segment_close(&s);
    return true;
}

static bool info_socket_works(void)
{
    int fd[2];
    if (sri_socket_pair(fd) != SERRY_OK)
        return false;
    close(fd[0]);
    close(fd[1]);
    return true;
}

/* A program under mpirun needs the plugin of that MPI; other programs need none. */
static void info_mpi(const char *mpi, const char *which)
{
    char text[1024];
    info_plugin(which, text, sizeof text);
    info_line(mpi, "%s", text);
}

static void info_transports(bool shm, const char *shm_problem, bool socket)
{
    puts("\nTransports");
    info_line("shared-memory lanes", "%s", shm ? "yes" : shm_problem);
    info_line("socket lanes", "%s", socket ? "yes" : "no");
    info_mpi("Open MPI", "openmpi");
    info_mpi("MPICH", "mpich");
}

/* The tightest memory limit of this process's control groups (v2), or 0. */
static uint64_t info_cgroup_memory(void)
{
    char path[1024] = "";
    char file[1200];
    uint64_t least = 0;
    FILE *f = fopen("/proc/self/cgroup", "re");
    bool unified = f && fscanf(f, "0::%1023[^\n]", path) == 1;
    if (f)
        fclose(f);
    while (unified && path[0]) {
        char *slash = strrchr(path, '/');
        snprintf(file, sizeof file, "/sys/fs/cgroup%s/memory.max", path);
        uint64_t limit;
        f = fopen(file, "re");
        if (f && fscanf(f, "%" SCNu64, &limit) == 1 && (least == 0 || limit < least))
            least = limit;
        if (f)
            fclose(f);
        *(slash ? slash : path) = 0;
    }
    return least;
}

static void info_memory(void)
{
    char total[32];
    char limit[32];
    long pages = sysconf(_SC_PHYS_PAGES);
    long page = sysconf(_SC_PAGESIZE);
    uint64_t bytes = pages > 0 && page > 0 ? (uint64_t)pages * (uint64_t)page : 0;
    uint64_t cgroup = info_cgroup_memory();
    info_bytes(bytes, total, sizeof total);
    if (cgroup && cgroup < bytes)
        info_line("memory", "%s, of which a control group allows %s", total,
                  info_bytes(cgroup, limit, sizeof limit));
    else
        info_line("memory", "%s", total);
}

static void info_limits(const sri_agent_options *o)
{
    char text[32];
    struct rlimit files = { 0 };
    puts("\nLimits");
    info_line("ranks of a run", "%u", SRI_SLOTS - 1);
    info_line("members of a node", "%u at once, started processes included", SRI_SLOTS - 1);
    info_line("lanes in use at once", "%u, of %s each", SRI_LANES_MAX,
              info_bytes(SRI_RING_SIZE, text, sizeof text));
    info_line("message", "%s (SERRY_MAX_MESSAGE)", info_bytes(o->max_message, text, sizeof text));
    if (getrlimit(RLIMIT_NOFILE, &files) == 0)
        info_line("descriptors", "%" PRIu64 ", the launcher takes up to %" PRIu64,
                  (uint64_t)files.rlim_cur, (uint64_t)files.rlim_max);
    info_memory();
}

static int info_affinity(void)
{
    cpu_set_t set;
    return sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 0;
}

static void info_processors(void)
{
    int affinity = info_affinity();
    int usable = serry_cpu_count();
    puts("\nProcessors");
    info_line("online", "%ld", sysconf(_SC_NPROCESSORS_ONLN));
    if (affinity > 0)
        info_line("in the affinity mask", "%d", affinity);
    info_line("usable", "%d%s", usable, affinity > usable ? " (a control group's quota)" : "");
}

/* What is set, and what is misspelt: a program cannot tell an option of another from a slip. What
 * serry run sets for its ranks is known, too. */
static void info_environment(void)
{
    static const char *const known[] = { "AGENTS", "HEARTBEAT", "INTERFACE",   "JOIN_FD",
                                         "LANES",  "LOG",       "MAX_MESSAGE", "NODES",
                                         "NP",     "OUTLIVE",   "PLUGIN_DIR",  "RANK",
                                         "SIZE",   "START",     "TRANSPORT" };
    bool any = false;
    for (char **v = environ; *v; v++) {
        size_t name = strcspn(*v, "=");
        bool is = false;
        if (strncmp(*v, "SERRY_", 6) != 0)
            continue;
        for (size_t i = 0; i < sizeof known / sizeof *known; i++)
            is |= strlen(known[i]) == name - 6 && strncmp(*v + 6, known[i], name - 6) == 0;
        if (!any)
            puts("\nOptions in the environment");
        any = true;
        printf("  %-22.*s %s%s\n", (int)name, *v, (*v)[name] ? *v + name + 1 : "",
               is ? "" : " (serry has no option of this name)");
    }
}

static void info_use(const sri_agent_options *o, bool shm, bool socket)
{
    int cpus = serry_cpu_count();
    puts("\nHow programs run here");
    if (o->lanes == SRI_LANES_SHM ? !shm : !socket) {
        info_line("not at all", "SERRY_LANES=%s does not work on this machine",
                  o->lanes == SRI_LANES_SHM ? "shm" : "socket");
        return;
    }
    info_line("./app", "one process, which starts others as it needs them");
    info_line("a pool of ./app", "%d worker%s", cpus, cpus > 1 ? "s" : "");
    info_line("serry run ./app", "%d rank%s", cpus, cpus > 1 ? "s" : "");
    info_line("messages go by", "%s lanes (SERRY_LANES)",
              o->lanes == SRI_LANES_SHM ? "shared-memory" : "socket");
}

int command_info(int argc, char **argv)
{
    if (argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
        fputs(info_help, stdout);
        return 0;
    }
    if (argc > 1) {
        command_say("info", "there is no option '%s' (see serry info --help)", argv[1]);
        return EXIT_USAGE;
    }
    sri_agent_options o = { .size = 1 };
    if (sri_agent_options_read(&o) != SERRY_OK) {
        command_say("info", "%s", serry_err_detail());
        return EXIT_USAGE;
    }
    char problem[512] = "";
    bool shm = info_shm_works();
    if (!shm)
        snprintf(problem, sizeof problem, "no: %s", serry_err_detail());
    bool socket = info_socket_works();
    printf("serry %s\n", SERRY_VERSION);
    info_transports(shm, problem, socket);
    info_limits(&o);
    info_processors();
    info_environment();
    info_use(&o, shm, socket);
    return shm || socket ? 0 : EXIT_FAILURE;
}
