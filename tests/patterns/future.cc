// ctest: pool timeout=180 alone
/* Futures: their states, cancelling, callbacks, waiting for several; maps that nobody waits in. */
#include "patterns/pool_test.h"

#include <algorithm>
#include <cmath>
#include <thread>

using namespace serry_test;
using namespace pool_test;

namespace {

serry_err get(serry_future *f, int *value = nullptr, double timeout = 20)
{
    int none;
    size_t len;
    return serry_future_get(f, value ? value : &none, sizeof(int), &len, timeout);
}

int failing(serry_task *t, const void *in, size_t)
{
    return serry_task_fail(t, "no %d", *(const int *)in);
}

void open_gate()
{
    board().open = 1;
}

/* ---- states ---- */

void go_through_states(serry_pool *p)
{
    serry_future *first = submit(p, gated, 1);
    EXPECT_TRUE(wait_for([] { return board().begun == 1; }));
    serry_future *second = submit(p, gated, 2);
    EXPECT_TRUE(serry_future_running(first));
    EXPECT_FALSE(serry_future_done(first));
    EXPECT_FALSE(serry_future_cancelled(first));
    EXPECT_STREQ(serry_future_error(first), "");
    EXPECT_FALSE(serry_future_running(second));
    EXPECT_FALSE(serry_future_done(second));
    EXPECT_EQ(get(first, nullptr, 0.02), SERRY_ETIMEDOUT);
    EXPECT_EQ(get(first, nullptr, SERRY_NOWAIT), SERRY_ETIMEDOUT);
    EXPECT_EQ(serry_future_cancel(first), SERRY_ESTATE); /* it runs, and no worker is killed */
    EXPECT_EQ(serry_future_cancel(second), SERRY_OK) << serry_err_detail();
    EXPECT_TRUE(serry_future_cancelled(second));
    EXPECT_TRUE(serry_future_done(second));
    EXPECT_FALSE(serry_future_running(second));
    EXPECT_EQ(serry_future_cancel(second), SERRY_ESTATE);
    for (int again = 0; again < 2; again++)
        EXPECT_EQ(get(second), SERRY_ECANCELLED);
    EXPECT_TRUE(has(serry_future_error(second), "cancelled")) << serry_future_error(second);
    open_gate();
    int value = 0;
    for (int again = 0; again < 2; again++) {
        EXPECT_EQ(get(first, &value), SERRY_OK);
        EXPECT_EQ(value, 1);
    }
    EXPECT_TRUE(serry_future_done(first));
    EXPECT_FALSE(serry_future_running(first));
    EXPECT_FALSE(serry_future_cancelled(first));
    EXPECT_EQ(serry_future_cancel(first), SERRY_ESTATE);
    serry_future *bad = submit(p, failing, 3);
    EXPECT_EQ(get(bad), SERRY_ETASK);
    EXPECT_STREQ(serry_future_error(bad), "no 3");
    EXPECT_FALSE(serry_future_cancelled(bad));
    for (serry_future *f : { first, second, bad })
        serry_future_free(f);
    expect_works(p);
    EXPECT_EQ(board().begun, 1);
}

SERRY_RANKS_TEST(Future, GoesThroughItsStates, // test_cancel, _cancelled, _done, _running, test_result*
                 .ranks({ 1, 2 }))
{
    with_pool(options(1), go_through_states);
}

/* What was cancelled never begins: 2,000 that are queued at the home, and at the worker. */
void cancel_many(serry_pool *p)
{
    std::vector<serry_future *> f;
    std::vector<bool> cancelled;
    for (int i = 0; i < 2000; i++)
        f.push_back(submit(p, [](serry_task *t, const void *in, size_t len) {
            board().ran[*(const int *)in]++;
            return give(t, in, len);
        }, i));
    for (int i = 1999; i >= 0; i--)
        cancelled.push_back(serry_future_cancel(f[(size_t)i]) == SERRY_OK);
    int n = 0;
    for (int i = 0; i < 2000; i++) {
        bool was = cancelled[(size_t)(1999 - i)];
        n += was;
        EXPECT_EQ(get(f[(size_t)i]), was ? SERRY_ECANCELLED : SERRY_OK) << i;
        EXPECT_EQ(board().ran[i], was ? 0 : 1) << i;
        serry_future_free(f[(size_t)i]);
    }
    expect_works(p);
    for (int i = 0; i < 2000; i++)
        EXPECT_EQ(board().ran[i], cancelled[(size_t)(1999 - i)] ? 0 : 1) << i;
    printf("%d of 2000 cancelled\n", n);
}

SERRY_RANKS_TEST(Future, CancelsExactlyWhatHasNotBegun, .ranks({ 1, 2 }))
{
    with_pool(options(2), cancel_many);
}

SERRY_RANKS_TEST(Future, CancelsSoonAfterItWasSubmitted, // test_hang_gh94440
                 .ranks({ 1 }).directly())
{
    serry_pool *p = make_pool();
    for (int i = 0; i < 300; i++) {
        serry_future *f = submit(p, slow, i);
        serry_err e = serry_future_cancel(f);
        EXPECT_TRUE(e == SERRY_OK || e == SERRY_ESTATE) << serry_err_name(e);
        EXPECT_EQ(get(f), e == SERRY_OK ? SERRY_ECANCELLED : SERRY_OK);
        serry_future_free(f);
    }
    double begun = serry_time();
    end_pool(p);
    EXPECT_LT(serry_time() - begun, 5 * patience(1));
    EXPECT_EQ(board().begun, board().ended);
}

SERRY_RANKS_TEST(Future, CancelEndsARunningTaskIfWorkersMayBeKilled, .ranks({ 1 }).directly())
{
    serry_pool_options o = options(2, 3);
    o.task_timeout = 100;
    serry_pool *p = make_pool(o);
    serry_future *f = submit(p, stuck, 0), *other = submit(p, gated, 1);
    EXPECT_TRUE(wait_for([] {
        return board().begun == 2 && board().pid[0] + board().pid[1] != 0; /* whoever was first */
    }));
    std::vector<serry_future *> queued;
    for (int i = 0; i < 20; i++)
        queued.push_back(submit(p, gated, i));
    EXPECT_TRUE(serry_future_running(f));
    EXPECT_EQ(serry_future_cancel(f), SERRY_OK) << serry_err_detail();
    EXPECT_TRUE(serry_future_cancelled(f));
    EXPECT_EQ(get(f), SERRY_ECANCELLED);
    EXPECT_TRUE(wait_for([] { return !is_alive(board().pid[0] + board().pid[1]); }));
    open_gate();
    expect_result(other, 1);
    for (int i = 0; i < 20; i++)
        expect_result(queued[(size_t)i], i);
    serry_future_free(f);
    end_pool(p);
    EXPECT_EQ(board().begun, 22); /* none of them twice */
}

SERRY_RANKS_TEST(Future, BelongsToItsProcess, .ranks({ 1 }).directly())
{
    serry_pool *p = make_pool(options(1));
    static serry_future *f;
    f = submit(p, echo, 1);
    EXPECT_EQ(get(f), SERRY_OK);
    serry_process child;
    ASSERT_EQ(serry_process_start(&child, [](const void *, size_t) {
        serry_future *fs[] = { f };
        if (!f) /* from a clean copy */
            return 0;
        bool ok = get(f) == SERRY_ESTATE && !serry_future_done(f) && !serry_future_running(f)
                  && serry_future_cancel(f) == SERRY_ESTATE
                  && serry_future_wait(fs, 1, SERRY_ALL, nullptr, 1) == SERRY_ESTATE;
        return ok ? 0 : 1;
    }, nullptr, 0, nullptr), SERRY_OK);
    int code = -1;
    EXPECT_EQ(serry_process_join(child, &code, 20), SERRY_OK);
    EXPECT_EQ(code, 0);
    serry_future_free(f);
    end_pool(p);
}

/* ---- callbacks ---- */

std::string told;

void tell(void *ctx, serry_future *f)
{
    int value = -1;
    serry_err e = serry_future_get(f, &value, sizeof value, nullptr, SERRY_NOWAIT);
    told += (const char *)ctx + std::to_string(e == SERRY_OK ? value : -(int)e) + " ";
}

#define ON_DONE(f, name) EXPECT_EQ(serry_future_on_done(f, tell, (void *)(name)), SERRY_OK)

std::string error_of(serry_err e)
{
    return std::to_string(-(int)e);
}

void call_back(serry_pool *p)
{
    /* In order, once each; none before it is done. */
    told.clear();
    serry_future *f = submit(p, gated, 5);
    ON_DONE(f, "a");
    ON_DONE(f, "b");
    ON_DONE(f, "c");
    EXPECT_EQ(get(f, nullptr, 0.01), SERRY_ETIMEDOUT);
    EXPECT_EQ(told, "");
    open_gate();
    EXPECT_EQ(get(f), SERRY_OK);
    EXPECT_EQ(told, "a5 b5 c5 ");
    /* At once, if it is done. */
    ON_DONE(f, "d");
    EXPECT_EQ(told, "a5 b5 c5 d5 ");
    serry_future_free(f);
    /* With an error; cancelled. */
    told.clear();
    f = submit(p, failing, 1);
    ON_DONE(f, "");
    EXPECT_EQ(get(f), SERRY_ETASK);
    EXPECT_EQ(told, error_of(SERRY_ETASK) + " ");
    EXPECT_STREQ(serry_err_detail(), "no 1");
    serry_future_free(f);
    /* Inside calls of others: here of the pool. */
    told.clear();
    f = submit(p, echo, 8);
    ON_DONE(f, "e");
    expect_works(p);
    EXPECT_TRUE(wait_for([=] { return serry_future_done(f); }));
    EXPECT_EQ(told, "e8 ");
    serry_future_free(f);
    /* A forgotten future's are forgotten. */
    told.clear();
    f = submit(p, slow, 8);
    ON_DONE(f, "x");
    serry_future_free(f);
    expect_works(p);
    EXPECT_EQ(told, "");
}

SERRY_RANKS_TEST(Future, CallsBackInsideCalls, // test_done_callback_*
                 .ranks({ 1, 2 }))
{
    with_pool(options(2), call_back);
}

SERRY_RANKS_TEST(Future, CallsBackWhenItIsCancelled, .ranks({ 1 }).directly())
{
    serry_pool *p = make_pool(options(1));
    serry_future *block = submit(p, gated, 1), *f = submit(p, echo, 2), *g = submit(p, echo, 3);
    EXPECT_TRUE(wait_for([] { return board().begun == 1; }));
    ON_DONE(f, "f");
    ON_DONE(g, "g");
    EXPECT_EQ(serry_future_cancel(f), SERRY_OK);
    EXPECT_EQ(told, "f" + error_of(SERRY_ECANCELLED) + " ");
    told.clear();
    EXPECT_EQ(serry_pool_terminate(p), SERRY_OK);
    EXPECT_EQ(told, "g" + error_of(SERRY_ECANCELLED) + " ");
    for (serry_future *one : { block, f, g })
        serry_future_free(one);
    serry_pool_destroy(p);
}

/* A callback may use the pool, wait, add callbacks, fail, and free its future. */
SERRY_RANKS_TEST(Future, CallbacksMayDoAnything, .ranks({ 1 }).directly())
{
    static serry_pool *p;
    static int calls;
    p = make_pool();
    serry_future *f = submit(p, echo, 5);
    auto use = [](void *, serry_future *mine) {
        calls++;
        expect_works(p, 30);
        expect_result(submit(p, echo, 9), 9);
        ON_DONE(mine, "z");
        EXPECT_EQ(serry_future_get(nullptr, nullptr, 0, nullptr, 1), SERRY_EINVAL);
    };
    auto last = [](void *, serry_future *mine) {
        calls++;
        serry_future_free(mine);
    };
    EXPECT_EQ(serry_future_on_done(f, use, nullptr), SERRY_OK);
    EXPECT_EQ(serry_future_on_done(f, use, nullptr), SERRY_OK);
    EXPECT_EQ(serry_future_on_done(f, last, nullptr), SERRY_OK);
    EXPECT_EQ(serry_future_on_done(f, use, nullptr), SERRY_OK); /* not called: it is freed */
    int value = 0;
    EXPECT_EQ(serry_future_get(f, &value, sizeof value, nullptr, 20), SERRY_OK);
    EXPECT_EQ(value, 5);
    EXPECT_EQ(calls, 3);
    EXPECT_EQ(serry_future_on_done(nullptr, use, nullptr), SERRY_EINVAL);
    end_pool(p);
}

/* Each callback submits the next task: a chain of 500, in no more stack than one. */
SERRY_RANKS_TEST(Future, CallbacksMayChain, .ranks({ 1 }).directly())
{
    static serry_pool *p;
    static int n;
    p = make_pool();
    struct Chain {
        static void next(void *, serry_future *f)
        {
            serry_future_free(f);
            if (++n < 500)
                EXPECT_EQ(serry_future_on_done(submit(p, echo, n), next, nullptr), SERRY_OK);
        }
    };
    EXPECT_EQ(serry_future_on_done(submit(p, echo, 0), Chain::next, nullptr), SERRY_OK);
    double begun = serry_time();
    while (n < 500 && serry_time() - begun < 20 * patience(1))
        expect_result(submit(p, echo, 7), 7);
    EXPECT_EQ(n, 500);
    end_pool(p);
}

/* 20,000 are due at once, and each makes a call in which others could be called. */
SERRY_RANKS_TEST(Future, CallbacksDoNotPileUp, .ranks({ 1 }).directly().on(shm))
{
    static serry_pool *p;
    static int calls, depth, deepest;
    p = make_pool();
    serry_future *block = submit(p, gated, 0);
    std::vector<serry_future *> f;
    for (int i = 0; i < 20000; i++) {
        f.push_back(submit(p, echo, i));
        ASSERT_EQ(serry_future_on_done(f.back(), [](void *, serry_future *mine) {
            deepest = std::max(deepest, ++depth);
            calls++;
            serry_future_free(mine);
            serry_future_free(submit(p, echo, 1));
            depth--;
        }, nullptr), SERRY_OK);
    }
    open_gate();
    expect_result(block, 0);
    for (double end = serry_time() + patience(20); calls < 20000 && serry_time() < end;)
        expect_result(submit(p, echo, 2), 2);
    EXPECT_EQ(deepest, 1);
    serry_pool_destroy(p);
    EXPECT_EQ(calls, 20000);
}

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
    EXPECT_STREQ(serry_err_detail(), "2 (of 4) futures unfinished");
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
    std::atomic<int> calls { 0 };
    std::vector<std::thread> threads;
    for (int k = 0; k < 4; k++)
        threads.emplace_back([=, &calls] {
            for (int i = 0; i < 100; i++) {
                serry_future *f = submit(p, echo, i);
                EXPECT_EQ(serry_future_on_done(f, [](void *ctx, serry_future *) {
                    ++*(std::atomic<int> *)ctx;
                }, &calls), SERRY_OK);
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
                                   sizeof(int), &o), SERRY_OK) << serry_err_detail();
    return f;
}

void map_asynchronously(serry_pool *p)
{
    for (size_t n : { 0, 1, 100, 50000 }) {
        std::vector<int> in = numbers(n), out;
        told.clear();
        serry_future *f = map_async(p, echo, in, &out);
        EXPECT_EQ(serry_future_on_done(f, [](void *, serry_future *) { told += "done"; }, nullptr),
                  SERRY_OK);
        size_t len = 99;
        EXPECT_EQ(serry_future_get(f, nullptr, 0, &len, 30), SERRY_OK) << serry_err_detail();
        EXPECT_EQ(len, 0u);
        EXPECT_EQ(serry_future_get(f, nullptr, 0, nullptr, 30), SERRY_OK);
        EXPECT_EQ(out, in);
        EXPECT_EQ(told, "done");
        EXPECT_TRUE(serry_future_done(f));
        serry_future_free(f);
    }
    /* An error, told by on_error and by get. */
    std::vector<int> in = numbers(100), out;
    std::vector<serry_err> errors(100);
    Failures failures;
    serry_map_options o = {};
    o.keep_going = true;
    o.on_error = count_failure;
    o.ctx = &failures;
    o.errors = errors.data();
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

SERRY_RANKS_TEST(Future, OfAMap, // test_map_async, _callbacks, test_starmap_async, test_async_error_callback
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
    serry_future *f = map_async(p, [](serry_task *t, const void *item, size_t len) {
        board().ended++;
        return give(t, item, len);
    }, in, &out);
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
