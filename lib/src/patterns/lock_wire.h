/* patterns/lock_wire.h: what the users of a lock and its home say to each other.
 *
 * All members of the node and the home share one word, changed by compare-and-swap only:
 *
 *      63 62     48 47    34  33   32  31          0
 *     |  |   tag   |        | died | w |   owner    |   owner: rank + 1, 0: nobody
 *
 *     free       owner 0; or died, and owner is whose death the next holder is told of
 *     held       owner, not died
 *     w          somebody is parked at the home: only the home changes the owner
 *
 * A member takes a free word without w, and frees its own without w; all else is a message. The
 * word says which process holds the lock, the process's own record which thread, and how deep.
 * A word with another tag is another object's: the lock was destroyed.
 *
 * Where there is no shared word the home keeps it alone, and all steps are messages; so are those
 * of members of other nodes.
 */
#ifndef SRI_PATTERNS_LOCK_WIRE_H
#define SRI_PATTERNS_LOCK_WIRE_H

#include "agent/handle.h"
#include "agent/object.h"

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* To the home. */
enum {
    LOCK_OP_OPEN = SRI_OP_OWN, /* request; answer: lock_wire_opened */
    LOCK_OP_ACQUIRE,           /* request; parked until it is granted: SERRY_OK or _EOWNERDIED */
    LOCK_OP_RELEASE,           /* request: I let go what I hold */
    LOCK_OP_ABANDON,           /* post: the thread that held it here has ended */
};

/* Settings, as create sends them. */
typedef struct lock_wire_settings {
    uint64_t recursive;
} lock_wire_settings;

typedef struct lock_wire_opened {
    uint32_t cell;
    uint8_t shared; /* there is one */
    uint8_t recursive;
    uint8_t reserved[2];
} lock_wire_opened;
static_assert(sizeof(lock_wire_opened) == 8, "on the wire");

/* Fed to a member that has left while it held the lock: it holds it no more. */
typedef struct lock_wire_lost {
    uint64_t reserved;
} lock_wire_lost;

/* The member's side of the class (lock_local.c). */
void lock_feed_arrived(uint64_t object, const uint8_t *bytes, size_t len);
void lock_forget(uint64_t object);

/* ---- the word ---- */

#define LOCK_OWNER UINT64_C(0xffffffff)
#define LOCK_WAITERS (UINT64_C(1) << 32)
#define LOCK_DIED (UINT64_C(1) << 33)
#define LOCK_TAG_SHIFT 48

static inline uint64_t lock_word(uint64_t id, int rank)
{
    return (uint64_t)sri_handle_tag(id) << LOCK_TAG_SHIFT | (uint64_t)((int64_t)rank + 1);
}

static inline uint64_t lock_word_free(uint64_t id)
{
    return lock_word(id, -1);
}

/* -1: nobody. Of a word with DIED: who held it last. */
static inline int lock_owner(uint64_t word)
{
    return (int)((int64_t)(word & LOCK_OWNER) - 1);
}

static inline bool lock_is_free(uint64_t word)
{
    return (word & LOCK_DIED) || (word & LOCK_OWNER) == 0;
}

/* Why it is not to be had, as far as the word tells: home and members say the same. */
static inline void lock_why(uint64_t word, char *text, size_t cap)
{
    if (lock_is_free(word))
        snprintf(text, cap, "awaited by others");
    else
        snprintf(text, cap, "held by rank %d", lock_owner(word));
}

#endif
