/* signals.c: a handler, an alarm, a pause, and signals sent to a started process. serry leaves all
 * signals to the program.
 *
 * Prints what each process catches: the main program its alarm, the child two USR1; then how the
 * child was ended: by signal 9.
 */
#include <serry.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static volatile sig_atomic_t caught;

static void remember(int number)
{
    caught = number;
}

/* The signal will be remembered, and is held back from now on. */
static void expect(int number)
{
    struct sigaction action = { .sa_handler = remember };
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, number);
    if (sigprocmask(SIG_BLOCK, &set, NULL) != 0 || sigaction(number, &action, NULL) != 0)
        perror("signals");
}

/* Sleeps until it comes. pause() would miss one that has come already, and sleep for ever. */
static void wait_for(int number, const char *who)
{
    sigset_t set;
    sigprocmask(SIG_SETMASK, NULL, &set);
    sigdelset(&set, number);
    sigsuspend(&set);
    printf("%s: caught signal %d (%s)\n", who, caught, strsignal(caught));
}

/* The argument is a queue, by which it says that it is ready for the next signal. */
static int child(const void *arg, size_t len)
{
    const serry_queue ready = *(const serry_queue *)arg;
    (void)len;
    expect(SIGUSR1);
    for (int i = 0; i < 2; i++) {
        SERRY_CHECK(serry_queue_put(ready, "", 0, SERRY_FOREVER));
        wait_for(SIGUSR1, "child");
    }
    SERRY_CHECK(serry_queue_put(ready, "", 0, SERRY_FOREVER));
    for (;;)
        pause();
}

int main(int argc, char **argv)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    SERRY_CHECK(serry_init(&argc, &argv));
    if (serry_rank() == 0) {
        expect(SIGALRM);
        alarm(1);
        wait_for(SIGALRM, "main");

        serry_queue ready;
        serry_process p;
        SERRY_CHECK(serry_queue_create(&ready, NULL));
        SERRY_CHECK(serry_process_start(&p, child, &ready, sizeof ready, NULL));
        for (int i = 0; i < 2; i++) {
            SERRY_CHECK(serry_queue_get(ready, NULL, 0, NULL, SERRY_FOREVER));
            SERRY_CHECK(serry_process_signal(p, SIGUSR1));
        }
        SERRY_CHECK(serry_queue_get(ready, NULL, 0, NULL, SERRY_FOREVER));
        SERRY_CHECK(serry_process_kill(p));

        int code;
        SERRY_CHECK(serry_process_join(p, &code, SERRY_FOREVER));
        printf("main: the child was ended by signal %d (%s)\n", -code, strsignal(-code));
    }
    SERRY_CHECK(serry_finalize());
    return 0;
}
