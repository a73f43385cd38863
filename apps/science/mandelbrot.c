/* mandelbrot.c: renders the Mandelbrot set into a PNG file, tile by tile, with a pool map. */
#include "mandelbrot_png.h"
#include "mandelbrot_tile.h"

#include <serry/pool.h>
#include <serry/world.h>

#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char help[] =
    "Usage: mandelbrot [OPTION]...\n"
    "Renders the Mandelbrot set, or a part of it, into a PNG file, in parallel.\n"
    "\n"
    "  -W, --width=W        pixels, 1600 by default\n"
    "  -H, --height=H       pixels, 1200 by default\n"
    "  -c, --center=RE,IM   the point in the middle, -0.65,0 by default\n"
    "  -z, --zoom=Z         how much closer than the view of the whole set; 1 by default\n"
    "  -i, --iterations=N   after which a point counts as inside; 1000 by default\n"
    "  -t, --tile=T         one task renders T x T pixels; 64 by default\n"
    "  -p, --progress       draw a progress bar on standard error\n"
    "  -o, --output=FILE    mandelbrot.png by default\n"
    "  -h, --help           print this and end\n"
    "\n"
    "Places worth a visit:\n"
    "  mandelbrot -c -0.7436439,0.1318259 -z 2000 -i 5000     seahorses\n"
    "  mandelbrot -c 0.2925755,-0.0149977 -z 300              elephants\n"
    "  mandelbrot -c -1.7548777,0 -z 60                       a small copy\n"
    "\n"
    "The same program runs three ways: by itself it starts worker processes; with\n"
    "SERRY_NP=4 in its environment, or under 'serry run -n 4', rank 0 paints with the\n"
    "help of the other ranks. The picture is the same.\n"
    "\n"
    "Exit status: 0 done, 1 a failure, 2 wrong usage.\n";

#define VIEW_HEIGHT 2.5 /* of the whole set, at zoom 1 */
#define SIDE_MAX 16384  /* pixels */

typedef struct picture {
    int width, height, tile; /* pixels */
    double re, im, zoom;
    int iterations;
    bool progress;
    const char *output;
} picture;

static bool parse_whole(const char *option, const char *text, int max, int *value)
{
    char *end;
    errno = 0;
    long n = strtol(text, &end, 10);
    if (end == text || *end || errno || n < 1 || n > max) {
        fprintf(stderr, "mandelbrot: --%s is '%s'; it must be a whole number from 1 to %d\n",
                option, text, max);
        return false;
    }
    *value = (int)n;
    return true;
}

static bool parse_center(const char *text, picture *p)
{
    char *comma, *end;
    double re = strtod(text, &comma);
    double im = *comma == ',' ? strtod(comma + 1, &end) : NAN;
    if (comma == text || isnan(im) || end == comma + 1 || *end || !(fabs(re) <= 4)
        || !(fabs(im) <= 4)) {
        fprintf(stderr, "mandelbrot: --center is '%s'; it must be RE,IM, each from -4 to 4\n",
                text);
        return false;
    }
    p->re = re;
    p->im = im;
    return true;
}

/* Beyond 1e12 neighbouring pixels of a double are the same point. */
static bool parse_zoom(const char *text, picture *p)
{
    char *end;
    double zoom = strtod(text, &end);
    if (end == text || *end || !(zoom >= 0.1) || !(zoom <= 1e12)) {
        fprintf(stderr, "mandelbrot: --zoom is '%s'; it must be a number from 0.1 to 1e12\n", text);
        return false;
    }
    p->zoom = zoom;
    return true;
}

static bool parse_option(int c, const char *text, picture *p)
{
    switch (c) {
    case 'W':
        return parse_whole("width", text, SIDE_MAX, &p->width);
    case 'H':
        return parse_whole("height", text, SIDE_MAX, &p->height);
    case 'c':
        return parse_center(text, p);
    case 'z':
        return parse_zoom(text, p);
    case 'i':
        return parse_whole("iterations", text, 100000000, &p->iterations);
    case 't':
        return parse_whole("tile", text, TILE_MAX, &p->tile);
    case 'p':
        p->progress = true;
        return true;
    case 'o':
        p->output = text;
        return true;
    default:
        return false;
    }
}

/* -1, or the exit status to end with. */
static int parse(int argc, char **argv, picture *p)
{
    static const struct option options[] = {
        { "width", required_argument, NULL, 'W' },
        { "height", required_argument, NULL, 'H' },
        { "center", required_argument, NULL, 'c' },
        { "zoom", required_argument, NULL, 'z' },
        { "iterations", required_argument, NULL, 'i' },
        { "tile", required_argument, NULL, 't' },
        { "progress", no_argument, NULL, 'p' },
        { "output", required_argument, NULL, 'o' },
        { "help", no_argument, NULL, 'h' },
        { 0 },
    };
    bool fine = true;
    int c;
    while (fine && (c = getopt_long(argc, argv, "W:H:c:z:i:t:po:h", options, NULL)) != -1) {
        if (c == 'h') {
            fputs(help, stdout);
            return 0;
        }
        fine = parse_option(c, optarg, p);
    }
    if (fine && optind < argc) {
        fprintf(stderr, "mandelbrot: what is '%s'?\n", argv[optind]);
        fine = false;
    }
    if (fine)
        return -1;
    fputs("Try 'mandelbrot --help'.\n", stderr);
    return 2;
}

/* The tiles of row after row, from the upper left; those at the right and lower edges are smaller
 * where whole ones do not fit. */
static void cut(const picture *p, tile *tiles)
{
    for (int y = 0; y < p->height; y += p->tile) {
        for (int x = 0; x < p->width; x += p->tile) {
            *tiles++ = (tile){
                .re = p->re,
                .im = p->im,
                .pixel = VIEW_HEIGHT / p->zoom / p->height,
                .x = x - p->width / 2.0,
                .y = y - p->height / 2.0,
                .width = p->width - x < p->tile ? p->width - x : p->tile,
                .height = p->height - y < p->tile ? p->height - y : p->tile,
                .iterations = p->iterations,
            };
        }
    }
}

/* Puts the tiles, each in a place of place bytes, where they belong in the picture. */
static void assemble(const picture *p, const uint8_t *places, size_t place, uint8_t *pixels)
{
    size_t row = (size_t)p->width * TILE_BYTES;
    for (int y = 0; y < p->height; y += p->tile) {
        for (int x = 0; x < p->width; x += p->tile, places += place) {
            int width = p->width - x < p->tile ? p->width - x : p->tile;
            int height = p->height - y < p->tile ? p->height - y : p->tile;
            size_t bytes = (size_t)width * TILE_BYTES;
            for (int i = 0; i < height; i++)
                memcpy(pixels + (size_t)(y + i) * row + (size_t)x * TILE_BYTES,
                       places + (size_t)i * bytes, bytes);
        }
    }
}

/* Renders into pixels, rows of width * TILE_BYTES bytes. */
static serry_err render(const picture *p, uint8_t *pixels)
{
    size_t columns = (size_t)((p->width + p->tile - 1) / p->tile);
    size_t n = columns * (size_t)((p->height + p->tile - 1) / p->tile);
    size_t place = (size_t)p->tile * (size_t)p->tile * TILE_BYTES;
    tile *tiles = malloc(n * sizeof *tiles);
    uint8_t *places = malloc(n * place);
    serry_pool *pool = NULL;
    serry_err e = SERRY_ENOMEM;
    if (tiles && places) {
        cut(p, tiles);
        e = serry_pool_create(&pool, &(serry_pool_options){ .name = "mandelbrot" });
    }
    if (e == SERRY_OK)
        e = serry_pool_map(pool, tile_render, tiles, sizeof *tiles, n, places, place,
                           &(serry_map_options){ .progress = p->progress });
    if (e == SERRY_OK)
        assemble(p, places, place, pixels);
    serry_pool_destroy(pool);
    free(places);
    free(tiles);
    return e;
}

/* Half a picture is removed, a device is not. */
static void drop(const char *path)
{
    struct stat st;
    if (lstat(path, &st) == 0 && S_ISREG(st.st_mode))
        unlink(path);
}

/* What cannot be written is found out before the work is done. */
static int paint(int argc, char **argv)
{
    picture p = { .width = 1600,
                  .height = 1200,
                  .tile = 64,
                  .re = -0.65,
                  .zoom = 1,
                  .iterations = 1000,
                  .output = "mandelbrot.png" };
    int status = parse(argc, argv, &p);
    if (status >= 0)
        return status;
    char text[256] = "";
    FILE *file = fopen(p.output, "wbe");
    uint8_t *pixels = malloc((size_t)p.width * (size_t)p.height * TILE_BYTES);
    serry_err e = pixels ? SERRY_OK : SERRY_ENOMEM;
    if (!file)
        snprintf(text, sizeof text, "%s", strerror(errno));
    else if (e != SERRY_OK || (e = render(&p, pixels)) != SERRY_OK)
        snprintf(text, sizeof text, "%s: %s", serry_err_text(e), serry_err_detail());
    else
        png_save(file, pixels, p.width, p.height, text, sizeof text);
    if (file && fclose(file) && !*text)
        snprintf(text, sizeof text, "%s", strerror(errno));
    if (*text)
        fprintf(stderr, "mandelbrot: %s: %s\n", p.output, text);
    if (*text && file)
        drop(p.output);
    free(pixels);
    return *text ? 1 : 0;
}

/* Rank 0 paints; other launched ranks work for its pool in serry_finalize. */
int main(int argc, char **argv)
{
    SERRY_CHECK(serry_init(&argc, &argv));
    int status = serry_rank() == 0 ? paint(argc, argv) : 0;
    SERRY_CHECK(serry_finalize());
    return status;
}
