/* The tree that few bytes go up and down: one tree over all ranks, whatever the nodes. */
#include "core/core.h"
extern "C" {
#include "core/collective.h"
}

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <vector>

namespace {

/* The tree of each rank of a world whose ranks are on these nodes; empty: one node. */
std::vector<sri_flat_tree> trees(int size, const std::vector<uint16_t> &node_of)
{
    std::vector<sri_flat_tree> all;
    int nodes = 1;
    for (uint16_t node : node_of)
        nodes = std::max(nodes, node + 1);
    for (int rank = 0; rank < size; rank++) {
        sri_collective c = {};
        c.rank = rank;
        c.size = size;
        sri_world = {};
        sri_world.places.nodes = nodes;
        sri_world.places.size = size;
        sri_world.places.node_of = node_of.data();
        sri_world.places.node = nodes > 1 ? node_of[static_cast<size_t>(rank)] : 0;
        all.push_back(sri_collective_flat_tree(&c));
    }
    sri_world = {};
    return all;
}

/* Everybody is below rank 0, parents and children agree, and no more than needed leave a node. */
void expect_tree(const std::vector<uint16_t> &node_of, int size)
{
    std::vector<sri_flat_tree> all = trees(size, node_of);
    EXPECT_EQ(all[0].parent, -1);
    int edges = 0, far_edges = 0;
    auto node = [&](int r) { return node_of.empty() ? 0 : int{ node_of[static_cast<size_t>(r)] }; };
    for (int rank = 0; rank < size; rank++) {
        const sri_flat_tree &t = all[static_cast<size_t>(rank)];
        for (int i = 0; i < t.n; i++) {
            ASSERT_GT(t.child[i], rank);
            ASSERT_LT(t.child[i], size);
            EXPECT_EQ(all[static_cast<size_t>(t.child[i])].parent, rank);
            edges++;
            far_edges += node(rank) != node(t.child[i]);
        }
        if (rank > 0) {
            ASSERT_GE(t.parent, 0);
            ASSERT_LT(t.parent, rank);
        }
    }
    EXPECT_EQ(edges, size - 1);
    std::vector<int> nodes;
    for (int rank = 0; rank < size; rank++)
        nodes.push_back(node(rank));
    std::sort(nodes.begin(), nodes.end());
    EXPECT_EQ(far_edges, std::unique(nodes.begin(), nodes.end()) - nodes.begin() - 1);
}

TEST(Tree, OnOneNode)
{
    for (int size : { 1, 2, 8, 9, 10, 73, 74, 200 })
        expect_tree({}, size);
}

TEST(Tree, OnManyNodesInBlocksInTurnAndAnyhow)
{
    std::mt19937 random(7);
    for (int size : { 2, 5, 9, 20, 64, 300 })
        for (int nodes : { 2, 3, 7, 20, 200 }) {
            std::vector<uint16_t> blocks, turns, anyhow;
            for (int r = 0; r < size; r++) {
                blocks.push_back(static_cast<uint16_t>(r * nodes / size));
                turns.push_back(static_cast<uint16_t>(r % nodes));
                anyhow.push_back(static_cast<uint16_t>(random() % static_cast<unsigned>(nodes)));
            }
            expect_tree(blocks, size);
            expect_tree(turns, size);
            expect_tree(anyhow, size);
        }
}

} // namespace
