/* base/outlive.h: processes that are meant to outlive the run in which they were started, which
 * otherwise ends with all that its ranks have started. They bear a mark, and what they start has
 * it, too: a variable in the environment, and in a process that sets it for itself, whose
 * environment others see as it was at its exec, a mapping with a name. */
#ifndef SRI_BASE_OUTLIVE_H
#define SRI_BASE_OUTLIVE_H

#include <stdbool.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SRI_OUTLIVE "SERRY_OUTLIVE"

/* This process, and what it forks or starts from here on. */
void sri_outlive_mark(void);

/* Has that process the mark? One that cannot be looked into has none. */
bool sri_outlive_is_marked(pid_t pid);

#ifdef __cplusplus
}
#endif
#endif
