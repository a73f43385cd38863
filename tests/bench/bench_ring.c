/* All ranks in a ring pass one token of 8 bytes; prints us for each hop.
 * Laps are counted until the time is used, as peers differ by a factor of thousands. */
#include "bench_comm.h"

enum { TAG_TOKEN = 1, MIN_LAPS = 3 };

static void ring_lap(int next, int last, int64_t go)
{
    comm_send(next, TAG_TOKEN, &go, sizeof go);
    comm_recv(last, TAG_TOKEN, &go, sizeof go);
}

/* Seconds for one lap, seen from rank 0. */
static double ring_lead(int size)
{
    double budget = bench_budget(), start = bench_now(), t;
    do
        ring_lap(1, size - 1, 1);
    while (bench_now() - start < budget / 5);
    size_t laps = 0;
    start = bench_now();
    do {
        ring_lap(1, size - 1, 1);
        laps++;
        t = bench_now() - start;
    } while (t < budget || laps < MIN_LAPS);
    ring_lap(1, size - 1, 0);
    return t / (double)laps;
}

static void ring_follow(int rank, int size)
{
    int64_t go = 1;
    while (go) {
        comm_recv(rank - 1, TAG_TOKEN, &go, sizeof go);
        comm_send((rank + 1) % size, TAG_TOKEN, &go, sizeof go);
    }
}

int main(int argc, char **argv)
{
    comm_init(&argc, &argv);
    int rank = comm_rank(), size = comm_size();
    if (size < 2)
        bench_die("a ring has at least two ranks");
    if (rank == 0)
        bench_print(ring_lead(size) / size * 1e6);
    else
        ring_follow(rank, size);
    comm_finalize();
    return 0;
}
