/* Buffers grow with what is put in. */
#include "base/buffer.h"

#include <gtest/gtest.h>
#include <string>
#include <sys/resource.h>

namespace {

TEST(Buffer, ZeroedIsEmptyAndMayBeFreed)
{
    sri_buffer b = {};
    sri_buffer_fini(&b);
    EXPECT_EQ(sri_buffer_add(&b, nullptr, 0), SERRY_OK);
    EXPECT_EQ(b.len, 0u);
    sri_buffer_fini(&b);
    sri_buffer_fini(&b);
}

TEST(Buffer, KeepsTheBytesInOrder)
{
    sri_buffer b = {};
    std::string expected;
    for (int i = 0; i < 2000; i++) {
        std::string piece((size_t)(i % 37), (char)('a' + i % 26));
        expected += piece;
        ASSERT_EQ(sri_buffer_add(&b, piece.data(), piece.size()), SERRY_OK);
        ASSERT_EQ(b.len, expected.size());
        ASSERT_LE(b.len, b.cap);
    }
    EXPECT_EQ(std::string((char *)b.data, b.len), expected);
    sri_buffer_fini(&b);
    EXPECT_EQ(b.data, nullptr);
    EXPECT_EQ(b.len, 0u);
}

TEST(Buffer, ReserveMakesRoomWithoutContent)
{
    sri_buffer b = {};
    ASSERT_EQ(sri_buffer_reserve(&b, 1000), SERRY_OK);
    EXPECT_GE(b.cap, 1000u);
    EXPECT_EQ(b.len, 0u);
    uint8_t *before = b.data;
    ASSERT_EQ(sri_buffer_reserve(&b, b.cap), SERRY_OK);
    EXPECT_EQ(b.data, before) << "there was room";
    sri_buffer_fini(&b);
}

TEST(Buffer, WhatCannotBeHadLeavesItAsItWas)
{
    sri_buffer b = {};
    ASSERT_EQ(sri_buffer_add(&b, "abc", 3), SERRY_OK);
    sri_buffer before = b;
    for (size_t n : { SIZE_MAX, SIZE_MAX / 2, SIZE_MAX / 4 }) {
        EXPECT_EQ(sri_buffer_reserve(&b, n), SERRY_ENOMEM) << n;
        EXPECT_EQ(memcmp(&b, &before, sizeof b), 0) << n;
    }
    EXPECT_EQ(std::string((char *)b.data, b.len), "abc");
    sri_buffer_fini(&b);
}

} // namespace
