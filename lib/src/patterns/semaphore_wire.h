/* patterns/semaphore_wire.h: what the users of a semaphore and its home say to each other.
 *
 * A member's cell says how many permits lie with it, free ones and those it holds:
 *
 *      63 62    48 47   40 39      20 19       0
 *     |  |  tag   | flags |   held   |   free   |   tag: sri_handle_tag of the semaphore; none: the
 *                                                   cell is no more, ask for another (OPEN)
 *
 * An acquire moves one from free to held, a release moves it back; the home adds permits and takes
 * free ones away. All by compare-and-swap. In a counter held is not kept: an acquire takes one from
 * free, a release adds one to it.
 *
 * Where there is no cell, and where there is nothing in it to move, members ask.
 */
#ifndef SRI_PATTERNS_SEMAPHORE_WIRE_H
#define SRI_PATTERNS_SEMAPHORE_WIRE_H

#include "agent/handle.h"
#include "agent/object.h"

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct sem_wire_settings {
    int32_t value;
    uint32_t bounded;
} sem_wire_settings;
static_assert(sizeof(sem_wire_settings) == 8, "on the wire");

/* To the home. Requests, unless said otherwise. */
enum {
    SEM_OP_OPEN = SRI_OP_OWN, /* answer: sem_wire_opened */
    SEM_OP_ACQUIRE,           /* parked until there is a permit, which is then counted as held */
    SEM_OP_RELEASE,           /* of a permit that the home knows of, or one more */
    SEM_OP_LOOK,              /* post: somebody waits, and there is a free permit in my cell */
    SEM_OP_VALUE,             /* answer: int64_t */
};

typedef struct sem_wire_opened {
    uint32_t cell;   /* its number */
    uint32_t shared; /* there is a cell */
} sem_wire_opened;
static_assert(sizeof(sem_wire_opened) == 8, "on the wire");

#define SEM_CELL_MAX UINT64_C(0xfffff) /* permits in a cell, free and held together */
#define SEM_CELL_LOCAL 4095u           /* of a counter: more are not kept in a cell by releases */
#define SEM_FREE_ONE UINT64_C(1)
#define SEM_HELD_ONE (UINT64_C(1) << 20)
/* Somebody waits: acquire by asking, LOOK after a release. */
#define SEM_WAITED (UINT64_C(1) << 40)
#define SEM_COUNTER (UINT64_C(1) << 41) /* held is not kept */
#define SEM_CHECKED (UINT64_C(1) << 42) /* release by asking */

static inline uint32_t sem_cell_free(uint64_t word)
{
    return (uint32_t)(word & SEM_CELL_MAX);
}

static inline uint32_t sem_cell_held(uint64_t word)
{
    return (uint32_t)(word >> 20 & SEM_CELL_MAX);
}

/* An empty cell, no flags. */
static inline uint64_t sem_cell_of(uint64_t id)
{
    return (uint64_t)sri_handle_tag(id) << 48;
}

/* The member's side of the class (semaphore.c). */
void sem_forget(uint64_t object);

#endif
