/* agent/objects.c: the table of objects, and the services of agent/object.h for their homes. */
#include "agent/far.h"
#include "base/grow.h"

#include <stdarg.h>
#include <stdio.h>

/* The number that cells begin with; 0 names none. */
#define FIRST_CELL 1u

/* Freed cells that lie still before one is used again. */
#define OBJECTS_CELLS_RESTING 64u

static agent_object *objects_outer(sri_object *o)
{
    return (agent_object *)(void *)((char *)o - offsetof(agent_object, object));
}

serry_err agent_objects_init(sri_agent *a)
{
    a->n_objects = 1;
    a->next_cell = FIRST_CELL;
    return SERRY_OK;
}

/* ---- sessions and cells ---- */

static agent_session *objects_session(agent_object *x, int rank)
{
    agent_session *s;
    HASH_FIND_INT(x->sessions, &rank, s);
    return s;
}

static void objects_free_cell(sri_agent *a, uint32_t number)
{
    if (number)
        a->free_cells[(a->first_free_cell + a->n_free_cells++) % a->free_cells_cap] = number;
}

static void objects_free_session(sri_agent *a, agent_object *x, agent_session *s)
{
    for (int i = 0; i < SRI_HOME_CELLS; i++)
        objects_free_cell(a, s->cells[i]);
    HASH_DEL(x->sessions, s);
    free(s);
}

void *sri_home_session(sri_object *o, int rank)
{
    agent_object *x = objects_outer(o);
    agent_session *s = objects_session(x, rank);
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
    HASH_ITER (hh, objects_outer(o)->sessions, s, next)
        fn(o, s->rank, s->bytes, ctx);
}

/* Cells are used again in the order they were freed, so that a member which has not yet been told
 * that an object is gone does not step on somebody else's. */
static uint32_t objects_take_cell(sri_agent *a)
{
    if (a->n_free_cells > OBJECTS_CELLS_RESTING) {
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
    agent_session *s = objects_session(objects_outer(o), rank);
    if (!s->cells[which]) {
        uint32_t n = objects_take_cell(o->agent);
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
    agent_object *x = objects_outer(o);
    if (!x->word) {
        uint32_t n = objects_take_cell(o->agent);
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

/* ---- answers ---- */

void sri_home_reply(sri_object *o, sri_asker who, const void *head, size_t head_len,
                    const void *body, size_t len)
{
    if (who.number)
        agent_send_run(o->agent, who.rank, SRI_KIND_REPLY, who.number, head, head_len, body, len);
}

void sri_home_refuse(sri_object *o, sri_asker who, serry_err e, const char *fmt, ...)
{
    char text[256];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    size_t len = n < 0 ? 0 : (size_t)n < sizeof text ? (size_t)n : sizeof text - 1;
    agent_answer(o->agent, who, e, text, len);
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

static void objects_untime(sri_agent *a, agent_object *x)
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
    agent_object *x = objects_outer(o);
    sri_agent *a = o->agent;
    bool listed = x->deadline != 0;
    if (deadline == SRI_NEVER) {
        if (listed)
            objects_untime(a, x);
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
        objects_untime(a, x);
        x->object.cls->timer(&x->object);
        x = a->timed; /* the list may have changed */
    }
}

/* ---- life of an object ---- */

static agent_object *objects_find(sri_agent *a, uint64_t id)
{
    uint32_t index = sri_handle_index(id);
    agent_object *x = index > 0 && index < a->n_objects ? a->objects[index].object : NULL;
    return x && x->object.id == id ? x : NULL;
}

static serry_err objects_index(sri_agent *a, uint32_t *index)
{
    if (a->free_entry) {
        *index = a->free_entry;
        a->free_entry = a->objects[*index].next_free;
        return SERRY_OK;
    }
    if (a->n_objects > SRI_HANDLE_INDEX_MAX)
        return sri_fail(SERRY_ELIMIT, "a node has at most %u objects at once",
                        SRI_HANDLE_INDEX_MAX);
    if (a->n_objects >= a->objects_cap) {
        size_t before = a->objects_cap;
        agent_entry *more =
            sri_grow(a->objects, &a->objects_cap, (size_t)a->n_objects + 1, sizeof *more);
        if (!more)
            return sri_fail(SERRY_ENOMEM, "no memory for %u objects", a->n_objects);
        memset(more + before, 0, (a->objects_cap - before) * sizeof *more);
        a->objects = more;
    }
    *index = a->n_objects++;
    return SERRY_OK;
}

static void objects_free_index(sri_agent *a, uint32_t index)
{
    a->objects[index].object = NULL;
    a->objects[index].next_free = a->free_entry;
    a->free_entry = index;
}

static void objects_free(sri_agent *a, agent_object *x)
{
    sri_frame forget = {
        .kind = SRI_KIND_FEED, .flags = SRI_FLAG_FORGET, .aux = x->object.id, .fd = -1
    };
    agent_session *s, *next;
    HASH_ITER (hh, x->sessions, s, next) {
        agent_send(a, s->rank, &forget);
        objects_free_session(a, x, s);
    }
    objects_free_cell(a, x->word);
    if (x->deadline)
        objects_untime(a, x);
    if (x->object.name[0] && SRI_HASHED(by_name, x)) {
        HASH_DELETE(by_name, a->names, x);
        directory_unnamed(a, x->key);
    }
    objects_free_index(a, x->index);
    free(x);
}

void agent_object_key(char key[AGENT_KEY], uint32_t type, const char *name)
{
    memset(key, 0, AGENT_KEY);
    snprintf(key, AGENT_KEY, "%u:%s", type, name);
}

bool agent_object_named(sri_agent *a, const char key[AGENT_KEY])
{
    agent_object *x;
    HASH_FIND(by_name, a->names, key, AGENT_KEY, x);
    return x != NULL;
}

serry_err agent_object_create(sri_agent *a, int rank, const sri_create_args *args,
                              const uint8_t *own, size_t len, uint64_t *id)
{
    const sri_object_class *cls = args->type < 64 ? sri_object_class_of(args->type) : NULL;
    if (!cls)
        return sri_fail(SERRY_EINVAL, "this agent knows no objects of class %u", args->type);
    char key[AGENT_KEY];
    agent_object *x = NULL;
    agent_object_key(key, args->type, args->name);
    if (args->name[0]) {
        HASH_FIND(by_name, a->names, key, sizeof key, x);
        if (x) {
            if (cls->same)
                SRI_TRY(cls->same(&x->object, own, len));
            *id = x->object.id;
            return SERRY_OK;
        }
    }
    uint32_t index = 0;
    SRI_TRY(objects_index(a, &index));
    x = calloc(1, offsetof(agent_object, object) + cls->size);
    if (!x) {
        objects_free_index(a, index);
        return sri_fail(SERRY_ENOMEM, "no memory for a %s", cls->name);
    }
    agent_entry *entry = &a->objects[index];
    entry->generation = (entry->generation + 1) & 0xffffff;
    if (entry->generation == 0)
        entry->generation = 1;
    x->index = index;
    x->object.cls = cls;
    x->object.agent = a;
    x->object.creator = rank;
    x->object.id =
        sri_handle_make(cls->type, (unsigned)a->options.places.node, index, entry->generation);
    memcpy(x->object.name, args->name, sizeof x->object.name);
    memcpy(x->key, key, sizeof key);
    entry->object = x;
    serry_err e = SERRY_OK;
    if (args->name[0]) {
        HASH_ADD(by_name, a->names, key, sizeof key, x);
        if (!SRI_HASHED(by_name, x))
            e = sri_fail(SERRY_ENOMEM, "no memory for the name of a %s", cls->name);
    }
    if (e == SERRY_OK && cls->create)
        e = cls->create(&x->object, own, len);
    if (e != SERRY_OK) {
        objects_free(a, x);
        return e;
    }
    *id = x->object.id;
    return SERRY_OK;
}

void sri_home_end(sri_object *o)
{
    agent_object *x = objects_outer(o);
    if (o->cls->destroy)
        o->cls->destroy(o);
    objects_free(o->agent, x);
}

void agent_objects_fini(sri_agent *a)
{
    for (uint32_t i = 1; i < a->n_objects; i++) {
        if (a->objects[i].object)
            sri_home_end(&a->objects[i].object->object);
    }
    free(a->objects);
    free(a->free_cells);
}

void agent_objects_gone(sri_agent *a, int rank, sri_fate fate)
{
    for (uint32_t i = 1; i < a->n_objects; i++) {
        agent_object *x = a->objects[i].object;
        if (!x)
            continue;
        uint64_t id = x->object.id;
        agent_session *s = objects_session(x, rank);
        if ((s || x->object.creator == rank) && x->object.cls->gone)
            x->object.cls->gone(&x->object, rank, fate);
        x = objects_find(a, id); /* it may have ended itself */
        s = x ? objects_session(x, rank) : NULL;
        if (s)
            objects_free_session(a, x, s);
    }
}

/* ---- requests ---- */

static void objects_own(sri_agent *a, sri_asker who, uint16_t op, const uint8_t *bytes, size_t len)
{
    uint64_t id;
    sri_create_args args;
    if (op != SRI_OP_CREATE) {
        if (op == SRI_OP_CANCEL && len >= sizeof id) {
            memcpy(&id, bytes, sizeof id);
            agent_own_cancel(a, (sri_asker){ .rank = who.rank, .number = (uint32_t)id });
        } else {
            agent_own_request(a, who, op, bytes, len);
        }
        return;
    }
    if (len < sizeof args) {
        agent_answer(a, who, SERRY_EINTERNAL, NULL, 0);
        return;
    }
    memcpy(&args, bytes, sizeof args);
    args.name[sizeof args.name - 1] = 0;
    directory_create(a, who, &args, bytes + sizeof args, len - sizeof args);
}

static void objects_describe(sri_agent *a, sri_asker who, sri_object *o)
{
    char text[1024] = "";
    if (o->cls->describe)
        o->cls->describe(o, text, sizeof text);
    else
        snprintf(text, sizeof text, "%s%s%s", o->cls->name, o->name[0] ? " " : "", o->name);
    agent_answer(a, who, SERRY_OK, text, strlen(text));
}

static void objects_request(sri_agent *a, sri_asker who, uint64_t aux, uint16_t op,
                            const uint8_t *bytes, size_t len)
{
    if (aux == 0) {
        objects_own(a, who, op, bytes, len);
        return;
    }
    agent_object *x = objects_find(a, aux);
    if (!x) {
        static const char text[] = "the object was destroyed, or never was";
        if (op != SRI_OP_CANCEL)
            agent_answer(a, who, SERRY_EHANDLE, text, sizeof text - 1);
        return;
    }
    if (op == SRI_OP_CANCEL) {
        uint64_t number;
        if (len < sizeof number)
            return;
        memcpy(&number, bytes, sizeof number);
        if (x->object.cls->cancel)
            x->object.cls->cancel(&x->object,
                                  (sri_asker){ .rank = who.rank, .number = (uint32_t)number });
    } else if (op == SRI_OP_DESTROY) {
        sri_home_end(&x->object);
        agent_answer(a, who, SERRY_OK, NULL, 0);
    } else if (op == SRI_OP_DESCRIBE) {
        objects_describe(a, who, &x->object);
    } else {
        x->object.cls->request(&x->object, who, op, bytes, len);
    }
}

sri_object *agent_object_of(sri_agent *a, uint64_t id)
{
    agent_object *x = objects_find(a, id);
    return x ? &x->object : NULL;
}

bool sri_home_beside(sri_object *o, uint64_t id, unsigned type)
{
    const sri_object *other = agent_object_of(o->agent, id);
    return other && other->cls->type == type;
}

void agent_request(sri_agent *a, int rank, uint64_t aux, const uint8_t *bytes, size_t len)
{
    if (__builtin_expect(a->links != NULL, 0) && aux != 0
        && (int)sri_handle_home(aux) != a->options.places.node)
        far_request(a, rank, aux, bytes, len);
    else
        agent_request_here(a, rank, aux, bytes, len);
}

void agent_request_here(sri_agent *a, int rank, uint64_t aux, const uint8_t *bytes, size_t len)
{
    sri_request_head head;
    if (len < sizeof head)
        return;
    memcpy(&head, bytes, sizeof head);
    a->owed += head.number != 0;
    bool ack = head.flags & SRI_REQUEST_ACK; /* to the home it is a post like any other */
    sri_asker who = { .rank = rank,
                      .number = ack ? 0 : head.number,
                      .nowait = head.flags & SRI_REQUEST_NOWAIT };
    objects_request(a, who, aux, head.op, bytes + sizeof head, len - sizeof head);
    who.number = ack ? head.number : 0;
    agent_answer(a, who, SERRY_OK, NULL, 0);
}
