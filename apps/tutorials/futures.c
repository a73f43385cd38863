/* futures.c: tasks handed in one by one, each with a future: waited for in the order of their ends,
 * told about by a callback, failed, cancelled; and a whole map behind one future.
 *
 * Prints for each of eight tasks what became of it: one has failed, one was cancelled; then
 * squares.
 */
#include <serry.h>
#include <stdio.h>
#include <unistd.h>

enum { TASKS = 8 };

static int square(serry_task *t, const void *in, size_t len)
{
    int x = *(const int *)in;
    (void)len;
    usleep(100 * 1000);
    if (x == 3)
        return serry_task_fail(t, "%d brings bad luck", x);
    x *= x;
    return serry_task_return(t, &x, sizeof x);
}

/* Called in the process that submitted, inside its calls on futures and pools. */
static void task_is_done(void *ctx, serry_future *f)
{
    (void)f;
    printf("callback: task %d is done\n", *(const int *)ctx);
}

static void print_result(int number, serry_future *f)
{
    int result;
    switch (serry_future_get(f, &result, sizeof result, NULL, SERRY_FOREVER)) {
    case SERRY_OK:
        printf("task %d: %d\n", number, result);
        break;
    case SERRY_ETASK:
        printf("task %d failed: %s\n", number, serry_future_error(f));
        break;
    case SERRY_ECANCELLED:
        printf("task %d was cancelled\n", number);
        break;
    default:
        printf("task %d: %s\n", number, serry_err_detail());
        break;
    }
}

int main(int argc, char **argv)
{
    SERRY_CHECK(serry_init(&argc, &argv));
    if (serry_rank() == 0) {
        int numbers[TASKS], squares[TASKS];
        serry_future *futures[TASKS], *all;
        serry_pool *pool;
        SERRY_CHECK(serry_pool_create(&pool, &(serry_pool_options){ .workers = 2 }));
        for (int i = 0; i < TASKS; i++) {
            numbers[i] = i;
            SERRY_CHECK(serry_pool_submit(&futures[i], pool, square, &i, sizeof i));
        }
        SERRY_CHECK(serry_future_on_done(futures[0], task_is_done, &numbers[0]));
        SERRY_CHECK(serry_future_cancel(futures[TASKS - 1])); /* it has not begun yet */

        for (int i = 0; i < TASKS; i++) {
            size_t which;
            SERRY_CHECK(serry_future_wait(futures, TASKS, SERRY_FIRST, &which, SERRY_FOREVER));
            print_result((int)which, futures[which]);
            serry_future_free(futures[which]);
            futures[which] = NULL; /* the next wait passes it over */
        }

        numbers[3] = 33;
        SERRY_CHECK(serry_pool_map_async(&all, pool, square, numbers, sizeof *numbers, TASKS,
                                         squares, sizeof *squares, NULL));
        printf("the map is %s\n", serry_future_done(all) ? "done" : "under way");
        SERRY_CHECK(serry_future_get(all, NULL, 0, NULL, SERRY_FOREVER));
        for (int i = 0; i < TASKS; i++)
            printf("%d%s", squares[i], i < TASKS - 1 ? " " : "\n");
        serry_future_free(all);
        serry_pool_destroy(pool);
    }
    SERRY_CHECK(serry_finalize());
    return 0;
}
