/* heat_plate.c: the numbers; it knows neither MPI nor serry. */
#include "heat_plate.h"

#include <math.h>
#include <stdlib.h>

static double plate_first_state(const plate *p, int row, int column)
{
    double h = 1.0 / (p->n + 1);
    return sin(M_PI * (p->first + row + 1) * h) * sin(M_PI * column * h);
}

bool plate_make(plate *p, int n, int first, int rows)
{
    size_t width = (size_t)n + 2, points = ((size_t)rows + 2) * width;
    *p = (plate){ .n = n, .first = first, .rows = rows, .width = width };
    p->now = calloc(points, sizeof *p->now);
    p->next = calloc(points, sizeof *p->next);
    if (!p->now || !p->next) {
        plate_free(p);
        return false;
    }
    for (int i = 0; i < rows; i++)
        for (int j = 1; j <= n; j++)
            plate_row(p, i)[j] = plate_first_state(p, i, j);
    return true;
}

void plate_free(plate *p)
{
    free(p->now);
    free(p->next);
}

void plate_step(plate *p, double r)
{
    for (int i = 0; i < p->rows; i++) {
        const double *up = plate_row(p, i - 1), *u = plate_row(p, i), *down = plate_row(p, i + 1);
        double *out = p->next + (size_t)(i + 1) * p->width;
        for (int j = 1; j <= p->n; j++)
            out[j] = u[j] + r * (up[j] + down[j] + u[j - 1] + u[j + 1] - 4 * u[j]);
    }
    double *old = p->now;
    p->now = p->next;
    p->next = old;
}

double plate_error(const plate *p, double amplitude)
{
    double most = 0;
    for (int i = 0; i < p->rows; i++)
        for (int j = 1; j <= p->n; j++)
            most = fmax(most, fabs(plate_row(p, i)[j] - amplitude * plate_first_state(p, i, j)));
    return most;
}

double plate_decay(int n, double r, long steps)
{
    double h = 1.0 / (n + 1);
    return exp(-2 * M_PI * M_PI * r * h * h * (double)steps);
}
