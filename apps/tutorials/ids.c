/* ids.c: who is who: program, parent's process id, own process id, and rank, as the main program
 * and a started process see them.
 *
 * Prints five lines for each of the two. The child's parent is the main program.
 */
#include <serry.h>
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

static pid_t parent_id(void)
{
    serry_process_info parent;
    if (serry_process_info_of(serry_process_parent(), &parent) == SERRY_OK)
        return parent.pid;
    return getppid(); /* not started by serry: the shell, or a launcher */
}

static void info(const char *title)
{
    printf("%s\n", title);
    printf("  program: %s\n", program_invocation_short_name);
    printf("  parent process: %d\n", parent_id());
    printf("  process id: %d\n", getpid());
    printf("  rank: %d\n", serry_rank());
}

static int greet(const void *arg, size_t len)
{
    info("function greet");
    printf("hello %.*s\n", (int)len, (const char *)arg);
    return 0;
}

int main(int argc, char **argv)
{
    setvbuf(stdout, NULL, _IOLBF, 0); /* print line by line, into a file or pipe too */
    SERRY_CHECK(serry_init(&argc, &argv));
    if (serry_rank() == 0) {
        info("main");
        serry_process p;
        SERRY_CHECK(serry_process_start(&p, greet, "bob", 3, NULL));
        SERRY_CHECK(serry_process_join(p, NULL, SERRY_FOREVER));
    }
    SERRY_CHECK(serry_finalize());
    return 0;
}
