/* start/world_mpi.c: joining when an MPI has launched the ranks, or when the program uses MPI
 * itself.
 *
 * What forks does so before MPI is there: the first process of each machine its agent and the clean
 * copy of the program. Then all processes tell each other what they have (start/muster.h), each
 * comes to the same plan, the agents are told about it, and ranks enter their agent's door. */
#include "start/world_mpi.h"

#include "base/env.h"
#include "base/fds.h"
#include "base/log.h"
#include "core/progress.h"
#include "start/muster.h"
#include "start/plugin.h"
#include "start/world.h"

#include <serry/mpi_attach.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#define FAR_CARD_VERSION 1u
#define FAR_FRAME_MAX 65536 /* the shorter one of near and far counts */

static struct {
    const sri_mpi_plugin *plugin; /* started or attached; NULL: none */
    sri_transport *transport; /* of this rank, until the world is left; NULL: there is one node */
    sri_host_process host;
    bool alone;
    bool set_aside;
    bool prepared;
    bool attached; /* MPI is the program's */
    /* While joining. */
    int n;  /* processes */
    int me; /* among them */
    sri_door door;
    int door_fd;
    char address[SRI_LINK_ADDRESS];
} far = { .host = { .pidfd = -1, .control = -1 }, .door_fd = -1 };

static serry_err far_fail(const sri_mpi_text *why)
{
    return sri_fail(SERRY_ESYS, "%s: %s", far.plugin ? far.plugin->mpi : "MPI", why->text);
}

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
    far.alone = nodes != NULL;
    far.set_aside = which == 1;
    return SERRY_OK;
}

static void far_dismiss(void)
{
    sri_host_dismiss(&far.host);
    sri_nursery_reap();
    far.prepared = false;
}

/* The nursery first: it must not hold what the agent has from here. */
static serry_err far_fork(bool host)
{
    sri_nursery_fork();
    serry_err e = host ? sri_host_fork(&far.host, sri_env("SERRY_INTERFACE")) : SERRY_OK;
    if (e != SERRY_OK)
        far_dismiss();
    return e;
}

/* ---- everybody tells ---- */

static void far_card(sri_muster_card *c, serry_err e)
{
    struct stat space;
    *c = (sri_muster_card){ .version = FAR_CARD_VERSION,
                            .alone = far.alone,
                            .set_aside = far.set_aside,
                            .has_agent = far.host.pid > 0,
                            .err = (int32_t)e,
                            .pid = getpid() };
    if (stat("/proc/self/ns/pid", &space) == 0)
        c->pid_space = space.st_ino;
    if (e != SERRY_OK)
        snprintf(c->text, sizeof c->text, "%s", serry_err_detail());
    c->door = far.set_aside ? far.door : far.host.door;
    memcpy(c->address, far.set_aside ? far.address : far.host.address, sizeof c->address);
}

/* A process set aside needs nothing of its own but a door; that it is set aside turns out later. */
static serry_err far_own_door(void)
{
    return far.set_aside ? sri_door_open(&far.door, &far.door_fd) : SERRY_OK;
}

static serry_err far_gather(sri_muster_card *cards, int machine, int machine_rank, serry_err e)
{
    sri_muster_card own;
    sri_mpi_text why = { "" };
    far_card(&own, e);
    own.machine = machine;
    own.machine_rank = machine_rank;
    if (far.plugin->allgather(&own, sizeof own, cards, &why) != 0)
        return far_fail(&why);
    return SERRY_OK;
}

/* Where the program came without serry_prepare: the first process of such a node forks an agent
 * now. The copy touches nothing of MPI's; there is no clean copy of the program then. */
static serry_err far_fork_late(const sri_muster *m)
{
    int node = m->node_of[far.me];
    if (m->agent_of[node] >= 0)
        return SERRY_OK;
    for (int i = 0; i < far.me; i++) {
        if (m->node_of[i] == node)
            return SERRY_OK;
    }
    return sri_host_fork(&far.host, sri_env("SERRY_INTERFACE"));
}

static bool far_some_lack(const sri_muster *m)
{
    for (int k = 0; k < m->nodes; k++) {
        if (m->agent_of[k] < 0)
            return true;
    }
    return false;
}

/* Collective: all come to the same plan, or all to an error. */
static serry_err far_muster(sri_muster *m, sri_muster_card *cards, bool late)
{
    sri_mpi_text why = { "" };
    int machine_rank = 0;
    int machine_size = 0;
    int machine = far.me;
    if (far.plugin->split(false, &machine_rank, &machine_size, &why) != 0
        || far.plugin->node_bcast(&machine, sizeof machine, 0, &why) != 0)
        return far_fail(&why);
    SRI_TRY(far_gather(cards, machine, machine_rank, far_own_door()));
    SRI_TRY(sri_muster_call(m, cards, far.n, late));
    if (!far_some_lack(m))
        return SERRY_OK;
    serry_err e = far_fork_late(m);
    sri_muster_fini(m);
    SRI_TRY(far_gather(cards, machine, machine_rank, e));
    return sri_muster_call(m, cards, far.n, false);
}

/* ---- agents ---- */

static serry_err far_key(uint8_t key[SRI_LINK_KEY])
{
    sri_mpi_text why = { "" };
    memset(key, 0, SRI_LINK_KEY);
    if (far.me == 0 && getrandom(key, SRI_LINK_KEY, 0) != SRI_LINK_KEY)
        return sri_fail_errno("getrandom for the key of the links");
    return far.plugin->bcast(key, SRI_LINK_KEY, 0, &why) == 0 ? SERRY_OK : far_fail(&why);
}

static serry_err far_open_links(sri_transport **t, const sri_sink *sink, void *ctx)
{
    const sri_muster *m = ctx;
    sri_mpi_text why = { "" };
    int node = m->node_of[far.me];
    int *node_of = calloc((size_t)m->n, sizeof *node_of);
    if (!node_of)
        return sri_fail(SERRY_ENOMEM, "no memory for the links");
    for (int i = 0; i < m->n; i++)
        node_of[i] = m->rank_of[i] < 0 ? m->node_of[i] : -1;
    int code = far.plugin->open_links(t, node_of, m->n, node, FAR_FRAME_MAX, sink, &why);
    free(node_of);
    return code == 0 ? SERRY_OK : far_fail(&why);
}

/* MPICH over TCP may wait for ever in its end for one that is there already and does not listen any
 * more: they go there together. */
static void far_gather_to_end(void)
{
    sri_mpi_text why;
    if (!far.attached)
        far.plugin->barrier(&why);
}

/* This process is the agent of its node until the world has ended. */
SERRY_NORETURN static void far_serve(sri_muster *m, const uint8_t key[SRI_LINK_KEY])
{
    int node = m->node_of[far.me];
    sri_links *links = NULL;
    sri_setup s;
    far_dismiss(); /* the clean copy is another process's */
    serry_err e = sri_muster_setup(m, node, key, &s);
    if (e != SERRY_OK) {
        sri_log(SRI_LOG_ERROR, "the agent of node %d: %s", node, serry_err_detail());
        far.plugin->abort(70); /* does not return */
    }
    if (m->nodes > 1)
        e = sri_links_over(&links, far_open_links, m, node, m->nodes);
    bool orderly = sri_host_serve(&s, &far.door, far.door_fd, links, e);
    sri_setup_fini(&s);
    if (orderly)
        far_gather_to_end();
    far.plugin->end(orderly);
    exit(orderly ? 0 : 70);
}

static serry_err far_set_up(const sri_muster *m, const uint8_t key[SRI_LINK_KEY])
{
    sri_setup s;
    int node = m->node_of[far.me];
    if (far.host.pid > 0 && m->agent_of[node] != far.me)
        sri_host_dismiss(&far.host);
    if (far.host.pid <= 0)
        return SERRY_OK;
    SRI_TRY(sri_muster_setup(m, node, key, &s));
    serry_err e = sri_host_set_up(&far.host, &s);
    sri_setup_fini(&s);
    return e;
}

/* ---- joining ---- */

static serry_err far_open(const sri_muster *m, sri_transport **t)
{
    sri_mpi_text why = { "" };
    *t = NULL;
    if (m->nodes > 1
        && far.plugin->open(t, m->rank_of, m->n, m->rank_of[far.me], FAR_FRAME_MAX,
                            &sri_progress_sink, &why)
               != 0)
        return far_fail(&why);
    far.transport = *t;
    return SERRY_OK;
}

static serry_err far_enter(const sri_muster *m)
{
    uint8_t key[SRI_LINK_KEY];
    sri_transport *t;
    int socket;
    SRI_TRY(far_key(key));
    if (m->rank_of[far.me] < 0)
        far_serve((sri_muster *)m, key);
    sri_close(&far.door_fd);
    SRI_TRY(far_open(m, &t));
    serry_err e = far_set_up(m, key);
    explicit_bzero(key, sizeof key);
    const sri_muster_card *agent = &m->cards[m->agent_of[m->node_of[far.me]]];
    if (e == SERRY_OK)
        e = sri_door_enter(&agent->door, m->rank_of[far.me], &socket);
    if (e == SERRY_OK)
        return sri_world_join(socket, t);
    if (t)
        t->ops->close(t, false);
    far.transport = NULL;
    return e;
}

static serry_err far_join(bool late)
{
    sri_muster m = { 0 };
    far.n = far.plugin->size_of();
    far.me = far.plugin->rank();
    sri_muster_card *cards = calloc((size_t)far.n, sizeof *cards);
    if (!cards)
        return sri_fail(SERRY_ENOMEM, "no memory for a world of %d processes", far.n);
    serry_err e = far_muster(&m, cards, late);
    bool common = e != SERRY_OK; /* then all have come to it */
    if (e == SERRY_OK)
        e = far_enter(&m);
    if (e == SERRY_OK && sri_nursery_there())
        sri_nursery_introduce();
    else if (e == SERRY_OK && m.node_of[far.me] >= 0
             && sri_world.rank == sri_places_first(&sri_world.places, sri_world.places.node))
        sri_nursery_introduce(); /* says that there is none */
    sri_muster_fini(&m);
    free(cards);
    if (e != SERRY_OK) {
        sri_kept_error kept = sri_error_keep(e);
        sri_close(&far.door_fd);
        far_dismiss();
        far.plugin->end(common);
        far.plugin = NULL;
        e = sri_error_again(&kept);
    }
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
    const char *mpi = far.plugin->mpi;
    int n = far.plugin->size_of();
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
    far.plugin = plugin;
    serry_err e = far_check_size(l);
    if (e != SERRY_OK) {
        plugin->end(true);
        far.plugin = NULL;
    }
    return e;
}

serry_err sri_far_init(const sri_launcher *l)
{
    if (far.prepared)
        return sri_fail(SERRY_ESTATE, "serry_prepare has been called: join by serry_attach");
    SRI_TRY(far_options());
    if (far.alone || l->local_rank <= 0)
        SRI_TRY(far_fork(!far.set_aside));
    serry_err e = far_start(l);
    if (e != SERRY_OK) {
        sri_kept_error kept = sri_error_keep(e);
        far_dismiss();
        return sri_error_again(&kept);
    }
    return far_join(false);
}

bool sri_far_active(void)
{
    return far.plugin != NULL;
}

void sri_far_part(int lost)
{
    if (far.transport && lost < 0)
        far.plugin->part(far.transport);
    far.transport = NULL;
}

void sri_far_end(int lost)
{
    sri_host_reap(&far.host);
    if (!far.plugin)
        return;
    if (lost < 0)
        far_gather_to_end();
    if (lost >= 0 && sri_world.rank == (lost == 0 ? 1 : 0))
        sri_log(SRI_LOG_ERROR,
                "rank %d was lost: MPI is left as it is, without MPI_Finalize, which "
                "would wait for it",
                lost);
    far.plugin->end(lost < 0);
    far.plugin = NULL;
}

void sri_far_abort(int code)
{
    if (far.plugin)
        far.plugin->abort(code);
}

void sri_far_forget(void)
{
    sri_host_forget(&far.host);
    sri_close(&far.door_fd);
    far.plugin = NULL;
    far.transport = NULL;
    far.prepared = false;
}

/* ---- beside the program's own MPI ---- */

serry_err serry_prepare(void)
{
    sri_launcher l;
    if (sri_is_member() || sri_world.rank >= 0)
        return sri_fail(SERRY_ESTATE, "this process has joined a world already");
    if (far.prepared)
        return sri_fail(SERRY_ESTATE, "serry_prepare has been called already");
    if (sri_plugin_ask("MPI_Initialized"))
        return sri_fail(SERRY_ESTATE, "serry_prepare comes before MPI_Init");
    SRI_TRY(far_options());
    if (far.set_aside)
        return sri_fail(SERRY_EINVAL,
                        "SERRY_AGENTS=mpi sets processes aside, which a program that uses "
                        "MPI itself cannot spare: use serry_init, or unset it");
    SRI_TRY(sri_launcher_find(&l));
    if (far.alone || l.local_rank <= 0)
        SRI_TRY(far_fork(true));
    far.prepared = true;
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
    if (!far.prepared)
        SRI_TRY(far_options());
    if (far.set_aside)
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
    far.plugin = plugin;
    far.attached = true;
    return far_join(true);
}
