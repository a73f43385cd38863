/* base/clock.c: relative seconds to absolute deadlines and back. */
#include "base/clock.h"

#include <limits.h>
#include <math.h>

serry_err sri_deadline(double timeout, sri_ns *deadline)
{
    if (isnan(timeout))
        return sri_fail(SERRY_EINVAL, "a timeout is NaN");
    if (timeout <= 0)
        *deadline = 0;
    else if (timeout > 3.2e9)
        *deadline = SRI_NEVER;
    else
        *deadline = sri_now() + (sri_ns)(timeout * 1e9);
    return SERRY_OK;
}

double sri_seconds_until(sri_ns deadline)
{
    if (deadline == SRI_NEVER)
        return INFINITY;
    sri_ns left = deadline - sri_now();
    return left > 0 ? (double)left * 1e-9 : 0;
}

int sri_poll_timeout(sri_ns deadline)
{
    if (deadline == SRI_NEVER)
        return -1;
    sri_ns left = deadline - sri_now();
    if (left <= 0)
        return 0;
    sri_ns ms = (left + 999999) / 1000000;
    return ms > INT_MAX ? INT_MAX : (int)ms;
}
