/* core/streams.c: this process's standard streams, lent to the agent. */
#include "core/streams.h"

#include "agent/wire.h"
#include "base/fds.h"
#include "base/log.h"
#include "core/service.h"
#include "transport/local/local.h"

#include <fcntl.h>
#include <string.h>

serry_err sri_lend_streams(void)
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
