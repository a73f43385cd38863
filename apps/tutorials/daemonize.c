/* daemonize.c: a program that goes on by itself, without a terminal, after the shell has its prompt
 * back; and that uses serry in there.
 *
 *     daemonize FILE [SECONDS]     writes into FILE, for 0.5 seconds unless given
 *
 * Prints where it writes to, and returns at once. The daemon writes its lines to the file: that it
 * has begun, with its process id; those of a process that it starts; and that it ends. Not for
 * `serry run`, which would wait for it.
 */
#include <serry.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static int tick(const void *arg, size_t len)
{
    double seconds = *(const double *)arg;
    (void)len;
    for (int i = 1; i <= 5; i++) {
        usleep((useconds_t)(seconds / 5 * 1e6));
        printf("tick %d\n", i);
    }
    return 0;
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        fprintf(stderr, "usage: daemonize FILE [SECONDS]\n");
        return 2;
    }
    double seconds = argc > 2 ? atof(argv[2]) : 0.5;
    printf("the daemon writes to %s\n", argv[1]);
    fflush(stdout); /* the process that ends here flushes nothing */

    SERRY_CHECK(serry_daemonize(&(serry_daemon_options){ .out = argv[1] }));

    /* From here on this is the daemon: standard output is the file. */
    setvbuf(stdout, NULL, _IOLBF, 0);
    SERRY_CHECK(serry_init(&argc, &argv));
    if (serry_rank() == 0) {
        printf("daemon %d begins, in session %d\n", getpid(), getsid(0));
        serry_process p;
        SERRY_CHECK(serry_process_start(&p, tick, &seconds, sizeof seconds, NULL));
        SERRY_CHECK(serry_process_join(p, NULL, SERRY_FOREVER));
        printf("daemon ends\n");
    }
    SERRY_CHECK(serry_finalize());
    return 0;
}
