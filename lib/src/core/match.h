/* core/match.h: which message goes to which receive, and what is under way in between.
 *
 * Per peer and context there is a queue of what has arrived (whole, announced, or arriving without
 * a receive) in the order of arrival, and one of the receives posted for that source; receives from
 * any source have one of their own. No posted receive ever matches anything that is queued. Posts
 * and arrivals are numbered by one counter: of two candidates the older wins.
 *
 *     sender                          receiver
 *     MESSAGE  tag | bytes       ->                               short
 *     ANNOUNCE tag | token, len  ->                               long
 *                                <-   CLEAR token | theirs        once it is matched
 *     DATA     theirs | bytes    ->   ...
 *     WITHDRAW token             ->                               instead, if taken back: a
 *                                                                 CLEAR that crosses is ignored
 *
 * Files: incoming.c (messages that wait), match.c (receives), match_arrive.c (arrivals), output.c
 * (sending), bulk.c (what the transport moves instead of DATA frames), fate.c (peers that go). All
 * with the core entered.
 */
#ifndef SRI_CORE_MATCH_H
#define SRI_CORE_MATCH_H

#include "base/buffer.h"
#include "core/request.h"

#ifdef __cplusplus
extern "C" {
#endif

#define SRI_EAGER_MAX 16384u /* longer messages are announced */

typedef struct sri_peer sri_peer;
typedef struct sri_incoming sri_incoming;

typedef enum sri_incoming_state {
    SRI_INCOMING_WHOLE,     /* all bytes are here */
    SRI_INCOMING_ANNOUNCED, /* all bytes are at the sender */
    SRI_INCOMING_ARRIVING,  /* asked for; on its way to .request, or to .kept */
} sri_incoming_state;

/* A message that the transport moves, see bulk.c. */
typedef enum sri_incoming_bulk {
    SRI_BULK_NONE,
    SRI_BULK_DIRECT, /* it moves into the buffer of .request, */
    SRI_BULK_KEPT,   /* into .kept, */
    SRI_BULK_STANDS, /* or nowhere: it was asked for, and the transfer taken back */
} sri_incoming_bulk;

/* A message that has arrived or will. In its peer's queue, or with a receive in .arriving. */
struct sri_incoming {
    sri_incoming *prev, *next;
    sri_peer *peer;
    uint64_t order;
    int tag;
    uint8_t context;
    uint8_t state;
    uint8_t bulk; /* sri_incoming_bulk */
    bool queued;
    bool lost; /* its bytes found no memory: who receives it gets SERRY_ENOMEM */
    size_t len;
    size_t got;           /* bytes so far */
    uint64_t remote;      /* the sender's token */
    uint64_t token;       /* ours */
    sri_request *request; /* the receive it goes to; NULL: none */
    sri_request clear;    /* the CLEAR, should the lane be full */
    sri_buffer kept;      /* the bytes, while no receive has it */
    uint8_t bytes[];      /* of a short message */
};

struct sri_peer {
    int rank;
    uint8_t gone;    /* sri_fate; 0: not */
    bool has_output; /* is in the list of those */
    int code;        /* of its end */
    sri_request *out;
    sri_incoming *queued[SRI_CONTEXTS];
    sri_request *posted[SRI_CONTEXTS];
    sri_request *announced;
    sri_request *streams;
    sri_request *bulks; /* sends that the transport moves */
    sri_incoming *arriving;
    sri_incoming *current; /* the message whose pieces come without having been asked for */
    /* In the lists of peers with something queued, and with output. */
    sri_peer *prev_queued[SRI_CONTEXTS], *next_queued[SRI_CONTEXTS];
    sri_peer *prev_output, *next_output;
};

typedef struct sri_match_state {
    sri_peer **peers; /* by rank; NULL: never heard of */
    int n_peers;
    uint64_t order;
    size_t eager_max;               /* bytes that go in one frame */
    sri_request *any[SRI_CONTEXTS]; /* posted for any source */
    sri_peer *queued[SRI_CONTEXTS]; /* peers with something queued */
    sri_peer *output;               /* peers with something to send */
    bool output_again;              /* some of it was not even tried */
    sri_ids sends;                  /* tokens of long sends */
    sri_ids incomings;              /* tokens of what was asked for */
    /* Deaths not yet told to a receive from any source, oldest first. */
    int *untold;
    size_t n_untold, cap_untold;
    int launched_gone;   /* launched ranks that left or died, this one excepted */
    int highest;         /* rank ever heard of */
    int lowest_open;     /* started rank: all below it are known to be gone */
    uint32_t collective; /* number of the last collective begun here */
    /* The launched rank without which no collective from number `from` on can be done. */
    struct {
        bool known;
        int rank;
        uint32_t from;
    } lost;
} sri_match_state;

/* A message of the user's, or of a pipe, up to this length goes without being asked for (unless it
 * is one for the transport to move, which is faster than pieces), in pieces if need be: the first
 * in a MESSAGE frame with SRI_FLAG_MORE, whose head is the whole length; the rest in DATA frames of
 * token 0, right behind it as far as messages go. */
#define SRI_UNASKED_MAX 65536u

extern sri_match_state sri_match;

sri_peer *sri_peer_make(int rank); /* NULL: no memory; incoming.c */

static inline sri_peer *sri_peer_of(int rank)
{
    if (__builtin_expect(rank < sri_match.n_peers, 1)) {
        sri_peer *p = sri_match.peers[rank];
        if (__builtin_expect(p != NULL, 1))
            return p;
    }
    return sri_peer_make(rank);
}

/* Known so far, or NULL. */
static inline sri_peer *sri_peer_known(int rank)
{
    return rank >= 0 && rank < sri_match.n_peers ? sri_match.peers[rank] : NULL;
}

/* ---- receiving: match.c ---- */

/* The message that a receive of source and tag would get now; NULL: none. */
sri_incoming *sri_match_find(unsigned context, int source, int tag);
/* Begins a receive whose fields context, peer, tag, buf, len, gate are set: takes what is queued,
 * fails if nothing can come, or posts it. True if it is done. */
bool sri_match_receive(sri_request *r);
/* Takes an unfinished receive back. A message on its way to it is kept, in its place, for another.
 * If that is not possible, since the transport moves it into the receive's buffer already, its end
 * is waited for: then the receive is done after all, which is false. */
bool sri_match_abandon(sri_request *r);
/* A whole message of this rank to itself. SERRY_ENOMEM. */
serry_err sri_match_self(unsigned context, int tag, const void *buf, size_t len);

/* Arrivals: match_arrive.c. True: a gate has opened. */
bool sri_match_message(sri_peer *p, const sri_arrival *a);
bool sri_match_announce(sri_peer *p, const sri_arrival *a);
bool sri_match_data(sri_peer *p, const sri_arrival *a);
bool sri_match_withdraw(sri_peer *p, const sri_arrival *a);
void sri_match_bad(const sri_peer *p, const char *what); /* a peer that breaks the protocol */

void sri_incoming_free(sri_incoming *in); /* from whatever it is in; incoming.c */

/* ---- sending: output.c ---- */

/* Begins a send whose fields peer, tag, context, buf, len, gate are set. True if it is done. */
bool sri_output_send(sri_peer *p, sri_request *r);
/* One short message, at once or not at all. */
sri_sent sri_output_short(sri_peer *p, unsigned context, int tag, const void *buf, size_t len);
/* A control frame, CLEAR (token: theirs) or WITHDRAW (ours), at once or kept back: in r, or if r is
 * NULL in a request of its own (SERRY_ENOMEM). A peer that is gone gets nothing. bulk: a CLEAR with
 * that flag. */
serry_err sri_output_control(sri_peer *p, sri_request *r, sri_kind kind, uint64_t token,
                             uint64_t ours, bool bulk);
/* Takes a send back that has not begun to flow. SERRY_ESTATE: it has; SERRY_ENOMEM. */
serry_err sri_output_withdraw(sri_request *r);
bool sri_output_clear(sri_peer *p, const sri_arrival *a);
/* Ends the sends to p that are meant (of this context; NULL: all) with an error; whatever they have
 * begun is forgotten. True: a gate has opened. */
bool sri_output_drop(sri_peer *p, bool (*meant)(const sri_request *r), serry_err e);

/* ---- what the transport moves: bulk.c ---- */

#define SRI_CLEAR_BULK 1u /* flag of a CLEAR: bulk_send what it asks for */

bool sri_bulk_to(const sri_peer *p); /* can it, with this peer? */
/* Begins, for an incoming message with a token. False: it cannot be, now. */
bool sri_bulk_receive(sri_incoming *in, uint8_t *into, sri_incoming_bulk state);
/* Takes the transfer back: the message stands at its sender, asked for. False: it flows already. */
bool sri_bulk_back(sri_incoming *in);
/* A message that stands goes into memory of its own. False: there is none, and it stands on. */
bool sri_bulk_keep(sri_incoming *in);
/* Nobody wants it any more. False: it flows into the buffer of its receive. */
bool sri_bulk_discard(sri_incoming *in);
void sri_bulk_forget(sri_incoming *in); /* before it is freed */
/* Begins the transfer of a send that has been asked for. False: it cannot be, now. */
bool sri_bulk_send(sri_peer *p, sri_request *r);
/* The end of one. True: somebody who waits is to look. */
bool sri_bulk_done(int peer, uint64_t token, bool sending, bool ok);

/* ---- peers that go: fate.c ---- */

/* SERRY_EDIED with what is known about the end of rank. May wait for the news; not from within
 * progress. */
serry_err sri_match_fail_gone(int rank);
serry_err sri_match_fail_lost(void);
/* A receive from any source has found nothing: true if it is to fail, and status->source names the
 * dead rank, or SERRY_NONE. */
bool sri_match_any_failed(int *source);
/* No collective from number `from` on can be done without rank. True: a gate has opened. */
bool sri_match_lose(int rank, uint32_t from);
/* Numbers of collectives wrap in their tags; is a at or after b? */
#define SRI_COLLECTIVE_BITS 23
static inline bool sri_collective_reached(uint32_t a, uint32_t b)
{
    return ((a - b) & ((1u << SRI_COLLECTIVE_BITS) - 1)) < 1u << (SRI_COLLECTIVE_BITS - 1);
}
static inline uint32_t sri_collective_of(int tag)
{
    return (uint32_t)tag >> 8;
}
/* The tag that carries the news of a lost rank: two words, the rank and the number. */
#define SRI_TAG_LOST UINT64_C(0x80000000)

#ifdef __cplusplus
}
#endif
#endif
