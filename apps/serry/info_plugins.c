/* info_plugins.c: which MPIs' plugins are installed, and whether they load here. Each is tried in a
 * child: two MPIs do not belong into one process, and some install signal handlers when loaded.
 */
#include "command.h"

#include "base/env.h"
#include "start/plugin.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* Behind this command's directory: where it is installed, in the build tree, of its tests' copy. */
static const char *const plugins_places[] = { "/../" INFO_LIBDIR "/serry", "/../lib/serry",
                                              "/../../lib/serry" };

enum { PLUGINS_PLACES = sizeof plugins_places / sizeof *plugins_places };

/* In the child. Programs find a plugin by where their library lies; this command has none, so it
 * says where. False: it is in none of the places. */
static bool plugins_point_to(const char *which)
{
    char own[PATH_MAX];
    char dir[PATH_MAX + 64];
    char path[PATH_MAX + 256];
    if (sri_env("SERRY_PLUGIN_DIR"))
        return true;
    command_directory(own, sizeof own);
    for (int i = 0; i < PLUGINS_PLACES; i++) {
        snprintf(dir, sizeof dir, "%s%s", own, plugins_places[i]);
        snprintf(path, sizeof path, "%s/libserry_mpi_%s.so", dir, which);
        if (access(path, R_OK) == 0)
            return setenv("SERRY_PLUGIN_DIR", dir, 1) == 0;
    }
    return false;
}

/* In the child. */
static void plugins_try(const char *which, char *text, size_t cap)
{
    char version[256];
    const sri_mpi_plugin *plugin;
    bool pointed = plugins_point_to(which);
    serry_err e = sri_plugin_load(which, &plugin);
    if (e == SERRY_ESYS && !pointed) { /* nor does the loader know it */
        snprintf(text, cap, "not found");
    } else if (e != SERRY_OK) {
        snprintf(text, cap, "%s", serry_err_detail());
    } else {
        sri_plugin_loaded_mpi(version, sizeof version);
        snprintf(text, cap, "yes%s%s", *version ? ", " : "", version);
    }
}

void info_plugin(const char *which, char *text, size_t cap)
{
    int fd[2];
    if (pipe(fd) != 0) {
        snprintf(text, cap, "cannot be tried: pipe: %s", strerror(errno));
        return;
    }
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        plugins_try(which, text, cap);
        ssize_t ignored = write(fd[1], text, strlen(text));
        (void)ignored;
        _exit(0);
    }
    if (pid < 0)
        snprintf(text, cap, "cannot be tried: fork: %s", strerror(errno));
    close(fd[1]);
    if (pid > 0) {
        ssize_t n = read(fd[0], text, cap - 1);
        text[n > 0 ? n : 0] = 0;
        if (n <= 0)
            snprintf(text, cap, "cannot be loaded: it ends the process that tries");
        while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
            ;
    }
    close(fd[0]);
}
