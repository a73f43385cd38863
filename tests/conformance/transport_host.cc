// ctest: transport
/* The local transports from both ends: what only the agent sees of the seam. Cells, descriptors,
 * bells, what members wait for, and fates. */
#include "conformance/node.h"

using namespace serry_test;

namespace {

INSTANTIATE_TEST_SUITE_P(Local, Node, testing::Values("shm", "socket"),
                         [](const auto &p) { return std::string(p.param); });

/* ---- frames to and from the agent ---- */

TEST_P(Node, FramesOfAllSizesGoToTheAgentAndBack)
{
    Member &m = join(0);
    for (size_t size = 0; size <= m.t->frame_max; size += size < 300 ? 1 : 293) {
        Bytes bytes(size, (uint8_t)size);
        ASSERT_EQ(send(m.t, SRI_AGENT, frame_of(bytes, size)), SRI_SENT);
        ASSERT_TRUE(until([&] { return !sink_.frames.empty(); }));
        EXPECT_EQ(sink_.frames.front().source, 0);
        EXPECT_EQ(sink_.frames.front().aux, size);
        EXPECT_EQ(sink_.frames.front().bytes, bytes);
        sink_.frames.pop_front();
        ASSERT_EQ(send(agent(), 0, frame_of(bytes, size, SRI_KIND_REPLY)), SRI_SENT);
        ASSERT_TRUE(until([&] { return !m.sink.frames.empty(); }));
        EXPECT_EQ(m.sink.frames.front().source, SRI_AGENT);
        EXPECT_EQ(m.sink.frames.front().bytes, bytes);
        m.sink.frames.pop_front();
    }
}

TEST_P(Node, AMemberThatDoesNotReadFillsItsLaneAndLosesNothing)
{
    Member &m = join(0);
    Bytes bytes(500, 7);
    uint64_t n = 0;
    sri_frame f = frame_of(bytes, n, SRI_KIND_FEED);
    while (n < 100000 && agent()->ops->send(agent(), 0, &f) == SRI_SENT)
        f.aux = ++n;
    ASSERT_LT(n, 100000u);
    ASSERT_TRUE(until([&] { return m.sink.frames.size() == n; }));
    for (uint64_t i = 0; i < n; i++)
        ASSERT_EQ(m.sink.frames[i].aux, i);
    EXPECT_EQ(send(agent(), 0, f), SRI_SENT) << "there is room again";
}

TEST_P(Node, ToASeatThatIsFreeNothingGoes)
{
    EXPECT_EQ(send(agent(), 3, frame_of({}, 0)), SRI_GONE);
    Member &m = join(0);
    EXPECT_TRUE(agent()->ops->present(agent(), 0));
    host_->ops->tell(host_, 0, SRI_FATE_DIED, 1);
    unseat(0);
    EXPECT_EQ(send(agent(), 0, frame_of({}, 0)), SRI_GONE);
    EXPECT_FALSE(agent()->ops->present(agent(), 0));
    (void)m;
}

/* ---- cells ---- */

TEST_P(Node, ACellIsOneWordForTheMemberAndTheAgent)
{
    Member &m = join(0);
    if (!m.t->ops->cell(m.t, 1)) {
        EXPECT_EQ(agent()->ops->cell(agent(), 1), nullptr) << "shared by one alone?";
        return;
    }
    for (uint32_t number : { 0u, 1u, 2u, 1000u, 100000u }) {
        sri_atomic_u64 *theirs = m.t->ops->cell(m.t, number);
        sri_atomic_u64 *ours = agent()->ops->cell(agent(), number);
        ASSERT_TRUE(theirs && ours);
        EXPECT_EQ(theirs, m.t->ops->cell(m.t, number)) << "the same pointer each time";
        EXPECT_EQ(*ours, 0u);
        *theirs = number + 17;
        EXPECT_EQ(*ours, number + 17);
        *ours = UINT64_MAX;
        EXPECT_EQ(*theirs, UINT64_MAX);
    }
    EXPECT_EQ(*m.t->ops->cell(m.t, 3), 0u) << "the neighbour's";
    EXPECT_EQ(m.t->ops->cell(m.t, UINT32_MAX), nullptr);
    EXPECT_EQ(agent()->ops->cell(agent(), UINT32_MAX), nullptr);
}

/* ---- descriptors ---- */

/* Sends one end of a pipe along and says what comes through it. */
class Descriptors : public Node {
protected:
    std::string through(int arrived)
    {
        EXPECT_TRUE(fcntl(arrived, F_GETFD) & FD_CLOEXEC);
        EXPECT_EQ(write(arrived, "hello", 5), 5);
        char text[16] = {};
        EXPECT_EQ(read(pipe_[0], text, sizeof text), 5);
        return text;
    }

    void SetUp() override
    {
        Node::SetUp();
        ASSERT_EQ(pipe2(pipe_, O_CLOEXEC), 0);
    }
    void TearDown() override
    {
        sri_close(&pipe_[0]);
        sri_close(&pipe_[1]);
        Node::TearDown();
    }

    int pipe_[2];
};

INSTANTIATE_TEST_SUITE_P(Local, Descriptors, testing::Values("shm", "socket"),
                         [](const auto &p) { return std::string(p.param); });

TEST_P(Descriptors, TravelToAMember)
{
    Member &m = join(0);
    Bytes bytes = { 1, 2, 3 };
    ASSERT_EQ(send(agent(), 0, frame_of(bytes, 9, SRI_KIND_REPLY, pipe_[1])), SRI_SENT);
    ASSERT_TRUE(until([&] { return !m.sink.frames.empty(); }));
    Arrived a = m.sink.frames.front();
    EXPECT_EQ(a.source, SRI_AGENT);
    EXPECT_EQ(a.kind, SRI_KIND_REPLY);
    EXPECT_EQ(a.aux, 9u);
    EXPECT_EQ(a.bytes, bytes);
    ASSERT_GE(a.fd, 0);
    EXPECT_NE(a.fd, pipe_[1]) << "a copy travels";
    EXPECT_EQ(through(a.fd), "hello");
    EXPECT_EQ(through(pipe_[1]), "hello") << "the sender keeps his";
}

TEST_P(Descriptors, TravelToTheAgent)
{
    Member &m = join(0);
    Bytes bytes = { 4, 5 };
    ASSERT_EQ(send(m.t, SRI_AGENT, frame_of(bytes, 8, SRI_KIND_REQUEST, pipe_[1])), SRI_SENT);
    ASSERT_TRUE(until([&] { return !sink_.frames.empty(); }));
    EXPECT_EQ(sink_.frames.front().source, 0);
    EXPECT_EQ(sink_.frames.front().bytes, bytes);
    ASSERT_GE(sink_.frames.front().fd, 0);
    EXPECT_EQ(through(sink_.frames.front().fd), "hello");
}

TEST_P(Descriptors, AStopOfTheSinkIsKept)
{
    Member &m = join(0);
    m.sink.stop = true;
    for (uint64_t i = 0; i < 3; i++)
        ASSERT_EQ(send(agent(), 0, frame_of({}, i, SRI_KIND_REPLY, pipe_[1])), SRI_SENT);
    for (uint64_t i = 0; i < 3; i++) {
        ASSERT_TRUE(wait_for([&] {
            m.t->ops->poll(m.t);
            return m.sink.frames.size() > i;
        }));
        EXPECT_EQ(m.sink.frames.size(), i + 1) << "poll went on after a stop";
        EXPECT_EQ(m.sink.frames[i].aux, i);
    }
}

/* ---- bells ---- */

TEST_P(Node, TheAgentsBellRingsForAMember)
{
    Member &m = join(0);
    if (!m.t->ops->cell(m.t, 1))
        return; /* without cells there is nothing to look at: sockets ring by themselves */
    for (int i = 0; i < 100; i++) {
        while (!agent()->ops->arm(agent()))
            agent()->ops->poll(agent());
        m.t->ops->ring_agent(m.t);
        ASSERT_TRUE(
            sri_fd_wait(host_->ops->bell(host_), POLLIN, sri_now() + (sri_ns)(patience(10) * 1e9)));
        agent()->ops->poll(agent());
        EXPECT_FALSE(sri_fd_wait(host_->ops->bell(host_), POLLIN, 0)) << "a poll silences it";
    }
}

TEST_P(Node, WhatAMemberWaitsForIsSeenWhileItSleeps)
{
    Member &m = join(0);
    sri_waiting w = { SRI_WAIT_RECV, -1, 77, 12345 }, seen = {};
    m.t->ops->publish(m.t, &w);
    while (!m.t->ops->arm(m.t))
        m.t->ops->poll(m.t);
    host_->ops->waiting(host_, 0, &seen);
    if (m.t->ops->cell(m.t, 1)) {
        EXPECT_EQ(seen.kind, (uint32_t)SRI_WAIT_RECV);
        EXPECT_EQ(seen.peer, -1);
        EXPECT_EQ(seen.object, 77u);
        EXPECT_EQ(seen.since, 12345);
    } else {
        EXPECT_EQ(seen.kind, (uint32_t)SRI_WAIT_NONE);
    }
    m.t->ops->sleep(m.t, 0);
    seen.kind = 99;
    host_->ops->waiting(host_, 0, &seen);
    EXPECT_EQ(seen.kind, (uint32_t)SRI_WAIT_NONE) << "it is awake";
    host_->ops->waiting(host_, 3, &seen);
    EXPECT_EQ(seen.kind, (uint32_t)SRI_WAIT_NONE) << "there is no such rank";
}

/* ---- fates ---- */

TEST_P(Node, FatesComeInOrderAndOnce)
{
    Member &m = join(0);
    int one = seat(1), two = seat(2);
    host_->ops->tell(host_, 1, SRI_FATE_LEFT, 0);
    host_->ops->tell(host_, 2, SRI_FATE_DIED, -9);
    host_->ops->tell(host_, 1, SRI_FATE_ENDED, 255);
    ASSERT_TRUE(until([&] { return m.sink.fates.size() >= 3; }));
    while (round())
        ;
    ASSERT_EQ(m.sink.fates.size(), 3u);
    EXPECT_EQ(m.sink.fates[0].rank, 1);
    EXPECT_EQ(m.sink.fates[0].fate, SRI_FATE_LEFT);
    EXPECT_EQ(m.sink.fates[1].rank, 2);
    EXPECT_EQ(m.sink.fates[1].fate, SRI_FATE_DIED);
    EXPECT_EQ(m.sink.fates[1].code, -9);
    EXPECT_EQ(m.sink.fates[2].fate, SRI_FATE_ENDED);
    EXPECT_EQ(m.sink.fates[2].code, 255);
    for (int rank : { 1, 2 })
        unseat(rank);
    close(one);
    close(two);
}

/* The receiver has not polled since before the sender came: not even the lane is known to it. */
TEST_P(Node, FramesOfTheDeadComeBeforeTheirFateEvenFromAFreedSeat)
{
    Member &m = join(0), &other = join(1);
    ASSERT_EQ(send(other.t, 0, frame_of({ 1 }, 5, SRI_KIND_MESSAGE)), SRI_SENT);
    m.sink.frames.clear();
    sri_frame last = frame_of({}, 6, SRI_KIND_MESSAGE);
    ASSERT_EQ(other.t->ops->send(other.t, 0, &last), SRI_SENT);
    other.t->ops->close(other.t, false);
    other.t = nullptr;
    members_.pop_back();
    host_->ops->drain(host_, 1);
    host_->ops->tell(host_, 1, SRI_FATE_DIED, -9);
    unseat(1);
    ASSERT_TRUE(until([&] { return !m.sink.fates.empty(); }));
    ASSERT_FALSE(m.sink.frames.empty());
    for (const Arrived &a : m.sink.frames)
        EXPECT_EQ(a.source, 1);
    EXPECT_EQ(m.sink.frames.back().aux, 6u);
}

/* A member whose lane from the agent is full hears of fates when it has read, without another
 * reason for the agent to wake up. */
TEST_P(Node, AFateIsToldThoughTheLaneIsFull)
{
    Member &m = join(0);
    int other = seat(1);
    Bytes bytes(2000, 1);
    sri_frame f = frame_of(bytes, 0, SRI_KIND_FEED);
    while (agent()->ops->send(agent(), 0, &f) == SRI_SENT)
        ;
    host_->ops->tell(host_, 1, SRI_FATE_DIED, -9);
    agent_round();
    int done[2];
    ASSERT_EQ(pipe2(done, O_CLOEXEC), 0);
    std::thread reader([&] {
        sri_ns deadline = sri_now() + (sri_ns)(patience(10) * 1e9);
        while (m.sink.fates.empty() && sri_now() < deadline) {
            if (!m.t->ops->poll(m.t) && m.t->ops->arm(m.t))
                m.t->ops->sleep(m.t, sri_now() + SRI_MS(20));
        }
        close(done[1]);
    });
    /* As the agent's loop: asleep on its descriptors, of which only the bell is of use here. */
    struct pollfd p[2] = { { done[0], POLLIN, 0 }, { host_->ops->bell(host_), POLLIN, 0 } };
    while (!(p[0].revents & POLLHUP)) {
        if (agent()->ops->arm(agent()))
            poll(p, 2, -1);
        agent()->ops->poll(agent());
    }
    close(done[0]);
    reader.join();
    ASSERT_EQ(m.sink.fates.size(), 1u);
    EXPECT_EQ(m.sink.fates[0].rank, 1);
    unseat(1);
    close(other);
}

} // namespace
