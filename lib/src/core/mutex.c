/* core/mutex.c: see mutex.h. */
#include "core/mutex.h"

#include <linux/membarrier.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/single_threaded.h>
#include <sys/syscall.h>
#include <unistd.h>

static struct {
    pthread_mutex_t mutex;
    bool taken;              /* the pthread mutex was; the holder's */
    bool handed;             /* the owner has nothing more to itself; under the pthread mutex */
    bool refused;            /* no membarrier here, so there is no owner; under the pthread mutex */
    _Atomic uintptr_t owner; /* pthread_self of that thread; 0: none yet */
    _Atomic bool inside;     /* it holds the core without the pthread mutex */
    _Atomic bool others;     /* have come: it must not any more */
    _Atomic uint32_t waiting; /* threads that want the pthread mutex */
} core = { .mutex = PTHREAD_MUTEX_INITIALIZER };

/* A full fence in all threads of this process that run at this moment. */
static bool mutex_fence_all(bool only_register)
{
    return syscall(SYS_membarrier,
                   only_register ? MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED
                                 : MEMBARRIER_CMD_PRIVATE_EXPEDITED,
                   0, 0)
           == 0;
}

/* With the pthread mutex. The owner looks at `others` after it has said that it is inside; with the
 * fence between, one of the two sees the other. It lets others in while it waits. */
static void mutex_hand_over(void)
{
    core.handed = true;
    if (atomic_load(&core.owner) == 0)
        return;
    atomic_store(&core.others, true);
    mutex_fence_all(false);
    while (atomic_load_explicit(&core.inside, memory_order_acquire))
        sched_yield();
}

/* With the pthread mutex: this thread is the first that came. */
static void mutex_own(uintptr_t self)
{
    core.refused = !mutex_fence_all(true);
    if (!core.refused)
        atomic_store(&core.owner, self);
}

static void mutex_take(uintptr_t self)
{
    if (pthread_mutex_trylock(&core.mutex) != 0) {
        atomic_fetch_add(&core.waiting, 1);
        pthread_mutex_lock(&core.mutex);
        atomic_fetch_sub(&core.waiting, 1);
    }
    uintptr_t owner = atomic_load(&core.owner);
    if (owner == 0 && !core.handed && !core.refused)
        mutex_own(self); /* from the next time on */
    else if (owner != self && !core.handed)
        mutex_hand_over();
    core.taken = true;
}

void sri_lock(void)
{
    if (__libc_single_threaded)
        return;
    uintptr_t self = (uintptr_t)pthread_self();
    if (__builtin_expect(atomic_load_explicit(&core.owner, memory_order_relaxed) == self, 1)) {
        atomic_store_explicit(&core.inside, true, memory_order_relaxed);
        atomic_signal_fence(memory_order_seq_cst); /* the processor's part: mutex_hand_over */
        if (__builtin_expect(!atomic_load_explicit(&core.others, memory_order_relaxed), 1))
            return;
        atomic_store_explicit(&core.inside, false, memory_order_release);
    }
    mutex_take(self);
}

void sri_unlock(void)
{
    /* Not asked again whether there are threads: that may have changed in between. */
    if (__builtin_expect(!core.taken, 1)) {
        atomic_store_explicit(&core.inside, false, memory_order_release);
        return;
    }
    core.taken = false;
    pthread_mutex_unlock(&core.mutex);
}

bool sri_lock_wanted(void)
{
    return core.taken ? atomic_load_explicit(&core.waiting, memory_order_relaxed) != 0
                      : atomic_load_explicit(&core.others, memory_order_relaxed);
}

bool sri_lock_shared(void)
{
    return core.taken;
}

void sri_lock_reset(void)
{
    pthread_mutex_init(&core.mutex, NULL);
    core.taken = core.handed = core.refused = false;
    atomic_store(&core.owner, 0);
    atomic_store(&core.inside, false);
    atomic_store(&core.others, false);
    atomic_store(&core.waiting, 0);
}
