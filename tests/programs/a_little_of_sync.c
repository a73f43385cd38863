/* a_little_of_sync [survive]: ranks hold and wait for a lock, permits, a condition, an event and a
 * barrier, in turns, asleep and awake. With `survive` rank 1 may die anywhere: the others go on,
 * find the lock free and every permit back, and say "survived" at the end, or else "done". */
#include <serry.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { ROUNDS = 6, PERMITS = 2 };

static bool may_die;
static bool one_has_died;

static void check(const char *what, serry_err e)
{
    if (may_die && (e == SERRY_EDIED || e == SERRY_EOWNERDIED || e == SERRY_EBROKEN)) {
        one_has_died = true;
    } else if (e != SERRY_OK) {
        fprintf(stderr, "rank %d: %s: %s: %s\n", serry_rank(), what, serry_err_name(e),
                serry_err_detail());
        serry_abort(3);
    }
}

/* Long enough for the others to fall asleep. */
static void dawdle(void)
{
    usleep(1500);
}

static void take_turns(serry_lock lock, serry_semaphore permits)
{
    for (int i = 0; i < ROUNDS; i++) {
        check("acquiring the lock", serry_lock_acquire(lock, SERRY_FOREVER));
        if (i % 2)
            dawdle();
        check("releasing the lock", serry_lock_release(lock));
        check("taking a permit", serry_semaphore_acquire(permits, SERRY_FOREVER));
        if (i % 2)
            dawdle();
        check("giving it back", serry_semaphore_release(permits));
    }
}

/* Each waits under the lock until told, or until it has waited long enough: who is to tell may have
 * died. */
static void tell_each_other(serry_lock lock, serry_condition told, serry_event go)
{
    check("acquiring for the condition", serry_lock_acquire(lock, SERRY_FOREVER));
    if (serry_rank() == 0) {
        check("releasing for the condition", serry_lock_release(lock));
        dawdle();
        check("acquiring to notify", serry_lock_acquire(lock, SERRY_FOREVER));
        check("notifying", serry_condition_notify_all(told));
        check("setting the event", serry_event_set(go));
    } else {
        serry_err e = serry_condition_wait(told, 0.02);
        if (e != SERRY_ETIMEDOUT) /* it may have come when all was over */
            check("waiting for the condition", e);
    }
    check("releasing after the condition", serry_lock_release(lock));
    check("waiting for the event", serry_event_wait(go, SERRY_FOREVER));
}

/* What rank 1 had, if it is dead, has come back. */
static void expect_all_free(serry_lock lock, serry_semaphore permits)
{
    int value = -1;
    check("taking the lock at the end", serry_lock_acquire(lock, SERRY_FOREVER));
    check("taking one permit", serry_semaphore_acquire(permits, SERRY_FOREVER));
    check("taking the other", serry_semaphore_acquire(permits, SERRY_FOREVER));
    check("asking how many are left", serry_semaphore_value(permits, &value));
    if (value != 0) {
        fprintf(stderr, "%d permits are left of %d when 2 are taken\n", value, PERMITS);
        serry_abort(4);
    }
    check("giving one back", serry_semaphore_release(permits));
    check("giving the other back", serry_semaphore_release(permits));
    check("releasing the lock at the end", serry_lock_release(lock));
}

int main(int argc, char **argv)
{
    may_die = argc > 1 && strcmp(argv[1], "survive") == 0;
    /* From here on system calls are ours, and no longer the loader's. */
    (void)!access("/serry-begins", F_OK);
    check("joining the world", serry_init(&argc, &argv));
    serry_lock lock;
    serry_semaphore permits;
    serry_condition told;
    serry_event go;
    serry_barrier meeting;
    check("making a lock", serry_lock_create(&lock, &(serry_lock_options){ .name = "lock" }));
    check(
        "making permits",
        serry_semaphore_create(&permits, PERMITS, &(serry_semaphore_options){ .name = "permits" }));
    check("making a condition",
          serry_condition_create(&told, lock, &(serry_condition_options){ .name = "told" }));
    check("making an event", serry_event_create(&go, &(serry_event_options){ .name = "go" }));
    check("making a barrier", serry_barrier_create(&meeting, serry_size(),
                                                   &(serry_barrier_options){ .name = "meeting" }));
    take_turns(lock, permits);
    tell_each_other(lock, told, go);
    /* One that died before it ever came is missed by nobody: the others do not wait for ever. */
    serry_err e = serry_barrier_wait(meeting, NULL, 0.1);
    check("meeting", may_die && e == SERRY_ETIMEDOUT ? SERRY_EBROKEN : e);
    if (serry_rank() == 0)
        expect_all_free(lock, permits);
    check("leaving", serry_finalize());
    puts(one_has_died ? "survived" : "done");
    return one_has_died && !may_die ? 5 : 0;
}
