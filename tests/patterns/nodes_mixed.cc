// ctest: slow timeout=300
/* Near and far members at the same objects: on several nodes some step on what they share with the
 * home, the others ask for each step, and all of them must find the same truth, also when some are
 * killed at arbitrary places. Each test goes through homes on all nodes. */
#include "patterns/nodes_mixed_test.h"

#include <algorithm>

using namespace nodes_mixed_test;

namespace {

/* ---- lock ---- */

SERRY_RANKS_TEST(NodesMixed, ALockHasOneHolder, .ranks({ 4 }))
{
    for_each_home([](int node) {
        serry_lock l = make_lock(node);
        serry_value v = make_value(serry_nodes() - 1 - node);
        int n = rounds(300);
        for (int i = 0; i < n; i++) {
            int64_t was = 0;
            CHECKED(serry_lock_acquire(l, patience(20)));
            EXPECT_EQ(board().inside.exchange(serry_rank() + 1), 0);
            board().plain = board().plain + 1;
            if (i % 8 == 0) {
                CHECKED(serry_value_get(v, &was));
                was++;
                CHECKED(serry_value_set(v, &was));
            }
            board().inside = 0;
            CHECKED(serry_lock_release(l));
        }
        all_here();
        int64_t in_all = 0;
        EXPECT_EQ(board().plain, (long)n * serry_size());
        CHECKED(serry_value_get(v, &in_all));
        EXPECT_EQ(in_all, (int64_t)((n + 7) / 8) * serry_size());
        for (int r = 0; r < serry_size(); r++) {
            if (serry_rank() == r) {
                CHECKED(serry_lock_acquire(l, SERRY_NOWAIT));
                CHECKED(serry_lock_release(l));
            }
            all_here();
        }
    });
}

SERRY_RANKS_TEST(NodesMixed, AHeldLockIsRefusedInTime, .ranks({ 4 }))
{
    for_each_home([](int node) {
        serry_lock l = make_lock(node);
        for (int holder = 0; holder < serry_size(); holder++) {
            if (serry_rank() == holder)
                CHECKED(serry_lock_acquire(l, SERRY_FOREVER));
            all_here();
            if (serry_rank() != holder) {
                EXPECT_EQ(serry_lock_acquire(l, SERRY_NOWAIT), SERRY_ETIMEDOUT);
                EXPECT_EQ(serry_lock_acquire(l, 0.02), SERRY_ETIMEDOUT);
                EXPECT_EQ(serry_lock_release(l), SERRY_EPERM);
            }
            all_here();
            if (serry_rank() == holder)
                CHECKED(serry_lock_release(l));
            all_here();
        }
    });
}

struct Hammer {
    serry_lock l;
    serry_semaphore s;
    int me;
};

/* Until it is killed. */
int hammers_a_lock(const void *arg, size_t)
{
    Hammer job = *(const Hammer *)arg;
    for (;;) {
        serry_err e = serry_lock_acquire(job.l, SERRY_FOREVER);
        if (e != SERRY_OK && e != SERRY_EOWNERDIED)
            return 1;
        int was = board().inside.exchange(job.me);
        if (was != 0 && e == SERRY_OK)
            board().most++; /* the other one lives, or nobody was told of his death */
        if (e == SERRY_EOWNERDIED)
            board().told++;
        board().plain = board().plain + 1;
        board().inside = 0;
        if (serry_lock_release(job.l) != SERRY_OK)
            return 2;
        board().entered++;
    }
}

SERRY_RANKS_TEST(NodesMixed, ALockOutlivesHoldersThatAreKilled, .ranks({ 4 }).timeout(120))
{
    for_each_home([](int node) {
        serry_lock l = make_lock(node);
        for (int i = 0; i < rounds(10); i++) {
            serry_process p = start(hammers_a_lock, Hammer{ l, {}, serry_rank() + 1 });
            nap(0.0, 0.02);
            end(p);
        }
        all_here();
        EXPECT_EQ(board().most, 0) << "two had the lock at once";
        serry_err e = serry_lock_acquire(l, patience(20));
        EXPECT_TRUE(e == SERRY_OK || e == SERRY_EOWNERDIED) << serry_err_detail();
        CHECKED(serry_lock_release(l));
    });
}

/* ---- semaphore ---- */

SERRY_RANKS_TEST(NodesMixed, PermitsAreNeverExceeded, .ranks({ 4 }))
{
    for_each_home([](int node) {
        serry_semaphore s = make_semaphore(node, 2);
        for (int i = 0; i < rounds(300); i++) {
            CHECKED(serry_semaphore_acquire(s, patience(20)));
            int in = ++board().inside;
            EXPECT_LE(in, 2);
            --board().inside;
            CHECKED(serry_semaphore_release(s));
        }
        all_here();
        int value = -1;
        CHECKED(serry_semaphore_value(s, &value));
        EXPECT_EQ(value, 2);
        all_here();
        /* Exactly two of four get one without waiting. */
        serry_err e = serry_semaphore_acquire(s, SERRY_NOWAIT);
        if (e == SERRY_OK)
            board().turn++;
        all_here();
        EXPECT_EQ(board().turn, std::min(2, serry_size()));
        if (e == SERRY_OK)
            CHECKED(serry_semaphore_release(s));
    });
}

int takes_permits(const void *arg, size_t)
{
    Hammer job = *(const Hammer *)arg;
    for (;;) {
        if (serry_semaphore_acquire(job.s, SERRY_FOREVER) != SERRY_OK)
            return 1;
        if (serry_semaphore_release(job.s) != SERRY_OK)
            return 2;
    }
}

SERRY_RANKS_TEST(NodesMixed, PermitsOfTheKilledReturn, .ranks({ 4 }).timeout(120))
{
    for_each_home([](int node) {
        serry_semaphore s = make_semaphore(node, 3);
        for (int i = 0; i < rounds(10); i++) {
            serry_process p = start(takes_permits, Hammer{ {}, s, 0 });
            nap(0.0, 0.02);
            end(p);
        }
        all_here();
        int value = -1;
        CHECKED(serry_semaphore_value(s, &value));
        EXPECT_EQ(value, 3) << described(s.id);
    });
}

/* ---- barrier ---- */

SERRY_RANKS_TEST(NodesMixed, ABarrierLetsAllGoTogether, .ranks({ 4 }))
{
    for_each_home([](int node) {
        serry_barrier b = make_barrier(node, serry_size());
        for (int i = 1; i <= rounds(100); i++) {
            int index = -1;
            board().rounds[serry_rank()] = i;
            CHECKED(serry_barrier_wait(b, &index, patience(20)));
            EXPECT_TRUE(index >= 0 && index < serry_size());
            for (int r = 0; r < serry_size(); r++)
                EXPECT_GE(board().rounds[r], i);
        }
    });
}

struct Party {
    serry_barrier b;
};

int comes_and_waits(const void *arg, size_t)
{
    Party job = *(const Party *)arg;
    board().turn++;
    return (int)serry_barrier_wait(job.b, nullptr, SERRY_FOREVER);
}

SERRY_RANKS_TEST(NodesMixed, ABarrierBreaksWithAPartyThatIsKilled, .ranks({ 4 }))
{
    for_each_home([](int node) {
        serry_barrier b = make_barrier(node, serry_size() + 2);
        for (int victim = 0; victim < serry_size(); victim++) {
            serry_process p = {};
            if (serry_rank() == victim) {
                p = start(comes_and_waits, Party{ b });
                int n = 0;
                EXPECT_TRUE(wait_for(
                    [&] { return serry_barrier_waiting(b, &n) == SERRY_OK && n == serry_size(); },
                    patience(20)));
                end(p);
            } else {
                EXPECT_EQ(serry_barrier_wait(b, nullptr, patience(20)), SERRY_EBROKEN);
            }
            all_here();
            EXPECT_TRUE(serry_barrier_is_broken(b));
            all_here();
            if (serry_rank() == victim)
                CHECKED(serry_barrier_reset(b));
            all_here();
        }
    });
}

/* ---- event ---- */

SERRY_RANKS_TEST(NodesMixed, AnEventIsSeenByAll, .ranks({ 4 }))
{
    for_each_home([](int node) {
        serry_event e = make_event(node);
        for (int i = 0; i < rounds(40); i++) {
            int who = i % serry_size();
            if (serry_rank() == who) {
                nap(0, 0.0005);
                CHECKED(serry_event_set(e));
            } else {
                CHECKED(serry_event_wait(e, patience(20)));
            }
            EXPECT_TRUE(serry_event_is_set(e));
            all_here();
            if (serry_rank() == who)
                CHECKED(serry_event_clear(e));
            all_here();
            EXPECT_FALSE(serry_event_is_set(e));
            EXPECT_EQ(serry_event_wait(e, SERRY_NOWAIT), SERRY_ETIMEDOUT);
            all_here();
        }
        EXPECT_EQ(serry_event_wait(e, 0.01), SERRY_ETIMEDOUT);
    });
}

/* ---- condition ---- */

struct Counter {
    serry_condition c;
    serry_lock l;
};

serry_condition make_condition(serry_lock l)
{
    return shared_by_all<serry_condition>(
        [=](serry_condition *c) { return serry_condition_create(c, l, nullptr); });
}

/* The turn goes round; each one waits for his own. */
SERRY_RANKS_TEST(NodesMixed, ANotifyIsNotLost, .ranks({ 4 }).timeout(60))
{
    for_each_home([](int node) {
        serry_lock l = make_lock(node);
        serry_condition c = make_condition(l);
        for (int i = 0; i < rounds(50); i++) {
            CHECKED(serry_lock_acquire(l, patience(20)));
            while (board().turn != i * serry_size() + serry_rank())
                CHECKED(serry_condition_wait(c, patience(20)));
            board().turn++;
            CHECKED(serry_condition_notify_all(c));
            CHECKED(serry_lock_release(l));
        }
    });
}

/* A token is handed on by one notify each; those that wait are killed now and then. */
int waits_for_tokens(const void *arg, size_t)
{
    Counter job = *(const Counter *)arg;
    for (;;) {
        serry_err e = serry_lock_acquire(job.l, SERRY_FOREVER);
        if (e != SERRY_OK && e != SERRY_EOWNERDIED)
            return 1;
        while (board().plain == 0) {
            e = serry_condition_wait(job.c, SERRY_FOREVER);
            if (e != SERRY_OK && e != SERRY_EOWNERDIED)
                return 2;
        }
        board().plain = board().plain - 1;
        board().entered++;
        if (serry_lock_release(job.l) != SERRY_OK)
            return 3;
    }
}

SERRY_RANKS_TEST(NodesMixed, ANotifyOfAKilledWaiterGoesToTheNext, .ranks({ 4 }).timeout(120))
{
    for_each_home([](int node) {
        serry_lock l = make_lock(node);
        serry_condition c = make_condition(l);
        serry_process lasting = start(waits_for_tokens, Counter{ c, l });
        for (int i = 0; i < rounds(5); i++) {
            serry_process p = start(waits_for_tokens, Counter{ c, l });
            for (int k = 0; k < 10; k++) {
                serry_err e = serry_lock_acquire(l, patience(20));
                ASSERT_TRUE(e == SERRY_OK || e == SERRY_EOWNERDIED) << serry_err_detail();
                board().plain = board().plain + 1;
                CHECKED(serry_condition_notify(c, 1));
                CHECKED(serry_lock_release(l));
                nap(0, 0.001);
            }
            end(p);
        }
        EXPECT_TRUE(wait_for([] { return board().plain == 0; }, patience(20)))
            << board().plain << " tokens are left; " << described(c.id) << "; " << described(l.id);
        all_here();
        end(lasting);
    });
}

} // namespace
