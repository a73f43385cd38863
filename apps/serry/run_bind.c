/* run_bind.c: which rank on which processors. A core is all its hardware threads that we may use;
 * if there are more ranks than cores, each rank gets one thread, siblings last. Of several sockets
 * each has as many ranks as the others, neighbours together.
 */
#include "command.h"
#include "run.h"

#include <stdio.h>
#include <stdlib.h>

/* What there is. By processor: the lowest number among its core's or socket's. order[]: those that
 * we may use, the first thread of each core, then the second ones, ... */
typedef struct bind_machine {
    cpu_set_t allowed;
    int core[CPU_SETSIZE];
    int socket[CPU_SETSIZE];
    int order[CPU_SETSIZE];
    int sockets[CPU_SETSIZE]; /* the numbers of those that there are */
    int n_cpus, n_cores, n_sockets;
} bind_machine;

/* A number that the kernel tells of a processor; -1: it does not. */
static int bind_ask(int cpu, const char *what)
{
    char path[96];
    snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%d/topology/%s", cpu, what);
    FILE *f = fopen(path, "re");
    int n = -1;
    if (f) {
        if (fscanf(f, "%d", &n) != 1)
            n = -1;
        fclose(f);
    }
    return n;
}

/* The lowest number among the hardware threads of this processor's core; itself if unknown. */
static int bind_core_of(int cpu)
{
    int first = bind_ask(cpu, "thread_siblings_list");
    return first < 0 || first >= CPU_SETSIZE ? cpu : first;
}

static void bind_order(bind_machine *m)
{
    int turn[CPU_SETSIZE]; /* which thread of its core it is */
    int threads[CPU_SETSIZE] = { 0 };
    int most = 0;
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (!CPU_ISSET((size_t)cpu, &m->allowed))
            continue;
        m->core[cpu] = bind_core_of(cpu);
        turn[cpu] = threads[m->core[cpu]]++;
        most = turn[cpu] + 1 > most ? turn[cpu] + 1 : most;
    }
    for (int t = 0; t < most; t++) {
        for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
            if (CPU_ISSET((size_t)cpu, &m->allowed) && turn[cpu] == t)
                m->order[m->n_cpus++] = cpu;
        }
        m->n_cores = t == 0 ? m->n_cpus : m->n_cores;
    }
}

static void bind_find_sockets(bind_machine *m)
{
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (!CPU_ISSET((size_t)cpu, &m->allowed))
            continue;
        m->socket[cpu] = bind_ask(cpu, "physical_package_id");
        int i = 0;
        while (i < m->n_sockets && m->sockets[i] != m->socket[cpu])
            i++;
        if (i == m->n_sockets)
            m->sockets[m->n_sockets++] = m->socket[cpu];
    }
}

static void bind_fill(cpu_set_t *set, const bind_machine *m, const int *of, int which)
{
    CPU_ZERO(set);
    for (size_t cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (CPU_ISSET(cpu, &m->allowed) && of[cpu] == which)
            CPU_SET(cpu, set);
    }
}

static void bind_rank(cpu_set_t *set, const bind_machine *m, const run_options *o, int rank)
{
    bool whole = o->bind == RUN_BIND_CORE && o->size <= m->n_cores;
    if (o->bind == RUN_BIND_SOCKET) {
        int64_t i = (int64_t)rank * m->n_sockets / o->size;
        if (o->size < m->n_sockets)
            i = rank;
        bind_fill(set, m, m->socket, m->sockets[i]);
    } else if (whole) {
        bind_fill(set, m, m->core, m->core[m->order[rank]]);
    } else {
        CPU_ZERO(set);
        CPU_SET((size_t)m->order[rank], set);
    }
}

cpu_set_t *run_bind_plan(const run *r)
{
    static bind_machine m;
    if (r->o.bind == RUN_BIND_NONE)
        return NULL;
    if (sched_getaffinity(0, sizeof m.allowed, &m.allowed) == 0) {
        bind_order(&m);
        bind_find_sockets(&m);
    }
    if (m.n_cpus == 0 || (r->o.bind != RUN_BIND_SOCKET && r->o.size > m.n_cpus)) {
        run_say(r, "%d ranks on %d processors: they are not bound to %s", r->o.size, m.n_cpus,
                r->o.bind == RUN_BIND_CORE ? "cores" : "processors");
        return NULL;
    }
    cpu_set_t *sets = malloc((size_t)r->o.size * sizeof *sets);
    for (int i = 0; sets && i < r->o.size; i++)
        bind_rank(&sets[i], &m, &r->o, i);
    return sets;
}

/* "0-3, 7" */
static void bind_list(const cpu_set_t *set, char *text, size_t cap)
{
    size_t at = 0;
    for (size_t cpu = 0; cpu < CPU_SETSIZE && at < cap; cpu++) {
        if (!CPU_ISSET(cpu, set))
            continue;
        size_t last = cpu;
        while (last + 1 < CPU_SETSIZE && CPU_ISSET(last + 1, set))
            last++;
        int n = snprintf(text + at, cap - at, last > cpu ? "%s%zu-%zu" : "%s%zu", at ? ", " : "",
                         cpu, last);
        at += n > 0 ? (size_t)n : 0;
        cpu = last;
    }
}

void run_bind_report(const run *r, const cpu_set_t *sets)
{
    cpu_set_t all;
    char text[1024] = "";
    if (sched_getaffinity(0, sizeof all, &all) != 0)
        CPU_ZERO(&all);
    for (int i = 0; i < r->o.size; i++) {
        const cpu_set_t *set = sets ? &sets[i] : &all;
        bind_list(set, text, sizeof text);
        command_say("run", "rank %d is %s processor%s %s", i,
                    sets ? "bound to" : "not bound, it may use", CPU_COUNT(set) == 1 ? "" : "s",
                    text);
    }
}
