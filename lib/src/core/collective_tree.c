/* core/collective_tree.c: the tree of little depth. On several nodes the ranks of each are a tree
 * of their own below the lowest of them, and these are one again: few steps leave a node, and none
 * of those below has to wait for a rank of another. */
#include "core/collective.h"

/* Where children of the i-th are in such a tree, among n. */
typedef struct tree_range {
    int first;
    int end;
} tree_range;

static tree_range tree_children(int i, int n)
{
    int64_t first = (int64_t)i * SRI_FLAT_FAN + 1, end = first + SRI_FLAT_FAN;
    return (tree_range){ first < n ? (int)first : n, end < n ? (int)end : n };
}

static bool tree_in(tree_range r, int i)
{
    return i >= r.first && i < r.end;
}

static int tree_parent(int i)
{
    return (i - 1) / SRI_FLAT_FAN;
}

/* One walk over all ranks: the k-th of this rank's node, and the k-th lowest of a node. */
typedef struct tree_walk {
    uint64_t seen[SRI_NODES_MAX / 64]; /* nodes */
    int mine;                          /* ranks of this node so far */
    int nodes;                         /* so far */
} tree_walk;

/* Is it the lowest of its node? */
static bool tree_step(tree_walk *w, const sri_places *p, int rank, bool *of_mine)
{
    unsigned node = (unsigned)sri_places_node(p, rank) % SRI_NODES_MAX;
    bool first = !(w->seen[node / 64] >> (node % 64) & 1);
    w->seen[node / 64] |= UINT64_C(1) << (node % 64);
    w->nodes += first;
    *of_mine = node == (unsigned)p->node;
    w->mine += *of_mine;
    return first;
}

static void tree_over_nodes(sri_flat_tree *t, const sri_collective *c, const sri_places *p)
{
    tree_walk w = { 0 };
    int place = 0, node_place = -1; /* among those of the node, among the lowest of all; -1: none */
    for (int rank = 0; rank < c->size; rank++) {
        bool of_mine, lowest = tree_step(&w, p, rank, &of_mine);
        if (rank == c->rank) {
            place = w.mine - 1;
            node_place = lowest ? w.nodes - 1 : -1;
        }
    }
    tree_range near = tree_children(place, w.mine);
    tree_range far = node_place >= 0 ? tree_children(node_place, w.nodes) : (tree_range){ 0 };
    int parent_near = place > 0 ? tree_parent(place) : -1;
    int parent_far = node_place > 0 ? tree_parent(node_place) : -1;

    *t = (sri_flat_tree){ .parent = -1 };
    w = (tree_walk){ 0 };
    for (int rank = 0; rank < c->size; rank++) {
        bool of_mine, lowest = tree_step(&w, p, rank, &of_mine);
        int near_at = of_mine ? w.mine - 1 : -1, far_at = lowest ? w.nodes - 1 : -1;
        if ((near_at >= 0 && near_at == parent_near) || (far_at >= 0 && far_at == parent_far))
            t->parent = rank;
        if (tree_in(near, near_at) || tree_in(far, far_at))
            t->child[t->n++] = rank;
    }
}

sri_flat_tree sri_collective_flat_tree(const sri_collective *c)
{
    /* Ranks stay where they are, so that this is worked out once. */
    static struct {
        const uint16_t *node_of;
        int rank, size;
        sri_flat_tree tree;
    } known;
    const sri_places *p = &sri_world.places;
    if (p->nodes > 1) {
        if (known.node_of != p->node_of || known.rank != c->rank || known.size != c->size) {
            tree_over_nodes(&known.tree, c, p);
            known.node_of = p->node_of;
            known.rank = c->rank;
            known.size = c->size;
        }
        return known.tree;
    }
    tree_range children = tree_children(c->rank, c->size);
    sri_flat_tree t = { .parent = c->rank ? tree_parent(c->rank) : -1 };
    for (int rank = children.first; rank < children.end; rank++)
        t.child[t.n++] = rank;
    return t;
}
