/* Running one measured command: its output, its wall time, and its end within a limit. */
#ifndef BENCH_RUN_H
#define BENCH_RUN_H

#include <stdbool.h>

enum run_status {
    RUN_OK,
    RUN_FAILED, /* exit code other than 0, a signal, or no number in the output */
    RUN_TIMED_OUT,
    RUN_STOPPED, /* the driver was interrupted */
};

struct run_result {
    enum run_status status;
    double wall;   /* seconds from fork to the end of the command */
    double figure; /* the number it printed; 0 if it printed nothing */
    bool printed;
    char text[256]; /* why it failed */
};

/* Once, before the first command: the driver adopts what its commands leave behind, and a SIGINT or
 * SIGTERM ends the command that runs. */
void run_setup(void);

/* Has a SIGINT or SIGTERM come? */
bool run_interrupted(void);

/* Runs argv (ended by NULL) in a process group of its own, stdin from /dev/null, BENCH_SECONDS in
 * its environment, and BENCH_RUN, which is another word for each run. After limit seconds the group
 * gets SIGTERM, 3 s later SIGKILL, and so does every process that outlived its parent. Blocks until
 * nothing of it is left. */
void run_command(struct run_result *r, char *const argv[], double budget, double limit);

#endif
