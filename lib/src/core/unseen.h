/* core/unseen.h: helper processes that the program does not notice: not found by its wait(), no
 * SIGCHLD where that can be had. */
#ifndef SRI_CORE_UNSEEN_H
#define SRI_CORE_UNSEEN_H

#include <serry/error.h>
#include <sys/types.h>

/* Forks. In the child *pid is 0; it ends by _exit. In the parent *pidfd is a descriptor of the
 * child, or -1 where the kernel has none. */
serry_err sri_unseen_fork(pid_t *pid, int *pidfd);

/* Called in the child, which fork handlers do not always reach: closes what a copy of the program
 * must not hold open. NULL: nothing. */
extern void (*sri_unseen_hook)(void);

/* Waits up to `seconds` until it has ended, and reaps it if it is ours to reap. Closes *pidfd. */
void sri_unseen_reap(pid_t pid, int *pidfd, double seconds);

#endif
