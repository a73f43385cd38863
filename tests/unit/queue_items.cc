/* The bytes of items at their home: lists by order of arrival. */
#include "patterns/queue_home.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace {

queue_item *make(uint64_t order, const std::string &bytes = "x")
{
    queue_item *i = queue_item_make(bytes.data(), bytes.size());
    EXPECT_NE(i, nullptr);
    i->order = order;
    return i;
}

queue_items list(const std::vector<uint64_t> &orders)
{
    queue_items l = {};
    for (uint64_t o : orders)
        queue_items_append(&l, make(o));
    return l;
}

std::vector<uint64_t> empty(queue_items *l)
{
    std::vector<uint64_t> orders;
    size_t n = l->n;
    while (queue_item *i = queue_items_shift(l)) {
        orders.push_back(i->order);
        queue_item_free(i);
    }
    EXPECT_EQ(orders.size(), n);
    EXPECT_EQ(l->n, 0u);
    EXPECT_EQ(l->last, nullptr);
    return orders;
}

using Orders = std::vector<uint64_t>;

TEST(QueueItems, AreShiftedAsTheyWereAppended)
{
    queue_items l = list({ 1, 2, 3 });
    EXPECT_EQ(empty(&l), (Orders{ 1, 2, 3 }));
    EXPECT_EQ(queue_items_shift(&l), nullptr);
}

TEST(QueueItems, AreMergedByOrder)
{
    const struct {
        Orders to, from, want;
    } cases[] = {
        { {}, {}, {} },
        { {}, { 1, 2 }, { 1, 2 } },
        { { 1, 2 }, {}, { 1, 2 } },
        { { 5, 6 }, { 1, 2 }, { 1, 2, 5, 6 } },
        { { 1, 2 }, { 5, 6 }, { 1, 2, 5, 6 } },
        { { 1, 4, 6 }, { 2, 3, 5, 7 }, { 1, 2, 3, 4, 5, 6, 7 } },
    };
    for (auto &c : cases) {
        queue_items to = list(c.to), from = list(c.from);
        queue_items_merge(&to, &from);
        EXPECT_EQ(from.n, 0u);
        EXPECT_EQ(from.first, nullptr);
        queue_items_append(&to, make(99)); /* .last is right */
        Orders want = c.want;
        want.push_back(99);
        EXPECT_EQ(empty(&to), want);
    }
}

TEST(QueueItems, KeepTheirBytesWhateverTheirLength)
{
    for (int round = 0; round < 2; round++) {
        for (size_t n : { 0, 1, 231, 232, 233, 100000 }) {
            std::string bytes(n, (char)('a' + n % 20));
            queue_item *i = make(1, bytes);
            EXPECT_EQ(std::string((const char *)i->bytes, i->len), bytes);
            queue_item_free(i);
        }
    }
}

/* What is counted modulo something goes on beyond it. */
TEST(QueueWire, CountsGoOnWhenTheyWrap)
{
    uint64_t word = QUEUE_READ_NOTIFY | 0xffff;
    EXPECT_EQ(queue_read_taken(queue_read_step(word)), 0u);
    EXPECT_EQ(queue_read_epoch(queue_read_step(word)), 0u);
    EXPECT_EQ(queue_read_step(word) & QUEUE_READ_NOTIFY, 0u);
    word = UINT64_C(0xffffff0007);
    EXPECT_EQ(queue_read_epoch(word), 0xffffffu);
    EXPECT_EQ(queue_read_epoch(queue_read_recall(word)), 0u);
    EXPECT_EQ(queue_read_taken(queue_read_recall(word)), 7u);
    word = queue_credit_word(QUEUE_CREDIT_CLOSED, 0x1000002, 0x1000001);
    EXPECT_EQ(queue_credit_granted(word), 2u);
    EXPECT_EQ(queue_credit_taken(word), 1u);
    EXPECT_NE(word & QUEUE_CREDIT_CLOSED, 0u);
}

} // namespace
