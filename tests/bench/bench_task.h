/* The tasks of the pool workloads: one that does nothing, and those that compute for 1 ms. */
#ifndef BENCH_TASK_H
#define BENCH_TASK_H

#include "bench_util.h"

#include <stdbool.h>

/* Busy for 1 ms of the clock: a task that sleeps would leave its processor to others. */
static inline void bench_spin_1ms(void)
{
    double end = bench_now() + 1e-3;
    while (bench_now() < end)
        ;
}

/* Seconds of processor time that this thread has had. */
static inline double bench_cpu_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* 1 ms of processor time, however long that takes. */
static inline void bench_burn_1ms(void)
{
    double end = bench_cpu_now() + 1e-3;
    while (bench_cpu_now() < end)
        ;
}

static inline bool bench_task_is_spin(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "spin") == 0)
        return true;
    if (argc < 2 || strcmp(argv[1], "nop") != 0)
        bench_die("the task is nop or spin");
    return false;
}

#endif
