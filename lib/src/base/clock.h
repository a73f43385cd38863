/* base/clock.h: deadlines. The public parameter is relative seconds; it becomes one absolute
 * deadline at once, on the monotonic clock, and only that travels inward. */
#ifndef SRI_BASE_CLOCK_H
#define SRI_BASE_CLOCK_H

#include "base/error.h"

#include <stdint.h>
#include <time.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Nanoseconds on CLOCK_MONOTONIC. */
typedef int64_t sri_ns;

#define SRI_NEVER INT64_MAX
#define SRI_MS(n) ((sri_ns)(n)*1000000)
#define SRI_US(n) ((sri_ns)(n)*1000)

static inline sri_ns sri_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (sri_ns)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* Seconds from now as a deadline. Negative counts as 0, what is beyond 100 years as never; NaN is
 * SERRY_EINVAL. A zero timeout gives a deadline of 0, which is always past, without a clock call.
 */
serry_err sri_deadline(double timeout, sri_ns *deadline);

/* Seconds left until a deadline, for handing on: 0 if past, infinity if never. */
double sri_seconds_until(sri_ns deadline);

/* For poll and epoll_wait: milliseconds until the deadline, rounded up, -1 for never. */
int sri_poll_timeout(sri_ns deadline);

#ifdef __cplusplus
}
#endif
#endif
