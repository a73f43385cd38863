/* semaphore.c: ten processes share a semaphore of two, so no more than two are inside at a time.
 *
 *     semaphore [SECONDS]     how long each stays inside; 0.1 unless given
 *
 * Prints when each goes in and out, and the time of all: five times as long as one stays.
 */
#include <serry.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

typedef struct job {
    int number;
    double seconds;
    serry_semaphore semaphore;
} job;

static int visit(const void *arg, size_t len)
{
    const job *j = arg;
    (void)len;
    SERRY_CHECK(serry_semaphore_acquire(j->semaphore, SERRY_FOREVER));
    printf("%d is in\n", j->number);
    usleep((useconds_t)(j->seconds * 1e6));
    printf("%d goes out\n", j->number);
    SERRY_CHECK(serry_semaphore_release(j->semaphore));
    return 0;
}

int main(int argc, char **argv)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    SERRY_CHECK(serry_init(&argc, &argv));
    if (serry_rank() == 0) {
        job j = { .seconds = argc > 1 ? atof(argv[1]) : 0.1 };
        SERRY_CHECK(serry_semaphore_create(&j.semaphore, 2, NULL));

        double start = serry_time();
        serry_process visitors[10];
        for (j.number = 0; j.number < 10; j.number++)
            SERRY_CHECK(serry_process_start(&visitors[j.number], visit, &j, sizeof j, NULL));
        for (int i = 0; i < 10; i++)
            SERRY_CHECK(serry_process_join(visitors[i], NULL, SERRY_FOREVER));
        printf("all were in after %.2f seconds\n", serry_time() - start);
    }
    SERRY_CHECK(serry_finalize());
    return 0;
}
