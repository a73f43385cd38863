/* support/started.h: short forms for what bodies do all the time: processes that they start, and
 * all ranks at one place. */
#ifndef SERRY_TEST_STARTED_H
#define SERRY_TEST_STARTED_H

#include "support/ranks.h"

namespace serry_test {

template <class Job>
serry_process start(serry_process_fn fn, const Job &job)
{
    serry_process p = {};
    EXPECT_EQ(serry_process_start(&p, fn, &job, sizeof job, nullptr), SERRY_OK)
        << serry_err_detail();
    return p;
}

/* Its exit code, or -N for signal N. */
inline int end_of(serry_process p, double timeout = patience(20))
{
    int code = -1000;
    EXPECT_EQ(serry_process_join(p, &code, timeout), SERRY_OK) << serry_err_detail();
    return code;
}

inline int rank_of(serry_process p)
{
    serry_process_info info = {};
    EXPECT_EQ(serry_process_info_of(p, &info), SERRY_OK) << serry_err_detail();
    return info.rank;
}

inline void barrier()
{
    ASSERT_EQ(serry_world_barrier(), SERRY_OK) << serry_err_detail();
}

} // namespace serry_test

#endif
