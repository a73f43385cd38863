// ctest: lock timeout=120
/* Locks at work: one is let in at a time, the others in their turn. */
#include "patterns/lock_test.h"

#include <random>
#include <thread>

using namespace serry_test;
using namespace lock_test;

namespace {

struct Job {
    serry_lock l, other;
    int n;
};

/* ---- one at a time ---- */

void count_up(serry_lock l, int n)
{
    for (int i = 0; i < n; i++) {
        ASSERT_EQ(acquire(l), SERRY_OK) << serry_err_detail();
        EXPECT_EQ(board().inside.exchange(1), 0);
        long seen = board().plain;
        if (i % 64 == 0)
            sched_yield();
        board().plain = seen + 1;
        board().inside = 0;
        ASSERT_EQ(release(l), SERRY_OK) << serry_err_detail();
    }
}

SERRY_RANKS_TEST(Lock, LetsInOneAtATime, .ranks({ 1, 2, 3, 7 }))
{
    serry_lock l = make_lock("one"), r = make_lock("one, recursive", true);
    const int n = 700;
    count_up(l, n);
    barrier();
    EXPECT_EQ(board().plain, (long)n * serry_size());
    barrier();
    for (int i = 0; i < n; i++) {
        ASSERT_EQ(acquire(r), SERRY_OK);
        ASSERT_EQ(acquire(r), SERRY_OK);
        board().plain = board().plain + 1;
        ASSERT_EQ(release(r), SERRY_OK);
        board().plain = board().plain + 1;
        ASSERT_EQ(release(r), SERRY_OK);
    }
    barrier();
    EXPECT_EQ(board().plain, 3l * n * serry_size());
}

SERRY_RANKS_TEST(Lock, LetsInOneThreadAtATime, .ranks({ 1, 2, 3 }))
{
    serry_lock l = make_lock("threads");
    const int n = 300;
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; i++)
        threads.emplace_back([&] { count_up(l, n); });
    for (std::thread &t : threads)
        t.join();
    barrier();
    EXPECT_EQ(board().plain, 4l * n * serry_size());
}

int counts_up(const void *arg, size_t)
{
    Job job = *(const Job *)arg;
    count_up(job.l, job.n);
    return testing::Test::HasFailure();
}

SERRY_RANKS_TEST(Lock, LetsInOneOfManyProcesses, .ranks({ 1 }).in_own_world())
{
    const int n_processes = 24, n = 100;
    serry_lock l = make_lock();
    std::vector<serry_process> ps;
    for (int i = 0; i < n_processes; i++)
        ps.push_back(start(counts_up, Job{ l, {}, n }));
    for (serry_process p : ps)
        join(p);
    EXPECT_EQ(board().plain, (long)n_processes * n);
    EXPECT_TRUE(contains(describe(l.id), ": free")) << describe(l.id);
}

/* A thousand rounds of all forms; some hold it so long that others park. */
SERRY_RANKS_TEST(Lock, StandsAThousandRounds, .ranks({ 2, 4 }).timeout(60))
{
    serry_lock locks[] = { make_lock("a"), make_lock("b", true) };
    std::mt19937 dice((unsigned)serry_rank() + 7);
    long mine = 0, all = 0;
    for (int i = 0; i < 1000; i++) {
        serry_lock l = locks[dice() % 2];
        static const double timeouts[] = { SERRY_NOWAIT, 0.00005, 0.002, SERRY_FOREVER };
        serry_err e = acquire(l, timeouts[dice() % 4]);
        if (e == SERRY_ETIMEDOUT)
            continue;
        ASSERT_EQ(e, SERRY_OK) << serry_err_detail();
        std::atomic<int> &inside = board().value[l.id == locks[1].id];
        EXPECT_EQ(inside.exchange(1), 0);
        if (dice() % 32 == 0)
            take(0.0005);
        mine++;
        inside = 0;
        ASSERT_EQ(release(l), SERRY_OK) << serry_err_detail();
    }
    EXPECT_GT(mine, 250);
    ASSERT_EQ(serry_world_allreduce(&mine, &all, 1, SERRY_INT64, SERRY_SUM), SERRY_OK);
    for (serry_lock l : locks)
        EXPECT_TRUE(contains(describe(l.id), ": free")) << describe(l.id);
}

/* Who has heard of a release finds it done. */
SERRY_RANKS_TEST(Lock, AgreesWithMessages, .ranks({ 2, 3 }))
{
    serry_lock l = make_lock("causal");
    int next = (serry_rank() + 1) % serry_size(), last = serry_size() - 1;
    for (int i = 0; i < 200; i++) {
        if (serry_rank() != 0 || i > 0)
            EXPECT_EQ(serry_recv((serry_rank() + last) % serry_size(), 0, nullptr, 0, nullptr,
                                 patience(20)),
                      SERRY_OK);
        EXPECT_EQ(acquire(l, SERRY_NOWAIT), SERRY_OK) << serry_err_detail();
        EXPECT_EQ(release(l), SERRY_OK);
        EXPECT_TRUE(i % 20 || contains(describe(l.id), ": free")) << describe(l.id);
        EXPECT_EQ(serry_send(next, 0, nullptr, 0), SERRY_OK);
    }
    if (serry_rank() == 0)
        EXPECT_EQ(serry_recv(last, 0, nullptr, 0, nullptr, patience(20)), SERRY_OK);
}

/* ---- who waits ---- */

int take_turn(const void *arg, size_t)
{
    Job job = *(const Job *)arg;
    EXPECT_EQ(acquire(job.l), SERRY_OK) << serry_err_detail();
    my_turn(job.n);
    EXPECT_EQ(release(job.l), SERRY_OK) << serry_err_detail();
    return 0;
}

SERRY_RANKS_TEST(Lock, GoesRoundInTheOrderOfComing, .ranks({ 1 }))
{
    serry_lock l = make_lock("fair");
    std::vector<serry_process> ps;
    EXPECT_EQ(acquire(l), SERRY_OK);
    for (int i = 0; i < 6; i++) {
        ps.push_back(start(take_turn, Job{ l, {}, i }));
        await_waiting(l.id, i + 1);
    }
    EXPECT_EQ(release(l), SERRY_OK);
    EXPECT_EQ(acquire(l), SERRY_OK); /* behind them all */
    EXPECT_EQ(board().n_order, 6);
    for (int i = 0; i < 6; i++)
        EXPECT_EQ(board().order[i], i);
    EXPECT_EQ(release(l), SERRY_OK);
    for (serry_process p : ps)
        join(p);
}

int hold_when_granted(const void *arg, size_t)
{
    Job job = *(const Job *)arg;
    EXPECT_EQ(acquire(job.l), SERRY_OK) << serry_err_detail();
    board().stage = 1;
    await_stage(2);
    EXPECT_EQ(release(job.l), SERRY_OK) << serry_err_detail();
    return 0;
}

/* As long as somebody is in line the one that lets go does not get it again before them. */
SERRY_RANKS_TEST(Lock, IsNotSnatchedFromThoseInLine, .ranks({ 1 }))
{
    for (int i = 0; i < 20; i++) {
        clear_board();
        serry_lock l = make_lock();
        EXPECT_EQ(acquire(l), SERRY_OK);
        serry_process p = start(hold_when_granted, Job{ l, {}, 0 });
        await_waiting(l.id, 1);
        EXPECT_EQ(release(l), SERRY_OK);
        EXPECT_EQ(acquire(l, SERRY_NOWAIT), SERRY_ETIMEDOUT);
        EXPECT_EQ(acquire(l, 0.0003), SERRY_ETIMEDOUT);
        await_stage(1);
        board().stage = 2;
        EXPECT_EQ(acquire(l), SERRY_OK);
        EXPECT_EQ(release(l), SERRY_OK);
        join(p);
    }
}

int wait_in_vain(const void *arg, size_t)
{
    Job job = *(const Job *)arg;
    EXPECT_EQ(acquire(job.l, 0.1), SERRY_ETIMEDOUT);
    board().stage = 1;
    return 0;
}

/* One that has gone home is not in the way of those behind it. */
SERRY_RANKS_TEST(Lock, ForgetsThoseWhoGaveUp, .ranks({ 1 }))
{
    serry_lock l = make_lock();
    EXPECT_EQ(acquire(l), SERRY_OK);
    serry_process gives_up = start(wait_in_vain, Job{ l, {}, 0 });
    await([&] { return waiting(l.id) == 1 || board().stage == 1; });
    serry_process stays = start(take_turn, Job{ l, {}, 1 });
    join(gives_up);
    await_waiting(l.id, 1);
    EXPECT_EQ(release(l), SERRY_OK);
    join(stays);
    EXPECT_EQ(acquire(l, SERRY_NOWAIT), SERRY_OK);
    EXPECT_EQ(release(l), SERRY_OK);
}

SERRY_RANKS_TEST(Lock, ServesItsThreadsAsItServesProcesses, .ranks({ 1 }))
{
    serry_lock l = make_lock("threads in line");
    EXPECT_EQ(acquire(l), SERRY_OK);
    std::vector<std::thread> threads;
    std::vector<int> order;
    for (int i = 0; i < 5; i++) {
        threads.emplace_back([&, i] {
            EXPECT_EQ(acquire(l), SERRY_OK) << serry_err_detail();
            order.push_back(i);
            EXPECT_EQ(release(l), SERRY_OK);
        });
        await_waiting(l.id, i + 1);
    }
    EXPECT_EQ(release(l), SERRY_OK);
    for (std::thread &t : threads)
        t.join();
    EXPECT_EQ(order, (std::vector<int>{ 0, 1, 2, 3, 4 }));
}

/* A thread that waits keeps no other out. */
SERRY_RANKS_TEST(Lock, LetsOtherThreadsWorkWhileOneWaits, .ranks({ 2 }))
{
    serry_lock l = make_lock("busy"), other = make_lock("idle");
    if (serry_rank() == 0)
        EXPECT_EQ(acquire(l), SERRY_OK);
    barrier();
    if (serry_rank() == 0) {
        char c;
        for (int i = 0; i < 100; i++)
            EXPECT_EQ(serry_recv(1, 0, &c, 1, nullptr, patience(20)), SERRY_OK);
        EXPECT_EQ(release(l), SERRY_OK);
        return;
    }
    std::thread waits([&] {
        EXPECT_EQ(acquire(l), SERRY_OK);
        EXPECT_EQ(release(l), SERRY_OK);
    });
    for (int i = 0; i < 100; i++) {
        EXPECT_EQ(acquire(other, patience(20)), SERRY_OK);
        EXPECT_EQ(release(other), SERRY_OK);
        EXPECT_EQ(serry_send(0, 0, "x", 1), SERRY_OK);
    }
    waits.join();
}

/* Who waits for a lock goes on serving its messages: its holder may need one. */
SERRY_RANKS_TEST(Lock, IsWaitedForWhileMessagesGoOn, .ranks({ 2 }))
{
    serry_lock l = make_lock("messages");
    std::vector<char> large(4u << 20, 'x');
    for (int i = 0; i < 10; i++) {
        if (serry_rank() == 1)
            EXPECT_EQ(acquire(l), SERRY_OK);
        barrier();
        if (serry_rank() == 0) {
            serry_request r = {};
            EXPECT_EQ(serry_isend(&r, 1, 0, large.data(), large.size()), SERRY_OK);
            EXPECT_EQ(acquire(l, patience(20)), SERRY_OK) << serry_err_detail();
            EXPECT_EQ(release(l), SERRY_OK);
            EXPECT_EQ(serry_wait(&r, nullptr, patience(20)), SERRY_OK);
        } else {
            take(0.0001 * i);
            EXPECT_EQ(serry_recv(0, 0, large.data(), large.size(), nullptr, patience(20)),
                      SERRY_OK);
            EXPECT_EQ(release(l), SERRY_OK);
        }
        barrier();
    }
}

/* ---- what it says of itself ---- */

SERRY_RANKS_TEST(Lock, SaysWhoHoldsItAndWhoWaits, .ranks({ 1 }).in_own_world())
{
    serry_lock l = make_lock("results"), r = make_lock(nullptr, true);
    EXPECT_EQ(describe(l.id), "lock \"results\": free");
    EXPECT_EQ(describe(r.id), "lock #2, recursive: free");
    EXPECT_EQ(acquire(l), SERRY_OK);
    EXPECT_EQ(acquire(r), SERRY_OK);
    EXPECT_EQ(acquire(r), SERRY_OK);
    EXPECT_EQ(describe(l.id), "lock \"results\": held by rank 0");
    EXPECT_EQ(describe(r.id), "lock #2, recursive: held by rank 0");
    serry_process a = start(take_turn, Job{ l, {}, 0 });
    await_waiting(l.id, 1);
    std::string one =
        "lock \"results\": held by rank 0; rank " + std::to_string(rank_of(a)) + " waits, for 0.";
    EXPECT_EQ(describe(l.id).substr(0, one.size()), one);
    serry_process b = start(take_turn, Job{ l, {}, 0 });
    await_waiting(l.id, 2);
    std::string two = "lock \"results\": held by rank 0; ranks " + std::to_string(rank_of(a))
                      + " and " + std::to_string(rank_of(b)) + " wait, for ";
    EXPECT_EQ(describe(l.id).substr(0, two.size()), two);
    EXPECT_EQ(release(l), SERRY_OK);
    join(a);
    join(b);
    EXPECT_EQ(release(r), SERRY_OK);
    EXPECT_EQ(release(r), SERRY_OK);
}

} // namespace
