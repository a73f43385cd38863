// ctest: pipe timeout=180
/* Ends of pipes that are given to others, in the middle of what goes through them. */
#include "patterns/pipe_test.h"

#include <random>
#include <thread>

using namespace serry_test;
using namespace pipe_test;

namespace {

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

    /* Waits for it, unless it is the first. False: all n are through. */
    bool comes(bool first, int n)
    {
        bool came =
            first
            || serry_recv(SERRY_ANY, 5, this, sizeof *this, nullptr, SERRY_FOREVER) == SERRY_OK;
        EXPECT_TRUE(came) << serry_err_detail();
        return came && next < n;
    }
    void tell(int rank) const
    {
        EXPECT_EQ(serry_send(rank, 5, this, sizeof *this), SERRY_OK) << serry_err_detail();
    }
    void tell_all() const
    {
        for (int r = 1; r < serry_size(); r++) {
            if (r != serry_rank())
                tell(r);
        }
    }
    /* To the next rank, with the end. */
    void pass_on(serry_conn end)
    {
        int to = serry_rank() % (serry_size() - 1) + 1;
        left--;
        must_give(end, to);
        tell(to);
    }
};

SERRY_RANKS_TEST(Pipe, AReceivingEndGoesRoundInTheMiddleOfAStream, .ranks({ 3, 4 }).timeout(60))
{
    const int n = 20000;
    int me = serry_rank();
    Pipe p = make_pipe_of_all();
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
    for (bool first = me == 1; t.comes(first, n); first = false) {
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
            t.tell_all();
            break;
        }
        t.pass_on(p.b);
    }
    barrier();
}

SERRY_RANKS_TEST(Pipe, ASendingEndGoesRoundInTheMiddleOfAStream, .ranks({ 3, 4 }).timeout(60))
{
    const int n = 20000;
    int me = serry_rank();
    Pipe p = make_pipe_of_all();
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
    for (bool first = me == 1; t.comes(first, n); first = false) {
        int some = t.left > 0 ? (int)(dice() % 600) : n;
        for (; some > 0 && t.next < n; some--, t.next++)
            must_send(p.b, t.next);
        if (t.next == n) {
            must_close(p.b);
            t.tell_all();
            break;
        }
        t.pass_on(p.b);
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
    std::thread waits([&] {
        int x = 0;
        serry_err got;
        do { /* it may come while the end is being given to this process itself */
            got = recv(p.a, &x, patience(30));
        } while (got == SERRY_ESTATE);
        EXPECT_EQ(got, SERRY_OK) << serry_err_detail();
        EXPECT_EQ(x, 2);
    });
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

} // namespace
