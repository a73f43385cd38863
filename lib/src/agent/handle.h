/* agent/handle.h: what a handle's 64 bits say: class, home, index, generation.
 *
 *      63   58 57      48 47            24 23             0
 *     | class |   home   |     index      |   generation   |
 *
 * A generation is never 0, so a zeroed handle names nothing. */
#ifndef SRI_AGENT_HANDLE_H
#define SRI_AGENT_HANDLE_H

#include <stdint.h>

/* An object that has two handles (the ends of a pipe): the second one has this bit of the class
 * too. Its home knows only the first. */
#define SRI_HANDLE_SIDE (UINT64_C(1) << 63)

#define SRI_HANDLE_INDEX_MAX ((1u << 24) - 1)

static inline uint64_t sri_handle_make(unsigned cls, unsigned home, uint32_t index, uint32_t gen)
{
    return (uint64_t)cls << 58 | (uint64_t)home << 48 | (uint64_t)index << 24 | gen;
}

static inline unsigned sri_handle_class(uint64_t id)
{
    return (unsigned)(id >> 58);
}

static inline unsigned sri_handle_home(uint64_t id)
{
    return (unsigned)(id >> 48) & 0x3ff;
}

static inline uint32_t sri_handle_index(uint64_t id)
{
    return (uint32_t)(id >> 24) & 0xffffff;
}

static inline uint32_t sri_handle_generation(uint64_t id)
{
    return (uint32_t)id & 0xffffff;
}

/* 15 bits, never all 0, by which a word that was another object's is told apart. */
static inline uint32_t sri_handle_tag(uint64_t id)
{
    uint32_t mixed =
        (sri_handle_generation(id) * 0x9e3779b1u) ^ (sri_handle_index(id) * 0x85ebca6bu);
    uint32_t tag = mixed >> 17;
    return tag ? tag : 1;
}

#endif
