/* mandelbrot_png.h: a picture as a PNG file. */
#ifndef MANDELBROT_PNG_H
#define MANDELBROT_PNG_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* Writes height rows of width pixels, 3 bytes each: red, green, blue. False: text, of cap bytes,
 * says what went wrong. */
bool png_save(FILE *to, const uint8_t *pixels, int width, int height, char *text, size_t cap);

#endif
