/* launch.h: looks for programs near the driver and for launchers in PATH. */
#include "launch.h"

#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char programs_dir[PATH_MAX + 32];  /* ends without a slash */
static char serry_command[PATH_MAX + 32]; /* "": there is none */

static bool launch_in_path(const char *name)
{
    const char *path = getenv("PATH");
    char file[PATH_MAX + 64];
    while (path != NULL && *path != '\0') {
        int len = (int)strcspn(path, ":");
        snprintf(file, sizeof file, "%.*s/%s", len, path, name);
        if (access(file, X_OK) == 0)
            return true;
        path += len + (path[len] == ':');
    }
    return false;
}

/* The workload programs and the serry of the driver's own build or installation: the serry in PATH
 * may be another one. */
void launch_setup(void)
{
    char own[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", own, sizeof own - 1);
    own[n > 0 ? n : 0] = '\0';
    char *slash = strrchr(own, '/');
    if (slash != NULL)
        *slash = '\0';
    snprintf(programs_dir, sizeof programs_dir, "%s/../libexec/serry-bench", own);
    if (access(programs_dir, X_OK) != 0)
        snprintf(programs_dir, sizeof programs_dir, "%s", own);
    snprintf(serry_command, sizeof serry_command, "%s/serry", own);
    if (access(serry_command, X_OK) != 0)
        snprintf(serry_command, sizeof serry_command, "%s", launch_in_path("serry") ? "serry" : "");
}

static void launch_add(struct launch *l, const char *format, ...)
{
    size_t room = sizeof l->text - l->used;
    va_list ap;
    va_start(ap, format);
    int n = vsnprintf(l->text + l->used, room, format, ap);
    va_end(ap);
    if (n < 0 || (size_t)n >= room || l->argc == LAUNCH_ARGS) {
        fprintf(stderr, "serry-bench: a command line is too long\n");
        exit(2);
    }
    l->argv[l->argc++] = l->text + l->used;
    l->used += (size_t)n + 1;
}

/* Adds the words of a text. */
static void launch_add_words(struct launch *l, const char *words)
{
    while (*words != '\0') {
        int len = (int)strcspn(words, " ");
        launch_add(l, "%.*s", len, words);
        words += len + (words[len] == ' ');
    }
}

static bool launch_openmpi(struct launch *l, int ranks, bool copy)
{
    launch_add(l, "mpirun.openmpi");
    launch_add(l, "-n");
    launch_add(l, "%d", ranks);
    if (ranks > sysconf(_SC_NPROCESSORS_ONLN))
        launch_add(l, "--oversubscribe");
    if (copy)
        launch_add_words(l, "--mca btl_vader_single_copy_mechanism none");
    return launch_in_path("mpirun.openmpi");
}

static bool launch_mpich(struct launch *l, int ranks, bool copy)
{
    launch_add(l, "mpirun.mpich");
    launch_add(l, "-n");
    launch_add(l, "%d", ranks);
    if (copy)
        launch_add_words(l, "-genv UCX_TLS self,posix,sysv");
    return launch_in_path("mpirun.mpich");
}

/* Each rank is a node, so that all messages go over MPI, unless the figure says otherwise. */
static bool launch_serry_over(struct launch *l, const struct figure *f)
{
    launch_add_words(l, f->one_node ? "env -u SERRY_NODES" : "env SERRY_NODES=rank");
    return f->over == PEER_OPENMPI ? launch_openmpi(l, f->ranks, false)
                                   : launch_mpich(l, f->ranks, false);
}

static bool launch_serry(struct launch *l, int ranks)
{
    if (ranks == 0)
        return true;
    launch_add(l, "%s", serry_command);
    launch_add_words(l, "run -n");
    launch_add(l, "%d", ranks);
    return serry_command[0] != '\0';
}

/* The distribution's Python, if it is there: what is first in PATH may be a slower build. */
static bool launch_python(struct launch *l)
{
    const char *usual = "/usr/bin/python3";
    bool has_usual = access(usual, X_OK) == 0;
    launch_add(l, "%s", has_usual ? usual : "python3");
    launch_add(l, "-B"); /* nothing is to be written beside the programs */
    return has_usual || launch_in_path("python3");
}

/* The distribution's mpi4py is linked to its Open MPI. */
static bool launch_futures(struct launch *l, int ranks)
{
    bool found = launch_openmpi(l, ranks, false);
    found = launch_python(l) && found;
    launch_add_words(l, "-m mpi4py.futures");
    return found && access("/usr/lib/python3/dist-packages/mpi4py/futures", X_OK) == 0;
}

/* Adds the launcher; the peer's program is bench_, *program (the figure's, as it comes in) and
 * *suffix. */
static bool launch_prefix(struct launch *l, const struct figure *f, enum peer p,
                          const char **program, const char **suffix)
{
    int mpi_ranks = f->mpi_ranks > 0 ? f->mpi_ranks : f->ranks;
    switch (p) {
    case PEER_SERRY:
    case PEER_MESSAGES:
        *suffix = "_serry";
        return f->over ? launch_serry_over(l, f) : launch_serry(l, f->ranks);
    case PEER_RUN:
        *suffix = "_serry";
        return launch_serry(l, f->ranks);
    case PEER_FUTURES:
        *suffix = "_futures.py";
        return launch_futures(l, mpi_ranks);
    case PEER_OPENMPI:
    case PEER_OPENMPI_COPY:
        *suffix = "_openmpi";
        return launch_openmpi(l, mpi_ranks, p == PEER_OPENMPI_COPY);
    case PEER_MPICH:
    case PEER_MPICH_COPY:
        *suffix = "_mpich";
        return launch_mpich(l, mpi_ranks, p == PEER_MPICH_COPY);
    case PEER_ZMQ:
        *suffix = "_zmq";
        return true;
    case PEER_MUTEX:
    case PEER_SEM:
    case PEER_BARRIER:
        *program = "posix";
        return true;
    case PEER_PYTHON:
    case PEER_MANAGER:
        *suffix = "_python.py";
        return launch_python(l);
    default:
        return false;
    }
}

bool launch_build(struct launch *l, const struct figure *f, enum peer p, const char *args,
                  const char **missing)
{
    *l = (struct launch){ .argc = 0 };
    const char *program = f->program, *suffix = "";
    *missing = p == PEER_SERRY && !f->over ? "no serry command" : "not installed";
    if (p != PEER_SERRY && f->over)
        launch_add_words(l, "env BENCH_MPI_LEVEL=serialized");
    if (!launch_prefix(l, f, p, &program, &suffix))
        return false;
    launch_add(l, "%s/bench_%s%s", programs_dir, program, suffix);
    if (access(l->argv[l->argc - 1], R_OK) != 0) {
        *missing = p == PEER_SERRY ? "not built" : "not installed when this was built";
        return false;
    }
    launch_add_words(l, args != NULL ? args : f->args);
    return true;
}
