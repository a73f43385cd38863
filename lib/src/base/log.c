/* base/log.c: one line, one write. */
#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define LINE_CAP 1024

static sri_log_level log_level = SRI_LOG_WARN;
static int log_rank = -1;

bool sri_log_level_named(const char *word, sri_log_level *level)
{
    static const char *const names[] = { "none", "error", "warn", "info", "debug" };
    for (unsigned i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(word, names[i]) == 0) {
            *level = (sri_log_level)i;
            return true;
        }
    }
    return false;
}

void sri_log_set_level(sri_log_level level)
{
    log_level = level;
}

bool sri_log_enabled(sri_log_level level)
{
    return level <= log_level;
}

void sri_log_set_rank(int rank)
{
    log_rank = rank;
}

void sri_log(sri_log_level level, const char *fmt, ...)
{
    if (!sri_log_enabled(level))
        return;
    int saved = errno;
    char line[LINE_CAP];
    int at = log_rank >= 0 ? snprintf(line, sizeof line, "serry: rank %d: ", log_rank)
                           : snprintf(line, sizeof line, "serry: ");
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(line + at, sizeof line - (size_t)at - 1, fmt, ap);
    va_end(ap);
    size_t len = (size_t)at + (n > 0 ? (size_t)n : 0);
    if (len > sizeof line - 2)
        len = sizeof line - 2;
    line[len++] = '\n';
    ssize_t ignored = write(STDERR_FILENO, line, len);
    (void)ignored;
    errno = saved;
}
