// ctest: timeout=120 nodes
/* Messages between real ranks. Matching in all its cases is tested against a played peer in
 * unit/core_message.cc; here it is lanes, lengths, order, load and death. */
#include "support/ranks.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstring>
#include <ctime>
#include <limits>
#include <thread>
#include <unistd.h>

using namespace serry_test;

namespace {

std::vector<uint8_t> pattern(size_t n, int seed)
{
    std::vector<uint8_t> b(n);
    uint32_t x = static_cast<uint32_t>(seed) * 2654435761u + 1;
    for (size_t i = 0; i < n; i++) {
        x = x * 1664525u + 1013904223u;
        b[i] = static_cast<uint8_t>(x >> 24);
    }
    return b;
}

int next_rank()
{
    return (serry_rank() + 1) % serry_size();
}
int previous_rank()
{
    return (serry_rank() + serry_size() - 1) % serry_size();
}

SERRY_RANKS_TEST(Message, EveryLengthArrivesWhole)
{
    for (size_t n : { 0,    1,    7,     8,     63,    64,    65,    4095,  4096,    8160,
                      8176, 8177, 16383, 16384, 16385, 65535, 65536, 65537, 1000003, 5000000 }) {
        std::vector<uint8_t> out = pattern(n, serry_rank()), in(n + 1, 0xee);
        serry_status st;
        ASSERT_EQ(serry_sendrecv(next_rank(), 1, out.data(), n, previous_rank(), 1, in.data(),
                                 in.size(), &st),
                  SERRY_OK)
            << serry_err_detail();
        EXPECT_EQ(st.len, n);
        EXPECT_EQ(st.source, previous_rank());
        EXPECT_EQ(in.back(), 0xee);
        in.pop_back();
        ASSERT_EQ(in, pattern(n, previous_rank())) << n << " bytes";
    }
}

SERRY_RANKS_TEST(Message, OrderIsKeptBetweenShortAndLongOnes)
{
    constexpr int count = 300;
    auto length = [](int i) { return static_cast<size_t>(i % 7 == 0 ? 30000 + i : i); };
    std::vector<serry_request> rs(count);
    std::vector<std::vector<uint8_t>> out;
    for (int i = 0; i < count; i++)
        out.push_back(pattern(length(i), serry_rank() * 1000 + i));
    for (int i = 0; i < count; i++) {
        size_t k = static_cast<size_t>(i);
        ASSERT_EQ(serry_isend(&rs[k], next_rank(), 5, out[k].data(), out[k].size()), SERRY_OK);
    }
    std::vector<uint8_t> in(40000);
    for (int i = 0; i < count; i++) {
        serry_status st;
        ASSERT_EQ(serry_recv(i % 2 ? SERRY_ANY : previous_rank(), i % 3 ? SERRY_ANY : 5, in.data(),
                             in.size(), &st, SERRY_FOREVER),
                  SERRY_OK)
            << serry_err_detail();
        ASSERT_EQ(std::vector<uint8_t>(in.begin(), in.begin() + static_cast<long>(st.len)),
                  pattern(length(i), previous_rank() * 1000 + i))
            << "message " << i;
    }
    ASSERT_EQ(serry_wait_all(rs.data(), rs.size(), nullptr, SERRY_FOREVER), SERRY_OK);
}

SERRY_RANKS_TEST(Message, AllToAllAtOnceNeitherDeadlocksNorLoses)
{
    /* More than all lanes hold, everybody sends before anybody receives. */
    int n = serry_size(), me = serry_rank();
    constexpr int rounds = 40;
    std::vector<serry_request> sends;
    std::vector<std::vector<uint8_t>> out;
    for (int i = 0; i < rounds; i++)
        for (int to = 0; to < n; to++)
            out.push_back(pattern(static_cast<size_t>(i * 977), me * 100 + to + i));
    for (int i = 0; i < rounds; i++)
        for (int to = 0; to < n; to++) {
            auto &b = out[static_cast<size_t>(i * n + to)];
            sends.emplace_back();
            ASSERT_EQ(serry_isend(&sends.back(), to, i, b.data(), b.size()), SERRY_OK);
        }
    std::vector<uint8_t> in(rounds * 977);
    for (int from = n - 1; from >= 0; from--)
        for (int i = rounds - 1; i >= 0; i--) {
            serry_status st;
            ASSERT_EQ(serry_recv(from, i, in.data(), in.size(), &st, SERRY_FOREVER), SERRY_OK);
            ASSERT_EQ(std::vector<uint8_t>(in.begin(), in.begin() + static_cast<long>(st.len)),
                      pattern(static_cast<size_t>(i * 977), from * 100 + me + i));
        }
    ASSERT_EQ(serry_wait_all(sends.data(), sends.size(), nullptr, SERRY_FOREVER), SERRY_OK);
}

SERRY_RANKS_TEST(Message, BlockingSendsAgainstEachOtherDoNotDeadlockWhileShort)
{
    constexpr int count = 20000;
    int64_t value = 0, sum = 0;
    for (int64_t i = 0; i < count; i++)
        ASSERT_EQ(serry_send(next_rank(), 2, &i, sizeof i), SERRY_OK) << serry_err_detail();
    for (int i = 0; i < count; i++) {
        ASSERT_EQ(serry_recv(previous_rank(), 2, &value, sizeof value, nullptr, SERRY_FOREVER),
                  SERRY_OK);
        ASSERT_EQ(value, i);
        sum += value;
    }
    EXPECT_EQ(sum, int64_t{ count } * (count - 1) / 2);
}

SERRY_RANKS_TEST(Message, TimeoutsAreKept)
{
    char c;
    double start = serry_time();
    EXPECT_EQ(serry_recv(SERRY_ANY, 77, &c, 1, nullptr, 0.1), SERRY_ETIMEDOUT);
    double took = serry_time() - start;
    EXPECT_GE(took, 0.1);
    EXPECT_LT(took, 0.1 + patience(2));
    start = serry_time();
    EXPECT_EQ(serry_recv(SERRY_ANY, 77, &c, 1, nullptr, SERRY_NOWAIT), SERRY_ETIMEDOUT);
    EXPECT_EQ(serry_probe(SERRY_ANY, 77, nullptr, -3), SERRY_ETIMEDOUT);
    EXPECT_LT(serry_time() - start, patience(0.1));
    ASSERT_EQ(serry_world_barrier(), SERRY_OK) << "so that nobody is gone before";
}

SERRY_RANKS_TEST(Message, ALongOneSurvivesImpatientReceives)
{
    constexpr size_t n = 3000000;
    std::vector<uint8_t> out = pattern(n, serry_rank()), in(n, 0xee);
    serry_request r;
    ASSERT_EQ(serry_isend(&r, next_rank(), 1, out.data(), n), SERRY_OK);
    serry_err e;
    serry_status st;
    int tries = 0;
    double limit = serry_time() + patience(20);
    while ((e = serry_recv(previous_rank(), 1, in.data(), n, &st, SERRY_NOWAIT))
           == SERRY_ETIMEDOUT) {
        ASSERT_LT(serry_time(), limit);
        std::fill(in.begin(), in.end(), uint8_t{ 0xee }); /* the buffer is ours again */
        tries++;
    }
    ASSERT_EQ(e, SERRY_OK) << serry_err_detail();
    EXPECT_EQ(in, pattern(n, previous_rank())) << "after " << tries << " tries";
    ASSERT_EQ(serry_wait(&r, nullptr, SERRY_FOREVER), SERRY_OK);
}

SERRY_RANKS_TEST(Message, ACancelledSendIsNotReceived, .ranks({ 2, 3 }))
{
    std::vector<uint8_t> large = pattern(100000, 1);
    for (int round = 0; round < 50; round++) {
        if (serry_rank() == 0) {
            serry_request r;
            ASSERT_EQ(serry_isend(&r, 1, round, large.data(), large.size()), SERRY_OK);
            serry_err e = serry_cancel(&r);
            bool cancelled = e == SERRY_OK;
            if (!cancelled) {
                EXPECT_EQ(e, SERRY_ESTATE);
                ASSERT_EQ(serry_wait(&r, nullptr, SERRY_FOREVER), SERRY_OK);
            }
            ASSERT_EQ(serry_send(1, round, &cancelled, sizeof cancelled), SERRY_OK);
        } else if (serry_rank() == 1) {
            serry_status st;
            std::vector<uint8_t> in(large.size());
            ASSERT_EQ(serry_recv(0, round, in.data(), in.size(), &st, SERRY_FOREVER), SERRY_OK);
            if (st.len == 1) {
                EXPECT_EQ(in[0], 1) << "not cancelled, but nothing came";
                continue;
            }
            EXPECT_EQ(in, large);
            bool cancelled = true;
            ASSERT_EQ(serry_recv(0, round, &cancelled, 1, &st, SERRY_FOREVER), SERRY_OK);
            EXPECT_FALSE(cancelled) << "cancelled, and yet it came";
        }
    }
}

SERRY_RANKS_TEST(Message, ThreadsWaitSideBySide)
{
    constexpr int threads = 4, rounds = 100;
    std::atomic<int> wrong{ 0 };
    std::vector<std::thread> ts;
    for (int t = 0; t < threads; t++)
        ts.emplace_back([&, t] {
            for (int i = 0; i < rounds; i++) {
                int out = i * threads + t, in = -1;
                if (serry_sendrecv(next_rank(), t, &out, sizeof out, previous_rank(), t, &in,
                                   sizeof in, nullptr)
                        != SERRY_OK
                    || in != out)
                    wrong++;
            }
        });
    for (auto &t : ts)
        t.join();
    EXPECT_EQ(wrong, 0);
}

SERRY_RANKS_TEST(Message, ABlockedReceiveUsesNoProcessor, .ranks({ 2 }))
{
    if (serry_rank() == 0) {
        char c;
        timespec before, after;
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &before);
        ASSERT_EQ(serry_recv(1, 0, &c, 1, nullptr, 1.0), SERRY_ETIMEDOUT);
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after);
        double used = static_cast<double>(after.tv_sec - before.tv_sec)
                      + static_cast<double>(after.tv_nsec - before.tv_nsec) * 1e-9;
        /* Ranks reached by MPI are looked for after pauses; all others ring. */
        bool looks = serry_nodes() > 1 && !getenv("SERRY_NP");
        EXPECT_LT(used, patience(looks ? 0.03 : 0.01));
    }
    ASSERT_EQ(serry_world_barrier(), SERRY_OK);
}

SERRY_RANKS_TEST(Message, ARankThatHasFinalizedIsGone, .ranks({ 2, 3, 7 }).in_own_world())
{
    if (serry_rank() != 0) {
        int me = serry_rank();
        ASSERT_EQ(serry_send(0, 1, &me, sizeof me), SERRY_OK);
        return;
    }
    /* What they sent before comes first; then, since all have left, an end. */
    std::vector<int> seen;
    serry_err e;
    int from = -1;
    while ((e = serry_recv(SERRY_ANY, 1, &from, sizeof from, nullptr, 20)) == SERRY_OK)
        seen.push_back(from);
    EXPECT_EQ(e, SERRY_EDIED) << serry_err_detail();
    EXPECT_EQ(seen.size(), static_cast<size_t>(serry_size() - 1));
    EXPECT_EQ(serry_recv(1, 1, &from, sizeof from, nullptr, SERRY_FOREVER), SERRY_EDIED);
    EXPECT_STREQ(serry_err_detail(), "rank 1 has finalized");
    EXPECT_EQ(serry_send(1, 1, &from, sizeof from), SERRY_EDIED);
}

SERRY_RANKS_TEST(Message, MisuseIsNamedAndLeavesTheWorldUsable)
{
    char c = 0;
    int n = serry_size();
    EXPECT_EQ(serry_send(n + 1000, 0, &c, 1), SERRY_EINVAL);
    EXPECT_NE(std::string(serry_err_detail()).find(std::to_string(n + 1000)), std::string::npos);
    EXPECT_EQ(serry_send(-7, 0, &c, 1), SERRY_EINVAL);
    EXPECT_EQ(serry_send(0, -1, &c, 1), SERRY_EINVAL);
    EXPECT_EQ(serry_send(0, 0, nullptr, 1), SERRY_EINVAL);
    EXPECT_EQ(serry_send(0, 0, &c, size_t{ 1 } << 62), SERRY_ELIMIT);
    EXPECT_EQ(serry_recv(0, 0, &c, 1, nullptr, std::numeric_limits<double>::quiet_NaN()),
              SERRY_EINVAL);
    serry_request bad = { 12345 };
    EXPECT_EQ(serry_wait(&bad, nullptr, SERRY_FOREVER), SERRY_EHANDLE);
    EXPECT_EQ(serry_cancel(&bad), SERRY_EHANDLE);
    int me = serry_rank(), got = -1;
    ASSERT_EQ(serry_sendrecv(next_rank(), 0, &me, sizeof me, previous_rank(), 0, &got, sizeof got,
                             nullptr),
              SERRY_OK);
    EXPECT_EQ(got, previous_rank());
}

/* ---- deaths ---- */

SERRY_RANKS_BODY(die_while_others_wait)
{
    std::vector<uint8_t> large(1000000);
    char c = 'x';
    if (serry_rank() == 1) {
        SERRY_IGNORE(serry_send(0, 1, &c, 1));
        SERRY_IGNORE(serry_recv(0, 2, &c, 1, nullptr, SERRY_FOREVER));
        raise(SIGKILL);
    }
    if (serry_rank() != 0)
        return;
    serry_request send, recv;
    ASSERT_EQ(serry_isend(&send, 1, 9, large.data(), large.size()), SERRY_OK);
    ASSERT_EQ(serry_irecv(&recv, 1, 8, large.data(), large.size()), SERRY_OK);
    ASSERT_EQ(serry_send(1, 2, &c, 1), SERRY_OK);
    double start = serry_time();
    EXPECT_EQ(serry_recv(1, 3, &c, 1, nullptr, SERRY_FOREVER), SERRY_EDIED);
    EXPECT_STREQ(serry_err_detail(), "rank 1 was killed by signal 9");
    EXPECT_LT(serry_time() - start, patience(1));
    EXPECT_EQ(serry_wait(&send, nullptr, SERRY_FOREVER), SERRY_EDIED);
    EXPECT_EQ(serry_wait(&recv, nullptr, SERRY_FOREVER), SERRY_EDIED);
    EXPECT_EQ(serry_recv(1, 1, &c, 1, nullptr, SERRY_FOREVER), SERRY_OK) << "sent before it died";
    EXPECT_EQ(serry_send(1, 1, large.data(), large.size()), SERRY_EDIED);
    note("survived");
}

class MessageDeath : public testing::TestWithParam<Lanes> {};

TEST_P(MessageDeath, EndsEveryWaitForTheDead)
{
    RankOptions o;
    o.run_flags = { "--keep-going" };
    RanksResult r = try_ranks(3, GetParam(), "die_while_others_wait", o);
    for (const Record &f : r.of(Record::failure))
        ADD_FAILURE() << "rank " << f.rank << ": " << f.text;
    EXPECT_EQ(r.notes(), (std::vector<std::string>{ "survived" })) << r.program;
}

INSTANTIATE_TEST_SUITE_P(Lanes, MessageDeath, testing::Values(shm, serry_test::socket),
                         [](const auto &p) { return p.param == shm ? "shm" : "socket"; });

} // namespace
