/* What the queue workloads have in common:
 *     bench_queue_X PRODUCERS CONSUMERS CAPACITY ITEMS
 * Items of 64 bytes; ITEMS in all, shared equally among the producers and among the consumers.
 * Before the time is taken every producer puts one item for each consumer, so that everything is
 * connected. Prints millions of items a second, from the first start to the last end. */
#ifndef BENCH_QUEUE_H
#define BENCH_QUEUE_H

#include "bench_util.h"

#include <stdbool.h>
#include <stdint.h>

enum { QUEUE_ITEM = 64, QUEUE_MAX_SIDE = 16 };

struct queue_load {
    size_t producers;
    size_t consumers;
    size_t capacity; /* 0: unbounded */
    size_t items;    /* a multiple of both sides */
};

/* What one process saw. */
struct queue_times {
    double start;
    double end;
};

static inline struct queue_load queue_load_parse(int argc, char **argv)
{
    struct queue_load load = { 0 };
    load.producers = bench_count(argc, argv, 1);
    load.consumers = bench_count(argc, argv, 2);
    if (argc < 5 || load.producers > QUEUE_MAX_SIDE || load.consumers > QUEUE_MAX_SIDE)
        bench_die("usage: PRODUCERS CONSUMERS CAPACITY ITEMS, at most 16 on a side");
    load.capacity = strtoull(argv[3], NULL, 10);
    load.items = bench_count(argc, argv, 4);
    load.items -= load.items % (load.producers * load.consumers);
    return load;
}

/* How many items process k takes or gives; the producers come first. */
static inline size_t queue_share(const struct queue_load *load, size_t k)
{
    return load->items / (k < load->producers ? load->producers : load->consumers);
}

static inline void queue_print(const struct queue_load *load, const struct queue_times *times)
{
    double start = times[0].start, end = times[0].end;
    for (size_t k = 1; k < load->producers + load->consumers; k++) {
        start = times[k].start < start ? times[k].start : start;
        end = times[k].end > end ? times[k].end : end;
    }
    bench_print((double)load->items / (end - start) / 1e6);
}

#endif
