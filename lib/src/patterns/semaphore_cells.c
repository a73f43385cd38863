/* patterns/semaphore_cells.c: the permits that lie with members, as the home sees them. */
#include "base/error.h"
#include "patterns/semaphore_home.h"

#include <limits.h>
#include <stdatomic.h>
#include <utlist.h>

/* A permit that was asked for is left where it is for so long: who works with it again and again
 * then asks seldom. */
#define SEM_LEASE SRI_US(20)

#define SEM_AHEAD 16u               /* permits at most ahead of their use */
#define SEM_STREAK_LEAST 2          /* requests in a row before there are any */
#define SEM_NEAR (INT64_C(1) << 30) /* a counter this high is checked at each release */

static uint64_t cell_flags(const sem_home *s)
{
    return (s->counter ? SEM_COUNTER : 0) | (s->checked ? SEM_CHECKED : 0);
}

static void cell_set_rich(sem_home *s, sem_user *u, bool rich)
{
    if (u->rich == rich)
        return;
    u->rich = rich;
    if (rich) {
        DL_APPEND2(s->rich, u, in_rich.prev, in_rich.next);
        return;
    }
    DL_DELETE2(s->rich, u, in_rich.prev, in_rich.next);
    if (u->cell && (atomic_load_explicit(u->cell, memory_order_relaxed) & SEM_WAITED))
        atomic_fetch_and(u->cell, ~SEM_WAITED); /* sem_unmark comes by no more */
}

/* Any release may fill a counter's cells; else only the home does. */
static void cell_look_rich(sem_home *s, sem_user *u)
{
    cell_set_rich(s, u, u->cell && (s->counter || u->in_cell > 0));
}

void sem_cell_open(sem_home *s, sem_user *u, sri_atomic_u64 *cell)
{
    u->cell = cell;
    u->in_cell = 0;
    atomic_store(cell, sem_cell_of(s->object.id) | cell_flags(s));
    cell_look_rich(s, u);
}

void sem_cell_close(sem_home *s, sem_user *u)
{
    uint64_t word = u->cell ? atomic_exchange(u->cell, 0) : 0;
    uint64_t in_cell = sem_cell_free(word);
    if (!s->counter) {
        in_cell = u->in_cell;
        s->stock += (int64_t)u->held;
    }
    s->stock += (int64_t)in_cell;
    u->held = 0;
    u->in_cell = 0;
    u->cell = NULL;
    cell_look_rich(s, u);
}

/* ---- giving ---- */

void sem_grant(sem_home *s, sem_user *u)
{
    s->stock--;
    if (s->counter)
        return;
    if (!u->cell || u->in_cell == SEM_CELL_MAX) {
        u->held++;
        return;
    }
    atomic_fetch_add(u->cell, SEM_HELD_ONE);
    u->in_cell++;
    u->granted = sri_now();
    cell_look_rich(s, u);
}

void sem_grant_ahead(sem_home *s, sem_user *u)
{
    if (!u->cell || s->line || u->streak++ < SEM_STREAK_LEAST)
        return;
    int64_t share = s->stock / s->n_users;
    uint32_t n = u->streak < SEM_AHEAD ? u->streak : SEM_AHEAD;
    n = share < (int64_t)n ? (uint32_t)share : n;
    uint32_t free = sem_cell_free(atomic_load(u->cell));
    uint32_t there = s->counter ? free : u->in_cell;
    if (n == 0 || free > 0 || there + n > SEM_CELL_MAX)
        return;
    s->stock -= n;
    u->in_cell += n;
    atomic_fetch_add(u->cell, n * SEM_FREE_ONE);
    cell_look_rich(s, u);
}

/* ---- taking ---- */

bool sem_take_held(sem_home *s, sem_user *u)
{
    if (s->counter)
        return false;
    uint64_t word = u->cell ? atomic_load(u->cell) : 0;
    while (sem_cell_held(word) > 0 && u->in_cell > 0) {
        if (!atomic_compare_exchange_weak(u->cell, &word, word - SEM_HELD_ONE))
            continue;
        u->in_cell--;
        s->stock++;
        cell_look_rich(s, u);
        return true;
    }
    if (u->held == 0)
        return false;
    u->held--;
    s->stock++;
    return true;
}

/* In the cells of all users. */
static void cells_change(sem_home *s, uint64_t drop, uint64_t add)
{
    sem_user *u;
    DL_FOREACH2 (s->users, u, in_users.next) {
        uint64_t word = u->cell ? atomic_load(u->cell) : 0;
        while (u->cell && !atomic_compare_exchange_weak(u->cell, &word, (word & ~drop) | add))
            ;
    }
}

/* Takes what is free there; mark: and wants to hear of what comes to be free. */
static uint32_t cell_collect(sem_home *s, sem_user *u, bool mark)
{
    uint64_t word = atomic_load(u->cell), next;
    do {
        next = word & ~SEM_CELL_MAX;
        if (mark && (s->counter || sem_cell_held(word) > 0))
            next |= SEM_WAITED;
        if (next == word)
            break;
    } while (!atomic_compare_exchange_weak(u->cell, &word, next));
    uint32_t n = sem_cell_free(word);
    if (!s->counter) { /* not believed beyond what was given */
        n = n < u->in_cell ? n : u->in_cell;
        u->in_cell -= n;
    }
    if (n > 0)
        u->streak = 0;
    s->marked |= mark;
    s->stock += n;
    if (s->counter && !s->checked && s->stock >= SEM_NEAR) {
        s->checked = true;
        cells_change(s, 0, SEM_CHECKED);
    }
    cell_look_rich(s, u);
    return n;
}

/* When it may be asked. A counter's permits are not worked with, they are signals. */
static sri_ns cell_lease(const sem_home *s, const sem_user *u)
{
    return s->counter ? 0 : u->granted + SEM_LEASE;
}

bool sem_find(sem_home *s)
{
    sri_ns now = s->rich ? sri_now() : 0;
    sem_user *u, *next;
    for (u = s->rich; u && s->stock == 0; u = next) {
        next = u->in_rich.next;
        if (cell_lease(s, u) <= now)
            cell_collect(s, u, false);
    }
    return s->stock > 0;
}

bool sem_collect(sem_home *s, sri_ns *due)
{
    sri_ns now = s->rich ? sri_now() : 0;
    bool any = false;
    sem_user *u, *next;
    for (u = s->rich; u; u = next) {
        next = u->in_rich.next;
        sri_ns lease = cell_lease(s, u);
        if (!due || lease <= now)
            any |= cell_collect(s, u, true) > 0;
        else if (lease < *due)
            *due = lease;
    }
    return any;
}

void sem_unmark(sem_home *s)
{
    sem_user *u;
    if (!s->marked)
        return;
    s->marked = false;
    DL_FOREACH2 (s->rich, u, in_rich.next)
        atomic_fetch_and(u->cell, ~SEM_WAITED);
}

/* ---- counting ---- */

/* With all cells marked nothing free is taken by itself any more, so that while they are summed up
 * the number can only rise, by releases: the sum is one that it has had. */
int64_t sem_value(sem_home *s)
{
    int64_t n = s->stock;
    sem_user *u;
    DL_FOREACH2 (s->rich, u, in_rich.next)
        atomic_fetch_or(u->cell, SEM_WAITED);
    s->marked = true;
    DL_FOREACH2 (s->rich, u, in_rich.next)
        n += sem_cell_free(atomic_load(u->cell));
    if (!s->line)
        sem_unmark(s);
    return n;
}

static void cells_become_a_counter(sem_home *s)
{
    sem_user *u;
    s->counter = true;
    cells_change(s, SEM_CELL_MAX * SEM_HELD_ONE | SEM_CHECKED, cell_flags(s));
    DL_FOREACH2 (s->users, u, in_users.next) {
        u->held = 0;
        u->in_cell = 0;
        cell_look_rich(s, u);
    }
}

serry_err sem_raise(sem_home *s, sem_user *u)
{
    /* While releases are by asking, nobody's comes between the check and the raise. */
    cells_change(s, 0, SEM_CHECKED);
    int64_t value = sem_value(s), limit = s->bounded ? s->initial : INT_MAX;
    bool checked = s->bounded || value >= SEM_NEAR;
    if (value >= limit) {
        if (!s->checked)
            cells_change(s, SEM_CHECKED, 0);
        return sri_fail(SERRY_EINVAL, "its value is %lld already, the most it may be",
                        (long long)value);
    }
    s->checked |= checked;
    cells_become_a_counter(s);
    s->stock++;
    if (u->cell) /* its cell may be full of them */
        cell_collect(s, u, false);
    return SERRY_OK;
}
