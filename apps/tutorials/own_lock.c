/* own_lock.c: a mistake, and two ways to do it right. Four processes go through a room that is for
 * one at a time. If each makes a lock of its own, nobody ever waits. The lock must be the same:
 * made once and handed to all, or made by each under the same name.
 *
 * Prints for each way how often a process met another in the room: some times, never, never.
 */
#include <serry.h>
#include <stdio.h>
#include <unistd.h>

enum { PROCESSES = 4, VISITS = 10 };

typedef struct job {
    enum { OWN, GIVEN, NAMED } way;
    serry_lock lock;    /* the one given */
    serry_value inside; /* how many are in the room */
    serry_value met;    /* how often somebody who came in found another there */
} job;

static int visit(const void *arg, size_t len)
{
    const job *j = arg;
    (void)len;
    const int32_t one = 1, minus_one = -1;
    serry_lock lock = j->lock;
    if (j->way == OWN) /* the mistake: a new lock, of which no other process knows */
        SERRY_CHECK(serry_lock_create(&lock, NULL));
    if (j->way == NAMED)
        SERRY_CHECK(serry_lock_create(&lock, &(serry_lock_options){ .name = "the room" }));

    for (int i = 0; i < VISITS; i++) {
        int32_t others;
        SERRY_CHECK(serry_lock_acquire(lock, SERRY_FOREVER));
        SERRY_CHECK(serry_value_add(j->inside, &one, &others));
        if (others > 0)
            SERRY_CHECK(serry_value_add(j->met, &one, NULL));
        usleep(5 * 1000);
        SERRY_CHECK(serry_value_add(j->inside, &minus_one, NULL));
        SERRY_CHECK(serry_lock_release(lock));
    }
    return 0;
}

static void four_processes(const char *title, job j)
{
    serry_process processes[PROCESSES];
    SERRY_CHECK(serry_value_create(&j.inside, SERRY_INT32, NULL, NULL));
    SERRY_CHECK(serry_value_create(&j.met, SERRY_INT32, NULL, NULL));
    for (int i = 0; i < PROCESSES; i++)
        SERRY_CHECK(serry_process_start(&processes[i], visit, &j, sizeof j, NULL));
    for (int i = 0; i < PROCESSES; i++)
        SERRY_CHECK(serry_process_join(processes[i], NULL, SERRY_FOREVER));
    int32_t met;
    SERRY_CHECK(serry_value_get(j.met, &met));
    printf("%s: met another %d times\n", title, met);
}

int main(int argc, char **argv)
{
    SERRY_CHECK(serry_init(&argc, &argv));
    if (serry_rank() == 0) {
        serry_lock lock;
        SERRY_CHECK(serry_lock_create(&lock, NULL));
        four_processes("a lock in each process", (job){ .way = OWN });
        four_processes("one lock given to all", (job){ .way = GIVEN, .lock = lock });
        four_processes("a lock of the same name", (job){ .way = NAMED });
    }
    SERRY_CHECK(serry_finalize());
    return 0;
}
