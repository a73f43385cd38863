// ctest: slow timeout=180
/* Several nodes, and what ends there: ranks, agents with all their members, the program itself. */
#include "fault/fault.h"

using namespace serry_test;

namespace {

class NodeFaults : public testing::TestWithParam<const char *> {
protected:
    RankOptions options()
    {
        RankOptions o;
        o.launch = direct;
        o.env["SERRY_LANES"] = GetParam();
        return o;
    }
};

INSTANTIATE_TEST_SUITE_P(Lanes, NodeFaults, testing::Values("shm", "socket"),
                         [](const auto &p) { return std::string(p.param); });

/* What comes over the lanes from one rank, until something fails. */
serry_err listen_to(int rank)
{
    char c;
    serry_err e;
    while ((e = serry_recv(rank, 0, &c, 1, nullptr, patience(20))) == SERRY_OK)
        ;
    return e;
}

serry_queue queue_on(int node, const char *name = nullptr)
{
    serry_queue q = {};
    serry_queue_options o = {};
    o.name = name;
    o.node = SERRY_NODE(node);
    EXPECT_EQ(serry_queue_create(&q, &o), SERRY_OK) << serry_err_detail();
    return q;
}

/* ---- a rank, alone on its node ---- */

/* Its node's agent lives on, and with it what lives there. */
SERRY_RANKS_BODY(a_far_rank_dies)
{
    serry_queue q = queue_on(1, "q");
    serry_lock l = {};
    serry_lock_options lo = {};
    lo.name = "l";
    lo.node = SERRY_NODE(2);
    ASSERT_EQ(serry_lock_create(&l, &lo), SERRY_OK) << serry_err_detail();
    int x = serry_rank(), sum = 0, got = 0;
    ASSERT_EQ(serry_queue_put(q, &x, sizeof x, SERRY_FOREVER), SERRY_OK) << serry_err_detail();
    if (serry_rank() == 1) {
        ASSERT_EQ(serry_lock_acquire(l, SERRY_FOREVER), SERRY_OK) << serry_err_detail();
        ASSERT_EQ(serry_world_barrier(), SERRY_OK);
        char c = 'x';
        for (int r = 0; r < serry_size(); r++) {
            if (r != 1)
                ASSERT_EQ(serry_send(r, 0, &c, 1), SERRY_OK);
        }
        raise(SIGKILL);
    }
    ASSERT_EQ(serry_world_barrier(), SERRY_OK);
    EXPECT_EQ(listen_to(1), SERRY_EDIED);
    EXPECT_STREQ(serry_err_detail(), "rank 1 was killed by signal 9");
    EXPECT_EQ(serry_send(1, 0, &x, 1), SERRY_EDIED);
    serry_err e = serry_lock_acquire(l, patience(20));
    EXPECT_TRUE(e == SERRY_OK || e == SERRY_EOWNERDIED) << serry_err_detail();
    if (e == SERRY_EOWNERDIED)
        note("owner died");
    EXPECT_EQ(serry_lock_release(l), SERRY_OK);
    if (serry_rank() == 0) {
        for (int i = 0; i < serry_size(); i++) {
            EXPECT_EQ(serry_queue_get(q, &got, sizeof got, nullptr, patience(20)), SERRY_OK)
                << serry_err_detail();
            sum += got;
        }
        EXPECT_EQ(sum, 3);
        /* The agent without a member of its own still starts nothing, but makes objects. */
        queue_on(1);
    }
    serry_process p = {};
    serry_process_info info = {};
    p.id = serry_process_self().id;
    EXPECT_EQ(serry_process_info_of(p, &info), SERRY_OK);
    EXPECT_TRUE(info.alive);
}

TEST_P(NodeFaults, ARankThatDiesOnAnotherNodeIsSeenByAll)
{
    for (int round = 0; round < rounds(5); round++) {
        RanksResult r = try_ranks(3, nodes, "a_far_rank_dies", options());
        ASSERT_TRUE(hand_on(r)) << r.program;
        EXPECT_FALSE(r.program.timed_out) << r.program;
        EXPECT_TRUE(r.program.left_behind.empty()) << r.program;
        EXPECT_EQ(r.program.code, 0) << r.program;
        EXPECT_EQ(r.notes().size(), 1u) << "told once that the lock's owner died";
    }
}

/* ---- an agent ---- */

SERRY_RANKS_BODY(node_one_is_lost)
{
    serry_queue lost = queue_on(1, "lost"), kept = queue_on(2, "kept");
    int x = serry_rank(), got = -1;
    size_t n = 0;
    ASSERT_EQ(serry_queue_put(kept, &x, sizeof x, SERRY_FOREVER), SERRY_OK);
    serry_barrier b = {};
    serry_barrier_options bo = {};
    bo.name = "b";
    bo.node = SERRY_NODE(2);
    ASSERT_EQ(serry_barrier_create(&b, 4, &bo), SERRY_OK) << serry_err_detail();
    serry_process sleeps = {};
    serry_process_options so = {};
    so.node = SERRY_NODE(1);
    auto sleep = [](const void *, size_t) -> int {
        for (;;)
            pause();
    };
    if (serry_rank() == 0)
        ASSERT_EQ(serry_process_start(&sleeps, sleep, nullptr, 0, &so), SERRY_OK);
    ASSERT_EQ(serry_world_barrier(), SERRY_OK);
    if (serry_rank() == 1)
        SERRY_IGNORE(serry_barrier_wait(b, nullptr, SERRY_FOREVER));
    for (int waiting = 0; serry_rank() == 0 && waiting == 0;)
        ASSERT_EQ(serry_barrier_waiting(b, &waiting), SERRY_OK);
    if (serry_rank() == 0)
        note("ready");
    if (serry_rank() == 2) {
        /* Parked there when it happens. */
        EXPECT_EQ(serry_queue_get(lost, &got, sizeof got, nullptr, SERRY_FOREVER), SERRY_EDIED);
        EXPECT_TRUE(has(serry_err_detail(), "lost")) << serry_err_detail();
    }
    EXPECT_EQ(listen_to(1), SERRY_EDIED) << serry_err_detail();
    EXPECT_STREQ(serry_err_detail(), "rank 1 was lost with node 1");
    EXPECT_EQ(serry_barrier_wait(b, nullptr, SERRY_FOREVER), SERRY_EBROKEN);
    EXPECT_TRUE(has(serry_err_detail(), "rank 1 was lost with node 1")) << serry_err_detail();
    if (serry_rank() == 0) {
        int code = 0;
        EXPECT_EQ(serry_process_join(sleeps, &code, SERRY_FOREVER), SERRY_OK);
        EXPECT_EQ(code, -SIGKILL);
    }
    EXPECT_EQ(serry_queue_size(lost, &n), SERRY_EDIED);
    EXPECT_TRUE(has(serry_err_detail(), "node 1 is lost")) << serry_err_detail();
    serry_queue q = {};
    serry_queue_options o = {};
    o.node = SERRY_NODE(1);
    EXPECT_EQ(serry_queue_create(&q, &o), SERRY_EDIED);
    EXPECT_TRUE(has(serry_err_detail(), "node 1 is lost")) << serry_err_detail();
    serry_process p = {};
    serry_process_options po = {};
    po.node = SERRY_NODE(1);
    EXPECT_EQ(serry_process_start(
                  &p, [](const void *, size_t) { return 0; }, nullptr, 0, &po),
              SERRY_EDIED);
    /* The rest goes on; its names are free again. */
    EXPECT_EQ(serry_queue_get(kept, &got, sizeof got, nullptr, patience(20)), SERRY_OK)
        << serry_err_detail();
    o.name = "lost";
    o.node = 0;
    EXPECT_EQ(serry_queue_create(&q, &o), SERRY_OK) << serry_err_detail();
    EXPECT_NE(q.id, lost.id);
    EXPECT_EQ(serry_queue_size(q, &n), SERRY_OK) << serry_err_detail();
}

TEST(NodeFaults, ALostNodeIsSeenByAllAndTheRestGoesOn)
{
    for (int round = 0; round < rounds(5); round++) {
        RankOptions o;
        o.launch = direct;
        Ranks ranks(3, nodes, "node_one_is_lost", o);
        ASSERT_TRUE(ranks.wait_for_note("ready", patience(10)));
        pid_t agent = agent_of(ranks, 1);
        ASSERT_GT(agent, 0);
        nap(0, 0.01);
        ASSERT_EQ(kill(agent, SIGKILL), 0);
        RanksResult r = ranks.wait();
        ASSERT_TRUE(hand_on(r)) << r.program;
        EXPECT_FALSE(r.program.timed_out) << r.program;
        EXPECT_TRUE(r.program.left_behind.empty()) << r.program;
        EXPECT_EQ(r.program.code, 0) << r.program;
    }
}

SERRY_RANKS_BODY(all_sleep)
{
    serry_queue q = queue_on(serry_nodes() - 1, "q");
    int x;
    serry_process p = {};
    serry_process_options o = {};
    for (int node = 0; node < serry_nodes() && serry_rank() == 0; node++) {
        o.node = SERRY_NODE(node);
        auto sleep = [](const void *, size_t) -> int {
            for (;;)
                pause();
        };
        ASSERT_EQ(serry_process_start(&p, sleep, nullptr, 0, &o), SERRY_OK) << serry_err_detail();
    }
    ASSERT_EQ(serry_world_barrier(), SERRY_OK);
    if (serry_rank() == 0)
        note("ready");
    SERRY_IGNORE(serry_queue_get(q, &x, sizeof x, nullptr, SERRY_FOREVER));
}

/* The agent of node 0 is the program's own: without it everything ends, everywhere. */
TEST(NodeFaults, WithoutTheFirstNodeNothingGoesOn)
{
    for (int round = 0; round < rounds(5); round++) {
        RankOptions o;
        o.launch = direct;
        Ranks ranks(4, round % 2 ? nodes2 : nodes, "all_sleep", o);
        ASSERT_TRUE(ranks.wait_for_note("ready", patience(10)));
        pid_t agent = agent_of(ranks, 0);
        ASSERT_GT(agent, 0);
        nap(0, 0.01);
        ASSERT_EQ(kill(agent, SIGKILL), 0);
        RanksResult r = ranks.wait();
        EXPECT_FALSE(r.program.timed_out) << r.program;
        EXPECT_TRUE(r.program.left_behind.empty()) << r.program;
        EXPECT_EQ(r.program.code, 70) << r.program;
        EXPECT_LT(r.program.seconds, patience(10));
    }
}

/* ---- the program ---- */

TEST_P(NodeFaults, WithoutTheFirstRankNothingGoesOn)
{
    for (int round = 0; round < rounds(5); round++) {
        Ranks ranks(4, round % 2 ? nodes2 : nodes, "all_sleep", options());
        ASSERT_TRUE(ranks.wait_for_note("ready", patience(10)));
        nap(0, 0.01);
        ASSERT_EQ(kill(ranks.pid_of(0), SIGKILL), 0);
        RanksResult r = ranks.wait();
        EXPECT_FALSE(r.program.timed_out) << r.program;
        EXPECT_TRUE(r.program.left_behind.empty()) << r.program;
        EXPECT_EQ(r.program.signal, SIGKILL) << r.program;
    }
}

SERRY_RANKS_BODY(the_first_rank_forgets_to_finalize)
{
    ASSERT_EQ(serry_world_barrier(), SERRY_OK);
    if (serry_rank() == 0)
        _exit(3);
    listen_to(0);
    for (;;)
        pause();
}

TEST_P(NodeFaults, AProgramThatForgetsFinalizeEndsEverything)
{
    for (int round = 0; round < rounds(3); round++) {
        RanksResult r = try_ranks(3, nodes, "the_first_rank_forgets_to_finalize", options());
        EXPECT_FALSE(r.program.timed_out) << r.program;
        EXPECT_TRUE(r.program.left_behind.empty()) << r.program;
        EXPECT_EQ(r.program.code, 3) << r.program;
    }
}

SERRY_RANKS_BODY(somebody_aborts)
{
    int who = atoi(getenv("SERRY_TEST_WHO")), x;
    serry_queue q = queue_on(0, "q");
    ASSERT_EQ(serry_world_barrier(), SERRY_OK);
    if (serry_rank() == who)
        serry_abort(9);
    SERRY_IGNORE(serry_queue_get(q, &x, sizeof x, nullptr, SERRY_FOREVER));
}

/* As on one node: who aborts ends with its code, everybody else is killed. */
TEST_P(NodeFaults, AnAbortEndsAllNodes)
{
    for (int who : { 0, 1, 2 }) {
        RankOptions o = options();
        o.env["SERRY_TEST_WHO"] = std::to_string(who);
        RanksResult r = try_ranks(3, nodes, "somebody_aborts", o);
        EXPECT_FALSE(r.program.timed_out) << r.program;
        EXPECT_TRUE(r.program.left_behind.empty()) << r.program;
        if (who == 0)
            EXPECT_EQ(r.program.code, 9) << r.program;
        else
            EXPECT_EQ(r.program.signal, SIGKILL) << r.program;
    }
}

/* ---- started processes, killed at any moment ---- */

SERRY_RANKS_BODY(far_processes_are_killed)
{
    for (int round = 0; round < rounds(20); round++) {
        serry_process p = {};
        serry_process_options o = {};
        o.node = SERRY_NODE((serry_node() + 1 + round) % serry_nodes());
        auto talk = [](const void *, size_t) -> int {
            serry_process_info parent;
            char c = 'x';
            if (serry_process_info_of(serry_process_parent(), &parent) != SERRY_OK)
                return 1;
            while (serry_send(parent.rank, 7, &c, 1) == SERRY_OK)
                ;
            return 2;
        };
        ASSERT_EQ(serry_process_start(&p, talk, nullptr, 0, &o), SERRY_OK) << serry_err_detail();
        serry_process_info info = {};
        ASSERT_EQ(serry_process_info_of(p, &info), SERRY_OK) << serry_err_detail();
        char c;
        int code = 0;
        double until = serry_time() + 0.002 * (round % 4);
        do {
            serry_err e = serry_recv(info.rank, 7, &c, 1, nullptr, 0.001);
            ASSERT_TRUE(e == SERRY_OK || e == SERRY_ETIMEDOUT) << serry_err_detail();
        } while (serry_time() < until);
        ASSERT_EQ(serry_process_kill(p), SERRY_OK) << serry_err_detail();
        ASSERT_EQ(serry_process_join(p, &code, patience(20)), SERRY_OK) << serry_err_detail();
        ASSERT_EQ(code, -SIGKILL);
        serry_err e;
        while ((e = serry_recv(info.rank, 7, &c, 1, nullptr, patience(20))) == SERRY_OK)
            ; /* what it had sent whole is still there */
        ASSERT_EQ(e, SERRY_EDIED) << serry_err_detail();
        ASSERT_EQ(serry_send(info.rank, 8, &c, 1), SERRY_EDIED);
    }
}

TEST_P(NodeFaults, StartedProcessesOfOtherNodesMayBeKilledAtAnyMoment)
{
    for (Lanes lanes : { nodes, nodes2 }) {
        RanksResult r =
            try_ranks(lanes == nodes ? 3 : 4, lanes, "far_processes_are_killed", options());
        ASSERT_TRUE(hand_on(r)) << r.program;
        EXPECT_TRUE(r.program.ok()) << r.program;
    }
}

} // namespace
