/* patterns/shared_dict_home.c: a dict at its home. The hash table keeps its entries in the order in
 * which they came. */
#include "base/hash.h"
#include "patterns/shared_home.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct dict_entry {
    UT_hash_handle hh;
    shared_item *value;
    uint32_t len;
    char key[]; /* len bytes and a 0 */
} dict_entry;

typedef struct dict_home {
    sri_object object;
    dict_entry *entries;
    size_t key_bytes; /* of all, with their ends */
} dict_home;

static dict_home *dict_of(sri_object *o)
{
    return (dict_home *)o;
}

static dict_entry *dict_find(dict_home *d, const void *key, size_t len)
{
    dict_entry *e;
    HASH_FIND(hh, d->entries, key, (unsigned)len, e);
    return e;
}

/* A new last one. NULL: no memory. */
static dict_entry *dict_add(dict_home *d, const void *key, size_t len, shared_item *value)
{
    dict_entry *e = calloc(1, sizeof *e + len + 1);
    if (!e)
        return NULL;
    e->value = value;
    e->len = (uint32_t)len;
    memcpy(e->key, key, len);
    HASH_ADD_KEYPTR(hh, d->entries, e->key, (unsigned)len, e);
    if (!SRI_HASHED(hh, e)) {
        free(e);
        return NULL;
    }
    d->key_bytes += len + 1;
    return e;
}

static void dict_remove(dict_home *d, dict_entry *e)
{
    d->key_bytes -= e->len + 1;
    HASH_DELETE(hh, d->entries, e);
    free(e->value);
    free(e);
}

static void dict_clear(dict_home *d)
{
    dict_entry *e = d->entries;
    HASH_CLEAR(hh, d->entries);
    while (e) {
        dict_entry *next = e->hh.next;
        free(e->value);
        free(e);
        e = next;
    }
    d->key_bytes = 0;
}

static bool dict_key_fits(const uint8_t *key, uint64_t len)
{
    return len >= 1 && len <= SERRY_KEY_MAX && !memchr(key, 0, len);
}

static bool dict_store(dict_home *d, dict_entry *e, const uint8_t *key, size_t key_len,
                       const uint8_t *bytes, size_t len)
{
    if (e)
        return shared_item_set(&e->value, bytes, len);
    shared_item *value = NULL;
    if (shared_item_set(&value, bytes, len) && dict_add(d, key, key_len, value))
        return true;
    free(value);
    return false;
}

/* ---- operations ---- */

static void dict_put(dict_home *d, sri_asker who, const uint8_t *bytes, size_t len)
{
    shared_wire_put put = { 0 };
    size_t head = sizeof put;
    if (len >= head)
        memcpy(&put, bytes, sizeof put);
    if (len < head || put.key_len > SERRY_KEY_MAX || len - head < shared_padded(put.key_len)
        || !dict_key_fits(bytes + head, put.key_len)) {
        shared_home_unknown(&d->object, who, SHARED_OP_SET, len);
        return;
    }
    const uint8_t *key = bytes + head;
    head += shared_padded(put.key_len);
    dict_entry *e = dict_find(d, key, put.key_len);
    if (dict_store(d, e, key, put.key_len, bytes + head, len - head))
        shared_home_done(&d->object, who);
    else
        shared_home_no_memory(&d->object, who, len - head);
}

static bool dict_is(const dict_entry *e, const shared_wire_compare_put *c, const uint8_t *expected)
{
    if (!e || c->absent)
        return !e && c->absent;
    return e->value->len == c->expected_len
           && memcmp(e->value->bytes, expected, c->expected_len) == 0;
}

static void dict_compare(dict_home *d, sri_asker who, const uint8_t *bytes, size_t len)
{
    shared_wire_compare_put c = { 0 };
    size_t head = sizeof c;
    if (len >= head)
        memcpy(&c, bytes, sizeof c);
    uint64_t keys = shared_padded(c.key_len);
    if (len < head || len - head < keys || c.expected_len > len - head - keys
        || shared_padded(c.expected_len) > len - head - keys
        || !dict_key_fits(bytes + head, c.key_len)) {
        shared_home_unknown(&d->object, who, SHARED_OP_COMPARE, len);
        return;
    }
    const uint8_t *key = bytes + head, *expected = key + keys;
    head += keys + shared_padded(c.expected_len);
    dict_entry *e = dict_find(d, key, c.key_len);
    uint64_t done = dict_is(e, &c, expected);
    if (done && !dict_store(d, e, key, c.key_len, bytes + head, len - head))
        shared_home_no_memory(&d->object, who, len - head);
    else
        sri_home_reply(&d->object, who, &done, sizeof done, NULL, 0);
}

/* The entry of the key that a request brings; refuses it if there is none. */
static dict_entry *dict_asked(dict_home *d, sri_asker who, const uint8_t *key, size_t len)
{
    dict_entry *e = dict_find(d, key, len);
    if (!e)
        sri_home_refuse(&d->object, who, SERRY_ENOKEY, "no key '%.*s'%s", len > 80 ? 80 : (int)len,
                        (const char *)key, len > 80 ? " and so on" : "");
    return e;
}

static void dict_keys(dict_home *d, sri_asker who)
{
    shared_wire_keys head = { .n = HASH_COUNT(d->entries) };
    char *all = malloc(d->key_bytes ? d->key_bytes : 1), *at = all;
    if (!all) {
        shared_home_no_memory(&d->object, who, d->key_bytes);
        return;
    }
    for (const dict_entry *e = d->entries; e; e = e->hh.next) {
        memcpy(at, e->key, e->len + 1);
        at += e->len + 1;
    }
    sri_home_reply(&d->object, who, &head, sizeof head, all, d->key_bytes);
    free(all);
}

static void dict_request(sri_object *o, sri_asker who, uint16_t op, const uint8_t *bytes,
                         size_t len)
{
    dict_home *d = dict_of(o);
    shared_wire_want want;
    dict_entry *e;
    switch (op) {
    case SHARED_OP_GET:
        if (len < sizeof want)
            break;
        memcpy(&want, bytes, sizeof want);
        e = dict_asked(d, who, bytes + sizeof want, len - sizeof want);
        if (e)
            shared_home_found(o, who, &want, e->value);
        return;
    case SHARED_OP_DELETE:
        e = dict_asked(d, who, bytes, len);
        if (e) {
            dict_remove(d, e);
            shared_home_done(o, who);
        }
        return;
    case SHARED_OP_SET:
        dict_put(d, who, bytes, len);
        return;
    case SHARED_OP_COMPARE:
        dict_compare(d, who, bytes, len);
        return;
    case SHARED_OP_KEYS:
        dict_keys(d, who);
        return;
    case SHARED_OP_INFO:
        shared_home_info(o, who, 0, HASH_COUNT(d->entries));
        return;
    case SHARED_OP_CLEAR:
        dict_clear(d);
        shared_home_done(o, who);
        return;
    }
    shared_home_unknown(o, who, op, len);
}

static void dict_destroy(sri_object *o)
{
    dict_clear(dict_of(o));
}

static void dict_describe(sri_object *o, char *text, size_t cap)
{
    unsigned n = HASH_COUNT(dict_of(o)->entries);
    snprintf(text, cap, "%s: %u key%s", sri_home_called(o), n, n == 1 ? "" : "s");
}

static const sri_object_class dict_class = {
    .type = SRI_TYPE_DICT,
    .name = "dict",
    .size = sizeof(dict_home),
    .request = dict_request,
    .destroy = dict_destroy,
    .describe = dict_describe,
};
SRI_OBJECT_CLASS(dict_class)
