/* start/muster.c: from what everybody has said to the shape of the world. */
#include "start/muster.h"

#include "base/error.h"

#include <stdlib.h>
#include <string.h>

/* Processes of one node have the same key. */
static int64_t muster_group(const sri_muster *m, int i)
{
    const sri_muster_card *c = &m->cards[i];
    if (!c->alone)
        return c->machine;
    if (!c->set_aside)
        return i;
    return (int64_t)c->machine << 32 | (uint32_t)(c->machine_rank / 2); /* a rank and its agent */
}

static serry_err muster_check(const sri_muster *m)
{
    const sri_muster_card *first = &m->cards[0];
    for (int i = 0; i < m->n; i++) {
        const sri_muster_card *c = &m->cards[i];
        if (c->version != first->version)
            return sri_fail(SERRY_EINVAL,
                            "process %d of this job runs another version of serry than "
                            "process 0",
                            i);
        if (c->err != SERRY_OK)
            return sri_fail((serry_err)c->err, "process %d of this job: %.*s", i,
                            (int)sizeof c->text - 1, c->text);
        if (c->alone != first->alone || c->set_aside != first->set_aside)
            return sri_fail(SERRY_EINVAL,
                            "process %d of this job has another SERRY_NODES or "
                            "SERRY_AGENTS than process 0: export them to all",
                            i);
    }
    return SERRY_OK;
}

/* Nodes in the order of their first processes. */
static serry_err muster_nodes(sri_muster *m)
{
    int64_t *groups = m->n > 0 ? calloc((size_t)m->n, sizeof *groups) : NULL; /* by node */
    if (!groups)
        return sri_fail(SERRY_ENOMEM, "no memory for a world of %d processes", m->n);
    for (int i = 0; i < m->n; i++) {
        int64_t group = muster_group(m, i);
        int k = 0;
        while (k < m->nodes && groups[k] != group)
            k++;
        if (k == m->nodes)
            groups[m->nodes++] = group;
        m->node_of[i] = k;
    }
    free(groups);
    if (m->nodes > SRI_NODES_MAX)
        return sri_fail(SERRY_ELIMIT, "this job has %d nodes; there can be %d", m->nodes,
                        SRI_NODES_MAX);
    return SERRY_OK;
}

/* Set aside: the last process of each node. Else: the first that has forked one. */
static serry_err muster_agents(sri_muster *m, bool lacking)
{
    bool set_aside = m->cards[0].set_aside;
    for (int k = 0; k < m->nodes; k++)
        m->agent_of[k] = -1;
    for (int i = 0; i < m->n; i++) {
        int *agent = &m->agent_of[m->node_of[i]];
        if (set_aside || (m->cards[i].has_agent && *agent < 0))
            *agent = i;
    }
    for (int i = 0; i < m->n; i++) {
        m->rank_of[i] = -1;
        if (!set_aside || m->agent_of[m->node_of[i]] != i)
            m->rank_of[i] = m->size++;
    }
    for (int k = 0; k < m->nodes; k++) {
        if (m->agent_of[k] < 0 && !lacking)
            return sri_fail(SERRY_ESTATE,
                            "node %d has no agent: no process there was told by its "
                            "launcher that it is the first on its machine",
                            k);
    }
    return SERRY_OK;
}

static serry_err muster_members(const sri_muster *m)
{
    for (int k = 0; k < m->nodes; k++) {
        int members = 0;
        for (int i = 0; i < m->n; i++)
            members += m->node_of[i] == k && m->rank_of[i] >= 0;
        if (members == 0)
            return sri_fail(SERRY_EINVAL,
                            "SERRY_AGENTS=mpi sets the last process of each node aside, but "
                            "node %d has only one%s",
                            k,
                            m->cards[0].alone
                                ? ": with SERRY_NODES=rank every machine needs an even "
                                  "number of processes"
                                : "");
    }
    return SERRY_OK;
}

serry_err sri_muster_call(sri_muster *m, const sri_muster_card *cards, int n, bool lacking)
{
    *m = (sri_muster){ .cards = cards, .n = n };
    m->rank_of = calloc((size_t)n, sizeof *m->rank_of);
    m->node_of = calloc((size_t)n, sizeof *m->node_of);
    m->agent_of = calloc((size_t)n, sizeof *m->agent_of);
    serry_err e = SERRY_OK;
    if (!m->rank_of || !m->node_of || !m->agent_of)
        e = sri_fail(SERRY_ENOMEM, "no memory for a world of %d processes", n);
    if (e == SERRY_OK)
        e = muster_check(m);
    if (e == SERRY_OK)
        e = muster_nodes(m);
    if (e == SERRY_OK)
        e = muster_agents(m, lacking);
    if (e == SERRY_OK)
        e = muster_members(m);
    if (e != SERRY_OK)
        sri_muster_fini(m);
    return e;
}

void sri_muster_fini(sri_muster *m)
{
    free(m->rank_of);
    free(m->node_of);
    free(m->agent_of);
    *m = (sri_muster){ 0 };
}

serry_err sri_muster_setup(const sri_muster *m, int node, const uint8_t key[SRI_LINK_KEY],
                           sri_setup *s)
{
    int members = 0;
    for (int i = 0; i < m->n; i++)
        members += m->node_of[i] == node && m->rank_of[i] >= 0;
    SRI_TRY(sri_setup_init(s, m->size, m->nodes, members));
    s->places.node = node;
    memcpy(s->link_key, key, sizeof s->link_key);
    const sri_muster_card *agent = &m->cards[m->agent_of[node]];
    int at = 0;
    for (int i = 0; i < m->n; i++) {
        int rank = m->rank_of[i];
        if (rank < 0)
            continue;
        s->node_of[rank] = (uint16_t)m->node_of[i];
        if (m->node_of[i] != node)
            continue;
        s->ranks[at] = rank;
        s->pids[at++] = m->cards[i].pid_space == agent->pid_space ? m->cards[i].pid : 0;
    }
    for (int k = 0; k < m->nodes; k++)
        memcpy(s->addresses[k], m->cards[m->agent_of[k]].address, sizeof s->addresses[k]);
    return SERRY_OK;
}
