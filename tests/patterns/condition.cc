// ctest: condition timeout=120
/* Conditions as their users see them, over both kinds of lanes. */
#include "patterns/condition_test.h"

#include <climits>
#include <cmath>
#include <thread>

using namespace serry_test;
using namespace condition_test;

namespace {

/* n waiters, half of them threads of this process. */
struct Waiters {
    Waiters(Job job, int n, serry_err e) : expected(e)
    {
        for (int i = 0; i < n; i++) {
            job.n = i;
            if (i % 2)
                threads.emplace_back([=] { EXPECT_EQ(wait_once(job), e); });
            else
                processes.push_back(start(waiter, job));
        }
    }
    ~Waiters()
    {
        for (serry_process p : processes)
            join(p, (int)expected);
        for (std::thread &t : threads)
            t.join();
    }
    serry_err expected;
    std::vector<serry_process> processes;
    std::vector<std::thread> threads;
};

/* Nobody else has woken: after a notify that finds nobody, all that was to happen has happened. */
void expect_awake(const Job &job, int n)
{
    EXPECT_EQ(acquire(job.l), SERRY_OK);
    EXPECT_EQ(release(job.l), SERRY_OK);
    EXPECT_EQ(board().awake, n);
}

/* ---- the rows of Python's own tests ---- */

SERRY_RANKS_TEST(Condition, NotifiesOneAtATime, .ranks({ 1 }))
{
    for (bool recursive : { false, true }) {
        clear_board();
        Job job = make_job(recursive);
        Waiters two(job, 2, SERRY_OK);
        await_waiting(job.c.id, 2);
        expect_awake(job, 0);
        for (int i = 1; i <= 2; i++) {
            notify(job, 1);
            await_awake(i);
            EXPECT_EQ(waiting(job.c.id), 2 - i);
            expect_awake(job, i);
        }
    }
}

SERRY_RANKS_TEST(Condition, NotifiesAll, .ranks({ 1 }).in_own_world())
{
    for (bool recursive : { false, true }) {
        clear_board();
        Job job = make_job(recursive, 0.05);
        {
            Waiters late(job, 6, SERRY_ETIMEDOUT);
            await_awake(6);
        }
        EXPECT_EQ(waiting(job.c.id), 0);
        clear_board();
        job.timeout = SERRY_FOREVER;
        {
            Waiters six(job, 6, SERRY_OK);
            await_waiting(job.c.id, 6);
            notify_all(job);
            await_awake(6);
        }
        EXPECT_EQ(waiting(job.c.id), 0);
        EXPECT_FALSE(contains(describe(job.c.id), "notified")) << describe(job.c.id);
        EXPECT_TRUE(contains(describe(job.l.id), ": free")) << describe(job.l.id);
    }
}

SERRY_RANKS_TEST(Condition, NotifiesAsManyAsItIsTold, .ranks({ 1 }))
{
    clear_board();
    Job job = make_job(false);
    Waiters six(job, 6, SERRY_OK);
    await_waiting(job.c.id, 6);
    notify(job, 0);
    expect_awake(job, 0);
    notify(job, 2);
    await_awake(2);
    EXPECT_EQ(waiting(job.c.id), 4);
    expect_awake(job, 2);
    notify(job, 4);
    await_awake(6);
    notify(job, 3); /* nobody is there */
    expect_awake(job, 6);
}

SERRY_RANKS_TEST(Condition, GivesUpInTime, .ranks({ 1 }))
{
    for (bool recursive : { false, true }) {
        Job job = make_job(recursive);
        EXPECT_EQ(acquire(job.l), SERRY_OK);
        for (double timeout : { -1.0, 0.0, 0.0001, 0.1 }) {
            double begin = serry_time();
            EXPECT_EQ(serry_condition_wait(job.c, timeout), SERRY_ETIMEDOUT);
            EXPECT_GE(serry_time() - begin, timeout);
            EXPECT_LT(serry_time() - begin, timeout + patience(5));
            EXPECT_STRNE(serry_err_detail(), "");
        }
        EXPECT_EQ(release(job.l), SERRY_OK) << "it is held again";
        EXPECT_EQ(release(job.l), SERRY_EPERM) << "once";
        EXPECT_EQ(waiting(job.c.id), 0);
    }
}

bool four(void *)
{
    return board().count == 4;
}

bool never(void *calls)
{
    ++*(int *)calls;
    return false;
}

int make_it_four(const void *arg, size_t)
{
    Job job = *(const Job *)arg;
    EXPECT_EQ(acquire(job.l), SERRY_OK);
    EXPECT_EQ(board().count, 0);
    board().stage = 1;
    EXPECT_EQ(serry_condition_wait_for(
                  job.c, [](void *) { return board().count >= 1; }, nullptr, patience(20)),
              SERRY_OK);
    while (board().count < 4) {
        EXPECT_EQ(release(job.l), SERRY_OK);
        take(0.002);
        EXPECT_EQ(acquire(job.l), SERRY_OK);
        board().count++;
        EXPECT_EQ(serry_condition_notify(job.c, 1), SERRY_OK);
    }
    EXPECT_EQ(release(job.l), SERRY_OK);
    return 0;
}

SERRY_RANKS_TEST(Condition, WaitsForAPredicate, .ranks({ 1 }))
{
    for (bool recursive : { false, true }) {
        clear_board();
        Job job = make_job(recursive);
        serry_process p = start(make_it_four, job);
        await_waiting(job.c.id, 1);
        EXPECT_EQ(acquire(job.l), SERRY_OK);
        board().count = 1;
        EXPECT_EQ(serry_condition_notify(job.c, 1), SERRY_OK);
        EXPECT_EQ(serry_condition_wait_for(job.c, four, nullptr, SERRY_FOREVER), SERRY_OK);
        EXPECT_EQ(board().count, 4);
        /* It is true already: no wait at all. */
        EXPECT_EQ(serry_condition_wait_for(job.c, four, nullptr, SERRY_NOWAIT), SERRY_OK);
        EXPECT_EQ(release(job.l), SERRY_OK);
        EXPECT_EQ(release(job.l), SERRY_EPERM);
        join(p);
    }
}

SERRY_RANKS_TEST(Condition, GivesUpOnAPredicateInTime, .ranks({ 1 }))
{
    Job job = make_job(false);
    EXPECT_EQ(acquire(job.l), SERRY_OK);
    int calls = 0;
    double begin = serry_time();
    EXPECT_EQ(serry_condition_wait_for(job.c, never, &calls, 0.1), SERRY_ETIMEDOUT);
    EXPECT_GE(serry_time() - begin, 0.1);
    EXPECT_GE(calls, 2);
    calls = 0;
    EXPECT_EQ(serry_condition_wait_for(job.c, never, &calls, SERRY_NOWAIT), SERRY_ETIMEDOUT);
    EXPECT_EQ(calls, 1);
    EXPECT_EQ(release(job.l), SERRY_OK);
}

/* It became true and nobody said so: that is found at the end. */
SERRY_RANKS_TEST(Condition, LooksAtThePredicateAtTheEnd, .ranks({ 1 }))
{
    Job job = make_job(false);
    EXPECT_EQ(acquire(job.l), SERRY_OK);
    int calls = 0;
    EXPECT_EQ(serry_condition_wait_for(
                  job.c, [](void *ctx) { return ++*(int *)ctx == 2; }, &calls, 0.05),
              SERRY_OK);
    EXPECT_EQ(calls, 2);
    EXPECT_EQ(release(job.l), SERRY_OK);
}

SERRY_RANKS_TEST(Condition, TellsWhetherItWasNotified, .ranks({ 1 }))
{
    for (bool recursive : { false, true }) {
        clear_board();
        Job job = make_job(recursive);
        EXPECT_EQ(acquire(job.l), SERRY_OK);
        EXPECT_EQ(serry_condition_wait(job.c, 0), SERRY_ETIMEDOUT);
        EXPECT_EQ(serry_condition_wait(job.c, 0.1), SERRY_ETIMEDOUT);
        std::thread other([=] {
            await_waiting(job.c.id, 1);
            notify(job, 1);
        });
        EXPECT_EQ(serry_condition_wait(job.c, patience(20)), SERRY_OK);
        EXPECT_EQ(release(job.l), SERRY_OK);
        other.join();

        /* A signal is the host's affair: its handler runs, and the wait goes on. */
        SignalStorm storm;
        EXPECT_EQ(acquire(job.l), SERRY_OK);
        double begin = serry_time();
        EXPECT_EQ(serry_condition_wait(job.c, 0.1), SERRY_ETIMEDOUT);
        EXPECT_GE(serry_time() - begin, 0.1);
        EXPECT_EQ(release(job.l), SERRY_OK);
        EXPECT_GT(storm.stop(), 0);
    }
}

int set_and_notify(const void *arg, size_t)
{
    Job job = *(const Job *)arg;
    EXPECT_EQ(acquire(job.l), SERRY_OK);
    board().count = 4;
    EXPECT_EQ(serry_condition_notify_all(job.c), SERRY_OK);
    EXPECT_EQ(release(job.l), SERRY_OK);
    return 0;
}

SERRY_RANKS_TEST(Condition, IsUsedByParentAndChild, .ranks({ 1 }))
{
    clear_board();
    Job job = make_job(true);
    EXPECT_EQ(acquire(job.l), SERRY_OK);
    serry_process p = start(set_and_notify, job);
    EXPECT_EQ(serry_condition_wait_for(job.c, four, nullptr, patience(20)), SERRY_OK);
    EXPECT_EQ(release(job.l), SERRY_OK);
    join(p);
}

/* ---- the lock ---- */

SERRY_RANKS_TEST(Condition, IsForTheHolderOfTheLock, .ranks({ 1 }))
{
    for (bool recursive : { false, true }) {
        clear_board();
        Job job = make_job(recursive);
        int calls = 0;
        auto refused = [&] {
            EXPECT_EQ(serry_condition_wait(job.c, SERRY_FOREVER), SERRY_EPERM);
            EXPECT_EQ(serry_condition_wait(job.c, SERRY_NOWAIT), SERRY_EPERM);
            EXPECT_EQ(serry_condition_wait_for(job.c, never, &calls, 0.1), SERRY_EPERM);
            EXPECT_EQ(serry_condition_notify(job.c, 1), SERRY_EPERM);
            EXPECT_EQ(serry_condition_notify(job.c, 0), SERRY_EPERM);
            EXPECT_EQ(serry_condition_notify_all(job.c), SERRY_EPERM);
        };
        refused();
        EXPECT_EQ(acquire(job.l), SERRY_OK);
        std::thread(refused).join();
        EXPECT_EQ(release(job.l), SERRY_OK);
        refused();
        EXPECT_EQ(calls, 0);
    }
}

/* All levels are let go, and all are there again. */
SERRY_RANKS_TEST(Condition, RestoresTheDepthOfItsLock, .ranks({ 1 }))
{
    clear_board();
    Job job = make_job(true);
    for (int i = 0; i < 5; i++)
        EXPECT_EQ(acquire(job.l), SERRY_OK);
    serry_process p = start(set_and_notify, job);
    EXPECT_EQ(serry_condition_wait(job.c, patience(20)), SERRY_OK);
    EXPECT_EQ(board().count, 4);
    join(p);
    EXPECT_EQ(serry_condition_wait(job.c, 0.01), SERRY_ETIMEDOUT);
    for (int i = 0; i < 5; i++)
        EXPECT_EQ(release(job.l), SERRY_OK);
    EXPECT_EQ(release(job.l), SERRY_EPERM);
}

/* ---- bad input ---- */

SERRY_RANKS_TEST(Condition, RefusesBadInput, .ranks({ 1 }))
{
    Job job = make_job(false);
    EXPECT_EQ(acquire(job.l), SERRY_OK);
    EXPECT_EQ(serry_condition_wait(job.c, NAN), SERRY_EINVAL);
    EXPECT_EQ(serry_condition_wait_for(job.c, four, nullptr, NAN), SERRY_EINVAL);
    EXPECT_EQ(serry_condition_wait_for(job.c, nullptr, nullptr, 1), SERRY_EINVAL);
    EXPECT_EQ(serry_condition_notify(job.c, -1), SERRY_EINVAL);
    EXPECT_EQ(serry_condition_notify(job.c, INT_MIN), SERRY_EINVAL);
    EXPECT_EQ(serry_condition_notify(job.c, INT_MAX), SERRY_OK);
    for (uint64_t id : { uint64_t(0), uint64_t(1), ~uint64_t(0), job.l.id, job.c.id + 1,
                         job.c.id + (uint64_t(1) << 24), job.c.id ^ (uint64_t(1) << 40) }) {
        serry_condition c = { id };
        EXPECT_EQ(serry_condition_wait(c, 1), SERRY_EHANDLE) << std::hex << id;
        EXPECT_EQ(serry_condition_wait_for(c, four, nullptr, 1), SERRY_EHANDLE) << std::hex << id;
        EXPECT_EQ(serry_condition_notify(c, 1), SERRY_EHANDLE) << std::hex << id;
        EXPECT_EQ(serry_condition_notify_all(c), SERRY_EHANDLE) << std::hex << id;
        EXPECT_EQ(serry_condition_destroy(c), SERRY_EHANDLE) << std::hex << id;
    }
    EXPECT_EQ(serry_condition_wait(job.c, 0.001), SERRY_ETIMEDOUT); /* all is well */
    EXPECT_EQ(release(job.l), SERRY_OK);
}

SERRY_RANKS_TEST(Condition, IsMadeForALock, .ranks({ 1, 2 }))
{
    serry_lock l = make_lock("its lock"), other = make_lock("another");
    serry_condition c = { 77 };
    serry_condition_options o = {};
    std::string longer(64, 'x');
    EXPECT_EQ(serry_condition_create(nullptr, l, &o), SERRY_EINVAL);
    EXPECT_EQ(serry_condition_create(&c, serry_lock{ 0 }, nullptr), SERRY_EHANDLE);
    EXPECT_EQ(serry_condition_create(&c, serry_lock{ l.id + 1 }, nullptr), SERRY_EHANDLE);
    o.name = longer.c_str();
    EXPECT_EQ(serry_condition_create(&c, l, &o), SERRY_EINVAL);
    o.name = "";
    EXPECT_EQ(serry_condition_create(&c, l, &o), SERRY_EINVAL);
    barrier();
    serry_condition a = make_condition(l, "named"), b = make_condition(l, "named");
    EXPECT_EQ(a.id, b.id);
    EXPECT_NE(make_condition(l).id, a.id);
    o.name = own_name("named");
    EXPECT_EQ(serry_condition_create(&c, other, &o), SERRY_EINVAL);
    EXPECT_EQ(c.id, 77u);
    EXPECT_EQ(serry_condition_create(&c, l, nullptr), SERRY_OK);
    barrier();
    if (serry_rank() == 0)
        EXPECT_EQ(serry_lock_destroy(other), SERRY_OK);
    barrier();
    EXPECT_EQ(serry_condition_create(&c, other, nullptr), SERRY_EHANDLE);
}

SERRY_RANKS_TEST(Condition, NeedsAWorld, .ranks({ 1 }).on(shm).without_init())
{
    serry_condition c = { 77 };
    EXPECT_EQ(serry_condition_create(&c, serry_lock{ 5 }, nullptr), SERRY_ESTATE);
    EXPECT_EQ(serry_condition_wait(c, 1), SERRY_ESTATE);
    EXPECT_EQ(serry_condition_wait_for(c, four, nullptr, 1), SERRY_ESTATE);
    EXPECT_EQ(serry_condition_notify(c, 1), SERRY_ESTATE);
    EXPECT_EQ(serry_condition_notify_all(c), SERRY_ESTATE);
    EXPECT_EQ(serry_condition_destroy(c), SERRY_ESTATE);
    ASSERT_EQ(serry_init(nullptr, nullptr), SERRY_OK);
    ASSERT_EQ(serry_finalize(), SERRY_OK);
    EXPECT_EQ(serry_condition_notify_all(c), SERRY_ESTATE);
}

} // namespace
