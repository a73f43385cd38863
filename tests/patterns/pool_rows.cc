// ctest: pool slow timeout=240 alone
/* What the tests of multiprocessing.Pool and of concurrent.futures' ProcessPoolExecutor check and
 * the other files here do not: each test is named for its row, or rows. */
#include "patterns/pool_test.h"

#include <algorithm>
#include <set>
#include <sys/resource.h>
#include <sys/time.h>

using namespace serry_test;
using namespace pool_test;

namespace {

int my_pid(serry_task *t, const void *, size_t)
{
    int pid = (int)getpid();
    return give(t, &pid, sizeof pid);
}

/* ---- _TestPool ---- */

struct Pair {
    int a, b;
};

int product(serry_task *t, const void *in, size_t)
{
    const Pair *p = (const Pair *)in;
    int c = p->a * p->b;
    return give(t, &c, sizeof c);
}

SERRY_RANKS_TEST(PoolRows, Starmap, .ranks({ 1 }).directly())
{
    serry_pool *p = make_pool();
    std::vector<Pair> in;
    for (int i = 0; i < 100; i++)
        in.push_back({ i, i + 1 });
    std::vector<int> out(100);
    EXPECT_EQ(
        serry_pool_map(p, product, in.data(), sizeof(Pair), 100, out.data(), sizeof(int), nullptr),
        SERRY_OK);
    for (int i = 0; i < 100; i++)
        EXPECT_EQ(out[(size_t)i], i * (i + 1));
    end_pool(p);
}

SERRY_RANKS_TEST(PoolRows, MapChunksize_EmptyIterable, .ranks({ 1 }).directly())
{
    serry_pool *p = make_pool();
    serry_map_options o = {};
    o.chunk = 1;
    std::vector<int> out;
    EXPECT_EQ(map_ints(p, echo, {}, &out, o), SERRY_OK);
    for (size_t chunk : { 6, 40, 50, 100000 }) { /* ProcessPoolExecutorTest.test_map_chunksize */
        o.chunk = chunk;
        EXPECT_EQ(map_ints(p, echo, numbers(49), &out, o), SERRY_OK);
        EXPECT_EQ(out, numbers(49));
    }
    end_pool(p);
}

SERRY_RANKS_TEST(PoolRows, MakePool_MaxWorkersNegative_MaxtasksperchildInvalid,
                 .ranks({ 1 }).directly())
{
    serry_pool *p = nullptr;
    for (int bad : { -1, -1000 }) {
        serry_pool_options o = options(bad);
        EXPECT_EQ(serry_pool_create(&p, &o), SERRY_EINVAL);
        o = options(1);
        o.max_tasks_per_worker = bad;
        EXPECT_EQ(serry_pool_create(&p, &o), SERRY_EINVAL);
    }
    EXPECT_EQ(p, nullptr);
    p = make_pool(options(3));
    EXPECT_EQ(serry_process_children(nullptr, 0), 3u);
    expect_works(p);
    EXPECT_EQ(stats_of(p).size(), 3u);
    end_pool(p);
}

SERRY_RANKS_TEST(PoolRows, TerminateWithManyQueued, .ranks({ 1 }).directly())
{
    serry_pool *p = make_pool();
    std::vector<int> in = numbers(10000), out(10000);
    serry_future *f;
    ASSERT_EQ(serry_pool_map_async(&f, p, gated, in.data(), sizeof(int), in.size(), out.data(),
                                   sizeof(int), nullptr),
              SERRY_OK);
    double begun = serry_time();
    EXPECT_EQ(serry_pool_terminate(p), SERRY_OK);
    EXPECT_EQ(serry_pool_join(p, 20), SERRY_OK);
    EXPECT_LT(serry_time() - begun, patience(5));
    EXPECT_EQ(get(f), SERRY_ECANCELLED);
    serry_future_free(f);
    serry_pool_destroy(p);
}

SERRY_RANKS_TEST(PoolRows, Context_Enter_RunAfterShutdown, .ranks({ 1 }).directly())
{
    serry_pool *p = make_pool();
    EXPECT_EQ(serry_pool_close(p), SERRY_OK);
    EXPECT_EQ(serry_pool_close(p), SERRY_OK);
    int x = 1;
    serry_future *f = nullptr;
    std::vector<int> out;
    EXPECT_EQ(serry_pool_submit(&f, p, echo, &x, sizeof x), SERRY_ECLOSED);
    EXPECT_EQ(map_ints(p, echo, numbers(3), &out), SERRY_ECLOSED);
    EXPECT_EQ(map_ints(p, echo, {}, &out), SERRY_ECLOSED);
    EXPECT_EQ(serry_pool_map_async(&f, p, echo, &x, sizeof x, 1, &x, sizeof x, nullptr),
              SERRY_ECLOSED);
    EXPECT_EQ(f, nullptr);
    EXPECT_EQ(serry_pool_join(p, 20), SERRY_OK);
    EXPECT_EQ(serry_pool_join(p, 20), SERRY_OK);
    EXPECT_EQ(serry_pool_terminate(p), SERRY_OK);
    serry_pool_destroy(p);
}

SERRY_RANKS_TEST(PoolRows, JoinNeedsClose, .ranks({ 1 }).directly())
{
    serry_pool *p = make_pool();
    EXPECT_EQ(serry_pool_join(p, 0), SERRY_ESTATE);
    expect_works(p);
    end_pool(p);
}

int fails_at_length(serry_task *t, const void *in, size_t)
{
    std::string text((1u << 20) - 1, (char)('a' + *(const int *)in));
    return serry_task_fail(t, "%s", text.c_str());
}

SERRY_RANKS_TEST(PoolRows, MapNoFailfast, .ranks({ 1 }).directly())
{
    serry_pool *p = make_pool();
    std::vector<int> out;
    size_t bytes = 0;
    serry_map_options o = {};
    o.keep_going = true;
    o.chunk = 1;
    o.ctx = &bytes;
    o.on_error = [](void *ctx, size_t, serry_err, const char *text) {
        *(size_t *)ctx += strlen(text);
    };
    EXPECT_EQ(map_ints(p, fails_at_length, numbers(2), &out, o), SERRY_ETASK);
    EXPECT_EQ(bytes, 2 * ((1u << 20) - 1));
    serry_future *f = submit(p, fails_at_length, 3);
    EXPECT_EQ(get(f), SERRY_ETASK);
    EXPECT_EQ(strlen(serry_future_error(f)), (1u << 20) - 1);
    serry_future_free(f);
    end_pool(p);
}

/* ---- _TestPoolWorkerLifetime, ProcessPoolExecutorTest ---- */

SERRY_RANKS_TEST(PoolRows, PoolWorkerLifetime_MaxTasksPerChild, .ranks({ 1 }).directly())
{
    serry_pool_options o = options(3);
    o.max_tasks_per_worker = 10;
    serry_pool *p = make_pool(o);
    std::vector<int> pids;
    EXPECT_EQ(map_ints(p, my_pid, numbers(100), &pids), SERRY_OK) << serry_err_detail();
    std::set<int> different(pids.begin(), pids.end());
    EXPECT_GE(different.size(), 10u);
    for (int pid : different)
        EXPECT_LE(std::count(pids.begin(), pids.end(), pid), 10);
    uint64_t tasks = 0;
    for (const serry_worker_stats &s : stats_of(p))
        tasks += s.tasks;
    EXPECT_EQ(tasks, 100u); /* of those that have ended, too */
    end_pool(p);
    o = options(1);
    o.max_tasks_per_worker = 3; /* the same until then */
    p = make_pool(o);
    for (int k = 0; k < 2; k++) {
        int pid[3] = { 0 };
        for (int &one : pid)
            EXPECT_EQ(serry_pool_apply(p, my_pid, nullptr, 0, &one, sizeof one, nullptr, 20),
                      SERRY_OK);
        EXPECT_EQ(pid[0], pid[1]);
        EXPECT_EQ(pid[0], pid[2]);
    }
    end_pool(p);
}

SERRY_RANKS_TEST(PoolRows, PoolWorkerLifetimeEarlyClose_MaxTasksEarlyShutdown,
                 .ranks({ 1 }).directly())
{
    serry_pool_options o = options(3);
    o.max_tasks_per_worker = 1;
    serry_pool *p = make_pool(o);
    std::vector<serry_future *> f;
    for (int i = 0; i < 12; i++)
        f.push_back(submit(p, slow, i));
    end_pool(p);
    for (int i = 0; i < 12; i++)
        expect_result(f[(size_t)i], i, 0);
}

SERRY_RANKS_TEST(PoolRows, Saturation, .ranks({ 1 }).directly())
{
    serry_pool *p = make_pool(options(2));
    std::vector<serry_future *> f;
    for (int i = 0; i < 15 * 2; i++)
        f.push_back(submit(p, gated, i));
    EXPECT_TRUE(wait_for([] { return board().begun == 2; }));
    EXPECT_EQ(serry_process_children(nullptr, 0), 2u);
    board().open = 1;
    for (int i = 0; i < 15 * 2; i++)
        expect_result(f[(size_t)i], i);
    EXPECT_EQ(stats_of(p).size(), 2u);
    end_pool(p);
}

SERRY_RANKS_TEST(PoolRows, KilledChild, .ranks({ 1 }).directly())
{
    serry_pool *p = make_pool(options(1));
    serry_future *f = submit(p, stuck, 0), *next = submit(p, echo, 5);
    EXPECT_TRUE(wait_for([] { return board().pid[0] != 0; }));
    kill(board().pid[0], SIGTERM);
    EXPECT_EQ(get(f), SERRY_EDIED);
    EXPECT_TRUE(has(serry_future_error(f), "signal 15")) << serry_future_error(f);
    serry_future_free(f);
    expect_result(next, 5); /* the pool heals */
    expect_works(p);
    end_pool(p);
}

/* ---- ExecutorDeadlockTest ---- */

int crashes(serry_task *, const void *in, size_t len)
{
    if (*(const char *)in == 's' && len)
        raise(SIGSEGV);
    _exit(1);
}

SERRY_RANKS_TEST(PoolRows, CrashAndExitDuringFuncExecOnWorker, .ranks({ 1 }).directly())
{
    rlimit none = { 0, 0 };
    setrlimit(RLIMIT_CORE, &none);
    serry_pool *p = make_pool();
    for (const char *how : { "segv", "exit" }) {
        EXPECT_EQ(serry_pool_apply(p, crashes, how, 4, nullptr, 0, nullptr, 20), SERRY_EDIED);
        EXPECT_TRUE(has(serry_err_detail(), *how == 's' ? "signal" : "code 1"))
            << serry_err_detail();
    }
    expect_works(p);
    end_pool(p);
}

SERRY_RANKS_TEST(PoolRows, ShutdownDeadlock, .ranks({ 1 }).directly())
{
    serry_pool *p = make_pool();
    serry_future *f;
    EXPECT_EQ(serry_pool_submit(&f, p, crashes, "exit", 4), SERRY_OK);
    end_pool(p);
    EXPECT_EQ(get(f), SERRY_EDIED);
    serry_future_free(f);
}

/* It dies while more than a lane of input is on its way to it. */
SERRY_RANKS_TEST(PoolRows, CrashBigData, .ranks({ 1 }).directly())
{
    serry_pool *p = make_pool();
    std::vector<char> data(100000, 'e');
    std::vector<serry_future *> f(20);
    for (serry_future *&one : f)
        EXPECT_EQ(serry_pool_submit(&one, p, crashes, data.data(), data.size()), SERRY_OK);
    for (serry_future *one : f) {
        EXPECT_EQ(get(one), SERRY_EDIED);
        serry_future_free(one);
    }
    expect_works(p);
    end_pool(p);
}

/* So many tasks and results that nobody takes that each channel is full. */
SERRY_RANKS_TEST(PoolRows, ShouldNotDeadlockIfChannelsAreFull, .ranks({ 1 }).directly())
{
    serry_pool *p = make_pool();
    std::vector<char> data(30000, 'x');
    std::vector<serry_future *> f(500);
    for (serry_future *&one : f)
        EXPECT_EQ(serry_pool_submit(&one, p, echo, data.data(), data.size()), SERRY_OK);
    std::vector<char> out(data.size());
    for (serry_future *one : f) {
        EXPECT_EQ(serry_future_get(one, out.data(), out.size(), nullptr, 20), SERRY_OK);
        EXPECT_EQ(out, data);
        serry_future_free(one);
    }
    end_pool(p);
}

/* ---- ExecutorShutdownTest ---- */

SERRY_RANKS_TEST(PoolRows, HangIssue12364, .ranks({ 1 }).directly())
{
    serry_pool *p = make_pool();
    std::vector<serry_future *> f;
    for (int i = 0; i < 50; i++)
        f.push_back(submit(p, slow, i));
    end_pool(p);
    for (int i = 0; i < 50; i++)
        expect_result(f[(size_t)i], i, 0);
}

SERRY_RANKS_TEST(PoolRows, CancelFutures, .ranks({ 1 }).directly())
{
    serry_pool *p = make_pool();
    std::vector<serry_future *> f;
    for (int i = 0; i < 50; i++)
        f.push_back(submit(p, slow, i));
    EXPECT_EQ(get(f[0]), SERRY_OK);
    EXPECT_EQ(serry_pool_close(p), SERRY_OK);
    int cancelled = 0;
    for (serry_future *one : f)
        cancelled += serry_future_cancel(one) == SERRY_OK;
    EXPECT_GT(cancelled, 20);
    EXPECT_EQ(serry_pool_join(p, 20), SERRY_OK);
    for (serry_future *one : f) {
        EXPECT_TRUE(serry_future_done(one));
        cancelled -= serry_future_cancelled(one);
        serry_future_free(one);
    }
    EXPECT_EQ(cancelled, 0);
    EXPECT_EQ(board().begun, board().ended);
    serry_pool_destroy(p);
}

/* ---- TestPoolNotLeakOnFailure, MiscTestCase ---- */

rlimit no_more;

/* Somewhere in the middle of making a large pool: no more can be started. */
SERRY_RANKS_TEST(PoolRows, ReleaseUnusedProcesses, .ranks({ 1 }).directly())
{
    rlimit old;
    ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &old), 0);
    int probe = dup(2);
    no_more = old;
    no_more.rlim_cur = (rlim_t)probe; /* all below are in use */
    close(probe);
    signal(SIGALRM, [](int) { setrlimit(RLIMIT_NOFILE, &no_more); });
    itimerval soon = { {}, { 0, 20000 } }, never = {};
    ASSERT_EQ(setitimer(ITIMER_REAL, &soon, nullptr), 0);
    serry_pool *p = nullptr;
    serry_pool_options o = options(1000);
    serry_err e = serry_pool_create(&p, &o);
    ASSERT_EQ(setitimer(ITIMER_REAL, &never, nullptr), 0);
    ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &old), 0);
    signal(SIGALRM, SIG_DFL);
    EXPECT_TRUE(e == SERRY_ELIMIT || e == SERRY_ESYS) << serry_err_name(e);
    EXPECT_NE(serry_err_detail()[0], '\0');
    EXPECT_EQ(p, nullptr);
    EXPECT_EQ(serry_process_children(nullptr, 0), 0u);
    p = make_pool();
    expect_works(p);
    end_pool(p);
}

SERRY_RANKS_TEST(PoolRows, LargePool, .ranks({ 1 }).directly().timeout(90))
{
    serry_pool *p = make_pool(options(120));
    std::vector<int> out;
    EXPECT_EQ(map_ints(p, echo, numbers(1000), &out), SERRY_OK) << serry_err_detail();
    EXPECT_EQ(out, numbers(1000));
    EXPECT_EQ(stats_of(p).size(), 120u);
    EXPECT_EQ(serry_pool_terminate(p), SERRY_OK);
    EXPECT_EQ(serry_pool_join(p, 60), SERRY_OK);
    EXPECT_EQ(serry_process_children(nullptr, 0), 0u);
    serry_pool_destroy(p);
}

/* ---- statistics ---- */

int takes_so_long(serry_task *t, const void *in, size_t len)
{
    take(*(const int *)in * 0.001);
    return give(t, in, len);
}

void expect_stats(serry_pool *p)
{
    std::vector<int> in(40, 5), out;
    EXPECT_EQ(map_ints(p, takes_so_long, in, &out), SERRY_OK);
    uint64_t tasks = 0;
    double busy = 0;
    std::vector<serry_worker_stats> all = stats_of(p);
    for (const serry_worker_stats &s : all) {
        tasks += s.tasks;
        busy += s.busy;
        EXPECT_GT(s.pid, 0);
        EXPECT_TRUE(s.alive);
        EXPECT_GE(s.idle, 0);
        EXPECT_TRUE(s.rank != 0 || (serry_size() > 1 && s.tasks == 0)); /* the owner waited */
    }
    EXPECT_EQ(tasks, 40u);
    EXPECT_GE(busy, 0.2);
    EXPECT_LT(busy, patience(4));
    EXPECT_GE(serry_stats_imbalance(all.data(), all.size()), 0);
    size_t n = 0;
    serry_worker_stats one = {};
    EXPECT_EQ(serry_pool_stats(p, &one, 1, &n), SERRY_OK);
    EXPECT_EQ(n, all.size());
    EXPECT_EQ(one.rank, all[0].rank);
    EXPECT_EQ(serry_pool_stats(p, nullptr, 1, &n), SERRY_EINVAL);
    EXPECT_EQ(serry_pool_stats(nullptr, &one, 1, &n), SERRY_EINVAL);
}

SERRY_RANKS_TEST(PoolRows, StatsTellWhatWorkersDid, .ranks({ 1, 3 }))
{
    with_pool(options(2), expect_stats);
}

SERRY_RANKS_TEST(PoolRows, StatsTellOfIdlenessAndImbalance, .ranks({ 1 }).directly())
{
    serry_pool *p = make_pool(options(2));
    expect_works(p);
    int ms = 100;
    EXPECT_EQ(serry_pool_apply(p, takes_so_long, &ms, sizeof ms, nullptr, 0, nullptr, 20),
              SERRY_OK);
    std::vector<serry_worker_stats> s = stats_of(p);
    ASSERT_EQ(s.size(), 2u);
    EXPECT_GE(std::max(s[0].busy, s[1].busy), 0.1);
    EXPECT_GE(std::max(s[0].idle, s[1].idle), 0.05);
    serry_worker_stats even[2] = {}, odd[2] = {};
    even[0].busy = even[1].busy = 3;
    odd[1].busy = 8;
    EXPECT_EQ(serry_stats_imbalance(even, 2), 0);
    EXPECT_EQ(serry_stats_imbalance(odd, 2), 1);
    EXPECT_EQ(serry_stats_imbalance(odd, 1), 0);
    EXPECT_EQ(serry_stats_imbalance(nullptr, 0), 0);
    end_pool(p);
}

/* ---- workers are busy while the owner computes ---- */

int one_ms(serry_task *t, const void *in, size_t len)
{
    timespec begun, now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &begun);
    do
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    while ((now.tv_sec - begun.tv_sec) * 1e3 + (double)(now.tv_nsec - begun.tv_nsec) * 1e-6 < 1);
    board().ended++;
    return give(t, in, len);
}

/* 1,000 tasks of 1 ms; the owner makes no call of serry until they have all been done. */
SERRY_RANKS_TEST(PoolRows, WorkersAreBusyWhileTheOwnerComputes, .ranks({ 1 }).directly())
{
    serry_pool *p = make_pool(options(2));
    expect_works(p);
    std::vector<serry_worker_stats> before = stats_of(p);
    std::vector<serry_future *> f;
    for (int i = 0; i < 1000; i++)
        f.push_back(submit(p, one_ms, i));
    EXPECT_TRUE(wait_for([] { return board().ended == 1000; }, 20));
    std::vector<serry_worker_stats> after = stats_of(p);
    for (size_t i = 0; i < 2; i++) {
        EXPECT_GE(after[i].tasks - before[i].tasks, 200u);
        /* Idle since the last look, which was before the first task and after the last one. */
        EXPECT_LT(after[i].idle - before[i].idle, patience(0.1) + 0.5 * after[i].busy);
    }
    for (int i = 0; i < 1000; i++)
        expect_result(f[(size_t)i], i);
    end_pool(p);
}

} // namespace
