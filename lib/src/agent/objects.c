/* agent/objects.c: the table of objects: their life, and who gets which request. */
#include "agent/far.h"
#include "base/grow.h"

#include <stdio.h>

/* The number that cells begin with; 0 names none. */
#define FIRST_CELL 1u

serry_err agent_objects_init(sri_agent *a)
{
    a->n_objects = 1;
    a->next_cell = FIRST_CELL;
    return SERRY_OK;
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
        agent_free_session(a, x, s);
    }
    agent_free_cell(a, x->word);
    if (x->deadline)
        agent_object_untime(a, x);
    if (SRI_HASHED(by_name, x)) {
        HASH_DELETE(by_name, a->names, x);
        directory_unnamed(a, x->key);
    }
    objects_free_index(a, x->index);
    free(x->called);
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
    agent_object *x = agent_object_outer(o);
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
        agent_session *s = agent_session_of(x, rank);
        if ((s || x->object.creator == rank) && x->object.cls->gone)
            x->object.cls->gone(&x->object, rank, fate);
        x = objects_find(a, id); /* it may have ended itself */
        s = x ? agent_session_of(x, rank) : NULL;
        if (s)
            agent_free_session(a, x, s);
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
        snprintf(text, sizeof text, "%s", sri_home_called(o));
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
        char of[SRI_CALLED];
        if (op != SRI_OP_CANCEL)
            agent_refuse(a, who,
                         sri_fail(SERRY_EHANDLE, "%s was destroyed, or never was",
                                  sri_called(aux, NULL, a->options.places.nodes, of)));
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
