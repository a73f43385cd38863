/* patterns/shared_home.h: what the homes of shared objects have in common. */
#ifndef SRI_PATTERNS_SHARED_HOME_H
#define SRI_PATTERNS_SHARED_HOME_H

#include "agent/object.h"
#include "core/reduce.h"
#include "patterns/shared_wire.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Bytes of a list's item or of a dict's value. */
typedef struct shared_item {
    size_t len;
    uint8_t bytes[];
} shared_item;

/* Puts a copy of the bytes in place of *item, which may be NULL. False: no memory, *item is as it
 * was. Freed by free(). */
bool shared_item_set(shared_item **item, const void *bytes, size_t len);

/* Answers GET and POP. True if the item fits what is wanted. */
bool shared_home_found(sri_object *o, sri_asker who, const shared_wire_want *want,
                       const shared_item *item);

void shared_home_done(sri_object *o, sri_asker who);
void shared_home_info(sri_object *o, sri_asker who, serry_type type, uint64_t n);
void shared_home_no_memory(sri_object *o, sri_asker who, size_t len);
void shared_home_unknown(sri_object *o, sri_asker who, uint16_t op, size_t len);

/* SERRY_EINVAL: no such type. *sum is NULL if the type has none. */
serry_err shared_home_type(uint32_t number, serry_type *type, size_t *size, sri_reduce_fn *sum);

const char *shared_type_name(serry_type type);

/* The member's side of values and arrays (shared.c). */
void shared_forget(uint64_t object);

#ifdef __cplusplus
}
#endif
#endif
