/* patterns/pool_deputy.c: a process that runs a pool's tasks in the stead of a rank: how the rank
 * has it started and lets it go, and its life. The home's side is in pool_deputies.c. */
#include "patterns/pool_worker.h"

#include "agent/wire.h"
#include "base/error.h"
#include "base/point.h"
#include "core/clean_start.h"
#include "core/core.h"
#include "core/service.h"

#include <string.h>

/* What a deputy is told. */
typedef struct deputy_arg {
    uint64_t pool;
    int32_t principal;
    uint32_t ask;
} deputy_arg;

static int deputy_main(const void *bytes, size_t len)
{
    deputy_arg arg;
    if (len != sizeof arg)
        return 1;
    memcpy(&arg, bytes, sizeof arg);
    pool_wire_hello hello = { .role = POOL_ROLE_DEPUTY,
                              .principal = arg.principal,
                              .ask = arg.ask };
    sri_worker_live(arg.pool, hello);
    return 0;
}

/* By this rank's own agent, from the clean copy of the program, whatever this process is and
 * has. */
static serry_err deputy_start(uint64_t pool, uint32_t ask, sri_agent_started *started)
{
    deputy_arg arg = { .pool = pool, .principal = sri_world.rank, .ask = ask };
    sri_agent_start start = { .daemon = 1, .node = sri_world.places.node };
    return sri_clean_start(&start, (sri_any_fn)deputy_main, &arg, sizeof arg, started);
}

void sri_deputy_start(sri_worker *w)
{
    uint32_t ask = w->ask;
    sri_agent_started started = { .rank = -1 };
    w->ask = 0;
    SRI_POINT(115);
    serry_err e = deputy_start(w->pool, ask, &started);
    const char *text = e == SERRY_OK ? "" : serry_err_detail();
    pool_wire_deputy out = { .ask = ask, .rank = started.rank };
    w->deputy = started.process;
    SRI_POINT(116);
    SERRY_IGNORE(sri_service_post(w->pool, POOL_OP_DEPUTY, &out, sizeof out, text, strlen(text)));
    SRI_POINT(117);
}

void sri_deputy_end(sri_worker *w)
{
    sri_worker_detach(w);
    if (w->ended)
        return;
    SERRY_IGNORE(sri_service_call(w->pool, POOL_OP_LEAVE, NULL, 0, NULL, 0, NULL, SRI_NEVER));
    if (w->deputy)
        SERRY_IGNORE(sri_service_call(SRI_SERVICE_AGENT, SRI_AGENT_JOIN, &w->deputy,
                                      sizeof w->deputy, NULL, 0, NULL, SRI_NEVER));
}
