/* roll_call.c: names, process ids and ranks of the main program, a worker, a daemon and a process
 * that is none; how many processors there are; and who is still running.
 *
 * Prints a line for each process, the number of processors, and the active children, sorted by
 * their start: all three, then the daemon alone, then nobody.
 */
#include <serry.h>
#include <stdio.h>
#include <unistd.h>

static void call(const char *what)
{
    serry_process_info self;
    SERRY_CHECK(serry_process_info_of(serry_process_self(), &self));
    printf("%s: name %s, pid %d, rank %d, daemon %s\n", what, self.name, self.pid, self.rank,
           self.daemon ? "yes" : "no");
}

/* The argument is how long it works, in milliseconds. */
static int work(const void *arg, size_t len)
{
    (void)len;
    call("child");
    usleep(*(const useconds_t *)arg * 1000);
    return 0;
}

static void show_children(void)
{
    serry_process children[8];
    size_t n = serry_process_children(children, 8);
    printf("%zu active children:", n);
    for (size_t i = 0; i < n; i++) {
        serry_process_info child;
        SERRY_CHECK(serry_process_info_of(children[i], &child));
        printf(" %s", child.name);
    }
    printf("\n");
}

static serry_process start(const char *name, bool daemon, useconds_t ms)
{
    serry_process p;
    SERRY_CHECK(serry_process_start(&p, work, &ms, sizeof ms,
                                    &(serry_process_options){ .name = name, .daemon = daemon }));
    return p;
}

int main(int argc, char **argv)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    SERRY_CHECK(serry_init(&argc, &argv));
    if (serry_rank() == 0) {
        call("main");
        printf("%d processors\n", serry_cpu_count());

        serry_process worker = start(NULL, false, 200); /* without a name: it gets one */
        serry_process helper = start("helper", false, 200);
        serry_process daemon = start("daemon", true, 30 * 1000);
        show_children();

        SERRY_CHECK(serry_process_join(worker, NULL, SERRY_FOREVER));
        SERRY_CHECK(serry_process_join(helper, NULL, SERRY_FOREVER));
        show_children();

        int code;
        SERRY_CHECK(serry_process_terminate(daemon));
        SERRY_CHECK(serry_process_join(daemon, &code, SERRY_FOREVER));
        printf("the daemon was ended by signal %d\n", -code);
        show_children();
    }
    SERRY_CHECK(serry_finalize());
    return 0;
}
