/* core/message_api.c: the calls of serry/message.h: they check what they are given, enter the core
 * and leave it again. */
#include "core/message.h"

#include "agent/handle.h"
#include "agent/wire.h"
#include "core/match.h"
#include "core/service.h"
#include "core/wait.h"

static serry_err api_bad_rank(const char *what, int rank)
{
    return sri_fail(SERRY_EINVAL, "%s %d is not a rank: launched ranks are 0 to %d", what, rank,
                    sri_world.size - 1);
}

static serry_err api_no_such_rank(int rank)
{
    return sri_fail(SERRY_EINVAL, "rank %d is not in the world: %d were launched", rank,
                    sri_world.size);
}

/* A rank this process has never heard of: the agent knows. */
static serry_err api_ask(int rank)
{
    unsigned home = (unsigned)sri_places_node(&sri_world.places, rank);
    uint64_t id = sri_handle_make(SRI_TYPE_PROCESS, home, (uint32_t)rank, 1);
    sri_reply reply = { 0 };
    sri_agent_info info;
    serry_err e = sri_service_call(SRI_SERVICE_AGENT, SRI_AGENT_INFO, &id, sizeof id, NULL, 0,
                                   &reply, SRI_NEVER);
    if (e == SERRY_EHANDLE)
        return api_no_such_rank(rank);
    if (e == SERRY_OK && reply.len != sizeof info)
        e = sri_fail(SERRY_EINTERNAL, "the answer about a process has %zu bytes", reply.len);
    if (e == SERRY_OK) {
        memcpy(&info, reply.bytes, sizeof info);
        /* What it had sent before it ended has come by now, and can still be received. */
        while (!info.alive && !sri_peer_known(rank) && sri_progress())
            ;
        if (!info.alive && !sri_peer_known(rank))
            e = sri_fail(SERRY_EDIED, "rank %d had ended before", rank);
        else if (!sri_peer_of(rank))
            e = sri_fail(SERRY_ENOMEM, "no memory for rank %d", rank);
    }
    sri_reply_fini(&reply);
    return e;
}

/* Beyond the launched ranks are those of started processes. What this process has heard of them is
 * no answer: it may know that a lane has ended, and not yet why, or have come after their end. */
serry_err sri_message_check_rank(const char *what, int rank)
{
    if (rank < 0)
        return api_bad_rank(what, rank);
    if (rank == sri_world.rank || sri_peer_known(rank))
        return SERRY_OK;
    return api_ask(rank);
}

/* Launched, and if it has gone, this process was told or will be. */
static inline bool api_is_launched(int rank)
{
    return __builtin_expect((unsigned)rank < (unsigned)sri_world.size, 1)
           && (__builtin_expect(sri_world.parent < 0, 1) || sri_peer_known(rank));
}

static inline serry_err api_check_dest(int dest)
{
    if (api_is_launched(dest) || dest == SERRY_NONE)
        return SERRY_OK;
    return sri_message_check_rank("dest", dest);
}

static inline serry_err api_check_source(int source)
{
    if (api_is_launched(source) || source == SERRY_NONE || source == SERRY_ANY)
        return SERRY_OK;
    return sri_message_check_rank("source", source);
}

static serry_err api_bad_tag(int tag)
{
    return sri_fail(SERRY_EINVAL, "tag %d is out of range: 0 to %d", tag, INT32_MAX);
}

static inline serry_err api_check_send(int dest, int tag, const void *buf, size_t len)
{
    if (__builtin_expect(tag < 0, 0))
        return api_bad_tag(tag);
    if (__builtin_expect(!buf && len, 0))
        return sri_fail(SERRY_EINVAL, "a message of %zu bytes at NULL", len);
    if (__builtin_expect(len > sri_world.max_message, 0))
        return sri_fail(SERRY_ELIMIT, "a message of %zu bytes: the limit is %llu", len,
                        (unsigned long long)sri_world.max_message);
    return api_check_dest(dest);
}

static inline serry_err api_check_recv(int source, int tag, const void *buf, size_t cap)
{
    if (__builtin_expect(tag < 0 && tag != SERRY_ANY, 0))
        return api_bad_tag(tag);
    if (__builtin_expect(!buf && cap, 0))
        return sri_fail(SERRY_EINVAL, "a buffer of %zu bytes at NULL", cap);
    return api_check_source(source);
}

static serry_err api_from_none(int tag, serry_status *status)
{
    if (status)
        *status = (serry_status){ SERRY_NONE, tag, 0 };
    return SERRY_OK;
}

serry_err serry_send(int dest, int tag, const void *buf, size_t len)
{
    SRI_TRY(sri_enter());
    serry_err e = api_check_send(dest, tag, buf, len);
    if (e == SERRY_OK && dest != SERRY_NONE)
        e = sri_message_send(SRI_CONTEXT_USER, dest, tag, buf, len);
    sri_leave();
    return e;
}

serry_err serry_recv(int source, int tag, void *buf, size_t cap, serry_status *status,
                     double timeout)
{
    sri_ns deadline;
    SRI_TRY(sri_enter());
    serry_err e = api_check_recv(source, tag, buf, cap);
    if (e == SERRY_OK)
        e = sri_deadline(timeout, &deadline);
    if (e == SERRY_OK && source == SERRY_NONE)
        e = api_from_none(tag, status);
    else if (e == SERRY_OK)
        e = sri_message_recv(SRI_CONTEXT_USER, source, tag, buf, cap, status, deadline);
    sri_leave();
    return sri_within(e, timeout);
}

serry_err serry_sendrecv(int dest, int send_tag, const void *out, size_t len, int source,
                         int recv_tag, void *in, size_t cap, serry_status *status)
{
    SRI_TRY(sri_enter());
    serry_err e = api_check_send(dest, send_tag, out, len);
    if (e == SERRY_OK)
        e = api_check_recv(source, recv_tag, in, cap);
    if (e != SERRY_OK)
        goto leave;
    if (dest != SERRY_NONE && source != SERRY_NONE) {
        e = sri_message_sendrecv(SRI_CONTEXT_USER, dest, send_tag, out, len, source, recv_tag, in,
                                 cap, status);
    } else if (dest != SERRY_NONE) {
        e = sri_message_send(SRI_CONTEXT_USER, dest, send_tag, out, len);
        if (e == SERRY_OK)
            e = api_from_none(recv_tag, status);
    } else if (source != SERRY_NONE) {
        e = sri_message_recv(SRI_CONTEXT_USER, source, recv_tag, in, cap, status, SRI_NEVER);
    } else {
        e = api_from_none(recv_tag, status);
    }
leave:
    sri_leave();
    return e;
}

serry_err serry_probe(int source, int tag, serry_status *status, double timeout)
{
    sri_ns deadline;
    SRI_TRY(sri_enter());
    serry_err e = api_check_recv(source, tag, NULL, 0);
    if (e == SERRY_OK)
        e = sri_deadline(timeout, &deadline);
    if (e == SERRY_OK && source == SERRY_NONE)
        e = api_from_none(tag, status);
    else if (e == SERRY_OK)
        e = sri_message_probe(SRI_CONTEXT_USER, source, tag, status, deadline);
    sri_leave();
    return sri_within(e, timeout);
}

static serry_err api_check_request(const void *r)
{
    return r ? SERRY_OK : sri_fail(SERRY_EINVAL, "a request at NULL");
}

serry_err serry_isend(serry_request *r, int dest, int tag, const void *buf, size_t len)
{
    SRI_TRY(sri_enter());
    serry_err e = api_check_request(r);
    if (e == SERRY_OK)
        e = api_check_send(dest, tag, buf, len);
    if (e == SERRY_OK && dest == SERRY_NONE)
        r->id = 0;
    else if (e == SERRY_OK)
        e = sri_message_isend(SRI_CONTEXT_USER, r, dest, tag, buf, len);
    sri_leave();
    return e;
}

serry_err serry_irecv(serry_request *r, int source, int tag, void *buf, size_t cap)
{
    SRI_TRY(sri_enter());
    serry_err e = api_check_request(r);
    if (e == SERRY_OK)
        e = api_check_recv(source, tag, buf, cap);
    if (e == SERRY_OK && source == SERRY_NONE)
        r->id = 0;
    else if (e == SERRY_OK)
        e = sri_message_irecv(SRI_CONTEXT_USER, r, source, tag, buf, cap);
    sri_leave();
    return e;
}

serry_err serry_wait(serry_request *r, serry_status *status, double timeout)
{
    sri_ns deadline;
    SRI_TRY(sri_enter());
    serry_err e = api_check_request(r);
    if (e == SERRY_OK)
        e = sri_deadline(timeout, &deadline);
    if (e == SERRY_OK && r->id == 0)
        e = api_from_none(SERRY_ANY, status);
    else if (e == SERRY_OK)
        e = sri_message_wait(r, status, deadline);
    sri_leave();
    return sri_within(e, timeout);
}

serry_err serry_wait_any(serry_request *rs, size_t n, size_t *which, serry_status *status,
                         double timeout)
{
    sri_ns deadline;
    SRI_TRY(sri_enter());
    serry_err e = n ? api_check_request(rs) : SERRY_OK;
    if (e == SERRY_OK)
        e = sri_check_array(n, sizeof *rs, "requests");
    if (e == SERRY_OK)
        e = sri_deadline(timeout, &deadline);
    if (e == SERRY_OK)
        e = sri_message_wait_any(rs, n, which, status, deadline);
    sri_leave();
    return sri_within(e, timeout);
}

serry_err serry_wait_all(serry_request *rs, size_t n, serry_status *statuses, double timeout)
{
    sri_ns deadline;
    SRI_TRY(sri_enter());
    serry_err e = n ? api_check_request(rs) : SERRY_OK;
    if (e == SERRY_OK)
        e = sri_check_array(n, sizeof *rs, "requests");
    if (e == SERRY_OK)
        e = sri_deadline(timeout, &deadline);
    if (e == SERRY_OK)
        e = sri_message_wait_all(rs, n, statuses, deadline);
    sri_leave();
    return sri_within(e, timeout);
}

serry_err serry_cancel(serry_request *r)
{
    SRI_TRY(sri_enter());
    serry_err e = api_check_request(r);
    if (e == SERRY_OK && r->id != 0)
        e = sri_message_cancel(r);
    sri_leave();
    return e;
}
