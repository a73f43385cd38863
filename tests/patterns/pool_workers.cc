// ctest: pool timeout=120 alone
/* A pool's workers in a world of one: their beginning and their end; and who may use the pool at
 * all. */
#include "patterns/pool_test.h"

#include <sys/wait.h>

using namespace serry_test;
using namespace pool_test;

namespace {

/* ---- ending ---- */

SERRY_RANKS_TEST(PoolWorkers, FinishWhatTheyHaveWhenThePoolIsClosed, .ranks({ 1 }).directly())
{
    serry_pool *p = make_pool();
    std::vector<serry_future *> f;
    for (int i = 0; i < 20; i++)
        f.push_back(submit(p, gated, i));
    EXPECT_EQ(serry_pool_join(p, 1), SERRY_ESTATE);
    EXPECT_EQ(serry_pool_close(p), SERRY_OK);
    EXPECT_EQ(serry_pool_close(p), SERRY_OK);

    std::vector<int> out;
    serry_future *late = nullptr;
    int x = 0;
    EXPECT_EQ(map_ints(p, echo, numbers(3), &out), SERRY_ECLOSED);
    EXPECT_EQ(serry_pool_apply(p, echo, &x, sizeof x, &x, sizeof x, nullptr, 1), SERRY_ECLOSED);
    EXPECT_EQ(serry_pool_submit(&late, p, echo, &x, sizeof x), SERRY_ECLOSED);
    EXPECT_EQ(late, nullptr);

    EXPECT_EQ(serry_pool_join(p, 0.05), SERRY_ETIMEDOUT);
    EXPECT_EQ(serry_pool_join(p, SERRY_NOWAIT), SERRY_ETIMEDOUT);
    board().open = 1;
    EXPECT_EQ(serry_pool_join(p, 20), SERRY_OK) << serry_err_detail();
    EXPECT_EQ(serry_pool_join(p, SERRY_NOWAIT), SERRY_OK);
    EXPECT_EQ(serry_process_children(nullptr, 0), 0u);
    for (int i = 0; i < 20; i++)
        expect_result(f[(size_t)i], i, SERRY_NOWAIT);
    serry_pool_destroy(p);
}

void expect_cancelled(std::vector<serry_future *> f)
{
    for (serry_future *one : f) {
        EXPECT_TRUE(serry_future_done(one));
        EXPECT_EQ(serry_future_get(one, nullptr, 0, nullptr, SERRY_NOWAIT), SERRY_ECANCELLED);
        EXPECT_STRNE(serry_future_error(one), "");
        serry_future_free(one);
    }
}

std::vector<serry_future *> get_stuck(serry_pool *p)
{
    std::vector<serry_future *> f;
    for (int i = 0; i < 1000; i++)
        f.push_back(submit(p, stuck, i));
    EXPECT_TRUE(wait_for([] { return board().pid[1] != 0; }));
    return f;
}

SERRY_RANKS_TEST(PoolWorkers, AreKilledWhenThePoolIsTerminated, .ranks({ 1 }).directly())
{
    serry_pool *p = make_pool();
    expect_works(p);
    std::vector<serry_future *> f = get_stuck(p);
    EXPECT_EQ(serry_pool_terminate(p), SERRY_OK);
    EXPECT_EQ(serry_pool_terminate(p), SERRY_OK);
    EXPECT_EQ(serry_pool_close(p), SERRY_OK);
    expect_cancelled(f);
    EXPECT_EQ(serry_pool_join(p, 20), SERRY_OK) << serry_err_detail();
    EXPECT_FALSE(is_alive(board().pid[0]));
    EXPECT_FALSE(is_alive(board().pid[1]));
    serry_future *late = nullptr;
    EXPECT_EQ(serry_pool_submit(&late, p, echo, nullptr, 0), SERRY_ECLOSED);
    serry_pool_destroy(p);
}

SERRY_RANKS_TEST(PoolWorkers, AreKilledWhenThePoolIsDestroyed, .ranks({ 1 }).directly())
{
    serry_pool *p = make_pool();
    std::vector<serry_future *> f = get_stuck(p);
    serry_pool_destroy(p);
    EXPECT_FALSE(is_alive(board().pid[0]));
    EXPECT_FALSE(is_alive(board().pid[1]));
    EXPECT_EQ(serry_process_children(nullptr, 0), 0u);
    expect_cancelled(f);
    end_pool(make_pool());
}

/* The program's end waits for what was submitted; the harness finds what stays. */
SERRY_RANKS_TEST(PoolWorkers, FinishWhatTheyHaveWhenTheProgramEnds, // test_interpreter_shutdown
                 .ranks({ 1 }).directly().without_init())
{
    static serry_pool *p;
    EXPECT_EQ(serry_pool_create(&p, nullptr), SERRY_ESTATE);
    EXPECT_EQ(p, nullptr);
    ASSERT_EQ(serry_init(nullptr, nullptr), SERRY_OK);
    p = make_pool();
    std::vector<serry_future *> f;
    for (int i = 0; i < 20; i++)
        f.push_back(submit(p, slow, i));
    ASSERT_EQ(serry_finalize(), SERRY_OK) << serry_err_detail();
    EXPECT_EQ(board().ended, 20);
    int late = 0; // test_submit_after_interpreter_shutdown
    serry_future *none = nullptr;
    EXPECT_EQ(serry_pool_submit(&none, p, echo, &late, sizeof late), SERRY_ESTATE);
    for (serry_future *one : f) {
        EXPECT_EQ(serry_future_get(one, nullptr, 0, nullptr, 1), SERRY_ESTATE);
        serry_future_free(one);
    }
    EXPECT_EQ(serry_pool_close(p), SERRY_ESTATE);
    serry_pool_destroy(p);
}

SERRY_RANKS_TEST(PoolWorkers, AreGoneAfterFinalize, .ranks({ 1 }).directly().without_init())
{
    ASSERT_EQ(serry_init(nullptr, nullptr), SERRY_OK);
    static serry_pool *p = make_pool();
    serry_future *f = submit(p, stuck, 0);
    EXPECT_TRUE(wait_for([] { return board().pid[0] != 0; }));
    ASSERT_EQ(serry_pool_terminate(p), SERRY_OK);
    static serry_pool *idle = make_pool(); /* and one that has nothing to do */
    EXPECT_NE(idle, nullptr);
    ASSERT_EQ(serry_finalize(), SERRY_OK) << serry_err_detail();
    EXPECT_FALSE(is_alive(board().pid[0]));
    serry_future_free(f);
}

SERRY_RANKS_BODY(owner_dies_with_a_pool)
{
    get_stuck(make_pool());
    raise(SIGKILL);
}

TEST(PoolWorkers, DieWithTheirOwner)
{
    for (Lanes lanes : { shm, serry_test::socket }) {
        RankOptions o;
        o.launch = direct;
        RanksResult r = try_ranks(1, lanes, "owner_dies_with_a_pool", o);
        EXPECT_EQ(r.program.signal, SIGKILL) << r.program;
        EXPECT_TRUE(r.program.left_behind.empty()) << r.program;
        EXPECT_TRUE(r.of(Record::failure).empty());
    }
}

/* ---- beginning ---- */

int inits_here;

int initialize(const void *arg, size_t len)
{
    board().inits++;
    inits_here++;
    return len == 4 && memcmp(arg, "abc", 4) == 0 ? 0 : 1;
}

int count_inits(serry_task *t, const void *, size_t)
{
    return give(t, &inits_here, sizeof inits_here);
}

SERRY_RANKS_TEST(PoolWorkers, AreInitializedOnceEach, .ranks({ 1 }).directly())
{
    serry_pool_options o = options(3);
    char arg[] = "abc";
    o.initializer = initialize;
    o.init_arg = arg;
    o.init_len = sizeof arg;
    serry_pool *p = make_pool(o);
    memset(arg, 'x', sizeof arg);
    std::vector<int> out;
    ASSERT_EQ(map_ints(p, count_inits, numbers(1000), &out), SERRY_OK) << serry_err_detail();
    EXPECT_EQ(out, std::vector<int>(1000, 1));
    end_pool(p);
    EXPECT_EQ(board().inits, 3);
    EXPECT_EQ(inits_here, 0);
}

int fail_to_initialize(const void *, size_t)
{
    return 5;
}

int die_initializing(const void *, size_t)
{
    _exit(6);
}

void expect_broken(serry_process_fn initializer, const char *part)
{
    serry_pool_options o = options();
    o.initializer = initializer;
    serry_pool *p = make_pool(o);
    std::vector<int> out;
    std::vector<serry_err> errors(5);
    serry_map_options mo = {};
    mo.errors = errors.data();
    EXPECT_EQ(map_ints(p, echo, numbers(5), &out, mo), SERRY_EBROKEN);
    EXPECT_TRUE(has(serry_err_detail(), part)) << serry_err_detail();
    EXPECT_EQ(errors, std::vector<serry_err>(5, SERRY_ECANCELLED));
    EXPECT_EQ(out, std::vector<int>(5, -1));
    EXPECT_EQ(map_ints(p, echo, numbers(5), &out), SERRY_EBROKEN);
    serry_future *f = nullptr;
    EXPECT_EQ(serry_pool_submit(&f, p, echo, nullptr, 0), SERRY_EBROKEN);
    EXPECT_EQ(serry_pool_close(p), SERRY_OK);
    EXPECT_EQ(serry_pool_join(p, 20), SERRY_OK) << serry_err_detail();
    EXPECT_EQ(serry_process_children(nullptr, 0), 0u);
    serry_pool_destroy(p);
}

SERRY_RANKS_TEST(PoolWorkers, BreakThePoolIfTheirInitializerFails, .ranks({ 1 }).directly())
{
    expect_broken(fail_to_initialize, "5");
}

SERRY_RANKS_TEST(PoolWorkers, BreakThePoolIfNoneOfThemLives, .ranks({ 1 }).directly())
{
    expect_broken(die_initializing, "code 6");
}

int pid_task(serry_task *t, const void *, size_t)
{
    int pid = getpid();
    return give(t, &pid, sizeof pid);
}

SERRY_RANKS_TEST(PoolWorkers, AreReplacedAfterSoManyTasks, .ranks({ 1 }).directly())
{
    for (int most : { 1, 10 }) {
        serry_pool_options o = options();
        o.max_tasks_per_worker = most;
        serry_pool *p = make_pool(o);
        std::vector<int> out;
        ASSERT_EQ(map_ints(p, pid_task, numbers((size_t)most * 10), &out), SERRY_OK)
            << serry_err_detail();
        std::map<int, int> tasks;
        for (int pid : out)
            tasks[pid]++;
        for (auto [pid, n] : tasks)
            EXPECT_LE(n, most);
        end_pool(p);
    }
}

SERRY_RANKS_TEST(PoolWorkers, AreReplacedInAClosedPool, .ranks({ 1 }).directly())
{
    serry_pool_options o = options(3);
    o.max_tasks_per_worker = 1;
    serry_pool *p = make_pool(o);
    std::vector<serry_future *> f;
    for (int i = 0; i < 9; i++)
        f.push_back(submit(p, echo, i));
    EXPECT_EQ(serry_pool_close(p), SERRY_OK);
    EXPECT_EQ(serry_pool_join(p, 20), SERRY_OK) << serry_err_detail();
    for (int i = 0; i < 9; i++)
        expect_result(f[(size_t)i], i, SERRY_NOWAIT);
    serry_pool_destroy(p);
}

/* ---- whose pool it is ---- */

serry_pool *shared_pool; /* in a started process: the parent's */

int use_the_parents(const void *, size_t)
{
    serry_future *f = nullptr;
    std::vector<int> out;
    EXPECT_EQ(map_ints(shared_pool, echo, numbers(3), &out), SERRY_ESTATE);
    EXPECT_TRUE(has(serry_err_detail(), "belongs to rank 0")) << serry_err_detail();
    EXPECT_EQ(serry_pool_submit(&f, shared_pool, echo, nullptr, 0), SERRY_ESTATE);
    EXPECT_EQ(serry_pool_close(shared_pool), SERRY_ESTATE);
    EXPECT_EQ(serry_pool_join(shared_pool, 1), SERRY_ESTATE);
    EXPECT_EQ(serry_pool_terminate(shared_pool), SERRY_ESTATE);
    EXPECT_EQ(serry_pool_serve(SERRY_ANY, 0), SERRY_ESTATE);
    serry_pool_destroy(shared_pool);
    return 0;
}

int have_a_pool(const void *, size_t)
{
    serry_pool *p = make_pool();
    expect_works(p);
    end_pool(p);
    return 0;
}

int have_no_pool(const void *, size_t)
{
    serry_pool *p = nullptr;
    EXPECT_EQ(serry_pool_create(&p, nullptr), SERRY_EPERM);
    EXPECT_STRNE(serry_err_detail(), "");
    EXPECT_EQ(p, nullptr);
    return 0;
}

void run_started(serry_process_fn fn, bool daemon = false)
{
    serry_process p = {};
    serry_process_options o = {};
    o.daemon = daemon;
    int code = -1000;
    ASSERT_EQ(serry_process_start(&p, fn, nullptr, 0, &o), SERRY_OK) << serry_err_detail();
    EXPECT_EQ(serry_process_join(p, &code, 20), SERRY_OK) << serry_err_detail();
    EXPECT_EQ(code, 0);
}

/* In a world of its own: the started process is a fork, and has the parent's variables. */
SERRY_RANKS_TEST(PoolWorkers, ServeNoOtherProcessThanTheirOwner,
                 .ranks({ 1 }).directly().in_own_world())
{
    shared_pool = make_pool();
    run_started(use_the_parents);
    pid_t child = fork();
    if (child == 0) {
        int x = 0;
        _exit(serry_pool_apply(shared_pool, echo, &x, sizeof x, &x, sizeof x, nullptr, 1)
                      == SERRY_ESTATE
                  ? 0
                  : 1);
    }
    int status = -1;
    EXPECT_EQ(waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
    expect_works(shared_pool);
    end_pool(shared_pool);
}

SERRY_RANKS_TEST(PoolWorkers, WorkForStartedProcesses, .ranks({ 1, 2 }))
{
    for (int i = 0; i < 2; i++)
        run_started(have_a_pool);
}

SERRY_RANKS_TEST(PoolWorkers, AreNotToBeHadByDaemons, .ranks({ 1 }).directly())
{
    run_started(have_no_pool, true);
    run_started(have_a_pool);
}

int task_with_a_pool(serry_task *, const void *, size_t)
{
    return have_no_pool(nullptr, 0);
}

SERRY_RANKS_TEST(PoolWorkers, MakeNoPoolsThemselves, .ranks({ 1 }).directly())
{
    serry_pool *p = make_pool();
    EXPECT_EQ(serry_pool_apply(p, task_with_a_pool, nullptr, 0, nullptr, 0, nullptr, 20), SERRY_OK);
    end_pool(p);
}

} // namespace
