/* agent/agent.c: beginning and end of an agent, and what arrives by the lanes. */
#include "agent/far.h"
#include "base/env.h"
#include "base/log.h"

#include <fcntl.h>
#include <unistd.h>

#define MAX_MESSAGE_DEFAULT (UINT64_C(4) << 30)

serry_err sri_agent_options_read(sri_agent_options *o)
{
    static const char *const lanes[] = { "shm", "socket" };
    int which = 0;
    int64_t max = (int64_t)MAX_MESSAGE_DEFAULT;
    SRI_TRY(sri_env_word("SERRY_LANES", lanes, 2, &which));
    SRI_TRY(sri_env_int("SERRY_MAX_MESSAGE", 1, INT64_C(1) << 46, &max));
    o->lanes = which == 0 ? SRI_LANES_SHM : SRI_LANES_SOCKET;
    o->max_message = (uint64_t)max;
    return SERRY_OK;
}

/* ---- what arrives ---- */

/* There is no memory for a chain: it is passed over, and its sender is told if he waits for it. */
static void agent_lose_chain(sri_agent *a, agent_member *m)
{
    sri_asker who = { .rank = m->rank, .number = m->chain_head.number };
    static const char text[] = "the agent has no memory for a long request";
    m->chain_lost = false;
    if (who.number) {
        agent_answer(a, who, SERRY_ENOMEM, text, sizeof text - 1);
        return;
    }
    sri_log(SRI_LOG_ERROR, "no memory for a long post of rank %d: it is ended", m->rank);
    agent_end_member(a, m, 9);
}

/* Long requests come as a chain; what they announce is not believed, only what comes. */
static void agent_chain(sri_agent *a, agent_member *m, const sri_arrival *f)
{
    if (!m->chained) {
        m->chain_aux = f->aux;
        m->chain_head = (sri_request_head){ 0 };
        memcpy(&m->chain_head, f->bytes,
               f->len < sizeof m->chain_head ? f->len : sizeof m->chain_head);
    }
    m->chained = f->flags & SRI_FLAG_MORE;
    if (m->chain.len + f->len > a->options.max_message + SRI_REQUEST_MORE) {
        sri_log(SRI_LOG_ERROR, "a request of rank %d is too long: it is ended", m->rank);
        agent_end_member(a, m, 9);
        sri_buffer_fini(&m->chain);
        m->chained = false;
        return;
    }
    if (!m->chain_lost && sri_buffer_add(&m->chain, f->bytes, f->len) != SERRY_OK) {
        sri_buffer_fini(&m->chain);
        m->chain_lost = true;
    }
    if (m->chained)
        return;
    if (m->chain_lost) {
        agent_lose_chain(a, m);
        return;
    }
    sri_buffer whole = m->chain;
    m->chain = (sri_buffer){ 0 };
    agent_request(a, m->rank, m->chain_aux, whole.data, whole.len);
    sri_buffer_fini(&whole);
}

static bool agent_deliver(void *ctx, const sri_arrival *f)
{
    sri_agent *a = ctx;
    agent_member *m = agent_member_of(a, f->source);
    int fd = f->fd;
    if (!m || m->state == AGENT_GONE) {
        sri_close(&fd);
    } else if (f->kind == SRI_KIND_JOIN) {
        agent_deliver_join(a, m, f);
    } else if (f->kind == SRI_KIND_REQUEST) {
        a->arrived = fd;
        if (__builtin_expect(m->chained || (f->flags & SRI_FLAG_MORE), 0))
            agent_chain(a, m, f);
        else
            agent_request(a, f->source, f->aux, f->bytes, f->len);
        sri_close(&a->arrived);
    } else if (f->kind == SRI_KIND_ROUTE && a->links) {
        far_route(a, f);
        sri_close(&fd);
    } else {
        sri_log(SRI_LOG_ERROR, "rank %d sent the agent a frame of kind %u", f->source, f->kind);
        sri_close(&fd);
    }
    return true;
}

static void agent_no_fate(void *ctx, int rank, sri_fate fate, int code)
{
    (void)ctx;
    (void)rank;
    (void)fate;
    (void)code;
}

/* ---- life ---- */

static void agent_free_members(sri_agent *a)
{
    for (int r = 0; r < a->n_ranks; r++) {
        agent_member *m = a->members[r];
        if (!m)
            continue;
        agent_drop_late(a, m);
        sri_buffer_fini(&m->chain);
        sri_close(&m->socket);
        sri_close(&m->pidfd);
        for (int i = 0; i < 3; i++)
            sri_close(&m->streams[i]);
        free(m);
    }
    free(a->members);
}

serry_err sri_agent_create(sri_agent **out, const sri_agent_options *o)
{
    sri_sink sink = { .deliver = agent_deliver, .fate = agent_no_fate };
    serry_err e;
    sri_agent *a = calloc(1, sizeof *a);
    if (!a)
        return sri_fail(SERRY_ENOMEM, "no memory for an agent");
    a->options = *o;
    if (o->places.nodes <= 1)
        a->options.places = (sri_places){ .nodes = 1, .size = o->size };
    a->nursery = a->arrived = a->places_table = a->lost = -1;
    sink.ctx = a;
    a->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (a->epoll < 0) {
        e = sri_fail_errno("epoll_create1");
        goto free_agent;
    }
    if (pipe2(a->lifeline, O_CLOEXEC | O_NONBLOCK) != 0) {
        e = sri_fail_errno("pipe");
        goto close_epoll;
    }
    e = o->lanes == SRI_LANES_SHM ? sri_host_create_shm(&a->host, o->size, &sink)
                                  : sri_host_create_socket(&a->host, o->size, &sink);
    if (e != SERRY_OK)
        goto close_lifeline;
    int bell = a->host->ops->bell(a->host);
    if (bell >= 0) {
        e = agent_epoll(a, bell, agent_event(AGENT_EVENT_BELL, 0));
        if (e != SERRY_OK)
            goto close_host;
    }
    if (o->places.nodes > 1) {
        e = sri_places_table(&o->places, &a->places_table);
        if (e != SERRY_OK)
            goto close_host;
    }
    e = agent_objects_init(a);
    if (e != SERRY_OK)
        goto close_table;
    e = far_init(a);
    if (e != SERRY_OK)
        goto free_far;
    *out = a;
    return SERRY_OK;

free_far:
    reach_free(a->reach);
    free(a->far_nodes);
    agent_free_members(a);
    agent_objects_fini(a);
close_table:
    sri_close(&a->places_table);
close_host:
    a->host->transport.ops->close(&a->host->transport, false);
close_lifeline:
    close(a->lifeline[0]);
    close(a->lifeline[1]);
close_epoll:
    close(a->epoll);
free_agent:
    free(a);
    return e;
}

void sri_agent_destroy(sri_agent *a)
{
    if (!a)
        return;
    a->destroying = true;
    agent_objects_fini(a);
    agent_free_members(a);
    while (a->waiters) {
        agent_waiter *w = a->waiters;
        a->waiters = w->next;
        free(w);
    }
    while (a->timers) {
        agent_timer *t = a->timers;
        a->timers = t->next;
        free(t);
    }
    agent_watch *w, *next;
    HASH_ITER (hh, a->watches, w, next) {
        HASH_DEL(a->watches, w);
        free(w);
    }
    agent_drop_orders(a);
    agent_drop_starters(a);
    far_fini(a);
    a->host->transport.ops->close(&a->host->transport, false);
    sri_close(&a->nursery);
    sri_close(&a->places_table);
    close(a->lifeline[0]);
    close(a->lifeline[1]);
    close(a->epoll);
    free(a);
}
