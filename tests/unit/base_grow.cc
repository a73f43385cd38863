/* Arrays that double when they are full. */
#include "base/grow.h"

#include <cstdint>
#include <cstdlib>
#include <gtest/gtest.h>

namespace {

TEST(Grow, KeepsTheItemsAndDoublesTheRoom)
{
    int *items = nullptr;
    size_t cap = 0, moves = 0;
    for (int n = 0; n < 10000; n++) {
        if ((size_t)n == cap) {
            size_t before = cap;
            items = static_cast<int *>(sri_grow(items, &cap, (size_t)n + 1, sizeof *items));
            ASSERT_NE(items, nullptr);
            ASSERT_EQ(cap, before ? 2 * before : 64);
            moves++;
        }
        items[n] = n;
    }
    EXPECT_EQ(moves, 9u);
    for (int n = 0; n < 10000; n++)
        ASSERT_EQ(items[n], n);
    free(items);
}

TEST(Grow, MakesRoomForMoreThanTwiceAsMuchAtOnce)
{
    size_t cap = 0;
    void *items = sri_grow(nullptr, &cap, 1000, 8);
    ASSERT_NE(items, nullptr);
    EXPECT_EQ(cap, 1024u);
    items = sri_grow(items, &cap, 5000, 8);
    ASSERT_NE(items, nullptr);
    EXPECT_EQ(cap, 8192u);
    free(items);
}

TEST(Grow, LeavesEverythingAsItWasWhereThereIsNoSuchMemory)
{
    size_t cap = 0;
    auto *items = static_cast<uint64_t *>(sri_grow(nullptr, &cap, 1, sizeof(uint64_t)));
    ASSERT_NE(items, nullptr);
    items[0] = 77;
    for (size_t need : { SIZE_MAX, SIZE_MAX / 2, SIZE_MAX / 8, SIZE_MAX / 8 + 1, SIZE_MAX / 16,
                         SIZE_MAX / 16 + 1, SIZE_MAX / 32 }) {
        EXPECT_EQ(sri_grow(items, &cap, need, sizeof *items), nullptr) << need;
        EXPECT_EQ(cap, 64u);
        EXPECT_EQ(items[0], 77u);
    }
    EXPECT_EQ(sri_grow(nullptr, &cap, 2, SIZE_MAX / 2), nullptr);
    EXPECT_EQ(sri_grow(nullptr, &cap, 65, SIZE_MAX), nullptr);
    EXPECT_EQ(cap, 64u);
    free(items);
}

} // namespace
