/* base/env.h: options from the environment, checked: an unknown word or a number out of range is
 * SERRY_EINVAL that names the variable, its value and what is allowed. In a set-user-id program
 * they are all ignored (secure_getenv). */
#ifndef SRI_BASE_ENV_H
#define SRI_BASE_ENV_H

#include "base/error.h"

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* NULL if unset or empty. */
const char *sri_env(const char *name);

/* A whole number; *value keeps what it has if the variable is unset. With a suffix K, M or G it is
 * multiplied by 2^10, 2^20, 2^30. */
serry_err sri_env_int(const char *name, int64_t min, int64_t max, int64_t *value);

/* One of n words; *which is its place. */
serry_err sri_env_word(const char *name, const char *const *words, int n, int *which);

/* The text of a number as above, for options that come from elsewhere. what names it in errors. */
serry_err sri_parse_int(const char *what, const char *text, int64_t min, int64_t max,
                        int64_t *value);

#ifdef __cplusplus
}
#endif
#endif
