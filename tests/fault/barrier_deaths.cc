// ctest: slow timeout=180
/* Parties of a barrier that die: before they come, while they wait, while they run the action,
 * behind it. The others are told at once, by name, and the barrier can be reset. */
#include "fault/fault.h"
#include "patterns/sync_test.h"

#include <atomic>
#include <sys/mman.h>

using namespace serry_test;

namespace {

struct Shared {
    std::atomic<int> killed; /* rank; 0: nobody yet */
    std::atomic<int> passed;
};

Shared *shared_memory()
{
    void *p =
        mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return p == MAP_FAILED ? nullptr : new (p) Shared();
}

struct Job {
    serry_barrier b;
    int point, count; /* where it dies, and the how manyeth time */
    int n;
    Shared *shared;
};

serry_barrier make(int parties, serry_process_fn action = nullptr)
{
    serry_barrier b = {};
    serry_barrier_options o = {};
    o.action = action;
    EXPECT_EQ(serry_barrier_create(&b, parties, &o), SERRY_OK) << serry_err_detail();
    return b;
}

int waiting_at(serry_barrier b)
{
    int n = -1;
    EXPECT_EQ(serry_barrier_waiting(b, &n), SERRY_OK) << serry_err_detail();
    return n;
}

std::string killed(int rank)
{
    return "rank " + std::to_string(rank) + " was killed by signal 9";
}

/* Waits until it is told who was killed. */
int is_told(const void *arg, size_t)
{
    const Job *job = static_cast<const Job *>(arg);
    for (int i = 0; i < job->n; i++) {
        serry_err e = serry_barrier_wait(job->b, nullptr, SERRY_FOREVER);
        if (e == SERRY_OK)
            continue;
        EXPECT_EQ(e, SERRY_EBROKEN);
        EXPECT_TRUE(wait_for([&] { return job->shared->killed != 0; }, patience(20)));
        EXPECT_TRUE(has(serry_err_detail(), killed(job->shared->killed))) << serry_err_detail();
        return 0;
    }
    return 1;
}

int waits(const void *arg, size_t)
{
    const Job *job = static_cast<const Job *>(arg);
    for (int i = 0; i < job->n; i++) {
        if (serry_barrier_wait(job->b, nullptr, SERRY_FOREVER) != SERRY_OK)
            return 1;
    }
    return 0;
}

void expect_usable(serry_barrier b, int parties)
{
    ASSERT_EQ(serry_barrier_reset(b), SERRY_OK);
    EXPECT_FALSE(serry_barrier_is_broken(b));
    std::vector<serry_process> all;
    for (int i = 0; i < parties; i++)
        all.push_back(start(waits, Job{ b, 0, 0, 3, nullptr }));
    join_all(all);
}

SERRY_RANKS_TEST(BarrierDeath, OfOneThatWaitsIsToldToTheOthers, .ranks({ 1 }).timeout(60))
{
    for (int i = 0; i < rounds(10); i++) {
        Job job = { make(4), 0, 0, 1, shared_memory() };
        std::vector<serry_process> others = { start(is_told, job), start(is_told, job) };
        serry_process dead = start(waits, job);
        ASSERT_TRUE(wait_for([&] { return waiting_at(job.b) == 3; }));
        double begin = serry_time();
        end(dead);
        job.shared->killed = rank_of(dead);
        join_all(others);
        EXPECT_LT(serry_time() - begin, patience(5));
        EXPECT_TRUE(serry_barrier_is_broken(job.b));
        EXPECT_EQ(serry_barrier_wait(job.b, nullptr, SERRY_FOREVER), SERRY_EBROKEN);
        EXPECT_TRUE(has(serry_err_detail(), killed(job.shared->killed))) << serry_err_detail();
        EXPECT_TRUE(has(described(job.b.id), killed(job.shared->killed))) << described(job.b.id);
        expect_usable(job.b, 4);
        munmap(job.shared, sizeof *job.shared);
    }
}

/* It was in the round before, and the others are waiting for it, or will. */
int waits_and_lingers(const void *arg, size_t)
{
    const Job *job = static_cast<const Job *>(arg);
    EXPECT_EQ(serry_barrier_wait(job->b, nullptr, SERRY_FOREVER), SERRY_OK);
    job->shared->passed++;
    for (;;)
        pause();
}

SERRY_RANKS_TEST(BarrierDeath, OfOneThatIsExpectedIsToldToTheOthers, .ranks({ 1 }).timeout(60))
{
    for (int i = 0; i < rounds(10); i++) {
        Job job = { make(3), 0, 0, 2, shared_memory() };
        std::vector<serry_process> others = { start(is_told, job), start(is_told, job) };
        serry_process dead = start(waits_and_lingers, job);
        ASSERT_TRUE(wait_for([&] { return job.shared->passed == 1; }, patience(20)));
        if (i % 2) /* else it is dead before they come, perhaps */
            ASSERT_TRUE(wait_for([&] { return waiting_at(job.b) == 2; }));
        end(dead);
        job.shared->killed = rank_of(dead);
        join_all(others);
        expect_usable(job.b, 3);
        munmap(job.shared, sizeof *job.shared);
    }
}

/* By its name, all ranks are expected from the beginning. */
SERRY_RANKS_BODY(one_never_comes)
{
    serry_barrier b = {};
    serry_barrier_options o = {};
    o.name = "never comes";
    ASSERT_EQ(serry_barrier_create(&b, 3, &o), SERRY_OK);
    if (serry_rank() == 2) {
        for (int r = 0; r < 2; r++)
            ASSERT_EQ(serry_recv(r, 1, nullptr, 0, nullptr, SERRY_FOREVER), SERRY_OK);
        die();
    }
    ASSERT_EQ(serry_send(2, 1, nullptr, 0), SERRY_OK) << serry_err_detail();
    ASSERT_EQ(serry_barrier_wait(b, nullptr, patience(20)), SERRY_EBROKEN);
    EXPECT_TRUE(has(serry_err_detail(), killed(2))) << serry_err_detail();
    note("told");
}

TEST(BarrierDeath, OfOneThatNeverCameIsToldToTheOthers)
{
    for (Lanes lanes : { shm, socket }) {
        for (int i = 0; i < rounds(5); i++) {
            RankOptions o;
            o.run_flags = { "--keep-going" };
            RanksResult r = try_ranks(3, lanes, "one_never_comes", o);
            EXPECT_TRUE(hand_on(r)) << name_of(lanes);
            EXPECT_EQ(r.notes().size(), 2u) << r.program;
        }
    }
}

/* Those who come in the place of the dead, before or behind their death, are as good. */
SERRY_RANKS_TEST(BarrierDeath, IsMadeGoodByNewParties, .ranks({ 1 }))
{
    Job job = { make(3), 0, 0, 1, shared_memory() };
    std::vector<serry_process> all;
    for (int round = 0; round < 4; round++) {
        std::vector<serry_process> old = std::move(all);
        all = { start(waits_and_lingers, job) };
        ASSERT_TRUE(wait_for([&] { return waiting_at(job.b) == 1; }, patience(20)));
        for (serry_process p : old)
            end(p);
        all.push_back(start(waits_and_lingers, job));
        all.push_back(start(waits_and_lingers, job));
        ASSERT_TRUE(wait_for([&] { return job.shared->passed == 3 * (round + 1); }, patience(20)));
    }
    for (serry_process p : all)
        end(p);
    EXPECT_FALSE(serry_barrier_is_broken(job.b));
    munmap(job.shared, sizeof *job.shared);
}

SERRY_RANKS_TEST(BarrierDeath, OfOneThatHasEndedWellBreaksNothing, .ranks({ 1 }))
{
    serry_barrier b = make(3);
    for (int i = 0; i < 5; i++) {
        std::vector<serry_process> all;
        for (int k = 0; k < 3; k++)
            all.push_back(start(waits, Job{ b, 0, 0, 2, nullptr }));
        join_all(all);
        EXPECT_FALSE(serry_barrier_is_broken(b));
    }
}

/* ---- in the action ---- */

int kills_itself(const void *, size_t)
{
    die();
}

int finds_it_broken(const void *arg, size_t)
{
    const Job *job = static_cast<const Job *>(arg);
    EXPECT_EQ(serry_barrier_wait(job->b, nullptr, SERRY_FOREVER), SERRY_EBROKEN);
    EXPECT_TRUE(has(serry_err_detail(), "was killed by signal 9")) << serry_err_detail();
    return 0;
}

SERRY_RANKS_TEST(BarrierDeath, InTheActionIsToldToTheOthers, .ranks({ 1 }).timeout(60))
{
    for (int i = 0; i < rounds(10); i++) {
        Job job = { make(3, kills_itself), 0, 0, 1, nullptr };
        std::vector<serry_process> all;
        for (int k = 0; k < 3; k++)
            all.push_back(start(finds_it_broken, job));
        int dead = 0;
        for (serry_process p : all)
            dead += join(p) == -SIGKILL;
        EXPECT_EQ(dead, 1);
        EXPECT_TRUE(serry_barrier_is_broken(job.b));
    }
}

/* ---- at each place ---- */

int nothing(const void *, size_t)
{
    return 0;
}

int dies_at_a_point(const void *arg, size_t)
{
    Job job = *static_cast<const Job *>(arg);
    sri_point_choose(job.point, (unsigned)job.count);
    return waits(arg, 0);
}

int goes_on_until_broken(const void *arg, size_t)
{
    const Job *job = static_cast<const Job *>(arg);
    serry_err e;
    while ((e = serry_barrier_wait(job->b, nullptr, SERRY_FOREVER)) == SERRY_OK)
        ;
    EXPECT_EQ(e, SERRY_EBROKEN);
    EXPECT_TRUE(has(serry_err_detail(), "was killed by signal 9")) << serry_err_detail();
    return 0;
}

SERRY_RANKS_TEST(BarrierDeath, AtEachPointIsToldToTheOthers, .ranks({ 1 }).timeout(120))
{
    for (int point = 60; point <= 64; point++) {
        for (int count : { 1, 2, 7 }) {
            Job job = { make(3, nothing), point, count, 100000, nullptr };
            std::vector<serry_process> others = { start(goes_on_until_broken, job),
                                                  start(goes_on_until_broken, job) };
            serry_process victim = start(dies_at_a_point, job);
            /* At its first passing of the first point it has never been a party. */
            if (point == 60 && count == 1) {
                EXPECT_EQ(join(victim), -SIGKILL);
                ASSERT_TRUE(wait_for([&] { return waiting_at(job.b) == 2; }));
                EXPECT_EQ(join(start(dies_at_a_point, Job{ job.b, point, 2, 100000, nullptr })),
                          -SIGKILL);
            } else {
                EXPECT_EQ(join(victim), -SIGKILL) << point << ":" << count;
            }
            join_all(others);
            EXPECT_TRUE(serry_barrier_is_broken(job.b));
            expect_usable(job.b, 3);
            EXPECT_EQ(serry_barrier_destroy(job.b), SERRY_OK);
        }
    }
}

/* ---- at any time ---- */

int tells_of_its_first(const void *arg, size_t)
{
    const Job *job = static_cast<const Job *>(arg);
    EXPECT_EQ(serry_barrier_wait(job->b, nullptr, SERRY_FOREVER), SERRY_OK);
    job->shared->passed++;
    return goes_on_until_broken(arg, 0);
}

SERRY_RANKS_TEST(BarrierDeath, AtAnyTimeIsToldToTheOthers, .ranks({ 1 }).timeout(120))
{
    for (int i = 0; i < rounds(40); i++) {
        Job job = { make(4, i % 2 ? nothing : nullptr), 0, 0, 0, shared_memory() };
        std::vector<serry_process> all;
        for (int k = 0; k < 4; k++)
            all.push_back(start(tells_of_its_first, job));
        ASSERT_TRUE(wait_for([&] { return job.shared->passed == 4; }, patience(20)));
        nap(0, 0.003);
        serry_process dead = all[(size_t)i % 4];
        all.erase(all.begin() + i % 4);
        double begin = serry_time();
        end(dead);
        join_all(all);
        EXPECT_LT(serry_time() - begin, patience(5));
        EXPECT_TRUE(serry_barrier_is_broken(job.b));
        expect_usable(job.b, 4);
        EXPECT_EQ(serry_barrier_destroy(job.b), SERRY_OK);
        munmap(job.shared, sizeof *job.shared);
    }
}

} // namespace
