// ctest: timeout=120
/* Events as their users see them, over both kinds of lanes. */
#include "patterns/sync_test.h"

#include <atomic>
#include <cmath>
#include <functional>
#include <thread>

using namespace serry_test;

namespace {

serry_event make(const char *name = nullptr)
{
    serry_event e = {};
    serry_event_options o = {};
    o.name = own_name(name);
    EXPECT_EQ(serry_event_create(&e, &o), SERRY_OK) << serry_err_detail();
    return e;
}

void set(serry_event e)
{
    ASSERT_EQ(serry_event_set(e), SERRY_OK) << serry_err_detail();
}

void clear(serry_event e)
{
    ASSERT_EQ(serry_event_clear(e), SERRY_OK) << serry_err_detail();
}

void must_wait(serry_event e, double timeout = SERRY_FOREVER)
{
    ASSERT_EQ(serry_event_wait(e, timeout), SERRY_OK) << serry_err_detail();
}

struct Pair {
    serry_event a, b;
    int n;
};

/* ---- one after the other ---- */

int sets_it_when_waited_for(const void *arg, size_t)
{
    const Pair *p = static_cast<const Pair *>(arg);
    EXPECT_FALSE(serry_event_is_set(p->a));
    EXPECT_TRUE(comes_to_say(p->a.id, "rank 0"));
    set(p->a);
    return 0;
}

SERRY_RANKS_TEST(Event, IsWhatTheLastCallHasMadeIt, .ranks({ 1 }))
{
    serry_event e = make();
    for (int i = 0; i < 3; i++) {
        EXPECT_FALSE(serry_event_is_set(e));
        EXPECT_EQ(serry_event_wait(e, SERRY_NOWAIT), SERRY_ETIMEDOUT);
        EXPECT_STRNE(serry_err_detail(), "");
        EXPECT_EQ(serry_event_wait(e, -1), SERRY_ETIMEDOUT);
        EXPECT_EQ(serry_event_wait(e, 0.0001), SERRY_ETIMEDOUT);
        double begin = serry_time();
        EXPECT_EQ(serry_event_wait(e, 0.05), SERRY_ETIMEDOUT);
        EXPECT_GE(serry_time() - begin, 0.05);
        set(e);
        set(e);
        EXPECT_TRUE(serry_event_is_set(e));
        must_wait(e, SERRY_NOWAIT);
        must_wait(e, 0.05);
        must_wait(e);
        EXPECT_TRUE(serry_event_is_set(e)) << "waiting does not clear it";
        clear(e);
        clear(e);
    }
    serry_process p = start(sets_it_when_waited_for, Pair{ e, {}, 0 });
    must_wait(e);
    EXPECT_TRUE(serry_event_is_set(e));
    EXPECT_EQ(join(p), 0);
}

int uses_it(const void *arg, size_t)
{
    const Pair *p = static_cast<const Pair *>(arg);
    must_wait(p->a);
    EXPECT_TRUE(serry_event_is_set(p->a));
    clear(p->a);
    set(p->b);
    must_wait(p->b);
    return 0;
}

SERRY_RANKS_TEST(Event, IsUsedByParentAndChild, .ranks({ 1, 2 }))
{
    Pair pair = { make(), make(), 0 };
    serry_process p = start(uses_it, pair);
    set(pair.a);
    must_wait(pair.b);
    EXPECT_FALSE(serry_event_is_set(pair.a));
    EXPECT_EQ(join(p), 0);
    EXPECT_TRUE(serry_event_is_set(pair.b)) << "the process that set it has ended";
}

SERRY_RANKS_TEST(Event, IsTheSameByItsName, .both_ways())
{
    serry_event e = make("the same");
    if (serry_rank() == 0)
        set(e);
    must_wait(e);
    EXPECT_TRUE(serry_event_is_set(make("the same")));
    EXPECT_FALSE(serry_event_is_set(make("another")));
    all_here();
    if (serry_rank() == serry_size() - 1)
        clear(e);
    all_here();
    EXPECT_FALSE(serry_event_is_set(e));
    EXPECT_EQ(serry_event_wait(e, SERRY_NOWAIT), SERRY_ETIMEDOUT);
}

/* ---- several ---- */

/* Rank 0 changes it and says so; whoever hears of it must see it. */
SERRY_RANKS_TEST(Event, IsSeenByAllWhenSetOrClearReturns, .ranks({ 2, 3, 7 }))
{
    serry_event e = make("seen");
    for (int i = 0; i < 300; i++) {
        bool is = i % 3 != 2;
        if (serry_rank() == 0)
            is ? set(e) : clear(e);
        ASSERT_EQ(serry_world_bcast(&i, sizeof i, 0), SERRY_OK);
        ASSERT_EQ(serry_event_is_set(e), is) << "round " << i;
        ASSERT_EQ(serry_event_wait(e, SERRY_NOWAIT), is ? SERRY_OK : SERRY_ETIMEDOUT);
        all_here();
    }
}

int waits(const void *arg, size_t)
{
    const Pair *p = static_cast<const Pair *>(arg);
    must_wait(p->a);
    return 0;
}

SERRY_RANKS_TEST(Event, LetsAllGoWhoWaited, .ranks({ 1 }))
{
    Pair pair = { make(), {}, 0 };
    std::vector<serry_process> all;
    for (int i = 0; i < 8; i++)
        all.push_back(start(waits, pair));
    ASSERT_TRUE(come_to_wait(pair.a.id, 8)) << described(pair.a.id);
    set(pair.a);
    clear(pair.a); /* they go on all the same */
    join_all(all);
    EXPECT_FALSE(serry_event_is_set(pair.a));
}

int waits_often(const void *arg, size_t)
{
    const Pair *p = static_cast<const Pair *>(arg);
    for (int i = 0; i < p->n; i++)
        EXPECT_EQ(serry_event_wait(p->a, patience(20)), SERRY_OK) << serry_err_detail();
    return 0;
}

/* However soon it is cleared again: who waits is let go, looking or asleep. */
SERRY_RANKS_TEST(Event, LetsThoseGoWhoWaitedWhenItWasSetForAMoment, .ranks({ 1 }))
{
    Pair pair = { make(), {}, 300 };
    serry_process p = start(waits_often, pair);
    while (serry_process_is_alive(p)) {
        set(pair.a);
        clear(pair.a);
    }
    EXPECT_EQ(join(p), 0);
}

SERRY_RANKS_TEST(Event, LetsAllThreadsGo, .ranks({ 2 }))
{
    serry_event e = make("threads"), back = make("back");
    for (int round = 0; round < 20; round++) {
        if (serry_rank() == 0) {
            std::atomic<int> through{ 0 };
            std::vector<std::thread> threads;
            for (int i = 0; i < 4; i++) {
                threads.emplace_back([&] {
                    EXPECT_EQ(serry_event_wait(e, patience(20)), SERRY_OK) << serry_err_detail();
                    through++;
                });
            }
            /* One that polls keeps no other out. */
            threads.emplace_back([&] {
                while (!serry_event_is_set(e))
                    std::this_thread::yield();
            });
            for (std::thread &t : threads)
                t.join();
            EXPECT_EQ(through, 4);
            clear(e);
            set(back);
        } else {
            if (round % 2)
                EXPECT_TRUE(come_to_wait(e.id, 4));
            set(e);
            must_wait(back);
            clear(back);
        }
        all_here();
    }
}

/* Each hands on to the next, round and round. */
SERRY_RANKS_TEST(Event, IsHandedRoundAndRound, .ranks({ 2, 3, 7 }))
{
    std::vector<serry_event> turns;
    for (int i = 0; i < serry_size(); i++)
        turns.push_back(make(("turn " + std::to_string(i)).c_str()));
    int me = serry_rank(), next = (me + 1) % serry_size();
    if (me == 0)
        set(turns[0]);
    for (int round = 0; round < 200; round++) {
        must_wait(turns[(size_t)me]);
        clear(turns[(size_t)me]);
        set(turns[(size_t)next]);
    }
    all_here();
    EXPECT_EQ(serry_event_is_set(turns[(size_t)me]), me == 0);
}

/* ---- the end of one ---- */

int waits_for_the_end(const void *arg, size_t)
{
    const Pair *p = static_cast<const Pair *>(arg);
    EXPECT_EQ(serry_event_wait(p->a, SERRY_FOREVER), SERRY_EHANDLE);
    EXPECT_NE(std::string(serry_err_detail()).find("destroyed"), std::string::npos);
    EXPECT_FALSE(serry_event_is_set(p->a));
    EXPECT_EQ(serry_event_wait(p->a, SERRY_NOWAIT), SERRY_EHANDLE);
    return 0;
}

SERRY_RANKS_TEST(Event, EndsWithAnErrorForThoseWhoWait, .ranks({ 1 }))
{
    Pair pair = { make("short-lived"), {}, 0 };
    std::vector<serry_process> all;
    for (int i = 0; i < 3; i++)
        all.push_back(start(waits_for_the_end, pair));
    ASSERT_TRUE(come_to_wait(pair.a.id, 3));
    ASSERT_EQ(serry_event_destroy(pair.a), SERRY_OK);
    join_all(all);
    serry_event again = make("short-lived");
    EXPECT_NE(again.id, pair.a.id);
    set(again);
    EXPECT_FALSE(serry_event_is_set(pair.a));
}

/* A handle that was kept names nothing, whatever has come in its place. */
SERRY_RANKS_TEST(Event, OfOldIsNotTakenForANewOne, .ranks({ 1 }))
{
    std::vector<serry_event> old;
    for (int i = 0; i < 150; i++) {
        serry_event e = make();
        set(e);
        EXPECT_TRUE(serry_event_is_set(e));
        EXPECT_EQ(serry_event_destroy(e), SERRY_OK);
        old.push_back(e);
        for (size_t k = (size_t)i % 10; k < old.size(); k += 10)
            ASSERT_FALSE(serry_event_is_set(old[k]));
    }
}

SERRY_RANKS_TEST(Event, IsDescribed, .ranks({ 1 }).in_own_world())
{
    serry_event e = make("tea");
    EXPECT_EQ(described(e.id), "event \"tea\": clear, waited for by nobody");
    set(e);
    EXPECT_EQ(described(e.id), "event \"tea\": set");
    serry_event other = make();
    serry_process p = start(waits, Pair{ other, {}, 0 });
    ASSERT_TRUE(comes_to_say(other.id, "event #2: clear, waited for by rank 1, for 0."));
    set(other);
    EXPECT_EQ(join(p), 0);
}

/* ---- wrong use ---- */

SERRY_RANKS_TEST(Event, RefusesWhatIsWrong, .ranks({ 1 }))
{
    serry_event good = make("good"), gone = make(), out = {};
    serry_queue q = {};
    ASSERT_EQ(serry_queue_create(&q, nullptr), SERRY_OK);
    ASSERT_EQ(serry_event_destroy(gone), SERRY_OK);
    serry_event_options o = {};
    EXPECT_EQ(serry_event_create(nullptr, nullptr), SERRY_EINVAL);
    EXPECT_EQ(serry_event_create(nullptr, &o), SERRY_EINVAL);
    for (const std::string &name : { std::string(), std::string(64, 'x') }) {
        o.name = name.c_str();
        EXPECT_EQ(serry_event_create(&out, &o), SERRY_EINVAL);
    }
    o.name = nullptr;
    o.node = 5000;
    EXPECT_EQ(serry_event_create(&out, &o), SERRY_EINVAL);
    EXPECT_EQ(out.id, 0u);
    for (serry_event e : { serry_event{ 0 }, serry_event{ ~0ull }, serry_event{ q.id },
                           serry_event{ good.id + 1 }, serry_event{ 12345 }, gone }) {
        for (int i = 0; i < 2; i++) {
            EXPECT_EQ(serry_event_set(e), SERRY_EHANDLE) << e.id;
            EXPECT_EQ(serry_event_clear(e), SERRY_EHANDLE) << e.id;
            EXPECT_EQ(serry_event_wait(e, SERRY_NOWAIT), SERRY_EHANDLE) << e.id;
            EXPECT_EQ(serry_event_wait(e, SERRY_FOREVER), SERRY_EHANDLE) << e.id;
            EXPECT_FALSE(serry_event_is_set(e)) << e.id;
            EXPECT_EQ(serry_event_destroy(e), SERRY_EHANDLE) << e.id;
            EXPECT_STRNE(serry_err_detail(), "");
        }
    }
    EXPECT_EQ(serry_event_wait(good, std::nan("")), SERRY_EINVAL);
    EXPECT_EQ(serry_event_wait(good, -INFINITY), SERRY_ETIMEDOUT);
    EXPECT_FALSE(serry_event_is_set(good));
    set(good);
    must_wait(good, INFINITY);
}

TEST(Event, IsOfNoUseOutsideTheWorld)
{
    serry_event e = { 1 };
    EXPECT_EQ(serry_event_create(&e, nullptr), SERRY_ESTATE);
    EXPECT_EQ(serry_event_set(e), SERRY_ESTATE);
    EXPECT_EQ(serry_event_clear(e), SERRY_ESTATE);
    EXPECT_EQ(serry_event_wait(e, 0), SERRY_ESTATE);
    EXPECT_FALSE(serry_event_is_set(e));
    EXPECT_EQ(serry_event_destroy(e), SERRY_ESTATE);
}

} // namespace
