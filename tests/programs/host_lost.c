/* programs/host_lost.c: ranks that wait in every way for those of other nodes, until those are lost
 * with their host, for tests of hosts.
 *
 *     host_lost DIRECTORY [finalize | abort]
 *
 * Rank 0 makes DIRECTORY/ready when everybody waits. A rank adds a line to DIRECTORY/said
 * for each wait that has ended (SECONDS since then: rank R: WHAT: ERROR: DETAIL), which reaches us
 * from a host that is lost, too; when all have ended it ends as it is told. */
#include <serry.h>

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_NODES = 8, MAX_RANKS = 64, MAX_WAITS = 128 };

typedef struct objects { /* of one node */
    serry_queue queue;
    serry_lock held; /* by a rank of the last node, or for that node of the first */
    serry_barrier barrier;
    serry_event event;
    serry_process asleep;
} objects;

typedef struct a_wait {
    pthread_t thread;
    const char *what;
    int about; /* a rank or a node */
    serry_err (*call)(int about);
} a_wait;

static const char *directory;
static objects of[MAX_NODES];
static int node_of[MAX_RANKS];
static double begun;
static a_wait waits[MAX_WAITS];
static int n_waits;

static int add_to(const char *name, const char *text)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    ssize_t len = (ssize_t)strlen(text);
    return fd >= 0 && write(fd, text, (size_t)len) == len ? close(fd) : -1;
}

static void say(const char *what, int about, serry_err e)
{
    char text[512];
    snprintf(text, sizeof text, "%.2f: rank %d: %s %d: %s: %s\n", serry_time() - begun,
             serry_rank(), what, about, serry_err_name(e), e == SERRY_OK ? "" : serry_err_detail());
    if (add_to("said", text) != 0)
        abort();
}

/* ---- waits ---- */

static serry_err wait_recv(int rank)
{
    char c;
    return serry_recv(rank, 1, &c, 1, NULL, SERRY_FOREVER);
}

static serry_err wait_get(int node)
{
    char c;
    return serry_queue_get(of[node].queue, &c, 1, NULL, SERRY_FOREVER);
}

static serry_err wait_event(int node)
{
    return serry_event_wait(of[node].event, SERRY_FOREVER);
}

static serry_err wait_barrier(int node)
{
    return serry_barrier_wait(of[node].barrier, NULL, SERRY_FOREVER);
}

static serry_err wait_lock(int node)
{
    serry_err e = serry_lock_acquire(of[node].held, SERRY_FOREVER);
    if (e == SERRY_OK || e == SERRY_EOWNERDIED)
        SERRY_CHECK(serry_lock_release(of[node].held));
    return e;
}

static serry_err wait_join(int node)
{
    int code = 0;
    serry_err e = serry_process_join(of[node].asleep, &code, SERRY_FOREVER);
    return e == SERRY_OK && code == -SIGKILL ? SERRY_EDIED : e;
}

static void *wait_one(void *arg)
{
    a_wait *w = arg;
    say(w->what, w->about, w->call(w->about));
    return NULL;
}

static void add(const char *what, serry_err (*call)(int), int about)
{
    a_wait *w = &waits[n_waits++];
    *w = (a_wait){ .what = what, .about = about, .call = call };
    if (pthread_create(&w->thread, NULL, wait_one, w) != 0)
        abort();
}

/* ---- what they wait for ---- */

static int sleeper(const void *arg, size_t len)
{
    (void)arg;
    (void)len;
    pause();
    return 0;
}

static void make(int node)
{
    objects *o = &of[node];
    serry_queue_options q = { .node = SERRY_NODE(node) };
    serry_lock_options l = { .node = SERRY_NODE(node) };
    serry_event_options e = { .node = SERRY_NODE(node) };
    serry_barrier_options b = { .node = SERRY_NODE(node) };
    serry_process_options p = { .node = SERRY_NODE(node), .daemon = true };
    SERRY_CHECK(serry_queue_create(&o->queue, &q));
    SERRY_CHECK(serry_lock_create(&o->held, &l));
    SERRY_CHECK(serry_event_create(&o->event, &e));
    SERRY_CHECK(serry_barrier_create(&o->barrier, serry_size() + 1, &b));
    SERRY_CHECK(serry_process_start(&o->asleep, sleeper, NULL, 0, &p));
}

static void make_all(void)
{
    int node = serry_node();
    int last = serry_nodes() - 1;
    SERRY_CHECK(serry_world_allgather(&node, sizeof node, node_of));
    for (int k = 0; k <= last && serry_rank() == 0; k++)
        make(k);
    SERRY_CHECK(serry_world_bcast(of, sizeof of, 0));
    for (int k = 0; k <= last; k++) {
        int holder = k == last ? 0 : serry_size() - 1;
        if (serry_rank() == holder)
            SERRY_CHECK(serry_lock_acquire(of[k].held, SERRY_FOREVER));
    }
    SERRY_CHECK(serry_world_barrier());
}

/* Until all of its ranks and those of the other host wait there. */
static void await_all_at(int node)
{
    int expected = serry_size() / 2;
    int n = 0;
    for (int r = 0; r < serry_size(); r++)
        expected += node_of[r] == node;
    while (n < expected) {
        SERRY_CHECK(serry_barrier_waiting(of[node].barrier, &n));
        usleep(1000);
    }
}

int main(int argc, char **argv)
{
    SERRY_CHECK(serry_init(&argc, &argv));
    if (argc < 2 || serry_size() > MAX_RANKS || serry_nodes() > MAX_NODES)
        serry_abort(2);
    directory = argv[1];
    make_all();
    begun = serry_time();
    int half = serry_size() / 2; /* the other host's begins or ends there */
    for (int r = 0; r < serry_size(); r++) {
        if ((r < half) != (serry_rank() < half))
            add("recv from rank", wait_recv, r);
    }
    int node = serry_node();
    for (int r = 0; r < serry_size(); r++) {
        if ((r < half) == (serry_rank() < half) || (r > 0 && node_of[r] == node_of[r - 1]))
            continue;
        add("get on node", wait_get, node_of[r]);
        add("event on node", wait_event, node_of[r]);
        add("barrier on node", wait_barrier, node_of[r]);
        add("join on node", wait_join, node_of[r]);
    }
    add("barrier on own node", wait_barrier, node);
    if (serry_rank() == (serry_rank() < half ? 0 : serry_size() - 1))
        add("lock on own node", wait_lock, node);
    for (int k = 0; k < serry_nodes() && serry_rank() == 0; k++)
        await_all_at(k);
    if (serry_rank() == 0 && add_to("ready", "") != 0)
        abort();
    if (serry_rank() < half) /* where the others do not come */
        say("barrier of", serry_size(), serry_world_barrier());
    for (int i = 0; i < n_waits; i++)
        pthread_join(waits[i].thread, NULL);
    if (argc > 2 && strcmp(argv[2], "abort") == 0)
        serry_abort(3);
    serry_err e = serry_finalize();
    return e == SERRY_OK ? 0 : 4;
}
