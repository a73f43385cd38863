/* transport/mpi/private.h: what the files of a plugin share. Nothing here calls the library: only
 * headers of base and transport are used.
 *
 * plugin.c   the table the core sees; joining; the communicators
 * far.c      a transport of frames as MPI messages (frame.h): its beginning, its end, the rest
 * far_send.c, far_receive.c
 *            the frames
 * bulk.c     its long bodies, from and to the caller's memory
 * part.c     the end of a transport, by all together
 */
#ifndef SRI_MPI_PRIVATE_H
#define SRI_MPI_PRIVATE_H

#include "base/futex.h"
#include "transport/mpi/plugin.h"

#include <mpi.h>

/* Receives of frames that are posted at a time. More do not make it faster, and those posted are
 * what the processor has at hand. */
#define MPI_FAR_POSTED 8
/* Frames kept because one before them of the same peer is still on its way, in all. */
#define MPI_FAR_HELD 24
/* Frames to one peer that MPI has not taken yet, and in all. Numbers of frames are told apart
 * modulo 64: the first and MPI_FAR_HELD together must stay below. */
#define MPI_FAR_PENDING 32
#define MPI_FAR_PENDING_ALL 1024
/* Requests that may be incomplete, looked at in one poll: of frames to others, and from them. */
#define MPI_FAR_TESTS 4

typedef struct far_slot {
    struct far_slot *prev, *next;
    MPI_Request request;
    int peer;      /* sending: to; held: from */
    uint32_t tag;  /* held */
    uint32_t room; /* of bytes */
    uint32_t len;  /* held */
    _Alignas(64) uint8_t bytes[];
} far_slot;

typedef struct far_list {
    far_slot *first, *last;
    int n;
} far_list;

typedef struct far_peer {
    uint8_t gone;
    uint8_t in;      /* number of the next frame from it, modulo 64 */
    uint8_t held;    /* frames of it in .held */
    int32_t pending; /* frames to it in .pending */
    uint32_t sent;   /* frames to it: their numbers are these modulo 64 */
} far_peer;

typedef struct far_bulk far_bulk;

typedef struct far_transport far_transport;
struct far_transport {
    sri_transport base;
    MPI_Comm frames;
    MPI_Comm bulk;          /* its own, so that its tags are */
    far_transport **opened; /* what is to be NULL once it is closed */
    int size;
    uint32_t tag_max;  /* at least 32767 */
    uint32_t body_max; /* bytes of the largest message */
    bool over;         /* MPI has been finalized, or has failed */
    bool full;         /* a send was refused, */
    bool room;         /* and there is room since */
    unsigned quiet;    /* polls that brought nothing */
    bool asleep;       /* armed since the last poll that brought something */
    int machine;       /* members of this machine for its processors: transport.h, .members */
    uint32_t received; /* frames that are here, of everybody */
    far_peer *peers;
    /* Receiving. MPI matches messages with receives in the order these were posted. */
    far_slot *posted[MPI_FAR_POSTED]; /* oldest at .head */
    unsigned head, n_posted;
    far_list late;   /* matched for certain, and not complete */
    far_list held;   /* complete, and not yet their turn */
    far_list read;   /* to be posted again */
    int n_receiving; /* slots there are for it */
    /* Sending. Free ones by .next. */
    far_slot *small, *large;
    far_list pending;
    far_list lost;   /* to those that have died: MPI may still look at them */
    far_bulk *bulks; /* under way, oldest first */
    far_bulk *bulks_free;
    sri_ns busy_until; /* of bulk transfers: do not sleep */
    _Atomic uint32_t doorbell;
};

/* `comm` has the peers in the order of their numbers and is only borrowed: frames and bulk are made
 * of it. 0, or MPI's error. NULL in *t: no memory. */
int far_open(far_transport **t, MPI_Comm comm, int rank, int size, size_t frame_max,
             const sri_sink *sink);
void far_stop(far_transport *m);        /* MPI is about to be finalized */
far_slot *far_slot_make(uint32_t room); /* NULL: no memory */
sri_sent far_send(sri_transport *t, int peer, const sri_frame *f);
void far_reap(far_transport *m);     /* looks at some of the sends that MPI had not done with */
void far_post_all(far_transport *m); /* fills up the receives that are posted */
bool far_poll(sri_transport *t);
void far_part(far_transport *m); /* plugin.h says what it does */

static inline int far_index(uint64_t token, uint32_t tag_max)
{
    return (int)((uint32_t)token % ((uint64_t)tag_max + 1));
}

bool far_bulk_send(sri_transport *t, int peer, uint64_t token, const void *bytes, size_t len);
bool far_bulk_recv(sri_transport *t, int peer, uint64_t token, void *bytes, size_t len);
bool far_bulk_back(sri_transport *t, int peer, uint64_t token);
bool far_bulk_to(sri_transport *t, int peer);
bool far_bulk_poll(far_transport *m);           /* true: some have ended */
void far_bulk_gone(far_transport *m, int peer); /* ends those with it */
void far_bulk_close(far_transport *m, bool inherited);

#endif
