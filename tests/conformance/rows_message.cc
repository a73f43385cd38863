// ctest: slow timeout=300 serial
/* The longest messages there are: 3 GiB, more bytes than any int can count. */
#include "support/ranks.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <sys/mman.h>
#include <unistd.h>

using namespace serry_test;

namespace {

const size_t gib = size_t(1) << 30;
const size_t huge = 3 * gib + 12345; /* no multiple of anything */
/* What is sent repeats itself, so that a sender needs little memory: after a number of pages that
 * divides no size in which messages are cut, so that a piece in a wrong place is a wrong piece. */
const size_t period = 4099 * 4096;

size_t free_memory()
{
    std::string text = read_file("/proc/meminfo");
    size_t at = text.find("MemAvailable:");
    unsigned long long kib = 0;
    if (at == std::string::npos || sscanf(text.c_str() + at, "MemAvailable: %llu", &kib) != 1)
        return 0;
    return (size_t)kib * 1024;
}

std::vector<uint64_t> one_period()
{
    std::vector<uint64_t> words(period / sizeof(uint64_t));
    for (size_t i = 0; i < words.size(); i++)
        words[i] = i * UINT64_C(0x9e3779b97f4a7c15) + 1;
    return words;
}

/* len bytes, all in the memory of one period. NULL: it cannot be had. */
void *repeated(size_t len)
{
    int fd = memfd_create("period", MFD_CLOEXEC);
    if (fd < 0 || ftruncate(fd, (off_t)period) != 0)
        return nullptr;
    char *all = static_cast<char *>(
        mmap(nullptr, len + period, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
    for (size_t at = 0; all != MAP_FAILED && at < len; at += period) {
        if (mmap(all + at, period, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0)
            == MAP_FAILED)
            return nullptr;
    }
    close(fd);
    if (all == MAP_FAILED)
        return nullptr;
    memcpy(all, one_period().data(), period);
    return all;
}

void expect_periods(const char *all, size_t len)
{
    const std::vector<uint64_t> words = one_period();
    for (size_t at = 0; at < len; at += period)
        ASSERT_EQ(memcmp(all + at, words.data(), std::min(period, len - at)), 0) << "from " << at;
}

void *fresh(size_t len)
{
    void *p = mmap(nullptr, len, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return p == MAP_FAILED ? nullptr : p;
}

} // namespace

/* Rank 1 has no buffer that is large enough at first: the message stays where it is. */
SERRY_RANKS_TEST(HugeMessage, OfThreeGibibytesArrivesWhole, .ranks({ 2 }).timeout(250))
{
#ifdef __SANITIZE_ADDRESS__
    GTEST_SKIP() << "gigabytes are too much under AddressSanitizer";
#endif
    int32_t enough = free_memory() > 5 * gib;
    ASSERT_EQ(serry_world_bcast(&enough, sizeof enough, 0), SERRY_OK);
    if (!enough)
        GTEST_SKIP() << "less than 5 GiB of memory are free";
    char small[16];
    serry_status s = {};
    if (serry_rank() == 0) {
        void *out = repeated(huge);
        ASSERT_NE(out, nullptr);
        EXPECT_EQ(serry_send(1, 7, out, huge), SERRY_OK) << serry_err_detail();
        EXPECT_EQ(serry_send(1, 7, "behind", 7), SERRY_OK) << serry_err_detail();
        return;
    }
    ASSERT_EQ(serry_probe(0, 7, &s, SERRY_FOREVER), SERRY_OK) << serry_err_detail();
    EXPECT_EQ(s.len, huge);
    s = {};
    EXPECT_EQ(serry_recv(0, 7, small, sizeof small, &s, SERRY_FOREVER), SERRY_ETRUNC);
    EXPECT_EQ(s.len, huge);
    char *in = static_cast<char *>(fresh(huge));
    ASSERT_NE(in, nullptr);
    s = {};
    ASSERT_EQ(serry_recv(0, 7, in, huge, &s, SERRY_FOREVER), SERRY_OK) << serry_err_detail();
    EXPECT_EQ(s.len, huge);
    expect_periods(in, huge);
    EXPECT_EQ(serry_recv(0, 7, small, sizeof small, &s, SERRY_FOREVER), SERRY_OK);
    EXPECT_STREQ(small, "behind");
}

/* 4 GiB is the limit unless another is set; one byte more is an error that changes nothing. */
SERRY_RANKS_TEST(HugeMessage, BeyondTheLimitIsRefused, .ranks({ 2 }))
{
    void *out = fresh(4 * gib + 1);
    ASSERT_NE(out, nullptr);
    char word[8] = "";
    if (serry_rank() == 0) {
        EXPECT_EQ(serry_send(1, 7, out, 4 * gib + 1), SERRY_ELIMIT);
        EXPECT_NE(std::string(serry_err_detail()).find("4294967296"), std::string::npos)
            << serry_err_detail();
        EXPECT_EQ(serry_send(1, 7, "well", 5), SERRY_OK) << serry_err_detail();
        return;
    }
    EXPECT_EQ(serry_recv(0, 7, word, sizeof word, nullptr, SERRY_FOREVER), SERRY_OK);
    EXPECT_STREQ(word, "well");
}
