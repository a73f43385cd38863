/* bench_start [barrier]: comes and goes. The driver takes the time of the whole run. */
#include "bench_comm.h"

int main(int argc, char **argv)
{
    comm_init(&argc, &argv);
    if (argc > 1 && strcmp(argv[1], "barrier") == 0)
        comm_barrier();
    comm_finalize();
    return 0;
}
