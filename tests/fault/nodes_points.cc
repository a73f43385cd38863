// ctest: slow nodes own timeout=300
/* Members that die at each point of their steps at objects whose home may be on another node, while
 * near and far ones step there too. */
#include "base/point.h"
#include "fault/fault.h"
#include "patterns/sync_test.h"

#include <atomic>
#include <set>

using namespace serry_test;

namespace {

constexpr int TURNS = 12, ITEMS = 64;

struct Board {
    std::atomic<int> inside, overlaps;
    std::atomic<uint8_t> taken[8][ITEMS];
    std::atomic<int> put[8]; /* items whose put has returned */
};

Board &board()
{
    return rank_memory<Board>("points");
}

struct Objects {
    serry_lock l;
    serry_semaphore s;
    serry_event e;
    serry_barrier b;
    serry_condition c;
    serry_queue q, full; /* without and with a capacity */
};

struct Job {
    Objects o;
    int point;
    bool dies;
    unsigned count;
    int me;
};

struct Item {
    int producer, seq;
};

template <class Options>
Options on_node(int node)
{
    Options o = {};
    o.node = SERRY_NODE(node);
    return o;
}

#define CHECKED(call) ASSERT_EQ((call), SERRY_OK) << serry_err_detail()

void make(Objects &o, int node)
{
    auto lock = on_node<serry_lock_options>(node);
    auto semaphore = on_node<serry_semaphore_options>(node);
    auto event = on_node<serry_event_options>(node);
    auto barrier = on_node<serry_barrier_options>(node);
    auto queue = on_node<serry_queue_options>(node);
    CHECKED(serry_lock_create(&o.l, &lock));
    CHECKED(serry_semaphore_create(&o.s, 2, &semaphore));
    CHECKED(serry_event_create(&o.e, &event));
    CHECKED(serry_barrier_create(&o.b, serry_size(), &barrier));
    CHECKED(serry_condition_create(&o.c, o.l, nullptr));
    CHECKED(serry_queue_create(&o.q, &queue));
    queue.capacity = 3;
    CHECKED(serry_queue_create(&o.full, &queue));
}

bool is(serry_err e, std::set<serry_err> allowed)
{
    if (allowed.count(e))
        return true;
    fprintf(stderr, "%s: %s\n", serry_err_name(e), serry_err_detail());
    return false;
}

/* ---- what the victims do; they return 0 if they come to the end ---- */

int work_lock(const Job &j)
{
    for (int i = 0; i < TURNS; i++) {
        serry_err e = serry_lock_acquire(j.o.l, patience(20));
        if (!is(e, { SERRY_OK, SERRY_EOWNERDIED }))
            return 1;
        if (board().inside.exchange(j.me) != 0 && e == SERRY_OK)
            board().overlaps++;
        board().inside = 0;
        if (!is(serry_lock_release(j.o.l), { SERRY_OK }))
            return 2;
    }
    return 0;
}

int work_semaphore(const Job &j)
{
    for (int i = 0; i < TURNS; i++) {
        if (!is(serry_semaphore_acquire(j.o.s, patience(20)), { SERRY_OK })
            || !is(serry_semaphore_release(j.o.s), { SERRY_OK }))
            return 1;
    }
    return 0;
}

int work_event(const Job &j)
{
    for (int i = 0; i < TURNS; i++) {
        if (!is(serry_event_wait(j.o.e, 0.001), { SERRY_OK, SERRY_ETIMEDOUT })
            || !is(serry_event_set(j.o.e), { SERRY_OK })
            || !is(serry_event_clear(j.o.e), { SERRY_OK }))
            return 1;
    }
    return 0;
}

int work_barrier(const Job &j)
{
    for (int i = 0; i < TURNS; i++) {
        /* One that dies before it has ever come is missed by nobody but the clock. */
        serry_err e = serry_barrier_wait(j.o.b, nullptr, 0.2);
        if (e == SERRY_EBROKEN || e == SERRY_ETIMEDOUT)
            return 0;
        if (!is(e, { SERRY_OK }))
            return 1;
    }
    return 0;
}

int work_condition(const Job &j)
{
    for (int i = 0; i < TURNS; i++) {
        if (!is(serry_lock_acquire(j.o.l, patience(20)), { SERRY_OK, SERRY_EOWNERDIED })
            || !is(serry_condition_notify(j.o.c, 1), { SERRY_OK })
            || !is(serry_condition_wait(j.o.c, 0.002),
                   { SERRY_OK, SERRY_ETIMEDOUT, SERRY_EOWNERDIED })
            || !is(serry_lock_release(j.o.l), { SERRY_OK }))
            return 1;
    }
    return 0;
}

int work_queue(const Job &j, serry_queue q)
{
    for (int i = 0; i < ITEMS; i++) {
        Item item = { j.me, i };
        serry_err e = serry_queue_put(q, &item, sizeof item, i % 3 ? SERRY_NOWAIT : 0.01);
        if (!is(e, { SERRY_OK, SERRY_ETIMEDOUT }))
            return 1;
        if (e == SERRY_OK)
            board().put[j.me]++;
        e = serry_queue_get(q, &item, sizeof item, nullptr, i % 3 ? SERRY_NOWAIT : 0.01);
        if (!is(e, { SERRY_OK, SERRY_ETIMEDOUT }))
            return 2;
        if (e == SERRY_OK)
            board().taken[item.producer][item.seq]++;
    }
    return 0;
}

int victim(const void *arg, size_t)
{
    Job j = *(const Job *)arg;
    if (j.dies)
        sri_point_choose(j.point, j.count);
    int result = j.point >= 70   ? work_condition(j)
                 : j.point >= 60 ? work_barrier(j)
                 : j.point >= 50 ? work_event(j)
                 : j.point >= 40 ? work_semaphore(j)
                 : j.point >= 30 ? work_lock(j)
                                 : work_queue(j, j.count % 2 ? j.o.q : j.o.full);
    sri_point_choose(0, 0);
    return result;
}

/* ---- what must be so behind them ---- */

void check_queue(serry_queue q, int killed)
{
    Item item;
    while (serry_queue_get(q, &item, sizeof item, nullptr, SERRY_NOWAIT) == SERRY_OK)
        board().taken[item.producer][item.seq]++;
    all_here();
    int puts = 0, there = 0;
    for (int r = 0; r < serry_size(); r++) {
        puts += board().put[r];
        for (auto &t : board().taken[r]) {
            EXPECT_LE(t, 1) << "of rank " << r;
            there += t;
        }
    }
    EXPECT_GE(there, puts - killed) << "each reader that died may have had one";
    EXPECT_LE(there, puts + killed) << "each writer that died may have put one";
    size_t left = 77;
    CHECKED(serry_queue_size(q, &left));
    EXPECT_EQ(left, 0u);
}

void check_all(const Objects &o)
{
    int value = -1;
    serry_err e = serry_lock_acquire(o.l, patience(20));
    EXPECT_TRUE(e == SERRY_OK || e == SERRY_EOWNERDIED) << serry_err_detail();
    CHECKED(serry_lock_release(o.l));
    EXPECT_EQ(board().overlaps, 0);
    CHECKED(serry_semaphore_value(o.s, &value));
    EXPECT_EQ(value, 2) << described(o.s.id);
    all_here();
    if (serry_rank() == 0) {
        CHECKED(serry_event_clear(o.e));
        CHECKED(serry_barrier_reset(o.b));
    }
    all_here();
    EXPECT_FALSE(serry_event_is_set(o.e));
    CHECKED(serry_barrier_wait(o.b, nullptr, patience(20)));
}

/* Of each rank one process, all at once; those of every second rank die, or all. */
void sweep(int node, int point, unsigned count, const Objects &o)
{
    SCOPED_TRACE("home on node " + std::to_string(node) + ", point " + std::to_string(point) + ":"
                 + std::to_string(count));
    bool dies = count < 3 ? serry_rank() % 2 == (int)count % 2 : true;
    serry_process p = start(victim, Job{ o, point, dies, count, serry_rank() });
    int code = join(p), killed = code == -SIGKILL, all = 0;
    EXPECT_TRUE(code == 0 || code == -SIGKILL) << code;
    CHECKED(serry_world_allreduce(&killed, &all, 1, SERRY_INT32, SERRY_SUM));
    check_all(o);
    if (point < 30)
        check_queue(count % 2 ? o.q : o.full, all);
    all_here();
    if (serry_rank() == 0) {
        for (auto &of : board().taken)
            for (auto &t : of)
                t = 0;
        for (auto &n : board().put)
            n = 0;
        board().inside = 0;
    }
    all_here();
}

void sweep_points(std::vector<int> points)
{
    for (int node = 0; node < serry_nodes(); node++) {
        Objects o = {};
        if (serry_rank() == 0)
            make(o, node);
        CHECKED(serry_world_bcast(&o, sizeof o, 0));
        for (int point : points)
            for (unsigned count : { 1u, 2u, 5u }) {
                sweep(node, point, count, o);
                ASSERT_FALSE(testing::Test::HasFailure());
            }
    }
}

SERRY_RANKS_TEST(NodesPoints, OfAQueue, .ranks({ 4 }).on(shm).timeout(120))
{
    sweep_points({ 20, 21, 22, 23, 24 });
}

SERRY_RANKS_TEST(NodesPoints, OfALock, .ranks({ 4 }).on(shm).timeout(120))
{
    sweep_points({ 30, 31, 32, 33, 34, 35, 36, 37, 38, 39 });
}

SERRY_RANKS_TEST(NodesPoints, OfASemaphore, .ranks({ 4 }).on(shm).timeout(120))
{
    sweep_points({ 40, 41, 42, 43, 44, 45, 46, 47 });
}

SERRY_RANKS_TEST(NodesPoints, OfAnEvent, .ranks({ 4 }).on(shm).timeout(120))
{
    sweep_points({ 50, 51, 52, 53 });
}

SERRY_RANKS_TEST(NodesPoints, OfABarrier, .ranks({ 4 }).on(shm).timeout(120))
{
    sweep_points({ 60, 61 });
}

SERRY_RANKS_TEST(NodesPoints, OfACondition, .ranks({ 4 }).on(shm).timeout(120))
{
    sweep_points({ 70, 71, 72, 73, 74, 75, 76, 77 });
}

} // namespace
