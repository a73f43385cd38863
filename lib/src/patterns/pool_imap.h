/* patterns/pool_imap.h: a lazy map under way: pool_imap.c reads its items, pool_results.c gives its
 * results. */
#ifndef SRI_PATTERNS_POOL_IMAP_H
#define SRI_PATTERNS_POOL_IMAP_H

#include "patterns/pool.h"

typedef struct imap_slot {
    struct imap_slot *prev, *next; /* among those to be taken, if unordered */
    struct imap_group *group;
    bool done;
    serry_err err;
    uint8_t *bytes; /* the result, or the text of the error; NULL: none */
    size_t len;
} imap_slot;

typedef struct imap_group {
    struct imap_group *prev, *next;
    pool_call call;
    serry_results *it;
    size_t first; /* index of its first item */
    size_t taken; /* slots whose results have been taken */
    imap_slot slot[];
} imap_group;

struct serry_results {
    int rank;         /* whose it is */
    serry_pool *pool; /* NULL: it has ended, or no more items are read */
    uint64_t pool_id;
    sri_fnref fn;
    serry_source_fn next;
    void *ctx;
    bool unordered;
    size_t in_flight, chunk, item_cap;
    size_t read;     /* items */
    size_t pending;  /* items read whose results have not been taken */
    serry_err ended; /* why the source is read no more: SERRY_ECLOSED, or the pool's error; OK: it
                        is read */
    bool reading;    /* a thread is in the source */
    bool freed;      /* and then sees to it that all this is freed */
    bool carried;    /* item has one that was read, of carried_len bytes */
    size_t carried_len;
    uint8_t *item;      /* item_cap bytes */
    uint8_t *items;     /* a group's */
    imap_group *groups; /* in the order of their items */
    imap_slot *done;    /* unordered: in the order in which they came */
};

/* With the core entered. Reads and sends what may be under way; false: the source has freed it. */
bool sri_imap_fill(serry_results *it);
/* Items are read while there is room for a whole group, or nothing is under way. */
bool sri_imap_may_read(const serry_results *it);
void sri_imap_free_group(serry_results *it, imap_group *g);
void sri_imap_free(serry_results *it);

#endif
