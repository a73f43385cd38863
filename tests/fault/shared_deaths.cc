// ctest: shared slow timeout=180
/* Users of shared objects that die: what they were doing is done or not, never in halves; the
 * objects stay, and serve the others as before. */
#include "base/point.h"
#include "fault/fault.h"
#include "patterns/shared_test.h"

using namespace serry_test;
using namespace shared_test;

namespace {

const size_t piece = SERRY_SLICE_ATOMIC / 4; /* elements */

struct Job {
    serry_array a;
    serry_value v;
    serry_list l, told; /* told: what the process says it has done */
    serry_dict d;
    int point, count; /* where it dies, and the how manyeth time */
    int n;
};

Job make_job(size_t elements = 16)
{
    Job job = {};
    job.a = make_array(SERRY_INT32, elements);
    job.v = make_value(SERRY_INT64);
    job.l = make_list();
    job.told = make_list();
    job.d = make_dict();
    return job;
}

void destroy(const Job &job)
{
    EXPECT_EQ(serry_array_destroy(job.a), SERRY_OK);
    EXPECT_EQ(serry_value_destroy(job.v), SERRY_OK);
    EXPECT_EQ(serry_list_destroy(job.l), SERRY_OK);
    EXPECT_EQ(serry_list_destroy(job.told), SERRY_OK);
    EXPECT_EQ(serry_dict_destroy(job.d), SERRY_OK);
}

void kill_it(serry_process p)
{
    EXPECT_EQ(serry_process_kill(p), SERRY_OK) << serry_err_detail();
    EXPECT_EQ(join(p), -SIGKILL);
}

template <class Ready>
void wait_for(Ready ready)
{
    double until = serry_time() + patience(20);
    while (!ready())
        ASSERT_LT(serry_time(), until) << "it does not come";
}

/* ---- in the middle of a large slice ---- */

int set_over_and_over(const void *arg, size_t)
{
    Job job = *(const Job *)arg;
    size_t n = len(job.a);
    for (int i = 1;; i++) {
        std::vector<int32_t> x(n, i);
        if (serry_array_set(job.a, 0, n, x.data()) != SERRY_OK)
            return 1;
        set<int64_t>(job.v, i);
    }
}

/* Stops it where the array is partly of one set, partly of the next. */
void stop_in_the_middle(serry_process p, serry_array a, size_t n)
{
    auto torn = [&] { return slice<int32_t>(a, 0, 1) != slice<int32_t>(a, n - 1, 1); };
    wait_for([&] {
        if (!torn())
            return false;
        EXPECT_EQ(serry_process_signal(p, SIGSTOP), SERRY_OK);
        for (int i = 0; i < 50; i++) /* what it had sent comes in meanwhile */
            slice<int32_t>(a, 0, 1);
        if (torn())
            return true;
        EXPECT_EQ(serry_process_signal(p, SIGCONT), SERRY_OK);
        return false;
    });
}

/* Each piece is of one set; and the pieces are of the last one told of, or the one behind it, the
 * new ones in front. */
SERRY_RANKS_TEST(SharedDeaths, InTheMiddleOfASetLeavesWholePieces, .ranks({ 1 }).timeout(100))
{
    const size_t n = 5 * piece + 1000;
    for (int round = 0; round < rounds(12); round++) {
        Job job = make_job(n);
        serry_process p = start(set_over_and_over, job);
        ASSERT_NO_FATAL_FAILURE(wait_for([&] { return get<int64_t>(job.v) >= 1; }));
        if (round % 2)
            ASSERT_NO_FATAL_FAILURE(stop_in_the_middle(p, job.a, n));
        else
            nap(0, 0.02);
        kill_it(p);
        int32_t last = (int32_t)get<int64_t>(job.v);
        std::vector<int32_t> x = slice<int32_t>(job.a, 0, n);
        for (size_t i = 0; i < n; i++)
            ASSERT_EQ(x[i], x[i / piece * piece]) << "element " << i << " in round " << round;
        for (size_t i = 0; i < n; i += piece) {
            ASSERT_TRUE(x[i] == last || x[i] == last + 1) << x[i] << " behind " << last;
            ASSERT_LE(x[i], x[i ? i - piece : 0]);
        }
        EXPECT_TRUE(round % 2 == 0 || x[0] == last + 1);
        /* And it is as good as ever. */
        std::vector<int32_t> all(n, -7);
        put(job.a, 0, all);
        EXPECT_TRUE(slice<int32_t>(job.a, 0, n) == all);
        destroy(job);
    }
}

int get_over_and_over(const void *arg, size_t)
{
    Job job = *(const Job *)arg;
    size_t n = len(job.a);
    std::vector<int32_t> x(n);
    for (int i = 1;; i++) {
        if (serry_array_get(job.a, 0, n, x.data()) != SERRY_OK)
            return 1;
        set<int64_t>(job.v, i);
    }
}

/* Whoever stands still, or dies, in the middle of one holds up nobody. */
SERRY_RANKS_TEST(SharedDeaths, OneThatStandsStillHoldsUpNobody, .ranks({ 1 }).timeout(100))
{
    const size_t n = 6 * piece;
    for (serry_process_fn fn : { set_over_and_over, get_over_and_over }) {
        for (int round = 0; round < rounds(2); round++) {
            Job job = make_job(n);
            serry_process p = start(fn, job);
            ASSERT_NO_FATAL_FAILURE(wait_for([&] { return get<int64_t>(job.v) >= 1; }));
            nap(0, 0.02);
            EXPECT_EQ(serry_process_signal(p, SIGSTOP), SERRY_OK);
            for (int i = 0; i < 200; i++) {
                std::vector<int32_t> x(100, -i);
                put(job.a, n - 100, x);
                int32_t got = slice<int32_t>(job.a, n - 1, 1)[0];
                EXPECT_TRUE(got == -i || got > 0) << got; /* what it had sent may still come */
                append(job.l, "item");
            }
            kill_it(p);
            EXPECT_EQ(len(job.l), 200u);
            destroy(job);
        }
    }
}

/* ---- between any two steps ---- */

/* The same number into each of the objects, and then it is told. */
int write_numbers(const void *arg, size_t)
{
    Job job = *(const Job *)arg;
    sri_point_choose(job.point, (unsigned)job.count);
    for (int i = 0; i < job.n; i++) {
        int64_t one = 1;
        std::string text = std::to_string(i);
        std::vector<int32_t> x(16, i);
        bool done = false;
        if (serry_list_append(job.l, text.data(), text.size()) != SERRY_OK
            || serry_value_add(job.v, &one, nullptr) != SERRY_OK
            || serry_array_set(job.a, 0, 16, x.data()) != SERRY_OK
            || serry_dict_compare_put(job.d, text.c_str(), nullptr, 0, "there", 5, &done)
                   != SERRY_OK
            || !done || serry_list_append(job.told, text.data(), text.size()) != SERRY_OK)
            return 1;
    }
    return 0;
}

int dies_at(int point, int count)
{
    Job job = make_job();
    job.point = point;
    job.count = count;
    job.n = 40;
    put(job.a, 0, std::vector<int32_t>(16, -1));
    int code = join(start(write_numbers, job));
    EXPECT_TRUE(code == 0 || code == -SIGKILL) << code << " at point " << point;
    size_t told = len(job.told), in = len(job.l), sum = (size_t)get<int64_t>(job.v);
    std::vector<std::string> there = keys(job.d);
    std::vector<int32_t> x = slice<int32_t>(job.a, 0, 16);
    /* In the order of the steps, each is as far as the one before it, or one behind. */
    size_t in_array = (size_t)(x[0] + 1);
    EXPECT_TRUE(in == told || in == told + 1) << in << " items, " << told << " told of";
    EXPECT_TRUE(sum <= in && sum >= told) << sum;
    EXPECT_TRUE(in_array <= sum && in_array >= told) << in_array;
    EXPECT_TRUE(there.size() <= in_array && there.size() >= told) << there.size();
    EXPECT_EQ(x, std::vector<int32_t>(16, x[0]));
    for (size_t i = 0; i < in; i++)
        EXPECT_EQ(at(job.l, i), std::to_string(i));
    for (size_t i = 0; i < there.size(); i++)
        EXPECT_EQ(there[i], std::to_string(i));
    /* They are used on. */
    job.point = 0;
    EXPECT_EQ(serry_list_clear(job.l), SERRY_OK);
    EXPECT_EQ(serry_dict_clear(job.d), SERRY_OK);
    EXPECT_EQ(join(start(write_numbers, job)), 0);
    EXPECT_EQ(len(job.l), 40u);
    EXPECT_EQ(len(job.d), 40u);
    destroy(job);
    return code;
}

/* The steps are those of the lanes: the objects have none of their own in shared memory. */
SERRY_RANKS_TEST(SharedDeaths, AUserMayDieAnywhere, .ranks({ 1 }).on(shm).timeout(150))
{
    int died = 0;
    for (int point = 1; point < 20; point++) {
        for (int count : { 1, 2, 7, 40 })
            died += dies_at(point, count) == -SIGKILL;
    }
    EXPECT_GT(died, 10) << "the points are not passed";
}

/* ---- at any time ---- */

/* Everything at once, each item saying of itself whether it is whole. */
std::string whole(int seed, size_t n)
{
    return std::string(n, (char)('a' + seed % 26));
}

int hammer(const void *arg, size_t)
{
    Job job = *(const Job *)arg;
    char got[50000];
    for (int i = 0;; i++) {
        std::string item = whole(i, (size_t)(i * 7919) % 40000 + 1);
        std::string key = "key " + std::to_string(i % 20);
        int64_t one = 1;
        size_t n = 0;
        bool done = false;
        SERRY_IGNORE(serry_list_insert(job.l, 0, item.data(), item.size()));
        SERRY_IGNORE(serry_dict_put(job.d, key.c_str(), item.data(), item.size()));
        SERRY_IGNORE(serry_list_pop(job.l, i % 2 ? SIZE_MAX : 0, got, sizeof got, &n));
        SERRY_IGNORE(
            serry_dict_compare_put(job.d, key.c_str(), item.data(), item.size(), "b", 1, &done));
        SERRY_IGNORE(serry_dict_del(job.d, ("key " + std::to_string(i % 13)).c_str()));
        SERRY_IGNORE(serry_value_add(job.v, &one, nullptr));
    }
}

SERRY_RANKS_TEST(SharedDeaths, InFullSwingLeaveNothingInHalves, .ranks({ 1 }).timeout(100))
{
    for (int round = 0; round < rounds(6); round++) {
        Job job = make_job();
        serry_process ps[3];
        for (serry_process &p : ps)
            p = start(hammer, job);
        ASSERT_NO_FATAL_FAILURE(wait_for([&] { return get<int64_t>(job.v) >= 200; }));
        for (serry_process p : ps) {
            nap(0, 0.02);
            kill_it(p);
        }
        std::string got(50000, 0);
        size_t n = 0, items = len(job.l);
        EXPECT_LE(items, 3u); /* each may have put one that it has not taken */
        for (size_t i = 0; i < items; i++) {
            ASSERT_EQ(serry_list_get(job.l, i, &got[0], got.size(), &n), SERRY_OK);
            EXPECT_TRUE(got.substr(0, n) == std::string(n, got[0]));
        }
        for (const std::string &k : keys(job.d)) {
            ASSERT_EQ(serry_dict_get(job.d, k.c_str(), &got[0], got.size(), &n), SERRY_OK) << k;
            EXPECT_TRUE(got.substr(0, n) == std::string(n, got[0]));
        }
        destroy(job);
    }
}

/* ---- the maker dies ---- */

int make_and_die(const void *arg, size_t)
{
    serry_dict d = *(const serry_dict *)arg;
    Job job = make_job();
    append(job.l, "of the dead");
    put(job.d, "of the", "dead");
    set<int64_t>(job.v, 42);
    put(job.a, 3, std::vector<int32_t>{ 1, 2, 3 });
    make_dict("testament");
    put(d, "job", handle(job));
    kill(getpid(), SIGKILL);
    return 0;
}

SERRY_RANKS_TEST(SharedDeaths, OfTheMakerLeaveWhatItMade, .ranks({ 1 }))
{
    serry_dict d = make_dict();
    EXPECT_EQ(join(start(make_and_die, d)), -SIGKILL);
    Job job = from<Job>(at(d, "job"));
    EXPECT_EQ(at(job.l, 0), "of the dead");
    EXPECT_EQ(at(job.d, "of the"), "dead");
    EXPECT_EQ(get<int64_t>(job.v), 42);
    EXPECT_EQ(slice<int32_t>(job.a, 3, 3), (std::vector<int32_t>{ 1, 2, 3 }));
    put(make_dict("testament"), "still", "there");
    append(job.l, "of the living");
    EXPECT_EQ(pop(job.l), "of the living");
    destroy(job);
}

/* ---- destroyed under their hands ---- */

int use_until_it_ends(const void *arg, size_t)
{
    Job job = *(const Job *)arg;
    size_t n = len(job.a);
    std::vector<int32_t> x(n, 5);
    serry_err e[4] = {};
    for (int open = 4; open > 0;) {
        int64_t one = 1;
        if (!e[0] && (e[0] = serry_array_add(job.a, 0, n, x.data())))
            open--;
        if (!e[1] && (e[1] = serry_value_add(job.v, &one, nullptr)))
            open--;
        if (!e[2] && (e[2] = serry_list_append(job.l, "x", 1)))
            open--;
        if (!e[3] && (e[3] = serry_dict_put(job.d, "x", "x", 1)))
            open--;
        if (open == 4)
            append(job.told, "round");
    }
    for (serry_err one : e)
        EXPECT_EQ(one, SERRY_EHANDLE) << serry_err_name(one);
    return 0;
}

SERRY_RANKS_TEST(SharedDeaths, OfTheObjectAreToldToItsUsers, .ranks({ 1 }).timeout(60))
{
    for (int round = 0; round < rounds(6); round++) {
        Job job = make_job(4 * piece);
        serry_process p = start(use_until_it_ends, job);
        ASSERT_NO_FATAL_FAILURE(wait_for([&] { return len(job.told) >= 2; }));
        EXPECT_EQ(serry_array_destroy(job.a), SERRY_OK);
        EXPECT_EQ(serry_value_destroy(job.v), SERRY_OK);
        EXPECT_EQ(serry_list_destroy(job.l), SERRY_OK);
        EXPECT_EQ(serry_dict_destroy(job.d), SERRY_OK);
        EXPECT_EQ(join(p), 0);
    }
}

} // namespace
