// ctest: pool timeout=180 alone
/* Futures: their states, cancelling, callbacks. */
#include "patterns/pool_test.h"

#include <algorithm>

using namespace serry_test;
using namespace pool_test;

namespace {

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

SERRY_RANKS_TEST(Future,
                 GoesThroughItsStates, // test_cancel, _cancelled, _done, _running, test_result*
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
        f.push_back(submit(
            p,
            [](serry_task *t, const void *in, size_t len) {
                board().ran[*(const int *)in]++;
                return give(t, in, len);
            },
            i));
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
    ASSERT_EQ(serry_process_start(
                  &child,
                  [](const void *, size_t) {
                      serry_future *fs[] = { f };
                      if (!f) /* from a clean copy */
                          return 0;
                      bool ok = get(f) == SERRY_ESTATE && !serry_future_done(f)
                                && !serry_future_running(f)
                                && serry_future_cancel(f) == SERRY_ESTATE
                                && serry_future_wait(fs, 1, SERRY_ALL, nullptr, 1) == SERRY_ESTATE;
                      return ok ? 0 : 1;
                  },
                  nullptr, 0, nullptr),
              SERRY_OK);
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
        ASSERT_EQ(serry_future_on_done(
                      f.back(),
                      [](void *, serry_future *mine) {
                          deepest = std::max(deepest, ++depth);
                          calls++;
                          serry_future_free(mine);
                          serry_future_free(submit(p, echo, 1));
                          depth--;
                      },
                      nullptr),
                  SERRY_OK);
    }
    open_gate();
    expect_result(block, 0);
    for (double end = serry_time() + patience(20); calls < 20000 && serry_time() < end;)
        expect_result(submit(p, echo, 2), 2);
    EXPECT_EQ(deepest, 1);
    serry_pool_destroy(p);
    EXPECT_EQ(calls, 20000);
}

} // namespace
