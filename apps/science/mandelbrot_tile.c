/* mandelbrot_tile.c: renders one tile: escape times, smoothed, through a palette. */
#include "mandelbrot_tile.h"

#include <math.h>
#include <stdlib.h>

typedef struct colour {
    double red, green, blue; /* 0 to 1 */
} colour;

/* With |z| this large when it is stopped, the smoothed escape time shows no bands. */
#define TILE_ESCAPE 256.0

/* Each pixel is the mean of TILE_SAMPLES * TILE_SAMPLES points. */
#define TILE_SAMPLES 2

/* The main cardioid and the disc to its left hold most of the points that never escape. */
static bool tile_surely_inside(double re, double im)
{
    double x = re - 0.25;
    double q = x * x + im * im;
    return q * (q + x) <= 0.25 * im * im || (re + 1) * (re + 1) + im * im <= 0.0625;
}

/* After how many iterations of z^2 + c a point escapes, made continuous; -1: it does not. */
static double tile_escape_time(double re, double im, int iterations)
{
    if (tile_surely_inside(re, im))
        return -1;
    double x = 0, y = 0;
    for (int n = 0; n < iterations; n++) {
        double xx = x * x, yy = y * y;
        if (xx + yy > TILE_ESCAPE * TILE_ESCAPE)
            return n - log2(log2(xx + yy) / (2 * log2(TILE_ESCAPE)));
        y = 2 * x * y + im;
        x = xx - yy + re;
    }
    return -1;
}

/* From night blue over ice to amber and back, in a cycle of 1. */
static colour tile_palette(double at)
{
    static const struct {
        double at;
        colour c;
    } stops[] = {
        { 0.00, { 0.00, 0.03, 0.25 } }, { 0.18, { 0.09, 0.35, 0.74 } },
        { 0.42, { 0.93, 0.99, 1.00 } }, { 0.62, { 1.00, 0.67, 0.05 } },
        { 0.84, { 0.35, 0.05, 0.08 } }, { 1.00, { 0.00, 0.03, 0.25 } },
    };
    at -= floor(at);
    int i = 0;
    while (at > stops[i + 1].at)
        i++;
    double part = (at - stops[i].at) / (stops[i + 1].at - stops[i].at);
    part = part * part * (3 - 2 * part);
    const colour *a = &stops[i].c, *b = &stops[i + 1].c;
    return (colour){ a->red + part * (b->red - a->red), a->green + part * (b->green - a->green),
                     a->blue + part * (b->blue - a->blue) };
}

/* The root keeps the rings far outside calm and the threads near the set apart. */
static colour tile_colour(double escape_time)
{
    if (escape_time < 0)
        return (colour){ 0, 0, 0 };
    return tile_palette(0.2 * sqrt(escape_time + 1) - 0.36);
}

static void tile_pixel(const tile *job, int column, int row, uint8_t *out)
{
    colour sum = { 0, 0, 0 };
    for (int i = 0; i < TILE_SAMPLES * TILE_SAMPLES; i++) {
        /* Exact, so that a picture is the same however it is cut. */
        double x = job->x + column + (i % TILE_SAMPLES + 0.5) / TILE_SAMPLES;
        double y = job->y + row + (i / TILE_SAMPLES + 0.5) / TILE_SAMPLES;
        double re = job->re + x * job->pixel, im = job->im - y * job->pixel;
        colour c = tile_colour(tile_escape_time(re, im, job->iterations));
        sum.red += c.red;
        sum.green += c.green;
        sum.blue += c.blue;
    }
    double scale = 255.0 / (TILE_SAMPLES * TILE_SAMPLES);
    out[0] = (uint8_t)lround(scale * sum.red);
    out[1] = (uint8_t)lround(scale * sum.green);
    out[2] = (uint8_t)lround(scale * sum.blue);
}

int tile_render(serry_task *t, const void *in, size_t len)
{
    const tile *job = in;
    if (len != sizeof *job || job->width < 1 || job->width > TILE_MAX || job->height < 1
        || job->height > TILE_MAX)
        return serry_task_fail(t, "a task of %zu bytes is not a tile", len);
    size_t bytes = (size_t)job->width * (size_t)job->height * TILE_BYTES;
    uint8_t *pixels = malloc(bytes);
    if (!pixels)
        return serry_task_fail(t, "no memory for a tile of %zu bytes", bytes);
    uint8_t *at = pixels;
    for (int row = 0; row < job->height; row++) {
        for (int column = 0; column < job->width; column++, at += TILE_BYTES)
            tile_pixel(job, column, row, at);
    }
    int failed = serry_task_return(t, pixels, bytes) != SERRY_OK;
    free(pixels);
    return failed;
}
