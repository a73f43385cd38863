/* transport/fault/fault.h: a transport around another that behaves as badly as the seam allows, for
 * tests: lanes that are full for no reason, polls that bring nothing although there is something,
 * sleeps that end early. Whatever is built on the seam must not notice, but for the time it takes.
 *
 * SERRY_FAULT=full=N,idle=N,early=N[,seed=N] in test builds; each N is how many of 1,000 calls go
 * wrong.
 */
#ifndef SRI_FAULT_H
#define SRI_FAULT_H

#include "transport/transport.h"

#include <serry/error.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sri_fault_rates {
    unsigned full;  /* sends that are refused, of 1,000 */
    unsigned idle;  /* polls that are not made */
    unsigned early; /* sleeps that end at once */
    unsigned seed;  /* the same seed and the same calls: the same faults */
} sri_fault_rates;

/* Reads what SERRY_FAULT says; names what is wrong with it. */
serry_err sri_fault_parse(const char *text, sri_fault_rates *rates);

/* Puts itself around *t, which it closes when it is closed. */
serry_err sri_fault_wrap(sri_transport **t, const sri_fault_rates *rates);

#ifdef __cplusplus
}
#endif
#endif
