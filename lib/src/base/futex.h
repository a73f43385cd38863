/* base/futex.h: sleeping on a word, shared between processes or within one. */
#ifndef SRI_BASE_FUTEX_H
#define SRI_BASE_FUTEX_H

#include "base/clock.h"

#include <errno.h>
#include <linux/futex.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* Sleeps while *word is `expected`, until woken, a signal or the deadline. May return for no
 * reason. */
static inline void sri_futex_wait(_Atomic uint32_t *word, uint32_t expected, sri_ns deadline,
                                  bool shared)
{
    struct timespec at = { .tv_sec = deadline / 1000000000, .tv_nsec = deadline % 1000000000 };
    syscall(SYS_futex, word, FUTEX_WAIT_BITSET | (shared ? 0 : FUTEX_PRIVATE_FLAG), expected,
            deadline == SRI_NEVER ? NULL : &at, NULL, FUTEX_BITSET_MATCH_ANY);
}

static inline void sri_futex_wake(_Atomic uint32_t *word, int n, bool shared)
{
    syscall(SYS_futex, word, FUTEX_WAKE | (shared ? 0 : FUTEX_PRIVATE_FLAG), n, NULL, NULL, 0);
}

/* ---- two words at once, one of them the low half of a 64-bit word ---- */

static inline const void *sri_futex_low_half(const _Atomic uint64_t *word)
{
    return (const char *)word + (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__ ? 4 : 0);
}

/* Wakes all who sleep at the low half of a word that has changed. */
static inline void sri_futex_wake_low(const _Atomic uint64_t *word)
{
    syscall(SYS_futex, sri_futex_low_half(word), FUTEX_WAKE, INT32_MAX, NULL, NULL, 0);
}

#ifdef SYS_futex_waitv
/* Does this kernel have it (Linux 5.16), and does no filter forbid it? */
static inline bool sri_futex_has_two(void)
{
    return syscall(SYS_futex_waitv, NULL, 0, 0, NULL, CLOCK_MONOTONIC) < 0 && errno == EINVAL;
}

/* Sleeps while *word is `expected` and the low half of *half is `low`, as sri_futex_wait; both are
 * shared between processes. */
static inline void sri_futex_wait_two(_Atomic uint32_t *word, uint32_t expected,
                                      const _Atomic uint64_t *half, uint32_t low, sri_ns deadline)
{
    struct timespec at = { .tv_sec = deadline / 1000000000, .tv_nsec = deadline % 1000000000 };
    struct futex_waitv two[2] = {
        { .uaddr = (uintptr_t)word, .val = expected, .flags = FUTEX_32 },
        { .uaddr = (uintptr_t)sri_futex_low_half(half), .val = low, .flags = FUTEX_32 },
    };
    syscall(SYS_futex_waitv, two, 2, 0, deadline == SRI_NEVER ? NULL : &at, CLOCK_MONOTONIC);
}
#else
static inline bool sri_futex_has_two(void)
{
    return false;
}

static inline void sri_futex_wait_two(_Atomic uint32_t *word, uint32_t expected,
                                      const _Atomic uint64_t *half, uint32_t low, sri_ns deadline)
{
    (void)word, (void)expected, (void)half, (void)low, (void)deadline;
}
#endif

static inline void sri_cpu_relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

#endif
