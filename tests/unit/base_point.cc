/* Deaths at chosen places: what the sweeps over SRI_POINT(n) rely on. */
#include "base/point.h"

#include "support/program.h"

#include <csignal>
#include <cstdio>
#include <gtest/gtest.h>

using namespace serry_test;

namespace {

TEST(Point, IsCounted)
{
    unsigned before = sri_point_passed(5);
    SRI_POINT(5);
    SRI_POINT(5);
    EXPECT_EQ(sri_point_passed(5), before + 2);
    EXPECT_EQ(sri_point_passed(SRI_POINT_MAX), 0u);
}

/* Run by the test below in a process of its own. */
TEST(Point, IsPassedFiveTimes)
{
    for (int i = 1; i <= 5; i++) {
        printf("<%d>", i);
        fflush(stdout);
        SRI_POINT(7);
    }
}

ProgramResult five_times(const std::string &choice)
{
    ProgramOptions o;
    o.env["SERRY_KILL_POINT"] = choice;
    return run_program({ self_path(), "--gtest_filter=Point.IsPassedFiveTimes" }, o);
}

TEST(Point, KillsThereAndThen)
{
    ProgramResult r = five_times("7:3");
    EXPECT_EQ(r.signal, SIGKILL) << r;
    EXPECT_NE(r.out.find("<3>"), std::string::npos) << r;
    EXPECT_EQ(r.out.find("<4>"), std::string::npos) << r;
    r = five_times("7");
    EXPECT_EQ(r.signal, SIGKILL) << r;
    EXPECT_EQ(r.out.find("<2>"), std::string::npos) << r;
}

TEST(Point, KillsNowhereElse)
{
    for (const char *choice : { "8", "7:6", "" })
        EXPECT_TRUE(five_times(choice).ok()) << choice;
}

} // namespace
