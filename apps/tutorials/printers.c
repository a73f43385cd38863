/* printers.c: three workers print three lines each: first all together, then under a lock, one
 * after another.
 *
 * Prints nine lines in which the workers are mixed, then nine in which each worker's stand
 * together.
 */
#include <serry.h>
#include <stdio.h>
#include <unistd.h>

typedef struct job {
    int worker;
    serry_lock lock; /* zero: none */
} job;

static int print_lines(const void *arg, size_t len)
{
    const job *j = arg;
    (void)len;
    if (j->lock.id)
        SERRY_CHECK(serry_lock_acquire(j->lock, SERRY_FOREVER));
    for (int line = 1; line <= 3; line++) {
        printf("  worker %d, line %d\n", j->worker, line);
        usleep(30 * 1000);
    }
    if (j->lock.id)
        SERRY_CHECK(serry_lock_release(j->lock));
    return 0;
}

static void three_workers(serry_lock lock)
{
    serry_process workers[3];
    for (int i = 0; i < 3; i++) {
        job j = { .worker = i + 1, .lock = lock };
        SERRY_CHECK(serry_process_start(&workers[i], print_lines, &j, sizeof j, NULL));
    }
    for (int i = 0; i < 3; i++)
        SERRY_CHECK(serry_process_join(workers[i], NULL, SERRY_FOREVER));
}

int main(int argc, char **argv)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    SERRY_CHECK(serry_init(&argc, &argv));
    if (serry_rank() == 0) {
        serry_lock lock;
        SERRY_CHECK(serry_lock_create(&lock, NULL));
        puts("without a lock:");
        three_workers((serry_lock){ 0 });
        puts("with a lock:");
        three_workers(lock);
    }
    SERRY_CHECK(serry_finalize());
    return 0;
}
