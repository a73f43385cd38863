/* The queue workload (bench_queue.h) on a serry queue, between started processes. */
#include "bench_queue.h"

#include <serry.h>

enum { TAG_READY = 1, TAG_GO, TAG_TIMES };

struct side {
    serry_queue queue;
    bool produces;
    size_t warm;
    size_t share;
};

static void side_work(const struct side *s, size_t n)
{
    char item[QUEUE_ITEM] = { 0 };
    for (size_t i = 0; i < n; i++) {
        if (s->produces)
            SERRY_CHECK(serry_queue_put(s->queue, item, sizeof item, SERRY_FOREVER));
        else
            SERRY_CHECK(serry_queue_get(s->queue, item, sizeof item, NULL, SERRY_FOREVER));
    }
}

static int side_main(const void *arg, size_t len)
{
    const struct side *s = arg;
    (void)len;
    side_work(s, s->warm);
    SERRY_CHECK(serry_send(0, TAG_READY, NULL, 0));
    SERRY_CHECK(serry_recv(0, TAG_GO, NULL, 0, NULL, SERRY_FOREVER));
    struct queue_times t = { .start = bench_now() };
    side_work(s, s->share);
    t.end = bench_now();
    SERRY_CHECK(serry_send(0, TAG_TIMES, &t, sizeof t));
    return 0;
}

static int side_rank(serry_process p)
{
    serry_process_info info;
    SERRY_CHECK(serry_process_info_of(p, &info));
    return info.rank;
}

int main(int argc, char **argv)
{
    struct queue_load load = queue_load_parse(argc, argv);
    SERRY_CHECK(serry_init(&argc, &argv));
    serry_queue q;
    SERRY_CHECK(serry_queue_create(&q, &(serry_queue_options){ .capacity = load.capacity }));

    size_t n = load.producers + load.consumers;
    serry_process ps[2 * QUEUE_MAX_SIDE];
    int ranks[2 * QUEUE_MAX_SIDE];
    for (size_t k = 0; k < n; k++) {
        bool produces = k < load.producers;
        struct side s = { .queue = q,
                          .produces = produces,
                          .warm = produces ? load.consumers : load.producers,
                          .share = queue_share(&load, k) };
        SERRY_CHECK(serry_process_start(&ps[k], side_main, &s, sizeof s, NULL));
        ranks[k] = side_rank(ps[k]);
    }
    for (size_t k = 0; k < n; k++)
        SERRY_CHECK(serry_recv(ranks[k], TAG_READY, NULL, 0, NULL, SERRY_FOREVER));
    for (size_t k = 0; k < n; k++)
        SERRY_CHECK(serry_send(ranks[k], TAG_GO, NULL, 0));
    struct queue_times times[2 * QUEUE_MAX_SIDE];
    for (size_t k = 0; k < n; k++)
        SERRY_CHECK(
            serry_recv(ranks[k], TAG_TIMES, &times[k], sizeof times[k], NULL, SERRY_FOREVER));
    for (size_t k = 0; k < n; k++)
        SERRY_CHECK(serry_process_join(ps[k], NULL, SERRY_FOREVER));
    queue_print(&load, times);
    SERRY_CHECK(serry_queue_destroy(q));
    SERRY_CHECK(serry_finalize());
    return 0;
}
