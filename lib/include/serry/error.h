/* serry/error.h: what calls return, and how to say what went wrong.
 *
 * Every function that can fail returns a serry_err. The text of the last failure of the calling
 * thread, naming the thing and the limit, is serry_err_detail().
 */
#ifndef SERRY_ERROR_H
#define SERRY_ERROR_H

#ifdef __cplusplus
extern "C" {
#endif

#ifndef SERRY_API
#if defined(__GNUC__)
#define SERRY_API __attribute__((visibility("default")))
#else
#define SERRY_API
#endif
#endif

#if defined(__GNUC__)
#define SERRY_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#define SERRY_WARN_UNUSED __attribute__((warn_unused_result))
#else
#define SERRY_PRINTF(fmt, args)
#define SERRY_WARN_UNUSED
#endif

#if defined(__cplusplus)
#define SERRY_NORETURN [[noreturn]]
#else
#define SERRY_NORETURN _Noreturn
#endif

/* The one table of errors: code, name, sentence. */
#define SERRY_ERRORS(X)                                                                            \
    X(SERRY_OK, 0, "no error")                                                                     \
    X(SERRY_ETIMEDOUT, 1, "not in time")                                                           \
    X(SERRY_ECLOSED, 2, "closed: no more will come")                                               \
    X(SERRY_ETRUNC, 3, "the buffer is too small; the message was kept")                            \
    X(SERRY_EDIED, 4, "a process that was needed has died or left")                                \
    X(SERRY_EOWNERDIED, 5, "you hold the lock; its last holder died")                              \
    X(SERRY_EBROKEN, 6, "the barrier or pool is broken")                                           \
    X(SERRY_ECANCELLED, 7, "cancelled")                                                            \
    X(SERRY_EDEADLOCK, 8, "everybody waits for everybody")                                         \
    X(SERRY_ETASK, 9, "a task failed")                                                             \
    X(SERRY_ENOKEY, 10, "no such key")                                                             \
    X(SERRY_EINVAL, 11, "an argument is not valid")                                                \
    X(SERRY_EHANDLE, 12, "the handle names nothing: stale, foreign or destroyed")                  \
    X(SERRY_ESTATE, 13, "not possible in this state")                                              \
    X(SERRY_EPERM, 14, "not permitted")                                                            \
    X(SERRY_ENOMEM, 15, "out of memory")                                                           \
    X(SERRY_ELIMIT, 16, "a limit was reached")                                                     \
    X(SERRY_ESYS, 17, "a system call failed")                                                      \
    X(SERRY_EINTERNAL, 18, "an error inside serry")

typedef enum serry_err {
#define SERRY_ERROR_ENUM(code, value, text) code = value,
    SERRY_ERRORS(SERRY_ERROR_ENUM)
#undef SERRY_ERROR_ENUM
} serry_err;

/* The name of an error, "SERRY_EDIED"; "SERRY_?" for a number that is none. Never NULL; static. */
SERRY_API const char *serry_err_name(serry_err e);

/* One sentence about an error. Never NULL; static. */
SERRY_API const char *serry_err_text(serry_err e);

/* What the last failing call of this thread had to say: which rank, which limit, which system
 * call. Valid until this thread's next failure. Never NULL; "" when nothing failed yet. */
SERRY_API const char *serry_err_detail(void);

/* Prints place, error and detail to standard error and ends the world; used by SERRY_CHECK. */
SERRY_API SERRY_NORETURN void serry_check_failed(const char *file, int line, const char *call,
                                                 serry_err e);

/* SERRY_CHECK(serry_send(...)): a failure prints place, error and detail, and aborts. */
#define SERRY_CHECK(call)                                                                          \
    do {                                                                                           \
        serry_err serry_check_err = (call);                                                        \
        if (serry_check_err != SERRY_OK)                                                           \
            serry_check_failed(__FILE__, __LINE__, #call, serry_check_err);                        \
    } while (0)

/* SERRY_IGNORE(serry_send(...)): says that a failure does not matter here. */
#define SERRY_IGNORE(call)                                                                         \
    do {                                                                                           \
        serry_err serry_ignored_err = (call);                                                      \
        (void)serry_ignored_err;                                                                   \
    } while (0)

#ifdef __cplusplus
}
#endif
#endif
