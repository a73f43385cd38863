/* base/fate.h: how members come to their ends, as a code and in words. */
#ifndef SRI_BASE_FATE_H
#define SRI_BASE_FATE_H

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* In place of an exit code: its node was lost, and it with it. Below every signal's. */
#define SRI_CODE_LOST (-4096)

static inline int sri_code_lost_with(int node)
{
    return SRI_CODE_LOST - node;
}

static inline bool sri_code_is_lost(int code)
{
    return code <= SRI_CODE_LOST;
}

/* Of a negative code, behind the member's name: "was killed by signal 9", "was lost with node 2".
 * Returns text. */
const char *sri_code_text(int code, char *text, size_t cap);

#ifdef __cplusplus
}
#endif
#endif
