// ctest: timeout=120
/* The seam behaves as badly as it may (SERRY_FAULT, transport/fault): lanes are full for no reason,
 * polls bring nothing, sleeps end early. Nobody notices, but for the time it takes. */
#include "support/ranks.h"

#include <cstdint>
#include <cstring>
#include <vector>

using namespace serry_test;

namespace {

#define FAULTS                                                                                     \
    .ranks({ 2, 3 }).across_nodes().env("SERRY_FAULT", "full=200,idle=300,early=200,seed=7")

std::vector<uint8_t> pattern(size_t len, int seed)
{
    std::vector<uint8_t> bytes(len);
    for (size_t i = 0; i < len; i++)
        bytes[i] = static_cast<uint8_t>(i * 31 + static_cast<size_t>(seed) * 7);
    return bytes;
}

SERRY_RANKS_TEST(BadSeam, MessagesOfAllSizesArriveInOrder, FAULTS)
{
    int n = serry_size(), me = serry_rank();
    const std::vector<size_t> sizes = { 0, 1, 100, 4000, 9000, 70000, 1000000 };
    std::vector<std::vector<uint8_t>> in;
    std::vector<serry_request> requests;
    for (int peer = 0; peer < n; peer++) {
        for (size_t len : sizes) {
            in.emplace_back(len);
            requests.push_back({});
            ASSERT_EQ(serry_irecv(&requests.back(), peer, 5, in.back().data(), len), SERRY_OK);
        }
    }
    std::vector<std::vector<uint8_t>> out;
    for (size_t len : sizes)
        out.push_back(pattern(len, me));
    for (int peer = 0; peer < n; peer++) {
        for (auto &bytes : out) {
            requests.push_back({});
            ASSERT_EQ(serry_isend(&requests.back(), peer, 5, bytes.data(), bytes.size()), SERRY_OK);
        }
    }
    ASSERT_EQ(serry_wait_all(requests.data(), requests.size(), nullptr, patience(30)), SERRY_OK)
        << serry_err_detail();
    for (int peer = 0; peer < n; peer++) {
        for (size_t i = 0; i < sizes.size(); i++)
            EXPECT_EQ(in[static_cast<size_t>(peer) * sizes.size() + i], pattern(sizes[i], peer));
    }
}

SERRY_RANKS_TEST(BadSeam, CollectivesAgree, FAULTS)
{
    int64_t n = serry_size(), me = serry_rank();
    for (int64_t i = 0; i < 50; i++) {
        int64_t mine = me + i, sum = -1;
        ASSERT_EQ(serry_world_barrier(), SERRY_OK);
        ASSERT_EQ(serry_world_allreduce(&mine, &sum, 1, SERRY_INT64, SERRY_SUM), SERRY_OK);
        EXPECT_EQ(sum, n * (n - 1) / 2 + n * i);
    }
}

SERRY_RANKS_TEST(BadSeam, EveryItemIsHadOnce, FAULTS)
{
    serry_queue q;
    serry_queue_options o = {};
    o.name = "items";
    o.capacity = 20;
    ASSERT_EQ(serry_queue_create(&q, &o), SERRY_OK);
    const int64_t each = 300;
    int64_t sum = 0, all = 0, n = serry_size();
    if (serry_rank() == 0) {
        for (int64_t i = 1; i <= each; i++)
            ASSERT_EQ(serry_queue_put(q, &i, sizeof i, patience(20)), SERRY_OK);
        ASSERT_EQ(serry_queue_close(q), SERRY_OK);
    } else {
        int64_t item;
        serry_err e;
        while ((e = serry_queue_get(q, &item, sizeof item, nullptr, patience(20))) == SERRY_OK)
            sum += item;
        EXPECT_EQ(e, SERRY_ECLOSED);
    }
    ASSERT_EQ(serry_world_allreduce(&sum, &all, 1, SERRY_INT64, SERRY_SUM), SERRY_OK);
    EXPECT_EQ(all, each * (each + 1) / 2);
    EXPECT_GT(n, 1);
}

SERRY_RANKS_TEST(BadSeam, ALockIsHeldByOne, FAULTS)
{
    serry_lock l;
    serry_value v;
    serry_lock_options lo = {};
    serry_shared_options vo = {};
    lo.name = vo.name = "counted";
    int64_t zero = 0, x;
    ASSERT_EQ(serry_lock_create(&l, &lo), SERRY_OK);
    ASSERT_EQ(serry_value_create(&v, SERRY_INT64, &zero, &vo), SERRY_OK);
    const int64_t each = 100;
    for (int64_t i = 0; i < each; i++) {
        ASSERT_EQ(serry_lock_acquire(l, patience(20)), SERRY_OK);
        ASSERT_EQ(serry_value_get(v, &x), SERRY_OK);
        x++;
        ASSERT_EQ(serry_value_set(v, &x), SERRY_OK);
        ASSERT_EQ(serry_lock_release(l), SERRY_OK);
    }
    ASSERT_EQ(serry_world_barrier(), SERRY_OK);
    ASSERT_EQ(serry_value_get(v, &x), SERRY_OK);
    EXPECT_EQ(x, each * serry_size());
}

int square(serry_task *t, const void *in, size_t len)
{
    int64_t x;
    if (len != sizeof x)
        return serry_task_fail(t, "%zu bytes", len);
    memcpy(&x, in, sizeof x);
    x *= x;
    return serry_task_return(t, &x, sizeof x) == SERRY_OK ? 0 : 1;
}

SERRY_RANKS_TEST(BadSeam, APoolMapsAll, FAULTS)
{
    if (serry_rank() != 0)
        return; /* serves in finalize */
    std::vector<int64_t> in(500), out(500);
    for (size_t i = 0; i < in.size(); i++)
        in[i] = static_cast<int64_t>(i);
    serry_pool *pool;
    ASSERT_EQ(serry_pool_create(&pool, nullptr), SERRY_OK);
    ASSERT_EQ(serry_pool_map(pool, square, in.data(), sizeof in[0], in.size(), out.data(),
                             sizeof out[0], nullptr),
              SERRY_OK)
        << serry_err_detail();
    serry_pool_destroy(pool);
    for (size_t i = 0; i < in.size(); i++)
        EXPECT_EQ(out[i], in[i] * in[i]);
}

/* What is wrong with the option is said, and nothing is joined. */
SERRY_RANKS_TEST(BadSeam, IsAskedForInWords,
                 .ranks({ 1 }).directly().without_init().env("SERRY_FAULT", "full=2000"))
{
    int argc = 0;
    ASSERT_EQ(serry_init(&argc, nullptr), SERRY_EINVAL);
    EXPECT_NE(std::string(serry_err_detail()).find("SERRY_FAULT"), std::string::npos)
        << serry_err_detail();
    EXPECT_FALSE(serry_initialized());
}

} // namespace
