/* support/home.c: see home.h. */
#include "support/home.h"

#include "agent/private.h"

#include <stdatomic.h>

#define HOME_CELLS 1024u
#define HOME_FRAME 4096u

typedef struct home_line {
    _Alignas(64) sri_atomic_u64 word;
} home_line;

struct test_home {
    home_line cells[HOME_CELLS]; /* first, for its alignment */
    sri_host host;
    sri_agent agent;
    bool (*sent)(void *ctx, int rank, const sri_frame *f);
    void *ctx;
    int n;
    agent_member members[];
};

static test_home *home_of(sri_transport *t)
{
    return (test_home *)(void *)((char *)t - offsetof(test_home, host.transport));
}

static sri_sent home_send(sri_transport *t, int rank, const sri_frame *f)
{
    test_home *h = home_of(t);
    return h->sent(h->ctx, rank, f) ? SRI_SENT : SRI_FULL;
}

static sri_atomic_u64 *home_cell_of(sri_transport *t, uint32_t number)
{
    return home_cell(home_of(t), number);
}

sri_atomic_u64 *home_cell(test_home *h, uint32_t number)
{
    return number < HOME_CELLS ? &h->cells[number].word : NULL;
}

test_home *home_create(int members, bool (*sent)(void *ctx, int rank, const sri_frame *f),
                       void *ctx)
{
    static const sri_transport_ops ops = { .name = "test",
                                           .send = home_send,
                                           .cell = home_cell_of };
    size_t size = sizeof(test_home) + (size_t)members * sizeof(agent_member);
    test_home *h = aligned_alloc(64, (size + 63) & ~(size_t)63);
    if (!h)
        abort();
    memset(h, 0, size);
    h->sent = sent;
    h->ctx = ctx;
    h->n = members;
    h->host.transport =
        (sri_transport){ .ops = &ops, .frame_max = HOME_FRAME, .rank = SRI_AGENT, .size = members };
    h->agent.host = &h->host;
    h->agent.options.size = members;
    h->agent.options.places = (sri_places){ .nodes = 1, .size = members };
    h->agent.members = calloc((size_t)members, sizeof(agent_member *));
    if (!h->agent.members || agent_objects_init(&h->agent) != SERRY_OK)
        abort();
    h->agent.n_ranks = members;
    for (int r = 0; r < members; r++) {
        agent_member *m = &h->members[r];
        *m = (agent_member){
            .rank = r, .state = AGENT_JOINED, .parent = -1, .socket = -1, .pidfd = -1
        };
        m->late_end = &m->late;
        h->agent.members[r] = m;
    }
    return h;
}

void home_destroy(test_home *h)
{
    agent_objects_fini(&h->agent);
    for (int r = 0; r < h->n; r++)
        agent_drop_late(&h->agent, &h->members[r]);
    free(h->agent.members);
    free(h);
}

uint64_t home_object(test_home *h, unsigned type, const void *args, size_t len)
{
    sri_create_args create = { .type = type, .node = -1 };
    uint64_t id = 0;
    return agent_object_create(&h->agent, 0, &create, args, len, &id) == SERRY_OK ? id : 0;
}

void home_request(test_home *h, int rank, uint64_t object, const uint8_t *bytes, size_t len)
{
    agent_request_here(&h->agent, rank, object, bytes, len);
}

void home_gone(test_home *h, int rank)
{
    agent_objects_gone(&h->agent, rank, SRI_FATE_DIED);
}

void home_round(test_home *h)
{
    agent_push(&h->agent);
    if (h->agent.objects_due)
        agent_objects_tick(&h->agent, 1);
    else if (h->agent.timed)
        agent_objects_tick(&h->agent, sri_now());
}
