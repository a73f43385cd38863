/* daemons.c: at its end a program waits for the processes it has started, but not for daemons:
 * those are ended with it.
 *
 * First a daemon is joined, so all it prints is seen. Then a daemon and a process that is none are
 * left alone: "quick, a process, ends" is printed, after "main ends"; "slow, a daemon, ends" never.
 */
#include <serry.h>
#include <stdio.h>
#include <unistd.h>

static int do_work(const void *arg, size_t len)
{
    const int ms = *(const int *)arg;
    (void)len;
    serry_process_info self;
    SERRY_CHECK(serry_process_info_of(serry_process_self(), &self));
    const char *kind = self.daemon ? "a daemon" : "a process";
    printf("%s, %s, begins\n", self.name, kind);
    usleep((useconds_t)ms * 1000);
    printf("%s, %s, ends\n", self.name, kind);
    return 0;
}

static serry_process start(const char *name, int ms, bool daemon)
{
    serry_process p;
    SERRY_CHECK(serry_process_start(&p, do_work, &ms, sizeof ms,
                                    &(serry_process_options){ .name = name, .daemon = daemon }));
    return p;
}

int main(int argc, char **argv)
{
    /* Line by line: a daemon that is ended takes what is still in its buffer with it. */
    setvbuf(stdout, NULL, _IOLBF, 0);
    SERRY_CHECK(serry_init(&argc, &argv));
    if (serry_rank() == 0) {
        serry_process joined = start("joined", 100, true);
        SERRY_CHECK(serry_process_join(joined, NULL, SERRY_FOREVER));

        start("slow", 30 * 1000, true);
        start("quick", 300, false);
        usleep(100 * 1000);
        puts("main ends");
    }
    SERRY_CHECK(serry_finalize()); /* waits for quick, then ends slow */
    return 0;
}
