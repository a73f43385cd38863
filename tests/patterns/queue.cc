// ctest: queue timeout=120
/* Queues as their users see them, over both kinds of lanes. */
#include "support/started.h"

#include <cmath>
#include <cstring>
#include <numeric>
#include <thread>

using namespace serry_test;

namespace {

/* The same in every rank: by its name. */
serry_queue open_queue(const char *name, size_t capacity = 0)
{
    serry_queue q = {};
    serry_queue_options o = {};
    o.name = own_name(name);
    o.capacity = capacity;
    EXPECT_EQ(serry_queue_create(&q, &o), SERRY_OK) << serry_err_detail();
    return q;
}

serry_err put(serry_queue q, int value, double timeout = SERRY_FOREVER)
{
    return serry_queue_put(q, &value, sizeof value, timeout);
}

serry_err get(serry_queue q, int *value, double timeout = SERRY_FOREVER)
{
    return serry_queue_get(q, value, sizeof *value, nullptr, timeout);
}

int must_get(serry_queue q, double timeout = SERRY_FOREVER)
{
    int value = -1;
    EXPECT_EQ(get(q, &value, timeout), SERRY_OK) << serry_err_detail();
    return value;
}

size_t size_of(serry_queue q)
{
    size_t n = 12345;
    EXPECT_EQ(serry_queue_size(q, &n), SERRY_OK) << serry_err_detail();
    return n;
}

struct Job {
    serry_queue q, other;
    int n;
};

serry_process start(serry_process_fn fn, const Job &job)
{
    return serry_test::start<Job>(fn, job);
}

void join(serry_process p, int want = 0)
{
    EXPECT_EQ(end_of(p, SERRY_FOREVER), want);
}

/* ---- full and empty ---- */

int drain(const void *arg, size_t)
{
    Job job = *(const Job *)arg;
    for (int i = 0; i < job.n; i++)
        EXPECT_EQ(must_get(job.q), i);
    return 0;
}

SERRY_RANKS_TEST(Queue, SaysFullInEachForm, .ranks({ 1 }))
{
    serry_queue q = open_queue(nullptr, 6);
    for (int i = 0; i < 6; i++)
        EXPECT_EQ(put(q, i, i % 2 ? SERRY_FOREVER : SERRY_NOWAIT), SERRY_OK);
    EXPECT_EQ(size_of(q), 6u);
    EXPECT_EQ(put(q, 7, SERRY_NOWAIT), SERRY_ETIMEDOUT);
    EXPECT_EQ(put(q, 7, -1), SERRY_ETIMEDOUT);
    EXPECT_EQ(put(q, 7, 0.05), SERRY_ETIMEDOUT);
    EXPECT_STRNE(serry_err_detail(), "");
    EXPECT_EQ(size_of(q), 6u);
    join(start(drain, { q, {}, 6 }));
    EXPECT_EQ(size_of(q), 0u);
    EXPECT_EQ(put(q, 0, SERRY_NOWAIT), SERRY_OK);
}

SERRY_RANKS_TEST(Queue, SaysEmptyInEachForm, .ranks({ 1 }))
{
    serry_queue q = open_queue(nullptr);
    int value = 5;
    EXPECT_EQ(get(q, &value, SERRY_NOWAIT), SERRY_ETIMEDOUT);
    double begin = serry_time();
    EXPECT_EQ(get(q, &value, 0.2), SERRY_ETIMEDOUT);
    EXPECT_GE(serry_time() - begin, 0.2);
    EXPECT_EQ(value, 5);
    EXPECT_EQ(put(q, 1), SERRY_OK);
    EXPECT_EQ(must_get(q, SERRY_NOWAIT), 1);
    EXPECT_EQ(get(q, &value, SERRY_NOWAIT), SERRY_ETIMEDOUT);
}

SERRY_RANKS_TEST(Queue, SizeFollowsEachPutAndGet, .ranks({ 1 }))
{
    for (size_t capacity : { size_t(0), size_t(300) }) {
        serry_queue q = open_queue(nullptr, capacity);
        for (int round = 0; round < 3; round++) {
            for (int i = 0; i < 200; i++) {
                EXPECT_EQ(put(q, i), SERRY_OK);
                if (i % 20 == 0)
                    EXPECT_EQ(size_of(q), (size_t)i + 1);
            }
            for (int i = 0; i < 200; i++) {
                EXPECT_EQ(must_get(q), i);
                if (i % 20 == 0)
                    EXPECT_EQ(size_of(q), (size_t)199 - i);
            }
        }
    }
}

/* All ranks put until it is full: not one more, not one less. */
SERRY_RANKS_TEST(Queue, HoldsExactlyItsCapacity, .ranks({ 2, 3, 7 }))
{
    for (int capacity : { 1, 2, 5, 64, 1000 }) {
        std::string name = "exact " + std::to_string(capacity);
        serry_queue q = open_queue(name.c_str(), (size_t)capacity);
        barrier();
        int mine = 0;
        serry_err e;
        while ((e = put(q, mine, SERRY_NOWAIT)) == SERRY_OK)
            mine++;
        EXPECT_EQ(e, SERRY_ETIMEDOUT);
        int all = 0;
        ASSERT_EQ(serry_world_allreduce(&mine, &all, 1, SERRY_INT32, SERRY_SUM), SERRY_OK);
        EXPECT_EQ(all, capacity);
        EXPECT_EQ(size_of(q), (size_t)capacity);
        barrier();
    }
}

/* All ranks get until it is empty: none is overlooked, none comes twice. */
SERRY_RANKS_TEST(Queue, GivesOutExactlyWhatIsInIt, .ranks({ 2, 3, 7 }))
{
    for (int n : { 1, 2, 5, 64, 1000 }) {
        serry_queue q = open_queue(("out " + std::to_string(n)).c_str());
        if (serry_rank() == 0) {
            for (int i = 0; i < n; i++)
                EXPECT_EQ(put(q, i), SERRY_OK);
        }
        barrier();
        int sums[2] = {}, all[2] = {}, value;
        serry_err e;
        while ((e = get(q, &value, SERRY_NOWAIT)) == SERRY_OK) {
            sums[0]++;
            sums[1] += value;
        }
        EXPECT_EQ(e, SERRY_ETIMEDOUT);
        ASSERT_EQ(serry_world_allreduce(sums, all, 2, SERRY_INT32, SERRY_SUM), SERRY_OK);
        EXPECT_EQ(all[0], n);
        EXPECT_EQ(all[1], n * (n - 1) / 2);
    }
}

SERRY_RANKS_TEST(Queue, KeepsNoItemWithAReaderThatStopped, .ranks({ 2 }))
{
    serry_queue q = open_queue("stopped");
    const int n = 2000, taken = 300;
    if (serry_rank() == 0) {
        for (int i = 0; i < n; i++)
            EXPECT_EQ(put(q, i), SERRY_OK);
        for (int i = 0; i < taken; i++) /* quickly, so that it is fed ahead */
            EXPECT_EQ(must_get(q), i);
        EXPECT_EQ(size_of(q), (size_t)(n - taken));
    }
    barrier();
    if (serry_rank() == 1) {
        long sum = 0;
        for (int i = taken; i < n; i++)
            sum += must_get(q, SERRY_NOWAIT);
        EXPECT_EQ(sum, (long)(n + taken - 1) * (n - taken) / 2);
    }
    barrier();
    int value;
    EXPECT_EQ(get(q, &value, SERRY_NOWAIT), SERRY_ETIMEDOUT);
}

SERRY_RANKS_TEST(Queue, KeepsNoRoomForAWriterThatStopped, .ranks({ 2 }))
{
    serry_queue q = open_queue("room", 100);
    if (serry_rank() == 0)
        EXPECT_EQ(put(q, 0), SERRY_OK);
    barrier();
    if (serry_rank() == 1) {
        for (int i = 1; i < 100; i++)
            EXPECT_EQ(put(q, i, SERRY_NOWAIT), SERRY_OK) << i;
        EXPECT_EQ(put(q, 100, SERRY_NOWAIT), SERRY_ETIMEDOUT);
    }
    barrier();
    if (serry_rank() == 0) {
        for (int i = 0; i < 100; i++)
            EXPECT_EQ(must_get(q, SERRY_NOWAIT), i);
    }
}

/* What one has put is there for whoever has heard of it since. */
SERRY_RANKS_TEST(Queue, AgreesWithMessages, .ranks({ 2, 3 }))
{
    serry_queue q = open_queue("causal");
    int last = serry_size() - 1;
    for (int i = 0; i < 200; i++) {
        if (serry_rank() == last) {
            EXPECT_EQ(put(q, i), SERRY_OK);
            EXPECT_EQ(serry_send(0, 0, nullptr, 0), SERRY_OK);
            EXPECT_EQ(serry_recv(0, 0, nullptr, 0, nullptr, SERRY_FOREVER), SERRY_OK);
        } else if (serry_rank() == 0) {
            EXPECT_EQ(serry_recv(last, 0, nullptr, 0, nullptr, SERRY_FOREVER), SERRY_OK);
            if (i % 3 == 0)
                EXPECT_EQ(size_of(q), 1u);
            EXPECT_EQ(must_get(q, SERRY_NOWAIT), i);
            EXPECT_EQ(serry_send(last, 0, nullptr, 0), SERRY_OK);
        }
    }
}

/* Slow turns: nothing is fed ahead, so all readers see one line. */
SERRY_RANKS_TEST(Queue, IsFirstInFirstOutForReadersThatTakeTurns, .ranks({ 2, 3 }))
{
    serry_queue q = open_queue("turns");
    const int each = 5;
    if (serry_rank() == 0) {
        for (int i = 0; i < each * serry_size(); i++)
            EXPECT_EQ(put(q, i), SERRY_OK);
    }
    for (int i = 0; i < each * serry_size(); i++) {
        barrier();
        if (i % serry_size() == serry_rank())
            EXPECT_EQ(must_get(q), i);
    }
}

/* ---- bytes ---- */

SERRY_RANKS_TEST(Queue, CarriesItemsOfAnySize, .ranks({ 1, 2 }))
{
    serry_queue q = open_queue("sizes", 4);
    std::vector<size_t> sizes = { 0,       1,     7,     8,     231,   232,      233,
                                  4000,    8150,  8151,  8152,  8160,  8176,     8177,
                                  16384,   16400, 65535, 65536, 65537, 1u << 20, (1u << 20) + 1,
                                  5u << 20 };
    if (serry_rank() == serry_size() - 1 && serry_size() > 1) {
        for (size_t n : sizes) {
            std::vector<char> item(n);
            for (size_t i = 0; i < n; i++)
                item[i] = (char)(i * 31 + i / 256 + n);
            EXPECT_EQ(serry_queue_put(q, item.data(), n, SERRY_FOREVER), SERRY_OK);
        }
    }
    for (size_t n : sizes) {
        if (serry_rank() != 0)
            break;
        std::vector<char> item(n), back(6u << 20);
        for (size_t i = 0; i < n; i++)
            item[i] = (char)(i * 31 + i / 256 + n);
        if (serry_size() == 1)
            EXPECT_EQ(serry_queue_put(q, item.data(), n, SERRY_FOREVER), SERRY_OK);
        size_t len = 99;
        ASSERT_EQ(serry_queue_get(q, back.data(), back.size(), &len, SERRY_FOREVER), SERRY_OK);
        ASSERT_EQ(len, n);
        EXPECT_TRUE(n == 0 || memcmp(item.data(), back.data(), n) == 0) << n;
    }
}

SERRY_RANKS_TEST(Queue, LeavesAnItemThatDoesNotFitToTheNext, .ranks({ 1, 2 }))
{
    serry_queue q = open_queue("fit");
    char small[4];
    char large[64] = {};
    size_t len = 7;
    if (serry_rank() == 0) {
        EXPECT_EQ(serry_queue_put(q, "0123456789", 10, SERRY_FOREVER), SERRY_OK);
        EXPECT_EQ(serry_queue_put(q, "abc", 3, SERRY_FOREVER), SERRY_OK);
        EXPECT_EQ(serry_queue_get(q, small, sizeof small, &len, SERRY_FOREVER), SERRY_ETRUNC);
        EXPECT_EQ(len, 10u);
        EXPECT_EQ(serry_queue_get(q, large, 9, nullptr, SERRY_FOREVER), SERRY_EINVAL);
        EXPECT_EQ(serry_queue_get(q, large, 11, nullptr, SERRY_NOWAIT), SERRY_EINVAL);
        EXPECT_EQ(serry_queue_get(q, nullptr, 0, &len, SERRY_NOWAIT), SERRY_ETRUNC);
        EXPECT_EQ(size_of(q), 2u);
    }
    barrier();
    if (serry_rank() == serry_size() - 1) {
        EXPECT_EQ(serry_queue_get(q, large, sizeof large, &len, SERRY_NOWAIT), SERRY_OK);
        EXPECT_EQ(std::string(large, len), "0123456789");
        EXPECT_EQ(serry_queue_get(q, small, sizeof small, &len, SERRY_NOWAIT), SERRY_OK);
        EXPECT_EQ(std::string(small, len), "abc");
    }
}

/* ---- waiting, and what ends it ---- */

enum { TAG_READY = 1 };

int take_one(const void *arg, size_t)
{
    Job job = *(const Job *)arg;
    int value = -1;
    EXPECT_EQ(serry_send(0, TAG_READY, nullptr, 0), SERRY_OK);
    serry_err e = get(job.q, &value);
    return e == SERRY_OK ? value : 100 + (int)e;
}

int put_one(const void *arg, size_t)
{
    Job job = *(const Job *)arg;
    EXPECT_EQ(serry_send(0, TAG_READY, nullptr, 0), SERRY_OK);
    return 100 + (int)put(job.q, job.n);
}

void await_ready(int n = 1)
{
    for (int i = 0; i < n; i++)
        EXPECT_EQ(serry_recv(SERRY_ANY, TAG_READY, nullptr, 0, nullptr, SERRY_FOREVER), SERRY_OK);
}

SERRY_RANKS_TEST(Queue, APutEndsAGetThatWaits, .ranks({ 1 }))
{
    for (int i = 0; i < 20; i++) {
        serry_queue q = open_queue(nullptr, (size_t)i % 3);
        serry_process p = start(take_one, { q, {}, 0 });
        await_ready();
        EXPECT_EQ(put(q, 42), SERRY_OK);
        join(p, 42);
    }
}

SERRY_RANKS_TEST(Queue, AGetEndsAPutThatWaits, .ranks({ 1 }))
{
    for (int i = 0; i < 20; i++) {
        serry_queue q = open_queue(nullptr, 1);
        EXPECT_EQ(put(q, 1), SERRY_OK);
        serry_process p = start(put_one, { q, {}, 2 });
        await_ready();
        EXPECT_EQ(must_get(q), 1);
        EXPECT_EQ(must_get(q), 2);
        join(p, 100);
    }
}

SERRY_RANKS_TEST(Queue, ClosingEndsEveryWait, .ranks({ 1 }))
{
    serry_queue full = open_queue(nullptr, 1), empty = open_queue(nullptr);
    EXPECT_EQ(put(full, 7), SERRY_OK);
    serry_process ps[] = { start(put_one, { full, {}, 2 }), start(put_one, { full, {}, 3 }),
                           start(take_one, { empty, {}, 0 }), start(take_one, { empty, {}, 0 }) };
    await_ready(4);
    EXPECT_EQ(serry_queue_close(full), SERRY_OK);
    EXPECT_EQ(serry_queue_close(empty), SERRY_OK);
    for (serry_process p : ps)
        join(p, 100 + SERRY_ECLOSED);
    EXPECT_EQ(must_get(full), 7);
}

SERRY_RANKS_TEST(Queue, DestroyingEndsEveryWait, .ranks({ 1 }))
{
    serry_queue full = open_queue(nullptr, 1), empty = open_queue(nullptr);
    EXPECT_EQ(put(full, 7), SERRY_OK);
    serry_process ps[] = { start(put_one, { full, {}, 2 }), start(put_one, { full, {}, 3 }),
                           start(take_one, { empty, {}, 0 }), start(take_one, { empty, {}, 0 }) };
    await_ready(4);
    EXPECT_EQ(serry_queue_destroy(full), SERRY_OK);
    EXPECT_EQ(serry_queue_destroy(empty), SERRY_OK);
    for (serry_process p : ps)
        join(p, 100 + SERRY_EHANDLE);
}

SERRY_RANKS_TEST(Queue, IsClosedForAllWhoHaveHeardOfIt, .ranks({ 2, 3 }))
{
    for (size_t capacity : { size_t(0), size_t(10) }) {
        serry_queue q = open_queue(capacity ? "closed 10" : "closed", capacity);
        EXPECT_EQ(put(q, serry_rank()), SERRY_OK);
        barrier();
        if (serry_rank() == 0) {
            EXPECT_EQ(serry_queue_close(q), SERRY_OK);
            EXPECT_EQ(serry_queue_close(q), SERRY_OK);
        }
        barrier();
        EXPECT_EQ(put(q, 1), SERRY_ECLOSED);
        EXPECT_EQ(put(q, 1, SERRY_NOWAIT), SERRY_ECLOSED);
        barrier();
        int value, mine = 0, all = 0;
        serry_err e;
        while ((e = get(q, &value)) == SERRY_OK)
            mine++;
        EXPECT_EQ(e, SERRY_ECLOSED);
        EXPECT_EQ(get(q, &value, SERRY_NOWAIT), SERRY_ECLOSED);
        ASSERT_EQ(serry_world_allreduce(&mine, &all, 1, SERRY_INT32, SERRY_SUM), SERRY_OK);
        EXPECT_EQ(all, serry_size());
    }
}

/* ---- processes ---- */

int add_twenty(const void *arg, size_t)
{
    Job job = *(const Job *)arg;
    for (int i = 10; i < 20; i++)
        EXPECT_EQ(put(job.q, i), SERRY_OK);
    return 0;
}

SERRY_RANKS_TEST(Queue, TakesItemsOfParentAndChild, .ranks({ 1 }))
{
    serry_queue q = open_queue(nullptr);
    for (int i = 0; i < 10; i++)
        EXPECT_EQ(put(q, i), SERRY_OK);
    join(start(add_twenty, { q, {}, 0 }));
    for (int i = 0; i < 20; i++)
        EXPECT_EQ(must_get(q, SERRY_NOWAIT), i);
    int value;
    EXPECT_EQ(get(q, &value, SERRY_NOWAIT), SERRY_ETIMEDOUT);
}

int grandchild(const void *arg, size_t)
{
    Job job = *(const Job *)arg;
    return put(job.other, must_get(job.q) * 2) == SERRY_OK ? 0 : 1;
}

int child(const void *arg, size_t)
{
    join(start(grandchild, *(const Job *)arg));
    return 0;
}

SERRY_RANKS_TEST(Queue, ReachesAChildOfAChild, .ranks({ 1, 2 }))
{
    serry_queue q = open_queue(nullptr), other = open_queue(nullptr);
    EXPECT_EQ(put(q, 21), SERRY_OK);
    /* A handle is a value: it may travel in a queue. */
    serry_queue carrier = open_queue(nullptr);
    EXPECT_EQ(serry_queue_put(carrier, &other, sizeof other, SERRY_FOREVER), SERRY_OK);
    serry_queue carried;
    EXPECT_EQ(serry_queue_get(carrier, &carried, sizeof carried, nullptr, SERRY_FOREVER), SERRY_OK);
    serry_process p = start(child, { q, carried, 0 });
    EXPECT_EQ(must_get(other), 42);
    join(p);
}

int worker(const void *arg, size_t)
{
    Job job = *(const Job *)arg;
    int value;
    while (get(job.q, &value) == SERRY_OK && value >= 0) {
        EXPECT_EQ(put(job.other, value), SERRY_OK);
        EXPECT_EQ(serry_queue_task_done(job.q), SERRY_OK);
    }
    return 0;
}

SERRY_RANKS_TEST(Queue, JoinWaitsUntilAllIsDone, .ranks({ 1 }))
{
    serry_queue q = open_queue(nullptr), done = open_queue(nullptr);
    Job job = { q, done, 0 };
    serry_process ps[4];
    EXPECT_EQ(serry_queue_join(q, SERRY_NOWAIT), SERRY_OK);
    EXPECT_EQ(serry_queue_task_done(q), SERRY_EINVAL);
    for (serry_process &p : ps)
        p = start(worker, job);
    for (int round = 0; round < 5; round++) {
        for (int i = 0; i < 10; i++)
            EXPECT_EQ(put(q, i), SERRY_OK);
        EXPECT_EQ(serry_queue_join(q, SERRY_FOREVER), SERRY_OK);
        EXPECT_EQ(size_of(done), 10u * ((size_t)round + 1));
    }
    EXPECT_EQ(serry_queue_task_done(q), SERRY_EINVAL);
    for (int i = 0; i < 4; i++)
        EXPECT_EQ(put(q, -1), SERRY_OK);
    for (serry_process p : ps)
        join(p);
    EXPECT_EQ(serry_queue_join(q, SERRY_NOWAIT), SERRY_ETIMEDOUT);
    EXPECT_EQ(serry_queue_join(q, 0.05), SERRY_ETIMEDOUT);
    for (int i = 0; i < 4; i++)
        EXPECT_EQ(serry_queue_task_done(q), SERRY_OK);
    EXPECT_EQ(serry_queue_join(q, SERRY_NOWAIT), SERRY_OK);
}

/* ---- bad input ---- */

SERRY_RANKS_TEST(Queue, RefusesBadArguments, .ranks({ 1 }))
{
    serry_queue q = open_queue(nullptr, 3), zero = {}, foreign = { q.id + 1 };
    serry_queue process = { serry_process_self().id };
    char byte = 0;
    size_t n = 0;
    EXPECT_EQ(serry_queue_put(q, nullptr, 1, 1), SERRY_EINVAL);
    EXPECT_EQ(serry_queue_put(q, &byte, 1, NAN), SERRY_EINVAL);
    EXPECT_EQ(serry_queue_get(q, nullptr, 1, &n, 1), SERRY_EINVAL);
    EXPECT_EQ(serry_queue_get(q, &byte, 1, &n, NAN), SERRY_EINVAL);
    EXPECT_EQ(serry_queue_join(q, NAN), SERRY_EINVAL);
    EXPECT_EQ(serry_queue_create(nullptr, nullptr), SERRY_EINVAL);
    for (serry_queue bad : { zero, foreign, process }) {
        EXPECT_EQ(serry_queue_put(bad, &byte, 1, 1), SERRY_EHANDLE);
        EXPECT_EQ(serry_queue_get(bad, &byte, 1, &n, 1), SERRY_EHANDLE);
        EXPECT_EQ(serry_queue_size(bad, &n), SERRY_EHANDLE);
        EXPECT_EQ(serry_queue_task_done(bad), SERRY_EHANDLE);
        EXPECT_EQ(serry_queue_join(bad, 1), SERRY_EHANDLE);
        EXPECT_EQ(serry_queue_close(bad), SERRY_EHANDLE);
        EXPECT_EQ(serry_queue_destroy(bad), SERRY_EHANDLE);
        EXPECT_STRNE(serry_err_detail(), "");
    }
    EXPECT_EQ(put(q, 1), SERRY_OK); /* the world is usable */
    EXPECT_EQ(must_get(q), 1);
}

SERRY_RANKS_TEST(Queue, RefusesBadOptions, .ranks({ 1 }))
{
    serry_queue_options o = {};
    serry_queue q = { 77 };
    std::string longest(63, 'x'), longer(64, 'x');
    o.name = longer.c_str();
    EXPECT_EQ(serry_queue_create(&q, &o), SERRY_EINVAL);
    o.name = "";
    EXPECT_EQ(serry_queue_create(&q, &o), SERRY_EINVAL);
    o.name = nullptr;
    o.node = SERRY_NODE(99);
    EXPECT_EQ(serry_queue_create(&q, &o), SERRY_EINVAL);
    EXPECT_EQ(q.id, 77u);
    o.node = SERRY_NODE(serry_node());
    o.name = longest.c_str();
    EXPECT_EQ(serry_queue_create(&q, &o), SERRY_OK);
}

SERRY_RANKS_TEST(Queue, IsTheSameUnderTheSameName, .ranks({ 1, 2, 7 }))
{
    serry_queue a = open_queue("shared", 9), b = open_queue("shared", 9);
    EXPECT_EQ(a.id, b.id);
    EXPECT_NE(open_queue("other").id, a.id);
    serry_queue_options o = {};
    o.name = own_name("shared");
    o.capacity = 8;
    serry_queue q = { 77 };
    EXPECT_EQ(serry_queue_create(&q, &o), SERRY_EINVAL);
    EXPECT_EQ(q.id, 77u);
    uint64_t low, high, mine = a.id >> 1;
    ASSERT_EQ(serry_world_allreduce(&mine, &low, 1, SERRY_INT64, SERRY_MIN), SERRY_OK);
    ASSERT_EQ(serry_world_allreduce(&mine, &high, 1, SERRY_INT64, SERRY_MAX), SERRY_OK);
    EXPECT_EQ(low, high);
}

SERRY_RANKS_TEST(Queue, IsStaleForAllOnceDestroyed, .ranks({ 1, 2, 3 }))
{
    for (int i = 0; i < 30; i++) {
        serry_queue q = open_queue(("stale " + std::to_string(i)).c_str(), (size_t)i % 2 * 5);
        int value;
        EXPECT_EQ(put(q, 1), SERRY_OK);
        EXPECT_EQ(get(q, &value), SERRY_OK);
        EXPECT_EQ(put(q, 1), SERRY_OK);
        barrier();
        if (serry_rank() == 0)
            EXPECT_EQ(serry_queue_destroy(q), SERRY_OK);
        barrier();
        EXPECT_EQ(put(q, 1), SERRY_EHANDLE);
        EXPECT_EQ(get(q, &value), SERRY_EHANDLE);
        EXPECT_EQ(get(q, &value, SERRY_NOWAIT), SERRY_EHANDLE);
        EXPECT_EQ(serry_queue_destroy(q), SERRY_EHANDLE);
    }
}

SERRY_RANKS_TEST(Queue, RefusesAnItemBeyondTheLimit, .ranks({ 1 }).env("SERRY_MAX_MESSAGE", "1000"))
{
    serry_queue q = open_queue(nullptr);
    std::vector<char> item(1001);
    EXPECT_EQ(serry_queue_put(q, item.data(), 1001, 1), SERRY_ELIMIT);
    EXPECT_EQ(serry_queue_put(q, item.data(), 1000, 1), SERRY_OK);
    EXPECT_EQ(serry_queue_get(q, item.data(), 1000, nullptr, 1), SERRY_OK);
}

} // namespace
