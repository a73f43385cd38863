/* Two ranks. Prints one figure:
 *     bench_p2p latency SIZE              half a round trip, in us
 *     bench_p2p bandwidth SIZE WINDOW     one way, in GB/s (1e9)
 *     bench_p2p rate SIZE WINDOW          one way, in millions of messages a second
 * Bandwidth and rate as osu_bw: a window of sends against a window of receives, all of one buffer,
 * then a short answer.
 */
#include "bench_comm.h"

enum { TAG_CONTROL = 1, TAG_DATA, TAG_ACK, MAX_WINDOW = 64 };

struct pair {
    int rank;
    size_t size;
    size_t window;
    void *out;
    void *in;
    comm_request requests[MAX_WINDOW];
};

typedef void (*pair_fn)(struct pair *p, size_t n);

static void pair_ping(struct pair *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (p->rank == 0) {
            comm_send(1, TAG_DATA, p->out, p->size);
            comm_recv(1, TAG_DATA, p->in, p->size);
        } else {
            comm_recv(0, TAG_DATA, p->in, p->size);
            comm_send(0, TAG_DATA, p->out, p->size);
        }
    }
}

static void pair_stream(struct pair *p, size_t n)
{
    char ack = 0;
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < p->window; k++) {
            if (p->rank == 0)
                comm_isend(&p->requests[k], 1, TAG_DATA, p->out, p->size);
            else
                comm_irecv(&p->requests[k], 0, TAG_DATA, p->in, p->size);
        }
        comm_wait_all(p->requests, p->window);
        if (p->rank == 0)
            comm_recv(1, TAG_ACK, &ack, 1);
        else
            comm_send(0, TAG_ACK, &ack, 1);
    }
}

/* Both ranks do step n times; rank 0 tells the number and takes the time. */
static double pair_timed(struct pair *p, pair_fn step, size_t n)
{
    comm_send(1, TAG_CONTROL, &n, sizeof n);
    double start = bench_now();
    step(p, n);
    return bench_now() - start;
}

/* Seconds for one step, on rank 0. Doubles the number until a tenth of the budget is used, which
 * is the warm-up and tells how many steps fill the budget. */
static double pair_measure(struct pair *p, pair_fn step)
{
    size_t n = 1;
    if (p->rank == 1) {
        for (;;) {
            comm_recv(0, TAG_CONTROL, &n, sizeof n);
            if (n == 0)
                return 0;
            step(p, n);
        }
    }
    double budget = bench_budget(), t;
    while ((t = pair_timed(p, step, n)) < budget / 10)
        n *= 2;
    n = (size_t)((double)n * budget / t) + 1;
    t = pair_timed(p, step, n);
    size_t stop = 0;
    comm_send(1, TAG_CONTROL, &stop, sizeof stop);
    return t / (double)n;
}

int main(int argc, char **argv)
{
    comm_init(&argc, &argv);
    if (comm_size() != 2 || argc < 3)
        bench_die("usage: two ranks of bench_p2p latency|bandwidth|rate SIZE [WINDOW]");
    struct pair p = { .rank = comm_rank(), .size = bench_count(argc, argv, 2) };
    p.out = bench_buffer(p.size);
    p.in = bench_buffer(p.size);
    double figure;
    if (strcmp(argv[1], "latency") == 0) {
        figure = pair_measure(&p, pair_ping) / 2 * 1e6;
    } else {
        p.window = bench_count(argc, argv, 3);
        if (p.window > MAX_WINDOW)
            bench_die("the window is at most 64");
        double t = pair_measure(&p, pair_stream);
        double messages = (double)p.window / t;
        figure = strcmp(argv[1], "rate") == 0 ? messages / 1e6 : messages * (double)p.size / 1e9;
    }
    if (p.rank == 0)
        bench_print(figure);
    free(p.out);
    free(p.in);
    comm_finalize();
    return 0;
}
