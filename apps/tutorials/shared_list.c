/* shared_list.c: four processes append to one list, which lives outside of all of them, and to an
 * array of the program, of which each has its own copy.
 *
 * Prints what the shared list holds, in the order in which it came, and that the main program's
 * array is still empty.
 */
#include <serry.h>
#include <stdio.h>

static int numbers[8];
static size_t count;

typedef struct job {
    int number;
    serry_list list;
} job;

static int append(const void *arg, size_t len)
{
    const job *j = arg;
    (void)len;
    numbers[count++] = j->number; /* changes this process's copy only */
    int square = j->number * j->number;
    SERRY_CHECK(serry_list_append(j->list, &j->number, sizeof j->number));
    SERRY_CHECK(serry_list_append(j->list, &square, sizeof square));
    return 0;
}

int main(int argc, char **argv)
{
    SERRY_CHECK(serry_init(&argc, &argv));
    if (serry_rank() == 0) {
        serry_process processes[4];
        serry_list list;
        SERRY_CHECK(serry_list_create(&list, NULL));
        for (int i = 0; i < 4; i++) {
            job j = { .number = i + 1, .list = list };
            SERRY_CHECK(serry_process_start(&processes[i], append, &j, sizeof j, NULL));
        }
        for (int i = 0; i < 4; i++)
            SERRY_CHECK(serry_process_join(processes[i], NULL, SERRY_FOREVER));

        size_t n;
        SERRY_CHECK(serry_list_len(list, &n));
        printf("the shared list has %zu items:", n);
        for (size_t i = 0; i < n; i++) {
            int item;
            SERRY_CHECK(serry_list_get(list, i, &item, sizeof item, NULL));
            printf(" %d", item);
        }
        printf("\nthe array of the main program has %zu\n", count);
        SERRY_CHECK(serry_list_destroy(list));
    }
    SERRY_CHECK(serry_finalize());
    return 0;
}
