/* agent/link_tcp_hello.c: who are you, and do you have the key? */
#include "agent/link_tcp_hello.h"

#include "base/sha256.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

serry_err link_hello_make(link_hello *h, int from, int to, int nodes)
{
    *h = (link_hello){ .order = LINK_HELLO_ORDER,
                       .version = LINK_HELLO_VERSION,
                       .from = (uint32_t)from,
                       .to = (uint32_t)to,
                       .nodes = (uint32_t)nodes };
    memcpy(h->magic, LINK_HELLO_MAGIC, sizeof h->magic);
    while (getrandom(h->nonce, sizeof h->nonce, 0) != (ssize_t)sizeof h->nonce) {
        if (errno != EINTR)
            return sri_fail_errno("getrandom");
    }
    return SERRY_OK;
}

static void hello_proof(uint8_t proof[LINK_PROOF_LEN], const uint8_t key[SRI_LINK_KEY],
                        const char role[16], const link_hello *dialler, const link_hello *acceptor)
{
    sri_hmac h;
    sri_hmac_init(&h, key, SRI_LINK_KEY);
    sri_hmac_add(&h, role, 16);
    sri_hmac_add(&h, dialler, sizeof *dialler);
    sri_hmac_add(&h, acceptor, sizeof *acceptor);
    sri_hmac_end(&h, proof);
}

void link_hello_prove(link_proofs *p, const uint8_t key[SRI_LINK_KEY], const link_hello *dialler,
                      const link_hello *acceptor)
{
    static const char dials[16] = "serry dials";
    static const char accepts[16] = "serry accepts";
    hello_proof(p->dialler, key, dials, dialler, acceptor);
    hello_proof(p->acceptor, key, accepts, dialler, acceptor);
}

link_refusal link_hello_check(const link_hello *h, int node, int nodes)
{
    if (h->order != LINK_HELLO_ORDER)
        return LINK_OTHER_ORDER;
    if (h->version != LINK_HELLO_VERSION)
        return LINK_OTHER_VERSION;
    if (h->nodes != (uint32_t)nodes || h->from >= (uint32_t)nodes)
        return LINK_OTHER_WORLD;
    if (h->to != (uint32_t)node || h->from <= (uint32_t)node)
        return LINK_OTHER_NODE;
    return LINK_WELCOME;
}

void link_refusal_text(char *text, size_t cap, link_refusal why, const link_hello *mine,
                       const link_hello *theirs)
{
    switch (why) {
    case LINK_OTHER_ORDER:
        snprintf(text, cap, "its host has another order of bytes");
        break;
    case LINK_OTHER_VERSION:
        snprintf(text, cap,
                 "it speaks version %u of the links and this node version %u: all must "
                 "run the same serry",
                 theirs->version, mine->version);
        break;
    case LINK_OTHER_NODE:
        snprintf(text, cap, "it says that it is node %u", theirs->from);
        break;
    case LINK_OTHER_WORLD:
        snprintf(text, cap, "its world has %u nodes and this one %u", theirs->nodes, mine->nodes);
        break;
    case LINK_NO_KEY:
        snprintf(text, cap, "the key of its world is another");
        break;
    case LINK_TWICE:
        snprintf(text, cap, "it is connected to a node %u already", mine->from);
        break;
    default:
        snprintf(text, cap, "it refused for a reason unknown here (%u)", (unsigned)why);
        break;
    }
}
