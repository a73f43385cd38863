/* patterns/shared_wire.h: what the users of shared objects and their homes say to each other. All
 * are requests; each is answered at once. */
#ifndef SRI_PATTERNS_SHARED_WIRE_H
#define SRI_PATTERNS_SHARED_WIRE_H

#include "agent/object.h"

#include <serry/shared.h>

#include <assert.h>
#include <stdint.h>

enum {
    SHARED_OP_INFO =
        SRI_OP_OWN, /* answer: shared_wire_info; the asker is told when it is destroyed */
    SHARED_OP_GET,
    SHARED_OP_SET,
    SHARED_OP_ADD,
    SHARED_OP_COMPARE, /* answer: uint64_t, was it set? */
    SHARED_OP_INSERT,
    SHARED_OP_APPEND,
    SHARED_OP_POP,
    SHARED_OP_DELETE,
    SHARED_OP_CLEAR,
    SHARED_OP_KEYS,
};

/* What it is and how long: n elements, items or keys. Also what makes an array. */
typedef struct shared_wire_info {
    uint32_t type; /* serry_type; 0 for lists and dicts */
    uint32_t reserved;
    uint64_t n;
} shared_wire_info;
static_assert(sizeof(shared_wire_info) == 16, "on the wire");

/* ---- value ---- */

/* One element: SET, ADD (the answer: the element before), and the answer of GET. */
typedef struct shared_wire_element {
    uint8_t bytes[16];
} shared_wire_element;

typedef struct shared_wire_value {
    uint32_t type;
    uint32_t reserved;
    shared_wire_element initial;
} shared_wire_value;
static_assert(sizeof(shared_wire_value) == 24, "on the wire");

typedef struct shared_wire_compare {
    shared_wire_element expected, desired;
} shared_wire_compare;
static_assert(sizeof(shared_wire_compare) == 32, "on the wire");

/* ---- array ---- */

/* A piece of a slice: GET is answered with its elements, SET and ADD bring them as the body. */
typedef struct shared_wire_slice {
    uint64_t first, n;
} shared_wire_slice;
static_assert(sizeof(shared_wire_slice) == 16, "on the wire");

/* ---- list and dict ---- */

#define SHARED_LAST UINT64_MAX /* POP: the last item */

/* GET and POP of a list, GET of a dict, with the key as the body. */
typedef struct shared_wire_want {
    uint64_t at;
    uint64_t cap;
    uint64_t exact; /* 1: nothing but cap bytes will do */
} shared_wire_want;
static_assert(sizeof(shared_wire_want) == 24, "on the wire");

/* The answer; the bytes follow if they fit. If not, nothing has been done. */
typedef struct shared_wire_found {
    uint64_t len;
    uint64_t fits;
} shared_wire_found;
static_assert(sizeof(shared_wire_found) == 16, "on the wire");

/* SET of a dict: behind it the key, padded to 8, then as the body the value. */
typedef struct shared_wire_put {
    uint64_t key_len;
} shared_wire_put;

/* COMPARE of a dict: behind it the key and what is expected, each padded to 8; then the value. */
typedef struct shared_wire_compare_put {
    uint32_t key_len;
    uint32_t absent; /* 1: there must be no such key */
    uint64_t expected_len;
} shared_wire_compare_put;
static_assert(sizeof(shared_wire_compare_put) == 16, "on the wire");

/* The answer of KEYS: how many, and behind it the keys, each with its 0. */
typedef struct shared_wire_keys {
    uint64_t n;
} shared_wire_keys;

static inline uint64_t shared_padded(uint64_t n)
{
    return (n + 7) & ~UINT64_C(7);
}

#endif
