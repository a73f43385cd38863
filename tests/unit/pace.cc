/* How long a lane's laps are: the writer's choice between short and long ones. */
extern "C" {
#include "transport/local/pace.h"
}

#include <gtest/gtest.h>

namespace {

constexpr uint64_t short_lap = 131072, long_lap = 2097152;

class Pace : public testing::Test {
protected:
    Pace() { sri_pace_init(&pace_); }

    /* Streams so many bytes where a byte of a short lap costs this, and of a long one that (in
     * picoseconds). Returns how many of them went in long laps. */
    uint64_t stream(uint64_t bytes, int64_t cost_short, int64_t cost_long, unsigned percent = 100)
    {
        uint64_t in_long = 0;
        for (uint64_t sent = 0; sent < bytes;) {
            uint64_t lap = far_ ? long_lap : short_lap;
            now_ += (int64_t)lap * (far_ ? cost_long : cost_short) / 1000;
            in_long += far_ ? lap : 0;
            sent += lap;
            far_ = sri_pace_turn(&pace_, lap, lap * percent / 100, now_);
        }
        return in_long;
    }

    sri_pace pace_;
    sri_ns now_ = 1000;
    bool far_ = false;
};

constexpr uint64_t MiB = 1 << 20;

TEST_F(Pace, BeginsWithShortLaps)
{
    EXPECT_EQ(stream(2 * MiB, 100, 10), 0u);
}

TEST_F(Pace, StaysWithShortLapsWhereTheyAreQuicker)
{
    uint64_t total = 4096 * MiB, tried = stream(total, 20, 40);
    EXPECT_GT(tried, 0u) << "it never looked";
    EXPECT_LT(tried, total / 64) << "and looks ever more seldom";
}

TEST_F(Pace, GoesOverToLongLapsWhereTheyAreQuicker)
{
    uint64_t total = 4096 * MiB, in_long = stream(total, 120, 40);
    EXPECT_GT(in_long, total - total / 64);
    EXPECT_LT(in_long, total - 4 * MiB) << "short ones are tried, too";
}

TEST_F(Pace, NoticesWhenItHasChanged)
{
    stream(1024 * MiB, 20, 40);
    stream(600 * MiB, 120, 40); /* as far apart as its trials ever are */
    EXPECT_EQ(stream(64 * MiB, 120, 40), 64 * MiB);
    stream(600 * MiB, 20, 40);
    EXPECT_EQ(stream(64 * MiB, 20, 40), 0u);
}

TEST_F(Pace, DoesNotGoOverForNothing)
{
    uint64_t total = 4096 * MiB;
    EXPECT_LT(stream(total, 40, 39), total / 64) << "long laps take memory";
}

TEST_F(Pace, LapsOfSmallMessagesAreShort)
{
    EXPECT_EQ(stream(1024 * MiB, 120, 40, 10), 0u);
    stream(64 * MiB, 120, 40);
    ASSERT_TRUE(far_);
    stream(2 * MiB, 120, 40, 10);
    EXPECT_FALSE(far_) << "even if long ones were better before";
    stream(2 * MiB, 120, 40);
    EXPECT_TRUE(far_) << "which is remembered";
}

} // namespace
