/* patterns/lock_home.c: a lock at its home. Whoever is parked is served in the order of coming; as
 * long as somebody is, members leave the word alone. Those of other nodes ask for each step, which
 * is then done on the word as any member's. */
#include "base/error.h"
#include "patterns/lock_wire.h"
#include "patterns/parked.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

typedef struct lock_home {
    sri_object object;
    bool recursive;
    bool shared; /* word is the members' too; else it is .own */
    sri_atomic_u64 *word;
    sri_atomic_u64 own;
    uint32_t cell;
    sri_parked *line;
} lock_home;

typedef struct lock_user { /* nothing is kept but that there is one: see .gone */
    uint64_t reserved;
} lock_user;

static lock_home *lock_of(sri_object *o)
{
    return (lock_home *)o;
}

/* ---- the word and the line ---- */

/* Grants the lock to the first in line if it is free, and makes the word say whether somebody is
 * parked. After each change of the line or of the owner. */
static void lock_settle(lock_home *h)
{
    uint64_t word = atomic_load(h->word);
    for (;;) {
        bool grant = h->line && lock_is_free(word);
        uint64_t next = word;
        if (grant)
            next = lock_word(h->object.id, h->line->who.rank);
        next &= ~LOCK_WAITERS;
        if (grant ? h->line->next != NULL : h->line != NULL)
            next |= LOCK_WAITERS;
        if (next != word && !atomic_compare_exchange_strong(h->word, &word, next))
            continue;
        if (!grant)
            return;
        if (word & LOCK_DIED) {
            char text[80];
            snprintf(text, sizeof text, "you hold it; rank %d ended while it held it",
                     lock_owner(word));
            sri_parked_refuse(&h->object, &h->line, h->line, SERRY_EOWNERDIED, text);
        } else {
            sri_parked_grant(&h->object, &h->line, h->line);
        }
        word = next;
    }
}

/* The rank lets go, or has died holding it. False: it does not hold it. */
static bool lock_leave(lock_home *h, int rank, bool died)
{
    uint64_t word = atomic_load(h->word);
    for (;;) {
        if (lock_is_free(word) || lock_owner(word) != rank)
            return false;
        uint64_t next = died ? word | LOCK_DIED : word & ~LOCK_OWNER;
        if (atomic_compare_exchange_strong(h->word, &word, next))
            return true;
    }
}

/* ---- operations ---- */

static void lock_open(lock_home *h, sri_asker who)
{
    lock_wire_opened out = { .cell = h->cell, .recursive = h->recursive };
    out.shared = h->shared && sri_home_near(&h->object, who.rank);
    sri_home_opened(&h->object, who, &out, sizeof out);
}

static void lock_acquire(lock_home *h, sri_asker who)
{
    sri_asker waits = who;
    waits.nowait = false;
    if (!sri_park(&h->object, &h->line, waits, 0, ""))
        return;
    lock_settle(h);
    sri_parked *p = who.nowait ? sri_parked_find(h->line, who) : NULL;
    if (!p)
        return;
    char text[80];
    lock_why(atomic_load(h->word), text, sizeof text);
    sri_parked_refuse(&h->object, &h->line, p, SERRY_ETIMEDOUT, text);
    lock_settle(h);
}

static void lock_request(sri_object *o, sri_asker who, uint16_t op, const uint8_t *bytes,
                         size_t len)
{
    lock_home *h = lock_of(o);
    (void)bytes;
    (void)len;
    if (!sri_home_session(o, who.rank)) {
        sri_home_refuse(o, who, SERRY_ENOMEM, "no memory for one more user");
        return;
    }
    switch (op) {
    case LOCK_OP_OPEN:
        lock_open(h, who);
        break;
    case LOCK_OP_ACQUIRE:
        lock_acquire(h, who);
        break;
    case LOCK_OP_RELEASE:
    case LOCK_OP_ABANDON:
        if (lock_leave(h, who.rank, op == LOCK_OP_ABANDON))
            lock_settle(h);
        sri_home_reply(o, who, NULL, 0, NULL, 0);
        break;
    default:
        sri_home_refuse(o, who, SERRY_EINVAL, "there is no operation %u", op);
    }
}

static void lock_cancel(sri_object *o, sri_asker who)
{
    lock_home *h = lock_of(o);
    char text[80];
    lock_why(atomic_load(h->word), text, sizeof text);
    if (sri_parked_cancel(o, &h->line, who, text))
        lock_settle(h);
}

/* ---- life ---- */

static serry_err lock_args(const uint8_t *args, size_t len, bool *recursive)
{
    lock_wire_settings in;
    if (len != sizeof in)
        return sri_fail(SERRY_EINVAL, "not the settings of a lock");
    memcpy(&in, args, sizeof in);
    *recursive = in.recursive != 0;
    return SERRY_OK;
}

static serry_err lock_create(sri_object *o, const uint8_t *args, size_t len)
{
    lock_home *h = lock_of(o);
    SRI_TRY(lock_args(args, len, &h->recursive));
    h->word = sri_home_word(o, &h->cell);
    h->shared = h->word != NULL;
    if (!h->shared)
        h->word = &h->own;
    atomic_store(h->word, lock_word_free(o->id));
    return SERRY_OK;
}

static serry_err lock_same(sri_object *o, const uint8_t *args, size_t len)
{
    bool recursive = false;
    SRI_TRY(lock_args(args, len, &recursive));
    if (recursive != lock_of(o)->recursive)
        return sri_fail(SERRY_EINVAL, "the lock \"%s\" exists and is %s", o->name,
                        recursive ? "not recursive" : "recursive");
    return SERRY_OK;
}

static void lock_gone(sri_object *o, int rank, sri_fate fate)
{
    lock_home *h = lock_of(o);
    sri_parked_drop(&h->line, rank);
    bool held = lock_leave(h, rank, true);
    lock_settle(h);
    if (held && fate == SRI_FATE_LEFT) { /* it may go on, in the service of others */
        lock_wire_lost lost = { 0 };
        sri_home_feed(o, rank, &lost, sizeof lost, NULL, 0);
    }
}

static void lock_destroy(sri_object *o)
{
    lock_home *h = lock_of(o);
    atomic_store(h->word, 0);
    sri_parked_refuse_all(o, &h->line, SERRY_EHANDLE, "destroyed");
}

/* "; ranks 1 and 4 wait, for 0.25 s", or nothing. */
static void lock_describe_line(const sri_parked *line, char *text, size_t cap)
{
    char who[192];
    text[0] = '\0';
    if (!line)
        return;
    sri_parked_text(line, who, sizeof who);
    const char *since = strstr(who, ", for ");
    int names = since ? (int)(since - who) : (int)strlen(who);
    snprintf(text, cap, "; %.*s wait%s%s", names, who, line->next ? "" : "s", since ? since : "");
}

static void lock_describe(sri_object *o, char *text, size_t cap)
{
    lock_home *h = lock_of(o);
    uint64_t word = atomic_load(h->word);
    char state[80] = "free", line[256];
    if (!lock_is_free(word))
        snprintf(state, sizeof state, "held by rank %d", lock_owner(word));
    else if (word & LOCK_DIED)
        snprintf(state, sizeof state, "free, rank %d ended while it held it", lock_owner(word));
    lock_describe_line(h->line, line, sizeof line);
    snprintf(text, cap, "%s%s: %s%s", sri_home_called(o), h->recursive ? ", recursive" : "", state,
             line);
}

static const sri_object_class lock_class = {
    .type = SRI_TYPE_LOCK,
    .name = "lock",
    .size = sizeof(lock_home),
    .session = sizeof(lock_user),
    .create = lock_create,
    .same = lock_same,
    .request = lock_request,
    .cancel = lock_cancel,
    .gone = lock_gone,
    .destroy = lock_destroy,
    .describe = lock_describe,
    .feed = lock_feed_arrived,
    .forget = lock_forget,
};
SRI_OBJECT_CLASS(lock_class)
