/* mandelbrot_png.c: the one place that knows libpng. */
#include "mandelbrot_png.h"

#include <errno.h>
#include <png.h>
#include <string.h>

bool png_save(FILE *to, const uint8_t *pixels, int width, int height, char *text, size_t cap)
{
    png_image image = {
        .version = PNG_IMAGE_VERSION,
        .width = (png_uint_32)width,
        .height = (png_uint_32)height,
        .format = PNG_FORMAT_RGB,
    };
    errno = 0;
    if (png_image_write_to_stdio(&image, to, 0, pixels, 3 * width, NULL) && fflush(to) == 0)
        return true;
    snprintf(text, cap, "%s", errno ? strerror(errno) : image.message);
    png_image_free(&image);
    return false;
}
