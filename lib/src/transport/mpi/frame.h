/* transport/mpi/frame.h: a frame as an MPI message, and the lists of slots. One frame is one
 * message whose tag says what it is:
 *
 *     aux << 15 | tail << 14 | flags << 10 | kind << 6 | number of the frame mod 64
 *
 * A short message of the user's is thus no longer than MPI's own would be. What does not fit there
 * comes behind the bytes: with `tail` set the aux (8 bytes), with kind 0 aux, kind and flags (16).
 */
#ifndef SRI_MPI_FRAME_H
#define SRI_MPI_FRAME_H

#include "transport/mpi/private.h"

#include <assert.h>

#define FAR_NUMBERS 64u
#define FAR_TAIL (1u << 14)
#define FAR_AUX_SHIFT 15
#define FAR_TAG_BITS 15 /* that MPI promises */

static_assert(MPI_FAR_PENDING + MPI_FAR_HELD < FAR_NUMBERS, "numbers are unambiguous");

/* What is behind the bytes of a frame of kind 0. */
typedef struct far_tail {
    uint64_t aux;
    uint8_t kind;
    uint8_t flags;
    uint8_t zero[6];
} far_tail;

static_assert(sizeof(far_tail) == 16, "the longest tail");

static inline void far_append(far_list *l, far_slot *s)
{
    s->next = NULL;
    s->prev = l->last;
    if (l->last)
        l->last->next = s;
    else
        l->first = s;
    l->last = s;
    l->n++;
}

static inline void far_remove(far_list *l, far_slot *s)
{
    if (s->prev)
        s->prev->next = s->next;
    else
        l->first = s->next;
    if (s->next)
        s->next->prev = s->prev;
    else
        l->last = s->prev;
    l->n--;
}

/* The oldest receive posted is none any more. */
static inline void far_forget_head(far_transport *m)
{
    m->head = (m->head + 1) % MPI_FAR_POSTED;
    m->n_posted--;
}

#endif
