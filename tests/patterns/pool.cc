// ctest: pool timeout=120 alone
/* Maps, single tasks and their errors, in a world of one. */
#include "patterns/pool_test.h"

#include <cmath>
#include <thread>

using namespace serry_test;
using namespace pool_test;

namespace {

/* ---- maps ---- */

void expect_echo(const std::vector<size_t> &counts)
{
    serry_pool *p = make_pool();
    for (size_t n : counts) {
        for (size_t chunk : { 0, 1, 7 }) {
            std::vector<int> in = numbers(n, 3), out;
            serry_map_options o = {};
            o.chunk = chunk;
            ASSERT_EQ(map_ints(p, echo, in, &out, o), SERRY_OK) << serry_err_detail();
            ASSERT_TRUE(in == out) << n << " by " << chunk;
        }
    }
    end_pool(p);
}

SERRY_RANKS_TEST(Pool, MapsAnyNumberOfItems, .ranks({ 1 }).both_ways())
{
    expect_echo({ 0, 1, 2, 10, 1000 });
}

SERRY_RANKS_TEST(Pool, MapsManyItems, .ranks({ 1 }).directly())
{
    /* Over socket lanes each result is a message of its own. */
    const char *lanes = getenv("SERRY_LANES");
    expect_echo({ lanes && strcmp(lanes, "socket") == 0 ? 20000u : 100000u });
}

int index_of(serry_task *t, const void *, size_t len)
{
    size_t index = serry_task_index(t) + 100000 * len;
    return give(t, &index, sizeof index);
}

SERRY_RANKS_TEST(Pool, MapsIndicesAlone, .ranks({ 1 }).directly())
{
    serry_pool *p = make_pool(options(3));
    std::vector<size_t> out(5000);
    ASSERT_EQ(
        serry_pool_map(p, index_of, nullptr, 0, out.size(), out.data(), sizeof(size_t), nullptr),
        SERRY_OK)
        << serry_err_detail();
    for (size_t i = 0; i < out.size(); i++)
        ASSERT_EQ(out[i], i);
    end_pool(p);
}

/* Its item backwards; wrong if the item is not where any type may be. */
int backwards(serry_task *t, const void *in, size_t len)
{
    if ((uintptr_t)in % alignof(max_align_t) != 0)
        return serry_task_fail(t, "not aligned");
    const unsigned char *bytes = (const unsigned char *)in;
    std::vector<unsigned char> out(bytes, bytes + len);
    for (size_t i = 0; i < len / 2; i++)
        std::swap(out[i], out[len - 1 - i]);
    return give(t, out.data(), len);
}

SERRY_RANKS_TEST(Pool, CarriesItemsAndResultsOfAnySize, .ranks({ 1 }).directly())
{
    serry_pool *p = make_pool();
    for (size_t size : { 1, 3, 8, 17, 1000, 8177, 65537, 1000001 }) {
        size_t n = size > 10000 ? 7 : 200;
        std::vector<unsigned char> in(n * size), out(n * size, 0xee);
        for (size_t i = 0; i < in.size(); i++)
            in[i] = (unsigned char)(i * 7 + i / 251);
        ASSERT_EQ(serry_pool_map(p, backwards, in.data(), size, n, out.data(), size, nullptr),
                  SERRY_OK)
            << size << ": " << serry_err_detail();
        for (size_t i = 0; i < in.size(); i++)
            ASSERT_EQ(in[i], out[i / size * size + size - 1 - i % size]) << size << " at " << i;
    }
    end_pool(p);
}

int as_long_as(serry_task *t, const void *in, size_t)
{
    std::string out((size_t) * (const int *)in, 'a');
    return give(t, out.data(), out.size());
}

SERRY_RANKS_TEST(Pool, FillsShortResultsWithZeros, .ranks({ 1 }).directly())
{
    serry_pool *p = make_pool();
    const size_t n = 900, size = 8;
    std::vector<int> in(n);
    for (size_t i = 0; i < n; i++)
        in[i] = (int)(i % (size + 1));
    std::string out(n * size, 'x');
    ASSERT_EQ(serry_pool_map(p, as_long_as, in.data(), sizeof(int), n, out.data(), size, nullptr),
              SERRY_OK)
        << serry_err_detail();
    for (size_t i = 0; i < n; i++) {
        std::string want((size_t)in[i], 'a');
        want.resize(size, '\0');
        ASSERT_EQ(out.substr(i * size, size), want) << i;
    }
    end_pool(p);
}

SERRY_RANKS_TEST(Pool, RefusesTooLongResults, .ranks({ 1 }).directly())
{
    serry_pool *p = make_pool();
    std::vector<int> in(100, 4);
    in[50] = 5;
    std::string out(400, 'x');
    std::vector<serry_err> errors(100, SERRY_EINTERNAL);
    serry_map_options o = {};
    o.keep_going = true;
    o.errors = errors.data();
    EXPECT_EQ(serry_pool_map(p, as_long_as, in.data(), sizeof(int), 100, out.data(), 4, &o),
              SERRY_ETRUNC);
    EXPECT_TRUE(has(serry_err_detail(), "5 bytes")) << serry_err_detail();
    for (size_t i = 0; i < 100; i++) {
        EXPECT_EQ(errors[i], i == 50 ? SERRY_ETRUNC : SERRY_OK);
        EXPECT_EQ(out.substr(4 * i, 4), i == 50 ? "xxxx" : "aaaa");
    }
    int one = 1;
    EXPECT_EQ(serry_pool_map(p, as_long_as, &one, sizeof one, 1, nullptr, 0, nullptr),
              SERRY_ETRUNC);
    end_pool(p);
}

int twice(serry_task *t, const void *in, size_t)
{
    int x = *(const int *)in + 1;
    return give(t, in, sizeof(int)) || give(t, &x, sizeof x);
}

SERRY_RANKS_TEST(Pool, KeepsTheLastResultATaskGives, .ranks({ 1 }).directly())
{
    serry_pool *p = make_pool();
    std::vector<int> out;
    ASSERT_EQ(map_ints(p, twice, numbers(100), &out), SERRY_OK) << serry_err_detail();
    EXPECT_EQ(out, numbers(100, 1));
    end_pool(p);
}

/* ---- single tasks ---- */

int fail_with_7(serry_task *, const void *, size_t)
{
    return 7;
}

SERRY_RANKS_TEST(Pool, AppliesOneTask, .ranks({ 1 }).directly())
{
    serry_pool *p = make_pool();
    double x = 3, y = 0;
    EXPECT_EQ(serry_pool_apply(p, square, &x, sizeof x, &y, sizeof y, nullptr, 20), SERRY_OK);
    EXPECT_EQ(y, 9);
    for (int n : { 0, 1, 100, 20000, 300000, 10000000 }) {
        std::string out((size_t)n + 1, 'x');
        size_t len = 12345;
        EXPECT_EQ(serry_pool_apply(p, as_long_as, &n, sizeof n, out.data(), out.size(), &len, 20),
                  SERRY_OK)
            << serry_err_detail();
        EXPECT_EQ(len, (size_t)n);
        EXPECT_TRUE(out == std::string((size_t)n, 'a') + 'x');
    }
    EXPECT_EQ(serry_pool_apply(p, fail_with_7, nullptr, 0, nullptr, 0, nullptr, 20), SERRY_ETASK);
    EXPECT_TRUE(has(serry_err_detail(), "7")) << serry_err_detail();
    int none = 0;
    EXPECT_EQ(serry_pool_apply(p, gated, &none, sizeof none, nullptr, 0, nullptr, 0.1),
              SERRY_ETIMEDOUT);
    board().open = 1;
    end_pool(p);
}

SERRY_RANKS_TEST(Pool, GivesAResultAsOftenAsItIsAsked, .ranks({ 1 }).directly())
{
    serry_pool *p = make_pool();
    std::vector<serry_future *> f;
    for (int i = 0; i < 500; i++)
        f.push_back(submit(p, echo, i));
    for (int i = 499; i >= 0; i--) {
        int got = -1;
        size_t len = 0;
        short half = 5;
        EXPECT_EQ(serry_future_get(f[(size_t)i], &got, sizeof got, &len, 20), SERRY_OK);
        EXPECT_TRUE(got == i && len == sizeof got);
        EXPECT_TRUE(serry_future_done(f[(size_t)i]));
        EXPECT_EQ(serry_future_get(f[(size_t)i], &half, sizeof half, &len, 20), SERRY_ETRUNC);
        EXPECT_TRUE(half == 5 && len == sizeof got);
        EXPECT_STREQ(serry_future_error(f[(size_t)i]), "");
        expect_result(f[(size_t)i], i, SERRY_NOWAIT);
    }
    end_pool(p);
}

SERRY_RANKS_TEST(Pool, SaysWhetherAFutureIsDone, .ranks({ 1 }).directly())
{
    serry_pool *p = make_pool();
    serry_future *f = submit(p, gated, 5), *forgotten = submit(p, gated, 6);
    int got = -1;
    EXPECT_FALSE(serry_future_done(f));
    EXPECT_EQ(serry_future_get(f, &got, sizeof got, nullptr, SERRY_NOWAIT), SERRY_ETIMEDOUT);
    EXPECT_EQ(serry_future_get(f, &got, sizeof got, nullptr, 0.05), SERRY_ETIMEDOUT);
    EXPECT_STREQ(serry_future_error(f), "");
    EXPECT_EQ(got, -1);
    serry_future_free(forgotten);
    board().open = 1;
    EXPECT_TRUE(wait_for([&] { return serry_future_done(f); }));
    expect_result(f, 5, SERRY_NOWAIT);
    end_pool(p);
    EXPECT_EQ(board().ended, 2); /* the forgotten one has run */
}

int complain(serry_task *t, const void *in, size_t)
{
    std::string text((size_t) * (const int *)in, 'e');
    return serry_task_fail(t, "%s", text.c_str());
}

SERRY_RANKS_TEST(Pool, KeepsTheTextOfAFailure, .ranks({ 1 }).directly())
{
    serry_pool *p = make_pool();
    for (int n : { 1, 100, 100000 }) {
        serry_future *f = submit(p, complain, n);
        for (int again = 0; again < 2; again++) {
            EXPECT_EQ(serry_future_get(f, nullptr, 0, nullptr, 20), SERRY_ETASK);
            EXPECT_TRUE(serry_future_error(f) == std::string((size_t)n, 'e'));
        }
        EXPECT_TRUE(serry_future_done(f));
        serry_future_free(f);
    }
    end_pool(p);
}

/* A quick task's result does not wait for the long one behind it. */
SERRY_RANKS_TEST(Pool, GivesResultsWhileTheWorkerIsBusy, .ranks({ 1 }).directly())
{
    serry_pool *p = make_pool(options(1));
    for (int i = 0; i < 20; i++) /* it learns that such tasks are quick */
        expect_result(submit(p, echo, i), i);
    serry_future *quick = submit(p, echo, 1), *slow = submit(p, gated, 2);
    expect_result(quick, 1);
    EXPECT_FALSE(serry_future_done(slow));
    board().open = 1;
    expect_result(slow, 2);
    end_pool(p);
}

/* ---- failing tasks ---- */

int not_17(serry_task *t, const void *in, size_t len)
{
    int i = *(const int *)in;
    board().ran[i]++;
    return i == 17 ? serry_task_fail(t, "%d is bad", i) : give(t, in, len);
}

SERRY_RANKS_TEST(Pool, StopsAMapAtAFailingTask, .ranks({ 1 }).directly())
{
    serry_pool *p = make_pool();
    const size_t n = 100000;
    std::vector<int> out;
    std::vector<serry_err> errors(n);
    serry_map_options o = {};
    o.errors = errors.data();
    o.chunk = 1;
    EXPECT_EQ(map_ints(p, not_17, numbers(n), &out, o), SERRY_ETASK);
    EXPECT_STREQ(serry_err_detail(), "17 is bad");
    size_t cancelled = 0;
    for (size_t i = 0; i < n; i++) {
        bool ran = board().ran[i] > 0;
        ASSERT_EQ(errors[i], i == 17 ? SERRY_ETASK : ran ? SERRY_OK : SERRY_ECANCELLED) << i;
        ASSERT_EQ(out[i], errors[i] == SERRY_OK ? (int)i : -1) << i;
        cancelled += errors[i] == SERRY_ECANCELLED;
    }
    EXPECT_GT(cancelled, n / 2);
    expect_works(p);
    end_pool(p);
}

int odd_fails(serry_task *t, const void *in, size_t len)
{
    int i = *(const int *)in;
    return i % 2 ? serry_task_fail(t, "odd %d", i) : give(t, in, len);
}

struct Heard {
    std::vector<int> times;
    serry_pool *pool;
};

/* May itself use the pool. */
void hear(void *ctx, size_t index, serry_err e, const char *text)
{
    Heard *heard = (Heard *)ctx;
    EXPECT_EQ(e, SERRY_ETASK);
    EXPECT_EQ(std::string(text), "odd " + std::to_string(index));
    heard->times[index]++;
    if (index % 100 == 1)
        expect_works(heard->pool, 10);
}

SERRY_RANKS_TEST(Pool, KeepsGoingIfItIsAskedTo, .ranks({ 1 }).directly())
{
    serry_pool *p = make_pool();
    const size_t n = 500;
    std::vector<int> out;
    std::vector<serry_err> errors(n);
    Heard heard = { std::vector<int>(n), p };
    serry_map_options o = {};
    o.errors = errors.data();
    o.keep_going = true;
    o.on_error = hear;
    o.ctx = &heard;
    EXPECT_EQ(map_ints(p, odd_fails, numbers(n), &out, o), SERRY_ETASK);
    EXPECT_STREQ(serry_err_detail(), "odd 1");
    for (size_t i = 0; i < n; i++) {
        bool odd = i % 2;
        EXPECT_EQ(errors[i], odd ? SERRY_ETASK : SERRY_OK);
        EXPECT_EQ(out[i], odd ? -1 : (int)i);
        EXPECT_EQ(heard.times[i], odd);
    }
    end_pool(p);
}

/* The first ones take so long that each of their results is sent at once. */
int gate_behind_3(serry_task *t, const void *in, size_t len)
{
    if (*(const int *)in >= 3)
        return gated(t, in, len);
    take(0.005);
    return give(t, in, len);
}

SERRY_RANKS_TEST(Pool, EndsAMapAtItsTimeout, .ranks({ 1 }).directly())
{
    serry_pool *p = make_pool();
    expect_works(p); /* the workers are up */
    std::vector<int> out;
    std::vector<serry_err> errors(100);
    serry_map_options o = {};
    o.errors = errors.data();
    o.timeout = patience(0.3);
    double begin = serry_time();
    EXPECT_EQ(map_ints(p, gate_behind_3, numbers(100), &out, o), SERRY_ETIMEDOUT);
    EXPECT_GE(serry_time() - begin, o.timeout);
    EXPECT_STRNE(serry_err_detail(), "");
    for (size_t i = 0; i < 100; i++) {
        EXPECT_EQ(errors[i], i < 3 ? SERRY_OK : SERRY_ECANCELLED) << i;
        EXPECT_EQ(out[i], i < 3 ? (int)i : -1);
    }
    EXPECT_LE(board().begun, 2);
    board().open = 1;
    expect_works(p);
    end_pool(p);
    EXPECT_LE(board().begun, 2); /* what had not begun was withdrawn */
}

/* ---- threads, and an owner that does other things ---- */

void use_in_thread(serry_pool *p, unsigned seed)
{
    for (int round = 0; round < 10; round++) {
        expect_works(p, 1 + (size_t)rand_r(&seed) % 2000);
        std::vector<int> out;
        std::vector<serry_err> errors(20);
        serry_map_options o = {};
        o.errors = errors.data();
        o.keep_going = round % 2;
        EXPECT_EQ(map_ints(p, odd_fails, numbers(20), &out, o), SERRY_ETASK);
        EXPECT_TRUE(has(serry_err_detail(), "odd ")) << serry_err_detail();
        for (size_t i = 0; i < 20 && o.keep_going; i++)
            EXPECT_EQ(errors[i], i % 2 ? SERRY_ETASK : SERRY_OK);
        std::vector<serry_future *> f;
        for (int i = 0; i < 20; i++)
            f.push_back(submit(p, echo, i));
        for (int i = 0; i < 20; i++) {
            if (i % 5 == 4)
                serry_future_free(f[(size_t)i]);
            else
                expect_result(f[(size_t)i], i);
        }
    }
}

SERRY_RANKS_TEST(Pool, ServesSeveralThreadsOfItsOwner, .ranks({ 1 }).directly())
{
    serry_pool *p = make_pool();
    std::vector<std::thread> threads;
    for (unsigned i = 0; i < 4; i++)
        threads.emplace_back(use_in_thread, p, i);
    for (auto &t : threads)
        t.join();
    end_pool(p);
}

int take_5_ms(serry_task *t, const void *in, size_t len)
{
    take(0.005);
    board().ended++;
    return give(t, in, len);
}

SERRY_RANKS_TEST(Pool, KeepsItsWorkersFedWhileTheOwnerComputes, .ranks({ 1 }).directly())
{
    serry_pool *p = make_pool();
    expect_works(p); /* the workers are up */
    std::vector<serry_future *> f;
    for (int i = 0; i < 200; i++)
        f.push_back(submit(p, take_5_ms, i));
    EXPECT_TRUE(wait_for([] { return board().ended == 200; }, 20)); /* no call of serry */
    for (int i = 0; i < 200; i++)
        expect_result(f[(size_t)i], i);
    end_pool(p);
}

/* ---- arguments ---- */

void refuses(serry_err want, const char *part, const serry_pool_options &o)
{
    serry_pool *const before = (serry_pool *)&want;
    serry_pool *p = before;
    EXPECT_EQ(serry_pool_create(&p, &o), want) << part;
    EXPECT_TRUE(has(serry_err_detail(), part)) << part << ": " << serry_err_detail();
    EXPECT_EQ(p, before);
    EXPECT_EQ(serry_process_children(nullptr, 0), 0u);
}

SERRY_RANKS_TEST(Pool, RefusesBadOptions, .ranks({ 1 }).directly())
{
    auto with = [](auto change) {
        serry_pool_options o = options();
        change(o);
        return o;
    };
    std::string name(64, 'n');
    refuses(SERRY_EINVAL, "-1 workers", options(-1));
    refuses(SERRY_ELIMIT, "100000 workers", options(100000));
    refuses(SERRY_EINVAL, "retries", options(2, -1));
    refuses(SERRY_EINVAL, "retries", options(2, 1000000));
    refuses(SERRY_EINVAL, "max_tasks", with([](auto &o) { o.max_tasks_per_worker = -1; }));
    refuses(SERRY_EINVAL, "retry_delay", with([](auto &o) { o.retry_delay = NAN; }));
    refuses(SERRY_EINVAL, "retry_delay", with([](auto &o) { o.retry_delay = -1; }));
    refuses(SERRY_EINVAL, "task_timeout", with([](auto &o) { o.task_timeout = NAN; }));
    refuses(SERRY_EINVAL, "task_timeout", with([](auto &o) { o.task_timeout = -1; }));
    refuses(SERRY_EINVAL, "init_arg", with([](auto &o) { o.init_len = 4; }));
    refuses(SERRY_EINVAL, "name", with([&](auto &o) { o.name = name.c_str(); }));
    name.pop_back();
    end_pool(make_pool(with([&](auto &o) { o.name = name.c_str(); })));
    end_pool(make_pool(with([](auto &o) { o.isolate = true; }))); /* worker processes are that */
    EXPECT_EQ(serry_pool_create(nullptr, nullptr), SERRY_EINVAL);
}

SERRY_RANKS_TEST(Pool, RefusesBadArgumentsOfMaps, .ranks({ 1 }).directly())
{
    serry_pool *p = make_pool();
    double x[2] = { 2, 3 }, y[2] = { -1, -1 };
    serry_err errors[2] = { SERRY_EINTERNAL, SERRY_EINTERNAL };
    struct {
        serry_pool *pool;
        serry_task_fn fn;
        const void *items;
        size_t item_size, n;
        void *results;
        size_t result_size;
        double timeout;
    } const bad[] = {
        { nullptr, square, x, 8, 2, y, 8, 0 },      { p, nullptr, x, 8, 2, y, 8, 0 },
        { p, square, nullptr, 8, 2, y, 8, 0 },      { p, square, x, 8, 2, nullptr, 8, 0 },
        { p, square, x, SIZE_MAX / 2, 8, y, 8, 0 }, { p, square, x, 8, 8, y, SIZE_MAX / 4, 0 },
        { p, square, x, 1, SIZE_MAX, y, 0, 0 },     { p, square, x, 8, 2, y, 8, NAN },
    };
    for (const auto &b : bad) {
        serry_map_options o = {};
        o.timeout = b.timeout;
        o.errors = errors;
        EXPECT_EQ(
            serry_pool_map(b.pool, b.fn, b.items, b.item_size, b.n, b.results, b.result_size, &o),
            SERRY_EINVAL)
            << &b - bad;
        EXPECT_STRNE(serry_err_detail(), "") << &b - bad;
    }
    EXPECT_TRUE(errors[0] == SERRY_EINTERNAL && y[0] == -1);
    EXPECT_EQ(serry_pool_map(p, square, nullptr, 8, 0, nullptr, 8, nullptr), SERRY_OK);
    expect_works(p);
    end_pool(p);
}

SERRY_RANKS_TEST(Pool, RefusesBadArgumentsOfSingleTasks, .ranks({ 1 }).directly())
{
    serry_pool *p = make_pool();
    double x = 2, y = -1;
    serry_future *f = nullptr;
    EXPECT_EQ(serry_pool_submit(nullptr, p, square, &x, 8), SERRY_EINVAL);
    EXPECT_EQ(serry_pool_submit(&f, nullptr, square, &x, 8), SERRY_EINVAL);
    EXPECT_EQ(serry_pool_submit(&f, p, nullptr, &x, 8), SERRY_EINVAL);
    EXPECT_EQ(serry_pool_submit(&f, p, square, nullptr, 8), SERRY_EINVAL);
    EXPECT_EQ(f, nullptr);
    EXPECT_EQ(serry_pool_apply(p, square, &x, 8, &y, 8, nullptr, NAN), SERRY_EINVAL);
    EXPECT_EQ(serry_pool_apply(p, square, &x, 8, nullptr, 8, nullptr, 1), SERRY_EINVAL);
    EXPECT_EQ(serry_future_get(nullptr, &y, 8, nullptr, 1), SERRY_EINVAL);
    ASSERT_EQ(serry_pool_submit(&f, p, square, &x, 8), SERRY_OK);
    EXPECT_EQ(serry_future_get(f, nullptr, 8, nullptr, 1), SERRY_EINVAL);
    EXPECT_EQ(serry_future_get(f, &y, 8, nullptr, NAN), SERRY_EINVAL);
    EXPECT_EQ(y, -1);
    EXPECT_EQ(serry_future_get(f, &y, 8, nullptr, 20), SERRY_OK);
    EXPECT_EQ(y, 4);
    serry_future_free(f);
    EXPECT_FALSE(serry_future_done(nullptr));
    EXPECT_STREQ(serry_future_error(nullptr), "");
    serry_future_free(nullptr);
    EXPECT_EQ(serry_pool_join(p, NAN), SERRY_EINVAL);
    EXPECT_EQ(serry_pool_close(nullptr), SERRY_EINVAL);
    EXPECT_EQ(serry_pool_terminate(nullptr), SERRY_EINVAL);
    serry_pool_destroy(nullptr);
    end_pool(p);
}

} // namespace
