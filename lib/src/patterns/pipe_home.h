/* patterns/pipe_home.h: a pipe at its home: who has which end, and each direction. */
#ifndef SRI_PATTERNS_PIPE_HOME_H
#define SRI_PATTERNS_PIPE_HOME_H

#include "patterns/parked.h"
#include "patterns/pipe_wire.h"

/* A message kept for an end that nobody has used, or that is being handed over. */
typedef struct pipe_kept {
    struct pipe_kept *prev, *next;
    size_t len;
    uint8_t bytes[];
} pipe_kept;

typedef struct pipe_end {
    int owner;
    bool used;     /* or given: the owner is one for good */
    bool closed;   /* by its owner, or before anybody used it */
    uint16_t over; /* closed, or its owner has ended: SERRY_ECLOSED, SERRY_EDIED; 0: neither */
    int by, code;  /* the owner that has ended, and how; -1 */
    /* Nobody has used it and its maker has ended: from then on the other end is told that it is
     * over, until somebody uses it after all. */
    uint16_t orphan;
    sri_ns orphan_at;
    bool orphan_told;
} pipe_end;

typedef enum pipe_leg_state { PIPE_LEG_NONE, PIPE_LEG_OPEN, PIPE_LEG_STOPPING } pipe_leg_state;

/* A direction: the messages into the end of that index. */
typedef struct pipe_way {
    bool allowed;
    bool broken;   /* messages were lost with a process that handed its end over */
    int forwarder; /* the rank that still forwards what it had not read; -1: none */
    pipe_kept *kept;
    size_t kept_size;
    sri_parked *puts;  /* those that wait for room, or for a leg */
    sri_parked *gives; /* those that wait for the forwarder; .note: to whom */
    struct {
        pipe_leg_state state;
        uint32_t tag;
        int writer, reader;
    } leg;
} pipe_way;

typedef struct pipe_home {
    sri_object object;
    bool duplex;
    pipe_end ends[2];
    pipe_way ways[2]; /* into the end of that index */
} pipe_home;

/* ---- the ends: pipe_ends.c ---- */

/* May that member use the end? False: it was refused. */
bool pipe_admit(pipe_home *p, sri_asker who, unsigned end);
/* From now on the end belongs to rank, which has a session. */
void pipe_own(pipe_home *p, unsigned end, int rank);
/* Closed, or its owner has ended; marked before anything else is done about it, so that nothing new
 * begins with that end. */
void pipe_end_mark(pipe_end *e, uint16_t over, int by, int code);
/* What follows from it. */
void pipe_end_over(pipe_home *p, unsigned end);
/* Tells of an orphan now, or when its time is over, which begins again. */
void pipe_orphan_look(pipe_home *p, bool again);

/* ---- directions: pipe_way.c ---- */

void pipe_put(pipe_home *p, sri_asker who, unsigned from, bool bytes_too, const uint8_t *bytes,
              size_t len);
/* Moves on whatever can: kept messages to a reader, a leg where both ends are known. */
void pipe_flow(pipe_home *p, unsigned into);
/* The leg is over; count messages were sent on it, or PIPE_LOST. */
void pipe_leg_end(pipe_home *p, unsigned into, uint32_t tag, int writer, uint64_t count);
/* One of its two ends is no longer where it was: no more on this leg. */
void pipe_leg_stop(pipe_home *p, unsigned into);
void pipe_forwarded(pipe_home *p, unsigned into, int rank, const uint8_t *bytes, size_t len);
void pipe_break(pipe_home *p, unsigned into, int rank);
void pipe_drop_kept(pipe_way *w);

/* Tells the owner of an end what has become of the other one. */
void pipe_tell(pipe_home *p, unsigned end);
void pipe_feed(pipe_home *p, unsigned end, pipe_wire_feed head, const void *body, size_t len);

#endif
