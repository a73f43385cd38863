/* core/collective_reduce.c: the collectives that compute. Operands are combined with that of the
 * lower ranks on the left wherever both sides of a step compute the same, so that all ranks of an
 * allreduce get the same bits. */
#include "core/collective.h"

#define REDUCE_FLAT_MAX 1024u      /* bytes of a vector that goes to one rank and back, or to all */
#define REDUCE_RING_MIN 65536u     /* bytes of a vector that is combined in parts */
#define REDUCE_RING_PART_MIN 2048u /* bytes of a part */

enum {
    REDUCE_UP = 0,
    REDUCE_DOWN = 1,
    REDUCE_FOLD = 30,
    REDUCE_UNFOLD = 31,
    REDUCE_SCATTER = 32,
    REDUCE_COLLECT = 33
};

static inline int reduce_wrap(int rank, int size)
{
    return rank >= size ? rank - size : rank < 0 ? rank + size : rank;
}

/* Up the binomial tree, counted from the root; sum holds what this rank has so far. */
static serry_err reduce_tree(const sri_collective *c, uint8_t *sum, uint8_t *theirs, size_t n,
                             sri_reduce_fn fn, size_t size, int root)
{
    int v = reduce_wrap(c->rank - root, c->size);
    for (int bit = 1; bit < c->size; bit <<= 1) {
        if (v & bit)
            return sri_collective_send(c, reduce_wrap(v - bit + root, c->size), 0, sum, n * size);
        if (v + bit >= c->size)
            continue;
        SRI_TRY(sri_collective_recv(c, reduce_wrap(v + bit + root, c->size), 0, theirs, n * size));
        fn(sum, sum, theirs, n);
    }
    return SERRY_OK;
}

serry_err sri_collective_reduce(const sri_collective *c, const void *in, void *out, size_t n,
                                sri_reduce_fn fn, size_t size, int root)
{
    size_t len = n * size;
    if (len == 0)
        return SERRY_OK;
    /* Leaves of the tree send what they have. */
    if (c->rank != root && (reduce_wrap(c->rank - root, c->size) & 1))
        return sri_collective_send(c, reduce_wrap(c->rank - 1, c->size), 0, in, len);
    sri_scratch s;
    SRI_TRY(sri_scratch_take(&s, 2 * len));
    uint8_t *sum = c->rank == root ? out : s.bytes + len;
    memmove(sum, in, len);
    serry_err e = reduce_tree(c, sum, s.bytes, n, fn, size, root);
    sri_scratch_free(&s);
    return e;
}

/* Each step doubles how many ranks' values everybody has. Ranks beyond a power of 2 first give
 * theirs to a neighbour and get the result at the end. */
static serry_err reduce_doubling(const sri_collective *c, uint8_t *sum, uint8_t *theirs, size_t n,
                                 sri_reduce_fn fn, size_t len)
{
    int power = 1;
    while (power * 2 <= c->size)
        power *= 2;
    int extra = c->size - power; /* pairs of ranks 2k, 2k+1 that act as one */
    int place = c->rank - extra;
    if (c->rank < 2 * extra) {
        if (c->rank % 2 == 0) {
            SRI_TRY(sri_collective_send(c, c->rank + 1, REDUCE_FOLD, sum, len));
            return sri_collective_recv(c, c->rank + 1, REDUCE_UNFOLD, sum, len);
        }
        SRI_TRY(sri_collective_recv(c, c->rank - 1, REDUCE_FOLD, theirs, len));
        fn(sum, theirs, sum, n);
        place = c->rank / 2;
    }
    for (int bit = 1, phase = 0; bit < power; bit <<= 1, phase++) {
        int other = place ^ bit;
        int rank = other < extra ? 2 * other + 1 : other + extra;
        SRI_TRY(sri_collective_swap(c, rank, sum, len, rank, theirs, len, phase));
        if (other < place)
            fn(sum, theirs, sum, n);
        else
            fn(sum, sum, theirs, n);
    }
    if (c->rank < 2 * extra)
        SRI_TRY(sri_collective_send(c, c->rank - 1, REDUCE_UNFOLD, sum, len));
    return SERRY_OK;
}

/* Everybody gets everybody's, and combines them in the order of ranks. */
static serry_err reduce_pairs(const sri_collective *c, const uint8_t *mine, uint8_t *sum,
                              uint8_t *theirs, size_t n, sri_reduce_fn fn, size_t len)
{
    for (int i = 1; i < c->size; i++)
        SRI_TRY(sri_collective_send(c, reduce_wrap(c->rank + i, c->size), REDUCE_UP, mine, len));
    for (int rank = 0; rank < c->size; rank++) {
        uint8_t *into = rank == 0 ? sum : theirs;
        if (rank == c->rank)
            memcpy(into, mine, len);
        else
            SRI_TRY(sri_collective_recv(c, rank, REDUCE_UP, into, len));
        if (rank > 0)
            fn(sum, sum, theirs, n);
    }
    return SERRY_OK;
}

/* All up to rank 0, the result down again. */
static serry_err reduce_flat(const sri_collective *c, uint8_t *sum, uint8_t *theirs, size_t n,
                             sri_reduce_fn fn, size_t len)
{
    sri_flat_tree t = sri_collective_flat_tree(c);
    for (int i = 0; i < t.n; i++) {
        SRI_TRY(sri_collective_recv(c, t.child[i], REDUCE_UP, theirs, len));
        fn(sum, sum, theirs, n);
    }
    if (t.parent >= 0) {
        SRI_TRY(sri_collective_send(c, t.parent, REDUCE_UP, sum, len));
        SRI_TRY(sri_collective_recv(c, t.parent, REDUCE_DOWN, sum, len));
    }
    for (int i = 0; i < t.n; i++)
        SRI_TRY(sri_collective_send(c, t.child[i], REDUCE_DOWN, sum, len));
    return SERRY_OK;
}

typedef struct reduce_part {
    size_t at;  /* in bytes */
    size_t n;   /* elements */
    size_t len; /* in bytes */
} reduce_part;

static reduce_part reduce_part_of(const sri_collective *c, int i, size_t n, size_t size)
{
    size_t each = n / (size_t)c->size, rest = n % (size_t)c->size,
           k = (size_t)reduce_wrap(i, c->size);
    size_t from = k * each + (k < rest ? k : rest), count = each + (k < rest ? 1 : 0);
    return (reduce_part){ from * size, count, count * size };
}

/* Part k starts at rank k and goes around, gathering; the rank before k has it whole in the end,
 * and sends it around once more. */
static serry_err reduce_ring(const sri_collective *c, uint8_t *sum, uint8_t *theirs, size_t n,
                             sri_reduce_fn fn, size_t size)
{
    int next = reduce_wrap(c->rank + 1, c->size), previous = reduce_wrap(c->rank - 1, c->size);
    for (int i = 0; i < c->size - 1; i++) {
        reduce_part out = reduce_part_of(c, c->rank - i, n, size);
        reduce_part in = reduce_part_of(c, c->rank - i - 1, n, size);
        SRI_TRY(sri_collective_swap(c, next, sum + out.at, out.len, previous, theirs, in.len,
                                    REDUCE_SCATTER));
        fn(sum + in.at, theirs, sum + in.at, in.n);
    }
    for (int i = 0; i < c->size - 1; i++) {
        reduce_part out = reduce_part_of(c, c->rank + 1 - i, n, size);
        reduce_part in = reduce_part_of(c, c->rank - i, n, size);
        SRI_TRY(sri_collective_swap(c, next, sum + out.at, out.len, previous, sum + in.at, in.len,
                                    REDUCE_COLLECT));
    }
    return SERRY_OK;
}

serry_err sri_collective_allreduce(const sri_collective *c, const void *in, void *out, size_t n,
                                   sri_reduce_fn fn, size_t size)
{
    size_t len = n * size;
    if (len == 0)
        return SERRY_OK;
    memmove(out, in, len);
    if (c->size == 1)
        return SERRY_OK;
    bool ring = len >= REDUCE_RING_MIN && len / (size_t)c->size >= REDUCE_RING_PART_MIN;
    sri_scratch s;
    SRI_TRY(sri_scratch_take(&s, ring ? len / (size_t)c->size + size : 2 * len));
    serry_err e;
    if (ring)
        e = reduce_ring(c, out, s.bytes, n, fn, size);
    else if (c->size <= SRI_FLAT_FEW && len <= REDUCE_FLAT_MAX)
        e = reduce_pairs(c, memcpy(s.bytes + len, out, len), out, s.bytes, n, fn, len);
    else if (len <= REDUCE_FLAT_MAX)
        e = reduce_flat(c, out, s.bytes, n, fn, len);
    else
        e = reduce_doubling(c, out, s.bytes, n, fn, len);
    sri_scratch_free(&s);
    return e;
}
