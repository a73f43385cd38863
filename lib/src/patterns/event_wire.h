/* patterns/event_wire.h: what the users of an event and its home say to each other.
 *
 * The event's word, which members of the home's node and the home step on:
 *
 *        63   62            16 15      1   0
 *     | home |     times     |   tag   | set |   home: somebody waits there, who sets it must tell
 *                                                it; times: so often it was set, modulo 2^47; tag:
 *                                                sri_handle_tag of the event; another one, or none:
 *                                                the event was destroyed
 *
 * Who waits sleeps at the low half of the word, where each set and clear shows. Where there is no
 * word, and from other nodes, members ask (SET, CLEAR, IS_SET, WAIT).
 */
#ifndef SRI_PATTERNS_EVENT_WIRE_H
#define SRI_PATTERNS_EVENT_WIRE_H

#include "agent/handle.h"
#include "agent/object.h"

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>

/* To the home; requests, but for WAS_SET. */
enum {
    EVENT_OP_OPEN = SRI_OP_OWN, /* answer: event_wire_opened */
    EVENT_OP_SET,
    EVENT_OP_CLEAR,
    EVENT_OP_IS_SET,  /* answer: uint64_t */
    EVENT_OP_WAIT,    /* nothing, or uint64_t: the word when the wait began. Parked until it is set;
                         not if it has been set since */
    EVENT_OP_WAS_SET, /* post: by a step on the word */
};

typedef struct event_wire_opened {
    uint32_t word;   /* its number */
    uint32_t shared; /* there is a word */
} event_wire_opened;
static_assert(sizeof(event_wire_opened) == 8, "on the wire");

#define EVENT_SET UINT64_C(1)
#define EVENT_TIMES_ONE (UINT64_C(1) << 16)
#define EVENT_HOME (UINT64_C(1) << 63)

/* Never set, nobody waits. */
static inline uint64_t event_word_new(uint64_t id)
{
    return (uint64_t)sri_handle_tag(id) << 1;
}

static inline bool event_word_names(uint64_t word, uint64_t id)
{
    return (word >> 1 & 0x7fff) == sri_handle_tag(id);
}

static inline uint64_t event_word_times(uint64_t word)
{
    return (word & ~EVENT_HOME) / EVENT_TIMES_ONE;
}

/* It is set, or was since the wait began. */
static inline bool event_word_lets_go(uint64_t word, uint64_t began)
{
    return (word & EVENT_SET) || event_word_times(word) != event_word_times(began);
}

/* The member's side of the class (event.c). */
void event_forget(uint64_t object);

#endif
