/* transport/routed_private.h: what the files of the composite transport share.
 *
 *     routed.c       the seam's operations: whose they are, polling and sleeping
 *     routed_way.c   frames to and from members of other nodes
 *     routed_fate.c  their ends, told behind all they sent
 */
#ifndef SRI_ROUTED_PRIVATE_H
#define SRI_ROUTED_PRIVATE_H

#include "transport/routed.h"

#include "base/clock.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ROUTED_RANKS (1 << 20) /* ranks ever, in a world */

/* So much of one member for another is under way through the agents at most, each frame counted
 * with what keeping it costs them; but one frame always may be. */
#define ROUTED_WINDOW (256u << 10)
#define ROUTED_FRAME_COST 64u

/* The pause between two looks at the far transport while this member sleeps: it begins with the
 * first, doubles up to the last, and begins anew after any news. Shorter ones cost processor (a
 * look is 8 to 30 us, most of it the kernel's timer and the way to the process and back), longer
 * ones make the first message after an idle time late by as much, half of it in the mean.
 * docs/cluster.md has both. */
#define ROUTED_PAUSE_FIRST SRI_US(50)
#define ROUTED_PAUSE_LAST SRI_MS(3)

/* What a launched rank that is dead may still have in the far transport is waited for: so long, and
 * so many polls in a row that bring nothing, but no longer than the last. */
#define ROUTED_DRAIN SRI_MS(5)
#define ROUTED_DRAIN_POLLS 4u
#define ROUTED_DRAIN_LAST SRI_MS(30)

/* Who neither sleeps nor says what he waits for, but polls, is told of departures after so long. */
#define ROUTED_LAZY SRI_MS(5)

/* The far transport's frames of our own kind: are you done with what you sent before you left? */
enum { ROUTED_ASK = 1, ROUTED_ANSWER };

/* What could not be sent yet, for a full lane. */
enum { ROUTED_OWES_CREDIT = 1, ROUTED_OWES_ASK = 2, ROUTED_OWES_ANSWER = 4 };

typedef enum routed_left {
    ROUTED_HERE,
    ROUTED_LEAVING, /* the agent says it has left; not told yet */
    ROUTED_LEFT,    /* told */
} routed_left;

/* A member of another node, made when it is first of interest. */
typedef struct routed_peer {
    struct routed_peer *prev_ending, *next_ending;
    struct routed_peer *prev_errand, *next_errand;
    int rank;
    bool far;        /* by the far transport; else through the agents */
    bool heard;      /* a frame of it has come */
    bool asked;      /* whether all it sent is here: by ROUTED_ASK or by a fence */
    bool answered;   /* by ROUTED_ANSWER */
    bool is_ending;  /* in the list of those */
    uint8_t errands; /* ROUTED_OWES_... */
    uint8_t left;    /* routed_left */
    uint8_t end;     /* SRI_FATE_DIED, SRI_FATE_ENDED, not told yet; 0: neither */
    int code;
    uint32_t fence; /* asked: its number */
    uint32_t bulks; /* transfers under way */
    sri_ns since;   /* the agent said it left, or has ended */
    /* Through the agents, in bytes with ROUTED_FRAME_COST, from the beginning: */
    uint64_t sent;
    uint64_t taken;    /* of these by it */
    uint64_t got;      /* from it */
    uint64_t got_told; /* of these it knows */
} routed_peer;

typedef struct routed {
    sri_transport transport;
    sri_transport *near;
    sri_transport *far; /* NULL: none */
    const sri_places *places;
    routed_peer **peers; /* by rank; NULL: never of interest */
    int n_peers;
    routed_peer *ending;  /* with a fate that has not been told */
    routed_peer *errands; /* with something that found a full lane */

    /* Fences with our own agent: a frame to ourselves, which comes back behind all it had for us.
     */
    uint32_t fence_next; /* number of the next one */
    uint32_t fence_back; /* of the last that came back */
    bool fence_wanted;   /* fence_next is to be sent */

    sri_waiting waiting; /* as published */
    sri_ns published;    /* when */
    bool unsettled;      /* something has changed about those that are ending */
    sri_ns settle_at;    /* else look at them then */

    bool stopped;     /* the sink has ended this poll */
    bool far_first;   /* the last one was ended by the near transport */
    unsigned quiet;   /* polls of the far transport in a row that brought nothing */
    uint32_t bulks;   /* transfers under way */
    sri_ns pause;     /* the next */
    sri_ns sleep_for; /* for the sleep that follows arm; SRI_NEVER: no limit */
} routed;

static inline routed *routed_of(sri_transport *t)
{
    return (routed *)(void *)t;
}

static inline bool routed_is_near(const routed *r, int rank)
{
    return rank < 0 || sri_places_node(r->places, rank) == r->places->node;
}

/* Stands for all that have ended. */
extern routed_peer routed_dead;

/* ---- routed_way.c ---- */

/* NULL: no memory. May be routed_dead. rank is one of another node. */
routed_peer *routed_peer_of(routed *r, int rank);
static inline routed_peer *routed_known(const routed *r, int rank)
{
    return rank >= 0 && rank < r->n_peers ? r->peers[rank] : NULL;
}
sri_sent routed_send_away(routed *r, int rank, const sri_frame *f);
/* A frame of kind ROUTE from our agent. False: the sink said stop. */
bool routed_take(routed *r, const sri_arrival *a);
void routed_owe(routed *r, routed_peer *p, uint8_t errand); /* does it now, or notes it */
bool routed_run_errands(routed *r);                         /* true if anything went */
void routed_forget_errands(routed *r, routed_peer *p);

/* ---- routed_fate.c ---- */

/* The agent's news of a member of another node. Told later, from routed_settle. */
void routed_fate(routed *r, int rank, sri_fate fate, int code);
/* Somebody needs to know about the end of p. */
void routed_ask(routed *r, routed_peer *p);
/* Asks about those whose departure matters to this wait. */
void routed_ask_for(routed *r, const sri_waiting *w);
/* Tells what can be told; true if anything was. */
bool routed_settle(routed *r);

#endif
