/* start/plugin.h: finding and loading the plugin of an MPI. */
#ifndef SRI_START_PLUGIN_H
#define SRI_START_PLUGIN_H

#include "transport/mpi/plugin.h"

#include <serry/error.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Loads libserry_mpi_<which>.so: from SERRY_PLUGIN_DIR if that is set, else from beside the library
 * or from where the loader finds it. It stays loaded. The error names the places that were tried.
 */
serry_err sri_plugin_load(const char *which, const sri_mpi_plugin **plugin);

/* Which MPI this process has loaded already: "openmpi", "mpich", or NULL; *version is what it says
 * of itself, or "". */
const char *sri_plugin_loaded_mpi(char *version, size_t cap);

/* What a question of the kind int f(int *flag) of the MPI that is loaded gives; false if none is.
 */
bool sri_plugin_ask(const char *function);

#ifdef __cplusplus
}
#endif
#endif
