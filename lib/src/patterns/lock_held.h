/* patterns/lock_held.h: what a condition needs of its lock, and all it may know of it. All with the
 * core entered. */
#ifndef SRI_PATTERNS_LOCK_HELD_H
#define SRI_PATTERNS_LOCK_HELD_H

#include <serry/error.h>

#include <stdbool.h>
#include <stdint.h>

/* SERRY_EHANDLE: there is no such lock. */
serry_err sri_lock_exists(uint64_t lock);

/* SERRY_EPERM: the calling thread does not hold it. SERRY_EHANDLE. */
serry_err sri_lock_held(uint64_t lock);

/* Lets all levels go; *depth says how many there were. Errors as above: nothing has changed. */
serry_err sri_lock_let_go(uint64_t lock, uint32_t *depth);

/* Waits for the lock, for ever, and holds it as deep. SERRY_OK or SERRY_EOWNERDIED: it is held;
 * SERRY_EHANDLE: it was destroyed. Nothing else. */
serry_err sri_lock_take_back(uint64_t lock, uint32_t depth);

/* Has this process heard of its destruction? For sri_wait_until: who waits is woken by it. */
bool sri_lock_ended(uint64_t lock);

#endif
