/* transport/mpi/far.c: a transport of frames as MPI messages: the seam's operations that neither
 * send (far_send.c) nor receive (far_receive.c), its beginning and its end. */
#include "transport/mpi/frame.h"

#include "base/cpus.h"
#include "transport/nothing.h"

#include <stdlib.h>

#define FAR_SLEEP SRI_US(50)
#define FAR_DRAIN SRI_MS(300) /* in close, for what has not gone out */

/* While long bodies move, each poll moves them on: no pause. */
static bool far_arm(sri_transport *t)
{
    far_transport *m = (far_transport *)t;
    m->asleep = !m->bulks || sri_now() >= m->busy_until;
    return m->asleep;
}

/* MPI rings nobody: a short pause, that .wake ends. */
static void far_sleep(sri_transport *t, sri_ns deadline)
{
    far_transport *m = (far_transport *)t;
    uint32_t seen = atomic_load(&m->doorbell);
    sri_ns soon = sri_now() + FAR_SLEEP;
    sri_futex_wait(&m->doorbell, seen, soon < deadline ? soon : deadline, false);
}

static void far_wake(sri_transport *t)
{
    far_transport *m = (far_transport *)t;
    atomic_fetch_add(&m->doorbell, 1);
    sri_futex_wake(&m->doorbell, INT32_MAX, false);
}

static bool far_present(sri_transport *t, int peer)
{
    far_transport *m = (far_transport *)t;
    return peer >= 0 && peer < m->size && !m->peers[peer].gone && !m->over;
}

static int far_members(sri_transport *t)
{
    return ((far_transport *)t)->machine;
}

/* Its frames that MPI has not sent may be looked at by MPI as long as it likes. */
static void far_gone(sri_transport *t, int peer)
{
    far_transport *m = (far_transport *)t;
    if (peer < 0 || peer >= m->size)
        return;
    m->peers[peer].gone = true;
    far_slot *s, *next;
    for (s = m->pending.first; s; s = next) {
        next = s->next;
        if (s->peer != peer)
            continue;
        far_remove(&m->pending, s);
        far_append(&m->lost, s);
    }
    m->peers[peer].pending = 0;
    m->room |= m->full;
    if (!m->over)
        far_bulk_gone(m, peer);
}

static void far_free_list(far_slot *s)
{
    while (s) {
        far_slot *next = s->next;
        free(s);
        s = next;
    }
}

/* A receive that is not wanted any more. False: MPI has its memory still. */
static bool far_cancel(far_slot *s)
{
    int done = 0;
    MPI_Cancel(&s->request);
    for (int i = 0; i < 100 && !done; i++)
        if (MPI_Test(&s->request, &done, MPI_STATUS_IGNORE) != MPI_SUCCESS)
            return false;
    return done;
}

/* What was sent is to go out, if somebody takes it; then MPI gets its receives back. Memory it may
 * still look at is left to it. */
void far_stop(far_transport *m)
{
    if (m->over)
        return;
    for (sri_ns end = sri_now() + FAR_DRAIN; m->pending.n > 0 && sri_now() < end;)
        far_reap(m);
    m->over = true;
    for (; m->n_posted > 0; far_forget_head(m)) {
        far_slot *s = m->posted[m->head];
        if (far_cancel(s))
            far_append(&m->read, s);
    }
    for (far_slot *s = m->late.first; s; s = s->next)
        MPI_Request_free(&s->request);
    for (far_slot *s = m->pending.first; s; s = s->next)
        MPI_Request_free(&s->request);
    m->late = m->pending = (far_list){ 0 };
    far_bulk_close(m, false);
}

static void far_close(sri_transport *t, bool inherited)
{
    far_transport *m = (far_transport *)t;
    if (inherited)
        far_bulk_close(m, true);
    else
        far_stop(m);
    for (unsigned i = 0; inherited && i < m->n_posted; i++)
        free(m->posted[(m->head + i) % MPI_FAR_POSTED]);
    far_free_list(m->read.first);
    far_free_list(m->held.first);
    far_free_list(m->small);
    far_free_list(m->large);
    free(m->peers);
    if (m->opened)
        *m->opened = NULL;
    free(m);
}

static const sri_transport_ops far_ops = {
    .name = "mpi",
    .send = far_send,
    .poll = far_poll,
    .arm = far_arm,
    .sleep = far_sleep,
    .bulk_send = far_bulk_send,
    .bulk_recv = far_bulk_recv,
    .bulk = far_bulk_to,
    .bulk_back = far_bulk_back,
    .gone = far_gone,
    .wake = far_wake,
    .present = far_present,
    .members = far_members,
    .cell = sri_nothing_cell,
    .ring_agent = sri_nothing_ring,
    .publish = sri_nothing_publish,
    .close = far_close,
};

/* How many there are on this machine for as many processors as this one has. */
static int far_count_machine(MPI_Comm comm)
{
    MPI_Comm machine = MPI_COMM_NULL;
    sri_cpus own = sri_cpus_own(), all = own;
    int n = 1;
    if (MPI_Comm_split_type(comm, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &machine) != MPI_SUCCESS)
        return n;
    MPI_Comm_size(machine, &n);
    MPI_Allreduce(&own, &all, SRI_CPUS_WORDS, MPI_UINT64_T, MPI_BOR, machine);
    MPI_Comm_free(&machine);
    return sri_cpus_share(n, sri_cpus_count(&own), sri_cpus_count(&all));
}

int far_open(far_transport **t, MPI_Comm comm, int rank, int size, size_t frame_max,
             const sri_sink *sink)
{
    *t = NULL;
    far_transport *m = calloc(1, sizeof *m);
    if (!m)
        return 0;
    m->base = (sri_transport){
        .ops = &far_ops, .sink = *sink, .frame_max = frame_max, .rank = rank, .size = size
    };
    m->size = size;
    m->frames = m->bulk = MPI_COMM_NULL;
    m->body_max = (uint32_t)(frame_max + sizeof(far_tail));
    m->peers = calloc((size_t)size, sizeof *m->peers);
    int e = MPI_Comm_dup(comm, &m->frames);
    if (e == MPI_SUCCESS)
        e = MPI_Comm_dup(comm, &m->bulk);
    if (e != MPI_SUCCESS || !m->peers)
        goto fail;
    MPI_Comm_set_errhandler(m->frames, MPI_ERRORS_RETURN);
    MPI_Comm_set_errhandler(m->bulk, MPI_ERRORS_RETURN);
    int *most = NULL, found = 0;
    m->tag_max = (1u << FAR_TAG_BITS) - 1;
    if (MPI_Comm_get_attr(m->frames, MPI_TAG_UB, &most, &found) == MPI_SUCCESS && found && *most > 0
        && (uint32_t)*most > m->tag_max)
        m->tag_max = (uint32_t)*most;
    m->machine = far_count_machine(m->frames);
    far_post_all(m);
    *t = m;
    return 0;
fail:
    free(m->peers);
    free(m);
    return e;
}
