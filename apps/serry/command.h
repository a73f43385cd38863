/* command.h: the subcommands of `serry`, and what they share. */
#ifndef COMMAND_H
#define COMMAND_H

#include <serry/error.h>

#include <stdbool.h>
#include <stddef.h>

enum {
    EXIT_USAGE = 2,
    EXIT_TIMEOUT = 110,
    EXIT_CANNOT_EXECUTE = 126,
    EXIT_NOT_FOUND = 127,
    EXIT_SIGNAL = 128, /* and the signal's number */
};

/* argv[0] is the subcommand's own name. They return the exit status. */
int command_run(int argc, char **argv);
int command_info(int argc, char **argv);
int command_bench(int argc, char **argv);

/* Does the plugin of "openmpi" or "mpich" load here? text: "yes, Open MPI v4.1.4", or why not. */
void info_plugin(const char *which, char *text, size_t cap);

/* "serry run: ..." on standard error: one line, one write. */
void command_say(const char *command, const char *fmt, ...) SERRY_PRINTF(2, 3);

/* The directory of this executable, without a slash at its end; "." if it cannot be told. */
void command_directory(char *path, size_t cap);

#endif
