/* core/bulk.c: long messages that the transport moves by itself, from where they lie to where they
 * go. Announced and asked for as all long ones; instead of pieces there is one transfer, whose name
 * is the receiver's token:
 *
 *     ANNOUNCE tag | token, len  ->
 *                                <-   CLEAR token | theirs, flag SRI_CLEAR_BULK; bulk_recv has
 * begun bulk_send                  =>   bulk_done at both ends
 *
 * Whoever has begun a transfer has lent its memory until bulk_done. A receive that is given up
 * therefore takes its transfer back, which it can while the sender has not looked at the CLEAR, and
 * the message goes to memory of its own instead, where the next receive finds it; or it cannot, and
 * waits for the end. All transfers of a peer end before its fate is told.
 */
#include "core/match.h"

#include "base/log.h"
#include "core/wait.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

bool sri_bulk_to(const sri_peer *p)
{
    sri_transport *t = sri_world.transport;
    return t->ops->bulk && t->ops->bulk(t, p->rank);
}

/* ---- receiving ---- */

bool sri_bulk_receive(sri_incoming *in, uint8_t *into, sri_incoming_bulk state)
{
    sri_transport *t = sri_world.transport;
    if (!t->ops->bulk_recv(t, in->peer->rank, in->token, into, in->len))
        return false;
    in->bulk = state;
    return true;
}

bool sri_bulk_back(sri_incoming *in)
{
    sri_transport *t = sri_world.transport;
    if (in->bulk == SRI_BULK_STANDS)
        return true;
    if (!t->ops->bulk_back(t, in->peer->rank, in->token))
        return false;
    if (in->bulk == SRI_BULK_KEPT)
        sri_buffer_fini(&in->kept);
    in->bulk = SRI_BULK_STANDS;
    return true;
}

bool sri_bulk_keep(sri_incoming *in)
{
    if (sri_buffer_reserve(&in->kept, in->len) == SERRY_OK
        && sri_bulk_receive(in, in->kept.data, SRI_BULK_KEPT))
        return true;
    sri_buffer_fini(&in->kept);
    return false;
}

void sri_bulk_forget(sri_incoming *in)
{
    bool kept = in->bulk == SRI_BULK_KEPT;
    if (!sri_bulk_back(in) && kept)
        memset(&in->kept, 0, sizeof in->kept); /* the transport has it for good */
    in->bulk = SRI_BULK_NONE;
}

/* Into memory that is thrown away, so that the sender comes to its end. */
bool sri_bulk_discard(sri_incoming *in)
{
    if (in->bulk == SRI_BULK_DIRECT && !sri_bulk_back(in))
        return false;
    if (in->bulk == SRI_BULK_STANDS && !sri_bulk_keep(in))
        sri_log(SRI_LOG_ERROR, "no memory to take a message of rank %d, which waits in vain",
                in->peer->rank);
    return true;
}

/* One that no receive has. If it is lost, its place in the queue goes when the fate is told. */
static void bulk_kept(sri_incoming *in, bool ok)
{
    if (!ok) {
        in->bulk = SRI_BULK_STANDS;
        sri_buffer_fini(&in->kept);
        return;
    }
    in->bulk = SRI_BULK_NONE;
    in->kept.len = in->got = in->len;
    in->state = SRI_INCOMING_WHOLE;
    sri_ids_release(&sri_match.incomings, in->token);
    in->token = 0;
}

static bool bulk_received(int peer, uint64_t token, bool ok)
{
    sri_incoming *in = sri_ids_find(&sri_match.incomings, token);
    if (!in || in->peer->rank != peer || in->bulk == SRI_BULK_NONE || in->bulk == SRI_BULK_STANDS)
        return false;
    sri_request *r = in->request;
    if (in->queued) {
        bulk_kept(in, ok);
        return false;
    }
    if (in->bulk == SRI_BULK_KEPT && ok && r)
        memcpy(r->buf.into, in->kept.data, in->len);
    in->bulk = SRI_BULK_NONE;
    sri_incoming_free(in);
    return r && sri_request_complete(r, ok ? SERRY_OK : SERRY_EDIED);
}

/* ---- sending ---- */

bool sri_bulk_send(sri_peer *p, sri_request *r)
{
    sri_transport *t = sri_world.transport;
    if (!t->ops->bulk_send(t, p->rank, r->remote, r->buf.from, r->len))
        return false;
    r->place = SRI_PLACE_BULK;
    DL_APPEND(p->bulks, r);
    return true;
}

static bool bulk_sent(int peer, uint64_t token, bool ok)
{
    sri_peer *p = sri_peer_known(peer);
    sri_request *r = p ? p->bulks : NULL;
    while (r && r->remote != token)
        r = r->next;
    if (!r)
        return false;
    DL_DELETE(p->bulks, r);
    r->sent = r->len;
    return sri_request_complete(r, ok ? SERRY_OK : SERRY_EDIED);
}

bool sri_bulk_done(int peer, uint64_t token, bool sending, bool ok)
{
    return sending ? bulk_sent(peer, token, ok) : bulk_received(peer, token, ok);
}
