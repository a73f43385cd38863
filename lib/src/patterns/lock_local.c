/* patterns/lock_local.c: locks as a member knows them, and threads that end holding some. */
#include "patterns/lock_local.h"

#include "core/service.h"
#include "core/wait.h"
#include "patterns/lock_steps.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

sri_locals lock_locals = { .size = sizeof(lock_local) };

static serry_err local_open(lock_local *l)
{
    lock_wire_opened out;
    SRI_TRY(sri_local_open(&l->local, LOCK_OP_OPEN, NULL, 0, &out, sizeof out));
    SRI_TRY(sri_local_word(out.shared, out.cell, &l->word));
    l->free = lock_word_free(l->local.id);
    l->mine = lock_word(l->local.id, sri_world.rank);
    l->recursive = out.recursive;
    l->open = true;
    return SERRY_OK;
}

serry_err lock_local_use(uint64_t id, lock_local **out)
{
    sri_local *base;
    SRI_TRY(sri_service_check(id, SRI_TYPE_LOCK));
    SRI_TRY(sri_local_use(&lock_locals, id, &base));
    lock_local *l = (lock_local *)base;
    if (!l->open) {
        serry_err e = local_open(l);
        if (e != SERRY_OK) {
            sri_local_give_up(&lock_locals, base);
            return e;
        }
    }
    *out = l;
    return SERRY_OK;
}

void lock_local_leave(lock_local *l)
{
    sri_local_leave(&lock_locals, &l->local);
}

bool lock_local_ended(const lock_local *l)
{
    return l->local.destroyed
           || (l->word
               && atomic_load_explicit(l->word, memory_order_acquire) >> LOCK_TAG_SHIFT
                      != l->free >> LOCK_TAG_SHIFT);
}

/* ---- what the home sends unasked ---- */

void lock_feed_arrived(uint64_t object, const uint8_t *bytes, size_t len)
{
    lock_local *l = (lock_local *)sri_local_find(&lock_locals, object);
    (void)bytes;
    if (!l || len != sizeof(lock_wire_lost))
        return;
    l->thread = 0;
    l->depth = 0;
}

void lock_forget(uint64_t object)
{
    sri_locals_forget(&lock_locals, object);
}

/* ---- threads ---- */

_Thread_local uint64_t lock_thread_number;
static uint64_t thread_last; /* number given out */
static pthread_key_t thread_key;
static bool thread_key_made;

/* Nobody else can let go what an ended thread holds. */
static void thread_abandon(lock_local *l)
{
    l->thread = 0;
    l->depth = 0;
    if (!l->word || !lock_step_abandon(l->word, l->mine))
        SERRY_IGNORE(sri_service_post(l->local.id, LOCK_OP_ABANDON, NULL, 0, NULL, 0));
}

static void thread_ended(void *number)
{
    uint64_t thread = (uint64_t)(uintptr_t)number;
    if (!sri_is_member() || sri_enter() != SERRY_OK)
        return;
    sri_local *base, *next;
    HASH_ITER (hh, lock_locals.all, base, next) {
        lock_local *l = (lock_local *)base;
        if (l->thread == thread) {
            thread_abandon(l);
            next = lock_locals.all; /* others may have been here: from the beginning */
        }
    }
    sri_leave();
}

uint64_t lock_thread_first(void)
{
    if (!thread_key_made)
        thread_key_made = pthread_key_create(&thread_key, thread_ended) == 0;
    lock_thread_number = ++thread_last;
    if (thread_key_made)
        pthread_setspecific(thread_key, (void *)(uintptr_t)lock_thread_number);
    return lock_thread_number;
}

/* The code of thread_ended may be unloaded. */
__attribute__((destructor)) static void thread_unload(void)
{
    if (thread_key_made)
        pthread_key_delete(thread_key);
}
