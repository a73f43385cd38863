/* transport/local/pace.c: short laps or long ones. */
#include "transport/local/pace.h"

#define PACE_UNIT (2u << 20) /* bytes that are timed together */
#define PACE_TRIAL 2u        /* units of a trial: the first may have to touch new pages */
#define PACE_KEEP_MIN 16u    /* units between two trials */
#define PACE_KEEP_MAX 256u

void sri_pace_init(sri_pace *p)
{
    *p = (sri_pace){ .units = PACE_TRIAL, .keep = PACE_KEEP_MIN };
}

static void pace_begin(sri_pace *p, bool far, bool trial, uint32_t units)
{
    p->far = far;
    p->trial = trial;
    p->units = units;
    p->cost[far] = SRI_NEVER;
}

/* The units of a phase are over. */
static void pace_decide(sri_pace *p)
{
    if (!p->trial) {
        pace_begin(p, !p->far, true, PACE_TRIAL);
        return;
    }
    bool better = p->cost[p->far] < p->cost[!p->far] - p->cost[!p->far] / 16;
    uint32_t longer = p->keep < PACE_KEEP_MAX ? p->keep * 2 : p->keep;
    p->keep = better ? PACE_KEEP_MIN : longer;
    pace_begin(p, better ? p->far : !p->far, false, p->keep);
}

bool sri_pace_turn(sri_pace *p, uint64_t lap, uint64_t bulk, sri_ns now)
{
    if (bulk < lap / 2) {
        p->since = 0;
        return false;
    }
    if (p->since == 0) {
        p->since = now;
        p->bytes = 0;
        return p->far;
    }
    p->bytes += lap;
    if (p->bytes < PACE_UNIT)
        return p->far;
    sri_ns cost = (now - p->since) * PACE_UNIT / (sri_ns)p->bytes;
    if (p->units == PACE_TRIAL)
        p->cost[p->far] = SRI_NEVER; /* only the last ones count, so that both kinds have as many */
    if (cost < p->cost[p->far])
        p->cost[p->far] = cost;
    p->since = now;
    p->bytes = 0;
    if (--p->units == 0)
        pace_decide(p);
    return p->far;
}
