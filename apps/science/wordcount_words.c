/* wordcount_words.c: a hash table of words, packed and unpacked. */
#include "wordcount_words.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static _Noreturn void words_no_memory(void)
{
    fputs("wordcount: out of memory\n", stderr);
    exit(1);
}

#define uthash_fatal(text) words_no_memory()
#include <uthash.h>

typedef struct word {
    UT_hash_handle hh;
    uint64_t count;
    size_t len;
    char text[];
} word;

void words_add(words *w, const char *text, size_t len, uint64_t count)
{
    word *found;
    unsigned hash;
    HASH_VALUE(text, len, hash);
    HASH_FIND_BYHASHVALUE(hh, w->table, text, len, hash, found);
    if (found) {
        found->count += count;
        return;
    }
    word *new = malloc(sizeof *new + len);
    if (!new)
        words_no_memory();
    new->count = count;
    new->len = len;
    memcpy(new->text, text, len);
    HASH_ADD_KEYPTR_BYHASHVALUE(hh, w->table, new->text, len, hash, new);
}

void words_free(words *w)
{
    word *each, *next;
    HASH_ITER (hh, w->table, each, next) {
        HASH_DELETE(hh, w->table, each);
        free(each);
    }
}

size_t words_pack(const words *w, uint8_t *out)
{
    uint8_t *at = out;
    for (const word *each = w->table; each; each = each->hh.next) {
        memcpy(at, each->text, each->len);
        at += each->len;
        for (uint64_t count = each->count; count; count >>= 7)
            *at++ = (uint8_t)(0x80 | (count & 0x7f));
    }
    return (size_t)(at - out);
}

bool words_merge(words *w, const uint8_t *packed, size_t len)
{
    size_t at = 0;
    while (at < len) {
        size_t first = at;
        while (at < len && packed[at] < 0x80)
            at++;
        size_t letters = at - first;
        uint64_t count = 0;
        for (unsigned shift = 0; at < len && packed[at] >= 0x80 && shift < 64; shift += 7)
            count |= (uint64_t)(packed[at++] & 0x7f) << shift;
        if (letters == 0 || count == 0)
            return false;
        words_add(w, (const char *)packed + first, letters, count);
    }
    return true;
}

static int words_compare(const word *a, const word *b)
{
    if (a->count != b->count)
        return a->count > b->count ? -1 : 1;
    int order = memcmp(a->text, b->text, a->len < b->len ? a->len : b->len);
    if (order)
        return order;
    return a->len < b->len ? -1 : 1;
}

void words_print(words *w, FILE *to, size_t top)
{
    HASH_SORT(w->table, words_compare);
    for (const word *each = w->table; each && top; each = each->hh.next, top--) {
        fprintf(to, "%" PRIu64 " ", each->count);
        fwrite(each->text, 1, each->len, to);
        putc('\n', to);
    }
}
