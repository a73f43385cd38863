/* fault/pool_deaths.h: workers of a pool that die at a chosen point. */
#ifndef SERRY_POOL_DEATHS_H
#define SERRY_POOL_DEATHS_H

#include "base/point.h"
#include "patterns/pool_test.h"

namespace pool_test {

struct Death {
    int point;
    unsigned count;
};

/* The first worker is to die, its successors not. */
inline int choose(const void *arg, size_t)
{
    const Death *d = (const Death *)arg;
    if (board().inits++ == 0)
        sri_point_choose(d->point, d->count);
    return 0;
}

/* Each third waits for a child. */
inline int some_wait(serry_task *t, const void *in, size_t len)
{
    int x = *(const int *)in;
    if (x % 3 == 0) {
        serry_err e =
            serry_pool_apply(serry_task_pool(t), echo, in, len, &x, sizeof x, nullptr, 30);
        if (e != SERRY_OK)
            return serry_task_fail(t, "%s", serry_err_name(e));
    }
    return give(t, &x, sizeof x);
}

/* d is to last as long as the options. */
inline serry_pool_options with_death(serry_pool_options o, const Death &d)
{
    o.initializer = choose;
    o.init_arg = &d;
    o.init_len = sizeof d;
    return o;
}

} // namespace pool_test

#endif
