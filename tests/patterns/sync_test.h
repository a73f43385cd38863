/* patterns/sync_test.h: what the tests of semaphores, events and barriers share. */
#ifndef SERRY_TEST_SYNC_H
#define SERRY_TEST_SYNC_H

#include "base/point.h"
#include "support/started.h"

#include <cctype>
#include <csignal>
#include <cstring>
#include <unistd.h>

namespace serry_test {

/* Its exit code, or -N for signal N. */
inline int join(serry_process p)
{
    return end_of(p, patience(30));
}

inline void join_all(const std::vector<serry_process> &all, int want = 0)
{
    for (serry_process p : all)
        EXPECT_EQ(join(p), want);
}

inline void end(serry_process p)
{
    EXPECT_EQ(serry_process_kill(p), SERRY_OK) << serry_err_detail();
    EXPECT_EQ(join(p), -SIGKILL);
}

inline std::string described(uint64_t id)
{
    char text[1024] = "";
    EXPECT_EQ(serry_describe(id, text, sizeof text), SERRY_OK) << serry_err_detail();
    return text;
}

/* Until its description says so: that somebody waits, for one. */
inline bool comes_to_say(uint64_t id, const std::string &part)
{
    return wait_for([&] { return described(id).find(part) != std::string::npos; }, patience(20));
}

/* How many wait at it, as its description names them: "ranks 3, 4 and 7, for 0.25 s". At most 8. */
inline size_t waiters(uint64_t id)
{
    std::string text = described(id);
    size_t to = text.rfind(", for "), n = 0;
    size_t from = to == std::string::npos ? to : text.rfind("rank", to);
    for (size_t i = from; from != std::string::npos && i < to; i++)
        n += isdigit(text[i]) && !isdigit(text[i - 1]);
    return n;
}

inline bool come_to_wait(uint64_t id, size_t n)
{
    return wait_for([&] { return waiters(id) == n; }, patience(20));
}

inline void all_here()
{
    barrier();
}

[[noreturn]] inline void die()
{
    kill(getpid(), SIGKILL);
    for (;;)
        pause();
}

} // namespace serry_test

#endif
