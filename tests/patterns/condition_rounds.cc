// ctest: condition timeout=120
/* Conditions at work: who is woken, and many rounds in which no notify is lost; their end; what
 * they say of themselves. */
#include "patterns/condition_test.h"

#include <random>
#include <thread>

using namespace serry_test;
using namespace condition_test;

namespace {

/* ---- who is woken ---- */

SERRY_RANKS_TEST(Condition, WakesInTheOrderOfComing, .ranks({ 1 }))
{
    clear_board();
    Job job = make_job(false);
    std::vector<serry_process> ps;
    for (int i = 0; i < 6; i++) {
        job.n = i;
        ps.push_back(start(waiter, job));
        await_waiting(job.c.id, i + 1);
    }
    for (int i = 0; i < 3; i++) {
        notify(job, 1);
        await_awake(i + 1);
    }
    notify_all(job);
    for (serry_process p : ps)
        join(p);
    for (int i = 0; i < 3; i++)
        EXPECT_EQ(board().order[i], i);
}

/* The one that is notified comes back only when the notifier lets go; a notify is not lost though
 * the time of the wait runs out meanwhile. */
SERRY_RANKS_TEST(Condition, PrefersANotifyThatCameFirst, .ranks({ 1 }).in_own_world())
{
    for (int i = 0; i < 10; i++) {
        clear_board();
        Job job = make_job(false, 0.2);
        serry_process p = start(waiter, job);
        await([&] { return waiting(job.c.id) == 1 || board().awake; });
        EXPECT_EQ(acquire(job.l), SERRY_OK);
        bool there = waiting(job.c.id) == 1;
        EXPECT_EQ(serry_condition_notify(job.c, 1), SERRY_OK);
        bool notified = contains(describe(job.c.id), "1 notified");
        EXPECT_TRUE(there || !notified);
        if (i == 0)
            take(0.3);
        EXPECT_TRUE(board().awake == 0 || !notified);
        EXPECT_EQ(release(job.l), SERRY_OK);
        join(p, notified ? SERRY_OK : SERRY_ETIMEDOUT);
    }
}

/* ---- many rounds ---- */

/* A buffer of one place, and as many that put as that take: a lost notify would stop them all. */
void put_and_take(const Job &job, int rounds, bool puts)
{
    for (int i = 0; i < rounds; i++) {
        ASSERT_EQ(acquire(job.l), SERRY_OK);
        while (board().count == (puts ? 1 : 0))
            ASSERT_EQ(serry_condition_wait(job.c, patience(30)), SERRY_OK) << serry_err_detail();
        board().count = puts ? 1 : 0;
        board().plain = board().plain + 1;
        ASSERT_EQ(i % 2 ? serry_condition_notify_all(job.c) : serry_condition_notify(job.c, 99),
                  SERRY_OK);
        ASSERT_EQ(release(job.l), SERRY_OK);
    }
}

SERRY_RANKS_TEST(Condition, LosesNoNotifyInAThousandRounds, .ranks({ 2, 4 }).timeout(60))
{
    Job job = {};
    job.l = make_lock("buffer");
    job.c = make_condition(job.l, "buffer");
    int n = 2000 / serry_size();
    put_and_take(job, n, serry_rank() % 2 == 0);
    barrier();
    EXPECT_EQ(board().plain, (long)n * serry_size());
    EXPECT_EQ(board().count, 0);
    EXPECT_EQ(waiting(job.c.id), 0);
    EXPECT_FALSE(contains(describe(job.c.id), "notified")) << describe(job.c.id);
}

SERRY_RANKS_TEST(Condition, LosesNoNotifyAmongThreads, .ranks({ 1, 2 }).timeout(60))
{
    Job job = {};
    job.l = make_lock("threads", true);
    job.c = make_condition(job.l, "threads");
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; i++)
        threads.emplace_back([=] { put_and_take(job, 150, i % 2); });
    for (std::thread &t : threads)
        t.join();
    barrier();
    EXPECT_EQ(board().plain, 600l * serry_size());
    EXPECT_EQ(waiting(job.c.id), 0);
}

/* Ranks take turns; each wakes exactly the next. */
SERRY_RANKS_TEST(Condition, HandsTheTurnRound, .ranks({ 2, 3, 7 }))
{
    Job job = {};
    job.l = make_lock("turn");
    job.c = make_condition(job.l, "turn");
    for (int i = 0; i < 100; i++) {
        ASSERT_EQ(acquire(job.l), SERRY_OK);
        while (board().count % serry_size() != serry_rank())
            ASSERT_EQ(serry_condition_wait(job.c, patience(20)), SERRY_OK) << serry_err_detail();
        board().count++;
        ASSERT_EQ(serry_condition_notify_all(job.c), SERRY_OK);
        ASSERT_EQ(release(job.l), SERRY_OK);
    }
    barrier();
    EXPECT_EQ(board().count, 100 * serry_size());
}

/* Waits of all lengths against notifies: each notify ends one wait, or finds nobody. */
SERRY_RANKS_TEST(Condition, CountsEachNotifyOnce, .ranks({ 3 }).timeout(60))
{
    Job job = {};
    job.l = make_lock("count");
    job.c = make_condition(job.l, "count");
    std::mt19937 dice((unsigned)serry_rank() + 3);
    for (int i = 0; i < 300; i++) {
        ASSERT_EQ(acquire(job.l), SERRY_OK);
        if (serry_rank() == 0) {
            int n = waiting(job.c.id);
            board().value[0] += n > 0;
            ASSERT_EQ(serry_condition_notify(job.c, 1), SERRY_OK);
        } else {
            serry_err e = serry_condition_wait(job.c, 0.0001 * (double)(dice() % 10));
            board().value[1] += e == SERRY_OK;
            EXPECT_TRUE(e == SERRY_OK || e == SERRY_ETIMEDOUT) << serry_err_name(e);
        }
        ASSERT_EQ(release(job.l), SERRY_OK);
    }
    barrier();
    /* One that was seen in line may have given up before the notify came. */
    EXPECT_LE(board().value[1], board().value[0]);
}

/* ---- ends ---- */

int waiter_of_what_ends(const void *arg, size_t)
{
    Job job = *(const Job *)arg;
    EXPECT_EQ(acquire(job.l), SERRY_OK);
    serry_err e = wait(job);
    EXPECT_EQ(release(job.l), job.n ? SERRY_OK : SERRY_EHANDLE);
    return (int)e;
}

SERRY_RANKS_TEST(Condition, EndsEveryWaitWhenItIsDestroyed, .ranks({ 1 }))
{
    for (int i = 0; i < 10; i++) {
        Job job = make_job(i % 2);
        job.n = 1; /* the lock is there, and held again */
        serry_process a = start(waiter_of_what_ends, job), b = start(waiter_of_what_ends, job);
        await_waiting(job.c.id, 2);
        if (i % 4 > 1)
            EXPECT_EQ(acquire(job.l), SERRY_OK);
        EXPECT_EQ(serry_condition_destroy(job.c), SERRY_OK);
        if (i % 4 > 1)
            EXPECT_EQ(release(job.l), SERRY_OK);
        join(a, SERRY_EHANDLE);
        join(b, SERRY_EHANDLE);
        EXPECT_EQ(acquire(job.l), SERRY_OK);
        EXPECT_EQ(wait(job), SERRY_EHANDLE);
        EXPECT_EQ(serry_condition_notify_all(job.c), SERRY_EHANDLE);
        EXPECT_EQ(serry_condition_destroy(job.c), SERRY_EHANDLE);
        EXPECT_EQ(release(job.l), SERRY_OK);
    }
}

SERRY_RANKS_TEST(Condition, EndsEveryWaitWhenItsLockIsDestroyed, .ranks({ 1 }))
{
    for (int i = 0; i < 10; i++) {
        Job job = make_job(i % 2);
        serry_process a = start(waiter_of_what_ends, job);
        job.timeout = patience(20);
        serry_process b = start(waiter_of_what_ends, job);
        await_waiting(job.c.id, 2);
        if (i % 4 > 1)
            EXPECT_EQ(acquire(job.l), SERRY_OK);
        EXPECT_EQ(serry_lock_destroy(job.l), SERRY_OK);
        join(a, SERRY_EHANDLE);
        join(b, SERRY_EHANDLE);
        EXPECT_EQ(wait(job), SERRY_EHANDLE);
        EXPECT_EQ(serry_condition_notify(job.c, 1), SERRY_EHANDLE);
        EXPECT_EQ(waiting(job.c.id), 0);
        EXPECT_EQ(serry_condition_destroy(job.c), SERRY_OK);
    }
}

/* ---- what it says of itself ---- */

SERRY_RANKS_TEST(Condition, SaysWhoWaits, .ranks({ 1 }).in_own_world())
{
    clear_board();
    Job job = {};
    job.l = make_lock();
    job.c = make_condition(job.l, "ready");
    job.timeout = SERRY_FOREVER;
    EXPECT_EQ(describe(job.c.id), "condition \"ready\": nobody waits");
    serry_process a = start(waiter, job);
    await_waiting(job.c.id, 1);
    std::string one = "condition \"ready\": rank " + std::to_string(rank_of(a)) + " waits, for ";
    EXPECT_EQ(describe(job.c.id).substr(0, one.size()), one);
    serry_process b = start(waiter, job);
    await_waiting(job.c.id, 2);
    std::string two = "condition \"ready\": ranks " + std::to_string(rank_of(a)) + " and "
                      + std::to_string(rank_of(b)) + " wait, for ";
    EXPECT_EQ(describe(job.c.id).substr(0, two.size()), two);
    notify_all(job);
    join(a);
    join(b);
}

} // namespace
