/* bench_pool_serry nop|spin N [CHUNK]: serry_pool_map of N tasks by 2 worker processes; without
 * CHUNK in chunks of its own choice. Prints tasks/s. */
#include "bench_task.h"

#include <serry.h>

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

int main(int argc, char **argv)
{
    bool spin = bench_task_is_spin(argc, argv);
    size_t n = bench_count(argc, argv, 2);
    serry_map_options o = { .chunk = argc > 3 ? bench_count(argc, argv, 3) : 0 };
    int64_t *items = bench_buffer(n * sizeof *items);
    for (size_t i = 0; i < n; i++)
        items[i] = (int64_t)i;

    SERRY_CHECK(serry_init(&argc, &argv));
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
