/* clock_class.c: what a class derived from Process becomes in C: a struct with the state, a
 * function that starts it, and one that the process runs.
 *
 * Prints the ticks of two clocks, which run at the same time, and what each has counted. The state
 * that a clock changes is its own copy: the main program's stays as it was.
 */
#include <serry.h>
#include <stdio.h>
#include <unistd.h>

typedef struct ticker {
    char name[16]; /* not a pointer: those mean nothing in another process */
    int every_ms;
    int ticks; /* to go */
    int done;
    serry_process process;
} ticker;

static void ticker_tick(ticker *self)
{
    usleep((useconds_t)self->every_ms * 1000);
    self->done++;
    printf("%s: tick %d\n", self->name, self->done);
}

static int ticker_run(const void *arg, size_t len)
{
    ticker self = *(const ticker *)arg;
    (void)len;
    while (self.done < self.ticks)
        ticker_tick(&self);
    return self.done;
}

static void ticker_start(ticker *self)
{
    SERRY_CHECK(serry_process_start(&self->process, ticker_run, self, sizeof *self,
                                    &(serry_process_options){ .name = self->name }));
}

static int ticker_join(ticker *self)
{
    int code;
    SERRY_CHECK(serry_process_join(self->process, &code, SERRY_FOREVER));
    return code;
}

int main(int argc, char **argv)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    SERRY_CHECK(serry_init(&argc, &argv));
    if (serry_rank() == 0) {
        ticker fast = { .name = "fast", .every_ms = 50, .ticks = 6 };
        ticker slow = { .name = "slow", .every_ms = 100, .ticks = 3 };
        ticker_start(&fast);
        ticker_start(&slow);
        printf("fast has ended with %d\n", ticker_join(&fast));
        printf("slow has ended with %d\n", ticker_join(&slow));
        printf("the main program's copies have counted %d and %d\n", fast.done, slow.done);
    }
    SERRY_CHECK(serry_finalize());
    return 0;
}
