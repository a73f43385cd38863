/* base/error.c: names and sentences of errors, and the thread's last detail. */
#include "base/error.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

static _Thread_local char error_detail[SRI_DETAIL];

const char *serry_err_name(serry_err e)
{
    switch (e) {
#define ERROR_NAME(code, value, text)                                                              \
    case code:                                                                                     \
        return #code;
        SERRY_ERRORS(ERROR_NAME)
#undef ERROR_NAME
    }
    return "SERRY_?";
}

const char *serry_err_text(serry_err e)
{
    switch (e) {
#define ERROR_TEXT(code, value, text)                                                              \
    case code:                                                                                     \
        return text;
        SERRY_ERRORS(ERROR_TEXT)
#undef ERROR_TEXT
    }
    return "not an error of serry";
}

const char *serry_err_detail(void)
{
    return error_detail;
}

serry_err sri_fail(serry_err e, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(error_detail, sizeof error_detail, fmt, ap);
    va_end(ap);
    return e;
}

serry_err sri_fail_of(serry_err e, const char *of, const char *fmt, va_list ap)
{
    size_t len = strnlen(of, sizeof error_detail / 2);
    memcpy(error_detail, of, len);
    memcpy(error_detail + len, ": ", 3);
    len += 2;
    size_t plain = strcspn(fmt, "%");
    if (fmt[plain] || len + plain >= sizeof error_detail)
        vsnprintf(error_detail + len, sizeof error_detail - len, fmt, ap);
    else
        memcpy(error_detail + len, fmt, plain + 1); /* some fail again and again */
    return e;
}

serry_err sri_fail_after(double seconds)
{
    size_t len = strlen(error_detail);
    snprintf(error_detail + len, sizeof error_detail - len,
             seconds < 1000 ? ", after %.3g s" : ", after %.0f s", seconds);
    return SERRY_ETIMEDOUT;
}

serry_err sri_fail_text(serry_err e, const char *text)
{
    if (text == error_detail)
        return e;
    size_t len = strnlen(text, sizeof error_detail - 1);
    memcpy(error_detail, text, len);
    error_detail[len] = '\0';
    return e;
}

/* A limit that the user can see and set. */
static serry_err error_limit(const char *what, int code, int resource, const char *things,
                             const char *see)
{
    struct rlimit limit;
    if (getrlimit(resource, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY)
        return sri_fail(SERRY_ELIMIT, "%s: %s: see %s", what, strerror(code), see);
    return sri_fail(SERRY_ELIMIT, "%s: %s: the limit is %llu %s, see %s", what, strerror(code),
                    (unsigned long long)limit.rlim_cur, things, see);
}

serry_err sri_fail_errno(const char *what)
{
    int code = errno;
    switch (code) {
    case EMFILE:
        return error_limit(what, code, RLIMIT_NOFILE, "descriptors", "ulimit -n");
    case EAGAIN: /* of fork and of pthread_create */
        return error_limit(what, code, RLIMIT_NPROC, "processes and threads of a user",
                           "ulimit -u, and pids.max of the control group");
    case ENFILE:
        return sri_fail(SERRY_ELIMIT, "%s: %s", what, strerror(code));
    case ENOMEM:
        return sri_fail(SERRY_ENOMEM, "%s: %s", what, strerror(code));
    default:
        return sri_fail(SERRY_ESYS, "%s: %s", what, strerror(code));
    }
}

serry_err sri_check_array(size_t n, size_t size, const char *things)
{
    if (n > PTRDIFF_MAX / size)
        return sri_fail(SERRY_ELIMIT, "%zu %s: the limit is %zu", n, things,
                        (size_t)PTRDIFF_MAX / size);
    return SERRY_OK;
}

sri_kept_error sri_error_keep(serry_err e)
{
    sri_kept_error k = { .e = e };
    if (e != SERRY_OK)
        memcpy(k.text, error_detail, sizeof k.text);
    return k;
}

serry_err sri_error_again(const sri_kept_error *k)
{
    return k->e == SERRY_OK ? SERRY_OK : sri_fail_text(k->e, k->text);
}
