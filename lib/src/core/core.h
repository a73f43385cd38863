/* core/core.h: the world this process is a member of, and the one mutex that guards it.
 *
 * Every public call that touches the world is
 *
 *     SRI_TRY(sri_enter());       member? several threads? then the mutex
 *     ... sri_progress, sri_wait ...
 *     sri_leave();
 *
 * A thread that waits lets the others in (core/wait.c).
 */
#ifndef SRI_CORE_H
#define SRI_CORE_H

#include "base/clock.h"
#include "transport/places.h"
#include "transport/transport.h"

#include <serry/world.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sri_core {
    sri_transport *transport; /* NULL: not a member */
    int rank;
    int size;         /* launched ranks */
    int parent;       /* rank that started this process; -1 for a launched rank */
    uint64_t process; /* this process's handle, and its parent's */
    uint64_t parent_process;
    bool daemon;
    bool finalizing;      /* arrived in serry_finalize */
    uint64_t max_message; /* bytes */
    sri_places places;    /* .nodes is 1 at least */
} sri_core;

/* Valid while sri_is_member(). */
extern sri_core sri_world;

/* False before init, after finalize, and in a copy of the process that someone else forked: the
 * flag lies on a page that the kernel wipes on fork. */
bool sri_is_member(void);

/* Checks membership (SERRY_ESTATE) and takes the mutex, which costs nothing while the process has
 * one thread. */
serry_err sri_enter(void);
void sri_leave(void);

/* What an options' .node says: 0 here, SERRY_NODE(k), or SERRY_ANY, which is -1. SERRY_EINVAL:
 * there is no such node. */
serry_err sri_node_of(int option, int32_t *node);

/* The agent of this node has died: says so on standard error and ends this process (exit code
 * 70). Called by whoever notices. */
SERRY_NORETURN void sri_agent_lost(void);
/* The node of this process has been given up by the others, why is said to a person. */
SERRY_NORETURN void sri_node_lost(const char *why, size_t len);

#ifdef __cplusplus
}
#endif
#endif
