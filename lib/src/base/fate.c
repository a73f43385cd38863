/* base/fate.c: ends of members in words. */
#include "base/fate.h"

#include <stdio.h>

const char *sri_code_text(int code, char *text, size_t cap)
{
    if (sri_code_is_lost(code))
        snprintf(text, cap, "was lost with node %d", SRI_CODE_LOST - code);
    else
        snprintf(text, cap, "was killed by signal %d", -code);
    return text;
}
