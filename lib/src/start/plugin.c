/* start/plugin.c: where plugins are looked for. */
#include "start/plugin.h"

#include "base/env.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PLUGIN_PATH 1024
#define PLUGIN_WHY 768
#define PLUGIN_VERSION_TEXT 8192 /* as much as any MPI writes */

/* Behind the directory of the library, or of the program that it is linked into. */
static const char *const plugin_places[] = {
    "/serry",
    "",
#ifdef SRI_POINTS
    "/../../lib/serry", /* of the tests' programs in the build tree */
    "/../lib/serry",
#endif
};

#define PLUGIN_PLACES (sizeof plugin_places / sizeof *plugin_places)

/* What was tried, for the error. */
typedef struct plugin_tried {
    char text[PLUGIN_WHY];
    size_t len;
} plugin_tried;

static void plugin_note(plugin_tried *t, const char *what)
{
    int n = snprintf(t->text + t->len, sizeof t->text - t->len, "%s%s", t->len ? ", " : "", what);
    if (n > 0)
        t->len += (size_t)n < sizeof t->text - t->len ? (size_t)n : sizeof t->text - 1 - t->len;
}

/* A file that is there and cannot be loaded ends the search: *why is what the loader says. */
static void *plugin_open(const char *path, bool named, plugin_tried *tried, const char **why)
{
    plugin_note(tried, path);
    if (named && access(path, R_OK) != 0)
        return NULL;
    /* MPI's own components look for its symbols among the global ones. */
    void *handle = dlopen(path, RTLD_NOW | RTLD_GLOBAL);
    if (!handle && named)
        *why = dlerror();
    return handle;
}

static bool plugin_own_dir(char *dir, size_t cap)
{
    Dl_info info;
    char *real;
    if (!dladdr((const void *)&plugin_places, &info) || !info.dli_fname)
        return false;
    real = realpath(strchr(info.dli_fname, '/') ? info.dli_fname : "/proc/self/exe", NULL);
    if (!real)
        return false;
    char *slash = strrchr(real, '/');
    *slash = 0;
    int n = snprintf(dir, cap, "%s", real);
    free(real);
    return n >= 0 && (size_t)n < cap;
}

static void *plugin_search(const char *file, plugin_tried *tried, const char **why)
{
    char path[PLUGIN_PATH];
    char own[PLUGIN_PATH - 128];
    const char *dir = sri_env("SERRY_PLUGIN_DIR");
    void *handle = NULL;
    if (dir) {
        snprintf(path, sizeof path, "%s/%s", dir, file);
        return plugin_open(path, true, tried, why);
    }
    if (plugin_own_dir(own, sizeof own)) {
        for (size_t i = 0; i < PLUGIN_PLACES && !handle && !*why; i++) {
            snprintf(path, sizeof path, "%s%s/%s", own, plugin_places[i], file);
            handle = plugin_open(path, true, tried, why);
        }
    }
    if (!handle && !*why)
        handle = plugin_open(file, false, tried, why);
    return handle;
}

static serry_err plugin_check(void *handle, const char *file, const sri_mpi_plugin **plugin)
{
    const sri_mpi_plugin *p = dlsym(handle, SRI_MPI_PLUGIN_SYMBOL);
    if (!p)
        return sri_fail(SERRY_EINVAL,
                        "%s is not a plugin of serry: it lacks " SRI_MPI_PLUGIN_SYMBOL, file);
    if (p->version != SRI_MPI_PLUGIN_VERSION || p->size != sizeof *p)
        return sri_fail(SERRY_EINVAL,
                        "%s is of another version of serry (interface %u of %u bytes; %u "
                        "of %zu bytes are needed): install both from one build",
                        file, p->version, p->size, SRI_MPI_PLUGIN_VERSION, sizeof *p);
    *plugin = p;
    return SERRY_OK;
}

serry_err sri_plugin_load(const char *which, const sri_mpi_plugin **plugin)
{
    char file[64];
    const char *why = NULL;
    plugin_tried tried = { 0 };
    snprintf(file, sizeof file, "libserry_mpi_%s.so", which);
    void *handle = plugin_search(file, &tried, &why);
    if (why)
        return sri_fail(SERRY_ESYS, "%s cannot be loaded: %s", file, why);
    if (!handle)
        return sri_fail(SERRY_ESYS,
                        "%s was not found (tried %s): build serry where mpicc.%s is, or say "
                        "in SERRY_PLUGIN_DIR where it lies",
                        file, tried.text, which);
    return plugin_check(handle, file, plugin);
}

/* With one space between two words: "Open MPI v4.1.4", "MPICH Version: 4.0.2". */
static void plugin_words(const char *text, char *words, size_t cap)
{
    size_t at = 0;
    for (const char *c = text; *c && at + 1 < cap; c++) {
        bool blank = *c == ' ' || *c == '\t';
        if (!blank || (at > 0 && words[at - 1] != ' '))
            words[at++] = blank ? ' ' : *c;
    }
    words[at] = 0;
}

const char *sri_plugin_loaded_mpi(char *version, size_t cap)
{
    int (*say)(char *text, int *len);
    char text[PLUGIN_VERSION_TEXT];
    int len = 0;
    void *found = dlsym(RTLD_DEFAULT, "MPI_Get_library_version");
    version[0] = 0;
    if (!found)
        return NULL;
    memcpy(&say, &found, sizeof say);
    text[0] = 0;
    if (say(text, &len) != 0)
        return NULL;
    text[sizeof text - 1] = 0;
    text[strcspn(text, "\n,")] = 0; /* its first words are enough */
    plugin_words(text, version, cap);
    if (strstr(text, "Open MPI"))
        return "openmpi";
    return strstr(text, "MPICH") ? "mpich" : NULL;
}

bool sri_plugin_ask(const char *function)
{
    int (*ask)(int *flag);
    int flag = 0;
    void *found = dlsym(RTLD_DEFAULT, function);
    if (!found)
        return false;
    memcpy(&ask, &found, sizeof ask);
    return ask(&flag) == 0 && flag;
}
