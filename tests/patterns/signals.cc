// ctest: slow processors=1 timeout=180 alone
/* Signals of the program: its handlers run, a thousand times a second, and no call of serry ends,
 * fails or comes late because of that. And handlers in started processes, reached by
 * serry_process_signal, alarm and pause. */
#include "patterns/subprocess_test.h"

#include <atomic>
#include <time.h>

using namespace serry_test;

namespace {

std::atomic<int> storm_seen;

/* SIGUSR1 at 1 kHz, to this process, handled without SA_RESTART. */
class Storm {
public:
    Storm()
    {
        struct sigaction a = {};
        a.sa_handler = [](int) { storm_seen++; };
        sigaction(SIGUSR1, &a, &before_);
        struct sigevent by = {};
        by.sigev_notify = SIGEV_SIGNAL;
        by.sigev_signo = SIGUSR1;
        storm_seen = 0;
        EXPECT_EQ(timer_create(CLOCK_MONOTONIC, &by, &timer_), 0);
        struct itimerspec often = { { 0, 1000000 }, { 0, 1000000 } };
        timer_settime(timer_, 0, &often, nullptr);
    }
    ~Storm()
    {
        timer_delete(timer_);
        sigaction(SIGUSR1, &before_, nullptr);
    }

private:
    timer_t timer_;
    struct sigaction before_;
};

/* A call with a timeout waits for all of it, while handlers run. */
void waits_on(const std::function<serry_err(double)> &call, const char *what)
{
    Storm storm;
    double start = now();
    serry_err e = call(0.3);
    double took = now() - start;
    EXPECT_EQ(e, SERRY_ETIMEDOUT) << what << ": " << serry_err_detail();
    EXPECT_GE(took, 0.299) << what;
    EXPECT_LT(took, patience(5)) << what;
    EXPECT_GT(storm_seen, 20) << what << ": hardly anything was tested";
}

/* In rank 1: whatever is awaited comes after some hundred signals. */
void nap()
{
    struct timespec t = { 0, 200000000 };
    while (nanosleep(&t, &t) != 0)
        ;
}

#define BOTH .ranks({ 2 }).both_ways()

SERRY_RANKS_TEST(Signals, DoNotEndARecv, BOTH)
{
    int got = 0;
    if (serry_rank() == 1) {
        int word = 42;
        nap();
        ASSERT_EQ(serry_send(0, 1, &word, sizeof word), SERRY_OK);
        ASSERT_EQ(serry_recv(0, 2, &word, sizeof word, nullptr, patience(30)), SERRY_OK);
        return;
    }
    {
        Storm storm;
        EXPECT_EQ(serry_recv(1, 1, &got, sizeof got, nullptr, SERRY_FOREVER), SERRY_OK)
            << serry_err_detail();
        EXPECT_EQ(got, 42);
    }
    waits_on([&](double t) { return serry_recv(1, 1, &got, sizeof got, nullptr, t); }, "recv");
    waits_on([&](double t) { return serry_probe(1, 1, nullptr, t); }, "probe");
    serry_request r = {};
    ASSERT_EQ(serry_irecv(&r, 1, 1, &got, sizeof got), SERRY_OK);
    waits_on([&](double t) { return serry_wait(&r, nullptr, t); }, "wait");
    EXPECT_EQ(serry_cancel(&r), SERRY_OK);
    EXPECT_EQ(serry_send(1, 2, &got, sizeof got), SERRY_OK);
}

SERRY_RANKS_TEST(Signals, DoNotEndAQueuesWaits, BOTH)
{
    serry_queue_options named = {};
    named.name = "stormy";
    named.capacity = 1;
    serry_queue q = {};
    ASSERT_EQ(serry_queue_create(&q, &named), SERRY_OK) << serry_err_detail();
    int item = 7;
    if (serry_rank() == 1) {
        nap();
        EXPECT_EQ(serry_queue_put(q, &item, sizeof item, SERRY_FOREVER), SERRY_OK);
        EXPECT_EQ(serry_recv(0, 2, &item, sizeof item, nullptr, patience(30)), SERRY_OK);
        return;
    }
    {
        Storm storm;
        EXPECT_EQ(serry_queue_get(q, &item, sizeof item, nullptr, SERRY_FOREVER), SERRY_OK)
            << serry_err_detail();
    }
    waits_on([&](double t) { return serry_queue_get(q, &item, sizeof item, nullptr, t); }, "get");
    EXPECT_EQ(serry_queue_put(q, &item, sizeof item, 1), SERRY_OK);
    waits_on([&](double t) { return serry_queue_put(q, &item, sizeof item, t); }, "put");
    waits_on([&](double t) { return serry_queue_join(q, t); }, "queue join");
    EXPECT_EQ(serry_send(1, 2, &item, sizeof item), SERRY_OK);
}

int naps(const void *, size_t)
{
    nap();
    return 5;
}

int waits_for_a_word(const void *, size_t)
{
    int word = 0;
    EXPECT_EQ(serry_recv(0, 3, &word, sizeof word, nullptr, patience(30)), SERRY_OK);
    return 6;
}

SERRY_RANKS_TEST(Signals, DoNotEndAJoin, .ranks({ 1 }).in_own_world().both_ways())
{
    serry_process p = {};
    int code = 0;
    ASSERT_EQ(serry_process_start(&p, waits_for_a_word, nullptr, 0, nullptr), SERRY_OK);
    waits_on([&](double t) { return serry_process_join(p, &code, t); }, "join");
    waits_on([&](double t) { return serry_process_wait_any(&p, 1, nullptr, t); }, "wait_any");
    serry_process_info info = {};
    ASSERT_EQ(serry_process_info_of(p, &info), SERRY_OK);
    ASSERT_EQ(serry_send(info.rank, 3, &code, sizeof code), SERRY_OK);
    Storm storm;
    EXPECT_EQ(serry_process_join(p, &code, SERRY_FOREVER), SERRY_OK) << serry_err_detail();
    EXPECT_EQ(code, 6);
    for (int i = 0; i < 5; i++) { /* starting is a wait, too */
        ASSERT_EQ(serry_process_start(&p, naps, nullptr, 0, nullptr), SERRY_OK)
            << serry_err_detail();
        EXPECT_EQ(serry_process_join(p, &code, SERRY_FOREVER), SERRY_OK) << serry_err_detail();
        EXPECT_EQ(code, 5);
    }
}

int squares(serry_task *t, const void *in, size_t)
{
    int n;
    memcpy(&n, in, sizeof n);
    nap();
    n *= n;
    return serry_task_return(t, &n, sizeof n) == SERRY_OK ? 0 : 1;
}

SERRY_RANKS_TEST(Signals, DoNotEndAMapOrAFuture, .ranks({ 1 }).both_ways())
{
    serry_pool_options o = {};
    o.workers = 2;
    serry_pool *pool = nullptr;
    ASSERT_EQ(serry_pool_create(&pool, &o), SERRY_OK) << serry_err_detail();
    int items[6] = { 1, 2, 3, 4, 5, 6 }, results[6] = {}, got = 0;
    {
        Storm storm;
        EXPECT_EQ(serry_pool_map(pool, squares, items, sizeof *items, 6, results, sizeof *results,
                                 nullptr),
                  SERRY_OK)
            << serry_err_detail();
        for (int i = 0; i < 6; i++)
            EXPECT_EQ(results[i], items[i] * items[i]);
        EXPECT_GT(storm_seen, 50);
        serry_future *f = nullptr;
        ASSERT_EQ(serry_pool_submit(&f, pool, squares, &items[4], sizeof *items), SERRY_OK);
        EXPECT_EQ(serry_future_get(f, &got, sizeof got, nullptr, SERRY_FOREVER), SERRY_OK)
            << serry_err_detail();
        EXPECT_EQ(got, 25);
        serry_future_free(f);
    }
    /* Both workers are busy for longer than the wait. */
    std::vector<serry_future *> fs(12);
    for (auto &f : fs)
        ASSERT_EQ(serry_pool_submit(&f, pool, squares, &items[1], sizeof *items), SERRY_OK);
    waits_on([&](double t) { return serry_future_get(fs.back(), &got, sizeof got, nullptr, t); },
             "future");
    for (auto &f : fs) {
        EXPECT_EQ(serry_future_get(f, &got, sizeof got, nullptr, patience(30)), SERRY_OK);
        serry_future_free(f);
    }
    serry_pool_destroy(pool);
}

SUBPROCESS_TEST(SignalsDoNotEndItsWaits)
{
    {
        Sub sp = started(Argv({ "sleep", "60" }), piped());
        waits_on([&](double t) { return serry_subprocess_wait(sp.get(), nullptr, t); }, "wait");
        waits_on(
            [&](double t) {
                return serry_subprocess_communicate(sp.get(), nullptr, 0, nullptr, nullptr, t);
            },
            "communicate");
    }
    waits_on(
        [&](double t) {
            return serry_subprocess_run(Argv({ "sleep", "60" }), nullptr, nullptr, t);
        },
        "run");
    Storm storm;
    std::string in(4 << 20, 'x');
    Sub sp = started(shell("sleep 0.2; cat; exit 3"), piped());
    serry_bytes out = {};
    EXPECT_EQ(
        serry_subprocess_communicate(sp.get(), in.data(), in.size(), &out, nullptr, SERRY_FOREVER),
        SERRY_OK)
        << serry_err_detail();
    EXPECT_TRUE(text(out) == in);
    serry_bytes_free(&out);
    EXPECT_EQ(waited(sp), 3);
    for (int i = 0; i < 50; i++)
        EXPECT_EQ(ran(shell("exit " + std::to_string(i))).code, i);
    EXPECT_GT(storm_seen, 50);
}

/* ---- handlers in started processes ---- */

volatile sig_atomic_t caught;

void catch_one(int number)
{
    caught = number;
}

/* Says that it is ready, pauses until a signal comes, and ends with its number. */
int pauses(const void *, size_t)
{
    struct sigaction a = {};
    sigset_t both, before;
    a.sa_handler = catch_one;
    sigaction(SIGUSR1, &a, nullptr);
    sigaction(SIGALRM, &a, nullptr);
    sigaction(SIGTERM, &a, nullptr);
    sigemptyset(&both);
    for (int s : { SIGUSR1, SIGALRM, SIGTERM })
        sigaddset(&both, s);
    sigprocmask(SIG_BLOCK, &both, &before); /* none comes between the look and the pause */
    EXPECT_EQ(serry_send(0, 1, &before, 1), SERRY_OK);
    while (!caught)
        sigsuspend(&before);
    return caught;
}

int sets_an_alarm(const void *, size_t)
{
    signal(SIGALRM, catch_one);
    alarm(1);
    /* A call of serry that waits is not ended by it, pause is what is. */
    int word;
    EXPECT_EQ(serry_recv(SERRY_ANY, 9, &word, sizeof word, nullptr, 1.5), SERRY_ETIMEDOUT);
    EXPECT_EQ(caught, SIGALRM);
    caught = 0;
    alarm(1);
    pause();
    return caught;
}

SERRY_RANKS_TEST(Signals, ReachHandlersOfStartedProcesses, .ranks({ 1 }).in_own_world().both_ways())
{
    char word;
    int code = 0;
    for (int number : { SIGUSR1, SIGTERM, SIGALRM }) {
        serry_process p = {};
        serry_process_info info = {};
        ASSERT_EQ(serry_process_start(&p, pauses, nullptr, 0, nullptr), SERRY_OK);
        ASSERT_EQ(serry_process_info_of(p, &info), SERRY_OK);
        ASSERT_EQ(serry_recv(info.rank, 1, &word, 1, nullptr, patience(20)), SERRY_OK);
        EXPECT_EQ(number == SIGTERM ? serry_process_terminate(p) : serry_process_signal(p, number),
                  SERRY_OK)
            << serry_err_detail();
        EXPECT_EQ(serry_process_join(p, &code, patience(20)), SERRY_OK) << serry_err_detail();
        EXPECT_EQ(code, number);
        EXPECT_EQ(serry_process_signal(p, number), SERRY_ESTATE) << "it has ended";
    }
}

SERRY_RANKS_TEST(Signals, MayBeAnAlarmOfAProcesssOwn, .ranks({ 1 }).both_ways())
{
    serry_process p = {};
    int code = 0;
    ASSERT_EQ(serry_process_start(&p, sets_an_alarm, nullptr, 0, nullptr), SERRY_OK);
    EXPECT_EQ(serry_process_join(p, &code, patience(20)), SERRY_OK) << serry_err_detail();
    EXPECT_EQ(code, SIGALRM);
}

/* kill(2), to one that handles nothing: the code tells which. */
int pauses_for_ever(const void *, size_t)
{
    char word = 0;
    EXPECT_EQ(serry_send(0, 1, &word, 1), SERRY_OK);
    for (;;)
        pause();
}

SERRY_RANKS_TEST(Signals, EndProcessesThatDoNotHandleThem, .ranks({ 1 }).in_own_world().both_ways())
{
    for (bool by_hand : { false, true }) {
        for (int number : { SIGUSR2, SIGTERM, SIGKILL }) {
            char word;
            int code = 0;
            serry_process p = {};
            serry_process_info info = {};
            ASSERT_EQ(serry_process_start(&p, pauses_for_ever, nullptr, 0, nullptr), SERRY_OK);
            ASSERT_EQ(serry_process_info_of(p, &info), SERRY_OK);
            ASSERT_EQ(serry_recv(info.rank, 1, &word, 1, nullptr, patience(20)), SERRY_OK);
            if (by_hand)
                EXPECT_EQ(kill(info.pid, number), 0);
            else
                EXPECT_EQ(serry_process_signal(p, number), SERRY_OK) << serry_err_detail();
            EXPECT_EQ(serry_process_join(p, &code, patience(20)), SERRY_OK) << serry_err_detail();
            EXPECT_EQ(code, -number);
        }
    }
}

} // namespace
