/* base/point.c: deaths and stops at chosen places, for tests. */
#include "base/point.h"

#ifdef SRI_POINTS

#include "base/env.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

/* Any thread comes by. Counted without order, so that no point hides a missing one from
 * ThreadSanitizer. */
static _Atomic int point_chosen = -1; /* -1: not read yet, 0: none */
static _Atomic unsigned point_countdown;
static _Atomic int point_signal = SIGKILL;
static _Atomic unsigned point_counts[SRI_POINT_MAX + 1];

static void point_read_choice(void)
{
    const char *text = sri_env("SERRY_KILL_POINT");
    int n = 0;
    unsigned k = 1;
    if (text)
        sscanf(text, "%d:%u", &n, &k);
    sri_point_choose(n, k);
}

void sri_point(int n)
{
    int chosen = atomic_load_explicit(&point_chosen, memory_order_acquire);
    if (chosen < 0) {
        point_read_choice();
        chosen = atomic_load_explicit(&point_chosen, memory_order_acquire);
    }
    atomic_fetch_add_explicit(&point_counts[n], 1, memory_order_relaxed);
    if (n == chosen && atomic_fetch_sub_explicit(&point_countdown, 1, memory_order_relaxed) == 1)
        kill(getpid(), atomic_load_explicit(&point_signal, memory_order_relaxed));
}

static void point_set(int n, unsigned k, int sig)
{
    atomic_store_explicit(&point_signal, sig, memory_order_relaxed);
    atomic_store_explicit(&point_countdown, k, memory_order_relaxed);
    atomic_store_explicit(&point_chosen, n, memory_order_release);
}

void sri_point_choose(int n, unsigned k)
{
    point_set(n, k, SIGKILL);
}

void sri_point_stop(int n, unsigned k)
{
    point_set(n, k, SIGSTOP);
}

unsigned sri_point_passed(int n)
{
    return atomic_load_explicit(&point_counts[n], memory_order_relaxed);
}

#else
typedef int sri_point_unused;
#endif
