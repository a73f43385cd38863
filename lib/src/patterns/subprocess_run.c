/* patterns/subprocess_run.c: a program from start to end in one call. */
#include "patterns/subprocess.h"

#include <limits.h>
#include <math.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

void serry_completed_free(serry_completed *c)
{
    if (!c)
        return;
    serry_bytes_free(&c->out);
    serry_bytes_free(&c->err);
    *c = (serry_completed){ 0 };
}

/* What run makes of the options: its input and its captures are pipes. */
static serry_err run_options(serry_subprocess_options *own, const serry_subprocess_options *o)
{
    *own = o ? *o : (serry_subprocess_options){ 0 };
    if (isnan(own->grace))
        return sri_fail(SERRY_EINVAL, "the grace is NaN");
    if (!own->input && own->input_len > 0)
        return sri_fail(SERRY_EINVAL, "the input is NULL, with a length of %zu bytes",
                        own->input_len);
    if (own->input) {
        if (own->in.kind != SERRY_STREAM_INHERIT && own->in.kind != SERRY_STREAM_PIPE)
            return sri_fail(SERRY_EINVAL, "there are bytes for a standard input that is no pipe");
        own->in.kind = SERRY_STREAM_PIPE;
    }
    if (own->capture && own->out.kind == SERRY_STREAM_INHERIT)
        own->out.kind = SERRY_STREAM_PIPE;
    if (own->capture && own->err.kind == SERRY_STREAM_INHERIT)
        own->err.kind = SERRY_STREAM_PIPE;
    return SERRY_OK;
}

/* Ends what was not in time, or said too much: SIGTERM first if there is grace,
 * then SIGKILL. What it says until then counts; what holds its pipes open
 * outside of its group is not waited for. */
static void run_end(serry_subprocess *sp, const serry_subprocess_options *o, bool grace)
{
    if (grace && o->grace > 0) {
        sri_ns until;
        SERRY_IGNORE(sri_deadline(o->grace, &until));
        SERRY_IGNORE(sri_subprocess_signal_all(sp, SIGTERM));
        if (sri_subprocess_talk(sp, NULL, 0, until) == SERRY_OK)
            return;
    }
    sri_subprocess_end(sp);
    if (grace)
        SERRY_IGNORE(sri_subprocess_talk(sp, NULL, 0, 0));
}

/* The last line of what it said as errors, if that was captured. */
static void run_last_words(const serry_bytes *err, const char **line, int *len)
{
    size_t end = err->len;
    while (end > 0 && (err->data[end - 1] == '\n' || err->data[end - 1] == '\r'))
        end--;
    size_t start = end;
    while (start > 0 && err->data[start - 1] != '\n' && end - start < 200)
        start--;
    *line = end > 0 ? err->data + start : "";
    *len = (int)(end - start);
}

static serry_err run_check(const char *name, const serry_completed *done)
{
    const char *line;
    int len;
    if (done->code == 0)
        return SERRY_OK;
    run_last_words(&done->err, &line, &len);
    if (done->code < 0)
        return sri_fail(SERRY_ETASK, "%s was ended by signal %d (%s)%s%.*s", name, -done->code,
                        strsignal(-done->code), len ? ": " : "", len, line);
    return sri_fail(SERRY_ETASK, "%s ended with exit code %d%s%.*s", name, done->code,
                    len ? ": " : "", len, line);
}

static serry_err run_late(const serry_subprocess *sp, double timeout, bool ended)
{
    return sri_fail(SERRY_ETIMEDOUT,
                    ended ? "%s had not ended after %g s and was killed"
                          : "%s had not ended after %g s, and cannot be killed",
                    sp->name, timeout > 0 ? timeout : 0);
}

serry_err serry_subprocess_run(const char *const argv[], serry_completed *done,
                               const serry_subprocess_options *o, double timeout)
{
    serry_subprocess_options own;
    serry_completed result = { 0 };
    serry_subprocess *sp;
    sri_ns deadline;
    SRI_TRY(run_options(&own, o));
    SRI_TRY(sri_deadline(timeout, &deadline));
    SRI_TRY(serry_subprocess_start(&sp, argv, &own));
    serry_err e = sri_subprocess_talk(sp, own.input, own.input_len, deadline);
    bool judged = e == SERRY_OK || e == SERRY_ETIMEDOUT || e == SERRY_ELIMIT;
    if (e == SERRY_ETIMEDOUT) {
        run_end(sp, &own, true);
        e = run_late(sp, timeout, sp->reaped);
    } else if (e == SERRY_ELIMIT) {
        run_end(sp, &own, false);
    }
    if (judged && sp->lost) {
        e = serry_subprocess_poll(sp, NULL); /* says so */
        judged = false;
    }
    if (judged) {
        result.code = sp->reaped ? sp->code : -SIGKILL;
        sri_subprocess_take(sp, 1, &result.out);
        sri_subprocess_take(sp, 2, &result.err);
        if (e == SERRY_OK && own.check)
            e = run_check(sp->name, &result);
    }
    serry_subprocess_free(sp);
    if (judged && done)
        *done = result;
    else
        serry_completed_free(&result);
    return e;
}

/* ---- short forms ---- */

#define RUN_NO_CODE INT_MIN /* there is no result */

serry_err serry_subprocess_call(const char *const argv[], int *code,
                                const serry_subprocess_options *o, double timeout)
{
    serry_completed done = { .code = RUN_NO_CODE };
    serry_err e = serry_subprocess_run(argv, &done, o, timeout);
    if (code && done.code != RUN_NO_CODE)
        *code = done.code;
    serry_completed_free(&done);
    return e;
}

static serry_subprocess_options run_checked(const serry_subprocess_options *o)
{
    serry_subprocess_options own = o ? *o : (serry_subprocess_options){ 0 };
    own.check = true;
    return own;
}

serry_err serry_subprocess_check_call(const char *const argv[], const serry_subprocess_options *o,
                                      double timeout)
{
    serry_subprocess_options own = run_checked(o);
    return serry_subprocess_run(argv, NULL, &own, timeout);
}

serry_err serry_subprocess_check_output(const char *const argv[], serry_bytes *out,
                                        const serry_subprocess_options *o, double timeout)
{
    serry_subprocess_options own = run_checked(o);
    serry_completed done = { .code = RUN_NO_CODE };
    if (own.out.kind == SERRY_STREAM_INHERIT)
        own.out.kind = SERRY_STREAM_PIPE;
    serry_err e = serry_subprocess_run(argv, &done, &own, timeout);
    if (out && done.code != RUN_NO_CODE) {
        *out = done.out;
        done.out = (serry_bytes){ 0 };
    }
    serry_completed_free(&done);
    return e;
}

serry_err serry_system(const char *command, int *code)
{
    if (!command)
        return sri_fail(SERRY_EINVAL, "the command is NULL");
    const char *const argv[] = { "sh", "-c", "--", command, NULL };
    serry_subprocess_options o = { .program = "/bin/sh" };
    if (isatty(STDIN_FILENO))
        o.group = SERRY_GROUP_SAME; /* another group would be stopped when it reads */
    return serry_subprocess_call(argv, code, &o, SERRY_FOREVER);
}
