/* core/reduce.c: one loop for each type and operation that go together. */
#include "core/reduce.h"

#define REDUCE(name, type, expression)                                                             \
    static void reduce_##name(void *out, const void *left, const void *right, size_t n)            \
    {                                                                                              \
        type *o = out;                                                                             \
        const type *l = left, *r = right;                                                          \
        for (size_t i = 0; i < n; i++) {                                                           \
            const type a = l[i], b = r[i];                                                         \
            o[i] = (type)(expression);                                                             \
        }                                                                                          \
    }

/* Signed sums and products are computed unsigned, where overflow is defined. */
#define REDUCE_NUMBERS(name, type, wide)                                                           \
    REDUCE(sum_##name, type, (wide)a + (wide)b)                                                    \
    REDUCE(prod_##name, type, ((wide)a) * ((wide)b))                                               \
    REDUCE(min_##name, type, a <= b ? a : b)                                                       \
    REDUCE(max_##name, type, a >= b ? a : b)

#define REDUCE_BITS(name, type)                                                                    \
    REDUCE(and_##name, type, (a) & (b))                                                            \
    REDUCE(or_##name, type, a | b)                                                                 \
    REDUCE(xor_##name, type, a ^ b)

REDUCE_NUMBERS(byte, uint8_t, uint32_t)
REDUCE_NUMBERS(int32, int32_t, uint32_t)
REDUCE_NUMBERS(int64, int64_t, uint64_t)
REDUCE_NUMBERS(float, float, float)
REDUCE_NUMBERS(double, double, double)
REDUCE_BITS(byte, uint8_t)
REDUCE_BITS(int32, int32_t)
REDUCE_BITS(int64, int64_t)
REDUCE(minloc, serry_double_int,
       a.value < b.value || (a.value == b.value && a.index <= b.index) ? a : b)
REDUCE(maxloc, serry_double_int,
       a.value > b.value || (a.value == b.value && a.index <= b.index) ? a : b)

#define REDUCE_ROW(name)                                                                           \
    [SERRY_SUM] = reduce_sum_##name, [SERRY_PROD] = reduce_prod_##name,                            \
    [SERRY_MIN] = reduce_min_##name, [SERRY_MAX] = reduce_max_##name
#define REDUCE_ROW_BITS(name)                                                                      \
    [SERRY_AND] = reduce_and_##name, [SERRY_OR] = reduce_or_##name, [SERRY_XOR] = reduce_xor_##name

static const struct {
    const char *name;
    size_t size;
    sri_reduce_fn fns[SERRY_MAXLOC + 1];
} reduce_types[SERRY_DOUBLE_INT + 1] = {
    [SERRY_BYTE] = { "BYTE", sizeof(uint8_t), { REDUCE_ROW(byte), REDUCE_ROW_BITS(byte) } },
    [SERRY_INT32] = { "INT32", sizeof(int32_t), { REDUCE_ROW(int32), REDUCE_ROW_BITS(int32) } },
    [SERRY_INT64] = { "INT64", sizeof(int64_t), { REDUCE_ROW(int64), REDUCE_ROW_BITS(int64) } },
    [SERRY_FLOAT] = { "FLOAT", sizeof(float), { REDUCE_ROW(float) } },
    [SERRY_DOUBLE] = { "DOUBLE", sizeof(double), { REDUCE_ROW(double) } },
    [SERRY_DOUBLE_INT] = { "DOUBLE_INT",
                           sizeof(serry_double_int),
                           { [SERRY_MINLOC] = reduce_minloc, [SERRY_MAXLOC] = reduce_maxloc } },
};

static const char *const reduce_ops[SERRY_MAXLOC + 1] = {
    [SERRY_SUM] = "SUM", [SERRY_PROD] = "PROD",     [SERRY_MIN] = "MIN",
    [SERRY_MAX] = "MAX", [SERRY_AND] = "AND",       [SERRY_OR] = "OR",
    [SERRY_XOR] = "XOR", [SERRY_MINLOC] = "MINLOC", [SERRY_MAXLOC] = "MAXLOC",
};

size_t sri_type_size(serry_type type)
{
    unsigned t = (unsigned)type;
    return t <= SERRY_DOUBLE_INT ? reduce_types[t].size : 0;
}

serry_err sri_reduce_find(serry_type type, serry_op op, sri_reduce_fn *fn, size_t *size)
{
    unsigned t = (unsigned)type, o = (unsigned)op;
    if (t < SERRY_BYTE || t > SERRY_DOUBLE_INT)
        return sri_fail(SERRY_EINVAL, "%d is not a type", (int)type);
    if (o < SERRY_SUM || o > SERRY_MAXLOC)
        return sri_fail(SERRY_EINVAL, "%d is not an operation", (int)op);
    if (!reduce_types[t].fns[o])
        return sri_fail(SERRY_EINVAL, "operation %s does not take type %s", reduce_ops[o],
                        reduce_types[t].name);
    *fn = reduce_types[t].fns[o];
    *size = reduce_types[t].size;
    return SERRY_OK;
}
