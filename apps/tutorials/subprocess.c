/* subprocess.c: other programs: called, checked, talked with, ended when they take too long, and
 * sent a signal. It needs no serry_init: this works in any program.
 *
 * Prints the outcome of each, one line each.
 */
#include <serry.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

/* A program and its arguments; no shell looks at them. */
#define ARGV(...) ((const char *const[]){ __VA_ARGS__, NULL })

static void talk(void)
{
    static const char text[] = "one\ntwo\nthree\n";
    serry_subprocess *sort;
    serry_bytes out;
    SERRY_CHECK(serry_subprocess_start(&sort, ARGV("sort", "-r"),
                                       &(serry_subprocess_options){
                                           .in = { .kind = SERRY_STREAM_PIPE },
                                           .out = { .kind = SERRY_STREAM_PIPE },
                                       }));
    SERRY_CHECK(serry_subprocess_communicate(sort, text, strlen(text), &out, NULL, SERRY_FOREVER));
    printf("sorted: %.*s\n", (int)strcspn(out.data, "\n"), out.data);
    serry_bytes_free(&out);
    serry_subprocess_free(sort);
}

static void send_signal(void)
{
    serry_subprocess *sleeper;
    int code;
    SERRY_CHECK(serry_subprocess_start(&sleeper, ARGV("sleep", "30"), NULL));
    SERRY_CHECK(serry_subprocess_signal(sleeper, SIGTERM));
    SERRY_CHECK(serry_subprocess_wait(sleeper, &code, SERRY_FOREVER));
    printf("signalled: exit code %d\n", code); /* -15: signal 15 has ended it */
    serry_subprocess_free(sleeper);
}

int main(void)
{
    setvbuf(stdout, NULL, _IOLBF, 0); /* our lines and those of the programs in their order */

    SERRY_CHECK(serry_subprocess_run(ARGV("echo", "called: hello"), NULL, NULL, SERRY_FOREVER));

    int code;
    SERRY_CHECK(serry_subprocess_call(ARGV("sh", "-c", "exit 3"), &code, NULL, SERRY_FOREVER));
    printf("called: exit code %d\n", code);

    serry_err e = serry_subprocess_check_call(ARGV("false"), NULL, SERRY_FOREVER);
    printf("checked: %s: %s\n", serry_err_name(e), serry_err_detail());

    e = serry_subprocess_check_call(ARGV("no-such-program"), NULL, SERRY_FOREVER);
    printf("not found: %s: %s\n", serry_err_name(e), serry_err_detail());

    serry_bytes out;
    SERRY_CHECK(serry_subprocess_check_output(ARGV("printf", "%s and %s", "this", "that"), &out,
                                              NULL, SERRY_FOREVER));
    printf("its output: %s\n", out.data);
    serry_bytes_free(&out);

    talk();

    e = serry_subprocess_run(ARGV("sleep", "30"), NULL, NULL, 0.2);
    printf("after 0.2 seconds: %s\n", serry_err_name(e));

    send_signal();

    SERRY_CHECK(serry_system("echo \"by a shell: $((6 * 7))\"", &code));
    return code;
}
