/* base/error.h: the thread's last failure. Whoever first decides on an error says so once, with
 * sri_fail; callers pass it on. */
#ifndef SRI_BASE_ERROR_H
#define SRI_BASE_ERROR_H

#include <serry/error.h>

#include <stdarg.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SRI_DETAIL 512 /* bytes of a detail text, with the 0 */

/* Sets the thread's detail text and returns e, so that one can `return sri_fail(...)`. */
serry_err sri_fail(serry_err e, const char *fmt, ...) SERRY_PRINTF(2, 3);

/* The same for a failed system call: "what: strerror(errno)". Maps ENOMEM to SERRY_ENOMEM, EMFILE,
 * ENFILE and EAGAIN to SERRY_ELIMIT, the rest to SERRY_ESYS. */
serry_err sri_fail_errno(const char *what);

/* Passes on an error that came from elsewhere with its text. */
serry_err sri_fail_text(serry_err e, const char *text);

/* Can there be an array of n things of that size? SERRY_ELIMIT names how many at most. */
serry_err sri_check_array(size_t n, size_t size, const char *things);

/* The same as sri_fail of a thing that has a name: "of: text". */
serry_err sri_fail_of(serry_err e, const char *of, const char *fmt, va_list ap);

/* What was asked for has not come within so many seconds: the detail says so, too. */
serry_err sri_fail_after(double seconds);

/* The last line of a call that has a timeout. */
static inline serry_err sri_within(serry_err e, double timeout)
{
    return __builtin_expect(e == SERRY_ETIMEDOUT, 0) && timeout > 0 ? sri_fail_after(timeout) : e;
}

/* A failure and its text, kept over a clean-up that may fail as well. */
typedef struct sri_kept_error {
    serry_err e;
    char text[SRI_DETAIL];
} sri_kept_error;

sri_kept_error sri_error_keep(serry_err e);
serry_err sri_error_again(const sri_kept_error *k); /* returns k->e; of SERRY_OK nothing more */

/* For the head of a function, before the first resource is held. */
#define SRI_TRY(call)                                                                              \
    do {                                                                                           \
        serry_err sri_try_err = (call);                                                            \
        if (sri_try_err != SERRY_OK)                                                               \
            return sri_try_err;                                                                    \
    } while (0)

#ifdef __cplusplus
}
#endif
#endif
