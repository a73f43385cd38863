/* transport/local/segment.h: the shared segment of a node, a sealed memfd. Its owner is the kernel:
 * it goes with the last process that has it. Nothing in it is a pointer.
 *
 *     header | slots | ranks | log | table | cells | lane controls | lane rings
 *
 * slot    one for each member, by number; 0 is the agent. Its doorbell, who has something to say,
 *         what it waits for.
 * ranks   rank -> slot and state; written by the agent.
 * log     what became of members, append only; written by the agent.
 * table   [receiver's slot][sender's slot] -> lane number; entered by the sender, cleared by
 *         whoever frees the lane.
 * cells   grant cells.
 * lanes   control words and rings, see lane.h. The pages of a ring's short lap are reserved at its
 *         first use, those of the long one before the first of these, so that no later touch can
 *         fail; the rest of the file is sparse.
 *
 * What arrives here is written by other processes: an index is read once and checked.
 */
#ifndef SRI_LOCAL_SEGMENT_H
#define SRI_LOCAL_SEGMENT_H

#include "base/clock.h"
#include "base/cpus.h"
#include "base/error.h"

#include <assert.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SRI_SEGMENT_MAGIC UINT64_C(0x7365727279303031) /* "serry001" */

/* The limits of a node, in one place. */
#define SRI_SLOTS 4096u      /* members at once, with the agent */
#define SRI_RANKS (1u << 20) /* ranks ever, in a world */
#define SRI_LANES_MAX 65536u /* lanes in use at once */
#define SRI_CELLS 262144u    /* grant cells in use at once */

#define SRI_RING_SIZE 2097152u
#define SRI_RING_SHORT 131072u /* as much of it as short laps use */

#define SRI_BITMAP_WORDS (SRI_SLOTS / 64u)

/* The doorbell: a sender rings only when it reads ASLEEP. */
enum { SRI_AWAKE, SRI_ASLEEP };

typedef struct sri_slot {
    alignas(64) _Atomic uint32_t bell; /* futex word; the agent's is rung through its eventfd */
    _Atomic uint32_t mail;             /* a packet waits at the control socket */
    _Atomic uint32_t barrier; /* it makes all processors fence before it sleeps: see shm.c */
    /* What it waits for: written by the member before it sleeps, read by the agent. */
    _Atomic uint32_t wait_kind;
    _Atomic int32_t wait_peer;
    _Atomic uint64_t wait_object;
    _Atomic int64_t wait_since;
    _Atomic int32_t rank; /* written by the agent when the slot is given out */
    _Atomic uint32_t generation;
    alignas(64) _Atomic uint64_t summary;                 /* bit w: word w of heard may have bits */
    alignas(64) _Atomic uint64_t heard[SRI_BITMAP_WORDS]; /* bit s: lane from slot s has news */
} sri_slot;
static_assert(sizeof(sri_slot) == 128 + 8 * SRI_BITMAP_WORDS, "slots are packed");

/* ranks[r]: 0 if there never was such a rank, else slot << 8 | state. */
enum { SRI_RANK_NONE, SRI_RANK_SEATED, SRI_RANK_LEFT, SRI_RANK_GONE };

static inline uint64_t sri_rank_word(uint32_t slot, unsigned state)
{
    return (uint64_t)slot << 8 | state;
}

/* log[i]: rank << 32 | (code & 0xffffff) << 8 | fate */
static inline uint64_t sri_log_word(int rank, int code, unsigned fate)
{
    return (uint64_t)(uint32_t)rank << 32 | ((uint32_t)code & 0xffffff) << 8 | fate;
}

#define SRI_LOG_MAX (2u * SRI_RANKS)

/* A lane's control words, each on the line of who writes it. */
typedef struct sri_lane {
    alignas(64) _Atomic uint64_t owner; /* 0: free, else sri_lane_owner; set by the sender */
    _Atomic int32_t rank;               /* the sender's: its slot may be another's by and by */
    _Atomic uint32_t reserved;          /* bytes of the ring whose pages exist */
    alignas(64) _Atomic uint64_t head;  /* bytes the reader has consumed, published now and then */
    _Atomic uint32_t polled;            /* the reader looks at the lane by itself */
    alignas(64) _Atomic uint32_t want;  /* the writer waits for room */
} sri_lane;
static_assert(sizeof(sri_lane) == 192, "three lines");

static inline uint64_t sri_lane_owner(uint32_t from, uint32_t to)
{
    return UINT64_C(1) << 63 | (uint64_t)from << 32 | to;
}

static inline uint32_t sri_lane_owner_from(uint64_t owner)
{
    return (uint32_t)(owner >> 32) & 0x7fffffff;
}

static inline uint32_t sri_lane_owner_to(uint64_t owner)
{
    return (uint32_t)owner;
}

typedef struct sri_segment_header {
    uint64_t magic;
    uint64_t total; /* bytes */
    uint32_t version;
    int32_t size;            /* launched ranks */
    _Atomic int32_t seated;  /* members now */
    _Atomic uint32_t joined; /* members that have ever told their processors */
    alignas(64) _Atomic uint64_t cpus[SRI_CPUS_WORDS]; /* of all of them, as sri_cpus */
    alignas(64) _Atomic uint64_t log_count;
    alignas(64) _Atomic uint32_t lanes_top; /* lanes from here on were never used */
    _Atomic uint32_t lanes_freed;           /* about how many below it are free: a hint */
} sri_segment_header;

/* A mapping of the segment, and where things are in it. */
typedef struct sri_segment {
    int fd;
    uint8_t *base;
    size_t total;
    sri_segment_header *header;
    sri_slot *slots;
    _Atomic uint64_t *ranks;
    _Atomic uint64_t *log;
    _Atomic uint32_t *table;
    uint8_t *cells; /* one line each */
    sri_lane *lanes;
    uint8_t *rings;
} sri_segment;

/* Makes and seals one. SERRY_ELIMIT or SERRY_ESYS name what the machine refuses. */
serry_err sri_segment_create(sri_segment *s, int size);

/* Maps one that came by descriptor, which it takes, even on failure. SERRY_EINVAL: not ours,
 * another version, or not sealed. */
serry_err sri_segment_open(sri_segment *s, int fd);

void sri_segment_close(sri_segment *s);

/* Takes a free lane for sender -> receiver and enters it into the table. 0: there is none, or no
 * memory for it. Called by the sender, whose rank is `rank`. */
uint32_t sri_segment_take_lane(sri_segment *s, uint32_t from, uint32_t to, int rank);

/* Reserves the whole ring, for long laps. The writer's to call. False: there is no memory for it.
 */
bool sri_segment_widen_lane(sri_segment *s, uint32_t lane);

/* Makes a lane free again. Called by the side that lives on, or by the agent if neither does. */
void sri_segment_free_lane(sri_segment *s, uint32_t lane);

static inline _Atomic uint32_t *sri_segment_table(sri_segment *s, uint32_t to, uint32_t from)
{
    return &s->table[(size_t)to * SRI_SLOTS + from];
}

static inline _Atomic uint64_t *sri_segment_cell(sri_segment *s, uint32_t number)
{
    return (_Atomic uint64_t *)(void *)(s->cells + (size_t)number * 64);
}

static inline uint8_t *sri_segment_ring(sri_segment *s, uint32_t lane)
{
    return s->rings + (size_t)lane * SRI_RING_SIZE;
}

#endif
