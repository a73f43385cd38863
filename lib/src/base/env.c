/* base/env.c: checked options from the environment. */
#include "base/env.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *sri_env(const char *name)
{
    const char *text = secure_getenv(name);
    return text && *text ? text : NULL;
}

static int env_shift(const char *suffix)
{
    static const char *const suffixes[] = { "", "K", "M", "G" };
    for (int i = 0; i < 4; i++) {
        if (strcmp(suffix, suffixes[i]) == 0)
            return 10 * i;
    }
    return -1;
}

serry_err sri_parse_int(const char *what, const char *text, int64_t min, int64_t max,
                        int64_t *value)
{
    char *end;
    errno = 0;
    long long n = strtoll(text, &end, 10);
    int shift = end == text ? -1 : env_shift(end);
    if (errno || shift < 0 || n > (INT64_MAX >> shift) || n < (INT64_MIN >> shift))
        return sri_fail(SERRY_EINVAL, "%s is '%s', which is not a whole number%s", what, text,
                        max >= 1 << 20 ? " (K, M or G may follow it)" : "");
    n = (long long)((uint64_t)n << shift);
    if (n < min || n > max)
        return sri_fail(SERRY_EINVAL, "%s is %s; it must be %" PRId64 " to %" PRId64, what, text,
                        min, max);
    *value = n;
    return SERRY_OK;
}

serry_err sri_env_int(const char *name, int64_t min, int64_t max, int64_t *value)
{
    const char *text = sri_env(name);
    return text ? sri_parse_int(name, text, min, max, value) : SERRY_OK;
}

serry_err sri_env_word(const char *name, const char *const *words, int n, int *which)
{
    const char *text = sri_env(name);
    if (!text)
        return SERRY_OK;
    char list[256];
    size_t at = 0;
    for (int i = 0; i < n; i++) {
        if (strcmp(text, words[i]) == 0) {
            *which = i;
            return SERRY_OK;
        }
        at += (size_t)snprintf(list + at, sizeof list - at, "%s%s", i ? ", " : "", words[i]);
    }
    return sri_fail(SERRY_EINVAL, "%s is '%s'; it must be one of: %s", name, text, list);
}
