/* core/clean_start.c: see clean_start.h. */
#include "core/clean_start.h"

#include "base/error.h"
#include "base/fds.h"
#include "core/service.h"

#include <fcntl.h>
#include <string.h>

/* What the agent starts for this process writes where this process does. */
static serry_err start_lend_streams(void)
{
    int pair[2];
    int fds[3];
    SRI_TRY(sri_socket_pair(pair));
    for (int i = 0; i < 3; i++)
        fds[i] = fcntl(i, F_GETFD) >= 0 ? i : sri_fd_high(open("/dev/null", O_RDWR | O_CLOEXEC));
    int code = sri_packet_send(pair[0], "s", 1, NULL, 0, fds, 3);
    serry_err e = code == 0
                      ? SERRY_OK
                      : sri_fail(SERRY_ESYS, "the streams cannot be passed on: %s", strerror(code));
    if (e == SERRY_OK)
        e = sri_service_call_fd(SRI_SERVICE_AGENT, SRI_AGENT_STREAMS, NULL, 0, pair[1], NULL,
                                SRI_NEVER);
    for (int i = 0; i < 3; i++) {
        if (fds[i] > 2)
            sri_close(&fds[i]);
    }
    sri_close(&pair[0]);
    sri_close(&pair[1]);
    return e;
}

serry_err sri_clean_start(sri_agent_start *args, sri_any_fn fn, const void *arg, size_t len,
                          sri_agent_started *started)
{
    sri_reply reply = { 0 };
    args->by_agent = 1;
    SRI_TRY(sri_fnref_of(fn, &args->fn));
    SRI_TRY(start_lend_streams());
    SRI_TRY(sri_service_call(SRI_SERVICE_AGENT, SRI_AGENT_START, args, sizeof *args, arg, len,
                             &reply, SRI_NEVER));
    serry_err e = SERRY_OK;
    if (reply.len == sizeof *started)
        memcpy(started, reply.bytes, sizeof *started);
    else
        e = sri_fail(SERRY_EINTERNAL, "the answer to a start has %zu bytes", reply.len);
    sri_reply_fini(&reply);
    return e;
}
