/* serry/collective.h: what all launched ranks do together.
 *
 *     int64_t mine = serry_rank(), sum;
 *     SERRY_CHECK(serry_world_allreduce(&mine, &sum, 1, SERRY_INT64, SERRY_SUM));
 *
 * Collective over all launched ranks: every one of them calls, in the same order everywhere, with
 * the same lengths, types, operations and roots. Started processes take no part (SERRY_ESTATE).
 * Buffers are borrowed during the call; in == out is allowed. Lengths are bytes for each rank,
 * counts are elements. A call returns when this rank's part is done; only the barrier waits for
 * everybody. Results are the same bits on all ranks of an allreduce.
 * Errors: SERRY_EDIED on all ranks, from then on, when a launched rank has died or finalized;
 * SERRY_EINVAL for a root out of range, NULL with a length, a type or an operation that do not go
 * together.
 */
#ifndef SERRY_COLLECTIVE_H
#define SERRY_COLLECTIVE_H

#include <serry/types.h>
#include <serry/world.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Returns when all ranks have called it. */
SERRY_API SERRY_WARN_UNUSED serry_err serry_world_barrier(void);

/* len bytes of root's buf reach everybody's buf. */
SERRY_API SERRY_WARN_UNUSED serry_err serry_world_bcast(void *buf, size_t len, int root);

/* out[i] of root becomes the combination of in[i] of all ranks, i < n, in the order of ranks as
 * far as the tree keeps it. out is not touched elsewhere and may be NULL there. */
SERRY_API SERRY_WARN_UNUSED serry_err serry_world_reduce(const void *in, void *out, size_t n,
                                                         serry_type type, serry_op op, int root);

/* The same, to everybody. */
SERRY_API SERRY_WARN_UNUSED serry_err serry_world_allreduce(const void *in, void *out, size_t n,
                                                            serry_type type, serry_op op);

/* len bytes of each rank's in reach root's out, size * len bytes, in the order of ranks. */
SERRY_API SERRY_WARN_UNUSED serry_err serry_world_gather(const void *in, size_t len, void *out,
                                                         int root);

/* Rank k gets the k-th len bytes of root's in, size * len bytes, into out, len bytes. */
SERRY_API SERRY_WARN_UNUSED serry_err serry_world_scatter(const void *in, size_t len, void *out,
                                                          int root);

/* gather, to everybody: out has size * len bytes. */
SERRY_API SERRY_WARN_UNUSED serry_err serry_world_allgather(const void *in, size_t len, void *out);

/* The k-th len bytes of in go to rank k; the k-th len bytes of out come from rank k. */
SERRY_API SERRY_WARN_UNUSED serry_err serry_world_alltoall(const void *in, size_t len, void *out);

#ifdef __cplusplus
}
#endif
#endif
