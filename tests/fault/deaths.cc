// ctest: slow timeout=180
/* Ranks and started processes that are killed while others wait for them: every wait ends, soon,
 * and the rest goes on. */
#include "fault/fault.h"

using namespace serry_test;

namespace {

/* ---- a launched rank ---- */

const int victim = 1;

std::string moment()
{
    char text[64];
    snprintf(text, sizeof text, "%.9f", serry_time());
    return text;
}

/* Three ways to wait for it. Which of them has begun when it dies is left to chance. */
void wait_for_the_victim()
{
    static char large[3000000];
    char c = 0;
    serry_err e = SERRY_OK;
    switch (serry_rank()) {
    case 0:
        while ((e = serry_recv(victim, 0, &c, 1, nullptr, SERRY_FOREVER)) == SERRY_OK)
            ;
        break;
    case 2:
        while ((e = serry_send(victim, 1, large, sizeof large)) == SERRY_OK)
            ;
        break;
    default:
        while ((e = serry_world_barrier()) == SERRY_OK)
            ;
        break;
    }
    note("saw " + moment());
    EXPECT_EQ(e, SERRY_EDIED);
    EXPECT_STREQ(serry_err_detail(), "rank 1 was killed by signal 9");
}

/* The survivors can do everything but wait for the dead. */
void go_on_without_it()
{
    const int ring[] = { 0, 2, 3 };
    int me = serry_rank() == 0 ? 0 : serry_rank() - 1;
    int next = ring[(me + 1) % 3], before = ring[(me + 2) % 3], x = serry_rank(), got = -1;
    EXPECT_EQ(serry_sendrecv(next, 7, &x, sizeof x, before, 7, &got, sizeof got, nullptr), SERRY_OK)
        << serry_err_detail();
    EXPECT_EQ(got, before);
    EXPECT_EQ(serry_world_barrier(), SERRY_EDIED);
    EXPECT_EQ(serry_send(victim, 0, &x, sizeof x), SERRY_EDIED);
    EXPECT_EQ(serry_recv(victim, 9, &x, sizeof x, nullptr, SERRY_FOREVER), SERRY_EDIED);
}

void be_the_victim()
{
    static char large[3000000];
    std::mt19937 engine((unsigned)atoi(getenv("SERRY_TEST_ROUND")));
    double until = serry_time() + std::uniform_real_distribution<double>(0, 0.004)(engine);
    serry_request r;
    char c = 0;
    ASSERT_EQ(serry_irecv(&r, 2, 1, large, sizeof large), SERRY_OK);
    while (serry_time() < until) {
        SERRY_IGNORE(serry_send(0, 0, &c, 1));
        size_t which = 0;
        if (serry_wait_any(&r, 1, &which, nullptr, SERRY_NOWAIT) == SERRY_OK)
            ASSERT_EQ(serry_irecv(&r, 2, 1, large, sizeof large), SERRY_OK);
    }
    note("died " + moment());
    raise(SIGKILL);
}

SERRY_RANKS_BODY(one_of_four_dies)
{
    if (serry_rank() == victim)
        be_the_victim();
    wait_for_the_victim();
    go_on_without_it();
}

/* Seconds from the death to the end of each wait. */
std::vector<double> delays(const RanksResult &r)
{
    double died = 0;
    std::vector<double> saw;
    for (const std::string &n : r.notes()) {
        if (n.compare(0, 5, "died ") == 0)
            died = atof(n.c_str() + 5);
        else
            saw.push_back(atof(n.c_str() + 4));
    }
    for (double &s : saw)
        s -= died;
    return saw;
}

class RankDeath : public testing::TestWithParam<std::tuple<Lanes, Launch>> {};

TEST_P(RankDeath, IsSeenByAllWhoWait)
{
    auto [lanes, launch] = GetParam();
    RankOptions o;
    o.launch = launch;
    if (launch == run)
        o.run_flags = { "--keep-going" };
    std::vector<double> all;
    for (int round = 0; round < rounds(15); round++) {
        o.env["SERRY_TEST_ROUND"] = std::to_string(round);
        RanksResult r = try_ranks(4, lanes, "one_of_four_dies", o);
        ASSERT_TRUE(hand_on(r)) << r.program;
        ASSERT_FALSE(r.program.timed_out) << r.program;
        ASSERT_TRUE(r.program.left_behind.empty()) << r.program;
        ASSERT_EQ(r.program.code, launch == run ? 128 + SIGKILL : 0) << r.program;
        std::vector<double> d = delays(r);
        ASSERT_EQ(d.size(), 3u) << r.program;
        all.insert(all.end(), d.begin(), d.end());
    }
    EXPECT_LT(*std::max_element(all.begin(), all.end()), patience(1));
    printf("[ %s ] a death is seen after %.3f ms (median of %zu), %.3f ms at most\n",
           name_of(lanes), 1e3 * median(all), all.size(),
           1e3 * *std::max_element(all.begin(), all.end()));
}

INSTANTIATE_TEST_SUITE_P(Deaths, RankDeath,
                         testing::Combine(testing::Values(shm, serry_test::socket),
                                          testing::Values(run, direct)),
                         [](const auto &p) {
                             return std::string(name_of(std::get<0>(p.param)))
                                    + (std::get<1>(p.param) == run ? "_run" : "_direct");
                         });

/* ---- a started process ---- */

/* Sends and receives all the time. */
int talk(const void *, size_t)
{
    static char bytes[40000];
    for (;;) {
        if (serry_send(0, 1, bytes, sizeof bytes) != SERRY_OK
            || serry_recv(0, 2, bytes, sizeof bytes, nullptr, SERRY_FOREVER) != SERRY_OK)
            return 1;
    }
}

int rank_of(serry_process p)
{
    serry_process_info info = {};
    EXPECT_EQ(serry_process_info_of(p, &info), SERRY_OK) << serry_err_detail();
    return info.rank;
}

/* Answers it for a while of chance. */
void talk_with(int rank, double seconds)
{
    static char bytes[40000];
    double until = serry_time() + seconds;
    while (serry_time() < until) {
        serry_err e = serry_recv(rank, 1, bytes, sizeof bytes, nullptr, until - serry_time());
        if (e == SERRY_OK)
            e = serry_send(rank, 2, bytes, sizeof bytes);
        if (e != SERRY_OK) {
            ASSERT_EQ(e, SERRY_ETIMEDOUT) << serry_err_detail();
            return;
        }
    }
}

void expect_killed(serry_process p, int rank)
{
    static char bytes[40000];
    int code = 0;
    ASSERT_EQ(serry_process_kill(p), SERRY_OK) << serry_err_detail();
    serry_err e;
    while ((e = serry_recv(rank, 1, bytes, sizeof bytes, nullptr, SERRY_FOREVER)) == SERRY_OK)
        ; /* what it had sent is still to be had */
    ASSERT_EQ(e, SERRY_EDIED) << serry_err_detail();
    ASSERT_EQ(serry_process_join(p, &code, SERRY_FOREVER), SERRY_OK) << serry_err_detail();
    ASSERT_EQ(code, -SIGKILL);
    ASSERT_EQ(serry_send(rank, 2, bytes, 1), SERRY_EDIED);
    ASSERT_EQ(serry_process_kill(p), SERRY_ESTATE);
}

void kill_started_processes()
{
    std::uniform_real_distribution<double> while_(0, 0.004);
    for (int round = 0; round < rounds(30); round++) {
        serry_process p;
        ASSERT_EQ(serry_process_start(&p, talk, nullptr, 0, nullptr), SERRY_OK)
            << serry_err_detail();
        int rank = rank_of(p);
        if (round % 3)
            ASSERT_NO_FATAL_FAILURE(talk_with(rank, while_(dice())));
        ASSERT_NO_FATAL_FAILURE(expect_killed(p, rank));
    }
    EXPECT_EQ(serry_process_children(nullptr, 0), 0u);
    for (pid_t left : children_of(getpid())) {
        std::string comm = read_file("/proc/" + std::to_string(left) + "/comm");
        EXPECT_EQ(comm.compare(0, 6, "serry-"), 0) << comm << " is not reaped";
    }
}

SERRY_RANKS_TEST(StartedDeath, IsSeenAndReaped, .ranks({ 1 }).both_ways())
{
    kill_started_processes();
}

SERRY_RANKS_TEST(StartedByAgentDeath, IsSeen, .ranks({ 1 }).env("SERRY_START", "agent"))
{
    kill_started_processes();
}

/* Two that wait for each other and for a third, all of them started; the third dies. */
int wait_for_rank(const void *arg, size_t)
{
    int rank = *(const int *)arg, nothing;
    serry_err e = serry_recv(rank, 3, &nothing, sizeof nothing, nullptr, SERRY_FOREVER);
    return e == SERRY_EDIED ? 41 : 1;
}

int wait_to_die(const void *, size_t)
{
    for (;;)
        pause();
}

SERRY_RANKS_TEST(StartedDeath, IsToldToOtherStartedOnes, .ranks({ 1 }))
{
    for (int round = 0; round < rounds(10); round++) {
        serry_process dying, waiting[3];
        ASSERT_EQ(serry_process_start(&dying, wait_to_die, nullptr, 0, nullptr), SERRY_OK);
        int rank = rank_of(dying);
        for (serry_process &w : waiting)
            ASSERT_EQ(serry_process_start(&w, wait_for_rank, &rank, sizeof rank, nullptr),
                      SERRY_OK);
        nap(0, 0.004);
        ASSERT_EQ(serry_process_kill(dying), SERRY_OK);
        for (serry_process &w : waiting) {
            int code = 0;
            ASSERT_EQ(serry_process_join(w, &code, patience(10)), SERRY_OK) << serry_err_detail();
            ASSERT_EQ(code, 41);
        }
    }
}

/* Stopped is not dead. */
SERRY_RANKS_TEST(StartedDeath, IsNotTakenForAStop, .ranks({ 1 }))
{
    serry_process p;
    ASSERT_EQ(serry_process_start(&p, talk, nullptr, 0, nullptr), SERRY_OK);
    int rank = rank_of(p);
    ASSERT_EQ(serry_process_signal(p, SIGSTOP), SERRY_OK);
    /* What it had sent before can be there; then nothing comes, and nobody calls it dead. */
    static char bytes[40000];
    serry_err e;
    while ((e = serry_recv(rank, 1, bytes, sizeof bytes, nullptr, 0.3)) == SERRY_OK)
        ;
    EXPECT_EQ(e, SERRY_ETIMEDOUT) << serry_err_detail();
    EXPECT_TRUE(serry_process_is_alive(p));
    ASSERT_EQ(serry_process_signal(p, SIGCONT), SERRY_OK);
    talk_with(rank, 0.02);
    expect_killed(p, rank);
}

} // namespace
