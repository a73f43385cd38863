/* serry/event.h: a flag that processes wait for.
 *
 *     serry_event ready;
 *     SERRY_CHECK(serry_event_create(&ready, &(serry_event_options){ .name = "ready" }));
 *     if (serry_rank() == 0)
 *         SERRY_CHECK(serry_event_set(ready));
 *     SERRY_CHECK(serry_event_wait(ready, SERRY_FOREVER));
 *
 * It is clear at first. Once set it stays set, for everybody, until somebody clears it, also if
 * the process that set it has died. When set or clear returns, every process sees it.
 */
#ifndef SERRY_EVENT_H
#define SERRY_EVENT_H

#include <serry/world.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct serry_event {
    uint64_t id;
} serry_event;

typedef struct serry_event_options {
    const char *name; /* the same name is the same event; up to 63 bytes; NULL: a new one */
    int node;         /* where it lives: 0 here, SERRY_NODE(k) */
} serry_event_options;

/* Makes an event, which is clear, or finds the one of that name, as it is. */
SERRY_API SERRY_WARN_UNUSED serry_err serry_event_create(serry_event *e,
                                                         const serry_event_options *o);

/* Sets it: all who wait go on. Setting a set one does nothing. */
SERRY_API SERRY_WARN_UNUSED serry_err serry_event_set(serry_event e);

/* Clears it: waits wait again. Who was waiting when it was set goes on all the same. */
SERRY_API SERRY_WARN_UNUSED serry_err serry_event_clear(serry_event e);

/* Is it set? False too for a handle that names no event (any more). Never blocks for long. */
SERRY_API bool serry_event_is_set(serry_event e);

/* Waits until it is set. SERRY_ETIMEDOUT: it stayed clear. SERRY_EHANDLE: it was destroyed. */
SERRY_API SERRY_WARN_UNUSED serry_err serry_event_wait(serry_event e, double timeout);

/* Ends the event; whoever waits for it gets SERRY_EHANDLE. */
SERRY_API SERRY_WARN_UNUSED serry_err serry_event_destroy(serry_event e);

#ifdef __cplusplus
}
#endif
#endif
