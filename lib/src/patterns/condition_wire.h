/* patterns/condition_wire.h: what the users of a condition and its home say to each other.
 *
 * A wait is ENTER, answered with a ticket; then the lock is let go; then AWAIT with the ticket,
 * parked until it is notified; then the lock is taken back; then DONE. A ticket that was notified
 * and not done when its member dies hands its notify on to the next in line.
 *
 * Members and home share one word, which only the home writes:
 *
 *      63 62     48 47    32 31          0
 *     |  |   tag   |        |   waiting   |   tickets not notified, at most 2^32 - 1
 *
 * A notifier that reads 0 has nobody to notify: who waits has entered before it let the lock go
 * that the notifier holds. Where there is no word, and from other nodes, each notify is a message.
 */
#ifndef SRI_PATTERNS_CONDITION_WIRE_H
#define SRI_PATTERNS_CONDITION_WIRE_H

#include "agent/handle.h"
#include "agent/object.h"

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>

/* To the home. The argument of all but OPEN and ENTER is one uint64_t. */
enum {
    CONDITION_OP_OPEN = SRI_OP_OWN, /* answer: condition_wire_opened */
    CONDITION_OP_ENTER,             /* answer: uint64_t, the ticket: last in line */
    CONDITION_OP_AWAIT,             /* ticket; parked until it is notified */
    CONDITION_OP_DONE,              /* post: ticket; the wait is over, the lock is held */
    CONDITION_OP_LEAVE,             /* post: ticket; it will not be awaited */
    CONDITION_OP_NOTIFY,            /* how many */
};

#define CONDITION_ALL UINT64_MAX

/* Settings, as create sends them. */
typedef struct condition_wire_settings {
    uint64_t lock;
} condition_wire_settings;

typedef struct condition_wire_opened {
    uint64_t lock;
    uint32_t cell;
    uint8_t shared; /* there is one */
    uint8_t reserved[3];
} condition_wire_opened;
static_assert(sizeof(condition_wire_opened) == 16, "on the wire");

/* The member's side of the class (condition.c). */
void condition_forget(uint64_t object);

static inline uint64_t condition_word(uint64_t id, uint32_t waiting)
{
    return (uint64_t)sri_handle_tag(id) << 48 | waiting;
}

#endif
