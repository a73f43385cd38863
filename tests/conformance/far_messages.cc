// ctest: process timeout=120
/* Messages between members of different nodes: launched ranks and started processes in all
 * combinations, long ones to slow receivers, deaths and departures in the middle. */
#include "conformance/process_test.h"

#include <dirent.h>

#include <algorithm>
#include <fstream>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

using namespace serry_test;

namespace {

/* Each rank on a node of its own, over both kinds of lanes; and four on two nodes. */
#define FAR_TEST(name, ...)                                                                        \
    static void far_body_##name();                                                                 \
    static const bool far_added_##name = [] {                                                      \
        using namespace serry_test;                                                                \
        Cases own = Cases().ranks({ 3 }).on(nodes).directly().in_own_world() __VA_ARGS__;          \
        Cases two = Cases().ranks({ 4 }).on(nodes2).directly().in_own_world() __VA_ARGS__;         \
        Cases sockets = Cases(own).env("SERRY_LANES", "socket");                                   \
        return add_ranks_test("FarMessages", #name, __FILE__, __LINE__, far_body_##name, own)      \
               && add_ranks_test("FarMessagesByTwo", #name, __FILE__, __LINE__, far_body_##name,   \
                                 two)                                                              \
               && add_ranks_test("FarMessagesOverSockets", #name, __FILE__, __LINE__,              \
                                 far_body_##name, sockets);                                        \
    }();                                                                                           \
    static void far_body_##name()

using Bytes = std::vector<uint8_t>;

/* The bytes of message k of a rank. */
Bytes pattern(size_t len, int rank, int k)
{
    Bytes b(len);
    for (size_t i = 0; i < len; i++)
        b[i] = static_cast<uint8_t>(i * 31 + i / 251 + static_cast<size_t>(rank * 7 + k));
    return b;
}

void all_together()
{
    ASSERT_EQ(serry_world_barrier(), SERRY_OK) << serry_err_detail();
}

void nap(double seconds)
{
    std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
}

int last_rank()
{
    return serry_size() - 1;
}

/* ---- ways ---- */

const size_t lengths[] = { 0,     1,     64,    1000,   8160,   8176,    16000,
                           16320, 65536, 65537, 262144, 300000, 3000000, 1 };

FAR_TEST(AllLengthsGoRoundTheNodes)
{
    int n = serry_size(), me = serry_rank(), next = (me + 1) % n, before = (me + n - 1) % n;
    for (int round = 0; round < 3; round++)
        for (size_t len : lengths) {
            Bytes out = pattern(len, me, round), in(len);
            serry_status st = {};
            ASSERT_EQ(
                serry_sendrecv(next, round, out.data(), len, before, round, in.data(), len, &st),
                SERRY_OK)
                << serry_err_detail();
            EXPECT_EQ(st.len, len);
            EXPECT_TRUE(in == pattern(len, before, round)) << len << " bytes";
        }
}

FAR_TEST(OrderIsKeptWithAllKindsOfLengthsUnderWay)
{
    constexpr int count = 60;
    auto len_of = [](int i) { return lengths[static_cast<size_t>(i) % std::size(lengths)] / 8; };
    if (serry_rank() != 0) {
        std::vector<Bytes> out;
        std::vector<serry_request> sends(count);
        for (int i = 0; i < count; i++) {
            out.push_back(pattern(len_of(i), serry_rank(), i));
            ASSERT_EQ(serry_isend(&sends[static_cast<size_t>(i)], 0, 5, out.back().data(),
                                  out.back().size()),
                      SERRY_OK);
        }
        EXPECT_EQ(serry_wait_all(sends.data(), count, nullptr, patience(20)), SERRY_OK)
            << serry_err_detail();
        return;
    }
    Bytes in(3000000);
    for (int i = 0; i < count; i++)
        for (int r = last_rank(); r > 0; r--) {
            serry_status st = {};
            ASSERT_EQ(serry_recv(r, 5, in.data(), in.size(), &st, patience(20)), SERRY_OK)
                << serry_err_detail();
            ASSERT_EQ(st.len, len_of(i));
            EXPECT_TRUE(Bytes(in.begin(), in.begin() + static_cast<ptrdiff_t>(st.len))
                        == pattern(st.len, r, i));
        }
}

/* Talks to rank `to`, as `converse` at the other end does. */
void converse(int to, bool begin)
{
    constexpr size_t len = 1000000;
    for (int round = 0; round < 3; round++) {
        Bytes out = pattern(len, begin, round), in(len);
        ASSERT_EQ(serry_sendrecv(to, 10, out.data(), len, to, 10, in.data(), len, nullptr),
                  SERRY_OK)
            << serry_err_detail();
        EXPECT_TRUE(in == pattern(len, !begin, round));
        for (int i = 0; i < 300; i++) {
            if (begin)
                tell(to, 11, i);
            ASSERT_EQ(hear<int>(to, 11), i);
            if (!begin)
                tell(to, 11, i);
        }
    }
}

int conversing_child(const void *, size_t)
{
    int to = hear<int>(SERRY_ANY, 9);
    converse(to, true);
    return 17;
}

int next_node()
{
    return (serry_node() + 1) % serry_nodes();
}

FAR_TEST(AStartedProcessTalksToRanksOfOtherNodes)
{
    for (bool elsewhere : { false, true }) {
        serry_process_options o = {};
        if (elsewhere)
            o.node = SERRY_NODE(next_node());
        serry_process p = start(conversing_child, nullptr, 0, &o);
        /* That of the rank before me talks to me. */
        int n = serry_size(), me = serry_rank();
        tell((me + 1) % n, 1, info_of(p).rank);
        int child = hear<int>((me + n - 1) % n, 1);
        tell(child, 9, me);
        converse(child, false);
        EXPECT_EQ(join(p), 17);
        char c;
        EXPECT_EQ(serry_recv(child, 1, &c, 1, nullptr, patience(10)), SERRY_EDIED);
        EXPECT_EQ(serry_send(child, 1, &c, 1), SERRY_EDIED);
    }
}

FAR_TEST(StartedProcessesOfTwoNodesTalkToEachOther)
{
    if (serry_rank() != 0)
        return;
    serry_process_options here = {}, there = {};
    there.node = SERRY_NODE(next_node());
    serry_process a = start(conversing_child, nullptr, 0, &here);
    serry_process b = start(
        [](const void *, size_t) {
            converse(hear<int>(SERRY_ANY, 9), false);
            return 18;
        },
        nullptr, 0, &there);
    tell(info_of(a).rank, 9, info_of(b).rank);
    tell(info_of(b).rank, 9, info_of(a).rank);
    EXPECT_EQ(join(a), 17);
    EXPECT_EQ(join(b), 18);
}

/* ---- slow receivers ---- */

/* Anonymous memory, in KiB, of the agents that this process has forked. */
std::vector<long> agents_memory()
{
    std::vector<long> sizes;
    DIR *proc = opendir("/proc");
    while (dirent *entry = readdir(proc)) {
        std::ifstream status("/proc/" + std::string(entry->d_name) + "/status");
        std::string line, name;
        long parent = 0, anon = -1;
        while (std::getline(status, line)) {
            std::istringstream words(line);
            std::string key;
            words >> key;
            if (key == "Name:")
                words >> name;
            else if (key == "PPid:")
                words >> parent;
            else if (key == "RssAnon:")
                words >> anon;
        }
        if (name == "serry-agent" && parent == getpid())
            sizes.push_back(anon);
    }
    closedir(proc);
    return sizes;
}

FAR_TEST(WhatASlowReceiverDoesNotTakeStaysWithTheSender)
{
    constexpr size_t len = 32 << 20;
    constexpr int pieces = 400;
    int to = last_rank();
    Bytes piece(40000, 7);
    if (serry_rank() == to) {
        nap(0.3); /* the bytes that wait are the test, not the time */
        Bytes in(len);
        ASSERT_EQ(serry_recv(0, 1, in.data(), len, nullptr, patience(20)), SERRY_OK);
        EXPECT_TRUE(in == pattern(len, 0, 1));
        nap(0.3);
        for (int i = 0; i < pieces; i++)
            ASSERT_EQ(serry_recv(0, 2, piece.data(), piece.size(), nullptr, patience(20)),
                      SERRY_OK);
        tell(0, 3, 1);
    } else if (serry_rank() == 0) {
        std::vector<long> before = agents_memory();
        ASSERT_EQ(before.size(), static_cast<size_t>(serry_nodes()));
        Bytes out = pattern(len, 0, 1);
        serry_request r;
        ASSERT_EQ(serry_isend(&r, to, 1, out.data(), len), SERRY_OK);
        std::vector<serry_request> sends(pieces);
        for (serry_request &s : sends)
            ASSERT_EQ(serry_isend(&s, to, 2, piece.data(), piece.size()), SERRY_OK);
        long most = 0;
        auto look = [&] {
            for (long kib : agents_memory())
                most = std::max(most, kib);
        };
        while (serry_wait(&r, nullptr, 0.02) == SERRY_ETIMEDOUT)
            look();
        while (serry_wait_all(sends.data(), sends.size(), nullptr, 0.02) == SERRY_ETIMEDOUT)
            look();
        EXPECT_EQ(hear<int>(to, 3), 1);
        /* Two windows and what an agent has anyway; the messages are 48 MiB. */
        EXPECT_LT(most, *std::max_element(before.begin(), before.end()) + (8 << 10));
    }
}

FAR_TEST(OneThatReceivesNothingHoldsNoOtherUp)
{
    int quiet = last_rank();
    if (serry_rank() == quiet) {
        EXPECT_EQ(hear<int>(1, 4), 4); /* polls, but takes nothing of rank 0 */
        for (int i = 0; i < 100; i++)
            EXPECT_EQ(hear<Bytes::value_type>(0, i), static_cast<uint8_t>(i));
        return;
    }
    if (serry_rank() == 0)
        for (int i = 0; i < 100; i++)
            tell(quiet, i, static_cast<uint8_t>(i));
    if (serry_rank() < 2)
        converse(1 - serry_rank(), serry_rank() == 0);
    if (serry_rank() == 1)
        tell(quiet, 4, 4);
}

/* ---- ends ---- */

FAR_TEST(AChildThatIsKilledEndsWhatWaitsForItOnOtherNodes)
{
    struct Whom {
        int rank;
        pid_t pid;
    };
    serry_process p = start([](const void *, size_t) {
        int to = hear<int>(SERRY_ANY, 9);
        tell(to, 1, getpid());
        Bytes out(1 << 20, 3);
        serry_request r;
        EXPECT_EQ(serry_isend(&r, to, 2, out.data(), out.size()), SERRY_OK);
        for (int i = 0;; i++) /* until the window is used up, and then some */
            SERRY_CHECK(serry_send(to, 3, out.data(), 50000));
        return 0;
    });
    int n = serry_size(), me = serry_rank();
    tell((me + 1) % n, 1, info_of(p).rank);
    int child = hear<int>((me + n - 1) % n, 1);
    tell(child, 9, me);
    pid_t pid = hear<pid_t>(child, 1);
    Bytes in(1 << 20);
    ASSERT_EQ(serry_recv(child, 3, in.data(), in.size(), nullptr, patience(10)), SERRY_OK);
    ASSERT_EQ(kill(pid, SIGKILL), 0);
    double t = serry_time();
    serry_err e;
    while ((e = serry_recv(child, 3, in.data(), in.size(), nullptr, patience(10))) == SERRY_OK)
        ;
    EXPECT_EQ(e, SERRY_EDIED) << serry_err_detail();
    EXPECT_NE(std::string(serry_err_detail()).find("signal 9"), std::string::npos)
        << serry_err_detail();
    EXPECT_EQ(serry_recv(child, 2, in.data(), in.size(), nullptr, patience(10)), SERRY_EDIED);
    while ((e = serry_send(child, 5, in.data(), 30000)) == SERRY_OK)
        ;
    EXPECT_EQ(e, SERRY_EDIED);
    EXPECT_LT(serry_time() - t, patience(2));
    EXPECT_EQ(join(p), -SIGKILL);
    all_together(); /* the ranks go on as before */
}

FAR_TEST(ASenderWithoutCreditHearsOfADeath)
{
    serry_process_options o = {};
    o.node = SERRY_NODE(next_node());
    serry_process p = start(
        [](const void *, size_t) -> int {
            tell(info_of(serry_process_parent()).rank, 1, getpid());
            for (;;)
                pause();
        },
        nullptr, 0, &o);
    int child = info_of(p).rank;
    pid_t pid = hear<pid_t>(child, 1);
    std::thread killer([&] {
        nap(0.2);
        kill(pid, SIGKILL);
    });
    Bytes out(60000);
    serry_err e;
    while ((e = serry_send(child, 1, out.data(), out.size())) == SERRY_OK)
        ;
    EXPECT_EQ(e, SERRY_EDIED) << serry_err_detail();
    killer.join();
    EXPECT_EQ(join(p), -SIGKILL);
}

FAR_TEST(TheLastWordsOfThoseWhoLeaveAreHeard)
{
    constexpr int words = 500;
    if (serry_rank() != 0) {
        for (int i = 0; i < words; i++)
            tell(0, 1, i);
        return;
    }
    nap(0.2); /* they have left by now, mostly */
    for (int r = 1; r < serry_size(); r++) {
        for (int i = 0; i < words; i++)
            ASSERT_EQ(hear<int>(r, 1), i);
        int x;
        EXPECT_EQ(serry_recv(r, 1, &x, sizeof x, nullptr, patience(10)), SERRY_EDIED);
        EXPECT_EQ(serry_send(r, 1, &x, sizeof x), SERRY_EDIED);
    }
}

FAR_TEST(WhoPollsHearsOfDeparturesToo)
{
    if (serry_rank() != 0)
        return;
    double end = serry_time() + patience(10);
    for (int r = 1; r < serry_size(); r++) {
        serry_err e;
        int x;
        while ((e = serry_recv(r, 1, &x, sizeof x, nullptr, SERRY_NOWAIT)) == SERRY_ETIMEDOUT
               && serry_time() < end)
            ;
        EXPECT_EQ(e, SERRY_EDIED) << serry_err_name(e);
    }
}

FAR_TEST(AReceiveFromAnyWaitsForAProcessOfAnotherNode)
{
    if (serry_rank() != 0)
        return;
    serry_process_options o = {};
    o.node = SERRY_NODE(serry_nodes() - 1);
    int here = serry_rank();
    serry_process p = start(
        [](const void *arg, size_t len) {
            int to = argument<int>(arg, len);
            nap(0.5); /* everybody else has gone, and nobody has heard of this one */
            tell(to, 8, 88);
            return 0;
        },
        &here, sizeof here, &o);
    EXPECT_EQ(hear<int>(SERRY_ANY, 8), 88);
    EXPECT_EQ(join(p), 0);
    int x;
    EXPECT_EQ(serry_recv(SERRY_ANY, 8, &x, sizeof x, nullptr, patience(10)), SERRY_EDIED);
}

/* ---- collectives ---- */

SERRY_RANKS_TEST(FarMessages, CollectivesOfManyRanksOnAFewNodes,
                 .ranks({ 14 }).on(nodes2).directly().in_own_world().timeout(60).env("SERRY_NODES",
                                                                                     "3"))
{
    int n = serry_size(), me = serry_rank();
    for (int round = 0; round < 10; round++) {
        int64_t mine = me + round, sum = 0;
        ASSERT_EQ(serry_world_allreduce(&mine, &sum, 1, SERRY_INT64, SERRY_SUM), SERRY_OK);
        EXPECT_EQ(sum, n * (n - 1) / 2 + n * round);
        ASSERT_EQ(serry_world_barrier(), SERRY_OK);
        Bytes all(static_cast<size_t>(n) * 50), one = pattern(50, me, round);
        ASSERT_EQ(serry_world_allgather(one.data(), one.size(), all.data()), SERRY_OK);
        for (int r = 0; r < n; r++)
            EXPECT_TRUE(Bytes(all.begin() + r * 50, all.begin() + r * 50 + 50)
                        == pattern(50, r, round));
        ASSERT_EQ(serry_world_bcast(&sum, sizeof sum, round), SERRY_OK);
    }
}

} // namespace
