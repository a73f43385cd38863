/* Deadlines: relative seconds in, absolute nanoseconds inward. */
#include "base/clock.h"

#include <climits>
#include <cmath>
#include <gtest/gtest.h>
#include <serry.h>

namespace {

sri_ns deadline_of(double timeout)
{
    sri_ns d = -1;
    EXPECT_EQ(sri_deadline(timeout, &d), SERRY_OK);
    return d;
}

TEST(Deadline, ZeroAndLessArePastAtOnce)
{
    for (double t : { SERRY_NOWAIT, -0.0, -1.0, -1e300, -(double)INFINITY })
        EXPECT_EQ(deadline_of(t), 0) << t;
}

TEST(Deadline, ForeverAndBeyondACenturyAreNever)
{
    for (double t : { SERRY_FOREVER, 1e10, 1e300 })
        EXPECT_EQ(deadline_of(t), SRI_NEVER) << t;
}

TEST(Deadline, NanIsAnErrorAndSetsNothing)
{
    sri_ns d = 42;
    EXPECT_EQ(sri_deadline(NAN, &d), SERRY_EINVAL);
    EXPECT_EQ(d, 42);
    EXPECT_NE(std::string(serry_err_detail()).find("NaN"), std::string::npos);
}

TEST(Deadline, LiesTheSecondsAhead)
{
    for (double t : { 1e-9, 0.001, 1.5, 1e6, 3.1e9 }) {
        sri_ns before = sri_now();
        sri_ns d = deadline_of(t);
        sri_ns after = sri_now();
        EXPECT_GE(d, before + (sri_ns)(t * 1e9)) << t;
        EXPECT_LE(d, after + (sri_ns)(t * 1e9)) << t;
    }
}

TEST(Deadline, SecondsLeftComeBack)
{
    EXPECT_EQ(sri_seconds_until(0), 0);
    EXPECT_EQ(sri_seconds_until(sri_now()), 0);
    EXPECT_TRUE(std::isinf(sri_seconds_until(SRI_NEVER)));
    double left = sri_seconds_until(sri_now() + SRI_MS(100000));
    EXPECT_LE(left, 100.0);
    EXPECT_GT(left, 50.0);
}

TEST(Deadline, PollWaitsAtLeastSoLong)
{
    EXPECT_EQ(sri_poll_timeout(SRI_NEVER), -1);
    EXPECT_EQ(sri_poll_timeout(0), 0);
    EXPECT_EQ(sri_poll_timeout(sri_now() - 1), 0);
    /* Rounded up: a poll that ends too early would spin through the last millisecond. */
    EXPECT_EQ(sri_poll_timeout(sri_now() + SRI_MS(100000) - SRI_US(100)), 100000);
    EXPECT_EQ(sri_poll_timeout(SRI_NEVER - 1), INT_MAX);
}

TEST(Clock, NeverStepsBack)
{
    sri_ns last = sri_now();
    for (int i = 0; i < 10000; i++) {
        sri_ns t = sri_now();
        ASSERT_GE(t, last);
        last = t;
    }
}

} // namespace
