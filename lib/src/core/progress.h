/* core/progress.h: where the transport delivers: messages to core/match, answers to core/service.
 */
#ifndef SRI_CORE_PROGRESS_H
#define SRI_CORE_PROGRESS_H

#include "transport/transport.h"

#ifdef __cplusplus
extern "C" {
#endif

/* For the transport of a member, at its opening. */
extern const sri_sink sri_progress_sink;

/* Called for every fate after the messages have been told, inside progress; may be NULL. */
extern void (*sri_fate_hook)(int rank, sri_fate fate, int code);

#ifdef __cplusplus
}
#endif
#endif
