/* patterns/lock_test.h: what the tests of locks and conditions share: a board that all processes of
 * a run see, and short forms. */
#ifndef SERRY_LOCK_TEST_H
#define SERRY_LOCK_TEST_H

#include "support/started.h"

#include <atomic>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <functional>
#include <sys/mman.h>
#include <thread>
#include <time.h>
#include <unistd.h>

namespace lock_test {

/* In a file that all processes of a run map. */
struct Board {
    volatile long plain;     /* changed only under a lock, and not atomically */
    std::atomic<int> inside; /* the number of the process that is in the critical section */
    std::atomic<long> entered, overlaps, told;
    std::atomic<int> stage, stop, count, awake;
    std::atomic<int> order[256]; /* in which processes got their turn */
    std::atomic<int> n_order;
    std::atomic<int> value[256];
};

inline Board &board()
{
    return serry_test::rank_memory<Board>("board");
}

inline void clear_board()
{
    board().plain = 0;
    board().inside = board().stage = board().stop = board().count = board().awake = 0;
    board().entered = board().overlaps = board().told = 0;
    board().n_order = 0;
    for (auto &v : board().value)
        v = 0;
}

inline void my_turn(int who)
{
    board().order[board().n_order++] = who;
}

inline bool await(const std::function<bool()> &what)
{
    bool came = serry_test::wait_for(what, 20);
    EXPECT_TRUE(came);
    return came;
}

inline bool await_stage(int n)
{
    return await([=] { return board().stage >= n; });
}

/* Time that something takes; nobody waits for it to have passed. */
inline void take(double seconds)
{
    timespec t = { (time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9) };
    nanosleep(&t, nullptr);
}

/* Signals to the thread that makes it, again and again, until it is stopped. */
class SignalStorm {
public:
    SignalStorm()
    {
        struct sigaction act = {};
        act.sa_handler = [](int) { caught_++; };
        caught_ = 0;
        EXPECT_EQ(sigaction(SIGUSR1, &act, &old_), 0);
        thread_ = std::thread([this, to = pthread_self()] {
            while (!over_) {
                pthread_kill(to, SIGUSR1);
                take(0.001);
            }
        });
    }
    ~SignalStorm() { stop(); }
    /* Returns how many were caught. */
    int stop()
    {
        if (thread_.joinable()) {
            over_ = true;
            thread_.join();
            sigaction(SIGUSR1, &old_, nullptr);
        }
        return caught_;
    }

private:
    static inline std::atomic<int> caught_{ 0 };
    struct sigaction old_ = {};
    std::atomic<bool> over_{ false };
    std::thread thread_;
};

/* ---- short forms ---- */

inline serry_lock make_lock(const char *name = nullptr, bool recursive = false)
{
    serry_lock l = {};
    serry_lock_options o = {};
    o.name = serry_test::own_name(name);
    o.recursive = recursive;
    EXPECT_EQ(serry_lock_create(&l, &o), SERRY_OK) << serry_err_detail();
    return l;
}

inline serry_err acquire(serry_lock l, double timeout = SERRY_FOREVER)
{
    return serry_lock_acquire(l, timeout);
}

inline serry_err release(serry_lock l)
{
    return serry_lock_release(l);
}

inline std::string describe(uint64_t id)
{
    char text[512] = "";
    EXPECT_EQ(serry_describe(id, text, sizeof text), SERRY_OK) << serry_err_detail();
    return text;
}

inline bool contains(const std::string &text, const std::string &part)
{
    return text.find(part) != std::string::npos;
}

/* How many are parked at the lock, or wait at the condition. */
inline int waiting(uint64_t id)
{
    std::string text = describe(id);
    size_t at = text.rfind("; rank");
    if (at == std::string::npos)
        at = text.rfind(": rank");
    size_t end = text.find(" wait");
    if (at == std::string::npos || end == std::string::npos || end < at)
        return 0;
    int n = 0;
    bool digit = false;
    for (size_t i = at; i < end; i++) {
        bool now = isdigit((unsigned char)text[i]);
        n += now && !digit;
        digit = now;
    }
    return n;
}

inline bool await_waiting(uint64_t id, int n)
{
    bool came = await([=] { return waiting(id) == n; });
    if (!came)
        ADD_FAILURE() << describe(id);
    return came;
}

inline void join(serry_process p, int want = 0)
{
    EXPECT_EQ(serry_test::end_of(p, SERRY_FOREVER), want);
}

} // namespace lock_test

#endif
