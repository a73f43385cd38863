/* start/world_mpi_join.c: how processes that MPI connects become a world: all tell each other what
 * they have (start/muster.h), each comes to the same plan, the agents are told about it, and ranks
 * enter their agent's door. */
#include "start/world_mpi_join.h"

#include "base/env.h"
#include "base/fds.h"
#include "base/log.h"
#include "core/progress.h"
#include "start/muster.h"
#include "start/world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#define FAR_CARD_VERSION 1u
#define FAR_FRAME_MAX 65536 /* the shorter one of near and far counts */

static serry_err far_fail(const sri_mpi_text *why)
{
    return sri_fail(SERRY_ESYS, "%s: %s", sri_far.plugin ? sri_far.plugin->mpi : "MPI", why->text);
}

/* ---- everybody tells ---- */

static void far_card(sri_muster_card *c, serry_err e)
{
    struct stat space;
    *c = (sri_muster_card){ .version = FAR_CARD_VERSION,
                            .alone = sri_far.alone,
                            .set_aside = sri_far.set_aside,
                            .has_agent = sri_far.host.pid > 0,
                            .err = (int32_t)e,
                            .pid = getpid() };
    if (stat("/proc/self/ns/pid", &space) == 0)
        c->pid_space = space.st_ino;
    if (e != SERRY_OK)
        snprintf(c->text, sizeof c->text, "%s", serry_err_detail());
    c->door = sri_far.set_aside ? sri_far.door : sri_far.host.door;
    memcpy(c->address, sri_far.set_aside ? sri_far.address : sri_far.host.address,
           sizeof c->address);
}

/* A process set aside needs nothing of its own but a door; that it is set aside turns out later. */
static serry_err far_own_door(void)
{
    return sri_far.set_aside ? sri_door_open(&sri_far.door, &sri_far.door_fd) : SERRY_OK;
}

static serry_err far_gather(sri_muster_card *cards, int machine, int machine_rank, serry_err e)
{
    sri_muster_card own;
    sri_mpi_text why = { "" };
    far_card(&own, e);
    own.machine = machine;
    own.machine_rank = machine_rank;
    if (sri_far.plugin->allgather(&own, sizeof own, cards, &why) != 0)
        return far_fail(&why);
    return SERRY_OK;
}

/* Where the program came without serry_prepare: the first process of such a node forks an agent
 * now. The copy touches nothing of MPI's; there is no clean copy of the program then. */
static serry_err far_fork_late(const sri_muster *m)
{
    int node = m->node_of[sri_far.me];
    if (m->agent_of[node] >= 0)
        return SERRY_OK;
    for (int i = 0; i < sri_far.me; i++) {
        if (m->node_of[i] == node)
            return SERRY_OK;
    }
    return sri_host_fork(&sri_far.host, sri_env("SERRY_INTERFACE"));
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
    int machine = sri_far.me;
    if (sri_far.plugin->split(false, &machine_rank, &machine_size, &why) != 0
        || sri_far.plugin->node_bcast(&machine, sizeof machine, 0, &why) != 0)
        return far_fail(&why);
    SRI_TRY(far_gather(cards, machine, machine_rank, far_own_door()));
    SRI_TRY(sri_muster_call(m, cards, sri_far.n, late));
    if (!far_some_lack(m))
        return SERRY_OK;
    serry_err e = far_fork_late(m);
    sri_muster_fini(m);
    SRI_TRY(far_gather(cards, machine, machine_rank, e));
    return sri_muster_call(m, cards, sri_far.n, false);
}

/* ---- agents ---- */

static serry_err far_key(uint8_t key[SRI_LINK_KEY])
{
    sri_mpi_text why = { "" };
    memset(key, 0, SRI_LINK_KEY);
    if (sri_far.me == 0 && getrandom(key, SRI_LINK_KEY, 0) != SRI_LINK_KEY)
        return sri_fail_errno("getrandom for the key of the links");
    return sri_far.plugin->bcast(key, SRI_LINK_KEY, 0, &why) == 0 ? SERRY_OK : far_fail(&why);
}

static serry_err far_open_links(sri_transport **t, const sri_sink *sink, void *ctx)
{
    const sri_muster *m = ctx;
    sri_mpi_text why = { "" };
    int node = m->node_of[sri_far.me];
    int *node_of = calloc((size_t)m->n, sizeof *node_of);
    if (!node_of)
        return sri_fail(SERRY_ENOMEM, "no memory for the links");
    for (int i = 0; i < m->n; i++)
        node_of[i] = m->rank_of[i] < 0 ? m->node_of[i] : -1;
    int code = sri_far.plugin->open_links(t, node_of, m->n, node, FAR_FRAME_MAX, sink, &why);
    free(node_of);
    return code == 0 ? SERRY_OK : far_fail(&why);
}

void sri_far_gather_to_end(void)
{
    sri_mpi_text why;
    if (!sri_far.attached)
        sri_far.plugin->barrier(&why);
}

/* This process is the agent of its node until the world has ended. */
SERRY_NORETURN static void far_serve(sri_muster *m, const uint8_t key[SRI_LINK_KEY])
{
    int node = m->node_of[sri_far.me];
    sri_links *links = NULL;
    sri_setup s;
    sri_far_dismiss(); /* the clean copy is another process's */
    serry_err e = sri_muster_setup(m, node, key, &s);
    if (e != SERRY_OK) {
        sri_log(SRI_LOG_ERROR, "the agent of node %d: %s", node, serry_err_detail());
        sri_far.plugin->abort(70); /* does not return */
    }
    if (m->nodes > 1)
        e = sri_links_over(&links, far_open_links, m, node, m->nodes);
    bool orderly = sri_host_serve(&s, &sri_far.door, sri_far.door_fd, links, e);
    sri_setup_fini(&s);
    if (orderly)
        sri_far_gather_to_end();
    sri_far.plugin->end(orderly);
    exit(orderly ? 0 : 70);
}

static serry_err far_set_up(const sri_muster *m, const uint8_t key[SRI_LINK_KEY])
{
    sri_setup s;
    int node = m->node_of[sri_far.me];
    if (sri_far.host.pid > 0 && m->agent_of[node] != sri_far.me)
        sri_host_dismiss(&sri_far.host);
    if (sri_far.host.pid <= 0)
        return SERRY_OK;
    SRI_TRY(sri_muster_setup(m, node, key, &s));
    serry_err e = sri_host_set_up(&sri_far.host, &s);
    sri_setup_fini(&s);
    return e;
}

/* ---- joining ---- */

static serry_err far_open(const sri_muster *m, sri_transport **t)
{
    sri_mpi_text why = { "" };
    *t = NULL;
    if (m->nodes > 1
        && sri_far.plugin->open(t, m->rank_of, m->n, m->rank_of[sri_far.me], FAR_FRAME_MAX,
                                &sri_progress_sink, &why)
               != 0)
        return far_fail(&why);
    sri_far.transport = *t;
    return SERRY_OK;
}

static serry_err far_enter(const sri_muster *m)
{
    uint8_t key[SRI_LINK_KEY];
    sri_transport *t;
    int socket;
    SRI_TRY(far_key(key));
    if (m->rank_of[sri_far.me] < 0)
        far_serve((sri_muster *)m, key);
    sri_close(&sri_far.door_fd);
    SRI_TRY(far_open(m, &t));
    serry_err e = far_set_up(m, key);
    explicit_bzero(key, sizeof key);
    const sri_muster_card *agent = &m->cards[m->agent_of[m->node_of[sri_far.me]]];
    if (e == SERRY_OK)
        e = sri_door_enter(&agent->door, m->rank_of[sri_far.me], &socket);
    if (e == SERRY_OK)
        return sri_world_join(socket, t);
    if (t)
        t->ops->close(t, false);
    sri_far.transport = NULL;
    return e;
}

serry_err sri_far_join(bool late)
{
    sri_muster m = { 0 };
    sri_far.n = sri_far.plugin->size_of();
    sri_far.me = sri_far.plugin->rank();
    sri_muster_card *cards = calloc((size_t)sri_far.n, sizeof *cards);
    if (!cards)
        return sri_fail(SERRY_ENOMEM, "no memory for a world of %d processes", sri_far.n);
    serry_err e = far_muster(&m, cards, late);
    bool common = e != SERRY_OK; /* then all have come to it */
    if (e == SERRY_OK)
        e = far_enter(&m);
    if (e == SERRY_OK && sri_nursery_there())
        sri_nursery_introduce();
    else if (e == SERRY_OK && m.node_of[sri_far.me] >= 0
             && sri_world.rank == sri_places_first(&sri_world.places, sri_world.places.node))
        sri_nursery_introduce(); /* says that there is none */
    sri_muster_fini(&m);
    free(cards);
    if (e != SERRY_OK) {
        sri_kept_error kept = sri_error_keep(e);
        sri_close(&sri_far.door_fd);
        sri_far_dismiss();
        sri_far.plugin->end(common);
        sri_far.plugin = NULL;
        e = sri_error_again(&kept);
    }
    return e;
}
