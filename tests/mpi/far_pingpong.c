/* mpi/far_pingpong.c: what the far transport costs over plain MPI: half round trips of frames and
 * of long bodies between two processes, in turn with plain MPI in the same program. Compiled
 * against the MPI whose plugin it is given.
 *
 *     mpirun -n 2 far_pingpong PLUGIN [ROUNDS]
 */
#include "transport/mpi/plugin.h"

#include <mpi.h>

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROUNDS_MAX 200

static int rank, other;
static MPI_Comm plain;
static sri_transport *far_t;
static const uint8_t *arrived; /* NULL: nothing */
static size_t ended;           /* bulk transfers */
static char *out, *in;

static bool on_frame(void *ctx, const sri_arrival *a)
{
    (void)ctx;
    memcpy(in, a->bytes, a->len);
    arrived = a->bytes;
    return false;
}

static void on_fate(void *ctx, int peer, sri_fate fate, int code)
{
    (void)ctx, (void)peer, (void)fate, (void)code;
}

static void on_bulk(void *ctx, int peer, uint64_t token, bool sending, bool ok)
{
    (void)ctx, (void)peer, (void)token, (void)sending;
    if (!ok)
        MPI_Abort(MPI_COMM_WORLD, 3);
    ended++;
}

static void plain_send(size_t n)
{
    MPI_Send(out, (int)n, MPI_BYTE, other, 1, plain);
}

static void plain_recv(size_t n)
{
    MPI_Recv(in, (int)n, MPI_BYTE, other, 1, plain, MPI_STATUS_IGNORE);
}

static void frame_send(size_t n)
{
    sri_frame f = { .kind = SRI_KIND_MESSAGE, .aux = 7, .body = out, .body_len = n, .fd = -1 };
    while (far_t->ops->send(far_t, other, &f) == SRI_FULL)
        far_t->ops->poll(far_t);
}

static void frame_recv(size_t n)
{
    (void)n;
    while (!arrived)
        far_t->ops->poll(far_t);
    arrived = NULL;
}

static void bulk_wait(void)
{
    while (!ended)
        far_t->ops->poll(far_t);
    ended = 0;
}

/* With the two frames that serry sends before: here it comes, go on. */
static void bulk_send(size_t n)
{
    frame_send(16);
    frame_recv(8);
    far_t->ops->bulk_send(far_t, other, 1, out, n);
    bulk_wait();
}

static void bulk_recv(size_t n)
{
    frame_recv(16);
    far_t->ops->bulk_recv(far_t, other, 1, in, n);
    frame_send(8);
    bulk_wait();
}

static double pingpong(void (*send)(size_t), void (*recv)(size_t), size_t n, int times)
{
    MPI_Barrier(plain);
    double t = MPI_Wtime();
    for (int i = 0; i < times; i++) {
        if (rank == 0) {
            send(n);
            recv(n);
        } else {
            recv(n);
            send(n);
        }
    }
    return (MPI_Wtime() - t) / times / 2 * 1e9;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void compare(const char *what, void (*send)(size_t), void (*recv)(size_t), size_t n,
                    int times, int rounds)
{
    static double t[2][ROUNDS_MAX];
    for (int i = 0; i < rounds; i++) {
        t[0][i] = pingpong(plain_send, plain_recv, n, times);
        t[1][i] = pingpong(send, recv, n, times);
    }
    for (int v = 0; v < 2; v++)
        qsort(t[v], (size_t)rounds, sizeof(double), by_size);
    double mpi = t[0][rounds / 2], ours = t[1][rounds / 2];
    if (rank == 0)
        printf("%-6s %9zu bytes: MPI %9.0f ns, far %9.0f ns, ratio %.3f\n", what, n, mpi, ours,
               ours / mpi);
}

int main(int argc, char **argv)
{
    int level, numbers[2] = { 0, 1 };
    sri_mpi_text why;
    MPI_Init_thread(&argc, &argv, MPI_THREAD_SERIALIZED, &level);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_dup(MPI_COMM_WORLD, &plain);
    other = 1 - rank;
    int rounds = argc > 2 ? atoi(argv[2]) : 31;
    if (rounds < 1 || rounds > ROUNDS_MAX)
        rounds = ROUNDS_MAX;
    void *handle = dlopen(argc > 1 ? argv[1] : "", RTLD_NOW);
    const sri_mpi_plugin *p = handle ? dlsym(handle, SRI_MPI_PLUGIN_SYMBOL) : NULL;
    sri_sink sink = { .deliver = on_frame, .fate = on_fate, .bulk_done = on_bulk };
    if (!p || p->start(&why) != 0 || p->open(&far_t, numbers, 2, rank, 16384, &sink, &why) != 0) {
        fprintf(stderr, "no transport: %s\n", p ? why.text : dlerror());
        MPI_Abort(MPI_COMM_WORLD, 2);
    }
    size_t most = (size_t)16 << 20;
    out = malloc(most);
    in = malloc(most);
    memset(out, 1, most);
    memset(in, 2, most);
    if (rank == 0)
        printf("%s\n", p->mpi);
    compare("frames", frame_send, frame_recv, 8, 3000, rounds);
    compare("frames", frame_send, frame_recv, 64, 3000, rounds);
    compare("frames", frame_send, frame_recv, 1024, 1000, rounds);
    compare("frames", frame_send, frame_recv, 4096, 500, rounds);
    compare("frames", frame_send, frame_recv, 16384, 200, rounds);
    compare("bulk", bulk_send, bulk_recv, 65536, 100, rounds);
    compare("bulk", bulk_send, bulk_recv, 262144, 50, rounds);
    compare("bulk", bulk_send, bulk_recv, 1 << 20, 20, rounds);
    compare("bulk", bulk_send, bulk_recv, most, 2, rounds);
    MPI_Barrier(plain);
    far_t->ops->close(far_t, false);
    p->end(true);
    MPI_Comm_free(&plain);
    MPI_Finalize();
    return 0;
}
