/* bench.c: `serry bench` hands over to the programs that measure, which are built apart. */
#include "command.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Beside this executable, or where it may have been installed or built to. */
static const char *const bench_places[] = { "serry-bench", "../libexec/serry/serry-bench",
                                            "../tests/bench/serry-bench" };

static const char bench_help[] =
    "Usage: serry bench WHAT [OPTION]...\n"
    "Measures serry and, where they are installed, Open MPI, MPICH, ZeroMQ and Python in\n"
    "turn, in one call, and prints the ratios.\n"
    "\n"
    "  serry bench p2p      latency, bandwidth and rate of messages between two ranks\n"
    "  serry bench pool     tasks of a pool map\n"
    "  serry bench queue    items through a queue\n"
    "  serry bench patterns locks, events, barriers, shared objects, pipes\n"
    "  serry bench all      these and more\n"
    "\n"
    "The benchmarks are a program of their own, serry-bench, which is not here: configure\n"
    "with -DSERRY_BENCH=ON (the preset 'release' does).\n";

int command_bench(int argc, char **argv)
{
    char directory[PATH_MAX];
    char file[PATH_MAX + 64];
    command_directory(directory, sizeof directory);
    char own[] = "serry-bench";
    argv[0] = own;
    for (size_t i = 0; i < sizeof bench_places / sizeof *bench_places; i++) {
        snprintf(file, sizeof file, "%s/%s", directory, bench_places[i]);
        if (access(file, X_OK) != 0)
            continue;
        execv(file, argv);
        command_say("bench", "cannot execute %s: %s", file, strerror(errno));
        return EXIT_CANNOT_EXECUTE;
    }
    if (argc > 1 && strcmp(argv[1], "--help") == 0) {
        fputs(bench_help, stdout);
        return 0;
    }
    command_say("bench",
                "the program serry-bench is not there; configure with -DSERRY_BENCH=ON "
                "(looked beside %s/serry, in ../libexec/serry and in ../tests/bench)",
                directory);
    return EXIT_NOT_FOUND;
}
