/* patterns/shared_dict.c: the public calls of dicts. */
#include "base/buffer.h"
#include "patterns/shared_call.h"

#include <stdlib.h>
#include <string.h>

static serry_err dict_key(const char *key, size_t *len)
{
    if (!key)
        return sri_fail(SERRY_EINVAL, "a key at NULL");
    *len = strnlen(key, SERRY_KEY_MAX + 1);
    if (*len == 0)
        return sri_fail(SERRY_EINVAL, "a key has at least one byte");
    if (*len > SERRY_KEY_MAX)
        return sri_fail(SERRY_ELIMIT, "a key of more than %d bytes", SERRY_KEY_MAX);
    return SERRY_OK;
}

serry_err serry_dict_create(serry_dict *d, const serry_shared_options *o)
{
    if (!d)
        return sri_fail(SERRY_EINVAL, "no place for the handle");
    return shared_create(SRI_TYPE_DICT, o, NULL, 0, &d->id);
}

serry_err serry_dict_len(serry_dict d, size_t *n)
{
    return shared_len(d.id, SRI_TYPE_DICT, n);
}

serry_err serry_dict_put(serry_dict d, const char *key, const void *val, size_t len)
{
    struct {
        shared_wire_put head;
        char key[SERRY_KEY_MAX + 1];
    } args;
    size_t n;
    SRI_TRY(dict_key(key, &n));
    if (!val && len)
        return sri_fail(SERRY_EINVAL, "a value of %zu bytes at NULL", len);
    args.head.key_len = n;
    memset(args.key + (n & ~(size_t)7), 0, 8);
    memcpy(args.key, key, n);
    return shared_call(d.id, SRI_TYPE_DICT, SHARED_OP_SET, &args,
                       sizeof args.head + shared_padded(n), val, len, NULL);
}

serry_err serry_dict_get(serry_dict d, const char *key, void *val, size_t cap, size_t *len)
{
    sri_reply reply = { 0 };
    shared_wire_want want = { .cap = cap, .exact = !len };
    size_t n;
    SRI_TRY(dict_key(key, &n));
    if (!val && cap)
        return sri_fail(SERRY_EINVAL, "a buffer of %zu bytes at NULL", cap);
    serry_err e =
        shared_call(d.id, SRI_TYPE_DICT, SHARED_OP_GET, &want, sizeof want, key, n, &reply);
    if (e == SERRY_OK)
        e = shared_take(&reply, "value", val, cap, len);
    sri_reply_fini(&reply);
    return e;
}

serry_err serry_dict_del(serry_dict d, const char *key)
{
    size_t n;
    SRI_TRY(dict_key(key, &n));
    return shared_call(d.id, SRI_TYPE_DICT, SHARED_OP_DELETE, NULL, 0, key, n, NULL);
}

/* Appends bytes and zeros up to a multiple of 8. */
static serry_err dict_add_padded(sri_buffer *b, const void *bytes, size_t n)
{
    static const uint64_t zeros = 0;
    SRI_TRY(sri_buffer_add(b, bytes, n));
    return sri_buffer_add(b, &zeros, shared_padded(n) - n);
}

static serry_err dict_compare_entered(serry_dict d, const sri_buffer *args, size_t expected_len,
                                      const void *val, size_t len, sri_reply *reply)
{
    SRI_TRY(sri_service_check(d.id, SRI_TYPE_DICT));
    if (len > sri_world.max_message || expected_len > sri_world.max_message - len)
        return sri_fail(SERRY_ELIMIT, "values of %zu and %zu bytes: the limit is %llu together",
                        expected_len, len, (unsigned long long)sri_world.max_message);
    return sri_service_call(d.id, SHARED_OP_COMPARE, args->data, args->len, val, len, reply,
                            SRI_NEVER);
}

serry_err serry_dict_compare_put(serry_dict d, const char *key, const void *expected,
                                 size_t expected_len, const void *val, size_t len, bool *done)
{
    sri_reply reply = { 0 };
    sri_buffer args = { 0 };
    size_t n;
    uint64_t was;
    SRI_TRY(dict_key(key, &n));
    if ((!val && len) || (!expected && expected_len))
        return sri_fail(SERRY_EINVAL, "a value of %zu bytes at NULL", val ? expected_len : len);
    SRI_TRY(sri_enter());
    shared_wire_compare_put head = { .key_len = (uint32_t)n,
                                     .absent = !expected,
                                     .expected_len = expected_len };
    serry_err e = sri_buffer_add(&args, &head, sizeof head);
    if (e == SERRY_OK)
        e = dict_add_padded(&args, key, n);
    if (e == SERRY_OK && expected_len <= sri_world.max_message) /* else refused below */
        e = dict_add_padded(&args, expected, expected_len);
    if (e == SERRY_OK)
        e = dict_compare_entered(d, &args, expected_len, val, len, &reply);
    if (e == SERRY_OK)
        e = shared_expect(&reply, &was, sizeof was);
    sri_leave();
    if (e == SERRY_OK && done)
        *done = was != 0;
    sri_buffer_fini(&args);
    sri_reply_fini(&reply);
    return e;
}

/* One piece of memory: the pointers, a NULL, the strings. */
static serry_err dict_strings(const sri_reply *reply, char ***keys, size_t *n)
{
    shared_wire_keys head;
    if (reply->len < sizeof head)
        return sri_fail(SERRY_EINTERNAL, "an answer of %zu bytes", reply->len);
    memcpy(&head, reply->bytes, sizeof head);
    size_t count = (size_t)head.n, left = reply->len - sizeof head;
    if (count > left / 2)
        return sri_fail(SERRY_EINTERNAL, "%zu keys in %zu bytes", count, left);
    char **all = malloc((count + 1) * sizeof *all + left);
    if (!all)
        return sri_fail(SERRY_ENOMEM, "no memory for %zu keys", count);
    char *at = (char *)(all + count + 1);
    if (left)
        memcpy(at, reply->bytes + sizeof head, left);
    for (size_t i = 0; i < count; i++) {
        char *end = memchr(at, 0, left);
        if (!end) {
            free(all);
            return sri_fail(SERRY_EINTERNAL, "%zu of %zu keys have come", i, count);
        }
        all[i] = at;
        left -= (size_t)(end + 1 - at);
        at = end + 1;
    }
    all[count] = NULL;
    *keys = all;
    *n = count;
    return SERRY_OK;
}

serry_err serry_dict_keys(serry_dict d, char ***keys, size_t *n)
{
    sri_reply reply = { 0 };
    size_t count = 0;
    if (!keys)
        return sri_fail(SERRY_EINVAL, "no place for the keys");
    serry_err e = shared_call(d.id, SRI_TYPE_DICT, SHARED_OP_KEYS, NULL, 0, NULL, 0, &reply);
    if (e == SERRY_OK)
        e = dict_strings(&reply, keys, &count);
    if (e == SERRY_OK && n)
        *n = count;
    sri_reply_fini(&reply);
    return e;
}

void serry_strings_free(char **keys, size_t n)
{
    (void)n;
    free(keys);
}

serry_err serry_dict_clear(serry_dict d)
{
    return shared_call(d.id, SRI_TYPE_DICT, SHARED_OP_CLEAR, NULL, 0, NULL, 0, NULL);
}

serry_err serry_dict_destroy(serry_dict d)
{
    return shared_destroy(d.id, SRI_TYPE_DICT);
}
