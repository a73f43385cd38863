/* start/launcher.h: who has launched this process, as far as its environment tells. */
#ifndef SRI_START_LAUNCHER_H
#define SRI_START_LAUNCHER_H

#include <serry/error.h>
#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sri_launcher {
    const char *plugin; /* which one: "openmpi", "mpich"; NULL: none is wanted */
    const char *name;   /* of the launcher, for people; NULL: there is none */
    bool own;           /* the plugin is the one that goes with this launcher */
    int size;           /* processes it says it has launched; 0: it does not say */
    int rank;           /* -1: it does not say */
    int local_rank;     /* among those of this machine; -1: it does not say */
} sri_launcher;

/* Reads the environment of Open MPI's mpirun, of Hydra (MPICH's mpiexec), of Slurm's srun, and of
 * PMIx; SERRY_TRANSPORT (local, openmpi, mpich) has the last word. SERRY_EINVAL: values that
 * contradict each other, or several processes whose launcher offers no way for MPI to find the
 * others. */
serry_err sri_launcher_find(sri_launcher *l);

#ifdef __cplusplus
}
#endif
#endif
