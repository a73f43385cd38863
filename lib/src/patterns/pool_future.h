/* patterns/pool_future.h: a future: one task, or a map that nobody waits in. */
#ifndef SRI_PATTERNS_POOL_FUTURE_H
#define SRI_PATTERNS_POOL_FUTURE_H

#include "patterns/pool.h"
#include "patterns/pool_map.h"

typedef struct future_callback {
    struct future_callback *prev, *next;
    serry_future_fn fn;
    void *ctx;
} future_callback;

struct serry_future {
    int rank;      /* whose it is */
    unsigned refs; /* the user's, and one while callbacks run */
    bool freed;    /* by the user */
    pool_call call;
    future_callback *callbacks; /* not called yet */
    serry_future *prev, *next;  /* in line to have them called */
    bool in_line;
    /* one task's */
    void *result;
    size_t result_len;
    /* a map's */
    sri_map *map;                        /* NULL: one task */
    serry_future *care_prev, *care_next; /* among those that need care */
};

/* With the core entered. */
serry_future *sri_future_new(void);
void sri_future_unref(serry_future *f);
/* A future outlives its pool, and even the world; but it is its process's. */
serry_err sri_future_enter(const serry_future *f);

/* Its map is tended from now on. */
void sri_care_add(serry_future *f);
void sri_care_remove(serry_future *f);
/* Its callbacks are to be called; now. */
void sri_care_line(serry_future *f);
void sri_care_call(serry_future *f);

#endif
