/* transport/mpi/part.c: the end of a transport, by all together. MPI does not like to be left with
 * messages that nobody has fetched (UCX, under MPICH, says so of each), and that a send is complete
 * does not mean that it has arrived. So each is told how many frames there were for it, and
 * fetches them.
 */
#include "transport/mpi/private.h"

#include <sched.h>
#include <stdlib.h>

#define PART_WITHIN SRI_MS(5000)

/* Outlives the transport where not everybody came: MPI may still look at it. */
typedef struct far_parting {
    MPI_Request request;
    uint32_t wanted;
    uint32_t sent[];
} far_parting;

static bool part_drop(void *ctx, const sri_arrival *a)
{
    (void)ctx, (void)a;
    return true;
}

static bool part_lacks_one(const far_transport *m)
{
    for (int i = 0; i < m->size; i++)
        if (m->peers[i].gone)
            return true;
    return false;
}

static bool part_begin(far_transport *m, far_parting *p)
{
    for (int i = 0; i < m->size; i++)
        p->sent[i] = m->peers[i].sent;
    return MPI_Ireduce_scatter_block(p->sent, &p->wanted, 1, MPI_UINT32_T, MPI_SUM, m->frames,
                                     &p->request)
           == MPI_SUCCESS;
}

void far_part(far_transport *m)
{
    sri_ns end = sri_now() + PART_WITHIN;
    int known = 0;
    if (m->over || part_lacks_one(m))
        return;
    far_parting *p = malloc(sizeof *p + (size_t)m->size * sizeof *p->sent);
    if (!p)
        return;
    m->base.sink = (sri_sink){ .deliver = part_drop };
    if (!part_begin(m, p)) {
        free(p);
        return;
    }
    while (!(known && m->received == p->wanted && m->pending.n == 0)) {
        bool any = far_poll(&m->base);
        if (!known && MPI_Test(&p->request, &known, MPI_STATUS_IGNORE) != MPI_SUCCESS)
            break;
        if (m->over || part_lacks_one(m) || sri_now() >= end)
            break;
        if (!any)
            sched_yield();
    }
    if (known)
        free(p);
}
