/* What the workloads of operations per second have in common: each process repeats its step until
 * the budget is used; the rate is that of all together, from the first start to the last end. */
#ifndef BENCH_RATE_H
#define BENCH_RATE_H

#include "bench_util.h"

#include <stdbool.h>

enum { RATE_MAX = 16, RATE_BATCH = 64 };

/* What one process saw. */
struct rate {
    double start;
    double end;
    double count; /* steps */
};

/* Inlined with its step, so that short ones are not measured through a pointer. */
static inline __attribute__((always_inline)) void rate_run(struct rate *r, void (*step)(void *),
                                                           void *ctx)
{
    double budget = bench_budget();
    *r = (struct rate){ .start = bench_now() };
    do {
        for (int i = 0; i < RATE_BATCH; i++)
            step(ctx);
        r->count += RATE_BATCH;
        r->end = bench_now();
    } while (r->end - r->start < budget);
}

/* scale: what one step counts for. */
static inline void rate_print(const struct rate *rates, size_t n, double scale)
{
    double start = rates[0].start, end = rates[0].end, count = rates[0].count;
    for (size_t k = 1; k < n; k++) {
        start = rates[k].start < start ? rates[k].start : start;
        end = rates[k].end > end ? rates[k].end : end;
        count += rates[k].count;
    }
    bench_print(count * scale / (end - start));
}

#endif
