/* agent/far_ask.c: own operations that the agent of another node carries out for a member of this
 * one. Its answer goes to the member; here it is only known that somebody waits, in case that node
 * is lost. */
#include "agent/far.h"

serry_err far_check_node(const sri_agent *a, int node)
{
    int nodes = a->options.places.nodes;
    if (node < 0 || node >= nodes)
        return nodes == 1
                   ? sri_fail(SERRY_EINVAL, "there is no node %d: this world has node 0 only", node)
                   : sri_fail(SERRY_EINVAL, "there is no node %d: this world has nodes 0 to %d",
                              node, nodes - 1);
    if (a->links && a->far_nodes[node].lost)
        return sri_fail(SERRY_EDIED, "node %d is lost", node);
    if (a->links && a->far_nodes[node].ended)
        return sri_fail(SERRY_EDIED, "node %d has ended", node);
    return SERRY_OK;
}

static uint64_t far_key(int rank, uint32_t number)
{
    return (uint64_t)(uint32_t)rank << 32 | number;
}

static bool far_note(sri_agent *a, sri_asker who, int node)
{
    agent_asked *q = calloc(1, sizeof *q);
    if (!q)
        return false;
    *q = (agent_asked){ .key = far_key(who.rank, who.number), .who = who, .node = node };
    HASH_ADD(hh, a->far_asked, key, sizeof q->key, q);
    if (SRI_HASHED(hh, q))
        return true;
    free(q);
    return false;
}

void far_ask(sri_agent *a, sri_asker who, int node, uint16_t op, const void *args, size_t args_len,
             const void *body, size_t len)
{
    serry_err e = far_check_node(a, node);
    if (e == SERRY_OK && who.number && !far_note(a, who, node))
        e = sri_fail(SERRY_ENOMEM, "no memory to ask node %d", node);
    if (e != SERRY_OK) {
        agent_refuse(a, who, e);
        return;
    }
    sri_request_head head = { .number = who.number,
                              .op = op,
                              .flags = who.nowait ? SRI_REQUEST_NOWAIT : 0 };
    uint8_t front[sizeof head + sizeof(sri_agent_start)];
    static_assert(sizeof(sri_agent_start) >= sizeof(sri_create_args), "the longest args");
    memcpy(front, &head, sizeof head);
    if (args_len)
        memcpy(front + sizeof head, args, args_len);
    sri_link_frame f = { .kind = SRI_FAR_REQUEST,
                         .source = who.rank,
                         .dest = -1,
                         .aux = 0,
                         .head = front,
                         .head_len = sizeof head + args_len,
                         .body = body,
                         .body_len = len };
    far_send(a, node, &f);
}

void far_answered(sri_agent *a, int rank, uint32_t number)
{
    uint64_t key = far_key(rank, number);
    agent_asked *q = NULL;
    if (a->far_asked)
        HASH_FIND(hh, a->far_asked, &key, sizeof key, q);
    if (!q)
        return;
    HASH_DEL(a->far_asked, q);
    free(q);
}

void far_forget_asker(sri_agent *a, int rank)
{
    agent_asked *q, *next;
    HASH_ITER (hh, a->far_asked, q, next) {
        if (q->who.rank != rank)
            continue;
        HASH_DEL(a->far_asked, q);
        free(q);
    }
}

void far_asked_lost(sri_agent *a, int node)
{
    agent_asked *q, *next;
    HASH_ITER (hh, a->far_asked, q, next) {
        if (q->node != node)
            continue;
        HASH_DEL(a->far_asked, q);
        agent_refuse(a, q->who, far_check_node(a, node));
        free(q);
    }
}

void far_signal(sri_agent *a, const agent_member *m, int signal)
{
    sri_agent_signal args = { .process = agent_process_id(a, m->rank), .signal = signal };
    if (!a->far_nodes[m->node].ended)
        far_ask(a, (sri_asker){ .rank = -1 }, m->node, SRI_AGENT_SIGNAL, &args, sizeof args, NULL,
                0);
}
