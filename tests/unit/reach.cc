// ctest: timeout=120
/* Agreement about nodes that are lost, over a network that is played here: links that end at any
 * moment, each end seeing it at another time, nodes that are killed, and words on their way. The
 * order of everything is drawn from a seed, which a failure names. */
#include "agent/reach.h"

#include <gtest/gtest.h>

#include <deque>
#include <functional>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

namespace {

class Network;

struct Player {
    Network *net = nullptr;
    int number = 0;
    reach *r = nullptr;
    bool killed = false, outcast = false;
    std::set<int> lost;
    ~Player() { reach_free(r); }

    bool lives() const { return !killed && !outcast; }
};

/* What goes from one node to another: words, then perhaps the end. */
struct Way {
    std::deque<reach_said> words;
    bool ended = false;  /* nothing more comes after the words */
    bool seen = false;   /* and the reader knows */
    bool silent = false; /* words are lost, and so is the end until somebody gives up */
};

class Network {
public:
    Network(int n, unsigned seed) : size(n), dice(seed)
    {
        static const reach_ops ops = { say, lost };
        ways.resize(static_cast<size_t>(n * n));
        for (int i = 0; i < n; i++) {
            players.push_back(std::make_unique<Player>());
            players.back()->net = this;
            players.back()->number = i;
            EXPECT_EQ(reach_create(&players.back()->r, i, n, &ops, players.back().get()), SERRY_OK);
        }
    }

    Player &at(int i) { return *players[static_cast<size_t>(i)]; }
    Way &way(int from, int to) { return ways[static_cast<size_t>(from * size + to)]; }
    int any(int below) { return std::uniform_int_distribution<int>(0, below - 1)(dice); }

    /* Both see the end, behind what has been said; if something is lost, the last words are. */
    void cut(int i, int x, bool loses)
    {
        for (Way *w : { &way(i, x), &way(x, i) }) {
            if (w->ended)
                continue;
            if (loses)
                w->words.resize(static_cast<size_t>(any(static_cast<int>(w->words.size()) + 1)));
            w->ended = true;
        }
    }
    void kill(int i)
    {
        if (at(i).killed)
            return;
        at(i).killed = true;
        for (int x = 0; x < size; x++) {
            if (x != i)
                cut(i, x, any(2));
        }
    }
    /* From now on x hears nothing of i. */
    void silence(int i, int x) { way(i, x).silent = true; }

    /* One thing happens. False: there is nothing that could. */
    bool step()
    {
        std::vector<std::pair<int, int>> can;
        for (int i = 0; i < size; i++) {
            for (int x = 0; x < size; x++) {
                const Way &w = way(i, x);
                if (i != x && at(x).lives() && !w.seen && (w.silent || !w.words.empty() || w.ended))
                    can.push_back({ i, x });
            }
        }
        if (can.empty())
            return false;
        auto [i, x] = can[static_cast<size_t>(any(static_cast<int>(can.size())))];
        Way &w = way(i, x);
        if (!w.silent && !w.words.empty()) {
            reach_said said = w.words.front();
            w.words.pop_front();
            reach_heard(at(x).r, i, &said);
        } else {
            see_the_end(i, x);
        }
        return true;
    }
    void settle()
    {
        for (int n = 0; step(); n++)
            ASSERT_LT(n, 100000) << "they talk for ever";
    }

    bool joined(int i, int x) { return !way(i, x).ended && !way(x, i).ended; }

    int size;
    std::mt19937 dice;
    std::vector<std::unique_ptr<Player>> players;
    std::vector<Way> ways;

private:
    /* As the link's end, or by a heartbeat: then the other is cut off by x, too. */
    void see_the_end(int i, int x)
    {
        Way &w = way(i, x);
        w.seen = w.ended = true;
        w.words.clear();
        way(x, i).ended = true;
        if (!at(x).lost.count(i))
            reach_cut(at(x).r, i);
    }

    static void say(void *ctx, int node, const reach_said *said)
    {
        Player *p = static_cast<Player *>(ctx);
        Way &w = p->net->way(p->number, node);
        EXPECT_TRUE(p->lives());
        if (!w.ended)
            w.words.push_back(*said);
    }

    static void lost(void *ctx, int node, int by)
    {
        Player *p = static_cast<Player *>(ctx);
        (void)by;
        EXPECT_TRUE(p->lost.insert(node).second) << "told twice";
        if (node == p->number) {
            p->outcast = true;
            for (int x = 0; x < p->net->size; x++) {
                if (x != node)
                    p->net->way(node, x).ended = true;
            }
        } else {
            p->net->way(p->number, node).ended = true;
        }
    }
};

/* Who lives and can still be reached from i through others. */
std::set<int> part_of(Network &n, int i)
{
    std::set<int> part = { i };
    for (bool more = true; more;) {
        more = false;
        for (int a : std::set<int>(part)) {
            for (int b = 0; b < n.size; b++) {
                if (a != b && n.at(b).lives() && n.joined(a, b) && part.insert(b).second)
                    more = true;
            }
        }
    }
    return part;
}

/* Until nothing happens any more: then all of a part agree, and each two of it reach each other. */
void settle_in_agreement(Network &n)
{
    n.settle();
    for (int i = 0; i < n.size; i++) {
        if (!n.at(i).lives())
            continue;
        std::set<int> part = part_of(n, i);
        for (int x : part) {
            EXPECT_EQ(n.at(x).lost, n.at(i).lost) << "nodes " << i << " and " << x;
            EXPECT_TRUE(x == i || n.joined(i, x))
                << "nodes " << i << " and " << x << " do not reach each other";
        }
        for (int x = 0; x < n.size; x++)
            EXPECT_EQ(n.at(i).lost.count(x), part.count(x) ? 0u : 1u)
                << "node " << x << " for node " << i;
    }
}

std::set<int> survivors(Network &n)
{
    std::set<int> s;
    for (int i = 0; i < n.size; i++) {
        if (n.at(i).lives())
            s.insert(i);
    }
    return s;
}

/* One play for each seed; what fails in it says which. */
void for_each_seed(unsigned seeds, const std::function<void(unsigned seed)> &play)
{
    for (unsigned seed = 0; seed < seeds && !testing::Test::HasFailure(); seed++) {
        SCOPED_TRACE("seed " + std::to_string(seed));
        play(seed);
    }
}

std::set<int> all_but(int size, const std::set<int> &gone)
{
    std::set<int> s;
    for (int i = 0; i < size; i++) {
        if (!gone.count(i))
            s.insert(i);
    }
    return s;
}

TEST(Reach, OfTwoWhoseLinkHasEndedOneGoes)
{
    for_each_seed(200, [](unsigned seed) {
        for (int size = 3; size <= 5; size++) {
            for (int i = 0; i < size; i++) {
                for (int x = i + 1; x < size; x++) {
                    SCOPED_TRACE(std::to_string(i) + " and " + std::to_string(x));
                    Network n(size, seed);
                    n.cut(i, x, false);
                    settle_in_agreement(n);
                    EXPECT_EQ(survivors(n), all_but(size, { x }));
                }
            }
        }
    });
}

TEST(Reach, OneDirectionThatIsSilentIsNoOther)
{
    for_each_seed(200, [](unsigned seed) {
        for (int i = 0; i < 4; i++) {
            for (int x = 0; x < 4; x++) {
                if (i == x)
                    continue;
                SCOPED_TRACE("from " + std::to_string(i) + " to " + std::to_string(x));
                Network n(4, seed);
                n.silence(i, x);
                settle_in_agreement(n);
                EXPECT_EQ(survivors(n), all_but(4, { std::max(i, x) }));
            }
        }
    });
}

/* Two links of one node: it is that one. */
TEST(Reach, OfOneWithTwoLinksThatHaveEndedItIsTheOne)
{
    for_each_seed(500, [](unsigned seed) {
        Network n(5, seed);
        n.cut(1, 3, false);
        n.cut(1, 4, false);
        n.cut(0, 1, false);
        settle_in_agreement(n);
        EXPECT_EQ(survivors(n), all_but(5, { 1 }));
    });
}

/* Whatever others see first: who lives and reaches all is not given up. */
TEST(Reach, OfNodesThatAreKilledNobodyElseGoes)
{
    for_each_seed(10000, [](unsigned seed) {
        std::mt19937 dice(seed);
        int size = 2 + static_cast<int>(dice() % 6);
        Network n(size, seed);
        std::set<int> killed;
        size_t kills = 1 + dice() % static_cast<unsigned>(size - 1);
        while (killed.size() < kills) {
            int i = n.any(size);
            n.kill(i);
            killed.insert(i);
            for (int steps = n.any(12); steps > 0 && n.step(); steps--)
                ;
        }
        settle_in_agreement(n);
        EXPECT_EQ(survivors(n), all_but(size, killed));
    });
}

/* 0 - 3 - 2 - 1: node 1 reaches nobody who reaches node 0, and yet it is not the first. */
TEST(Reach, ThroughOthersCountsToo)
{
    for_each_seed(1000, [](unsigned seed) {
        Network n(4, seed);
        n.cut(0, 1, false);
        n.cut(0, 2, false);
        n.cut(1, 3, false);
        settle_in_agreement(n);
        EXPECT_TRUE(n.at(0).lives() && n.at(3).lives());
        EXPECT_FALSE(n.at(2).lives()) << "with node 1, which is cut off";
    });
}

/* 1 - 4 - 3 - 2: what node 1 must know to be the first, two tell to somebody else by themselves. */
TEST(Reach, TheFirstHearsOfThoseBehindOthers)
{
    for_each_seed(1000, [](unsigned seed) {
        Network n(5, seed);
        n.cut(1, 2, false);
        n.cut(1, 3, false);
        n.cut(2, 4, false);
        n.kill(0);
        settle_in_agreement(n);
        EXPECT_EQ(survivors(n), all_but(5, { 0, 2, 3 }));
    });
}

/* The cable between two halves: each gives up the other. */
TEST(Reach, TwoHalvesGiveUpEachOther)
{
    for_each_seed(5000, [](unsigned seed) {
        Network n(5, seed);
        for (int i : { 0, 3 }) {
            for (int x : { 1, 2, 4 }) {
                if (seed % 2) {
                    n.cut(i, x, true);
                } else {
                    n.silence(i, x);
                    n.silence(x, i);
                }
            }
        }
        settle_in_agreement(n);
        EXPECT_EQ(survivors(n), all_but(5, {}));
        EXPECT_EQ(n.at(0).lost, (std::set<int>{ 1, 2, 4 }));
        EXPECT_EQ(n.at(4).lost, (std::set<int>{ 0, 3 }));
    });
}

/* Anything, in any order: whoever is left agrees with all whom he reaches. */
TEST(Reach, WhateverEndsThoseWhoReachEachOtherAgree)
{
    for_each_seed(20000, [](unsigned seed) {
        std::mt19937 dice(seed);
        int size = 2 + static_cast<int>(dice() % 6);
        Network n(size, seed);
        for (int faults = 1 + n.any(6); faults > 0; faults--) {
            int i = n.any(size), x = (i + 1 + n.any(size - 1)) % size;
            switch (n.any(4)) {
            case 0:
                n.kill(i);
                break;
            case 1:
                n.silence(i, x);
                break;
            default:
                n.cut(i, x, n.any(2));
            }
            for (int steps = n.any(16); steps > 0 && n.step(); steps--)
                ;
        }
        settle_in_agreement(n);
    });
}

/* From a node that is not well: what cannot be is passed over, and ends nobody. */
TEST(Reach, WhatMakesNoSenseIsPassedOver)
{
    for (int word = 0; word < 6; word++) {
        for (int about : { -1, 2, 3, 4, 1 << 30 }) {
            for (int by : { -1, 4, 1 << 30 }) {
                Network n(4, 1);
                reach_said said = { static_cast<reach_word>(word), 7, about, by };
                reach_heard(n.at(0).r, 1, &said);
                n.settle();
                EXPECT_EQ(survivors(n), all_but(4, {})) << word << " " << about << " " << by;
                EXPECT_TRUE(n.at(0).lost.empty());
            }
        }
    }
}

} // namespace
