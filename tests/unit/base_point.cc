/* Deaths at chosen places: what the sweeps over SRI_POINT(n) rely on. */
#include "base/point.h"

#include "support/program.h"

#include <csignal>
#include <cstdio>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

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

TEST(Point, StopsThereUntilItIsContinued)
{
    pid_t child = fork();
    if (child == 0) {
        sri_point_stop(9, 2);
        for (int i = 0; i < 3; i++)
            SRI_POINT(9);
        _exit((int)sri_point_passed(9));
    }
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, WUNTRACED), child);
    EXPECT_TRUE(WIFSTOPPED(status)) << status;
    EXPECT_EQ(kill(child, SIGCONT), 0);
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 3) << status;
}

} // namespace
