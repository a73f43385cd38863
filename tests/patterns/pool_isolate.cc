// ctest: pool timeout=120
/* Pools with isolate, or a time limit for tasks, in a world of several launched ranks: a process of
 * its own runs the tasks of each rank that works. What a task does to that process costs the task.
 */
#include "patterns/pool_test.h"

#include <set>

using namespace serry_test;
using namespace pool_test;

namespace {

std::vector<serry_worker_stats> live_ones(serry_pool *p)
{
    std::vector<serry_worker_stats> live;
    for (const serry_worker_stats &s : stats_of(p))
        if (s.alive)
            live.push_back(s);
    return live;
}

/* ---- who works ---- */

struct Place {
    int rank, parent, node;
    pid_t pid;
};

/* Ends when as many different processes are at such a task as ranks serve. */
int tell_place(serry_task *t, const void *, size_t)
{
    serry_process_info up = {};
    Place me = { serry_task_worker(t), -1, serry_node(), getpid() };
    if (serry_process_info_of(serry_process_parent(), &up) != SERRY_OK)
        return serry_task_fail(t, "%s", serry_err_detail());
    me.parent = up.rank;
    board().begun++;
    if (!wait_for([] { return board().begun >= serry_size() - 1; }, 20))
        return serry_task_fail(t, "not all ranks have a process at work");
    return give(t, &me, sizeof me);
}

std::vector<int> nodes_of_ranks;

void learn_nodes()
{
    int node = serry_node();
    nodes_of_ranks.resize((size_t)serry_size());
    EXPECT_EQ(serry_world_allgather(&node, sizeof node, nodes_of_ranks.data()), SERRY_OK);
}

void expect_processes_of_ranks(serry_pool *p)
{
    size_t n = (size_t)serry_size() - 1;
    std::vector<int> in(n);
    std::vector<Place> out(n);
    std::set<int> parents, pids;
    ASSERT_EQ(serry_pool_map(p, tell_place, in.data(), sizeof(int), n, out.data(), sizeof(Place),
                             nullptr),
              SERRY_OK)
        << serry_err_detail();
    std::vector<serry_worker_stats> s = live_ones(p);
    for (const Place &at : out) {
        EXPECT_GE(at.rank, serry_size());
        EXPECT_EQ(at.node, nodes_of_ranks[(size_t)at.parent]);
        parents.insert(at.parent);
        pids.insert(at.pid);
        bool named = false;
        for (const serry_worker_stats &w : s)
            named |=
                w.rank == at.rank && w.pid == at.pid && w.principal == at.parent && w.tasks == 1;
        EXPECT_TRUE(named) << "rank " << at.rank << " is not among " << s.size();
    }
    EXPECT_EQ(parents.size(), n); /* one for each rank that serves */
    EXPECT_EQ(pids.size(), n);
    EXPECT_EQ(parents.count(0), 0u);
    EXPECT_EQ(s.size(), n);
}

SERRY_RANKS_TEST(PoolIsolate, AProcessOfEachServingRankWorks, .ranks({ 2, 3, 4 }).both_ways())
{
    learn_nodes();
    with_pool(isolated(), [](serry_pool *p) {
        expect_processes_of_ranks(p);
        expect_works(p, 5000);
    });
}

SERRY_RANKS_TEST(PoolIsolate, AProcessOfEachRankInFinalizeWorks, .ranks({ 3 }).in_own_world())
{
    learn_nodes();
    if (serry_rank() != 0)
        return;
    serry_pool *p = make_pool(isolated());
    EXPECT_TRUE(wait_for([=] { return live_ones(p).size() + 1 == (size_t)serry_size(); }, 20));
    expect_processes_of_ranks(p);
    expect_works(p, 5000);
    serry_pool_destroy(p);
}

int begin_here(const void *arg, size_t len)
{
    board().inits++;
    return len == sizeof(int) && *(const int *)arg == 42 && serry_rank() >= serry_size() ? 0 : 7;
}

SERRY_RANKS_TEST(PoolIsolate, TheInitializerRunsInEachProcess, .ranks({ 3, 4 }))
{
    static int answer = 42;
    serry_pool_options o = isolated();
    o.initializer = begin_here;
    o.init_arg = &answer;
    o.init_len = sizeof answer;
    with_pool(o, [](serry_pool *p) {
        expect_works(p);
        EXPECT_TRUE(wait_for([] { return board().inits == serry_size() - 1; }));
    });
}

SERRY_RANKS_TEST(PoolIsolate, AFailingInitializerBreaksThePool, .ranks({ 3 }))
{
    static int wrong = 41;
    serry_pool_options o = isolated();
    o.initializer = begin_here;
    o.init_arg = &wrong;
    o.init_len = sizeof wrong;
    if (serry_rank() == 0) {
        serry_pool *p = make_pool(o);
        std::vector<int> out;
        EXPECT_EQ(map_ints(p, echo, numbers(10), &out), SERRY_EBROKEN);
        EXPECT_TRUE(has(serry_err_detail(), "initializer failed with 7")) << serry_err_detail();
        serry_pool_destroy(p);
    }
}

/* Nobody serves: each owner is represented by a process of its own. */
SERRY_RANKS_TEST(PoolIsolate, AllRanksMapAtOnce, .ranks({ 2, 3, 4 }).both_ways())
{
    serry_pool *p = make_pool(isolated());
    expect_works(p, 2000);
    for (const serry_worker_stats &s : live_ones(p)) {
        EXPECT_EQ(s.principal, serry_rank());
        EXPECT_NE(s.pid, getpid());
    }
    barrier();
    expect_works(p, 500);
    EXPECT_EQ(serry_pool_close(p), SERRY_OK);
    EXPECT_EQ(serry_pool_join(p, 20), SERRY_OK) << serry_err_detail();
    EXPECT_EQ(serry_process_children(nullptr, 0), 0u);
    serry_pool_destroy(p);
}

/* ---- tasks that end their process ---- */

enum Kind { fault, give_up, killed, leave, leave_at_once, kinds };

/* A real fault, which neither a sanitizer nor the handler that it installs gets to see. */
int touch_nothing()
{
    static int *volatile nowhere = (int *)8;
    signal(SIGSEGV, SIG_DFL);
    return *nowhere;
}

int end_as(int kind)
{
    switch (kind) {
    case fault:
        return touch_nothing();
    case give_up:
        abort();
    case killed:
        return kill(getpid(), SIGKILL);
    case leave:
        exit(3);
    default:
        _exit(5);
    }
}

const char *const what_is_said[kinds] = { "signal 11", "signal 6", "signal 9", "code 3", "code 5" };

/* Each tenth ends its process, one way or another, as often as the pool's retries allow. */
int some_crash(serry_task *t, const void *in, size_t len)
{
    int i = *(const int *)in;
    if (i % 10 == 7)
        end_as(i / 10 % kinds);
    return give(t, in, len);
}

int crash_once(serry_task *t, const void *in, size_t len)
{
    int i = *(const int *)in;
    if (i % 10 == 7 && serry_task_attempt(t) == 1)
        end_as(i / 10 % kinds);
    int out = i + 1000 * (serry_task_attempt(t) - 1);
    (void)len;
    return give(t, &out, sizeof out);
}

struct Told {
    std::vector<std::string> texts;
};

void take_told(void *ctx, size_t index, serry_err e, const char *text)
{
    Told *told = (Told *)ctx;
    EXPECT_EQ(e, SERRY_EDIED);
    told->texts[index] = text;
}

void crashes_are_told(serry_pool *p)
{
    Told told = { std::vector<std::string>(50) };
    std::vector<int> out;
    std::vector<serry_err> errors(50);
    serry_map_options o = all_noted(errors);
    o.on_error = take_told;
    o.ctx = &told;
    EXPECT_EQ(map_ints(p, some_crash, numbers(50), &out, o), SERRY_EDIED);
    for (size_t i = 0; i < 50; i++) {
        if (i % 10 != 7) {
            EXPECT_EQ(errors[i], SERRY_OK) << i;
            EXPECT_EQ(out[i], (int)i);
            continue;
        }
        EXPECT_EQ(errors[i], SERRY_EDIED) << i;
        EXPECT_TRUE(has(told.texts[i], what_is_said[i / 10 % kinds])) << told.texts[i];
        EXPECT_TRUE(has(told.texts[i], "task " + std::to_string(i))) << told.texts[i];
        EXPECT_TRUE(has(told.texts[i], "for rank ")) << told.texts[i];
    }
}

SERRY_RANKS_TEST(PoolIsolate, ATaskThatEndsItsProcessIsReported, .ranks({ 3, 4 }).both_ways())
{
    with_pool(isolated(), [](serry_pool *p) {
        crashes_are_told(p);
        expect_works(p, 2000);
        EXPECT_TRUE(wait_for([=] { return live_ones(p).size() + 1 == (size_t)serry_size(); }));
        size_t ended = 0;
        for (const serry_worker_stats &s : stats_of(p)) {
            EXPECT_TRUE(s.principal > 0 && s.principal < serry_size()) << s.principal;
            ended += !s.alive;
        }
        EXPECT_GE(ended, 5u);
    });
    int here = 1, all = 0; /* no rank was lost */
    EXPECT_EQ(serry_world_allreduce(&here, &all, 1, SERRY_INT32, SERRY_SUM), SERRY_OK);
    EXPECT_EQ(all, serry_size());
}

SERRY_RANKS_TEST(PoolIsolate, AnOwnerThatNobodyServesSurvivesItsTasks, .ranks({ 2 }))
{
    serry_pool *p = make_pool(isolated());
    crashes_are_told(p);
    expect_works(p);
    barrier();
    serry_pool_destroy(p);
}

SERRY_RANKS_TEST(PoolIsolate, ATaskThatEndsItsProcessIsTriedAgain, .ranks({ 3, 4 }))
{
    with_pool(isolated(1), [](serry_pool *p) {
        std::vector<int> out;
        EXPECT_EQ(map_ints(p, crash_once, numbers(50), &out), SERRY_OK) << serry_err_detail();
        for (int i = 0; i < 50; i++)
            EXPECT_EQ(out[(size_t)i], i % 10 == 7 ? i + 1000 : i);
        /* The same for single tasks. */
        std::vector<serry_future *> f;
        for (int i = 0; i < 20; i++)
            f.push_back(submit(p, crash_once, i));
        for (int i = 0; i < 20; i++)
            expect_result(f[(size_t)i], i % 10 == 7 ? i + 1000 : i);
    });
}

SERRY_RANKS_TEST(PoolIsolate, ACrashStopsAMapThatIsNotToGoOn, .ranks({ 3, 4 }))
{
    with_pool(isolated(), [](serry_pool *p) {
        std::vector<int> out;
        EXPECT_EQ(map_ints(p, some_crash, numbers(50), &out), SERRY_EDIED);
        EXPECT_TRUE(has(serry_err_detail(), "task ")) << serry_err_detail();
        expect_works(p);
    });
}

/* ---- tasks that are ended ---- */

SERRY_RANKS_TEST(PoolIsolate, ATaskThatTakesTooLongIsEnded, .ranks({ 3, 4 }))
{
    serry_pool_options po = options(0);
    po.task_timeout = patience(0.3);
    with_pool(po, [](serry_pool *p) {
        expect_only_3_ended(p);
        EXPECT_TRUE(wait_for([] { return !is_alive(board().pid[0]); }));
        expect_works(p);
    });
}

SERRY_RANKS_TEST(PoolIsolate, ARunningTaskCanBeCancelled, .ranks({ 3, 4 }))
{
    with_pool(isolated(), [](serry_pool *p) {
        serry_future *f = submit(p, stuck, 0), *other = submit(p, gated, 1);
        EXPECT_TRUE(
            wait_for([] { return board().begun == 2 && board().pid[0] + board().pid[1] != 0; }));
        EXPECT_EQ(serry_future_cancel(f), SERRY_OK) << serry_err_detail();
        EXPECT_EQ(serry_future_get(f, nullptr, 0, nullptr, 20), SERRY_ECANCELLED);
        EXPECT_TRUE(wait_for([] { return !is_alive(board().pid[0] + board().pid[1]); }));
        board().open = 1;
        expect_result(other, 1);
        serry_future_free(f);
        expect_works(p);
    });
}

SERRY_RANKS_TEST(PoolIsolate, TerminateEndsWhatRuns, .ranks({ 3, 4 }))
{
    with_pool(isolated(), [](serry_pool *p) {
        serry_future *f[2] = { submit(p, stuck, 0), submit(p, stuck, 1) };
        EXPECT_TRUE(wait_for([] { return board().pid[0] != 0 && board().pid[1] != 0; }));
        EXPECT_EQ(serry_pool_terminate(p), SERRY_OK);
        EXPECT_EQ(serry_pool_join(p, 20), SERRY_OK) << serry_err_detail();
        for (int i = 0; i < 2; i++) {
            EXPECT_FALSE(is_alive(board().pid[i]));
            EXPECT_EQ(serry_future_get(f[i], nullptr, 0, nullptr, 0), SERRY_ECANCELLED);
            serry_future_free(f[i]);
        }
    });
}

/* ---- ranks that come and go ---- */

/* The process is not left behind, and its task is finished first. */
SERRY_RANKS_TEST(PoolIsolate, AServerThatLeavesTakesItsProcessWithIt, .ranks({ 2 }))
{
    if (serry_rank() == 0) {
        serry_pool *p = make_pool(isolated());
        serry_future *f = submit(p, gated, 5);
        EXPECT_TRUE(wait_for([] { return board().begun == 1; }, 20));
        EXPECT_EQ(serry_send(1, 1, nullptr, 0), SERRY_OK);
        take(0.3); /* rank 1 is to leave meanwhile, if it does not wait */
        board().open = 1;
        expect_result(f, 5);
        barrier();
        EXPECT_EQ(live_ones(p).size(), 0u);
        expect_works(p); /* by a process of this rank's own */
        serry_pool_destroy(p);
    } else {
        while (board().begun == 0)
            EXPECT_EQ(serry_pool_serve(0, 0.02), SERRY_ETIMEDOUT);
        EXPECT_EQ(board().ended, 1);
        EXPECT_EQ(serry_recv(0, 1, nullptr, 0, nullptr, 20), SERRY_OK);
        EXPECT_EQ(serry_process_children(nullptr, 0), 0u);
        barrier();
    }
    barrier();
}

SERRY_RANKS_TEST(PoolIsolate, ProcessesAreReplacedAfterSoManyTasks, .ranks({ 3 }))
{
    serry_pool_options o = isolated();
    o.max_tasks_per_worker = 10;
    with_pool(o, [](serry_pool *p) {
        std::vector<int> out;
        EXPECT_EQ(map_ints(p, echo, numbers(100), &out), SERRY_OK) << serry_err_detail();
        EXPECT_EQ(out, numbers(100));
        for (const serry_worker_stats &s : stats_of(p))
            EXPECT_LE(s.tasks, 10u);
        EXPECT_GE(stats_of(p).size(), 10u);
    });
}

/* ---- and what any pool does ---- */

SERRY_RANKS_TEST(PoolIsolate, TasksMayGiveTasks, .ranks({ 2, 3, 4 }))
{
    with_pool(isolated(), [](serry_pool *p) { expect_fibonacci(p, 11, 89); });
}

SERRY_RANKS_TEST(PoolIsolate, ResultsOfAllSizes, .ranks({ 3, 4 }))
{
    with_pool(isolated(), expect_all_sizes);
}

} // namespace
