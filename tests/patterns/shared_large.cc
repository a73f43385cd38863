// ctest: shared slow serial timeout=300
/* A gigabyte in an array, a million items, a million keys; and those who use the same agent do not
 * feel it. */
#include "patterns/shared_test.h"

#include <cstdio>
#include <fstream>
#include <sys/mman.h>
#include <unistd.h>

using namespace serry_test;
using namespace shared_test;

namespace {

const size_t gib = size_t(1) << 30, mib = size_t(1) << 20;

/* Of a line such as "VmHWM:   1234 kB", in bytes; 0: there is none. */
size_t kilobytes(const std::string &path, const std::string &field)
{
    std::ifstream in(path);
    std::string word;
    size_t n = 0;
    while (in >> word) {
        if (word == field + ":" && in >> n)
            return n * 1024;
    }
    return 0;
}

/* `serry run` is the agent, and the parent of all ranks. */
size_t agent_peak()
{
    return kilobytes("/proc/" + std::to_string(getppid()) + "/status", "VmHWM");
}

struct Watch {
    serry_value v, stop;
};

/* Asks all the time, and tells the longest it has waited for an answer. */
int ask_on(const void *arg, size_t)
{
    Watch w = *(const Watch *)arg;
    double longest = 0;
    while (!get<int32_t>(w.stop)) {
        double begin = serry_time();
        get<int64_t>(w.v);
        longest = std::max(longest, serry_time() - begin);
    }
    set(w.v, (int64_t)(1e6 * longest));
    return 0;
}

class Bystander {
public:
    Bystander() : watch_{ make_value(SERRY_INT64), make_value(SERRY_INT32) }
    {
        process_ = start(ask_on, watch_);
    }
    double longest() /* seconds */
    {
        set<int32_t>(watch_.stop, 1);
        EXPECT_EQ(join(process_), 0);
        return 1e-6 * (double)get<int64_t>(watch_.v);
    }

private:
    Watch watch_;
    serry_process process_;
};

uint64_t *map_words(size_t n)
{
    void *p = mmap(nullptr, n * 8, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    EXPECT_NE(p, MAP_FAILED);
    return (uint64_t *)p;
}

SERRY_RANKS_TEST(SharedLarge, ASliceOfOneGibibyte, .ranks({ 1 }).timeout(200))
{
#ifdef __SANITIZE_ADDRESS__
    GTEST_SKIP() << "a gigabyte is too much under AddressSanitizer";
#endif
    if (kilobytes("/proc/meminfo", "MemAvailable") < 6 * gib)
        GTEST_SKIP() << "less than 6 GiB of memory are free";
    const size_t n = gib / 8;
    uint64_t *x = map_words(n), *y = map_words(n);
    for (size_t i = 0; i < n; i++)
        x[i] = i * 0x9e3779b97f4a7c15u;
    size_t before = agent_peak();
    double begin = serry_time();
    serry_array a = make_array(SERRY_INT64, n);
    EXPECT_LT(serry_time() - begin, 1);
    EXPECT_LT(agent_peak(), before + 16 * mib) << "memory was taken before it was needed";
    Bystander bystander;
    ASSERT_EQ(serry_array_set(a, 0, n, x), SERRY_OK) << serry_err_detail();
    ASSERT_EQ(serry_array_get(a, 0, n, y), SERRY_OK) << serry_err_detail();
    EXPECT_EQ(memcmp(x, y, gib), 0);
    ASSERT_EQ(serry_array_add(a, 0, n, x), SERRY_OK) << serry_err_detail();
    EXPECT_LT(bystander.longest(), patience(1));
    EXPECT_EQ((uint64_t)slice<int64_t>(a, n - 1, 1)[0], 2 * x[n - 1]);
    EXPECT_LT(agent_peak(), before + gib + 64 * mib) << "the agent held copies";
    EXPECT_EQ(serry_array_destroy(a), SERRY_OK);
    munmap(x, gib);
    munmap(y, gib);
}

/* What was never written takes no memory, here or there; what is gone gives it back. */
SERRY_RANKS_TEST(SharedLarge, EmptyArraysCostNothing, .ranks({ 1 }).on(shm))
{
#ifdef __SANITIZE_ADDRESS__
    GTEST_SKIP() << "AddressSanitizer counts otherwise";
#endif
    size_t before = agent_peak();
    std::vector<serry_array> arrays;
    for (int i = 0; i < 4; i++)
        arrays.push_back(make_array(SERRY_BYTE, gib));
    for (serry_array a : arrays) {
        EXPECT_EQ(slice<uint8_t>(a, gib / 2, 10), std::vector<uint8_t>(10));
        EXPECT_EQ(serry_array_destroy(a), SERRY_OK);
    }
    for (int i = 0; i < 30; i++) {
        serry_array a = make_array(SERRY_BYTE, 8 * mib);
        put(a, 0, std::vector<uint8_t>(8 * mib, 1));
        EXPECT_EQ(serry_array_destroy(a), SERRY_OK);
    }
    EXPECT_LT(agent_peak(), before + 64 * mib);
}

SERRY_RANKS_TEST(SharedLarge, AMillionItems, .ranks({ 1 }).on(shm).timeout(200))
{
    const int n = 1000000;
    serry_list l = make_list();
    Bystander bystander;
    /* From the middle outwards: n/2 - 1, ..., 0 are put in front. */
    for (int i = 0; i < n / 2; i++) {
        int front = n / 2 - 1 - i, back = n / 2 + i;
        ASSERT_EQ(serry_list_insert(l, 0, &front, sizeof front), SERRY_OK);
        ASSERT_EQ(serry_list_append(l, &back, sizeof back), SERRY_OK);
    }
    EXPECT_EQ(len(l), (size_t)n);
    int item = -1;
    for (int i = 0; i < n; i += 997) {
        ASSERT_EQ(serry_list_get(l, (size_t)i, &item, sizeof item, nullptr), SERRY_OK);
        ASSERT_EQ(item, i);
    }
    for (int i = 0; i < 200; i++) {
        ASSERT_EQ(serry_list_insert(l, n / 2, &i, sizeof i), SERRY_OK);
        ASSERT_EQ(serry_list_pop(l, n / 2, &item, sizeof item, nullptr), SERRY_OK);
        ASSERT_EQ(item, i);
    }
    for (int i = 0; i < n / 2; i++) {
        ASSERT_EQ(serry_list_pop(l, 0, &item, sizeof item, nullptr), SERRY_OK);
        ASSERT_EQ(item, i);
    }
    EXPECT_EQ(serry_list_clear(l), SERRY_OK);
    EXPECT_EQ(len(l), 0u);
    EXPECT_LT(bystander.longest(), patience(1));
}

SERRY_RANKS_TEST(SharedLarge, AMillionKeys, .ranks({ 1 }).on(shm).timeout(200))
{
    const int n = 1000000;
    serry_dict d = make_dict();
    Bystander bystander;
    char key[32];
    for (int i = 0; i < n; i++) {
        snprintf(key, sizeof key, "a key with number %d", i);
        ASSERT_EQ(serry_dict_put(d, key, &i, sizeof i), SERRY_OK);
    }
    EXPECT_EQ(len(d), (size_t)n);
    char **all = nullptr;
    size_t count = 0;
    ASSERT_EQ(serry_dict_keys(d, &all, &count), SERRY_OK);
    ASSERT_EQ(count, (size_t)n);
    for (int i = 0; i < n; i++) {
        snprintf(key, sizeof key, "a key with number %d", i);
        ASSERT_STREQ(all[i], key);
    }
    for (int i = 0; i < n; i += 101) {
        int got = -1;
        ASSERT_EQ(serry_dict_get(d, all[i], &got, sizeof got, nullptr), SERRY_OK);
        ASSERT_EQ(got, i);
    }
    for (int i = 0; i < n; i += 2)
        ASSERT_EQ(serry_dict_del(d, all[i]), SERRY_OK);
    EXPECT_EQ(len(d), (size_t)n / 2);
    serry_strings_free(all, count);
    EXPECT_EQ(serry_dict_clear(d), SERRY_OK);
    EXPECT_EQ(len(d), 0u);
    EXPECT_LT(bystander.longest(), patience(1));
}

/* An item as long as many lanes, many times. */
SERRY_RANKS_TEST(SharedLarge, ItemsOfManyMegabytes, .ranks({ 2 }).timeout(100))
{
    const size_t n = 32 * mib;
    serry_list l = make_list("large");
    serry_dict d = make_dict("large");
    std::string mine(n, (char)('a' + serry_rank())), got(n, 0);
    std::string key = "of rank " + std::to_string(serry_rank());
    EXPECT_EQ(serry_list_append(l, mine.data(), n), SERRY_OK);
    EXPECT_EQ(serry_dict_put(d, key.c_str(), mine.data(), n), SERRY_OK);
    barrier();
    for (int i = 0; i < 2; i++) {
        ASSERT_EQ(serry_list_get(l, (size_t)i, &got[0], n, nullptr), SERRY_OK);
        EXPECT_TRUE(got == std::string(n, got[0]));
    }
    key = "of rank " + std::to_string(1 - serry_rank());
    ASSERT_EQ(serry_dict_get(d, key.c_str(), &got[0], n, nullptr), SERRY_OK);
    EXPECT_TRUE(got == std::string(n, (char)('b' - serry_rank())));
    barrier();
    ASSERT_EQ(serry_list_pop(l, 0, &got[0], n, nullptr), SERRY_OK);
    EXPECT_TRUE(got == std::string(n, got[0]));
}

} // namespace
