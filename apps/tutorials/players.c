/* players.c: four players, each a process with a name of its own, play for a random time. Two are
 * started by a function and its argument, two as objects with a start function of their own.
 *
 * Prints a line when each begins and when it has finished, in an order that differs from run to
 * run, and at the end the name under which the world knows each.
 */
#include <serry.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void play_for_a_while(const char *name)
{
    srand((unsigned)getpid());
    int ms = 50 + rand() % 250;
    printf("%s begins\n", name);
    usleep((useconds_t)ms * 1000);
    printf("%s has finished after %d ms\n", name, ms);
}

/* The first way: a function, and what it needs as its argument. */
static int play(const void *arg, size_t len)
{
    (void)len;
    play_for_a_while(arg);
    return 0;
}

/* The second way: an object, with the process in it. */
typedef struct player {
    char name[16];
    serry_process process;
} player;

static int player_run(const void *arg, size_t len)
{
    const player *self = arg;
    (void)len;
    play_for_a_while(self->name);
    return 0;
}

static void player_start(player *self)
{
    SERRY_CHECK(serry_process_start(&self->process, player_run, self, sizeof *self,
                                    &(serry_process_options){ .name = self->name }));
}

int main(int argc, char **argv)
{
    setvbuf(stdout, NULL, _IOLBF, 0); /* print line by line, into a file or pipe too */
    SERRY_CHECK(serry_init(&argc, &argv));
    if (serry_rank() == 0) {
        serry_process all[4];
        SERRY_CHECK(serry_process_start(&all[0], play, "Ann", sizeof "Ann", NULL));
        SERRY_CHECK(serry_process_start(&all[1], play, "Ben", sizeof "Ben", NULL));

        player cat = { .name = "Cat" }, dan = { .name = "Dan" };
        player_start(&cat);
        player_start(&dan);
        all[2] = cat.process;
        all[3] = dan.process;

        for (int i = 0; i < 4; i++) {
            serry_process_info info;
            SERRY_CHECK(serry_process_join(all[i], NULL, SERRY_FOREVER));
            SERRY_CHECK(serry_process_info_of(all[i], &info));
            printf("%s, rank %d, has left\n", info.name, info.rank);
        }
    }
    SERRY_CHECK(serry_finalize());
    return 0;
}
