/* base/sha256.h: SHA-256 (FIPS 180-4) and HMAC-SHA-256 (RFC 2104), by which agents prove to each
 * other that they have the key of their world without saying it. */
#ifndef SRI_BASE_SHA256_H
#define SRI_BASE_SHA256_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SRI_SHA256_LEN 32
#define SRI_SHA256_BLOCK 64

typedef struct sri_sha256 {
    uint32_t state[8];
    uint64_t len; /* bytes so far */
    uint8_t block[SRI_SHA256_BLOCK];
} sri_sha256;

void sri_sha256_init(sri_sha256 *s);
void sri_sha256_add(sri_sha256 *s, const void *bytes, size_t n);
void sri_sha256_end(sri_sha256 *s, uint8_t digest[SRI_SHA256_LEN]);

typedef struct sri_hmac {
    sri_sha256 inner;
    sri_sha256 outer;
} sri_hmac;

/* A key of any length; what is longer than a block is hashed first. */
void sri_hmac_init(sri_hmac *h, const void *key, size_t len);
void sri_hmac_add(sri_hmac *h, const void *bytes, size_t n);
void sri_hmac_end(sri_hmac *h, uint8_t digest[SRI_SHA256_LEN]);

/* Are they equal? The time taken does not depend on where they differ. */
bool sri_secret_equal(const void *a, const void *b, size_t n);

#ifdef __cplusplus
}
#endif
#endif
