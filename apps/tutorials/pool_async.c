/* pool_async.c: a pool of three and ten tasks, handed in without waiting for any.
 *
 * Prints "all handed in", and from the tasks, three at a time, when each begins and ends; "all
 * done" comes last. Each takes 0.1 s, so all take about 0.4 s.
 */
#include <serry.h>
#include <stdio.h>
#include <unistd.h>

static int work(serry_task *t, const void *in, size_t len)
{
    int number = *(const int *)in;
    (void)len;
    printf("task %d begins in rank %d\n", number, serry_task_worker(t));
    usleep(100 * 1000);
    printf("task %d ends\n", number);
    return 0;
}

int main(int argc, char **argv)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    SERRY_CHECK(serry_init(&argc, &argv));
    if (serry_rank() == 0) {
        double start = serry_time();
        serry_pool *pool;
        SERRY_CHECK(serry_pool_create(&pool, &(serry_pool_options){ .workers = 3 }));
        for (int i = 0; i < 10; i++) {
            serry_future *f;
            SERRY_CHECK(serry_pool_submit(&f, pool, work, &i, sizeof i));
            serry_future_free(f); /* the task runs; its result is not wanted */
        }
        puts("all handed in");
        SERRY_CHECK(serry_pool_close(pool));
        SERRY_CHECK(serry_pool_join(pool, SERRY_FOREVER));
        printf("all done in %.1f seconds\n", serry_time() - start);
        serry_pool_destroy(pool);
    }
    SERRY_CHECK(serry_finalize());
    return 0;
}
