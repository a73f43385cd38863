/* transport/nothing.h: operations of transports that have nothing to do there: for their tables. */
#ifndef SRI_TRANSPORT_NOTHING_H
#define SRI_TRANSPORT_NOTHING_H

#include "transport/transport.h"

/* Nobody has to be told that this process sleeps. */
static inline bool sri_nothing_arm(sri_transport *t)
{
    (void)t;
    return true;
}

/* This is the agent, which sleeps elsewhere. */
static inline void sri_nothing_sleep(sri_transport *t, sri_ns deadline)
{
    (void)t;
    (void)deadline;
}

/* Nobody sleeps who would have to be woken: .wake, .ring_agent. */
static inline void sri_nothing_ring(sri_transport *t)
{
    (void)t;
}

/* There are no shared words. */
static inline sri_atomic_u64 *sri_nothing_cell(sri_transport *t, uint32_t number)
{
    (void)t;
    (void)number;
    return NULL;
}

/* Nobody could read it. */
static inline void sri_nothing_publish(sri_transport *t, const sri_waiting *w)
{
    (void)t;
    (void)w;
}

#endif
