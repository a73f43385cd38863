/* bench_lock_serry lock|semaphore PROCESSES: acquire and release, of a semaphore with one permit.
 * Prints M pairs/s of all processes together. */
#include "bench_crew.h"
#include "bench_rate.h"

struct side {
    serry_lock lock;
    serry_semaphore semaphore;
    bool is_lock;
};

static void step_lock(void *ctx)
{
    const serry_lock *l = ctx;
    SERRY_CHECK(serry_lock_acquire(*l, SERRY_FOREVER));
    SERRY_CHECK(serry_lock_release(*l));
}

static void step_semaphore(void *ctx)
{
    const serry_semaphore *s = ctx;
    SERRY_CHECK(serry_semaphore_acquire(*s, SERRY_FOREVER));
    SERRY_CHECK(serry_semaphore_release(*s));
}

static int side_main(const void *arg, size_t len)
{
    struct side s = *(const struct side *)arg;
    struct rate r;
    (void)len;
    if (s.is_lock) {
        step_lock(&s.lock);
        crew_ready();
        rate_run(&r, step_lock, &s.lock);
    } else {
        step_semaphore(&s.semaphore);
        crew_ready();
        rate_run(&r, step_semaphore, &s.semaphore);
    }
    crew_result(&r, sizeof r);
    return 0;
}

int main(int argc, char **argv)
{
    size_t n = bench_count(argc, argv, 2);
    struct side s = { .is_lock = strcmp(argv[1], "lock") == 0 };
    SERRY_CHECK(serry_init(&argc, &argv));
    if (s.is_lock)
        SERRY_CHECK(serry_lock_create(&s.lock, NULL));
    else
        SERRY_CHECK(serry_semaphore_create(&s.semaphore, 1, NULL));
    struct crew c;
    struct rate rates[CREW_MAX];
    crew_start(&c, n, side_main, &s, sizeof s);
    crew_go(&c, 0);
    crew_results(&c, rates, sizeof *rates);
    crew_join(&c);
    rate_print(rates, n, 1e-6);
    SERRY_CHECK(serry_finalize());
    return 0;
}
