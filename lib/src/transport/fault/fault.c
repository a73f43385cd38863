/* transport/fault/fault.c: see fault.h. */
#include "transport/fault/fault.h"

#include "base/env.h"
#include "base/error.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct fault {
    sri_transport transport; /* what the upper layers see */
    sri_transport *inner;
    sri_fault_rates rates;
    uint64_t random;
    bool refused; /* a send, by us: the next poll says that there is room again */
    bool skipped; /* a poll: there may be news although nothing will ring */
} fault;

static fault *fault_of(sri_transport *t)
{
    return (fault *)(void *)t;
}

/* xorshift64* (Vigna 2016): quick, and the same everywhere. */
static bool fault_strikes(fault *f, unsigned rate)
{
    f->random ^= f->random >> 12;
    f->random ^= f->random << 25;
    f->random ^= f->random >> 27;
    return (f->random * UINT64_C(0x2545f4914f6cdd1d) >> 32) % 1000 < rate;
}

static sri_sent fault_send(sri_transport *t, int peer, const sri_frame *frame)
{
    fault *f = fault_of(t);
    if (fault_strikes(f, f->rates.full)) {
        f->refused = true;
        return SRI_FULL;
    }
    return f->inner->ops->send(f->inner, peer, frame);
}

static bool fault_poll(sri_transport *t)
{
    fault *f = fault_of(t);
    if (fault_strikes(f, f->rates.idle)) {
        f->skipped = true;
        return false;
    }
    bool room = f->refused;
    f->refused = f->skipped = false;
    return f->inner->ops->poll(f->inner) || room;
}

static bool fault_arm(sri_transport *t)
{
    fault *f = fault_of(t);
    return !f->refused && !f->skipped && f->inner->ops->arm(f->inner);
}

static void fault_sleep(sri_transport *t, sri_ns deadline)
{
    fault *f = fault_of(t);
    /* Without the mutex: a state of its own would be shared, so it is the clock that decides. */
    if ((unsigned)(sri_now() / 64 % 1000) >= f->rates.early)
        f->inner->ops->sleep(f->inner, deadline);
}

static void fault_wake(sri_transport *t)
{
    fault *f = fault_of(t);
    f->inner->ops->wake(f->inner);
}

static bool fault_present(sri_transport *t, int peer)
{
    fault *f = fault_of(t);
    return f->inner->ops->present(f->inner, peer);
}

static int fault_members(sri_transport *t)
{
    fault *f = fault_of(t);
    return f->inner->ops->members(f->inner);
}

static sri_atomic_u64 *fault_cell(sri_transport *t, uint32_t number)
{
    fault *f = fault_of(t);
    return f->inner->ops->cell(f->inner, number);
}

static void fault_ring_agent(sri_transport *t)
{
    fault *f = fault_of(t);
    f->inner->ops->ring_agent(f->inner);
}

static void fault_publish(sri_transport *t, const sri_waiting *w)
{
    fault *f = fault_of(t);
    f->inner->ops->publish(f->inner, w);
}

static bool fault_bulk(sri_transport *t, int peer)
{
    const fault *f = fault_of(t);
    return f->inner->ops->bulk && f->inner->ops->bulk(f->inner, peer);
}

static bool fault_bulk_send(sri_transport *t, int peer, uint64_t token, const void *bytes,
                            size_t len)
{
    fault *f = fault_of(t);
    return f->inner->ops->bulk_send(f->inner, peer, token, bytes, len);
}

static bool fault_bulk_recv(sri_transport *t, int peer, uint64_t token, void *bytes, size_t len)
{
    fault *f = fault_of(t);
    return f->inner->ops->bulk_recv(f->inner, peer, token, bytes, len);
}

static bool fault_bulk_back(sri_transport *t, int peer, uint64_t token)
{
    fault *f = fault_of(t);
    return f->inner->ops->bulk_back(f->inner, peer, token);
}

static void fault_close(sri_transport *t, bool inherited)
{
    fault *f = fault_of(t);
    f->inner->ops->close(f->inner, inherited);
    free(f);
}

static const sri_transport_ops fault_ops = {
    .name = "fault",
    .send = fault_send,
    .poll = fault_poll,
    .arm = fault_arm,
    .sleep = fault_sleep,
    .wake = fault_wake,
    .present = fault_present,
    .members = fault_members,
    .cell = fault_cell,
    .ring_agent = fault_ring_agent,
    .publish = fault_publish,
    .bulk = fault_bulk,
    .bulk_send = fault_bulk_send,
    .bulk_recv = fault_bulk_recv,
    .bulk_back = fault_bulk_back,
    .close = fault_close,
};

static serry_err fault_number(const char *name, const char *text, int64_t most, unsigned *out)
{
    int64_t n;
    SRI_TRY(sri_parse_int(name, text, 0, most, &n));
    *out = (unsigned)n;
    return SERRY_OK;
}

static serry_err fault_parse_one(const char *pair, sri_fault_rates *r)
{
    const char *value = strchr(pair, '=');
    size_t n = value ? (size_t)(value - pair) : 0;
    if (n == 4 && !memcmp(pair, "full", n))
        return fault_number("full in SERRY_FAULT", value + 1, 999, &r->full);
    if (n == 4 && !memcmp(pair, "idle", n))
        return fault_number("idle in SERRY_FAULT", value + 1, 999, &r->idle);
    if (n == 5 && !memcmp(pair, "early", n))
        return fault_number("early in SERRY_FAULT", value + 1, 1000, &r->early);
    if (n == 4 && !memcmp(pair, "seed", n))
        return fault_number("seed in SERRY_FAULT", value + 1, INT32_MAX, &r->seed);
    return sri_fail(SERRY_EINVAL,
                    "SERRY_FAULT has '%s': it must be full=N, idle=N, early=N or seed=N", pair);
}

serry_err sri_fault_parse(const char *text, sri_fault_rates *rates)
{
    char copy[256];
    char *rest = NULL;
    sri_fault_rates r = { .seed = 1 };
    if (snprintf(copy, sizeof copy, "%s", text) >= (int)sizeof copy)
        return sri_fail(SERRY_EINVAL, "SERRY_FAULT is longer than %zu bytes", sizeof copy - 1);
    for (char *pair = strtok_r(copy, ",", &rest); pair; pair = strtok_r(NULL, ",", &rest))
        SRI_TRY(fault_parse_one(pair, &r));
    *rates = r;
    return SERRY_OK;
}

serry_err sri_fault_wrap(sri_transport **t, const sri_fault_rates *rates)
{
    fault *f = calloc(1, sizeof *f);
    if (!f)
        return sri_fail(SERRY_ENOMEM, "no memory for a transport");
    f->inner = *t;
    f->rates = *rates;
    f->random = UINT64_C(0x9e3779b97f4a7c15) * (rates->seed + 1u) + (uint64_t)(*t)->rank + 1;
    f->transport = **t;
    f->transport.ops = &fault_ops;
    *t = &f->transport;
    return SERRY_OK;
}
