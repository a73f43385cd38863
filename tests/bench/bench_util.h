/* What all workload programs share: the clock, how long to measure, and the one line of output. */
#ifndef BENCH_UTIL_H
#define BENCH_UTIL_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Seconds on the monotonic clock, comparable between processes of one machine. */
static inline double bench_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* How many seconds a workload that repeats itself should go on; the driver sets it. */
static inline double bench_budget(void)
{
    const char *text = getenv("BENCH_SECONDS");
    double s = text != NULL ? strtod(text, NULL) : 0;
    return s > 0 ? s : 0.25;
}

/* The whole output of a workload program: one number, in the unit the driver's plan names. */
static inline void bench_print(double figure)
{
    printf("%.9g\n", figure);
    fflush(stdout);
}

static inline _Noreturn void bench_die(const char *what)
{
    fprintf(stderr, "%s\n", what);
    exit(2);
}

/* Argument k as a whole number of at least 1; anything else ends the program. */
static inline size_t bench_count(int argc, char **argv, int k)
{
    char *end = NULL;
    unsigned long long v = k < argc ? strtoull(argv[k], &end, 10) : 0;
    if (v == 0 || *end != '\0')
        bench_die("a count is missing or is not a number");
    return (size_t)v;
}

/* size bytes, page aligned and touched, so that no page fault is measured. */
static inline void *bench_buffer(size_t size)
{
    void *p = NULL;
    if (posix_memalign(&p, 4096, size) != 0)
        bench_die("out of memory");
    memset(p, 1, size);
    return p;
}

#endif
