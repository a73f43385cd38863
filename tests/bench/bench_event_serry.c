/* bench_event_serry WAITERS: an event is set while so many processes wait for it. Prints the us
 * until the last of them is awake, the median of several times. */
#include "bench_crew.h"

enum { TIMES_MAX = 1000, SETTLE_NS = 5000000 };

/* Until all waiters sleep, and behind the set until all are awake: nobody takes their processor. */
static void settle(void)
{
    nanosleep(&(struct timespec){ .tv_nsec = SETTLE_NS }, NULL);
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static int waiter(const void *arg, size_t len)
{
    const serry_event *e = arg;
    (void)len;
    while (crew_ready() != 0) {
        SERRY_CHECK(serry_event_wait(*e, SERRY_FOREVER));
        double awake = bench_now();
        crew_result(&awake, sizeof awake);
    }
    return 0;
}

static double one_round(const struct crew *c, serry_event e)
{
    double awake[CREW_MAX], last = 0;
    SERRY_CHECK(serry_event_clear(e));
    crew_go(c, 1);
    settle();
    double start = bench_now();
    SERRY_CHECK(serry_event_set(e));
    settle();
    crew_results(c, awake, sizeof *awake);
    for (size_t k = 0; k < c->n; k++)
        last = awake[k] > last ? awake[k] : last;
    return (last - start) * 1e6;
}

int main(int argc, char **argv)
{
    size_t n = bench_count(argc, argv, 1), times = 0;
    serry_event e;
    static double seen[TIMES_MAX];
    SERRY_CHECK(serry_init(&argc, &argv));
    SERRY_CHECK(serry_event_create(&e, NULL));
    struct crew c;
    crew_start(&c, n, waiter, &e, sizeof e);
    one_round(&c, e);
    double end = bench_now() + bench_budget();
    do {
        seen[times++] = one_round(&c, e);
    } while (bench_now() < end && times < TIMES_MAX);
    crew_go(&c, 0);
    crew_join(&c);
    qsort(seen, times, sizeof *seen, by_value);
    bench_print(seen[times / 2]);
    SERRY_CHECK(serry_finalize());
    return 0;
}
