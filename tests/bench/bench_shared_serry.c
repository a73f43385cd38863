/* bench_shared_serry value|array|list|dict PROCESSES: thousands of operations a second of all
 * processes together; a step is a write and a read. */
#include "bench_crew.h"
#include "bench_rate.h"

enum { SLICE = 100, KEYS = 16 };

struct side {
    char what[8];
    serry_value value;
    serry_array array;
    serry_list list;
    serry_dict dict;
    size_t n; /* steps taken */
};

static void step_value(void *ctx)
{
    struct side *s = ctx;
    double x = 1;
    SERRY_CHECK(serry_value_set(s->value, &x));
    SERRY_CHECK(serry_value_get(s->value, &x));
}

static void step_array(void *ctx)
{
    struct side *s = ctx;
    double numbers[SLICE] = { 1 };
    SERRY_CHECK(serry_array_set(s->array, 0, SLICE, numbers));
    SERRY_CHECK(serry_array_get(s->array, 0, SLICE, numbers));
}

static void step_list(void *ctx)
{
    struct side *s = ctx;
    double x = 1;
    SERRY_CHECK(serry_list_append(s->list, &x, sizeof x));
    SERRY_CHECK(serry_list_get(s->list, s->n++, &x, sizeof x, NULL));
}

static void step_dict(void *ctx)
{
    struct side *s = ctx;
    double x = 1;
    char key[16];
    snprintf(key, sizeof key, "key %d", (int)(s->n++ % KEYS));
    SERRY_CHECK(serry_dict_put(s->dict, key, &x, sizeof x));
    SERRY_CHECK(serry_dict_get(s->dict, key, &x, sizeof x, NULL));
}

static void side_run(struct rate *r, struct side *s)
{
    if (strcmp(s->what, "value") == 0)
        rate_run(r, step_value, s);
    else if (strcmp(s->what, "array") == 0)
        rate_run(r, step_array, s);
    else if (strcmp(s->what, "list") == 0)
        rate_run(r, step_list, s);
    else
        rate_run(r, step_dict, s);
}

static int side_main(const void *arg, size_t len)
{
    struct side s = *(const struct side *)arg;
    struct rate r;
    (void)len;
    crew_ready();
    side_run(&r, &s);
    crew_result(&r, sizeof r);
    return 0;
}

static void side_create(struct side *s)
{
    double zero = 0;
    SERRY_CHECK(serry_value_create(&s->value, SERRY_DOUBLE, &zero, NULL));
    SERRY_CHECK(serry_array_create(&s->array, SERRY_DOUBLE, SLICE, NULL));
    SERRY_CHECK(serry_list_create(&s->list, NULL));
    SERRY_CHECK(serry_dict_create(&s->dict, NULL));
}

int main(int argc, char **argv)
{
    size_t n = bench_count(argc, argv, 2);
    struct side s = { .n = 0 };
    snprintf(s.what, sizeof s.what, "%s", argv[1]);
    SERRY_CHECK(serry_init(&argc, &argv));
    side_create(&s);
    struct crew c;
    struct rate rates[CREW_MAX];
    crew_start(&c, n, side_main, &s, sizeof s);
    crew_go(&c, 0);
    crew_results(&c, rates, sizeof *rates);
    crew_join(&c);
    rate_print(rates, n, 2e-3);
    SERRY_CHECK(serry_finalize());
    return 0;
}
