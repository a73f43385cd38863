// ctest: transport
/* Sleeping and waking at the seam: no wake-up is lost, and a sleeper costs nothing. */
#include "conformance/seam.h"

#include <atomic>
#include <climits>
#include <fcntl.h>
#include <linux/futex.h>
#include <mutex>
#include <sched.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <thread>
#include <unistd.h>

using namespace serry_test;

namespace {

double cpu_seconds()
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* One frame to and fro; whoever has it dawdles, so that it comes at any moment of the other's going
 * to sleep. A wake-up that is lost ends the test by wait_news. */
SERRY_RANKS_TEST(TransportWake, ASleeperIsAlwaysWokenByAFrame, .ranks({ 2 }))
{
    Seam seam;
    std::mt19937 random((unsigned)serry_rank());
    int other = 1 - serry_rank();
    for (uint64_t round = 0; round < 20000; round++) {
        seam.faltering = round % 4 ? 0 : 1500;
        if ((round + (uint64_t)serry_rank()) % 2 == 0) {
            if (round % 8 < 6)
                falter(random, 2000);
            else
                dawdle(random, 40);
            ASSERT_EQ(seam.send(other, round), SRI_SENT);
        } else {
            ASSERT_EQ(seam.receive(other).aux, round);
        }
    }
    EXPECT_GT(seam.slept, 100u) << "hardly ever slept: nothing was tested";
}

/* A word that two ranks share. */
std::atomic<uint32_t> *shared_word(const std::string &path)
{
    int fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    EXPECT_TRUE(fd >= 0 && ftruncate(fd, 4096) == 0);
    void *page = mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    EXPECT_NE(page, MAP_FAILED);
    return static_cast<std::atomic<uint32_t> *>(page);
}

/* Both begin at one word: the sender's look at the bell and the receiver's look at the lane come
 * within nanoseconds of their writes, which either may still have for itself. */
SERRY_RANKS_TEST(TransportWake, ASendAndASleepAtTheSameMomentSeeEachOther, .ranks({ 2 }))
{
    Seam seam;
    std::atomic<uint32_t> *go = shared_word(rank_dir() + "/go");
    std::mt19937 random((unsigned)serry_rank());
    const uint32_t rounds = 60000, last = UINT32_MAX;
    sri_ns enough = sri_now() + SRI_MS(1500); /* on a busy machine, fewer rounds */
    for (uint32_t round = 1;; round++) {
        if (serry_rank() == 1) {
            bool over = round == rounds || sri_now() > enough;
            go->store(over ? last : round);
            if (over)
                break;
            falter(random, 80);
            sri_ns deadline = sri_now() + (sri_ns)(patience(10) * 1e9);
            if (seam.t->ops->arm(seam.t))
                seam.t->ops->sleep(seam.t, deadline);
            ASSERT_LT(sri_now(), deadline) << "round " << round << ": nobody rang";
            ASSERT_EQ(seam.receive(0).aux, round);
        } else {
            uint32_t at;
            for (int spins = 0; (at = go->load()) < round; spins++) {
                if (spins > 1000)
                    sched_yield();
            }
            if (at == last)
                break;
            falter(random, 80);
            ASSERT_EQ(seam.send(1, round), SRI_SENT);
        }
    }
    munmap(go, 4096);
}

/* Adds to the word, and wakes those who sleep at it. */
void step_and_wake(uint64_t *word)
{
    __atomic_fetch_add(word, 1, __ATOMIC_SEQ_CST);
    void *low = reinterpret_cast<char *>(word) + (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__ ? 4 : 0);
    syscall(SYS_futex, low, FUTEX_WAKE, INT_MAX, nullptr, nullptr, 0);
}

/* Beside a word: by a frame, and by whoever changes the word. */
SERRY_RANKS_TEST(TransportWake, ASleeperBesideAWordIsWokenByEither, .ranks({ 2 }).on(shm))
{
    Seam seam;
    if (!seam.t->beside)
        GTEST_SKIP() << "this kernel lets nobody sleep at two words";
    auto *words = reinterpret_cast<uint64_t *>(shared_word(rank_dir() + "/words"));
    auto read = [&](int i) { return __atomic_load_n(&words[i], __ATOMIC_SEQ_CST); };
    std::mt19937 random((unsigned)serry_rank());
    int slept = 0;
    for (uint64_t round = 1, steps = 0; round <= 6000; round++) {
        bool frame = round % 3 == 0;
        if (serry_rank() == 0) {
            falter(random, 2000);
            if (frame)
                ASSERT_EQ(seam.send(1, round), SRI_SENT);
            else
                step_and_wake(&words[0]);
            for (int spins = 0; read(8) < round; spins++) {
                if (spins > 1000)
                    sched_yield();
            }
            continue;
        }
        auto come = [&] { return frame ? !seam.from[0].empty() : read(0) != steps; };
        while (!come()) {
            sri_ns deadline = sri_now() + (sri_ns)(patience(10) * 1e9);
            seam.poll();
            falter(random, 1000);
            if (come() || !seam.t->ops->arm(seam.t))
                continue;
            slept++;
            seam.t->ops->sleep_beside(seam.t, deadline, &words[0], (uint32_t)steps);
            ASSERT_LT(sri_now(), deadline) << "round " << round << ": nobody woke it";
        }
        if (frame)
            ASSERT_EQ(seam.receive(0).aux, round);
        else
            ASSERT_EQ(read(0), ++steps);
        __atomic_store_n(&words[8], round, __ATOMIC_SEQ_CST);
    }
    if (serry_rank() == 1)
        EXPECT_GT(slept, 100) << "hardly ever slept: nothing was tested";
    munmap(words, 4096);
}

SERRY_RANKS_TEST(TransportWake, ASleeperIsWokenByAnyOfMany, .ranks({ 3, 7 }))
{
    Seam seam;
    const uint64_t rounds = 300;
    int n = serry_size();
    if (serry_rank() != 0) {
        std::mt19937 random((unsigned)serry_rank());
        for (uint64_t i = 0; i < rounds; i++) {
            dawdle(random, 200);
            ASSERT_EQ(seam.send(0, i), SRI_SENT);
            if (i % 8 == 7)
                EXPECT_EQ(seam.receive(0).aux, i);
        }
        return;
    }
    for (uint64_t total = 0; total < rounds * (uint64_t)(n - 1); total++) {
        seam.wait_until([&] {
            for (auto &[source, queue] : seam.from) {
                if (!queue.empty())
                    return true;
            }
            return false;
        });
        for (auto &[source, queue] : seam.from) {
            if (queue.empty())
                continue;
            uint64_t i = queue.front().aux;
            queue.pop_front();
            if (i % 8 == 7)
                ASSERT_EQ(seam.send(source, i), SRI_SENT);
            break;
        }
    }
}

/* A sender that sleeps because the lane is full is woken by the reader. */
SERRY_RANKS_TEST(TransportWake, ASleeperIsWokenByRoom, .ranks({ 2 }))
{
    Seam seam;
    const uint64_t frames = 8000;
    std::mt19937 random(5);
    Bytes bytes = bytes_of(4000, 2);
    seam.faltering = 3000;
    if (serry_rank() == 0) {
        for (uint64_t i = 0; i < frames; i++)
            ASSERT_EQ(seam.send(1, i, bytes), SRI_SENT);
        EXPECT_EQ(seam.receive(1).aux, frames);
        return;
    }
    for (uint64_t i = 0; i < frames; i++) {
        ASSERT_EQ(seam.receive(0).aux, i);
        falter(random, 2000);
    }
    ASSERT_EQ(seam.send(0, frames), SRI_SENT);
}

/* .wake from another thread, before, in and after sleep. */
SERRY_RANKS_TEST(TransportWake, AThreadInSleepIsWoken, .ranks({ 1 }))
{
    Seam seam;
    sri_transport *t = seam.t;
    const int rounds = 2000;
    std::mutex mutex; /* the one above the seam */
    std::atomic<int> armed{ 0 }, woken{ 0 };
    std::thread sleeper([&] {
        for (int i = 0; i < rounds; i++) {
            std::unique_lock<std::mutex> lock(mutex);
            while (!t->ops->arm(t))
                t->ops->poll(t);
            armed = i + 1;
            lock.unlock();
            /* It may return early for no reason; without a wake it may not go on. */
            sri_ns deadline = sri_now() + (sri_ns)(patience(10) * 1e9);
            while (woken <= i && sri_now() < deadline)
                t->ops->sleep(t, deadline);
            EXPECT_LT(sri_now(), deadline) << "round " << i << ": not woken";
            lock.lock();
            t->ops->poll(t);
        }
    });
    std::mt19937 random(3);
    for (int i = 0; i < rounds; i++) {
        while (armed <= i)
            std::this_thread::yield();
        dawdle(random, 40);
        woken = i + 1;
        std::lock_guard<std::mutex> lock(mutex);
        t->ops->wake(t);
        if (i % 3 == 0)
            t->ops->wake(t);
    }
    sleeper.join();
}

SERRY_RANKS_TEST(TransportWake, AWakeBeforeTheSleepIsNotLost, .ranks({ 1 }))
{
    Seam seam;
    sri_transport *t = seam.t;
    for (int i = 0; i < 100; i++) {
        sri_ns deadline = sri_now() + (sri_ns)(patience(10) * 1e9);
        while (!t->ops->arm(t))
            t->ops->poll(t);
        t->ops->wake(t);
        t->ops->sleep(t, deadline);
        ASSERT_LT(sri_now(), deadline);
        t->ops->poll(t);
    }
}

SERRY_RANKS_TEST(TransportWake, SleepingEndsAtTheDeadlineAndCostsNothing, .ranks({ 1 }))
{
    Seam seam;
    sri_transport *t = seam.t;
    while (seam.poll())
        ;
    double cpu = cpu_seconds();
    sri_ns begin = sri_now(), end = begin + SRI_MS(300);
    while (sri_now() < end) {
        if (t->ops->arm(t))
            t->ops->sleep(t, end);
        t->ops->poll(t);
    }
    EXPECT_LT(sri_now() - begin, (sri_ns)(patience(3) * 1e9));
    EXPECT_LT(cpu_seconds() - cpu, 0.05);
}

SERRY_RANKS_TEST(TransportWake, ADeadlineThatHasPassedReturnsAtOnce, .ranks({ 1 }))
{
    Seam seam;
    sri_transport *t = seam.t;
    sri_ns begin = sri_now();
    for (sri_ns deadline : { (sri_ns)0, (sri_ns)1, begin - SRI_MS(10) }) {
        while (!t->ops->arm(t))
            t->ops->poll(t);
        t->ops->sleep(t, deadline);
    }
    EXPECT_LT(sri_now() - begin, (sri_ns)(patience(2) * 1e9));
}

SERRY_RANKS_TEST(TransportWake, WhatIsWaitedForMayAlwaysBePublished, .ranks({ 1 }))
{
    sri_transport *t = sri_world.transport;
    for (uint32_t kind = SRI_WAIT_NONE; kind < SRI_WAIT_KINDS; kind++) {
        sri_waiting w = { kind, -1, UINT64_MAX, sri_now() };
        t->ops->publish(t, &w);
    }
    sri_waiting nothing = {};
    t->ops->publish(t, &nothing);
}

} // namespace
