// ctest: tsan processors=2
/* The mutex of the core: one thread that has it to itself, until others come. */
#include "core/mutex.h"
#include "support/program.h"

#include <atomic>
#include <gtest/gtest.h>
#include <random>
#include <thread>
#include <vector>

namespace {

/* What it guards: plain memory. */
struct Guarded {
    unsigned long count = 0;
    bool held = false;
    unsigned met = 0; /* two were inside at once */

    void step()
    {
        met += held;
        held = true;
        count++;
        held = false;
    }
};

void steps(Guarded &g, unsigned n, unsigned seed)
{
    std::minstd_rand random(seed + 1);
    for (unsigned i = 0; i < n; i++) {
        sri_lock();
        g.step();
        sri_unlock();
        for (volatile unsigned k = (unsigned)random() % 50; k > 0; k = k - 1)
            ;
    }
}

/* The first has begun, perhaps, when the others come: anywhere in its steps. */
void one_and_others(unsigned round, int others, unsigned most_late)
{
    Guarded g;
    const unsigned n = 2000;
    std::atomic<bool> go{ false };
    sri_lock_reset();
    std::vector<std::thread> threads;
    for (int k = 0; k <= others; k++) {
        threads.emplace_back([&, k] {
            std::minstd_rand random(round * 16 + (unsigned)k + 1);
            while (!go)
                std::this_thread::yield();
            unsigned late = k == 0 || most_late == 0 ? 0 : (unsigned)random() % most_late;
            for (volatile unsigned i = late; i > 0; i = i - 1)
                ;
            steps(g, n, (unsigned)k);
        });
    }
    go = true;
    for (auto &t : threads)
        t.join();
    ASSERT_EQ(g.met, 0u) << "round " << round;
    ASSERT_EQ(g.count, (unsigned long)n * (unsigned)(others + 1)) << "round " << round;
}

TEST(CoreMutex, LetsNobodyElseInBesideItsOwner)
{
    for (unsigned round = 0; round < 300; round++)
        ASSERT_NO_FATAL_FAILURE(one_and_others(round, 1, 60000));
}

TEST(CoreMutex, MayBeWantedByAllAtOnce)
{
    for (unsigned round = 0; round < 100; round++)
        ASSERT_NO_FATAL_FAILURE(one_and_others(round, 3, 0));
}

/* One that waits in the middle of what it does, as sri_wait: whoever comes is heard of and let in.
 */
TEST(CoreMutex, TellsItsHolderWhoElseWantsIt)
{
    for (int round = 0; round < 200; round++) {
        sri_lock_reset();
        bool done = false;
        std::atomic<bool> inside{ false };
        std::thread owner([&] {
            std::minstd_rand random((unsigned)round + 1);
            for (unsigned i = (unsigned)random() % 4; i > 0; i--) {
                sri_lock();
                sri_unlock();
            }
            sri_lock();
            inside = true;
            while (!done) {
                if (!sri_lock_wanted())
                    continue;
                sri_unlock();
                std::this_thread::yield();
                sri_lock();
            }
            sri_unlock();
        });
        while (!inside)
            std::this_thread::yield();
        sri_lock();
        done = true;
        sri_unlock();
        owner.join();
    }
}

TEST(CoreMutex, IsItsOwnersAloneUntilThen)
{
    sri_lock_reset();
    std::thread owner([] {
        sri_lock(); /* has come first */
        sri_unlock();
        sri_lock();
        EXPECT_FALSE(sri_lock_shared());
        EXPECT_FALSE(sri_lock_wanted());
        sri_unlock();
        std::thread([] {
            sri_lock();
            EXPECT_TRUE(sri_lock_shared());
            sri_unlock();
        }).join();
        sri_lock();
        EXPECT_TRUE(sri_lock_shared());
        EXPECT_FALSE(sri_lock_wanted());
        sri_unlock();
    });
    owner.join();
    sri_lock_reset();
}

} // namespace
