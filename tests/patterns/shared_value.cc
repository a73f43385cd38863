// ctest: shared timeout=120
/* Values and arrays as their users see them, over both kinds of lanes. */
#include "patterns/shared_test.h"

#include <cmath>
#include <limits>
#include <numeric>
#include <thread>

using namespace serry_test;
using namespace shared_test;

namespace {

/* ---- values ---- */

struct Values {
    serry_value byte, int32, int64, one, two, pair;
};

int write_values(const void *arg, size_t)
{
    Values v = *(const Values *)arg;
    EXPECT_EQ(get<uint8_t>(v.byte), 7);
    EXPECT_EQ(get<int64_t>(v.int64), -1);
    set<uint8_t>(v.byte, 'x');
    set<int32_t>(v.int32, -2000000000);
    set<int64_t>(v.int64, INT64_C(1) << 62);
    set<float>(v.one, 1.25f);
    set<double>(v.two, 3.5e300);
    set<serry_double_int>(v.pair, { -0.5, 17 });
    return 0;
}

SERRY_RANKS_TEST(Value, WrittenByAChildIsSeenByItsParent, .ranks({ 1, 2 }))
{
    uint8_t seven = 7;
    int64_t minus = -1;
    Values v = { make_value(SERRY_BYTE, &seven),  make_value(SERRY_INT32),
                 make_value(SERRY_INT64, &minus), make_value(SERRY_FLOAT),
                 make_value(SERRY_DOUBLE),        make_value(SERRY_DOUBLE_INT) };
    EXPECT_EQ(get<int32_t>(v.int32), 0);
    EXPECT_EQ(get<double>(v.two), 0.0);
    EXPECT_EQ(join(start(write_values, v)), 0);
    EXPECT_EQ(get<uint8_t>(v.byte), 'x');
    EXPECT_EQ(get<int32_t>(v.int32), -2000000000);
    EXPECT_EQ(get<int64_t>(v.int64), INT64_C(1) << 62);
    EXPECT_EQ(get<float>(v.one), 1.25f);
    EXPECT_EQ(get<double>(v.two), 3.5e300);
    EXPECT_EQ(get<serry_double_int>(v.pair).value, -0.5);
    EXPECT_EQ(get<serry_double_int>(v.pair).index, 17);
}

/* An element, and not a byte more. */
SERRY_RANKS_TEST(Value, TouchesNothingBesideTheElement, .ranks({ 1 }))
{
    for (serry_type type :
         { SERRY_BYTE, SERRY_INT32, SERRY_INT64, SERRY_FLOAT, SERRY_DOUBLE, SERRY_DOUBLE_INT }) {
        const size_t sizes[] = { 0, 1, 4, 8, 4, 8, 16 };
        unsigned char in[16], out[32];
        memset(in, 1, sizeof in);
        memset(out, 0xee, sizeof out);
        serry_value v = make_value(type, in);
        ASSERT_EQ(serry_value_get(v, out), SERRY_OK);
        for (size_t i = sizes[type]; i < sizeof out; i++)
            EXPECT_EQ(out[i], 0xee) << "type " << type << ", byte " << i;
    }
}

SERRY_RANKS_TEST(Value, TheSameNameIsTheSameValue)
{
    int64_t five = 5, other = 6;
    serry_value v = make_value(SERRY_INT64, &five, "the value");
    EXPECT_EQ(get<int64_t>(make_value(SERRY_INT64, &other, "the value")), 5);
    barrier();
    if (serry_rank() == serry_size() - 1)
        set<int64_t>(v, 100);
    barrier();
    EXPECT_EQ(get<int64_t>(v), 100);
    serry_value wrong = {};
    serry_shared_options o = named("the value");
    EXPECT_EQ(serry_value_create(&wrong, SERRY_DOUBLE, nullptr, &o), SERRY_EINVAL);
    EXPECT_NE(std::string(serry_err_detail()).find("INT64"), std::string::npos)
        << serry_err_detail();
    EXPECT_EQ(wrong.id, 0u);
    /* A name belongs to a kind of object. */
    EXPECT_EQ(len(make_array(SERRY_DOUBLE, 3, "the value")), 3u);
    EXPECT_EQ(len(make_dict("the value")), 0u);
}

SERRY_RANKS_TEST(Value, AddSaysWhatItWas, .ranks({ 1 }))
{
    int64_t delta = 5, before = 99;
    serry_value v = make_value(SERRY_INT64);
    EXPECT_EQ(serry_value_add(v, &delta, &before), SERRY_OK);
    EXPECT_EQ(before, 0);
    EXPECT_EQ(serry_value_add(v, &delta, nullptr), SERRY_OK);
    delta = -12;
    EXPECT_EQ(serry_value_add(v, &delta, &before), SERRY_OK);
    EXPECT_EQ(before, 10);
    EXPECT_EQ(get<int64_t>(v), -2);

    double half = 0.5, was = 0;
    serry_value d = make_value(SERRY_DOUBLE, &half);
    EXPECT_EQ(serry_value_add(d, &half, &was), SERRY_OK);
    EXPECT_EQ(was, 0.5);
    EXPECT_EQ(get<double>(d), 1.0);
    float third = 1.0f / 3, single = 0;
    serry_value f = make_value(SERRY_FLOAT, &third);
    EXPECT_EQ(serry_value_add(f, &third, &single), SERRY_OK);
    EXPECT_EQ(single, third);
    EXPECT_EQ(get<float>(f), third + third);
}

SERRY_RANKS_TEST(Value, IntegersWrapAround, .ranks({ 1 }))
{
    uint8_t byte = 250, ten = 10;
    int32_t most = INT32_MAX, one = 1;
    int64_t least = INT64_MIN, minus = -1;
    serry_value b = make_value(SERRY_BYTE, &byte), i = make_value(SERRY_INT32, &most),
                l = make_value(SERRY_INT64, &least);
    EXPECT_EQ(serry_value_add(b, &ten, nullptr), SERRY_OK);
    EXPECT_EQ(serry_value_add(i, &one, nullptr), SERRY_OK);
    EXPECT_EQ(serry_value_add(l, &minus, nullptr), SERRY_OK);
    EXPECT_EQ(get<uint8_t>(b), 4);
    EXPECT_EQ(get<int32_t>(i), INT32_MIN);
    EXPECT_EQ(get<int64_t>(l), INT64_MAX);
}

SERRY_RANKS_TEST(Value, CompareSetSetsOnlyWhatIsExpected, .ranks({ 1 }))
{
    int32_t expected = 1, desired = 2;
    bool done = true;
    serry_value v = make_value(SERRY_INT32);
    EXPECT_EQ(serry_value_compare_set(v, &expected, &desired, &done), SERRY_OK);
    EXPECT_FALSE(done);
    EXPECT_EQ(expected, 1);
    EXPECT_EQ(get<int32_t>(v), 0);
    expected = 0;
    EXPECT_EQ(serry_value_compare_set(v, &expected, &desired, &done), SERRY_OK);
    EXPECT_TRUE(done);
    EXPECT_EQ(get<int32_t>(v), 2);
    EXPECT_EQ(serry_value_compare_set(v, &desired, &expected, nullptr), SERRY_OK);
    EXPECT_EQ(get<int32_t>(v), 0);
}

SERRY_RANKS_TEST(Value, ComparesBits, .ranks({ 1 }))
{
    bool done = true;
    double zero = 0.0, minus_zero = -0.0, one = 1, nan = std::nan("");
    serry_value v = make_value(SERRY_DOUBLE, &minus_zero);
    EXPECT_EQ(serry_value_compare_set(v, &zero, &one, &done), SERRY_OK);
    EXPECT_FALSE(done);
    EXPECT_EQ(serry_value_compare_set(v, &minus_zero, &nan, &done), SERRY_OK);
    EXPECT_TRUE(done);
    EXPECT_EQ(serry_value_compare_set(v, &nan, &one, &done), SERRY_OK);
    EXPECT_TRUE(done);
}

/* The four bytes behind the index are nobody's. */
SERRY_RANKS_TEST(Value, PaddingDoesNotCount, .ranks({ 1 }))
{
    serry_double_int a, b, c;
    memset(&a, 0x11, sizeof a);
    memset(&b, 0x22, sizeof b);
    memset(&c, 0x33, sizeof c);
    a.value = b.value = 2.5;
    a.index = b.index = 3;
    bool done = false;
    serry_value v = make_value(SERRY_DOUBLE_INT, &a);
    EXPECT_EQ(serry_value_compare_set(v, &b, &c, &done), SERRY_OK);
    EXPECT_TRUE(done);
    EXPECT_EQ(get<serry_double_int>(v).index, c.index);
    EXPECT_EQ(serry_value_add(v, &a, nullptr), SERRY_EINVAL);
    EXPECT_EQ(get<serry_double_int>(v).index, c.index);
}

/* Copies of a handle stay valid when their maker has gone, until somebody destroys it. */
int make_and_leave(const void *arg, size_t)
{
    serry_list out = *(const serry_list *)arg;
    int32_t five = 5;
    serry_value v = make_value(SERRY_INT32, &five);
    append(out, handle(v));
    return 0;
}

int destroy_one(const void *arg, size_t)
{
    return serry_value_destroy(*(const serry_value *)arg) == SERRY_OK ? 0 : 1;
}

SERRY_RANKS_TEST(Value, OutlivesItsMaker, .ranks({ 1 }))
{
    serry_list l = make_list();
    ASSERT_EQ(join(start(make_and_leave, l)), 0);
    serry_value v = from<serry_value>(at(l, 0));
    EXPECT_EQ(get<int32_t>(v), 5);
    set(v, 6);
    ASSERT_EQ(join(start(destroy_one, v)), 0);
    int32_t x = 9;
    EXPECT_EQ(serry_value_get(v, &x), SERRY_EHANDLE);
    EXPECT_EQ(serry_value_set(v, &x), SERRY_EHANDLE);
    EXPECT_EQ(serry_value_destroy(v), SERRY_EHANDLE);
    EXPECT_EQ(x, 9);
}

/* A place that is used again is another object, whatever the old one was. */
SERRY_RANKS_TEST(Value, AnOldHandleIsNotANewOne, .ranks({ 1 }))
{
    for (int i = 0; i < 200; i++) {
        serry_value old = make_value(i % 2 ? SERRY_BYTE : SERRY_INT64);
        int64_t x = 0;
        ASSERT_EQ(serry_value_set(old, &x), SERRY_OK);
        ASSERT_EQ(serry_value_destroy(old), SERRY_OK);
        serry_value fresh = make_value(i % 2 ? SERRY_DOUBLE_INT : SERRY_BYTE);
        ASSERT_EQ(serry_value_set(old, &x), SERRY_EHANDLE);
        ASSERT_EQ(serry_value_get(old, &x), SERRY_EHANDLE);
        ASSERT_EQ(serry_value_destroy(fresh), SERRY_OK);
    }
}

/* ---- arrays ---- */

/* Each element becomes the sum of all up to it. */
int prefix_sums(const void *arg, size_t)
{
    serry_array a = *(const serry_array *)arg;
    size_t n = len(a);
    std::vector<int32_t> x = slice<int32_t>(a, 0, n);
    for (size_t i = 1; i < n; i++) {
        int32_t before = slice<int32_t>(a, i - 1, 1)[0];
        put(a, i, std::vector<int32_t>{ x[i] + before });
    }
    return 0;
}

SERRY_RANKS_TEST(Array, AChildsPrefixSumIsSeen, .ranks({ 1, 2 }))
{
    std::vector<int32_t> x = { 680, 626, 934, 821, 150, 233, 548, 982, 714, 831 };
    serry_array a = make_array(SERRY_INT32, x.size());
    EXPECT_EQ(len(a), x.size());
    put(a, 0, x);
    EXPECT_EQ(slice<int32_t>(a, 0, 10), x);
    EXPECT_EQ(slice<int32_t>(a, 2, 5), std::vector<int32_t>(x.begin() + 2, x.begin() + 7));
    put(a, 4, std::vector<int32_t>{ 1, 2, 3, 4 });
    std::vector<int32_t> want = x;
    std::iota(want.begin() + 4, want.begin() + 8, 1);
    EXPECT_EQ(slice<int32_t>(a, 0, 10), want);
    EXPECT_EQ(join(start(prefix_sums, a)), 0);
    std::partial_sum(want.begin(), want.end(), want.begin());
    EXPECT_EQ(slice<int32_t>(a, 0, 10), want);
}

/* No memory of the last one shows through. */
SERRY_RANKS_TEST(Array, IsZeroedThreeTimesOver, .ranks({ 1 }))
{
    for (size_t n : { size_t(10), size_t(5000), size_t(400000) }) {
        for (int round = 0; round < 3; round++) {
            serry_array a = make_array(SERRY_INT32, n);
            EXPECT_EQ(slice<int32_t>(a, 0, n), std::vector<int32_t>(n));
            std::vector<int32_t> x(n);
            std::iota(x.begin(), x.end(), 1);
            put(a, 0, x);
            EXPECT_EQ(slice<int32_t>(a, 0, n), x);
            EXPECT_EQ(serry_array_destroy(a), SERRY_OK);
        }
    }
}

template <class T>
void expect_type(serry_type type)
{
    serry_array a = make_array(type, 100);
    std::vector<T> x(40);
    std::iota(x.begin(), x.end(), T(3));
    put(a, 50, x);
    EXPECT_EQ(slice<T>(a, 50, 40), x);
    EXPECT_EQ(slice<T>(a, 90, 10), std::vector<T>(10));
    EXPECT_EQ(serry_array_add(a, 50, 40, x.data()), SERRY_OK);
    EXPECT_EQ(serry_array_add(a, 0, 40, x.data()), SERRY_OK);
    EXPECT_EQ(slice<T>(a, 0, 40), x);
    for (T &v : x)
        v = T(v + v);
    EXPECT_EQ(slice<T>(a, 50, 40), x);
}

SERRY_RANKS_TEST(Array, HasEachType, .ranks({ 1 }))
{
    expect_type<uint8_t>(SERRY_BYTE);
    expect_type<int32_t>(SERRY_INT32);
    expect_type<int64_t>(SERRY_INT64);
    expect_type<float>(SERRY_FLOAT);
    expect_type<double>(SERRY_DOUBLE);
    serry_array a = make_array(SERRY_DOUBLE_INT, 3);
    serry_double_int x[2] = { { 1.5, 7 }, { -2, 8 } }, y[3];
    EXPECT_EQ(serry_array_set(a, 1, 2, x), SERRY_OK);
    EXPECT_EQ(serry_array_add(a, 1, 2, x), SERRY_EINVAL);
    EXPECT_EQ(serry_array_get(a, 0, 3, y), SERRY_OK);
    EXPECT_EQ(y[0].index, 0);
    EXPECT_EQ(y[1].value, 1.5);
    EXPECT_EQ(y[2].index, 8);
}

SERRY_RANKS_TEST(Array, OutOfRangeNamesTheLengthAndDoesNothing, .ranks({ 1 }))
{
    serry_array a = make_array(SERRY_INT32, 10);
    std::vector<int32_t> x(20, 5), y(20, 9);
    const std::pair<size_t, size_t> wrong[] = {
        { 0, 11 },           { 10, 1 },          { 11, 0 }, { 5, 6 },
        { SIZE_MAX, 2 },     { 2, SIZE_MAX },    { 9, 2 },  { SIZE_MAX, 0 },
        { SIZE_MAX / 2, 1 }, { 1, SIZE_MAX / 4 }
    };
    for (auto [first, n] : wrong) {
        EXPECT_EQ(serry_array_set(a, first, n, x.data()), SERRY_EINVAL) << first << " " << n;
        EXPECT_NE(std::string(serry_err_detail()).find("10"), std::string::npos);
        EXPECT_EQ(serry_array_add(a, first, n, x.data()), SERRY_EINVAL) << first << " " << n;
        EXPECT_EQ(serry_array_get(a, first, n, y.data()), SERRY_EINVAL) << first << " " << n;
    }
    EXPECT_EQ(y, std::vector<int32_t>(20, 9));
    EXPECT_EQ(slice<int32_t>(a, 0, 10), std::vector<int32_t>(10));
    for (size_t first : { 0, 5, 10 }) {
        EXPECT_EQ(serry_array_get(a, first, 0, nullptr), SERRY_OK);
        EXPECT_EQ(serry_array_set(a, first, 0, nullptr), SERRY_OK);
        EXPECT_EQ(serry_array_add(a, first, 0, nullptr), SERRY_OK);
    }
    serry_array none = make_array(SERRY_DOUBLE, 0);
    EXPECT_EQ(len(none), 0u);
    EXPECT_EQ(serry_array_get(none, 0, 0, nullptr), SERRY_OK);
    EXPECT_EQ(serry_array_get(none, 0, 1, y.data()), SERRY_EINVAL);
}

SERRY_RANKS_TEST(Array, TheSameNameIsTheSameArray, .ranks({ 1, 3 }))
{
    int32_t mine = serry_rank() + 1;
    serry_array a = make_array(SERRY_INT32, (size_t)serry_size(), "the array");
    EXPECT_EQ(serry_array_set(a, (size_t)serry_rank(), 1, &mine), SERRY_OK);
    barrier();
    std::vector<int32_t> want((size_t)serry_size());
    std::iota(want.begin(), want.end(), 1);
    EXPECT_EQ(slice<int32_t>(a, 0, want.size()), want);
    serry_array wrong = {};
    serry_shared_options o = named("the array");
    EXPECT_EQ(serry_array_create(&wrong, SERRY_FLOAT, want.size(), &o), SERRY_EINVAL);
    EXPECT_EQ(serry_array_create(&wrong, SERRY_INT32, want.size() + 1, &o), SERRY_EINVAL);
    EXPECT_NE(std::string(serry_err_detail()).find("INT32"), std::string::npos)
        << serry_err_detail();
    EXPECT_EQ(wrong.id, 0u);
}

/* Longer than a frame, than a lane, than a piece; and one element less and more than pieces. */
SERRY_RANKS_TEST(Array, SlicesOfAnyLengthAreWhole, .ranks({ 1 }).timeout(60))
{
    const size_t piece = SERRY_SLICE_ATOMIC / 8;
    serry_array a = make_array(SERRY_INT64, 4 * piece);
    std::vector<int64_t> x(4 * piece);
    std::iota(x.begin(), x.end(), 1);
    for (size_t n :
         { size_t(2000), size_t(9000), piece - 1, piece, piece + 1, 3 * piece, 3 * piece + 7 }) {
        std::vector<int64_t> zero(4 * piece), part(x.begin(), x.begin() + (long)n);
        put(a, 0, zero);
        put(a, 11, part);
        EXPECT_TRUE(slice<int64_t>(a, 11, n) == part) << n;
        EXPECT_EQ(serry_array_add(a, 11, n, part.data()), SERRY_OK);
        std::copy(part.begin(), part.end(), zero.begin() + 11);
        for (int64_t &v : zero)
            v += v;
        EXPECT_TRUE(slice<int64_t>(a, 0, zero.size()) == zero) << n;
    }
}

/* Where messages are limited to less than a piece, slices are not. */
SERRY_RANKS_TEST(Array, SlicesDoNotHeedTheLimitOfMessages,
                 .ranks({ 1 }).env("SERRY_MAX_MESSAGE", "1000"))
{
    serry_array a = make_array(SERRY_INT32, 500000);
    std::vector<int32_t> x(500000);
    std::iota(x.begin(), x.end(), 1);
    put(a, 0, x);
    EXPECT_TRUE(slice<int32_t>(a, 0, x.size()) == x);
    std::string item(1001, 'x');
    serry_list l = make_list();
    serry_dict d = make_dict();
    EXPECT_EQ(serry_list_append(l, item.data(), 1000), SERRY_OK);
    EXPECT_EQ(serry_list_append(l, item.data(), 1001), SERRY_ELIMIT);
    EXPECT_EQ(serry_dict_put(d, "key", item.data(), 1000), SERRY_OK);
    EXPECT_EQ(serry_dict_put(d, "key", item.data(), 1001), SERRY_ELIMIT);
    EXPECT_EQ(serry_dict_compare_put(d, "key", item.data(), 900, item.data(), 101, nullptr),
              SERRY_ELIMIT);
    EXPECT_EQ(serry_dict_compare_put(d, "key", item.data(), 900, item.data(), 100, nullptr),
              SERRY_OK);
}

/* ---- plain data of other kinds ---- */

struct Point {
    int32_t x;
    double y;
};

struct Mixture {
    serry_value x, y, z;
    serry_array numbers, text;
    serry_list points;
};

int double_all(const void *arg, size_t)
{
    Mixture m = *(const Mixture *)arg;
    set<int32_t>(m.x, 2 * get<int32_t>(m.x));
    set<double>(m.y, 2 * get<double>(m.y));
    set<int64_t>(m.z, 2 * get<int64_t>(m.z));
    std::vector<double> x = slice<double>(m.numbers, 0, len(m.numbers));
    for (double &v : x)
        v *= 2;
    put(m.numbers, 0, x);
    std::vector<char> text = slice<char>(m.text, 0, 5);
    text.insert(text.end(), text.begin(), text.end());
    put(m.text, 0, text);
    Point p = from<Point>(at(m.points, 0));
    p = { 2 * p.x, 2 * p.y };
    EXPECT_EQ(serry_list_set(m.points, 0, &p, sizeof p), SERRY_OK);
    return 0;
}

SERRY_RANKS_TEST(Array, NumbersStructsAndTextAreChangedByAChild, .ranks({ 1 }))
{
    int32_t x = 7;
    double y = 1.0 / 3;
    int64_t z = INT64_C(1) << 33;
    Mixture m = { make_value(SERRY_INT32, &x), make_value(SERRY_DOUBLE, &y),
                  make_value(SERRY_INT64, &z), make_array(SERRY_DOUBLE, 10),
                  make_array(SERRY_BYTE, 20),  make_list() };
    std::vector<double> numbers(10);
    std::iota(numbers.begin(), numbers.end(), 0);
    put(m.numbers, 0, numbers);
    put(m.text, 0, std::vector<char>{ 'h', 'e', 'l', 'l', 'o' });
    append(m.points, handle(Point{ 3, 2 }));
    EXPECT_EQ(join(start(double_all, m)), 0);
    EXPECT_EQ(get<int32_t>(m.x), 14);
    EXPECT_EQ(get<double>(m.y), 2.0 / 3);
    EXPECT_EQ(get<int64_t>(m.z), INT64_C(1) << 34);
    for (double &v : numbers)
        v *= 2;
    EXPECT_EQ(slice<double>(m.numbers, 0, 10), numbers);
    std::vector<char> text = slice<char>(m.text, 0, 20);
    EXPECT_STREQ(text.data(), "hellohello");
    EXPECT_EQ(from<Point>(at(m.points, 0)).x, 6);
    EXPECT_EQ(from<Point>(at(m.points, 0)).y, 4);
}

/* ---- threads ---- */

SERRY_RANKS_TEST(Array, ThreadsOfAProcessMixTheirSlices, .ranks({ 1 }).timeout(60))
{
    const size_t n = SERRY_SLICE_ATOMIC / 4 * 3;
    std::vector<std::thread> threads;
    serry_array a = make_array(SERRY_INT32, 3 * n);
    serry_value v = make_value(SERRY_INT64);
    for (size_t t = 0; t < 3; t++) {
        threads.emplace_back([=] {
            std::vector<int32_t> x(n, (int32_t)t + 1);
            for (int round = 0; round < 3; round++) {
                int64_t one = 1;
                EXPECT_EQ(serry_array_add(a, t * n, n, x.data()), SERRY_OK);
                EXPECT_EQ(serry_value_add(v, &one, nullptr), SERRY_OK);
            }
        });
    }
    for (std::thread &t : threads)
        t.join();
    EXPECT_EQ(get<int64_t>(v), 9);
    for (size_t t = 0; t < 3; t++)
        EXPECT_TRUE(slice<int32_t>(a, t * n, n) == std::vector<int32_t>(n, 3 * ((int32_t)t + 1)));
}

SERRY_RANKS_TEST(Value, DescribesItself, .ranks({ 1 }).in_own_world())
{
    char text[200];
    int32_t x = -5;
    ASSERT_EQ(serry_describe(make_value(SERRY_INT32, &x, "depth").id, text, sizeof text), SERRY_OK);
    EXPECT_STREQ(text, "value \"depth\": INT32 -5");
    ASSERT_EQ(serry_describe(make_array(SERRY_FLOAT, 12).id, text, sizeof text), SERRY_OK);
    EXPECT_STREQ(text, "array #2: 12 of type FLOAT");
    serry_list l = make_list("todo");
    append(l, "one");
    ASSERT_EQ(serry_describe(l.id, text, sizeof text), SERRY_OK);
    EXPECT_STREQ(text, "list \"todo\": 1 item");
    ASSERT_EQ(serry_describe(make_dict("space").id, text, sizeof text), SERRY_OK);
    EXPECT_STREQ(text, "dict \"space\": 0 keys");
}

} // namespace
