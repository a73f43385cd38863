// ctest: transport
/* The local transports from both ends: seats, lanes that are made on demand, and joining. */
#include "conformance/node.h"

using namespace serry_test;

namespace {

INSTANTIATE_TEST_SUITE_P(Local, Node, testing::Values("shm", "socket"),
                         [](const auto &p) { return std::string(p.param); });

/* ---- seats ---- */

TEST_P(Node, SeatsAreUsedAgain)
{
    Member &m = join(0);
    bool slots = m.t->ops->cell(m.t, 1) != nullptr; /* of which there are 4,095 */
    int pair[2];
    ASSERT_EQ(sri_socket_pair(pair), SERRY_OK);
    for (int rank = 1; rank < 9000; rank++) {
        ASSERT_EQ(host_->ops->seat(host_, rank, pair[0]), SERRY_OK) << serry_err_detail();
        sri_frame f = frame_of({}, 0, SRI_KIND_MESSAGE);
        if (slots && rank % 3 == 0)
            ASSERT_EQ(m.t->ops->send(m.t, rank, &f), SRI_SENT) << rank;
        host_->ops->tell(host_, rank, SRI_FATE_DIED, -9);
        host_->ops->unseat(host_, rank);
        if (rank % 500 == 0 || !slots)
            m.t->ops->poll(m.t);
    }
    ASSERT_TRUE(until([&] { return m.sink.fates.size() == 8999; }));
    for (size_t i = 0; i < m.sink.fates.size(); i++)
        ASSERT_EQ(m.sink.fates[i].rank, (int)i + 1);
    EXPECT_EQ(send(m.t, 8998, frame_of({}, 0)), SRI_GONE);
    sri_close(&pair[0]);
    sri_close(&pair[1]);
}

TEST_P(Node, WhenAllSeatsAreTakenThatIsSaid)
{
    int pair[2], rank = 0;
    serry_err e = SERRY_OK;
    if (GetParam() != std::string("shm"))
        return; /* no number of its own: descriptors end first */
    ASSERT_EQ(sri_socket_pair(pair), SERRY_OK);
    while (rank < 5000 && (e = host_->ops->seat(host_, rank, pair[0])) == SERRY_OK)
        rank++;
    EXPECT_EQ(rank, 4095);
    EXPECT_EQ(e, SERRY_ELIMIT);
    EXPECT_NE(std::string(serry_err_detail()).find("4095"), std::string::npos)
        << serry_err_detail();
    host_->ops->tell(host_, 17, SRI_FATE_DIED, -9);
    host_->ops->unseat(host_, 17);
    EXPECT_EQ(host_->ops->seat(host_, rank, pair[0]), SERRY_OK) << "one has gone";
    EXPECT_EQ(host_->ops->seat(host_, rank + 1, pair[0]), SERRY_ELIMIT);
    sri_close(&pair[0]);
    sri_close(&pair[1]);
}

TEST_P(Node, AMemberKnowsAboutHowManyThereAre)
{
    Member &m = join(0);
    int launched = m.t->size;
    bool counted = m.t->ops->cell(m.t, 1) != nullptr; /* where there is shared memory */
    EXPECT_EQ(m.t->ops->members(m.t), counted ? 1 : launched);
    join(1);
    EXPECT_EQ(m.t->ops->members(m.t), counted ? 2 : launched);
    host_->ops->tell(host_, 1, SRI_FATE_DIED, -9);
    unseat(1);
    EXPECT_EQ(m.t->ops->members(m.t), counted ? 1 : launched);
}

/* ---- lanes on demand ---- */

TEST_P(Node, ALaneMayBeHadToAMemberThatHasNotJoinedYet)
{
    Member &m = join(0);
    int socket = seat(1);
    Bytes bytes = { 42 };
    sri_frame f = frame_of(bytes, 1, SRI_KIND_MESSAGE);
    bool sent = m.t->ops->send(m.t, 1, &f) == SRI_SENT;
    for (int i = 0; i < 10; i++)
        round();
    Member &other = join(1, socket);
    if (!sent)
        ASSERT_EQ(send(m.t, 1, f), SRI_SENT);
    ASSERT_TRUE(until([&] { return !other.sink.frames.empty(); }));
    EXPECT_EQ(other.sink.frames.front().source, 0);
    EXPECT_EQ(other.sink.frames.front().bytes, bytes);
}

TEST_P(Node, ALaneToAMemberThatNeverJoinsEndsWithIt)
{
    Member &m = join(0);
    int socket = seat(1);
    sri_frame f = frame_of({}, 1, SRI_KIND_MESSAGE);
    (void)m.t->ops->send(m.t, 1, &f);
    for (int i = 0; i < 10; i++)
        round();
    host_->ops->tell(host_, 1, SRI_FATE_DIED, 1);
    unseat(1);
    ASSERT_TRUE(until([&] { return !m.sink.fates.empty(); }));
    EXPECT_EQ(send(m.t, 1, f), SRI_GONE);
    sri_close(&socket);
}

TEST_P(Node, TwoWhoAskForEachOtherAtOnceGetOneLane)
{
    Member &a = join(0), &b = join(1);
    sri_frame f = frame_of({}, 0, SRI_KIND_MESSAGE);
    (void)a.t->ops->send(a.t, 1, &f); /* with lanes made on demand, both now ask */
    (void)b.t->ops->send(b.t, 0, &f);
    a.sink.frames.clear();
    for (uint64_t i = 1; i <= 50; i++) {
        f.aux = i;
        ASSERT_EQ(send(a.t, 1, f), SRI_SENT);
        ASSERT_EQ(send(b.t, 0, f), SRI_SENT);
    }
    ASSERT_TRUE(until([&] {
        return !a.sink.frames.empty() && a.sink.frames.back().aux == 50 && !b.sink.frames.empty()
               && b.sink.frames.back().aux == 50;
    }));
}

TEST_P(Node, AMemberThatReadsNothingStillGetsItsLanes)
{
    Member &m = join(0), &busy = join(1);
    Bytes bytes(2000, 1);
    sri_frame feed = frame_of(bytes, 0, SRI_KIND_FEED), f = frame_of({}, 3, SRI_KIND_MESSAGE);
    while (agent()->ops->send(agent(), 1, &feed) == SRI_SENT)
        ;
    /* The lane is offered while its socket is full. */
    sri_sent sent = SRI_FULL;
    for (int i = 0; i < 20 && sent == SRI_FULL; i++) {
        sent = m.t->ops->send(m.t, 1, &f);
        agent_round();
        m.t->ops->poll(m.t);
    }
    EXPECT_EQ(sent, SRI_SENT);
    ASSERT_TRUE(until([&] {
        return !busy.sink.frames.empty() && busy.sink.frames.back().kind == SRI_KIND_MESSAGE;
    }));
}

/* ---- joining ---- */

class Joining : public Node {
protected:
    /* What a member gets whose agent does `agent`. */
    serry_err joined(const std::function<void(int rank)> &agent, std::string *detail = nullptr)
    {
        int socket = seat(0);
        serry_err e = SERRY_OK;
        std::thread joiner([&] {
            Sink sink;
            sri_sink s = sink.seam();
            sri_transport *t = nullptr;
            sri_welcome w;
            e = sri_local_join(socket, SRI_JOIN_MEMBER, &s, &t, &w);
            if (detail)
                *detail = serry_err_detail();
            EXPECT_EQ(t, nullptr) << "set on failure";
        });
        agent(0);
        joiner.join();
        EXPECT_LT(fcntl(socket, F_GETFD), 0) << "the socket was to be taken";
        return e;
    }
};

INSTANTIATE_TEST_SUITE_P(Local, Joining, testing::Values("shm", "socket"),
                         [](const auto &p) { return std::string(p.param); });

TEST_P(Joining, AnAgentThatHasGoneIsDead)
{
    EXPECT_EQ(joined([&](int rank) { unseat(rank); }), SERRY_EDIED);
}

TEST_P(Joining, AnAgentThatGoesAfterTheHelloIsDead)
{
    EXPECT_EQ(joined([&](int rank) {
                  await_hello(rank);
                  unseat(rank);
              }),
              SERRY_EDIED);
}

TEST_P(Joining, ARefusalIsHandedOnWithItsText)
{
    std::string detail;
    EXPECT_EQ(
        joined([&](int rank) { await_hello(rank), welcome(rank, "no place for you"); }, &detail),
        SERRY_ELIMIT);
    EXPECT_EQ(detail, "no place for you");
}

TEST_P(Joining, AnotherVersionIsRefused)
{
    EXPECT_EQ(joined([&](int rank) { await_hello(rank), welcome(rank, "", 99); }), SERRY_EINVAL);
}

TEST_P(Joining, SomethingElseThanAWelcomeIsRefused)
{
    EXPECT_EQ(joined([&](int rank) {
                  await_hello(rank);
                  EXPECT_EQ(sri_packet_send(sockets_[rank], "who?", 4, nullptr, 0, nullptr, 0), 0);
              }),
              SERRY_EINTERNAL);
}

TEST_P(Joining, AWelcomeWithoutItsDescriptorsIsRefused)
{
    if (GetParam() != std::string("shm"))
        return; /* sockets need none */
    EXPECT_EQ(joined([&](int rank) {
                  await_hello(rank);
                  sri_packet_head head = {};
                  head.kind = SRI_KIND_JOIN;
                  head.mark = SRI_PACKET_MARK;
                  sri_welcome w = {};
                  w.version = SRI_JOIN_VERSION;
                  w.slot = 1;
                  sri_packet_send(sockets_[rank], &head, sizeof head, &w, sizeof w, nullptr, 0);
              }),
              SERRY_EINTERNAL);
}

TEST_P(Joining, AForeignSegmentIsRefused)
{
    if (GetParam() != std::string("shm"))
        return;
    EXPECT_EQ(joined([&](int rank) {
                  await_hello(rank);
                  sri_packet_head head = {};
                  head.kind = SRI_KIND_JOIN;
                  head.mark = SRI_PACKET_MARK;
                  sri_welcome w = {};
                  w.version = SRI_JOIN_VERSION;
                  w.slot = 1;
                  int fds[2] = { open("/dev/null", O_RDWR | O_CLOEXEC),
                                 open("/dev/null", O_RDWR | O_CLOEXEC) };
                  sri_packet_send(sockets_[rank], &head, sizeof head, &w, sizeof w, fds, 2);
                  sri_close(&fds[0]);
                  sri_close(&fds[1]);
              }),
              SERRY_EINVAL);
}

} // namespace
