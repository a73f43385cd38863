// ctest: timeout=60
/* The composite transport: what it tells of ranks that leave, end or die, and when. */
#include "unit/routed_test.h"

using namespace routed_test;

namespace {

/* ---- ends, through the agents ---- */

TEST_F(Routed, ADeathIsToldBehindWhatTheAgentStillHad)
{
    open(false);
    near.fate(2, SRI_FATE_DIED, -9);
    poll();
    EXPECT_TRUE(log.empty());
    EXPECT_FALSE(t->ops->present(t, 2));
    EXPECT_EQ(send(2, "x"), SRI_GONE);
    routed(2, "late");
    return_fence();
    poll();
    EXPECT_EQ(log, (Log{ "frame 2", "died 2 -9" }));
    routed(2, "too late");
    poll();
    EXPECT_EQ(log.size(), 2u);
    EXPECT_EQ(send(2, "x"), SRI_GONE);
    EXPECT_FALSE(t->ops->present(t, 2));
}

TEST_F(Routed, ADeathEndsAWindow)
{
    open(false);
    std::string body(10000, 'x');
    while (send(3, body) == SRI_SENT)
        ;
    near.sent.clear();
    near.fate(3, SRI_FATE_DIED, 1);
    poll();
    return_fence();
    poll();
    EXPECT_EQ(log, Log{ "died 3 1" });
    EXPECT_EQ(send(3, body), SRI_GONE);
    EXPECT_EQ(send(2, body), SRI_SENT);
}

TEST_F(Routed, OneFenceServesAllDeathsOfARound)
{
    open(false);
    near.room = 0; /* the lane to the agent is full */
    for (int r : { 2, 3, 5, 7 })
        near.fate(r, SRI_FATE_DIED, -9);
    poll();
    EXPECT_TRUE(near.sent.empty());
    near.room = SIZE_MAX;
    poll();
    EXPECT_EQ(near.sent.size(), 1u);
    return_fence();
    poll();
    EXPECT_EQ(log, (Log{ "died 2 -9", "died 3 -9", "died 5 -9", "died 7 -9" }));
    EXPECT_TRUE(near.sent.empty());
}

TEST_F(Routed, DeparturesAreAskedAboutWhenSomebodyWaitsForThem)
{
    open(false);
    for (int r : { 2, 3, 5 })
        near.fate(r, SRI_FATE_LEFT);
    poll();
    publish(SRI_WAIT_FINALIZE, SRI_AGENT);
    sleep();
    publish(SRI_WAIT_NONE, 0);
    poll();
    publish(SRI_WAIT_RECV, 1);
    sleep();
    publish(SRI_WAIT_NONE, 0);
    poll();
    EXPECT_TRUE(near.sent.empty()) << "nobody waits for one of them";
    publish(SRI_WAIT_RECV, 3);
    sleep();
    return_fence();
    poll();
    EXPECT_EQ(log, Log{ "left 3" });
    EXPECT_TRUE(near.sent.empty());
    publish(SRI_WAIT_RECV, -1);
    sleep();
    return_fence();
    poll();
    EXPECT_EQ(log, (Log{ "left 3", "left 2", "left 5" }));
    /* Its end is told as well, once; nothing is awaited any more. */
    near.fate(3, SRI_FATE_ENDED, 0);
    near.fate(3, SRI_FATE_ENDED, 0);
    poll();
    EXPECT_EQ(log.back(), "ended 3");
    EXPECT_EQ(log.size(), 4u);
}

TEST_F(Routed, WhoSleepsWithoutAWordOrNeverSleepsIsToldToo)
{
    open(false);
    near.fate(2, SRI_FATE_LEFT);
    poll();
    EXPECT_TRUE(near.sent.empty());
    sleep();
    return_fence();
    poll();
    EXPECT_EQ(log, Log{ "left 2" });
    near.fate(3, SRI_FATE_LEFT);
    EXPECT_TRUE(poll_until([&] { return !near.sent.empty(); }));
    return_fence();
    poll();
    EXPECT_EQ(log, (Log{ "left 2", "left 3" }));
}

TEST_F(Routed, ASendAsksAboutADeparture)
{
    open(false);
    near.fate(2, SRI_FATE_LEFT);
    poll();
    EXPECT_EQ(send(2, "x"), SRI_GONE);
    poll();
    return_fence();
    poll();
    EXPECT_EQ(log, Log{ "left 2" });
}

TEST_F(Routed, FatesOfThisNodePassAtOnce)
{
    open(true);
    near.fate(1, SRI_FATE_DIED, -11);
    near.fate(SRI_AGENT, SRI_FATE_DIED);
    poll();
    EXPECT_EQ(log, (Log{ "died 1 -11", "died -1" }));
}

/* ---- ends, over the far transport ---- */

TEST_F(Routed, ADepartureIsToldBehindTheAnswerOfTheOneThatLeft)
{
    open(true);
    near.fate(2, SRI_FATE_LEFT);
    poll();
    EXPECT_TRUE(far.sent.empty());
    far.room = 0;
    publish(SRI_WAIT_RECV, 2);
    EXPECT_TRUE(far.sent.empty());
    far.room = SIZE_MAX;
    poll();
    ASSERT_EQ(far.sent.size(), 1u);
    EXPECT_EQ(far.sent[0].peer, 2);
    EXPECT_EQ(far.sent[0].kind, unsigned{ SRI_KIND_ROUTE });
    far.arrive(2, SRI_KIND_MESSAGE, 1, "late");
    poll_for(SRI_MS(20));
    EXPECT_EQ(log, Log{ "frame 2" });
    far.arrive(2, SRI_KIND_ROUTE, 2, "");
    poll();
    EXPECT_EQ(log, (Log{ "frame 2", "left 2" }));
    EXPECT_TRUE(near.sent.empty());
}

TEST_F(Routed, WhoIsAskedAnswersBehindWhatItSent)
{
    open(true);
    EXPECT_EQ(send(3, "before"), SRI_SENT);
    far.arrive(3, SRI_KIND_ROUTE, 1, "");
    far.room = 0;
    poll();
    EXPECT_EQ(far.sent.size(), 1u);
    far.room = SIZE_MAX;
    poll();
    ASSERT_EQ(far.sent.size(), 2u);
    EXPECT_EQ(far.sent[1].kind, unsigned{ SRI_KIND_ROUTE });
    EXPECT_EQ(far.sent[1].aux, 2u);
    EXPECT_TRUE(log.empty());
}

TEST_F(Routed, TheDeadAreDrainedAndThenGivenUp)
{
    open(true);
    near.fate(2, SRI_FATE_DIED, -9);
    poll();
    far.arrive(2, SRI_KIND_MESSAGE, 1, "late");
    poll();
    EXPECT_EQ(log, Log{ "frame 2" });
    EXPECT_TRUE(poll_until([&] { return log.size() == 2; }));
    EXPECT_EQ(log, (Log{ "frame 2", "died 2 -9" }));
    EXPECT_EQ(far.given_up, std::vector<int>{ 2 });
    far.arrive(2, SRI_KIND_MESSAGE, 1, "too late");
    far.arrive(2, SRI_KIND_ROUTE, 1, "");
    poll();
    EXPECT_EQ(log.size(), 2u);
    EXPECT_TRUE(far.sent.empty());
    EXPECT_TRUE(near.sent.empty());
}

TEST_F(Routed, TheDrainIsBoundedUnderTraffic)
{
    open(true);
    near.fate(2, SRI_FATE_DIED, -9);
    poll();
    sri_ns start = sri_now();
    while (log.empty() || log.back() != "died 2 -9") {
        far.arrive(3, SRI_KIND_MESSAGE, 1, "x");
        poll();
        ASSERT_LT(sri_now() - start, SRI_MS(5000));
    }
}

TEST_F(Routed, WhoEndsBeforeItCouldAnswerIsToldBoth)
{
    open(true);
    near.fate(2, SRI_FATE_LEFT);
    poll();
    publish(SRI_WAIT_RECV, 2);
    near.fate(2, SRI_FATE_ENDED, 3);
    EXPECT_TRUE(poll_until([&] { return log.size() == 2; }));
    EXPECT_EQ(log, (Log{ "left 2", "ended 2 3" }));
}

} // namespace
