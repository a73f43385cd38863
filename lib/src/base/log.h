/* base/log.h: what serry has to say to a person, on standard error, by level.
 * SERRY_LOG = none, error, warn (the default), info, debug. */
#ifndef SRI_BASE_LOG_H
#define SRI_BASE_LOG_H

#include <serry/error.h>
#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum sri_log_level {
    SRI_LOG_NONE,
    SRI_LOG_ERROR,
    SRI_LOG_WARN,
    SRI_LOG_INFO,
    SRI_LOG_DEBUG,
} sri_log_level;

/* Which level a word names; false if none. */
bool sri_log_level_named(const char *word, sri_log_level *level);

void sri_log_set_level(sri_log_level level);
bool sri_log_enabled(sri_log_level level);

/* Whom the lines speak of: "serry: rank 3: ...". -1: nobody in particular. */
void sri_log_set_rank(int rank);

/* One whole line by one write(2), so that lines of several processes do not mix. */
void sri_log(sri_log_level level, const char *fmt, ...) SERRY_PRINTF(2, 3);

#ifdef __cplusplus
}
#endif
#endif
