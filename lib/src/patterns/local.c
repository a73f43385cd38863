/* patterns/local.c: objects as a member knows them. */
#include "patterns/local.h"

#include "base/error.h"

#include <stdlib.h>

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

void sri_locals_forget(sri_locals *t, uint64_t id)
{
    if (id) {
        sri_local *l = sri_local_find(t, id);
        if (l)
            local_remove(t, l);
        return;
    }
    sri_local *l, *next;
    HASH_ITER(hh, t->all, l, next) {
        l->users = 0; /* the threads of a parent are not here */
        local_remove(t, l);
    }
}
