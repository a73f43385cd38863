/* patterns/shared_call.h: what the public calls of shared objects have in common. */
#ifndef SRI_PATTERNS_SHARED_CALL_H
#define SRI_PATTERNS_SHARED_CALL_H

#include "core/service.h"
#include "patterns/local.h"
#include "patterns/shared_wire.h"

/* What a value or an array is, for good: the same for all who have its handle. */
typedef struct shared_form {
    serry_type type;
    size_t size;            /* of an element */
    uint64_t n;             /* elements */
    const sri_local *local; /* valid while the core is entered */
} shared_form;

/* Enters; shared objects of all classes. */
serry_err shared_create(unsigned type, const serry_shared_options *o, const void *args, size_t len,
                        uint64_t *id);
serry_err shared_destroy(uint64_t id, unsigned type);
serry_err shared_call(uint64_t id, unsigned type, uint16_t op, const void *args, size_t args_len,
                      const void *body, size_t len, sri_reply *reply);
serry_err shared_len(uint64_t id, unsigned type, size_t *n);

/* With the core entered: checks the handle, and learns the form at its first use. */
serry_err shared_learn(uint64_t id, unsigned type, shared_form *form);

/* The member's side of the classes. */
void shared_forget(uint64_t object);

/* The answer must have exactly n bytes. */
serry_err shared_expect(const sri_reply *reply, void *out, size_t n);

/* Hands an answer with a shared_wire_found on to a buffer of cap bytes. what: "item", "value". */
serry_err shared_take(const sri_reply *reply, const char *what, void *out, size_t cap, size_t *len);

#endif
