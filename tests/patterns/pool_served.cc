// ctest: pool timeout=120
/* Pools in a world of several launched ranks: those that serve or finalize work for the others. */
#include "patterns/pool_test.h"

#include <cmath>

using namespace serry_test;
using namespace pool_test;

namespace {

serry_pool *own; /* this rank's */

/* Ends when all ranks but the owner are at such a task. */
int meet(serry_task *t, const void *, size_t)
{
    int rank = serry_rank();
    EXPECT_EQ(serry_task_worker(t), rank);
    board().workers |= 1 << rank;
    int all = (1 << serry_size()) - 2;
    if (!wait_for([&] { return (board().workers & all) == all; }, 20))
        return serry_task_fail(t, "not all ranks serve");
    return give(t, &rank, sizeof rank);
}

/* As many tasks as there are servers, and each of them has one. The owner does not call serry. */
void expect_all_meet(serry_pool *p)
{
    std::vector<serry_future *> f;
    for (int i = 1; i < serry_size(); i++)
        f.push_back(submit(p, meet, i));
    EXPECT_TRUE(wait_for([] { return board().workers == (1 << serry_size()) - 2; }, 20));
    int ranks = 0;
    for (serry_future *one : f) {
        int rank = 0;
        EXPECT_EQ(serry_future_get(one, &rank, sizeof rank, nullptr, 20), SERRY_OK)
            << serry_err_detail();
        ranks |= 1 << rank;
        serry_future_free(one);
    }
    EXPECT_EQ(ranks, (1 << serry_size()) - 2);
}

SERRY_RANKS_TEST(PoolServed, EachServingRankWorks, .ranks({ 2, 3, 4 }).both_ways())
{
    if (serry_rank() == 0) {
        own = make_pool(options(0));
        expect_all_meet(own);
        expect_works(own, 20000);
        EXPECT_EQ(serry_pool_close(own), SERRY_OK);
        EXPECT_EQ(serry_pool_join(own, 20), SERRY_OK) << serry_err_detail();
        serry_pool_destroy(own);
    } else {
        EXPECT_EQ(serry_pool_serve(0, 20), SERRY_OK) << serry_err_detail();
    }
    barrier();
}

SERRY_RANKS_TEST(PoolServed, RanksInFinalizeWork, .ranks({ 2, 3, 4 }).in_own_world())
{
    if (serry_rank() != 0)
        return;
    serry_pool *p = make_pool(options(0));
    expect_all_meet(p);
    expect_works(p, 20000);
    serry_pool_destroy(p);
}

/* Nobody serves: each rank does its own tasks. */
SERRY_RANKS_TEST(PoolServed, AllRanksMapAtOnce, .ranks({ 2, 3, 4 }))
{
    serry_pool *p = make_pool(options(0));
    expect_works(p, 20000);
    barrier();
    expect_works(p, 3000);
    int x = 5, y = 0;
    EXPECT_EQ(serry_pool_apply(p, echo, &x, sizeof x, &y, sizeof y, nullptr, 20), SERRY_OK);
    EXPECT_EQ(y, 5);
    serry_pool_destroy(p);
}

SERRY_RANKS_TEST(PoolServed, AnyoneIsServedByTheLast, .ranks({ 2, 3 }).in_own_world())
{
    int last = serry_size() - 1;
    if (serry_rank() == last) {
        EXPECT_EQ(serry_pool_serve(SERRY_ANY, 20), SERRY_OK) << serry_err_detail();
        return; /* only now that all others are in finalize */
    }
    serry_pool *p = make_pool(options(0));
    serry_future *f = submit(p, echo, serry_rank());
    EXPECT_TRUE(wait_for([&] { return serry_future_done(f); }, 20)); /* not by this rank */
    expect_result(f, serry_rank(), SERRY_NOWAIT);
    expect_works(p, 5000);
    serry_pool_destroy(p);
}

SERRY_RANKS_TEST(PoolServed, ServingEndsAtItsTimeout, .ranks({ 2, 3 }))
{
    for (int owner : { (serry_rank() + 1) % serry_size(), SERRY_ANY }) {
        double begin = serry_time();
        EXPECT_EQ(serry_pool_serve(owner, 0.1), SERRY_ETIMEDOUT);
        EXPECT_GE(serry_time() - begin, 0.1);
        EXPECT_STRNE(serry_err_detail(), "");
        EXPECT_EQ(serry_pool_serve(owner, SERRY_NOWAIT), SERRY_ETIMEDOUT);
        barrier();
    }
}

SERRY_RANKS_TEST(PoolServed, ServingRefusesBadArguments, .ranks({ 1, 2 }))
{
    EXPECT_EQ(serry_pool_serve(serry_rank(), 0), SERRY_EINVAL);
    EXPECT_EQ(serry_pool_serve(serry_size(), 0), SERRY_EINVAL);
    EXPECT_EQ(serry_pool_serve(-2, 0), SERRY_EINVAL);
    EXPECT_STRNE(serry_err_detail(), "");
    EXPECT_EQ(serry_pool_serve(SERRY_ANY, NAN), SERRY_EINVAL);
    barrier();
}

/* The pool is gone before the other rank comes to serve it. */
SERRY_RANKS_TEST(PoolServed, WhoComesTooLateIsLetGo, .ranks({ 2 }))
{
    if (serry_rank() == 0) {
        serry_pool *p = make_pool(options(0));
        expect_works(p);
        serry_pool_destroy(p);
        EXPECT_EQ(serry_send(1, 0, nullptr, 0), SERRY_OK);
    } else {
        EXPECT_EQ(serry_recv(0, 0, nullptr, 0, nullptr, SERRY_FOREVER), SERRY_OK);
        EXPECT_EQ(serry_pool_serve(0, 20), SERRY_OK) << serry_err_detail();
    }
    barrier();
    if (serry_rank() == 1) /* and a new section begins: that pool does not count any more */
        EXPECT_EQ(serry_pool_serve(0, 0.05), SERRY_ETIMEDOUT);
    barrier();
}

SERRY_RANKS_TEST(PoolServed, ResultsOfAllSizes, .ranks({ 2, 4 }))
{
    with_pool(options(0), expect_all_sizes);
}

SERRY_RANKS_TEST(PoolServed, TasksMayGiveTasks, .ranks({ 2, 4 }))
{
    with_pool(options(0), [](serry_pool *p) { expect_fibonacci(p, 13, 233); });
}

/* ---- failures ---- */

SERRY_RANKS_TEST(PoolServed, FailingTasksAreReported, .ranks({ 2, 3 }))
{
    if (serry_rank() != 0) {
        EXPECT_EQ(serry_pool_serve(0, 20), SERRY_OK);
        return;
    }
    serry_pool *p = make_pool(options(0));
    std::vector<int> out;
    std::vector<serry_err> errors(100);
    serry_map_options o = {};
    o.errors = errors.data();
    o.keep_going = true;
    auto odd = [](serry_task *t, const void *in, size_t len) {
        int i = *(const int *)in;
        return i % 2 ? serry_task_fail(t, "odd %d", i) : give(t, in, len);
    };
    EXPECT_EQ(map_ints(p, odd, numbers(100), &out, o), SERRY_ETASK);
    EXPECT_STREQ(serry_err_detail(), "odd 1");
    for (size_t i = 0; i < 100; i++) {
        EXPECT_EQ(errors[i], i % 2 ? SERRY_ETASK : SERRY_OK);
        EXPECT_EQ(out[i], i % 2 ? -1 : (int)i);
    }
    serry_pool_destroy(p);
}

SERRY_RANKS_TEST(PoolServed, TheOwnersTimeEndsTasksNobodyBegan, .ranks({ 2 }))
{
    if (serry_rank() == 0) {
        serry_pool *p = make_pool(options(0));
        serry_future *f = submit(p, gated, 1), *waiting = submit(p, gated, 2);
        EXPECT_TRUE(wait_for([] { return board().begun == 1; }, 20)); /* at rank 1 */
        EXPECT_EQ(serry_pool_terminate(p), SERRY_OK);
        EXPECT_EQ(serry_future_get(f, nullptr, 0, nullptr, SERRY_NOWAIT), SERRY_ECANCELLED);
        EXPECT_EQ(serry_future_get(waiting, nullptr, 0, nullptr, SERRY_NOWAIT), SERRY_ECANCELLED);
        serry_future_free(f);
        serry_future_free(waiting);
        board().open = 1;
        EXPECT_EQ(serry_pool_join(p, 20), SERRY_OK) << serry_err_detail();
        serry_pool_destroy(p);
    } else {
        EXPECT_EQ(serry_pool_serve(0, 20), SERRY_OK);
        EXPECT_EQ(board().begun, 1);
    }
    barrier();
}

/* Kills rank 1; elsewhere it ends only when rank 1 has had one. */
int die_in_rank_1(serry_task *t, const void *in, size_t len)
{
    if (serry_rank() == 1) {
        board().pid[0] = getpid();
        kill(getpid(), SIGKILL);
    }
    if (!wait_for([] { return board().pid[0] != 0; }, 20))
        return serry_task_fail(t, "rank 1 has none");
    return give(t, in, len);
}

void serve_and_die(int retries)
{
    if (serry_rank() == 1) {
        EXPECT_EQ(serry_pool_serve(0, 20), SERRY_OK);
        ADD_FAILURE() << "rank 1 lives";
    }
    if (serry_rank() != 0)
        return; /* and serves in finalize */
    serry_pool *p = make_pool(options(0, retries));
    std::vector<serry_future *> f;
    for (int i = 1; i < serry_size(); i++)
        f.push_back(submit(p, die_in_rank_1, i));
    EXPECT_TRUE(wait_for([] { return board().pid[0] != 0; }, 20)); /* not by the owner */
    int died = 0;
    for (int i = 1; i < serry_size(); i++) {
        serry_future *one = f[(size_t)i - 1];
        if (retries == 0 && serry_future_get(one, nullptr, 0, nullptr, 20) == SERRY_EDIED) {
            died++;
            EXPECT_TRUE(has(serry_future_error(one), "rank 1")) << serry_future_error(one);
            serry_future_free(one);
        } else {
            expect_result(one, i);
        }
    }
    EXPECT_EQ(died, retries == 0);
    expect_works(p, 5000);
    serry_pool_destroy(p);
}

SERRY_RANKS_BODY(server_dies)
{
    serve_and_die(0);
}

SERRY_RANKS_BODY(server_dies_with_retries)
{
    serve_and_die(1);
}

TEST(PoolServed, ADyingServerCostsOnlyItsTask)
{
    for (const char *body : { "server_dies", "server_dies_with_retries" }) {
        for (Lanes lanes : { shm, serry_test::socket, nodes }) {
            for (int n : { 2, 4 }) {
                RankOptions o;
                if (several_nodes(lanes))
                    o.launch = direct;
                else
                    o.run_flags = { "--keep-going" };
                RanksResult r = try_ranks(n, lanes, body, o);
                for (const Record &f : r.of(Record::failure))
                    ADD_FAILURE_AT(f.file.c_str(), f.line) << "rank " << f.rank << ":\n" << f.text;
                EXPECT_EQ(r.of(Record::finished).size(), (size_t)n - 1) << r.program;
                EXPECT_FALSE(r.program.timed_out) << r.program;
                EXPECT_TRUE(r.program.left_behind.empty()) << r.program;
            }
        }
    }
}

/* ---- tasks that use pools ---- */

/* A pool of its own within a task: sum of squares. */
int nested(serry_task *t, const void *, size_t)
{
    serry_pool *p = make_pool(options(0));
    expect_works(p, 50);
    serry_pool_destroy(p);
    int rank = serry_rank();
    return give(t, &rank, sizeof rank);
}

/* Its own pool waits for it: it may give it tasks, but not end it. */
int use_its_own(serry_task *t, const void *in, size_t len)
{
    if (serry_rank() == 0) {
        std::vector<int> out;
        EXPECT_EQ(map_ints(own, echo, numbers(3), &out), SERRY_OK) << serry_err_detail();
        EXPECT_EQ(out, numbers(3));
        EXPECT_EQ(serry_pool_close(own), SERRY_ESTATE);
        EXPECT_EQ(serry_pool_join(own, 0), SERRY_ESTATE);
        EXPECT_EQ(serry_pool_terminate(own), SERRY_ESTATE);
    }
    EXPECT_EQ(serry_pool_serve(SERRY_ANY, 0), SERRY_ESTATE);
    return give(t, in, len);
}

SERRY_RANKS_TEST(PoolServed, TasksMayHavePoolsOfTheirOwn, .ranks({ 2, 3 }))
{
    if (serry_rank() == 0) {
        own = make_pool(options(0));
        std::vector<int> out;
        EXPECT_EQ(map_ints(own, nested, numbers(20), &out), SERRY_OK) << serry_err_detail();
        EXPECT_EQ(map_ints(own, use_its_own, numbers(20), &out), SERRY_OK) << serry_err_detail();
        EXPECT_EQ(out, numbers(20));
        serry_pool_destroy(own);
    } else {
        EXPECT_EQ(serry_pool_serve(0, 20), SERRY_OK) << serry_err_detail();
    }
    barrier();
}

} // namespace
