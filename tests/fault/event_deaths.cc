// ctest: timeout=120
/* Users of an event that die: what they had set holds, and nobody else's wait is disturbed. */
#include "fault/fault.h"
#include "patterns/sync_test.h"

#include <thread>

using namespace serry_test;

namespace {

struct Job {
    serry_event e, other;
    int point, count; /* where it dies, and the how manyeth time */
};

serry_event make()
{
    serry_event e = {};
    EXPECT_EQ(serry_event_create(&e, nullptr), SERRY_OK) << serry_err_detail();
    return e;
}

int sets_and_dies(const void *arg, size_t)
{
    EXPECT_EQ(serry_event_set(static_cast<const Job *>(arg)->e), SERRY_OK);
    die();
}

int waits(const void *arg, size_t)
{
    return serry_event_wait(static_cast<const Job *>(arg)->e, patience(30)) == SERRY_OK ? 0 : 1;
}

SERRY_RANKS_TEST(EventDeath, OfTheSetterLeavesItSet, .ranks({ 1 }).timeout(60))
{
    for (int i = 0; i < rounds(20); i++) {
        Job job = { make(), {}, 0, 0 };
        std::vector<serry_process> all;
        for (int k = 0; k < 3; k++)
            all.push_back(start(waits, job));
        if (i % 2)
            ASSERT_TRUE(come_to_wait(job.e.id, 3));
        EXPECT_EQ(join(start(sets_and_dies, job)), -SIGKILL);
        EXPECT_TRUE(serry_event_is_set(job.e));
        join_all(all);
        EXPECT_EQ(serry_event_clear(job.e), SERRY_OK);
        EXPECT_FALSE(serry_event_is_set(job.e));
        EXPECT_EQ(serry_event_destroy(job.e), SERRY_OK);
    }
}

int makes_and_dies(const void *, size_t)
{
    serry_event e = {};
    serry_event_options o = {};
    o.name = "made by the dead";
    EXPECT_EQ(serry_event_create(&e, &o), SERRY_OK);
    EXPECT_EQ(serry_event_set(e), SERRY_OK);
    die();
}

SERRY_RANKS_TEST(EventDeath, OfItsMakerLeavesIt, .ranks({ 1 }))
{
    EXPECT_EQ(join(start(makes_and_dies, 0)), -SIGKILL);
    serry_event e = {};
    serry_event_options o = {};
    o.name = "made by the dead";
    ASSERT_EQ(serry_event_create(&e, &o), SERRY_OK);
    EXPECT_TRUE(serry_event_is_set(e));
}

SERRY_RANKS_TEST(EventDeath, OfOneWhoWaitsIsForgotten, .ranks({ 1 }))
{
    Job job = { make(), {}, 0, 0 };
    serry_process dead = start(waits, job), other = start(waits, job);
    ASSERT_TRUE(come_to_wait(job.e.id, 2));
    end(dead);
    ASSERT_TRUE(come_to_wait(job.e.id, 1)) << described(job.e.id);
    EXPECT_TRUE(has(described(job.e.id), "rank " + std::to_string(rank_of(other))));
    EXPECT_EQ(serry_event_wait(job.e, 0.001), SERRY_ETIMEDOUT);
    EXPECT_EQ(serry_event_set(job.e), SERRY_OK);
    EXPECT_EQ(join(other), 0);
}

/* ---- at each place ---- */

int dies_at_a_point(const void *arg, size_t)
{
    Job job = *static_cast<const Job *>(arg);
    sri_point_choose(job.point, (unsigned)job.count);
    for (int i = 0; i < 20; i++) {
        serry_err e = serry_event_set(job.e);
        if (e == SERRY_OK)
            e = serry_event_clear(job.e);
        if (e == SERRY_OK && serry_event_wait(job.e, 0.0005) != SERRY_ETIMEDOUT)
            return 2;
        if (e != SERRY_OK)
            return 1;
    }
    return 0;
}

/* Steps on the word, or messages; behind which of them it is set, if that is known. */
struct Place {
    int point;
    enum { Set, Clear, ByCount } then;
};

std::vector<Place> places()
{
    const char *lanes = getenv("SERRY_LANES");
    if (lanes && strcmp(lanes, "socket") == 0)
        return { { 50, Place::Clear },
                 { 51, Place::Clear },
                 { 52, Place::ByCount },
                 { 53, Place::ByCount } };
    return { { 54, Place::Clear }, { 55, Place::Set },   { 56, Place::Set },
             { 57, Place::Clear }, { 58, Place::Clear }, { 59, Place::Set } };
}

SERRY_RANKS_TEST(EventDeath, AtEachPointLeavesItWhole, .ranks({ 1 }).timeout(60))
{
    for (Place place : places()) {
        for (int count : { 1, 2, 3, 16 }) {
            Job job = { make(), {}, place.point, count };
            EXPECT_EQ(join(start(dies_at_a_point, job)), -SIGKILL) << place.point << ":" << count;
            /* Killed before or behind the set (odd counts) or the clear (even ones). */
            bool set = place.then == Place::ByCount ? (place.point == 53) == (count % 2 == 1)
                                                    : place.then == Place::Set;
            EXPECT_EQ(serry_event_is_set(job.e), set) << place.point << ":" << count;
            EXPECT_TRUE(has(described(job.e.id), "set") || has(described(job.e.id), "nobody"));
            EXPECT_EQ(serry_event_clear(job.e), SERRY_OK);
            serry_process p = start(waits, job);
            EXPECT_EQ(serry_event_set(job.e), SERRY_OK);
            EXPECT_TRUE(serry_event_is_set(job.e));
            EXPECT_EQ(join(p), 0);
            EXPECT_EQ(serry_event_destroy(job.e), SERRY_OK);
        }
    }
}

int waits_with_a_thread(const void *arg, size_t len)
{
    std::thread([] {}).join(); /* a process with threads asks the home */
    return waits(arg, len);
}

/* It has set the event by a step, and wakes nobody: neither those asleep at the word, nor those
 * who have asked the home. */
SERRY_RANKS_TEST(EventDeath, BetweenTheStepAndTheWakingLeavesNobodyAsleep,
                 .ranks({ 1 }).timeout(60))
{
    for (int i = 0; i < rounds(10); i++) {
        for (Place place : places()) {
            Job job = { make(), {}, place.point, 1 };
            if (place.then != Place::Set)
                continue;
            std::vector<serry_process> all;
            for (int k = 0; k < 3; k++) {
                all.push_back(start(waits, job));
                all.push_back(start(waits_with_a_thread, job));
            }
            ASSERT_TRUE(come_to_wait(job.e.id, 6)) << described(job.e.id);
            EXPECT_EQ(join(start(dies_at_a_point, job)), -SIGKILL);
            join_all(all);
            EXPECT_EQ(serry_event_destroy(job.e), SERRY_OK);
        }
    }
}

/* ---- at any time ---- */

int uses_them(const void *arg, size_t)
{
    const Job *job = static_cast<const Job *>(arg);
    for (;;) {
        if (serry_event_set(job->e) != SERRY_OK || serry_event_wait(job->e, 0.001) > SERRY_ETIMEDOUT
            || serry_event_clear(job->e) != SERRY_OK
            || serry_event_wait(job->e, 0.001) > SERRY_ETIMEDOUT)
            return 1;
    }
}

SERRY_RANKS_TEST(EventDeath, AtAnyTimeDisturbsNobody, .ranks({ 1 }).timeout(90))
{
    Job job = { make(), make(), 0, 0 };
    std::vector<serry_process> all;
    for (int i = 0; i < 3; i++)
        all.push_back(start(uses_them, job));
    serry_process waiter = start(
        [](const void *arg, size_t) {
            return (int)serry_event_wait(static_cast<const Job *>(arg)->other, patience(60));
        },
        job);
    for (int i = 0; i < rounds(60); i++) {
        serry_process &one = all[(size_t)i % all.size()];
        nap(0, 0.004);
        end(one);
        one = start(uses_them, job);
    }
    for (serry_process p : all)
        end(p);
    EXPECT_EQ(serry_event_clear(job.e), SERRY_OK);
    EXPECT_TRUE(comes_to_say(job.e.id, "clear, waited for by nobody")) << described(job.e.id);
    EXPECT_EQ(serry_event_set(job.other), SERRY_OK);
    EXPECT_EQ(join(waiter), 0);
}

} // namespace
