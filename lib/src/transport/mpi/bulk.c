/* transport/mpi/bulk.c: long bodies go from one caller's memory into the other's by MPI itself, on
 * a communicator of their own. The tag comes from the token, so that transfers under way at the
 * same time do not meet; the pieces of one, where it is longer than MPI counts, go one after the
 * other under the same tag.
 *
 * The memory is MPI's until its request is complete. Where the other end has died that may be
 * never: then it is told as ended and the request is left alone, for there is nobody left who could
 * bring bytes, or ask for them.
 */
#include "transport/mpi/private.h"

#include <stdlib.h>

#define BULK_PIECE ((size_t)1 << 30)
#define BULK_TESTS 8 /* transfers looked at in one poll */
/* So long nobody pauses for a transfer that was begun: as if it went at 100 MB/s. */
#define BULK_BUSY(len) (SRI_MS(2) + (sri_ns)(len)*10)

struct far_bulk {
    far_bulk *next;
    MPI_Request request;
    int peer;
    bool sending;
    bool ok;
    uint64_t token;
    uint8_t *bytes;
    size_t len;
    size_t begun; /* bytes of the pieces that MPI has */
    size_t moved; /* and of those it is done with */
};

/* The next piece. */
static bool bulk_piece(far_transport *m, far_bulk *b)
{
    size_t n = b->len - b->begun < BULK_PIECE ? b->len - b->begun : BULK_PIECE;
    int tag = far_index(b->token, m->tag_max);
    int e =
        b->sending
            ? MPI_Isend(b->bytes + b->begun, (int)n, MPI_BYTE, b->peer, tag, m->bulk, &b->request)
            : MPI_Irecv(b->bytes + b->begun, (int)n, MPI_BYTE, b->peer, tag, m->bulk, &b->request);
    if (e != MPI_SUCCESS)
        return false;
    b->begun += n;
    return true;
}

static bool bulk_begin(far_transport *m, int peer, uint64_t token, uint8_t *bytes, size_t len,
                       bool sending)
{
    if (!far_bulk_to(&m->base, peer))
        return false;
    far_bulk *b = m->bulks_free;
    if (b)
        m->bulks_free = b->next;
    else if (!(b = malloc(sizeof *b)))
        return false;
    *b = (far_bulk){ .request = MPI_REQUEST_NULL,
                     .peer = peer,
                     .sending = sending,
                     .token = token,
                     .bytes = bytes,
                     .len = len };
    if (!bulk_piece(m, b)) {
        b->next = m->bulks_free;
        m->bulks_free = b;
        return false;
    }
    sri_ns busy = sri_now() + BULK_BUSY(len);
    if (busy > m->busy_until)
        m->busy_until = busy;
    far_bulk **last = &m->bulks;
    while (*last)
        last = &(*last)->next;
    *last = b;
    return true;
}

bool far_bulk_to(sri_transport *t, int peer)
{
    far_transport *m = (far_transport *)t;
    return peer >= 0 && peer < m->size && peer != t->rank && !m->over && !m->peers[peer].gone;
}

bool far_bulk_send(sri_transport *t, int peer, uint64_t token, const void *bytes, size_t len)
{
    return bulk_begin((far_transport *)t, peer, token, (uint8_t *)(uintptr_t)bytes, len, true);
}

bool far_bulk_recv(sri_transport *t, int peer, uint64_t token, void *bytes, size_t len)
{
    return bulk_begin((far_transport *)t, peer, token, bytes, len, false);
}

static void bulk_free(far_transport *m, far_bulk **at)
{
    far_bulk *b = *at;
    *at = b->next;
    b->next = m->bulks_free;
    m->bulks_free = b;
}

/* Looks at one. True: it has ended, well if .ok. */
static bool bulk_test(far_transport *m, far_bulk *b)
{
    int done = 0;
    MPI_Status status;
    if (MPI_Test(&b->request, &done, &status) != MPI_SUCCESS)
        return true;
    if (!done)
        return false;
    if (!b->sending) {
        int n = 0, cancelled = 0;
        MPI_Test_cancelled(&status, &cancelled);
        MPI_Get_count(&status, MPI_BYTE, &n);
        if (cancelled || (size_t)n != b->begun - b->moved)
            return true; /* the ends differ about its length */
    }
    b->moved = b->begun;
    b->ok = b->moved == b->len;
    return b->ok || !bulk_piece(m, b);
}

static void bulk_tell(far_transport *m, far_bulk **at)
{
    far_bulk b = **at;
    bulk_free(m, at);
    if (m->base.sink.bulk_done)
        m->base.sink.bulk_done(m->base.sink.ctx, b.peer, b.token, b.sending, b.ok);
}

bool far_bulk_poll(far_transport *m)
{
    far_bulk **at = &m->bulks;
    for (int n = 0; *at && n < BULK_TESTS; n++) {
        if (bulk_test(m, *at)) {
            bulk_tell(m, at); /* which may begin others: the list is not what it was */
            return true;
        }
        at = &(*at)->next;
    }
    if (m->bulks && *at) {
        /* More than are looked at in one poll: those at the end are first next time. */
        far_bulk *rest = *at, **last = at;
        *at = NULL;
        last = &rest;
        while (*last)
            last = &(*last)->next;
        *last = m->bulks;
        m->bulks = rest;
    }
    return false;
}

/* True: it was taken back before anything came. */
static bool bulk_cancel(far_bulk *b)
{
    if (b->moved > 0 || b->sending)
        return false;
    MPI_Cancel(&b->request);
    int done = 0, cancelled = 0;
    MPI_Status status;
    /* If it could be taken back this needs nobody else; else it goes on. */
    for (int i = 0; i < 64 && !done; i++)
        if (MPI_Test(&b->request, &done, &status) != MPI_SUCCESS)
            return false;
    if (!done)
        return false;
    MPI_Test_cancelled(&status, &cancelled);
    if (cancelled)
        return true;
    /* It had come: the next look finds a request that is none, which is complete. */
    b->moved = b->begun;
    return false;
}

bool far_bulk_back(sri_transport *t, int peer, uint64_t token)
{
    far_transport *m = (far_transport *)t;
    for (far_bulk **at = &m->bulks; *at; at = &(*at)->next) {
        far_bulk *b = *at;
        if (b->sending || b->peer != peer || b->token != token)
            continue;
        if (!bulk_cancel(b))
            return false;
        bulk_free(m, at);
        return true;
    }
    return false;
}

void far_bulk_gone(far_transport *m, int peer)
{
    far_bulk **at = &m->bulks;
    while (*at) {
        far_bulk *b = *at;
        if (b->peer != peer) {
            at = &b->next;
            continue;
        }
        if (!bulk_test(m, b) && !b->sending)
            bulk_cancel(b);
        bulk_tell(m, at);
        at = &m->bulks; /* what was told may have changed the list */
    }
}

void far_bulk_close(far_transport *m, bool inherited)
{
    for (far_bulk *b = m->bulks; b && !inherited; b = b->next)
        if (!bulk_cancel(b) && b->request != MPI_REQUEST_NULL)
            MPI_Request_free(&b->request);
    far_bulk *lists[2] = { m->bulks, m->bulks_free };
    for (int i = 0; i < 2; i++) {
        while (lists[i]) {
            far_bulk *next = lists[i]->next;
            free(lists[i]);
            lists[i] = next;
        }
    }
    m->bulks = m->bulks_free = NULL;
}
