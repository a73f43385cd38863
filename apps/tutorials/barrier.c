/* barrier.c: four processes walk three rounds, at different speeds, and wait for each other at the
 * end of each.
 *
 * Prints when each is done with a round. "all have done it", which the last to arrive says, comes
 * before anyone is done with the next round.
 */
#include <serry.h>
#include <stdio.h>
#include <unistd.h>

enum { PARTIES = 4, ROUNDS = 3 };

typedef struct job {
    int number;
    serry_barrier barrier;
} job;

/* Run by the last to arrive, while the others still wait. */
static int say_so(const void *arg, size_t len)
{
    (void)arg, (void)len;
    printf("all have done it\n");
    return 0;
}

static int walk(const void *arg, size_t len)
{
    const job *j = arg;
    (void)len;
    for (int round = 1; round <= ROUNDS; round++) {
        usleep((useconds_t)(j->number * 20 * 1000));
        printf("%d has done round %d\n", j->number, round);
        SERRY_CHECK(serry_barrier_wait(j->barrier, NULL, SERRY_FOREVER));
    }
    return 0;
}

int main(int argc, char **argv)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    SERRY_CHECK(serry_init(&argc, &argv));
    if (serry_rank() == 0) {
        serry_process walkers[PARTIES];
        job j = { .number = 1 };
        SERRY_CHECK(serry_barrier_create(&j.barrier, PARTIES,
                                         &(serry_barrier_options){ .action = say_so }));
        for (int i = 0; i < PARTIES; i++, j.number++)
            SERRY_CHECK(serry_process_start(&walkers[i], walk, &j, sizeof j, NULL));
        for (int i = 0; i < PARTIES; i++)
            SERRY_CHECK(serry_process_join(walkers[i], NULL, SERRY_FOREVER));
    }
    SERRY_CHECK(serry_finalize());
    return 0;
}
