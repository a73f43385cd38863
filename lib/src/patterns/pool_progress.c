/* patterns/pool_progress.c: percent, done of total, rate, time left; each by one write(2). */
#include "patterns/pool_progress.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define BAR_TERMINAL_NS SRI_MS(100)
#define BAR_LINE_NS SRI_MS(5000)
#define BAR_WIDTH 30

static void bar_time(char *text, size_t cap, double seconds)
{
    unsigned s = seconds < 1e8 ? (unsigned)seconds : 100000000u;
    if (s >= 3600)
        snprintf(text, cap, "%u:%02u:%02u", s / 3600, s / 60 % 60, s % 60);
    else
        snprintf(text, cap, "%u:%02u", s / 60, s % 60);
}

static void bar_rate(char *text, size_t cap, double rate)
{
    if (rate >= 1e6)
        snprintf(text, cap, "%.1f M/s", rate * 1e-6);
    else if (rate >= 1e4)
        snprintf(text, cap, "%.1f k/s", rate * 1e-3);
    else
        snprintf(text, cap, "%.3g/s", rate);
}

static void bar_draw(const sri_bar *b, size_t done, bool last)
{
    double part = b->total ? (double)done / (double)b->total : 1;
    double seconds = (double)(sri_now() - b->begun) * 1e-9;
    double rate = seconds > 0 ? (double)done / seconds : 0;
    char bar[BAR_WIDTH + 1], speed[32], left[32], line[192];
    int full = (int)(part * BAR_WIDTH);
    memset(bar, '#', (size_t)full);
    memset(bar + full, '.', (size_t)(BAR_WIDTH - full));
    bar[BAR_WIDTH] = '\0';
    bar_rate(speed, sizeof speed, rate);
    bar_time(left, sizeof left, last ? seconds : rate > 0 ? (double)(b->total - done) / rate : 0);
    const char *what = last ? "in" : rate > 0 ? "left" : "";
    /* Clear to the end of the line: the one before may have been longer. */
    int n = b->terminal
                ? snprintf(line, sizeof line, "\r%3d%% [%s] %zu/%zu, %s, %s %s\033[K%s",
                           (int)(part * 100), bar, done, b->total, speed, what,
                           rate > 0 || last ? left : "", last ? "\n" : "")
                : snprintf(line, sizeof line, "%3d%% %zu/%zu, %s, %s %s\n", (int)(part * 100), done,
                           b->total, speed, what, rate > 0 || last ? left : "");
    if (n > 0 && write(STDERR_FILENO, line, (size_t)n) < 0)
        errno = 0; /* a bar that nobody can see is no reason to fail */
}

void sri_bar_begin(sri_bar *b, bool on, size_t total)
{
    *b = (sri_bar){ .on = on, .total = total, .due = SRI_NEVER };
    if (!on)
        return;
    b->terminal = isatty(STDERR_FILENO);
    b->begun = sri_now();
    b->due = b->begun + (b->terminal ? BAR_TERMINAL_NS : BAR_LINE_NS);
}

void sri_bar_show(sri_bar *b, size_t done)
{
    if (!b->on)
        return;
    sri_ns now = sri_now();
    if (now < b->due)
        return;
    b->due = now + (b->terminal ? BAR_TERMINAL_NS : BAR_LINE_NS);
    bar_draw(b, done, false);
}

void sri_bar_end(sri_bar *b, size_t done)
{
    if (b->on)
        bar_draw(b, done, true);
}
