/* Combining arrays: which types and operations go together, and the borders of each. */
#include "core/reduce.h"

#include <cstdint>
#include <gtest/gtest.h>
#include <string>
#include <vector>

namespace {

template <typename T>
T combine(serry_type type, serry_op op, T a, T b)
{
    sri_reduce_fn fn;
    size_t size;
    EXPECT_EQ(sri_reduce_find(type, op, &fn, &size), SERRY_OK) << serry_err_detail();
    EXPECT_EQ(size, sizeof(T));
    T out;
    fn(&out, &a, &b, 1);
    return out;
}

TEST(Reduce, KnowsWhichTypesAndOperationsGoTogether)
{
    for (int t = SERRY_BYTE; t <= SERRY_DOUBLE_INT; t++)
        for (int o = SERRY_SUM; o <= SERRY_MAXLOC; o++) {
            bool bits = o == SERRY_AND || o == SERRY_OR || o == SERRY_XOR;
            bool locations = o == SERRY_MINLOC || o == SERRY_MAXLOC;
            bool whole = t == SERRY_BYTE || t == SERRY_INT32 || t == SERRY_INT64;
            bool fits = t == SERRY_DOUBLE_INT ? locations : bits ? whole : !locations;
            sri_reduce_fn fn = nullptr;
            size_t size = 0;
            serry_err e =
                sri_reduce_find(static_cast<serry_type>(t), static_cast<serry_op>(o), &fn, &size);
            EXPECT_EQ(e, fits ? SERRY_OK : SERRY_EINVAL) << "type " << t << ", operation " << o;
            EXPECT_EQ(fn != nullptr, fits);
        }
}

TEST(Reduce, RefusesWhatIsNoTypeOrOperation)
{
    sri_reduce_fn fn;
    size_t size;
    for (int bad : { -1, 0, 7, 1000 }) {
        EXPECT_EQ(sri_reduce_find(static_cast<serry_type>(bad), SERRY_SUM, &fn, &size),
                  SERRY_EINVAL);
        EXPECT_NE(std::string(serry_err_detail()).find(std::to_string(bad)), std::string::npos);
        EXPECT_EQ(sri_type_size(static_cast<serry_type>(bad)), 0u);
    }
    EXPECT_EQ(sri_reduce_find(SERRY_INT32, static_cast<serry_op>(10), &fn, &size), SERRY_EINVAL);
    EXPECT_EQ(sri_reduce_find(SERRY_FLOAT, SERRY_XOR, &fn, &size), SERRY_EINVAL);
    EXPECT_STREQ(serry_err_detail(), "operation XOR does not take type FLOAT");
}

TEST(Reduce, WholeNumbersWrapAround)
{
    EXPECT_EQ(combine<uint8_t>(SERRY_BYTE, SERRY_SUM, 200, 100), 44);
    EXPECT_EQ(combine<int32_t>(SERRY_INT32, SERRY_SUM, INT32_MAX, 1), INT32_MIN);
    EXPECT_EQ(combine<int64_t>(SERRY_INT64, SERRY_SUM, INT64_MIN, -1), INT64_MAX);
    EXPECT_EQ(combine<int32_t>(SERRY_INT32, SERRY_PROD, INT32_MIN, -1), INT32_MIN);
    EXPECT_EQ(combine<int64_t>(SERRY_INT64, SERRY_MIN, -5, 3), -5);
    EXPECT_EQ(combine<int32_t>(SERRY_INT32, SERRY_AND, -1, 0x55), 0x55);
}

TEST(Reduce, EqualValuesKeepTheLowerIndex)
{
    serry_double_int a = { 2.5, 7 }, b = { 2.5, 3 }, c = { 9, 1 };
    EXPECT_EQ(combine(SERRY_DOUBLE_INT, SERRY_MINLOC, a, b).index, 3);
    EXPECT_EQ(combine(SERRY_DOUBLE_INT, SERRY_MAXLOC, b, a).index, 3);
    EXPECT_EQ(combine(SERRY_DOUBLE_INT, SERRY_MAXLOC, a, c).index, 1);
    EXPECT_EQ(combine(SERRY_DOUBLE_INT, SERRY_MINLOC, c, a).index, 7);
}

TEST(Reduce, TheResultMayLieInAnOperand)
{
    sri_reduce_fn fn;
    size_t size;
    ASSERT_EQ(sri_reduce_find(SERRY_DOUBLE, SERRY_PROD, &fn, &size), SERRY_OK);
    std::vector<double> left = { 1, 2, 3, 4, 5 }, right = { 2, 2, 2, 2, 2 };
    fn(left.data(), left.data(), right.data(), left.size());
    EXPECT_EQ(left, (std::vector<double>{ 2, 4, 6, 8, 10 }));
    fn(right.data(), left.data(), right.data(), left.size());
    EXPECT_EQ(right, (std::vector<double>{ 4, 8, 12, 16, 20 }));
}

} // namespace
