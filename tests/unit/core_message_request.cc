// ctest: timeout=60
/* Messages: requests. */
#include "unit/core_message.h"

namespace {

/* ---- requests ---- */

TEST_F(Message, AFinishedRequestIsZeroAndItsHandleStale)
{
    serry_request r, copy;
    ASSERT_EQ(serry_irecv(&r, 1, 5, buf, sizeof buf), SERRY_OK);
    copy = r;
    EXPECT_EQ(serry_wait(&r, &st, SERRY_NOWAIT), SERRY_ETIMEDOUT);
    EXPECT_EQ(r.id, copy.id);
    net.message(1, 5, "x");
    ASSERT_EQ(serry_wait(&r, &st, SERRY_FOREVER), SERRY_OK);
    EXPECT_EQ(r.id, 0u);
    EXPECT_EQ(serry_wait(&r, nullptr, SERRY_FOREVER), SERRY_OK);
    EXPECT_EQ(serry_wait(&copy, nullptr, SERRY_FOREVER), SERRY_EHANDLE);
    EXPECT_EQ(serry_cancel(&copy), SERRY_EHANDLE);
    serry_request foreign = { 0x123456789abcdefULL };
    EXPECT_EQ(serry_wait_all(&foreign, 1, nullptr, SERRY_FOREVER), SERRY_EHANDLE);
}

TEST_F(Message, WaitAnyTakesOneThatHasFinished)
{
    serry_request r[3];
    char b[3][8];
    for (int i = 0; i < 3; i++)
        ASSERT_EQ(serry_irecv(&r[i], 1, i, b[i], sizeof b[i]), SERRY_OK);
    size_t which = 77;
    EXPECT_EQ(serry_wait_any(r, 3, &which, nullptr, SERRY_NOWAIT), SERRY_ETIMEDOUT);
    EXPECT_EQ(which, 77u);
    net.when_asleep([&] { net.message(1, 1, "b"); });
    ASSERT_EQ(serry_wait_any(r, 3, &which, &st, SERRY_FOREVER), SERRY_OK);
    EXPECT_EQ(which, 1u);
    EXPECT_EQ(st.tag, 1);
    EXPECT_EQ(r[1].id, 0u);
    net.message(1, 0, "a");
    net.message(1, 2, "c");
    ASSERT_EQ(serry_wait_all(r, 3, nullptr, SERRY_FOREVER), SERRY_OK);
    ASSERT_EQ(serry_wait_any(r, 3, &which, nullptr, SERRY_FOREVER), SERRY_OK);
    EXPECT_EQ(which, 3u);
}

TEST_F(Message, WaitAllOutOfTimeKeepsTheUnfinished)
{
    serry_request r[2];
    ASSERT_EQ(serry_irecv(&r[0], 1, 0, buf, 8), SERRY_OK);
    ASSERT_EQ(serry_irecv(&r[1], 1, 1, buf + 8, 8), SERRY_OK);
    net.message(1, 1, "b");
    EXPECT_EQ(serry_wait_all(r, 2, nullptr, 0.002), SERRY_ETIMEDOUT);
    EXPECT_NE(r[0].id, 0u);
    EXPECT_EQ(r[1].id, 0u);
    ASSERT_EQ(serry_cancel(&r[0]), SERRY_OK);
}

TEST_F(Message, TheSameRequestTwiceIsRefused)
{
    serry_request r[2];
    ASSERT_EQ(serry_irecv(&r[0], 1, 0, buf, 8), SERRY_OK);
    r[1] = r[0];
    EXPECT_EQ(serry_wait_all(r, 2, nullptr, SERRY_FOREVER), SERRY_ESTATE);
    ASSERT_EQ(serry_cancel(&r[0]), SERRY_OK);
}

TEST_F(Message, ACancelledReceiveGetsNothing)
{
    serry_request r;
    ASSERT_EQ(serry_irecv(&r, 1, 5, buf, sizeof buf), SERRY_OK);
    ASSERT_EQ(serry_cancel(&r), SERRY_OK);
    EXPECT_EQ(r.id, 0u);
    net.message(1, 5, "x");
    net.settle();
    EXPECT_EQ(buf[0], 0);
    ASSERT_EQ(recv(1, 5, SERRY_NOWAIT), SERRY_OK);
}

TEST_F(Message, AMatchedReceiveCannotBeCancelled)
{
    serry_request r;
    ASSERT_EQ(serry_irecv(&r, 1, 5, buf, sizeof buf), SERRY_OK);
    net.announce(1, 5, 42, 2 * eager);
    net.settle();
    EXPECT_EQ(serry_cancel(&r), SERRY_ESTATE);
    EXPECT_NE(r.id, 0u);
}

TEST_F(Message, ACancelledSendIsWithdrawn)
{
    std::string out = pattern(unasked + 1);
    serry_request r;
    ASSERT_EQ(serry_isend(&r, 1, 5, out.data(), out.size()), SERRY_OK);
    uint64_t token = take_announce(1, 5, out.size());
    ASSERT_EQ(serry_cancel(&r), SERRY_OK);
    Frame f = net.sent();
    EXPECT_EQ(f.kind, unsigned{ SRI_KIND_WITHDRAW });
    EXPECT_EQ(f.aux, token);
    /* The clear crossed it. */
    clear(1, token, 99);
    net.settle();
    EXPECT_TRUE(net.frames.empty());
}

TEST_F(Message, AKeptBackSendIsCancelledWithoutATrace)
{
    net.room = 0;
    serry_request r;
    ASSERT_EQ(serry_isend(&r, 1, 5, "x", 1), SERRY_OK);
    ASSERT_EQ(serry_cancel(&r), SERRY_OK);
    net.room = 5;
    net.settle();
    EXPECT_TRUE(net.frames.empty());
}

TEST_F(Message, AFlowingSendCannotBeCancelled)
{
    std::string out = pattern(unasked + 4 * eager);
    serry_request r;
    ASSERT_EQ(serry_isend(&r, 1, 5, out.data(), out.size()), SERRY_OK);
    clear(1, take_announce(1, 5, out.size()), 99);
    net.room = 1;
    net.settle();
    EXPECT_EQ(serry_cancel(&r), SERRY_ESTATE);
    net.room = 1000;
    EXPECT_EQ(serry_wait(&r, nullptr, SERRY_FOREVER), SERRY_OK);
}

TEST_F(Message, AWithdrawnAnnouncementIsForgotten)
{
    net.announce(1, 5, 42, 2 * eager);
    net.arrive(1, SRI_KIND_WITHDRAW, 42, "");
    net.settle();
    EXPECT_EQ(serry_probe(1, 5, nullptr, SERRY_NOWAIT), SERRY_ETIMEDOUT);
}

TEST_F(Message, OneTakenBackTooLatePutsTheReceiveBackInItsPlace)
{
    serry_request r[2];
    char a[8 * eager], b[8];
    ASSERT_EQ(serry_irecv(&r[0], 1, 5, a, sizeof a), SERRY_OK);
    ASSERT_EQ(serry_irecv(&r[1], 1, 5, b, sizeof b), SERRY_OK);
    net.announce(1, 5, 42, 2 * eager);
    net.settle();
    take_clear(1, 42);
    net.arrive(1, SRI_KIND_WITHDRAW, 42, "");
    net.message(1, 5, "one");
    net.message(1, 5, "two");
    ASSERT_EQ(serry_wait(&r[0], &st, SERRY_FOREVER), SERRY_OK);
    EXPECT_EQ(std::string(a, st.len), "one");
    ASSERT_EQ(serry_wait(&r[1], &st, SERRY_FOREVER), SERRY_OK);
    EXPECT_EQ(std::string(b, st.len), "two");
}

TEST_F(Message, SendrecvDoesBoth)
{
    net.when_asleep([&] { net.message(3, 8, "in"); });
    ASSERT_EQ(serry_sendrecv(1, 7, "out", 3, 3, 8, buf, sizeof buf, &st), SERRY_OK);
    EXPECT_EQ(got(), "in");
    EXPECT_EQ(net.sent().bytes, "out");
}

TEST_F(Message, SendrecvEndsWithTheFirstFailure)
{
    net.when_asleep([&] { net.fate(1, SRI_FATE_DIED, -9); });
    std::string out = pattern(unasked + 1);
    EXPECT_EQ(serry_sendrecv(1, 7, out.data(), out.size(), 3, 8, buf, sizeof buf, &st),
              SERRY_EDIED);
    net.message(3, 8, "later");
    ASSERT_EQ(recv(3, 8), SERRY_OK);
    EXPECT_EQ(got(), "later");
}

} // namespace
