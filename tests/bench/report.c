/* report.h: medians, ratios and three ways to write them down. */
#include "report.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

void report_settle(struct column *c)
{
    if (c->n == 0)
        return;
    double sorted[MAX_ROUNDS];
    memcpy(sorted, c->values, c->n * sizeof *sorted);
    qsort(sorted, c->n, sizeof *sorted, by_value);
    c->median = c->n % 2 == 1 ? sorted[c->n / 2] : (sorted[c->n / 2 - 1] + sorted[c->n / 2]) / 2;
}

static double report_bound(const struct measured *m, size_t k)
{
    if (k == 0)
        return 0;
    const struct rival *r = &m->figure->rivals[k - 1];
    double theirs = m->column[k].median;
    return r->bound + (theirs > 0 ? r->plus / theirs : 0);
}

enum verdict report_verdict(const struct measured *m, size_t k, double *ratio)
{
    const struct column *ours = &m->column[0], *theirs = &m->column[k];
    if (k == 0 || ours->n == 0 || theirs->n == 0 || !(theirs->median > 0))
        return VERDICT_NONE;
    *ratio = ours->median / theirs->median;
    double bound = report_bound(m, k);
    if (!(bound > 0))
        return VERDICT_NONE;
    bool met = m->figure->more_is_better ? *ratio >= bound : *ratio <= bound;
    return met ? VERDICT_MET : VERDICT_MISSED;
}

/* Three digits that count, without exponents. */
static const char *number(char *text, size_t cap, double v)
{
    int decimals = v >= 99.95 ? 0 : v >= 9.995 ? 1 : v >= 0.9995 ? 2 : v >= 0.0995 ? 3 : 4;
    snprintf(text, cap, "%.*f", decimals, v);
    return text;
}

static const char *outcome_word(const struct column *c)
{
    switch (c->outcome) {
    case OUT_ABSENT:
        return c->text;
    case OUT_TIMED_OUT:
        return "timed out";
    case OUT_FAILED:
        return "failed";
    case OUT_SKIPPED:
        return "skipped (--slow)";
    default:
        return "-";
    }
}

/* The cells of one row: figure, ratio, target, verdict; empty where there is none. */
struct cells {
    char figure[64];
    char ratio[32];
    char target[32];
    const char *verdict;
};

static void report_cells(struct cells *c, const struct measured *m, size_t k)
{
    const struct column *col = &m->column[k];
    char text[32];
    double ratio = -1;
    *c = (struct cells){ .verdict = "" };
    enum verdict v = report_verdict(m, k, &ratio);
    if (col->n > 0)
        snprintf(c->figure, sizeof c->figure, "%s %s", number(text, sizeof text, col->median),
                 m->figure->unit);
    else
        snprintf(c->figure, sizeof c->figure, "%s", outcome_word(col));
    if (ratio >= 0)
        number(c->ratio, sizeof c->ratio, ratio);
    if (report_bound(m, k) > 0)
        snprintf(c->target, sizeof c->target, "%s %g",
                 m->figure->more_is_better ? ">=" : "<=", report_bound(m, k));
    if (v != VERDICT_NONE)
        c->verdict = v == VERDICT_MET ? "met" : "missed";
}

void report_text(FILE *f, const struct measured *m)
{
    struct cells c;
    report_cells(&c, m, 0);
    fprintf(f, "%-38s %20s\n", m->figure->name, c.figure);
    for (size_t k = 1; k < m->columns; k++) {
        report_cells(&c, m, k);
        fprintf(f, "    %-34s %20s %10s %8s  %s\n", plan_peer_name(m->column[k].peer), c.figure,
                c.ratio, c.target, c.verdict);
    }
    for (size_t k = 0; k < m->columns; k++)
        if (m->column[k].outcome == OUT_FAILED || m->column[k].outcome == OUT_TIMED_OUT)
            fprintf(f, "    %s: %s\n", plan_peer_name(m->column[k].peer), m->column[k].text);
    fflush(f);
}

void report_markdown_head(FILE *f, const char *group, size_t rounds)
{
    fprintf(f,
            "\n### %s\n\nMedians of %zu alternating rounds on %ld processors.\n\n"
            "| what | serry | against | its figure | serry / it | target | |\n"
            "| --- | ---: | --- | ---: | ---: | ---: | --- |\n",
            group, rounds, sysconf(_SC_NPROCESSORS_ONLN));
}

void report_markdown(FILE *f, const struct measured *m)
{
    struct cells ours, c;
    report_cells(&ours, m, 0);
    for (size_t k = 1; k < m->columns; k++) {
        report_cells(&c, m, k);
        const char *mark = strcmp(c.verdict, "missed") == 0 ? "**" : "";
        fprintf(f, "| %s | %s | %s | %s | %s | %s | %s%s%s |\n", k == 1 ? m->figure->name : "",
                k == 1 ? ours.figure : "", plan_peer_name(m->column[k].peer), c.figure, c.ratio,
                c.target, mark, c.verdict, mark);
    }
    if (m->columns == 1)
        fprintf(f, "| %s | %s | | | | | |\n", m->figure->name, ours.figure);
    fflush(f);
}

static void json_column(FILE *f, const struct measured *m, size_t k)
{
    static const char *const outcomes[] = { "measured", "absent", "failed", "timed out",
                                            "skipped" };
    const struct column *c = &m->column[k];
    double ratio = -1;
    enum verdict v = report_verdict(m, k, &ratio);
    fprintf(f, "%s\n        {\"peer\": \"%s\", \"outcome\": \"%s\"", k > 0 ? "," : "",
            plan_peer_name(c->peer), outcomes[c->outcome]);
    if (c->n > 0)
        fprintf(f, ", \"median\": %.6g", c->median);
    if (ratio >= 0)
        fprintf(f, ", \"ratio\": %.6g", ratio);
    if (report_bound(m, k) > 0)
        fprintf(f, ", \"target\": %g", report_bound(m, k));
    if (v != VERDICT_NONE)
        fprintf(f, ", \"met\": %s", v == VERDICT_MET ? "true" : "false");
    fputs(", \"rounds\": [", f);
    for (size_t i = 0; i < c->n; i++)
        fprintf(f, "%s%.6g", i > 0 ? ", " : "", c->values[i]);
    fputs("]}", f);
}

void report_json(FILE *f, const struct measured *all, size_t n, size_t rounds)
{
    fprintf(f, "{\n  \"processors\": %ld,\n  \"rounds\": %zu,\n  \"figures\": [",
            sysconf(_SC_NPROCESSORS_ONLN), rounds);
    for (size_t i = 0; i < n; i++) {
        const struct figure *g = all[i].figure;
        fprintf(f,
                "%s\n    {\"group\": \"%s\", \"name\": \"%s\", \"unit\": \"%s\", "
                "\"more_is_better\": %s, \"peers\": [",
                i > 0 ? "," : "", g->group, g->name, g->unit, g->more_is_better ? "true" : "false");
        for (size_t k = 0; k < all[i].columns; k++)
            json_column(f, &all[i], k);
        fputs("]}", f);
    }
    fputs("\n  ]\n}\n", f);
}
