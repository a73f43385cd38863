// ctest: pool timeout=240 alone
/* Tasks that give tasks to their own pool, and wait for them. */
#include "patterns/pool_test.h"

using namespace serry_test;
using namespace pool_test;

namespace {

/* 2^depth leaves; each inner task waits for its two halves. */
int tree_sum(serry_task *t, const void *in, size_t)
{
    int depth = *(const int *)in;
    long sum = 1;
    if (depth > 0) {
        serry_future *half[2];
        int less = depth - 1;
        sum = 0;
        for (auto &f : half)
            if (serry_pool_submit(&f, serry_task_pool(t), tree_sum, &less, sizeof less) != SERRY_OK)
                return serry_task_fail(t, "submit: %s", serry_err_detail());
        for (auto &f : half) {
            long part;
            if (serry_future_get(f, &part, sizeof part, nullptr, 60) != SERRY_OK)
                return serry_task_fail(t, "get: %s", serry_err_detail());
            sum += part;
            serry_future_free(f);
        }
    }
    return give(t, &sum, sizeof sum);
}

void sum_tree(serry_pool *p)
{
    for (int depth : { 0, 1, 5, 10 }) {
        long sum = 0;
        EXPECT_EQ(
            serry_pool_apply(p, tree_sum, &depth, sizeof depth, &sum, sizeof sum, nullptr, 60),
            SERRY_OK)
            << serry_err_detail();
        EXPECT_EQ(sum, 1L << depth);
    }
    expect_works(p);
}

SERRY_RANKS_TEST(PoolTasks, ThatWaitForTasksUseUpNoWorkers, .ranks({ 1 }).directly())
{
    with_pool(options(2), sum_tree);
}

SERRY_RANKS_TEST(PoolTasks, ThatWaitForTasksNeedOneWorkerOnly, .ranks({ 1 }).directly())
{
    with_pool(options(1), sum_tree);
}

SERRY_RANKS_TEST(PoolTasks, ThatWaitForTasksUseUpNoServingRanks, .ranks({ 2, 3 }))
{
    with_pool(options(0), sum_tree);
}

/* Nobody serves: the owner runs its tasks itself, and theirs. */
SERRY_RANKS_TEST(PoolTasks, ThatWaitForTasksAreRunByAnOwnerAlone, .ranks({ 2 }))
{
    if (serry_rank() == 0) {
        serry_pool *p = make_pool(options(0));
        sum_tree(p);
        serry_pool_destroy(p);
    }
    barrier();
}

/* All ranks have pools, all of them wait, and each serves nobody. */
SERRY_RANKS_TEST(PoolTasks, OfAllRanksAtOnce, .ranks({ 3 }))
{
    serry_pool *p = make_pool(options(0));
    sum_tree(p);
    barrier();
    serry_pool_destroy(p);
    barrier();
}

/* ---- all that a task may do with its pool ---- */

bool next_of_ten(void *, size_t index, void *item, size_t, size_t *len)
{
    int value = (int)index;
    memcpy(item, &value, sizeof value);
    *len = sizeof value;
    return index < 10;
}

int use_all(serry_task *t, const void *in, size_t)
{
    serry_pool *p = serry_task_pool(t);
    int x = *(const int *)in, y = -1;
    /* Given before it waits, and kept over all that other tasks return meanwhile. */
    EXPECT_EQ(serry_task_return(t, &x, sizeof x), SERRY_OK);
    EXPECT_EQ(serry_pool_apply(p, echo, &x, sizeof x, &y, sizeof y, nullptr, 30), SERRY_OK)
        << serry_err_detail();
    EXPECT_EQ(y, x);
    std::vector<int> out;
    EXPECT_EQ(map_ints(p, echo, numbers(300, x), &out), SERRY_OK) << serry_err_detail();
    EXPECT_EQ(out, numbers(300, x));
    std::vector<int> items = numbers(50, x), late(50);
    serry_future *f;
    EXPECT_EQ(serry_pool_map_async(&f, p, echo, items.data(), sizeof(int), 50, late.data(),
                                   sizeof(int), nullptr),
              SERRY_OK);
    EXPECT_EQ(serry_future_get(f, nullptr, 0, nullptr, 30), SERRY_OK) << serry_err_detail();
    EXPECT_EQ(late, items);
    serry_future_free(f);
    serry_results *it;
    EXPECT_EQ(serry_pool_imap(&it, p, echo, next_of_ten, nullptr, nullptr), SERRY_OK);
    int n = 0;
    while (serry_results_next(it, &y, sizeof y, nullptr, nullptr, 30) == SERRY_OK)
        EXPECT_EQ(y, n++);
    EXPECT_EQ(n, 10);
    serry_results_free(it);
    size_t workers = 0;
    EXPECT_EQ(serry_pool_stats(p, nullptr, 0, &workers), SERRY_OK);
    EXPECT_GE(workers, 1u);
    EXPECT_EQ(serry_pool_close(p), SERRY_ESTATE);
    EXPECT_EQ(serry_pool_terminate(p), SERRY_ESTATE);
    EXPECT_EQ(serry_pool_join(p, 0), SERRY_ESTATE);
    if (x % 2)
        return 0;
    x += 1000;
    return give(t, &x, sizeof x);
}

void use_all_of_it(serry_pool *p)
{
    std::vector<int> out, want = numbers(20);
    EXPECT_EQ(map_ints(p, use_all, numbers(20), &out), SERRY_OK) << serry_err_detail();
    for (int &x : want)
        x += x % 2 ? 0 : 1000;
    EXPECT_EQ(out, want);
}

SERRY_RANKS_TEST(PoolTasks, MayUseAllOfTheirPoolButEndIt, .ranks({ 1 }).directly())
{
    with_pool(options(2), use_all_of_it);
}

SERRY_RANKS_TEST(PoolTasks, OfServingRanksMayUseAllOfTheirPool, .ranks({ 2, 3 }))
{
    with_pool(options(0), use_all_of_it);
}

/* ---- failures ---- */

int child_fails(serry_task *t, const void *in, size_t)
{
    int x = *(const int *)in;
    return x % 3 ? give(t, &x, sizeof x) : serry_task_fail(t, "no %d", x);
}

int parent_of_failing(serry_task *t, const void *in, size_t)
{
    serry_future *f;
    EXPECT_EQ(serry_pool_submit(&f, serry_task_pool(t), child_fails, in, sizeof(int)), SERRY_OK);
    int y = -1;
    serry_err e = serry_future_get(f, &y, sizeof y, nullptr, 30);
    std::string text = serry_future_error(f);
    serry_future_free(f);
    if (e != SERRY_OK)
        return serry_task_fail(t, "child: %s", text.c_str());
    return give(t, &y, sizeof y);
}

void fail_some(serry_pool *p)
{
    std::vector<int> out;
    std::vector<serry_err> errors(30);
    EXPECT_EQ(map_ints(p, parent_of_failing, numbers(30), &out, all_noted(errors)), SERRY_ETASK);
    EXPECT_STREQ(serry_err_detail(), "child: no 0");
    for (int i = 0; i < 30; i++) {
        EXPECT_EQ(errors[(size_t)i], i % 3 ? SERRY_OK : SERRY_ETASK);
        EXPECT_EQ(out[(size_t)i], i % 3 ? i : -1);
    }
}

SERRY_RANKS_TEST(PoolTasks, HearOfTheFailuresOfTheirs, .ranks({ 1 }).directly())
{
    with_pool(options(2), fail_some);
}

SERRY_RANKS_TEST(PoolTasks, OfServingRanksHearOfTheFailuresOfTheirs, .ranks({ 3 }))
{
    with_pool(options(0), fail_some);
}

/* Kills its worker while it waits, or after it has. */
int dies_after_waiting(serry_task *t, const void *in, size_t)
{
    int x = *(const int *)in, y = 0;
    EXPECT_EQ(serry_pool_apply(serry_task_pool(t), echo, &x, sizeof x, &y, sizeof y, nullptr, 30),
              SERRY_OK);
    if (x == 7 && (board().attempts++ == 0))
        raise(SIGKILL);
    return give(t, &y, sizeof y);
}

SERRY_RANKS_TEST(PoolTasks, ThatDieAfterWaitingAreTriedAgain, .ranks({ 1 }).directly())
{
    serry_pool *p = make_pool(options(2, 1));
    std::vector<int> out;
    EXPECT_EQ(map_ints(p, dies_after_waiting, numbers(40), &out), SERRY_OK) << serry_err_detail();
    EXPECT_EQ(out, numbers(40));
    EXPECT_EQ(board().attempts, 2);
    end_pool(p);
}

SERRY_RANKS_TEST(PoolTasks, ThatDieAfterWaitingAreReported, .ranks({ 1 }).directly())
{
    serry_pool *p = make_pool(options(2));
    std::vector<int> out;
    std::vector<serry_err> errors(40);
    EXPECT_EQ(map_ints(p, dies_after_waiting, numbers(40), &out, all_noted(errors)), SERRY_EDIED);
    EXPECT_TRUE(has(serry_err_detail(), "task 7")) << serry_err_detail();
    for (size_t i = 0; i < 40; i++) {
        EXPECT_EQ(errors[i], i == 7 ? SERRY_EDIED : SERRY_OK) << i;
        EXPECT_EQ(out[i], i == 7 ? -1 : (int)i);
    }
    end_pool(p);
}

int poison(serry_task *, const void *, size_t)
{
    raise(SIGKILL);
    return 0;
}

/* Its child kills the worker, be it the one on which it waits itself: then it has had an attempt,
 * too, and so this ends. */
int parent_of_poison(serry_task *t, const void *in, size_t)
{
    int depth = *(const int *)in - 1;
    int code = serry_pool_apply(serry_task_pool(t), depth ? parent_of_poison : poison, &depth,
                                sizeof depth, nullptr, 0, nullptr, 30);
    return code ? serry_task_fail(t, "%s", serry_err_name((serry_err)code)) : 0;
}

SERRY_RANKS_TEST(PoolTasks, DieWithTheirsOnlySoOften, .ranks({ 1 }).directly())
{
    for (int depth : { 1, 3 }) {
        serry_pool *p = make_pool(options(2, 2));
        serry_err e =
            serry_pool_apply(p, parent_of_poison, &depth, sizeof depth, nullptr, 0, nullptr, 20);
        EXPECT_TRUE(e == SERRY_ETASK || e == SERRY_EDIED) << serry_err_name(e);
        expect_works(p);
        end_pool(p);
    }
}

/* ---- ends ---- */

int give_and_go(serry_task *t, const void *in, size_t len)
{
    serry_future *f;
    EXPECT_EQ(serry_pool_submit(&f, serry_task_pool(t), slow, in, len), SERRY_OK);
    serry_future_free(f);
    return 0;
}

SERRY_RANKS_TEST(PoolTasks, AreRunThoughThePoolIsClosedAndNobodyWaits, .ranks({ 1 }).directly())
{
    serry_pool_options o = options(2);
    o.max_tasks_per_worker = 1;
    serry_pool *p = make_pool(o);
    for (int i = 0; i < 10; i++)
        serry_future_free(submit(p, give_and_go, i));
    end_pool(p);
    EXPECT_EQ(board().ended, 10);
}

SERRY_RANKS_TEST(PoolTasks, ThatWaitRunMoreThanTheirNumber, .ranks({ 1 }).directly())
{
    serry_pool_options o = options(2);
    o.max_tasks_per_worker = 1;
    serry_pool *p = make_pool(o);
    int depth = 4;
    long sum = 0;
    EXPECT_EQ(serry_pool_apply(p, tree_sum, &depth, sizeof depth, &sum, sizeof sum, nullptr, 60),
              SERRY_OK)
        << serry_err_detail();
    EXPECT_EQ(sum, 16);
    end_pool(p);
}

int waits_for_stuck(serry_task *t, const void *, size_t)
{
    serry_err e = serry_pool_apply(serry_task_pool(t), gated, nullptr, 0, nullptr, 0, nullptr, 30);
    return e == SERRY_OK ? 0 : serry_task_fail(t, "%s", serry_err_name(e));
}

void terminate_it(serry_pool *p)
{
    std::vector<serry_future *> fs;
    for (int i = 0; i < 4; i++)
        fs.push_back(submit(p, waits_for_stuck, i));
    EXPECT_TRUE(wait_for([] { return board().begun > 0; }));
    EXPECT_EQ(serry_pool_terminate(p), SERRY_OK);
    board().open = 1;
    for (serry_future *f : fs) {
        EXPECT_EQ(serry_future_get(f, nullptr, 0, nullptr, 1), SERRY_ECANCELLED);
        serry_future_free(f);
    }
}

SERRY_RANKS_TEST(PoolTasks, ThatWaitEndWithTheirPool, .ranks({ 1 }).directly())
{
    with_pool(options(2), terminate_it);
}

SERRY_RANKS_TEST(PoolTasks, OfServingRanksThatWaitEndWithTheirPool, .ranks({ 2, 3 }))
{
    with_pool(options(0), terminate_it);
}

/* ---- deaths at any time ---- */

SERRY_RANKS_TEST(PoolTasks, SurviveDeathsOfWorkersAtAnyTime, .ranks({ 1 }).directly())
{
    serry_pool *p = make_pool(options(3, 10000));
    for (int round = 0; round < 5; round++) {
        int depth = 8;
        long sum = 0;
        serry_future *f = submit(p, tree_sum, depth);
        unsigned seed = (unsigned)round;
        for (int k = 0; k < 4 && !serry_future_done(f); k++) {
            serry_worker_stats s[3];
            size_t n = 0;
            take(0.002 + 0.001 * (rand_r(&seed) % 10));
            EXPECT_EQ(serry_pool_stats(p, s, 3, &n), SERRY_OK);
            if (n > 0 && s[0].alive && s[0].pid > 0)
                kill(s[0].pid, SIGKILL);
        }
        EXPECT_EQ(serry_future_get(f, &sum, sizeof sum, nullptr, 60), SERRY_OK)
            << serry_err_detail();
        EXPECT_EQ(sum, 256);
        serry_future_free(f);
    }
    end_pool(p);
}

} // namespace
