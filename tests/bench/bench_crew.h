/* The serry workloads of several processes: started together, told to go together, each sends its
 * result to rank 0, which started them. */
#ifndef BENCH_CREW_H
#define BENCH_CREW_H

#include "bench_util.h"

#include <serry.h>

enum { CREW_MAX = 16, CREW_READY = 1, CREW_GO, CREW_RESULT };

struct crew {
    size_t n;
    serry_process processes[CREW_MAX];
    int ranks[CREW_MAX];
};

/* n processes of fn, which all get the same argument. */
static inline void crew_start(struct crew *c, size_t n, serry_process_fn fn, const void *arg,
                              size_t len)
{
    if (n > CREW_MAX)
        bench_die("at most 16 processes");
    c->n = n;
    for (size_t k = 0; k < n; k++) {
        serry_process_info info;
        SERRY_CHECK(serry_process_start(&c->processes[k], fn, arg, len, NULL));
        SERRY_CHECK(serry_process_info_of(c->processes[k], &info));
        c->ranks[k] = info.rank;
    }
}

/* In a process of the crew: ready, and on with the word. The word is rank 0's to choose. */
static inline size_t crew_ready(void)
{
    size_t word;
    SERRY_CHECK(serry_send(0, CREW_READY, NULL, 0));
    SERRY_CHECK(serry_recv(0, CREW_GO, &word, sizeof word, NULL, SERRY_FOREVER));
    return word;
}

static inline void crew_result(const void *result, size_t len)
{
    SERRY_CHECK(serry_send(0, CREW_RESULT, result, len));
}

/* In rank 0: waits until all are ready and gives them the word. */
static inline void crew_go(const struct crew *c, size_t word)
{
    for (size_t k = 0; k < c->n; k++)
        SERRY_CHECK(serry_recv(c->ranks[k], CREW_READY, NULL, 0, NULL, SERRY_FOREVER));
    for (size_t k = 0; k < c->n; k++)
        SERRY_CHECK(serry_send(c->ranks[k], CREW_GO, &word, sizeof word));
}

/* In rank 0: the result of each, len bytes, one behind the other. */
static inline void crew_results(const struct crew *c, void *results, size_t len)
{
    for (size_t k = 0; k < c->n; k++)
        SERRY_CHECK(serry_recv(c->ranks[k], CREW_RESULT, (char *)results + k * len, len, NULL,
                               SERRY_FOREVER));
}

static inline void crew_join(const struct crew *c)
{
    for (size_t k = 0; k < c->n; k++)
        SERRY_CHECK(serry_process_join(c->processes[k], NULL, SERRY_FOREVER));
}

#endif
