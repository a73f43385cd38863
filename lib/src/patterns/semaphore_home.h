/* patterns/semaphore_home.h: what the files of a semaphore's home share.
 *
 * Where a permit can be: in stock at the home, free in a member's cell, or held, which is counted
 * in the cell, or at the home where there is none. As long as it is no counter
 *
 *     stock + what lies in cells + what is held without a cell = the initial value
 */
#ifndef SRI_PATTERNS_SEMAPHORE_HOME_H
#define SRI_PATTERNS_SEMAPHORE_HOME_H

#include "patterns/parked.h"
#include "patterns/semaphore_wire.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sem_links {
    struct sem_user *prev, *next;
} sem_links;

/* A member that uses the semaphore: its session. */
typedef struct sem_user {
    int rank;
    bool known;           /* in the list of users */
    bool rich;            /* in the list of those in whose cell there may be permits */
    uint32_t in_cell;     /* permits there, as far as it is no counter */
    uint32_t streak;      /* so often in a row it was given one at once */
    uint64_t held;        /* without a cell */
    sri_atomic_u64 *cell; /* NULL: none */
    sri_ns granted;       /* when it last got one by asking */
    sem_links in_users, in_rich;
} sem_user;

typedef struct sem_home {
    sri_object object;
    int64_t initial;
    int64_t stock;
    bool bounded;
    bool counter;  /* somebody has released what he did not hold */
    bool checked;  /* each release of the counter is by asking */
    bool marked;   /* SEM_WAITED is set in some cells */
    bool watching; /* the timer is set */
    uint32_t n_users;
    sem_user *users, *rich;
    sri_parked *line;
} sem_home;

/* ---- semaphore_cells.c ---- */

void sem_cell_open(sem_home *s, sem_user *u, sri_atomic_u64 *cell);
/* What lay there returns to the stock: all of it, of a counter what was free. */
void sem_cell_close(sem_home *s, sem_user *u);
/* One from the stock, held by u; and some ahead of their use. */
void sem_grant(sem_home *s, sem_user *u);
void sem_grant_ahead(sem_home *s, sem_user *u);
/* Takes one that u holds back into the stock. False: it holds none. */
bool sem_take_held(sem_home *s, sem_user *u);
/* Takes free permits from cells until there is one in stock; those that got one a moment ago are
 * left in peace. False: none was found. */
bool sem_find(sem_home *s);
/* Takes all free permits from all cells and has each release from now on reported (SEM_WAITED).
 * *due: when those that got one a moment ago are to be asked too; NULL: at once. True if there
 * were any. */
bool sem_collect(sem_home *s, sri_ns *due);
/* Nobody waits any more. */
void sem_unmark(sem_home *s);
/* Free permits everywhere, exactly. */
int64_t sem_value(sem_home *s);
/* One more, for u has released what it did not hold: it is a counter from now on. SERRY_EINVAL if
 * that would be too many. */
serry_err sem_raise(sem_home *s, sem_user *u);

#ifdef __cplusplus
}
#endif
#endif
