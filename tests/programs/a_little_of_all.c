/* a_little_of_all [survive]: joins, exchanges short and long messages, starts a process, sleeps in
 * recv on both sides, talks to a queue, and finalizes. Whatever fails is said by SERRY_CHECK; with
 * `survive` a rank that dies is no failure of the others, who say "survived" at the end, or else
 * "done". */
#include <serry.h>

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static bool may_die;
static bool one_has_died;

static void check(const char *what, serry_err e)
{
    if (may_die && e == SERRY_EDIED) {
        one_has_died = true;
    } else if (e != SERRY_OK) {
        fprintf(stderr, "rank %d: %s: %s: %s\n", serry_rank(), what, serry_err_name(e),
                serry_err_detail());
        serry_abort(3);
    }
}

/* Long enough for the other side to fall asleep. */
static void dawdle(void)
{
    usleep(2000);
}

static void expect_bytes(const char *what, const uint8_t *bytes, size_t len, uint8_t value)
{
    for (size_t i = 0; i < len; i++) {
        if (bytes[i] != value) {
            fprintf(stderr, "%s: byte %zu of %zu is wrong\n", what, i, len);
            serry_abort(4);
        }
    }
}

static void exchange(const char *what, int tag, int next, int before)
{
    static uint8_t out[200000], in[200000];
    static const size_t lengths[] = { 8, 3000, sizeof out };
    for (size_t i = 0; i < 3; i++) {
        memset(out, serry_rank() + 1, lengths[i]);
        /* Not by sendrecv: if one half of it fails, the other is given up. */
        serry_request send = { 0 }, recv = { 0 };
        serry_err e = serry_irecv(&recv, before, tag, in, lengths[i]);
        check(what, serry_isend(&send, next, tag, out, lengths[i]));
        if (e == SERRY_OK)
            e = serry_wait(&recv, NULL, SERRY_FOREVER);
        check(what, e);
        check(what, serry_wait(&send, NULL, SERRY_FOREVER));
        if (e == SERRY_OK)
            expect_bytes(what, in, lengths[i], (uint8_t)(before + 1));
    }
}

static int child(const void *arg, size_t len)
{
    int parent, x;
    memcpy(&parent, arg, len);
    check("the child's recv", serry_recv(parent, 2, &x, sizeof x, NULL, SERRY_FOREVER));
    dawdle();
    check("the child's send", serry_send(parent, 3, &x, sizeof x));
    return one_has_died ? 1 : 0;
}

static void start_a_process(void)
{
    serry_process p;
    serry_process_info info = { 0 };
    int me = serry_rank(), x = 5, code = -1;
    check("starting", serry_process_start(&p, child, &me, sizeof me, NULL));
    check("asking about it", serry_process_info_of(p, &info));
    dawdle();
    check("sending to the child", serry_send(info.rank, 2, &x, sizeof x));
    serry_err e = serry_recv(info.rank, 3, &x, sizeof x, NULL, SERRY_FOREVER);
    /* In a sweep the child may be the one that dies. */
    if (e == SERRY_EDIED) {
        fprintf(stderr, "rank %d: the child: %s\n", me, serry_err_detail());
        one_has_died = true;
    } else {
        check("receiving from the child", e);
    }
    check("joining", serry_process_join(p, &code, SERRY_FOREVER));
    if (code != 0) {
        fprintf(stderr, "rank %d: the child's code is %d\n", me, code);
        one_has_died = true;
    }
}

static void use_a_queue(void)
{
    serry_queue q;
    char item[100] = { 0 };
    check("making a queue", serry_queue_create(&q, NULL));
    for (int i = 0; i < 20; i++)
        check("putting", serry_queue_put(q, item, sizeof item, SERRY_FOREVER));
    for (int i = 0; i < 20; i++)
        check("getting", serry_queue_get(q, item, sizeof item, NULL, SERRY_FOREVER));
    check("destroying a queue", serry_queue_destroy(q));
}

int main(int argc, char **argv)
{
    may_die = argc > 1 && strcmp(argv[1], "survive") == 0;
    /* From here on system calls are ours, and no longer the loader's. */
    (void)!access("/serry-begins", F_OK);
    check("joining the world", serry_init(&argc, &argv));
    int n = serry_size(), me = serry_rank();
    exchange("the ring", 1, (me + 1) % n, (me + n - 1) % n);
    start_a_process();
    use_a_queue();
    check("the barrier", serry_world_barrier());
    if (may_die && me != 1) /* of three: those who are left */
        exchange("between survivors", 4, 2 - me, 2 - me);
    check("leaving", serry_finalize());
    puts(one_has_died ? "survived" : "done");
    return one_has_died && !may_die ? 5 : 0;
}
