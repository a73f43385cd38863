/* bench_barrier_serry PROCESSES ROUNDS: us for each round of a barrier object. */
#include "bench_crew.h"

enum { WARM_UP = 20 };

struct side {
    serry_barrier barrier;
    size_t rounds;
};

static void side_wait(const struct side *s, size_t n)
{
    for (size_t i = 0; i < n; i++)
        SERRY_CHECK(serry_barrier_wait(s->barrier, NULL, SERRY_FOREVER));
}

static int side_main(const void *arg, size_t len)
{
    const struct side *s = arg;
    (void)len;
    crew_ready();
    side_wait(s, WARM_UP);
    double start = bench_now();
    side_wait(s, s->rounds);
    double seconds = bench_now() - start;
    crew_result(&seconds, sizeof seconds);
    return 0;
}

int main(int argc, char **argv)
{
    size_t n = bench_count(argc, argv, 1);
    struct side s = { .rounds = bench_count(argc, argv, 2) };
    SERRY_CHECK(serry_init(&argc, &argv));
    SERRY_CHECK(serry_barrier_create(&s.barrier, (int)n, NULL));
    struct crew c;
    double seconds[CREW_MAX];
    crew_start(&c, n, side_main, &s, sizeof s);
    crew_go(&c, 0);
    crew_results(&c, seconds, sizeof *seconds);
    crew_join(&c);
    bench_print(seconds[0] / (double)s.rounds * 1e6);
    SERRY_CHECK(serry_finalize());
    return 0;
}
