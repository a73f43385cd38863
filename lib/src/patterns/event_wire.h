/* patterns/event_wire.h: what the users of an event and its home say to each other.
 *
 * The event's word, which the home writes and members only read:
 *
 *      63                    16 15      1   0
 *     |         times          |   tag   | set |   times: so often it was set, modulo 2^48; tag:
 *                                                   sri_handle_tag of the event; another one, or
 *                                                   none: the event was destroyed
 *
 * Where there is no word, and from other nodes, members ask (IS_SET, WAIT).
 */
#ifndef SRI_PATTERNS_EVENT_WIRE_H
#define SRI_PATTERNS_EVENT_WIRE_H

#include "agent/handle.h"
#include "agent/object.h"

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>

/* To the home; all requests. */
enum {
    EVENT_OP_OPEN = SRI_OP_OWN, /* answer: event_wire_opened */
    EVENT_OP_SET,
    EVENT_OP_CLEAR,
    EVENT_OP_IS_SET, /* answer: uint64_t */
    EVENT_OP_WAIT,   /* nothing, or uint64_t: the word when the wait began. Parked until it is set;
                        not if it has been set since */
};

typedef struct event_wire_opened {
    uint32_t word;   /* its number */
    uint32_t shared; /* there is a word */
} event_wire_opened;
static_assert(sizeof(event_wire_opened) == 8, "on the wire");

static inline uint64_t event_word(uint64_t id, uint64_t times, bool set)
{
    return times << 16 | (uint64_t)sri_handle_tag(id) << 1 | set;
}

static inline bool event_word_names(uint64_t word, uint64_t id)
{
    return (word >> 1 & 0x7fff) == sri_handle_tag(id);
}

/* It is set, or was since the wait began. */
static inline bool event_word_lets_go(uint64_t word, uint64_t began)
{
    return (word & 1) || word >> 16 != began >> 16;
}

/* The member's side of the class (event.c). */
void event_forget(uint64_t object);

#endif
