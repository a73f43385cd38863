/* agent/far_lost.c: nodes that are lost. When a link ends without a goodbye the agents agree which
 * of its two nodes is given up (agent/reach.h); until then whoever waits for something there goes
 * on waiting. Then all members of that node are dead, for everybody, and nothing that still comes
 * from there is heeded: its link is ended from here, too. A node that is told that it is the one
 * ends its members. */
#include "agent/far.h"

#include "base/fate.h"
#include "base/log.h"

#include <stdio.h>

/* From the news that this node is given up until members are killed who have not ended by it. */
#define LOST_MOMENT SRI_MS(200)

/* ---- those who are here ---- */

static void lost_tell(sri_agent *a, int node, const char *text)
{
    for (int r = 0; r < a->n_ranks; r++) {
        const agent_member *m = a->members[r];
        sri_frame lost = { .kind = SRI_KIND_FEED,
                           .flags = SRI_FLAG_LOST,
                           .aux = (uint64_t)node,
                           .body = text,
                           .body_len = strlen(text),
                           .fd = -1 };
        if (m && !m->far && (m->state == AGENT_JOINED || m->state == AGENT_LEFT))
            agent_send(a, r, &lost);
    }
}

static void lost_stop(void *ctx)
{
    sri_agent *a = ctx;
    sri_agent_kill_all(a);
    a->stop = true;
}

/* Nothing that members here do means anything to the others any more. */
static void lost_outcast(sri_agent *a, const char *why)
{
    if (a->outcast || a->over || a->aborted)
        return;
    a->outcast = true;
    lost_tell(a, a->options.places.node, why);
    sri_agent_at(a, sri_now() + LOST_MOMENT, lost_stop, a);
}

/* ---- another node is gone ---- */

/* What members here asked of homes there, they fail by themselves when they are told. */
static void lost_node(sri_agent *a, int node, bool orderly)
{
    agent_node *n = &a->far_nodes[node];
    if (n->ended)
        return;
    n->ended = true;
    n->lost = !orderly;
    for (int r = 0; r < a->n_ranks; r++) {
        agent_member *m = a->members[r];
        if (!m || m->node != node || m->state == AGENT_GONE)
            continue;
        if (m->state == AGENT_LEFT)
            far_fate(a, m, SRI_FATE_ENDED, m->code);
        else
            far_fate(a, m, SRI_FATE_DIED, sri_code_lost_with(node));
    }
    far_asked_lost(a, node);
    directory_lost(a, node);
    lost_tell(a, node, "");
    far_look_admitted(a);
    agent_waiters_look(a);
}

static void lost_for_good(sri_agent *a, int node)
{
    bool ends_all = node == 0 && a->options.direct && !a->stop;
    if (ends_all)
        lost_outcast(a, "node 0, where the program was started, is lost");
    lost_node(a, node, false);
    if (ends_all && !a->outcast)
        a->stop = true;
}

void far_link_ended(void *ctx, int node, bool orderly, const char *why)
{
    sri_agent *a = ctx;
    agent_node *n = &a->far_nodes[node];
    if (n->ended || a->outcast)
        return;
    n->cut = true;
    if (orderly) {
        lost_node(a, node, true);
        reach_gone(a->reach, node);
        return;
    }
    sri_log(SRI_LOG_WARN, "the link to node %d has ended: %s", node, why);
    if (n->given || a->over || a->aborted)
        lost_for_good(a, node);
    reach_cut(a->reach, node);
}

/* ---- agreement ---- */

static void reach_send(void *ctx, int node, const reach_said *said)
{
    sri_agent *a = ctx;
    far_said body = { said->about, said->by };
    sri_link_frame f = { .kind = SRI_FAR_REACH,
                         .op = (uint16_t)said->word,
                         .source = -1,
                         .dest = -1,
                         .aux = said->number,
                         .body = &body,
                         .body_len = sizeof body };
    far_send(a, node, &f);
}

/* What has come from there is handled before it is lost: the end of its link says when. */
static void reach_decided(void *ctx, int node, int by)
{
    sri_agent *a = ctx;
    agent_node *n = &a->far_nodes[node];
    char why[120];
    snprintf(why, sizeof why, "node %d, which this is, was given up: so has node %d decided", node,
             by);
    if (node == a->options.places.node) {
        lost_outcast(a, why);
        return;
    }
    n->given = true;
    sri_log(SRI_LOG_WARN, "node %d is lost: so has node %d decided", node, by);
    if (n->cut)
        lost_for_good(a, node);
    else
        a->links->ops->cut(a->links, node, "it was given up");
}

void far_reach(sri_agent *a, const sri_link_arrival *f)
{
    far_said said;
    if (f->len != sizeof said)
        return;
    memcpy(&said, f->bytes, sizeof said);
    reach_heard(a->reach, f->node,
                &(reach_said){ .word = (reach_word)f->op,
                               .number = (uint32_t)f->aux,
                               .about = said.about,
                               .by = said.by });
}

serry_err far_reach_init(sri_agent *a)
{
    static const reach_ops ops = { .say = reach_send, .lost = reach_decided };
    return reach_create(&a->reach, a->options.places.node, a->options.places.nodes, &ops, a);
}
