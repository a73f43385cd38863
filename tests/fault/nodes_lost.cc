// ctest: slow timeout=180
/* Whoever waits at an object, of whatever kind, is told when the node of its home is lost. */
#include "fault/fault.h"

#include <thread>

using namespace serry_test;

namespace {

struct Objects {
    serry_lock held, free;
    serry_semaphore s;
    serry_event e;
    serry_barrier b;
    serry_condition c;
    serry_queue empty, full, open;
    serry_value v;
    serry_dict d;
    serry_conn a, z;
};

#define CHECKED(call) ASSERT_EQ((call), SERRY_OK) << serry_err_detail()

/* By the rank on node 1, so that all live there. */
void make(Objects &o)
{
    serry_queue_options one = {};
    int x = 0;
    one.capacity = 1;
    CHECKED(serry_lock_create(&o.held, nullptr));
    CHECKED(serry_lock_create(&o.free, nullptr));
    CHECKED(serry_semaphore_create(&o.s, 0, nullptr));
    CHECKED(serry_event_create(&o.e, nullptr));
    CHECKED(serry_barrier_create(&o.b, 100, nullptr));
    CHECKED(serry_condition_create(&o.c, o.free, nullptr));
    CHECKED(serry_queue_create(&o.empty, nullptr));
    CHECKED(serry_queue_create(&o.full, &one));
    CHECKED(serry_queue_put(o.full, &x, sizeof x, SERRY_NOWAIT));
    CHECKED(serry_queue_create(&o.open, nullptr));
    CHECKED(serry_value_create(&o.v, SERRY_INT32, &x, nullptr));
    CHECKED(serry_dict_create(&o.d, nullptr));
    CHECKED(serry_pipe_create(&o.a, &o.z, true));
    CHECKED(serry_lock_acquire(o.held, SERRY_NOWAIT));
}

void expect_lost(const char *what, serry_err e)
{
    std::string text = serry_err_detail();
    EXPECT_EQ(e, SERRY_EDIED) << what << ": " << text;
    EXPECT_TRUE(has(text, "node 1 is lost")) << what << ": " << text;
}

/* Threads of rank 0 wait at one thing each. */
void wait_at_all(const Objects &o)
{
    const std::pair<const char *, std::function<serry_err()>> waits[] = {
        { "lock", [&] { return serry_lock_acquire(o.held, SERRY_FOREVER); } },
        { "semaphore", [&] { return serry_semaphore_acquire(o.s, SERRY_FOREVER); } },
        { "event", [&] { return serry_event_wait(o.e, SERRY_FOREVER); } },
        { "barrier", [&] { return serry_barrier_wait(o.b, nullptr, SERRY_FOREVER); } },
        { "condition",
          [&] {
              serry_err e = serry_lock_acquire(o.free, SERRY_FOREVER);
              return e == SERRY_OK ? serry_condition_wait(o.c, SERRY_FOREVER) : e;
          } },
        { "get",
          [&] {
              int x;
              return serry_queue_get(o.empty, &x, sizeof x, nullptr, SERRY_FOREVER);
          } },
        { "put",
          [&] {
              int x = 1;
              return serry_queue_put(o.full, &x, sizeof x, SERRY_FOREVER);
          } },
        { "join", [&] { return serry_queue_join(o.full, SERRY_FOREVER); } },
        { "posts",
          [&] {
              int x = 1;
              serry_err e;
              while ((e = serry_queue_put(o.open, &x, sizeof x, SERRY_FOREVER)) == SERRY_OK)
                  ;
              return e;
          } },
        { "value",
          [&] {
              int x = 1;
              serry_err e;
              while ((e = serry_value_get(o.v, &x)) == SERRY_OK)
                  ;
              return e;
          } },
    };
    std::vector<std::thread> threads;
    for (const auto &w : waits)
        threads.emplace_back([&w] { expect_lost(w.first, w.second()); });
    for (std::thread &t : threads)
        t.join();
}

/* The two who have the ends go on with what needs no home, until one of them leaves. */
void talk(serry_conn c, bool leaves)
{
    int x = 5, got = 0;
    CHECKED(serry_conn_send(c, &x, sizeof x, patience(20)));
    CHECKED(serry_conn_recv(c, &got, sizeof got, nullptr, patience(20)));
    EXPECT_EQ(got, 5);
    if (leaves) {
        EXPECT_EQ(serry_conn_close(c), SERRY_EDIED);
        return;
    }
    EXPECT_EQ(serry_conn_recv(c, &got, sizeof got, nullptr, patience(20)), SERRY_EDIED)
        << serry_err_detail();
    EXPECT_EQ(serry_conn_poll(c, patience(20)), SERRY_OK);
    EXPECT_EQ(serry_conn_send(c, &x, sizeof x, patience(20)), SERRY_EDIED);
}

SERRY_RANKS_BODY(the_home_is_lost)
{
    Objects o = {};
    int x = 1;
    if (serry_rank() == 1)
        make(o);
    CHECKED(serry_world_bcast(&o, sizeof o, 1));
    if (serry_rank() == 1)
        CHECKED(serry_conn_give(o.a, 2));
    CHECKED(serry_world_barrier());
    serry_conn mine = serry_rank() == 2 ? o.a : o.z;
    if (serry_rank() == 1)
        CHECKED(serry_conn_give(o.z, 3));
    CHECKED(serry_world_barrier());
    if (serry_rank() >= 2) {
        CHECKED(serry_conn_send(mine, &x, sizeof x, SERRY_FOREVER));
        CHECKED(serry_conn_recv(mine, &x, sizeof x, nullptr, SERRY_FOREVER));
        CHECKED(serry_conn_send(mine, &x, sizeof x, SERRY_FOREVER));
        CHECKED(serry_conn_recv(mine, &x, sizeof x, nullptr, SERRY_FOREVER));
    }
    CHECKED(serry_world_barrier());
    if (serry_rank() == 0) {
        note("ready");
        wait_at_all(o);
    }
    char c;
    EXPECT_EQ(serry_recv(1, 0, &c, 1, nullptr, patience(30)), SERRY_EDIED);
    expect_lost("event", serry_event_set(o.e));
    expect_lost("dict", serry_dict_put(o.d, "k", &x, sizeof x));
    expect_lost("release", serry_semaphore_release(o.s));
    expect_lost("describe", serry_describe(o.v.id, &c, 1));
    if (serry_rank() >= 2)
        talk(mine, serry_rank() == 3);
}

TEST(NodesLost, AllWhoWaitAreTold)
{
    for (int round = 0; round < rounds(3); round++) {
        RankOptions o;
        o.launch = direct;
        o.timeout = 60;
        Ranks ranks(4, nodes, "the_home_is_lost", o);
        ASSERT_TRUE(ranks.wait_for_note("ready", patience(20)));
        pid_t agent = agent_of(ranks, 1);
        ASSERT_GT(agent, 0);
        nap(0.05, 0.2);
        ASSERT_EQ(kill(agent, SIGKILL), 0);
        RanksResult r = ranks.wait();
        ASSERT_TRUE(hand_on(r)) << r.program;
        EXPECT_FALSE(r.program.timed_out) << r.program;
        EXPECT_TRUE(r.program.left_behind.empty()) << r.program;
    }
}

} // namespace
