/* agent/waiting.c: what a member waits for, in words. A member says so in its slot before it
 * sleeps; of objects that live here the state is told, too. */
#include "agent/handle.h"
#include "agent/private.h"

#include <stdio.h>

static void waiting_for_peer(const char *what, const sri_waiting *w, char *text, size_t cap)
{
    char peer[32] = "any rank";
    char tag[32] = "any tag";
    if (w->peer >= 0)
        snprintf(peer, sizeof peer, "rank %d", w->peer);
    if ((int32_t)w->object >= 0)
        snprintf(tag, sizeof tag, "tag %d", (int32_t)w->object);
    snprintf(text, cap, "%s %s, %s", what, peer, tag);
}

static void waiting_for_object(sri_agent *a, uint64_t id, char *text, size_t cap)
{
    char of[SRI_CALLED];
    sri_object *o = agent_object_of(a, id & ~SRI_HANDLE_SIDE);
    if (o && o->cls->describe)
        o->cls->describe(o, text, cap);
    else
        snprintf(text, cap, "%s",
                 id ? sri_called(id, o ? o->name : NULL, a->options.places.nodes, of)
                    : "the agent");
}

void sri_agent_waiting(sri_agent *a, int rank, char *text, size_t cap)
{
    sri_waiting w = { 0 };
    char what[400] = "";
    a->host->ops->waiting(a->host, rank, &w);
    switch (w.kind) {
    case SRI_WAIT_RECV:
        waiting_for_peer("a message from", &w, what, sizeof what);
        break;
    case SRI_WAIT_SEND:
        waiting_for_peer("room for a message to", &w, what, sizeof what);
        break;
    case SRI_WAIT_REQUEST:
        snprintf(what, sizeof what, "several things");
        break;
    case SRI_WAIT_OBJECT:
    case SRI_WAIT_WORD:
        waiting_for_object(a, w.object, what, sizeof what);
        break;
    case SRI_WAIT_COLLECTIVE:
        if (w.peer >= 0)
            snprintf(what, sizeof what, "rank %d in a collective", w.peer);
        else
            snprintf(what, sizeof what, "the others in a collective");
        break;
    case SRI_WAIT_FINALIZE:
        snprintf(what, sizeof what, "the others in serry_finalize");
        break;
    default:
        if (cap > 0)
            text[0] = '\0';
        return;
    }
    snprintf(text, cap, "has waited %.3g s for %s", (double)(sri_now() - w.since) * 1e-9, what);
}
