/* Arrays that double when they are full. */
#include "base/grow.h"

#include <cstdint>
#include <cstdlib>
#include <gtest/gtest.h>
#include <vector>

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
    std::vector<size_t> needs = { SIZE_MAX,         SIZE_MAX / 2,  SIZE_MAX / 8,
                                  SIZE_MAX / 8 + 1, SIZE_MAX / 16, SIZE_MAX / 16 + 1,
                                  SIZE_MAX / 32 + 1 };
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    needs.push_back(SIZE_MAX / 32); /* there, who asks for so much is ended */
#endif
    for (size_t need : needs) {
        EXPECT_EQ(sri_grow(items, &cap, need, sizeof *items), nullptr) << need;
        EXPECT_EQ(cap, 64u);
        EXPECT_EQ(items[0], 77u);
    }
    EXPECT_EQ(sri_grow(nullptr, &cap, 2, SIZE_MAX / 2), nullptr);
    EXPECT_EQ(sri_grow(nullptr, &cap, 1, SIZE_MAX / 4), nullptr) << "64 of them are too many";
    EXPECT_EQ(sri_grow(nullptr, &cap, 65, SIZE_MAX), nullptr);
    EXPECT_EQ(cap, 64u);
    free(items);
}

} // namespace
