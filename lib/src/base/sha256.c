/* base/sha256.c: SHA-256 as FIPS 180-4 writes it down, and the HMAC of RFC 2104 over it. */
#include "base/sha256.h"

#include <string.h>

/* FIPS 180-4, 4.2.2: of the cube roots of the first 64 primes. */
static const uint32_t sha256_k[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

static uint32_t sha256_rotate(uint32_t x, int n)
{
    return x >> n | x << (32 - n);
}

static uint32_t sha256_load(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void sha256_store(uint8_t *p, uint32_t x)
{
    p[0] = (uint8_t)(x >> 24);
    p[1] = (uint8_t)(x >> 16);
    p[2] = (uint8_t)(x >> 8);
    p[3] = (uint8_t)x;
}

/* FIPS 180-4, 6.2.2. */
static void sha256_block(uint32_t state[8], const uint8_t *block)
{
    uint32_t w[64];
    uint32_t v[8];
    for (int t = 0; t < 16; t++)
        w[t] = sha256_load(block + 4 * t);
    for (int t = 16; t < 64; t++) {
        uint32_t s0 = sha256_rotate(w[t - 15], 7) ^ sha256_rotate(w[t - 15], 18) ^ w[t - 15] >> 3;
        uint32_t s1 = sha256_rotate(w[t - 2], 17) ^ sha256_rotate(w[t - 2], 19) ^ w[t - 2] >> 10;
        w[t] = s1 + w[t - 7] + s0 + w[t - 16];
    }
    memcpy(v, state, sizeof v);
    for (int t = 0; t < 64; t++) {
        uint32_t a = v[0], e = v[4];
        uint32_t s1 = sha256_rotate(e, 6) ^ sha256_rotate(e, 11) ^ sha256_rotate(e, 25);
        uint32_t choice = (e & v[5]) ^ (~e & v[6]);
        uint32_t t1 = v[7] + s1 + choice + sha256_k[t] + w[t];
        uint32_t s0 = sha256_rotate(a, 2) ^ sha256_rotate(a, 13) ^ sha256_rotate(a, 22);
        uint32_t majority = (a & v[1]) ^ (a & v[2]) ^ (v[1] & v[2]);
        memmove(v + 1, v, 7 * sizeof *v);
        v[4] += t1;
        v[0] = t1 + s0 + majority;
    }
    for (int i = 0; i < 8; i++)
        state[i] += v[i];
}

void sri_sha256_init(sri_sha256 *s)
{
    /* 5.3.3: of the square roots of the first eight primes. */
    *s = (sri_sha256){ .state = { 0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f,
                                  0x9b05688c, 0x1f83d9ab, 0x5be0cd19 } };
}

void sri_sha256_add(sri_sha256 *s, const void *bytes, size_t n)
{
    const uint8_t *p = bytes;
    size_t used = s->len % SRI_SHA256_BLOCK;
    s->len += n;
    if (used > 0) {
        size_t room = SRI_SHA256_BLOCK - used;
        size_t take = n < room ? n : room;
        if (take)
            memcpy(s->block + used, p, take);
        if (take < room)
            return;
        sha256_block(s->state, s->block);
        p += take;
        n -= take;
    }
    for (; n >= SRI_SHA256_BLOCK; p += SRI_SHA256_BLOCK, n -= SRI_SHA256_BLOCK)
        sha256_block(s->state, p);
    if (n)
        memcpy(s->block, p, n);
}

void sri_sha256_end(sri_sha256 *s, uint8_t digest[SRI_SHA256_LEN])
{
    uint8_t pad[SRI_SHA256_BLOCK + 8] = { 0x80 };
    uint64_t bits = s->len * 8;
    size_t used = s->len % SRI_SHA256_BLOCK;
    size_t zeros = (used < 56 ? 56 : 120) - used; /* with the 0x80 */
    sha256_store(pad + zeros, (uint32_t)(bits >> 32));
    sha256_store(pad + zeros + 4, (uint32_t)bits);
    sri_sha256_add(s, pad, zeros + 8);
    for (int i = 0; i < 8; i++)
        sha256_store(digest + 4 * i, s->state[i]);
}

void sri_hmac_init(sri_hmac *h, const void *key, size_t len)
{
    uint8_t k[SRI_SHA256_BLOCK] = { 0 };
    if (len > sizeof k) {
        sri_sha256 s;
        sri_sha256_init(&s);
        sri_sha256_add(&s, key, len);
        sri_sha256_end(&s, k);
    } else if (len) {
        memcpy(k, key, len);
    }
    for (size_t i = 0; i < sizeof k; i++)
        k[i] ^= 0x36;
    sri_sha256_init(&h->inner);
    sri_sha256_add(&h->inner, k, sizeof k);
    for (size_t i = 0; i < sizeof k; i++)
        k[i] ^= 0x36 ^ 0x5c;
    sri_sha256_init(&h->outer);
    sri_sha256_add(&h->outer, k, sizeof k);
}

void sri_hmac_add(sri_hmac *h, const void *bytes, size_t n)
{
    sri_sha256_add(&h->inner, bytes, n);
}

void sri_hmac_end(sri_hmac *h, uint8_t digest[SRI_SHA256_LEN])
{
    sri_sha256_end(&h->inner, digest);
    sri_sha256_add(&h->outer, digest, SRI_SHA256_LEN);
    sri_sha256_end(&h->outer, digest);
}

bool sri_secret_equal(const void *a, const void *b, size_t n)
{
    const volatile uint8_t *x = a;
    const volatile uint8_t *y = b;
    uint8_t differ = 0;
    for (size_t i = 0; i < n; i++)
        differ |= (uint8_t)(x[i] ^ y[i]);
    return differ == 0;
}
