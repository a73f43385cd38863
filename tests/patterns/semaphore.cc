// ctest: timeout=120
/* Semaphores as their users see them, over both kinds of lanes. */
#include "patterns/sync_test.h"

#include <atomic>
#include <climits>
#include <cmath>
#include <random>
#include <thread>

using namespace serry_test;

namespace {

serry_semaphore make(int value, bool bounded = false, const char *name = nullptr)
{
    serry_semaphore s = {};
    serry_semaphore_options o = {};
    o.name = own_name(name);
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

void acquire(serry_semaphore s, double timeout = SERRY_FOREVER)
{
    ASSERT_EQ(serry_semaphore_acquire(s, timeout), SERRY_OK) << serry_err_detail();
}

void release(serry_semaphore s)
{
    ASSERT_EQ(serry_semaphore_release(s), SERRY_OK) << serry_err_detail();
}

void expect_none(serry_semaphore s)
{
    EXPECT_EQ(serry_semaphore_acquire(s, SERRY_NOWAIT), SERRY_ETIMEDOUT);
}

/* Seen by a rank and by the processes it starts. */
struct Shared {
    std::atomic<int> inside, most, turns[8], order[64], at;
};

RankShared<Shared> shared_memory()
{
    return RankShared<Shared>::make();
}

struct Job {
    serry_semaphore s, other;
    int n, me;
    RankShared<Shared> shared;
};

/* ---- one after the other ---- */

SERRY_RANKS_TEST(Semaphore, CountsDownAndUp, .ranks({ 1 }))
{
    serry_semaphore s = make(2);
    EXPECT_EQ(value_of(s), 2);
    acquire(s);
    EXPECT_EQ(value_of(s), 1);
    acquire(s, 0.05);
    EXPECT_EQ(value_of(s), 0);
    expect_none(s);
    EXPECT_EQ(value_of(s), 0);
    release(s);
    EXPECT_EQ(value_of(s), 1);
    release(s);
    EXPECT_EQ(value_of(s), 2);
    for (int i = 3; i < 6; i++) { /* beyond the initial value, as Python allows */
        release(s);
        EXPECT_EQ(value_of(s), i);
    }
    for (int i = 0; i < 5; i++)
        acquire(s, SERRY_NOWAIT);
    expect_none(s);
}

SERRY_RANKS_TEST(Semaphore, ThatIsBoundedDoesNotRiseAboveItsInitialValue, .ranks({ 1 }))
{
    serry_semaphore s = make(2, true);
    for (int round = 0; round < 3; round++) {
        EXPECT_EQ(serry_semaphore_release(s), SERRY_EINVAL);
        EXPECT_NE(std::string(serry_err_detail()).find("2"), std::string::npos);
        EXPECT_EQ(value_of(s), 2);
        acquire(s);
        acquire(s);
        expect_none(s);
        EXPECT_EQ(value_of(s), 0);
        release(s);
        release(s);
        EXPECT_EQ(value_of(s), 2);
    }
    EXPECT_EQ(serry_semaphore_release(make(0, true)), SERRY_EINVAL);
}

SERRY_RANKS_TEST(Semaphore, WaitsAsLongAsItIsTold, .ranks({ 1 }))
{
    serry_semaphore s = make(0);
    for (double t : { 0.0, -1.0, -HUGE_VAL, 0.0001, 0.02, 0.1 }) {
        double begin = serry_time();
        EXPECT_EQ(serry_semaphore_acquire(s, t), SERRY_ETIMEDOUT) << t;
        double took = serry_time() - begin;
        EXPECT_GE(took, t);
        EXPECT_LT(took, (t > 0 ? t : 0) + patience(1));
    }
    EXPECT_NE(std::string(serry_err_detail()).find(": no permit is free, after 0.1 s"),
              std::string::npos)
        << serry_err_detail();
    EXPECT_EQ(value_of(s), 0);
}

SERRY_RANKS_TEST(Semaphore, OfNearlyAllThereAreHoldsNoMore, .ranks({ 1 }))
{
    serry_semaphore s = make(INT_MAX);
    EXPECT_EQ(serry_semaphore_release(s), SERRY_EINVAL);
    EXPECT_EQ(value_of(s), INT_MAX);
    acquire(s);
    EXPECT_EQ(value_of(s), INT_MAX - 1);
    release(s);
    EXPECT_EQ(value_of(s), INT_MAX);
    serry_semaphore t = make(INT_MAX - 2);
    release(t);
    release(t);
    for (int i = 0; i < 3; i++)
        EXPECT_EQ(serry_semaphore_release(t), SERRY_EINVAL);
    EXPECT_EQ(value_of(t), INT_MAX);
    acquire(t);
    release(t);
    EXPECT_EQ(serry_semaphore_release(t), SERRY_EINVAL);
}

/* More than a cell counts. */
SERRY_RANKS_TEST(Semaphore, GivesOneProcessMoreThanAMillion, .ranks({ 1 }).on(shm).timeout(60))
{
    const int n = (1 << 20) + 5000;
    serry_semaphore s = make(n);
    for (int i = 0; i < n; i++)
        ASSERT_EQ(serry_semaphore_acquire(s, SERRY_NOWAIT), SERRY_OK) << i;
    expect_none(s);
    EXPECT_EQ(value_of(s), 0);
    for (int i = 0; i < n; i++)
        ASSERT_EQ(serry_semaphore_release(s), SERRY_OK) << i;
    EXPECT_EQ(value_of(s), n);
    EXPECT_EQ(described(s.id).find("counter"), std::string::npos);
}

SERRY_RANKS_TEST(Semaphore, IsTheSameByItsName, .both_ways())
{
    serry_semaphore s = make(serry_size(), true, "the same"), out = {};
    acquire(s);
    all_here();
    EXPECT_EQ(value_of(s), 0);
    expect_none(s);
    serry_semaphore_options o = {};
    o.name = own_name("the same");
    EXPECT_EQ(serry_semaphore_create(&out, serry_size(), &o), SERRY_EINVAL); /* not bounded */
    o.bounded = true;
    EXPECT_EQ(serry_semaphore_create(&out, serry_size() + 1, &o), SERRY_EINVAL);
    EXPECT_EQ(out.id, 0u);
    all_here();
    release(s);
    all_here();
    EXPECT_EQ(value_of(s), serry_size());
}

/* ---- several processes ---- */

int acquires(const void *arg, size_t)
{
    const Job *job = static_cast<const Job *>(arg);
    for (int i = 0; i < job->n; i++)
        acquire(job->s);
    /* It stays until it is let go: its end would return them. */
    return serry_semaphore_acquire(job->other, patience(30)) == SERRY_OK ? 0 : 1;
}

SERRY_RANKS_TEST(Semaphore, AcquiredByAChildIsReleasedByItsParent, .ranks({ 1, 2 }))
{
    for (bool bounded : { false, true }) {
        serry_semaphore s = make(3, bounded), go = make(0);
        serry_process p = start(acquires, Job{ s, go, 2, 0, {} });
        ASSERT_TRUE(wait_for([&] { return value_of(s) == 1; }));
        release(s);
        EXPECT_EQ(value_of(s), 2);
        release(s);
        EXPECT_EQ(value_of(s), 3);
        EXPECT_EQ(serry_semaphore_release(s), bounded ? SERRY_EINVAL : SERRY_OK);
        EXPECT_EQ(value_of(s), bounded ? 3 : 4);
        release(go);
        EXPECT_EQ(join(p), 0);
        EXPECT_EQ(value_of(s), bounded ? 3 : 4) << "nothing returns to a counter by itself";
    }
}

/* What has just been given back in one process is to be had in another, at once. */
SERRY_RANKS_TEST(Semaphore, HidesNoFreePermit, .ranks({ 2, 3, 7 }))
{
    serry_semaphore s = make(2, false, "nothing hidden");
    for (int round = 0; round < 100; round++) {
        for (int r = 0; r < serry_size(); r++) {
            if (serry_rank() == r) {
                EXPECT_EQ(value_of(s), 2);
                acquire(s, SERRY_NOWAIT);
                acquire(s, SERRY_NOWAIT);
                expect_none(s);
                release(s);
                release(s);
            }
            all_here();
        }
    }
}

SERRY_RANKS_TEST(Semaphore, IsExactAboutItsValue, .ranks({ 2, 3, 7 }))
{
    const int permits = 5;
    serry_semaphore s = make(permits, true, "exact");
    std::mt19937 dice((unsigned)serry_rank() + 1);
    int mine = 0;
    for (int round = 0; round < 60; round++) {
        for (int i = 0; i < 10; i++) {
            if (dice() % 2 && serry_semaphore_acquire(s, SERRY_NOWAIT) == SERRY_OK)
                mine++;
            else if (mine && mine--)
                release(s);
        }
        int64_t held = mine, all = 0;
        ASSERT_EQ(serry_world_allreduce(&held, &all, 1, SERRY_INT64, SERRY_SUM), SERRY_OK);
        ASSERT_EQ(value_of(s), permits - (int)all);
        all_here();
    }
    while (mine-- > 0)
        release(s);
    all_here();
    EXPECT_EQ(value_of(s), permits);
}

/* All try at once: as many get one as there are. */
SERRY_RANKS_TEST(Semaphore, GivesOutAllItHas, .ranks({ 2, 3, 7 }))
{
    for (int permits = 0; permits <= serry_size() + 1; permits++) {
        serry_semaphore s = make(permits, true, ("all " + std::to_string(permits)).c_str());
        for (int round = 0; round < 20; round++) {
            all_here();
            int64_t got = serry_semaphore_acquire(s, SERRY_NOWAIT) == SERRY_OK, all = 0;
            ASSERT_EQ(serry_world_allreduce(&got, &all, 1, SERRY_INT64, SERRY_SUM), SERRY_OK);
            ASSERT_EQ(all, std::min(permits, serry_size())) << permits;
            if (got)
                release(s);
        }
    }
}

int works_inside(const void *arg, size_t)
{
    const Job *job = static_cast<const Job *>(arg);
    RankShared<Shared> m = job->shared;
    for (int i = 0; i < job->n; i++) {
        acquire(job->s);
        int now = ++m->inside, most = m->most;
        while (now > most && !m->most.compare_exchange_weak(most, now))
            ;
        if (i % 64 == 0)
            sched_yield();
        m->inside--;
        release(job->s);
    }
    return 0;
}

SERRY_RANKS_TEST(Semaphore, LetsNoMoreInThanThereArePermits, .ranks({ 1 }).timeout(60))
{
    for (int permits : { 1, 2, 3 }) {
        Job job = { make(permits, true), {}, 1000, 0, shared_memory() };
        std::vector<serry_process> all;
        for (int i = 0; i < 4; i++)
            all.push_back(start(works_inside, job));
        join_all(all);
        EXPECT_LE(job.shared->most, permits);
        EXPECT_EQ(job.shared->inside, 0);
        EXPECT_EQ(value_of(job.s), permits);
    }
}

/* ---- who waits ---- */

int works_until_told(const void *arg, size_t)
{
    const Job *job = static_cast<const Job *>(arg);
    while (job->shared->at == 0) {
        acquire(job->s);
        release(job->s);
        job->shared->turns[job->me]++;
    }
    return 0;
}

SERRY_RANKS_TEST(Semaphore, LetsNobodyKeepTheOthersOut, .ranks({ 1 }).timeout(60))
{
    for (int permits : { 1, 2 }) {
        Job job = { make(permits, true), {}, 0, 0, shared_memory() };
        std::vector<serry_process> all;
        for (job.me = 0; job.me < 3; job.me++)
            all.push_back(start(works_until_told, job));
        for (int i = 0; i < 100; i++) {
            acquire(job.s, patience(10));
            release(job.s);
        }
        for (int i = 0; i < 3; i++) {
            int before = job.shared->turns[i];
            EXPECT_TRUE(wait_for([&] { return job.shared->turns[i] > before; }, patience(20))) << i;
        }
        job.shared->at = 1;
        join_all(all);
    }
}

int notes_its_turn(const void *arg, size_t)
{
    const Job *job = static_cast<const Job *>(arg);
    acquire(job->s);
    job->shared->order[job->shared->at++] = job->me;
    release(job->other);
    return 0;
}

SERRY_RANKS_TEST(Semaphore, ServesFirstComeFirstServed, .ranks({ 1 }))
{
    Job job = { make(0), make(0), 0, 0, shared_memory() };
    std::vector<serry_process> all;
    for (job.me = 0; job.me < 8; job.me++) {
        all.push_back(start(notes_its_turn, job));
        ASSERT_TRUE(come_to_wait(job.s.id, all.size()));
    }
    for (int i = 0; i < 8; i++) {
        release(job.s);
        acquire(job.other);
    }
    join_all(all);
    for (int i = 0; i < 8; i++)
        EXPECT_EQ(job.shared->order[i], i);
}

/* One that gives up leaves the others where they are. */
SERRY_RANKS_TEST(Semaphore, IsGivenUpInTime, .ranks({ 1 }))
{
    Job job = { make(0), make(0), 0, 0, shared_memory() };
    serry_process p = start(notes_its_turn, job);
    ASSERT_TRUE(come_to_wait(job.s.id, 1));
    EXPECT_EQ(serry_semaphore_acquire(job.s, 0.02), SERRY_ETIMEDOUT);
    expect_none(job.s);
    EXPECT_EQ(waiters(job.s.id), 1u);
    release(job.s);
    acquire(job.other);
    EXPECT_EQ(join(p), 0);
    EXPECT_EQ(value_of(job.s), 0);
}

int releases(const void *arg, size_t)
{
    const Job *job = static_cast<const Job *>(arg);
    for (int i = 0; i < job->n; i++)
        release(job->s);
    return 0;
}

SERRY_RANKS_TEST(Semaphore, CarriesSignals, .ranks({ 1 }).timeout(60))
{
    serry_semaphore s = make(0);
    std::vector<serry_process> all;
    for (int i = 0; i < 3; i++)
        all.push_back(start(releases, Job{ s, {}, 2000, 0, {} }));
    for (int i = 0; i < 6000; i++)
        ASSERT_EQ(serry_semaphore_acquire(s, patience(20)), SERRY_OK) << i;
    join_all(all);
    expect_none(s);
    EXPECT_EQ(value_of(s), 0);
    all = { start(releases, Job{ s, {}, 2000, 0, {} }) };
    join_all(all);
    EXPECT_EQ(value_of(s), 2000) << "those of a process that has ended are signals all the same";
}

/* Two semaphores, to and fro. */
int answers(const void *arg, size_t)
{
    const Job *job = static_cast<const Job *>(arg);
    for (int i = 0; i < job->n; i++) {
        acquire(job->s);
        release(job->other);
    }
    return 0;
}

SERRY_RANKS_TEST(Semaphore, CarriesSignalsToAndFro, .ranks({ 1 }))
{
    Job job = { make(0), make(0), 1000, 0, {} };
    serry_process p = start(answers, job);
    for (int i = 0; i < job.n; i++) {
        release(job.s);
        acquire(job.other);
    }
    EXPECT_EQ(join(p), 0);
    EXPECT_EQ(value_of(job.s), 0);
    EXPECT_EQ(value_of(job.other), 0);
}

/* ---- threads ---- */

SERRY_RANKS_TEST(Semaphore, IsSharedByTheThreadsOfAProcess, .ranks({ 2 }).timeout(60))
{
    const int permits = 2;
    serry_semaphore s = make(permits, true, "threads");
    std::atomic<int> inside{ 0 }, most{ 0 };
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; i++) {
        threads.emplace_back([&] {
            for (int k = 0; k < 500; k++) {
                EXPECT_EQ(serry_semaphore_acquire(s, patience(20)), SERRY_OK) << serry_err_detail();
                int now = ++inside;
                if (now > most)
                    most = now;
                inside--;
                EXPECT_EQ(serry_semaphore_release(s), SERRY_OK) << serry_err_detail();
            }
        });
    }
    for (std::thread &t : threads)
        t.join();
    EXPECT_LE(most, permits);
    all_here();
    EXPECT_EQ(value_of(s), permits);
}

/* A thread releases what another of the process has acquired: it is no more than that. */
SERRY_RANKS_TEST(Semaphore, BelongsToTheProcessNotToTheThread, .ranks({ 1 }))
{
    serry_semaphore s = make(1, true);
    acquire(s);
    std::thread waits([&] { acquire(s); });
    ASSERT_TRUE(come_to_wait(s.id, 1));
    std::thread([&] { release(s); }).join();
    waits.join();
    expect_none(s);
    release(s);
    EXPECT_EQ(value_of(s), 1);
    EXPECT_EQ(described(s.id).find("counter"), std::string::npos);
}

/* ---- the end ---- */

int waits_for_the_end(const void *arg, size_t)
{
    serry_semaphore s = static_cast<const Job *>(arg)->s;
    EXPECT_EQ(serry_semaphore_acquire(s, SERRY_FOREVER), SERRY_EHANDLE);
    EXPECT_NE(std::string(serry_err_detail()).find("destroyed"), std::string::npos);
    EXPECT_EQ(serry_semaphore_acquire(s, SERRY_NOWAIT), SERRY_EHANDLE);
    EXPECT_EQ(serry_semaphore_release(s), SERRY_EHANDLE);
    return 0;
}

SERRY_RANKS_TEST(Semaphore, EndsWithAnErrorForThoseWhoWait, .ranks({ 1 }))
{
    serry_semaphore s = make(1, false, "short-lived");
    acquire(s);
    std::vector<serry_process> all;
    for (int i = 0; i < 3; i++)
        all.push_back(start(waits_for_the_end, Job{ s, {}, 0, 0, {} }));
    ASSERT_TRUE(come_to_wait(s.id, 3));
    ASSERT_EQ(serry_semaphore_destroy(s), SERRY_OK);
    join_all(all);
    EXPECT_EQ(serry_semaphore_release(s), SERRY_EHANDLE) << "of a permit that was held";
    EXPECT_NE(make(1, true, "short-lived").id, s.id);
}

SERRY_RANKS_TEST(Semaphore, OfOldIsNotTakenForANewOne, .ranks({ 1 }))
{
    std::vector<serry_semaphore> old;
    for (int i = 0; i < 150; i++) {
        serry_semaphore s = make(2);
        acquire(s);
        if (i % 2)
            release(s);
        EXPECT_EQ(serry_semaphore_destroy(s), SERRY_OK);
        old.push_back(s);
        for (size_t k = (size_t)i % 10; k < old.size(); k += 10) {
            ASSERT_EQ(serry_semaphore_acquire(old[k], SERRY_NOWAIT), SERRY_EHANDLE);
            ASSERT_EQ(serry_semaphore_release(old[k]), SERRY_EHANDLE);
        }
    }
}

int ends_with_one(const void *arg, size_t)
{
    acquire(static_cast<const Job *>(arg)->s);
    return 0;
}

SERRY_RANKS_TEST(Semaphore, GetsThePermitsOfTheEndedBack, .ranks({ 1, 2 }))
{
    serry_semaphore s = make(1, true);
    for (int i = 0; i < 10; i++) {
        join_all({ start(ends_with_one, Job{ s, {}, 0, 0, {} }) });
        EXPECT_EQ(value_of(s), 1);
    }
}

SERRY_RANKS_TEST(Semaphore, IsDescribed, .ranks({ 1 }).in_own_world())
{
    serry_semaphore s = make(2, false, "cups"), other = make(0);
    EXPECT_EQ(described(s.id),
              "semaphore \"cups\": 2 of 2 free, held by nobody, waited for by nobody");
    acquire(s);
    EXPECT_EQ(described(s.id),
              "semaphore \"cups\": 1 of 2 free, held by rank 0 (1), waited for by nobody");
    release(other);
    EXPECT_EQ(described(other.id), "semaphore #2: 1 free, a counter, waited for by nobody");
    acquire(other);
    serry_process p = start(acquires, Job{ s, other, 1, 0, {} });
    ASSERT_TRUE(comes_to_say(other.id, "waited for by rank 1, for 0."));
    EXPECT_EQ(
        described(s.id),
        "semaphore \"cups\": 0 of 2 free, held by rank 0 (1), rank 1 (1), waited for by nobody");
    release(other);
    EXPECT_EQ(join(p), 0);
}

/* ---- wrong use ---- */

SERRY_RANKS_TEST(Semaphore, RefusesWhatIsWrong, .ranks({ 1 }))
{
    serry_semaphore good = make(1), gone = make(1), out = {};
    serry_queue q = {};
    ASSERT_EQ(serry_queue_create(&q, nullptr), SERRY_OK);
    ASSERT_EQ(serry_semaphore_destroy(gone), SERRY_OK);
    serry_semaphore_options o = {};
    EXPECT_EQ(serry_semaphore_create(nullptr, 1, nullptr), SERRY_EINVAL);
    for (int value : { -1, INT_MIN })
        EXPECT_EQ(serry_semaphore_create(&out, value, nullptr), SERRY_EINVAL);
    for (const std::string &name : { std::string(), std::string(64, 'x') }) {
        o.name = name.c_str();
        EXPECT_EQ(serry_semaphore_create(&out, 1, &o), SERRY_EINVAL);
    }
    o.name = nullptr;
    o.node = 5000;
    EXPECT_EQ(serry_semaphore_create(&out, 1, &o), SERRY_EINVAL);
    EXPECT_EQ(out.id, 0u);
    for (serry_semaphore s : { serry_semaphore{ 0 }, serry_semaphore{ ~0ull },
                               serry_semaphore{ q.id }, serry_semaphore{ good.id + 1 }, gone }) {
        int value = -5;
        for (int i = 0; i < 2; i++) {
            EXPECT_EQ(serry_semaphore_acquire(s, SERRY_NOWAIT), SERRY_EHANDLE) << s.id;
            EXPECT_EQ(serry_semaphore_acquire(s, SERRY_FOREVER), SERRY_EHANDLE) << s.id;
            EXPECT_EQ(serry_semaphore_release(s), SERRY_EHANDLE) << s.id;
            EXPECT_EQ(serry_semaphore_value(s, &value), SERRY_EHANDLE) << s.id;
            EXPECT_EQ(serry_semaphore_destroy(s), SERRY_EHANDLE) << s.id;
            EXPECT_STRNE(serry_err_detail(), "");
        }
        EXPECT_EQ(value, -5);
    }
    for (int i = 0; i < 2; i++) {
        EXPECT_EQ(serry_semaphore_acquire(good, std::nan("")), SERRY_EINVAL);
        EXPECT_EQ(value_of(good), 1);
        EXPECT_EQ(serry_semaphore_value(good, nullptr), SERRY_OK);
        acquire(good, INFINITY); /* behind it there is a cell */
        release(good);
    }
}

TEST(Semaphore, IsOfNoUseOutsideTheWorld)
{
    serry_semaphore s = { 1 };
    int value;
    EXPECT_EQ(serry_semaphore_create(&s, 1, nullptr), SERRY_ESTATE);
    EXPECT_EQ(serry_semaphore_acquire(s, 0), SERRY_ESTATE);
    EXPECT_EQ(serry_semaphore_release(s), SERRY_ESTATE);
    EXPECT_EQ(serry_semaphore_value(s, &value), SERRY_ESTATE);
    EXPECT_EQ(serry_semaphore_destroy(s), SERRY_ESTATE);
}

} // namespace
