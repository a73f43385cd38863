/* patterns/shared_home.c: what the homes of shared objects have in common. */
#include "patterns/shared_home.h"

#include "base/error.h"

#include <stdlib.h>
#include <string.h>

bool shared_item_set(shared_item **item, const void *bytes, size_t len)
{
    if (!*item || (*item)->len != len) {
        shared_item *fresh = malloc(sizeof *fresh + len);
        if (!fresh)
            return false;
        fresh->len = len;
        free(*item);
        *item = fresh;
    }
    if (len)
        memcpy((*item)->bytes, bytes, len);
    return true;
}

bool shared_home_found(sri_object *o, sri_asker who, const shared_wire_want *want,
                       const shared_item *item)
{
    shared_wire_found found = { .len = item->len };
    found.fits = want->exact ? item->len == want->cap : item->len <= want->cap;
    if (found.fits) {
        sri_home_reply(o, who, &found, sizeof found, item->bytes, item->len);
    } else {
        const char *of = sri_home_called(o);
        sri_home_reply(o, who, &found, sizeof found, of, strlen(of));
    }
    return found.fits;
}

void shared_home_done(sri_object *o, sri_asker who)
{
    sri_home_reply(o, who, NULL, 0, NULL, 0);
}

void shared_home_info(sri_object *o, sri_asker who, serry_type type, uint64_t n)
{
    shared_wire_info info = { .type = (uint32_t)type, .n = n };
    if (o->cls->session && !sri_home_session(o, who.rank))
        sri_home_refuse(o, who, SERRY_ENOMEM, "no memory for one more user");
    else
        sri_home_opened(o, who, &info, sizeof info);
}

void shared_home_no_memory(sri_object *o, sri_asker who, size_t len)
{
    sri_home_refuse(o, who, SERRY_ENOMEM, "no memory for %zu bytes", len);
}

void shared_home_unknown(sri_object *o, sri_asker who, uint16_t op, size_t len)
{
    sri_home_refuse(o, who, SERRY_EINVAL, "there is no operation %u of %zu bytes", op, len);
}

serry_err shared_home_type(uint32_t number, serry_type *type, size_t *size, sri_reduce_fn *sum)
{
    serry_type t = (serry_type)number;
    size_t n = sri_type_size(t);
    sri_reduce_fn fn = NULL;
    if (n == 0)
        return sri_fail(SERRY_EINVAL, "%u is not a type", number);
    if (t != SERRY_DOUBLE_INT)
        SRI_TRY(sri_reduce_find(t, SERRY_SUM, &fn, &n));
    *type = t;
    *size = n;
    *sum = fn;
    return SERRY_OK;
}

const char *shared_type_name(serry_type type)
{
    static const char *const names[] = {
        [SERRY_BYTE] = "BYTE",   [SERRY_INT32] = "INT32",   [SERRY_INT64] = "INT64",
        [SERRY_FLOAT] = "FLOAT", [SERRY_DOUBLE] = "DOUBLE", [SERRY_DOUBLE_INT] = "DOUBLE_INT",
    };
    return sri_type_size(type) ? names[type] : "unknown";
}
