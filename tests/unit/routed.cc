// ctest: timeout=60
/* The composite transport over two transports played by the test: a near one, which is also the way
 * to the agent, and a far one. This member is rank 0 of node 0; ranks 1 (near), 2 and 3 (far) are
 * launched, started processes have numbers from 4 on: even ones are near, odd ones far. */
extern "C" {
#include "transport/routed.h"
}

#include <gtest/gtest.h>

#include <cstring>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace {

struct Frame {
    int peer;
    unsigned kind;
    unsigned flags;
    uint64_t aux;
    std::string bytes;
};

std::string words(std::initializer_list<uint64_t> ws)
{
    std::string s;
    for (uint64_t w : ws)
        s.append(reinterpret_cast<const char *>(&w), 8);
    return s;
}

/* One of the two below. */
struct Below {
    sri_transport t{};
    std::deque<Frame> sent;
    std::deque<std::function<void(sri_sink &)>> inbox;
    std::vector<int> given_up; /* by .gone */
    std::vector<sri_waiting> published;
    std::vector<uint64_t> bulks;
    size_t room = SIZE_MAX;
    bool quiet = true;
    sri_ns slept_until = 0;
    int closed = 0;
    bool inherited = false;
    unsigned polls = 0;
    bool stopped = false;
    bool refuse_bulk = false;

    static Below &of(sri_transport *t) { return *reinterpret_cast<Below *>(t); }

    explicit Below(bool far)
    {
        static const sri_transport_ops near_ops = ops(false), far_ops = ops(true);
        t.ops = far ? &far_ops : &near_ops;
        t.frame_max = far ? 9000 : 16320;
        t.rank = 0;
        t.size = 4;
    }

    void arrive(int source, unsigned kind, uint64_t aux, const std::string &bytes,
                unsigned flags = 0)
    {
        inbox.push_back([=](sri_sink &sink) {
            auto *at = static_cast<uint8_t *>(aligned_alloc(16, (bytes.size() + 31) / 16 * 16));
            memcpy(at, bytes.data(), bytes.size());
            sri_arrival a{ source,
                           static_cast<uint8_t>(kind),
                           static_cast<uint8_t>(flags),
                           aux,
                           at,
                           bytes.size(),
                           -1 };
            stopped = !sink.deliver(sink.ctx, &a);
            free(at);
        });
    }
    void fate(int rank, sri_fate f, int code = 0)
    {
        inbox.push_back([=](sri_sink &sink) { sink.fate(sink.ctx, rank, f, code); });
    }

    static sri_transport_ops ops(bool far)
    {
        sri_transport_ops o{};
        o.name = far ? "far" : "near";
        o.send = [](sri_transport *t, int peer, const sri_frame *f) {
            Below &b = of(t);
            if (b.room == 0)
                return SRI_FULL;
            b.room--;
            Frame copy{ peer, f->kind, f->flags, f->aux, {} };
            if (f->head_len)
                copy.bytes.append(static_cast<const char *>(f->head), f->head_len);
            if (f->body_len)
                copy.bytes.append(static_cast<const char *>(f->body), f->body_len);
            EXPECT_LE(copy.bytes.size(), t->frame_max);
            b.sent.push_back(copy);
            return SRI_SENT;
        };
        o.poll = [](sri_transport *t) {
            Below &b = of(t);
            bool any = false;
            b.polls++;
            b.stopped = false;
            while (!b.inbox.empty() && !b.stopped) {
                auto next = b.inbox.front();
                b.inbox.pop_front();
                next(t->sink);
                any = true;
            }
            return any;
        };
        o.close = [](sri_transport *t, bool inherited) {
            of(t).closed++;
            of(t).inherited = inherited;
        };
        if (far) {
            o.arm = [](sri_transport *t) { return of(t).quiet; };
            o.bulk = [](sri_transport *, int) { return true; };
            o.bulk_send = [](sri_transport *t, int, uint64_t token, const void *, size_t) {
                if (!of(t).refuse_bulk)
                    of(t).bulks.push_back(token);
                return !of(t).refuse_bulk;
            };
            o.bulk_recv = [](sri_transport *t, int, uint64_t token, void *, size_t) {
                of(t).bulks.push_back(token);
                return true;
            };
            o.bulk_back = [](sri_transport *t, int, uint64_t) {
                of(t).bulks.pop_back();
                return true;
            };
            o.gone = [](sri_transport *t, int peer) {
                of(t).given_up.push_back(peer);
                for (uint64_t token : of(t).bulks)
                    t->sink.bulk_done(t->sink.ctx, peer, token, true, false);
                of(t).bulks.clear();
            };
            return o;
        }
        o.arm = [](sri_transport *t) { return of(t).quiet && of(t).inbox.empty(); };
        o.sleep = [](sri_transport *t, sri_ns until) { of(t).slept_until = until; };
        o.wake = [](sri_transport *) {};
        o.present = [](sri_transport *, int peer) { return peer == 1 || peer == SRI_AGENT; };
        o.members = [](sri_transport *) { return 2; };
        o.cell = [](sri_transport *, uint32_t) -> sri_atomic_u64 * { return nullptr; };
        o.ring_agent = [](sri_transport *) {};
        o.publish = [](sri_transport *t, const sri_waiting *w) { of(t).published.push_back(*w); };
        return o;
    }
};

class Routed : public testing::Test {
protected:
    static constexpr uint64_t window = 256 << 10, frame_cost = 64;

    Below near{ false }, far{ true };
    uint16_t node_of[4] = { 0, 0, 1, 1 };
    sri_places places{};
    sri_transport *t = nullptr;
    std::vector<Frame> got;
    std::vector<std::string> log; /* everything told, in order */
    bool go_on = true;

    void open(bool with_far)
    {
        places.nodes = 2;
        places.size = 4;
        places.node_of = node_of;
        sri_sink sink{};
        sink.ctx = this;
        sink.deliver = [](void *ctx, const sri_arrival *a) {
            auto *me = static_cast<Routed *>(ctx);
            EXPECT_EQ(reinterpret_cast<uintptr_t>(a->bytes) % 16, 0u);
            me->got.push_back({ a->source,
                                a->kind,
                                a->flags,
                                a->aux,
                                { reinterpret_cast<const char *>(a->bytes), a->len } });
            me->log.push_back("frame " + std::to_string(a->source));
            return me->go_on;
        };
        sink.fate = [](void *ctx, int rank, sri_fate f, int code) {
            const char *what[] = { "", "left", "died", "ended" };
            static_cast<Routed *>(ctx)->log.push_back(what[f] + (" " + std::to_string(rank))
                                                      + (code ? " " + std::to_string(code) : ""));
        };
        sink.bulk_done = [](void *ctx, int, uint64_t token, bool, bool ok) {
            static_cast<Routed *>(ctx)->log.push_back("bulk " + std::to_string(token)
                                                      + (ok ? "" : " failed"));
        };
        ASSERT_EQ(sri_routed_open(&t, &near.t, with_far ? &far.t : nullptr, &places, &sink),
                  SERRY_OK);
    }
    void TearDown() override
    {
        if (t)
            t->ops->close(t, false);
    }

    sri_sent send(int peer, const std::string &body, unsigned flags = 0,
                  const std::string &head = "", uint64_t aux = 7)
    {
        sri_frame f{};
        f.kind = SRI_KIND_MESSAGE;
        f.flags = static_cast<uint8_t>(flags);
        f.aux = aux;
        f.head = head.data();
        f.head_len = head.size();
        f.body = body.data();
        f.body_len = body.size();
        f.fd = -1;
        return t->ops->send(t, peer, &f);
    }
    bool poll() { return t->ops->poll(t); }
    void poll_for(sri_ns time)
    {
        for (sri_ns end = sri_now() + time; sri_now() < end;)
            poll();
    }
    void publish(sri_wait_kind kind, int peer)
    {
        sri_waiting w{};
        w.kind = kind;
        w.peer = peer;
        t->ops->publish(t, &w);
    }
    void sleep()
    {
        if (t->ops->arm(t))
            t->ops->sleep(t, SRI_NEVER);
    }
    /* A frame of `source`, as our agent hands it over. */
    void routed(int source, const std::string &bytes, uint64_t taken = 0,
                unsigned kind = SRI_KIND_MESSAGE, uint64_t aux = 7, unsigned flags = 0)
    {
        sri_route r{ source, static_cast<uint8_t>(kind), static_cast<uint8_t>(flags) };
        near.arrive(SRI_AGENT, SRI_KIND_ROUTE, sri_route_pack(r), words({ aux, taken }) + bytes);
    }
    /* Takes the oldest frame that went to our agent. */
    sri_route take_routed(std::string *bytes = nullptr, uint64_t *taken = nullptr)
    {
        if (near.sent.empty()) {
            ADD_FAILURE() << "nothing was sent";
            return {};
        }
        Frame f = near.sent.front();
        near.sent.pop_front();
        EXPECT_EQ(f.peer, SRI_AGENT);
        EXPECT_EQ(f.kind, unsigned{ SRI_KIND_ROUTE });
        EXPECT_GE(f.bytes.size(), size_t{ SRI_ROUTE_HEAD });
        if (bytes)
            *bytes = f.bytes.substr(SRI_ROUTE_HEAD);
        if (taken)
            memcpy(taken, f.bytes.data() + 8, 8);
        return sri_route_unpack(f.aux);
    }
    /* The agent hands the fence back. */
    void return_fence()
    {
        ASSERT_FALSE(near.sent.empty()) << "no fence was sent";
        Frame f = near.sent.front();
        near.sent.pop_front();
        ASSERT_EQ(f.kind, unsigned{ SRI_KIND_ROUTE });
        ASSERT_EQ(sri_route_unpack(f.aux).rank, 0);
        near.arrive(SRI_AGENT, SRI_KIND_ROUTE, f.aux, f.bytes);
    }
    using Log = std::vector<std::string>;
};

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
    poll_for(SRI_MS(20));
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
    poll_for(SRI_MS(20));
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
    poll_for(SRI_MS(20));
    EXPECT_EQ(log, (Log{ "left 2", "ended 2 3" }));
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
