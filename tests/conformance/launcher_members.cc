// ctest: launcher
/* `serry run` with ranks that are members of a world: what it says and returns when they do not
 * leave as they should. */
#include "support/ranks.h"

#include <csignal>
#include <unistd.h>

using namespace serry_test;

namespace {

bool has(const std::string &text, const std::string &part)
{
    return text.find(part) != std::string::npos;
}

class LauncherMembers : public testing::TestWithParam<Lanes> {};

INSTANTIATE_TEST_SUITE_P(Launcher, LauncherMembers, testing::Values(shm, socket),
                         [](const auto &i) { return i.param == shm ? "shm" : "socket"; });

/* Waits for what never comes. */
void wait_for_ever()
{
    int nothing;
    SERRY_IGNORE(serry_recv(SERRY_ANY, 0, &nothing, sizeof nothing, nullptr, SERRY_FOREVER));
    for (;;)
        pause();
}

SERRY_RANKS_BODY(aborts_in_rank_1)
{
    if (serry_rank() == 1)
        serry_abort(9);
    wait_for_ever();
}

TEST_P(LauncherMembers, ReturnsTheCodeOfAnAbort)
{
    auto r = try_ranks(3, GetParam(), "aborts_in_rank_1").program;
    EXPECT_EQ(r.code, 9) << r;
    /* What is seen first, the call or the end, is said. */
    EXPECT_TRUE(has(r.err, "serry run: rank 1 called serry_abort(9)")
                || has(r.err, ") exited with code 9;"))
        << r;
    EXPECT_TRUE(r.left_behind.empty()) << r;
}

SERRY_RANKS_BODY(aborts_with_nothing)
{
    if (serry_rank() == 0)
        serry_abort(0);
    wait_for_ever();
}

TEST_P(LauncherMembers, ReturnsOneForAnAbortWithNothing)
{
    auto r = try_ranks(2, GetParam(), "aborts_with_nothing").program;
    EXPECT_EQ(r.code, 1) << r;
}

SERRY_RANKS_BODY(leaves_without_finalize)
{
    if (serry_rank() == 1)
        _exit(0);
    wait_for_ever();
}

TEST_P(LauncherMembers, CountsLeavingWithoutFinalizeAsFailure)
{
    auto r = try_ranks(3, GetParam(), "leaves_without_finalize").program;
    EXPECT_EQ(r.code, 1) << r;
    EXPECT_TRUE(has(r.err, "serry run: rank 1 (pid ")) << r;
    EXPECT_TRUE(has(r.err, "without serry_finalize")) << r;
    EXPECT_TRUE(r.left_behind.empty()) << r;
}

SERRY_RANKS_BODY(is_killed_in_rank_2)
{
    if (serry_rank() == 2)
        raise(SIGKILL);
    /* The others fail because of it, and are not the first to. */
    int nothing;
    SERRY_CHECK(serry_recv(2, 0, &nothing, sizeof nothing, nullptr, SERRY_FOREVER));
}

TEST_P(LauncherMembers, BlamesTheRankThatDiedFirst)
{
    for (int round = 0; round < 20; round++) {
        auto r = try_ranks(4, GetParam(), "is_killed_in_rank_2").program;
        ASSERT_EQ(r.code, 128 + SIGKILL) << r;
        ASSERT_TRUE(has(r.err, "serry run: rank 2 (pid ")) << r;
        ASSERT_TRUE(r.left_behind.empty()) << r;
    }
}

SERRY_RANKS_BODY(goes_on_without_rank_0)
{
    if (serry_rank() == 0)
        _exit(5);
    int nothing;
    EXPECT_EQ(serry_recv(0, 0, &nothing, sizeof nothing, nullptr, SERRY_FOREVER), SERRY_EDIED);
    note("went on");
}

TEST_P(LauncherMembers, MayGoOnWithoutOne)
{
    RankOptions o;
    o.run_flags = { "--keep-going" };
    auto r = try_ranks(3, GetParam(), "goes_on_without_rank_0", o);
    EXPECT_EQ(r.program.code, 5) << r.program;
    EXPECT_EQ(r.notes(), (std::vector<std::string>{ "went on", "went on" })) << r.program;
    EXPECT_TRUE(r.of(Record::failure).empty());
}

SERRY_RANKS_BODY(wait_all)
{
    note("waiting");
    wait_for_ever();
}

TEST_P(LauncherMembers, LeaveNothingWhenTheLauncherIsKilled)
{
    for (int round = 0; round < 10; round++) {
        Ranks ranks(3, GetParam(), "wait_all");
        ASSERT_GT(ranks.pid_of(2), 0);
        ranks.program().signal(SIGKILL);
        auto r = ranks.wait().program;
        EXPECT_EQ(r.signal, SIGKILL) << r;
        ASSERT_TRUE(r.left_behind.empty()) << r;
    }
}

} // namespace
