/* bench_idle SECONDS: processor time, in ms, of a rank that waits in a receive for so long.
 * The sleep of the other rank is the workload here, not a synchronisation. */
#include "bench_comm.h"

#include <sys/resource.h>

enum { TAG_WARM = 1, TAG_WAKE, TAG_FIGURE };

static double idle_cpu_ms(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return 1e3 * (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
           1e-3 * (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

static void idle_sleep(size_t seconds)
{
    struct timespec left = { .tv_sec = (time_t)seconds };
    while (nanosleep(&left, &left) != 0)
        ;
}

int main(int argc, char **argv)
{
    comm_init(&argc, &argv);
    size_t seconds = bench_count(argc, argv, 1);
    if (comm_size() != 2)
        bench_die("bench_idle takes two ranks");
    char byte = 0;
    double figure = 0;
    if (comm_rank() == 0) {
        comm_send(1, TAG_WARM, &byte, 1);
        idle_sleep(seconds);
        comm_send(1, TAG_WAKE, &byte, 1);
        comm_recv(1, TAG_FIGURE, &figure, sizeof figure);
        bench_print(figure);
    } else {
        comm_recv(0, TAG_WARM, &byte, 1);
        double before = idle_cpu_ms();
        comm_recv(0, TAG_WAKE, &byte, 1);
        figure = idle_cpu_ms() - before;
        comm_send(0, TAG_FIGURE, &figure, sizeof figure);
    }
    comm_finalize();
    return 0;
}
