/* base/cpus.h: the processors that a process may run on, as a set, and how many processes compete
 * for them. Launchers often bind each process to a processor of its own, which is not the same as
 * all processes sharing one. */
#ifndef SRI_CPUS_H
#define SRI_CPUS_H

#include <sched.h>
#include <stdint.h>
#include <string.h>

#define SRI_CPUS_WORDS 16 /* 1,024 processors */

typedef struct sri_cpus {
    uint64_t words[SRI_CPUS_WORDS];
} sri_cpus;

/* Those of this thread; none where the kernel counts more than there is room for. */
static inline sri_cpus sri_cpus_own(void)
{
    sri_cpus c;
    memset(&c, 0, sizeof c);
    if (sched_getaffinity(0, sizeof c, (cpu_set_t *)(void *)&c) != 0)
        memset(&c, 0, sizeof c);
    return c;
}

static inline int sri_cpus_count(const sri_cpus *c)
{
    int n = 0;
    for (int i = 0; i < SRI_CPUS_WORDS; i++)
        n += __builtin_popcountll(c->words[i]);
    return n;
}

/* n processes have `all` processors together: so many of them there are for each `own`. */
static inline int sri_cpus_share(int n, int own, int all)
{
    return own > 0 && all > own ? (n * own + all - 1) / all : n;
}

#endif
