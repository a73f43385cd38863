// ctest: timeout=60
/* Messages: short ones, and what a full lane keeps back. */
#include "unit/core_message.h"

namespace {

/* ---- short messages ---- */

TEST_F(Message, ShortOnesAreSentAtOnce)
{
    ASSERT_EQ(serry_send(2, 7, "abc", 3), SERRY_OK);
    Frame f = net.sent();
    EXPECT_EQ(f.peer, 2);
    EXPECT_EQ(f.kind, unsigned{ SRI_KIND_MESSAGE });
    EXPECT_EQ(f.aux, 7u);
    EXPECT_EQ(f.flags, 0u);
    EXPECT_EQ(f.bytes, "abc");
}

TEST_F(Message, APostedReceiveGetsItsMessage)
{
    net.when_asleep([&] { net.message(1, 5, "hello"); });
    ASSERT_EQ(recv(1, 5), SERRY_OK);
    EXPECT_EQ(got(), "hello");
    EXPECT_EQ(st.source, 1);
    EXPECT_EQ(st.tag, 5);
}

TEST_F(Message, OnesThatCameEarlyAreKept)
{
    net.message(1, 5, "first");
    net.message(1, 5, "");
    net.settle();
    ASSERT_EQ(recv(1, 5), SERRY_OK);
    EXPECT_EQ(got(), "first");
    ASSERT_EQ(recv(1, 5, SERRY_NOWAIT), SERRY_OK);
    EXPECT_EQ(st.len, 0u);
    EXPECT_EQ(recv(1, 5, SERRY_NOWAIT), SERRY_ETIMEDOUT);
    EXPECT_EQ(net.sleeps, 0u);
}

TEST_F(Message, TagsAreMatchedApart)
{
    net.message(1, 5, "five");
    net.message(1, 6, "six");
    net.settle();
    ASSERT_EQ(recv(1, 6), SERRY_OK);
    EXPECT_EQ(got(), "six");
    ASSERT_EQ(recv(1, SERRY_ANY), SERRY_OK);
    EXPECT_EQ(got(), "five");
    EXPECT_EQ(st.tag, 5);
}

TEST_F(Message, AnySourceTakesTheOldest)
{
    net.message(3, 1, "a");
    net.message(1, 1, "b");
    net.message(3, 1, "c");
    net.settle();
    for (const char *expected : { "a", "b", "c" }) {
        ASSERT_EQ(recv(SERRY_ANY, 1), SERRY_OK);
        EXPECT_EQ(got(), expected);
    }
}

TEST_F(Message, TheOlderOfTwoPostsWins)
{
    serry_request any, own;
    char a[8], b[8];
    ASSERT_EQ(serry_irecv(&any, SERRY_ANY, 1, a, sizeof a), SERRY_OK);
    ASSERT_EQ(serry_irecv(&own, 1, 1, b, sizeof b), SERRY_OK);
    net.message(1, 1, "one");
    net.message(1, 1, "two");
    ASSERT_EQ(serry_wait(&any, &st, SERRY_FOREVER), SERRY_OK);
    EXPECT_EQ(std::string(a, st.len), "one");
    ASSERT_EQ(serry_wait(&own, &st, SERRY_FOREVER), SERRY_OK);
    EXPECT_EQ(std::string(b, st.len), "two");
}

TEST_F(Message, TooLongForTheBufferStaysWhereItWas)
{
    net.message(1, 5, "longer");
    net.message(1, 5, "x");
    char small[3];
    ASSERT_EQ(serry_recv(1, 5, small, sizeof small, &st, SERRY_FOREVER), SERRY_ETRUNC);
    EXPECT_EQ(st.len, 6u);
    EXPECT_EQ(st.source, 1);
    ASSERT_EQ(recv(1, 5), SERRY_OK);
    EXPECT_EQ(got(), "longer");
    ASSERT_EQ(recv(1, 5), SERRY_OK);
    EXPECT_EQ(got(), "x");
}

TEST_F(Message, OneThatDoesNotFitAPostGoesToTheNext)
{
    serry_request r[2];
    char small[3], large[16];
    ASSERT_EQ(serry_irecv(&r[0], 1, 5, small, sizeof small), SERRY_OK);
    ASSERT_EQ(serry_irecv(&r[1], 1, 5, large, sizeof large), SERRY_OK);
    net.message(1, 5, "longer");
    serry_status sts[2];
    EXPECT_EQ(serry_wait_all(r, 2, sts, SERRY_FOREVER), SERRY_ETRUNC);
    EXPECT_EQ(sts[0].len, 6u);
    EXPECT_EQ(std::string(large, sts[1].len), "longer");
}

TEST_F(Message, WithoutAStatusAShorterOneIsTaken)
{
    net.message(1, 5, "abc");
    ASSERT_EQ(serry_recv(1, 5, buf, sizeof buf, nullptr, SERRY_FOREVER), SERRY_OK);
    EXPECT_EQ(std::string(buf), "abc");
}

TEST_F(Message, ATimeoutTakesNothing)
{
    EXPECT_EQ(recv(1, 5, 0.002), SERRY_ETIMEDOUT);
    EXPECT_NE(std::string(serry_err_detail()).find("rank 1"), std::string::npos);
    net.message(1, 5, "late");
    ASSERT_EQ(recv(1, 5, SERRY_NOWAIT), SERRY_OK);
    EXPECT_EQ(got(), "late");
}

TEST_F(Message, OnesToItselfArriveAtAnyLength)
{
    std::string large = pattern(3 * eager);
    ASSERT_EQ(serry_send(0, 1, large.data(), large.size()), SERRY_OK);
    ASSERT_EQ(recv(0, 1), SERRY_OK);
    EXPECT_EQ(got(), large);
    EXPECT_TRUE(net.frames.empty());
    serry_request r;
    ASSERT_EQ(serry_irecv(&r, SERRY_ANY, SERRY_ANY, buf, sizeof buf), SERRY_OK);
    ASSERT_EQ(serry_send(0, 2, "me", 2), SERRY_OK);
    ASSERT_EQ(serry_wait(&r, &st, SERRY_NOWAIT), SERRY_OK);
    EXPECT_EQ(got(), "me");
}

TEST_F(Message, NobodyIsANoOp)
{
    ASSERT_EQ(serry_send(SERRY_NONE, 1, "x", 1), SERRY_OK);
    ASSERT_EQ(recv(SERRY_NONE, 9), SERRY_OK);
    EXPECT_EQ(st.source, SERRY_NONE);
    EXPECT_EQ(st.tag, 9);
    EXPECT_EQ(st.len, 0u);
    EXPECT_TRUE(net.frames.empty());
}

TEST_F(Message, ACollectiveOneIsNotForTheUser)
{
    net.arrive(1, SRI_KIND_MESSAGE, 5, "inner", SRI_FLAG_COLLECTIVE);
    net.message(1, 5, "outer");
    net.settle();
    ASSERT_EQ(recv(SERRY_ANY, SERRY_ANY), SERRY_OK);
    EXPECT_EQ(got(), "outer");
    EXPECT_EQ(recv(SERRY_ANY, SERRY_ANY, SERRY_NOWAIT), SERRY_ETIMEDOUT);
}

TEST_F(Message, ProbeDescribesWithoutTaking)
{
    EXPECT_EQ(serry_probe(1, 5, &st, SERRY_NOWAIT), SERRY_ETIMEDOUT);
    net.when_asleep([&] { net.message(1, 5, "here"); });
    ASSERT_EQ(serry_probe(SERRY_ANY, SERRY_ANY, &st, SERRY_FOREVER), SERRY_OK);
    EXPECT_EQ(st.source, 1);
    EXPECT_EQ(st.tag, 5);
    EXPECT_EQ(st.len, 4u);
    ASSERT_EQ(recv(1, 5, SERRY_NOWAIT), SERRY_OK);
    EXPECT_EQ(got(), "here");
}

/* ---- full lanes ---- */

TEST_F(Message, WhatAFullLaneDoesNotTakeFollowsInOrder)
{
    net.room = 1;
    serry_request r[3];
    for (int i = 0; i < 3; i++)
        ASSERT_EQ(serry_isend(&r[i], 1, i, "x", 1), SERRY_OK);
    EXPECT_EQ(r[0].id, 0u);
    EXPECT_NE(r[1].id, 0u);
    EXPECT_EQ(net.frames.size(), 1u);
    net.room = 10;
    ASSERT_EQ(serry_wait_all(r, 3, nullptr, SERRY_FOREVER), SERRY_OK);
    for (uint64_t i = 0; i < 3; i++)
        EXPECT_EQ(net.sent().aux, i);
}

TEST_F(Message, ASenderAtAFullLaneReceivesMeanwhile)
{
    net.room = 0;
    net.when_asleep([&] { net.message(1, 1, "meanwhile"); });
    net.when_asleep([&] { net.room = 1; });
    ASSERT_EQ(serry_send(1, 2, "x", 1), SERRY_OK);
    ASSERT_EQ(recv(1, 1, SERRY_NOWAIT), SERRY_OK);
    EXPECT_EQ(got(), "meanwhile");
    EXPECT_EQ(net.sent().aux, 2u);
}

TEST_F(Message, WithoutALaneASendFails)
{
    net.limited = { 2 };
    EXPECT_EQ(serry_send(2, 0, "x", 1), SERRY_ELIMIT);
    EXPECT_NE(std::string(serry_err_detail()).find("rank 2"), std::string::npos);
}

} // namespace
