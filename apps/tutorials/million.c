/* million.c: one process writes 1,000,000 integers into a queue, another reads them. The queue is
 * bounded at 10,000, so the writer never runs further ahead than that.
 *
 *     million [COUNT]
 *
 * Prints how many the reader has read, their sum, and how long it took.
 */
#include <serry.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct job {
    serry_queue queue;
    int count;
} job;

static int write_all(const void *arg, size_t len)
{
    const job *j = arg;
    (void)len;
    for (int i = 0; i < j->count; i++)
        SERRY_CHECK(serry_queue_put(j->queue, &i, sizeof i, SERRY_FOREVER));
    SERRY_CHECK(serry_queue_close(j->queue)); /* no more will come */
    return 0;
}

static int read_all(const void *arg, size_t len)
{
    const job *j = arg;
    (void)len;
    double start = serry_time();
    int number, count = 0;
    long long sum = 0;
    serry_err e;
    while ((e = serry_queue_get(j->queue, &number, sizeof number, NULL, SERRY_FOREVER))
           == SERRY_OK) {
        count++;
        sum += number;
    }
    if (e != SERRY_ECLOSED)
        SERRY_CHECK(e);
    printf("read %d integers, their sum is %lld\n", count, sum);
    printf("in %.2f seconds\n", serry_time() - start);
    return 0;
}

int main(int argc, char **argv)
{
    SERRY_CHECK(serry_init(&argc, &argv));
    if (serry_rank() == 0) {
        job j = { .count = argc > 1 ? atoi(argv[1]) : 1000000 };
        SERRY_CHECK(serry_queue_create(&j.queue, &(serry_queue_options){ .capacity = 10000 }));
        serry_process reader, writer;
        SERRY_CHECK(serry_process_start(&reader, read_all, &j, sizeof j, NULL));
        SERRY_CHECK(serry_process_start(&writer, write_all, &j, sizeof j, NULL));
        SERRY_CHECK(serry_process_join(writer, NULL, SERRY_FOREVER));
        SERRY_CHECK(serry_process_join(reader, NULL, SERRY_FOREVER));
    }
    SERRY_CHECK(serry_finalize());
    return 0;
}
