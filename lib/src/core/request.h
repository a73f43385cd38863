/* core/request.h: sends and receives under way. A blocking call has its request on the stack; isend
 * and irecv take theirs from a table, whose ids are generation << 32 | index + 1. All with the core
 * entered.
 */
#ifndef SRI_CORE_REQUEST_H
#define SRI_CORE_REQUEST_H

#include "core/message.h"

#ifdef __cplusplus
extern "C" {
#endif

#define SRI_REQUESTS_MAX 1048576u

/* What a thread waits at: opens when `left` requests have finished, or with the first that fails if
 * it is hasty. */
typedef struct sri_gate {
    bool open;
    bool hasty;
    size_t left;
} sri_gate;

/* Where a request is: this decides which list prev and next belong to. */
typedef enum sri_place {
    SRI_PLACE_NONE,      /* not begun, or done */
    SRI_PLACE_POSTED,    /* a receive without a message: peer's or any's posted */
    SRI_PLACE_ARRIVING,  /* a receive whose message is on its way: .incoming */
    SRI_PLACE_OUT,       /* a frame kept back for a full lane: peer's out */
    SRI_PLACE_ANNOUNCED, /* a long send that waits for its clear: peer's announced */
    SRI_PLACE_STREAM,    /* a long send whose data flow: peer's streams */
    SRI_PLACE_BULK,      /* a long send that the transport moves: peer's bulks */
} sri_place;

typedef struct sri_request sri_request;
struct sri_incoming;

struct sri_request {
    sri_request *prev, *next;
    uint8_t kind; /* sri_kind of the frame it sends next; 0: a receive */
    uint8_t context;
    uint8_t place;
    bool done;
    bool bulk; /* a long send that the transport is to move, or the CLEAR that says so */
    serry_err error;
    int peer; /* or SERRY_ANY */
    int tag;
    union {
        const uint8_t *from;
        uint8_t *into;
    } buf;
    size_t len;     /* bytes to send, or room */
    size_t least;   /* a receive: a shorter message fails it with SERRY_ETRUNC too, and stays */
    sri_gate *gate; /* NULL: no thread waits for it */
    uint64_t order; /* of a post, among posts and arrivals */
    uint64_t fence; /* a send: not before what was posted up to here is settled (core/fence.h) */
    struct sri_incoming *incoming;
    serry_status status;
    /* A long send, or a control frame: */
    size_t sent;
    uint64_t token;  /* ours */
    uint64_t remote; /* the receiver's */
    uint32_t index;  /* in the table of requests */
};

/* A table of pointers by index and generation, so that what comes from outside can be checked. An
 * id is generation << 32 | index + 1 and never 0. */
typedef struct sri_ids {
    struct sri_id_entry {
        void *what; /* NULL: free */
        uint32_t generation;
        uint32_t next; /* free index + 1 */
    } * entries;
    uint32_t n;
    uint32_t free; /* index + 1; 0: none */
    uint32_t used;
} sri_ids;

uint64_t sri_ids_take(sri_ids *t, void *what); /* 0: no memory */
void sri_ids_release(sri_ids *t, uint64_t id);
void sri_ids_fini(sri_ids *t);

static inline void *sri_ids_find(const sri_ids *t, uint64_t id)
{
    uint32_t i = (uint32_t)id - 1;
    if (i >= t->n || t->entries[i].generation != (uint32_t)(id >> 32))
        return NULL;
    return t->entries[i].what;
}

/* A request that outlives the call. SERRY_ELIMIT, SERRY_ENOMEM. */
serry_err sri_request_take(sri_request **r, uint64_t *id);
void sri_request_release(uint64_t id);
/* NULL: stale or foreign. */
sri_request *sri_request_find(uint64_t id);

/* A request that is in no table (a control frame that must wait). NULL: no memory. */
sri_request *sri_request_alloc(void);
void sri_request_free(sri_request *r);

void sri_requests_reset(void); /* forgets all without touching it */
void sri_requests_fini(void);

/* The request has ended. True if that opened the gate some thread waits at. */
static inline bool sri_request_complete(sri_request *r, serry_err e)
{
    r->place = SRI_PLACE_NONE;
    r->error = e;
    r->done = true;
    sri_gate *g = r->gate;
    if (!g)
        return false;
    if (--g->left != 0 && !(e != SERRY_OK && g->hasty))
        return false;
    g->open = true;
    return true;
}

/* Its error, with the detail text for this thread. */
serry_err sri_request_result(const sri_request *r);

#ifdef __cplusplus
}
#endif
#endif
