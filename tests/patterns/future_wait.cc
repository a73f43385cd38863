// ctest: pool timeout=180 alone
/* Futures: waiting for several; maps that nobody waits in. */
#include "patterns/pool_test.h"

#include <cmath>
#include <thread>

using namespace serry_test;
using namespace pool_test;

namespace {

/* ---- waiting for several ---- */

void free_all(std::vector<serry_future *> &fs)
{
    for (serry_future *f : fs)
        serry_future_free(f);
    fs.clear();
}

void wait_several(serry_pool *p)
{
    std::vector<serry_future *> fs;
    size_t which = 99;
    /* The first: of the pending one and of one that is done already. */
    fs = { submit(p, gated, 0), submit(p, echo, 1) };
    EXPECT_EQ(serry_future_wait(fs.data(), 2, SERRY_FIRST, &which, 20), SERRY_OK);
    EXPECT_EQ(which, 1u);
    EXPECT_EQ(serry_future_wait(fs.data(), 2, SERRY_FIRST, &which, SERRY_NOWAIT), SERRY_OK);
    /* All: not in time; and what is pending is told. */
    fs.push_back(fs[0]); /* the same twice */
    fs.push_back(fs[1]);
    EXPECT_EQ(serry_future_wait(fs.data(), 4, SERRY_ALL, &which, 0.05), SERRY_ETIMEDOUT);
    EXPECT_STREQ(serry_err_detail(), "2 (of 4) futures unfinished, after 0.05 s");
    EXPECT_EQ(serry_future_wait(fs.data(), 4, SERRY_ALL, &which, SERRY_NOWAIT), SERRY_ETIMEDOUT);
    EXPECT_EQ(serry_future_wait(&fs[0], 1, SERRY_FIRST, &which, 0.01), SERRY_ETIMEDOUT);
    EXPECT_EQ(which, 1u);
    open_gate();
    EXPECT_EQ(serry_future_wait(fs.data(), 4, SERRY_ALL, &which, 20), SERRY_OK);
    EXPECT_LT(which, 4u);
    fs.resize(2);
    free_all(fs);
    board().open = 0;
    /* The first error; those that are cancelled are none. */
    fs = { submit(p, gated, 0), submit(p, failing, 1) };
    EXPECT_EQ(serry_future_wait(fs.data(), 2, SERRY_FIRST_ERROR, &which, 20), SERRY_OK);
    EXPECT_EQ(which, 1u);
    EXPECT_EQ(serry_future_wait(fs.data(), 2, SERRY_FIRST_ERROR, &which, 20), SERRY_OK);
    EXPECT_EQ(serry_future_wait(fs.data(), 1, SERRY_FIRST_ERROR, &which, 0.02), SERRY_ETIMEDOUT);
    open_gate();
    EXPECT_EQ(serry_future_wait(fs.data(), 1, SERRY_FIRST_ERROR, &which, 20), SERRY_OK);
    EXPECT_EQ(which, 0u);
    free_all(fs);
}

SERRY_RANKS_TEST(Future, WaitsForTheFirstTheFirstErrorOrAll, // WaitTests
                 .ranks({ 1, 3 }))
{
    with_pool(options(2), wait_several);
}

SERRY_RANKS_TEST(Future, WaitCountsCancelledAsDone, .ranks({ 1 }).directly())
{
    serry_pool *p = make_pool(options(1));
    std::vector<serry_future *> fs = { submit(p, gated, 0), submit(p, echo, 1) };
    EXPECT_TRUE(wait_for([] { return board().begun == 1; }));
    EXPECT_EQ(serry_future_cancel(fs[1]), SERRY_OK);
    size_t which = 9;
    EXPECT_EQ(serry_future_wait(fs.data(), 2, SERRY_FIRST, &which, 20), SERRY_OK);
    EXPECT_EQ(which, 1u);
    EXPECT_EQ(serry_future_wait(fs.data(), 2, SERRY_FIRST_ERROR, &which, 0.02), SERRY_ETIMEDOUT);
    open_gate();
    EXPECT_EQ(serry_future_wait(fs.data(), 2, SERRY_FIRST_ERROR, &which, 20), SERRY_OK);
    EXPECT_EQ(serry_future_wait(fs.data(), 2, SERRY_ALL, nullptr, 20), SERRY_OK);
    free_all(fs);
    end_pool(p);
}

/* Each once, in the order in which they end, those that have ended first. */
void as_completed(serry_pool *p)
{
    const int n = 200;
    std::vector<serry_future *> fs;
    for (int i = 0; i < n; i++)
        fs.push_back(submit(p, echo, i));
    EXPECT_EQ(get(fs[50]), SERRY_OK);
    std::vector<int> seen((size_t)n);
    for (int k = 0; k < n; k++) {
        size_t i = 0;
        int value = -1;
        ASSERT_EQ(serry_future_wait(fs.data(), (size_t)n, SERRY_FIRST, &i, 20), SERRY_OK);
        ASSERT_EQ(get(fs[i], &value, SERRY_NOWAIT), SERRY_OK);
        ASSERT_EQ(value, (int)i);
        ASSERT_EQ(seen[i]++, 0);
        serry_future_free(fs[i]);
        fs[i] = nullptr;
    }
    EXPECT_EQ(serry_future_wait(fs.data(), (size_t)n, SERRY_FIRST, nullptr, 20), SERRY_EINVAL);
}

SERRY_RANKS_TEST(Future, CanBeTakenAsTheyAreCompleted, // AsCompletedTests
                 .ranks({ 1, 2 }))
{
    with_pool(options(2), as_completed);
}

SERRY_RANKS_TEST(Future, WaitRefusesBadArguments, .ranks({ 1 }).directly())
{
    serry_pool *p = make_pool(options(1));
    serry_future *fs[] = { submit(p, echo, 1) };
    EXPECT_EQ(serry_future_wait(fs, 0, SERRY_ALL, nullptr, 1), SERRY_EINVAL);
    EXPECT_EQ(serry_future_wait(nullptr, 1, SERRY_ALL, nullptr, 1), SERRY_EINVAL);
    EXPECT_EQ(serry_future_wait(fs, 1, (serry_wait_for)7, nullptr, 1), SERRY_EINVAL);
    EXPECT_EQ(serry_future_wait(fs, 1, SERRY_ALL, nullptr, NAN), SERRY_EINVAL);
    EXPECT_EQ(serry_future_cancel(nullptr), SERRY_EINVAL);
    EXPECT_FALSE(serry_future_running(nullptr));
    EXPECT_FALSE(serry_future_cancelled(nullptr));
    expect_result(fs[0], 1);
    end_pool(p);
}

/* Futures of several pools in one wait. */
SERRY_RANKS_TEST(Future, OfSeveralPoolsAreWaitedForTogether, .ranks({ 1 }).directly())
{
    serry_pool *p = make_pool(options(1)), *q = make_pool(options(1));
    std::vector<serry_future *> fs = { submit(p, gated, 0), submit(q, echo, 1) };
    size_t which = 9;
    EXPECT_EQ(serry_future_wait(fs.data(), 2, SERRY_FIRST, &which, 20), SERRY_OK);
    EXPECT_EQ(which, 1u);
    open_gate();
    EXPECT_EQ(serry_future_wait(fs.data(), 2, SERRY_ALL, &which, 20), SERRY_OK);
    free_all(fs);
    serry_pool_destroy(p);
    end_pool(q);
}

SERRY_RANKS_TEST(Future, CanBeUsedByManyThreads, .ranks({ 1 }).directly())
{
    serry_pool *p = make_pool();
    std::atomic<int> calls{ 0 };
    std::vector<std::thread> threads;
    for (int k = 0; k < 4; k++)
        threads.emplace_back([=, &calls] {
            for (int i = 0; i < 100; i++) {
                serry_future *f = submit(p, echo, i);
                EXPECT_EQ(
                    serry_future_on_done(
                        f, [](void *ctx, serry_future *) { ++*(std::atomic<int> *)ctx; }, &calls),
                    SERRY_OK);
                expect_result(f, i);
            }
        });
    for (std::thread &t : threads)
        t.join();
    EXPECT_LE(calls, 400);
    EXPECT_GT(calls, 0);
    end_pool(p);
}

/* ---- maps that nobody waits in ---- */

struct Failures {
    int n = 0;
    std::string first;
};

void count_failure(void *ctx, size_t index, serry_err e, const char *text)
{
    Failures *f = (Failures *)ctx;
    EXPECT_EQ(e, SERRY_ETASK);
    EXPECT_EQ(text, "no " + std::to_string(index));
    if (f->n++ == 0)
        f->first = text;
}

int tenth_fails(serry_task *t, const void *in, size_t)
{
    int x = *(const int *)in;
    return x % 10 == 9 ? serry_task_fail(t, "no %d", x) : give(t, &x, sizeof x);
}

serry_future *map_async(serry_pool *p, serry_task_fn fn, const std::vector<int> &in,
                        std::vector<int> *out, const serry_map_options &o = {})
{
    serry_future *f = nullptr;
    out->assign(in.size(), -1);
    EXPECT_EQ(serry_pool_map_async(&f, p, fn, in.data(), sizeof(int), in.size(), out->data(),
                                   sizeof(int), &o),
              SERRY_OK)
        << serry_err_detail();
    return f;
}

std::string told;

void map_asynchronously(serry_pool *p)
{
    for (size_t n : { 0, 1, 100, 50000 }) {
        std::vector<int> in = numbers(n), out;
        told.clear();
        serry_future *f = map_async(p, echo, in, &out);
        EXPECT_EQ(serry_future_on_done(
                      f, [](void *, serry_future *) { told += "done"; }, nullptr),
                  SERRY_OK);
        size_t len = 99;
        EXPECT_EQ(serry_future_get(f, nullptr, 0, &len, patience(30)), SERRY_OK)
            << serry_err_detail();
        EXPECT_EQ(len, 0u);
        EXPECT_EQ(serry_future_get(f, nullptr, 0, nullptr, patience(30)), SERRY_OK);
        EXPECT_EQ(out, in);
        EXPECT_EQ(told, "done");
        EXPECT_TRUE(serry_future_done(f));
        serry_future_free(f);
    }
    /* An error, told by on_error and by get. */
    std::vector<int> in = numbers(100), out;
    std::vector<serry_err> errors(100);
    Failures failures;
    serry_map_options o = all_noted(errors);
    o.on_error = count_failure;
    o.ctx = &failures;
    serry_future *f = map_async(p, tenth_fails, in, &out, o);
    EXPECT_EQ(serry_future_get(f, nullptr, 0, nullptr, 30), SERRY_ETASK);
    EXPECT_STREQ(serry_future_error(f), "no 9");
    EXPECT_EQ(failures.n, 10);
    for (size_t i = 0; i < 100; i++) {
        EXPECT_EQ(errors[i], i % 10 == 9 ? SERRY_ETASK : SERRY_OK);
        EXPECT_EQ(out[i], i % 10 == 9 ? -1 : (int)i);
    }
    serry_future_free(f);
    /* Several at once. */
    std::vector<int> outs[5];
    serry_future *fs[5];
    for (int k = 0; k < 5; k++)
        fs[k] = map_async(p, echo, in, &outs[k]);
    EXPECT_EQ(serry_future_wait(fs, 5, SERRY_ALL, nullptr, 30), SERRY_OK);
    for (int k = 0; k < 5; k++) {
        EXPECT_EQ(outs[k], in);
        serry_future_free(fs[k]);
    }
}

SERRY_RANKS_TEST(
    Future, OfAMap, // test_map_async, _callbacks, test_starmap_async, test_async_error_callback
    .ranks({ 1, 3 }))
{
    with_pool(options(2), map_asynchronously);
}

SERRY_RANKS_TEST(Future, OfAMapEndsAtItsTimeout, .ranks({ 1 }).directly())
{
    serry_pool *p = make_pool(options(1));
    std::vector<int> in = numbers(100), out;
    serry_map_options o = {};
    o.timeout = 0.1;
    serry_future *f = map_async(p, gated, in, &out, o);
    EXPECT_EQ(serry_future_get(f, nullptr, 0, nullptr, 0.01), SERRY_ETIMEDOUT);
    EXPECT_FALSE(serry_future_done(f));
    EXPECT_EQ(serry_future_get(f, nullptr, 0, nullptr, 20), SERRY_ETIMEDOUT);
    EXPECT_TRUE(serry_future_done(f));
    EXPECT_TRUE(has(serry_future_error(f), "100 of 100")) << serry_future_error(f);
    open_gate();
    serry_future_free(f);
    expect_works(p);
    end_pool(p);
    EXPECT_LE(board().begun, 2);
}

SERRY_RANKS_TEST(Future, OfAMapCanBeCancelledAndFreed, .ranks({ 1 }).directly())
{
    serry_pool *p = make_pool(options(1));
    std::vector<int> in = numbers(1000), out;
    serry_future *f = map_async(p, gated, in, &out);
    EXPECT_TRUE(wait_for([] { return board().begun == 1; }));
    EXPECT_TRUE(serry_future_running(f));
    EXPECT_EQ(serry_future_cancel(f), SERRY_OK) << serry_err_detail();
    EXPECT_FALSE(serry_future_done(f));
    open_gate();
    EXPECT_EQ(serry_future_get(f, nullptr, 0, nullptr, 20), SERRY_ECANCELLED);
    EXPECT_TRUE(serry_future_cancelled(f));
    EXPECT_EQ(out[0], 0); /* what was under way is kept */
    EXPECT_EQ(out[999], -1);
    EXPECT_EQ(serry_future_cancel(f), SERRY_ESTATE);
    serry_future_free(f);
    f = map_async(p, slow, in, &out);
    serry_future_free(f); /* withdrawn, and the array is no longer written to */
    out.assign(1000, -2);
    expect_works(p);
    EXPECT_EQ(out, std::vector<int>(1000, -2));
    end_pool(p);
    EXPECT_LT(board().ended, 20);
}

/* The whole map is with the pool: its owner may compute. */
SERRY_RANKS_TEST(Future, OfAMapNeedsNoCallsOfItsOwner, .ranks({ 1 }).directly())
{
    serry_pool *p = make_pool();
    std::vector<int> in = numbers(50000), out;
    serry_future *f = map_async(
        p,
        [](serry_task *t, const void *item, size_t len) {
            board().ended++;
            return give(t, item, len);
        },
        in, &out);
    EXPECT_TRUE(wait_for([] { return board().ended == 50000; }, 30)); /* no call of serry */
    EXPECT_EQ(serry_future_get(f, nullptr, 0, nullptr, 20), SERRY_OK);
    EXPECT_EQ(out, in);
    serry_future_free(f);
    end_pool(p);
}

SERRY_RANKS_TEST(Future, OfAMapIsFinishedByCloseAndJoin, // test_shutdown_race_issue12456
                 .ranks({ 1 }).directly())
{
    serry_pool *p = make_pool();
    std::vector<int> in = numbers(3), out;
    serry_future *f = map_async(p, slow, in, &out);
    end_pool(p);
    EXPECT_EQ(serry_future_get(f, nullptr, 0, nullptr, 20), SERRY_OK);
    EXPECT_EQ(out, in);
    serry_future_free(f);
}

} // namespace
