/* event.c: five processes wait for an event as long as it takes, five others for 0.1 s only. The
 * main program sets it when those have ended.
 *
 * Prints, in this order: that the patient and the others wait, that the others give up, that the
 * event is set, and that the patient go on.
 */
#include <serry.h>
#include <stdio.h>
#include <unistd.h>

typedef struct job {
    int number;
    double timeout;
    serry_event event;
} job;

static int wait_for_it(const void *arg, size_t len)
{
    const job *j = arg;
    (void)len;
    printf("%d waits\n", j->number);
    serry_err e = serry_event_wait(j->event, j->timeout);
    if (e == SERRY_ETIMEDOUT) {
        printf("%d gives up\n", j->number);
        return 0;
    }
    SERRY_CHECK(e);
    printf("%d goes on\n", j->number);
    return 0;
}

int main(int argc, char **argv)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    SERRY_CHECK(serry_init(&argc, &argv));
    if (serry_rank() == 0) {
        serry_process processes[10];
        job j;
        SERRY_CHECK(serry_event_create(&j.event, NULL));
        for (int i = 0; i < 10; i++) {
            j.number = i;
            j.timeout = i < 5 ? SERRY_FOREVER : 0.1;
            SERRY_CHECK(serry_process_start(&processes[i], wait_for_it, &j, sizeof j, NULL));
        }
        for (int i = 5; i < 10; i++)
            SERRY_CHECK(serry_process_join(processes[i], NULL, SERRY_FOREVER));
        printf("main sets the event\n");
        SERRY_CHECK(serry_event_set(j.event));
        for (int i = 0; i < 5; i++)
            SERRY_CHECK(serry_process_join(processes[i], NULL, SERRY_FOREVER));
    }
    SERRY_CHECK(serry_finalize());
    return 0;
}
