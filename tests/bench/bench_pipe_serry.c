/* Bytes between a process and one that it started, through a pipe or by messages:
 *     bench_pipe_serry pipe|messages latency SIZE       half a round trip, in us
 *     bench_pipe_serry pipe|messages bandwidth SIZE     one way, in GB/s (1e9)
 * Bandwidth: a window of sends, one after the other, then a short answer. */
#include "bench_util.h"

#include <serry.h>

enum { TAG_DATA = 1, WINDOW = 16 };

struct side {
    bool pipe;
    bool latency;
    size_t size;
    int other; /* by messages: the rank; filled in by each side */
    serry_conn conn;
    void *out;
    void *in;
};

static void side_send(const struct side *s, const void *buf, size_t len)
{
    if (s->pipe)
        SERRY_CHECK(serry_conn_send(s->conn, buf, len, SERRY_FOREVER));
    else
        SERRY_CHECK(serry_send(s->other, TAG_DATA, buf, len));
}

static void side_recv(const struct side *s, void *buf, size_t len)
{
    if (s->pipe)
        SERRY_CHECK(serry_conn_recv(s->conn, buf, len, NULL, SERRY_FOREVER));
    else
        SERRY_CHECK(serry_recv(s->other, TAG_DATA, buf, len, NULL, SERRY_FOREVER));
}

/* n round trips, or n windows; first is the side that begins. */
static void side_work(const struct side *s, bool first, size_t n)
{
    size_t sends = s->latency ? 1 : WINDOW;
    char ack = 0;
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < sends && first; k++)
            side_send(s, s->out, s->size);
        for (size_t k = 0; k < sends && !first; k++)
            side_recv(s, s->in, s->size);
        if (first)
            side_recv(s, s->latency ? s->in : &ack, s->latency ? s->size : 1);
        else
            side_send(s, s->latency ? s->out : &ack, s->latency ? s->size : 1);
    }
}

static int partner(const void *arg, size_t len)
{
    struct side s = *(const struct side *)arg;
    size_t n = 0;
    (void)len;
    s.other = 0;
    s.out = bench_buffer(s.size);
    s.in = bench_buffer(s.size);
    for (;;) {
        side_recv(&s, &n, sizeof n);
        if (n == 0)
            return 0;
        side_work(&s, false, n);
    }
}

static double side_timed(const struct side *s, size_t n)
{
    side_send(s, &n, sizeof n);
    double start = bench_now();
    side_work(s, true, n);
    return bench_now() - start;
}

/* Seconds for one round trip or window; doubles until a tenth of the budget is used. */
static double side_measure(const struct side *s)
{
    double budget = bench_budget(), t;
    size_t n = 1, stop = 0;
    while ((t = side_timed(s, n)) < budget / 10)
        n *= 2;
    n = (size_t)((double)n * budget / t) + 1;
    t = side_timed(s, n) / (double)n;
    side_send(s, &stop, sizeof stop);
    return t;
}

int main(int argc, char **argv)
{
    struct side s = { .size = bench_count(argc, argv, 3) };
    s.pipe = strcmp(argv[1], "pipe") == 0;
    s.latency = strcmp(argv[2], "latency") == 0;
    SERRY_CHECK(serry_init(&argc, &argv));
    struct side other = s;
    if (s.pipe)
        SERRY_CHECK(serry_pipe_create(&s.conn, &other.conn, true));
    serry_process p;
    serry_process_info info;
    SERRY_CHECK(serry_process_start(&p, partner, &other, sizeof other, NULL));
    SERRY_CHECK(serry_process_info_of(p, &info));
    s.other = info.rank;
    s.out = bench_buffer(s.size);
    s.in = bench_buffer(s.size);
    double t = side_measure(&s);
    bench_print(s.latency ? t / 2 * 1e6 : WINDOW * (double)s.size / t / 1e9);
    SERRY_CHECK(serry_process_join(p, NULL, SERRY_FOREVER));
    SERRY_CHECK(serry_finalize());
    return 0;
}
