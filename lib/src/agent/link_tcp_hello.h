/* agent/link_tcp_hello.h: what two nodes say to each other before the first frame. D has dialled, A
 * has accepted:
 *
 *     D -> A   hello of D                 64 bytes
 *     A -> D   hello of A, proof of A     64 + 32
 *     D -> A   proof of D                 32
 *     A -> D   verdict                     8
 *
 * A proof is the HMAC, by the key of the world, of the role of who gives it and of both hellos,
 * with the fresh random bytes of both: one that was heard elsewhere, or comes back from its
 * receiver, is worth nothing. A hello that refuses is the last word of A. */
#ifndef SRI_LINK_TCP_HELLO_H
#define SRI_LINK_TCP_HELLO_H

#include "agent/link.h"

#include <assert.h>

#define LINK_HELLO_VERSION 1u
/* 8 bytes, the same in all versions, as are order and version. */
#define LINK_HELLO_MAGIC "serrylnk"
#define LINK_HELLO_ORDER 0x01020304u
#define LINK_PROOF_LEN 32

typedef struct link_hello {
    char magic[8];
    uint32_t order; /* of bytes */
    uint32_t version;
    uint32_t from; /* nodes */
    uint32_t to;
    uint32_t nodes;
    uint32_t refusal; /* link_refusal */
    uint8_t nonce[32];
} link_hello;

typedef struct link_verdict {
    char magic[4]; /* "link" */
    uint32_t refusal;
} link_verdict;

static_assert(sizeof(link_hello) == 64 && sizeof(link_verdict) == 8, "as on the wire");

typedef enum link_refusal {
    LINK_WELCOME,
    LINK_OTHER_ORDER,
    LINK_OTHER_VERSION,
    LINK_OTHER_NODE,  /* .to is not who was dialled */
    LINK_OTHER_WORLD, /* of another number of nodes, or .from is none of it that dials */
    LINK_NO_KEY,
    LINK_TWICE, /* a node of this number is here already */
} link_refusal;

typedef struct link_proofs {
    uint8_t dialler[LINK_PROOF_LEN];
    uint8_t acceptor[LINK_PROOF_LEN];
} link_proofs;

/* One with fresh random bytes. */
serry_err link_hello_make(link_hello *h, int from, int to, int nodes);

void link_hello_prove(link_proofs *p, const uint8_t key[SRI_LINK_KEY], const link_hello *dialler,
                      const link_hello *acceptor);

/* What an acceptor, node `node` of `nodes`, has to say to it. Not for one whose magic is wrong. */
link_refusal link_hello_check(const link_hello *h, int node, int nodes);

/* Why node `node` refused us; `theirs` is its hello. */
void link_refusal_text(char *text, size_t cap, link_refusal why, const link_hello *mine,
                       const link_hello *theirs);

#endif
