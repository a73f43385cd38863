/* patterns/queue_local.h: what a member keeps of a queue it uses: its two words, and the items that
 * were fed to it and not taken. All with the core entered. */
#ifndef SRI_PATTERNS_QUEUE_LOCAL_H
#define SRI_PATTERNS_QUEUE_LOCAL_H

#include "base/buffer.h"
#include "patterns/local.h"
#include "patterns/queue_wire.h"

typedef struct queue_local {
    sri_local local;
    uint64_t capacity;
    bool closed;
    bool lost; /* a fed item found no memory */

    /* As a writer. */
    bool writes;
    bool credited;          /* the last credit sought was there: more will come soon */
    sri_atomic_u64 *credit; /* NULL: no cell */
    bool far;               /* its home is on another node */
    uint64_t heard; /* far: how much this process had heard of others when the home last answered */

    /* As a reader. */
    bool reads;
    bool shared; /* word is a cell, else .own */
    bool ahead;  /* more comes without asking */
    sri_atomic_u64 *word;
    sri_atomic_u64 own;
    sri_buffer stock; /* entries; the next one begins at .at */
    size_t at;
} queue_local;

/* An item in stock; its bytes follow, padded to 8. */
typedef struct queue_entry {
    uint64_t len;
    uint32_t epoch;
    uint16_t seq;
    uint8_t ask;
    uint8_t reserved;
    uint8_t bytes[];
} queue_entry;

/* The queue of this handle with that role open; asks the home the first time. The caller is one of
 * its users until queue_local_leave. */
serry_err queue_local_use(uint64_t id, int role, queue_local **out);
void queue_local_leave(queue_local *l);

/* SERRY_EHANDLE if it was destroyed. */
serry_err queue_local_alive(const queue_local *l);

/* The next item that is still ours to take, or NULL: what was recalled is dropped. *word is the
 * reader's word it is valid for. */
const queue_entry *queue_local_next(queue_local *l, uint64_t *word);
void queue_local_pop(queue_local *l);
void queue_local_drop(queue_local *l); /* the whole stock */

#endif
