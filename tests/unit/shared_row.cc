/* The items of a list at its home: a row with room at both ends. */
#include "patterns/shared_row.h"

#include <gtest/gtest.h>

#include <ctime>
#include <deque>
#include <random>
#include <vector>

namespace {

shared_item *make(int value)
{
    shared_item *item = nullptr;
    EXPECT_TRUE(shared_item_set(&item, &value, sizeof value));
    return item;
}

int value_of(const shared_item *item)
{
    int value;
    EXPECT_EQ(item->len, sizeof value);
    memcpy(&value, item->bytes, sizeof value);
    return value;
}

int take(shared_row *r, size_t at)
{
    shared_item *item = shared_row_remove(r, at);
    int value = value_of(item);
    free(item);
    return value;
}

void expect_same(const shared_row &r, const std::deque<int> &model)
{
    ASSERT_EQ(r.n, model.size());
    ASSERT_LE(r.first + r.n, r.cap);
    for (size_t i = 0; i < r.n; i++)
        ASSERT_EQ(value_of(*shared_row_at(&r, i)), model[i]) << "item " << i;
}

TEST(SharedItem, IsReplacedByAnyLength)
{
    shared_item *item = nullptr;
    ASSERT_TRUE(shared_item_set(&item, nullptr, 0));
    EXPECT_EQ(item->len, 0u);
    ASSERT_TRUE(shared_item_set(&item, "abc", 3));
    shared_item *same = item;
    ASSERT_TRUE(shared_item_set(&item, "xyz", 3));
    EXPECT_EQ(item, same);
    EXPECT_EQ(memcmp(item->bytes, "xyz", 3), 0);
#ifndef __SANITIZE_ADDRESS__ /* which ends the process that asks for so much */
    EXPECT_FALSE(shared_item_set(&item, "abc", SIZE_MAX / 2));
#endif
    EXPECT_EQ(item->len, 3u);
    EXPECT_EQ(memcmp(item->bytes, "xyz", 3), 0);
    free(item);
}

TEST(SharedRow, IsADeque)
{
    std::mt19937 random(3);
    shared_row r = {};
    std::deque<int> model;
    for (int step = 0; step < 40000; step++) {
        bool shrink = step / 5000 % 2;
        size_t where[] = { 0, model.size(), random() % (model.size() + 1) };
        size_t at = where[random() % 3];
        if (random() % 8 < (shrink ? 6u : 2u) && at < model.size()) {
            ASSERT_EQ(take(&r, at), model[at]);
            model.erase(model.begin() + (long)at);
        } else {
            ASSERT_TRUE(shared_row_insert(&r, at, make(step)));
            model.insert(model.begin() + (long)at, step);
        }
        if (step % 500 == 0)
            ASSERT_NO_FATAL_FAILURE(expect_same(r, model)) << "after step " << step;
    }
    ASSERT_NO_FATAL_FAILURE(expect_same(r, model));
    shared_row_clear(&r);
    EXPECT_EQ(r.n, 0u);
    EXPECT_EQ(r.all, nullptr);
}

TEST(SharedRow, GivesRoomBack)
{
    shared_row r = {};
    for (int i = 0; i < 100000; i++)
        ASSERT_TRUE(shared_row_insert(&r, r.n, make(i)));
    for (int i = 0; i < 99990; i++)
        ASSERT_EQ(take(&r, 0), i);
    EXPECT_LE(r.cap, 256u);
    EXPECT_EQ(value_of(*shared_row_at(&r, 9)), 99999);
    shared_row_clear(&r);
}

/* In at one end, out at the other: the row does not grow, and nothing is moved again and again. */
TEST(SharedRow, PassesThroughWithoutGrowing)
{
    for (bool backwards : { false, true }) {
        shared_row r = {};
        for (int i = 0; i < 100; i++)
            ASSERT_TRUE(shared_row_insert(&r, r.n, make(i)));
        for (int i = 100; i < 100000; i++) {
            ASSERT_TRUE(shared_row_insert(&r, backwards ? 0 : r.n, make(i)));
            take(&r, backwards ? r.n - 1 : 0);
        }
        EXPECT_EQ(r.n, 100u);
        EXPECT_LE(r.cap, 512u);
        shared_row_clear(&r);
    }
}

/* Moved anew each time, these would be a hundred gigabytes. */
TEST(SharedRow, EndsCostTheSameWhateverTheLength)
{
    const int n = 200000;
    for (bool front : { false, true }) {
        shared_row r = {};
        std::clock_t begin = std::clock();
        for (int i = 0; i < n; i++)
            ASSERT_TRUE(shared_row_insert(&r, front ? 0 : r.n, make(i)));
        for (int i = n; i-- > 0;)
            ASSERT_EQ(take(&r, front ? 0 : r.n - 1), i);
        EXPECT_LT((double)(std::clock() - begin) / CLOCKS_PER_SEC, 5);
        shared_row_clear(&r);
    }
}

} // namespace
