/* run_nearest.c: the name that a misspelt one may have meant. */
#include "run.h"

#include <stdlib.h>
#include <string.h>

enum { NEAREST_LENGTH = 40 }; /* longer names are like no other */

/* Without the dashes before it. */
static const char *nearest_word(const char *name)
{
    return name + strspn(name, "-");
}

static size_t nearest_least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* How many letters have to be put in, left out, changed or exchanged with the next one. */
static size_t nearest_distance(const char *a, const char *b)
{
    size_t d[NEAREST_LENGTH + 1][NEAREST_LENGTH + 1];
    size_t m = strlen(a), n = strlen(b);
    if (m > NEAREST_LENGTH || n > NEAREST_LENGTH)
        return SIZE_MAX;
    for (size_t i = 0; i <= m; i++)
        d[i][0] = i;
    for (size_t j = 0; j <= n; j++)
        d[0][j] = j;
    for (size_t i = 1; i <= m; i++) {
        for (size_t j = 1; j <= n; j++) {
            size_t change = d[i - 1][j - 1] + (a[i - 1] != b[j - 1]);
            d[i][j] = nearest_least(change, nearest_least(d[i - 1][j], d[i][j - 1]) + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                d[i][j] = nearest_least(d[i][j], d[i - 2][j - 2] + 1);
        }
    }
    return d[m][n];
}

const char *run_nearest(const char *name, const char *const *names, size_t n)
{
    const char *word = nearest_word(name), *best = NULL;
    size_t len = strlen(word), least = SIZE_MAX;
    for (size_t i = 0; i < n; i++) {
        const char *other = nearest_word(names[i]);
        size_t far = nearest_distance(word, other);
        /* The beginning of a longer one is that one. */
        if (len >= 3 && strncmp(word, other, len) == 0)
            far = 1;
        if (far < least)
            best = names[i];
        least = nearest_least(least, far);
    }
    return least <= (len + 1) / 3 ? best : NULL;
}
