/* patterns/pool_servers.c: the home of the world's serving ranks, one object by name. It brings
 * those who serve and the pools that want servers together; tasks go directly between a pool's home
 * and them, wherever they are.
 *
 * A rank serves an owner until it destroys a pool. One that comes late, when the pool it was meant
 * to serve is destroyed already, must not wait for the next one: its owner may wait for it. Late
 * means that the owner has destroyed a pool in the same section of the program (between two
 * collectives) or a later one, and that this rank has not been let go for it yet. */
#include "patterns/pool.h"
#include "patterns/pool_wire.h"

#include "base/hash.h"
#include "base/error.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

typedef struct servers_rank {
    struct servers_rank *prev, *next;
    int rank;
    int owner; /* whom it serves, or SERRY_ANY */
    int size;  /* launched ranks */
} servers_rank;

typedef struct servers_pool {
    struct servers_pool *prev, *next;
    uint64_t id;
    int owner;
} servers_pool;

/* Pools destroyed in the last section in which there were any: by an owner (server -1), and those
 * of them for which a server was let go. */
typedef struct servers_count {
    struct {
        int owner;
        int server;
    } key;
    uint32_t section;
    uint32_t n;
    UT_hash_handle hh;
} servers_count;

typedef struct servers_home {
    sri_object o;
    servers_rank *ranks;
    servers_pool *pools;
    servers_count *counts;
} servers_home;

static void servers_tell(servers_home *h, int rank, uint32_t kind, int owner, uint64_t id)
{
    servers_wire_feed out = { .kind = kind, .owner = owner, .id = id };
    sri_home_feed(&h->o, rank, &out, sizeof out, NULL, 0);
}

static bool servers_match(const servers_rank *r, int owner)
{
    return r->rank != owner && (r->owner == SERRY_ANY || r->owner == owner);
}

/* ---- pools destroyed ---- */

static servers_count *servers_counted(servers_home *h, int owner, int server, bool make)
{
    servers_count *c, key = { .key = { owner, server } };
    HASH_FIND(hh, h->counts, &key.key, sizeof key.key, c);
    if (c || !make)
        return c;
    c = calloc(1, sizeof *c);
    if (!c)
        return NULL;
    c->key = key.key;
    HASH_ADD(hh, h->counts, key, sizeof c->key, c);
    if (SRI_HASHED(hh, c))
        return c;
    free(c);
    return NULL;
}

static void servers_count_destroyed(servers_home *h, int owner, uint32_t section)
{
    servers_count *all = servers_counted(h, owner, -1, true);
    if (!all)
        return;
    all->n = all->section == section ? all->n + 1 : 1;
    all->section = section;
}

/* This server is let go for all that the owner has destroyed so far. */
static void servers_let_go(servers_home *h, int owner, int server)
{
    servers_count *all = servers_counted(h, owner, -1, false);
    servers_count *its = all ? servers_counted(h, owner, server, true) : NULL;
    if (its) {
        its->section = all->section;
        its->n = all->n;
    }
}

/* Is this server late? If so it is let go for one more pool. */
static bool servers_late(servers_home *h, int owner, int server, uint32_t section)
{
    servers_count *all = servers_counted(h, owner, -1, false);
    if (!all || (int32_t)(all->section - section) < 0)
        return false;
    servers_count *its = servers_counted(h, owner, server, true);
    if (!its)
        return false;
    if (its->section != all->section)
        its->n = 0;
    its->section = all->section;
    if (its->n >= all->n)
        return false;
    its->n++;
    return true;
}

static void servers_forget_counts(servers_home *h, int rank)
{
    servers_count *c, *next;
    HASH_ITER (hh, h->counts, c, next) {
        if (rank >= 0 && c->key.owner != rank && c->key.server != rank)
            continue;
        HASH_DEL(h->counts, c);
        free(c);
    }
}

/* ---- serving ranks and pools ---- */

static void servers_drop_rank(servers_home *h, servers_rank *r)
{
    DL_DELETE(h->ranks, r);
    free(r);
}

/* Is there nobody left whom this rank could serve? */
static bool servers_alone(servers_home *h, const servers_rank *r)
{
    if (r->owner != SERRY_ANY)
        return !sri_home_present(&h->o, r->owner);
    for (int i = 0; i < r->size; i++)
        if (i != r->rank && sri_home_present(&h->o, i))
            return false;
    return true;
}

static void servers_serve(servers_home *h, sri_asker who, const uint8_t *bytes, size_t len)
{
    servers_wire_serve in;
    servers_rank *r;
    if (len < sizeof in)
        return;
    memcpy(&in, bytes, sizeof in);
    DL_FOREACH (h->ranks, r)
        if (r->rank == who.rank) { /* it serves others from now on */
            servers_drop_rank(h, r);
            break;
        }
    r = calloc(1, sizeof *r);
    if (!r || !sri_home_session(&h->o, who.rank)) {
        free(r);
        sri_home_refuse(&h->o, who, SERRY_ENOMEM, "no memory for a serving rank");
        return;
    }
    r->rank = who.rank;
    r->owner = in.owner;
    r->size = (int)in.size;
    DL_APPEND(h->ranks, r);
    /* A session with those whose end it waits for: so .gone is called for them. */
    for (int i = 0; i < r->size; i++)
        if (in.owner == SERRY_ANY || in.owner == i)
            sri_home_session(&h->o, i);
    sri_home_reply(&h->o, who, NULL, 0, NULL, 0);
    servers_pool *p;
    DL_FOREACH (h->pools, p)
        if (servers_match(r, p->owner))
            servers_tell(h, r->rank, SERVERS_FEED_POOL, p->owner, p->id);
    if (servers_alone(h, r)
        || (in.owner != SERRY_ANY && servers_late(h, in.owner, r->rank, in.section)))
        servers_tell(h, r->rank, SERVERS_FEED_OVER, in.owner, 0);
}

static void servers_register(servers_home *h, int owner, uint64_t id)
{
    servers_pool *p = calloc(1, sizeof *p);
    if (!p || !sri_home_session(&h->o, owner)) {
        free(p);
        return;
    }
    p->id = id;
    p->owner = owner;
    DL_APPEND(h->pools, p);
    servers_rank *r;
    DL_FOREACH (h->ranks, r)
        if (servers_match(r, owner))
            servers_tell(h, r->rank, SERVERS_FEED_POOL, owner, id);
}

static void servers_unregister(servers_home *h, int owner, uint64_t id, uint32_t section)
{
    servers_pool *p, *next;
    servers_rank *r;
    DL_FOREACH_SAFE (h->pools, p, next) {
        if (p->owner != owner || p->id != id)
            continue;
        DL_DELETE(h->pools, p);
        free(p);
        servers_count_destroyed(h, owner, section);
        DL_FOREACH (h->ranks, r) {
            if (r->owner != owner)
                continue;
            servers_let_go(h, owner, r->rank);
            servers_tell(h, r->rank, SERVERS_FEED_OVER, owner, id);
        }
    }
}

static void servers_request(sri_object *o, sri_asker who, uint16_t op, const uint8_t *bytes,
                            size_t len)
{
    servers_home *h = (servers_home *)o;
    servers_wire_pool in;
    servers_rank *r;
    switch (op) {
    case SERVERS_OP_SERVE:
        servers_serve(h, who, bytes, len);
        break;
    case SERVERS_OP_UNSERVE:
        DL_FOREACH (h->ranks, r)
            if (r->rank == who.rank) {
                servers_drop_rank(h, r);
                break;
            }
        break;
    case SERVERS_OP_REGISTER:
    case SERVERS_OP_UNREGISTER:
        if (len < sizeof in)
            break;
        memcpy(&in, bytes, sizeof in);
        if (op == SERVERS_OP_REGISTER)
            servers_register(h, who.rank, in.id);
        else
            servers_unregister(h, who.rank, in.id, in.section);
        break;
    default:
        sri_home_refuse(o, who, SERRY_EINVAL, "servers have no operation %d", op);
    }
}

/* One who has arrived in finalize makes no pools any more, but may serve from there. */
static void servers_gone(sri_object *o, int rank, sri_fate fate)
{
    servers_home *h = (servers_home *)o;
    (void)fate;
    servers_rank *r, *next_rank;
    servers_pool *p, *next_pool;
    servers_forget_counts(h, rank);
    DL_FOREACH_SAFE (h->ranks, r, next_rank)
        if (r->rank == rank)
            servers_drop_rank(h, r);
    DL_FOREACH_SAFE (h->pools, p, next_pool) {
        if (p->owner != rank)
            continue;
        DL_DELETE(h->pools, p);
        free(p);
    }
    DL_FOREACH (h->ranks, r)
        if (servers_alone(h, r))
            servers_tell(h, r->rank, SERVERS_FEED_OVER, rank, 0);
}

static void servers_destroy(sri_object *o)
{
    servers_home *h = (servers_home *)o;
    servers_rank *r, *next_rank;
    servers_pool *p, *next_pool;
    servers_forget_counts(h, -1);
    DL_FOREACH_SAFE (h->ranks, r, next_rank)
        servers_drop_rank(h, r);
    DL_FOREACH_SAFE (h->pools, p, next_pool) {
        DL_DELETE(h->pools, p);
        free(p);
    }
}

static void servers_describe(sri_object *o, char *text, size_t cap)
{
    servers_home *h = (servers_home *)o;
    servers_rank *r;
    servers_pool *p;
    int ranks, pools;
    DL_COUNT(h->ranks, r, ranks);
    DL_COUNT(h->pools, p, pools);
    snprintf(text, cap, "servers: %d ranks serve, %d pools", ranks, pools);
}

static const sri_object_class servers_class = {
    .type = SRI_TYPE_SERVERS,
    .name = "servers",
    .size = sizeof(servers_home),
    .session = sizeof(int),
    .request = servers_request,
    .gone = servers_gone,
    .destroy = servers_destroy,
    .describe = servers_describe,
    .feed = sri_serve_feed,
    .forget = sri_serve_forget,
    .finalizing = sri_serve_finalizing,
};
SRI_OBJECT_CLASS(servers_class)
