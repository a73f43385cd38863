/* core/collective_move.c: barrier and the collectives that only move bytes. Trees are binomial,
 * over ranks counted from the root: rank v's children are v + 2^k for all 2^k below v's lowest bit.
 */
#include "core/collective.h"

#include <stdlib.h>

#define MOVE_TREE_MAX 8192u   /* blocks of gather and scatter that go through the tree */
#define MOVE_BRUCK_MAX 65536u /* results of allgather that are doubled, not passed around */
#define MOVE_BCAST_TREE_MAX 65536u

enum { MOVE_TREE = 0, MOVE_RING = 1, MOVE_DOWN = 2 };

static inline size_t move_min(size_t a, size_t b)
{
    return a < b ? a : b;
}

static inline int move_wrap(int rank, int size)
{
    return rank >= size ? rank - size : rank < 0 ? rank + size : rank;
}

/* The lowest bit of v, the distance to its parent; of the root: the first power of 2 that is not
 * below size. */
static int move_low_bit(int v, int size)
{
    int bit = 1;
    while (v ? !(v & bit) : bit < size)
        bit <<= 1;
    return bit;
}

static serry_err move_barrier_tree(const sri_collective *c)
{
    sri_flat_tree t = sri_collective_flat_tree(c);
    for (int i = 0; i < t.n; i++)
        SRI_TRY(sri_collective_recv(c, t.child[i], MOVE_TREE, NULL, 0));
    if (t.parent >= 0) {
        SRI_TRY(sri_collective_send(c, t.parent, MOVE_TREE, NULL, 0));
        SRI_TRY(sri_collective_recv(c, t.parent, MOVE_DOWN, NULL, 0));
    }
    for (int i = 0; i < t.n; i++)
        SRI_TRY(sri_collective_send(c, t.child[i], MOVE_DOWN, NULL, 0));
    return SERRY_OK;
}

static serry_err move_barrier_pairs(const sri_collective *c)
{
    for (int i = 1; i < c->size; i++)
        SRI_TRY(sri_collective_send(c, move_wrap(c->rank + i, c->size), MOVE_TREE, NULL, 0));
    for (int i = 1; i < c->size; i++)
        SRI_TRY(sri_collective_recv(c, move_wrap(c->rank - i, c->size), MOVE_TREE, NULL, 0));
    return SERRY_OK;
}

serry_err sri_collective_barrier(const sri_collective *c)
{
    return c->size > SRI_FLAT_FEW ? move_barrier_tree(c) : move_barrier_pairs(c);
}

/* ---- bcast ---- */

static serry_err move_bcast_tree(const sri_collective *c, void *buf, size_t len, int root)
{
    int v = move_wrap(c->rank - root, c->size);
    int bit = move_low_bit(v, c->size);
    if (v)
        SRI_TRY(sri_collective_recv(c, move_wrap(v - bit + root, c->size), MOVE_TREE, buf, len));
    for (bit >>= 1; bit; bit >>= 1)
        if (v + bit < c->size)
            SRI_TRY(
                sri_collective_send(c, move_wrap(v + bit + root, c->size), MOVE_TREE, buf, len));
    return SERRY_OK;
}

/* The part of a long buffer that ranks v .. v+n-1, counted from the root, have. */
typedef struct move_part {
    size_t at;
    size_t len;
} move_part;

static move_part move_part_of(const sri_collective *c, size_t len, int v, int n)
{
    size_t block = (len + (size_t)c->size - 1) / (size_t)c->size;
    size_t from = move_min(len, block * (size_t)v), to = move_min(len, block * (size_t)(v + n));
    return (move_part){ from, to - from };
}

static int move_least(int a, int b)
{
    return a < b ? a : b;
}

/* A part to each rank down the tree, then all parts around the ring (van de Geijn). */
static serry_err move_bcast_parts(const sri_collective *c, uint8_t *buf, size_t len, int root)
{
    int n = c->size, v = move_wrap(c->rank - root, n), bit = move_low_bit(v, n);
    if (v) {
        move_part p = move_part_of(c, len, v, move_least(bit, n - v));
        SRI_TRY(sri_collective_recv(c, move_wrap(v - bit + root, n), MOVE_TREE, buf + p.at, p.len));
    }
    for (bit >>= 1; bit; bit >>= 1) {
        if (v + bit >= n)
            continue;
        move_part p = move_part_of(c, len, v + bit, move_least(bit, n - v - bit));
        SRI_TRY(sri_collective_send(c, move_wrap(v + bit + root, n), MOVE_TREE, buf + p.at, p.len));
    }
    int next = move_wrap(c->rank + 1, n), previous = move_wrap(c->rank - 1, n);
    for (int i = 0; i < n - 1; i++) {
        move_part out = move_part_of(c, len, move_wrap(v - i, n), 1);
        move_part in = move_part_of(c, len, move_wrap(v - i - 1, n), 1);
        SRI_TRY(sri_collective_swap(c, next, buf + out.at, out.len, previous, buf + in.at, in.len,
                                    MOVE_RING));
    }
    return SERRY_OK;
}

serry_err sri_collective_bcast(const sri_collective *c, void *buf, size_t len, int root)
{
    if (len <= MOVE_BCAST_TREE_MAX || c->size <= 2 || len / (size_t)c->size < 1024)
        return move_bcast_tree(c, buf, len, root);
    return move_bcast_parts(c, buf, len, root);
}

/* ---- gather and scatter ---- */

static inline uint8_t *move_block(const void *blocks, int i, size_t len)
{
    return (uint8_t *)(uintptr_t)blocks + (size_t)i * len;
}

/* Blocks counted from the root into blocks by rank, or back. */
static void move_rotate(uint8_t *to, const uint8_t *from, size_t len, int first, int size)
{
    size_t head = (size_t)(size - first) * len, tail = (size_t)first * len;
    memcpy(to + tail, from, head);
    memcpy(to, from + head, tail);
}

/* blocks: room for this rank's subtree. */
static serry_err move_gather_tree(const sri_collective *c, uint8_t *blocks, size_t len, int root)
{
    int n = c->size, v = move_wrap(c->rank - root, n), low = move_low_bit(v, n);
    for (int bit = 1; bit < low && v + bit < n; bit <<= 1) {
        int count = move_least(bit, n - v - bit);
        SRI_TRY(sri_collective_recv(c, move_wrap(v + bit + root, n), MOVE_TREE,
                                    move_block(blocks, bit, len), (size_t)count * len));
    }
    if (v == 0)
        return SERRY_OK;
    return sri_collective_send(c, move_wrap(v - low + root, n), MOVE_TREE, blocks,
                               (size_t)move_least(low, n - v) * len);
}

static serry_err move_gather_small(const sri_collective *c, const void *in, size_t len, void *out,
                                   int root)
{
    int v = move_wrap(c->rank - root, c->size);
    if (v == 0 && root == 0) {
        memmove(out, in, len);
        return move_gather_tree(c, out, len, root);
    }
    int subtree = move_least(move_low_bit(v, c->size), c->size - v);
    sri_scratch blocks;
    SRI_TRY(sri_scratch_take(&blocks, (size_t)subtree * len));
    memcpy(blocks.bytes, in, len);
    serry_err e = move_gather_tree(c, blocks.bytes, len, root);
    if (e == SERRY_OK && v == 0)
        move_rotate(out, blocks.bytes, len, root, c->size);
    sri_scratch_free(&blocks);
    return e;
}

/* Requests to or from all others at once. */
static serry_err move_all(const sri_collective *c, bool send, const void *blocks, size_t len)
{
    serry_request *rs = calloc((size_t)c->size, sizeof *rs);
    if (!rs)
        return sri_fail(SERRY_ENOMEM, "no memory for %d requests", c->size);
    serry_status *sts = calloc((size_t)c->size, sizeof *sts);
    serry_err e = sts ? SERRY_OK : sri_fail(SERRY_ENOMEM, "no memory for %d requests", c->size);
    int tag = sri_collective_tag(c, MOVE_TREE);
    for (int i = 0; i < c->size && e == SERRY_OK; i++) {
        uint8_t *block = move_block(blocks, i, len);
        if (i == c->rank)
            continue;
        e = send ? sri_message_isend(SRI_CONTEXT_COLLECTIVE, &rs[i], i, tag, block, len)
                 : sri_message_irecv(SRI_CONTEXT_COLLECTIVE, &rs[i], i, tag, block, len);
    }
    if (e == SERRY_OK)
        e = sri_message_wait_all(rs, (size_t)c->size, sts, SRI_NEVER);
    for (int i = 0; i < c->size && !send && e == SERRY_OK; i++)
        if (i != c->rank)
            e = sri_collective_fits(e, &sts[i], len);
    for (int i = 0; i < c->size && sts; i++)
        if (rs[i].id != 0)
            sri_message_drop(&rs[i]);
    free(sts);
    free(rs);
    return e;
}

serry_err sri_collective_gather(const sri_collective *c, const void *in, size_t len, void *out,
                                int root)
{
    if (len == 0)
        return SERRY_OK;
    if (len <= MOVE_TREE_MAX)
        return move_gather_small(c, in, len, out, root);
    if (c->rank != root)
        return sri_collective_send(c, root, MOVE_TREE, in, len);
    memmove(move_block(out, root, len), in, len);
    return move_all(c, false, out, len);
}

static serry_err move_scatter_tree(const sri_collective *c, uint8_t *blocks, size_t len, int root)
{
    int n = c->size, v = move_wrap(c->rank - root, n), bit = move_low_bit(v, n);
    if (v)
        SRI_TRY(sri_collective_recv(c, move_wrap(v - bit + root, n), MOVE_TREE, blocks,
                                    (size_t)move_least(bit, n - v) * len));
    for (bit >>= 1; bit; bit >>= 1) {
        if (v + bit >= n)
            continue;
        SRI_TRY(sri_collective_send(c, move_wrap(v + bit + root, n), MOVE_TREE,
                                    move_block(blocks, bit, len),
                                    (size_t)move_least(bit, n - v - bit) * len));
    }
    return SERRY_OK;
}

static serry_err move_scatter_small(const sri_collective *c, const void *in, size_t len, void *out,
                                    int root)
{
    int n = c->size, v = move_wrap(c->rank - root, n);
    sri_scratch blocks;
    SRI_TRY(sri_scratch_take(&blocks, (size_t)move_least(move_low_bit(v, n), n - v) * len));
    if (v == 0)
        move_rotate(blocks.bytes, in, len, move_wrap(n - root, n), n);
    serry_err e = move_scatter_tree(c, blocks.bytes, len, root);
    if (e == SERRY_OK)
        memcpy(out, blocks.bytes, len);
    sri_scratch_free(&blocks);
    return e;
}

serry_err sri_collective_scatter(const sri_collective *c, const void *in, size_t len, void *out,
                                 int root)
{
    if (len == 0)
        return SERRY_OK;
    if (len <= MOVE_TREE_MAX)
        return move_scatter_small(c, in, len, out, root);
    if (c->rank != root)
        return sri_collective_recv(c, root, MOVE_TREE, out, len);
    SRI_TRY(move_all(c, true, in, len));
    memmove(out, move_block(in, root, len), len);
    return SERRY_OK;
}

/* ---- allgather and alltoall ---- */

/* What each rank has doubles with every step (Bruck). */
static serry_err move_allgather_doubling(const sri_collective *c, const void *in, size_t len,
                                         void *out)
{
    int n = c->size, phase = 0;
    sri_scratch blocks;
    SRI_TRY(sri_scratch_take(&blocks, (size_t)n * len));
    memcpy(blocks.bytes, in, len);
    serry_err e = SERRY_OK;
    for (int have = 1; have < n && e == SERRY_OK; have <<= 1, phase++) {
        size_t bytes = (size_t)move_least(have, n - have) * len;
        e = sri_collective_swap(c, move_wrap(c->rank - have, n), blocks.bytes, bytes,
                                move_wrap(c->rank + have, n), move_block(blocks.bytes, have, len),
                                bytes, phase);
    }
    if (e == SERRY_OK)
        move_rotate(out, blocks.bytes, len, c->rank, n);
    sri_scratch_free(&blocks);
    return e;
}

static serry_err move_allgather_ring(const sri_collective *c, const void *in, size_t len, void *out)
{
    int n = c->size, next = move_wrap(c->rank + 1, n), previous = move_wrap(c->rank - 1, n);
    memmove(move_block(out, c->rank, len), in, len);
    for (int i = 0; i < n - 1; i++)
        SRI_TRY(sri_collective_swap(c, next, move_block(out, move_wrap(c->rank - i, n), len), len,
                                    previous, move_block(out, move_wrap(c->rank - i - 1, n), len),
                                    len, MOVE_RING));
    return SERRY_OK;
}

serry_err sri_collective_allgather(const sri_collective *c, const void *in, size_t len, void *out)
{
    if (len == 0)
        return SERRY_OK;
    if (len <= MOVE_BRUCK_MAX / (size_t)c->size)
        return move_allgather_doubling(c, in, len, out);
    return move_allgather_ring(c, in, len, out);
}

/* In step i with the ranks at distance i on both sides. */
static serry_err move_alltoall_pairs(const sri_collective *c, const void *in, size_t len, void *out)
{
    memcpy(move_block(out, c->rank, len), move_block(in, c->rank, len), len);
    for (int i = 1; i < c->size; i++) {
        int to = move_wrap(c->rank + i, c->size), from = move_wrap(c->rank - i, c->size);
        SRI_TRY(sri_collective_swap(c, to, move_block(in, to, len), len, from,
                                    move_block(out, from, len), len, MOVE_RING));
    }
    return SERRY_OK;
}

serry_err sri_collective_alltoall(const sri_collective *c, const void *in, size_t len, void *out)
{
    if (len == 0)
        return SERRY_OK;
    if (in != out)
        return move_alltoall_pairs(c, in, len, out);
    sri_scratch copy;
    SRI_TRY(sri_scratch_take(&copy, (size_t)c->size * len));
    memcpy(copy.bytes, in, (size_t)c->size * len);
    serry_err e = move_alltoall_pairs(c, copy.bytes, len, out);
    sri_scratch_free(&copy);
    return e;
}
