// ctest: tsan timeout=60
/* Several threads of one process in the core at once. */
#include "support/fake_transport.h"

#include <atomic>
#include <thread>

using namespace serry_test;

namespace {

TEST(Wait, EachThreadGetsItsOwnMessage)
{
    FakeTransport net(3);
    constexpr int n = 4, rounds = 200;
    std::vector<std::thread> threads;
    std::atomic<int> failures{ 0 };
    for (int t = 0; t < n; t++)
        threads.emplace_back([&, t] {
            for (int i = 0; i < rounds; i++) {
                int got = -1;
                if (serry_recv(1, t, &got, sizeof got, nullptr, SERRY_FOREVER) != SERRY_OK
                    || got != i * n + t)
                    failures++;
            }
        });
    for (int i = 0; i < rounds; i++)
        for (int t = n - 1; t >= 0; t--) {
            int value = i * n + t;
            EXPECT_EQ(sri_enter(), SERRY_OK);
            net.message(1, t, std::string(reinterpret_cast<char *>(&value), sizeof value));
            sri_world.transport->ops->wake(sri_world.transport);
            sri_leave();
        }
    for (auto &t : threads)
        t.join();
    EXPECT_EQ(failures, 0);
}

TEST(Wait, AMessageToItselfEndsTheWaitOfAnotherThread)
{
    FakeTransport net(1);
    constexpr int rounds = 300;
    std::thread peer([&] {
        for (int i = 0; i < rounds; i++) {
            int got = 0;
            SERRY_CHECK(serry_recv(0, 1, &got, sizeof got, nullptr, SERRY_FOREVER));
            SERRY_CHECK(serry_send(0, 2, &got, sizeof got));
        }
    });
    for (int i = 0; i < rounds; i++) {
        int got = 0;
        ASSERT_EQ(serry_send(0, 1, &i, sizeof i), SERRY_OK);
        ASSERT_EQ(serry_recv(0, 2, &got, sizeof got, nullptr, SERRY_FOREVER), SERRY_OK);
        EXPECT_EQ(got, i);
    }
    peer.join();
}

TEST(Wait, AThreadThatStaysTakesOverWhenThePollerLeaves)
{
    FakeTransport net(2);
    std::thread stays([&] {
        char c;
        SERRY_CHECK(serry_recv(1, 2, &c, 1, nullptr, SERRY_FOREVER));
    });
    std::thread leaves([&] {
        char c;
        EXPECT_EQ(serry_recv(1, 1, &c, 1, nullptr, 0.05), SERRY_ETIMEDOUT);
    });
    leaves.join();
    net.when_asleep([&] { net.message(1, 2, "x"); });
    /* Whoever sleeps now does so at the doorbell, where the script is. */
    sri_world.transport->ops->wake(sri_world.transport);
    stays.join();
}

TEST(Wait, AProbingThreadSeesWhatAnotherReceivesFor)
{
    FakeTransport net(2);
    std::thread prober([&] {
        serry_status st;
        SERRY_CHECK(serry_probe(1, 7, &st, SERRY_FOREVER));
        EXPECT_EQ(st.len, 3u);
    });
    std::thread receiver([&] {
        char c;
        SERRY_CHECK(serry_recv(1, 8, &c, 1, nullptr, SERRY_FOREVER));
    });
    EXPECT_EQ(sri_enter(), SERRY_OK);
    net.message(1, 7, "abc");
    sri_world.transport->ops->wake(sri_world.transport);
    sri_leave();
    prober.join();
    EXPECT_EQ(sri_enter(), SERRY_OK);
    net.message(1, 8, "x");
    sri_world.transport->ops->wake(sri_world.transport);
    sri_leave();
    receiver.join();
}

TEST(Wait, ATimeoutIsKeptBesideAPoller)
{
    FakeTransport net(2);
    std::thread poller([&] {
        char c;
        SERRY_CHECK(serry_recv(1, 1, &c, 1, nullptr, SERRY_FOREVER));
    });
    char c;
    double start = serry_time();
    EXPECT_EQ(serry_recv(1, 2, &c, 1, nullptr, 0.02), SERRY_ETIMEDOUT);
    EXPECT_GE(serry_time() - start, 0.02);
    EXPECT_EQ(sri_enter(), SERRY_OK);
    net.message(1, 1, "x");
    sri_world.transport->ops->wake(sri_world.transport);
    sri_leave();
    poller.join();
}

TEST(Wait, ARequestHasOneWaiter)
{
    FakeTransport net(2);
    serry_request r;
    char c;
    ASSERT_EQ(serry_irecv(&r, 1, 1, &c, 1), SERRY_OK);
    std::atomic<bool> asleep{ false };
    net.when_asleep([&] { asleep = true; });
    serry_request copy = r;
    std::thread waiter([&] { SERRY_CHECK(serry_wait(&copy, nullptr, SERRY_FOREVER)); });
    while (!asleep)
        std::this_thread::yield();
    EXPECT_EQ(serry_wait(&r, nullptr, SERRY_NOWAIT), SERRY_ESTATE);
    EXPECT_EQ(serry_cancel(&r), SERRY_ESTATE);
    EXPECT_EQ(sri_enter(), SERRY_OK);
    net.message(1, 1, "x");
    sri_world.transport->ops->wake(sri_world.transport);
    sri_leave();
    waiter.join();
}

} // namespace
