/* transport/local/shm.h: shared-memory lanes: the parts that a member and the agent have in common.
 */
#ifndef SRI_LOCAL_SHM_H
#define SRI_LOCAL_SHM_H

#include "transport/local/lane.h"
#include "transport/local/local.h"
#include "transport/local/segment.h"

/* Lanes a process polls by itself, without being told of news by a bit. */
#define SRI_SHM_ACTIVE 16

/* What a process knows of the member in a slot. */
typedef struct sri_shm_peer {
    sri_lane_writer out;
    sri_lane_reader in;
    int rank;
    bool active;    /* in the list of lanes polled */
    bool ready;     /* in the list of lanes with news */
    bool blocked;   /* out is full */
    uint32_t quiet; /* polls since something came */
} sri_shm_peer;

#define SRI_SLOT_UNKNOWN UINT32_MAX
#define SRI_SLOT_GONE (UINT32_MAX - 1)

typedef struct sri_shm {
    sri_host host; /* of which a member uses only .transport */
    sri_segment segment;
    uint32_t slot;
    int socket; /* control; -1 in the agent */
    int bell;   /* the agent's eventfd */
    int lifeline;
    bool has_lifeline;
    bool armed;
    int cpus;     /* this member may run on, */
    int cpus_all; /* and all of this node, when so many had joined: */
    uint32_t joined;
    _Atomic bool still; /* a sleep has ended, nobody has rung, and the bell still says ASLEEP */
    bool fenced;        /* this process takes part in others' barriers: its sends need no fence */
    bool agent_gone;    /* noticed, to be told in the next poll */
    bool agent_told;
    bool packet_refused; /* a descriptor could not be passed: to be tried soon, nobody will ring */
    uint64_t log_at;
    uint32_t *slot_of;   /* by rank */
    uint32_t ranks;      /* entries of slot_of */
    sri_shm_peer *peers; /* by slot */
    uint32_t active[SRI_SHM_ACTIVE];
    uint32_t n_active;
    uint32_t first;  /* where polling starts, so that nobody comes last for ever */
    uint32_t *ready; /* slots, SRI_SLOTS places */
    uint32_t n_ready;
    uint32_t *blocked;
    uint32_t n_blocked;
    struct sri_shm_seat *seats; /* the agent's, by slot: shm_host.c */
} sri_shm;

static inline sri_shm *sri_shm_of(sri_transport *t)
{
    return (sri_shm *)(void *)t;
}

/* Common to both: memory and lists, without segment. */
serry_err sri_shm_init(sri_shm *s);
void sri_shm_fini(sri_shm *s);

/* The slot of a rank; SRI_SLOT_UNKNOWN or SRI_SLOT_GONE. */
uint32_t sri_shm_slot_of(sri_shm *s, int rank);
serry_err sri_shm_know(sri_shm *s, int rank, uint32_t slot);

/* Wakes a slot's process if it sleeps; with `always`, even if its bell says that it was rung (a
 * dead sender may have set the word and not have woken anybody). */
void sri_shm_ring(sri_shm *s, uint32_t slot, bool always);

/* Opens the lane from a slot, if there is one. */
void sri_shm_open_in(sri_shm *s, uint32_t slot);

/* Opens the lane to a slot, where that peer is. False: none can be had. */
bool sri_shm_open_out(sri_shm *s, int peer, uint32_t slot);

/* Registers this process for barriers, if the kernel has them; its slot says so. */
void sri_shm_register(sri_shm *s);

/* Delivers everything that a slot's lane still holds, then drops both lanes with it. */
void sri_shm_drain(sri_shm *s, uint32_t slot);
void sri_shm_drop(sri_shm *s, uint32_t slot);

/* The agent's end of a slot's control socket: shm_host.c. */
int sri_shm_seat_socket(sri_shm *s, uint32_t slot);

/* The operations of the seam that both have. */
sri_sent sri_shm_send(sri_transport *t, int peer, const sri_frame *f);
bool sri_shm_poll_lanes(sri_shm *s, bool *stopped);
bool sri_shm_arm(sri_transport *t);
void sri_shm_awake(sri_shm *s);

#endif
