/* patterns/subprocess_program.c: a program made ready for exec, so that the
 * child needs no memory: its environment, and the files to try. */
#include "base/outlive.h"
#include "patterns/subprocess.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PROGRAM_PATH "/usr/local/bin:/bin:/usr/bin" /* where the environment has none */

/* A launcher's word to this process alone: its descriptor is not open in the
 * child. */
static const char program_join[] = "SERRY_JOIN_FD";
static const char program_outlives[] = SRI_OUTLIVE "=1"; /* of a detached one */

static size_t program_count(const char *const *strings)
{
    size_t n = 0;
    while (strings && strings[n])
        n++;
    return n;
}

/* Of "NAME=value" and of "NAME". */
static size_t program_name_len(const char *variable)
{
    return strcspn(variable, "=");
}

static bool program_same_name(const char *a, const char *b)
{
    size_t n = program_name_len(a);
    return n == program_name_len(b) && memcmp(a, b, n) == 0;
}

/* NULL: not there. */
static const char *program_find(const char *const *env, size_t n, const char *name)
{
    for (size_t i = n; i > 0; i--) {
        if (program_same_name(env[i - 1], name))
            return env[i - 1];
    }
    return NULL;
}

static serry_err program_check_env(const char *const *add)
{
    for (size_t i = 0; add && add[i]; i++) {
        if (program_name_len(add[i]) == 0)
            return sri_fail(SERRY_EINVAL, "\"%.100s\" has no name of a variable in it", add[i]);
    }
    return SERRY_OK;
}

static serry_err program_env(sri_program *p, const serry_subprocess_options *o)
{
    const char *const *base = o->env ? o->env : (const char *const *)environ;
    const char *const *add = o->env_add;
    SRI_TRY(program_check_env(add));
    size_t n = program_count(base);
    size_t more = program_count(add);
    bool joins = !o->env && program_find(base, n, program_join) != NULL;
    if (base && more == 0 && !joins && !o->detach) {
        p->env = (char *const *)(uintptr_t)base;
        return SERRY_OK;
    }
    p->own_env = malloc((n + more + 2) * sizeof *p->own_env);
    if (!p->own_env)
        return sri_fail(SERRY_ENOMEM, "no memory for an environment of %zu variables", n + more);
    size_t at = 0;
    for (size_t i = 0; i < n; i++) {
        if (!(joins && program_same_name(base[i], program_join))
            && !program_find(add, more, base[i]))
            p->own_env[at++] = (char *)(uintptr_t)base[i];
    }
    for (size_t i = 0; i < more; i++) {
        /* Of one name the last counts. */
        if (strchr(add[i], '=') && program_find(add, more, add[i]) == add[i])
            p->own_env[at++] = (char *)(uintptr_t)add[i];
    }
    if (o->detach)
        p->own_env[at++] = (char *)(uintptr_t)program_outlives;
    p->own_env[at] = NULL;
    p->env = p->own_env;
    return SERRY_OK;
}

/* The n-th of the places in a PATH; false: there are no more. */
static bool program_place(const char **path, const char **dir, size_t *len)
{
    if (!*path)
        return false;
    *dir = *path;
    *len = strcspn(*path, ":");
    *path = (*path)[*len] ? *path + *len + 1 : NULL;
    return true;
}

/* All files in one block behind the pointers to them. */
static serry_err program_files(sri_program *p, const char *file)
{
    const char *path = program_find((const char *const *)p->env,
                                    program_count((const char *const *)p->env), "PATH");
    path = path ? path + sizeof "PATH=" - 1 : PROGRAM_PATH;
    if (strchr(file, '/') || !file[0])
        path = ""; /* an empty place in the PATH is the directory it runs in */
    const char *left = path, *dir;
    size_t places = 0, bytes = 0, len;
    while (program_place(&left, &dir, &len)) {
        places++;
        bytes += len + 1 + strlen(file) + 1;
    }
    p->files = malloc((places + 1) * sizeof *p->files + bytes);
    if (!p->files)
        return sri_fail(SERRY_ENOMEM, "no memory for a PATH of %zu bytes", strlen(path));
    char *at = (char *)(p->files + places + 1);
    left = path;
    for (size_t i = 0; program_place(&left, &dir, &len); i++) {
        p->files[i] = at;
        memcpy(at, dir, len);
        at += len;
        if (len > 0)
            *at++ = '/';
        memcpy(at, file, strlen(file) + 1);
        at += strlen(file) + 1;
    }
    p->files[places] = NULL;
    return SERRY_OK;
}

serry_err sri_program_init(sri_program *p, const char *const argv[],
                           const serry_subprocess_options *o)
{
    *p = (sri_program){ .argv = (char *const *)(uintptr_t)argv };
    if (!argv || !argv[0])
        return sri_fail(SERRY_EINVAL, "argv is %s: it names no program", argv ? "empty" : "NULL");
    serry_err e = program_env(p, o);
    if (e == SERRY_OK)
        e = program_files(p, o->program ? o->program : argv[0]);
    if (e != SERRY_OK)
        sri_program_fini(p);
    return e;
}

void sri_program_fini(sri_program *p)
{
    free(p->own_env);
    free(p->files);
    *p = (sri_program){ 0 };
}
