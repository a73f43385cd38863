/* bench_pool_serry nop|spin N [CHUNK]: serry_pool_map of N tasks by 2 worker processes; without
 * CHUNK in chunks of its own choice. In a world of several ranks the others are the workers. Prints
 * tasks/s.
 *
 * bench_pool_serry burn N: N single tasks of 1 ms of processor time each are submitted to 2
 * workers, and then their owner computes, too, without a call to serry, until all have been done.
 * Prints which part of the time of 2 processors went into the tasks and the owner's own work. */
#include "bench_task.h"

#include <serry.h>
#include <stdatomic.h>
#include <sys/mman.h>

enum { WORKERS = 2 };

static int pool_nop(serry_task *t, const void *in, size_t len)
{
    (void)t;
    (void)in;
    (void)len;
    return 0;
}

static int pool_spin(serry_task *t, const void *in, size_t len)
{
    (void)t;
    (void)in;
    (void)len;
    bench_spin_1ms();
    return 0;
}

static _Atomic long *pool_done; /* shared with the workers */

static int pool_burn(serry_task *t, const void *in, size_t len)
{
    (void)t;
    (void)in;
    (void)len;
    bench_burn_1ms();
    atomic_fetch_add(pool_done, 1);
    return 0;
}

static void pool_computing_owner(size_t n)
{
    pool_done =
        mmap(NULL, sizeof *pool_done, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    serry_future **f = bench_buffer(n * sizeof(serry_future *));
    serry_pool *pool;
    if (pool_done == MAP_FAILED)
        bench_die("no shared memory");
    SERRY_CHECK(serry_init(NULL, NULL));
    SERRY_CHECK(serry_pool_create(&pool, &(serry_pool_options){ .workers = WORKERS }));
    SERRY_CHECK(serry_pool_map(pool, pool_nop, NULL, 0, 100, NULL, 0, NULL));
    for (size_t i = 0; i < n; i++)
        SERRY_CHECK(serry_pool_submit(&f[i], pool, pool_burn, NULL, 0));
    long before = atomic_load(pool_done);
    double start = bench_now(), own = bench_cpu_now();
    while (atomic_load(pool_done) < (long)n)
        bench_burn_1ms();
    double spent = bench_cpu_now() - own + (double)((long)n - before) * 1e-3;
    bench_print(spent / (2 * (bench_now() - start)));
    for (size_t i = 0; i < n; i++) {
        SERRY_CHECK(serry_future_get(f[i], NULL, 0, NULL, SERRY_FOREVER));
        serry_future_free(f[i]);
    }
    serry_pool_destroy(pool);
    SERRY_CHECK(serry_finalize());
    free(f);
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "burn") == 0) {
        pool_computing_owner(bench_count(argc, argv, 2));
        return 0;
    }
    bool spin = bench_task_is_spin(argc, argv);
    size_t n = bench_count(argc, argv, 2);
    serry_map_options o = { .chunk = argc > 3 ? bench_count(argc, argv, 3) : 0 };
    int64_t *items = bench_buffer(n * sizeof *items);
    for (size_t i = 0; i < n; i++)
        items[i] = (int64_t)i;

    SERRY_CHECK(serry_init(&argc, &argv));
    if (serry_rank() > 0) {
        SERRY_CHECK(serry_finalize());
        free(items);
        return 0;
    }
    serry_pool *pool;
    SERRY_CHECK(serry_pool_create(&pool, &(serry_pool_options){ .workers = WORKERS }));
    serry_task_fn fn = spin ? pool_spin : pool_nop;
    /* The first map waits for the workers to be up. */
    SERRY_CHECK(serry_pool_map(pool, fn, items, sizeof *items, n < 100 ? n : 100, NULL, 0, &o));
    double start = bench_now();
    SERRY_CHECK(serry_pool_map(pool, fn, items, sizeof *items, n, NULL, 0, &o));
    bench_print((double)n / (bench_now() - start));
    serry_pool_destroy(pool);
    SERRY_CHECK(serry_finalize());
    free(items);
    return 0;
}
