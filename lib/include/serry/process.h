/* serry/process.h: a function run in a process of its own.
 *
 *     static int hello(const void *arg, size_t len)
 *     {
 *         printf("hello from rank %d: %.*s\n", serry_rank(), (int)len, (const char *)arg);
 *         return 0;
 *     }
 *     ...
 *     serry_process p;
 *     SERRY_CHECK(serry_process_start(&p, hello, "abc", 3, NULL));
 *     SERRY_CHECK(serry_process_join(p, NULL, SERRY_FOREVER));
 *
 * A started process is a member of the world with a rank of its own; it neither inits nor
 * finalizes. When its function returns, it joins its own children that are not daemons, flushes
 * its streams and ends by _exit: exit handlers of the program do not run in it.
 * Handles are values: any process may use them, as often as it likes.
 */
#ifndef SERRY_PROCESS_H
#define SERRY_PROCESS_H

#include <serry/world.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* arg is aligned for any type and valid until the function returns. The value returned is the exit
 * code, of which the lowest 8 bits count. */
typedef int (*serry_process_fn)(const void *arg, size_t len);

typedef struct serry_process {
    uint64_t id;
} serry_process;

typedef struct serry_process_options {
    const char *name; /* up to 63 bytes; NULL: "Process-1", "Process-1:2", ... */
    bool daemon;      /* ended when its parent ends; may not start processes itself */
    int node;         /* 0: here; SERRY_NODE(k); SERRY_ANY: where the fewest members are */
} serry_process_options;

typedef struct serry_process_info {
    pid_t pid;
    int rank;
    bool alive;
    bool daemon;
    char name[64];
} serry_process_info;

/* Starts fn(arg, len) in a new process. arg is copied. A caller with one thread forks itself, so
 * the child sees a copy of its memory; otherwise, and with SERRY_START=agent, the child is forked
 * from a clean copy of the program as it was at serry_init, and only arg travels. So it is on
 * another node, too, where its streams are those of the first launched rank there. Errors:
 * SERRY_EPERM (a daemon may not start processes), SERRY_EINVAL, SERRY_ELIMIT (members of a node),
 * SERRY_ESYS (fork), SERRY_EDIED (that node is lost), SERRY_ESTATE. */
SERRY_API SERRY_WARN_UNUSED serry_err serry_process_start(serry_process *p, serry_process_fn fn,
                                                          const void *arg, size_t len,
                                                          const serry_process_options *o);

/* Waits until p has ended. *code is its exit code, or -N if signal N ended it.
 * Errors: SERRY_ETIMEDOUT, SERRY_EHANDLE, SERRY_EINVAL (joining oneself). */
SERRY_API SERRY_WARN_UNUSED serry_err serry_process_join(serry_process p, int *code,
                                                         double timeout);

/* False for an ended process and for a handle that names none. */
SERRY_API bool serry_process_is_alive(serry_process p);

/* Describes p, alive or ended. */
SERRY_API SERRY_WARN_UNUSED serry_err serry_process_info_of(serry_process p,
                                                            serry_process_info *info);

/* Sends a signal to p (terminate: SIGTERM, kill: SIGKILL). An ended process: SERRY_ESTATE. */
SERRY_API SERRY_WARN_UNUSED serry_err serry_process_signal(serry_process p, int signal);
SERRY_API SERRY_WARN_UNUSED serry_err serry_process_terminate(serry_process p);
SERRY_API SERRY_WARN_UNUSED serry_err serry_process_kill(serry_process p);

/* This process, a launched rank too; and the one that started it, zero for a launched rank. */
SERRY_API serry_process serry_process_self(void);
SERRY_API serry_process serry_process_parent(void);

/* Writes up to cap handles of this process's live children; returns how many there are. */
SERRY_API size_t serry_process_children(serry_process *out, size_t cap);

/* Waits until one of n processes has ended; *which is its index. n == 0: SERRY_EINVAL. */
SERRY_API SERRY_WARN_UNUSED serry_err serry_process_wait_any(const serry_process *ps, size_t n,
                                                             size_t *which, double timeout);

#ifdef __cplusplus
}
#endif
#endif
