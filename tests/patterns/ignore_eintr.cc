// ctest: processors=1 timeout=120 alone
/* Large messages, joining members and joins while signals arrive: each comes whole, once. What
 * multiprocessing's tests TestIgnoreEINTR and _TestPollEintr ask for. */
#include "support/ranks.h"

#include <atomic>
#include <csignal>
#include <cstring>
#include <sys/time.h>
#include <unistd.h>

using namespace serry_test;

namespace {

constexpr size_t large = 32 << 20; /* more than any lane or socket holds: sending it waits */

std::atomic<int> seen;

/* Without SA_RESTART: whatever waits is interrupted. */
void catch_signals()
{
    struct sigaction a = {};
    a.sa_handler = [](int) { seen++; };
    sigaction(SIGUSR1, &a, nullptr);
    sigaction(SIGALRM, &a, nullptr);
    seen = 0;
}

void alarms(bool on)
{
    struct itimerval often = { { 0, on ? 500 : 0 }, { 0, on ? 500 : 0 } };
    setitimer(ITIMER_REAL, &often, nullptr);
}

unsigned char byte_at(size_t i)
{
    return (unsigned char)(i * 2654435761u >> 13);
}

std::vector<unsigned char> pattern()
{
    std::vector<unsigned char> v(large);
    for (size_t i = 0; i < large; i++)
        v[i] = byte_at(i);
    return v;
}

pid_t swap_pids(int peer)
{
    pid_t mine = getpid(), other = 0;
    EXPECT_EQ(serry_sendrecv(peer, 0, &mine, sizeof mine, peer, 0, &other, sizeof other, nullptr),
              SERRY_OK)
        << serry_err_detail();
    return other;
}

/* The sender is stuck in the middle of it when the receiver pesters it, and takes it only then. */
SERRY_RANKS_TEST(IgnoreEintr, ALargeSendIsSentWhole, .ranks({ 2 }).both_ways())
{
    catch_signals();
    pid_t other = swap_pids(1 - serry_rank());
    if (serry_rank() == 0) {
        auto out = pattern();
        EXPECT_EQ(serry_send(1, 1, out.data(), large), SERRY_OK) << serry_err_detail();
        EXPECT_GT(seen, 0) << "nothing was tested";
        EXPECT_EQ(serry_recv(1, 2, nullptr, 0, nullptr, patience(20)), SERRY_OK);
        return;
    }
    for (int i = 0; i < 200; i++) {
        EXPECT_EQ(kill(other, SIGUSR1), 0);
        usleep(1000);
    }
    std::vector<unsigned char> in(large);
    alarms(true);
    EXPECT_EQ(serry_recv(0, 1, in.data(), large, nullptr, SERRY_FOREVER), SERRY_OK)
        << serry_err_detail();
    alarms(false);
    EXPECT_TRUE(in == pattern());
    EXPECT_EQ(serry_send(0, 2, nullptr, 0), SERRY_OK);
}

/* Both ends under a timer, many times. */
SERRY_RANKS_TEST(IgnoreEintr, LargeMessagesCrossUnderATimer, .ranks({ 2 }).both_ways())
{
    int peer = 1 - serry_rank();
    auto out = pattern();
    std::vector<unsigned char> in(large);
    catch_signals();
    alarms(true);
    for (int i = 0; i < 5; i++) {
        memset(in.data(), 0, large);
        EXPECT_EQ(serry_sendrecv(peer, 1, out.data(), large, peer, 1, in.data(), large, nullptr),
                  SERRY_OK)
            << serry_err_detail();
        EXPECT_TRUE(in == out) << i;
    }
    alarms(false);
    EXPECT_GT(seen, 10) << "hardly anything was tested";
}

int pester(const void *arg, size_t len)
{
    pid_t parent;
    EXPECT_EQ(len, sizeof parent);
    memcpy(&parent, arg, sizeof parent);
    for (int i = 0; i < 200; i++) {
        EXPECT_EQ(kill(parent, SIGUSR1), 0);
        usleep(500);
    }
    return 3;
}

/* Joining is what accept is there: a new process is welcomed while signals arrive. */
SERRY_RANKS_TEST(IgnoreEintr, ProcessesJoinUnderATimer, .ranks({ 1, 2 }).both_ways())
{
    catch_signals();
    alarms(true);
    for (int i = 0; i < 5; i++) {
        pid_t self = getpid();
        int code = 0;
        serry_process p = {};
        ASSERT_EQ(serry_process_start(&p, pester, &self, sizeof self, nullptr), SERRY_OK)
            << serry_err_detail();
        EXPECT_EQ(serry_process_join(p, &code, patience(20)), SERRY_OK) << serry_err_detail();
        EXPECT_EQ(code, 3);
    }
    alarms(false);
    EXPECT_GT(seen, 100) << "hardly anything was tested";
}

/* A signal while a join waits does not end it, nor does it make it late. */
SERRY_RANKS_TEST(IgnoreEintr, AJoinGoesOn, .ranks({ 1 }).both_ways())
{
    catch_signals();
    pid_t self = getpid();
    serry_process p = {};
    int code = 0;
    ASSERT_EQ(serry_process_start(&p, pester, &self, sizeof self, nullptr), SERRY_OK)
        << serry_err_detail();
    EXPECT_EQ(serry_process_join(p, &code, SERRY_FOREVER), SERRY_OK) << serry_err_detail();
    EXPECT_EQ(code, 3);
    EXPECT_GT(seen, 0) << "nothing was tested";
    EXPECT_FALSE(serry_process_is_alive(p));
}

} // namespace
