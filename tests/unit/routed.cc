// ctest: timeout=60
/* The composite transport: ways, windows, bulk, sleeping. */
#include "unit/routed_test.h"

using namespace routed_test;

namespace {

/* ---- ways ---- */

TEST_F(Routed, EachPairHasItsWay)
{
    open(true);
    for (int peer : { SRI_AGENT, 1, 4, 6 })
        EXPECT_EQ(send(peer, "near"), SRI_SENT);
    ASSERT_EQ(near.sent.size(), 4u);
    for (int peer : { SRI_AGENT, 1, 4, 6 }) {
        EXPECT_EQ(near.sent.front().peer, peer);
        EXPECT_EQ(near.sent.front().kind, unsigned{ SRI_KIND_MESSAGE });
        near.sent.pop_front();
    }
    EXPECT_EQ(send(2, "far"), SRI_SENT);
    ASSERT_EQ(far.sent.size(), 1u);
    EXPECT_EQ(far.sent[0].peer, 2);
    EXPECT_EQ(far.sent[0].bytes, "far");
    EXPECT_EQ(send(5, "by agents"), SRI_SENT);
    std::string bytes;
    EXPECT_EQ(take_routed(&bytes).rank, 5);
    EXPECT_EQ(bytes, "by agents");
    EXPECT_EQ(send((1 << 20) + 1, "nobody"), SRI_GONE);
}

TEST_F(Routed, WithoutAFarTransportAllGoesByTheAgents)
{
    open(false);
    EXPECT_EQ(send(2, "body", SRI_FLAG_MORE | SRI_FLAG_COLLECTIVE, words({ 99 }), 12345), SRI_SENT);
    std::string bytes;
    Frame f = near.sent.front();
    sri_route route = take_routed(&bytes);
    EXPECT_EQ(route.rank, 2);
    EXPECT_EQ(route.kind, SRI_KIND_MESSAGE);
    EXPECT_EQ(route.flags, SRI_FLAG_MORE | SRI_FLAG_COLLECTIVE);
    EXPECT_EQ(f.flags, 0u);
    EXPECT_EQ(bytes, words({ 99 }) + "body");
    EXPECT_EQ(t->ops->bulk_send, nullptr);
    EXPECT_EQ(t->frame_max, 16320u - SRI_ROUTE_HEAD);
}

TEST_F(Routed, AStartedProcessReachesLaunchedRanksByTheAgents)
{
    near.t.rank = 6;
    open(true);
    EXPECT_EQ(send(2, "x"), SRI_SENT);
    EXPECT_EQ(take_routed().rank, 2);
    EXPECT_TRUE(far.sent.empty());
}

TEST_F(Routed, FramesArriveAsTheyWereSent)
{
    open(true);
    EXPECT_EQ(t->frame_max, 9000u - SRI_ROUTE_HEAD);
    near.arrive(1, SRI_KIND_MESSAGE, 1, "near");
    routed(5, "by agents", 0, SRI_KIND_ANNOUNCE, 12345, SRI_FLAG_PIPE);
    far.arrive(3, SRI_KIND_DATA, 3, "far");
    EXPECT_TRUE(poll());
    EXPECT_FALSE(poll());
    ASSERT_EQ(got.size(), 3u);
    EXPECT_EQ(got[0].peer, 1);
    EXPECT_EQ(got[0].bytes, "near");
    EXPECT_EQ(got[1].peer, 5);
    EXPECT_EQ(got[1].kind, unsigned{ SRI_KIND_ANNOUNCE });
    EXPECT_EQ(got[1].flags, SRI_FLAG_PIPE);
    EXPECT_EQ(got[1].aux, 12345u);
    EXPECT_EQ(got[1].bytes, "by agents");
    EXPECT_EQ(got[2].peer, 3);
    EXPECT_EQ(got[2].kind, unsigned{ SRI_KIND_DATA });
}

TEST_F(Routed, WhatIsNoRoutedFrameIsDropped)
{
    open(true);
    near.arrive(SRI_AGENT, SRI_KIND_ROUTE, sri_route_pack({ 2, SRI_KIND_MESSAGE, 0 }), "short");
    near.arrive(SRI_AGENT, SRI_KIND_ROUTE, sri_route_pack({ 1, SRI_KIND_MESSAGE, 0 }),
                words({ 1, 0 }));
    near.arrive(SRI_AGENT, SRI_KIND_ROUTE, sri_route_pack({ -5, SRI_KIND_MESSAGE, 0 }),
                words({ 1, 0 }));
    far.arrive(17, SRI_KIND_MESSAGE, 1, "x");
    poll();
    EXPECT_TRUE(got.empty());
}

TEST_F(Routed, ASinkThatSaysStopIsHeardAndNobodyStarves)
{
    open(true);
    go_on = false;
    for (int i = 0; i < 4; i++) {
        near.arrive(1, SRI_KIND_MESSAGE, 1, "near");
        far.arrive(2, SRI_KIND_MESSAGE, 1, "far");
    }
    for (int i = 0; i < 8; i++) {
        EXPECT_TRUE(poll());
        EXPECT_EQ(got.size(), size_t(i + 1));
        EXPECT_EQ(got.back().peer, i % 2 ? 2 : 1);
    }
}

/* ---- windows ---- */

TEST_F(Routed, WhoHasAWindowUnderWayWaits)
{
    open(false);
    std::string body(10000, 'x');
    uint64_t cost = body.size() + frame_cost, n = window / cost;
    for (uint64_t i = 0; i < n; i++)
        ASSERT_EQ(send(2, body), SRI_SENT);
    EXPECT_EQ(send(2, body), SRI_FULL);
    EXPECT_EQ(near.sent.size(), n);
    EXPECT_EQ(send(3, body), SRI_SENT) << "another pair has a window of its own";
    EXPECT_EQ(send(1, body), SRI_SENT);
    routed(2, "", cost, 0); /* one was taken */
    EXPECT_TRUE(poll());
    EXPECT_TRUE(got.empty());
    EXPECT_EQ(send(2, body), SRI_SENT);
    EXPECT_EQ(send(2, body), SRI_FULL);
    routed(2, "answer", 2 * cost); /* said beside something else */
    EXPECT_TRUE(poll());
    EXPECT_EQ(send(2, body), SRI_SENT);
    EXPECT_EQ(send(2, body), SRI_FULL);
    routed(2, "", uint64_t{ 1 } << 40, 0); /* more than was ever sent is not believed */
    poll();
    EXPECT_EQ(send(2, body), SRI_FULL);
}

TEST_F(Routed, SoonIsOnlyPromisedWhereTheWindowAllowsIt)
{
    open(false);
    std::string body(t->frame_max, 'x');
    while (send(2, body, SRI_FLAG_SOON) == SRI_SENT)
        ;
    ASSERT_GT(near.sent.size(), 2u);
    EXPECT_TRUE(near.sent.front().flags & SRI_FLAG_SOON);
    EXPECT_FALSE(near.sent.back().flags & SRI_FLAG_SOON);
}

TEST_F(Routed, TheReceiverSaysSoWhenHalfAWindowWasTaken)
{
    open(false);
    std::string body(10000, 'x');
    uint64_t cost = body.size() + frame_cost, n = (window / 2 + cost - 1) / cost;
    for (uint64_t i = 0; i + 1 < n; i++)
        routed(2, body);
    poll();
    EXPECT_TRUE(near.sent.empty());
    routed(2, body);
    poll();
    uint64_t taken;
    sri_route r = take_routed(nullptr, &taken);
    EXPECT_EQ(r.rank, 2);
    EXPECT_EQ(r.kind, 0);
    EXPECT_EQ(taken, n * cost);
    EXPECT_TRUE(near.sent.empty());
    /* What goes that way anyway says it too. */
    for (uint64_t i = 0; i < 2 * n; i++) {
        routed(2, body);
        poll();
        EXPECT_EQ(send(2, "x"), SRI_SENT);
        EXPECT_EQ(take_routed(nullptr, &taken).kind, SRI_KIND_MESSAGE);
        EXPECT_EQ(taken, (n + i + 1) * cost);
        routed(2, "", (i + 1) * (1 + frame_cost), 0);
    }
    EXPECT_TRUE(near.sent.empty());
}

TEST_F(Routed, CreditThatFindsAFullLaneGoesLater)
{
    open(false);
    near.room = 0;
    for (int i = 0; i < 20; i++)
        routed(2, std::string(10000, 'x'));
    poll();
    EXPECT_EQ(got.size(), 20u);
    EXPECT_TRUE(near.sent.empty());
    near.room = SIZE_MAX;
    poll();
    uint64_t taken;
    take_routed(nullptr, &taken);
    EXPECT_EQ(taken, 20 * (10000 + frame_cost));
    EXPECT_TRUE(near.sent.empty());
    EXPECT_FALSE(poll());
}

TEST_F(Routed, AFrameBeyondTheWindowGoesAlone)
{
    near.t.frame_max = 1 << 20;
    open(false);
    std::string body(window + 5, 'x');
    EXPECT_EQ(send(2, body), SRI_SENT);
    EXPECT_EQ(send(2, body), SRI_FULL);
    routed(2, "", body.size() + frame_cost, 0);
    poll();
    EXPECT_EQ(send(2, body), SRI_SENT);
}

/* ---- bulk ---- */

TEST_F(Routed, BulkGoesTheFarWayAlone)
{
    open(true);
    char c = 0;
    EXPECT_TRUE(t->ops->bulk(t, 2));
    for (int peer : { 1, 4, 5 }) {
        EXPECT_FALSE(t->ops->bulk(t, peer));
        EXPECT_FALSE(t->ops->bulk_send(t, peer, 1, &c, 1));
        EXPECT_FALSE(t->ops->bulk_recv(t, peer, 1, &c, 1));
    }
    EXPECT_TRUE(t->ops->bulk_send(t, 2, 41, &c, 1));
    EXPECT_TRUE(t->ops->bulk_recv(t, 2, 42, &c, 1));
    EXPECT_TRUE(t->ops->bulk_back(t, 2, 42));
    EXPECT_FALSE(t->ops->bulk_back(t, 3, 42));
    EXPECT_EQ(far.bulks, std::vector<uint64_t>{ 41 });
    far.inbox.push_back([](sri_sink &s) { s.bulk_done(s.ctx, 2, 41, true, true); });
    poll();
    EXPECT_EQ(log, Log{ "bulk 41" });
}

TEST_F(Routed, ADepartureWaitsForBulkTransfersADeathEndsThem)
{
    open(true);
    char c = 0;
    EXPECT_TRUE(t->ops->bulk_recv(t, 2, 41, &c, 1));
    EXPECT_TRUE(t->ops->bulk_recv(t, 3, 43, &c, 1));
    far.bulks = { 43 };
    near.fate(2, SRI_FATE_LEFT);
    near.fate(3, SRI_FATE_DIED, -9);
    poll();
    publish(SRI_WAIT_RECV, 2);
    far.arrive(2, SRI_KIND_ROUTE, 2, "");
    EXPECT_TRUE(poll_until([&] { return log.size() == 2; }));
    poll_for(SRI_MS(20));
    EXPECT_EQ(log, (Log{ "bulk 43 failed", "died 3 -9" }));
    far.inbox.push_back([](sri_sink &s) { s.bulk_done(s.ctx, 2, 41, false, true); });
    poll();
    EXPECT_EQ(log, (Log{ "bulk 43 failed", "died 3 -9", "bulk 41", "left 2" }));
}

TEST_F(Routed, ARefusedBulkIsNotUnderWay)
{
    open(true);
    char c = 0;
    far.refuse_bulk = true;
    EXPECT_FALSE(t->ops->bulk_send(t, 2, 41, &c, 1));
    near.fate(2, SRI_FATE_LEFT);
    poll();
    publish(SRI_WAIT_RECV, 2);
    far.arrive(2, SRI_KIND_ROUTE, 2, "");
    poll();
    EXPECT_EQ(log, Log{ "left 2" });
    EXPECT_FALSE(t->ops->bulk(t, 2));
}

/* ---- sleeping ---- */

TEST_F(Routed, WithoutAFarTransportOneSleepsAsLongAsOneLikes)
{
    open(false);
    ASSERT_TRUE(t->ops->arm(t));
    t->ops->sleep(t, SRI_NEVER);
    EXPECT_EQ(near.slept_until, SRI_NEVER);
    near.quiet = false;
    EXPECT_FALSE(t->ops->arm(t));
}

TEST_F(Routed, WithOneThePausesGrowUntilThereIsNews)
{
    open(true);
    auto pause = [&] {
        sri_ns now = sri_now();
        EXPECT_TRUE(t->ops->arm(t));
        t->ops->sleep(t, SRI_NEVER);
        return near.slept_until - now;
    };
    sri_ns first = pause(), last = first;
    EXPECT_GE(first, SRI_US(50));
    EXPECT_LT(first, SRI_MS(1));
    for (int i = 0; i < 10; i++) {
        EXPECT_FALSE(poll());
        last = pause();
    }
    EXPECT_GE(last, SRI_MS(2));
    EXPECT_LT(last, SRI_MS(10));
    far.arrive(2, SRI_KIND_MESSAGE, 1, "x");
    EXPECT_TRUE(poll());
    EXPECT_LT(pause(), SRI_MS(2));
    t->ops->sleep(t, 5);
    EXPECT_EQ(near.slept_until, 5) << "a deadline is a deadline";
    far.quiet = false;
    EXPECT_FALSE(t->ops->arm(t)) << "the far transport has work";
}

/* ---- presence, closing ---- */

TEST_F(Routed, FarRanksArePresentUntilTheirFateStartedOnesOnceHeard)
{
    open(true);
    EXPECT_TRUE(t->ops->present(t, 1));
    EXPECT_TRUE(t->ops->present(t, 2));
    EXPECT_FALSE(t->ops->present(t, 4));
    EXPECT_FALSE(t->ops->present(t, 5));
    routed(5, "hello");
    near.fate(2, SRI_FATE_LEFT);
    poll();
    EXPECT_TRUE(t->ops->present(t, 5));
    EXPECT_FALSE(t->ops->present(t, 2));
    EXPECT_EQ(t->ops->members(t), 2);
    near.here = 3;
    EXPECT_EQ(t->ops->members(t), 3);
    far.here = 16;
    EXPECT_EQ(t->ops->members(t), 16) << "they share a machine, if not a node";
}

TEST_F(Routed, InTheChildOfAForkBothAreClosedAsInherited)
{
    open(true);
    EXPECT_EQ(send(5, "x"), SRI_SENT);
    routed(7, "x");
    near.fate(3, SRI_FATE_DIED, 1);
    poll();
    t->ops->close(t, true);
    t = nullptr;
    for (Below *b : { &near, &far }) {
        EXPECT_EQ(b->closed, 1);
        EXPECT_TRUE(b->inherited);
    }
}

} // namespace
