/* patterns/nodes_mixed_test.h: what the tests of near and far members at the same objects share: a
 * board, and objects with a home on a node of the test's choice. */
#ifndef SERRY_NODES_MIXED_TEST_H
#define SERRY_NODES_MIXED_TEST_H

#include "patterns/sync_test.h"

#include <atomic>
#include <functional>
#include <random>
#include <time.h>

namespace nodes_mixed_test {

using namespace serry_test;

constexpr int ITEMS = 400; /* of each producer, in a round */

struct Board {
    std::atomic<int> stop, inside, most, turn;
    std::atomic<long> told, entered;
    volatile long plain; /* changed only under a lock */
    std::atomic<uint8_t> taken[64][ITEMS];
    std::atomic<int> rounds[64];
};

inline Board &board()
{
    return rank_memory<Board>("mixed");
}

inline void clear_board()
{
    Board &b = board();
    b.stop = b.inside = b.most = b.turn = 0;
    b.told = b.entered = 0;
    b.plain = 0;
    for (auto &producer : b.taken)
        for (auto &t : producer)
            t = 0;
    for (auto &r : b.rounds)
        r = 0;
}

inline int rounds(int quick)
{
    const char *text = getenv("SERRY_TEST_ROUNDS");
    return text && atoi(text) > 0 ? atoi(text) : quick;
}

inline void nap(double least, double most)
{
    static std::mt19937 dice((unsigned)(getpid() * 7919));
    double s = std::uniform_real_distribution<double>(least, most)(dice);
    timespec t = { (time_t)s, (long)((s - (double)(time_t)s) * 1e9) };
    nanosleep(&t, nullptr);
}

/* The same handle, made by rank 0, in all ranks. */
template <class Handle>
Handle shared_by_all(const std::function<serry_err(Handle *)> &make)
{
    Handle h = {};
    if (serry_rank() == 0)
        EXPECT_EQ(make(&h), SERRY_OK) << serry_err_detail();
    EXPECT_EQ(serry_world_bcast(&h, sizeof h, 0), SERRY_OK) << serry_err_detail();
    return h;
}

/* With its home on that node. */
template <class Options>
Options at_node(int node)
{
    Options o = {};
    o.node = SERRY_NODE(node);
    return o;
}

inline serry_lock make_lock(int node)
{
    auto o = at_node<serry_lock_options>(node);
    return shared_by_all<serry_lock>([&](serry_lock *l) { return serry_lock_create(l, &o); });
}

inline serry_semaphore make_semaphore(int node, int value)
{
    auto o = at_node<serry_semaphore_options>(node);
    return shared_by_all<serry_semaphore>(
        [&](serry_semaphore *s) { return serry_semaphore_create(s, value, &o); });
}

inline serry_event make_event(int node)
{
    auto o = at_node<serry_event_options>(node);
    return shared_by_all<serry_event>([&](serry_event *e) { return serry_event_create(e, &o); });
}

inline serry_queue make_queue(int node, size_t capacity)
{
    auto o = at_node<serry_queue_options>(node);
    o.capacity = capacity;
    return shared_by_all<serry_queue>([&](serry_queue *q) { return serry_queue_create(q, &o); });
}

inline serry_barrier make_barrier(int node, int parties)
{
    auto o = at_node<serry_barrier_options>(node);
    return shared_by_all<serry_barrier>(
        [&](serry_barrier *b) { return serry_barrier_create(b, parties, &o); });
}

inline serry_value make_value(int node)
{
    auto o = at_node<serry_shared_options>(node);
    int64_t zero = 0;
    return shared_by_all<serry_value>(
        [&](serry_value *v) { return serry_value_create(v, SERRY_INT64, &zero, &o); });
}

inline void for_each_home(const std::function<void(int node)> &body)
{
    for (int node = 0; node < serry_nodes() && !testing::Test::HasFailure(); node++) {
        SCOPED_TRACE("home on node " + std::to_string(node));
        if (serry_rank() == 0)
            clear_board();
        all_here();
        body(node);
        all_here();
    }
}

#define CHECKED(call) ASSERT_EQ((call), SERRY_OK) << serry_err_detail()

} // namespace nodes_mixed_test

#endif
