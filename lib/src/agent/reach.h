/* agent/reach.h: which nodes are lost, as all others agree. Every two nodes have a link, and one
 * that has ended never comes back, so of its two nodes one has to go, and all others must hold the
 * same one for lost.
 *
 * The lowest node that is left decides. Who sees a link end tells the lowest node that it reaches
 * (CUT). The decider gives up who cannot be reached from it; between two that it reaches it first
 * has both answer (ASK, HERE), for it may be that one of them has ended and the news of it is
 * still under way, and then gives up the one with more links cut, else the one of the higher
 * number. A decision (LOST) is handed on by everybody to everybody, the lost one as well, so it
 * holds when the decider ends in the middle of saying it.
 *
 * A node decides when all lower ones are out of reach: of its own, and of everybody's whom it
 * reaches, through others, too. What it must know for that it is told by those who reach it; where
 * others are in between, it has everybody tell everything to everybody. So of nodes that reach each
 * other by any way one alone decides, and a word of one above the lowest within reach is void.
 *
 * Nothing here waits but for the ends of links, for what is told of those, and for answers over
 * links that have not ended: each comes, or that link ends. Two parts of which none reaches the
 * other, or only through one that is given up, each give up the other: from a part no more can be
 * seen of the other than of one that is dead.
 *
 * No input, no output: the owner carries words from one node to another, in order, and is told what
 * was decided. */
#ifndef SRI_REACH_H
#define SRI_REACH_H

#include <serry/error.h>

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum reach_word {
    REACH_CUT = 1, /* the link of `by` to `about` has ended */
    REACH_LOST,    /* `about` is lost: so has `by` decided */
    REACH_ASK,     /* answer with the same number */
    REACH_HERE,
} reach_word;

typedef struct reach_said {
    reach_word word;
    uint32_t number; /* of ASK, HERE; of CUT: 1 if it is to be told to all */
    int about;
    int by;
} reach_said;

typedef struct reach_ops {
    void (*say)(void *ctx, int node, const reach_said *said);
    /* Told once for each node, also for this very one: after that nothing is said any more. */
    void (*lost)(void *ctx, int node, int by);
} reach_ops;

typedef struct reach reach;

serry_err reach_create(reach **r, int here, int nodes, const reach_ops *ops, void *ctx);
void reach_free(reach *r); /* NULL is fine */

void reach_cut(reach *r, int node);  /* the link to it has ended */
void reach_gone(reach *r, int node); /* it has said goodbye: nothing is to be decided about it */
void reach_heard(reach *r, int from, const reach_said *said); /* whatever it is */

#ifdef __cplusplus
}
#endif
#endif
