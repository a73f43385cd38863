// ctest: process timeout=120
/* Many processes: one after another, at once, and waiting for the first of them. */
#include "conformance/process_test.h"

#include <algorithm>
#include <random>

using namespace serry_test;

namespace {

int end_at_once(const void *, size_t)
{
    return 0;
}

PROCESS_TEST(AHundredShortOnes)
{
    std::vector<serry_process> ps;
    for (int i = 0; i < 100; i++)
        ps.push_back(start(end_at_once));
    for (serry_process p : ps)
        EXPECT_EQ(join(p), 0);
    EXPECT_EQ(children(), 0u);
}

PROCESS_TEST(AHundredOneAfterAnother)
{
    for (int i = 0; i < 100; i++)
        EXPECT_EQ(join(start(end_at_once)), 0);
}

PROCESS_TEST(AHundredSleepersAllTerminated)
{
    std::vector<serry_process> ps;
    for (int i = 0; i < 100; i++)
        ps.push_back(start(sleeper));
    for (int i = 0; i < 100; i++)
        hear<pid_t>(SERRY_ANY, 1);
    EXPECT_EQ(children(), 100u);
    for (serry_process p : ps)
        EXPECT_EQ(serry_process_terminate(p), SERRY_OK) << serry_err_detail();
    for (serry_process p : ps)
        EXPECT_EQ(join(p), -SIGTERM);
    EXPECT_EQ(children(), 0u);
}

/* Each talks to its neighbour and to its starter. */
int talk(const void *, size_t)
{
    int next = hear<int>(0, 4), number = serry_rank();
    tell(next, 5, number);
    tell(0, 6, hear<int>(SERRY_ANY, 5));
    return hear<int>(0, 7);
}

PROCESS_TEST(TwoHundredAndFiftySixAtOnce, .on(shm).timeout(100))
{
    const int n = 256;
    std::vector<serry_process> ps;
    for (int i = 0; i < n; i++)
        ps.push_back(start(talk));
    EXPECT_EQ(children(), (size_t)n);
    for (int i = 0; i < n; i++)
        tell(1 + i, 4, 1 + (i + 1) % n);
    std::vector<int> heard;
    for (int i = 0; i < n; i++)
        heard.push_back(hear<int>(1 + i, 6));
    for (int i = 0; i < n; i++)
        EXPECT_EQ(heard[(size_t)i], 1 + (i + n - 1) % n);
    for (int i = 0; i < n; i++)
        tell(1 + i, 7, i % 200);
    for (int i = 0; i < n; i++)
        EXPECT_EQ(join(ps[(size_t)i]), i % 200);
}

/* ---- descriptors ---- */

int count_descriptors(const void *, size_t)
{
    tell(0, 2, count_fds());
    return hear<int>(0, 3);
}

PROCESS_TEST(SiblingsDoNotInheritEachOthersDescriptors)
{
    const int n = 12;
    std::vector<serry_process> ps;
    std::set<int> counts;
    for (int i = 0; i < n; i++) {
        ps.push_back(start(count_descriptors));
        counts.insert(hear<int>(1 + i, 2));
    }
    EXPECT_EQ(counts.size(), 1u) << *counts.begin() << " to " << *counts.rbegin();
    int before = count_fds();
    for (int i = 0; i < n; i++) {
        tell(1 + i, 3, 0);
        EXPECT_EQ(join(ps[(size_t)i]), 0);
    }
    EXPECT_LE(count_fds(), before);
}

PROCESS_TEST(DescriptorsDoNotGrowWithTheProcessesThatHaveEnded)
{
    EXPECT_EQ(join(start(end_at_once)), 0);
    int before = count_fds();
    for (int i = 0; i < 30; i++)
        EXPECT_EQ(join(start(end_at_once)), 0);
    EXPECT_EQ(count_fds(), before) << describe_fds();
}

/* ---- the first of many ---- */

int return_what_it_hears(const void *, size_t)
{
    return hear<int>(0, 3);
}

PROCESS_TEST(WaitAnyNamesTheOneThatHasEnded)
{
    const size_t n = 20;
    std::vector<serry_process> ps;
    std::vector<size_t> order;
    for (size_t i = 0; i < n; i++) {
        ps.push_back(start(return_what_it_hears));
        order.push_back(i);
    }
    size_t which = 77;
    EXPECT_EQ(serry_process_wait_any(ps.data(), n, &which, 0), SERRY_ETIMEDOUT);
    EXPECT_EQ(serry_process_wait_any(ps.data(), n, &which, 0.02), SERRY_ETIMEDOUT);
    EXPECT_EQ(which, 77u);
    std::shuffle(order.begin(), order.end(), std::mt19937(3));
    std::vector<serry_process> left = ps;
    for (size_t i : order) {
        tell(1 + (int)i, 3, (int)i);
        ASSERT_EQ(serry_process_wait_any(left.data(), left.size(), &which, patience(20)), SERRY_OK)
            << serry_err_detail();
        ASSERT_LT(which, left.size());
        EXPECT_EQ(left[which].id, ps[i].id);
        EXPECT_EQ(join(left[which]), (int)i);
        left.erase(left.begin() + (ptrdiff_t)which);
    }
    /* Those that have ended are found at once, as often as one likes. */
    for (int k = 0; k < 3; k++)
        EXPECT_EQ(serry_process_wait_any(ps.data(), n, nullptr, 0), SERRY_OK) << serry_err_detail();
}

PROCESS_TEST(WaitAnyTakesTheSameOneTwice)
{
    serry_process p = start(end_at_once), ps[] = { p, p };
    size_t which = 77;
    EXPECT_EQ(serry_process_wait_any(ps, 2, &which, patience(20)), SERRY_OK) << serry_err_detail();
    EXPECT_LT(which, 2u);
}

} // namespace
