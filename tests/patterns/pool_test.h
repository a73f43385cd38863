/* patterns/pool_test.h: what the tests of pools share: tasks, and a board that all processes of a
 * run see. */
#ifndef SERRY_POOL_TEST_H
#define SERRY_POOL_TEST_H

#include "support/started.h"

#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

namespace pool_test {

/* In a file that all processes of a run map, those forked from a clean copy of the program, too. */
struct Board {
    std::atomic<int> begun, ended, open, inits;
    std::atomic<int> workers; /* bit r: rank r has run a task */
    std::atomic<int> attempts;
    std::atomic<double> at[16]; /* when attempt i began */
    std::atomic<int> pid[4];
    std::atomic<unsigned char> ran[100000]; /* how often task i has begun */
};

inline Board &board()
{
    return serry_test::rank_memory<Board>("board");
}

/* Time that a task takes; nobody waits for it to have passed. */
inline void take(double seconds)
{
    timespec t = { (time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9) };
    nanosleep(&t, nullptr);
}

inline int give(serry_task *t, const void *bytes, size_t len)
{
    return serry_task_return(t, bytes, len) != SERRY_OK;
}

inline int square(serry_task *t, const void *in, size_t)
{
    double x = *(const double *)in;
    x *= x;
    return give(t, &x, sizeof x);
}

inline int echo(serry_task *t, const void *in, size_t len)
{
    return give(t, in, len);
}

/* Takes its time. */
inline int slow(serry_task *t, const void *in, size_t len)
{
    board().begun++;
    take(0.01);
    board().ended++;
    return give(t, in, len);
}

/* Begins, and ends when the gate is opened. */
inline int gated(serry_task *t, const void *in, size_t len)
{
    board().begun++;
    if (!serry_test::wait_for([] { return board().open != 0; }, 20))
        return serry_task_fail(t, "the gate was not opened");
    board().ended++;
    return give(t, in, len);
}

/* Never ends. */
inline int stuck(serry_task *, const void *, size_t)
{
    int at = board().begun++;
    if (at < 4)
        board().pid[at] = getpid();
    for (;;)
        pause();
}

/* Only one of them. */
inline int stuck_at_3(serry_task *t, const void *in, size_t len)
{
    return *(const int *)in == 3 ? stuck(t, in, len) : give(t, in, len);
}

inline serry_pool_options options(int workers = 2, int retries = 0)
{
    serry_pool_options o = {};
    o.workers = workers;
    o.retries = retries;
    return o;
}

/* Each rank's tasks run in a process of their own. */
inline serry_pool_options isolated(int retries = 0)
{
    serry_pool_options o = options(0, retries);
    o.isolate = true;
    return o;
}

inline serry_pool *make_pool(const serry_pool_options &o = options())
{
    serry_pool *p = nullptr;
    EXPECT_EQ(serry_pool_create(&p, &o), SERRY_OK) << serry_err_detail();
    return p;
}

inline std::vector<serry_worker_stats> stats_of(serry_pool *p)
{
    std::vector<serry_worker_stats> s(600);
    size_t n = 0;
    EXPECT_EQ(serry_pool_stats(p, s.data(), s.size(), &n), SERRY_OK) << serry_err_detail();
    s.resize(std::min(n, s.size()));
    return s;
}

/* Finishes its tasks, its workers end, and it is freed. */
inline void end_pool(serry_pool *p)
{
    EXPECT_EQ(serry_pool_close(p), SERRY_OK) << serry_err_detail();
    EXPECT_EQ(serry_pool_join(p, 20), SERRY_OK) << serry_err_detail();
    EXPECT_EQ(serry_process_children(nullptr, 0), 0u);
    serry_pool_destroy(p);
}

inline std::vector<int> numbers(size_t n, int from = 0)
{
    std::vector<int> v(n);
    for (size_t i = 0; i < n; i++)
        v[i] = from + (int)i;
    return v;
}

inline serry_err map_ints(serry_pool *p, serry_task_fn fn, const std::vector<int> &in,
                          std::vector<int> *out, const serry_map_options &o = {})
{
    out->assign(in.size(), -1);
    return serry_pool_map(p, fn, in.data(), sizeof(int), in.size(), out->data(), sizeof(int), &o);
}

/* All are tried; what became of each is noted. */
inline serry_map_options all_noted(std::vector<serry_err> &errors)
{
    serry_map_options o = {};
    o.keep_going = true;
    o.errors = errors.data();
    return o;
}

/* The pool works: a map of squares is right. */
inline void expect_works(serry_pool *p, size_t n = 500)
{
    std::vector<double> x(n), y(n, -1);
    for (size_t i = 0; i < n; i++)
        x[i] = (double)i;
    ASSERT_EQ(
        serry_pool_map(p, square, x.data(), sizeof(double), n, y.data(), sizeof(double), nullptr),
        SERRY_OK)
        << serry_err_detail();
    for (size_t i = 0; i < n; i++)
        ASSERT_EQ(y[i], x[i] * x[i]);
}

inline serry_future *submit(serry_pool *p, serry_task_fn fn, int value)
{
    serry_future *f = nullptr;
    EXPECT_EQ(serry_pool_submit(&f, p, fn, &value, sizeof value), SERRY_OK) << serry_err_detail();
    return f;
}

/* Takes the future. */
inline void expect_result(serry_future *f, int want, double timeout = 20)
{
    int got = -1;
    EXPECT_EQ(serry_future_get(f, &got, sizeof got, nullptr, timeout), SERRY_OK)
        << serry_err_detail();
    EXPECT_EQ(got, want);
    serry_future_free(f);
}

inline serry_err get(serry_future *f, int *value = nullptr, double timeout = 20)
{
    int none;
    size_t len;
    return serry_future_get(f, value ? value : &none, sizeof(int), &len, timeout);
}

inline int failing(serry_task *t, const void *in, size_t)
{
    return serry_task_fail(t, "no %d", *(const int *)in);
}

inline void open_gate()
{
    board().open = 1;
}

/* A task that gives tasks. */
inline int fibonacci(serry_task *t, const void *in, size_t)
{
    int n = *(const int *)in, sum = n;
    if (n > 1) {
        int less[2] = { n - 1, n - 2 }, got[2] = {};
        if (serry_pool_map(serry_task_pool(t), fibonacci, less, sizeof(int), 2, got, sizeof(int),
                           nullptr)
            != SERRY_OK)
            return serry_task_fail(t, "%s", serry_err_detail());
        sum = got[0] + got[1];
    }
    return give(t, &sum, sizeof sum);
}

inline void expect_fibonacci(serry_pool *p, int n, int want)
{
    int f = 0;
    EXPECT_EQ(serry_pool_apply(p, fibonacci, &n, sizeof n, &f, sizeof f, nullptr, 60), SERRY_OK)
        << serry_err_detail();
    EXPECT_EQ(f, want);
}

inline int of_size(serry_task *t, const void *in, size_t)
{
    size_t n = *(const size_t *)in;
    std::vector<unsigned char> bytes(n);
    for (size_t i = 0; i < n; i++)
        bytes[i] = (unsigned char)(i * 7 + n);
    return give(t, bytes.data(), n);
}

/* Results of many sizes come back whole. */
inline void expect_all_sizes(serry_pool *p)
{
    std::vector<serry_future *> f;
    std::vector<size_t> sizes = { 0, 1, 7, 8, 1000, 65536, 100000, 3u << 20, (16u << 20) + 3 };
    for (size_t n : sizes) {
        f.push_back(nullptr);
        EXPECT_EQ(serry_pool_submit(&f.back(), p, of_size, &n, sizeof n), SERRY_OK);
    }
    for (size_t k = 0; k < sizes.size(); k++) {
        std::vector<unsigned char> got(sizes[k] + 1);
        size_t len = 0, wrong = 0;
        EXPECT_EQ(serry_future_get(f[k], got.data(), got.size(), &len, 60), SERRY_OK)
            << serry_err_detail();
        EXPECT_EQ(len, sizes[k]);
        for (size_t i = 0; i < len; i++)
            wrong += got[i] != (unsigned char)(i * 7 + len);
        EXPECT_EQ(wrong, 0u) << sizes[k];
        serry_future_free(f[k]);
    }
}

inline bool has(const std::string &text, const std::string &part)
{
    return text.find(part) != std::string::npos;
}

/* Of a pool with a time limit: the task that never ends is ended and told of, no other is. */
inline void expect_only_3_ended(serry_pool *p)
{
    std::vector<int> out;
    std::vector<serry_err> errors(100);
    EXPECT_EQ(map_ints(p, stuck_at_3, numbers(100), &out, all_noted(errors)), SERRY_EDIED);
    EXPECT_TRUE(has(serry_err_detail(), "longer than")) << serry_err_detail();
    for (size_t i = 0; i < 100; i++)
        EXPECT_EQ(errors[i], i == 3 ? SERRY_EDIED : SERRY_OK) << i;
}

/* Both kinds of pools: worker processes in a world of one, and ranks that serve rank 0. */
inline void with_pool(const serry_pool_options &o, void (*use)(serry_pool *))
{
    if (serry_rank() == 0) {
        serry_pool *p = make_pool(o);
        /* Nobody serves yet: the owner would begin tasks itself that wait for what it does. */
        EXPECT_TRUE(serry_test::wait_for([=] {
            size_t n = 0;
            return serry_pool_stats(p, nullptr, 0, &n) == SERRY_OK && n + 1 >= (size_t)serry_size();
        }));
        use(p);
        serry_pool_destroy(p);
    } else {
        EXPECT_EQ(serry_pool_serve(0, 60), SERRY_OK) << serry_err_detail();
    }
    if (serry_size() > 1)
        serry_test::barrier();
}

} // namespace pool_test

#endif
