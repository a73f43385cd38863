// ctest: support timeout=120
/* run_ranks itself: what goes wrong in a rank must fail the test. */
#include "support/ranks.h"

#include <csignal>
#include <fcntl.h>
#include <gtest/gtest-spi.h>
#include <unistd.h>

using namespace serry_test;

namespace {

SERRY_RANKS_TEST(Ranks, AreAsManyAsAskedFor, .both_ways())
{
    EXPECT_GE(serry_rank(), 0);
    EXPECT_LT(serry_rank(), serry_size());
    int fd = open((rank_dir() + "/" + std::to_string(serry_rank())).c_str(),
                  O_CREAT | O_EXCL | O_WRONLY, 0600);
    EXPECT_GE(fd, 0) << "this rank is there twice";
    close(fd);
}

SERRY_RANKS_TEST(Ranks, MaySkip, .ranks({ 2 }).on(shm))
{
    GTEST_SKIP() << "as an example";
}

SERRY_RANKS_TEST(Ranks, MayInitThemselves, .ranks({ 1, 3 }).on(shm).both_ways().without_init())
{
    EXPECT_FALSE(serry_initialized());
    ASSERT_EQ(serry_init(nullptr, nullptr), SERRY_OK) << serry_err_detail();
    EXPECT_EQ(serry_finalize(), SERRY_OK) << serry_err_detail();
}

SERRY_RANKS_BODY(say_who)
{
    note("rank " + std::to_string(serry_rank()));
}

TEST(RunRanks, BringsNotesBack)
{
    RanksResult r = try_ranks(3, shm, "say_who");
    EXPECT_TRUE(r.program.ok()) << r.program;
    EXPECT_EQ(r.notes(), (std::vector<std::string>{ "rank 0", "rank 1", "rank 2" }));
}

SERRY_RANKS_BODY(fail_in_rank_1)
{
    if (serry_rank() == 1)
        EXPECT_EQ(1 + 1, 3) << "wrong sum";
}

TEST(RunRanks, ReportsAFailureWithItsRank)
{
    EXPECT_NONFATAL_FAILURE(run_ranks(3, shm, "fail_in_rank_1"), "in rank 1 ");
    EXPECT_NONFATAL_FAILURE(run_ranks(3, shm, "fail_in_rank_1"), "wrong sum");
}

SERRY_RANKS_BODY(leave_quietly)
{
    if (serry_rank() == 0)
        _exit(0);
}

TEST(RunRanks, NoticesARankThatLeftInTheMiddle)
{
    RanksResult r = try_ranks(1, shm, "leave_quietly");
    EXPECT_EQ(r.of(Record::joined).size(), 1u);
    EXPECT_EQ(r.of(Record::finished).size(), 0u);
}

SERRY_RANKS_BODY(keep_a_descriptor)
{
    int fd = open("/dev/null", O_RDONLY);
    EXPECT_GE(fd, 0);
}

TEST(RunRanks, NoticesADescriptorLeftOpen)
{
    EXPECT_NONFATAL_FAILURE(run_ranks(1, shm, "keep_a_descriptor"), "descriptor left open");
}

SERRY_RANKS_BODY(die)
{
    raise(SIGKILL);
}

TEST(RunRanks, NoticesADeath)
{
    RanksResult r = try_ranks(1, shm, "die");
    EXPECT_NE(r.program.code, 0) << r.program;
}

SERRY_RANKS_BODY(hang)
{
    note("hanging");
    for (;;)
        pause();
}

TEST(RunRanks, EndsWhatHangs)
{
    RankOptions o;
    o.timeout = 1;
    RanksResult r = try_ranks(2, shm, "hang", o);
    EXPECT_TRUE(r.program.timed_out);
    EXPECT_EQ(r.notes().size(), 2u);
}

TEST(RunRanks, KnowsThePidOfARank)
{
    Ranks ranks(2, shm, "hang");
    ASSERT_TRUE(ranks.wait_for_note("hanging"));
    pid_t pid = ranks.pid_of(1);
    ASSERT_GT(pid, 0);
    EXPECT_TRUE(is_alive(pid));
    std::vector<pid_t> all = ranks.program().processes();
    EXPECT_NE(std::find(all.begin(), all.end(), pid), all.end());
}

TEST(RunRanks, RefusesABodyThatIsNotThere)
{
    RanksResult r = try_ranks(1, shm, "no_such_body");
    EXPECT_NE(r.program.code, 0);
    EXPECT_NE(r.program.err.find("no_such_body"), std::string::npos);
}

} // namespace
