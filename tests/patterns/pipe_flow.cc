// ctest: pipe timeout=180
/* Much that goes through pipes, and long messages; time, signals and threads. */
#include "patterns/pipe_test.h"

#include <cmath>
#include <csignal>
#include <random>
#include <sys/time.h>
#include <thread>

using namespace serry_test;
using namespace pipe_test;

namespace {

/* ---- much, and large ---- */

SERRY_RANKS_TEST(Pipe, MovesRandomSizesBothWays, .ranks({ 2 }).timeout(100))
{
    Pipe p = make_pipe_of_all();
    int me = serry_rank();
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
    for (size_t len :
         { size_t(8), size_t(1000), size_t(16000), size_t(30000), size_t(60000), size_t(300000) }) {
        Pipe p = make_pipe_of_all();
        std::string go = rank_dir() + "/go" + std::to_string(len);
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
    Pipe p = make_pipe_of_all(false);
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
            while ((e = serry_conn_poll(p.a, SERRY_FOREVER)) == SERRY_OK
                   && !testing::Test::HasFailure()) {
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

} // namespace
