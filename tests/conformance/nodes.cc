// ctest: process timeout=120
/* Several nodes: processes on any of them, names known to all, objects used from afar, and an end
 * that leaves nothing behind anywhere. */
#include "conformance/process_test.h"

#include <algorithm>
#include <set>

using namespace serry_test;

namespace {

/* Three ranks on a node of their own each, and four on two nodes. */
#define NODES_TEST(name, ...)                                                                      \
    static void nodes_body_##name();                                                               \
    static const bool nodes_added_##name = [] {                                                    \
        using namespace serry_test;                                                                \
        Cases own = Cases().ranks({ 3 }).on(nodes).directly().in_own_world() __VA_ARGS__;          \
        Cases two = Cases().ranks({ 4 }).on(nodes2).directly().in_own_world() __VA_ARGS__;         \
        Cases sockets = Cases(own).env("SERRY_LANES", "socket");                                   \
        return add_ranks_test("Nodes", #name, __FILE__, __LINE__, nodes_body_##name, own)          \
               && add_ranks_test("NodesByTwo", #name, __FILE__, __LINE__, nodes_body_##name, two)  \
               && add_ranks_test("NodesOverSockets", #name, __FILE__, __LINE__, nodes_body_##name, \
                                 sockets);                                                         \
    }();                                                                                           \
    static void nodes_body_##name()

int next_node()
{
    return (serry_node() + 1) % serry_nodes();
}

serry_process start_on(int node, serry_process_fn fn, bool daemon = false)
{
    serry_process_options o = {};
    o.node = node < 0 ? node : SERRY_NODE(node);
    o.daemon = daemon;
    return start(fn, nullptr, 0, &o);
}

void all_together()
{
    ASSERT_EQ(serry_world_barrier(), SERRY_OK) << serry_err_detail();
}

/* ---- processes ---- */

struct Who {
    int rank, node;
    pid_t pid;
    serry_process self, parent;
};

int say_where(const void *, size_t)
{
    Who w = { serry_rank(), serry_node(), getpid(), serry_process_self(), serry_process_parent() };
    tell(info_of(w.parent).rank, 3, w);
    return 40 + serry_node();
}

NODES_TEST(AProcessRunsWhereItIsAskedTo)
{
    for (int node = 0; node < serry_nodes(); node++) {
        serry_process p = start_on(node, say_where);
        Who w = hear<Who>(SERRY_ANY, 3);
        EXPECT_EQ(w.node, node);
        EXPECT_EQ(w.self.id, p.id);
        EXPECT_EQ(w.parent.id, serry_process_self().id);
        EXPECT_EQ((w.rank - serry_size()) % serry_nodes(), node);
        EXPECT_EQ(join(p), 40 + node);
        serry_process_info info = info_of(p);
        EXPECT_FALSE(info.alive);
        EXPECT_EQ(info.rank, w.rank);
        EXPECT_EQ(std::string(info.name), "Process-" + std::to_string(node + 1));
    }
    EXPECT_EQ(children(), 0u);
}

NODES_TEST(OneOnAnotherNodeIsAChildLikeAnyOther)
{
    serry_process p = start_on(next_node(), sleeper);
    pid_t pid = hear<pid_t>(SERRY_ANY, 1);
    serry_process_info info = info_of(p);
    EXPECT_TRUE(info.alive);
    EXPECT_EQ(info.pid, pid);
    EXPECT_TRUE(serry_process_is_alive(p));
    EXPECT_EQ(children(), 1u);
    serry_process child;
    EXPECT_EQ(serry_process_children(&child, 1), 1u);
    EXPECT_EQ(child.id, p.id);
    EXPECT_EQ(serry_process_join(p, nullptr, SERRY_NOWAIT), SERRY_ETIMEDOUT);
    EXPECT_EQ(serry_process_join(p, nullptr, 0.02), SERRY_ETIMEDOUT);
    EXPECT_EQ(serry_process_terminate(p), SERRY_OK) << serry_err_detail();
    EXPECT_EQ(join(p), -SIGTERM);
    EXPECT_EQ(serry_process_kill(p), SERRY_ESTATE);
    EXPECT_FALSE(serry_process_is_alive(p));
    EXPECT_EQ(children(), 0u);
}

/* All nodes are as full as each other when they have all got one more. */
NODES_TEST(OnAnyNodeMeansTheLeastLoaded)
{
    if (serry_rank() == 0) {
        std::vector<serry_process> ps;
        std::multiset<int> on;
        for (int i = 0; i < 2 * serry_nodes(); i++) {
            ps.push_back(start_on(SERRY_ANY, sleeper));
            hear<pid_t>(SERRY_ANY, 1);
            on.insert((info_of(ps.back()).rank - serry_size()) % serry_nodes());
        }
        for (int node = 0; node < serry_nodes(); node++)
            EXPECT_EQ(on.count(node), 2u) << "node " << node;
        for (serry_process p : ps) {
            EXPECT_EQ(serry_process_kill(p), SERRY_OK);
            EXPECT_EQ(join(p), -SIGKILL);
        }
    }
    all_together();
}

NODES_TEST(ThereAreNoOtherNodes)
{
    serry_process p = { 77 };
    serry_queue q = { 77 };
    for (int node : { SERRY_NODE(serry_nodes()), SERRY_NODE(1000), -2 }) {
        serry_process_options po = {};
        serry_queue_options qo = {};
        po.node = qo.node = node;
        EXPECT_EQ(serry_process_start(&p, say_where, nullptr, 0, &po), SERRY_EINVAL) << node;
        EXPECT_EQ(serry_queue_create(&q, &qo), SERRY_EINVAL) << node;
        qo.name = "nowhere";
        EXPECT_EQ(serry_queue_create(&q, &qo), SERRY_EINVAL) << node;
        EXPECT_NE(std::string(serry_err_detail()).find("node"), std::string::npos);
    }
    EXPECT_EQ(p.id, 77u);
    EXPECT_EQ(q.id, 77u);
}

int wait_for_word(const void *, size_t)
{
    int parent = info_of(serry_process_parent()).rank;
    tell(parent, 1, serry_rank());
    return hear<int>(parent, 2);
}

NODES_TEST(TheFirstToEndIsFoundOnAnyNode)
{
    std::vector<serry_process> ps;
    std::vector<int> ranks;
    for (int node = 0; node < serry_nodes(); node++) {
        ps.push_back(start_on(node, wait_for_word));
        ranks.push_back(info_of(ps.back()).rank);
        EXPECT_EQ(hear<int>(ranks.back(), 1), ranks.back());
    }
    for (int node = serry_nodes(); node-- > 0;) {
        size_t which = 99;
        EXPECT_EQ(serry_process_wait_any(ps.data(), ps.size(), &which, 0.01), SERRY_ETIMEDOUT);
        tell(ranks[node], 2, 10 + node);
        ASSERT_EQ(serry_process_wait_any(ps.data(), ps.size(), &which, patience(20)), SERRY_OK);
        ASSERT_EQ((int)which, node);
        EXPECT_EQ(join(ps[which]), 10 + node);
        ps.resize(node);
    }
}

/* A handle that has come by message can be used at once, whoever gave it. */
NODES_TEST(AnybodyMayJoinAndEndAProcess)
{
    int next = (serry_rank() + 1) % serry_size();
    int before = (serry_rank() + serry_size() - 1) % serry_size();
    for (int round = 0; round < 20; round++) {
        serry_process mine = start_on(next_node(), sleeper);
        tell(next, 4, mine);
        serry_process theirs = hear<serry_process>(before, 4);
        EXPECT_TRUE(info_of(theirs).alive);
        EXPECT_EQ(serry_process_kill(theirs), SERRY_OK) << serry_err_detail();
        EXPECT_EQ(join(theirs), -SIGKILL);
        EXPECT_EQ(join(mine), -SIGKILL);
    }
    all_together();
    serry_status st;
    pid_t pid;
    while (serry_recv(SERRY_ANY, 1, &pid, sizeof pid, &st, SERRY_NOWAIT) != SERRY_ETIMEDOUT)
        ; /* of those who came as far as saying that they were there */
}

int start_a_daemon_elsewhere(const void *, size_t)
{
    serry_process d = start_on(next_node(), sleeper, true);
    hear<pid_t>(SERRY_ANY, 1);
    tell(hear<int>(SERRY_ANY, 5), 6, d);
    return 3;
}

NODES_TEST(ADaemonEndsWithItsParentOnAnotherNode)
{
    serry_process p = start_on(next_node(), start_a_daemon_elsewhere);
    int rank = info_of(p).rank;
    tell(rank, 5, serry_rank());
    serry_process d = hear<serry_process>(rank, 6);
    EXPECT_EQ(join(p), 3);
    EXPECT_EQ(join(d), -SIGTERM);
}

int count_down(const void *arg, size_t len)
{
    int left = argument<int>(arg, len);
    serry_process_options o = {};
    o.node = SERRY_NODE(next_node());
    if (left == 0)
        return 1;
    EXPECT_STRNE(info_of(serry_process_self()).name, "");
    return 1 + join(start_with(count_down, left - 1, &o));
}

NODES_TEST(ProcessesStartOthersFromNodeToNode)
{
    serry_process_options o = {};
    o.node = SERRY_NODE(next_node());
    EXPECT_EQ(join(start_with(count_down, 7, &o)), 8);
}

int check_bytes(const void *arg, size_t len)
{
    const unsigned char *at = static_cast<const unsigned char *>(arg);
    for (size_t i = 0; i < len; i++) {
        if (at[i] != (unsigned char)(i * 7 + i / 251))
            return 1;
    }
    return len == 0 ? 2 : 0;
}

NODES_TEST(ArgumentsOfAnySizeGoToAnotherNode)
{
    serry_process_options o = {};
    o.node = SERRY_NODE(next_node());
    for (size_t len : { 1u, 4000u, 70000u, 5000001u }) {
        std::vector<unsigned char> bytes(len);
        for (size_t i = 0; i < len; i++)
            bytes[i] = (unsigned char)(i * 7 + i / 251);
        EXPECT_EQ(join(start(check_bytes, bytes.data(), len, &o)), 0) << len;
    }
}

/* Daemons that nobody joins: they end with the world, wherever they are. */
NODES_TEST(StraysEndWithTheWorld)
{
    for (int node = 0; node < serry_nodes(); node++)
        start_on(node, sleeper, true);
    for (int node = 0; node < serry_nodes(); node++)
        hear<pid_t>(SERRY_ANY, 1);
}

NODES_TEST(AWorldMayEndAtOnce)
{
}

/* ---- names ---- */

uint64_t create(const char *name, int node = 0)
{
    serry_queue q = {};
    serry_queue_options o = {};
    o.name = name;
    o.node = node;
    EXPECT_EQ(serry_queue_create(&q, &o), SERRY_OK) << serry_err_detail();
    return q.id;
}

/* Does everybody hold the same? */
bool all_agree(uint64_t id)
{
    int64_t low = (int64_t)id, high = (int64_t)id;
    EXPECT_EQ(serry_world_allreduce(&low, &low, 1, SERRY_INT64, SERRY_MIN), SERRY_OK);
    EXPECT_EQ(serry_world_allreduce(&high, &high, 1, SERRY_INT64, SERRY_MAX), SERRY_OK);
    return low == high;
}

NODES_TEST(ANameIsOneObjectHoweverManyCreateIt)
{
    for (int round = 0; round < 40; round++) {
        std::string name = "n" + std::to_string(round);
        uint64_t id =
            create(name.c_str(), round % 2 ? SERRY_NODE(serry_rank() % serry_nodes()) : 0);
        ASSERT_TRUE(all_agree(id)) << round;
        if (serry_rank() == round % serry_size())
            EXPECT_EQ(serry_queue_destroy({ id }), SERRY_OK) << serry_err_detail();
        all_together();
        /* Gone for all, and free again. */
        EXPECT_EQ(serry_queue_destroy({ id }), SERRY_EHANDLE);
        uint64_t again = create(name.c_str());
        EXPECT_NE(again, id);
        ASSERT_TRUE(all_agree(again)) << round;
    }
}

NODES_TEST(ANameKeepsItsSettings)
{
    serry_queue q = {};
    serry_queue_options o = {};
    o.name = "settled";
    o.capacity = 3;
    EXPECT_EQ(serry_queue_create(&q, &o), SERRY_OK) << serry_err_detail();
    all_together();
    o.capacity = 4;
    EXPECT_EQ(serry_queue_create(&q, &o), SERRY_EINVAL);
    o.capacity = 3;
    uint64_t id = q.id;
    EXPECT_EQ(serry_queue_create(&q, &o), SERRY_OK);
    EXPECT_EQ(q.id, id);
    /* The same name of another class is another object. */
    serry_lock l = {};
    serry_lock_options lo = {};
    lo.name = "settled";
    EXPECT_EQ(serry_lock_create(&l, &lo), SERRY_OK) << serry_err_detail();
    EXPECT_NE(l.id, id);
    EXPECT_TRUE(all_agree(l.id));
}

/* Everybody creates and destroys the same name all the time. Whatever is left at the end, all who
 * create it get the same; nobody ever fails to create it. */
NODES_TEST(CreationAndDestructionMayRace)
{
    for (int round = 0; round < 10; round++) {
        for (int i = 0; i < 30; i++) {
            serry_queue q = { create("raced") };
            if ((i + serry_rank()) % 3 == 0)
                continue;
            serry_err e = serry_queue_destroy(q);
            EXPECT_TRUE(e == SERRY_OK || e == SERRY_EHANDLE) << serry_err_detail();
        }
        all_together();
        ASSERT_TRUE(all_agree(create("raced"))) << round;
        all_together();
    }
}

/* ---- objects ---- */

NODES_TEST(AnObjectLivesOnTheNodeThatWasAsked)
{
    for (int node = 0; node < serry_nodes(); node++) {
        serry_queue q = {};
        serry_queue_options o = {};
        o.node = SERRY_NODE(node);
        int x = serry_rank(), got = -1;
        size_t n = 0;
        ASSERT_EQ(serry_queue_create(&q, &o), SERRY_OK) << serry_err_detail();
        EXPECT_EQ((int)(q.id >> 48 & 0x3ff), node);
        EXPECT_EQ(serry_queue_put(q, &x, sizeof x, SERRY_FOREVER), SERRY_OK) << serry_err_detail();
        EXPECT_EQ(serry_queue_size(q, &n), SERRY_OK);
        EXPECT_EQ(n, 1u);
        EXPECT_EQ(serry_queue_get(q, &got, sizeof got, nullptr, patience(20)), SERRY_OK);
        EXPECT_EQ(got, x);
        EXPECT_EQ(serry_queue_get(q, &got, sizeof got, nullptr, 0.01), SERRY_ETIMEDOUT);
        EXPECT_EQ(serry_queue_destroy(q), SERRY_OK);
        EXPECT_EQ(serry_queue_size(q, &n), SERRY_EHANDLE);
    }
}

NODES_TEST(AHandleThatNamesNoNodeIsAnError)
{
    serry_queue q = { create(nullptr) };
    for (uint64_t node : { (uint64_t)serry_nodes(), UINT64_C(1023) }) {
        serry_queue none = { (q.id & ~(UINT64_C(0x3ff) << 48)) | node << 48 };
        size_t n;
        EXPECT_EQ(serry_queue_size(none, &n), SERRY_EHANDLE) << node;
        EXPECT_EQ(serry_queue_destroy(none), SERRY_EHANDLE) << node;
    }
}

/* Long items are cut where they go into a lane, and whole on a link. */
NODES_TEST(ItemsOfAnySizeComeFromAfar)
{
    serry_queue q = { create("long", SERRY_NODE(serry_nodes() - 1)) };
    for (size_t len : { 0u, 8000u, 100000u, 3000000u }) {
        std::vector<unsigned char> out(len + 1, (unsigned char)serry_rank()), in(len + 1);
        size_t got = 0;
        all_together();
        out[0] = (unsigned char)serry_rank();
        EXPECT_EQ(serry_queue_put(q, out.data(), len + 1, SERRY_FOREVER), SERRY_OK);
        ASSERT_EQ(serry_queue_get(q, in.data(), in.size(), &got, patience(20)), SERRY_OK)
            << serry_err_detail();
        EXPECT_EQ(got, len + 1);
        EXPECT_EQ(std::count(in.begin(), in.end(), in[0]), (long)len + 1);
    }
}

} // namespace
