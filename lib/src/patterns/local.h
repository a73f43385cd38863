/* patterns/local.h: what a member keeps of the objects it uses: a table by handle. Each pattern
 * that has something to keep (a grant cell, items fed to it) has one table of its own, of records
 * that begin with sri_local. All with the core entered. */
#ifndef SRI_PATTERNS_LOCAL_H
#define SRI_PATTERNS_LOCAL_H

#include "base/hash.h"

#include "transport/transport.h"

#include <serry/world.h>

typedef struct sri_local {
    uint64_t id;
    unsigned users; /* threads in a call on it: it stays at its address while there are any */
    bool destroyed; /* out of the table; the last user frees it */
    char *called;   /* as sri_called says; NULL: its home has not told its name */
    UT_hash_handle hh;
} sri_local;

typedef struct sri_locals {
    size_t size;                /* of a record */
    void (*fini)(void *record); /* frees what it owns, not itself; may be NULL */
    sri_local *all;
    sri_local *last; /* used last */
} sri_locals;

/* The record of that handle; NULL: there is none. */
void *sri_local_find(sri_locals *t, uint64_t id);

/* The same, made and zeroed if there is none, with the caller as one of its users until
 * sri_local_leave. */
serry_err sri_local_use(sri_locals *t, uint64_t id, sri_local **out);
void sri_local_leave(sri_locals *t, sri_local *l);

/* Asks the home for what a member keeps: the answer to op, len bytes by sri_home_opened. */
serry_err sri_local_open(sri_local *l, uint16_t op, const void *args, size_t args_len, void *out,
                         size_t len);

/* Keeps how it is called, by the name behind the first len bytes of an answer to an open. */
serry_err sri_local_name(sri_local *l, const uint8_t *bytes, size_t all, size_t len);

/* Fails with a text that is put behind what the object is called: lock "gate": held by rank 3. */
serry_err sri_local_fail(const sri_local *l, serry_err e, const char *fmt, ...) SERRY_PRINTF(3, 4);

/* The word of that number, if the home says that there is a shared one; else NULL. */
serry_err sri_local_word(bool shared, uint32_t number, sri_atomic_u64 **word);

/* Leaves a record that could not be opened, and drops it unless others use it. */
void sri_local_give_up(sri_locals *t, sri_local *l);

/* For .forget of the class: the object is destroyed, or (id 0) this is a fresh copy of another
 * process, in which no thread uses any. */
void sri_locals_forget(sri_locals *t, uint64_t id);

#endif
