/* run_bind.c: which rank on which processors. A core is all its hardware threads that we may use;
 * if there are more ranks than cores, each rank gets one thread, siblings last.
 */
#include "run.h"

#include <stdio.h>
#include <stdlib.h>

/* The lowest number among the hardware threads of this processor's core; itself if unknown. */
static int bind_core_of(int cpu)
{
    char path[96];
    snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%d/topology/thread_siblings_list", cpu);
    FILE *f = fopen(path, "re");
    int first = cpu;
    if (f) {
        if (fscanf(f, "%d", &first) != 1 || first < 0 || first >= CPU_SETSIZE)
            first = cpu;
        fclose(f);
    }
    return first;
}

/* order[]: allowed processors, the first thread of each core, then the second ones, ... Returns how
 * many cores there are; *cpus is how many processors. cores[] is by processor. */
static int bind_order(const cpu_set_t *allowed, int *cores, int *order, int *cpus)
{
    int turn[CPU_SETSIZE]; /* which thread of its core it is */
    int threads[CPU_SETSIZE] = { 0 };
    int most = 0;
    *cpus = 0;
    for (size_t cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (!CPU_ISSET(cpu, allowed))
            continue;
        cores[cpu] = bind_core_of((int)cpu);
        turn[cpu] = threads[cores[cpu]]++;
        most = turn[cpu] + 1 > most ? turn[cpu] + 1 : most;
    }
    int n_cores = 0;
    for (int t = 0; t < most; t++) {
        for (size_t cpu = 0; cpu < CPU_SETSIZE; cpu++) {
            if (CPU_ISSET(cpu, allowed) && turn[cpu] == t)
                order[(*cpus)++] = (int)cpu;
        }
        n_cores = t == 0 ? *cpus : n_cores;
    }
    return n_cores;
}

static void bind_fill(cpu_set_t *set, const cpu_set_t *allowed, const int *cores, size_t cpu,
                      bool whole)
{
    CPU_ZERO(set);
    CPU_SET(cpu, set);
    for (size_t c = 0; whole && c < CPU_SETSIZE; c++) {
        if (CPU_ISSET(c, allowed) && cores[c] == cores[cpu])
            CPU_SET(c, set);
    }
}

cpu_set_t *run_bind_plan(const run *r)
{
    static int cores[CPU_SETSIZE];
    static int order[CPU_SETSIZE];
    cpu_set_t allowed;
    int cpus = 0;
    int n_cores = 0;
    if (sched_getaffinity(0, sizeof allowed, &allowed) == 0)
        n_cores = bind_order(&allowed, cores, order, &cpus);
    if (r->o.size > cpus) {
        run_say(r, "%d ranks on %d processors: they are not bound to cores", r->o.size, cpus);
        return NULL;
    }
    cpu_set_t *sets = malloc((size_t)r->o.size * sizeof *sets);
    for (int i = 0; sets && i < r->o.size; i++)
        bind_fill(&sets[i], &allowed, cores, (size_t)order[i], r->o.size <= n_cores);
    return sets;
}
