/* start/world_mpi.c: joining when an MPI has launched the ranks, or when the program uses MPI
 * itself.
 *
 * What forks does so before MPI is there: the first process of each machine its agent and the clean
 * copy of the program. What comes then is in start/world_mpi_join.c. */
#include "start/world_mpi.h"

#include "base/env.h"
#include "base/fds.h"
#include "base/log.h"
#include "start/world.h"
#include "start/world_mpi_join.h"

#include <serry/mpi_attach.h>

#include <string.h>

sri_far_state sri_far = { .host = { .pidfd = -1, .control = -1 }, .door_fd = -1 };

/* ---- before MPI is there ---- */

static serry_err far_options(void)
{
    static const char *const agents[] = { "tcp", "mpi" };
    int which = 0;
    const char *nodes = sri_env("SERRY_NODES");
    SRI_TRY(sri_env_word("SERRY_AGENTS", agents, 2, &which));
    if (nodes && strcmp(nodes, "rank") != 0)
        return sri_fail(SERRY_EINVAL,
                        "SERRY_NODES is '%s'; under an MPI launcher the machines are the "
                        "nodes, or with 'rank' every rank is one",
                        nodes);
    sri_far.alone = nodes != NULL;
    sri_far.set_aside = which == 1;
    return SERRY_OK;
}

void sri_far_dismiss(void)
{
    sri_host_dismiss(&sri_far.host);
    sri_nursery_reap();
    sri_far.prepared = false;
}

/* The nursery first: it must not hold what the agent has from here. */
static serry_err far_fork(bool host)
{
    sri_nursery_fork();
    serry_err e = host ? sri_host_fork(&sri_far.host, sri_env("SERRY_INTERFACE")) : SERRY_OK;
    if (e != SERRY_OK)
        sri_far_dismiss();
    return e;
}

/* ---- launched by an MPI ---- */

static serry_err far_other_mpi(const sri_launcher *l)
{
    char version[64];
    const char *loaded = sri_plugin_loaded_mpi(version, sizeof version);
    if (loaded && strcmp(loaded, l->plugin) != 0)
        return sri_fail(SERRY_EINVAL,
                        "this program is linked to %s, but %s needs the plugin '%s': start "
                        "it by the launcher of the MPI that it is linked to",
                        version, l->name ? l->name : "SERRY_TRANSPORT", l->plugin);
    return SERRY_OK;
}

/* n processes of which each is alone in the world are not what anybody wants. */
static serry_err far_check_size(const sri_launcher *l)
{
    const char *mpi = sri_far.plugin->mpi;
    int n = sri_far.plugin->size_of();
    if (l->size == 0 || l->size == n)
        return SERRY_OK;
    if (l->own)
        return sri_fail(SERRY_EINVAL,
                        "%s says that it has launched %d processes, but %s here knows of %d. "
                        "If the variables are left over from another program, unset them or "
                        "set SERRY_TRANSPORT=local",
                        l->name, l->size, mpi, n);
    return sri_fail(SERRY_EINVAL,
                    "%s says that it has launched %d processes, but %s, which "
                    "SERRY_TRANSPORT asks for, knows of %d: start the program by the mpirun "
                    "of %s, or unset SERRY_TRANSPORT",
                    l->name, l->size, mpi, n, mpi);
}

static serry_err far_start(const sri_launcher *l)
{
    const sri_mpi_plugin *plugin;
    sri_mpi_text why = { "" };
    SRI_TRY(far_other_mpi(l));
    SRI_TRY(sri_plugin_load(l->plugin, &plugin));
    if (plugin->start(&why) != 0)
        return sri_fail_text(SERRY_ESYS, why.text);
    sri_far.plugin = plugin;
    serry_err e = far_check_size(l);
    if (e != SERRY_OK) {
        plugin->end(true);
        sri_far.plugin = NULL;
    }
    return e;
}

serry_err sri_far_init(const sri_launcher *l)
{
    if (sri_far.prepared)
        return sri_fail(SERRY_ESTATE, "serry_prepare has been called: join by serry_attach");
    SRI_TRY(far_options());
    if (sri_far.alone || l->local_rank <= 0)
        SRI_TRY(far_fork(!sri_far.set_aside));
    serry_err e = far_start(l);
    if (e != SERRY_OK) {
        sri_kept_error kept = sri_error_keep(e);
        sri_far_dismiss();
        return sri_error_again(&kept);
    }
    return sri_far_join(false);
}

bool sri_far_active(void)
{
    return sri_far.plugin != NULL;
}

void sri_far_part(int lost)
{
    if (sri_far.transport && lost < 0)
        sri_far.plugin->part(sri_far.transport);
    sri_far.transport = NULL;
}

void sri_far_end(int lost)
{
    sri_host_reap(&sri_far.host);
    if (!sri_far.plugin)
        return;
    if (lost < 0)
        sri_far_gather_to_end();
    if (lost >= 0 && sri_world.rank == (lost == 0 ? 1 : 0))
        sri_log(SRI_LOG_ERROR,
                "rank %d was lost: MPI is left as it is, without MPI_Finalize, which "
                "would wait for it",
                lost);
    sri_far.plugin->end(lost < 0);
    sri_far.plugin = NULL;
}

void sri_far_abort(int code)
{
    if (sri_far.plugin)
        sri_far.plugin->abort(code);
}

void sri_far_forget(void)
{
    sri_host_forget(&sri_far.host);
    sri_close(&sri_far.door_fd);
    sri_far.plugin = NULL;
    sri_far.transport = NULL;
    sri_far.prepared = false;
}

/* ---- beside the program's own MPI ---- */

serry_err serry_prepare(void)
{
    sri_launcher l;
    if (sri_is_member() || sri_world.rank >= 0)
        return sri_fail(SERRY_ESTATE, "this process has joined a world already");
    if (sri_far.prepared)
        return sri_fail(SERRY_ESTATE, "serry_prepare has been called already");
    if (sri_plugin_ask("MPI_Initialized"))
        return sri_fail(SERRY_ESTATE, "serry_prepare comes before MPI_Init");
    SRI_TRY(far_options());
    if (sri_far.set_aside)
        return sri_fail(SERRY_EINVAL,
                        "SERRY_AGENTS=mpi sets processes aside, which a program that uses "
                        "MPI itself cannot spare: use serry_init, or unset it");
    SRI_TRY(sri_launcher_find(&l));
    if (sri_far.alone || l.local_rank <= 0)
        SRI_TRY(far_fork(true));
    sri_far.prepared = true;
    return SERRY_OK;
}

static serry_err far_attach_check(serry_attach_state state)
{
    if (sri_is_member())
        return sri_fail(SERRY_ESTATE, "this process is a member of a world already");
    if (sri_world.rank >= 0)
        return sri_fail(SERRY_ESTATE, "a process joins the world once");
    switch (state) {
    case SERRY_ATTACH_READY:
        return SERRY_OK;
    case SERRY_ATTACH_EARLY:
        return sri_fail(SERRY_ESTATE, "serry_attach comes after MPI_Init_thread");
    case SERRY_ATTACH_LATE:
        return sri_fail(SERRY_ESTATE, "MPI_Finalize has been called");
    default:
        return sri_fail(SERRY_EINVAL, "the communicator is MPI_COMM_NULL");
    }
}

serry_err serry_attach_f(int comm, serry_attach_state state)
{
    char version[64];
    const sri_mpi_plugin *plugin;
    sri_mpi_text why = { "" };
    SRI_TRY(far_attach_check(state));
    SRI_TRY(sri_world_options());
    if (!sri_far.prepared)
        SRI_TRY(far_options());
    if (sri_far.set_aside)
        return sri_fail(SERRY_EINVAL, "SERRY_AGENTS=mpi does not go with serry_attach");
    const char *which = sri_plugin_loaded_mpi(version, sizeof version);
    if (!which)
        return sri_fail(SERRY_ESTATE, "%s%s",
                        version[0] ? version
                                   : "no MPI is loaded in this process "
                                     "as a shared library",
                        version[0] ? " is an MPI that serry has no plugin for" : "");
    SRI_TRY(sri_plugin_load(which, &plugin));
    if (plugin->attach(comm, &why) != 0)
        return sri_fail_text(SERRY_ESTATE, why.text);
    sri_far.plugin = plugin;
    sri_far.attached = true;
    return sri_far_join(true);
}
