/* bench_collectives barrier|bcast|allreduce: us for each call, the mean of 1,000 calls on the
 * slowest rank; the median of up to 5 such thousands. Data of 8 bytes. */
#include "bench_comm.h"

enum { CALLS = 1000, WARM_UP = 100, BATCHES = 5 };

typedef void (*collective_fn)(void);

static void call_barrier(void)
{
    comm_barrier();
}

static void call_bcast(void)
{
    double x = 1;
    comm_bcast(&x, sizeof x, 0);
}

static void call_allreduce(void)
{
    double x = 1, sum;
    comm_sum(&x, &sum);
}

/* Seconds that the slowest rank took for CALLS calls; the same number on all ranks. */
static double collective_batch(collective_fn fn)
{
    comm_barrier();
    double start = bench_now();
    for (int i = 0; i < CALLS; i++)
        fn();
    double mine = bench_now() - start, slowest;
    comm_max(&mine, &slowest);
    return slowest;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
    comm_init(&argc, &argv);
    collective_fn fn = NULL;
    if (argc == 2 && strcmp(argv[1], "barrier") == 0)
        fn = call_barrier;
    else if (argc == 2 && strcmp(argv[1], "bcast") == 0)
        fn = call_bcast;
    else if (argc == 2 && strcmp(argv[1], "allreduce") == 0)
        fn = call_allreduce;
    if (fn == NULL)
        bench_die("usage: bench_collectives barrier|bcast|allreduce");

    for (int i = 0; i < WARM_UP; i++)
        fn();
    /* Where to stop is decided on numbers that all ranks have in common. */
    double batches[BATCHES], spent = 0, limit = 8 * bench_budget();
    size_t n = 0;
    while (n < BATCHES && (n == 0 || spent < limit)) {
        batches[n] = collective_batch(fn);
        spent += batches[n++];
    }
    qsort(batches, n, sizeof *batches, by_value);
    if (comm_rank() == 0)
        bench_print(batches[n / 2] / CALLS * 1e6);
    comm_finalize();
    return 0;
}
