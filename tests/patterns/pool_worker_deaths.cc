// ctest: pool timeout=120 alone
/* A pool's workers in a world of one, and their deaths: what is lost with them, and told. */
#include "patterns/pool_test.h"

#include <thread>

using namespace serry_test;
using namespace pool_test;

namespace {

/* ---- deaths in a task ---- */

int die_at_17_and_30(serry_task *t, const void *in, size_t len)
{
    int i = *(const int *)in;
    if (i == 17)
        kill(getpid(), SIGKILL);
    if (i == 30)
        _exit(3);
    return give(t, in, len);
}

struct Deaths {
    std::map<size_t, std::string> texts;
};

void hear_of_death(void *ctx, size_t index, serry_err e, const char *text)
{
    EXPECT_EQ(e, SERRY_EDIED);
    EXPECT_TRUE(((Deaths *)ctx)->texts.emplace(index, text).second) << index << " comes twice";
}

SERRY_RANKS_TEST(PoolWorkers, ThatDieAreReportedWithTheirTask, .ranks({ 1 }).directly())
{
    serry_pool *p = make_pool();
    std::vector<int> out;
    Deaths deaths;
    std::vector<serry_err> errors(100);
    serry_map_options o = all_noted(errors);
    o.on_error = hear_of_death;
    o.ctx = &deaths;
    EXPECT_EQ(map_ints(p, die_at_17_and_30, numbers(100), &out, o), SERRY_EDIED);
    EXPECT_TRUE(has(serry_err_detail(), "task 17")) << serry_err_detail();
    for (size_t i = 0; i < 100; i++) {
        bool died = i == 17 || i == 30;
        EXPECT_EQ(errors[i], died ? SERRY_EDIED : SERRY_OK) << i;
        EXPECT_EQ(out[i], died ? -1 : (int)i);
    }
    EXPECT_EQ(deaths.texts.size(), 2u);
    EXPECT_TRUE(has(deaths.texts[17], "signal 9")) << deaths.texts[17];
    EXPECT_TRUE(has(deaths.texts[30], "code 3")) << deaths.texts[30];

    EXPECT_EQ(map_ints(p, die_at_17_and_30, numbers(50, 18), &out), SERRY_EDIED);
    EXPECT_TRUE(has(serry_err_detail(), "task 12")) << serry_err_detail();
    serry_future *f = submit(p, die_at_17_and_30, 17);
    EXPECT_EQ(serry_future_get(f, nullptr, 0, nullptr, 20), SERRY_EDIED);
    EXPECT_TRUE(has(serry_future_error(f), "signal 9")) << serry_future_error(f);
    serry_future_free(f);
    expect_works(p);
    end_pool(p);
}

void note_attempt(const serry_task *t)
{
    int k = board().attempts++;
    EXPECT_EQ(serry_task_attempt(t), k + 1);
    if (k < 16)
        board().at[k] = serry_time();
}

int poison(serry_task *t, const void *in, size_t len)
{
    if (*(const int *)in == 500) {
        note_attempt(t);
        signal(SIGSEGV, SIG_DFL);
        *(volatile int *)in = *(volatile int *)8;
    }
    return give(t, in, len);
}

/* A segfault, each time: its retries are spent, nobody else's. */
SERRY_RANKS_TEST(PoolWorkers, RetryAPoisonedTaskOnlySoOften, .ranks({ 1 }).directly())
{
    serry_pool_options po = options(2, 2);
    po.name = "poisoned";
    serry_pool *p = make_pool(po);
    std::vector<int> out;
    std::vector<serry_err> errors(1000);
    EXPECT_EQ(map_ints(p, poison, numbers(1000), &out, all_noted(errors)), SERRY_EDIED);
    for (const char *part : { "task 500", "poisoned", "signal 11", "attempt 3 of 3" })
        EXPECT_TRUE(has(serry_err_detail(), part)) << serry_err_detail();
    EXPECT_EQ(board().attempts, 3);
    for (size_t i = 0; i < 1000; i++) {
        EXPECT_EQ(errors[i], i == 500 ? SERRY_EDIED : SERRY_OK) << i;
        EXPECT_EQ(out[i], i == 500 ? -1 : (int)i);
    }
    end_pool(p);
}

int die_thrice(serry_task *t, const void *in, size_t len)
{
    if (*(const int *)in == 7) {
        note_attempt(t);
        if (serry_task_attempt(t) <= 3)
            kill(getpid(), SIGKILL);
    }
    return give(t, in, len);
}

SERRY_RANKS_TEST(PoolWorkers, RetryLaterEachTime, .ranks({ 1 }).directly())
{
    serry_pool_options po = options(2, 3);
    po.retry_delay = 0.05;
    serry_pool *p = make_pool(po);
    std::vector<int> out;
    EXPECT_EQ(map_ints(p, die_thrice, numbers(20), &out), SERRY_OK) << serry_err_detail();
    EXPECT_EQ(out, numbers(20));
    ASSERT_EQ(board().attempts, 4);
    for (int k = 0; k < 3; k++)
        EXPECT_GE(board().at[k + 1] - board().at[k], 0.05 * (1 << k));
    end_pool(p);
}

SERRY_RANKS_TEST(PoolWorkers, AreKilledForATaskThatTakesTooLong, .ranks({ 1 }).directly())
{
    serry_pool_options po = options();
    po.task_timeout = patience(0.3);
    serry_pool *p = make_pool(po);
    expect_only_3_ended(p);
    EXPECT_FALSE(is_alive(board().pid[0]));
    end_pool(p);
}

/* ---- deaths at any time ---- */

int count_and_echo(serry_task *t, const void *in, size_t len)
{
    volatile int x = 0;
    for (int i = 0; i < *(const int *)in % 7 * 10000; i++)
        x = x + 1;
    board().ended++;
    return give(t, in, len);
}

/* Kills any worker, whatever it does, but only while tasks end in between: a pool whose workers
 * die and die would rightly be broken. */
class Killer {
public:
    explicit Killer(unsigned seed) : seed_(seed), thread_([this] { run(); }) {}
    ~Killer() { stop(); }
    int kills() const { return kills_; }
    void stop()
    {
        stop_ = true;
        if (thread_.joinable())
            thread_.join();
    }

private:
    void run()
    {
        while (!stop_) {
            int next = board().ended + 100 + rand_r(&seed_) % 300;
            if (!wait_for([&] { return stop_ || board().ended >= next; }, 20))
                return;
            serry_process c[8];
            size_t n = serry_process_children(c, 8);
            if (!stop_ && n > 0 && n <= 8
                && serry_process_kill(c[(size_t)rand_r(&seed_) % n]) == SERRY_OK)
                kills_++;
        }
    }

    unsigned seed_;
    std::atomic<bool> stop_{ false };
    std::atomic<int> kills_{ 0 };
    std::thread thread_;
};

SERRY_RANKS_TEST(PoolWorkers, ThatAreKilledAtAnyTimeCostNoResultWithRetries,
                 .ranks({ 1 }).directly())
{
    serry_pool *p = make_pool(options(3, 1000));
    Killer killer(1);
    const std::vector<int> in = numbers(5000);
    std::vector<int> out;
    for (int round = 0; round < 4 || killer.kills() < 25; round++) {
        if (testing::Test::HasFailure())
            break;
        serry_map_options o = {};
        o.chunk = (size_t[]){ 0, 1, 10, 100 }[round % 4];
        ASSERT_LT(round, 200) << killer.kills() << " kills";
        EXPECT_EQ(map_ints(p, count_and_echo, in, &out, o), SERRY_OK) << serry_err_detail();
        EXPECT_TRUE(out == in) << "round " << round;
        std::vector<serry_future *> f;
        for (int i = 0; i < 50; i++)
            f.push_back(submit(p, count_and_echo, i));
        for (int i = 0; i < 50; i++)
            expect_result(f[(size_t)i], i);
    }
    killer.stop();
    end_pool(p);
}

SERRY_RANKS_TEST(PoolWorkers, ThatAreKilledAtAnyTimeCostOnlyTheirTask, .ranks({ 1 }).directly())
{
    serry_pool *p = make_pool(options(3));
    Killer killer(2);
    const std::vector<int> in = numbers(5000);
    std::vector<int> out;
    size_t lost = 0;
    for (int round = 0; killer.kills() < 25 && !testing::Test::HasFailure(); round++) {
        Deaths deaths;
        std::vector<serry_err> errors(in.size());
        serry_map_options o = all_noted(errors);
        o.on_error = hear_of_death;
        o.ctx = &deaths;
        ASSERT_LT(round, 200) << killer.kills() << " kills";
        serry_err e = map_ints(p, count_and_echo, in, &out, o);
        EXPECT_EQ(e, deaths.texts.empty() ? SERRY_OK : SERRY_EDIED) << serry_err_detail();
        for (size_t i = 0; i < in.size(); i++) {
            bool died = deaths.texts.count(i);
            ASSERT_EQ(errors[i], died ? SERRY_EDIED : SERRY_OK) << i;
            ASSERT_EQ(out[i], died ? -1 : in[i]);
        }
        for (const auto &[index, text] : deaths.texts)
            EXPECT_TRUE(has(text, "task " + std::to_string(index) + ":") && has(text, "signal 9"))
                << text;
        lost += deaths.texts.size();
    }
    killer.stop();
    EXPECT_LE(lost, (size_t)killer.kills());
    end_pool(p);
}

/* On shared memory not even what is handed to a worker before its death is known: its grant word
 * tells that it has not begun. */
SERRY_RANKS_TEST(PoolWorkers, ThatAreKilledBetweenTasksCostNothing, .ranks({ 1 }).directly())
{
    const char *lanes = getenv("SERRY_LANES");
    bool shared = !lanes || strcmp(lanes, "shm") == 0;
    serry_pool *p = make_pool();
    for (int round = 0; round < 10; round++) {
        expect_works(p, 50);
        serry_process c[2];
        size_t n = serry_process_children(c, 2);
        ASSERT_LE(n, 2u);
        for (size_t i = 0; i < n; i++) {
            serry_err e = serry_process_kill(c[i]);
            EXPECT_TRUE(e == SERRY_OK || e == SERRY_ESTATE) << serry_err_detail();
            if (!shared)
                EXPECT_TRUE(wait_for([&] { return !serry_process_is_alive(c[i]); }));
        }
    }
    expect_works(p);
    end_pool(p);
}

} // namespace
