/* patterns/pipe_local.h: the ends of pipes as a member knows them. All with the core entered. */
#ifndef SRI_PATTERNS_PIPE_LOCAL_H
#define SRI_PATTERNS_PIPE_LOCAL_H

#include "core/match.h"
#include "patterns/local.h"
#include "patterns/pipe_wire.h"

/* What there is to receive, in order: a message the home has sent, or a leg, whose messages lie in
 * the core. */
typedef struct pipe_piece {
    struct pipe_piece *prev, *next;
    bool leg;
    bool known; /* count is */
    bool lost;  /* its writer is gone: there are as many as have come, once the core knows it too */
    bool out;   /* of the list; its last user frees it */
    unsigned users; /* threads that receive from it */
    int rank, tag;
    uint64_t count, taken;
    size_t len;
    uint8_t bytes[];
} pipe_piece;

typedef struct pipe_local {
    sri_local local; /* by the handle of the end */
    bool mine;       /* the home has said so */
    bool giving;     /* or closing: under way, no other thread may begin anything */
    bool closed;     /* by a thread of this process */
    bool no_memory;  /* for something the home sent */
    bool homeless;   /* its home is lost: what has come or comes by itself can still be had */
    bool sends, recvs;
    unsigned stirs; /* changes with everything that a waiting thread should look at */
    /* The other end: 0, SERRY_ECLOSED or SERRY_EDIED. */
    uint16_t over;
    int by, code;
    bool more;                  /* what it had sent is still being forwarded */
    bool in_broken, out_broken; /* messages were lost with a process that handed an end over */
    /* Outgoing: */
    int to; /* rank; -1: by way of the home */
    int tag;
    uint64_t sent;
    struct pipe_sending *sending;
    /* Incoming: */
    pipe_piece *in;
} pipe_local;

/* A send that did not go at once. */
typedef struct pipe_sending {
    struct pipe_sending *prev, *next;
    sri_request request;
    sri_gate gate;
    bool withdrawn; /* the leg has ended before it */
    uint8_t *copy;  /* of the rest, once its caller has gone on */
} pipe_sending;

extern sri_locals pipe_conns;
serry_err pipe_local_know_slowly(uint64_t handle, pipe_local **out);
serry_err pipe_local_use_slowly(pipe_local *l, pipe_use use);

/* The end of a handle, without asking the home. The caller is a user of it until pipe_local_leave.
 */
static inline serry_err pipe_local_know(uint64_t handle, pipe_local **out)
{
    sri_local *last = pipe_conns.last;
    if (__builtin_expect(!last || last->id != handle, 0))
        return pipe_local_know_slowly(handle, out);
    last->users++;
    *out = (pipe_local *)last;
    return SERRY_OK;
}

/* The same, opened for that use, which claims it if nobody has used it. */
static inline serry_err pipe_local_use(uint64_t handle, pipe_use use, pipe_local **out)
{
    SRI_TRY(pipe_local_know(handle, out));
    const pipe_local *l = *out;
    bool may = use == PIPE_USE_SEND ? l->sends : l->recvs;
    return __builtin_expect(may && !l->giving, 1) ? SERRY_OK : pipe_local_use_slowly(*out, use);
}

static inline void pipe_local_leave(pipe_local *l)
{
    if (__builtin_expect(l->local.users > 1 || !l->local.destroyed, 1))
        l->local.users--;
    else
        sri_local_leave(&pipe_conns, &l->local);
}

/* Whoever names it next asks the home again. */
void pipe_local_forget(pipe_local *l);

/* Wakes those that wait for anything of this end. */
void pipe_stir(pipe_local *l);
/* Waits until something stirs. SERRY_ETIMEDOUT. */
serry_err pipe_wait_stir(pipe_local *l, unsigned seen, sri_ns deadline);

/* What there is to say of an end that can do nothing more. */
serry_err pipe_fail_over(const pipe_local *l);

/* Takes a piece out of its list; it is freed when nobody receives from it. */
void pipe_piece_out(pipe_piece **list, pipe_piece *piece);
void pipe_piece_leave(pipe_piece *piece);
/* A message of the leg that has come, or will; NULL: none so far. */
sri_incoming *pipe_leg_find(const pipe_piece *leg);
/* All of it has been taken. */
bool pipe_leg_is_over(const pipe_piece *leg);
/* Some of it will never come. */
bool pipe_leg_is_torn(const pipe_piece *leg);

/* ---- pipe_rest.c: what goes on without a thread that waits for it ---- */

/* For what was not received: forwards it to the home, for the new owner, or drops it. Made before
 * the home is asked, so that nothing can fail later; not begun, it is freed by free. */
typedef struct pipe_rest pipe_rest;
serry_err pipe_rest_new(uint64_t handle, bool forward, pipe_rest **out);
void pipe_rest_begin(pipe_rest *r, pipe_piece **in);
/* Waits a moment for what is under way to come to its end. */
void pipe_rest_linger(uint64_t handle);
/* A send whose bytes have begun to flow when its time was over. False: no memory. */
bool pipe_rest_send(pipe_sending *s);
/* The pieces of ends that are no longer here: the leg of that tag, or NULL. */
pipe_piece *pipe_rest_leg(uint64_t handle, int tag);
void pipe_rest_forget(void); /* in the child of a fork */
void pipe_rest_lost(int node);

/* ---- pipe_send.c, pipe_recv.c ---- */

serry_err pipe_send(pipe_local *l, const void *buf, size_t len, sri_ns deadline);
serry_err pipe_recv(pipe_local *l, void *buf, size_t cap, size_t *len, sri_ns deadline);
serry_err pipe_poll(pipe_local *l, sri_ns deadline);
/* The home wants no more on this leg: takes back what can be, and answers. */
void pipe_send_stop(pipe_local *l, unsigned end, uint32_t tag);
/* Takes back what has not begun to flow. */
void pipe_send_withdraw(pipe_local *l);

#endif
