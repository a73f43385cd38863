// ctest: slow timeout=240
/* Links between nodes that break while the agents at both ends live: ended, or silent in one
 * direction or both. All nodes that are left hold the same ones for lost, each once; every wait
 * ends; who is given up says so and ends. The test reaches into the agents' sockets for it. */
#include "fault/fault.h"

#include "base/clock.h"

#include <arpa/inet.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/syscall.h>

using namespace serry_test;

namespace {

/* ---- the agents' links ---- */

/* A socket of another process, as a descriptor of this one. */
class Borrowed {
public:
    Borrowed() = default;
    explicit Borrowed(int fd) : fd_(fd) {}
    Borrowed(Borrowed &&o) noexcept : fd_(std::exchange(o.fd_, -1)) {}
    Borrowed &operator=(Borrowed &&o) noexcept
    {
        std::swap(fd_, o.fd_);
        return *this;
    }
    ~Borrowed()
    {
        if (fd_ >= 0)
            close(fd_);
    }
    int fd() const { return fd_; }

private:
    int fd_ = -1;
};

struct End {
    Borrowed socket;
    unsigned own = 0, other = 0; /* ports */
};

bool is_refused;

std::vector<End> ends_of(pid_t agent)
{
    std::vector<End> ends;
    int process = static_cast<int>(syscall(SYS_pidfd_open, agent, 0));
    Borrowed owner(process);
    for (int fd = 3; fd < 200; fd++) {
        int copy = static_cast<int>(syscall(SYS_pidfd_getfd, process, fd, 0));
        is_refused |= copy < 0 && errno == EPERM;
        End e;
        e.socket = Borrowed(copy);
        sockaddr_in own = {}, other = {};
        socklen_t len = sizeof own;
        if (copy < 0 || getsockname(copy, reinterpret_cast<sockaddr *>(&own), &len) != 0
            || own.sin_family != AF_INET)
            continue;
        len = sizeof other;
        if (getpeername(copy, reinterpret_cast<sockaddr *>(&other), &len) != 0)
            continue;
        e.own = own.sin_port;
        e.other = other.sin_port;
        ends.push_back(std::move(e));
    }
    return ends;
}

/* The two sockets of a link. */
struct Link {
    Borrowed at[2];
};

bool find_link(pid_t a, pid_t b, Link *link)
{
    std::vector<End> as = ends_of(a), bs = ends_of(b);
    for (End &x : as) {
        for (End &y : bs) {
            if (x.own != y.other || x.other != y.own)
                continue;
            link->at[0] = std::move(x.socket);
            link->at[1] = std::move(y.socket);
            return true;
        }
    }
    return false;
}

/* The agents may have ended it already, for another one that was broken. */
void break_off(Link &link)
{
    EXPECT_TRUE(shutdown(link.at[0].fd(), SHUT_RDWR) == 0 || errno == ENOTCONN);
}

/* Nothing that comes to that end gets in any more. */
void deafen(Link &link, int end)
{
    sock_filter drop = { BPF_RET | BPF_K, 0, 0, 0 };
    sock_fprog all = { 1, &drop };
    EXPECT_EQ(setsockopt(link.at[end].fd(), SOL_SOCKET, SO_ATTACH_FILTER, &all, sizeof all), 0);
}

/* ---- the ranks, one on each node ---- */

int number_of(const char *name)
{
    const char *text = getenv(name);
    return text ? atoi(text) : 0;
}

/* Each waits for anybody, and for an object on each other node. */
struct Waits {
    serry_queue of[8];
};

Waits make_waits()
{
    Waits w = {};
    serry_queue mine = {};
    EXPECT_EQ(serry_queue_create(&mine, nullptr), SERRY_OK) << serry_err_detail();
    EXPECT_EQ(serry_world_allgather(&mine, sizeof mine, w.of), SERRY_OK) << serry_err_detail();
    return w;
}

std::set<int> wait_for_losses(int losses)
{
    std::set<int> lost;
    while (static_cast<int>(lost.size()) < losses) {
        serry_status status = {};
        char c;
        serry_err e = serry_recv(SERRY_ANY, 1, &c, 1, &status, SERRY_FOREVER);
        std::string text = serry_err_detail();
        EXPECT_EQ(e, SERRY_EDIED) << text;
        EXPECT_TRUE(lost.insert(status.source).second) << status.source << " is told of twice";
        std::string rank = std::to_string(status.source);
        e = serry_recv(status.source, 1, &c, 1, nullptr, SERRY_FOREVER);
        EXPECT_EQ(e, SERRY_EDIED);
        EXPECT_EQ(std::string(serry_err_detail()), "rank " + rank + " was lost with node " + rank);
    }
    return lost;
}

void go_on_without(const std::set<int> &lost, const Waits &w)
{
    std::vector<int> ring;
    size_t me = 0;
    for (int r = 0; r < serry_size(); r++) {
        if (r == serry_rank())
            me = ring.size();
        if (!lost.count(r))
            ring.push_back(r);
    }
    int next = ring[(me + 1) % ring.size()], before = ring[(me + ring.size() - 1) % ring.size()];
    int x = serry_rank(), got = -1;
    for (int r : lost) {
        EXPECT_EQ(serry_queue_get(w.of[r], &x, sizeof x, nullptr, SERRY_FOREVER), SERRY_EDIED);
        std::string text = serry_err_detail(), lost_is = ": node " + std::to_string(r) + " is lost";
        EXPECT_NE(text.find(lost_is), std::string::npos) << text;
    }
    for (int round = 0; round < 20; round++) {
        ASSERT_EQ(serry_sendrecv(next, 7, &x, sizeof x, before, 7, &got, sizeof got, nullptr),
                  SERRY_OK)
            << serry_err_detail();
        EXPECT_EQ(got, before);
    }
    ASSERT_EQ(serry_queue_put(w.of[next], &x, sizeof x, SERRY_FOREVER), SERRY_OK)
        << serry_err_detail();
    ASSERT_EQ(serry_queue_get(w.of[serry_rank()], &got, sizeof got, nullptr, SERRY_FOREVER),
              SERRY_OK)
        << serry_err_detail();
    EXPECT_EQ(got, before);
    serry_lock named;
    serry_lock_options o = {};
    o.name = "made afterwards";
    ASSERT_EQ(serry_lock_create(&named, &o), SERRY_OK) << serry_err_detail();
    ASSERT_EQ(serry_lock_acquire(named, SERRY_FOREVER), SERRY_OK) << serry_err_detail();
    ASSERT_EQ(serry_lock_release(named), SERRY_OK) << serry_err_detail();
}

SERRY_RANKS_BODY(some_are_given_up)
{
    Waits w = make_waits();
    ASSERT_EQ(serry_world_barrier(), SERRY_OK) << serry_err_detail();
    note("ready");
    std::set<int> lost = wait_for_losses(number_of("TEST_LOSSES"));
    std::string who;
    for (int r : lost)
        who += " " + std::to_string(r);
    note("saw " + std::to_string(sri_now()) + who);
    go_on_without(lost, w);
}

/* ---- the runs ---- */

class LinksBroken : public testing::Test {
protected:
    /* n nodes, each of which goes on when it has seen so many losses; and takes hold of links. */
    void start(int n, int losses, double heartbeat, const std::vector<std::pair<int, int>> &links)
    {
        RankOptions o;
        o.launch = direct;
        o.timeout = 60;
        if (heartbeat > 0)
            o.env["SERRY_HEARTBEAT"] = std::to_string(heartbeat);
        o.env["TEST_LOSSES"] = std::to_string(losses);
        size_ = n;
        ranks_ = std::make_unique<Ranks>(n, nodes, "some_are_given_up", o);
        ASSERT_TRUE(ranks_->program().wait_for([&] { return count("ready") == n; }, patience(20)))
            << ranks_->program().err();
        for (int r = 0; r < n; r++) {
            agents_.push_back(agent_of(*ranks_, r));
            ASSERT_GT(agents_.back(), 0);
        }
        for (auto [a, b] : links) {
            links_.emplace_back();
            if (!link(a, b, &links_.back()))
                GTEST_SKIP() << "descriptors of other processes may not be had here";
        }
        nap(0, 0.003);
        begun_ = sri_now();
    }
    static bool over() { return HasFailure() || IsSkipped(); }
    pid_t agent(int node) const { return agents_[static_cast<size_t>(node)]; }
    int count(const std::string &text) const
    {
        int n = 0;
        for (const Record &r : ranks_->records())
            n += r.kind == Record::note && r.text.compare(0, text.size(), text) == 0;
        return n;
    }
    /* False: this user may not reach into other processes; then the test is skipped. */
    bool link(int a, int b, Link *l)
    {
        is_refused = false;
        bool found = find_link(agent(a), agent(b), l);
        EXPECT_TRUE(found || is_refused) << "no link between nodes " << a << " and " << b;
        return found;
    }
    /* All but those have seen that they were lost, by then at the latest. */
    void expect_lost(const std::set<int> &lost, double within)
    {
        links_.clear();
        RanksResult r = ranks_->wait();
        ASSERT_TRUE(hand_on(r)) << r.program;
        std::string who;
        for (int l : lost)
            who += " " + std::to_string(l);
        size_t seen = 0;
        for (const Record &record : r.of(Record::note)) {
            if (!has(record.text, "saw "))
                continue;
            seen++;
            EXPECT_EQ(lost.count(record.rank), 0u) << "node " << record.rank << " goes on";
            size_t at = record.text.find(' ', 4);
            EXPECT_EQ(record.text.substr(at), who) << "for rank " << record.rank;
            EXPECT_LT(static_cast<double>(atoll(record.text.c_str() + 4) - begun_) * 1e-9, within);
        }
        EXPECT_EQ(seen, static_cast<size_t>(size_) - lost.size()) << r.program;
        EXPECT_EQ(r.program.code, 0) << r.program;
        EXPECT_FALSE(r.program.timed_out) << r.program;
        EXPECT_TRUE(r.program.left_behind.empty()) << r.program;
        for (int l : lost)
            EXPECT_TRUE(
                has(r.program.err, "node " + std::to_string(l) + ", which this is, was given up"))
                << r.program;
        end();
    }
    void end()
    {
        links_.clear();
        ranks_.reset();
        agents_.clear();
    }
    void TearDown() override
    {
        if (ranks_) {
            ranks_->program().signal(SIGKILL);
            ranks_->wait();
        }
    }

    std::unique_ptr<Ranks> ranks_;
    std::vector<pid_t> agents_;
    std::vector<Link> links_;
    int size_ = 0;
    sri_ns begun_ = 0;
};

TEST_F(LinksBroken, OfTwoNodesOneIsLostForAll)
{
    for (int round = 0; round < rounds(3); round++) {
        const std::pair<int, int> pairs[] = { { 0, 1 }, { 0, 2 }, { 1, 2 } };
        const auto &p = pairs[round % 3];
        start(3, 1, 0, { p });
        if (over())
            return;
        break_off(links_[0]);
        expect_lost({ p.second }, patience(1));
    }
}

/* One does not hear the other, who hears it: the one sees it by the heartbeat. */
TEST_F(LinksBroken, InOneDirectionIsNoOther)
{
    for (int deaf = 0; deaf < 2; deaf++) {
        start(3, 1, 1, { { 1, 2 } });
        if (over())
            return;
        deafen(links_[0], deaf);
        expect_lost({ 2 }, 1 + patience(1));
    }
}

TEST_F(LinksBroken, SilentlyInBothDirectionsIsKnownWithinAHeartbeat)
{
    for (int node = 1; node < 3; node++) {
        start(3, 1, 1, { { 0, node } });
        if (over())
            return;
        deafen(links_[0], 0);
        deafen(links_[0], 1);
        expect_lost({ node }, 1 + patience(1));
    }
}

/* It is the one with two of them, whatever its number. */
TEST_F(LinksBroken, TwoOfOneNodeLoseThatOne)
{
    for (int round = 0; round < rounds(3); round++) {
        start(4, 1, 0, { { 1, 2 }, { 0, 1 } });
        if (over())
            return;
        break_off(links_[1]);
        break_off(links_[0]);
        expect_lost({ 1 }, patience(1));
    }
}

/* Two links with no node in common: two are lost, and all others say so. */
TEST_F(LinksBroken, TwoOfFourNodesLoseTwo)
{
    for (int round = 0; round < rounds(3); round++) {
        start(4, 2, 0, { { 0, 2 }, { 1, 3 } });
        if (over())
            return;
        break_off(links_[0]);
        break_off(links_[1]);
        expect_lost({ 2, 3 }, patience(1));
    }
}

/* Node 0 decides, and a program that was started by hand ends with it: whatever it had come to. */
TEST_F(LinksBroken, WhileTheDeciderIsKilledEndEverything)
{
    for (int round = 0; round < rounds(10); round++) {
        start(4, 4, 0, { { 1, 2 } }); /* so many losses that nobody comes to an end by himself */
        if (over())
            return;
        break_off(links_[0]);
        nap(0, 0.002);
        ASSERT_EQ(kill(agent(0), SIGKILL), 0);
        RanksResult r = ranks_->wait();
        EXPECT_EQ(r.program.code, 70) << r.program;
        EXPECT_FALSE(r.program.timed_out) << r.program;
        EXPECT_TRUE(r.program.left_behind.empty()) << r.program;
        EXPECT_LT(static_cast<double>(sri_now() - begun_) * 1e-9, patience(5));
        end();
    }
}

} // namespace
