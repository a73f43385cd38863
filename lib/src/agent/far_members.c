/* agent/far_members.c: members of other nodes: how agents tell each other of them, and of what
 * became of them. */
#include "agent/far.h"

#include "base/log.h"

#define FAR_RANKS (1 << 20) /* beyond that no number is believed */

void far_admit_member(sri_agent *a, agent_member *m)
{
    if (!a->links)
        return;
    far_admit admit = { .parent = m->parent, .daemon = m->daemon };
    memcpy(admit.name, m->name, sizeof admit.name);
    m->admit = ++a->far_admits;
    sri_link_frame f = { .kind = SRI_FAR_ADMIT,
                         .source = m->rank,
                         .dest = -1,
                         .aux = m->admit,
                         .head = &admit,
                         .head_len = sizeof admit };
    far_send_all(a, &f);
}

bool far_admitted(const sri_agent *a, const agent_member *m)
{
    return m->admit <= a->far_admitted;
}

void far_look_admitted(sri_agent *a)
{
    uint64_t least = a->far_admits;
    for (int node = 0; node < a->options.places.nodes; node++) {
        const agent_node *n = &a->far_nodes[node];
        if (node != a->options.places.node && !n->ended && n->admitted < least)
            least = n->admitted;
    }
    if (least == a->far_admitted)
        return;
    a->far_admitted = least;
    agent_push_starters(a);
    agent_push_orders(a);
}

void far_tell(sri_agent *a, const agent_member *m, sri_fate fate, int code)
{
    if (!a->links)
        return;
    sri_link_frame f = { .kind = SRI_FAR_FATE,
                         .op = (uint16_t)fate,
                         .source = m->rank,
                         .dest = -1,
                         .aux = (uint64_t)(int64_t)code };
    far_send_all(a, &f);
}

bool far_quiet(sri_agent *a)
{
    agent_node *own = a->links ? &a->far_nodes[a->options.places.node] : NULL;
    if (!own)
        return true;
    if (!own->quiet) {
        own->quiet = true;
        far_send_all(a, &(sri_link_frame){ .kind = SRI_FAR_STRAYS, .source = -1, .dest = -1 });
    }
    for (int node = 0; node < a->options.places.nodes; node++) {
        if (!a->far_nodes[node].quiet && !a->far_nodes[node].ended)
            return false;
    }
    return true;
}

void far_take_admit(sri_agent *a, const sri_link_arrival *f)
{
    far_admit admit;
    agent_member *m;
    if (f->len != sizeof admit || f->source < a->options.size || f->source >= FAR_RANKS
        || sri_places_node(&a->options.places, f->source) != f->node
        || agent_member_of(a, f->source))
        return;
    memcpy(&admit, f->bytes, sizeof admit);
    /* Without memory for it there is no answer, and so no such process. */
    if (agent_new_far_rank(a, f->source, &m) != SERRY_OK) {
        sri_log(SRI_LOG_ERROR, "no memory for rank %d of node %d", f->source, f->node);
        return;
    }
    m->parent = admit.parent;
    m->daemon = admit.daemon;
    memcpy(m->name, admit.name, sizeof m->name);
    m->name[sizeof m->name - 1] = 0;
    a->host->ops->note(a->host, m->rank);
    sri_link_frame answer = { .kind = SRI_FAR_ADMITTED, .source = -1, .dest = -1, .aux = f->aux };
    far_send(a, f->node, &answer);
}

/* Everything that this member had sent here has been handled. */
void far_fate(sri_agent *a, agent_member *m, sri_fate fate, int code)
{
    bool was_in = m->state == AGENT_SEATED || m->state == AGENT_JOINED;
    if (m->state == AGENT_GONE || (fate == SRI_FATE_LEFT && !was_in))
        return;
    if (m->launched && was_in)
        a->launched_in--;
    m->state = fate == SRI_FATE_LEFT ? AGENT_LEFT : AGENT_GONE;
    m->code = code;
    if (m->launched && (fate == SRI_FATE_DIED || (fate == SRI_FATE_ENDED && code < 0 && !a->over)))
        agent_rank_lost(a, m->rank);
    agent_objects_gone(a, m->rank, fate);
    a->host->ops->tell(a->host, m->rank, fate, code);
    agent_end_daemons(a, m);
    if (a->options.fate && m->launched)
        a->options.fate(a->options.ctx, m->rank, 0, fate, code);
    /* The program that the user started is no more. If it ended well, its node says so. */
    if (m->rank == 0 && a->options.direct && fate == SRI_FATE_DIED)
        a->stop = true;
    agent_waiters_look(a);
}
