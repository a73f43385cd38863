/* core/collective.h: one collective call under way, and the algorithms. collective.c has the public
 * calls; collective_move.c and collective_reduce.c what they run, collective_tree.c who tells whom.
 * All with the core entered and arguments checked; every rank of the launched world calls the same
 * one. A call that fails here is made known to the others, so that none of them waits for ever.
 */
#ifndef SRI_CORE_COLLECTIVE_H
#define SRI_CORE_COLLECTIVE_H

#include "core/match.h"
#include "core/message.h"
#include "core/reduce.h"

#include <stdalign.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sri_collective {
    uint32_t number; /* the same on all ranks */
    int rank;
    int size;
} sri_collective;

/* Steps of one call that may be under way at once between the same two ranks have other phases. */
static inline int sri_collective_tag(const sri_collective *c, int phase)
{
    return (int)(c->number << 8 | (uint32_t)phase);
}

/* SERRY_EINVAL: the other rank's message has another length. */
serry_err sri_collective_misfit(int source, size_t got, size_t expected);

static inline serry_err sri_collective_send(const sri_collective *c, int dest, int phase,
                                            const void *buf, size_t len)
{
    return sri_message_send(SRI_CONTEXT_COLLECTIVE, dest, sri_collective_tag(c, phase), buf, len);
}

static inline serry_err sri_collective_fits(serry_err e, const serry_status *st, size_t len)
{
    if (__builtin_expect(e == SERRY_ETRUNC || (e == SERRY_OK && st->len != len), 0))
        return sri_collective_misfit(st->source, st->len, len);
    return e;
}

static inline serry_err sri_collective_recv(const sri_collective *c, int source, int phase,
                                            void *buf, size_t len)
{
    serry_status st;
    serry_err e = sri_message_recv(SRI_CONTEXT_COLLECTIVE, source, sri_collective_tag(c, phase),
                                   buf, len, &st, SRI_NEVER);
    return sri_collective_fits(e, &st, len);
}

static inline serry_err sri_collective_swap(const sri_collective *c, int dest, const void *out,
                                            size_t out_len, int source, void *in, size_t in_len,
                                            int phase)
{
    /* A short send does not wait for its receiver: no request of its own is needed. */
    if (out_len <= sri_match.eager_max) {
        SRI_TRY(sri_collective_send(c, dest, phase, out, out_len));
        return sri_collective_recv(c, source, phase, in, in_len);
    }
    serry_status st;
    int tag = sri_collective_tag(c, phase);
    serry_err e = sri_message_sendrecv(SRI_CONTEXT_COLLECTIVE, dest, tag, out, out_len, source, tag,
                                       in, in_len, &st);
    return sri_collective_fits(e, &st, in_len);
}

/* With more ranks than processors each step that waits for another rank costs a turn of all of
 * them, so fewer steps beat fewer messages (measured: 4, 8, 16 ranks on 2 processors). Up to
 * SRI_FLAT_FEW ranks everybody tells everybody, in one step. Beyond that few bytes go up and down a
 * tree of little depth over all ranks: first within each node, then between nodes. */
#define SRI_FLAT_FEW 4
#define SRI_FLAT_FAN 8

typedef struct sri_flat_tree {
    int parent; /* -1: the root, rank 0 */
    int n;
    int child[2 * SRI_FLAT_FAN]; /* of this node, and of others */
} sri_flat_tree;

sri_flat_tree sri_collective_flat_tree(const sri_collective *c);

/* Room for the time of a call: on the stack if it is little. */
typedef struct sri_scratch {
    alignas(16) uint8_t small[512];
    uint8_t *bytes;
} sri_scratch;

serry_err sri_scratch_take(sri_scratch *s, size_t n);
void sri_scratch_free(sri_scratch *s);

serry_err sri_collective_barrier(const sri_collective *c);
serry_err sri_collective_bcast(const sri_collective *c, void *buf, size_t len, int root);
serry_err sri_collective_gather(const sri_collective *c, const void *in, size_t len, void *out,
                                int root);
serry_err sri_collective_scatter(const sri_collective *c, const void *in, size_t len, void *out,
                                 int root);
serry_err sri_collective_allgather(const sri_collective *c, const void *in, size_t len, void *out);
serry_err sri_collective_alltoall(const sri_collective *c, const void *in, size_t len, void *out);
serry_err sri_collective_reduce(const sri_collective *c, const void *in, void *out, size_t n,
                                sri_reduce_fn fn, size_t size, int root);
serry_err sri_collective_allreduce(const sri_collective *c, const void *in, void *out, size_t n,
                                   sri_reduce_fn fn, size_t size);

#ifdef __cplusplus
}
#endif
#endif
