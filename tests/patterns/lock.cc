// ctest: lock timeout=120
/* Locks as their users see them, over both kinds of lanes. */
#include "patterns/lock_test.h"

#include <cmath>
#include <csignal>
#include <random>
#include <thread>

using namespace serry_test;
using namespace lock_test;

namespace {

struct Job {
    serry_lock l, other;
    int n;
};

/* The exit code says what acquire or release said. */
int try_acquire(const void *arg, size_t)
{
    return (int)acquire(((const Job *)arg)->l, SERRY_NOWAIT);
}

int try_release(const void *arg, size_t)
{
    return (int)release(((const Job *)arg)->l);
}

/* ---- the rows of Python's own tests ---- */

SERRY_RANKS_TEST(Lock, IsHeldByOneAndLetGoByIt, .ranks({ 1 }))
{
    serry_lock l = make_lock();
    EXPECT_EQ(release(l), SERRY_EPERM);
    EXPECT_EQ(acquire(l), SERRY_OK) << serry_err_detail();
    EXPECT_EQ(acquire(l, SERRY_NOWAIT), SERRY_ETIMEDOUT);
    EXPECT_STRNE(serry_err_detail(), "");
    join(start(try_acquire, Job{ l, {}, 0 }), SERRY_ETIMEDOUT);
    EXPECT_EQ(release(l), SERRY_OK) << serry_err_detail();
    EXPECT_EQ(release(l), SERRY_EPERM);
    EXPECT_EQ(acquire(l, SERRY_NOWAIT), SERRY_OK);
    EXPECT_EQ(release(l), SERRY_OK);
}

SERRY_RANKS_TEST(Lock, OfTheRecursiveKindIsLetGoAsOftenAsItWasTaken, .ranks({ 1 }))
{
    serry_lock l = make_lock(nullptr, true);
    EXPECT_EQ(acquire(l), SERRY_OK);
    EXPECT_EQ(acquire(l, SERRY_NOWAIT), SERRY_OK);
    EXPECT_EQ(acquire(l, 1.0), SERRY_OK);
    for (int i = 0; i < 3; i++) {
        join(start(try_acquire, Job{ l, {}, 0 }), SERRY_ETIMEDOUT);
        EXPECT_EQ(release(l), SERRY_OK);
    }
    EXPECT_EQ(release(l), SERRY_EPERM);
    EXPECT_EQ(acquire(l, SERRY_NOWAIT), SERRY_OK);
    EXPECT_EQ(release(l), SERRY_OK);
}

int hold_and_let_go(const void *arg, size_t)
{
    Job job = *(const Job *)arg;
    EXPECT_EQ(acquire(job.l), SERRY_OK);
    board().stage = 1;
    await_stage(2);
    EXPECT_EQ(release(job.l), SERRY_OK);
    return 0;
}

/* Made by one, used by parent and child, in both directions. */
SERRY_RANKS_TEST(Lock, OfEitherKindIsUsedByParentAndChild, .ranks({ 1 }))
{
    for (bool recursive : { false, true }) {
        clear_board();
        serry_lock l = make_lock(nullptr, recursive);
        serry_process p = start(hold_and_let_go, Job{ l, {}, 0 });
        await_stage(1);
        EXPECT_EQ(acquire(l, SERRY_NOWAIT), SERRY_ETIMEDOUT);
        EXPECT_EQ(release(l), SERRY_EPERM); /* only the holder lets it go */
        board().stage = 2;
        EXPECT_EQ(acquire(l), SERRY_OK) << serry_err_detail();
        join(p);
        EXPECT_EQ(release(l), SERRY_OK);
    }
}

/* ---- time ---- */

SERRY_RANKS_TEST(Lock, IsGivenUpInTime, .ranks({ 1 }))
{
    serry_lock l = make_lock();
    clear_board();
    serry_process p = start(hold_and_let_go, Job{ l, {}, 0 });
    await_stage(1);
    EXPECT_EQ(acquire(l, -1), SERRY_ETIMEDOUT);
    EXPECT_EQ(acquire(l, 1e-9), SERRY_ETIMEDOUT);
    for (double timeout : { 0.0001, 0.01, 0.2 }) {
        double begin = serry_time();
        EXPECT_EQ(acquire(l, timeout), SERRY_ETIMEDOUT);
        double took = serry_time() - begin;
        EXPECT_GE(took, timeout);
        EXPECT_LT(took, timeout + patience(5));
        EXPECT_EQ(waiting(l.id), 0) << describe(l.id);
    }
    EXPECT_EQ(acquire(l, NAN), SERRY_EINVAL);
    board().stage = 2;
    join(p);
    EXPECT_EQ(acquire(l, SERRY_NOWAIT), SERRY_OK);
    EXPECT_EQ(acquire(l, NAN), SERRY_EINVAL);
    EXPECT_EQ(release(l), SERRY_OK);
}

SERRY_RANKS_TEST(Lock, IsNotWaitedForForEverByItsHolder, .ranks({ 1 }))
{
    serry_lock l = make_lock();
    EXPECT_EQ(acquire(l), SERRY_OK);
    EXPECT_EQ(acquire(l, SERRY_FOREVER), SERRY_EDEADLOCK);
    EXPECT_TRUE(contains(serry_err_detail(), "not recursive")) << serry_err_detail();
    EXPECT_EQ(acquire(l, SERRY_NOWAIT), SERRY_ETIMEDOUT);
    double begin = serry_time();
    EXPECT_EQ(acquire(l, 0.1), SERRY_ETIMEDOUT);
    EXPECT_GE(serry_time() - begin, 0.1);
    EXPECT_EQ(release(l), SERRY_OK);
    EXPECT_EQ(release(l), SERRY_EPERM);
}

/* ---- whose it is ---- */

SERRY_RANKS_TEST(Lock, IsOnlyLetGoByItsHolder, .ranks({ 1 }))
{
    for (bool recursive : { false, true }) {
        serry_lock l = make_lock(nullptr, recursive);
        EXPECT_EQ(acquire(l), SERRY_OK);
        join(start(try_release, Job{ l, {}, 0 }), SERRY_EPERM);
        std::thread([&] {
            EXPECT_EQ(release(l), SERRY_EPERM);
            EXPECT_EQ(acquire(l, SERRY_NOWAIT), SERRY_ETIMEDOUT);
            EXPECT_EQ(acquire(l, 0.01), SERRY_ETIMEDOUT);
        }).join();
        join(start(try_acquire, Job{ l, {}, 0 }), SERRY_ETIMEDOUT);
        EXPECT_EQ(release(l), SERRY_OK);
        std::thread([&] {
            EXPECT_EQ(acquire(l, SERRY_NOWAIT), SERRY_OK);
            EXPECT_EQ(release(l), SERRY_OK);
        }).join();
    }
}

int inherits_nothing(const void *arg, size_t)
{
    Job job = *(const Job *)arg;
    EXPECT_EQ(release(job.l), SERRY_EPERM);
    EXPECT_EQ(acquire(job.l, SERRY_NOWAIT), SERRY_ETIMEDOUT);
    board().stage = 1;
    EXPECT_EQ(acquire(job.l), SERRY_OK);
    EXPECT_EQ(release(job.l), SERRY_OK);
    EXPECT_EQ(release(job.l), SERRY_EPERM);
    return 0;
}

void child_inherits_nothing()
{
    for (bool recursive : { false, true }) {
        clear_board();
        serry_lock l = make_lock(nullptr, recursive);
        EXPECT_EQ(acquire(l), SERRY_OK);
        serry_process p = start(inherits_nothing, Job{ l, {}, 0 });
        await_stage(1);
        EXPECT_EQ(release(l), SERRY_OK);
        join(p);
    }
}

SERRY_RANKS_TEST(Lock, IsNotInheritedByAStartedProcess, .ranks({ 1 }))
{
    child_inherits_nothing();
}

SERRY_RANKS_TEST(Lock, IsNotInheritedByACopyOfTheProgram, .ranks({ 1 }).env("SERRY_START", "agent"))
{
    child_inherits_nothing();
}

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

std::atomic<int> signals;

/* A signal is the host's affair: the wait goes on to its time. */
SERRY_RANKS_TEST(Lock, IsWaitedForThroughSignals, .ranks({ 1 }))
{
    serry_lock l = make_lock();
    clear_board();
    serry_process p = start(hold_and_let_go, Job{ l, {}, 0 });
    await_stage(1);
    struct sigaction act = {}, old = {};
    act.sa_handler = [](int) { signals++; };
    ASSERT_EQ(sigaction(SIGUSR1, &act, &old), 0);
    pthread_t me = pthread_self();
    std::atomic<bool> over(false);
    std::thread storm([&] {
        while (!over) {
            pthread_kill(me, SIGUSR1);
            take(0.001);
        }
    });
    double begin = serry_time();
    EXPECT_EQ(acquire(l, 0.2), SERRY_ETIMEDOUT);
    EXPECT_GE(serry_time() - begin, 0.2);
    board().stage = 2;
    EXPECT_EQ(acquire(l), SERRY_OK);
    over = true;
    storm.join();
    EXPECT_GT(signals, 0);
    EXPECT_EQ(release(l), SERRY_OK);
    sigaction(SIGUSR1, &old, nullptr);
    join(p);
}

/* ---- its end ---- */

int wait_and_tell(const void *arg, size_t)
{
    return (int)acquire(((const Job *)arg)->l);
}

SERRY_RANKS_TEST(Lock, EndsEveryWaitWhenItIsDestroyed, .ranks({ 1 }))
{
    for (int i = 0; i < 10; i++) {
        serry_lock l = make_lock();
        EXPECT_EQ(acquire(l), SERRY_OK);
        serry_process a = start(wait_and_tell, Job{ l, {}, 0 });
        serry_process b = start(wait_and_tell, Job{ l, {}, 0 });
        if (i % 2)
            await_waiting(l.id, 2);
        EXPECT_EQ(serry_lock_destroy(l), SERRY_OK); /* though it is held */
        join(a, SERRY_EHANDLE);
        join(b, SERRY_EHANDLE);
        EXPECT_EQ(release(l), SERRY_EHANDLE);
        EXPECT_EQ(acquire(l), SERRY_EHANDLE);
    }
}

SERRY_RANKS_TEST(Lock, IsStaleForAllOnceDestroyed, .ranks({ 1, 2, 3 }))
{
    for (int i = 0; i < 30; i++) {
        serry_lock l = make_lock(("stale " + std::to_string(i)).c_str(), i % 2);
        EXPECT_EQ(acquire(l), SERRY_OK);
        EXPECT_EQ(release(l), SERRY_OK);
        barrier();
        if (serry_rank() == 0)
            EXPECT_EQ(serry_lock_destroy(l), SERRY_OK);
        barrier();
        EXPECT_EQ(acquire(l, SERRY_NOWAIT), SERRY_EHANDLE);
        EXPECT_EQ(acquire(l, 0.01), SERRY_EHANDLE);
        EXPECT_EQ(acquire(l), SERRY_EHANDLE);
        EXPECT_EQ(release(l), SERRY_EHANDLE);
        EXPECT_EQ(serry_lock_destroy(l), SERRY_EHANDLE);
        barrier();
    }
}

/* ---- bad input ---- */

SERRY_RANKS_TEST(Lock, RefusesHandlesThatNameNoLock, .ranks({ 1 }))
{
    serry_queue q = {};
    ASSERT_EQ(serry_queue_create(&q, nullptr), SERRY_OK);
    serry_lock good = make_lock();
    for (uint64_t id : { uint64_t(0), uint64_t(1), ~uint64_t(0), q.id, good.id + 1,
                         good.id + (uint64_t(1) << 24), good.id ^ (uint64_t(1) << 40) }) {
        serry_lock l = { id };
        EXPECT_EQ(acquire(l), SERRY_EHANDLE) << std::hex << id;
        EXPECT_EQ(acquire(l, SERRY_NOWAIT), SERRY_EHANDLE) << std::hex << id;
        EXPECT_EQ(release(l), SERRY_EHANDLE) << std::hex << id;
        EXPECT_EQ(serry_lock_destroy(l), SERRY_EHANDLE) << std::hex << id;
    }
    EXPECT_EQ(acquire(good), SERRY_OK); /* the world is usable */
    EXPECT_EQ(release(good), SERRY_OK);
}

SERRY_RANKS_TEST(Lock, RefusesBadOptions, .ranks({ 1 }))
{
    serry_lock_options o = {};
    serry_lock l = { 77 };
    std::string longest(63, 'x'), longer(64, 'x');
    EXPECT_EQ(serry_lock_create(nullptr, &o), SERRY_EINVAL);
    o.name = longer.c_str();
    EXPECT_EQ(serry_lock_create(&l, &o), SERRY_EINVAL);
    o.name = "";
    EXPECT_EQ(serry_lock_create(&l, &o), SERRY_EINVAL);
    o.name = nullptr;
    o.node = SERRY_NODE(99);
    EXPECT_EQ(serry_lock_create(&l, &o), SERRY_EINVAL);
    EXPECT_EQ(l.id, 77u);
    o.node = SERRY_NODE(serry_node());
    o.name = longest.c_str();
    EXPECT_EQ(serry_lock_create(&l, &o), SERRY_OK);
    EXPECT_EQ(serry_lock_create(&l, nullptr), SERRY_OK);
}

SERRY_RANKS_TEST(Lock, IsTheSameUnderTheSameName, .ranks({ 1, 2, 7 }))
{
    serry_lock a = make_lock("shared"), b = make_lock("shared");
    EXPECT_EQ(a.id, b.id);
    EXPECT_NE(make_lock("other").id, a.id);
    serry_lock_options o = {};
    o.name = own_name("shared");
    o.recursive = true;
    serry_lock l = { 77 };
    EXPECT_EQ(serry_lock_create(&l, &o), SERRY_EINVAL);
    EXPECT_EQ(l.id, 77u);
    uint64_t low, high, mine = a.id >> 1;
    ASSERT_EQ(serry_world_allreduce(&mine, &low, 1, SERRY_INT64, SERRY_MIN), SERRY_OK);
    ASSERT_EQ(serry_world_allreduce(&mine, &high, 1, SERRY_INT64, SERRY_MAX), SERRY_OK);
    EXPECT_EQ(low, high);
}

SERRY_RANKS_TEST(Lock, NeedsAWorld, .ranks({ 1 }).on(shm).without_init())
{
    serry_lock l = { 77 };
    EXPECT_EQ(serry_lock_create(&l, nullptr), SERRY_ESTATE);
    EXPECT_EQ(acquire(l), SERRY_ESTATE);
    EXPECT_EQ(release(l), SERRY_ESTATE);
    EXPECT_EQ(serry_lock_destroy(l), SERRY_ESTATE);
    ASSERT_EQ(serry_init(nullptr, nullptr), SERRY_OK);
    l = make_lock();
    EXPECT_EQ(acquire(l), SERRY_OK);
    EXPECT_EQ(release(l), SERRY_OK);
    ASSERT_EQ(serry_finalize(), SERRY_OK);
    EXPECT_EQ(acquire(l), SERRY_ESTATE);
    EXPECT_EQ(release(l), SERRY_ESTATE);
}

/* More of them than cells lie still, so that words are used again while old handles are about. */
SERRY_RANKS_TEST(Lock, MayBeMadeAndEndedManyTimes, .ranks({ 1, 2 }))
{
    std::vector<serry_lock> old;
    for (int i = 0; i < 300; i++) {
        serry_lock l = make_lock();
        ASSERT_EQ(acquire(l, SERRY_NOWAIT), SERRY_OK) << serry_err_detail();
        if (i % 2)
            ASSERT_EQ(release(l), SERRY_OK);
        ASSERT_EQ(serry_lock_destroy(l), SERRY_OK);
        old.push_back(l);
    }
    for (serry_lock l : old)
        EXPECT_EQ(acquire(l, SERRY_NOWAIT), SERRY_EHANDLE);
}

/* ---- what it says of itself ---- */

SERRY_RANKS_TEST(Lock, SaysWhoHoldsItAndWhoWaits, .ranks({ 1 }).in_own_world())
{
    serry_lock l = make_lock("results"), r = make_lock(nullptr, true);
    EXPECT_EQ(describe(l.id), "lock \"results\": free");
    EXPECT_EQ(describe(r.id), "lock without a name, recursive: free");
    EXPECT_EQ(acquire(l), SERRY_OK);
    EXPECT_EQ(acquire(r), SERRY_OK);
    EXPECT_EQ(acquire(r), SERRY_OK);
    EXPECT_EQ(describe(l.id), "lock \"results\": held by rank 0");
    EXPECT_EQ(describe(r.id), "lock without a name, recursive: held by rank 0");
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
