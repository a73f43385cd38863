/* base/atomic.h: names for atomic words that headers can use in C and in the C++ tests, which only
 * hand them on. */
#ifndef SRI_BASE_ATOMIC_H
#define SRI_BASE_ATOMIC_H

#include <stdint.h>

#ifdef __cplusplus
typedef uint64_t sri_atomic_u64;
typedef uint32_t sri_atomic_u32;
#else
#include <stdatomic.h>
typedef _Atomic uint64_t sri_atomic_u64;
typedef _Atomic uint32_t sri_atomic_u32;
#endif

#endif
