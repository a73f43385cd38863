// ctest: lock slow timeout=180
/* Holders and waiters that die: the lock goes on to the next, who is told, once. */
#include "base/point.h"
#include "fault/fault.h"
#include "patterns/lock_test.h"

#include <thread>

using namespace serry_test;
using namespace lock_test;

namespace {

struct Job {
    serry_lock l;
    int point, count; /* where it dies, and the how manyeth time */
    int n;
};

/* Free, or with something to tell: which of the two is the result. */
serry_err take_over(serry_lock l)
{
    serry_err e = acquire(l, patience(20));
    EXPECT_TRUE(e == SERRY_OK || e == SERRY_EOWNERDIED)
        << serry_err_name(e) << ": " << serry_err_detail();
    return e;
}

/* Free, and with nothing to tell. */
void expect_fresh(serry_lock l)
{
    EXPECT_EQ(acquire(l, patience(20)), SERRY_OK) << serry_err_detail();
    EXPECT_EQ(release(l), SERRY_OK) << serry_err_detail();
}

/* ---- ways to end ---- */

enum { KILLED, RETURNS, EXITS, ABORTS };

int hold_and_end(const void *arg, size_t)
{
    Job job = *(const Job *)arg;
    EXPECT_EQ(acquire(job.l), SERRY_OK) << serry_err_detail();
    SERRY_IGNORE(acquire(job.l, SERRY_NOWAIT)); /* deeper, if it is recursive */
    board().stage = 1;
    await_stage(2);
    if (job.n == KILLED)
        raise(SIGKILL);
    if (job.n == EXITS)
        _exit(3);
    if (job.n == ABORTS) {
        signal(SIGABRT, SIG_DFL);
        abort();
    }
    return 0;
}

int wait_for_it(const void *arg, size_t)
{
    Job job = *(const Job *)arg;
    serry_err e = acquire(job.l, patience(20));
    my_turn(job.n);
    EXPECT_EQ(release(job.l), SERRY_OK) << serry_err_detail();
    return (int)e;
}

void holder_ends(int how, bool recursive)
{
    SCOPED_TRACE(how);
    clear_board();
    serry_lock l = make_lock(nullptr, recursive);
    serry_process holder = start(hold_and_end, Job{ l, 0, 0, how });
    int rank = rank_of(holder);
    await_stage(1);
    EXPECT_EQ(acquire(l, SERRY_NOWAIT), SERRY_ETIMEDOUT);
    board().stage = 2;
    end_of(holder);
    EXPECT_EQ(acquire(l, patience(20)), SERRY_EOWNERDIED) << "nobody was waiting";
    EXPECT_TRUE(contains(serry_err_detail(), "rank " + std::to_string(rank) + " "))
        << serry_err_detail();
    EXPECT_EQ(release(l), SERRY_OK) << "held, and only once deep";
    EXPECT_EQ(release(l), SERRY_EPERM);
    expect_fresh(l);
}

void holder_ends_before_others(int how, bool recursive)
{
    SCOPED_TRACE(how);
    clear_board();
    serry_lock l = make_lock(nullptr, recursive);
    serry_process holder = start(hold_and_end, Job{ l, 0, 0, how });
    await_stage(1);
    serry_process first = start(wait_for_it, Job{ l, 0, 0, 1 });
    await_waiting(l.id, 1);
    serry_process second = start(wait_for_it, Job{ l, 0, 0, 2 });
    await_waiting(l.id, 2);
    board().stage = 2;
    end_of(holder);
    join(first, SERRY_EOWNERDIED);
    join(second, SERRY_OK);
    EXPECT_EQ(board().order[0], 1);
    expect_fresh(l);
}

SERRY_RANKS_TEST(LockDeaths, TellTheNextHolderOnce, .ranks({ 1 }))
{
    for (int how : { KILLED, RETURNS, EXITS, ABORTS }) {
        for (bool recursive : { false, true }) {
            holder_ends(how, recursive);
            holder_ends_before_others(how, recursive);
        }
    }
}

/* Within a bound: the wait of who is parked, from the kill on. */
SERRY_RANKS_TEST(LockDeaths, AreToldSoon, .ranks({ 1 }))
{
    std::vector<double> took;
    for (int i = 0; i < 11; i++) {
        clear_board();
        serry_lock l = make_lock();
        serry_process holder = start(hold_and_end, Job{ l, 0, 0, KILLED });
        await_stage(1);
        double begin = 0;
        std::thread kill([&] {
            await_waiting(l.id, 1);
            begin = serry_time();
            EXPECT_EQ(serry_process_kill(holder), SERRY_OK);
        });
        EXPECT_EQ(acquire(l, patience(20)), SERRY_EOWNERDIED);
        double end = serry_time();
        kill.join();
        took.push_back(end - begin);
        EXPECT_EQ(end_of(holder), -SIGKILL);
    }
    EXPECT_LT(*std::min_element(took.begin(), took.end()), patience(0.05));
    EXPECT_LT(median(took), patience(1)); /* of a machine that has other things to do */
}

/* ---- a launched rank that is in finalize has ended, for all who wait ---- */

SERRY_RANKS_TEST(LockDeaths, IncludeAHolderThatFinalizes, .ranks({ 2, 3 }))
{
    serry_lock l = make_lock("finalized", true);
    int last = serry_size() - 1;
    if (serry_rank() == last) {
        EXPECT_EQ(acquire(l), SERRY_OK);
        EXPECT_EQ(acquire(l), SERRY_OK);
    }
    barrier();
    if (serry_rank() != 0)
        return;
    EXPECT_EQ(acquire(l, patience(20)), SERRY_EOWNERDIED);
    EXPECT_EQ(release(l), SERRY_OK);
    EXPECT_EQ(release(l), SERRY_EPERM);
    expect_fresh(l);
}

int in_a_task(serry_task *t, const void *in, size_t)
{
    serry_lock l = *(const serry_lock *)in;
    serry_err e = acquire(l, patience(20));
    if (e != SERRY_OK && e != SERRY_EOWNERDIED)
        return serry_task_fail(t, "acquire: %s, %s", serry_err_name(e), serry_err_detail());
    int rank = serry_rank();
    if (release(l) != SERRY_OK)
        return serry_task_fail(t, "release: %s", serry_err_detail());
    return serry_task_return(t, &rank, sizeof rank);
}

/* It has lost what it held, and may have it again: it serves a pool. */
SERRY_RANKS_TEST(LockDeaths, IncludeOneThatServesInFinalize, .ranks({ 2 }))
{
    serry_lock l = make_lock("served");
    if (serry_rank() == 1) {
        EXPECT_EQ(acquire(l), SERRY_OK);
        barrier();
        return;
    }
    barrier();
    serry_pool *pool = nullptr;
    ASSERT_EQ(serry_pool_create(&pool, nullptr), SERRY_OK) << serry_err_detail();
    int rank = -1;
    auto served = [&] { /* as long as nobody serves it, this rank runs the task */
                        EXPECT_EQ(serry_pool_apply(pool, in_a_task, &l, sizeof l, &rank,
                                                   sizeof rank, nullptr, patience(20)),
                                  SERRY_OK)
                            << serry_err_detail();
                        return rank == 1;
    };
    for (int i = 0; i < 5; i++)
        EXPECT_TRUE(await(served));
    serry_pool_destroy(pool);
    expect_fresh(l);
}

/* ---- threads ---- */

/* A thread that ends holds nothing any more; its process lives on. */
SERRY_RANKS_TEST(LockDeaths, IncludeThreads, .ranks({ 1 }))
{
    for (bool recursive : { false, true }) {
        serry_lock l = make_lock(nullptr, recursive);
        std::thread([&] { EXPECT_EQ(acquire(l), SERRY_OK); }).join();
        EXPECT_EQ(acquire(l, patience(20)), SERRY_EOWNERDIED);
        EXPECT_EQ(release(l), SERRY_OK);
        EXPECT_EQ(release(l), SERRY_EPERM);
        expect_fresh(l);

        clear_board();
        std::thread holder([&] {
            EXPECT_EQ(acquire(l), SERRY_OK);
            EXPECT_EQ(acquire(l, SERRY_NOWAIT), recursive ? SERRY_OK : SERRY_ETIMEDOUT);
            board().stage = 1;
            await_waiting(l.id, 1);
        });
        await_stage(1);
        join(start(wait_for_it, Job{ l, 0, 0, 0 }), SERRY_EOWNERDIED);
        holder.join();
        expect_fresh(l);
    }
}

int leaves_threads(const void *arg, size_t)
{
    Job job = *(const Job *)arg;
    for (int i = 0; i < 2; i++)
        std::thread([=] {
            for (;;) {
                serry_err e = acquire(job.l);
                if (e != SERRY_OK && e != SERRY_EOWNERDIED)
                    return;
                board().count++;
                SERRY_IGNORE(release(job.l));
            }
        }).detach();
    await([] { return board().count > 100; });
    return 0;
}

/* Its threads may be anywhere when it ends, and go on while it does. */
SERRY_RANKS_TEST(LockDeaths, IncludeAProcessWhoseThreadsGoOn, .ranks({ 1 }))
{
    for (int i = 0; i < 40; i++) {
        clear_board();
        serry_lock l = make_lock();
        end_of(start(leaves_threads, Job{ l, 0, 0, 0 }));
        take_over(l);
        EXPECT_EQ(release(l), SERRY_OK);
        expect_fresh(l);
    }
}

/* ---- those that wait ---- */

SERRY_RANKS_TEST(LockDeaths, OfAWaiterAreForgotten, .ranks({ 1 }))
{
    for (int i = 0; i < 20; i++) {
        clear_board();
        serry_lock l = make_lock();
        EXPECT_EQ(acquire(l), SERRY_OK);
        serry_process dies = start(wait_for_it, Job{ l, 0, 0, 1 });
        await_waiting(l.id, 1);
        serry_process lives = start(wait_for_it, Job{ l, 0, 0, 2 });
        await_waiting(l.id, 2);
        EXPECT_EQ(serry_process_kill(dies), SERRY_OK);
        EXPECT_EQ(end_of(dies), -SIGKILL);
        EXPECT_EQ(release(l), SERRY_OK);
        join(lives, SERRY_OK);
        expect_fresh(l);
    }
}

/* Killed while it is being granted the lock: then it dies as a holder, or as a waiter. */
SERRY_RANKS_TEST(LockDeaths, OfAWaiterThatIsServedStopNobody, .ranks({ 1 }).timeout(60))
{
    int as_holder = 0;
    for (int i = 0; i < rounds(150); i++) {
        clear_board();
        serry_lock l = make_lock();
        EXPECT_EQ(acquire(l), SERRY_OK);
        serry_process dies = start(wait_for_it, Job{ l, 0, 0, 1 });
        await_waiting(l.id, 1);
        serry_process lives = start(wait_for_it, Job{ l, 0, 0, 2 });
        await_waiting(l.id, 2);
        if (i % 2)
            EXPECT_EQ(serry_process_kill(dies), SERRY_OK);
        EXPECT_EQ(release(l), SERRY_OK);
        if (i % 2 == 0) {
            if (i % 4)
                nap(0, 0.0001);
            SERRY_IGNORE(serry_process_kill(dies)); /* if it has not come to its end by itself */
        }
        int code = end_of(dies);
        EXPECT_TRUE(code == -SIGKILL || code == 0) << code;
        int e = end_of(lives);
        EXPECT_TRUE(e == SERRY_OK || e == SERRY_EOWNERDIED) << e;
        as_holder += e == SERRY_EOWNERDIED;
        expect_fresh(l);
    }
    note("died as holder: " + std::to_string(as_holder));
}

/* ---- between any two steps ---- */

/* Takes the lock again and again, now and then while others wait; says what it is about to do. */
int steps(const void *arg, size_t)
{
    Job job = *(const Job *)arg;
    sri_point_choose(job.point, (unsigned)job.count);
    for (int i = 0; i < job.n; i++) {
        serry_err e = acquire(job.l, patience(20));
        if (e != SERRY_OK && e != SERRY_EOWNERDIED)
            return 1;
        board().inside = 1;
        if (i % 4 == 3) /* until somebody waits: the rest is messages */
            wait_for([&] { return waiting(job.l.id) > 0; }, 20);
        board().inside = 0;
        if (release(job.l) != SERRY_OK)
            return 2;
    }
    return 0;
}

/* The other one; it must never be kept out, nor find the first one inside. */
int dies_at(int point, int count)
{
    clear_board();
    serry_lock l = make_lock(nullptr, point % 2);
    serry_process p = start(steps, Job{ l, point, count, 12 });
    int code = -1000, told = 0;
    auto ended = [&] { return serry_process_join(p, &code, SERRY_NOWAIT) == SERRY_OK; };
    while (!ended()) {
        serry_err e = acquire(l, 0.05);
        if (e == SERRY_ETIMEDOUT)
            continue;
        bool died = e == SERRY_EOWNERDIED;
        EXPECT_TRUE(e == SERRY_OK || died) << serry_err_name(e);
        told += died;
        EXPECT_TRUE(board().inside == 0 || died) << "at point " << point << ":" << count;
        if (died)
            board().inside = 0;
        EXPECT_TRUE(wait_for([&] { return waiting(l.id) > 0 || ended(); }, 20));
        EXPECT_EQ(release(l), SERRY_OK);
    }
    bool died = take_over(l) == SERRY_EOWNERDIED;
    told += died;
    EXPECT_TRUE(board().inside == 0 || died) << "at point " << point << ":" << count;
    EXPECT_EQ(release(l), SERRY_OK);
    EXPECT_LE(told, code == -SIGKILL ? 1 : 0) << "at point " << point << ":" << count;
    expect_fresh(l);
    EXPECT_EQ(serry_lock_destroy(l), SERRY_OK);
    return code;
}

void sweep(int first, int last)
{
    for (int point = first; point <= last; point++) {
        for (int count : { 1, 2, 5 }) {
            int code = dies_at(point, count);
            EXPECT_TRUE(code == 0 || code == -SIGKILL) << "at point " << point << ":" << count;
        }
    }
}

/* The lock's own points, and, where there are any, those of lanes. */
SERRY_RANKS_TEST(LockDeaths, MayComeBetweenAnyTwoSteps, .ranks({ 1 }).timeout(100))
{
    bool sockets = getenv("SERRY_LANES") && strcmp(getenv("SERRY_LANES"), "socket") == 0;
    for (int point : { 34, 35, 38, 39 })
        EXPECT_EQ(dies_at(point, 1), -SIGKILL) << "at point " << point;
    for (int point : { 30, 31, 36, 37 })
        EXPECT_EQ(dies_at(point, 1), sockets ? 0 : -SIGKILL) << "at point " << point;
    sweep(30, 39);
    if (!sockets)
        sweep(1, 14);
}

/* What is right, step by step, where nobody else is about. */
int alone(const void *arg, size_t)
{
    Job job = *(const Job *)arg;
    sri_point_choose(job.point, (unsigned)job.count);
    for (int i = 0; i < 3; i++) {
        serry_err e = acquire(job.l, patience(20));
        if ((e != SERRY_OK && e != SERRY_EOWNERDIED) || release(job.l) != SERRY_OK)
            return 1;
    }
    return 0;
}

serry_err after_dying_alone(int point, int count, bool died_before)
{
    clear_board();
    serry_lock l = make_lock();
    if (died_before) {
        serry_process holder = start(hold_and_end, Job{ l, 0, 0, KILLED });
        await_stage(1);
        board().stage = 2;
        EXPECT_EQ(end_of(holder), -SIGKILL);
    }
    EXPECT_EQ(end_of(start(alone, Job{ l, point, count, 0 })), -SIGKILL) << "at point " << point;
    serry_err e = take_over(l);
    EXPECT_EQ(release(l), SERRY_OK);
    expect_fresh(l);
    return e;
}

SERRY_RANKS_TEST(LockDeaths, AreThoseOfAHolderFromTheStepOn, .ranks({ 1 }).on(shm))
{
    /* The first acquire asks the home where the word is, and then takes it in the same way. */
    EXPECT_EQ(after_dying_alone(30, 2, false), SERRY_OK);
    EXPECT_EQ(after_dying_alone(31, 2, false), SERRY_EOWNERDIED);
    EXPECT_EQ(after_dying_alone(36, 2, false), SERRY_EOWNERDIED);
    EXPECT_EQ(after_dying_alone(37, 2, false), SERRY_OK);
    EXPECT_EQ(after_dying_alone(32, 1, true), SERRY_EOWNERDIED) << "still to be told";
    EXPECT_EQ(after_dying_alone(33, 1, true), SERRY_EOWNERDIED) << "of the second death";
}

SERRY_RANKS_TEST(LockDeaths, AreThoseOfAHolderFromTheAnswerOn, .ranks({ 1 }).on(socket))
{
    EXPECT_EQ(after_dying_alone(34, 2, false), SERRY_OK);
    EXPECT_EQ(after_dying_alone(35, 2, false), SERRY_EOWNERDIED);
    EXPECT_EQ(after_dying_alone(38, 2, false), SERRY_EOWNERDIED);
    EXPECT_EQ(after_dying_alone(39, 2, false), SERRY_OK);
}

/* ---- at any time: the history of the critical section ---- */

enum { ALIVE = 1, DOOMED }; /* board().value of each number */

/* Each is a number of its own in board().inside as long as it is in. */
int in_and_out(const void *arg, size_t)
{
    Job job = *(const Job *)arg;
    Board &b = board();
    unsigned dice = (unsigned)job.n * 2654435761u;
    while (!b.stop) {
        dice = dice * 1664525u + 1013904223u;
        serry_err e = acquire(job.l, dice % 5 == 0 ? 0.0002 : SERRY_FOREVER);
        if (e == SERRY_ETIMEDOUT)
            continue;
        if (e != SERRY_OK && e != SERRY_EOWNERDIED)
            return 1;
        int before = b.inside.exchange(job.n);
        if (before != 0 && (e != SERRY_EOWNERDIED || b.value[before] != DOOMED))
            b.overlaps++; /* it is there alive, or its death was not told */
        b.told += e == SERRY_EOWNERDIED;
        b.entered++;
        long seen = b.plain;
        if (dice >> 8 & 31)
            sched_yield();
        else
            take(0.0003);
        if (b.plain != seen || b.inside != job.n)
            b.overlaps++;
        b.plain = seen + 1;
        b.inside = 0;
        if (release(job.l) != SERRY_OK)
            return 2;
    }
    return 0;
}

SERRY_RANKS_TEST(LockDeaths, NeverLetTwoInAtOnce, .ranks({ 1 }).timeout(100))
{
    Board &b = board();
    clear_board();
    serry_lock l = make_lock("history");
    const int n = 4, kills = rounds(100);
    serry_process ps[n];
    int numbers[n], number = 0;
    auto begin = [&](int i) {
        numbers[i] = ++number % 250 + 1;
        b.value[numbers[i]] = ALIVE;
        ps[i] = start(in_and_out, Job{ l, 0, 0, numbers[i] });
    };
    for (int i = 0; i < n; i++)
        begin(i);
    for (int i = 0; i < kills; i++) {
        long before = b.entered;
        ASSERT_TRUE(await([&] { return b.entered > before + 3; })) << describe(l.id);
        nap(0, 0.002);
        b.value[numbers[i % n]] = DOOMED;
        EXPECT_EQ(serry_process_kill(ps[i % n]), SERRY_OK);
        EXPECT_EQ(end_of(ps[i % n]), -SIGKILL);
        begin(i % n);
    }
    b.stop = 1;
    for (serry_process p : ps)
        EXPECT_EQ(end_of(p), 0);
    EXPECT_EQ(b.overlaps, 0);
    EXPECT_LE(b.told, kills);
    EXPECT_GT(b.told, 0);
    take_over(l);
    EXPECT_EQ(release(l), SERRY_OK);
    expect_fresh(l);
    EXPECT_TRUE(contains(describe(l.id), ": free")) << describe(l.id);
}

} // namespace
