/* What came out, as text, Markdown or JSON. */
#ifndef BENCH_REPORT_H
#define BENCH_REPORT_H

#include "plan.h"

#include <stdio.h>

enum { MAX_ROUNDS = 101 };

enum outcome {
    OUT_MEASURED,
    OUT_ABSENT,
    OUT_FAILED,
    OUT_TIMED_OUT,
    OUT_SKIPPED,
};

/* One peer in one figure. */
struct column {
    enum peer peer;
    enum outcome outcome;
    double values[MAX_ROUNDS];
    size_t n;       /* rounds that gave a value */
    double median;  /* if n > 0 */
    char text[256]; /* why not */
};

/* One figure: serry's column first, then the rivals in the plan's order. */
struct measured {
    const struct figure *figure;
    size_t columns;
    struct column column[MAX_RIVALS + 1];
};

enum verdict { VERDICT_NONE, VERDICT_MET, VERDICT_MISSED };

/* Sorts the values of a column and sets its median. */
void report_settle(struct column *c);

/* serry/peer of column k against its bound; *ratio is set unless there is none. */
enum verdict report_verdict(const struct measured *m, size_t k, double *ratio);

void report_text(FILE *f, const struct measured *m);

/* The head of a table, and the rows of a figure. */
void report_markdown_head(FILE *f, const char *group, size_t rounds);
void report_markdown(FILE *f, const struct measured *m);

void report_json(FILE *f, const struct measured *all, size_t n, size_t rounds);

#endif
