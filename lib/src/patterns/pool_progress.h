/* patterns/pool_progress.h: how far a map is, on standard error: a bar on a terminal, a line now
 * and then elsewhere. */
#ifndef SRI_PATTERNS_POOL_PROGRESS_H
#define SRI_PATTERNS_POOL_PROGRESS_H

#include "base/clock.h"

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sri_bar {
    bool on;
    bool terminal;
    size_t total;
    sri_ns begun;
    sri_ns due; /* when to draw next; SRI_NEVER if off */
} sri_bar;

void sri_bar_begin(sri_bar *b, bool on, size_t total);
/* Draws if it is time. */
void sri_bar_show(sri_bar *b, size_t done);
/* Draws for the last time, with a newline. */
void sri_bar_end(sri_bar *b, size_t done);

#ifdef __cplusplus
}
#endif

#endif
