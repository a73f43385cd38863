/* pool_cpus.c: a pool with a worker for each processor but one, which is left to the main program.
 *
 * Prints the number of processors, and how many of the 40 tasks each worker has run. In a world of
 * several ranks the workers are these; rank 0 helps until the others are there.
 */
#include <serry.h>
#include <stdio.h>
#include <unistd.h>

enum { TASKS = 40, MANY = 1024 };

static int work(serry_task *t, const void *in, size_t len)
{
    (void)t, (void)in, (void)len;
    usleep(10 * 1000);
    return 0;
}

int main(int argc, char **argv)
{
    SERRY_CHECK(serry_init(&argc, &argv));
    if (serry_rank() == 0) {
        int processors = serry_cpu_count();
        int workers = processors > 1 ? processors - 1 : 1;
        printf("%d processors\n", processors);

        int items[TASKS] = { 0 };
        serry_pool *pool;
        SERRY_CHECK(serry_pool_create(&pool, &(serry_pool_options){ .workers = workers }));
        SERRY_CHECK(serry_pool_map(pool, work, items, sizeof *items, TASKS, NULL, 0, NULL));

        serry_worker_stats stats[MANY];
        size_t n;
        SERRY_CHECK(serry_pool_stats(pool, stats, MANY, &n));
        for (size_t i = 0; i < n && i < MANY; i++)
            printf("rank %d has run %d tasks in %.2f seconds\n", stats[i].rank, (int)stats[i].tasks,
                   stats[i].busy);
        serry_pool_destroy(pool);
    }
    SERRY_CHECK(serry_finalize());
    return 0;
}
