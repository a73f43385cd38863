/* pool_functions.c: one pool of three that runs two different functions, five tasks of each, in
 * turns.
 *
 * Prints, in any order, five times that somebody sings and five times that somebody dances; then
 * how long each of them took together.
 */
#include <serry.h>
#include <stdio.h>
#include <unistd.h>

static int sing(serry_task *t, const void *in, size_t len)
{
    double seconds = 0.05;
    printf("rank %d sings song %d\n", serry_task_worker(t), *(const int *)in);
    (void)len;
    usleep((useconds_t)(seconds * 1e6));
    return serry_task_return(t, &seconds, sizeof seconds);
}

static int dance(serry_task *t, const void *in, size_t len)
{
    double seconds = 0.1;
    printf("rank %d dances dance %d\n", serry_task_worker(t), *(const int *)in);
    (void)len;
    usleep((useconds_t)(seconds * 1e6));
    return serry_task_return(t, &seconds, sizeof seconds);
}

int main(int argc, char **argv)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    SERRY_CHECK(serry_init(&argc, &argv));
    if (serry_rank() == 0) {
        const serry_task_fn functions[] = { sing, dance };
        serry_pool *pool;
        SERRY_CHECK(serry_pool_create(&pool, &(serry_pool_options){ .workers = 3 }));

        serry_future *futures[10];
        for (int i = 0; i < 10; i++) {
            int number = i / 2;
            SERRY_CHECK(
                serry_pool_submit(&futures[i], pool, functions[i % 2], &number, sizeof number));
        }
        double total[2] = { 0, 0 };
        for (int i = 0; i < 10; i++) {
            double seconds;
            SERRY_CHECK(
                serry_future_get(futures[i], &seconds, sizeof seconds, NULL, SERRY_FOREVER));
            total[i % 2] += seconds;
            serry_future_free(futures[i]);
        }
        printf("%.2f seconds of singing, %.2f of dancing\n", total[0], total[1]);
        serry_pool_destroy(pool);
    }
    SERRY_CHECK(serry_finalize());
    return 0;
}
