/* base/buffer.c: a growable run of bytes. */
#include "base/buffer.h"

#include "base/grow.h"

serry_err sri_buffer_reserve(sri_buffer *b, size_t n)
{
    if (n <= b->cap - b->len)
        return SERRY_OK;
    if (n > SIZE_MAX - b->len)
        return sri_fail(SERRY_ENOMEM, "a buffer of %zu and %zu bytes is too large", b->len, n);
    uint8_t *data = sri_grow(b->data, &b->cap, b->len + n, 1);
    if (!data)
        return sri_fail(SERRY_ENOMEM, "no memory for a buffer of %zu bytes", b->len + n);
    b->data = data;
    return SERRY_OK;
}

serry_err sri_buffer_add(sri_buffer *b, const void *bytes, size_t n)
{
    SRI_TRY(sri_buffer_reserve(b, n));
    if (n)
        memcpy(b->data + b->len, bytes, n);
    b->len += n;
    return SERRY_OK;
}
