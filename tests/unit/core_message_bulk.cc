// ctest: timeout=60
/* Messages: long ones that the transport moves by itself. */
#include "unit/core_message.h"

namespace {

constexpr unsigned asked_bulk = SRI_CLEAR_BULK;

class BulkMessage : public Message {
protected:
    BulkMessage() { net.bulk = true; }

    const std::string whole_ = pattern(unasked + 4321);

    /* Takes the CLEAR that asks for a transfer; the receiver's token. */
    uint64_t take_bulk_clear(int peer, uint64_t token)
    {
        return take_clear(peer, token, asked_bulk);
    }
    void bulk_clear(int source, uint64_t token, uint64_t theirs)
    {
        clear(source, token, theirs, asked_bulk);
    }
    static uint64_t collective_tag() { return 1u << 8; }
    /* The receive of a collective's part, of rank 1. */
    serry_err collective_receive()
    {
        sri_match.collective = 1;
        EXPECT_EQ(sri_enter(), SERRY_OK);
        serry_err e = sri_message_recv(SRI_CONTEXT_COLLECTIVE, 1, (int)collective_tag(), buf,
                                       sizeof buf, &st, SRI_NEVER);
        sri_leave();
        return e;
    }
    /* Rank 2 dies when the message of rank 1 is announced. */
    void lose_collective()
    {
        net.when_asleep([&] {
            net.arrive(1, SRI_KIND_ANNOUNCE, collective_tag(), words({ 42, whole_.size() }),
                       SRI_FLAG_COLLECTIVE);
        });
        net.when_asleep([&] { net.fate(2, SRI_FATE_DIED, -9); });
        EXPECT_EQ(collective_receive(), SERRY_EDIED);
    }
    /* A receive that is given up before its bytes come. */
    void receive_out_of_time(int source, int tag, uint64_t token)
    {
        net.announce(source, tag, token, whole_.size());
        EXPECT_EQ(recv(source, tag, SERRY_NOWAIT), SERRY_ETIMEDOUT);
        take_bulk_clear(source, token);
    }
};

TEST_F(BulkMessage, GoesFromWhereItLies)
{
    net.when_asleep([&] {
        bulk_clear(1, take_announce(1, 3, whole_.size()), 99);
        net.settle();
        ASSERT_EQ(net.bulks.size(), 1u);
        EXPECT_EQ(net.bulks[0].from, whole_.data());
        EXPECT_EQ(net.bulks[0].len, whole_.size());
        EXPECT_EQ(net.bulks[0].token, 99u);
        net.bulk_end(1, "");
    });
    ASSERT_EQ(serry_send(1, 3, whole_.data(), whole_.size()), SERRY_OK);
    EXPECT_TRUE(net.frames.empty()) << "no pieces";
}

TEST_F(BulkMessage, ComesStraightIntoTheBuffer)
{
    net.when_asleep([&] { net.announce(2, 3, 42, whole_.size()); });
    net.when_asleep([&] {
        uint64_t token = take_bulk_clear(2, 42);
        ASSERT_EQ(net.bulks.size(), 1u);
        EXPECT_EQ(net.bulks[0].token, token);
        EXPECT_EQ(net.bulks[0].into, buf);
        EXPECT_EQ(net.bulks[0].len, whole_.size());
        net.bulk_end(2, whole_);
    });
    ASSERT_EQ(recv(2, 3), SERRY_OK);
    EXPECT_EQ(got(), whole_);
    EXPECT_EQ(st.source, 2);
}

TEST_F(BulkMessage, GoesInPiecesWhereTheReceiverAsksForPieces)
{
    net.when_asleep([&] { clear(1, take_announce(1, 3, whole_.size()), 99); });
    ASSERT_EQ(serry_send(1, 3, whole_.data(), whole_.size()), SERRY_OK);
    EXPECT_TRUE(net.bulks.empty());
    std::string in;
    while (!net.frames.empty())
        in += net.sent().bytes;
    EXPECT_EQ(in, whole_);
}

TEST_F(BulkMessage, ComesInPiecesWhereNoTransferCanBeBegun)
{
    net.bulk_refuses = true;
    net.announce(2, 3, 42, whole_.size());
    net.when_asleep([&] {
        Frame f = net.sent();
        EXPECT_EQ(f.flags, 0u);
        for (size_t at = 0; at < whole_.size(); at += eager)
            data(2, f.word(0), whole_.substr(at, eager));
    });
    ASSERT_EQ(recv(2, 3), SERRY_OK);
    EXPECT_EQ(got(), whole_);
}

TEST_F(BulkMessage, IsBegunLaterWhereItCannotBeAtOnce)
{
    serry_request r;
    ASSERT_EQ(serry_isend(&r, 1, 3, whole_.data(), whole_.size()), SERRY_OK);
    net.bulk_refuses = true;
    bulk_clear(1, take_announce(1, 3, whole_.size()), 99);
    net.message(2, 1, "something else moves");
    net.settle();
    EXPECT_TRUE(net.bulks.empty());
    EXPECT_EQ(serry_cancel(&r), SERRY_ESTATE) << "the receiver has lent its memory";
    net.bulk_refuses = false;
    net.message(2, 1, "again");
    net.settle();
    ASSERT_EQ(net.bulks.size(), 1u);
    net.bulk_end(1, "");
    EXPECT_EQ(serry_wait(&r, nullptr, SERRY_FOREVER), SERRY_OK);
}

TEST_F(BulkMessage, SendUnderWayCannotBeCancelled)
{
    serry_request r;
    ASSERT_EQ(serry_isend(&r, 1, 3, whole_.data(), whole_.size()), SERRY_OK);
    bulk_clear(1, take_announce(1, 3, whole_.size()), 99);
    net.settle();
    EXPECT_EQ(serry_cancel(&r), SERRY_ESTATE);
    EXPECT_EQ(serry_wait(&r, nullptr, SERRY_NOWAIT), SERRY_ETIMEDOUT);
    net.bulk_end(1, "");
    EXPECT_EQ(serry_wait(&r, nullptr, SERRY_FOREVER), SERRY_OK);
}

TEST_F(BulkMessage, TransfersOfOnePeerEndInAnyOrder)
{
    serry_request a, b;
    ASSERT_EQ(serry_isend(&a, 1, 3, whole_.data(), whole_.size()), SERRY_OK);
    ASSERT_EQ(serry_isend(&b, 1, 4, whole_.data(), whole_.size()), SERRY_OK);
    uint64_t first = take_announce(1, 3, whole_.size()),
             second = take_announce(1, 4, whole_.size());
    bulk_clear(1, second, 12);
    bulk_clear(1, first, 11);
    net.settle();
    ASSERT_EQ(net.bulks.size(), 2u);
    EXPECT_EQ(net.bulks[0].token, 12u);
    net.bulk_end(1, "");
    ASSERT_EQ(serry_wait(&b, nullptr, SERRY_FOREVER), SERRY_OK);
    EXPECT_EQ(serry_wait(&a, nullptr, SERRY_NOWAIT), SERRY_ETIMEDOUT);
    net.bulk_end(1, "");
    ASSERT_EQ(serry_wait(&a, nullptr, SERRY_FOREVER), SERRY_OK);
}

/* ---- receives that are given up ---- */

TEST_F(BulkMessage, OfAReceiveOutOfTimeGoesToMemoryOfItsOwn)
{
    receive_out_of_time(1, 3, 42);
    ASSERT_EQ(net.bulks.size(), 1u);
    EXPECT_NE(net.bulks[0].into, buf) << "the buffer was given back";
    memset(buf, 0, sizeof buf);
    net.bulk_end(1, whole_);
    net.message(1, 3, "behind");
    net.settle();
    EXPECT_EQ(buf[0], 0);
    ASSERT_EQ(serry_probe(1, 3, &st, SERRY_NOWAIT), SERRY_OK);
    EXPECT_EQ(st.len, whole_.size());
    ASSERT_EQ(recv(1, 3, SERRY_NOWAIT), SERRY_OK);
    EXPECT_EQ(got(), whole_);
    EXPECT_TRUE(net.frames.empty()) << "it is asked for once";
    ASSERT_EQ(recv(1, 3), SERRY_OK);
    EXPECT_EQ(got(), "behind");
}

TEST_F(BulkMessage, GivenBackGoesIntoTheBufferOfTheNextReceive)
{
    receive_out_of_time(1, 3, 42);
    net.when_asleep([&] {
        ASSERT_EQ(net.bulks.size(), 1u);
        EXPECT_EQ(net.bulks[0].into, buf);
        net.bulk_end(1, whole_);
    });
    ASSERT_EQ(recv(1, 3), SERRY_OK);
    EXPECT_EQ(got(), whole_);
    EXPECT_TRUE(net.frames.empty());
}

TEST_F(BulkMessage, GivenBackAndFlowingIsCopiedAtTheEnd)
{
    receive_out_of_time(1, 3, 42);
    net.bulk_flows(1);
    net.when_asleep([&] {
        ASSERT_EQ(net.bulks.size(), 1u);
        EXPECT_NE(net.bulks[0].into, buf);
        net.bulk_end(1, whole_);
    });
    ASSERT_EQ(recv(1, 3), SERRY_OK);
    EXPECT_EQ(got(), whole_);
}

TEST_F(BulkMessage, GivenBackTwiceWhileItFlows)
{
    receive_out_of_time(1, 3, 42);
    net.bulk_flows(1);
    EXPECT_EQ(recv(1, 3, SERRY_NOWAIT), SERRY_ETIMEDOUT);
    memset(buf, 0, sizeof buf);
    net.bulk_end(1, whole_);
    net.settle();
    EXPECT_EQ(buf[0], 0);
    ASSERT_EQ(recv(1, 3, SERRY_NOWAIT), SERRY_OK);
    EXPECT_EQ(got(), whole_);
}

TEST_F(BulkMessage, ThatDoesNotFitStaysForOneThatDoes)
{
    receive_out_of_time(1, 3, 42);
    char small[8];
    EXPECT_EQ(serry_recv(1, 3, small, sizeof small, &st, SERRY_NOWAIT), SERRY_ETRUNC);
    EXPECT_EQ(st.len, whole_.size());
    net.bulk_end(1, whole_);
    ASSERT_EQ(recv(1, 3), SERRY_OK);
    EXPECT_EQ(got(), whole_);
}

/* Its buffer is lent: it must not return before the end, and then it has the message. */
TEST_F(BulkMessage, FlowingIntoAReceiveOutOfTimeIsWaitedFor)
{
    net.announce(1, 3, 42, whole_.size());
    sri_ns late = sri_now() + SRI_MS(50);
    net.bulk_begun = [&] { net.bulk_flows(1); };
    net.when_asleep([&] {
        while (sri_now() < late)
            ;
    });
    net.when_asleep([&] { net.bulk_end(1, whole_); });
    ASSERT_EQ(recv(1, 3, 0.02), SERRY_OK);
    EXPECT_GE(sri_now(), late);
    EXPECT_EQ(got(), whole_);
}

TEST_F(BulkMessage, FlowingIntoARequestGoesOnWhenAWaitIsOutOfTime)
{
    serry_request r;
    ASSERT_EQ(serry_irecv(&r, 1, 3, buf, sizeof buf), SERRY_OK);
    net.announce(1, 3, 42, whole_.size());
    net.settle();
    EXPECT_EQ(serry_wait(&r, nullptr, SERRY_NOWAIT), SERRY_ETIMEDOUT);
    EXPECT_EQ(serry_cancel(&r), SERRY_ESTATE);
    net.bulk_end(1, whole_);
    ASSERT_EQ(serry_wait(&r, &st, SERRY_FOREVER), SERRY_OK);
    EXPECT_EQ(got(), whole_);
}

TEST_F(BulkMessage, GivenBackStandsAtItsSenderWhereThereIsNoMemory)
{
    net.announce(1, 3, 42, whole_.size());
    net.bulk_begun = [&] { net.bulk_refuses = true; }; /* any further one */
    EXPECT_EQ(recv(1, 3, 0.01), SERRY_ETIMEDOUT);
    EXPECT_TRUE(net.bulks.empty());
    EXPECT_EQ(recv(1, 3, SERRY_NOWAIT), SERRY_ENOMEM);
    ASSERT_EQ(serry_probe(1, 3, &st, SERRY_NOWAIT), SERRY_OK) << "it is not lost";
    net.bulk_begun = [] {};
    net.bulk_refuses = false;
    net.when_asleep([&] { net.bulk_end(1, whole_); });
    ASSERT_EQ(recv(1, 3), SERRY_OK);
    EXPECT_EQ(got(), whole_);
    take_bulk_clear(1, 42);
    EXPECT_TRUE(net.frames.empty());
}

/* ---- announcements that are taken back ---- */

TEST_F(BulkMessage, WithdrawnBeforeItIsSentLeavesTheReceiveToTheNext)
{
    net.announce(1, 3, 42, whole_.size());
    net.when_asleep([&] {
        net.arrive(1, SRI_KIND_WITHDRAW, 42, "");
        net.message(1, 3, "instead");
    });
    ASSERT_EQ(recv(1, 3), SERRY_OK);
    EXPECT_EQ(got(), "instead");
    EXPECT_TRUE(net.bulks.empty());
}

TEST_F(BulkMessage, WithdrawnAfterItWasGivenBackIsForgotten)
{
    receive_out_of_time(1, 3, 42);
    net.arrive(1, SRI_KIND_WITHDRAW, 42, "");
    net.settle();
    EXPECT_TRUE(net.bulks.empty());
    EXPECT_EQ(serry_probe(1, 3, nullptr, SERRY_NOWAIT), SERRY_ETIMEDOUT);
}

TEST_F(BulkMessage, AClearThatCrossesTheWithdrawalBeginsNothing)
{
    serry_request r;
    ASSERT_EQ(serry_isend(&r, 1, 3, whole_.data(), whole_.size()), SERRY_OK);
    uint64_t token = take_announce(1, 3, whole_.size());
    ASSERT_EQ(serry_cancel(&r), SERRY_OK);
    EXPECT_EQ(net.sent().kind, unsigned{ SRI_KIND_WITHDRAW });
    bulk_clear(1, token, 99);
    net.settle();
    EXPECT_TRUE(net.bulks.empty());
}

/* ---- peers that go ---- */

TEST_F(BulkMessage, DeathOfTheSenderEndsTheReceive)
{
    net.announce(1, 3, 42, whole_.size());
    net.when_asleep([&] { net.fate(1, SRI_FATE_DIED, -9); });
    EXPECT_EQ(recv(1, 3), SERRY_EDIED);
    EXPECT_TRUE(net.bulks.empty());
}

TEST_F(BulkMessage, DeathOfTheReceiverEndsTheSend)
{
    net.when_asleep([&] {
        bulk_clear(1, take_announce(1, 3, whole_.size()), 99);
        net.settle();
        ASSERT_EQ(net.bulks.size(), 1u);
        net.fate(1, SRI_FATE_DIED, -9);
    });
    EXPECT_EQ(serry_send(1, 3, whole_.data(), whole_.size()), SERRY_EDIED);
}

TEST_F(BulkMessage, DeathOfTheSenderDropsWhatWasGivenBackAndWhatCameBehindIt)
{
    receive_out_of_time(1, 3, 42);
    net.message(1, 3, "behind");
    net.message(1, 4, "another tag");
    net.fate(1, SRI_FATE_DIED, -9);
    net.settle();
    EXPECT_EQ(recv(1, 3), SERRY_EDIED);
    ASSERT_EQ(recv(1, 4), SERRY_OK);
    EXPECT_EQ(got(), "another tag");
}

TEST_F(BulkMessage, WhatHadComeWholeBeforeTheDeathIsReceived)
{
    receive_out_of_time(1, 3, 42);
    net.bulk_end(1, whole_);
    net.fate(1, SRI_FATE_DIED, -9);
    net.settle();
    ASSERT_EQ(recv(1, 3), SERRY_OK);
    EXPECT_EQ(got(), whole_);
}

/* ---- collectives that cannot be done ---- */

TEST_F(BulkMessage, OfALostCollectiveIsTakenAllTheSame)
{
    lose_collective();
    ASSERT_EQ(net.bulks.size(), 1u);
    EXPECT_NE(net.bulks[0].into, buf) << "the buffer was given back";
    net.bulk_end(1, whole_);
    net.settle();
    EXPECT_TRUE(net.bulks.empty());
}

TEST_F(BulkMessage, OfALostCollectiveThatIsNotSentIsForgotten)
{
    lose_collective();
    ASSERT_EQ(net.bulks.size(), 1u);
    net.arrive(1, SRI_KIND_WITHDRAW, 42, "");
    net.settle();
    EXPECT_TRUE(net.bulks.empty());
}

TEST_F(BulkMessage, OfALostCollectiveIsWithdrawnByItsSender)
{
    uint64_t token = 0;
    net.when_asleep([&] {
        token = take_announce(1, (int)collective_tag(), whole_.size());
        net.fate(2, SRI_FATE_DIED, -9);
    });
    sri_match.collective = 1;
    ASSERT_EQ(sri_enter(), SERRY_OK);
    EXPECT_EQ(sri_message_send(SRI_CONTEXT_COLLECTIVE, 1, (int)collective_tag(), whole_.data(),
                               whole_.size()),
              SERRY_EDIED);
    sri_leave();
    bool withdrawn = false;
    while (!net.frames.empty()) {
        Frame f = net.sent();
        withdrawn |= f.kind == SRI_KIND_WITHDRAW && f.aux == token && f.peer == 1;
    }
    EXPECT_TRUE(withdrawn);
}

/* ---- peers that break the protocol ---- */

TEST_F(BulkMessage, WrongOnesAreIgnored)
{
    testing::internal::CaptureStderr();
    serry_request r, s;
    ASSERT_EQ(serry_irecv(&r, 1, 3, buf, sizeof buf), SERRY_OK);
    ASSERT_EQ(serry_isend(&s, 2, 3, whole_.data(), whole_.size()), SERRY_OK);
    uint64_t theirs = take_announce(2, 3, whole_.size());
    net.announce(1, 3, 42, whole_.size());
    net.settle();
    uint64_t token = take_bulk_clear(1, 42);
    data(1, token, "data of a transfer");
    bulk_clear(1, theirs, 99); /* not the one it was announced to */
    net.settle();
    net.bulk_flows(1);
    net.arrive(1, SRI_KIND_WITHDRAW, 42, "");
    net.settle();
    EXPECT_EQ(net.bulks.size(), 1u);
    net.bulk_end(1, whole_);
    ASSERT_EQ(serry_wait(&r, &st, SERRY_FOREVER), SERRY_OK);
    EXPECT_EQ(got(), whole_);
    EXPECT_EQ(serry_cancel(&s), SERRY_OK);
    std::string log = testing::internal::GetCapturedStderr();
    EXPECT_NE(log.find("rank 1 breaks the protocol"), std::string::npos) << log;
}

/* The receiver has asked and is leaving: its fate will end the send. */
TEST_F(BulkMessage, AClearForATransferWhereThereIsNoWayIsIgnored)
{
    net.bulk = false;
    serry_request r;
    ASSERT_EQ(serry_isend(&r, 1, 3, whole_.data(), whole_.size()), SERRY_OK);
    bulk_clear(1, take_announce(1, 3, whole_.size()), 99);
    net.settle();
    EXPECT_EQ(serry_wait(&r, nullptr, SERRY_NOWAIT), SERRY_ETIMEDOUT);
    net.fate(1, SRI_FATE_LEFT, 0);
    EXPECT_EQ(serry_wait(&r, nullptr, SERRY_FOREVER), SERRY_EDIED);
}

/* As the one above: it is not taken back when it could not be begun again. */
TEST_F(BulkMessage, OfASenderThatIsLeavingIsNotTakenBack)
{
    receive_out_of_time(1, 3, 42);
    net.bulk = false;
    net.when_asleep([&] {
        ASSERT_EQ(net.bulks.size(), 1u);
        EXPECT_NE(net.bulks[0].into, buf);
        net.bulk_end(1, whole_);
        net.fate(1, SRI_FATE_LEFT, 0);
    });
    ASSERT_EQ(recv(1, 3), SERRY_OK);
    EXPECT_EQ(got(), whole_);
}

} // namespace
