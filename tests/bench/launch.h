/* From a figure and a peer to a command line. */
#ifndef BENCH_LAUNCH_H
#define BENCH_LAUNCH_H

#include "plan.h"

enum { LAUNCH_ARGS = 24, LAUNCH_TEXT = 8192 };

/* An argument vector together with its strings. */
struct launch {
    char *argv[LAUNCH_ARGS + 1];
    size_t argc;
    size_t used;
    char text[LAUNCH_TEXT];
};

/* Finds the directory of the workload programs and the serry command; once. */
void launch_setup(void);

/* Fills l with the command that measures f on peer p. False if the peer is not installed; what
 * lacks is then in missing. args replaces the figure's own, if not NULL. */
bool launch_build(struct launch *l, const struct figure *f, enum peer p, const char *args,
                  const char **missing);

#endif
