/* serry/types.h: the types and operations that reductions and shared values know. */
#ifndef SERRY_TYPES_H
#define SERRY_TYPES_H

#include <serry/error.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* An element of SERRY_DOUBLE_INT: a value and the rank (or index) it came from. */
typedef struct serry_double_int {
    double value;
    int32_t index;
} serry_double_int;

typedef enum serry_type {
    SERRY_BYTE = 1,   /* uint8_t */
    SERRY_INT32,      /* int32_t */
    SERRY_INT64,      /* int64_t */
    SERRY_FLOAT,      /* float */
    SERRY_DOUBLE,     /* double */
    SERRY_DOUBLE_INT, /* serry_double_int */
} serry_type;

/* AND, OR and XOR are bitwise and take BYTE, INT32 and INT64; MINLOC and MAXLOC take DOUBLE_INT
 * and, of equal values, keep the lower index; the others take all but DOUBLE_INT. */
typedef enum serry_op {
    SERRY_SUM = 1,
    SERRY_PROD,
    SERRY_MIN,
    SERRY_MAX,
    SERRY_AND,
    SERRY_OR,
    SERRY_XOR,
    SERRY_MINLOC,
    SERRY_MAXLOC,
} serry_op;

#ifdef __cplusplus
}
#endif
#endif
