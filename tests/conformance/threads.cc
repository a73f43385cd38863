// ctest: threads timeout=90
/* Several threads of one rank in calls at once: a thread that waits keeps no other out, and what
 * comes for one does not wait for another. */
#include "conformance/process_test.h"

#include <atomic>
#include <memory>
#include <mutex>
#include <random>
#include <thread>

using namespace serry_test;

namespace {

using Threads = std::vector<std::thread>;

void join_all(Threads &threads)
{
    for (auto &t : threads)
        t.join();
}

const int stop_tag = 1000;

/* Rank 1 sends everything back, with its tag, until told to stop. */
void echo()
{
    char buf[4096];
    serry_status st = {};
    do {
        ASSERT_EQ(serry_recv(0, SERRY_ANY, buf, sizeof buf, &st, patience(25)), SERRY_OK)
            << serry_err_detail();
        ASSERT_EQ(serry_send(0, st.tag, buf, st.len), SERRY_OK) << serry_err_detail();
    } while (st.tag != stop_tag);
}

void stop_echo()
{
    tell(1, stop_tag, 0);
    hear<int>(1, stop_tag);
}

/* Each has its own tag and its own conversation. */
SERRY_RANKS_TEST(Threads, EachHasItsOwnConversation, .ranks({ 2 }))
{
    if (serry_rank() == 1)
        return echo();
    Threads threads;
    for (int tag = 1; tag <= 4; tag++) {
        threads.emplace_back([tag] {
            for (int i = 0; i < 400; i++) {
                int mine = tag * 10000 + i;
                tell(1, tag, mine);
                ASSERT_EQ(hear<int>(1, tag), mine);
            }
        });
    }
    join_all(threads);
    stop_echo();
}

/* Waits of all kinds that end by their timeouts run along with conversations. */
SERRY_RANKS_TEST(Threads, TimeoutsOfSomeDoNotDisturbOthers, .ranks({ 2 }))
{
    if (serry_rank() == 1)
        return echo();
    std::atomic<bool> done{ false };
    std::atomic<int> timeouts{ 0 };
    Threads waiting, talking;
    for (double timeout : { 0.0, 0.0005, 0.003, 0.02 }) {
        waiting.emplace_back([&, timeout] {
            char c;
            serry_status st;
            while (!done) {
                EXPECT_EQ(serry_recv(1, 500, &c, 1, &st, timeout), SERRY_ETIMEDOUT);
                EXPECT_EQ(serry_probe(SERRY_ANY, 501, &st, timeout), SERRY_ETIMEDOUT);
                timeouts++;
            }
        });
    }
    for (int tag = 1; tag <= 2; tag++) {
        talking.emplace_back([tag] {
            for (int i = 0; i < 500; i++) {
                tell(1, tag, i);
                ASSERT_EQ(hear<int>(1, tag), i);
            }
        });
    }
    join_all(talking);
    done = true;
    join_all(waiting);
    EXPECT_GT(timeouts, 8);
    stop_echo();
}

/* One waits without end and polls for all; others' timeouts come while it sleeps. */
SERRY_RANKS_TEST(Threads, ATimeoutIsOnTimeThoughAnotherThreadPolls, .ranks({ 2 }))
{
    if (serry_rank() == 1)
        return echo();
    std::thread poller([] { EXPECT_EQ(hear<int>(1, 7), 70); });
    Threads threads;
    for (double timeout : { 0.05, 0.15, 0.3 }) {
        threads.emplace_back([timeout] {
            char c;
            double begin = serry_time();
            EXPECT_EQ(serry_recv(1, 8, &c, 1, nullptr, timeout), SERRY_ETIMEDOUT);
            EXPECT_GE(serry_time() - begin, timeout);
            EXPECT_LT(serry_time() - begin, timeout + patience(2));
        });
    }
    join_all(threads);
    tell(1, 7, 70);
    poller.join();
    stop_echo();
}

/* The one that polls leaves by its timeout at any moment; one of the others must go on. Nobody
 * would wake them but the message itself. */
SERRY_RANKS_TEST(Threads, WhenThePollerLeavesAnotherPolls, .ranks({ 2 }))
{
    if (serry_rank() == 1)
        return echo();
    std::mt19937 random(1);
    for (int round = 0; round < 60; round++) {
        double leave = (double)(random() % 3000) * 1e-6;
        std::thread leaving([=] {
            char c;
            EXPECT_EQ(serry_recv(1, 300, &c, 1, nullptr, leave), SERRY_ETIMEDOUT);
        });
        Threads staying;
        for (int tag = 1; tag <= 2; tag++)
            staying.emplace_back([tag, round] { EXPECT_EQ(hear<int>(1, tag), round); });
        leaving.join();
        for (int tag = 1; tag <= 2; tag++)
            tell(1, tag, round);
        join_all(staying);
    }
    stop_echo();
}

/* Whoever is served leaves, and takes the polling with it. */
SERRY_RANKS_TEST(Threads, ManyWaitForOneMessageEach, .ranks({ 2 }))
{
    const int n = 12;
    if (serry_rank() == 1)
        return echo();
    for (int round = 0; round < 20; round++) {
        Threads threads;
        std::atomic<int> sum{ 0 };
        for (int i = 0; i < n; i++)
            threads.emplace_back([&] { sum += hear<int>(1, 3); });
        for (int i = 0; i < n; i++)
            tell(1, 3, 1 << i);
        join_all(threads);
        ASSERT_EQ(sum, (1 << n) - 1);
    }
    stop_echo();
}

/* Also with the world's only process: a thread serves another. */
SERRY_RANKS_TEST(Threads, ARankMaySendToItself, .ranks({ 1, 2 }))
{
    int me = serry_rank();
    Threads threads;
    for (int tag = 0; tag < 3; tag++) {
        threads.emplace_back([=] {
            for (int i = 0; i < 300; i++)
                tell(me, tag, i);
        });
        threads.emplace_back([=] {
            for (int i = 0; i < 300; i++)
                ASSERT_EQ(hear<int>(me, tag), i);
        });
    }
    join_all(threads);
}

/* Long messages, which need both sides to go on, of several threads at once. */
SERRY_RANKS_TEST(Threads, LongMessagesOfSeveralThreadsStreamAtOnce, .ranks({ 2 }))
{
    const size_t size = 3 << 20;
    int other = 1 - serry_rank();
    Threads threads;
    for (int tag = 0; tag < 3; tag++) {
        threads.emplace_back([=] {
            std::vector<uint8_t> out(size, (uint8_t)(serry_rank() * 16 + tag)), in(size);
            serry_status st;
            for (int i = 0; i < 3; i++) {
                ASSERT_EQ(
                    serry_sendrecv(other, tag, out.data(), size, other, tag, in.data(), size, &st),
                    SERRY_OK)
                    << serry_err_detail();
                ASSERT_EQ(st.len, size);
                for (size_t at = 0; at < size; at += 4099)
                    ASSERT_EQ(in[at], (uint8_t)(other * 16 + tag));
            }
        });
    }
    join_all(threads);
}

/* ---- requests ---- */

SERRY_RANKS_TEST(Threads, WaitAnyOverManyEndsWithAnyOfThem, .ranks({ 2 }))
{
    if (serry_rank() == 1)
        return echo();
    const size_t n = 40;
    std::vector<int> values(n, -1);
    std::vector<serry_request> requests(n);
    for (size_t i = 0; i < n; i++)
        ASSERT_EQ(serry_irecv(&requests[i], 1, (int)i, &values[i], sizeof values[i]), SERRY_OK);
    std::thread sender([] {
        for (size_t i = n; i-- > 0;)
            tell(1, (int)i, (int)i * 3);
    });
    std::set<size_t> seen;
    for (size_t k = 0; k < n; k++) {
        size_t which = n;
        serry_status st = {};
        ASSERT_EQ(serry_wait_any(requests.data(), n, &which, &st, patience(20)), SERRY_OK)
            << serry_err_detail();
        ASSERT_LT(which, n);
        EXPECT_TRUE(seen.insert(which).second);
        EXPECT_EQ(st.tag, (int)which);
        EXPECT_EQ(values[which], (int)which * 3);
        EXPECT_EQ(requests[which].id, 0u);
    }
    sender.join();
    stop_echo();
}

SERRY_RANKS_TEST(Threads, ARequestMayBeWaitedForByAnotherThread, .ranks({ 2 }))
{
    if (serry_rank() == 1)
        return echo();
    for (int i = 0; i < 50; i++) {
        int value = -1;
        serry_request r;
        ASSERT_EQ(serry_irecv(&r, 1, 4, &value, sizeof value), SERRY_OK);
        std::thread waiter([&] {
            EXPECT_EQ(serry_wait(&r, nullptr, patience(20)), SERRY_OK) << serry_err_detail();
            EXPECT_EQ(value, i);
        });
        tell(1, 4, i);
        waiter.join();
    }
    stop_echo();
}

SERRY_RANKS_TEST(Threads, ARequestMayBeCancelledByAnotherThread, .ranks({ 2 }))
{
    if (serry_rank() == 1)
        return echo();
    int value = -1;
    serry_request r;
    ASSERT_EQ(serry_irecv(&r, 1, 4, &value, sizeof value), SERRY_OK);
    std::thread([&] { EXPECT_EQ(serry_cancel(&r), SERRY_OK) << serry_err_detail(); }).join();
    EXPECT_EQ(r.id, 0u);
    tell(1, 4, 9);
    EXPECT_EQ(hear<int>(1, 4), 9) << "the message was for whoever asks next";
    EXPECT_EQ(value, -1);
    stop_echo();
}

/* Not from under a thread that waits for it; which must not be hurt. */
SERRY_RANKS_TEST(Threads, ARequestThatAThreadWaitsForIsNotCancelled, .ranks({ 2 }))
{
    if (serry_rank() == 1)
        return echo();
    int value = -1;
    serry_request r;
    ASSERT_EQ(serry_irecv(&r, 1, 4, &value, sizeof value), SERRY_OK);
    serry_request copy = r;
    std::thread waiter(
        [&] { EXPECT_EQ(serry_wait(&r, nullptr, patience(20)), SERRY_OK) << serry_err_detail(); });
    /* Until the thread waits, it could be cancelled: so it is waited for to wait. */
    ASSERT_TRUE(wait_for(
        [&] {
            serry_request other = copy;
            serry_err e = serry_wait(&other, nullptr, 0);
            return e != SERRY_ETIMEDOUT;
        },
        patience(10)));
    EXPECT_EQ(serry_cancel(&copy), SERRY_ESTATE);
    tell(1, 4, 6);
    waiter.join();
    EXPECT_EQ(value, 6);
    stop_echo();
}

/* ---- errors ---- */

SERRY_RANKS_TEST(Threads, EachHasItsOwnErrorText, .ranks({ 1 }))
{
    Threads threads;
    for (int t = 0; t < 4; t++) {
        threads.emplace_back([t] {
            for (int i = 0; i < 300; i++) {
                int rank = 1000 + t * 1000 + i;
                ASSERT_EQ(serry_send(rank, 0, nullptr, 0), SERRY_EINVAL);
                ASSERT_NE(std::string(serry_err_detail()).find(std::to_string(rank)),
                          std::string::npos)
                    << serry_err_detail();
            }
        });
    }
    join_all(threads);
}

/* ---- processes ---- */

int twice(const void *arg, size_t len)
{
    return argument<int>(arg, len) * 2;
}

/* A program with threads does not fork itself: the agent does. */
SERRY_RANKS_TEST(Threads, SeveralMayStartProcesses, .ranks({ 1, 2 }))
{
    Threads threads;
    for (int t = 0; t < 4; t++) {
        threads.emplace_back([t] {
            for (int i = 0; i < 5; i++)
                EXPECT_EQ(join(start_with(twice, t * 10 + i)), (t * 10 + i) * 2);
        });
    }
    join_all(threads);
    EXPECT_EQ(children(), 0u);
}

SERRY_RANKS_TEST(Threads, OneMayJoinWhatAnotherStarted, .ranks({ 1 }))
{
    serry_process before = start_with(twice, 21); /* forked: there are no threads yet */
    serry_process ps[6];
    std::thread starter([&] {
        for (int i = 0; i < 6; i++)
            ps[i] = start_with(twice, i);
    });
    starter.join();
    Threads joiners;
    for (int i = 0; i < 6; i++)
        joiners.emplace_back([&ps, i] { EXPECT_EQ(join(ps[i]), 2 * i); });
    EXPECT_EQ(join(before), 42);
    join_all(joiners);
}

SERRY_RANKS_TEST(Threads, OneTalksWhileAnotherJoins, .ranks({ 2 }))
{
    if (serry_rank() == 1)
        return echo();
    serry_process p = start(sleeper);
    int rank = info_of(p).rank;
    hear<pid_t>(rank, 1);
    std::thread joiner([=] { EXPECT_EQ(join(p), -SIGTERM); });
    for (int i = 0; i < 300; i++) {
        tell(1, 2, i);
        ASSERT_EQ(hear<int>(1, 2), i);
    }
    EXPECT_EQ(serry_process_terminate(p), SERRY_OK) << serry_err_detail();
    joiner.join();
    stop_echo();
}

/* ---- objects ---- */

SERRY_RANKS_TEST(Threads, PutAndGetOfOneQueueAtOnce, .ranks({ 1 }))
{
    const int n = 500;
    serry_queue_options o = {};
    o.capacity = 10;
    serry_queue q;
    ASSERT_EQ(serry_queue_create(&q, &o), SERRY_OK) << serry_err_detail();
    std::atomic<long> sum{ 0 };
    Threads threads;
    for (int t = 0; t < 2; t++) {
        threads.emplace_back([&, t] {
            for (int i = 0; i < n; i++) {
                int item = t * n + i;
                ASSERT_EQ(serry_queue_put(q, &item, sizeof item, patience(20)), SERRY_OK)
                    << serry_err_detail();
            }
        });
        threads.emplace_back([&] {
            for (int i = 0; i < n; i++) {
                int item = -1;
                ASSERT_EQ(serry_queue_get(q, &item, sizeof item, nullptr, patience(20)), SERRY_OK)
                    << serry_err_detail();
                sum += item;
            }
        });
    }
    join_all(threads);
    EXPECT_EQ(sum, (long)n * (2 * n - 1));
    EXPECT_EQ(serry_queue_destroy(q), SERRY_OK) << serry_err_detail();
}

} // namespace
