/* patterns/barrier_home.h: what the files of a barrier's home share.
 *
 * Arrivals are counted; the last one completes the round: all are answered at once and the next
 * round begins. With an action the last one is told to run it first, and meanwhile arrivals of the
 * next round stand apart. Each round has a number of its own, so that what is said about one that
 * broke or was reset is known to be late. */
#ifndef SRI_PATTERNS_BARRIER_HOME_H
#define SRI_PATTERNS_BARRIER_HOME_H

#include "patterns/barrier_wire.h"
#include "patterns/parked.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What is kept for each member. */
typedef struct barrier_user {
    bool party; /* was in the last round, or has named it before the first: expected to come */
    bool here;  /* has arrived in this round */
} barrier_user;

typedef struct barrier_home {
    sri_object object;
    barrier_wire_settings settings;
    uint8_t *arg; /* of settings.arg_len bytes */
    uint64_t round;
    int arrived; /* in this round */
    int runner;  /* rank that runs the action; -1: none */
    uint32_t runner_index;
    bool passed;       /* a round has been completed */
    int lost;          /* parties that died before they came, less those that came in their place */
    char lost_how[96]; /* the last of them */
    bool broken;
    char why[160];
    sri_parked *line; /* in this round; the note is the index */
    sri_parked *next; /* in the one behind the action */
} barrier_home;

static inline barrier_home *barrier_of(sri_object *o)
{
    return (barrier_home *)o;
}

static inline barrier_user *barrier_user_of(barrier_home *b, int rank)
{
    return sri_home_session(&b->object, rank);
}

/* ---- barrier_rounds.c ---- */

/* All who are here get SERRY_EBROKEN with this text; the next round is empty. */
void barrier_dismiss(barrier_home *b, const char *text);
/* It is broken from now on; how: "rank 3 has left". */
void barrier_break(barrier_home *b, const char *how);
/* The requests ARRIVE and DONE. */
void barrier_arrive(barrier_home *b, sri_asker who);
void barrier_done(barrier_home *b, sri_asker who, const uint8_t *bytes, size_t len);
/* .cancel and .gone of the class. */
void barrier_cancel(sri_object *o, sri_asker who);
void barrier_gone(sri_object *o, int rank, sri_fate fate);

#ifdef __cplusplus
}
#endif
#endif
