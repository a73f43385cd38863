/* core/cpu.c: how many processors this process may use. */
#include <serry/world.h>

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int cpu_affinity(void)
{
    for (size_t cpus = 1024; cpus <= 1u << 20; cpus *= 4) {
        cpu_set_t *set = CPU_ALLOC(cpus);
        if (!set)
            break;
        size_t bytes = CPU_ALLOC_SIZE(cpus);
        int n = sched_getaffinity(0, bytes, set) == 0 ? CPU_COUNT_S(bytes, set) : 0;
        CPU_FREE(set);
        if (n > 0)
            return n;
    }
    long n = sysconf(_SC_NPROCESSORS_ONLN);
    return n > 0 ? (int)n : 1;
}

/* "quota period" or "max period" of one group; 0: no limit. */
static int cpu_quota_of(const char *dir)
{
    char path[4200];
    long long quota = 0;
    long long period = 0;
    snprintf(path, sizeof path, "%s/cpu.max", dir);
    FILE *f = fopen(path, "re");
    if (f) {
        if (fscanf(f, "%lld %lld", &quota, &period) != 2)
            quota = 0;
        fclose(f);
    } else { /* version 1 */
        snprintf(path, sizeof path, "%s/cpu.cfs_quota_us", dir);
        f = fopen(path, "re");
        if (f && fscanf(f, "%lld", &quota) != 1)
            quota = 0;
        if (f)
            fclose(f);
        snprintf(path, sizeof path, "%s/cpu.cfs_period_us", dir);
        f = fopen(path, "re");
        if (f && fscanf(f, "%lld", &period) != 1)
            period = 0;
        if (f)
            fclose(f);
    }
    if (quota <= 0 || period <= 0)
        return 0;
    long long n = (quota + period - 1) / period;
    return n > 1 << 20 ? 0 : (int)n;
}

/* The tightest quota from a process's group up to the root. */
static int cpu_quota_up(const char *root, char *group)
{
    int least = 0;
    for (;;) {
        char dir[4100];
        snprintf(dir, sizeof dir, "%s%s", root, group);
        int n = cpu_quota_of(dir);
        if (n > 0 && (least == 0 || n < least))
            least = n;
        char *slash = strrchr(group, '/');
        if (!slash || group[0] == 0)
            return least;
        *slash = 0;
    }
}

static int cpu_quota(void)
{
    char line[4096];
    int least = 0;
    FILE *f = fopen("/proc/self/cgroup", "re");
    if (!f)
        return 0;
    while (fgets(line, sizeof line, f)) {
        line[strcspn(line, "\n")] = 0;
        char *controllers = strchr(line, ':');
        char *group = controllers ? strchr(controllers + 1, ':') : NULL;
        if (!group)
            continue;
        *group++ = 0;
        controllers++;
        const char *root = NULL;
        if (controllers[0] == 0)
            root = "/sys/fs/cgroup";
        else if (strcmp(controllers, "cpu,cpuacct") == 0 || strcmp(controllers, "cpu") == 0)
            root = "/sys/fs/cgroup/cpu";
        int n = root ? cpu_quota_up(root, group) : 0;
        if (n > 0 && (least == 0 || n < least))
            least = n;
    }
    fclose(f);
    return least;
}

int serry_cpu_count(void)
{
    int cpus = cpu_affinity();
    int quota = cpu_quota();
    return quota > 0 && quota < cpus ? quota : cpus;
}
