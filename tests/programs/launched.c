/* programs/launched.c: a rank that does a little and ends as it is told, for tests of launching.
 *
 *     launched [WHAT]
 *
 * WHAT  fine (a sum, a started process on the next node, a queue), unread (messages that nobody
 *       receives, some while others are at the end), kill R, abort R, forget (all), leave R,
 *       exit R (these do, behind a barrier, what their name says in rank R), skip R (rank R ends at
 * once, the others finalize), wait (until killed) */
#include <serry.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int child(const void *arg, size_t len)
{
    (void)len;
    return *(const int *)arg;
}

static void fine(int rank)
{
    int sum = 0;
    int mine = rank + 1;
    SERRY_CHECK(serry_world_allreduce(&mine, &sum, 1, SERRY_INT32, SERRY_SUM));
    serry_process p;
    serry_process_options o = { .node = SERRY_NODE((serry_node() + 1) % serry_nodes()) };
    int code = -1;
    SERRY_CHECK(serry_process_start(&p, child, &mine, sizeof mine, &o));
    SERRY_CHECK(serry_process_join(p, &code, SERRY_FOREVER));
    serry_queue q;
    serry_queue_options named = { .name = "all" };
    int got = 0;
    size_t len;
    SERRY_CHECK(serry_queue_create(&q, &named));
    SERRY_CHECK(serry_queue_put(q, &mine, sizeof mine, SERRY_FOREVER));
    SERRY_CHECK(serry_queue_get(q, &got, sizeof got, &len, SERRY_FOREVER));
    SERRY_CHECK(serry_world_allreduce(&got, &got, 1, SERRY_INT32, SERRY_SUM));
    printf("rank %d of %d, node %d of %d: sum %d, child %d, queue %d\n", rank, serry_size(),
           serry_node(), serry_nodes(), sum, code == mine, got);
    fflush(stdout);
}

/* Until the others are at the end, and beyond. */
static void unread(int rank)
{
    char bytes[2000] = { 0 };
    for (int i = 0; i < 50; i++) {
        for (int to = 0; to < serry_size(); to++) {
            serry_err e = to == rank ? SERRY_OK : serry_send(to, i, bytes, (size_t)i * 40);
            if (e != SERRY_EDIED)
                SERRY_CHECK(e);
        }
    }
}

/* Not before all have come out of the barrier: a death ends it for those who are still in it. */
static void die_behind_all(int rank, int who)
{
    if (rank != who) {
        SERRY_CHECK(serry_send(who, 1, NULL, 0));
        return;
    }
    for (int other = 0; other < serry_size(); other++)
        if (other != who)
            SERRY_CHECK(serry_recv(other, 1, NULL, 0, NULL, SERRY_FOREVER));
    kill(getpid(), SIGKILL);
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "fine";
    int who = argc > 2 ? atoi(argv[2]) : 0;
    int nothing;
    serry_err e = serry_init(&argc, &argv);
    if (e != SERRY_OK) {
        fprintf(stderr, "init: %s: %s\n", serry_err_name(e), serry_err_detail());
        return 3;
    }
    int rank = serry_rank();
    if (strcmp(what, "fine") == 0) {
        fine(rank);
        SERRY_CHECK(serry_finalize());
        return 0;
    }
    if (strcmp(what, "unread") == 0) {
        unread(rank);
        SERRY_CHECK(serry_finalize());
        return 0;
    }
    if (strcmp(what, "skip") == 0) {
        if (rank != who)
            SERRY_CHECK(serry_finalize());
        return 0;
    }
    SERRY_CHECK(serry_world_barrier());
    if (strcmp(what, "forget") == 0)
        return 0;
    if (strcmp(what, "kill") == 0)
        die_behind_all(rank, who);
    if (rank == who && strcmp(what, "abort") == 0)
        serry_abort(5);
    if (rank == who && strcmp(what, "leave") == 0)
        return 0;
    if (rank == who && strcmp(what, "exit") == 0)
        exit(6);
    if (strcmp(what, "wait") == 0) {
        printf("here\n");
        fflush(stdout);
        e = serry_recv(SERRY_ANY, 0, &nothing, sizeof nothing, NULL, SERRY_FOREVER);
    } else {
        e = serry_recv(who, 0, &nothing, sizeof nothing, NULL, SERRY_FOREVER);
    }
    printf("rank %d: %s: %s\n", rank, serry_err_name(e), serry_err_detail());
    fflush(stdout);
    e = serry_finalize();
    return e == SERRY_OK ? 0 : 4;
}
