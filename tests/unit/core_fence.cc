// ctest: timeout=60
/* The order between posts to homes on other nodes and what is sent after them, with the agent and
 * the other ranks played by the test. */
#include "support/fake_transport.h"

#include "core/fence.h"
extern "C" {
#include "agent/handle.h"
#include "core/service.h"
}

namespace {

using namespace serry_test;

uint64_t object_on(unsigned node, uint32_t index = 1)
{
    return sri_handle_make(SRI_TYPE_EVENT, node, index, 1);
}

struct Asked {
    uint64_t object;
    sri_request_head head;
    std::string bytes;
};

/* Rank 0, on node 0 of three. */
class Fence : public testing::Test {
protected:
    FakeTransport net{ 4 };
    std::deque<Asked> asked; /* by this process */
    uint16_t table[4] = { 0, 0, 1, 2 };

    void SetUp() override
    {
        sri_world.places = { 0, 3, 4, table };
        ASSERT_EQ(sri_service_init(), SERRY_OK);
        net.agent = [this](const Frame &f) {
            Asked a = { f.aux, {}, f.bytes.substr(8) };
            memcpy(&a.head, f.bytes.data(), sizeof a.head);
            asked.push_back(a);
            return SRI_SENT;
        };
    }
    void TearDown() override
    {
        sri_service_fini();
        sri_world.places = {};
    }
    void post(uint64_t object, size_t len = 0)
    {
        std::string body(len, 'x');
        ASSERT_EQ(sri_enter(), SERRY_OK);
        EXPECT_EQ(sri_service_post(object, 16, nullptr, 0, body.data(), len), SERRY_OK);
        sri_leave();
    }
    uint32_t start(uint64_t object)
    {
        uint32_t number = 0;
        EXPECT_EQ(sri_enter(), SERRY_OK);
        EXPECT_EQ(sri_service_start(object, 17, nullptr, 0, nullptr, 0, &number), SERRY_OK);
        sri_leave();
        return number;
    }
    serry_err finish(uint32_t number, sri_ns deadline = SRI_NEVER)
    {
        EXPECT_EQ(sri_enter(), SERRY_OK);
        serry_err e = sri_service_finish(number, nullptr, deadline, true);
        sri_leave();
        return e;
    }
    Asked next()
    {
        if (asked.empty()) {
            ADD_FAILURE() << "nothing was asked";
            return {};
        }
        Asked a = asked.front();
        asked.pop_front();
        return a;
    }
    void answer(const Asked &a, serry_err e = SERRY_OK)
    {
        net.arrive(SRI_AGENT, SRI_KIND_REPLY, a.head.number | (uint64_t)e << 32, "");
    }
    void lose(int node) { net.arrive(SRI_AGENT, SRI_KIND_FEED, (uint64_t)node, "", SRI_FLAG_LOST); }
};

TEST_F(Fence, PostsOfThisNodeAreNotAcknowledged)
{
    post(object_on(0));
    Asked a = next();
    EXPECT_EQ(a.head.number, 0u);
    EXPECT_EQ(a.head.flags, 0u);
    ASSERT_EQ(serry_send(2, 0, "a", 1), SERRY_OK);
    EXPECT_EQ(net.frames.size(), 1u);
    EXPECT_EQ(net.sleeps, 0u);
}

TEST_F(Fence, ASendWaitsUntilThePostIsAcknowledged)
{
    post(object_on(1));
    Asked a = next();
    EXPECT_EQ(a.head.flags, SRI_REQUEST_ACK);
    EXPECT_NE(a.head.number, 0u);
    net.when_asleep([&] {
        EXPECT_TRUE(net.frames.empty());
        answer(a);
    });
    ASSERT_EQ(serry_send(2, 0, "a", 1), SERRY_OK);
    EXPECT_EQ(net.frames.size(), 1u);
    EXPECT_EQ(net.sleeps, 1u);
}

TEST_F(Fence, WhatDoesNotBlockIsHeldBackAndKeepsItsOrder)
{
    serry_request r[3];
    std::string longer(100000, 'l');
    post(object_on(1));
    ASSERT_EQ(serry_isend(&r[0], 2, 0, "first", 5), SERRY_OK);
    ASSERT_EQ(serry_isend(&r[1], 2, 1, longer.data(), longer.size()), SERRY_OK);
    ASSERT_EQ(serry_isend(&r[2], 2, 2, "third", 5), SERRY_OK);
    net.settle();
    EXPECT_TRUE(net.frames.empty());
    answer(next());
    net.settle();
    EXPECT_EQ(net.sent().bytes, "first");
    EXPECT_EQ(net.sent().kind, unsigned{ SRI_KIND_ANNOUNCE });
    EXPECT_EQ(net.sent().bytes, "third");
    EXPECT_EQ(serry_wait(&r[0], nullptr, SERRY_NOWAIT), SERRY_OK);
    EXPECT_EQ(serry_cancel(&r[1]), SERRY_OK);
    EXPECT_EQ(serry_wait(&r[2], nullptr, SERRY_NOWAIT), SERRY_OK);
}

TEST_F(Fence, PostsBehindAMessageDoNotHoldItBack)
{
    serry_request r;
    post(object_on(1));
    ASSERT_EQ(serry_isend(&r, 2, 0, "a", 1), SERRY_OK);
    post(object_on(1));
    answer(next());
    net.settle();
    EXPECT_EQ(net.frames.size(), 1u);
    EXPECT_EQ(sri_service_unsettled, 1u);
}

TEST_F(Fence, AHeldBackSendCanBeTakenBack)
{
    serry_request r;
    post(object_on(1));
    ASSERT_EQ(serry_isend(&r, 2, 0, "a", 1), SERRY_OK);
    EXPECT_EQ(serry_wait(&r, nullptr, SERRY_NOWAIT), SERRY_ETIMEDOUT);
    EXPECT_EQ(serry_cancel(&r), SERRY_OK);
    answer(next());
    net.settle();
    EXPECT_TRUE(net.frames.empty());
}

TEST_F(Fence, TheSameHomeIsAskedAtOnceAndOthersAfterIt)
{
    post(object_on(1));
    Asked posted = next();
    start(object_on(1, 2));
    EXPECT_EQ(next().object, object_on(1, 2));
    net.when_asleep([&] {
        EXPECT_TRUE(asked.empty());
        answer(posted);
    });
    start(object_on(2));
    EXPECT_EQ(next().object, object_on(2));
    post(object_on(1));
    posted = next();
    net.when_asleep([&] {
        EXPECT_TRUE(asked.empty()) << "this node's home is another one, too";
        answer(posted);
    });
    start(object_on(0));
    EXPECT_EQ(next().object, object_on(0));
}

TEST_F(Fence, PostsThatMayNotWaitAreHeldBackInTheirOrder)
{
    ASSERT_EQ(sri_enter(), SERRY_OK);
    for (unsigned node : { 1u, 2u, 1u, 0u })
        EXPECT_EQ(sri_service_post_soon(object_on(node), 16, nullptr, 0, "abc", 3), SERRY_OK);
    sri_leave();
    for (unsigned node : { 1u, 2u, 1u }) {
        ASSERT_EQ(asked.size(), 1u);
        Asked a = next();
        EXPECT_EQ(a.object, object_on(node));
        EXPECT_EQ(a.bytes, "abc");
        answer(a);
        net.settle();
    }
    EXPECT_EQ(next().head.flags, 0u);
}

TEST_F(Fence, AWithdrawalPassesWhatIsHeldBack)
{
    uint32_t number = start(object_on(2));
    Asked call = next();
    post(object_on(1));
    Asked posted = next();
    ASSERT_EQ(sri_enter(), SERRY_OK);
    EXPECT_EQ(sri_service_post_soon(object_on(0), 16, nullptr, 0, nullptr, 0), SERRY_OK);
    sri_leave();
    net.when_asleep([&] {
        Asked cancel = next();
        EXPECT_EQ(cancel.head.op, SRI_OP_CANCEL);
        EXPECT_EQ(cancel.object, object_on(2));
        EXPECT_TRUE(asked.empty());
        answer(call, SERRY_ETIMEDOUT);
    });
    EXPECT_EQ(finish(number, sri_now() + 1), SERRY_ETIMEDOUT);
    answer(posted);
    net.settle();
    EXPECT_EQ(next().object, object_on(0));
}

TEST_F(Fence, SoManyPostsAreUnderWayAtMost)
{
    for (int i = 0; i < 1024; i++)
        post(object_on(1));
    EXPECT_EQ(asked.size(), 1024u);
    net.when_asleep([&] {
        EXPECT_EQ(asked.size(), 1024u);
        answer(next());
    });
    post(object_on(1));
    EXPECT_EQ(net.sleeps, 1u);
    EXPECT_EQ(sri_service_unsettled, 1024u);
}

TEST_F(Fence, SoManyBytesAreUnderWayAtMost)
{
    for (int i = 0; i < 100; i++)
        post(object_on(1), (4u << 20) / 100);
    std::vector<Asked> posts;
    auto collect = [&] {
        for (; !asked.empty(); asked.pop_front()) {
            if (asked.front().head.flags & SRI_REQUEST_ACK)
                posts.push_back(asked.front());
        }
    };
    collect();
    net.when_asleep([&] {
        EXPECT_TRUE(asked.empty());
        for (auto &a : posts)
            answer(a);
    });
    post(object_on(1), 1);
    EXPECT_EQ(net.sleeps, 1u);
    EXPECT_EQ(sri_service_unsettled, 1u);
}

TEST_F(Fence, NumbersMayWrap)
{
    for (int i = 0; i < 70000; i++) {
        post(object_on(1));
        answer(next());
        net.settle();
        ASSERT_EQ(sri_service_unsettled, 0u) << i;
    }
}

TEST_F(Fence, ALostNodeEndsWhatWasAskedOfIt)
{
    uint32_t there = start(object_on(1)), elsewhere = start(object_on(2));
    next();
    Asked other = next();
    post(object_on(1));
    Asked posted = next();
    serry_request r;
    ASSERT_EQ(serry_isend(&r, 3, 0, "a", 1), SERRY_OK);
    lose(1);
    net.settle();
    EXPECT_EQ(net.frames.size(), 1u) << "nothing is waited for any more";
    EXPECT_EQ(finish(there), SERRY_EDIED);
    EXPECT_NE(std::string(serry_err_detail()).find("node 1 is lost"), std::string::npos)
        << serry_err_detail();
    ASSERT_EQ(sri_enter(), SERRY_OK);
    EXPECT_FALSE(sri_service_done(elsewhere));
    sri_leave();
    answer(other);
    EXPECT_EQ(finish(elsewhere), SERRY_OK);
    post(object_on(2));
    answer(posted, SERRY_EDIED); /* late */
    net.settle();
    EXPECT_EQ(sri_service_unsettled, 1u);
    answer(next());
    net.settle();
    EXPECT_EQ(sri_service_unsettled, 0u);
}

TEST_F(Fence, HandlesOfNodesThatAreNoneNameNothing)
{
    EXPECT_EQ(serry_event_set({ object_on(3) }), SERRY_EHANDLE);
    serry_event e = { 4711 };
    serry_event_options o = {};
    o.node = SERRY_NODE(3);
    EXPECT_EQ(serry_event_create(&e, &o), SERRY_EINVAL);
    o.node = -2;
    EXPECT_EQ(serry_event_create(&e, &o), SERRY_EINVAL);
    EXPECT_EQ(e.id, 4711u);
}

} // namespace
