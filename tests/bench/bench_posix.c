/* What POSIX offers to processes that share memory, to set patterns against:
 *     bench_posix mutex|semaphore PROCESSES     acquire and release, M pairs/s in all
 *     bench_posix barrier PROCESSES ROUNDS      us for each round
 * The mutex is robust, the semaphore a sem_t with one permit. */
#include "bench_rate.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { WARM_UP = 20 };

/* Seen by all processes. */
struct stage {
    atomic_size_t ready;
    pthread_mutex_t mutex;
    sem_t semaphore;
    pthread_barrier_t barrier;
    struct rate rates[RATE_MAX];
};

static void posix_check(int failed, const char *what)
{
    if (failed != 0)
        bench_die(what);
}

static struct stage *stage_create(size_t processes)
{
    struct stage *s =
        mmap(NULL, sizeof *s, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    posix_check(s == MAP_FAILED, "mmap failed");
    pthread_mutexattr_t m;
    pthread_mutexattr_init(&m);
    pthread_mutexattr_setpshared(&m, PTHREAD_PROCESS_SHARED);
    pthread_mutexattr_setrobust(&m, PTHREAD_MUTEX_ROBUST);
    posix_check(pthread_mutex_init(&s->mutex, &m), "no mutex");
    posix_check(sem_init(&s->semaphore, 1, 1), "no semaphore");
    pthread_barrierattr_t b;
    pthread_barrierattr_init(&b);
    pthread_barrierattr_setpshared(&b, PTHREAD_PROCESS_SHARED);
    posix_check(pthread_barrier_init(&s->barrier, &b, (unsigned)processes), "no barrier");
    return s;
}

static void step_mutex(void *ctx)
{
    struct stage *s = ctx;
    posix_check(pthread_mutex_lock(&s->mutex), "lock failed");
    posix_check(pthread_mutex_unlock(&s->mutex), "unlock failed");
}

static void step_semaphore(void *ctx)
{
    struct stage *s = ctx;
    while (sem_wait(&s->semaphore) != 0)
        posix_check(errno != EINTR, "wait failed");
    posix_check(sem_post(&s->semaphore), "post failed");
}

static void barrier_rounds(struct stage *s, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        int e = pthread_barrier_wait(&s->barrier);
        posix_check(e != 0 && e != PTHREAD_BARRIER_SERIAL_THREAD, "barrier failed");
    }
}

/* Process k, once all are there. rounds: of the barrier. */
static void side_main(struct stage *s, const char *what, size_t k, size_t processes, size_t rounds)
{
    struct rate *r = &s->rates[k];
    atomic_fetch_add(&s->ready, 1);
    while (atomic_load(&s->ready) < processes)
        sched_yield();
    if (strcmp(what, "mutex") == 0) {
        rate_run(r, step_mutex, s);
    } else if (strcmp(what, "semaphore") == 0) {
        rate_run(r, step_semaphore, s);
    } else {
        barrier_rounds(s, WARM_UP);
        r->start = bench_now();
        barrier_rounds(s, rounds);
        r->end = bench_now();
    }
}

int main(int argc, char **argv)
{
    size_t n = bench_count(argc, argv, 2), rounds = 0;
    bool barrier = strcmp(argv[1], "barrier") == 0;
    if (n > RATE_MAX)
        bench_die("at most 16 processes");
    if (barrier)
        rounds = bench_count(argc, argv, 3);
    struct stage *s = stage_create(n);
    for (size_t k = 0; k < n; k++) {
        if (fork() == 0) {
            side_main(s, argv[1], k, n, rounds);
            _exit(0);
        }
    }
    int failed = 0, status;
    for (size_t k = 0; k < n; k++)
        failed |= wait(&status) < 0 || status != 0;
    posix_check(failed, "a process failed");
    if (barrier)
        bench_print((s->rates[0].end - s->rates[0].start) / (double)rounds * 1e6);
    else
        rate_print(s->rates, n, 1e-6);
    return 0;
}
