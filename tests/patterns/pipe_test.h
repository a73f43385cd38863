/* patterns/pipe_test.h: what the tests of pipes share: short forms, and processes at the other end.
 */
#ifndef SERRY_PIPE_TEST_H
#define SERRY_PIPE_TEST_H

#include "support/started.h"

#include <algorithm>
#include <cstring>
#include <unistd.h>
#include <vector>

namespace pipe_test {

struct Pipe {
    serry_conn a, b;
};

inline Pipe make_pipe(bool duplex = true)
{
    Pipe p = {};
    EXPECT_EQ(serry_pipe_create(&p.a, &p.b, duplex), SERRY_OK) << serry_err_detail();
    return p;
}

/* Made by rank 0, and known to all ranks. */
inline Pipe make_pipe_of_all(bool duplex = true)
{
    Pipe p = {};
    if (serry_rank() == 0)
        p = make_pipe(duplex);
    EXPECT_EQ(serry_world_bcast(&p, sizeof p, 0), SERRY_OK) << serry_err_detail();
    return p;
}

inline serry_err send(serry_conn c, int value, double timeout = SERRY_FOREVER)
{
    return serry_conn_send(c, &value, sizeof value, timeout);
}

inline serry_err recv(serry_conn c, int *value, double timeout = SERRY_FOREVER)
{
    return serry_conn_recv(c, value, sizeof *value, nullptr, timeout);
}

inline int must_recv(serry_conn c, double timeout = SERRY_FOREVER)
{
    int value = -1;
    EXPECT_EQ(recv(c, &value, timeout), SERRY_OK) << serry_err_detail();
    return value;
}

inline void must_send(serry_conn c, int value)
{
    ASSERT_EQ(send(c, value), SERRY_OK) << serry_err_detail();
}

inline void must_close(serry_conn c)
{
    EXPECT_EQ(serry_conn_close(c), SERRY_OK) << serry_err_detail();
}

inline void must_give(serry_conn c, int rank)
{
    ASSERT_EQ(serry_conn_give(c, rank), SERRY_OK) << serry_err_detail();
}

inline std::vector<uint8_t> bytes_of(unsigned seed, size_t len)
{
    std::vector<uint8_t> v(len);
    uint64_t x = seed * UINT64_C(0x9e3779b97f4a7c15) + 12345;
    for (size_t i = 0; i < len; i += sizeof x) {
        x = x * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        uint64_t y = x ^ x >> 31;
        memcpy(&v[i], &y, std::min(sizeof y, len - i));
    }
    return v;
}

inline void send_bytes(serry_conn c, unsigned seed, size_t len)
{
    std::vector<uint8_t> v = bytes_of(seed, len);
    ASSERT_EQ(serry_conn_send(c, v.data(), len, SERRY_FOREVER), SERRY_OK) << serry_err_detail();
}

inline void recv_bytes(serry_conn c, unsigned seed, size_t len)
{
    static thread_local std::vector<uint8_t> got(20u << 20);
    std::vector<uint8_t> want = bytes_of(seed, len);
    size_t n = 1;
    ASSERT_EQ(serry_conn_recv(c, got.data(), got.size(), &n, serry_test::patience(30)), SERRY_OK)
        << "message " << seed << ": " << serry_err_detail();
    ASSERT_EQ(n, len) << "message " << seed;
    ASSERT_TRUE(len == 0 || memcmp(got.data(), want.data(), len) == 0) << "message " << seed;
}

struct Job {
    serry_conn c, other;
    int n, what;
};

inline serry_process start(serry_process_fn fn, const Job &job)
{
    return serry_test::start<Job>(fn, job);
}

inline void join(serry_process p, int want = 0)
{
    EXPECT_EQ(serry_test::end_of(p, SERRY_FOREVER), want);
}

/* Sends everything back until an empty message comes. */
inline int echo(const void *arg, size_t)
{
    Job job = *(const Job *)arg;
    std::vector<uint8_t> buf(20u << 20);
    for (;;) {
        size_t len = 1;
        EXPECT_EQ(serry_conn_recv(job.c, buf.data(), buf.size(), &len, SERRY_FOREVER), SERRY_OK)
            << serry_err_detail();
        if (len == 0 || testing::Test::HasFailure())
            break;
        EXPECT_EQ(serry_conn_send(job.c, buf.data(), len, SERRY_FOREVER), SERRY_OK)
            << serry_err_detail();
    }
    return 0;
}

/* Numbers 0 .. n-1. */
inline int count_up(const void *arg, size_t)
{
    Job job = *(const Job *)arg;
    for (int i = 0; i < job.n; i++)
        EXPECT_EQ(send(job.c, i), SERRY_OK) << i << ": " << serry_err_detail();
    return 0;
}

inline int expect_count(const void *arg, size_t)
{
    Job job = *(const Job *)arg;
    for (int i = 0; i < job.n; i++) {
        int got = must_recv(job.c);
        EXPECT_EQ(got, job.what + i);
        if (got != job.what + i)
            return 1;
    }
    return 0;
}

inline int wait_and_send(const void *arg, size_t)
{
    Job job = *(const Job *)arg;
    EXPECT_EQ(must_recv(job.c), 1);
    EXPECT_EQ(send(job.c, 2), SERRY_OK);
    return 0;
}

} // namespace pipe_test

#endif
