// ctest: tsan processors=2
/* A writer and a reader in two threads, so that ThreadSanitizer sees both ends of a lane. */
#include "support/lane.h"

#include "support/program.h"

#include <atomic>
#include <chrono>
#include <cstring>
#include <gtest/gtest.h>
#include <memory>
#include <random>
#include <thread>
#include <vector>

namespace {

constexpr int records = 60000;

/* So long nothing has moved: not how long all of it takes, which is the machine's affair. */
class Deadline {
public:
    void moved() { end_ = std::chrono::steady_clock::now() + std::chrono::seconds(30); }
    void now() { end_ = std::chrono::steady_clock::time_point(); }
    bool passed() const { return std::chrono::steady_clock::now() > end_.load(); }

private:
    std::atomic<std::chrono::steady_clock::time_point> end_{ std::chrono::steady_clock::now()
                                                             + std::chrono::seconds(30) };
};

uint64_t sum_of(const uint8_t *bytes, size_t n)
{
    uint64_t h = 1469598103934665603u;
    for (size_t i = 0; i < n; i++)
        h = (h ^ bytes[i]) * 1099511628211u;
    return h;
}

/* Mostly small, some as large as can be. */
size_t random_size(std::mt19937 &random)
{
    switch (random() % 8) {
    case 0:
        return 0;
    case 1:
        return random() % (lane_body_max + 1);
    default:
        return random() % 200;
    }
}

/* The records that both threads know: the seed makes their sizes and their bytes. */
struct Stream {
    std::mt19937 random{ 7 };
    std::vector<uint8_t> bytes = std::vector<uint8_t>(lane_body_max);

    size_t next()
    {
        size_t size = random_size(random);
        for (size_t i = 0; i < size; i += 16)
            bytes[i] = (uint8_t)random();
        return size;
    }
};

class LaneThreads : public testing::Test {
protected:
    LaneThreads() : lane_(lane_create(), lane_destroy)
    {
        /* One record before there are threads: what is set up at its first use is set up. */
        sri_frame f = {};
        f.kind = SRI_KIND_DATA;
        f.fd = -1;
        lane_record r;
        EXPECT_TRUE(lane_write(lane_.get(), &f));
        EXPECT_EQ(lane_peek(lane_.get(), &r), 1);
        lane_next(lane_.get(), &r);
    }

    std::unique_ptr<lane_pair, void (*)(lane_pair *)> lane_;
    std::atomic<int> rung_{ 0 };
    Deadline deadline_;
};

/* A writer that finds no room says so and then waits for the ring, and for nothing else: a reader
 * that missed it would leave it waiting for ever. */
TEST_F(LaneThreads, EveryRecordArrivesWholeAndNoRingIsMissed)
{
    std::atomic<bool> stuck{ false };
    std::thread writer([&] {
        Stream stream;
        for (int i = 0; i < records && !stuck; i++) {
            size_t size = stream.next();
            sri_frame f = {};
            f.kind = (uint8_t)(1 + i % 9);
            f.flags = (uint8_t)i; /* now and then SOON, which the writer keeps to itself */
            f.aux = (uint64_t)i;
            f.head = stream.bytes.data();
            f.head_len = size < 8 ? size : 8;
            f.body = stream.bytes.data() + f.head_len;
            f.body_len = size - f.head_len;
            f.fd = -1;
            while (!lane_write(lane_.get(), &f)) {
                int before = rung_.load();
                if (lane_want_room(lane_.get(), 2 * 8192 + 8))
                    continue;
                while (rung_.load() == before && !deadline_.passed())
                    std::this_thread::yield();
                if (deadline_.passed()) {
                    stuck = true;
                    break;
                }
            }
        }
    });

    Stream stream;
    std::mt19937 pause(11);
    for (int i = 0; i < records && !stuck; i++) {
        lane_record r;
        int got;
        while ((got = lane_peek(lane_.get(), &r)) == 0 && !deadline_.passed())
            std::this_thread::yield();
        size_t size = stream.next();
        if (got != 1 || r.kind != 1 + i % 9 || r.flags != (uint8_t)(i & ~(int)SRI_FLAG_SOON)
            || r.aux != (uint64_t)i || r.size != size
            || sum_of(r.bytes, size) != sum_of(stream.bytes.data(), size)) {
            ADD_FAILURE() << "record " << i << ": got " << got;
            stuck = true;
            break;
        }
        if (lane_next(lane_.get(), &r))
            rung_++;
        if (i % 64 == 0)
            deadline_.moved();
        if (pause() % 512 == 0)
            std::this_thread::yield(); /* so that the lane fills now and then */
    }
    if (stuck)
        deadline_.now();
    writer.join();
    EXPECT_FALSE(stuck) << "the writer waits for a ring that does not come";
    lane_record r;
    EXPECT_EQ(lane_peek(lane_.get(), &r), 0);
}

} // namespace
