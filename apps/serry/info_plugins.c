/* info_plugins.c: which MPIs' plugins are installed, and whether they load here. Each is tried in a
 * child: two MPIs do not belong into one process, and some install signal handlers when loaded.
 */
#include "command.h"

#include "base/env.h"
#include "base/fds.h"
#include "start/plugin.h"

#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define PLUGINS_MPI_TEXT 8192 /* as much as any MPI says of itself */

/* Behind this command's directory: where it is installed, in the build tree, of its tests' copy. */
static const char *const plugins_places[] = { "/../" INFO_LIBDIR "/serry", "/../lib/serry",
                                              "/../../lib/serry" };

enum { PLUGINS_PLACES = sizeof plugins_places / sizeof *plugins_places };

static bool plugins_find(const char *which, char *path, size_t cap)
{
    char own[PATH_MAX];
    const char *dir = sri_env("SERRY_PLUGIN_DIR");
    if (dir) {
        snprintf(path, cap, "%s/libserry_mpi_%s.so", dir, which);
        return access(path, R_OK) == 0;
    }
    command_directory(own, sizeof own);
    for (int i = 0; i < PLUGINS_PLACES; i++) {
        snprintf(path, cap, "%s%s/libserry_mpi_%s.so", own, plugins_places[i], which);
        if (access(path, R_OK) == 0)
            return true;
    }
    return false;
}

/* "Open MPI v4.1.4", "MPICH Version: 4.0.2" */
static void plugins_version(void *handle, char *text, size_t cap)
{
    int (*say)(char *text, int *len);
    char all[PLUGINS_MPI_TEXT] = "";
    int len = 0;
    size_t at = 0;
    void *found = dlsym(handle, "MPI_Get_library_version");
    if (found) {
        memcpy(&say, &found, sizeof say);
        say(all, &len);
    }
    all[sizeof all - 1] = 0;
    for (const char *c = all; *c && *c != '\n' && *c != ',' && at + 1 < cap; c++) {
        bool blank = *c == ' ' || *c == '\t';
        if (!blank || (at > 0 && text[at - 1] != ' '))
            text[at++] = blank ? ' ' : *c;
    }
    text[at] = 0;
}

/* In the child. */
static void plugins_try(const char *path, char *text, size_t cap)
{
    char version[256];
    void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!handle) {
        snprintf(text, cap, "cannot be loaded: %s", dlerror());
        return;
    }
    if (!dlsym(handle, SRI_MPI_PLUGIN_SYMBOL)) {
        snprintf(text, cap, "is not a plugin of serry: %s", path);
        return;
    }
    plugins_version(handle, version, sizeof version);
    snprintf(text, cap, "yes%s%s", *version ? ", " : "", version);
}

bool info_plugin(const char *which, char *text, size_t cap)
{
    char path[PATH_MAX + 256];
    int fd[2];
    if (!plugins_find(which, path, sizeof path)) {
        snprintf(text, cap, "not found");
        return false;
    }
    snprintf(text, cap, "cannot be tried: %s", strerror(errno));
    if (pipe(fd) != 0)
        return false;
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        plugins_try(path, text, cap);
        ssize_t ignored = write(fd[1], text, strlen(text));
        (void)ignored;
        _exit(0);
    }
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
    return strncmp(text, "yes", 3) == 0;
}
