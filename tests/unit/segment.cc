/* The shared segment: who may open it, what cannot be done to it, and its lanes. */
#include "support/lane.h"

#include "base/error.h"
#include "support/program.h"

#include <cerrno>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <set>
#include <sys/mman.h>
#include <thread>
#include <unistd.h>

namespace {

using serry_test::count_fds;

class Segment : public testing::Test {
protected:
    void SetUp() override
    {
        before_ = count_fds();
        segment_ = segment_create(5);
        ASSERT_NE(segment_, nullptr) << serry_err_detail();
    }
    void TearDown() override
    {
        segment_close(segment_);
        EXPECT_EQ(count_fds(), before_) << serry_test::describe_fds();
    }

    /* Opens a descriptor, which is gone afterwards in any case; true if that was refused. */
    bool refused(int fd)
    {
        sri_segment *s = segment_open(fd);
        EXPECT_EQ(fcntl(fd, F_GETFD) >= 0, s != nullptr) << "who owns the descriptor now?";
        segment_close(s);
        return !s;
    }

    sri_segment *segment_ = nullptr;
    int before_;
};

TEST_F(Segment, IsSharedByAllWhoOpenIt)
{
    sri_segment *other = segment_open(dup(segment_fd(segment_)));
    ASSERT_NE(other, nullptr) << serry_err_detail();
    EXPECT_EQ(segment_size(other), 5);
    uint32_t lane = segment_take_lane(segment_, 3, 4);
    EXPECT_NE(lane, 0u);
    EXPECT_EQ(segment_table(other, 4, 3), lane);
    segment_ring(segment_, lane)[100] = 42;
    EXPECT_EQ(segment_ring(other, lane)[100], 42);
    segment_close(other);
}

TEST_F(Segment, IsNotInheritedByProgramsThatAreExecuted)
{
    EXPECT_TRUE(fcntl(segment_fd(segment_), F_GETFD) & FD_CLOEXEC);
}

TEST_F(Segment, CannotBeShrunkOrGrownUnderAnybody)
{
    off_t total = (off_t)segment_total(segment_);
    for (off_t size : { (off_t)0, total - 4096, total + 4096 }) {
        EXPECT_EQ(ftruncate(segment_fd(segment_), size), -1);
        EXPECT_EQ(errno, EPERM);
    }
    EXPECT_EQ(fcntl(segment_fd(segment_), F_ADD_SEALS, F_SEAL_WRITE), -1)
        << "nor made read-only for the others";
}

TEST_F(Segment, AnotherVersionIsRefused)
{
    segment_set_version(segment_, 77);
    EXPECT_TRUE(refused(dup(segment_fd(segment_))));
    EXPECT_NE(std::string(serry_err_detail()).find("version 77"), std::string::npos)
        << serry_err_detail();
}

TEST_F(Segment, SomethingElseOfItsShapeIsRefused)
{
    segment_set_magic(segment_, 1);
    EXPECT_TRUE(refused(dup(segment_fd(segment_))));
}

TEST_F(Segment, AFileThatIsNotSealedIsRefused)
{
    int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    ASSERT_GE(fd, 0);
    ASSERT_EQ(ftruncate(fd, (off_t)segment_total(segment_)), 0);
    EXPECT_TRUE(refused(fd));
}

TEST_F(Segment, AFileOfAnotherSizeIsRefused)
{
    int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    ASSERT_GE(fd, 0);
    ASSERT_EQ(ftruncate(fd, 8192), 0);
    ASSERT_EQ(fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW), 0);
    EXPECT_TRUE(refused(fd));
}

TEST_F(Segment, WhatIsNoMemoryIsRefused)
{
    serry_test::Scratch scratch;
    EXPECT_TRUE(refused(open((scratch / "file").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600)));
    EXPECT_TRUE(refused(open("/dev/null", O_RDWR | O_CLOEXEC)));
    int pipe[2];
    ASSERT_EQ(pipe2(pipe, O_CLOEXEC), 0);
    EXPECT_TRUE(refused(pipe[0]));
    close(pipe[1]);
}

TEST_F(Segment, ALaneIsOnesOwnUntilItIsFreed)
{
    std::set<uint32_t> lanes;
    for (uint32_t to = 2; to < 50; to++) {
        uint32_t lane = segment_take_lane(segment_, 1, to), from = 0, owner_to = 0;
        ASSERT_NE(lane, 0u);
        EXPECT_TRUE(lanes.insert(lane).second) << "lane " << lane << " was given twice";
        EXPECT_EQ(segment_table(segment_, to, 1), lane);
        EXPECT_EQ(segment_table(segment_, 1, to), 0u) << "a lane goes one way";
        EXPECT_TRUE(segment_lane_owner(segment_, lane, &from, &owner_to));
        EXPECT_EQ(from, 1u);
        EXPECT_EQ(owner_to, to);
    }
    for (uint32_t lane : lanes)
        segment_free_lane(segment_, lane);
    for (uint32_t to = 2; to < 50; to++)
        EXPECT_EQ(segment_table(segment_, to, 1), 0u);
    for (size_t i = 0; i < lanes.size(); i++)
        EXPECT_EQ(lanes.count(segment_take_lane(segment_, 7, 8)), 1u) << "freed lanes come first";
}

TEST_F(Segment, ALaneIsCleanWhenItIsTakenAgain)
{
    uint32_t lane = segment_take_lane(segment_, 1, 2);
    memset(segment_ring(segment_, lane), 0xa5, lane_ring_size);
    segment_free_lane(segment_, lane);
    ASSERT_EQ(segment_take_lane(segment_, 3, 4), lane);
    uint64_t word = 1;
    memcpy(&word, segment_ring(segment_, lane), sizeof word);
    EXPECT_EQ(word, 0u) << "the next owner would read what the last one wrote";
}

TEST_F(Segment, WhenAllLanesAreTakenThereIsNone)
{
    uint32_t first = segment_take_lane(segment_, 1, 2);
    segment_exhaust(segment_, first + 1);
    for (int i = 0; i < 3; i++)
        EXPECT_EQ(segment_take_lane(segment_, 3, 4), 0u);
    EXPECT_EQ(segment_table(segment_, 4, 3), 0u);
    uint32_t from, to;
    ASSERT_TRUE(segment_lane_owner(segment_, first, &from, &to));
    EXPECT_EQ(from, 1u);
    EXPECT_EQ(to, 2u);
    segment_free_lane(segment_, first);
    EXPECT_EQ(segment_take_lane(segment_, 3, 4), first) << "one was freed";
    EXPECT_EQ(segment_take_lane(segment_, 3, 4), 0u);
    segment_free_lane(segment_, segment_lanes - 1);
    EXPECT_EQ(segment_take_lane(segment_, 3, 4), segment_lanes - 1);
}

TEST_F(Segment, FreeingALaneSparesAnotherInItsPlace)
{
    uint32_t old = segment_take_lane(segment_, 1, 2);
    uint32_t now = segment_take_lane(segment_, 1, 2);
    ASSERT_EQ(segment_table(segment_, 2, 1), now);
    segment_free_lane(segment_, old);
    EXPECT_EQ(segment_table(segment_, 2, 1), now);
}

TEST_F(Segment, AnOwnerThatCannotBeIsNotBelieved)
{
    uint32_t lane = segment_take_lane(segment_, 1, 2);
    segment_set_owner(segment_, lane, 0x7fffffff, UINT32_MAX);
    segment_free_lane(segment_, lane); /* would write far outside the table */
    uint32_t from, to;
    EXPECT_FALSE(segment_lane_owner(segment_, lane, &from, &to));
}

TEST_F(Segment, ManyMayTakeAndFreeAtOnce)
{
    std::set<uint32_t> kept[4];
    std::vector<std::thread> threads;
    for (uint32_t t = 0; t < 4; t++) {
        threads.emplace_back([&, t] {
            for (uint32_t i = 0; i < 300; i++) {
                uint32_t lane = segment_take_lane(segment_, t + 1, 100 + i);
                if (lane && i % 4)
                    segment_free_lane(segment_, lane);
                else
                    kept[t].insert(lane);
            }
        });
    }
    for (auto &t : threads)
        t.join();
    std::set<uint32_t> all;
    for (const auto &k : kept) {
        EXPECT_EQ(k.count(0), 0u) << "there were lanes enough";
        for (uint32_t lane : k)
            EXPECT_TRUE(all.insert(lane).second) << "lane " << lane << " was given twice";
    }
    EXPECT_EQ(all.size(), 4 * 75u);
}

} // namespace
