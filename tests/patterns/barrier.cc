// ctest: timeout=120
/* Barriers as their users see them, over both kinds of lanes. */
#include "patterns/sync_test.h"

#include <atomic>
#include <climits>
#include <cmath>
#include <set>
#include <thread>

using namespace serry_test;

namespace {

serry_barrier make(int parties, const serry_barrier_options &o = {})
{
    serry_barrier b = {};
    EXPECT_EQ(serry_barrier_create(&b, parties, &o), SERRY_OK) << serry_err_detail();
    return b;
}

serry_barrier named(const char *name, int parties)
{
    serry_barrier_options o = {};
    o.name = own_name(name);
    return make(parties, o);
}

int must_wait(serry_barrier b, double timeout = SERRY_FOREVER)
{
    int index = -1;
    EXPECT_EQ(serry_barrier_wait(b, &index, timeout), SERRY_OK) << serry_err_detail();
    return index;
}

int waiting_at(serry_barrier b)
{
    int n = -1;
    EXPECT_EQ(serry_barrier_waiting(b, &n), SERRY_OK) << serry_err_detail();
    return n;
}

void expect_broken(serry_barrier b, const std::string &why)
{
    int index = -7;
    EXPECT_EQ(serry_barrier_wait(b, &index, SERRY_FOREVER), SERRY_EBROKEN);
    EXPECT_NE(std::string(serry_err_detail()).find(why), std::string::npos) << serry_err_detail();
    EXPECT_EQ(index, -7);
}

/* Seen by a rank and by the processes it starts. */
struct Shared {
    std::atomic<int> arrived, actions, rounds[16];
};

RankShared<Shared> shared_memory()
{
    return RankShared<Shared>::make();
}

struct Job {
    serry_barrier b, other;
    int n, me;
    RankShared<Shared> shared;
};

std::vector<serry_process> start_all(serry_process_fn fn, Job job, int n)
{
    std::vector<serry_process> all;
    for (job.me = 0; job.me < n; job.me++)
        all.push_back(start(fn, job));
    return all;
}

/* ---- rounds ---- */

/* Nobody goes on before all have come, and each has a place of its own. */
SERRY_RANKS_TEST(Barrier, LetsAllGoTogether, .both_ways())
{
    int n = serry_size();
    serry_barrier b = named("together", n);
    for (int round = 0; round < 10; round++) {
        int index = must_wait(b);
        std::vector<int> all((size_t)n);
        ASSERT_EQ(serry_world_allgather(&index, sizeof index, all.data()), SERRY_OK);
        std::set<int> places(all.begin(), all.end());
        EXPECT_EQ(places.size(), (size_t)n);
        EXPECT_EQ(*places.begin(), 0);
        EXPECT_EQ(*places.rbegin(), n - 1);
    }
    EXPECT_EQ(waiting_at(b), 0);
    EXPECT_FALSE(serry_barrier_is_broken(b));
}

int keeps_in_step(const void *arg, size_t)
{
    const Job *job = static_cast<const Job *>(arg);
    for (int round = 0; round < job->n; round++) {
        job->shared->rounds[job->me] = round;
        must_wait(job->b);
        for (int i = 0; i < 5; i++) {
            int other = job->shared->rounds[i];
            EXPECT_TRUE(other == round || other == round + 1) << other << " in round " << round;
        }
        must_wait(job->other);
    }
    return 0;
}

SERRY_RANKS_TEST(Barrier, KeepsFiveInStepForAThousandRounds, .ranks({ 1 }).timeout(60))
{
    Job job = { make(5), make(5), 500, 0, shared_memory() };
    join_all(start_all(keeps_in_step, job, 5));
}

/* Without anything between: a quick one must not slip into the round before. */
int passes(const void *arg, size_t)
{
    const Job *job = static_cast<const Job *>(arg);
    for (int round = 0; round < job->n; round++) {
        job->shared->rounds[job->me] = round;
        if (must_wait(job->b) == 0)
            job->shared->actions++;
        for (int i = 0; i < 3; i++)
            EXPECT_GE(job->shared->rounds[i], round);
    }
    return 0;
}

SERRY_RANKS_TEST(Barrier, NeverMixesRounds, .ranks({ 1 }).timeout(60))
{
    Job job = { make(3), {}, 1000, 0, shared_memory() };
    join_all(start_all(passes, job, 3));
    EXPECT_EQ(job.shared->actions, 1000) << "one of each round is the first";
}

SERRY_RANKS_TEST(Barrier, ForOneNeverWaits, .ranks({ 1 }))
{
    serry_barrier b = make(1);
    for (int i = 0; i < 50; i++) {
        EXPECT_EQ(must_wait(b), 0);
        EXPECT_EQ(must_wait(b, SERRY_NOWAIT), 0);
        EXPECT_EQ(serry_barrier_wait(b, nullptr, 0.001), SERRY_OK);
    }
}

/* More callers than parties: each three that come make a round. */
SERRY_RANKS_TEST(Barrier, TakesWhoeverComes, .ranks({ 1 }))
{
    Job job = { make(3), {}, 20, 0, shared_memory() };
    join_all(start_all(
        [](const void *arg, size_t) {
            const Job *j = static_cast<const Job *>(arg);
            for (int i = 0; i < j->n; i++) {
                if (must_wait(j->b) == 0)
                    j->shared->actions++;
            }
            return 0;
        },
        job, 3));
    EXPECT_EQ(job.shared->actions, 20);
    std::vector<serry_process> all =
        start_all([](const void *arg,
                     size_t) { return must_wait(static_cast<const Job *>(arg)->b) < 0 ? 1 : 0; },
                  job, 6);
    join_all(all);
    EXPECT_EQ(waiting_at(job.b), 0);
}

SERRY_RANKS_TEST(Barrier, TakesThreadsAsParties, .ranks({ 1, 2 }).timeout(60))
{
    serry_barrier b = named("threads", 3 * serry_size());
    std::atomic<int> firsts{ 0 };
    std::vector<std::thread> threads;
    for (int i = 0; i < 3; i++) {
        threads.emplace_back([&] {
            for (int round = 0; round < 100; round++) {
                int index = -1;
                EXPECT_EQ(serry_barrier_wait(b, &index, patience(20)), SERRY_OK)
                    << serry_err_detail();
                firsts += index == 0;
            }
        });
    }
    for (std::thread &t : threads)
        t.join();
    int64_t mine = firsts, all = 0;
    ASSERT_EQ(serry_world_allreduce(&mine, &all, 1, SERRY_INT64, SERRY_SUM), SERRY_OK);
    EXPECT_EQ(all, 100);
}

SERRY_RANKS_TEST(Barrier, SaysHowManyWait, .ranks({ 1 }))
{
    Job job = { make(4), {}, 1, 0, {} };
    std::vector<serry_process> all;
    for (int i = 0; i < 3; i++) {
        EXPECT_EQ(waiting_at(job.b), i);
        all.push_back(start(
            [](const void *arg, size_t) {
                must_wait(static_cast<const Job *>(arg)->b);
                return 0;
            },
            job));
        ASSERT_TRUE(wait_for([&] { return waiting_at(job.b) == i + 1; }));
    }
    EXPECT_EQ(must_wait(job.b), 3);
    join_all(all);
    EXPECT_EQ(waiting_at(job.b), 0);
}

/* ---- the action ---- */

int counts(const void *arg, size_t len)
{
    RankShared<Shared> shared;
    EXPECT_EQ(len, sizeof shared);
    memcpy(&shared, arg, sizeof shared);
    EXPECT_EQ(shared->arrived % 3, 0) << "all are here, nobody has left";
    shared->actions++;
    return 0;
}

int comes_often(const void *arg, size_t)
{
    const Job *job = static_cast<const Job *>(arg);
    for (int round = 0; round < job->n; round++) {
        job->shared->arrived++;
        int before = job->shared->actions;
        EXPECT_LE(before, round);
        must_wait(job->b);
        EXPECT_GT(job->shared->actions, round);
        must_wait(job->other);
    }
    return 0;
}

SERRY_RANKS_TEST(Barrier, RunsItsActionOnceARound, .ranks({ 1 }).timeout(60))
{
    Job job = { {}, make(3), 100, 0, shared_memory() };
    serry_barrier_options o = {};
    o.action = counts;
    RankShared<Shared> arg = job.shared; /* the argument is copied */
    o.arg = &arg;
    o.arg_len = sizeof arg;
    job.b = make(3, o);
    arg = {};
    join_all(start_all(comes_often, job, 3));
    EXPECT_EQ(job.shared->actions, 100);
}

/* It may use the library, this barrier too. */
int looks_around(const void *arg, size_t)
{
    char name[16] = {};
    memcpy(name, arg, 8);
    serry_barrier b = {};
    serry_barrier_options o = {};
    o.name = own_name(name);
    o.action = looks_around;
    o.arg = name;
    o.arg_len = 8;
    EXPECT_EQ(serry_barrier_create(&b, 2, &o), SERRY_OK) << serry_err_detail();
    EXPECT_EQ(waiting_at(b), 2);
    EXPECT_FALSE(serry_barrier_is_broken(b));
    EXPECT_NE(described(b.id).find("runs the action"), std::string::npos) << described(b.id);
    return 0;
}

SERRY_RANKS_TEST(Barrier, LetsItsActionUseTheLibrary, .ranks({ 2 }))
{
    const char name[8] = "around";
    serry_barrier_options o = {};
    o.name = own_name(name);
    o.action = looks_around;
    o.arg = name;
    o.arg_len = sizeof name;
    serry_barrier b = make(2, o);
    for (int i = 0; i < 20; i++)
        must_wait(b);
}

int fails(const void *, size_t)
{
    return 7;
}

int comes_once(const void *arg, size_t)
{
    expect_broken(static_cast<const Job *>(arg)->b, "the action failed with 7 in rank ");
    return 0;
}

SERRY_RANKS_TEST(Barrier, BreaksWhenItsActionFails, .ranks({ 1 }).in_own_world())
{
    serry_barrier_options o = {};
    o.action = fails;
    Job job = { make(3, o), {}, 1, 0, {} };
    join_all(start_all(comes_once, job, 3));
    EXPECT_TRUE(serry_barrier_is_broken(job.b));
    expect_broken(job.b, "the action failed");
    serry_barrier one = make(1, o);
    expect_broken(one, "the action failed with 7 in rank 0");
    EXPECT_EQ(serry_barrier_reset(one), SERRY_OK);
    expect_broken(one, "the action failed with 7 in rank 0");
}

/* Those who come for the next round while the action of this one runs. */
int is_slow(const void *arg, size_t)
{
    RankShared<Shared> shared;
    memcpy(&shared, arg, sizeof shared);
    shared->actions++;
    EXPECT_TRUE(wait_for([&] { return shared->arrived >= 4; }, patience(20)));
    return 0;
}

SERRY_RANKS_TEST(Barrier, KeepsTheNextRoundApartFromTheAction, .ranks({ 1 }))
{
    Job job = { {}, {}, 1, 0, shared_memory() };
    serry_barrier_options o = {};
    o.action = is_slow;
    o.arg = &job.shared;
    o.arg_len = sizeof job.shared;
    job.b = make(2, o);
    serry_process_fn comes = [](const void *arg, size_t) {
        const Job *j = static_cast<const Job *>(arg);
        j->shared->arrived++;
        must_wait(j->b);
        return 0;
    };
    std::vector<serry_process> all = start_all(comes, job, 2);
    ASSERT_TRUE(wait_for([&] { return job.shared->actions == 1; }, patience(20)));
    for (serry_process p : start_all(comes, job, 2))
        all.push_back(p);
    join_all(all);
    EXPECT_EQ(job.shared->actions, 2);
}

/* ---- broken ---- */

int is_told(const void *arg, size_t)
{
    const Job *job = static_cast<const Job *>(arg);
    const char *why[] = { "aborted by rank 0", "reset by rank 0", "rank 0 did not wait any longer",
                          "rank 0 did not wait", "destroyed" };
    int index = -7;
    serry_err e = serry_barrier_wait(job->b, &index, SERRY_FOREVER);
    EXPECT_EQ(e, job->n == 4 ? SERRY_EHANDLE : SERRY_EBROKEN);
    EXPECT_NE(std::string(serry_err_detail()).find(why[job->n]), std::string::npos)
        << serry_err_detail();
    EXPECT_EQ(index, -7);
    return 0;
}

/* Four of five wait, then something happens. */
std::vector<serry_process> four_wait(const Job &job)
{
    std::vector<serry_process> all = start_all(is_told, job, 4);
    EXPECT_TRUE(wait_for([&] { return waiting_at(job.b) == 4; }, patience(20)));
    return all;
}

void expect_usable(serry_barrier b)
{
    Job job = { b, {}, 3, 0, shared_memory() };
    EXPECT_FALSE(serry_barrier_is_broken(b));
    EXPECT_EQ(waiting_at(b), 0);
    join_all(start_all(
        [](const void *arg, size_t) {
            const Job *j = static_cast<const Job *>(arg);
            for (int i = 0; i < j->n; i++)
                must_wait(j->b);
            return 0;
        },
        job, 5));
}

SERRY_RANKS_TEST(Barrier, IsBrokenByAnAbortUntilItIsReset, .ranks({ 1 }).in_own_world())
{
    Job job = { make(5), {}, 0, 0, {} };
    std::vector<serry_process> all = four_wait(job);
    ASSERT_EQ(serry_barrier_abort(job.b), SERRY_OK);
    join_all(all);
    EXPECT_TRUE(serry_barrier_is_broken(job.b));
    EXPECT_EQ(waiting_at(job.b), 0);
    ASSERT_EQ(serry_barrier_abort(job.b), SERRY_OK);
    join_all(start_all(is_told, job, 2)); /* who comes later is told too */
    expect_broken(job.b, "aborted by rank 0");
    EXPECT_EQ(serry_barrier_wait(job.b, nullptr, SERRY_NOWAIT), SERRY_EBROKEN);
    ASSERT_EQ(serry_barrier_reset(job.b), SERRY_OK);
    expect_usable(job.b);
}

SERRY_RANKS_TEST(Barrier, IsUsableOnceReset, .ranks({ 1 }))
{
    Job job = { make(5), {}, 1, 0, {} };
    for (int i = 0; i < 3; i++) {
        std::vector<serry_process> all = four_wait(job);
        ASSERT_EQ(serry_barrier_reset(job.b), SERRY_OK);
        join_all(all);
        expect_usable(job.b);
        ASSERT_EQ(serry_barrier_reset(job.b), SERRY_OK); /* with nobody there */
        expect_usable(job.b);
    }
}

SERRY_RANKS_TEST(Barrier, IsBrokenByOneThatDoesNotWaitLongEnough, .ranks({ 1 }))
{
    for (double timeout : { 0.05, 0.0005 }) {
        Job job = { make(6), {}, 2, 0, {} };
        std::vector<serry_process> all = four_wait(job);
        double begin = serry_time();
        EXPECT_EQ(serry_barrier_wait(job.b, nullptr, timeout), SERRY_ETIMEDOUT);
        EXPECT_NE(std::string(serry_err_detail()).find(": 5 of 6 parties came, after "),
                  std::string::npos)
            << serry_err_detail();
        EXPECT_GE(serry_time() - begin, timeout);
        join_all(all);
        EXPECT_TRUE(serry_barrier_is_broken(job.b));
        expect_broken(job.b, "did not wait any longer");
    }
    Job job = { make(6), {}, 3, 0, {} };
    std::vector<serry_process> all = four_wait(job);
    EXPECT_EQ(serry_barrier_wait(job.b, nullptr, SERRY_NOWAIT), SERRY_ETIMEDOUT);
    join_all(all);
    EXPECT_TRUE(serry_barrier_is_broken(job.b));
}

SERRY_RANKS_TEST(Barrier, HasATimeoutOfItsOwn, .ranks({ 1 }))
{
    serry_barrier_options o = {};
    o.timeout = 0.1;
    Job job = { make(3, o), {}, 0, 0, {} };
    double begin = serry_time();
    EXPECT_EQ(serry_barrier_wait(job.b, nullptr, SERRY_FOREVER), SERRY_ETIMEDOUT);
    EXPECT_GE(serry_time() - begin, 0.1);
    EXPECT_LT(serry_time() - begin, patience(2));
    expect_broken(job.b, "did not wait any longer");
    /* That of the wait comes before it. */
    o.timeout = 1000;
    EXPECT_EQ(serry_barrier_wait(make(2, o), nullptr, 0.01), SERRY_ETIMEDOUT);
    for (double none : { 0.0, -1.0, HUGE_VAL }) {
        o.timeout = none;
        serry_barrier b = make(2, o);
        serry_process p = start(
            [](const void *arg, size_t) {
                must_wait(static_cast<const Job *>(arg)->b);
                return 0;
            },
            Job{ b, {}, 0, 0, {} });
        must_wait(b);
        EXPECT_EQ(join(p), 0);
    }
}

SERRY_RANKS_TEST(Barrier, EndsWithAnErrorForThoseWhoWait, .ranks({ 1 }))
{
    Job job = { make(5), {}, 4, 0, {} };
    std::vector<serry_process> all = four_wait(job);
    ASSERT_EQ(serry_barrier_destroy(job.b), SERRY_OK);
    join_all(all);
    EXPECT_FALSE(serry_barrier_is_broken(job.b));
}

/* ---- names ---- */

SERRY_RANKS_TEST(Barrier, IsTheSameByItsNameAndSettings, .ranks({ 1, 3 }))
{
    serry_barrier_options o = {};
    char arg[8] = "one";
    o.name = own_name("the same");
    o.action = looks_around;
    o.arg = arg;
    o.arg_len = sizeof arg;
    o.timeout = 100;
    serry_barrier b = make(5, o), out = {};
    EXPECT_EQ(make(5, o).id, b.id);
    EXPECT_EQ(serry_barrier_create(&out, 4, &o), SERRY_EINVAL);
    serry_barrier_options other = o;
    other.timeout = 101;
    EXPECT_EQ(serry_barrier_create(&out, 5, &other), SERRY_EINVAL);
    other = o;
    other.action = fails;
    EXPECT_EQ(serry_barrier_create(&out, 5, &other), SERRY_EINVAL);
    other.action = nullptr;
    EXPECT_EQ(serry_barrier_create(&out, 5, &other), SERRY_EINVAL);
    other = o;
    other.arg_len = 4;
    EXPECT_EQ(serry_barrier_create(&out, 5, &other), SERRY_EINVAL);
    other = o;
    char another[8] = "two";
    other.arg = another;
    EXPECT_EQ(serry_barrier_create(&out, 5, &other), SERRY_EINVAL);
    EXPECT_NE(std::string(serry_err_detail()).find("the same"), std::string::npos);
    EXPECT_EQ(out.id, 0u);
    all_here();
}

SERRY_RANKS_TEST(Barrier, IsDescribed, .ranks({ 1 }).in_own_world())
{
    serry_barrier b = named("gate", 2);
    EXPECT_EQ(described(b.id), "barrier \"gate\": 0 of 2 parties are here, waited at by nobody");
    serry_process p = start(
        [](const void *arg, size_t) {
            must_wait(static_cast<const Job *>(arg)->b);
            return 0;
        },
        Job{ b, {}, 0, 0, {} });
    ASSERT_TRUE(comes_to_say(b.id, "1 of 2 parties are here, waited at by rank 1, for 0."));
    must_wait(b);
    EXPECT_EQ(join(p), 0);
    EXPECT_EQ(serry_barrier_abort(b), SERRY_OK);
    EXPECT_EQ(described(b.id), "barrier \"gate\": broken: aborted by rank 0");
}

/* ---- wrong use ---- */

SERRY_RANKS_TEST(Barrier, RefusesWhatIsWrong, .ranks({ 1 }))
{
    serry_barrier good = make(1), gone = make(1), out = {};
    serry_queue q = {};
    ASSERT_EQ(serry_queue_create(&q, nullptr), SERRY_OK);
    ASSERT_EQ(serry_barrier_destroy(gone), SERRY_OK);
    serry_barrier_options o = {};
    EXPECT_EQ(serry_barrier_create(nullptr, 1, nullptr), SERRY_EINVAL);
    for (int parties : { 0, -1, INT_MIN })
        EXPECT_EQ(serry_barrier_create(&out, parties, nullptr), SERRY_EINVAL);
    for (const std::string &name : { std::string(), std::string(64, 'x') }) {
        o.name = name.c_str();
        EXPECT_EQ(serry_barrier_create(&out, 1, &o), SERRY_EINVAL);
    }
    o.name = nullptr;
    o.node = 5000;
    EXPECT_EQ(serry_barrier_create(&out, 1, &o), SERRY_EINVAL);
    o.node = 0;
    o.timeout = std::nan("");
    EXPECT_EQ(serry_barrier_create(&out, 1, &o), SERRY_EINVAL);
    o.timeout = 0;
    o.action = fails;
    o.arg_len = 5;
    EXPECT_EQ(serry_barrier_create(&out, 1, &o), SERRY_EINVAL) << "5 bytes at NULL";
    o.arg = &o;
    o.arg_len = SIZE_MAX / 2;
    EXPECT_EQ(serry_barrier_create(&out, 1, &o), SERRY_ELIMIT);
    EXPECT_EQ(out.id, 0u);
    for (serry_barrier b : { serry_barrier{ 0 }, serry_barrier{ ~0ull }, serry_barrier{ q.id },
                             serry_barrier{ good.id + 1 }, gone }) {
        int n = -5;
        for (int i = 0; i < 2; i++) {
            EXPECT_EQ(serry_barrier_wait(b, &n, SERRY_NOWAIT), SERRY_EHANDLE) << b.id;
            EXPECT_EQ(serry_barrier_wait(b, &n, SERRY_FOREVER), SERRY_EHANDLE) << b.id;
            EXPECT_EQ(serry_barrier_reset(b), SERRY_EHANDLE) << b.id;
            EXPECT_EQ(serry_barrier_abort(b), SERRY_EHANDLE) << b.id;
            EXPECT_EQ(serry_barrier_waiting(b, &n), SERRY_EHANDLE) << b.id;
            EXPECT_FALSE(serry_barrier_is_broken(b)) << b.id;
            EXPECT_EQ(serry_barrier_destroy(b), SERRY_EHANDLE) << b.id;
            EXPECT_STRNE(serry_err_detail(), "");
        }
        EXPECT_EQ(n, -5);
    }
    serry_barrier two = make(2);
    EXPECT_EQ(serry_barrier_wait(two, nullptr, std::nan("")), SERRY_EINVAL);
    EXPECT_FALSE(serry_barrier_is_broken(two));
    EXPECT_EQ(serry_barrier_waiting(two, nullptr), SERRY_OK);
    EXPECT_EQ(must_wait(good, INFINITY), 0);
}

TEST(Barrier, IsOfNoUseOutsideTheWorld)
{
    serry_barrier b = { 1 };
    int n;
    EXPECT_EQ(serry_barrier_create(&b, 1, nullptr), SERRY_ESTATE);
    EXPECT_EQ(serry_barrier_wait(b, &n, 0), SERRY_ESTATE);
    EXPECT_EQ(serry_barrier_reset(b), SERRY_ESTATE);
    EXPECT_EQ(serry_barrier_abort(b), SERRY_ESTATE);
    EXPECT_EQ(serry_barrier_waiting(b, &n), SERRY_ESTATE);
    EXPECT_FALSE(serry_barrier_is_broken(b));
    EXPECT_EQ(serry_barrier_destroy(b), SERRY_ESTATE);
}

} // namespace
