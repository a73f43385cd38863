// ctest: pipe timeout=180
/* Pipes as their users see them, over both kinds of lanes. */
#include "support/ranks.h"

#include <cmath>
#include <csignal>
#include <cstring>
#include <random>
#include <sys/time.h>
#include <thread>

using namespace serry_test;

namespace {

/* ---- what the tests share ---- */

struct Pipe {
    serry_conn a, b;
};

Pipe make_pipe(bool duplex = true)
{
    Pipe p = {};
    EXPECT_EQ(serry_pipe_create(&p.a, &p.b, duplex), SERRY_OK) << serry_err_detail();
    return p;
}

serry_err send(serry_conn c, int value, double timeout = SERRY_FOREVER)
{
    return serry_conn_send(c, &value, sizeof value, timeout);
}

serry_err recv(serry_conn c, int *value, double timeout = SERRY_FOREVER)
{
    return serry_conn_recv(c, value, sizeof *value, nullptr, timeout);
}

int must_recv(serry_conn c, double timeout = SERRY_FOREVER)
{
    int value = -1;
    EXPECT_EQ(recv(c, &value, timeout), SERRY_OK) << serry_err_detail();
    return value;
}

void must_send(serry_conn c, int value)
{
    ASSERT_EQ(send(c, value), SERRY_OK) << serry_err_detail();
}

void must_close(serry_conn c)
{
    EXPECT_EQ(serry_conn_close(c), SERRY_OK) << serry_err_detail();
}

void must_give(serry_conn c, int rank)
{
    ASSERT_EQ(serry_conn_give(c, rank), SERRY_OK) << serry_err_detail();
}

std::vector<uint8_t> bytes_of(unsigned seed, size_t len)
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

void send_bytes(serry_conn c, unsigned seed, size_t len)
{
    std::vector<uint8_t> v = bytes_of(seed, len);
    ASSERT_EQ(serry_conn_send(c, v.data(), len, SERRY_FOREVER), SERRY_OK) << serry_err_detail();
}

void recv_bytes(serry_conn c, unsigned seed, size_t len)
{
    static thread_local std::vector<uint8_t> got(20u << 20);
    std::vector<uint8_t> want = bytes_of(seed, len);
    size_t n = 1;
    ASSERT_EQ(serry_conn_recv(c, got.data(), got.size(), &n, patience(30)), SERRY_OK)
        << "message " << seed << ": " << serry_err_detail();
    ASSERT_EQ(n, len) << "message " << seed;
    ASSERT_TRUE(len == 0 || memcmp(got.data(), want.data(), len) == 0) << "message " << seed;
}

void barrier()
{
    ASSERT_EQ(serry_world_barrier(), SERRY_OK) << serry_err_detail();
}

struct Job {
    serry_conn c, other;
    int n, what;
};

serry_process start(serry_process_fn fn, const Job &job)
{
    serry_process p = {};
    EXPECT_EQ(serry_process_start(&p, fn, &job, sizeof job, nullptr), SERRY_OK)
        << serry_err_detail();
    return p;
}

int rank_of(serry_process p)
{
    serry_process_info info = {};
    EXPECT_EQ(serry_process_info_of(p, &info), SERRY_OK) << serry_err_detail();
    return info.rank;
}

void join(serry_process p, int want = 0)
{
    int code = -1000;
    EXPECT_EQ(serry_process_join(p, &code, SERRY_FOREVER), SERRY_OK) << serry_err_detail();
    EXPECT_EQ(code, want);
}

/* Sends everything back until an empty message comes. */
int echo(const void *arg, size_t)
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
int count_up(const void *arg, size_t)
{
    Job job = *(const Job *)arg;
    for (int i = 0; i < job.n; i++)
        EXPECT_EQ(send(job.c, i), SERRY_OK) << i << ": " << serry_err_detail();
    return 0;
}

int expect_count(const void *arg, size_t)
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

/* ---- connections ---- */

SERRY_RANKS_TEST(Pipe, EchoesWhateverIsSent, .ranks({ 1 }))
{
    Pipe p = make_pipe();
    serry_process child = start(echo, { p.b, {}, 0, 0 });
    for (size_t len : { 1u, 4u, 127u, 128u, 4096u, 16384u, 16385u, 65536u, 65537u, 1u << 20, 16u << 20 }) {
        send_bytes(p.a, (unsigned)len, len);
        recv_bytes(p.a, (unsigned)len, len);
    }
    EXPECT_EQ(serry_conn_poll(p.a, 0), SERRY_ETIMEDOUT);
    EXPECT_EQ(serry_conn_poll(p.a, -1), SERRY_ETIMEDOUT);
    double begin = serry_time();
    EXPECT_EQ(serry_conn_poll(p.a, 0.1), SERRY_ETIMEDOUT);
    EXPECT_GE(serry_time() - begin, 0.1);
    must_send(p.a, 7);
    EXPECT_EQ(serry_conn_poll(p.a, SERRY_FOREVER), SERRY_OK);
    EXPECT_EQ(must_recv(p.a), 7);

    /* Into the middle of a buffer; and one that is too short. */
    int numbers[10] = { 0 };
    must_send(p.a, 41);
    EXPECT_EQ(serry_conn_recv(p.a, numbers + 3, sizeof(int), nullptr, SERRY_FOREVER), SERRY_OK);
    EXPECT_EQ(numbers[3], 41);
    EXPECT_EQ(numbers[4], 0);
    send_bytes(p.a, 5, 100);
    size_t len = 0;
    char small[40];
    EXPECT_EQ(serry_conn_recv(p.a, small, sizeof small, &len, SERRY_FOREVER), SERRY_ETRUNC);
    EXPECT_EQ(len, 100u);
    EXPECT_EQ(serry_conn_recv(p.a, small, sizeof small, nullptr, SERRY_FOREVER), SERRY_EINVAL);
    char large[200];
    memset(large, 'x', sizeof large);
    EXPECT_EQ(serry_conn_recv(p.a, large, sizeof large, nullptr, SERRY_FOREVER), SERRY_EINVAL);
    EXPECT_EQ(large[0], 'x');
    EXPECT_EQ(large[99], 'x');
    recv_bytes(p.a, 5, 100);

    ASSERT_EQ(serry_conn_send(p.a, nullptr, 0, SERRY_FOREVER), SERRY_OK);
    join(child);
    EXPECT_EQ(serry_conn_recv(p.a, &len, sizeof len, nullptr, SERRY_FOREVER), SERRY_ECLOSED);
    EXPECT_EQ(serry_conn_poll(p.a, SERRY_FOREVER), SERRY_OK);
    EXPECT_EQ(serry_conn_poll(p.a, 0), SERRY_OK);
    EXPECT_EQ(send(p.a, 1), SERRY_ECLOSED);
    must_close(p.a);
    EXPECT_EQ(send(p.a, 1), SERRY_EHANDLE);
}

/* A message that does not fit, or is not of the length expected, stays, whatever waits for it. */
SERRY_RANKS_TEST(Pipe, KeepsWhatDoesNotFit, .ranks({ 1 }))
{
    for (size_t len : { 100u, 20000u, 60000u, 500000u }) {
        Pipe p = make_pipe();
        serry_process child = start(
            [](const void *arg, size_t) {
                Job job = *(const Job *)arg;
                EXPECT_EQ(must_recv(job.c), 1);
                send_bytes(job.c, 9, (size_t)job.n);
                EXPECT_EQ(must_recv(job.c), 2);
                send_bytes(job.c, 10, (size_t)job.n);
                EXPECT_EQ(must_recv(job.c), 3);
                return 0;
            },
            { p.b, {}, (int)len, 0 });
        must_send(p.a, 1);
        std::vector<uint8_t> buf(len + 10, 77);
        size_t got = 0;
        EXPECT_EQ(serry_conn_recv(p.a, buf.data(), len - 1, &got, SERRY_FOREVER), SERRY_ETRUNC);
        EXPECT_EQ(got, len);
        EXPECT_EQ(serry_conn_recv(p.a, buf.data(), len - 1, &got, 0), SERRY_ETRUNC);
        EXPECT_EQ(serry_conn_recv(p.a, buf.data(), len + 1, nullptr, SERRY_FOREVER), SERRY_EINVAL);
        for (uint8_t b : buf)
            ASSERT_EQ(b, 77);
        recv_bytes(p.a, 9, len);
        must_send(p.a, 2);
        EXPECT_EQ(serry_conn_recv(p.a, buf.data(), len + 1, nullptr, SERRY_FOREVER), SERRY_EINVAL);
        recv_bytes(p.a, 10, len);
        must_send(p.a, 3);
        join(child);
    }
}

SERRY_RANKS_TEST(Pipe, OfOneWayRefusesTheOther, .ranks({ 1 }))
{
    Pipe p = make_pipe(false);
    int x = 0;
    EXPECT_EQ(send(p.a, 1), SERRY_EPERM);
    EXPECT_EQ(recv(p.b, &x), SERRY_EPERM);
    EXPECT_EQ(serry_conn_poll(p.b, 0), SERRY_EPERM);
    /* Which was no use of it. */
    serry_process child = start(count_up, { p.b, {}, 3, 0 });
    for (int i = 0; i < 3; i++)
        EXPECT_EQ(must_recv(p.a), i);
    join(child);
    EXPECT_EQ(recv(p.a, &x), SERRY_ECLOSED);
    EXPECT_EQ(send(p.a, 1), SERRY_EPERM);
}

SERRY_RANKS_TEST(Pipe, ShowsAMessageRightAfterItWasSent, .ranks({ 1 }))
{
    for (int used = 0; used < 2; used++) {
        Pipe p = make_pipe();
        if (used)
            EXPECT_EQ(serry_conn_poll(p.b, 0), SERRY_ETIMEDOUT);
        must_send(p.a, 1);
        EXPECT_EQ(serry_conn_poll(p.b, 0), SERRY_OK);
        EXPECT_EQ(must_recv(p.b, 0), 1);
        EXPECT_EQ(serry_conn_poll(p.b, 0), SERRY_ETIMEDOUT);
    }
}

SERRY_RANKS_TEST(Pipe, HasZeroLengthMessages, .ranks({ 1 }))
{
    Pipe p = make_pipe();
    EXPECT_EQ(serry_conn_poll(p.a, 0), SERRY_ETIMEDOUT);
    for (int round = 0; round < 2; round++) {
        ASSERT_EQ(serry_conn_send(p.b, nullptr, 0, SERRY_FOREVER), SERRY_OK);
        for (int i = 0; i < 5; i++)
            EXPECT_EQ(serry_conn_poll(p.a, 0), SERRY_OK);
        size_t len = 9;
        EXPECT_EQ(serry_conn_recv(p.a, nullptr, 0, &len, 0), SERRY_OK);
        EXPECT_EQ(len, 0u);
        EXPECT_EQ(serry_conn_poll(p.a, 0), SERRY_ETIMEDOUT);
        ASSERT_EQ(serry_conn_send(p.b, "", 0, SERRY_FOREVER), SERRY_OK);
        char c = 'x';
        EXPECT_EQ(serry_conn_recv(p.a, &c, 1, nullptr, 0), SERRY_EINVAL);
        EXPECT_EQ(serry_conn_recv(p.a, &c, 0, nullptr, 0), SERRY_OK);
    }
}

/* Who has only asked has not taken part of a message; messages never merge. */
int strings(const void *arg, size_t)
{
    Job job = *(const Job *)arg;
    for (const char *s : { "hello", "", "a", "b", "", "bye", "", "lop" }) {
        EXPECT_EQ(serry_conn_send(job.c, s, strlen(s), SERRY_FOREVER), SERRY_OK);
        if (job.n)
            EXPECT_EQ(must_recv(job.c), 1);
    }
    return 0;
}

SERRY_RANKS_TEST(Pipe, KeepsTheBoundariesOfMessages, .ranks({ 1 }))
{
    for (int answered = 0; answered < 2; answered++) {
        Pipe p = make_pipe();
        serry_process child = start(strings, { p.b, {}, answered, 0 });
        for (const char *s : { "hello", "", "a", "b", "", "bye", "", "lop" }) {
            EXPECT_EQ(serry_conn_poll(p.a, SERRY_FOREVER), SERRY_OK);
            EXPECT_EQ(serry_conn_poll(p.a, 0), SERRY_OK);
            char got[10] = "";
            size_t len = 0;
            EXPECT_EQ(serry_conn_recv(p.a, got, sizeof got, &len, 0.5), SERRY_OK);
            EXPECT_EQ(std::string(got, len), s);
            if (answered)
                must_send(p.a, 1);
        }
        join(child);
        EXPECT_EQ(serry_conn_poll(p.a, SERRY_FOREVER), SERRY_OK);
        int x;
        EXPECT_EQ(recv(p.a, &x, 0), SERRY_ECLOSED);
    }
}

/* ---- waiting for several, in turn ---- */

SERRY_RANKS_TEST(Pipe, SeveralArePolledInTurnUntilEachEnds, .ranks({ 1 }))
{
    Pipe pipes[4];
    serry_process children[4];
    int got[4] = { 0 }, open = 4;
    for (int i = 0; i < 4; i++) {
        pipes[i] = make_pipe(false);
        children[i] = start(count_up, { pipes[i].b, {}, 10, 0 });
    }
    bool over[4] = { false };
    while (open > 0) {
        for (int i = 0; i < 4; i++) {
            if (over[i] || serry_conn_poll(pipes[i].a, 0.001) != SERRY_OK)
                continue;
            int value = -1;
            serry_err e = recv(pipes[i].a, &value, 0);
            if (e == SERRY_ECLOSED) {
                over[i] = true;
                open--;
                continue;
            }
            ASSERT_EQ(e, SERRY_OK) << serry_err_detail();
            EXPECT_EQ(value, got[i]++);
        }
    }
    for (int i = 0; i < 4; i++) {
        EXPECT_EQ(got[i], 10);
        join(children[i]);
    }
}

int wait_and_send(const void *arg, size_t)
{
    Job job = *(const Job *)arg;
    EXPECT_EQ(must_recv(job.c), 1);
    EXPECT_EQ(send(job.c, 2), SERRY_OK);
    return 0;
}

SERRY_RANKS_TEST(Pipe, APollTimesOutAndThenFindsTheReadyOne, .ranks({ 1 }))
{
    Pipe p = make_pipe(), q = make_pipe();
    serry_process child = start(wait_and_send, { q.b, {}, 0, 0 });
    double begin = serry_time();
    EXPECT_EQ(serry_conn_poll(p.a, 0.1), SERRY_ETIMEDOUT);
    EXPECT_EQ(serry_conn_poll(q.a, 0.1), SERRY_ETIMEDOUT);
    EXPECT_GE(serry_time() - begin, 0.2);
    EXPECT_TRUE(serry_process_is_alive(child));
    must_send(q.a, 1);
    EXPECT_EQ(serry_conn_poll(q.a, SERRY_FOREVER), SERRY_OK);
    EXPECT_EQ(serry_conn_poll(p.a, 0), SERRY_ETIMEDOUT);
    EXPECT_EQ(must_recv(q.a), 2);
    join(child);
}

/* ---- handles are values ---- */

/* Gets an end through its own pipe, and answers on it. */
int gets_an_end(const void *arg, size_t)
{
    Job job = *(const Job *)arg;
    serry_conn c = {};
    EXPECT_EQ(serry_conn_recv(job.c, &c, sizeof c, nullptr, SERRY_FOREVER), SERRY_OK);
    EXPECT_EQ(must_recv(c), 17);
    EXPECT_EQ(send(c, 18), SERRY_OK);
    return 0;
}

SERRY_RANKS_TEST(Pipe, EndsTravelThroughPipes, .ranks({ 1 }))
{
    for (int round = 0; round < 5; round++) {
        Pipe p = make_pipe(), q = make_pipe();
        serry_process child = start(gets_an_end, { p.b, {}, 0, 0 });
        must_send(q.a, 17);
        ASSERT_EQ(serry_conn_send(p.a, &q.b, sizeof q.b, SERRY_FOREVER), SERRY_OK);
        EXPECT_EQ(must_recv(q.a), 18);
        join(child);
        EXPECT_EQ(send(q.b, 1), SERRY_EPERM);
    }
}

int takes_from_queue(const void *arg, size_t)
{
    serry_queue q = *(const serry_queue *)arg;
    serry_conn c = {};
    EXPECT_EQ(serry_queue_get(q, &c, sizeof c, nullptr, SERRY_FOREVER), SERRY_OK);
    int x = 0;
    EXPECT_EQ(recv(c, &x), SERRY_OK);
    EXPECT_EQ(send(c, x + 1), SERRY_OK);
    return 0;
}

SERRY_RANKS_TEST(Pipe, EndsTravelThroughQueues, .ranks({ 1 }))
{
    serry_queue q = {};
    ASSERT_EQ(serry_queue_create(&q, nullptr), SERRY_OK);
    Pipe pipes[3];
    serry_process children[3];
    for (int i = 0; i < 3; i++) {
        ASSERT_EQ(serry_process_start(&children[i], takes_from_queue, &q, sizeof q, nullptr), SERRY_OK);
        pipes[i] = make_pipe();
        ASSERT_EQ(serry_queue_put(q, &pipes[i].b, sizeof pipes[i].b, SERRY_FOREVER), SERRY_OK);
    }
    for (int i = 0; i < 3; i++)
        must_send(pipes[i].a, i * 10);
    for (int i = 0; i < 3; i++)
        EXPECT_EQ(must_recv(pipes[i].a), i * 10 + 1);
    for (serry_process c : children)
        join(c);
}

/* Rank 0 makes a pipe from each rank to the next and sends the ends by messages. */
SERRY_RANKS_TEST(Pipe, AllRanksInARing, .ranks({ 1, 2, 3, 7 }).both_ways())
{
    int n = serry_size(), me = serry_rank();
    Pipe mine = {}; /* a receives from the left, b sends to the right */
    if (me == 0) {
        std::vector<Pipe> all((size_t)n);
        for (Pipe &p : all)
            p = make_pipe(false);
        for (int r = 0; r < n; r++) {
            Pipe its = { all[(size_t)((r + n - 1) % n)].a, all[(size_t)r].b };
            if (r)
                ASSERT_EQ(serry_send(r, 3, &its, sizeof its), SERRY_OK);
            else
                mine = its;
        }
    } else {
        ASSERT_EQ(serry_recv(0, 3, &mine, sizeof mine, nullptr, SERRY_FOREVER), SERRY_OK);
    }
    for (int round = 0; round < 200; round++) {
        must_send(mine.b, me * 1000 + round);
        EXPECT_EQ(must_recv(mine.a), (me + n - 1) % n * 1000 + round);
    }
    barrier();
    must_close(mine.b);
    int x;
    EXPECT_EQ(recv(mine.a, &x), SERRY_ECLOSED);
    must_close(mine.a);
    EXPECT_EQ(recv(mine.a, &x), SERRY_EHANDLE) << serry_err_detail();
}

/* ---- much, and large ---- */

SERRY_RANKS_TEST(Pipe, MovesRandomSizesBothWays, .ranks({ 2 }).timeout(100))
{
    Pipe p = {};
    int me = serry_rank();
    if (me == 0)
        p = make_pipe();
    ASSERT_EQ(serry_world_bcast(&p, sizeof p, 0), SERRY_OK);
    serry_conn c = me == 0 ? p.a : p.b;
    std::mt19937 dice(7);
    std::vector<size_t> sizes;
    for (int i = 0; i < 300; i++)
        sizes.push_back((size_t)std::exp2(std::uniform_real_distribution<double>(-1, 20.5)(dice)));
    sizes.push_back(16u << 20);
    sizes.push_back(0);
    /* Both send at once, each from a thread of its own. */
    std::thread sender([&] {
        for (unsigned i = 0; i < sizes.size(); i++)
            send_bytes(c, i + 1000u * (unsigned)me, sizes[i]);
    });
    for (unsigned i = 0; i < sizes.size(); i++)
        recv_bytes(c, i + 1000u * (unsigned)(1 - me), sizes[i]);
    sender.join();
    barrier();
}

SERRY_RANKS_TEST(Pipe, Moves100000SmallMessages, .ranks({ 1 }).timeout(60))
{
    const int n = 100000;
    Pipe p = make_pipe(false);
    serry_process child = start(count_up, { p.b, {}, n, 0 });
    for (int i = 0; i < n; i++)
        ASSERT_EQ(must_recv(p.a), i);
    join(child);
    Pipe q = make_pipe(false);
    child = start(expect_count, { q.a, {}, n, 0 });
    for (int i = 0; i < n; i++)
        ASSERT_EQ(send(q.b, i), SERRY_OK) << i;
    join(child);
}

SERRY_RANKS_TEST(Pipe, SeveralBetweenTheSameTwo, .ranks({ 2 }))
{
    const int n = 8, rounds = 200;
    Pipe p[n] = {};
    int me = serry_rank();
    for (Pipe &one : p) {
        if (me == 0)
            one = make_pipe();
    }
    ASSERT_EQ(serry_world_bcast(p, sizeof p, 0), SERRY_OK);
    /* Taken in another order than sent. */
    for (int round = 0; round < rounds; round++) {
        for (int i = 0; i < n; i++)
            must_send(me ? p[i].b : p[i].a, me * 100000 + i * 1000 + round);
        for (int i = n; i-- > 0;)
            ASSERT_EQ(must_recv(me ? p[i].b : p[i].a), (1 - me) * 100000 + i * 1000 + round);
    }
    /* And apart from plain messages of the same tags. */
    for (int tag = 0; tag < 20; tag++) {
        must_send(me ? p[0].b : p[0].a, tag);
        int x = tag + 50, y = 0;
        ASSERT_EQ(serry_sendrecv(1 - me, tag, &x, sizeof x, 1 - me, tag, &y, sizeof y, nullptr),
                  SERRY_OK);
        EXPECT_EQ(y, tag + 50);
        EXPECT_EQ(must_recv(me ? p[0].b : p[0].a), tag);
    }
    barrier();
}

/* ---- time ---- */

/* Does nothing in serry until a file is there. */
void idle_until(const std::string &path)
{
    while (access(path.c_str(), F_OK) != 0)
        usleep(1000);
}

void make_file(const std::string &path)
{
    FILE *f = fopen(path.c_str(), "w");
    ASSERT_TRUE(f);
    fclose(f);
}

SERRY_RANKS_TEST(Pipe, ASendThatTimesOutHasSentNothing, .ranks({ 2 }))
{
    for (size_t len : { size_t(8), size_t(1000), size_t(16000), size_t(30000), size_t(60000), size_t(300000) }) {
        Pipe p = {};
        std::string go = rank_dir() + "/go" + std::to_string(len);
        if (serry_rank() == 0)
            p = make_pipe();
        ASSERT_EQ(serry_world_bcast(&p, sizeof p, 0), SERRY_OK);
        if (serry_rank() == 1) {
            must_send(p.b, 1);
            EXPECT_EQ(must_recv(p.b), 2);
            make_file(go + " idle");
            idle_until(go);
            size_t n = 0;
            for (;;) {
                std::vector<uint8_t> buf(len);
                size_t got = 0;
                serry_err e = serry_conn_recv(p.b, buf.data(), len, &got, SERRY_FOREVER);
                ASSERT_EQ(e, SERRY_OK) << serry_err_detail();
                if (got == 4)
                    break;
                ASSERT_EQ(buf, bytes_of((unsigned)n, len));
                n++;
            }
            must_send(p.b, (int)n);
        } else {
            EXPECT_EQ(must_recv(p.a), 1);
            must_send(p.a, 2);
            idle_until(go + " idle");
            int sent = 0;
            serry_err e;
            double begin;
            bool several = serry_nodes() > 1;
            for (;;) {
                std::vector<uint8_t> v = bytes_of((unsigned)sent, len);
                begin = serry_time();
                e = serry_conn_send(p.a, v.data(), len, sent % 2 ? 0.05 : 0);
                if (e == SERRY_ETIMEDOUT && several) /* its way may have been full, not its end */
                    e = serry_conn_send(p.a, v.data(), len, 0.2);
                if (e != SERRY_OK)
                    break;
                sent++;
                ASSERT_LT(sent, 100000);
            }
            EXPECT_EQ(e, SERRY_ETIMEDOUT);
            EXPECT_LT(serry_time() - begin, patience(2));
            for (int i = 0; i < 3; i++) {
                std::vector<uint8_t> wrong(len, 99);
                EXPECT_EQ(serry_conn_send(p.a, wrong.data(), len, i * 0.02), SERRY_ETIMEDOUT);
            }
            make_file(go);
            must_send(p.a, 5);
            EXPECT_EQ(must_recv(p.a), sent);
        }
        barrier();
    }
}

/* A send that was told to be done is done, though its process ends. */
int fill_and_end(const void *arg, size_t)
{
    Job job = *(const Job *)arg;
    EXPECT_EQ(must_recv(job.other), 1);
    int sent = 0;
    serry_err e;
    for (;; sent++) {
        std::vector<uint8_t> v = bytes_of((unsigned)sent, (size_t)job.n);
        e = serry_conn_send(job.c, v.data(), v.size(), 0.02);
        if (e != SERRY_OK)
            break;
    }
    EXPECT_EQ(e, SERRY_ETIMEDOUT);
    make_file(rank_dir() + "/full" + std::to_string(job.n));
    EXPECT_EQ(send(job.other, sent), SERRY_OK);
    return 0;
}

SERRY_RANKS_TEST(Pipe, WhatWasSentInTimeArrivesThoughTheSenderEnds, .ranks({ 1 }))
{
    for (int len : { 1000, 20000, 50000, 200000 }) {
        Pipe p = make_pipe(), q = make_pipe();
        serry_process child = start(fill_and_end, { p.b, q.b, len, 0 });
        EXPECT_EQ(serry_conn_poll(p.a, 0), SERRY_ETIMEDOUT);
        must_send(q.a, 1);
        idle_until(rank_dir() + "/full" + std::to_string(len));
        int sent = must_recv(q.a), x;
        join(child);
        for (int i = 0; i < sent; i++)
            recv_bytes(p.a, (unsigned)i, (size_t)len);
        EXPECT_EQ(recv(p.a, &x), SERRY_ECLOSED) << serry_err_detail();
    }
}

SERRY_RANKS_TEST(Pipe, AnEndNobodyUsesTakesSoMuchAndNoMore, .ranks({ 1 }))
{
    Pipe p = make_pipe();
    int sent = 0;
    std::vector<uint8_t> v(10000);
    while (serry_conn_send(p.a, bytes_of((unsigned)sent, v.size()).data(), v.size(), 0) == SERRY_OK)
        ASSERT_LT(++sent, 1000);
    EXPECT_GT(sent, 90);
    EXPECT_EQ(serry_conn_send(p.a, v.data(), v.size(), 0.02), SERRY_ETIMEDOUT);
    std::vector<uint8_t> huge = bytes_of(77, 4u << 20);
    EXPECT_EQ(serry_conn_send(p.a, huge.data(), huge.size(), 0), SERRY_ETIMEDOUT);
    EXPECT_EQ(serry_conn_send(p.a, huge.data(), huge.size(), 0.02), SERRY_ETIMEDOUT);
    /* And goes on as soon as somebody does. */
    std::thread sender([&] {
        EXPECT_EQ(serry_conn_send(p.a, huge.data(), huge.size(), SERRY_FOREVER), SERRY_OK)
            << serry_err_detail();
    });
    for (int i = 0; i < sent; i++)
        recv_bytes(p.b, (unsigned)i, v.size());
    recv_bytes(p.b, 77, huge.size());
    sender.join();
    EXPECT_EQ(serry_conn_poll(p.b, 0), SERRY_ETIMEDOUT);
}

SERRY_RANKS_TEST(Pipe, AReceiveTimesOutAndLosesNothing, .ranks({ 1 }))
{
    Pipe p = make_pipe();
    int x = 5;
    EXPECT_EQ(recv(p.b, &x, 0), SERRY_ETIMEDOUT);
    EXPECT_EQ(recv(p.b, &x, -3), SERRY_ETIMEDOUT);
    double begin = serry_time();
    EXPECT_EQ(recv(p.b, &x, 0.1), SERRY_ETIMEDOUT);
    EXPECT_GE(serry_time() - begin, 0.1);
    EXPECT_EQ(x, 5);
    serry_process child = start(count_up, { p.a, {}, 20000, 0 });
    int got = 0, late = 0;
    while (got < 20000) {
        serry_err e = recv(p.b, &x, 0.00002);
        if (e == SERRY_ETIMEDOUT) {
            late++;
            continue;
        }
        ASSERT_EQ(e, SERRY_OK) << serry_err_detail();
        ASSERT_EQ(x, got++);
    }
    join(child);
    note("late " + std::to_string(late));
}

/* Long ones too, which are given up half-way. */
SERRY_RANKS_TEST(Pipe, ALongMessageSurvivesReceivesThatGiveUp, .ranks({ 1 }))
{
    Pipe p = make_pipe();
    serry_process child = start(
        [](const void *arg, size_t) {
            Job job = *(const Job *)arg;
            for (unsigned i = 0; i < 20; i++)
                send_bytes(job.c, i, (i % 5) * 900000);
            return 0;
        },
        { p.b, {}, 0, 0 });
    std::vector<uint8_t> buf(4000000);
    for (unsigned i = 0; i < 20; i++) {
        size_t len = 0;
        serry_err e;
        while ((e = serry_conn_recv(p.a, buf.data(), buf.size(), &len, 0.0001)) == SERRY_ETIMEDOUT)
            ;
        ASSERT_EQ(e, SERRY_OK) << serry_err_detail();
        ASSERT_EQ(len, (i % 5) * 900000);
        std::vector<uint8_t> want = bytes_of(i, len);
        ASSERT_TRUE(len == 0 || memcmp(want.data(), buf.data(), len) == 0) << i;
    }
    join(child);
}

/* ---- signals ---- */

volatile sig_atomic_t signals;

void on_signal(int)
{
    signals = signals + 1;
}

SERRY_RANKS_TEST(Pipe, ASignalInterruptsNeitherSendNorReceive, .ranks({ 1 }))
{
    struct sigaction act = {};
    act.sa_handler = on_signal;
    ASSERT_EQ(sigaction(SIGALRM, &act, nullptr), 0);
    Pipe p = make_pipe();
    serry_process child = start(
        [](const void *arg, size_t) {
            Job job = *(const Job *)arg;
            usleep(100000); /* the other one waits by then, and is interrupted */
            EXPECT_EQ(send(job.c, 1), SERRY_OK);
            usleep(100000);
            recv_bytes(job.c, 3, 8u << 20);
            return 0;
        },
        { p.b, {}, 0, 0 });
    itimerval every = { { 0, 5000 }, { 0, 5000 } }, never = {};
    ASSERT_EQ(setitimer(ITIMER_REAL, &every, nullptr), 0);
    EXPECT_EQ(must_recv(p.a), 1);
    send_bytes(p.a, 3, 8u << 20);
    ASSERT_EQ(setitimer(ITIMER_REAL, &never, nullptr), 0);
    EXPECT_GT(signals, 5);
    join(child);
}

/* ---- whose it is ---- */

SERRY_RANKS_TEST(Pipe, BelongsToWhoUsesItFirst, .ranks({ 3 }))
{
    Pipe p = {};
    int me = serry_rank(), x = 0;
    if (me == 0)
        p = make_pipe();
    ASSERT_EQ(serry_world_bcast(&p, sizeof p, 0), SERRY_OK);
    if (me == 1) {
        must_send(p.b, 11);
        EXPECT_EQ(must_recv(p.b), 12);
    }
    if (me == 0) {
        EXPECT_EQ(must_recv(p.a), 11);
        must_send(p.a, 12);
    }
    barrier();
    serry_conn others = me == 0 ? p.b : p.a;
    std::string owner = me == 0 ? "rank 1" : "rank 0";
    for (int round = 0; round < 2 && me != 1; round++) {
        EXPECT_EQ(send(others, 1), SERRY_EPERM);
        EXPECT_NE(std::string(serry_err_detail()).find(owner), std::string::npos)
            << serry_err_detail();
        EXPECT_EQ(recv(others, &x), SERRY_EPERM);
        EXPECT_EQ(serry_conn_poll(others, 0), SERRY_EPERM);
        EXPECT_EQ(serry_conn_give(others, me), SERRY_EPERM);
        EXPECT_EQ(serry_conn_close(others), SERRY_EPERM);
    }
    barrier();
    if (me == 1) {
        must_send(p.b, 13);
        must_close(p.b);
        EXPECT_EQ(send(p.b, 1), SERRY_ECLOSED);
        EXPECT_EQ(recv(p.b, &x), SERRY_ECLOSED);
        EXPECT_EQ(serry_conn_close(p.b), SERRY_ECLOSED);
    }
    if (me == 0) {
        EXPECT_EQ(must_recv(p.a), 13);
        EXPECT_EQ(recv(p.a, &x), SERRY_ECLOSED);
        EXPECT_EQ(send(p.a, 1), SERRY_ECLOSED);
    }
    barrier();
    if (me == 0)
        must_close(p.a);
    barrier();
    EXPECT_EQ(recv(p.a, &x), SERRY_EHANDLE);
    EXPECT_EQ(send(p.b, 1), SERRY_EHANDLE);
    EXPECT_EQ(serry_conn_close(p.b), SERRY_EHANDLE);
    EXPECT_EQ(serry_conn_give(p.b, 0), SERRY_EHANDLE);
    EXPECT_EQ(serry_conn_poll(p.b, 0), SERRY_EHANDLE);
}

/* The maker closes an end nobody has used; not one that another has used first. */
SERRY_RANKS_TEST(Pipe, AnUnusedEndIsClosedByItsMaker, .ranks({ 1 }))
{
    Pipe p = make_pipe();
    must_send(p.a, 1);
    must_close(p.b);
    EXPECT_EQ(send(p.a, 2), SERRY_ECLOSED);
    int x = 0;
    EXPECT_EQ(recv(p.a, &x), SERRY_ECLOSED);
    serry_process child = start(
        [](const void *arg, size_t) {
            EXPECT_EQ(send(((const Job *)arg)->c, 1), SERRY_ECLOSED);
            return 0;
        },
        { p.b, {}, 0, 0 });
    join(child);
    must_close(p.a);

    Pipe q = make_pipe();
    child = start(wait_and_send, { q.b, {}, 0, 0 });
    must_send(q.a, 1);
    EXPECT_EQ(must_recv(q.a), 2);
    EXPECT_EQ(serry_conn_close(q.b), SERRY_EPERM);
    join(child);
    must_close(q.a);
}

/* What was sent stays to be read after the close. */
SERRY_RANKS_TEST(Pipe, ACloseComesBehindWhatWasSent, .ranks({ 1 }))
{
    for (int n : { 0, 1, 50, 3000 }) {
        for (int claimed = 0; claimed < 2; claimed++) {
            Pipe p = make_pipe();
            if (claimed) {
                EXPECT_EQ(serry_conn_poll(p.b, 0), SERRY_ETIMEDOUT);
            }
            for (int i = 0; i < n; i++)
                ASSERT_EQ(send(p.a, i), SERRY_OK);
            must_close(p.a);
            for (int i = 0; i < n; i++)
                ASSERT_EQ(must_recv(p.b), i);
            int x;
            EXPECT_EQ(recv(p.b, &x), SERRY_ECLOSED);
            EXPECT_EQ(recv(p.b, &x, 0), SERRY_ECLOSED);
            must_close(p.b);
        }
    }
}

int send_and_close(const void *arg, size_t)
{
    Job job = *(const Job *)arg;
    EXPECT_EQ(must_recv(job.c), 1);
    for (int i = 0; i < job.n; i++)
        EXPECT_EQ(send(job.c, i), SERRY_OK) << serry_err_detail();
    if (job.what)
        must_close(job.c);
    return 0;
}

SERRY_RANKS_TEST(Pipe, TheEndComesBehindWhatAnotherSent, .ranks({ 1 }))
{
    for (int n : { 0, 1, 777 }) {
        for (int closes = 0; closes < 2; closes++) {
            Pipe p = make_pipe();
            serry_process child = start(send_and_close, { p.b, {}, n, closes });
            must_send(p.a, 1);
            for (int i = 0; i < n; i++)
                ASSERT_EQ(must_recv(p.a), i);
            int x;
            EXPECT_EQ(recv(p.a, &x), SERRY_ECLOSED);
            join(child);
            EXPECT_EQ(send(p.a, 1), SERRY_ECLOSED);
            must_close(p.a);
        }
    }
}

/* One end is closed while the other is used for the first time. */
SERRY_RANKS_TEST(Pipe, ACloseAndAFirstUseAtOnce, .ranks({ 2 }))
{
    for (int round = 0; round < 300; round++) {
        Pipe p = {};
        if (serry_rank() == 0) {
            p = make_pipe();
            for (int i = 0; i < round % 3; i++)
                must_send(p.a, i);
            ASSERT_EQ(serry_send(1, 1, &p, sizeof p), SERRY_OK);
            for (int spin = 0; spin < round % 50; spin++)
                SERRY_IGNORE(serry_probe(1, 77, nullptr, 0));
            must_close(p.a);
        } else {
            ASSERT_EQ(serry_recv(0, 1, &p, sizeof p, nullptr, SERRY_FOREVER), SERRY_OK);
            for (int i = 0; i < round % 3; i++)
                ASSERT_EQ(must_recv(p.b, patience(10)), i);
            int x;
            ASSERT_EQ(recv(p.b, &x, patience(10)), SERRY_ECLOSED) << serry_err_detail();
            must_close(p.b);
        }
    }
    barrier();
}

SERRY_RANKS_TEST(Pipe, ACloseEndsTheSendThatWaits, .ranks({ 2 }))
{
    for (size_t len : { size_t(40000), size_t(1000000) }) {
        Pipe p = {};
        if (serry_rank() == 0)
            p = make_pipe();
        ASSERT_EQ(serry_world_bcast(&p, sizeof p, 0), SERRY_OK);
        if (serry_rank() == 0) {
            EXPECT_EQ(must_recv(p.a), 1);
            EXPECT_EQ(serry_conn_poll(p.a, SERRY_FOREVER), SERRY_OK);
            must_close(p.a);
        } else {
            must_send(p.b, 1);
            std::vector<uint8_t> v(len);
            serry_err e;
            while ((e = serry_conn_send(p.b, v.data(), len, SERRY_FOREVER)) == SERRY_OK)
                ;
            EXPECT_EQ(e, SERRY_ECLOSED) << serry_err_detail();
        }
        barrier();
    }
}

/* ---- threads ---- */

SERRY_RANKS_TEST(Pipe, ServesThreadsOfOneProcess, .ranks({ 1 }))
{
    const int n = 5000;
    Pipe p = make_pipe();
    std::thread other([&] {
        for (int i = 0; i < n; i++) {
            int x = must_recv(p.b);
            if (send(p.b, x + 1) != SERRY_OK)
                break;
        }
    });
    for (int i = 0; i < n; i++) {
        must_send(p.a, i);
        ASSERT_EQ(must_recv(p.a), i + 1);
    }
    other.join();
}

/* Several receive at one end, several send at the other: each message comes once, those of one
 * thread in order. */
SERRY_RANKS_TEST(Pipe, SeveralThreadsAtEachEnd, .ranks({ 2 }))
{
    const int n = 3000, threads = 3;
    Pipe p = {};
    if (serry_rank() == 0)
        p = make_pipe(false);
    ASSERT_EQ(serry_world_bcast(&p, sizeof p, 0), SERRY_OK);
    std::vector<std::thread> all;
    std::vector<std::vector<int>> got((size_t)threads);
    for (int t = 0; t < threads; t++) {
        all.emplace_back([&, t] {
            if (serry_rank() == 1) {
                for (int i = 0; i < n; i++)
                    EXPECT_EQ(send(p.b, t * 100000 + i), SERRY_OK) << serry_err_detail();
                return;
            }
            int x;
            serry_err e;
            while ((e = recv(p.a, &x)) == SERRY_OK)
                got[(size_t)t].push_back(x);
            EXPECT_EQ(e, SERRY_ECLOSED) << serry_err_detail();
        });
    }
    if (serry_rank() == 1) {
        for (std::thread &t : all)
            t.join();
        must_close(p.b);
    } else {
        for (std::thread &t : all)
            t.join();
        std::vector<int> count((size_t)threads);
        size_t sum = 0;
        for (const std::vector<int> &mine : got) {
            std::vector<int> last((size_t)threads, -1);
            for (int x : mine) {
                EXPECT_GT(x % 100000, last[(size_t)(x / 100000)]);
                last[(size_t)(x / 100000)] = x % 100000;
            }
            sum += mine.size();
        }
        EXPECT_EQ(sum, (size_t)(n * threads));
    }
    barrier();
}

SERRY_RANKS_TEST(Pipe, ACloseWakesTheOtherThreads, .ranks({ 1 }))
{
    for (int used = 0; used < 2; used++) {
        Pipe p = make_pipe();
        if (used) {
            must_send(p.b, 1);
            EXPECT_EQ(must_recv(p.a), 1);
        }
        std::thread waits([&] {
            int x;
            EXPECT_EQ(recv(p.a, &x), SERRY_ECLOSED) << serry_err_detail();
        });
        std::thread polls([&] {
            serry_err e;
            while ((e = serry_conn_poll(p.a, SERRY_FOREVER)) == SERRY_OK && !testing::Test::HasFailure()) {
                int x;
                if (recv(p.a, &x, 0) == SERRY_ECLOSED)
                    break;
            }
        });
        usleep(20000);
        must_close(p.a);
        waits.join();
        polls.join();
        must_close(p.b);
    }
}

/* ---- giving ---- */

SERRY_RANKS_TEST(Pipe, AnUnusedEndIsGiven, .ranks({ 3 }))
{
    Pipe p = {};
    int me = serry_rank(), x = 0;
    if (me == 0) {
        p = make_pipe();
        for (int i = 0; i < 10; i++)
            must_send(p.a, i);
        must_give(p.b, 2);
        EXPECT_EQ(send(p.b, 1), SERRY_EPERM);
        EXPECT_NE(std::string(serry_err_detail()).find("rank 2"), std::string::npos);
    }
    ASSERT_EQ(serry_world_bcast(&p, sizeof p, 0), SERRY_OK);
    if (me == 1) {
        EXPECT_EQ(recv(p.b, &x), SERRY_EPERM);
    }
    if (me == 2) {
        for (int i = 0; i < 10; i++)
            EXPECT_EQ(must_recv(p.b), i);
        must_send(p.b, 77);
    }
    if (me == 0) {
        EXPECT_EQ(must_recv(p.a), 77);
    }
    barrier();
}

/* A stream from rank 0 whose receiving end goes round among the others, at random points; or the
 * sending end does, to one receiver. Nothing is lost, doubled or out of order. */
struct Turn {
    int next; /* the number that comes next */
    int left; /* how many turns are left */
};

SERRY_RANKS_TEST(Pipe, AReceivingEndGoesRoundInTheMiddleOfAStream, .ranks({ 3, 4 }).timeout(60))
{
    const int n = 20000;
    int me = serry_rank(), others = serry_size() - 1;
    Pipe p = {};
    if (me == 0)
        p = make_pipe();
    ASSERT_EQ(serry_world_bcast(&p, sizeof p, 0), SERRY_OK);
    if (me == 0) {
        for (int i = 0; i < n; i++) {
            size_t len = i % 97 == 0 ? 30000 : i % 501 == 0 ? 200000 : 4 + (size_t)i % 50;
            std::vector<uint8_t> v(len);
            memcpy(v.data(), &i, sizeof i);
            ASSERT_EQ(serry_conn_send(p.a, v.data(), len, SERRY_FOREVER), SERRY_OK)
                << i << ": " << serry_err_detail();
        }
        int got = 0;
        EXPECT_EQ(recv(p.a, &got), SERRY_OK);
        EXPECT_EQ(got, n);
        barrier();
        return;
    }
    std::mt19937 dice((unsigned)me);
    std::vector<uint8_t> buf(300000);
    Turn t = { 0, 25 };
    for (bool first = me == 1;; first = false) {
        if (!first)
            ASSERT_EQ(serry_recv(SERRY_ANY, 5, &t, sizeof t, nullptr, SERRY_FOREVER), SERRY_OK);
        if (t.next == n)
            break;
        int some = t.left > 0 ? (int)(dice() % 900) : n;
        for (; some > 0 && t.next < n; some--) {
            size_t len = 0;
            int i = -1;
            ASSERT_EQ(serry_conn_recv(p.b, buf.data(), buf.size(), &len, patience(20)), SERRY_OK)
                << "at " << t.next << ": " << serry_err_detail();
            memcpy(&i, buf.data(), sizeof i);
            ASSERT_EQ(i, t.next);
            t.next++;
        }
        if (t.next == n) {
            must_send(p.b, n);
            for (int r = 1; r <= others; r++) {
                if (r != me)
                    ASSERT_EQ(serry_send(r, 5, &t, sizeof t), SERRY_OK);
            }
            break;
        }
        t.left--;
        int to = me % others + 1;
        must_give(p.b, to);
        ASSERT_EQ(serry_send(to, 5, &t, sizeof t), SERRY_OK);
    }
    barrier();
}

SERRY_RANKS_TEST(Pipe, ASendingEndGoesRoundInTheMiddleOfAStream, .ranks({ 3, 4 }).timeout(60))
{
    const int n = 20000;
    int me = serry_rank(), others = serry_size() - 1;
    Pipe p = {};
    if (me == 0)
        p = make_pipe();
    ASSERT_EQ(serry_world_bcast(&p, sizeof p, 0), SERRY_OK);
    if (me == 0) {
        for (int i = 0; i < n; i++)
            ASSERT_EQ(must_recv(p.a, patience(20)), i);
        int x;
        EXPECT_EQ(recv(p.a, &x), SERRY_ECLOSED);
        barrier();
        return;
    }
    std::mt19937 dice((unsigned)me);
    Turn t = { 0, 40 };
    for (bool first = me == 1;; first = false) {
        if (!first)
            ASSERT_EQ(serry_recv(SERRY_ANY, 5, &t, sizeof t, nullptr, SERRY_FOREVER), SERRY_OK);
        if (t.next == n)
            break;
        int some = t.left > 0 ? (int)(dice() % 600) : n;
        for (; some > 0 && t.next < n; some--, t.next++)
            must_send(p.b, t.next);
        if (t.next == n) {
            must_close(p.b);
            for (int r = 1; r <= others; r++) {
                if (r != me)
                    ASSERT_EQ(serry_send(r, 5, &t, sizeof t), SERRY_OK);
            }
            break;
        }
        t.left--;
        int to = me % others + 1;
        must_give(p.b, to);
        ASSERT_EQ(serry_send(to, 5, &t, sizeof t), SERRY_OK);
    }
    barrier();
}

/* The giver ends right behind: what it had not read is not lost with it. */
int give_and_end(const void *arg, size_t)
{
    Job job = *(const Job *)arg;
    for (int i = 0; i < job.n; i++)
        EXPECT_EQ(must_recv(job.c), i);
    if (job.other.id)
        must_send(job.other, 1);
    must_give(job.c, job.what);
    return 0;
}

SERRY_RANKS_TEST(Pipe, WhatTheGiverHadNotReadFollows, .ranks({ 1 }))
{
    for (int taken : { 0, 1, 20, 100 }) {
        for (size_t more : { 0u, 50000u }) {
            Pipe p = make_pipe();
            serry_process child = start(give_and_end, { p.b, {}, taken, serry_rank() });
            for (int i = 0; i < 100; i++)
                must_send(p.a, i);
            for (unsigned i = 0; i < 5 && more; i++)
                send_bytes(p.a, i, more);
            join(child);
            for (int i = taken; i < 100; i++)
                ASSERT_EQ(must_recv(p.b, patience(10)), i);
            for (unsigned i = 0; i < 5 && more; i++)
                recv_bytes(p.b, i, more);
            must_send(p.b, 5);
            EXPECT_EQ(must_recv(p.a), 5);
        }
    }
}

/* Nor does the end of the other process overtake what is on its way to the new owner. */
SERRY_RANKS_TEST(Pipe, TheEndComesBehindWhatIsForwarded, .ranks({ 1 }))
{
    for (int round = 0; round < 30; round++) {
        Pipe p = make_pipe(), q = make_pipe();
        serry_process child = start(give_and_end, { p.b, q.b, 10, serry_rank() });
        for (int i = 0; i < 150; i++)
            must_send(p.a, i);
        for (unsigned i = 0; i < 5; i++)
            send_bytes(p.a, i, 60000);
        must_close(p.a);
        EXPECT_EQ(must_recv(q.a), 1);
        int x = -1;
        serry_err e;
        while ((e = recv(p.b, &x)) == SERRY_EPERM) /* until it is given */
            usleep(100);
        ASSERT_EQ(e, SERRY_OK) << serry_err_detail();
        EXPECT_EQ(x, 10);
        for (int i = 11; i < 150; i++)
            ASSERT_EQ(must_recv(p.b), i);
        for (unsigned i = 0; i < 5; i++)
            recv_bytes(p.b, i, 60000);
        EXPECT_EQ(recv(p.b, &x), SERRY_ECLOSED);
        join(child);
    }
}

SERRY_RANKS_TEST(Pipe, AnEndIsNotGivenToNobody, .ranks({ 2 }))
{
    Pipe p = make_pipe();
    must_send(p.a, 1);
    EXPECT_EQ(serry_conn_give(p.b, -1), SERRY_EINVAL);
    EXPECT_EQ(serry_conn_give(p.b, SERRY_ANY), SERRY_EINVAL);
    EXPECT_EQ(serry_conn_give(p.b, 4000), SERRY_EINVAL) << serry_err_detail();
    EXPECT_EQ(serry_conn_give(p.b, INT32_MAX), SERRY_EINVAL);
    serry_process child = start([](const void *, size_t) { return 0; }, {});
    int gone = rank_of(child);
    join(child);
    EXPECT_EQ(serry_conn_give(p.b, gone), SERRY_EDIED) << serry_err_detail();
    EXPECT_EQ(serry_conn_give(p.a, gone), SERRY_EDIED);
    EXPECT_EQ(must_recv(p.b), 1);
    must_give(p.a, serry_rank());
    must_send(p.a, 2);
    EXPECT_EQ(must_recv(p.b), 2);
    barrier();
}

/* Before it has even joined. */
SERRY_RANKS_TEST(Pipe, AnEndIsGivenToAProcessThatHasJustBeenStarted, .ranks({ 1 }))
{
    for (int round = 0; round < 10; round++) {
        Pipe p = make_pipe();
        serry_process child = start(expect_count, { p.b, {}, 20, 0 });
        for (int i = 0; i < 10; i++)
            must_send(p.a, i);
        serry_err e = serry_conn_give(p.b, rank_of(child));
        EXPECT_TRUE(e == SERRY_OK || e == SERRY_EPERM) << serry_err_detail(); /* it may be faster */
        for (int i = 10; i < 20; i++)
            must_send(p.a, i);
        join(child);
    }
}

SERRY_RANKS_TEST(Pipe, AnEndInUseByAThreadIsNotGiven, .ranks({ 2 }))
{
    Pipe p = make_pipe();
    must_send(p.b, 1);
    EXPECT_EQ(must_recv(p.a), 1);
    std::thread waits([&] { EXPECT_EQ(must_recv(p.a), 2); });
    serry_err e;
    do { /* until it does wait */
        usleep(5000);
        char text[300];
        ASSERT_EQ(serry_describe(p.a.id, text, sizeof text), SERRY_OK);
        e = serry_conn_give(p.a, serry_rank());
    } while (e == SERRY_OK);
    EXPECT_EQ(e, SERRY_ESTATE) << serry_err_detail();
    EXPECT_EQ(serry_conn_give(p.a, 1 - serry_rank()), SERRY_ESTATE);
    must_send(p.b, 2);
    waits.join();
    must_give(p.a, 1 - serry_rank());
    int x;
    EXPECT_EQ(recv(p.a, &x, 0), SERRY_EPERM);
    barrier();
}

/* ---- makers that end, and started processes among themselves ---- */

int make_for_others(const void *arg, size_t)
{
    Job job = *(const Job *)arg;
    Pipe p = make_pipe();
    if (job.what)
        must_send(p.a, 99);
    EXPECT_EQ(serry_conn_send(job.c, &p, sizeof p, SERRY_FOREVER), SERRY_OK);
    return 0;
}

SERRY_RANKS_TEST(Pipe, OutlivesItsMaker, .ranks({ 1 }))
{
    Pipe p = make_pipe(), q = {};
    serry_process maker = start(make_for_others, { p.b, {}, 0, 0 });
    ASSERT_EQ(serry_conn_recv(p.a, &q, sizeof q, nullptr, SERRY_FOREVER), SERRY_OK);
    join(maker);
    must_send(q.a, 1);
    serry_process child = start(wait_and_send, { q.b, {}, 0, 0 });
    EXPECT_EQ(must_recv(q.a), 2);
    join(child);
    /* Had it used an end, that end has ended with it; the other can be read. */
    Pipe r = make_pipe();
    maker = start(make_for_others, { r.b, {}, 0, 1 });
    ASSERT_EQ(serry_conn_recv(r.a, &q, sizeof q, nullptr, SERRY_FOREVER), SERRY_OK);
    join(maker);
    EXPECT_EQ(must_recv(q.b), 99);
    int x;
    EXPECT_EQ(recv(q.b, &x), SERRY_ECLOSED);
    EXPECT_EQ(send(q.a, 1), SERRY_EPERM);
}

/* Nobody has used the other end and its maker has left: after a while that is said. */
SERRY_RANKS_TEST(Pipe, AnOrphanedEndIsToldOfAndRevived, .ranks({ 1 }))
{
    Pipe p = make_pipe(), q = {};
    serry_process maker = start(make_for_others, { p.b, {}, 0, 0 });
    ASSERT_EQ(serry_conn_recv(p.a, &q, sizeof q, nullptr, SERRY_FOREVER), SERRY_OK);
    join(maker);
    int x = 0;
    EXPECT_EQ(recv(q.a, &x, patience(20)), SERRY_ECLOSED) << serry_err_detail();
    EXPECT_EQ(send(q.a, 1), SERRY_ECLOSED);
    serry_process child = start(count_up, { q.b, {}, 3, 0 });
    join(child);
    for (int i = 0; i < 3; i++)
        EXPECT_EQ(must_recv(q.a), i);
    EXPECT_EQ(recv(q.a, &x), SERRY_ECLOSED);
}

SERRY_RANKS_TEST(Pipe, StartedProcessesTalkAmongThemselves, .ranks({ 1, 2 }).timeout(60))
{
    const int n = 500;
    Pipe p[3];
    serry_process from[3], to[3];
    for (int i = 0; i < 3; i++) {
        p[i] = make_pipe(false);
        from[i] = start(count_up, { p[i].b, {}, n, 0 });
        to[i] = start(expect_count, { p[i].a, {}, n, 0 });
    }
    for (int i = 0; i < 3; i++) {
        join(from[i]);
        join(to[i]);
    }
    barrier();
}

/* Many pipes come and go. */
SERRY_RANKS_TEST(Pipe, ManyComeAndGo, .ranks({ 2 }))
{
    for (int round = 0; round < 300; round++) {
        Pipe p = {};
        if (serry_rank() == 0) {
            p = make_pipe();
            ASSERT_EQ(serry_send(1, 1, &p, sizeof p), SERRY_OK);
            must_send(p.a, round);
            if (round % 3)
                ASSERT_EQ(must_recv(p.a), round + 1);
            must_close(p.a);
        } else {
            ASSERT_EQ(serry_recv(0, 1, &p, sizeof p, nullptr, SERRY_FOREVER), SERRY_OK);
            ASSERT_EQ(must_recv(p.b), round);
            serry_err e = send(p.b, round + 1);
            EXPECT_TRUE(e == SERRY_OK || (e == SERRY_ECLOSED && round % 3 == 0)) << serry_err_detail();
            must_close(p.b);
        }
    }
    barrier();
}

/* ---- bad input ---- */

void expect_handle(serry_conn c, serry_err want)
{
    int x = 7;
    size_t len = 3;
    EXPECT_EQ(send(c, 1, 0), want);
    EXPECT_EQ(serry_conn_recv(c, &x, sizeof x, &len, 0), want);
    EXPECT_EQ(serry_conn_poll(c, 0), want);
    EXPECT_EQ(serry_conn_give(c, 0), want);
    EXPECT_EQ(serry_conn_close(c), want);
    EXPECT_EQ(x, 7);
    EXPECT_EQ(len, 3u);
}

SERRY_RANKS_TEST(Pipe, RefusesBadInputAndLosesNothing, .ranks({ 1 }).in_own_world())
{
    Pipe p = make_pipe();
    int x = 7;
    size_t len = 3;
    for (int round = 0; round < 2; round++) { /* unused, then used */
        EXPECT_EQ(serry_pipe_create(nullptr, &p.b, true), SERRY_EINVAL);
        EXPECT_EQ(serry_pipe_create(&p.a, nullptr, true), SERRY_EINVAL);
        EXPECT_EQ(serry_conn_send(p.a, nullptr, 5, 0), SERRY_EINVAL);
        EXPECT_EQ(serry_conn_send(p.a, &x, sizeof x, NAN), SERRY_EINVAL);
        EXPECT_EQ(serry_conn_send(p.a, &x, SIZE_MAX, 0), SERRY_ELIMIT);
        EXPECT_EQ(serry_conn_send(p.a, &x, SIZE_MAX / 2, 0), SERRY_ELIMIT);
        EXPECT_EQ(serry_conn_recv(p.b, nullptr, 5, &len, 0), SERRY_EINVAL);
        EXPECT_EQ(serry_conn_recv(p.b, &x, sizeof x, &len, NAN), SERRY_EINVAL);
        EXPECT_EQ(serry_conn_poll(p.b, NAN), SERRY_EINVAL);
        EXPECT_EQ(serry_conn_give(p.b, -7), SERRY_EINVAL);
        EXPECT_EQ(len, 3u);
        EXPECT_STRNE(serry_err_detail(), "");
        must_send(p.a, 4);
        EXPECT_EQ(must_recv(p.b), 4);
    }
    /* A cap beyond all reason is only an upper bound. */
    must_send(p.a, 5);
    EXPECT_EQ(serry_conn_recv(p.b, &x, SIZE_MAX, &len, 1), SERRY_OK);
    EXPECT_EQ(len, sizeof x);
    EXPECT_EQ(x, 5);

    expect_handle({ 0 }, SERRY_EHANDLE);
    expect_handle({ UINT64_MAX }, SERRY_EHANDLE);
    expect_handle({ p.a.id ^ 1 }, SERRY_EHANDLE);
    expect_handle({ p.a.id ^ (UINT64_C(1) << 24) }, SERRY_EHANDLE);
    expect_handle({ serry_process_self().id }, SERRY_EHANDLE);
    serry_queue q = {};
    ASSERT_EQ(serry_queue_create(&q, nullptr), SERRY_OK);
    expect_handle({ q.id }, SERRY_EHANDLE);
    EXPECT_EQ(serry_queue_put({ p.a.id }, &x, sizeof x, 0), SERRY_EHANDLE);
    EXPECT_EQ(serry_queue_put({ p.b.id }, &x, sizeof x, 0), SERRY_EHANDLE);

    must_send(p.a, 6);
    must_close(p.a);
    expect_handle(p.a, SERRY_ECLOSED);
    EXPECT_EQ(must_recv(p.b), 6);
    must_close(p.b);
    expect_handle(p.a, SERRY_EHANDLE);
    expect_handle(p.b, SERRY_EHANDLE);
}

SERRY_RANKS_TEST(Pipe, NeedsTheWorld, .ranks({ 1 }).without_init())
{
    Pipe p = {};
    int x;
    EXPECT_EQ(serry_pipe_create(&p.a, &p.b, true), SERRY_ESTATE);
    EXPECT_EQ(send(p.a, 1), SERRY_ESTATE);
    EXPECT_EQ(recv(p.a, &x), SERRY_ESTATE);
    EXPECT_EQ(serry_conn_poll(p.a, 0), SERRY_ESTATE);
    EXPECT_EQ(serry_conn_give(p.a, 0), SERRY_ESTATE);
    EXPECT_EQ(serry_conn_close(p.a), SERRY_ESTATE);
    ASSERT_EQ(serry_init(nullptr, nullptr), SERRY_OK);
    ASSERT_EQ(serry_finalize(), SERRY_OK);
}

SERRY_RANKS_TEST(Pipe, DescribesItself, .ranks({ 1 }).in_own_world())
{
    Pipe p = make_pipe();
    char text[400], other[400];
    must_send(p.a, 1);
    ASSERT_EQ(serry_describe(p.a.id, text, sizeof text), SERRY_OK) << serry_err_detail();
    ASSERT_EQ(serry_describe(p.b.id, other, sizeof other), SERRY_OK) << serry_err_detail();
    EXPECT_STREQ(text, other);
    EXPECT_NE(std::string(text).find("duplex"), std::string::npos) << text;
    EXPECT_NE(std::string(text).find("rank 0"), std::string::npos) << text;
    must_close(p.a);
    must_close(p.b);
    EXPECT_EQ(serry_describe(p.b.id, text, sizeof text), SERRY_EHANDLE);
}

} // namespace
