/* main.c: the command `serry`: which subcommand is meant. */
#include "command.h"

#include <serry/world.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct subcommand {
    const char *name;
    int (*main)(int argc, char **argv);
    const char *summary;
} subcommand;

static const subcommand subcommands[] = {
    { "run", command_run, "start a program as several ranks on this machine" },
    { "info", command_info, "what this machine offers, and how serry would use it" },
    { "bench", command_bench, "measure serry, and what else is installed, side by side" },
};

enum { SUBCOMMANDS = sizeof subcommands / sizeof *subcommands };

void command_say(const char *command, const char *fmt, ...)
{
    char line[PIPE_BUF];
    int at = snprintf(line, sizeof line, "serry%s%s: ", *command ? " " : "", command);
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(line + at, sizeof line - (size_t)at - 1, fmt, ap);
    va_end(ap);
    size_t len = (size_t)at + (n > 0 ? (size_t)n : 0);
    if (len > sizeof line - 2)
        len = sizeof line - 2;
    line[len++] = '\n';
    ssize_t ignored = write(STDERR_FILENO, line, len);
    (void)ignored;
}

void command_directory(char *path, size_t cap)
{
    ssize_t n = readlink("/proc/self/exe", path, cap - 1);
    path[n > 0 ? n : 0] = 0;
    char *slash = strrchr(path, '/');
    if (slash)
        *slash = 0;
    else
        snprintf(path, cap, ".");
}

static void main_help(FILE *out)
{
    fputs("serry: parallel patterns as messages between ranks\n"
          "\n"
          "Usage: serry COMMAND [OPTION]...\n"
          "\n",
          out);
    for (int i = 0; i < SUBCOMMANDS; i++)
        fprintf(out, "  %-8s %s\n", subcommands[i].name, subcommands[i].summary);
    fputs("\n"
          "  serry run -n 4 ./app      four ranks of ./app, without any MPI\n"
          "  serry COMMAND --help      more about a command\n"
          "  serry --version           the version, and nothing else\n",
          out);
}

static const subcommand *main_find(const char *name)
{
    for (int i = 0; i < SUBCOMMANDS; i++) {
        if (strcmp(subcommands[i].name, name) == 0)
            return &subcommands[i];
    }
    return NULL;
}

static int main_unknown(const char *name)
{
    command_say("", "there is no command '%s'; there are run, info and bench (see serry --help)",
                name);
    return EXIT_USAGE;
}

/* `serry help run` is `serry run --help`. */
static int main_help_on(const char *name)
{
    if (!name) {
        main_help(stdout);
        return 0;
    }
    const subcommand *c = main_find(name);
    if (!c)
        return main_unknown(name);
    char help[] = "--help";
    char *argv[] = { (char *)(size_t)c->name, help, NULL };
    return c->main(2, argv);
}

/* Descriptors 0 to 2 that were closed would be taken by sockets and get the output of ranks. */
static void main_hold_standard_streams(void)
{
    int fd;
    do {
        fd = open("/dev/null", O_RDWR);
    } while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd >= 0)
        close(fd);
}

static int main_dispatch(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : NULL;
    if (!name) {
        main_help(stderr);
        return EXIT_USAGE;
    }
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0)
        return main_help_on(NULL);
    if (strcmp(name, "help") == 0)
        return main_help_on(argc > 2 ? argv[2] : NULL);
    if (strcmp(name, "--version") == 0 || strcmp(name, "-V") == 0) {
        puts(SERRY_VERSION);
        return 0;
    }
    const subcommand *c = main_find(name);
    return c ? c->main(argc - 1, argv + 1) : main_unknown(name);
}

int main(int argc, char **argv)
{
    main_hold_standard_streams();
    int status = main_dispatch(argc, argv);
    if (fflush(stdout) != 0 && status == 0) {
        command_say("", "cannot write to standard output: %s", strerror(errno));
        return EXIT_FAILURE;
    }
    return status;
}
