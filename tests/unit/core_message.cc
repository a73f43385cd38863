// ctest: timeout=60
/* Messages and their matching, against peers played by the test. */
#include "support/fake_transport.h"

#include "core/match.h"

#include <algorithm>
#include <climits>
#include <cmath>

using namespace serry_test;

namespace {

constexpr size_t eager = FakeTransport::frame_max; /* goes in one frame */
constexpr size_t unasked = SRI_UNASKED_MAX;        /* goes without being asked for */

class Message : public testing::Test {
protected:
    FakeTransport net{ 4 };
    char buf[256 * 1024] = {};
    serry_status st = { -7, -7, 77 };

    std::string got() const { return std::string(buf, st.len); }
    serry_err recv(int source, int tag, double timeout = SERRY_FOREVER)
    {
        return serry_recv(source, tag, buf, sizeof buf, &st, timeout);
    }
    /* Takes the CLEAR that was sent for a token and returns the receiver's. */
    uint64_t take_clear(int peer, uint64_t token)
    {
        Frame f = net.sent();
        EXPECT_EQ(f.kind, unsigned{ SRI_KIND_CLEAR });
        EXPECT_EQ(f.peer, peer);
        EXPECT_EQ(f.aux, token);
        return f.word(0);
    }
    /* Takes an ANNOUNCE and returns its token. */
    uint64_t take_announce(int peer, int tag, size_t len)
    {
        Frame f = net.sent();
        EXPECT_EQ(f.kind, unsigned{ SRI_KIND_ANNOUNCE });
        EXPECT_EQ(f.peer, peer);
        EXPECT_EQ(f.aux, static_cast<uint64_t>(tag));
        EXPECT_EQ(f.word(1), len);
        return f.word(0);
    }
    void clear(int source, uint64_t token, uint64_t theirs)
    {
        net.arrive(source, SRI_KIND_CLEAR, token, words({ theirs }));
    }
    void data(int source, uint64_t token, const std::string &bytes)
    {
        net.arrive(source, SRI_KIND_DATA, token, bytes);
    }
    static std::string pattern(size_t n)
    {
        std::string s(n, '\0');
        for (size_t i = 0; i < n; i++)
            s[i] = static_cast<char>(i * 31 + i / 251);
        return s;
    }
};

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

/* ---- messages in pieces that go unasked ---- */

TEST_F(Message, OnesOfSomePiecesGoUnasked)
{
    std::string out = pattern(3 * eager), in;
    net.room = 2;
    serry_request r, behind;
    ASSERT_EQ(serry_isend(&r, 1, 3, out.data(), out.size()), SERRY_OK);
    ASSERT_EQ(serry_isend(&behind, 1, 3, "x", 1), SERRY_OK);
    EXPECT_EQ(serry_cancel(&r), SERRY_ESTATE) << "its first pieces are gone";
    net.room = 100;
    ASSERT_EQ(serry_wait(&r, nullptr, SERRY_FOREVER), SERRY_OK);
    ASSERT_EQ(serry_wait(&behind, nullptr, SERRY_FOREVER), SERRY_OK);
    Frame f = net.sent();
    EXPECT_EQ(f.kind, unsigned{ SRI_KIND_MESSAGE });
    EXPECT_EQ(f.aux, 3u);
    EXPECT_TRUE(f.flags & SRI_FLAG_MORE);
    EXPECT_EQ(f.word(0), out.size());
    in = f.bytes.substr(8);
    while (in.size() < out.size()) {
        f = net.sent();
        ASSERT_EQ(f.kind, unsigned{ SRI_KIND_DATA });
        EXPECT_EQ(f.aux, 0u);
        in += f.bytes;
    }
    EXPECT_EQ(in, out);
    EXPECT_EQ(net.sent().bytes, "x");
}

class Pieces : public Message {
protected:
    const std::string whole_ = pattern(3 * eager);
    void first(int source, int tag, size_t len)
    {
        net.arrive(source, SRI_KIND_MESSAGE, static_cast<uint64_t>(tag),
                   words({ len }) + whole_.substr(0, eager), SRI_FLAG_MORE);
    }
    void rest(int source)
    {
        data(source, 0, whole_.substr(eager, eager));
        data(source, 0, whole_.substr(2 * eager));
    }
};

TEST_F(Pieces, ArriveIntoTheBufferOfAPostedReceive)
{
    net.when_asleep([&] {
        first(1, 3, whole_.size());
        rest(1);
        net.message(1, 3, "behind");
    });
    ASSERT_EQ(recv(1, 3), SERRY_OK);
    EXPECT_EQ(got(), whole_);
    ASSERT_EQ(recv(1, 3), SERRY_OK);
    EXPECT_EQ(got(), "behind");
}

TEST_F(Pieces, AreKeptUntilTheyAreReceived)
{
    first(1, 3, whole_.size());
    net.settle();
    ASSERT_EQ(serry_probe(1, 3, &st, SERRY_NOWAIT), SERRY_OK);
    EXPECT_EQ(st.len, whole_.size());
    EXPECT_EQ(recv(1, 3, SERRY_NOWAIT), SERRY_ETIMEDOUT);
    rest(1);
    net.message(1, 3, "behind");
    net.settle();
    ASSERT_EQ(recv(1, 3), SERRY_OK);
    EXPECT_EQ(got(), whole_);
    ASSERT_EQ(recv(1, 3), SERRY_OK);
    EXPECT_EQ(got(), "behind");
}

TEST_F(Pieces, OfTwoSendersDoNotMix)
{
    first(1, 3, whole_.size());
    first(2, 3, whole_.size());
    rest(2);
    rest(1);
    net.settle();
    for (int source : { 1, 2 }) {
        ASSERT_EQ(recv(source, 3), SERRY_OK);
        EXPECT_EQ(got(), whole_) << source;
    }
}

TEST_F(Pieces, ThatDoNotFitStay)
{
    serry_request r;
    char small[8];
    ASSERT_EQ(serry_irecv(&r, 1, 3, small, sizeof small), SERRY_OK);
    first(1, 3, whole_.size());
    rest(1);
    EXPECT_EQ(serry_wait(&r, &st, SERRY_FOREVER), SERRY_ETRUNC);
    EXPECT_EQ(st.len, whole_.size());
    ASSERT_EQ(recv(1, 3), SERRY_OK);
    EXPECT_EQ(got(), whole_);
}

TEST_F(Pieces, OfADeadSenderAreDropped)
{
    serry_request r;
    ASSERT_EQ(serry_irecv(&r, 1, 3, buf, sizeof buf), SERRY_OK);
    first(1, 3, whole_.size());
    first(2, 3, whole_.size());
    net.fate(1, SRI_FATE_DIED, -9);
    net.fate(2, SRI_FATE_DIED, -9);
    EXPECT_EQ(serry_wait(&r, nullptr, SERRY_FOREVER), SERRY_EDIED);
    EXPECT_EQ(recv(2, 3), SERRY_EDIED);
}

TEST_F(Pieces, OfAWrongFormAreIgnored)
{
    testing::internal::CaptureStderr();
    first(1, 3, UINT64_MAX);
    first(1, 3, 10);
    net.arrive(1, SRI_KIND_MESSAGE, 3, "short", SRI_FLAG_MORE);
    rest(1);
    first(1, 3, whole_.size());
    first(1, 3, whole_.size()); /* out of turn */
    data(1, 0, whole_.substr(eager));
    data(1, 0, "more");
    net.settle();
    std::string log = testing::internal::GetCapturedStderr();
    EXPECT_NE(log.find("rank 1 breaks the protocol"), std::string::npos) << log;
    EXPECT_EQ(recv(1, 3), SERRY_OK);
    EXPECT_EQ(got(), whole_);
    EXPECT_EQ(recv(1, SERRY_ANY, SERRY_NOWAIT), SERRY_ETIMEDOUT);
}

/* ---- long messages ---- */

TEST_F(Message, LongOnesFlowWhenAskedFor)
{
    std::string out = pattern(unasked + 10 * eager + 17);
    net.when_asleep([&] { clear(1, take_announce(1, 3, out.size()), 99); });
    ASSERT_EQ(serry_send(1, 3, out.data(), out.size()), SERRY_OK);
    std::string in;
    while (!net.frames.empty()) {
        Frame f = net.sent();
        EXPECT_EQ(f.kind, unsigned{ SRI_KIND_DATA });
        EXPECT_EQ(f.aux, 99u);
        in += f.bytes;
    }
    EXPECT_EQ(in, out);
}

TEST_F(Message, AShortOneOvertakesTheDataOfALongOne)
{
    std::string out = pattern(unasked + 5 * eager);
    serry_request large, small;
    ASSERT_EQ(serry_isend(&large, 1, 3, out.data(), out.size()), SERRY_OK);
    clear(1, take_announce(1, 3, out.size()), 99);
    net.room = 2;
    net.settle();
    ASSERT_EQ(serry_isend(&small, 1, 4, "x", 1), SERRY_OK);
    net.room = 100;
    ASSERT_EQ(serry_wait(&small, nullptr, SERRY_FOREVER), SERRY_OK);
    ASSERT_EQ(serry_wait(&large, nullptr, SERRY_FOREVER), SERRY_OK);
    std::vector<unsigned> kinds;
    while (!net.frames.empty())
        kinds.push_back(net.sent().kind);
    ASSERT_GT(kinds.size(), 5u);
    EXPECT_EQ(std::count(kinds.begin(), kinds.end(), unsigned{ SRI_KIND_MESSAGE }), 1);
    EXPECT_EQ(kinds[2], unsigned{ SRI_KIND_MESSAGE }) << "right behind what went before";
}

TEST_F(Message, AnAnnouncedOneGoesStraightIntoTheBuffer)
{
    std::string in = pattern(eager + 5);
    net.when_asleep([&] { net.announce(2, 3, 42, in.size()); });
    net.when_asleep([&] {
        uint64_t token = take_clear(2, 42);
        data(2, token, in.substr(0, eager));
        data(2, token, in.substr(eager));
    });
    ASSERT_EQ(recv(2, 3), SERRY_OK);
    EXPECT_EQ(got(), in);
}

TEST_F(Message, AnnouncedAndShortOnesKeepTheirOrder)
{
    net.announce(1, 3, 42, 2 * eager);
    net.message(1, 3, "behind");
    net.settle();
    ASSERT_EQ(serry_probe(1, 3, &st, SERRY_NOWAIT), SERRY_OK);
    EXPECT_EQ(st.len, 2 * eager);
    char small[16];
    EXPECT_EQ(serry_recv(1, 3, small, sizeof small, &st, SERRY_FOREVER), SERRY_ETRUNC);
    EXPECT_TRUE(net.frames.empty()) << "nothing was asked for";
    net.when_asleep([&] {
        uint64_t token = take_clear(1, 42);
        data(1, token, pattern(eager));
        data(1, token, pattern(eager));
    });
    ASSERT_EQ(recv(1, 3), SERRY_OK);
    EXPECT_EQ(got(), pattern(eager) + pattern(eager));
    ASSERT_EQ(recv(1, 3), SERRY_OK);
    EXPECT_EQ(got(), "behind");
}

TEST_F(Message, AReceiveOutOfTimeLeavesWhatHasArrivedToTheNext)
{
    std::string in = pattern(3 * eager);
    net.announce(1, 3, 42, in.size());
    net.message(1, 3, "behind");
    EXPECT_EQ(recv(1, 3, SERRY_NOWAIT), SERRY_ETIMEDOUT);
    uint64_t token = take_clear(1, 42);
    data(1, token, in.substr(0, eager));
    EXPECT_EQ(recv(1, 3, SERRY_NOWAIT), SERRY_ETIMEDOUT);
    memset(buf, 0, sizeof buf);
    data(1, token, in.substr(eager, eager));
    net.settle();
    EXPECT_EQ(buf[eager], 0) << "the buffer was given back";
    ASSERT_EQ(serry_probe(1, 3, &st, SERRY_NOWAIT), SERRY_OK);
    EXPECT_EQ(st.len, in.size());
    net.when_asleep([&] { data(1, token, in.substr(2 * eager)); });
    ASSERT_EQ(recv(1, 3), SERRY_OK);
    EXPECT_EQ(got(), in);
    ASSERT_EQ(recv(1, 3), SERRY_OK);
    EXPECT_EQ(got(), "behind");
}

TEST_F(Message, OneGivenBackGoesToAReceiveThatWaits)
{
    std::string in = pattern(2 * eager);
    net.announce(1, 3, 42, in.size());
    net.settle();
    serry_request r;
    EXPECT_EQ(recv(1, 3, SERRY_NOWAIT), SERRY_ETIMEDOUT);
    uint64_t token = take_clear(1, 42);
    data(1, token, in.substr(0, eager));
    data(1, token, in.substr(eager));
    net.settle();
    ASSERT_EQ(serry_irecv(&r, 1, 3, buf, sizeof buf), SERRY_OK);
    ASSERT_EQ(serry_wait(&r, &st, SERRY_NOWAIT), SERRY_OK);
    EXPECT_EQ(got(), in);
}

TEST_F(Message, OnesWithBadLengthsAreIgnored)
{
    testing::internal::CaptureStderr();
    net.announce(1, 3, 42, UINT64_MAX);
    net.arrive(1, SRI_KIND_ANNOUNCE, 3, "short");
    net.arrive(1, SRI_KIND_MESSAGE, UINT64_C(1) << 40, "tag");
    data(1, 12345, "nobody asked");
    net.arrive(1, SRI_KIND_CLEAR, 777, "x");
    net.arrive(1, SRI_KIND_WITHDRAW, 5, "");
    net.settle();
    std::string log = testing::internal::GetCapturedStderr();
    EXPECT_NE(log.find("rank 1 breaks the protocol"), std::string::npos) << log;
    EXPECT_TRUE(net.frames.empty());
    EXPECT_EQ(recv(SERRY_ANY, SERRY_ANY, SERRY_NOWAIT), SERRY_ETIMEDOUT);
}

TEST_F(Message, MoreDataThanAnnouncedIsIgnored)
{
    testing::internal::CaptureStderr();
    serry_request r;
    ASSERT_EQ(serry_irecv(&r, 1, 3, buf, sizeof buf), SERRY_OK);
    net.announce(1, 3, 42, 5000);
    net.settle();
    uint64_t token = take_clear(1, 42);
    data(1, token, pattern(4000));
    data(1, token, pattern(1001));
    data(2, token, pattern(1000));
    data(1, token, pattern(1000));
    ASSERT_EQ(serry_wait(&r, &st, SERRY_FOREVER), SERRY_OK);
    EXPECT_EQ(got(), pattern(4000) + pattern(1000));
    EXPECT_EQ(buf[5000], 0);
    std::string log = testing::internal::GetCapturedStderr();
    EXPECT_NE(log.find("rank 2 breaks the protocol"), std::string::npos) << log;
}

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
