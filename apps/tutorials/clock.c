/* clock.c: a process of its own tells the time until it is asked to stop, and then ends by itself.
 *
 *     clock [INTERVAL [TOTAL]]     seconds between two times, 0.1, and of all, 0.5, unless given
 *
 * Prints a few lines "the time is 12:30:01.5", then "the clock has stopped" and its exit code, 0.
 */
#include <serry.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

typedef struct clock_job {
    double interval;
    serry_event stop;
} clock_job;

static int tell_the_time(const void *arg, size_t len)
{
    const clock_job *job = arg;
    (void)len;
    /* The wait is the pause between two ticks: it ends at once when the event is set. */
    while (serry_event_wait(job->stop, job->interval) == SERRY_ETIMEDOUT) {
        struct timespec now;
        char text[16];
        timespec_get(&now, TIME_UTC);
        strftime(text, sizeof text, "%H:%M:%S", localtime(&now.tv_sec));
        printf("the time is %s.%ld\n", text, now.tv_nsec / 100000000);
    }
    printf("the clock has stopped\n");
    return 0;
}

int main(int argc, char **argv)
{
    setvbuf(stdout, NULL, _IOLBF, 0); /* print line by line, into a file or pipe too */
    SERRY_CHECK(serry_init(&argc, &argv));
    if (serry_rank() == 0) {
        clock_job job = { .interval = argc > 1 ? atof(argv[1]) : 0.1 };
        double total = argc > 2 ? atof(argv[2]) : 0.5;
        SERRY_CHECK(serry_event_create(&job.stop, NULL));

        serry_process p;
        SERRY_CHECK(serry_process_start(&p, tell_the_time, &job, sizeof job, NULL));
        usleep((useconds_t)(total * 1e6)); /* the main program has something else to do */
        SERRY_CHECK(serry_event_set(job.stop));

        int code;
        SERRY_CHECK(serry_process_join(p, &code, SERRY_FOREVER));
        printf("its exit code is %d\n", code);
    }
    SERRY_CHECK(serry_finalize());
    return 0;
}
