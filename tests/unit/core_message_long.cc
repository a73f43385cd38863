// ctest: timeout=60
/* Messages: in pieces, and long ones. */
#include "unit/core_message.h"

namespace {

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

} // namespace
