// ctest: lock timeout=120
/* Locks as their users see them, over both kinds of lanes. */
#include "patterns/lock_test.h"

#include <cmath>
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

/* A signal is the host's affair: the wait goes on to its time. */
SERRY_RANKS_TEST(Lock, IsWaitedForThroughSignals, .ranks({ 1 }))
{
    serry_lock l = make_lock();
    clear_board();
    serry_process p = start(hold_and_let_go, Job{ l, {}, 0 });
    await_stage(1);
    SignalStorm storm;
    double begin = serry_time();
    EXPECT_EQ(acquire(l, 0.2), SERRY_ETIMEDOUT);
    EXPECT_GE(serry_time() - begin, 0.2);
    board().stage = 2;
    EXPECT_EQ(acquire(l), SERRY_OK);
    EXPECT_GT(storm.stop(), 0);
    EXPECT_EQ(release(l), SERRY_OK);
    join(p);
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

} // namespace
