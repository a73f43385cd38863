/* The memory of a rank after init and a barrier, in MiB: its proportional share (PSS), the mean of
 * all ranks. The sum at the end keeps every rank until all have looked. */
#include "bench_comm.h"

#include <fcntl.h>
#include <unistd.h>

/* KiB of PSS. Without stdio, whose buffers would be counted. */
static double memory_pss_kib(void)
{
    char text[2048];
    int fd = open("/proc/self/smaps_rollup", O_RDONLY | O_CLOEXEC);
    ssize_t len = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    if (len <= 0)
        bench_die("/proc/self/smaps_rollup cannot be read");
    close(fd);
    text[len] = '\0';
    const char *line = strstr(text, "\nPss:");
    if (line == NULL)
        bench_die("/proc/self/smaps_rollup has no line Pss:");
    return strtod(line + strlen("\nPss:"), NULL);
}

int main(int argc, char **argv)
{
    comm_init(&argc, &argv);
    comm_barrier();
    double mine = memory_pss_kib(), sum;
    comm_sum(&mine, &sum);
    if (comm_rank() == 0)
        bench_print(sum / comm_size() / 1024);
    comm_finalize();
    return 0;
}
