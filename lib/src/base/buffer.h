/* base/buffer.h: a growable run of bytes. It grows with what is put in, never with what a header
 * announced. Zeroed is empty. */
#ifndef SRI_BASE_BUFFER_H
#define SRI_BASE_BUFFER_H

#include "base/error.h"

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sri_buffer {
    uint8_t *data;
    size_t len;
    size_t cap;
} sri_buffer;

/* Room for n more bytes behind len; SERRY_ENOMEM leaves the buffer as it was. */
serry_err sri_buffer_reserve(sri_buffer *b, size_t n);

/* Appends n bytes. */
serry_err sri_buffer_add(sri_buffer *b, const void *bytes, size_t n);

static inline void sri_buffer_fini(sri_buffer *b)
{
    free(b->data);
    b->data = NULL;
    b->len = 0;
    b->cap = 0;
}

#ifdef __cplusplus
}
#endif
#endif
