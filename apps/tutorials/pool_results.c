/* pool_results.c: a pool of three, ten tasks, and their results: by a future for each, which brings
 * text of any length, and by a map, which fills an array.
 *
 * Prints ten lines "task 3 says: ...", in order, and the ten squares.
 */
#include <serry.h>
#include <stdio.h>
#include <unistd.h>

static int answer(serry_task *t, const void *in, size_t len)
{
    char text[64];
    (void)len;
    usleep(50 * 1000);
    int n = snprintf(text, sizeof text, "hello %d", *(const int *)in);
    return serry_task_return(t, text, (size_t)n);
}

static int square(serry_task *t, const void *in, size_t len)
{
    int x = *(const int *)in;
    (void)len;
    x *= x;
    return serry_task_return(t, &x, sizeof x);
}

int main(int argc, char **argv)
{
    SERRY_CHECK(serry_init(&argc, &argv));
    if (serry_rank() == 0) {
        serry_pool *pool;
        SERRY_CHECK(serry_pool_create(&pool, &(serry_pool_options){ .workers = 3 }));

        serry_future *futures[10];
        for (int i = 0; i < 10; i++)
            SERRY_CHECK(serry_pool_submit(&futures[i], pool, answer, &i, sizeof i));
        for (int i = 0; i < 10; i++) {
            char text[64];
            size_t len;
            SERRY_CHECK(serry_future_get(futures[i], text, sizeof text, &len, SERRY_FOREVER));
            printf("task %d says: %.*s\n", i, (int)len, text);
            serry_future_free(futures[i]);
        }

        int xs[10] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9 }, ys[10];
        SERRY_CHECK(serry_pool_map(pool, square, xs, sizeof *xs, 10, ys, sizeof *ys, NULL));
        printf("squares:");
        for (int i = 0; i < 10; i++)
            printf(" %d", ys[i]);
        printf("\n");
        serry_pool_destroy(pool);
    }
    SERRY_CHECK(serry_finalize());
    return 0;
}
