/* condition.c: two processes may begin their second stage only when a third has finished the first,
 * and tell that by a condition.
 *
 * Prints that the two wait, that the first stage is done, and that the two go on, in this order.
 */
#include <serry.h>
#include <stdio.h>
#include <unistd.h>

typedef struct stages {
    serry_lock lock;
    serry_condition changed;
    serry_value ready; /* what the condition is about; read and set under the lock */
} stages;

static bool is_ready(void *ctx)
{
    int32_t ready;
    SERRY_CHECK(serry_value_get(((const stages *)ctx)->ready, &ready));
    return ready != 0;
}

static int first_stage(const void *arg, size_t len)
{
    const stages *s = arg;
    (void)len;
    usleep(200 * 1000);
    const int32_t yes = 1;
    SERRY_CHECK(serry_lock_acquire(s->lock, SERRY_FOREVER));
    printf("first stage: done\n");
    SERRY_CHECK(serry_value_set(s->ready, &yes));
    SERRY_CHECK(serry_condition_notify_all(s->changed));
    SERRY_CHECK(serry_lock_release(s->lock));
    return 0;
}

static int second_stage(const void *arg, size_t len)
{
    stages s = *(const stages *)arg;
    (void)len;
    serry_process_info self;
    SERRY_CHECK(serry_process_info_of(serry_process_self(), &self));
    SERRY_CHECK(serry_lock_acquire(s.lock, SERRY_FOREVER));
    printf("%s: waits\n", self.name);
    SERRY_CHECK(serry_condition_wait_for(s.changed, is_ready, &s, SERRY_FOREVER));
    printf("%s: goes on\n", self.name);
    SERRY_CHECK(serry_lock_release(s.lock));
    return 0;
}

int main(int argc, char **argv)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    SERRY_CHECK(serry_init(&argc, &argv));
    if (serry_rank() == 0) {
        stages s;
        serry_process p[3];
        SERRY_CHECK(serry_lock_create(&s.lock, NULL));
        SERRY_CHECK(serry_condition_create(&s.changed, s.lock, NULL));
        SERRY_CHECK(serry_value_create(&s.ready, SERRY_INT32, NULL, NULL));
        SERRY_CHECK(serry_process_start(&p[0], second_stage, &s, sizeof s,
                                        &(serry_process_options){ .name = "Anna" }));
        SERRY_CHECK(serry_process_start(&p[1], second_stage, &s, sizeof s,
                                        &(serry_process_options){ .name = "Bert" }));
        SERRY_CHECK(serry_process_start(&p[2], first_stage, &s, sizeof s, NULL));
        for (int i = 0; i < 3; i++)
            SERRY_CHECK(serry_process_join(p[i], NULL, SERRY_FOREVER));
    }
    SERRY_CHECK(serry_finalize());
    return 0;
}
