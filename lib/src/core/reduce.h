/* core/reduce.h: combining arrays of the types and operations of serry/types.h. */
#ifndef SRI_CORE_REDUCE_H
#define SRI_CORE_REDUCE_H

#include "base/error.h"

#include <serry/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* out[i] = left[i] op right[i] for i < n; out may be left or right. Equal values of MIN and MAX
 * come from the left. Integers wrap around. */
typedef void (*sri_reduce_fn)(void *out, const void *left, const void *right, size_t n);

/* SERRY_EINVAL: no such type or operation, or the two do not go together. */
serry_err sri_reduce_find(serry_type type, serry_op op, sri_reduce_fn *fn, size_t *size);

/* Bytes of one element; 0 if there is no such type. */
size_t sri_type_size(serry_type type);

#ifdef __cplusplus
}
#endif
#endif
