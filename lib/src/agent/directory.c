/* agent/directory.c: where the object of a name lives. The agent of node 0 keeps that: who creates
 * asks there, and it hands the creation on to the home, which makes the object or finds it.
 *
 * A name belongs to one home from the first creation sent there until that home has said that it
 * has no such object, in answer to all creations sent: each has a number, and a home says up to
 * which one it has seen. So a name never means two objects, and one that was destroyed can be used
 * again. */
#include "agent/far.h"

typedef struct directory_name {
    char key[AGENT_KEY];
    int home;
    uint64_t seq; /* of the last creation sent there */
    UT_hash_handle hh;
} directory_name;

/* A creation under way at its home. */
typedef struct directory_made {
    uint32_t number;
    int home;
    sri_asker who;
    UT_hash_handle hh;
} directory_made;

static directory_name *directory_find(sri_agent *a, const char key[AGENT_KEY])
{
    directory_name *n;
    HASH_FIND(hh, a->directory, key, AGENT_KEY, n);
    return n;
}

static void directory_forget(sri_agent *a, directory_name *n)
{
    HASH_DEL(a->directory, n);
    free(n);
}

static void directory_answer(sri_agent *a, sri_asker who, serry_err e, uint64_t id)
{
    if (e == SERRY_OK)
        agent_answer(a, who, SERRY_OK, &id, sizeof id);
    else
        agent_refuse(a, who, e);
}

static void directory_make_here(sri_agent *a, sri_asker who, const sri_create_args *args,
                                const uint8_t *own, size_t len)
{
    uint64_t id = 0;
    serry_err e = agent_object_create(a, who.rank, args, own, len, &id);
    directory_answer(a, who, e, id);
}

/* ---- at node 0 ---- */

static serry_err directory_enter(sri_agent *a, const char key[AGENT_KEY], int home,
                                 directory_name **out)
{
    SRI_TRY(far_check_node(a, home));
    directory_name *n = calloc(1, sizeof *n);
    if (!n)
        return sri_fail(SERRY_ENOMEM, "no memory for a name");
    memcpy(n->key, key, AGENT_KEY);
    n->home = home;
    HASH_ADD(hh, a->directory, key, AGENT_KEY, n);
    if (!SRI_HASHED(hh, n)) {
        free(n);
        return sri_fail(SERRY_ENOMEM, "no memory for a name");
    }
    *out = n;
    return SERRY_OK;
}

static serry_err directory_send(sri_agent *a, directory_name *n, sri_asker who,
                                const sri_create_args *args, const uint8_t *own, size_t len)
{
    directory_made *made = calloc(1, sizeof *made);
    if (!made)
        return sri_fail(SERRY_ENOMEM, "no memory for a creation");
    *made = (directory_made){ .number = ++a->directory_number, .home = n->home, .who = who };
    HASH_ADD(hh, a->directory_made, number, sizeof made->number, made);
    if (!SRI_HASHED(hh, made)) {
        free(made);
        return sri_fail(SERRY_ENOMEM, "no memory for a creation");
    }
    n->seq = ++a->directory_seq;
    far_create create = { .seq = n->seq, .args = *args };
    sri_link_frame f = { .kind = SRI_FAR_CREATE,
                         .source = who.rank,
                         .dest = -1,
                         .aux = made->number,
                         .head = &create,
                         .head_len = sizeof create,
                         .body = own,
                         .body_len = len };
    far_send(a, n->home, &f);
    return SERRY_OK;
}

static void directory_named(sri_agent *a, sri_asker who, const sri_create_args *args,
                            const uint8_t *own, size_t len)
{
    char key[AGENT_KEY];
    serry_err e = SERRY_OK;
    agent_object_key(key, args->type, args->name);
    directory_name *n = directory_find(a, key);
    bool fresh = !n;
    if (fresh)
        e = directory_enter(a, key, args->node, &n);
    if (e == SERRY_OK && n->home != a->options.places.node) {
        e = directory_send(a, n, who, args, own, len);
        if (e == SERRY_OK)
            return;
        if (fresh)
            directory_forget(a, n);
    }
    if (e != SERRY_OK) {
        agent_refuse(a, who, e);
        return;
    }
    directory_make_here(a, who, args, own, len);
    if (!agent_object_named(a, key) && (n = directory_find(a, key)) != NULL)
        directory_forget(a, n); /* nothing has come of it */
}

void directory_create(sri_agent *a, sri_asker who, sri_create_args *args, const uint8_t *own,
                      size_t len)
{
    int here = a->options.places.node;
    const agent_member *m = agent_member_of(a, who.rank);
    if (args->node < 0)
        args->node = m ? m->node : here;
    serry_err e = far_check_node(a, args->node);
    if (e != SERRY_OK && (e == SERRY_EINVAL || !args->name[0]))
        agent_refuse(a, who, e);
    else if (!a->links)
        directory_make_here(a, who, args, own, len);
    else if (args->name[0] && here == 0)
        directory_named(a, who, args, own, len);
    else if (args->name[0])
        far_ask(a, who, 0, SRI_OP_CREATE, args, sizeof *args, own, len);
    else if (args->node == here)
        directory_make_here(a, who, args, own, len);
    else
        far_ask(a, who, args->node, SRI_OP_CREATE, args, sizeof *args, own, len);
}

static void directory_take_unnamed(sri_agent *a, int node, const far_unnamed *u)
{
    directory_name *n = directory_find(a, u->key);
    if (n && n->home == node && u->seq >= n->seq)
        directory_forget(a, n);
}

static void directory_created(sri_agent *a, const sri_link_arrival *f)
{
    uint32_t number = (uint32_t)f->aux;
    directory_made *made;
    HASH_FIND(hh, a->directory_made, &number, sizeof number, made);
    if (!made)
        return;
    HASH_DEL(a->directory_made, made);
    agent_answer(a, made->who, (serry_err)(f->aux >> 32), f->bytes, f->len);
    free(made);
}

void directory_lost(sri_agent *a, int node)
{
    directory_name *n, *next_name;
    directory_made *made, *next_made;
    HASH_ITER (hh, a->directory, n, next_name) {
        if (n->home == node)
            directory_forget(a, n);
    }
    HASH_ITER (hh, a->directory_made, made, next_made) {
        if (made->home != node)
            continue;
        HASH_DEL(a->directory_made, made);
        agent_refuse(a, made->who, far_check_node(a, node));
        free(made);
    }
}

void directory_fini(sri_agent *a)
{
    directory_name *n, *next_name;
    directory_made *made, *next_made;
    HASH_ITER (hh, a->directory, n, next_name)
        directory_forget(a, n);
    HASH_ITER (hh, a->directory_made, made, next_made) {
        HASH_DEL(a->directory_made, made);
        free(made);
    }
}

/* ---- at the home ---- */

void directory_unnamed(sri_agent *a, const char key[AGENT_KEY])
{
    if (!a->links || a->destroying)
        return;
    far_unnamed u = { .seq = a->options.places.node == 0 ? UINT64_MAX : a->directory_seq };
    memcpy(u.key, key, AGENT_KEY);
    if (a->options.places.node == 0) {
        directory_take_unnamed(a, 0, &u);
        return;
    }
    sri_link_frame f = {
        .kind = SRI_FAR_UNNAMED, .source = -1, .dest = -1, .head = &u, .head_len = sizeof u
    };
    far_send(a, 0, &f);
}

static void directory_make(sri_agent *a, const sri_link_arrival *f)
{
    far_create create;
    if (f->len < sizeof create)
        return;
    memcpy(&create, f->bytes, sizeof create);
    create.args.name[sizeof create.args.name - 1] = 0;
    a->directory_seq = create.seq;
    uint64_t id = 0;
    serry_err e = agent_object_create(a, f->source, &create.args, f->bytes + sizeof create,
                                      f->len - sizeof create, &id);
    sri_link_frame answer = { .kind = SRI_FAR_CREATED,
                              .source = -1,
                              .dest = -1,
                              .aux = (uint64_t)e << 32 | (uint32_t)f->aux,
                              .body = &id,
                              .body_len = sizeof id };
    if (e != SERRY_OK) {
        answer.body = serry_err_detail();
        answer.body_len = strlen(serry_err_detail());
    }
    far_send(a, f->node, &answer);
    char key[AGENT_KEY];
    agent_object_key(key, create.args.type, create.args.name);
    if (!agent_object_named(a, key))
        directory_unnamed(a, key);
}

void directory_arrived(sri_agent *a, const sri_link_arrival *f)
{
    far_unnamed u;
    if (f->kind == SRI_FAR_CREATE && f->node == 0) {
        directory_make(a, f);
    } else if (f->kind == SRI_FAR_CREATED && a->options.places.node == 0) {
        directory_created(a, f);
    } else if (f->kind == SRI_FAR_UNNAMED && a->options.places.node == 0 && f->len == sizeof u) {
        memcpy(&u, f->bytes, sizeof u);
        directory_take_unnamed(a, f->node, &u);
    }
}
