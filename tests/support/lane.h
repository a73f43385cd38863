/* support/lane.h: the ring and the segment of transport/local for tests in C++, which cannot
 * include headers with C11 atomics. Each call is the function of the same name there, unless said.
 */
#ifndef SERRY_TEST_LANE_H
#define SERRY_TEST_LANE_H

#include "transport/transport.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

extern const size_t lane_ring_size;
extern const size_t lane_short_size; /* as much of the ring as short laps use */
extern const size_t lane_body_max;

/* A lane in memory of its own, its writer and its reader. */
typedef struct lane_pair lane_pair;

typedef struct lane_record {
    uint8_t kind;
    uint8_t flags;
    uint64_t aux;
    uint32_t size;
    const uint8_t *bytes;
} lane_record;

lane_pair *lane_create(void);
void lane_destroy(lane_pair *p);
/* An empty lane whose writer and reader stand at `at`, a multiple of 16. */
void lane_start_at(lane_pair *p, uint64_t at);
/* The same, and its laps are short. */
void lane_start_short(lane_pair *p, uint64_t at);
/* The memory of the ring, to look at and to spoil. */
uint8_t *lane_ring(lane_pair *p);
uint64_t lane_written(const lane_pair *p);  /* the writer's position */
uint64_t lane_position(const lane_pair *p); /* the reader's */
/* What the reader says it has consumed, as the writer sees it. */
uint64_t lane_head(lane_pair *p);
void lane_set_head(lane_pair *p, uint64_t head);

bool lane_write(lane_pair *p, const sri_frame *f);
bool lane_want_room(lane_pair *p, uint64_t need);
bool lane_ready(const lane_pair *p);
int lane_peek(lane_pair *p, lane_record *out);
bool lane_next(lane_pair *p, const lane_record *record);

/* ---- the segment ---- */

typedef struct sri_segment sri_segment;

extern const uint32_t segment_slots;
extern const uint32_t segment_lanes;

/* create and open return NULL on failure; open takes fd. */
sri_segment *segment_create(int size);
sri_segment *segment_open(int fd);
void segment_close(sri_segment *s);
int segment_fd(const sri_segment *s);
size_t segment_total(const sri_segment *s);
int segment_size(const sri_segment *s);
void segment_set_version(sri_segment *s, uint32_t version);
void segment_set_magic(sri_segment *s, uint64_t magic);

uint32_t segment_take_lane(sri_segment *s, uint32_t from, uint32_t to);
void segment_free_lane(sri_segment *s, uint32_t lane);
/* The number the receiver finds in the table; 0: none. */
uint32_t segment_table(sri_segment *s, uint32_t to, uint32_t from);
bool segment_lane_owner(sri_segment *s, uint32_t lane, uint32_t *from, uint32_t *to);
void segment_set_owner(sri_segment *s, uint32_t lane, uint32_t from, uint32_t to);
/* As if all lanes from `first` up were in use; no memory is reserved for them. */
void segment_exhaust(sri_segment *s, uint32_t first);
uint8_t *segment_ring(sri_segment *s, uint32_t lane);

#ifdef __cplusplus
}
#endif
#endif
