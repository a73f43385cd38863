/* starmap.c: a function of several arguments over a pool of three: the arguments of a call are a
 * struct, and the map runs over an array of these.
 *
 * Prints ten lines, from "0 ^ 2 = 0" to "9 ^ 2 = 81"; exponents are 2, 3, 4, 2, ...
 */
#include <serry.h>
#include <stdio.h>

typedef struct power {
    int base;
    int exponent;
} power;

static int power_of(serry_task *t, const void *in, size_t len)
{
    const power *p = in;
    (void)len;
    long result = 1;
    for (int i = 0; i < p->exponent; i++)
        result *= p->base;
    return serry_task_return(t, &result, sizeof result);
}

int main(int argc, char **argv)
{
    SERRY_CHECK(serry_init(&argc, &argv));
    if (serry_rank() == 0) {
        power powers[10];
        long results[10];
        for (int i = 0; i < 10; i++)
            powers[i] = (power){ .base = i, .exponent = 2 + i % 3 };

        serry_pool *pool;
        SERRY_CHECK(serry_pool_create(&pool, &(serry_pool_options){ .workers = 3 }));
        SERRY_CHECK(serry_pool_map(pool, power_of, powers, sizeof *powers, 10, results,
                                   sizeof *results, NULL));
        serry_pool_destroy(pool);

        for (int i = 0; i < 10; i++)
            printf("%d ^ %d = %ld\n", powers[i].base, powers[i].exponent, results[i]);
    }
    SERRY_CHECK(serry_finalize());
    return 0;
}
