/* patterns/barrier_wire.h: what the parties of a barrier and its home say to each other. */
#ifndef SRI_PATTERNS_BARRIER_WIRE_H
#define SRI_PATTERNS_BARRIER_WIRE_H

#include "agent/object.h"
#include "base/fnref.h"

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>

/* What create sends, with the action's argument behind it; and the answer to an OPEN. */
typedef struct barrier_wire_settings {
    int32_t parties;
    uint32_t has_action;
    double timeout; /* seconds; 0: no limit */
    sri_fnref action;
    uint64_t arg_len;
} barrier_wire_settings;
static_assert(sizeof(barrier_wire_settings) == 40, "on the wire");

/* To the home; all requests. */
enum {
    BARRIER_OP_OPEN = SRI_OP_OWN, /* uint64_t: 1 if it was made or found by name. Answer:
                                     barrier_wire_settings and the argument */
    BARRIER_OP_ARRIVE,            /* parked until all are here; answer: barrier_wire_place */
    BARRIER_OP_DONE,              /* barrier_wire_done; answer: barrier_wire_place */
    BARRIER_OP_RESET,
    BARRIER_OP_ABORT,
    BARRIER_OP_STATE, /* answer: barrier_wire_state */
};

typedef struct barrier_wire_place {
    uint32_t index;
    uint32_t run;   /* all are here, and wait for you to run the action and say DONE */
    uint64_t round; /* of which this is the place */
} barrier_wire_place;
static_assert(sizeof(barrier_wire_place) == 16, "on the wire");

typedef struct barrier_wire_done {
    uint64_t round;
    int64_t result; /* of the action; 0: well */
} barrier_wire_done;
static_assert(sizeof(barrier_wire_done) == 16, "on the wire");

typedef struct barrier_wire_state {
    uint32_t waiting;
    uint32_t broken;
} barrier_wire_state;
static_assert(sizeof(barrier_wire_state) == 8, "on the wire");

/* The member's side of the class (barrier.c). */
void barrier_forget(uint64_t object);

#endif
