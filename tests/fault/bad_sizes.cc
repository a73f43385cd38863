// ctest: timeout=120
/* Counts and sizes whose product, or whose sum, is more than there can be: an error that names the
 * limit, and nothing has changed. And what is just below a limit, in all, works. */
#include "fault/fault.h"

#include <cmath>

using namespace serry_test;

namespace {

const size_t max_message = 100000;

/* Counts that are more than a limit only when they are multiplied, also modulo 2^64. */
const size_t counts[] = { SIZE_MAX,     SIZE_MAX / 2,      SIZE_MAX / 4 + 1,  SIZE_MAX / 8 + 1,
                          SIZE_MAX / 8, SIZE_MAX / 16 + 1, size_t{ 1 } << 61, size_t{ 1 } << 60 };

void expect_limit(const char *what, size_t n, serry_err e, serry_err expected = SERRY_ELIMIT)
{
    std::string text = serry_err_detail();
    EXPECT_EQ(serry_err_name(e), std::string(serry_err_name(expected)))
        << what << " " << n << ": " << text;
    EXPECT_TRUE(has(text, "limit")) << what << " " << n << ": " << text;
}

SERRY_RANKS_BODY(collectives_of_all_sizes)
{
    double in = 1, out[8] = { 7, 7, 7, 7, 7, 7, 7, 7 };
    for (size_t n : counts) {
        expect_limit("bcast", n, serry_world_bcast(out, n, 0));
        expect_limit("reduce", n,
                     serry_world_reduce(&in, out, n, SERRY_DOUBLE, SERRY_SUM, serry_rank()));
        expect_limit("allreduce", n, serry_world_allreduce(&in, out, n, SERRY_DOUBLE, SERRY_SUM));
        expect_limit("gather", n, serry_world_gather(&in, n, out, serry_rank()));
        expect_limit("scatter", n, serry_world_scatter(out, n, &in, serry_rank()));
        expect_limit("allgather", n, serry_world_allgather(&in, n, out));
        expect_limit("alltoall", n, serry_world_alltoall(out, n, &in));
    }
    for (double x : out)
        EXPECT_EQ(x, 7);
    /* None of them has begun: those that follow meet. */
    ASSERT_EQ(serry_world_allreduce(&in, out, 1, SERRY_DOUBLE, SERRY_SUM), SERRY_OK);
    EXPECT_EQ(out[0], serry_size());
}

/* A block for each rank may be as long as a message: what ranks hand on together is longer. */
SERRY_RANKS_BODY(collectives_of_blocks_up_to_the_limit)
{
    for (size_t len : { max_message, max_message / 2 + 1, max_message / 4 }) {
        size_t n = static_cast<size_t>(serry_size()), me = static_cast<size_t>(serry_rank());
        std::vector<char> mine(len, static_cast<char>('a' + me)), all(len * n), back(len, 0);
        auto expect_all = [&](const char *what) {
            for (size_t r = 0; r < n; r++) {
                EXPECT_EQ(all[r * len], static_cast<char>('a' + r)) << what;
                EXPECT_EQ(all[r * len + len - 1], static_cast<char>('a' + r)) << what;
            }
        };
        for (int root : { 0, serry_size() - 1 }) {
            ASSERT_EQ(serry_world_gather(mine.data(), len, all.data(), root), SERRY_OK)
                << serry_err_detail();
            if (serry_rank() == root)
                expect_all("gather");
            ASSERT_EQ(serry_world_scatter(all.data(), len, back.data(), root), SERRY_OK)
                << serry_err_detail();
            EXPECT_EQ(back, mine);
        }
        ASSERT_EQ(serry_world_allgather(mine.data(), len, all.data()), SERRY_OK)
            << serry_err_detail();
        expect_all("allgather");
        ASSERT_EQ(serry_world_bcast(back.data(), len, 0), SERRY_OK) << serry_err_detail();
        EXPECT_EQ(back, std::vector<char>(len, 'a'));
        std::vector<char> turned(len * n);
        ASSERT_EQ(serry_world_alltoall(all.data(), len, turned.data()), SERRY_OK)
            << serry_err_detail();
        EXPECT_EQ(turned, std::vector<char>(len * n, mine[0]));
    }
}

int hand_back(serry_task *t, const void *in, size_t len)
{
    return serry_task_return(t, in, len) == SERRY_OK ? 0 : 1;
}

int sleeper(const void *, size_t)
{
    char c;
    SERRY_IGNORE(serry_recv(0, 99, &c, 1, nullptr, SERRY_FOREVER));
    return 0;
}

SERRY_RANKS_BODY(counts_of_all_sizes)
{
    serry_process p = {};
    ASSERT_EQ(serry_process_start(&p, sleeper, nullptr, 0, nullptr), SERRY_OK);
    serry_request r = {};
    char in = 0, c = 7;
    ASSERT_EQ(serry_irecv(&r, 0, 5, &in, 1), SERRY_OK);
    serry_pool *pool = nullptr;
    serry_pool_options po = {};
    po.workers = 1;
    ASSERT_EQ(serry_pool_create(&pool, &po), SERRY_OK) << serry_err_detail();
    serry_future *f = nullptr;
    ASSERT_EQ(serry_pool_submit(&f, pool, hand_back, &c, 1), SERRY_OK);
    for (size_t n : counts) {
        size_t which = 77;
        if (n <= PTRDIFF_MAX / 8)
            continue;
        expect_limit("processes", n, serry_process_wait_any(&p, n, &which, SERRY_NOWAIT));
        expect_limit("futures", n, serry_future_wait(&f, n, SERRY_ALL, &which, SERRY_NOWAIT));
        expect_limit("any", n, serry_wait_any(&r, n, &which, nullptr, SERRY_NOWAIT));
        expect_limit("all", n, serry_wait_all(&r, n, nullptr, SERRY_NOWAIT));
        EXPECT_EQ(which, 77u);
        double items[2] = { 1, 2 }, results[2] = { 5, 5 };
        expect_limit("items", n,
                     serry_pool_map(pool, hand_back, items, sizeof *items, n, results, 0, nullptr),
                     SERRY_EINVAL);
        expect_limit(
            "results", n,
            serry_pool_map(pool, hand_back, items, 0, n, results, sizeof *results, nullptr),
            SERRY_EINVAL);
        EXPECT_EQ(results[0], 5);
        expect_limit("bytes of an item", n,
                     serry_pool_map(pool, hand_back, items, n, 1, nullptr, 0, nullptr),
                     n > SIZE_MAX / 2 ? SERRY_EINVAL : SERRY_ELIMIT);
        serry_pool *other = nullptr;
        serry_pool_options big = {};
        big.init_arg = items;
        big.init_len = n;
        expect_limit("init_len", n, serry_pool_create(&other, &big));
        EXPECT_EQ(other, nullptr);
        serry_map_options chunks = {};
        chunks.chunk = n;
        EXPECT_EQ(serry_pool_map(pool, hand_back, items, sizeof *items, 2, results, sizeof *results,
                                 &chunks),
                  SERRY_OK)
            << serry_err_detail();
        EXPECT_EQ(results[1], 2);
    }
    /* All are as they were. */
    ASSERT_EQ(serry_send(0, 5, &c, 1), SERRY_OK);
    ASSERT_EQ(serry_wait(&r, nullptr, SERRY_FOREVER), SERRY_OK);
    ASSERT_EQ(serry_future_wait(&f, 1, SERRY_ALL, nullptr, SERRY_FOREVER), SERRY_OK);
    serry_future_free(f);
    serry_pool_destroy(pool);
    ASSERT_EQ(serry_process_terminate(p), SERRY_OK);
    ASSERT_EQ(serry_process_join(p, nullptr, SERRY_FOREVER), SERRY_OK);
}

/* ---- what goes together in one request ---- */

struct Source {
    size_t left, len;
};

bool next_item(void *ctx, size_t index, void *item, size_t, size_t *len)
{
    Source *s = static_cast<Source *>(ctx);
    if (s->left == 0)
        return false;
    s->left--;
    memset(item, static_cast<int>('a' + index % 20), s->len);
    *len = s->len;
    return true;
}

/* One item is just a message; a chunk of many is sent in several requests. */
SERRY_RANKS_BODY(many_items_of_nearly_the_limit)
{
    serry_pool *pool = nullptr;
    serry_pool_options po = {};
    po.workers = 2;
    std::vector<char> arg(max_message);
    po.init_arg = arg.data();
    po.init_len = arg.size() + 1;
    expect_limit("init_len", po.init_len, serry_pool_create(&pool, &po));
    po.initializer = [](const void *, size_t len) { return len == max_message ? 0 : 1; };
    po.init_len = arg.size();
    ASSERT_EQ(serry_pool_create(&pool, &po), SERRY_OK) << serry_err_detail();
    for (size_t len : { max_message, max_message - 1, max_message / 3 }) {
        const size_t n = 60;
        Source s = { n, len };
        serry_imap_options io = {};
        io.chunk = 40;
        io.item_cap = max_message;
        serry_results *it = nullptr;
        ASSERT_EQ(serry_pool_imap(&it, pool, hand_back, next_item, &s, &io), SERRY_OK)
            << serry_err_detail();
        std::vector<char> out(len);
        for (size_t i = 0; i < n; i++) {
            ASSERT_EQ(serry_results_next(it, out.data(), len, nullptr, nullptr, patience(20)),
                      SERRY_OK)
                << serry_err_detail();
            EXPECT_EQ(out, std::vector<char>(len, static_cast<char>('a' + i % 20))) << i;
        }
        EXPECT_EQ(serry_results_next(it, out.data(), len, nullptr, nullptr, patience(20)),
                  SERRY_ECLOSED);
        serry_results_free(it);
        std::vector<char> items(n * len, 'x'), results(n * len);
        serry_map_options mo = {};
        mo.chunk = 40;
        ASSERT_EQ(serry_pool_map(pool, hand_back, items.data(), len, n, results.data(), len, &mo),
                  SERRY_OK)
            << serry_err_detail();
        EXPECT_EQ(items, results);
    }
    serry_pool_destroy(pool);
    /* Handles go in one request, too. */
    std::vector<serry_process> many(200000);
    serry_process p = {};
    ASSERT_EQ(serry_process_start(&p, sleeper, nullptr, 0, nullptr), SERRY_OK);
    std::fill(many.begin(), many.end(), p);
    expect_limit("processes", many.size(),
                 serry_process_wait_any(many.data(), many.size(), nullptr, SERRY_NOWAIT));
    ASSERT_EQ(serry_process_terminate(p), SERRY_OK);
    ASSERT_EQ(serry_process_wait_any(many.data(), 10000, nullptr, SERRY_FOREVER), SERRY_OK);
}

TEST(BadSizes, OfCountsAreRefusedByTheirLimit)
{
    run_ranks(1, shm, "counts_of_all_sizes");
}

TEST(BadSizes, OfOneRequestEndNobody)
{
    RankOptions o;
    o.timeout = 60;
    o.env["SERRY_MAX_MESSAGE"] = std::to_string(max_message);
    for (Lanes lanes : { shm, serry_test::socket })
        run_ranks(1, lanes, "many_items_of_nearly_the_limit", o);
}

TEST(BadSizes, OfCollectivesAreRefusedByTheirLimit)
{
    for (int n : { 1, 2, 4 })
        run_ranks(n, shm, "collectives_of_all_sizes");
}

TEST(BadSizes, OfBlocksTogetherMayBeAboveThatOfAMessage)
{
    RankOptions o;
    o.env["SERRY_MAX_MESSAGE"] = std::to_string(max_message);
    for (int n : { 2, 4, 7 }) {
        for (Lanes lanes : { shm, serry_test::socket })
            run_ranks(n, lanes, "collectives_of_blocks_up_to_the_limit", o);
    }
}

} // namespace
