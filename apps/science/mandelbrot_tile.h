/* mandelbrot_tile.h: the task: the colours of one tile of a picture of the Mandelbrot set. */
#ifndef MANDELBROT_TILE_H
#define MANDELBROT_TILE_H

#include <serry/pool.h>

#define TILE_MAX 1024 /* pixels */
#define TILE_BYTES 3  /* of a pixel: red, green, blue */

/* What a task is given: everything it needs, for it may run in a process that has never seen the
 * command line. */
typedef struct tile {
    double re, im; /* of the middle of the picture */
    double pixel;  /* the width and height of a pixel */
    double x, y;   /* the tile's upper left corner, in pixels right of and below the middle */
    int32_t width, height; /* pixels, 1 to TILE_MAX; what is returned is rows of these */
    int32_t iterations;
    int32_t reserved;
} tile;

/* A serry_task_fn: returns height rows of width pixels. */
int tile_render(serry_task *t, const void *in, size_t len);

#endif
