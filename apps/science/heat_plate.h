/* heat_plate.h: a strip of rows of a square plate whose edges are kept at 0, and what heat does in
 * it.
 *
 * The plate has side 1 and n x n points inside, h = 1 / (n + 1) apart. It begins as
 * u(x, y) = sin(pi x) sin(pi y), which keeps its shape while it decays: by exp(-2 pi^2 D t). */
#ifndef HEAT_PLATE_H
#define HEAT_PLATE_H

#include <stdbool.h>
#include <stddef.h>

typedef struct plate {
    int n;
    int first;    /* of our rows, from 0 */
    int rows;     /* ours; one more above and below them is a neighbour's, or the edge */
    size_t width; /* points in a row, edges included */
    double *now;
    double *next;
} plate;

bool plate_make(plate *p, int n, int first, int rows);
void plate_free(plate *p);

/* Row i, from -1 (above ours) to rows (below them), edges included. */
static inline double *plate_row(const plate *p, int i)
{
    return p->now + (size_t)(i + 1) * p->width;
}

/* One explicit step; r = D dt / h^2, stable up to 1/4. Rows -1 and rows must be as they are now. */
void plate_step(plate *p, double r);

/* How far the plate is, at most, from its first state times `amplitude`. */
double plate_error(const plate *p, double amplitude);

/* exp(-2 pi^2 D t) after so many steps. */
double plate_decay(int n, double r, long steps);

#endif
