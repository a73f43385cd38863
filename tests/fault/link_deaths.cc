// ctest: slow timeout=180
/* Nodes that are lost: their agent is killed, or stands still for longer than a heartbeat allows.
 * The other nodes see all of its ranks die, every wait for them ends, and the rest goes on. */
#include "fault/fault.h"

#include "base/clock.h"

using namespace serry_test;

namespace {

const int lost = 2; /* the node, and its only rank, of four */

std::string moment()
{
    return std::to_string(sri_now());
}

/* What all have, made by two: a queue at home on the lost node, a lock on node 0 that is held
 * there, and a queue on node 0. */
struct Things {
    serry_queue theirs;
    serry_lock lock;
    serry_queue ours;
};

Things share_things()
{
    Things t = {};
    if (serry_rank() == lost)
        EXPECT_EQ(serry_queue_create(&t.theirs, nullptr), SERRY_OK) << serry_err_detail();
    EXPECT_EQ(serry_world_bcast(&t.theirs, sizeof t.theirs, lost), SERRY_OK) << serry_err_detail();
    if (serry_rank() == 0) {
        EXPECT_EQ(serry_lock_create(&t.lock, nullptr), SERRY_OK) << serry_err_detail();
        EXPECT_EQ(serry_queue_create(&t.ours, nullptr), SERRY_OK) << serry_err_detail();
    }
    EXPECT_EQ(serry_world_bcast(&t.lock, sizeof t.lock, 0), SERRY_OK) << serry_err_detail();
    EXPECT_EQ(serry_world_bcast(&t.ours, sizeof t.ours, 0), SERRY_OK) << serry_err_detail();
    if (serry_rank() == lost) {
        EXPECT_EQ(serry_lock_acquire(t.lock, SERRY_FOREVER), SERRY_OK) << serry_err_detail();
        int x = 5;
        EXPECT_EQ(serry_queue_put(t.ours, &x, sizeof x, SERRY_FOREVER), SERRY_OK);
    }
    EXPECT_EQ(serry_world_barrier(), SERRY_OK) << serry_err_detail();
    return t;
}

/* Each survivor waits for something else of the lost node. */
void wait_for_the_lost(const Things &t)
{
    int x = 0;
    serry_err e = SERRY_OK, expected = SERRY_EDIED;
    if (serry_rank() == 0) {
        e = serry_recv(lost, 0, &x, sizeof x, nullptr, SERRY_FOREVER);
    } else if (serry_rank() == 1) {
        e = serry_queue_get(t.theirs, &x, sizeof x, nullptr, SERRY_FOREVER);
    } else {
        e = serry_lock_acquire(t.lock, SERRY_FOREVER);
        expected = SERRY_EOWNERDIED;
    }
    note("saw " + moment());
    EXPECT_EQ(serry_err_name(e), std::string(serry_err_name(expected))) << serry_err_detail();
    if (e == SERRY_EOWNERDIED)
        EXPECT_EQ(serry_lock_release(t.lock), SERRY_OK) << serry_err_detail();
}

void go_on_without_the_lost(const Things &t)
{
    const int ring[] = { 0, 1, 3 };
    int me = serry_rank() == 3 ? 2 : serry_rank();
    int next = ring[(me + 1) % 3], before = ring[(me + 2) % 3], x = serry_rank(), got = -1;
    ASSERT_EQ(serry_sendrecv(next, 7, &x, sizeof x, before, 7, &got, sizeof got, nullptr), SERRY_OK)
        << serry_err_detail();
    EXPECT_EQ(got, before);
    /* That a home is lost may be known before what became of a rank there is. */
    EXPECT_EQ(serry_recv(lost, 9, &x, sizeof x, nullptr, SERRY_FOREVER), SERRY_EDIED);
    EXPECT_EQ(serry_send(lost, 0, &x, sizeof x), SERRY_EDIED);
    EXPECT_EQ(serry_world_barrier(), SERRY_EDIED);
    EXPECT_EQ(serry_queue_put(t.theirs, &x, sizeof x, SERRY_FOREVER), SERRY_EDIED);

    /* What the lost one put has been put; and objects are made and found as before. */
    serry_lock named;
    serry_lock_options o = {};
    o.name = "made afterwards";
    ASSERT_EQ(serry_lock_create(&named, &o), SERRY_OK) << serry_err_detail();
    ASSERT_EQ(serry_lock_acquire(named, patience(20)), SERRY_OK) << serry_err_detail();
    ASSERT_EQ(serry_lock_release(named), SERRY_OK) << serry_err_detail();
    ASSERT_EQ(serry_queue_put(t.ours, &x, sizeof x, patience(20)), SERRY_OK) << serry_err_detail();
    if (serry_rank() == 3) {
        int sum = 0;
        for (int i = 0; i < 4; i++) {
            ASSERT_EQ(serry_queue_get(t.ours, &got, sizeof got, nullptr, patience(20)), SERRY_OK)
                << serry_err_detail();
            sum += got;
        }
        EXPECT_EQ(sum, 5 + 0 + 1 + 3);
    }
}

SERRY_RANKS_BODY(one_node_of_four_is_lost)
{
    Things t = share_things();
    note("ready");
    if (serry_rank() == lost) {
        int x;
        SERRY_IGNORE(serry_recv(0, 99, &x, sizeof x, nullptr, SERRY_FOREVER));
        note("came back");
        _exit(3);
    }
    wait_for_the_lost(t);
    go_on_without_the_lost(t);
}

size_t count_notes(const Ranks &ranks, const std::string &text)
{
    size_t n = 0;
    for (const Record &r : ranks.records())
        n += r.kind == Record::note && r.text == text;
    return n;
}

/* The agents in the order of their nodes: they were forked in it. */
std::vector<pid_t> agents_of(const Program &p)
{
    std::vector<std::pair<unsigned long long, pid_t>> found;
    for (pid_t pid : p.processes()) {
        if (read_file("/proc/" + std::to_string(pid) + "/comm") != "serry-agent\n")
            continue;
        std::string stat = read_file("/proc/" + std::to_string(pid) + "/stat");
        unsigned long long started = 0;
        size_t end = stat.rfind(')');
        if (end != std::string::npos)
            sscanf(stat.c_str() + end + 2,
                   "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d "
                   "%llu",
                   &started);
        found.push_back({ started, pid });
    }
    std::sort(found.begin(), found.end());
    std::vector<pid_t> pids;
    for (auto &f : found)
        pids.push_back(f.second);
    return pids;
}

struct Happened {
    RanksResult r;
    std::vector<double> saw; /* seconds after the signal */
};

/* Runs the body, sends the signal to the agent of a node once all are ready. `then` is called with
 * the agent when all survivors have seen it. */
Happened lose(int node, int signal, const RankOptions &o,
              const std::function<void(pid_t)> &then = nullptr)
{
    Happened h;
    Ranks ranks(4, nodes, "one_node_of_four_is_lost", o);
    bool ready = ranks.program().wait_for([&] { return count_notes(ranks, "ready") == 4; }, 20);
    EXPECT_TRUE(ready) << ranks.program().err();
    std::vector<pid_t> agents = agents_of(ranks.program());
    EXPECT_EQ(agents.size(), 4u);
    if (!ready || agents.size() != 4) {
        h.r = ranks.wait();
        return h;
    }
    nap(0, 0.003);
    sri_ns before = sri_now();
    kill(agents[(size_t)node], signal);
    if (then) {
        EXPECT_TRUE(ranks.program().wait_for(
            [&] {
                int n = 0;
                for (const Record &r : ranks.records())
                    n += r.kind == Record::note && r.text.compare(0, 4, "saw ") == 0;
                return n == 3;
            },
            20));
        then(agents[(size_t)node]);
    }
    h.r = ranks.wait();
    for (const std::string &n : h.r.notes()) {
        if (n.compare(0, 4, "saw ") == 0)
            h.saw.push_back((double)(atoll(n.c_str() + 4) - before) * 1e-9);
    }
    return h;
}

RankOptions directly()
{
    RankOptions o;
    o.launch = direct;
    return o;
}

TEST(LostNode, WhoseAgentIsKilledIsSeenByAllOthersWhoGoOn)
{
    for (int round = 0; round < rounds(5); round++) {
        Happened h = lose(lost, SIGKILL, directly());
        ASSERT_TRUE(hand_on(h.r)) << h.r.program;
        ASSERT_EQ(h.saw.size(), 3u) << h.r.program;
        for (double s : h.saw)
            EXPECT_LT(s, patience(2));
        EXPECT_EQ(h.r.program.code, 0) << h.r.program;
        EXPECT_FALSE(h.r.program.timed_out) << h.r.program;
        EXPECT_TRUE(h.r.program.left_behind.empty()) << h.r.program;
        EXPECT_TRUE(has(h.r.program.err, "rank 2 (pid")) << h.r.program;
    }
}

TEST(LostNode, IsSeenSoonAlsoWithSocketLanes)
{
    RankOptions o = directly();
    o.env["SERRY_LANES"] = "socket";
    Happened h = lose(lost, SIGKILL, o);
    ASSERT_TRUE(hand_on(h.r)) << h.r.program;
    ASSERT_EQ(h.saw.size(), 3u) << h.r.program;
    for (double s : h.saw)
        EXPECT_LT(s, patience(2));
    EXPECT_EQ(h.r.program.code, 0) << h.r.program;
    EXPECT_TRUE(h.r.program.left_behind.empty()) << h.r.program;
}

TEST(LostNode, OfRankZeroEndsEverything)
{
    for (int round = 0; round < rounds(3); round++) {
        Happened h = lose(0, SIGKILL, directly());
        EXPECT_EQ(h.r.program.code, 70) << h.r.program;
        EXPECT_TRUE(has(h.r.program.err, "the agent of this node has died")) << h.r.program;
        EXPECT_FALSE(h.r.program.timed_out) << h.r.program;
        EXPECT_TRUE(h.r.program.left_behind.empty()) << h.r.program;
        EXPECT_LT(h.r.program.seconds, patience(10));
    }
}

TEST(LostNode, ThatIsSilentForLongerThanAHeartbeatIsSeenByAllOthers)
{
    RankOptions o = directly();
    o.env["SERRY_HEARTBEAT"] = "3"; /* room for a busy machine on which agents have to wait */
    Happened h = lose(lost, SIGSTOP, o, [](pid_t agent) { kill(agent, SIGCONT); });
    ASSERT_TRUE(hand_on(h.r)) << h.r.program;
    ASSERT_EQ(h.saw.size(), 3u) << h.r.program;
    for (double s : h.saw) {
        EXPECT_GT(s, 1) << "nothing was lost yet";
        EXPECT_LT(s, 3 + patience(5));
    }
    EXPECT_EQ(h.r.program.code, 0) << h.r.program;
    EXPECT_FALSE(h.r.program.timed_out) << h.r.program;
    EXPECT_TRUE(h.r.program.left_behind.empty()) << h.r.program;
}

SERRY_RANKS_BODY(idle_for_some_heartbeats)
{
    int x = 0;
    if (serry_rank() == 0) {
        EXPECT_EQ(serry_recv(1, 1, &x, sizeof x, nullptr, 7), SERRY_ETIMEDOUT);
    }
    ASSERT_EQ(serry_world_barrier(), SERRY_OK) << serry_err_detail();
}

TEST(IdleNodes, AreNotTakenForLost)
{
    RankOptions o = directly();
    o.env["SERRY_HEARTBEAT"] = "2";
    run_ranks(4, nodes, "idle_for_some_heartbeats", o);
}

} // namespace
