/* core/clean_start.h: starting a process from the clean copy of the program, which the agent has.
 */
#ifndef SRI_CORE_CLEAN_START_H
#define SRI_CORE_CLEAN_START_H

#include "agent/wire.h"

#include <serry/error.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Has the agent of args->node (-1: it chooses) start fn, a serry_process_fn, with a copy of arg.
 * name, daemon and node of *args are set; the rest is set here. On this node the process has this
 * one's descriptors 0, 1 and 2, as they are now. Waits for the agent; the core is entered. */
serry_err sri_clean_start(sri_agent_start *args, sri_any_fn fn, const void *arg, size_t len,
                          sri_agent_started *started);

#ifdef __cplusplus
}
#endif
#endif
