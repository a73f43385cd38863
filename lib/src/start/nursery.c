/* start/nursery.c: the clean copy of the program, as it was at serry_init, kept for the agent: one
 * thread, no MPI, nothing of the world. Asked to, it forks a process, which joins. */
#include "agent/wire.h"
#include "base/grow.h"
#include "base/log.h"
#include "core/core.h"
#include "core/unseen.h"
#include "start/launch.h"
#include "start/world.h"
#include "transport/local/local.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define NURSERY_REAP_EVERY SRI_MS(200)

typedef struct nursery {
    int socket;
    sigset_t mask; /* of the program, for the children */
    char name[16]; /* likewise */
    pid_t *children;
    size_t n;
    size_t cap;
} nursery;

/* Only its own: never waitpid(-1). */
static void nursery_reap(nursery *y)
{
    for (size_t i = 0; i < y->n;) {
        pid_t got = waitpid(y->children[i], NULL, WNOHANG);
        if (got == 0 || (got < 0 && errno == EINTR))
            i++;
        else
            y->children[i] = y->children[--y->n];
    }
}

/* The new process's streams are those of the member it is started for. */
static void nursery_streams(int *fds, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        dup2(fds[i], (int)i);
        sri_close(&fds[i]);
    }
}

SERRY_NORETURN static void nursery_child(const sri_nursery_order *start, int socket, int argument)
{
    sri_any_fn fn;
    void *arg = NULL;
    if (sri_fnref_resolve(&start->fn, &fn) != SERRY_OK) {
        sri_log(SRI_LOG_ERROR, "a process cannot be started: %s", serry_err_detail());
        _exit(70);
    }
    if (start->len > 0) {
        arg = mmap(NULL, start->len, PROT_READ | PROT_WRITE, MAP_PRIVATE, argument, 0);
        if (arg == MAP_FAILED) {
            sri_log(SRI_LOG_ERROR, "a process cannot be started: mapping its argument: %s",
                    strerror(errno));
            _exit(70);
        }
        sri_close(&argument);
    }
    serry_process_fn run;
    memcpy(&run, &fn, sizeof run);
    sri_world_child(socket, run, arg, start->len);
}

static void nursery_start(nursery *y, const sri_arrival *a, int *fds, int n)
{
    sri_nursery_order start;
    if (a->kind != SRI_KIND_REQUEST || a->len != sizeof start || n < 1 || fds[0] < 0)
        return;
    memcpy(&start, a->bytes, sizeof start);
    int first = start.len > 0 ? 2 : 1; /* of the streams */
    if (start.streams > 3 || n != first + (int)start.streams || fds[n - 1] < 0)
        return;
    if (y->n == y->cap) {
        pid_t *more = sri_grow(y->children, &y->cap, y->n + 1, sizeof *more);
        if (!more) { /* the socket is closed behind us: the agent sees it */
            sri_log(SRI_LOG_ERROR, "a process cannot be started: no memory");
            return;
        }
        y->children = more;
    }
    pid_t pid = fork();
    if (pid == 0) {
        sri_close(&y->socket);
        sigprocmask(SIG_SETMASK, &y->mask, NULL);
        prctl(PR_SET_NAME, y->name);
        int argument = start.len > 0 ? fds[1] : -1;
        nursery_streams(fds + first, start.streams);
        nursery_child(&start, fds[0], argument);
    }
    if (pid > 0)
        y->children[y->n++] = pid;
    else
        sri_log(SRI_LOG_ERROR, "a process cannot be started: fork: %s", strerror(errno));
}

SERRY_NORETURN static void nursery_run(nursery *y)
{
    uint8_t packet[SRI_PACKET_MAX];
    for (;;) {
        sri_ns until = y->n ? sri_now() + NURSERY_REAP_EVERY : SRI_NEVER;
        bool news = sri_fd_wait(y->socket, POLLIN, until);
        nursery_reap(y);
        if (!news)
            continue;
        int fds[SRI_FDS_MAX];
        int n = 0;
        ssize_t got = sri_packet_recv(y->socket, packet, sizeof packet, fds, &n);
        if (got == 0 || (got < 0 && got != -EAGAIN))
            _exit(0);
        sri_arrival a;
        if (got > 0 && sri_packet_arrival(packet, (size_t)got, SRI_AGENT, -1, &a))
            nursery_start(y, &a, fds, n);
        for (int i = 0; i < n; i++)
            sri_close(&fds[i]);
    }
}

/* In the copy: nothing of the world but the socket. Signals are for the ranks. */
SERRY_NORETURN static void nursery_main(int socket)
{
    nursery y = { .socket = socket };
    sigset_t block;
    sri_transport *none;
    sri_welcome w;
    prctl(PR_GET_NAME, y.name);
    prctl(PR_SET_NAME, "serry-nursery");
    /* What is passed must not land among the first three. */
    for (int fd = 0; fd <= 2; fd++) {
        if (fcntl(fd, F_GETFD) < 0)
            SERRY_IGNORE(open("/dev/null", O_RDWR) < 0 ? SERRY_ESYS : SERRY_OK);
    }
    sri_nursery_forget();
    sri_launch_forget();
    sri_world_leave(true);
    sigfillset(&block);
    sigprocmask(SIG_BLOCK, &block, &y.mask);
    if (sri_local_join(socket, SRI_JOIN_NURSERY, &(sri_sink){ 0 }, &none, &w) != SERRY_OK)
        _exit(0);
    nursery_run(&y);
}

static pid_t nursery_pid;
static int nursery_pidfd = -1;
static int nursery_socket = -1; /* the agent's end, until it is introduced */

/* Sends the agent its socket, or with -1 says that there will be none. */
static void nursery_greet(int socket)
{
    sri_hello hello = { .version = SRI_JOIN_VERSION, .role = SRI_JOIN_NURSERY, .pid = nursery_pid };
    sri_frame f = { .kind = SRI_KIND_JOIN, .head = &hello, .head_len = sizeof hello, .fd = socket };
    sri_transport *t = sri_world.transport;
    while (t->ops->send(t, SRI_AGENT, &f) == SRI_FULL)
        t->ops->sleep(t, sri_now() + SRI_MS(1));
}

bool sri_nursery_fork(void)
{
    int pair[2];
    pid_t pid;
    if (sri_socket_pair(pair) != SERRY_OK)
        return false;
    if (sri_unseen_fork(&pid, &nursery_pidfd) != SERRY_OK) {
        close(pair[0]);
        close(pair[1]);
        return false;
    }
    if (pid == 0) {
        close(pair[1]);
        nursery_main(pair[0]);
    }
    nursery_pid = pid;
    nursery_socket = pair[1];
    close(pair[0]);
    return true;
}

void sri_nursery_introduce(void)
{
    nursery_greet(nursery_socket);
    sri_close(&nursery_socket);
}

bool sri_nursery_there(void)
{
    return nursery_pid > 0;
}

void sri_nursery_forget(void)
{
    nursery_pid = 0;
    sri_close(&nursery_pidfd);
    sri_close(&nursery_socket);
}

void sri_nursery_reap(void)
{
    sri_close(&nursery_socket);
    if (nursery_pid > 0)
        sri_unseen_reap(nursery_pid, &nursery_pidfd, 5);
    nursery_pid = 0;
}
