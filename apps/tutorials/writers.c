/* writers.c: three processes fill one queue; the main program waits for them and empties it.
 *
 * Prints what was in the queue, nine lines. The items of one writer come in its order; between
 * writers there is none.
 */
#include <serry.h>
#include <stdio.h>
#include <unistd.h>

typedef struct job {
    int writer;
    serry_queue queue;
} job;

static int fill(const void *arg, size_t len)
{
    const job *j = arg;
    (void)len;
    for (int i = 0; i < 3; i++) {
        char text[32];
        int n = snprintf(text, sizeof text, "writer %d, item %d", j->writer, i);
        SERRY_CHECK(serry_queue_put(j->queue, text, (size_t)n, SERRY_FOREVER));
        usleep(10 * 1000);
    }
    return 0;
}

int main(int argc, char **argv)
{
    SERRY_CHECK(serry_init(&argc, &argv));
    if (serry_rank() == 0) {
        serry_queue queue;
        SERRY_CHECK(serry_queue_create(&queue, NULL));
        serry_process writers[3];
        for (int i = 0; i < 3; i++) {
            job j = { .writer = i, .queue = queue };
            SERRY_CHECK(serry_process_start(&writers[i], fill, &j, sizeof j, NULL));
        }
        for (int i = 0; i < 3; i++)
            SERRY_CHECK(serry_process_join(writers[i], NULL, SERRY_FOREVER));

        size_t n, len;
        char text[32];
        SERRY_CHECK(serry_queue_size(queue, &n));
        printf("%zu items\n", n);
        while (serry_queue_get(queue, text, sizeof text, &len, SERRY_NOWAIT) == SERRY_OK)
            printf("%.*s\n", (int)len, text);
        SERRY_CHECK(serry_queue_destroy(queue));
    }
    SERRY_CHECK(serry_finalize());
    return 0;
}
