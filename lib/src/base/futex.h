/* base/futex.h: sleeping on a word, shared between processes or within one. */
#ifndef SRI_BASE_FUTEX_H
#define SRI_BASE_FUTEX_H

#include "base/clock.h"

#include <linux/futex.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/syscall.h>
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

static inline void sri_cpu_relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

#endif
