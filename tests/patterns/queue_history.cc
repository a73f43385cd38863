// ctest: queue slow timeout=180
/* Queues under load: what came out is compared with what was put in. */
#include "support/ranks.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <random>
#include <thread>

using namespace serry_test;

namespace {

serry_queue open_queue(const std::string &name, size_t capacity)
{
    serry_queue q = {};
    serry_queue_options o = {};
    o.name = name.empty() ? nullptr : own_name(name.c_str());
    o.capacity = capacity;
    EXPECT_EQ(serry_queue_create(&q, &o), SERRY_OK) << serry_err_detail();
    return q;
}

struct Item {
    int32_t writer, seq;
};

/* Items of 8 bytes and now and then many more, whose bytes are known. */
size_t item_len(int writer, int seq, bool long_ones)
{
    if (!long_ones || (writer + seq) % 13 != 0)
        return sizeof(Item);
    return sizeof(Item) + (size_t)((writer * 7919 + seq * 104729) % 40000);
}

void fill(std::vector<char> &bytes, int writer, int seq, size_t len)
{
    Item i = { writer, seq };
    bytes.resize(len);
    for (size_t k = 0; k < len; k++)
        bytes[k] = (char)(k + (size_t)seq);
    memcpy(bytes.data(), &i, sizeof i);
}

/* How a history is made: only by calls that wait for ever, or by all kinds. */
enum Manner { gentle, rough };

double pick_timeout(std::mt19937 &random, Manner manner)
{
    switch (manner == gentle ? 3 : random() % 4) {
    case 0:
        return SERRY_NOWAIT;
    case 1:
        return 1e-5 * (double)(random() % 30);
    default:
        return SERRY_FOREVER;
    }
}

/* Writes n items, by puts with all kinds of timeouts. */
void write_items(serry_queue q, int writer, int n, bool long_ones, Manner manner)
{
    std::mt19937 random((unsigned)writer + 1);
    std::vector<char> bytes;
    for (int seq = 0; seq < n; seq++) {
        fill(bytes, writer, seq, item_len(writer, seq, long_ones));
        serry_err e;
        do
            e = serry_queue_put(q, bytes.data(), bytes.size(), pick_timeout(random, manner));
        while (e == SERRY_ETIMEDOUT);
        ASSERT_EQ(e, SERRY_OK) << serry_err_detail();
    }
}

struct Seen {
    std::vector<std::vector<int>> of; /* by writer: the sequence numbers, as they came */
    double longest = 0;               /* seconds between two gets */
};

/* Reads until the queue is closed and empty. Roughly: buffers are too small now and then. */
void read_items(serry_queue q, int reader, int writers, bool long_ones, Manner manner, Seen *seen)
{
    double last = serry_time();
    std::mt19937 random((unsigned)reader + 1000);
    std::vector<char> bytes(50000), want;
    seen->of.resize((size_t)writers);
    for (;;) {
        size_t len = 0, cap = manner == rough && random() % 64 == 0 ? 4 : bytes.size();
        double now = serry_time();
        seen->longest = std::max(seen->longest, now - last);
        serry_err e = serry_queue_get(q, bytes.data(), cap, &len, pick_timeout(random, manner));
        last = serry_time();
        if (e == SERRY_ECLOSED)
            return;
        if (e == SERRY_ETIMEDOUT || (cap == 4 && e == SERRY_ETRUNC))
            continue;
        ASSERT_EQ(e, SERRY_OK) << serry_err_detail();
        Item i;
        ASSERT_GE(len, sizeof i);
        memcpy(&i, bytes.data(), sizeof i);
        ASSERT_TRUE(i.writer >= 0 && i.writer < writers);
        fill(want, i.writer, i.seq, item_len(i.writer, i.seq, long_ones));
        ASSERT_EQ(len, want.size());
        ASSERT_TRUE(memcmp(bytes.data(), want.data(), len) == 0);
        seen->of[(size_t)i.writer].push_back(i.seq);
    }
}

/* Each writer's items came in order to each reader, if none stood still for long: then others get
 * what it was fed ahead... */
void expect_order(const Seen &seen)
{
    double longest = 0;
    ASSERT_EQ(serry_world_allreduce(&seen.longest, &longest, 1, SERRY_DOUBLE, SERRY_MAX), SERRY_OK);
    if (longest > 0.01)
        return;
    for (auto &seqs : seen.of)
        EXPECT_TRUE(std::is_sorted(seqs.begin(), seqs.end()));
}

/* ... and each exactly once to one of them: counts and sums over all. */
void expect_all(const std::vector<int64_t> &counts, int n)
{
    for (size_t w = 0; w < counts.size() / 2; w++) {
        EXPECT_EQ(counts[2 * w], n) << "writer " << w;
        EXPECT_EQ(counts[2 * w + 1], (int64_t)n * (n - 1) / 2) << "writer " << w;
    }
}

std::vector<int64_t> count(const Seen &seen)
{
    std::vector<int64_t> counts;
    for (auto &seqs : seen.of) {
        int64_t sum = 0;
        for (int s : seqs)
            sum += s;
        counts.push_back((int64_t)seqs.size());
        counts.push_back(sum);
    }
    return counts;
}

/* Ranks below `writers` write, the others read; with one rank it does both, in threads. */
void history(size_t capacity, int n, bool long_ones, Manner manner)
{
    int size = serry_size(), writers = (size + 1) / 2;
    const char *lanes = getenv("SERRY_LANES");
    if (lanes && strcmp(lanes, "socket") == 0)
        n /= 10; /* slow by nature */
    std::string name = "history " + std::to_string(capacity) + (long_ones ? " long" : "")
                       + (manner == rough ? " rough" : "");
    serry_queue q = open_queue(name, capacity);
    Seen seen;
    seen.of.resize((size_t)writers);
    ASSERT_EQ(serry_world_barrier(), SERRY_OK);
    if (serry_rank() < writers)
        write_items(q, serry_rank(), n, long_ones, manner);
    else
        read_items(q, serry_rank(), writers, long_ones, manner, &seen);
    if (serry_rank() < writers) {
        /* The last writer to be done closes. */
        serry_queue done = open_queue(name + " done", 0);
        EXPECT_EQ(serry_queue_put(done, nullptr, 0, SERRY_FOREVER), SERRY_OK);
        for (int i = 0; serry_rank() == 0 && i < writers; i++)
            EXPECT_EQ(serry_queue_get(done, nullptr, 0, nullptr, SERRY_FOREVER), SERRY_OK);
        if (serry_rank() == 0)
            EXPECT_EQ(serry_queue_close(q), SERRY_OK);
    }
    if (manner == gentle)
        expect_order(seen);
    std::vector<int64_t> mine = count(seen), all(mine.size());
    ASSERT_EQ(serry_world_allreduce(mine.data(), all.data(), mine.size(), SERRY_INT64, SERRY_SUM),
              SERRY_OK);
    expect_all(all, n);
}

SERRY_RANKS_TEST(QueueHistory, IsCompleteUnbounded, .ranks({ 2, 3, 7 }).timeout(100))
{
    history(0, 20000, false, gentle);
    history(0, 3000, false, rough);
    history(0, 1000, true, rough);
}

SERRY_RANKS_TEST(QueueHistory, IsCompleteWithRoomForOne, .ranks({ 2, 3, 7 }).timeout(100))
{
    history(1, 1500, false, gentle);
    history(1, 1000, false, rough);
    history(1, 300, true, rough);
}

SERRY_RANKS_TEST(QueueHistory, IsCompleteWithLittleRoom, .ranks({ 2, 3, 7 }).timeout(100))
{
    history(3, 2000, false, rough);
    history(10, 5000, false, gentle);
    history(10, 2000, false, rough);
    history(10, 600, true, rough);
}

SERRY_RANKS_TEST(QueueHistory, IsCompleteWithMuchRoom, .ranks({ 2, 3, 7 }).timeout(100))
{
    history(1000, 20000, false, gentle);
    history(1000, 3000, false, rough);
    history(1000, 1000, true, rough);
}

/* ---- threads ---- */

void threads(size_t capacity)
{
    const int sides = 3, n = 1500;
    serry_queue q = open_queue("", capacity);
    std::vector<std::thread> writers, readers;
    std::vector<Seen> seen(sides);
    for (int k = 0; k < sides; k++) {
        writers.emplace_back([=] { write_items(q, k, n, k == 1, rough); });
        readers.emplace_back([=, &seen] {
            /* write_items decides by writer; so must what is expected */
            std::vector<char> bytes(50000), want;
            seen[(size_t)k].of.resize(sides);
            for (;;) {
                size_t len = 0;
                serry_err e = serry_queue_get(q, bytes.data(), bytes.size(), &len, SERRY_FOREVER);
                if (e == SERRY_ECLOSED)
                    return;
                ASSERT_EQ(e, SERRY_OK) << serry_err_detail();
                Item i;
                memcpy(&i, bytes.data(), sizeof i);
                fill(want, i.writer, i.seq, item_len(i.writer, i.seq, i.writer == 1));
                ASSERT_EQ(len, want.size());
                ASSERT_TRUE(memcmp(bytes.data(), want.data(), len) == 0);
                seen[(size_t)k].of[(size_t)i.writer].push_back(i.seq);
            }
        });
    }
    for (auto &t : writers)
        t.join();
    EXPECT_EQ(serry_queue_close(q), SERRY_OK);
    for (auto &t : readers)
        t.join();
    std::vector<int64_t> all(2 * sides);
    for (auto &s : seen) {
        std::vector<int64_t> mine = count(s);
        for (size_t i = 0; i < all.size(); i++)
            all[i] += mine[i];
    }
    expect_all(all, n);
}

SERRY_RANKS_TEST(QueueHistory, IsCompleteBetweenThreads, .ranks({ 1, 2 }).timeout(100))
{
    threads(0);
    threads(1);
    threads(10);
}

} // namespace
