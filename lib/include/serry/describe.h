/* serry/describe.h: what an object is doing, for people.
 *
 *     serry_queue work;
 *     SERRY_CHECK(serry_queue_create(&work, NULL));
 *     char text[256];
 *     SERRY_CHECK(serry_describe(work.id, text, sizeof text));
 *     puts(text);
 *
 * prints, say: queue #1: 0 items, capacity 0, 0 gets and 0 puts wait
 */
#ifndef SERRY_DESCRIBE_H
#define SERRY_DESCRIBE_H

#include <serry/world.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Writes one line about the object of a handle (queue.id, lock.id, process.id, ...): kind, name,
 * state, who holds it, who waits and for how long. The words may change between versions; do not
 * parse them. A longer line is cut at cap - 1 bytes. Asks the object's home; does not wait for
 * anybody else. SERRY_EHANDLE: it names nothing (any more). */
SERRY_API SERRY_WARN_UNUSED serry_err serry_describe(uint64_t handle_id, char *text, size_t cap);

#ifdef __cplusplus
}
#endif
#endif
