/* bench_lock_mpi: every rank locks and unlocks rank 0's window, exclusively. Prints M pairs/s of
 * all ranks together. Rank 0 takes part; while it waits for the others it makes progress for them.
 */
#include "bench_rate.h"

#include <mpi.h>

static void step_window(void *ctx)
{
    MPI_Win *win = ctx;
    MPI_Win_lock(MPI_LOCK_EXCLUSIVE, 0, 0, *win);
    MPI_Win_unlock(0, *win);
}

int main(int argc, char **argv)
{
    MPI_Init(&argc, &argv);
    int rank, n;
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &n);
    if (n > RATE_MAX)
        bench_die("at most 16 ranks");
    void *memory;
    MPI_Win win;
    MPI_Win_allocate(64, 1, MPI_INFO_NULL, MPI_COMM_WORLD, &memory, &win);
    step_window(&win);
    MPI_Barrier(MPI_COMM_WORLD);

    struct rate mine, all[RATE_MAX];
    rate_run(&mine, step_window, &win);
    MPI_Gather(&mine, 3, MPI_DOUBLE, all, 3, MPI_DOUBLE, 0, MPI_COMM_WORLD);
    if (rank == 0)
        rate_print(all, (size_t)n, 1e-6);
    MPI_Win_free(&win);
    MPI_Finalize();
    return 0;
}
