// ctest: slow timeout=180
/* A member, or the agent, dies between two writes to shared memory: SRI_POINT(n). Whatever was half
 * done, the survivors' messages arrive whole and in order, each survivor is told of the death, and
 * nobody hangs. */
#include "base/point.h"
#include "fault/fault.h"

#include <map>
#include <set>

using namespace serry_test;

namespace {

const int victim = 1;
const int data = 1, farewell = 2, hello = 3; /* tags */

/* Points that a member passes; 15 and 16 are the agent's alone. */
const std::set<int> members_points = { 1,  2,  3,  4,  5,  6,  7,  8,  9, 10,
                                       11, 12, 13, 14, 20, 21, 22, 23, 24 };

/* ---- messages that carry what they should be ---- */

uint8_t byte_of(int from, int to, int number, size_t at)
{
    return (uint8_t)((unsigned)(from * 31 + to * 7 + number * 13 + 5) * (at + 11) >> 3);
}

std::vector<uint8_t> bytes_of(int from, int to, int number, size_t len)
{
    std::vector<uint8_t> v(len);
    for (size_t i = 0; i < len; i++)
        v[i] = byte_of(from, to, number, i);
    return v;
}

/* The lengths of one round: many short ones, so that lanes fill and wrap at all places, and some
 * that go in pieces, or only when they are asked for. */
const std::vector<size_t> &lengths()
{
    static const std::vector<size_t> all = [] {
        std::vector<size_t> v = { 0, 1, 8, 1000, 16000, 65000, 200000 };
        for (size_t i = 0; i < 250; i++)
            v.push_back((i * 397) % 3000);
        v.push_back(300000);
        return v;
    }();
    return all;
}

struct Peer {
    int rank;
    bool alive = true;
    int sent = 0, got = 0;
};

/* Everything that this rank is to get of a peer in one round. */
void receive_round(Peer &p)
{
    static std::vector<uint8_t> buf(400000);
    for (size_t i = 0; i < lengths().size() && p.alive; i++) {
        serry_status st = {};
        serry_err e = serry_recv(p.rank, data, buf.data(), buf.size(), &st, patience(20));
        if (e == SERRY_EDIED && p.rank == victim) {
            p.alive = false;
            return;
        }
        ASSERT_EQ(e, SERRY_OK) << "message " << p.got << " of rank " << p.rank << ": "
                               << serry_err_detail();
        std::vector<uint8_t> right = bytes_of(p.rank, serry_rank(), p.got, lengths()[i]);
        ASSERT_EQ(st.len, right.size()) << "message " << p.got << " of rank " << p.rank;
        ASSERT_TRUE(std::equal(right.begin(), right.end(), buf.begin()))
            << "message " << p.got << " of rank " << p.rank << " is torn";
        p.got++;
    }
}

void exchange(std::vector<Peer> &peers)
{
    std::vector<std::vector<uint8_t>> out;
    std::vector<serry_request> sends;
    std::vector<int> to;
    for (size_t i = 0; i < lengths().size(); i++) {
        for (Peer &p : peers) {
            if (!p.alive)
                continue;
            out.push_back(bytes_of(serry_rank(), p.rank, p.sent, lengths()[i]));
            serry_request r = {};
            serry_err e = serry_isend(&r, p.rank, data, out.back().data(), out.back().size());
            if (e == SERRY_EDIED && p.rank == victim) {
                p.alive = false;
                continue;
            }
            ASSERT_EQ(e, SERRY_OK) << serry_err_detail();
            p.sent++;
            sends.push_back(r);
            to.push_back(p.rank);
        }
    }
    for (Peer &p : peers)
        ASSERT_NO_FATAL_FAILURE(receive_round(p));
    for (size_t i = 0; i < sends.size(); i++) {
        serry_err e = serry_wait(&sends[i], nullptr, patience(20));
        ASSERT_TRUE(e == SERRY_OK || (e == SERRY_EDIED && to[i] == victim))
            << "to rank " << to[i] << ": " << serry_err_name(e) << ", " << serry_err_detail();
    }
}

/* ---- and with the agent: requests, a queue of one's own, a child that comes and goes ---- */

int say_hello(const void *arg, size_t)
{
    sri_point_choose(0, 0);
    int parent = *(const int *)arg;
    return serry_send(parent, hello, &parent, sizeof parent) == SERRY_OK ? 0 : 1;
}

void talk_to_the_agent()
{
    serry_queue q;
    serry_queue_options o = {};
    o.capacity = 60;
    ASSERT_EQ(serry_queue_create(&q, &o), SERRY_OK) << serry_err_detail();
    std::vector<uint8_t> item;
    for (int i = 0; i < 40; i++) {
        item = bytes_of(9, serry_rank(), i, (size_t)i * 300);
        ASSERT_EQ(serry_queue_put(q, item.data(), item.size(), patience(20)), SERRY_OK);
    }
    std::vector<uint8_t> got(20000);
    for (int i = 0; i < 40; i++) {
        size_t len = 0;
        item = bytes_of(9, serry_rank(), i, (size_t)i * 300);
        ASSERT_EQ(serry_queue_get(q, got.data(), got.size(), &len, patience(20)), SERRY_OK)
            << serry_err_detail();
        ASSERT_EQ(len, item.size());
        ASSERT_TRUE(std::equal(item.begin(), item.end(), got.begin()));
    }
    ASSERT_EQ(serry_queue_destroy(q), SERRY_OK);

    serry_process p;
    serry_process_info info = {};
    int me = serry_rank(), x = -1, code = -1;
    ASSERT_EQ(serry_process_start(&p, say_hello, &me, sizeof me, nullptr), SERRY_OK)
        << serry_err_detail();
    ASSERT_EQ(serry_process_info_of(p, &info), SERRY_OK) << serry_err_detail();
    ASSERT_EQ(serry_recv(info.rank, hello, &x, sizeof x, nullptr, patience(20)), SERRY_OK)
        << serry_err_detail();
    ASSERT_EQ(x, me);
    ASSERT_EQ(serry_process_join(p, &code, patience(20)), SERRY_OK);
    ASSERT_EQ(code, 0);
}

/* ---- a member dies ---- */

void census()
{
    std::string text = "passed";
    for (int n = 1; n <= SRI_POINT_MAX; n++) {
        if (sri_point_passed(n))
            text += " " + std::to_string(n);
    }
    note(text);
}

SERRY_RANKS_BODY(one_dies_at_a_point)
{
    char c = 0;
    int n = 0, me = serry_rank();
    unsigned k = 0;
    sscanf(getenv("SERRY_TEST_POINT"), "%d:%u", &n, &k);
    std::vector<Peer> peers;
    for (int r = 0; r < serry_size(); r++) {
        if (r != me)
            peers.push_back({ r });
    }
    if (me == victim) {
        sri_point_choose(n, k);
        for (int i = 0; i < 2; i++) {
            ASSERT_NO_FATAL_FAILURE(exchange(peers));
            ASSERT_NO_FATAL_FAILURE(talk_to_the_agent());
            SERRY_IGNORE(serry_probe(SERRY_ANY, 77, nullptr, 0.0005));
        }
        sri_point_choose(0, 0); /* who has said farewell is not to die any more */
        for (Peer &p : peers)
            ASSERT_EQ(serry_send(p.rank, farewell, &c, 1), SERRY_OK);
        census();
        return;
    }
    for (int i = 0; i < 2; i++) {
        ASSERT_NO_FATAL_FAILURE(exchange(peers));
        ASSERT_NO_FATAL_FAILURE(talk_to_the_agent());
    }
    serry_err e = serry_recv(victim, farewell, &c, 1, nullptr, patience(20));
    ASSERT_TRUE(e == SERRY_OK || e == SERRY_EDIED) << serry_err_name(e);
    if (e == SERRY_EDIED) {
        note("told");
        EXPECT_STREQ(serry_err_detail(), "rank 1 was killed by signal 9");
    }
    /* Everything goes on among those who are left. */
    for (Peer &p : peers)
        p.alive &= p.rank != victim;
    for (int i = 0; i < 2; i++) {
        ASSERT_NO_FATAL_FAILURE(exchange(peers));
        ASSERT_NO_FATAL_FAILURE(talk_to_the_agent());
    }
    if (e == SERRY_EDIED) {
        EXPECT_EQ(serry_send(victim, data, &c, 1), SERRY_EDIED);
        EXPECT_EQ(serry_recv(victim, farewell, &c, 1, nullptr, SERRY_FOREVER), SERRY_EDIED);
    }
}

/* True if the victim has died at that place. */
bool die_at(int n, unsigned k)
{
    RankOptions o;
    o.run_flags = { "--keep-going" };
    std::string where = std::to_string(n) + ":" + std::to_string(k);
    o.env["SERRY_TEST_POINT"] = where;
    RanksResult r = try_ranks(3, shm, "one_dies_at_a_point", o);
    bool died = r.program.code == 128 + SIGKILL;
    EXPECT_TRUE(hand_on(r)) << "at point " << where;
    EXPECT_FALSE(r.program.timed_out) << "at point " << where << r.program;
    EXPECT_TRUE(died || r.program.code == 0) << "at point " << where << r.program;
    EXPECT_TRUE(r.program.left_behind.empty()) << "at point " << where << r.program;
    EXPECT_EQ(r.of(Record::finished).size(), died ? 2u : 3u) << "at point " << where << r.program;
    size_t told = 0;
    for (const std::string &text : r.notes())
        told += text == "told";
    EXPECT_EQ(told, died ? 2u : 0u) << "at point " << where;
    return died;
}

class KillPoint : public testing::TestWithParam<int> {};

TEST_P(KillPoint, OfAMemberLeavesTheOthersWell)
{
    /* Some are passed only when somebody sleeps, or a lane is full: mostly, not always. */
    bool died = false;
    for (int i = 0; i < 10 && !died && !HasFailure(); i++)
        died = die_at(GetParam(), 1);
    EXPECT_TRUE(died) << "the point is not passed";
    for (unsigned k : { 2u, 17u }) {
        for (int i = 0; i < rounds(1) && !HasFailure(); i++)
            die_at(GetParam(), k);
    }
}

std::string number(const testing::TestParamInfo<int> &i)
{
    return std::to_string(i.param);
}

INSTANTIATE_TEST_SUITE_P(Points, KillPoint, testing::ValuesIn(members_points), number);

/* A point that is added has to be added above: whatever is passed is swept over. */
TEST(KillPoints, AreAllKnown)
{
    RankOptions o;
    o.env["SERRY_TEST_POINT"] = "0:0";
    RanksResult r = try_ranks(3, shm, "one_dies_at_a_point", o);
    expect_clean(r, 3, o);
    for (const std::string &text : r.notes()) {
        for (int n = 1; n <= SRI_POINT_MAX; n++) {
            if (has(text + " ", " " + std::to_string(n) + " "))
                EXPECT_TRUE(members_points.count(n)) << "point " << n << " is not in the sweep";
        }
    }
}

/* ---- the agent dies ---- */

int come_and_go(const void *, size_t)
{
    return 0;
}

/* The agent is forked in serry_init, with the choice; this process takes it back. */
SERRY_RANKS_BODY(the_agent_dies_at_a_point)
{
    int n = 0;
    unsigned k = 0;
    sscanf(getenv("SERRY_TEST_POINT"), "%d:%u", &n, &k);
    sri_point_choose(n, k);
    serry_err e = serry_init(nullptr, nullptr);
    sri_point_choose(0, 0);
    ASSERT_TRUE(e == SERRY_OK || e == SERRY_EDIED) << serry_err_detail();
    if (e != SERRY_OK) {
        fprintf(stderr, "%s\n", serry_err_detail());
        _exit(70);
    }
    std::vector<Peer> peers = { { 1 - serry_rank() } };
    for (int i = 0; i < 2; i++) {
        ASSERT_NO_FATAL_FAILURE(exchange(peers));
        ASSERT_NO_FATAL_FAILURE(talk_to_the_agent());
        serry_process ps[20];
        for (serry_process &p : ps) {
            ASSERT_EQ(serry_process_start(&p, come_and_go, nullptr, 0, nullptr), SERRY_OK)
                << serry_err_detail();
        }
        for (serry_process &p : ps)
            ASSERT_EQ(serry_process_join(p, nullptr, patience(20)), SERRY_OK) << serry_err_detail();
    }
    note("well");
    ASSERT_EQ(serry_finalize(), SERRY_OK) << serry_err_detail();
}

bool agent_dies_at(int n, unsigned k)
{
    RankOptions o;
    o.launch = direct;
    o.init = false;
    std::string where = std::to_string(n) + ":" + std::to_string(k);
    o.env["SERRY_TEST_POINT"] = where;
    RanksResult r = try_ranks(2, shm, "the_agent_dies_at_a_point", o);
    bool died = r.program.code == 70;
    EXPECT_TRUE(hand_on(r)) << "at point " << where;
    EXPECT_FALSE(r.program.timed_out) << "at point " << where << r.program;
    EXPECT_TRUE(died || r.program.code == 0) << "at point " << where << r.program;
    EXPECT_TRUE(!died || has(r.program.err, "the agent of this node has "))
        << "at point " << where << r.program;
    EXPECT_TRUE(r.program.left_behind.empty()) << "at point " << where << r.program;
    if (!died)
        EXPECT_EQ(r.notes(), (std::vector<std::string>{ "well", "well" })) << r.program;
    return died;
}

class AgentKillPoint : public testing::TestWithParam<int> {};

TEST_P(AgentKillPoint, EndsTheWorldWithASentence)
{
    bool died = false;
    for (int i = 0; i < 10 && !died && !HasFailure(); i++)
        died = agent_dies_at(GetParam(), 1);
    EXPECT_TRUE(died) << "the agent does not pass the point";
    for (unsigned k : { 2u, 17u }) {
        for (int i = 0; i < rounds(1) && !HasFailure(); i++)
            agent_dies_at(GetParam(), k);
    }
}

INSTANTIATE_TEST_SUITE_P(Points, AgentKillPoint,
                         testing::Values(1, 2, 3, 4, 5, 6, 8, 9, 10, 11, 12, 13, 14, 15, 16),
                         number);

} // namespace
