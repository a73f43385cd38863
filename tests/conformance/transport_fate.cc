// ctest: transport
/* What a transport says of members that go: everything they had sent, then their fate, once; and
 * nothing can be sent to them any more. Those who go are started processes, so that the run itself
 * ends well. */
#include "conformance/seam.h"

#include <csignal>
#include <sys/wait.h>

using namespace serry_test;

namespace {

struct Order {
    int parent;
    int frames;     /* to each launched rank */
    bool die;       /* by SIGKILL; else return 7 */
    bool endlessly; /* goes on sending until it is killed */
};

/* What the children do, when they are told to go. */
int child(const void *arg, size_t)
{
    Order o;
    memcpy(&o, arg, sizeof o);
    Seam seam;
    EXPECT_EQ(seam.receive(o.parent).aux, 0u);
    for (int i = 0; i < o.frames || o.endlessly; i++) {
        for (int r = 0; r < serry_size(); r++)
            EXPECT_EQ(seam.send(r, (uint64_t)i, bytes_of((size_t)i % 700, (uint64_t)i)), SRI_SENT);
    }
    if (o.die)
        raise(SIGKILL);
    return 7;
}

struct Child {
    serry_process process;
    int rank;
    pid_t pid;
};

/* Before the Seam is made. */
Child start(Order o)
{
    Child c = {};
    serry_process_info info = {};
    o.parent = serry_rank();
    EXPECT_EQ(serry_process_start(&c.process, child, &o, sizeof o, nullptr), SERRY_OK)
        << serry_err_detail();
    EXPECT_EQ(serry_process_info_of(c.process, &info), SERRY_OK) << serry_err_detail();
    c.rank = info.rank;
    c.pid = info.pid;
    return c;
}

/* Waits for its end as the kernel sees it, and leaves it for the core to be waited for. */
void wait_dead(pid_t pid)
{
    siginfo_t info;
    while (waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT) != 0 && errno == EINTR)
        ;
}

void expect_frames(Seam &seam, int rank, int n)
{
    ASSERT_EQ(seam.from[rank].size(), (size_t)n);
    for (int i = 0; i < n; i++) {
        const Arrived &a = seam.from[rank][(size_t)i];
        ASSERT_EQ(a.aux, (uint64_t)i);
        ASSERT_EQ(a.bytes, bytes_of((size_t)i % 700, (uint64_t)i));
    }
}

size_t times_told(const Seam &seam, int rank)
{
    size_t n = 0;
    for (const Fate &f : seam.fates)
        n += f.rank == rank;
    return n;
}

SERRY_RANKS_TEST(TransportFate, EverythingADeadMemberHadSentComesFirst, .ranks({ 1 }))
{
    const int frames = 40; /* fewer than fill a lane */
    Child c = start({ 0, frames, true, false });
    Seam seam;
    ASSERT_EQ(seam.send(c.rank, 0), SRI_SENT);
    wait_dead(c.pid); /* without a poll: all of it lies in the lane */
    seam.wait_until([&] { return !seam.fates.empty(); });
    ASSERT_EQ(seam.fates.size(), 1u);
    EXPECT_EQ(seam.fates[0].rank, c.rank);
    EXPECT_EQ(seam.fates[0].fate, SRI_FATE_DIED);
    EXPECT_EQ(seam.fates[0].code, -SIGKILL);
    EXPECT_EQ(seam.fates[0].frames_before, (size_t)frames);
    expect_frames(seam, c.rank, frames);
    EXPECT_EQ(seam.send(c.rank, 1), SRI_GONE);
    EXPECT_EQ(seam.send(c.rank, 1), SRI_GONE);
    EXPECT_FALSE(seam.t->ops->present(seam.t, c.rank));
}

SERRY_RANKS_TEST(TransportFate, WhoLeavesHasLeftAndThenEnded, .ranks({ 1 }))
{
    const int frames = 40;
    Child c = start({ 0, frames, false, false });
    Seam seam;
    ASSERT_EQ(seam.send(c.rank, 0), SRI_SENT);
    seam.wait_until([&] { return seam.fate_of(c.rank, SRI_FATE_LEFT) != nullptr; });
    EXPECT_FALSE(seam.t->ops->present(seam.t, c.rank)) << "it has left";
    seam.wait_until([&] { return seam.fate_of(c.rank, SRI_FATE_ENDED) != nullptr; });
    ASSERT_EQ(seam.fates.size(), 2u);
    EXPECT_EQ(seam.fates[0].fate, SRI_FATE_LEFT);
    EXPECT_EQ(seam.fates[0].frames_before, (size_t)frames);
    EXPECT_EQ(seam.fates[1].code, 7);
    expect_frames(seam, c.rank, frames);
    EXPECT_EQ(seam.send(c.rank, 1), SRI_GONE);
    EXPECT_FALSE(seam.t->ops->present(seam.t, c.rank));
}

SERRY_RANKS_TEST(TransportFate, EverybodyHearsOfADeath, .ranks({ 2, 3, 7 }))
{
    const int frames = 25;
    int rank = serry_size();
    if (serry_rank() == 0)
        ASSERT_EQ(start({ 0, frames, true, false }).rank, rank);
    Seam seam;
    if (serry_rank() == 0)
        ASSERT_EQ(seam.send(rank, 0), SRI_SENT);
    seam.wait_until([&] { return seam.fate_of(rank, SRI_FATE_DIED) != nullptr; });
    EXPECT_EQ(seam.fate_of(rank, SRI_FATE_DIED)->code, -SIGKILL);
    EXPECT_EQ(seam.fate_of(rank, SRI_FATE_DIED)->frames_before, (size_t)frames);
    EXPECT_EQ(times_told(seam, rank), 1u);
    expect_frames(seam, rank, frames);
    EXPECT_EQ(seam.send(rank, 1), SRI_GONE);
}

/* Killed in the middle of sending: what arrives is whole and without a gap. */
SERRY_RANKS_TEST(TransportFate, AMemberKilledWhileItSendsSpoilsNothing, .ranks({ 1 }))
{
    std::mt19937 random(9);
    for (int round = 0; round < 15; round++) {
        Child c = start({ 0, 0, false, true });
        Seam seam;
        uint64_t expected = 0;
        bool told = false;
        seam.on_frame = [&](const sri_arrival &a) {
            EXPECT_FALSE(told) << "a frame after the fate";
            EXPECT_EQ(a.aux, expected);
            Bytes bytes = bytes_of(expected % 700, expected);
            EXPECT_TRUE(a.len == bytes.size()
                        && (a.len == 0 || !memcmp(a.bytes, bytes.data(), a.len)));
            expected++;
            return true;
        };
        ASSERT_EQ(seam.send(c.rank, 0), SRI_SENT);
        uint64_t enough = 1 + random() % 400;
        seam.wait_until([&] { return expected >= enough; });
        dawdle(random, 300);
        ASSERT_EQ(kill(c.pid, SIGKILL), 0);
        seam.wait_until([&] {
            told = seam.fate_of(c.rank, SRI_FATE_DIED) != nullptr;
            return told;
        });
        EXPECT_EQ(seam.fate_of(c.rank, SRI_FATE_DIED)->frames_before, expected);
        EXPECT_EQ(seam.send(c.rank, 1), SRI_GONE);
        EXPECT_EQ(times_told(seam, c.rank), 1u);
    }
}

/* A sender that waits for room at a member that dies is told, not left waiting. */
SERRY_RANKS_TEST(TransportFate, AFullLaneToTheDeadIsGone, .ranks({ 1 }))
{
    Child c = start({ 0, 0, true, false });
    Seam seam;
    ASSERT_EQ(kill(c.pid, SIGSTOP), 0);
    Bytes bytes = bytes_of(2000, 1);
    ASSERT_EQ(seam.send(c.rank, 1, bytes), SRI_SENT); /* lanes may be made at first use */
    int n = 0;
    while (n < 10000 && seam.try_send(c.rank, frame_of(bytes, 1)) == SRI_SENT)
        n++;
    ASSERT_LT(n, 10000);
    ASSERT_EQ(kill(c.pid, SIGKILL), 0);
    EXPECT_EQ(seam.send(c.rank, 1, bytes), SRI_GONE);
    seam.wait_until([&] { return seam.fate_of(c.rank, SRI_FATE_DIED) != nullptr; });
}

/* What is left of the dead is used again: many come and go, each talks. */
SERRY_RANKS_TEST(TransportFate, ManyComeTalkAndGo, .ranks({ 1 }))
{
    for (int i = 0; i < 60; i++) {
        Child c = start({ 0, 5, i % 2 == 0, false });
        EXPECT_EQ(c.rank, 1 + i);
        Seam seam;
        ASSERT_EQ(seam.send(c.rank, 0), SRI_SENT);
        sri_fate last = i % 2 == 0 ? SRI_FATE_DIED : SRI_FATE_ENDED;
        seam.wait_until([&] { return seam.fate_of(c.rank, last) != nullptr; });
        expect_frames(seam, c.rank, 5);
    }
}

} // namespace
