/* start/launcher.c: the variables by which launchers tell a process who it is. One row for each of
 * them, the innermost launcher first: mpirun may itself run inside a Slurm job. */
#include "start/launcher.h"

#include "base/env.h"

#include <stddef.h>
#include <string.h>

#define LAUNCHER_PROCESSES_MAX (1 << 20)

typedef struct launcher_row {
    const char *name;
    const char *plugin; /* NULL: none, which is an error if there are several processes */
    const char *sign;   /* set: this is the launcher */
    const char *size[2];
    const char *rank[2];
    const char *local_rank[2];
} launcher_row;

static const launcher_row launcher_rows[] = {
    { "Open MPI's mpirun",
      "openmpi",
      "OMPI_COMM_WORLD_SIZE",
      { "OMPI_COMM_WORLD_SIZE" },
      { "OMPI_COMM_WORLD_RANK" },
      { "OMPI_COMM_WORLD_LOCAL_RANK" } },
    /* Hydra's mpiexec, and srun --mpi=pmi2. */
    { "MPICH's mpiexec",
      "mpich",
      "PMI_SIZE",
      { "PMI_SIZE" },
      { "PMI_RANK" },
      { "MPI_LOCALRANKID", "SLURM_LOCALID" } },
    { "srun --mpi=pmix",
      "openmpi",
      "PMIX_RANK",
      { "SLURM_STEP_NUM_TASKS", "SLURM_NTASKS" },
      { "PMIX_RANK", "SLURM_PROCID" },
      { "SLURM_LOCALID" } },
    /* Not SLURM_NTASKS: that one is there in a batch script, too, which is one process. */
    { "srun",
      NULL,
      "SLURM_STEP_NUM_TASKS",
      { "SLURM_STEP_NUM_TASKS" },
      { "SLURM_PROCID" },
      { "SLURM_LOCALID" } },
};

#define LAUNCHER_ROWS (sizeof launcher_rows / sizeof *launcher_rows)

static serry_err launcher_number(const char *const names[2], int *value)
{
    for (int i = 0; i < 2 && names[i]; i++) {
        int64_t n;
        if (!sri_env(names[i]))
            continue;
        SRI_TRY(sri_parse_int(names[i], sri_env(names[i]), 0, LAUNCHER_PROCESSES_MAX, &n));
        *value = (int)n;
        return SERRY_OK;
    }
    return SERRY_OK;
}

static serry_err launcher_read(const launcher_row *row, sri_launcher *l)
{
    l->name = row->name;
    l->plugin = row->plugin;
    SRI_TRY(launcher_number(row->size, &l->size));
    SRI_TRY(launcher_number(row->rank, &l->rank));
    SRI_TRY(launcher_number(row->local_rank, &l->local_rank));
    if (l->size > 0 && (l->rank >= l->size || l->local_rank >= l->size))
        return sri_fail(SERRY_EINVAL,
                        "the environment of %s contradicts itself: process %d, %d on this "
                        "machine, of %d",
                        l->name, l->rank, l->local_rank, l->size);
    return SERRY_OK;
}

serry_err sri_launcher_find(sri_launcher *l)
{
    static const char *const transports[] = { "local", "openmpi", "mpich" };
    sri_launcher found = { .rank = -1, .local_rank = -1 };
    int which = -1;
    SRI_TRY(sri_env_word("SERRY_TRANSPORT", transports, 3, &which));
    if (which == 0) {
        *l = found;
        return SERRY_OK;
    }
    for (size_t i = 0; i < LAUNCHER_ROWS && !found.name; i++) {
        if (sri_env(launcher_rows[i].sign))
            SRI_TRY(launcher_read(&launcher_rows[i], &found));
    }
    found.own = found.plugin && (which < 0 || strcmp(found.plugin, transports[which]) == 0);
    if (which > 0) {
        found.plugin = transports[which];
    } else if (found.size == 1) {
        found.plugin = NULL; /* alone: it needs no MPI to find nobody */
    } else if (found.name && !found.plugin) {
        return sri_fail(SERRY_EINVAL,
                        "srun has started %d processes without MPI, which would be %d "
                        "worlds of one: use srun --mpi=pmix (Open MPI) or --mpi=pmi2 "
                        "(MPICH), or SERRY_TRANSPORT=local if that is what you want",
                        found.size, found.size);
    }
    *l = found;
    return SERRY_OK;
}
