/* patterns/lock_local.h: what a member keeps of a lock it uses: where the word is, and which of its
 * threads holds it. All with the core entered. */
#ifndef SRI_PATTERNS_LOCK_LOCAL_H
#define SRI_PATTERNS_LOCK_LOCAL_H

#include "patterns/local.h"
#include "patterns/lock_wire.h"

typedef struct lock_local {
    sri_local local;
    sri_atomic_u64 *word; /* NULL: no shared word */
    uint64_t free, mine;  /* what it says when nobody, when this process holds it */
    uint64_t thread;      /* that holds it; 0: none of this process */
    uint32_t depth;
    bool open; /* the above is known */
    bool recursive;
} lock_local;

extern sri_locals lock_locals;

/* The lock of this handle, if it was used before; the one used last is found at once. */
static inline lock_local *lock_local_known(uint64_t id)
{
    lock_local *l = (lock_local *)lock_locals.last;
    if (__builtin_expect(!l || l->local.id != id, 0))
        l = (lock_local *)sri_local_find(&lock_locals, id);
    return __builtin_expect(l && l->open, 1) ? l : NULL;
}

/* The lock of this handle; asks the home the first time. The caller is one of its users until
 * lock_local_leave. */
serry_err lock_local_use(uint64_t id, lock_local **out);
void lock_local_leave(lock_local *l);

/* Was it destroyed, as far as is known here? */
bool lock_local_ended(const lock_local *l);

/* The calling thread's number, from 1; no two threads of a process ever have the same. When the
 * thread ends, what it still holds goes to the next as from a holder that died. These 8 bytes come
 * from the reserve for libraries loaded late, so that no function has to be called to find them. */
extern _Thread_local uint64_t lock_thread_number __attribute__((tls_model("initial-exec")));
uint64_t lock_thread_first(void);

static inline uint64_t lock_thread(void)
{
    uint64_t n = lock_thread_number;
    return __builtin_expect(n != 0, 1) ? n : lock_thread_first();
}

#endif
