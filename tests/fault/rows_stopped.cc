// ctest: pool slow timeout=120
/* Workers of a pool that stand still (SIGSTOP): they are not dead, and are not taken for it; what
 * they have not begun others do, and a time limit for tasks holds for those who stand still, too.
 */
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
