/* core/progress.h: where the transport delivers: messages to core/match, answers to core/service,
 * what homes send unasked to core/object. */
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

/* Called at the end of each round of progress in which anything moved, with the core entered; must
 * not wait nor make progress. NULL while nobody has work of that kind. */
extern void (*sri_progress_hook)(void);

#ifdef __cplusplus
}
#endif
#endif
