// ctest: timeout=60
/* Messages: peers that go, and bad arguments. */
#include "base/fate.h"
#include "unit/core_message.h"

namespace {

/* ---- peers that go ---- */

TEST_F(Message, AReceiveOfADeadRankFailsAndNamesTheSignal)
{
    net.when_asleep([&] { net.fate(3, SRI_FATE_DIED, -9); });
    EXPECT_EQ(recv(3, 5), SERRY_EDIED);
    EXPECT_STREQ(serry_err_detail(), "rank 3 was killed by signal 9");
    EXPECT_EQ(recv(3, 5), SERRY_EDIED);
    EXPECT_EQ(serry_send(3, 5, "x", 1), SERRY_EDIED);
    EXPECT_STREQ(serry_err_detail(), "rank 3 was killed by signal 9");
    serry_request r = { 4711 };
    EXPECT_EQ(serry_isend(&r, 3, 5, "x", 1), SERRY_EDIED);
    EXPECT_EQ(serry_irecv(&r, 3, 5, buf, 1), SERRY_EDIED);
    EXPECT_EQ(serry_probe(3, 5, &st, SERRY_FOREVER), SERRY_EDIED);
    EXPECT_EQ(r.id, 4711u);
}

TEST_F(Message, AReceiveOfARankOfALostNodeNamesTheNode)
{
    net.when_asleep([&] { net.fate(3, SRI_FATE_DIED, sri_code_lost_with(7)); });
    EXPECT_EQ(recv(3, 5), SERRY_EDIED);
    EXPECT_STREQ(serry_err_detail(), "rank 3 was lost with node 7");
}

TEST_F(Message, ASendThatMeetsADeadLaneNamesTheCauseThatFollows)
{
    net.present.erase(2);
    net.when_asleep([&] { net.fate(2, SRI_FATE_DIED, -9); });
    EXPECT_EQ(serry_send(2, 5, "x", 1), SERRY_EDIED);
    EXPECT_STREQ(serry_err_detail(), "rank 2 was killed by signal 9");
}

TEST_F(Message, ARankThatHasFinalizedIsGoneToo)
{
    net.fate(2, SRI_FATE_LEFT, 0);
    net.settle();
    EXPECT_EQ(recv(2, 5), SERRY_EDIED);
    EXPECT_STREQ(serry_err_detail(), "rank 2 has finalized");
}

TEST_F(Message, WhatADeadRankHadSentCanBeReceived)
{
    net.message(3, 5, "last words");
    net.announce(3, 5, 42, 2 * eager);
    net.fate(3, SRI_FATE_DIED, 1);
    net.settle();
    ASSERT_EQ(recv(3, 5), SERRY_OK);
    EXPECT_EQ(got(), "last words");
    EXPECT_EQ(recv(3, 5), SERRY_EDIED);
    EXPECT_STREQ(serry_err_detail(), "rank 3 ended with exit code 1 and without finalizing");
}

TEST_F(Message, LongSendsToADeadRankFailInEveryStage)
{
    std::string out = pattern(unasked + 4 * eager);
    serry_request r[3];
    ASSERT_EQ(serry_isend(&r[0], 1, 0, out.data(), out.size()), SERRY_OK);
    clear(1, take_announce(1, 0, out.size()), 99);
    net.room = 1;
    net.settle(); /* flowing */
    net.room = 1;
    net.settle();
    ASSERT_EQ(serry_isend(&r[1], 1, 1, out.data(), out.size()), SERRY_OK); /* kept back */
    ASSERT_EQ(serry_isend(&r[2], 1, 2, "x", 1), SERRY_OK);
    net.fate(1, SRI_FATE_DIED, -11);
    for (auto &q : r) {
        EXPECT_EQ(serry_wait(&q, nullptr, SERRY_FOREVER), SERRY_EDIED);
        EXPECT_STREQ(serry_err_detail(), "rank 1 was killed by signal 11");
    }
}

TEST_F(Message, AReceiveHalfDoneFailsWithItsSender)
{
    serry_request r;
    ASSERT_EQ(serry_irecv(&r, 1, 5, buf, sizeof buf), SERRY_OK);
    net.announce(1, 5, 42, 2 * eager);
    net.settle();
    data(1, take_clear(1, 42), pattern(eager));
    net.fate(1, SRI_FATE_DIED, -9);
    EXPECT_EQ(serry_wait(&r, nullptr, SERRY_FOREVER), SERRY_EDIED);
}

TEST_F(Message, AnySourceIsToldOfEachDeathOnce)
{
    net.fate(2, SRI_FATE_DIED, -9);
    net.fate(3, SRI_FATE_DIED, -15);
    net.message(3, 1, "before");
    net.settle();
    ASSERT_EQ(recv(SERRY_ANY, 1), SERRY_OK);
    EXPECT_EQ(recv(SERRY_ANY, 1), SERRY_EDIED);
    EXPECT_EQ(st.source, 2);
    EXPECT_STREQ(serry_err_detail(), "rank 2 was killed by signal 9");
    EXPECT_EQ(recv(SERRY_ANY, 1), SERRY_EDIED);
    EXPECT_EQ(st.source, 3);
    EXPECT_EQ(recv(SERRY_ANY, 1, SERRY_NOWAIT), SERRY_ETIMEDOUT);
    net.when_asleep([&] { net.message(1, 1, "alive"); });
    EXPECT_EQ(recv(SERRY_ANY, 1), SERRY_OK);
}

TEST_F(Message, AnySourceIsNotToldOfThoseWhoLeave)
{
    net.fate(2, SRI_FATE_LEFT, 0);
    net.settle();
    EXPECT_EQ(recv(SERRY_ANY, 1, SERRY_NOWAIT), SERRY_ETIMEDOUT);
}

TEST_F(Message, AnySourceFailsWhenNobodyIsLeft)
{
    net.fate(1, SRI_FATE_LEFT, 0);
    net.fate(2, SRI_FATE_LEFT, 0);
    net.when_asleep([&] { net.fate(3, SRI_FATE_LEFT, 0); });
    EXPECT_EQ(recv(SERRY_ANY, 1), SERRY_EDIED);
    EXPECT_STREQ(serry_err_detail(), "no other rank is left");
    EXPECT_EQ(recv(SERRY_ANY, 1), SERRY_EDIED);
    EXPECT_EQ(serry_probe(SERRY_ANY, 1, nullptr, SERRY_FOREVER), SERRY_EDIED);
}

TEST_F(Message, AnySourceWaitsWhileAStartedProcessLives)
{
    for (int i = 1; i < 4; i++)
        net.fate(i, SRI_FATE_LEFT, 0);
    net.present.insert(4);
    net.present.insert(5);
    net.fate(4, SRI_FATE_LEFT, 0);
    net.settle();
    EXPECT_EQ(recv(SERRY_ANY, 1, SERRY_NOWAIT), SERRY_ETIMEDOUT);
    net.when_asleep([&] { net.message(5, 1, "from 5"); });
    ASSERT_EQ(recv(SERRY_ANY, 1), SERRY_OK);
    net.when_asleep([&] { net.fate(5, SRI_FATE_DIED, -9); });
    EXPECT_EQ(recv(SERRY_ANY, 1), SERRY_EDIED);
    EXPECT_EQ(st.source, 5);
    EXPECT_EQ(recv(SERRY_ANY, 1), SERRY_EDIED);
    EXPECT_EQ(st.source, SERRY_NONE);
}

/* ---- bad arguments ---- */

TEST_F(Message, BadArgumentsAreNamedAndChangeNothing)
{
    serry_request r = { 4711 };
    EXPECT_EQ(serry_send(-3, 0, "x", 1), SERRY_EINVAL);
    EXPECT_NE(std::string(serry_err_detail()).find("-3"), std::string::npos);
    EXPECT_EQ(serry_send(SERRY_ANY, 0, "x", 1), SERRY_EINVAL);
    EXPECT_EQ(serry_send(4, 0, "x", 1), SERRY_EINVAL);
    EXPECT_NE(std::string(serry_err_detail()).find("rank 4 is not in the world"),
              std::string::npos);
    EXPECT_EQ(serry_send(INT_MAX, 0, "x", 1), SERRY_EINVAL);
    EXPECT_EQ(serry_send(1, -1, "x", 1), SERRY_EINVAL);
    EXPECT_EQ(serry_send(1, 0, nullptr, 1), SERRY_EINVAL);
    EXPECT_EQ(serry_send(1, 0, "x", (size_t{ 1 } << 32) + 1), SERRY_ELIMIT);
    EXPECT_EQ(recv(4, 0), SERRY_EINVAL);
    EXPECT_EQ(recv(-5, 0), SERRY_EINVAL);
    EXPECT_EQ(recv(1, -2), SERRY_EINVAL);
    EXPECT_EQ(recv(1, 0, std::nan("")), SERRY_EINVAL);
    EXPECT_EQ(serry_recv(1, 0, nullptr, 1, &st, SERRY_NOWAIT), SERRY_EINVAL);
    EXPECT_EQ(serry_probe(9, 0, &st, SERRY_NOWAIT), SERRY_EINVAL);
    EXPECT_EQ(serry_isend(&r, 9, 0, "x", 1), SERRY_EINVAL);
    EXPECT_EQ(serry_irecv(&r, 9, 0, buf, 1), SERRY_EINVAL);
    EXPECT_EQ(serry_isend(nullptr, 1, 0, "x", 1), SERRY_EINVAL);
    EXPECT_EQ(serry_wait(nullptr, nullptr, SERRY_NOWAIT), SERRY_EINVAL);
    EXPECT_EQ(r.id, 4711u);
    EXPECT_EQ(st.source, -7);
    EXPECT_TRUE(net.frames.empty());
    EXPECT_EQ(serry_send(1, INT_MAX, nullptr, 0), SERRY_OK);
}

TEST_F(Message, RequestsHaveALimit)
{
    std::vector<serry_request> rs(1048576);
    for (auto &r : rs)
        ASSERT_EQ(serry_irecv(&r, 1, 1, nullptr, 0), SERRY_OK);
    serry_request more;
    EXPECT_EQ(serry_irecv(&more, 1, 1, nullptr, 0), SERRY_ELIMIT);
    for (auto &r : rs)
        ASSERT_EQ(serry_cancel(&r), SERRY_OK);
    EXPECT_EQ(serry_irecv(&more, 1, 1, nullptr, 0), SERRY_OK);
}

TEST_F(Message, WhatIsWaitedForIsPublishedWhileAsleep)
{
    net.when_asleep([&] { net.message(1, 5, "x"); });
    ASSERT_EQ(recv(1, 5), SERRY_OK);
    ASSERT_EQ(net.published.size(), 2u);
    EXPECT_EQ(net.published[0].kind, uint32_t{ SRI_WAIT_RECV });
    EXPECT_EQ(net.published[0].peer, 1);
    EXPECT_EQ(net.published[0].object, 5u);
    EXPECT_NE(net.published[0].since, 0);
    EXPECT_EQ(net.published[1].kind, uint32_t{ SRI_WAIT_NONE });
}

} // namespace
