// ctest: slow timeout=180
/* Users of a semaphore that die: the permits they had return, each of them once, wherever they were
 * killed, and who waits gets them. */
#include "fault/fault.h"
#include "patterns/sync_test.h"

using namespace serry_test;

namespace {

struct Job {
    serry_semaphore s, other;
    int point, count; /* where it dies, and the how manyeth time */
    int n;
};

serry_semaphore make(int value, bool bounded = false)
{
    serry_semaphore s = {};
    serry_semaphore_options o = {};
    o.bounded = bounded;
    EXPECT_EQ(serry_semaphore_create(&s, value, &o), SERRY_OK) << serry_err_detail();
    return s;
}

int value_of(serry_semaphore s)
{
    int value = -1;
    EXPECT_EQ(serry_semaphore_value(s, &value), SERRY_OK) << serry_err_detail();
    return value;
}

bool is_counter(serry_semaphore s)
{
    return has(described(s.id), "a counter");
}

/* No permit was lost, none came to be: so many can be acquired, no more. */
void expect_whole(serry_semaphore s, int permits)
{
    EXPECT_EQ(value_of(s), permits) << described(s.id);
    for (int i = 0; i < permits; i++)
        ASSERT_EQ(serry_semaphore_acquire(s, SERRY_NOWAIT), SERRY_OK) << i << " of " << permits;
    EXPECT_EQ(serry_semaphore_acquire(s, SERRY_NOWAIT), SERRY_ETIMEDOUT);
    for (int i = 0; i < permits; i++)
        ASSERT_EQ(serry_semaphore_release(s), SERRY_OK);
    EXPECT_EQ(value_of(s), permits) << described(s.id);
}

int holds_and_dies(const void *arg, size_t)
{
    const Job *job = static_cast<const Job *>(arg);
    for (int i = 0; i < job->n; i++)
        EXPECT_EQ(serry_semaphore_acquire(job->s, patience(20)), SERRY_OK);
    if (job->count) /* one that it has, and does not hold */
        EXPECT_EQ(serry_semaphore_release(job->s), SERRY_OK);
    die();
}

SERRY_RANKS_TEST(SemaphoreDeath, GivesThePermitsBack, .ranks({ 1 }).timeout(60))
{
    for (bool bounded : { false, true }) {
        serry_semaphore s = make(3, bounded);
        for (int i = 0; i < rounds(12); i++) {
            EXPECT_EQ(join(start(holds_and_dies, Job{ s, {}, 0, i % 2, 1 + i % 3 })), -SIGKILL);
            expect_whole(s, 3);
        }
        EXPECT_FALSE(is_counter(s));
    }
}

int waits(const void *arg, size_t)
{
    const Job *job = static_cast<const Job *>(arg);
    if (serry_semaphore_acquire(job->s, patience(30)) != SERRY_OK)
        return 1;
    return serry_semaphore_release(job->s) == SERRY_OK ? 0 : 2;
}

int holds(const void *arg, size_t)
{
    const Job *job = static_cast<const Job *>(arg);
    EXPECT_EQ(serry_semaphore_acquire(job->s, patience(20)), SERRY_OK);
    return serry_semaphore_acquire(job->other, patience(30)) == SERRY_OK ? 0 : 1;
}

/* Within the bound, to those who wait, in order. */
SERRY_RANKS_TEST(SemaphoreDeath, LetsTheNextOnesIn, .ranks({ 1 }).timeout(60))
{
    serry_semaphore never = make(0);
    for (int i = 0; i < rounds(8); i++) {
        serry_semaphore s = make(1, true);
        serry_process holder = start(holds, Job{ s, never, 0, 0, 0 });
        ASSERT_TRUE(wait_for([&] { return value_of(s) == 0; }));
        serry_process dead = start(waits, Job{ s, {}, 0, 0, 0 });
        ASSERT_TRUE(come_to_wait(s.id, 1));
        serry_process other = start(waits, Job{ s, {}, 0, 0, 0 });
        ASSERT_TRUE(come_to_wait(s.id, 2));
        end(dead); /* the dead are not served */
        double begin = serry_time();
        ASSERT_EQ(serry_process_kill(holder), SERRY_OK);
        EXPECT_EQ(join(other), 0);
        EXPECT_LT(serry_time() - begin, patience(5));
        EXPECT_EQ(join(holder), -SIGKILL);
        expect_whole(s, 1);
    }
}

int signals_and_dies(const void *arg, size_t)
{
    const Job *job = static_cast<const Job *>(arg);
    for (int i = 0; i < job->n; i++)
        EXPECT_EQ(serry_semaphore_release(job->s), SERRY_OK);
    if (job->count)
        EXPECT_EQ(serry_semaphore_acquire(job->s, SERRY_NOWAIT), SERRY_OK);
    die();
}

/* What was signalled holds, what was taken is taken. */
SERRY_RANKS_TEST(SemaphoreDeath, LeavesACounterAsItIs, .ranks({ 1 }))
{
    serry_semaphore s = make(0);
    for (int i = 1; i <= 10; i++) {
        EXPECT_EQ(join(start(signals_and_dies, Job{ s, {}, 0, 1, 4 })), -SIGKILL);
        EXPECT_EQ(value_of(s), 3 * i);
    }
    EXPECT_TRUE(is_counter(s));
    for (int i = 0; i < 30; i++)
        EXPECT_EQ(serry_semaphore_acquire(s, SERRY_NOWAIT), SERRY_OK);
    EXPECT_EQ(serry_semaphore_acquire(s, SERRY_NOWAIT), SERRY_ETIMEDOUT);
}

/* ---- at each place ---- */

int dies_at_a_point(const void *arg, size_t)
{
    Job job = *static_cast<const Job *>(arg);
    sri_point_choose(job.point, (unsigned)job.count);
    for (int i = 0; i < 2000; i++) {
        int held = 1;
        if (serry_semaphore_acquire(job.s, patience(20)) != SERRY_OK)
            return 1;
        held += serry_semaphore_acquire(job.s, i % 2 ? SERRY_NOWAIT : 0.0001) == SERRY_OK;
        while (held-- > 0)
            EXPECT_EQ(serry_semaphore_release(job.s), SERRY_OK) << serry_err_detail();
        if (job.n) /* alone: nobody else holds one */
            EXPECT_EQ(serry_semaphore_release(job.s), SERRY_EINVAL);
    }
    return 0;
}

int works(const void *arg, size_t)
{
    const Job *job = static_cast<const Job *>(arg);
    for (;;) {
        if (serry_semaphore_acquire(job->s, patience(20)) != SERRY_OK
            || serry_semaphore_release(job->s) != SERRY_OK)
            return 1;
    }
}

/* Alone, and with others who want the same permits. */
SERRY_RANKS_TEST(SemaphoreDeath, AtEachPointLosesNoPermit, .ranks({ 1 }).on(shm).timeout(120))
{
    for (int point = 40; point <= 47; point++) {
        bool died = false;
        for (int workers : { 0, 2 }) {
            for (int count : { 1, 2, 5, 30 }) {
                serry_semaphore s = make(2, true);
                std::vector<serry_process> all;
                for (int i = 0; i < workers; i++)
                    all.push_back(start(works, Job{ s, {}, 0, 0, 0 }));
                int code = join(start(dies_at_a_point, Job{ s, {}, point, count, workers == 0 }));
                EXPECT_TRUE(code == 0 || code == -SIGKILL)
                    << code << " at " << point << ":" << count;
                died |= code == -SIGKILL;
                EXPECT_LE(value_of(s), 2);
                for (serry_process p : all)
                    end(p);
                EXPECT_FALSE(is_counter(s));
                expect_whole(s, 2);
                EXPECT_EQ(serry_semaphore_destroy(s), SERRY_OK);
            }
        }
        EXPECT_TRUE(died) << "point " << point << " is not passed";
    }
}

/* ---- at any time ---- */

SERRY_RANKS_TEST(SemaphoreDeath, AtAnyTimeLosesNoPermit, .ranks({ 1 }).timeout(120))
{
    for (int permits : { 1, 3 }) {
        serry_semaphore s = make(permits);
        Job job = { s, {}, 0, 0, 0 };
        std::vector<serry_process> all;
        for (int i = 0; i < 4; i++)
            all.push_back(start(works, job));
        for (int i = 0; i < rounds(60); i++) {
            serry_process &one = all[(size_t)i % all.size()];
            nap(0, 0.003);
            end(one);
            one = start(works, job);
            EXPECT_EQ(serry_semaphore_acquire(s, patience(10)), SERRY_OK) << serry_err_detail();
            EXPECT_LT(value_of(s), permits);
            EXPECT_EQ(serry_semaphore_release(s), SERRY_OK);
        }
        for (serry_process p : all)
            end(p);
        EXPECT_FALSE(is_counter(s));
        expect_whole(s, permits);
    }
}

} // namespace
