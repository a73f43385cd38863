/* patterns/pool_progress.c: percent, done of total, rate, time left; each by one write(2). */
#include "patterns/pool_progress.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
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
    else if (rate >= 0.1)
        snprintf(text, cap, "%.*f/s", rate >= 100 ? 0 : rate >= 10 ? 1 : 2, rate);
    else if (rate * 60 >= 0.1)
        snprintf(text, cap, "%.2f/min", rate * 60);
    else
        snprintf(text, cap, "%.2f/h", rate * 3600);
}

/* "7/64, 1.29/s, 0:44 left"; before the first is done there is no rate to go by */
static void bar_numbers(char *text, size_t cap, const sri_bar *b, size_t done, bool last)
{
    double seconds = (double)(sri_now() - b->begun) * 1e-9;
    double rate = seconds > 0 ? (double)done / seconds : 0;
    char speed[32], clock[32];
    bar_rate(speed, sizeof speed, rate);
    bar_time(clock, sizeof clock, last || rate <= 0 ? seconds : (double)(b->total - done) / rate);
    if (last)
        snprintf(text, cap, "%zu/%zu, %s, in %s", done, b->total, speed, clock);
    else if (rate <= 0)
        snprintf(text, cap, "%zu/%zu, %s so far", done, b->total, clock);
    else
        snprintf(text, cap, "%zu/%zu, %s, %s left", done, b->total, speed, clock);
}

/* How many of BAR_WIDTH places fit beside the numbers, so that the line is never folded. */
static int bar_width(int others)
{
    struct winsize w;
    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &w) != 0 || w.ws_col == 0)
        return BAR_WIDTH;
    int room = (int)w.ws_col - 1 - others;
    return room > BAR_WIDTH ? BAR_WIDTH : room > 0 ? room : 0;
}

static void bar_draw(const sri_bar *b, size_t done, bool last)
{
    double part = b->total ? (double)done / (double)b->total : 1;
    char bar[BAR_WIDTH + 1], numbers[128], line[256];
    bar_numbers(numbers, sizeof numbers, b, done, last);
    int width = b->terminal ? bar_width((int)strlen(numbers) + (int)strlen("100% [] ")) : 0;
    int full = (int)(part * width);
    memset(bar, '#', (size_t)full);
    memset(bar + full, '.', (size_t)(width - full));
    bar[width] = '\0';
    /* Clear to the end of the line: the one before may have been longer. */
    int percent = (int)(part * 100);
    int n = b->terminal ? snprintf(line, sizeof line, "\r%3d%% [%s] %s\033[K%s", percent, bar,
                                   numbers, last ? "\n" : "")
                        : snprintf(line, sizeof line, "%3d%% %s\n", percent, numbers);
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
