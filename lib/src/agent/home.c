/* agent/home.c: what the agent does for the homes of objects, by agent/object.h: sessions and
 * cells, answers, timers. */
#include "agent/private.h"

#include <stdarg.h>
#include <stdio.h>

/* Freed cells that lie still before one is used again. */
#define HOME_CELLS_RESTING 64u

/* ---- sessions and cells ---- */

agent_session *agent_session_of(agent_object *x, int rank)
{
    agent_session *s;
    HASH_FIND_INT(x->sessions, &rank, s);
    return s;
}

void agent_free_cell(sri_agent *a, uint32_t number)
{
    if (number)
        a->free_cells[(a->first_free_cell + a->n_free_cells++) % a->free_cells_cap] = number;
}

void agent_free_session(sri_agent *a, agent_object *x, agent_session *s)
{
    for (int i = 0; i < SRI_HOME_CELLS; i++)
        agent_free_cell(a, s->cells[i]);
    HASH_DEL(x->sessions, s);
    free(s);
}

void *sri_home_session(sri_object *o, int rank)
{
    agent_object *x = agent_object_outer(o);
    agent_session *s = agent_session_of(x, rank);
    if (s)
        return s->bytes;
    agent_member *m = agent_member_of(o->agent, rank);
    if (!m || m->state == AGENT_GONE)
        return NULL;
    s = calloc(1, sizeof *s + o->cls->session);
    if (!s)
        return NULL;
    s->rank = rank;
    HASH_ADD_INT(x->sessions, rank, s);
    if (SRI_HASHED(hh, s))
        return s->bytes;
    free(s);
    return NULL;
}

void sri_home_sessions(sri_object *o, void (*fn)(sri_object *o, int rank, void *session, void *ctx),
                       void *ctx)
{
    agent_session *s, *next;
    HASH_ITER (hh, agent_object_outer(o)->sessions, s, next)
        fn(o, s->rank, s->bytes, ctx);
}

/* Cells are used again in the order they were freed, so that a member which has not yet been told
 * that an object is gone does not step on somebody else's. */
static uint32_t home_take_cell(sri_agent *a)
{
    if (a->n_free_cells > HOME_CELLS_RESTING) {
        uint32_t n = a->free_cells[a->first_free_cell];
        a->first_free_cell = (a->first_free_cell + 1) % a->free_cells_cap;
        a->n_free_cells--;
        return n;
    }
    /* Room to give it back is made before it is taken. */
    if (a->next_cell >= a->free_cells_cap) {
        uint32_t cap = a->free_cells_cap ? 2 * a->free_cells_cap : 256;
        uint32_t *more = malloc(cap * sizeof *more);
        if (!more)
            return 0;
        for (uint32_t i = 0; i < a->n_free_cells; i++)
            more[i] = a->free_cells[(a->first_free_cell + i) % a->free_cells_cap];
        free(a->free_cells);
        a->free_cells = more;
        a->first_free_cell = 0;
        a->free_cells_cap = cap;
    }
    return a->next_cell++;
}

sri_atomic_u64 *sri_home_cell(sri_object *o, int rank, int which, uint32_t *number)
{
    sri_transport *t = &o->agent->host->transport;
    if (!sri_home_near(o, rank) || !sri_home_session(o, rank))
        return NULL;
    agent_session *s = agent_session_of(agent_object_outer(o), rank);
    if (!s->cells[which]) {
        uint32_t n = home_take_cell(o->agent);
        sri_atomic_u64 *cell = n ? t->ops->cell(t, n) : NULL;
        if (!cell)
            return NULL;
        atomic_store(cell, 0);
        s->cells[which] = n;
    }
    *number = s->cells[which];
    return t->ops->cell(t, s->cells[which]);
}

sri_atomic_u64 *sri_home_word(sri_object *o, uint32_t *number)
{
    sri_transport *t = &o->agent->host->transport;
    agent_object *x = agent_object_outer(o);
    if (!x->word) {
        uint32_t n = home_take_cell(o->agent);
        sri_atomic_u64 *cell = n ? t->ops->cell(t, n) : NULL;
        if (!cell)
            return NULL;
        atomic_store(cell, 0);
        x->word = n;
    }
    *number = x->word;
    return t->ops->cell(t, x->word);
}

bool sri_home_watched(sri_object *o, int rank, sri_ns *since)
{
    sri_host *h = o->agent->host;
    sri_waiting w = { 0 };
    h->ops->waiting(h, rank, &w);
    *since = w.since;
    return w.kind == SRI_WAIT_WORD && w.object == o->id;
}

bool sri_home_near(sri_object *o, int rank)
{
    const sri_places *p = &o->agent->options.places;
    return sri_places_node(p, rank) == p->node;
}

bool sri_home_beside(sri_object *o, uint64_t id, unsigned type)
{
    const sri_object *other = agent_object_of(o->agent, id);
    return other && other->cls->type == type;
}

/* ---- answers ---- */

void sri_home_reply(sri_object *o, sri_asker who, const void *head, size_t head_len,
                    const void *body, size_t len)
{
    if (who.number)
        agent_send_run(o->agent, who.rank, SRI_KIND_REPLY, who.number, head, head_len, body, len);
}

void sri_home_refuse(sri_object *o, sri_asker who, serry_err e, const char *fmt, ...)
{
    if (who.number == 0)
        return;
    va_list ap;
    va_start(ap, fmt);
    agent_refuse(o->agent, who, sri_fail_of(e, sri_home_called(o), fmt, ap));
    va_end(ap);
}

void sri_home_opened(sri_object *o, sri_asker who, const void *out, size_t len)
{
    sri_home_reply(o, who, out, len, o->name, strlen(o->name));
}

/* It is kept: some are refused again and again. */
const char *sri_home_called(sri_object *o)
{
    static char text[SRI_CALLED];
    agent_object *x = agent_object_outer(o);
    if (!x->called)
        x->called = strdup(sri_called(o->id, o->name, o->agent->options.places.nodes, text));
    return x->called ? x->called : text;
}

void sri_home_feed(sri_object *o, int rank, const void *head, size_t head_len, const void *body,
                   size_t len)
{
    agent_send_run(o->agent, rank, SRI_KIND_FEED, o->id, head, head_len, body, len);
}

size_t sri_home_backlog(sri_object *o, int rank)
{
    agent_member *m = agent_member_of(o->agent, rank);
    if (m && m->far)
        return o->agent->links->ops->backlog(o->agent->links, m->node);
    return m ? m->late_bytes : 0;
}

bool sri_home_present(sri_object *o, int rank)
{
    return agent_member_present(o->agent, rank);
}

int sri_home_exit_code(sri_object *o, int rank)
{
    agent_member *m = agent_member_of(o->agent, rank);
    return m ? m->code : 0;
}

void sri_home_kill(sri_object *o, int rank)
{
    agent_member *m = agent_member_of(o->agent, rank);
    if (m)
        agent_end_member(o->agent, m, 9);
}

serry_err sri_home_start(sri_object *o, int parent, const struct sri_fnref *fn, const void *arg,
                         size_t len, const char *name, int *rank)
{
    SRI_TRY(agent_start_process(o->agent, parent, fn, arg, len, name, true, rank));
    if (o->cls->session)
        sri_home_session(o, *rank);
    return SERRY_OK;
}

/* ---- timers ---- */

void agent_object_untime(sri_agent *a, agent_object *x)
{
    for (agent_object **p = &a->timed; *p; p = &(*p)->next_timed) {
        if (*p == x) {
            *p = x->next_timed;
            break;
        }
    }
    x->deadline = 0;
}

void sri_home_timer(sri_object *o, sri_ns deadline)
{
    agent_object *x = agent_object_outer(o);
    sri_agent *a = o->agent;
    bool listed = x->deadline != 0;
    if (deadline == SRI_NEVER) {
        if (listed)
            agent_object_untime(a, x);
        return;
    }
    x->deadline = deadline == 0 ? 1 : deadline;
    a->objects_due |= deadline == 0;
    if (!listed) {
        x->next_timed = a->timed;
        a->timed = x;
    }
}

sri_ns agent_objects_deadline(sri_agent *a)
{
    sri_ns first = SRI_NEVER;
    for (agent_object *x = a->timed; x; x = x->next_timed) {
        if (x->deadline < first)
            first = x->deadline;
    }
    return first;
}

void agent_objects_tick(sri_agent *a, sri_ns now)
{
    uint64_t tick = ++a->object_ticks;
    a->objects_due = false;
    for (agent_object *x = a->timed; x;) {
        if (x->deadline > now || x->ticked == tick) {
            x = x->next_timed;
            continue;
        }
        x->ticked = tick; /* one that asks for another round gets it after the lanes were polled */
        agent_object_untime(a, x);
        x->object.cls->timer(&x->object);
        x = a->timed; /* the list may have changed */
    }
}
