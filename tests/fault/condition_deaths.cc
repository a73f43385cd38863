// ctest: condition slow timeout=180
/* Waiters and notifiers that die: no notify is used up by the dead, none is lost. */
#include "base/point.h"
#include "fault/fault.h"
#include "patterns/lock_test.h"

#include <thread>

using namespace serry_test;
using namespace lock_test;

namespace {

struct Job {
    serry_lock l;
    serry_condition c;
    double timeout;
    int point, n;
};

Job make_job(bool recursive)
{
    Job job = {};
    job.l = make_lock(nullptr, recursive);
    EXPECT_EQ(serry_condition_create(&job.c, job.l, nullptr), SERRY_OK) << serry_err_detail();
    job.timeout = SERRY_FOREVER;
    return job;
}

void end_job(const Job &job)
{
    EXPECT_EQ(waiting(job.c.id), 0) << describe(job.c.id);
    EXPECT_FALSE(contains(describe(job.c.id), "notified")) << describe(job.c.id);
    EXPECT_EQ(serry_condition_destroy(job.c), SERRY_OK);
    EXPECT_EQ(acquire(job.l, patience(20)), SERRY_OK) << serry_err_detail();
    EXPECT_EQ(release(job.l), SERRY_OK);
    EXPECT_EQ(serry_lock_destroy(job.l), SERRY_OK);
}

void kill_now(serry_process p)
{
    EXPECT_EQ(serry_process_kill(p), SERRY_OK);
    EXPECT_EQ(end_of(p), -SIGKILL);
}

/* Its last holder may have died: which of the two is the result. */
serry_err take_over(const Job &job)
{
    serry_err e = acquire(job.l, patience(20));
    EXPECT_TRUE(e == SERRY_OK || e == SERRY_EOWNERDIED)
        << serry_err_name(e) << ": " << serry_err_detail();
    return e;
}

/* Waits once; the exit code says what the wait said. */
int waiter(const void *arg, size_t)
{
    Job job = *(const Job *)arg;
    take_over(job);
    sri_point_choose(job.point, 1);
    serry_err e = serry_condition_wait(job.c, job.timeout);
    board().awake++;
    EXPECT_EQ(release(job.l), SERRY_OK) << serry_err_detail();
    return (int)e;
}

int notifier(const void *arg, size_t)
{
    Job job = *(const Job *)arg;
    take_over(job);
    sri_point_choose(job.point, 1);
    EXPECT_EQ(serry_condition_notify(job.c, job.n), SERRY_OK);
    if (job.point < 0)
        raise(SIGKILL);
    EXPECT_EQ(release(job.l), SERRY_OK);
    return 0;
}

void notify(const Job &job, int n = 1)
{
    take_over(job);
    EXPECT_EQ(serry_condition_notify(job.c, n), SERRY_OK);
    EXPECT_EQ(release(job.l), SERRY_OK);
}

/* ---- one that waits ---- */

SERRY_RANKS_TEST(ConditionDeaths, OfAWaiterUseUpNoNotify, .ranks({ 1 }))
{
    for (int i = 0; i < 10; i++) {
        Job job = make_job(i % 2);
        serry_process dies = start(waiter, job);
        await_waiting(job.c.id, 1);
        serry_process lives = start(waiter, job);
        await_waiting(job.c.id, 2);
        kill_now(dies);
        if (i % 4 > 1)
            await_waiting(job.c.id, 1);
        notify(job);
        join(lives, SERRY_OK);
        end_job(job);
    }
}

/* It has been notified, and waits for the lock that the notifier still holds. */
SERRY_RANKS_TEST(ConditionDeaths, OfOneThatWasNotifiedPassTheNotifyOn, .ranks({ 1 }))
{
    for (int i = 0; i < 20; i++) {
        clear_board();
        Job job = make_job(i % 2);
        serry_process dies = start(waiter, job);
        await_waiting(job.c.id, 1);
        serry_process lives = start(waiter, job);
        await_waiting(job.c.id, 2);
        EXPECT_EQ(acquire(job.l), SERRY_OK);
        EXPECT_EQ(serry_condition_notify(job.c, 1), SERRY_OK);
        if (i % 4 > 1)
            await_waiting(job.l.id, 1);
        kill_now(dies);
        EXPECT_EQ(board().awake, 0);
        EXPECT_EQ(release(job.l), SERRY_OK);
        join(lives, SERRY_OK);
        end_job(job);
    }
}

/* Two notifies, two dead: both go to those behind them. */
SERRY_RANKS_TEST(ConditionDeaths, PassOnAsManyNotifiesAsThereWere, .ranks({ 1 }))
{
    Job job = make_job(false);
    serry_process ps[5];
    for (int i = 0; i < 5; i++) {
        ps[i] = start(waiter, job);
        await_waiting(job.c.id, i + 1);
    }
    EXPECT_EQ(acquire(job.l), SERRY_OK);
    EXPECT_EQ(serry_condition_notify(job.c, 2), SERRY_OK);
    kill_now(ps[0]);
    kill_now(ps[1]);
    await_waiting(job.c.id, 1);
    EXPECT_EQ(release(job.l), SERRY_OK);
    join(ps[2], SERRY_OK);
    join(ps[3], SERRY_OK);
    EXPECT_EQ(waiting(job.c.id), 1);
    notify(job);
    join(ps[4], SERRY_OK);
    end_job(job);
}

/* At each step of a wait. Behind it waits another one, and there is one notify. */
void waiter_dies_at(int point, bool recursive)
{
    SCOPED_TRACE(point);
    clear_board();
    Job job = make_job(recursive), well = job;
    job.point = point;
    bool before = point <= 72; /* it dies by itself, else when it is notified */
    serry_process dies = start(waiter, job);
    if (before)
        EXPECT_EQ(end_of(dies), -SIGKILL);
    else
        await_waiting(job.c.id, 1);
    serry_process lives = start(waiter, well);
    await_waiting(job.c.id, before ? 1 : 2);
    notify(job);
    if (!before)
        EXPECT_EQ(end_of(dies), -SIGKILL);
    if (point == 75) { /* its wait was over */
        EXPECT_EQ(take_over(job), SERRY_EOWNERDIED);
        EXPECT_EQ(board().awake, 0);
        EXPECT_EQ(waiting(job.c.id), 1);
        EXPECT_EQ(serry_condition_notify(job.c, 1), SERRY_OK);
        EXPECT_EQ(release(job.l), SERRY_OK);
    }
    join(lives, point == 74 ? SERRY_EOWNERDIED : SERRY_OK);
    end_job(job);
}

SERRY_RANKS_TEST(ConditionDeaths, MayComeAtAnyStepOfAWait, .ranks({ 1 }))
{
    for (int point = 70; point <= 75; point++) {
        for (bool recursive : { false, true })
            waiter_dies_at(point, recursive);
    }
}

/* And at any step of what a wait is made of: the lock's, and those of lanes. */
SERRY_RANKS_TEST(ConditionDeaths, MayComeAtAnyStepBelow, .ranks({ 1 }).timeout(100))
{
    bool sockets = getenv("SERRY_LANES") && strcmp(getenv("SERRY_LANES"), "socket") == 0;
    for (int point = sockets ? 30 : 1; point <= 39; point++) {
        SCOPED_TRACE(point);
        clear_board();
        Job job = make_job(point % 2), well = job;
        job.point = point;
        serry_process lives = start(waiter, well);
        await_waiting(job.c.id, 1);
        serry_process dies = start(waiter, job);
        int code = -1000;
        EXPECT_TRUE(await([&] {
            return waiting(job.c.id) == 2
                   || serry_process_join(dies, &code, SERRY_NOWAIT) == SERRY_OK;
        }));
        /* Whoever is there is woken, and whoever has died has used up nothing. */
        notify(job, 2);
        code = end_of(dies);
        EXPECT_TRUE(code == -SIGKILL || code == SERRY_OK || code == SERRY_EOWNERDIED) << code;
        code = end_of(lives);
        EXPECT_TRUE(code == SERRY_OK || code == SERRY_EOWNERDIED) << code;
        take_over(job);
        EXPECT_EQ(release(job.l), SERRY_OK);
        end_job(job);
    }
}

/* ---- one that notifies ---- */

SERRY_RANKS_TEST(ConditionDeaths, OfANotifierLeaveNobodyBehind, .ranks({ 1 }))
{
    for (int point : { 76, 77, -1 }) {
        SCOPED_TRACE(point);
        clear_board();
        Job job = make_job(point == 77), well = job;
        serry_process lives = start(waiter, well);
        await_waiting(job.c.id, 1);
        job.point = point;
        job.n = 1;
        EXPECT_EQ(end_of(start(notifier, job)), -SIGKILL);
        if (point == 76) { /* it had not yet notified */
            EXPECT_EQ(take_over(job), SERRY_EOWNERDIED);
            EXPECT_EQ(waiting(job.c.id), 1);
            EXPECT_EQ(serry_condition_notify(job.c, 1), SERRY_OK);
            EXPECT_EQ(release(job.l), SERRY_OK);
            join(lives, SERRY_OK);
        } else {
            join(lives, SERRY_EOWNERDIED); /* it woke, and has the lock of the dead */
        }
        end_job(job);
    }
}

bool never(void *)
{
    return false;
}

int waiter_for_ever(const void *arg, size_t)
{
    Job job = *(const Job *)arg;
    take_over(job);
    serry_err e = serry_condition_wait_for(job.c, never, nullptr, SERRY_FOREVER);
    EXPECT_EQ(release(job.l), SERRY_OK);
    return (int)e;
}

SERRY_RANKS_TEST(ConditionDeaths, EndTheWaitForAPredicate, .ranks({ 1 }))
{
    Job job = make_job(true);
    serry_process waits = start(waiter_for_ever, job);
    await_waiting(job.c.id, 1);
    notify(job); /* wakes it, for nothing */
    await_waiting(job.c.id, 1);
    job.point = -1;
    job.n = 1;
    EXPECT_EQ(end_of(start(notifier, job)), -SIGKILL);
    join(waits, SERRY_EOWNERDIED);
    end_job(job);
}

/* In line for the lock when the other one begins to wait, and there until that one is in line. */
int hold_and_die(const void *arg, size_t)
{
    Job job = *(const Job *)arg;
    take_over(job);
    await_waiting(job.l.id, 1);
    raise(SIGKILL);
    return 0;
}

int wait_before_others(const void *arg, size_t)
{
    Job job = *(const Job *)arg;
    take_over(job);
    board().stage = 1;
    await_waiting(job.l.id, 1);
    serry_err e = serry_condition_wait(job.c, 0.05);
    EXPECT_EQ(release(job.l), SERRY_OK) << serry_err_detail();
    return (int)e;
}

/* Its time was over when the lock was still held, by one that then died. */
SERRY_RANKS_TEST(ConditionDeaths, AreToldInPlaceOfATimeout, .ranks({ 1 }))
{
    clear_board();
    Job job = make_job(false);
    serry_process waits = start(wait_before_others, job);
    await_stage(1);
    serry_process holds = start(hold_and_die, job);
    EXPECT_EQ(end_of(holds), -SIGKILL);
    join(waits, SERRY_EOWNERDIED);
    end_job(job);
}

/* ---- at any time ---- */

/* Takes one token. Whoever finds that a holder died calls all others to look. */
int taker(const void *arg, size_t)
{
    Job job = *(const Job *)arg;
    auto look = [&](serry_err e) {
        EXPECT_TRUE(e == SERRY_OK || e == SERRY_EOWNERDIED) << serry_err_name(e);
        if (e == SERRY_EOWNERDIED)
            EXPECT_EQ(serry_condition_notify_all(job.c), SERRY_OK);
    };
    look(acquire(job.l));
    while (board().count == 0)
        look(serry_condition_wait(job.c, SERRY_FOREVER));
    board().count--;
    EXPECT_EQ(release(job.l), SERRY_OK);
    return 0;
}

/* Three wait, two tokens come, with a notify each, and one is killed: both tokens are taken. */
SERRY_RANKS_TEST(ConditionDeaths, LoseNoNotifyWheneverTheyCome, .ranks({ 1 }).timeout(100))
{
    for (int i = 0; i < rounds(120); i++) {
        clear_board();
        Job job = make_job(i % 2);
        serry_process ps[3];
        for (int k = 0; k < 3; k++) {
            ps[k] = start(taker, job);
            await_waiting(job.c.id, k + 1);
        }
        std::thread kills([&] {
            nap(0, 0.0004);
            SERRY_IGNORE(serry_process_kill(ps[i % 3])); /* if it has not come to its end */
        });
        for (int k = 0; k < 2; k++) {
            serry_err e = take_over(job);
            board().count++;
            EXPECT_EQ(e == SERRY_OK ? serry_condition_notify(job.c, 1)
                                    : serry_condition_notify_all(job.c),
                      SERRY_OK);
            EXPECT_EQ(release(job.l), SERRY_OK);
        }
        kills.join();
        /* Dead or alive, it is settled what became of that one. */
        await([&] { return !serry_process_is_alive(ps[i % 3]) || board().count == 0; });
        if (take_over(job) == SERRY_EOWNERDIED)
            EXPECT_EQ(serry_condition_notify_all(job.c), SERRY_OK);
        EXPECT_EQ(release(job.l), SERRY_OK);
        ASSERT_TRUE(await([&] { return board().count == 0; }))
            << describe(job.c.id) << ", " << describe(job.l.id) << ", round " << i;
        take_over(job); /* those who were not needed go home */
        board().count = 3;
        EXPECT_EQ(serry_condition_notify_all(job.c), SERRY_OK);
        EXPECT_EQ(release(job.l), SERRY_OK);
        for (serry_process p : ps) {
            int code = end_of(p);
            EXPECT_TRUE(code == 0 || code == -SIGKILL) << code;
        }
        take_over(job);
        EXPECT_EQ(release(job.l), SERRY_OK);
        end_job(job);
    }
}

} // namespace
