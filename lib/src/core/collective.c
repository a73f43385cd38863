/* core/collective.c: the calls of serry/collective.h, and what happens when one fails: whoever
 * cannot do its part tells all others, so that those who wait for it, directly or not, fail too. */
#include "core/collective.h"

#include "core/wait.h"

#include <serry/collective.h>

#include <stdlib.h>

serry_err sri_scratch_take(sri_scratch *s, size_t n)
{
    s->bytes = n <= sizeof s->small ? s->small : malloc(n);
    return s->bytes ? SERRY_OK : sri_fail(SERRY_ENOMEM, "no memory for %zu bytes in between", n);
}

void sri_scratch_free(sri_scratch *s)
{
    if (s->bytes != s->small)
        free(s->bytes);
}

serry_err sri_collective_misfit(int source, size_t got, size_t expected)
{
    return sri_fail(SERRY_EINVAL,
                    "rank %d calls with other lengths or another collective: it sent "
                    "%zu bytes where %zu were expected",
                    source, got, expected);
}

static serry_err collective_begin(sri_collective *c)
{
    if (__builtin_expect(sri_world.parent >= 0, 0))
        return sri_fail(SERRY_ESTATE,
                        "rank %d is a started process: collectives are for launched "
                        "ranks",
                        sri_world.rank);
    c->number = ++sri_match.collective & ((1u << SRI_COLLECTIVE_BITS) - 1);
    c->rank = sri_world.rank;
    c->size = sri_world.size;
    if (__builtin_expect(sri_match.lost.known, 0)
        && sri_collective_reached(c->number, sri_match.lost.from))
        return sri_match_fail_lost();
    return SERRY_OK;
}

/* The rank whose absence made this one fail: one that has left, or this one itself. */
static int collective_culprit(serry_err e)
{
    for (int i = 0; i < sri_world.size && e == SERRY_EDIED; i++)
        if (sri_message_peer_gone(i))
            return i;
    return sri_world.rank;
}

static serry_err collective_failed(const sri_collective *c, serry_err e)
{
    static uint32_t news[2]; /* outlives the call: it may be kept back for a full lane */
    if (sri_match.lost.known)
        return e; /* all have been told, by a death or by another rank */
    sri_kept_error kept = sri_error_keep(e);
    news[0] = (uint32_t)collective_culprit(e);
    news[1] = c->number;
    if (sri_match_lose((int)news[0], c->number))
        sri_wait_notify();
    for (int i = 0; i < c->size; i++) {
        serry_request ignored;
        if (i != c->rank && !sri_message_peer_gone(i))
            SERRY_IGNORE(sri_message_isend(SRI_CONTEXT_COLLECTIVE, &ignored, i, INT32_MIN, news,
                                           sizeof news));
    }
    return sri_error_again(&kept);
}

static inline serry_err collective_end(const sri_collective *c, serry_err e)
{
    if (__builtin_expect(e != SERRY_OK, 0))
        e = collective_failed(c, e);
    sri_leave();
    return e;
}

/* ---- arguments: with the core entered ---- */

static serry_err collective_check_root(int root)
{
    if (root >= 0 && root < sri_world.size)
        return SERRY_OK;
    return sri_fail(SERRY_EINVAL, "root %d is not a launched rank: 0 to %d", root,
                    sri_world.size - 1);
}

static serry_err collective_check_bytes(const char *what, const void *at, size_t len)
{
    if (!at && len)
        return sri_fail(SERRY_EINVAL, "%s is NULL, with %zu bytes", what, len);
    if (len > sri_world.max_message)
        return sri_fail(SERRY_ELIMIT, "%s has %zu bytes: the limit of a message is %llu", what, len,
                        (unsigned long long)sri_world.max_message);
    return SERRY_OK;
}

/* A block for each rank. */
static serry_err collective_check_blocks(const char *what, const void *at, size_t len)
{
    if (!at && len)
        return sri_fail(SERRY_EINVAL, "%s is NULL, with %zu bytes for each rank", what, len);
    size_t most = SIZE_MAX / 2 / (size_t)sri_world.size;
    if (len > most)
        return sri_fail(SERRY_ELIMIT, "%s has %zu bytes for each of %d ranks: the limit is %zu",
                        what, len, sri_world.size, most);
    return SERRY_OK;
}

static serry_err collective_check_elements(const void *in, size_t n, serry_type type, serry_op op,
                                           sri_reduce_fn *fn, size_t *size)
{
    SRI_TRY(sri_reduce_find(type, op, fn, size));
    if (n > SIZE_MAX / *size)
        return sri_fail(SERRY_ELIMIT, "%zu elements of %zu bytes: the limit of a message is %llu",
                        n, *size, (unsigned long long)sri_world.max_message);
    return collective_check_bytes("in", in, n * *size);
}

/* Between sri_enter and collective_end: a failing check or begin leaves and returns; nobody else
 * need know, since bad arguments are the same everywhere. */
#define COLLECTIVE_CHECK(call)                                                                     \
    do {                                                                                           \
        serry_err check_err = (call);                                                              \
        if (__builtin_expect(check_err != SERRY_OK, 0)) {                                          \
            sri_leave();                                                                           \
            return check_err;                                                                      \
        }                                                                                          \
    } while (0)

serry_err serry_world_barrier(void)
{
    sri_collective c;
    SRI_TRY(sri_enter());
    COLLECTIVE_CHECK(collective_begin(&c));
    return collective_end(&c, sri_collective_barrier(&c));
}

serry_err serry_world_bcast(void *buf, size_t len, int root)
{
    sri_collective c;
    SRI_TRY(sri_enter());
    COLLECTIVE_CHECK(collective_check_root(root));
    COLLECTIVE_CHECK(collective_check_bytes("buf", buf, len));
    COLLECTIVE_CHECK(collective_begin(&c));
    return collective_end(&c, sri_collective_bcast(&c, buf, len, root));
}

serry_err serry_world_reduce(const void *in, void *out, size_t n, serry_type type, serry_op op,
                             int root)
{
    sri_collective c;
    sri_reduce_fn fn;
    size_t size;
    SRI_TRY(sri_enter());
    COLLECTIVE_CHECK(collective_check_root(root));
    COLLECTIVE_CHECK(collective_check_elements(in, n, type, op, &fn, &size));
    if (root == sri_world.rank)
        COLLECTIVE_CHECK(collective_check_bytes("out", out, n * size));
    COLLECTIVE_CHECK(collective_begin(&c));
    return collective_end(&c, sri_collective_reduce(&c, in, out, n, fn, size, root));
}

serry_err serry_world_allreduce(const void *in, void *out, size_t n, serry_type type, serry_op op)
{
    sri_collective c;
    sri_reduce_fn fn;
    size_t size;
    SRI_TRY(sri_enter());
    COLLECTIVE_CHECK(collective_check_elements(in, n, type, op, &fn, &size));
    COLLECTIVE_CHECK(collective_check_bytes("out", out, n * size));
    COLLECTIVE_CHECK(collective_begin(&c));
    return collective_end(&c, sri_collective_allreduce(&c, in, out, n, fn, size));
}

serry_err serry_world_gather(const void *in, size_t len, void *out, int root)
{
    sri_collective c;
    SRI_TRY(sri_enter());
    COLLECTIVE_CHECK(collective_check_root(root));
    COLLECTIVE_CHECK(collective_check_bytes("in", in, len));
    if (root == sri_world.rank)
        COLLECTIVE_CHECK(collective_check_blocks("out", out, len));
    COLLECTIVE_CHECK(collective_begin(&c));
    return collective_end(&c, sri_collective_gather(&c, in, len, out, root));
}

serry_err serry_world_scatter(const void *in, size_t len, void *out, int root)
{
    sri_collective c;
    SRI_TRY(sri_enter());
    COLLECTIVE_CHECK(collective_check_root(root));
    COLLECTIVE_CHECK(collective_check_bytes("out", out, len));
    if (root == sri_world.rank)
        COLLECTIVE_CHECK(collective_check_blocks("in", in, len));
    COLLECTIVE_CHECK(collective_begin(&c));
    return collective_end(&c, sri_collective_scatter(&c, in, len, out, root));
}

serry_err serry_world_allgather(const void *in, size_t len, void *out)
{
    sri_collective c;
    SRI_TRY(sri_enter());
    COLLECTIVE_CHECK(collective_check_bytes("in", in, len));
    COLLECTIVE_CHECK(collective_check_blocks("out", out, len));
    COLLECTIVE_CHECK(collective_begin(&c));
    return collective_end(&c, sri_collective_allgather(&c, in, len, out));
}

serry_err serry_world_alltoall(const void *in, size_t len, void *out)
{
    sri_collective c;
    SRI_TRY(sri_enter());
    COLLECTIVE_CHECK(collective_check_blocks("in", in, len));
    COLLECTIVE_CHECK(collective_check_blocks("out", out, len));
    COLLECTIVE_CHECK(collective_check_bytes("a block", in, len));
    COLLECTIVE_CHECK(collective_begin(&c));
    return collective_end(&c, sri_collective_alltoall(&c, in, len, out));
}
