/* side_by_side.c: the same computation, one piece after another and by a pool, timed.
 *
 *     side_by_side [LIMIT]     counts the primes below LIMIT, 1,000,000 unless given
 *
 * Prints the count and the time of each way, and how many times faster the pool was.
 */
#include <serry.h>
#include <stdio.h>
#include <stdlib.h>

enum { PIECES = 50 };

typedef struct range {
    int first;
    int end;
} range;

static int primes_in(range r)
{
    int count = 0;
    for (int n = r.first; n < r.end; n++) {
        bool prime = n > 1;
        for (int d = 2; prime && d <= n / d; d++)
            prime = n % d != 0;
        count += prime;
    }
    return count;
}

static int count_primes(serry_task *t, const void *in, size_t len)
{
    int count = primes_in(*(const range *)in);
    (void)len;
    return serry_task_return(t, &count, sizeof count);
}

static int sum(const int *counts)
{
    int total = 0;
    for (int i = 0; i < PIECES; i++)
        total += counts[i];
    return total;
}

int main(int argc, char **argv)
{
    SERRY_CHECK(serry_init(&argc, &argv));
    if (serry_rank() == 0) {
        int limit = argc > 1 ? atoi(argv[1]) : 1000000;
        range ranges[PIECES];
        int counts[PIECES];
        for (int i = 0; i < PIECES; i++)
            ranges[i] = (range){ .first = (int)((long)limit * i / PIECES),
                                 .end = (int)((long)limit * (i + 1) / PIECES) };

        double start = serry_time();
        for (int i = 0; i < PIECES; i++)
            counts[i] = primes_in(ranges[i]);
        double serial = serry_time() - start;
        printf("serial: %d primes below %d in %.2f seconds\n", sum(counts), limit, serial);

        serry_pool *pool;
        start = serry_time(); /* starting the workers counts, too */
        SERRY_CHECK(serry_pool_create(&pool, NULL));
        SERRY_CHECK(serry_pool_map(pool, count_primes, ranges, sizeof *ranges, PIECES, counts,
                                   sizeof *counts, NULL));
        double pooled = serry_time() - start;
        serry_pool_destroy(pool);
        printf("pooled: %d primes below %d in %.2f seconds\n", sum(counts), limit, pooled);
        printf("%.1f times as fast\n", serial / pooled);
    }
    SERRY_CHECK(serry_finalize());
    return 0;
}
