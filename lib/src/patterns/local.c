/* patterns/local.c: objects as a member knows them. */
#include "patterns/local.h"

#include "base/error.h"
#include "core/service.h"

#include <stdlib.h>
#include <string.h>

void *sri_local_find(sri_locals *t, uint64_t id)
{
    if (t->last && t->last->id == id)
        return t->last;
    sri_local *l;
    HASH_FIND(hh, t->all, &id, sizeof id, l);
    if (l)
        t->last = l;
    return l;
}

static void local_free(sri_locals *t, sri_local *l)
{
    if (t->fini)
        t->fini(l);
    free(l->called);
    free(l);
}

static void local_remove(sri_locals *t, sri_local *l)
{
    l->destroyed = true;
    HASH_DELETE(hh, t->all, l);
    if (t->last == l)
        t->last = NULL;
    if (l->users == 0)
        local_free(t, l);
}

serry_err sri_local_use(sri_locals *t, uint64_t id, sri_local **out)
{
    sri_local *l = sri_local_find(t, id);
    if (!l) {
        l = calloc(1, t->size);
        if (!l)
            return sri_fail(SERRY_ENOMEM, "no memory for one more object");
        l->id = id;
        HASH_ADD(hh, t->all, id, sizeof l->id, l);
        if (!SRI_HASHED(hh, l)) {
            free(l);
            return sri_fail(SERRY_ENOMEM, "no memory for one more object");
        }
        t->last = l;
    }
    l->users++;
    *out = l;
    return SERRY_OK;
}

void sri_local_leave(sri_locals *t, sri_local *l)
{
    if (--l->users == 0 && l->destroyed)
        local_free(t, l);
}

serry_err sri_local_open(sri_local *l, uint16_t op, const void *args, size_t args_len, void *out,
                         size_t len)
{
    sri_reply reply = { 0 };
    serry_err e = sri_service_call(l->id, op, args, args_len, NULL, 0, &reply, SRI_NEVER);
    if (e == SERRY_OK)
        e = sri_local_name(l, reply.bytes, reply.len, len);
    if (e == SERRY_OK)
        memcpy(out, reply.bytes, len);
    sri_reply_fini(&reply);
    return e;
}

serry_err sri_local_name(sri_local *l, const uint8_t *bytes, size_t all, size_t len)
{
    char name[SRI_NAME] = "", text[SRI_CALLED];
    if (all < len || all - len >= sizeof name)
        return sri_fail(SERRY_EINTERNAL, "the answer to an open has %zu bytes", all);
    if (all > len)
        memcpy(name, bytes + len, all - len);
    if (!l->called)
        l->called = strdup(sri_called(l->id, name, sri_world.places.nodes, text));
    return l->called ? SERRY_OK : sri_fail(SERRY_ENOMEM, "no memory for one more object");
}

serry_err sri_local_fail(const sri_local *l, serry_err e, const char *fmt, ...)
{
    char text[SRI_CALLED];
    const char *of = l->called;
    if (!of)
        of = sri_called(l->id, NULL, sri_world.places.nodes, text);
    va_list ap;
    va_start(ap, fmt);
    sri_fail_of(e, of, fmt, ap);
    va_end(ap);
    return e;
}

serry_err sri_local_word(bool shared, uint32_t number, sri_atomic_u64 **word)
{
    sri_transport *t = sri_world.transport;
    *word = shared ? t->ops->cell(t, number) : NULL;
    return shared && !*word ? sri_fail(SERRY_EINTERNAL, "there is no cell %u", number) : SERRY_OK;
}

void sri_local_give_up(sri_locals *t, sri_local *l)
{
    if (l->users == 1 && !l->destroyed)
        sri_locals_forget(t, l->id);
    sri_local_leave(t, l);
}

void sri_locals_forget(sri_locals *t, uint64_t id)
{
    if (id) {
        sri_local *l = sri_local_find(t, id);
        if (l)
            local_remove(t, l);
        return;
    }
    sri_local *l, *next;
    HASH_ITER (hh, t->all, l, next) {
        l->users = 0; /* the threads of a parent are not here */
        local_remove(t, l);
    }
}
