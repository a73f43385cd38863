/* bench_pool_mpi nop|spin N: what people write by hand where there is no pool. Rank 0 gives one
 * task at a time to each of the others and takes one result at a time. Prints tasks/s. */
#include "bench_comm.h"
#include "bench_task.h"

enum { TAG_TASK = 1, TAG_RESULT };

/* Hands out n tasks; returns when all results are here. */
static void master_map(int workers, int64_t n)
{
    int64_t given = 0, done = 0, result;
    for (int w = 1; w <= workers && given < n; w++, given++)
        comm_send(w, TAG_TASK, &given, sizeof given);
    while (done < n) {
        int w = comm_recv_any(TAG_RESULT, &result, sizeof result);
        done++;
        if (given < n) {
            comm_send(w, TAG_TASK, &given, sizeof given);
            given++;
        }
    }
}

static void worker_serve(bool spin)
{
    int64_t task;
    for (;;) {
        comm_recv(0, TAG_TASK, &task, sizeof task);
        if (task < 0)
            return;
        if (spin)
            bench_spin_1ms();
        comm_send(0, TAG_RESULT, &task, sizeof task);
    }
}

int main(int argc, char **argv)
{
    comm_init(&argc, &argv);
    bool spin = bench_task_is_spin(argc, argv);
    size_t n = bench_count(argc, argv, 2);
    int workers = comm_size() - 1;
    if (comm_rank() > 0) {
        worker_serve(spin);
    } else {
        master_map(workers, 100);
        double start = bench_now();
        master_map(workers, (int64_t)n);
        bench_print((double)n / (bench_now() - start));
        int64_t stop = -1;
        for (int w = 1; w <= workers; w++)
            comm_send(w, TAG_TASK, &stop, sizeof stop);
    }
    comm_finalize();
    return 0;
}
