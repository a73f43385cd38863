/* support/lane.c: see lane.h. */
#include "support/lane.h"

#include "transport/local/lane.h"

#include <stdlib.h>

const size_t lane_ring_size = SRI_RING_SIZE;
const size_t lane_short_size = SRI_RING_SHORT;
const size_t lane_body_max = SRI_RECORD_BODY_MAX;
const uint32_t segment_slots = SRI_SLOTS;
const uint32_t segment_lanes = SRI_LANES_MAX;

struct lane_pair {
    sri_lane lane;
    /* Lines of their own: two threads of a test do not share more than two processes do. */
    alignas(64) sri_lane_writer writer;
    alignas(64) sri_lane_reader reader;
    alignas(64) uint8_t ring[SRI_RING_SIZE];
};

lane_pair *lane_create(void)
{
    lane_pair *p = aligned_alloc(64, (sizeof *p + 63) & ~(size_t)63);
    if (!p)
        abort();
    memset(p, 0, sizeof *p);
    lane_start_at(p, 0);
    return p;
}

void lane_destroy(lane_pair *p)
{
    free(p);
}

void lane_start_at(lane_pair *p, uint64_t at)
{
    /* What an earlier lap left behind, but for the first word, which a writer has zeroed. */
    memset(p->ring, 0x77, sizeof p->ring);
    atomic_store(sri_lane_word(p->ring, at), 0);
    atomic_store(&p->lane.head, at);
    atomic_store(&p->lane.want, 0);
    p->writer = (sri_lane_writer){ .lane = &p->lane,
                                   .ring = p->ring,
                                   .tail = at,
                                   .head = at,
                                   .lap = SRI_RING_SIZE,
                                   .wide = true };
    sri_pace_init(&p->writer.pace);
    p->reader = (sri_lane_reader){ .lane = &p->lane, .ring = p->ring, .at = at, .published = at };
}

void lane_start_short(lane_pair *p, uint64_t at)
{
    lane_start_at(p, at);
    p->writer.lap = SRI_LAP_SHORT;
    p->writer.wide = false;
}

uint8_t *lane_ring(lane_pair *p)
{
    return p->ring;
}

uint64_t lane_written(const lane_pair *p)
{
    return p->writer.tail;
}

uint64_t lane_position(const lane_pair *p)
{
    return p->reader.at;
}

uint64_t lane_head(lane_pair *p)
{
    return atomic_load(&p->lane.head);
}

void lane_set_head(lane_pair *p, uint64_t head)
{
    atomic_store(&p->lane.head, head);
}

bool lane_write(lane_pair *p, const sri_frame *f)
{
    return sri_lane_write(&p->writer, f, true);
}

bool lane_want_room(lane_pair *p, uint64_t need)
{
    return sri_lane_want_room(&p->writer, need);
}

bool lane_ready(const lane_pair *p)
{
    return sri_lane_ready(&p->reader);
}

int lane_peek(lane_pair *p, lane_record *out)
{
    sri_record r;
    int got = sri_lane_peek(&p->reader, &r);
    if (got == 1)
        *out = (lane_record){ r.kind, r.flags, r.aux, r.size, r.bytes };
    return got;
}

bool lane_next(lane_pair *p, const lane_record *record)
{
    sri_record r = { .size = record->size };
    return sri_lane_next(&p->reader, &r);
}

/* ---- the segment ---- */

sri_segment *segment_create(int size)
{
    sri_segment *s = malloc(sizeof *s);
    if (s && sri_segment_create(s, size) == SERRY_OK)
        return s;
    free(s);
    return NULL;
}

sri_segment *segment_open(int fd)
{
    sri_segment *s = malloc(sizeof *s);
    if (s && sri_segment_open(s, fd) == SERRY_OK)
        return s;
    free(s);
    return NULL;
}

void segment_close(sri_segment *s)
{
    if (s)
        sri_segment_close(s);
    free(s);
}

int segment_fd(const sri_segment *s)
{
    return s->fd;
}

size_t segment_total(const sri_segment *s)
{
    return s->total;
}

int segment_size(const sri_segment *s)
{
    return s->header->size;
}

void segment_set_version(sri_segment *s, uint32_t version)
{
    s->header->version = version;
}

void segment_set_magic(sri_segment *s, uint64_t magic)
{
    s->header->magic = magic;
}

uint32_t segment_take_lane(sri_segment *s, uint32_t from, uint32_t to)
{
    return sri_segment_take_lane(s, from, to, (int)from);
}

void segment_free_lane(sri_segment *s, uint32_t lane)
{
    sri_segment_free_lane(s, lane);
}

uint32_t segment_table(sri_segment *s, uint32_t to, uint32_t from)
{
    return atomic_load(sri_segment_table(s, to, from));
}

bool segment_lane_owner(sri_segment *s, uint32_t lane, uint32_t *from, uint32_t *to)
{
    uint64_t owner = atomic_load(&s->lanes[lane].owner);
    *from = sri_lane_owner_from(owner);
    *to = sri_lane_owner_to(owner);
    return owner != 0;
}

void segment_set_owner(sri_segment *s, uint32_t lane, uint32_t from, uint32_t to)
{
    atomic_store(&s->lanes[lane].owner, sri_lane_owner(from, to));
}

void segment_exhaust(sri_segment *s, uint32_t first)
{
    for (uint32_t n = first; n < SRI_LANES_MAX; n++)
        segment_set_owner(s, n, 1, 2);
    atomic_store(&s->header->lanes_top, SRI_LANES_MAX - 1);
}

uint8_t *segment_ring(sri_segment *s, uint32_t lane)
{
    return sri_segment_ring(s, lane);
}
