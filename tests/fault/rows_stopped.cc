// ctest: pool slow timeout=120
/* Workers of a pool that stand still (SIGSTOP): they are not dead, and are not taken for it; what
 * they have not begun others do, and a time limit for tasks holds for those who stand still, too.
 */
#include "base/point.h"
#include "fault/fault.h"
#include "patterns/pool_test.h"

using namespace serry_test;
using namespace pool_test;

namespace {

const int n_items = 40;
const int the_one = 3; /* in this task its worker stops */

int stop_in_the_middle(serry_task *t, const void *in, size_t len)
{
    int i;
    memcpy(&i, in, sizeof i);
    board().ran[i]++;
    if (i == the_one && serry_task_attempt(t) == 1) {
        board().pid[0] = getpid();
        raise(SIGSTOP);
    }
    return give(t, in, len);
}

int count_and_echo(serry_task *t, const void *in, size_t len)
{
    int i;
    memcpy(&i, in, sizeof i);
    board().ran[i]++;
    return give(t, in, len);
}

bool stands_still(pid_t pid)
{
    std::string stat = read_file("/proc/" + std::to_string(pid) + "/stat");
    size_t at = stat.rfind(") ");
    return at != std::string::npos && stat[at + 2] == 'T';
}

serry_pool *two_workers(double task_timeout, int retries)
{
    serry_pool *p = nullptr;
    serry_pool_options o = {};
    o.workers = 2;
    o.task_timeout = task_timeout;
    o.retries = retries;
    EXPECT_EQ(serry_pool_create(&p, &o), SERRY_OK) << serry_err_detail();
    return p;
}

struct Items {
    int in[n_items], out[n_items];
    Items()
    {
        for (int i = 0; i < n_items; i++)
            in[i] = i, out[i] = -1;
    }
    void expect_done() const
    {
        for (int i = 0; i < n_items; i++)
            EXPECT_EQ(out[i], i);
    }
};

} // namespace

SERRY_RANKS_TEST(StoppedWorker, IsNotTakenForDead, .ranks({ 1 }).timeout(60))
{
    Items x;
    serry_future *f = nullptr;
    serry_pool *p = two_workers(0, 0);
    ASSERT_EQ(serry_pool_map_async(&f, p, stop_in_the_middle, x.in, sizeof(int), n_items, x.out,
                                   sizeof(int), nullptr),
              SERRY_OK)
        << serry_err_detail();
    ASSERT_TRUE(
        wait_for([] { return board().pid[0] > 0 && stands_still(board().pid[0]); }, patience(20)));
    EXPECT_EQ(serry_future_get(f, nullptr, 0, nullptr, 0.5), SERRY_ETIMEDOUT);
    EXPECT_TRUE(stands_still(board().pid[0]));
    ASSERT_EQ(kill(board().pid[0], SIGCONT), 0);
    EXPECT_EQ(serry_future_get(f, nullptr, 0, nullptr, patience(20)), SERRY_OK)
        << serry_future_error(f);
    x.expect_done();
    for (int i = 0; i < n_items; i++)
        EXPECT_EQ(board().ran[i], 1) << i;
    serry_future_free(f);
    serry_pool_destroy(p);
}

SERRY_RANKS_TEST(StoppedWorker, IsKilledAtTheEndOfItsTasksTime, .ranks({ 1 }).timeout(60))
{
    Items x;
    serry_pool *p = two_workers(patience(0.5), 0);
    serry_err errors[n_items];
    serry_map_options o = {};
    o.keep_going = true;
    o.errors = errors;
    EXPECT_EQ(
        serry_pool_map(p, stop_in_the_middle, x.in, sizeof(int), n_items, x.out, sizeof(int), &o),
        SERRY_EDIED);
    EXPECT_TRUE(serry_test::has(serry_err_detail(), "longer than")) << serry_err_detail();
    for (int i = 0; i < n_items; i++)
        EXPECT_EQ(errors[i], i == the_one ? SERRY_EDIED : SERRY_OK) << i;
    serry_pool_destroy(p);
}

SERRY_RANKS_TEST(StoppedWorker, IsReplacedWhereATaskMayBeTriedAgain, .ranks({ 1 }).timeout(60))
{
    Items x;
    serry_pool *p = two_workers(patience(0.5), 1);
    EXPECT_EQ(serry_pool_map(p, stop_in_the_middle, x.in, sizeof(int), n_items, x.out, sizeof(int),
                             nullptr),
              SERRY_OK)
        << serry_err_detail();
    x.expect_done();
    EXPECT_EQ(board().ran[the_one], 2);
    serry_pool_destroy(p);
}

/* What it was given and has not begun is given to another: where words are shared. */
SERRY_RANKS_TEST(StoppedWorker, ThatIsIdleHoldsUpNoMap, .ranks({ 1 }).on(shm).timeout(60))
{
    Items x;
    serry_pool *p = two_workers(0, 0);
    serry_worker_stats s[2];
    size_t n = 0;
    auto both_are_up = [&] {
        return serry_pool_stats(p, s, 2, &n) == SERRY_OK && n == 2 && s[0].pid > 0 && s[1].pid > 0;
    };
    ASSERT_TRUE(wait_for(both_are_up, patience(20)));
    ASSERT_EQ(kill(s[0].pid, SIGSTOP), 0);
    ASSERT_TRUE(wait_for([&] { return stands_still(s[0].pid); }, patience(20)));
    const int n_rounds = 1200; /* more than anything is taken back from one that stands still */
    for (int round = 0; round < n_rounds && !::testing::Test::HasFailure(); round++) {
        serry_map_options o = {};
        o.timeout = patience(20);
        EXPECT_EQ(serry_pool_map(p, count_and_echo, x.in, sizeof(int), 8, x.out, sizeof(int), &o),
                  SERRY_OK)
            << "round " << round << ": " << serry_err_detail();
    }
    EXPECT_TRUE(stands_still(s[0].pid));
    EXPECT_EQ(kill(s[0].pid, SIGCONT), 0);
    EXPECT_EQ(
        serry_pool_map(p, count_and_echo, x.in, sizeof(int), n_items, x.out, sizeof(int), nullptr),
        SERRY_OK)
        << serry_err_detail();
    x.expect_done();
    for (int i = 0; i < n_items; i++) /* a byte */
        EXPECT_EQ(board().ran[i], ((i < 8 ? n_rounds : 0) + 1) % 256) << i;
    serry_pool_destroy(p);
}

/* ---- between two steps of a task that begins to wait for another ---- */

namespace {

struct Halt {
    int point;
    unsigned count;
};

int halt_and_wait(serry_task *t, const void *in, size_t)
{
    Halt h;
    memcpy(&h, in, sizeof h);
    board().pid[0] = getpid();
    sri_point_stop(h.point, h.count);
    int x = h.point, y = -1;
    serry_err e =
        serry_pool_apply(serry_task_pool(t), echo, &x, sizeof x, &y, sizeof y, nullptr, 30);
    sri_point_choose(0, 0);
    return e == SERRY_OK ? give(t, &y, sizeof y) : serry_task_fail(t, "%s", serry_err_name(e));
}

/* It runs from its first step on, and stands still now. */
serry_future *halted(serry_pool *p, const Halt &h)
{
    serry_future *f = nullptr;
    board().pid[0] = 0;
    EXPECT_EQ(serry_pool_submit(&f, p, halt_and_wait, &h, sizeof h), SERRY_OK);
    EXPECT_TRUE(wait_for([] { return board().pid[0] != 0 && stands_still(board().pid[0]); }));
    return f;
}

/* Each place that a task comes by when it begins to wait, and when it goes on. */
template <class Body>
void at_each_halt(Body body)
{
    for (int point : { 103, 104, 106, 107, 109, 110 })
        for (unsigned count : { 1u, 2u }) {
            SCOPED_TRACE("point " + std::to_string(point) + ":" + std::to_string(count));
            body(Halt{ point, count });
            if (testing::Test::HasFailure())
                return;
        }
}

} // namespace

SERRY_RANKS_TEST(StoppedWorker, RunsTheTaskThatBeginsToWait, .ranks({ 1 }).timeout(60))
{
    serry_pool *p = make_pool(options(1));
    at_each_halt([&](const Halt &h) {
        serry_future *f = halted(p, h);
        bool running = serry_future_running(f);
        EXPECT_TRUE(running);
        if (running) /* else it would be waited for */
            EXPECT_EQ(serry_future_cancel(f), SERRY_ESTATE) << serry_err_detail();
        EXPECT_EQ(kill(board().pid[0], SIGCONT), 0);
        expect_result(f, h.point);
    });
    serry_pool_destroy(p);
}

SERRY_RANKS_TEST(StoppedWorker, IsEndedWithTheTaskThatBeginsToWait, .ranks({ 1 }).timeout(60))
{
    serry_pool_options o = options(1);
    o.task_timeout = 100; /* its workers may be ended */
    serry_pool *p = make_pool(o);
    at_each_halt([&](const Halt &h) {
        serry_future *f = halted(p, h);
        ASSERT_TRUE(serry_future_running(f)); /* else its end would be waited for */
        EXPECT_EQ(serry_future_cancel(f), SERRY_OK) << serry_err_detail();
        EXPECT_EQ(get(f), SERRY_ECANCELLED);
        serry_future_free(f);
    });
    EXPECT_EQ(serry_pool_terminate(p), SERRY_OK);
    serry_pool_destroy(p);
}

/* It has been given the other task, and has not begun it: no task's time goes by. */
SERRY_RANKS_TEST(StoppedWorker, WhoseTaskWaitsIsNotOverdue, .ranks({ 1 }).on(shm).timeout(60))
{
    serry_pool_options o = options(1);
    o.task_timeout = patience(0.2);
    serry_pool *p = make_pool(o);
    const Halt in_the_others_first_step = { 100, 1 };
    serry_future *f = halted(p, in_the_others_first_step);
    pid_t worker = board().pid[0];
    EXPECT_EQ(get(f, nullptr, patience(1)), SERRY_ETIMEDOUT) << serry_future_error(f);
    EXPECT_TRUE(stands_still(worker));
    EXPECT_EQ(board().pid[0], worker) << "the task was begun anew by another";
    EXPECT_EQ(kill(board().pid[0], SIGCONT), 0);
    expect_result(f, in_the_others_first_step.point);
    serry_pool_destroy(p);
}
