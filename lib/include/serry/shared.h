/* serry/shared.h: objects that all processes see: a value, an array, a list, a dict.
 *
 *     serry_value count;
 *     serry_dict scores;
 *     SERRY_CHECK(serry_value_create(&count, SERRY_INT64, NULL, NULL));
 *     SERRY_CHECK(serry_dict_create(&scores, NULL));
 *     int64_t one = 1, all;
 *     double score = 9.5;
 *     SERRY_CHECK(serry_value_add(count, &one, NULL));
 *     SERRY_CHECK(serry_value_get(count, &all));
 *     SERRY_CHECK(serry_dict_put(scores, "anna", &score, sizeof score));
 *     SERRY_CHECK(serry_dict_get(scores, "anna", &score, sizeof score, NULL));
 *
 * They live at their home, the agent of a node, and belong to nobody: they outlive the process that
 * made them, until they are destroyed or the world ends. Every call is one request to the home (a
 * slice longer than SERRY_SLICE_ATOMIC: several), which serves one at a time: each is done wholly
 * or not at all, and what one process has done when its call returns, every other one sees. No call
 * waits for another process, but for the home's answer.
 *
 * Handles are values: they travel in messages, in queues, and as items of lists and dicts. What a
 * destroyed object's handle is given to is SERRY_EHANDLE.
 */
#ifndef SERRY_SHARED_H
#define SERRY_SHARED_H

#include <serry/types.h>
#include <serry/world.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Bytes: a slice of an array up to this long is read and written in one step (up to 32 KiB where
 * SERRY_MAX_MESSAGE is less than this). */
#define SERRY_SLICE_ATOMIC (1u << 20)

/* Bytes of a dict's key at most, without the end. */
#define SERRY_KEY_MAX 1023

typedef struct serry_value {
    uint64_t id;
} serry_value;

typedef struct serry_array {
    uint64_t id;
} serry_array;

typedef struct serry_list {
    uint64_t id;
} serry_list;

typedef struct serry_dict {
    uint64_t id;
} serry_dict;

typedef struct serry_shared_options {
    const char *name; /* the same name is the same object; up to 63 bytes; NULL: a new one */
    int node;         /* where it lives: 0 here, SERRY_NODE(k) */
} serry_shared_options;

/* ---- a value: one element of a type ---- */

/* Makes a value, or finds the one of that name, which is then left as it is. initial NULL: zero.
 * SERRY_EINVAL: no such type; or it exists with another one. */
SERRY_API SERRY_WARN_UNUSED serry_err serry_value_create(serry_value *v, serry_type type,
                                                         const void *initial,
                                                         const serry_shared_options *o);

/* out and in are one element of the value's type, borrowed during the call. */
SERRY_API SERRY_WARN_UNUSED serry_err serry_value_get(serry_value v, void *out);
SERRY_API SERRY_WARN_UNUSED serry_err serry_value_set(serry_value v, const void *in);

/* Adds delta in one step; *before, unless NULL, is the value it had. Integers wrap around.
 * SERRY_EINVAL: a DOUBLE_INT has no sum. */
SERRY_API SERRY_WARN_UNUSED serry_err serry_value_add(serry_value v, const void *delta,
                                                      void *before);

/* Sets it to *desired if it is *expected, bit by bit (a DOUBLE_INT's padding does not count): 0.0
 * is not -0.0, a NaN is itself. *done, unless NULL, says whether it was. */
SERRY_API SERRY_WARN_UNUSED serry_err serry_value_compare_set(serry_value v, const void *expected,
                                                              const void *desired, bool *done);

SERRY_API SERRY_WARN_UNUSED serry_err serry_value_destroy(serry_value v);

/* ---- an array: a fixed number of elements of a type ---- */

/* Makes an array of n zeros, or finds the one of that name. Memory is taken when elements are first
 * written. SERRY_EINVAL: no such type, or it exists with another type or length; SERRY_ELIMIT,
 * SERRY_ENOMEM: more bytes than can be counted, or than the machine has. */
SERRY_API SERRY_WARN_UNUSED serry_err serry_array_create(serry_array *a, serry_type type, size_t n,
                                                         const serry_shared_options *o);

SERRY_API SERRY_WARN_UNUSED serry_err serry_array_len(serry_array a, size_t *n);

/* The elements [first, first + n), read into out, set from in, or each increased by in's (integers
 * wrap around; SERRY_EINVAL for DOUBLE_INT). n may be 0. SERRY_EINVAL: not all of them are in the
 * array; nothing is done. Up to SERRY_SLICE_ATOMIC bytes are one step. A longer slice is done in
 * pieces of that size, from its first element on, each in one step, and others may come in between;
 * only when the array is destroyed meanwhile, or memory ends, some may be done and others not. */
SERRY_API SERRY_WARN_UNUSED serry_err serry_array_get(serry_array a, size_t first, size_t n,
                                                      void *out);
SERRY_API SERRY_WARN_UNUSED serry_err serry_array_set(serry_array a, size_t first, size_t n,
                                                      const void *in);
SERRY_API SERRY_WARN_UNUSED serry_err serry_array_add(serry_array a, size_t first, size_t n,
                                                      const void *in);

SERRY_API SERRY_WARN_UNUSED serry_err serry_array_destroy(serry_array a);

/* ---- a list of byte strings ----
 *
 * Items have 0 bytes to SERRY_MAX_MESSAGE (longer: SERRY_ELIMIT). at counts from 0; one that is not
 * in the list is SERRY_EINVAL. Append, get, set, and insert and pop at either end take the same
 * time whatever the length; in the middle, time for the items between there and the nearer end. */

SERRY_API SERRY_WARN_UNUSED serry_err serry_list_create(serry_list *l,
                                                        const serry_shared_options *o);
SERRY_API SERRY_WARN_UNUSED serry_err serry_list_len(serry_list l, size_t *n);
SERRY_API SERRY_WARN_UNUSED serry_err serry_list_append(serry_list l, const void *item, size_t len);

/* In front of item at; at may be the length: behind the last. */
SERRY_API SERRY_WARN_UNUSED serry_err serry_list_insert(serry_list l, size_t at, const void *item,
                                                        size_t len);
SERRY_API SERRY_WARN_UNUSED serry_err serry_list_set(serry_list l, size_t at, const void *item,
                                                     size_t len);

/* Copies, or takes out, item at into item of cap bytes; *len is its length. pop: at SIZE_MAX is the
 * last. SERRY_ETRUNC: longer than cap; *len is set and it stays, with pop too. len NULL: exactly
 * cap bytes are expected (SERRY_EINVAL otherwise, it stays). */
SERRY_API SERRY_WARN_UNUSED serry_err serry_list_get(serry_list l, size_t at, void *item,
                                                     size_t cap, size_t *len);
SERRY_API SERRY_WARN_UNUSED serry_err serry_list_pop(serry_list l, size_t at, void *item,
                                                     size_t cap, size_t *len);

SERRY_API SERRY_WARN_UNUSED serry_err serry_list_clear(serry_list l);
SERRY_API SERRY_WARN_UNUSED serry_err serry_list_destroy(serry_list l);

/* ---- a dict of byte strings by key; also a namespace ----
 *
 * A key is a string of 1 to SERRY_KEY_MAX bytes (none: SERRY_EINVAL, longer: SERRY_ELIMIT), a value
 * has 0 bytes to SERRY_MAX_MESSAGE. Keys stay in the order in which they first came. */

SERRY_API SERRY_WARN_UNUSED serry_err serry_dict_create(serry_dict *d,
                                                        const serry_shared_options *o);
SERRY_API SERRY_WARN_UNUSED serry_err serry_dict_len(serry_dict d, size_t *n);

/* Sets the value of a key; a new key becomes the last. */
SERRY_API SERRY_WARN_UNUSED serry_err serry_dict_put(serry_dict d, const char *key, const void *val,
                                                     size_t len);

/* Copies a key's value into val of cap bytes; *len is its length. SERRY_ENOKEY: no such key;
 * SERRY_ETRUNC: longer than cap, *len is set. len NULL: exactly cap bytes are expected
 * (SERRY_EINVAL otherwise). */
SERRY_API SERRY_WARN_UNUSED serry_err serry_dict_get(serry_dict d, const char *key, void *val,
                                                     size_t cap, size_t *len);

/* SERRY_ENOKEY: no such key. */
SERRY_API SERRY_WARN_UNUSED serry_err serry_dict_del(serry_dict d, const char *key);

/* Puts val if the key's value is expected, byte by byte; expected NULL, of 0 bytes: if there is no
 * such key. *done, unless NULL, says whether it was put. expected and val together have at most
 * SERRY_MAX_MESSAGE bytes (SERRY_ELIMIT). */
SERRY_API SERRY_WARN_UNUSED serry_err serry_dict_compare_put(serry_dict d, const char *key,
                                                             const void *expected,
                                                             size_t expected_len, const void *val,
                                                             size_t len, bool *done);

/* All keys of one moment, in order, and behind them a NULL. Gives *keys: free it by
 * serry_strings_free. What is done to the dict meanwhile does not change them; a key may be gone
 * when one asks for it. */
SERRY_API SERRY_WARN_UNUSED serry_err serry_dict_keys(serry_dict d, char ***keys, size_t *n);
SERRY_API void serry_strings_free(char **keys, size_t n);

SERRY_API SERRY_WARN_UNUSED serry_err serry_dict_clear(serry_dict d);
SERRY_API SERRY_WARN_UNUSED serry_err serry_dict_destroy(serry_dict d);

#ifdef __cplusplus
}
#endif
#endif
