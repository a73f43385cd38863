/* transport/local/lane.h: a lane: a one-producer-one-consumer ring of records in shared memory.
 *
 *     record:  | word: size, kind, flags, mark | aux | size bytes, padded to 16 |
 *
 * The bytes of a large record begin and end on a cache line: there is a gap behind aux.
 *
 * Positions count bytes from the beginning of time; a record lies at position modulo ring size,
 * never across the end (a PAD record fills what is left over). A lap may be short: its PAD begins
 * early and goes over the rest of the ring, which nobody touches. The writer decides, lap by lap:
 * see pace.h.
 *
 * A record is published by its first word: the writer first zeroes the first word of the place
 * behind it, writes the rest, and stores the word last, with release, pairing with the reader's
 * acquire. So one cache line carries a small message, and a writer that dies on the way has written
 * nothing. The reader publishes how far it has read every 16 KiB; that is all the writer needs to
 * know.
 */
#ifndef SRI_LOCAL_LANE_H
#define SRI_LOCAL_LANE_H

#include "base/point.h"
#include "transport/local/pace.h"
#include "transport/local/segment.h"
#include "transport/transport.h"

#include <string.h>

#define SRI_RECORD_MAX 16384u
#define SRI_RECORD_HEAD 16u
#define SRI_RECORD_LARGE 1024u
#define SRI_RECORD_BODY_MAX (SRI_RECORD_MAX - 64u)
#define SRI_RECORD_MARK UINT64_C(0xa5)
#define SRI_KIND_PAD 0xffu
#define SRI_LAP_SHORT (SRI_RING_SHORT - 64u) /* room for the PAD's word behind it */
#define SRI_LANE_STEP 16384u                 /* bytes read between two words to the writer */

/* Where the bytes of a record at `at` begin, and how long it is in all. */
static inline uint64_t sri_record_begin(uint64_t at, uint32_t size)
{
    return size < SRI_RECORD_LARGE ? SRI_RECORD_HEAD
                                   : ((at + SRI_RECORD_HEAD + 63) & ~UINT64_C(63)) - at;
}

static inline uint64_t sri_record_length(uint64_t at, uint32_t size)
{
    uint64_t grain = size < SRI_RECORD_LARGE ? 15 : 63;
    return sri_record_begin(at, size) + ((size + grain) & ~grain);
}

typedef struct sri_lane_writer {
    sri_lane *lane; /* NULL: none yet */
    uint8_t *ring;
    uint64_t tail;
    uint64_t head; /* the reader's, as last seen */
    uint32_t lap;  /* where this one ends: SRI_RING_SIZE or SRI_LAP_SHORT */
    uint32_t number;
    uint64_t bulk; /* bytes of large records in this lap */
    bool wide;     /* the whole ring is reserved */
    bool wants_wide;
    sri_pace pace;
} sri_lane_writer;

typedef struct sri_lane_reader {
    sri_lane *lane;
    uint8_t *ring;
    uint64_t at;
    uint64_t published;
    uint32_t number;
} sri_lane_reader;

typedef struct sri_record {
    uint8_t kind;
    uint8_t flags;
    uint64_t aux;
    uint32_t size;
    const uint8_t *bytes;
} sri_record;

static inline uint64_t sri_record_word(uint32_t size, unsigned kind, unsigned flags)
{
    return (uint64_t)size | (uint64_t)kind << 32 | (uint64_t)flags << 40 | SRI_RECORD_MARK << 56;
}

static inline _Atomic uint64_t *sri_lane_word(uint8_t *ring, uint64_t at)
{
    return (_Atomic uint64_t *)(void *)(ring + (at & (SRI_RING_SIZE - 1)));
}

static inline bool sri_lane_room(sri_lane_writer *w, uint64_t need)
{
    if (w->tail + need - w->head <= SRI_RING_SIZE)
        return true;
    /* Acquire: the reader is done with the bytes before head. A head beyond the tail is not a
     * reader's: it is not believed. */
    uint64_t head = atomic_load_explicit(&w->lane->head, memory_order_acquire);
    if (head <= w->tail)
        w->head = head;
    return w->tail + need - w->head <= SRI_RING_SIZE;
}

/* A new lap begins: how long shall it be? */
static inline void sri_lane_turn(sri_lane_writer *w)
{
    bool far = sri_pace_turn(&w->pace, w->lap, w->bulk, sri_now());
    w->bulk = 0;
    w->wants_wide = far && !w->wide;
    w->lap = far && w->wide ? SRI_RING_SIZE : SRI_LAP_SHORT;
}

/* Writes one record, or nothing if there is no room: false. With `fence` the publishing store is
 * sequentially consistent: what the writer reads afterwards (polled, bell) is at least as new as
 * what the reader saw before it went to sleep. Without, somebody else sees to that. */
static inline bool sri_lane_write(sri_lane_writer *w, const sri_frame *f, bool fence)
{
    uint32_t size = (uint32_t)(f->head_len + f->body_len);
    uint64_t record = sri_record_length(w->tail, size);
    uint64_t offset = w->tail & (SRI_RING_SIZE - 1);
    uint64_t pad = offset + record > w->lap ? SRI_RING_SIZE - offset : 0;
    if (__builtin_expect(pad != 0, 0))
        record = sri_record_length(0, size);
    if (!sri_lane_room(w, pad + record + 8))
        return false;

    uint64_t at = w->tail + pad;
    uint8_t *p = w->ring + (at & (SRI_RING_SIZE - 1));
    uint8_t *bytes = p + sri_record_begin(at, size);
    atomic_store_explicit(sri_lane_word(w->ring, at + record), 0, memory_order_relaxed);
    SRI_POINT(3);
    memcpy(p + 8, &f->aux, 8);
    if (f->head_len)
        memcpy(bytes, f->head, f->head_len);
    if (f->body_len)
        memcpy(bytes + f->head_len, f->body, f->body_len);
    SRI_POINT(4);
    uint64_t word = sri_record_word(size, f->kind, f->flags & ~SRI_FLAG_SOON);
    if (pad) {
        /* Behind the pad nobody looks yet: the record goes first, and the pad publishes both. */
        atomic_store_explicit(sri_lane_word(w->ring, at), word, memory_order_relaxed);
        SRI_POINT(5);
        at = w->tail;
        word = sri_record_word((uint32_t)(pad - SRI_RECORD_HEAD), SRI_KIND_PAD, 0);
    }
    w->tail += pad + record;
    if (size >= SRI_RECORD_LARGE) {
        if (__builtin_expect(pad != 0 || (w->tail & (SRI_RING_SIZE - 1)) == 0, 0))
            sri_lane_turn(w);
        w->bulk += record;
    } else if (__builtin_expect(pad != 0, 0)) {
        sri_lane_turn(w);
    }
    if (fence)
        atomic_exchange_explicit(sri_lane_word(w->ring, at), word, memory_order_seq_cst);
    else
        atomic_store_explicit(sri_lane_word(w->ring, at), word, memory_order_release);
    return true;
}

/* Is there a record to read? */
static inline bool sri_lane_ready(const sri_lane_reader *r)
{
    return atomic_load_explicit(sri_lane_word(r->ring, r->at), memory_order_relaxed) != 0;
}

/* The next record, without consuming it. 1: there it is; 0: none; -1: the lane holds what no writer
 * of ours writes. The word is read once and checked; bytes point into the ring. */
static inline int sri_lane_peek(sri_lane_reader *r, sri_record *out)
{
    for (;;) {
        uint64_t word = atomic_load_explicit(sri_lane_word(r->ring, r->at), memory_order_acquire);
        if (word == 0)
            return 0;
        uint32_t size = (uint32_t)word;
        uint64_t left = SRI_RING_SIZE - (r->at & (SRI_RING_SIZE - 1));
        uint8_t kind = (uint8_t)(word >> 32);
        if (word >> 56 != SRI_RECORD_MARK || size > left - SRI_RECORD_HEAD)
            return -1;
        if (kind == SRI_KIND_PAD) {
            /* One begins near the end of a lap, so there are never two: this loop ends. */
            uint64_t offset = SRI_RING_SIZE - left;
            bool early = offset > SRI_LAP_SHORT - SRI_RECORD_MAX && offset <= SRI_LAP_SHORT;
            if (size != left - SRI_RECORD_HEAD || (left >= SRI_RECORD_MAX && !early))
                return -1;
            r->at += left;
            continue;
        }
        if (size > SRI_RECORD_BODY_MAX || sri_record_begin(r->at, size) + size > left)
            return -1;
        uint8_t *p = r->ring + (r->at & (SRI_RING_SIZE - 1));
        out->kind = kind;
        out->flags = (uint8_t)(word >> 40);
        out->size = size;
        memcpy(&out->aux, p + 8, 8);
        out->bytes = p + sri_record_begin(r->at, size);
        return 1;
    }
}

/* Consumes the record that peek gave. True if the writer waits for room and must be rung. */
static inline bool sri_lane_next(sri_lane_reader *r, const sri_record *record)
{
    r->at += sri_record_length(r->at, record->size);
    if (r->at - r->published < SRI_LANE_STEP)
        return false;
    r->published = r->at;
    /* Sequentially consistent, against the writer's want and its second look at head. */
    atomic_exchange_explicit(&r->lane->head, r->at, memory_order_seq_cst);
    if (atomic_load_explicit(&r->lane->want, memory_order_seq_cst) == 0)
        return false;
    SRI_POINT(6);
    return atomic_exchange(&r->lane->want, 0) != 0;
}

/* The writer found no room: says so and looks once more. True: there is room after all. */
static inline bool sri_lane_want_room(sri_lane_writer *w, uint64_t need)
{
    atomic_exchange_explicit(&w->lane->want, 1, memory_order_seq_cst);
    SRI_POINT(7);
    uint64_t head = atomic_load_explicit(&w->lane->head, memory_order_seq_cst);
    if (head <= w->tail)
        w->head = head;
    return w->tail + need - w->head <= SRI_RING_SIZE;
}

#endif
