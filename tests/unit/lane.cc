// ctest: tsan
/* The ring of transport/local/lane.h: what lies where, wrapping, full, and what is not believed. */
#include "support/lane.h"

#include <algorithm>
#include <cstring>
#include <gtest/gtest.h>
#include <memory>
#include <numeric>
#include <vector>

namespace {

constexpr uint8_t pad_kind = 0xff;
constexpr uint64_t mark = UINT64_C(0xa5) << 56;

using Bytes = std::vector<uint8_t>;

Bytes pattern(size_t size, uint64_t seed)
{
    Bytes b(size);
    for (size_t i = 0; i < size; i++)
        b[i] = (uint8_t)(seed * 31 + i * 7 + (i >> 8));
    return b;
}

sri_frame frame_of(const Bytes &body, uint64_t aux = 0, uint8_t kind = SRI_KIND_MESSAGE)
{
    sri_frame f = {};
    f.kind = kind;
    f.aux = aux;
    f.body = body.data();
    f.body_len = body.size();
    f.fd = -1;
    return f;
}

/* What a record of so many bytes takes in the ring, at a multiple of 64. Those of 1 KiB and more
 * begin and end with a cache line. */
uint64_t space_of(uint64_t size)
{
    return size < 1024 ? 16 + (size + 15) / 16 * 16 : 64 + (size + 63) / 64 * 64;
}

class Lane : public testing::Test {
protected:
    Lane() : lane_(lane_create(), lane_destroy) {}

    bool write(const Bytes &body, uint64_t aux = 0)
    {
        sri_frame f = frame_of(body, aux);
        return lane_write(lane_.get(), &f);
    }

    /* Reads one record and checks it. */
    void expect_read(const Bytes &body, uint64_t aux = 0)
    {
        lane_record r;
        ASSERT_EQ(lane_peek(lane_.get(), &r), 1);
        EXPECT_EQ(r.aux, aux);
        ASSERT_EQ(r.size, body.size());
        EXPECT_TRUE(body.empty() || memcmp(r.bytes, body.data(), body.size()) == 0);
        EXPECT_EQ((uintptr_t)r.bytes % 16, 0u);
        lane_next(lane_.get(), &r);
    }

    uint64_t word(uint64_t at)
    {
        uint64_t w;
        memcpy(&w, lane_ring(lane_.get()) + at % lane_ring_size, sizeof w);
        return w;
    }

    void set_word(uint64_t at, uint64_t w)
    {
        memcpy(lane_ring(lane_.get()) + at % lane_ring_size, &w, sizeof w);
    }

    /* Writes records of so many bytes until one is refused; how many went in. */
    size_t fill(size_t size)
    {
        size_t n = 0;
        while (n < 200000 && write(pattern(size, n), n))
            n++;
        return n;
    }

    std::unique_ptr<lane_pair, void (*)(lane_pair *)> lane_;
};

TEST_F(Lane, RecordsLieAsDrawn)
{
    Bytes head = { 1, 2, 3 }, body = { 4, 5, 6, 7 };
    sri_frame f = frame_of(body, UINT64_C(0x1122334455667788), SRI_KIND_REQUEST);
    f.flags = 0x81;
    f.head = head.data();
    f.head_len = head.size();
    ASSERT_TRUE(lane_write(lane_.get(), &f));
    const uint8_t expected[] = { 7,    0,    0,    0,    SRI_KIND_REQUEST,
                                 0x81, 0,    0xa5, 0x88, 0x77,
                                 0x66, 0x55, 0x44, 0x33, 0x22,
                                 0x11, 1,    2,    3,    4,
                                 5,    6,    7 };
    EXPECT_EQ(memcmp(lane_ring(lane_.get()), expected, sizeof expected), 0);
    EXPECT_EQ(word(32), 0u) << "the place behind a record says that nothing is there";
    EXPECT_EQ(lane_written(lane_.get()), 32u);
}

TEST_F(Lane, AnEmptyOneGivesNothing)
{
    lane_record r;
    EXPECT_FALSE(lane_ready(lane_.get()));
    EXPECT_EQ(lane_peek(lane_.get(), &r), 0);
}

TEST_F(Lane, CarriesEverySizeInOrder)
{
    for (size_t size = 0; size <= lane_body_max; size++) {
        Bytes body = pattern(size, size);
        ASSERT_TRUE(write(body, size * 3)) << size;
        EXPECT_TRUE(lane_ready(lane_.get()));
        ASSERT_NO_FATAL_FAILURE(expect_read(body, size * 3)) << size;
        EXPECT_FALSE(lane_ready(lane_.get()));
    }
}

TEST_F(Lane, CarriesNothingAtAll)
{
    sri_frame f = {};
    f.kind = SRI_KIND_DATA;
    f.flags = (uint8_t)~SRI_FLAG_SOON;
    f.aux = UINT64_MAX;
    f.fd = -1;
    ASSERT_TRUE(lane_write(lane_.get(), &f));
    lane_record r;
    ASSERT_EQ(lane_peek(lane_.get(), &r), 1);
    EXPECT_EQ(r.kind, SRI_KIND_DATA);
    EXPECT_EQ(r.flags, (uint8_t)~SRI_FLAG_SOON);
    EXPECT_EQ(r.aux, UINT64_MAX);
    EXPECT_EQ(r.size, 0u);
    EXPECT_EQ(lane_written(lane_.get()), 16u);
}

TEST_F(Lane, PeekingTwiceConsumesNothing)
{
    ASSERT_TRUE(write({ 1, 2, 3 }, 5));
    lane_record r;
    ASSERT_EQ(lane_peek(lane_.get(), &r), 1);
    ASSERT_EQ(lane_peek(lane_.get(), &r), 1);
    EXPECT_EQ(r.aux, 5u);
    expect_read({ 1, 2, 3 }, 5);
    EXPECT_EQ(lane_peek(lane_.get(), &r), 0);
}

TEST_F(Lane, WrapsWhereverTheEndComes)
{
    for (uint64_t left = 16; left <= 2 * 8192; left += 16) {
        lane_start_at(lane_.get(), 5 * lane_ring_size - left);
        for (int i = 0; i < 4; i++) {
            Bytes body = pattern(i % 2 ? lane_body_max : 33, left + (uint64_t)i);
            ASSERT_TRUE(write(body, left)) << left;
            ASSERT_NO_FATAL_FAILURE(expect_read(body, left)) << left;
        }
    }
}

TEST_F(Lane, LargeRecordsBeginAndEndOnACacheLine)
{
    for (uint64_t at = 0; at < 128; at += 16) {
        for (size_t size : { (size_t)1023, (size_t)1024, (size_t)1025, lane_body_max }) {
            lane_start_at(lane_.get(), at);
            ASSERT_TRUE(write(pattern(size, at)));
            lane_record r;
            ASSERT_EQ(lane_peek(lane_.get(), &r), 1);
            EXPECT_TRUE(size < 1024
                        || ((uintptr_t)r.bytes % 64 == 0 && lane_written(lane_.get()) % 64 == 0))
                << size << " bytes at " << at;
            ASSERT_NO_FATAL_FAILURE(expect_read(pattern(size, at)));
            EXPECT_EQ(lane_position(lane_.get()), lane_written(lane_.get()));
        }
    }
}

TEST_F(Lane, APadFillsWhatIsLeftOver)
{
    uint64_t at = lane_ring_size - 48;
    lane_start_at(lane_.get(), at);
    ASSERT_TRUE(write(pattern(100, 1)));
    EXPECT_EQ(word(at), (48 - 16) | (uint64_t)pad_kind << 32 | mark);
    EXPECT_EQ(word(lane_ring_size), 100 | (uint64_t)SRI_KIND_MESSAGE << 32 | mark);
    expect_read(pattern(100, 1));
    EXPECT_EQ(lane_position(lane_.get()), lane_ring_size + space_of(100));
}

TEST_F(Lane, ARecordThatEndsWithTheRingNeedsNoPad)
{
    lane_start_at(lane_.get(), lane_ring_size - space_of(200));
    ASSERT_TRUE(write(pattern(200, 1)));
    EXPECT_EQ(lane_written(lane_.get()), lane_ring_size);
    EXPECT_EQ(word(0), 0u);
    expect_read(pattern(200, 1));
    ASSERT_TRUE(write(pattern(10, 2)));
    expect_read(pattern(10, 2));
}

TEST_F(Lane, IsFullWhenThePlaceBehindIsTheReaders)
{
    /* Records of 64 bytes: the last 64 must hold the word that says nothing follows. */
    EXPECT_EQ(fill(48), lane_ring_size / 64 - 1);
    EXPECT_TRUE(write({})) << "a record of 16 bytes still fits";
    EXPECT_TRUE(write({}));
    EXPECT_TRUE(write({}));
    EXPECT_FALSE(write({})) << "but not the last one";
    for (size_t i = 0; i < lane_ring_size / 64 - 1; i++)
        ASSERT_NO_FATAL_FAILURE(expect_read(pattern(48, i), i));
    for (int i = 0; i < 3; i++)
        expect_read({});
    lane_record r;
    EXPECT_EQ(lane_peek(lane_.get(), &r), 0);
}

TEST_F(Lane, AShortLapLeavesTheRestOfTheRingAlone)
{
    lane_start_short(lane_.get(), 3 * lane_ring_size);
    for (size_t i = 0; i < 2000; i++) { /* some 50 laps */
        Bytes body = pattern(i * 37 % 6000, i);
        ASSERT_TRUE(write(body, i)) << i;
        ASSERT_NO_FATAL_FAILURE(expect_read(body, i)) << i;
    }
    EXPECT_GT(lane_position(lane_.get()), 40 * lane_ring_size);
    const uint8_t *ring = lane_ring(lane_.get());
    for (size_t i = lane_short_size; i < lane_ring_size; i++)
        ASSERT_EQ(ring[i], 0x77) << i;
}

TEST_F(Lane, AShortLapHoldsWhatItCan)
{
    lane_start_short(lane_.get(), 0);
    EXPECT_EQ(fill(48), lane_short_size / 64 - 1);
    EXPECT_FALSE(write({}));
    for (size_t i = 0; i < lane_short_size / 64 - 1; i++)
        ASSERT_NO_FATAL_FAILURE(expect_read(pattern(48, i), i));
    EXPECT_TRUE(write(pattern(lane_body_max, 7)));
    expect_read(pattern(lane_body_max, 7));
}

TEST_F(Lane, WhatFindsNoRoomChangesNothing)
{
    fill(1000);
    Bytes before(lane_ring(lane_.get()), lane_ring(lane_.get()) + lane_ring_size);
    uint64_t at = lane_written(lane_.get());
    EXPECT_FALSE(write(pattern(lane_body_max, 9)));
    EXPECT_EQ(lane_written(lane_.get()), at);
    EXPECT_EQ(memcmp(before.data(), lane_ring(lane_.get()), lane_ring_size), 0);
}

TEST_F(Lane, APadThatFindsNoRoomChangesNothing)
{
    /* 1 KiB to the end of the ring and 4 KiB behind it: a record of 8 KiB fits neither. */
    lane_start_at(lane_.get(), 4096);
    while (lane_written(lane_.get()) < lane_ring_size - 1024)
        ASSERT_TRUE(write(pattern(1024 - 16, 1)));
    ASSERT_EQ(lane_written(lane_.get()), lane_ring_size - 1024);
    Bytes before(lane_ring(lane_.get()), lane_ring(lane_.get()) + lane_ring_size);
    EXPECT_FALSE(write(pattern(lane_body_max, 9)));
    EXPECT_EQ(memcmp(before.data(), lane_ring(lane_.get()), lane_ring_size), 0);
}

TEST_F(Lane, TheReaderSaysNowAndThenHowFarItIs)
{
    size_t n = fill(48), told = 0;
    uint64_t last = 0;
    for (uint64_t read = 64; read <= n * 64; read += 64) {
        lane_record r;
        ASSERT_EQ(lane_peek(lane_.get(), &r), 1);
        EXPECT_FALSE(lane_next(lane_.get(), &r)) << "nobody waits for room";
        uint64_t head = lane_head(lane_.get());
        EXPECT_LE(head, read) << "more than was read";
        EXPECT_GT(head + lane_short_size / 4, read) << "less than is useful";
        told += head != last;
        last = head;
    }
    EXPECT_LT(told, n * 64 / 8192) << "each costs the writer a cache line";
}

TEST_F(Lane, AWriterThatWantsRoomIsRungOnce)
{
    fill(48);
    EXPECT_FALSE(lane_want_room(lane_.get(), 64 + 8));
    int rung = 0;
    for (uint64_t read = 64; read <= lane_ring_size / 2; read += 64) {
        lane_record r;
        ASSERT_EQ(lane_peek(lane_.get(), &r), 1);
        if (lane_next(lane_.get(), &r)) {
            rung++;
            EXPECT_EQ(read, lane_head(lane_.get())) << "rung before the room was there";
        }
    }
    EXPECT_EQ(rung, 1);
    EXPECT_TRUE(lane_want_room(lane_.get(), 64 + 8)) << "there is room after all";
    EXPECT_TRUE(write(pattern(lane_body_max, 1)));
}

/* A reader that has read everything must have made room for any record, pad and all: nobody would
 * ring for it afterwards. */
TEST_F(Lane, AWriterThatWaitsForRoomGetsItBeforeTheLaneIsEmpty)
{
    for (uint64_t i = 0; i < 100; i++) {
        bool is_short = i % 2;
        uint64_t at = i * ((is_short ? lane_short_size : lane_ring_size) / 100) / 16 * 16;
        is_short ? lane_start_short(lane_.get(), at) : lane_start_at(lane_.get(), at);
        fill(0);
        bool written = false;
        for (;;) {
            lane_want_room(lane_.get(), lane_ring_size);
            lane_record r;
            while (lane_peek(lane_.get(), &r) == 1 && !lane_next(lane_.get(), &r))
                ;
            written = write(pattern(lane_body_max, at));
            if (written || !lane_ready(lane_.get()))
                break;
        }
        EXPECT_TRUE(written) << at;
    }
}

TEST_F(Lane, AHeadBeyondTheTailIsNotBelieved)
{
    fill(48);
    for (uint64_t beyond : { UINT64_C(1), UINT64_C(64), UINT64_MAX / 2 }) {
        lane_set_head(lane_.get(), lane_written(lane_.get()) + beyond);
        EXPECT_FALSE(write(pattern(48, 0)));
        EXPECT_FALSE(lane_want_room(lane_.get(), 64 + 8));
    }
}

TEST_F(Lane, AHeadThatGoesBackGivesNoRoom)
{
    lane_start_at(lane_.get(), 4 * lane_ring_size);
    fill(48);
    lane_set_head(lane_.get(), 0);
    EXPECT_FALSE(write(pattern(48, 0)));
    EXPECT_FALSE(lane_want_room(lane_.get(), 64 + 8));
}

/* Whatever stands in the lane: a record inside the ring, or -1; and never for ever. */
TEST_F(Lane, ACorruptWordIsRefused)
{
    const uint64_t kind = (uint64_t)SRI_KIND_MESSAGE << 32;
    const uint64_t pad = (uint64_t)pad_kind << 32;
    struct {
        const char *what;
        uint64_t at, word;
    } cases[] = {
        { "no mark", 0, 16 | kind },
        { "another mark", 0, 16 | kind | UINT64_C(0x5a) << 56 },
        { "too long for a record", 0, (lane_body_max + 1) | kind | mark },
        { "as long as can be said", 0, UINT32_MAX | kind | mark },
        { "longer than the ring goes on", lane_ring_size - 64, (64 - 16 + 1) | kind | mark },
        { "longer than the ring goes on, by a whole record", lane_ring_size - 16,
          lane_body_max | kind | mark },
        { "longer than the ring goes on, by its gap", lane_ring_size - 2048,
          (2048 - 16) | kind | mark },
        { "a pad at the beginning of the ring", 0, (lane_ring_size - 16) | pad | mark },
        { "a short pad at the beginning of the ring", 0, 16 | pad | mark },
        { "a pad longer than any record", lane_ring_size / 2,
          (lane_ring_size / 2 - 16) | pad | mark },
        { "a pad behind where short laps end", lane_short_size,
          (lane_ring_size - lane_short_size - 16) | pad | mark },
        { "a pad at the end of a short lap that ends before the ring", lane_short_size - 64,
          16 | pad | mark },
        { "a pad that ends before the ring", lane_ring_size - 64, 16 | pad | mark },
        { "a pad that ends behind the ring", lane_ring_size - 64, 128 | pad | mark },
    };
    for (const auto &c : cases) {
        lane_start_at(lane_.get(), c.at);
        set_word(c.at, c.word);
        lane_record r;
        EXPECT_EQ(lane_peek(lane_.get(), &r), -1) << c.what;
        EXPECT_EQ(lane_peek(lane_.get(), &r), -1) << c.what << ", asked again";
    }
}

TEST_F(Lane, TwoPadsAreRefused)
{
    uint64_t at = lane_ring_size - 64;
    lane_start_at(lane_.get(), at);
    set_word(at, (64 - 16) | (uint64_t)pad_kind << 32 | mark);
    set_word(0, (lane_ring_size - 16) | (uint64_t)pad_kind << 32 | mark);
    lane_record r;
    EXPECT_EQ(lane_peek(lane_.get(), &r), -1);
}

} // namespace
