/* The queue workload (bench_queue.h) on ZeroMQ: every consumer binds a PULL socket, every producer
 * connects a PUSH socket to all of them. Push takes the receivers in turn, so that each gets its
 * equal share. ZeroMQ bounds each of its pipes, not the whole, so only capacity 0 compares. */
#include "bench_queue.h"

#include <sched.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zmq.h>

/* Seen by all processes. */
struct stage {
    atomic_size_t bound;
    atomic_size_t ready;
    struct queue_times times[2 * QUEUE_MAX_SIDE];
};

static void zmq_check(int rc)
{
    if (rc < 0)
        bench_die(zmq_strerror(zmq_errno()));
}

static void stage_meet(atomic_size_t *count, size_t n)
{
    while (atomic_load(count) < n)
        sched_yield();
}

/* A name without a file, unique by the main process. */
static void side_address(char *text, size_t cap, size_t consumer)
{
    snprintf(text, cap, "ipc://@serry-bench-%ld-%zu", (long)getppid(), consumer);
}

static void *side_open(void *ctx, const struct queue_load *load, struct stage *stage, size_t k)
{
    bool produces = k < load->producers;
    void *socket = zmq_socket(ctx, produces ? ZMQ_PUSH : ZMQ_PULL);
    int unbounded = 0;
    zmq_check(zmq_setsockopt(socket, ZMQ_SNDHWM, &unbounded, sizeof unbounded));
    zmq_check(zmq_setsockopt(socket, ZMQ_RCVHWM, &unbounded, sizeof unbounded));
    char address[64];
    if (!produces) {
        side_address(address, sizeof address, k - load->producers);
        zmq_check(zmq_bind(socket, address));
        atomic_fetch_add(&stage->bound, 1);
        return socket;
    }
    stage_meet(&stage->bound, load->consumers);
    for (size_t c = 0; c < load->consumers; c++) {
        side_address(address, sizeof address, c);
        zmq_check(zmq_connect(socket, address));
    }
    return socket;
}

static void side_work(void *socket, bool produces, size_t n)
{
    char item[QUEUE_ITEM] = { 0 };
    for (size_t i = 0; i < n; i++)
        zmq_check(produces ? zmq_send(socket, item, sizeof item, 0)
                           : zmq_recv(socket, item, sizeof item, 0));
}

static void side_main(const struct queue_load *load, struct stage *stage, size_t k)
{
    bool produces = k < load->producers;
    void *ctx = zmq_ctx_new();
    void *socket = side_open(ctx, load, stage, k);
    side_work(socket, produces, produces ? load->consumers : load->producers);
    atomic_fetch_add(&stage->ready, 1);
    stage_meet(&stage->ready, load->producers + load->consumers);
    stage->times[k].start = bench_now();
    side_work(socket, produces, queue_share(load, k));
    stage->times[k].end = bench_now();
    zmq_close(socket);
    zmq_ctx_term(ctx);
}

int main(int argc, char **argv)
{
    struct queue_load load = queue_load_parse(argc, argv);
    if (load.capacity != 0)
        bench_die("only capacity 0");
    struct stage *stage =
        mmap(NULL, sizeof *stage, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (stage == MAP_FAILED)
        bench_die("mmap failed");
    size_t n = load.producers + load.consumers;
    for (size_t k = 0; k < n; k++) {
        if (fork() == 0) {
            side_main(&load, stage, k);
            _exit(0);
        }
    }
    int failed = 0, status;
    for (size_t k = 0; k < n; k++)
        failed |= wait(&status) < 0 || status != 0;
    if (failed)
        bench_die("a process failed");
    queue_print(&load, stage->times);
    return 0;
}
