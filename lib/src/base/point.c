/* base/point.c: deaths at chosen places, for tests. */
#include "base/point.h"

#ifdef SRI_POINTS

#include "base/env.h"

#include <signal.h>
#include <stdio.h>
#include <unistd.h>

static int point_chosen = -1; /* -1: not read yet, 0: none */
static unsigned point_countdown;
static unsigned point_counts[SRI_POINT_MAX + 1];

static void point_read_choice(void)
{
    const char *text = sri_env("SERRY_KILL_POINT");
    int n = 0;
    unsigned k = 1;
    if (text)
        sscanf(text, "%d:%u", &n, &k);
    point_chosen = n;
    point_countdown = k;
}

void sri_point(int n)
{
    if (point_chosen < 0)
        point_read_choice();
    point_counts[n]++;
    if (n == point_chosen && --point_countdown == 0)
        kill(getpid(), SIGKILL);
}

void sri_point_choose(int n, unsigned k)
{
    point_chosen = n;
    point_countdown = k;
}

unsigned sri_point_passed(int n)
{
    return point_counts[n];
}

#else
typedef int sri_point_unused;
#endif
