/* patterns/shared.c: what the public calls of shared objects have in common. */
#include "patterns/shared_call.h"

#include "core/reduce.h"

#include <string.h>

typedef struct shared_local {
    sri_local local;
    bool known;
    shared_form form;
} shared_local;

/* Values and arrays used by this process. */
static sri_locals shared_locals = { .size = sizeof(shared_local) };

void shared_forget(uint64_t object)
{
    sri_locals_forget(&shared_locals, object);
}

serry_err shared_expect(const sri_reply *reply, void *out, size_t n)
{
    if (reply->len != n)
        return sri_fail(SERRY_EINTERNAL, "an answer of %zu bytes, not %zu", reply->len, n);
    if (n)
        memcpy(out, reply->bytes, n);
    return SERRY_OK;
}

static serry_err shared_ask(shared_local *l)
{
    sri_reply reply = { 0 };
    shared_wire_info info;
    serry_err e =
        sri_service_call(l->local.id, SHARED_OP_INFO, NULL, 0, NULL, 0, &reply, SRI_NEVER);
    if (e == SERRY_OK)
        e = sri_local_name(&l->local, reply.bytes, reply.len, sizeof info);
    if (e == SERRY_OK) {
        memcpy(&info, reply.bytes, sizeof info);
        l->form = (shared_form){ .type = (serry_type)info.type, .n = info.n };
        l->form.local = &l->local;
        l->form.size = sri_type_size(l->form.type);
        l->known = l->form.size != 0;
        if (!l->known)
            e = sri_fail(SERRY_EINTERNAL, "%u is not a type", info.type);
    }
    sri_reply_fini(&reply);
    return e;
}

serry_err shared_learn(uint64_t id, unsigned type, shared_form *form)
{
    sri_local *use;
    SRI_TRY(sri_service_check(id, type));
    shared_local *l = sri_local_find(&shared_locals, id);
    if (l && l->known) {
        *form = l->form;
        return SERRY_OK;
    }
    SRI_TRY(sri_local_use(&shared_locals, id, &use));
    l = (shared_local *)use;
    serry_err e = shared_ask(l);
    if (e == SERRY_OK)
        *form = l->form;
    else if (!use->destroyed)
        sri_locals_forget(&shared_locals, id); /* it names nothing: nobody will say so later */
    sri_local_leave(&shared_locals, use);
    return e;
}

serry_err shared_create(unsigned type, const serry_shared_options *o, const void *args, size_t len,
                        uint64_t *id)
{
    serry_shared_options none = { 0 };
    if (!o)
        o = &none;
    SRI_TRY(sri_enter());
    serry_err e = sri_service_create(type, o->name, o->node, args, len, id);
    sri_leave();
    return e;
}

serry_err shared_destroy(uint64_t id, unsigned type)
{
    SRI_TRY(sri_enter());
    serry_err e = sri_service_check(id, type);
    if (e == SERRY_OK)
        e = sri_service_destroy(id);
    sri_leave();
    return e;
}

serry_err shared_call(uint64_t id, unsigned type, uint16_t op, const void *args, size_t args_len,
                      const void *body, size_t len, sri_reply *reply)
{
    SRI_TRY(sri_enter());
    serry_err e = sri_service_check(id, type);
    char of[SRI_CALLED];
    if (e == SERRY_OK && len > sri_world.max_message)
        e = sri_fail(SERRY_ELIMIT, "%s: %zu bytes, the limit is %llu",
                     sri_called(id, NULL, sri_world.places.nodes, of), len,
                     (unsigned long long)sri_world.max_message);
    if (e == SERRY_OK)
        e = sri_service_call(id, op, args, args_len, body, len, reply, SRI_NEVER);
    sri_leave();
    return e;
}

serry_err shared_len(uint64_t id, unsigned type, size_t *n)
{
    sri_reply reply = { 0 };
    shared_wire_info info;
    serry_err e = shared_call(id, type, SHARED_OP_INFO, NULL, 0, NULL, 0, &reply);
    if (e == SERRY_OK && reply.len < sizeof info)
        e = sri_fail(SERRY_EINTERNAL, "an answer of %zu bytes", reply.len);
    if (e == SERRY_OK && n) {
        memcpy(&info, reply.bytes, sizeof info);
        *n = (size_t)info.n;
    }
    sri_reply_fini(&reply);
    return e;
}

/* What is behind the head of an answer is how the object is called. */
static serry_err shared_misfit(const sri_reply *reply, serry_err e, const char *fmt, ...)
{
    char of[SRI_CALLED] = "";
    size_t n = reply->len - sizeof(shared_wire_found);
    memcpy(of, reply->bytes + sizeof(shared_wire_found), n < sizeof of ? n : sizeof of - 1);
    va_list ap;
    va_start(ap, fmt);
    sri_fail_of(e, of, fmt, ap);
    va_end(ap);
    return e;
}

serry_err shared_take(const sri_reply *reply, const char *what, void *out, size_t cap, size_t *len)
{
    shared_wire_found found;
    if (reply->len < sizeof found)
        return sri_fail(SERRY_EINTERNAL, "an answer of %zu bytes", reply->len);
    memcpy(&found, reply->bytes, sizeof found);
    size_t n = (size_t)found.len;
    if (!found.fits && !len)
        return shared_misfit(reply, SERRY_EINVAL, "the %s has %zu bytes, %zu are expected", what, n,
                             cap);
    if (!found.fits) {
        *len = n;
        return shared_misfit(reply, SERRY_ETRUNC, "the %s has %zu bytes, the buffer %zu", what, n,
                             cap);
    }
    if (n > cap || reply->len - sizeof found != n)
        return sri_fail(SERRY_EINTERNAL, "%zu bytes of an answer of %zu", n, reply->len);
    if (n)
        memcpy(out, reply->bytes + sizeof found, n);
    if (len)
        *len = n;
    return SERRY_OK;
}
