/* core/streams.h: what the agent starts for this process writes where this process does. */
#ifndef SRI_CORE_STREAMS_H
#define SRI_CORE_STREAMS_H

#include <serry/error.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Lends the agent this process's descriptors 0, 1 and 2, as they are now. With the core entered. */
serry_err sri_lend_streams(void);

#ifdef __cplusplus
}
#endif
#endif
