/* patterns/parked.c: lines of parked requests. */
#include "patterns/parked.h"

#include "base/error.h"

#include <stdio.h>
#include <stdlib.h>
#include <utlist.h>

#define PARKED_NAMED 8 /* ranks named in a description */

sri_parked *sri_park(sri_object *o, sri_parked **line, sri_asker who, uint64_t note,
                     const char *what)
{
    if (who.nowait) {
        sri_home_refuse(o, who, SERRY_ETIMEDOUT, "%s", what);
        return NULL;
    }
    sri_parked *p = malloc(sizeof *p);
    if (!p) {
        sri_home_refuse(o, who, SERRY_ENOMEM, "no memory for one more who waits");
        return NULL;
    }
    *p = (sri_parked){ .who = who, .since = sri_now(), .note = note };
    DL_APPEND(*line, p);
    return p;
}

void sri_unpark(sri_parked **line, sri_parked *p)
{
    DL_DELETE(*line, p);
    free(p);
}

void sri_parked_grant(sri_object *o, sri_parked **line, sri_parked *p)
{
    sri_home_reply(o, p->who, NULL, 0, NULL, 0);
    sri_unpark(line, p);
}

void sri_parked_refuse(sri_object *o, sri_parked **line, sri_parked *p, serry_err e,
                       const char *text)
{
    sri_home_refuse(o, p->who, e, "%s", text);
    sri_unpark(line, p);
}

void sri_parked_refuse_all(sri_object *o, sri_parked **line, serry_err e, const char *text)
{
    while (*line)
        sri_parked_refuse(o, line, *line, e, text);
}

sri_parked *sri_parked_find(sri_parked *line, sri_asker who)
{
    sri_parked *p;
    DL_FOREACH (line, p)
        if (p->who.rank == who.rank && p->who.number == who.number)
            return p;
    return NULL;
}

bool sri_parked_cancel(sri_object *o, sri_parked **line, sri_asker who, const char *what)
{
    sri_parked *p = sri_parked_find(*line, who);
    if (p)
        sri_parked_refuse(o, line, p, SERRY_ETIMEDOUT, what);
    return p != NULL;
}

size_t sri_parked_drop(sri_parked **line, int rank)
{
    size_t n = 0;
    sri_parked *p, *next;
    DL_FOREACH_SAFE (*line, p, next) {
        if (p->who.rank != rank)
            continue;
        sri_unpark(line, p);
        n++;
    }
    return n;
}

size_t sri_parked_count(const sri_parked *line)
{
    size_t n = 0;
    const sri_parked *p;
    DL_COUNT(line, p, n);
    return n;
}

/* Appends to text of cap bytes; what does not fit is cut. */
static size_t parked_add(char *text, size_t cap, size_t at, const char *joint, int rank)
{
    if (at >= cap)
        return at;
    int n = snprintf(text + at, cap - at, "%s%d", joint, rank);
    return n < 0 ? at : at + (size_t)n;
}

void sri_parked_text(const sri_parked *line, char *text, size_t cap)
{
    size_t n = sri_parked_count(line), at = 0, i = 0;
    if (n == 0) {
        snprintf(text, cap, "nobody");
        return;
    }
    const sri_parked *p;
    DL_FOREACH (line, p) {
        if (i == PARKED_NAMED)
            break;
        bool last = i + 1 == n;
        const char *joint = i == 0 ? (n == 1 ? "rank " : "ranks ") : last ? " and " : ", ";
        at = parked_add(text, cap, at, joint, p->who.rank);
        i++;
    }
    char more[32] = "";
    if (n > PARKED_NAMED)
        snprintf(more, sizeof more, " and %zu more", n - PARKED_NAMED);
    if (at < cap)
        snprintf(text + at, cap - at, "%s, for %.2f s", more,
                 (double)(sri_now() - line->since) / 1e9);
}
