// ctest: pipe timeout=180
/* Whose an end of a pipe is, and what its close, or the end of its owner or maker, means. */
#include "patterns/pipe_test.h"

using namespace serry_test;
using namespace pipe_test;

namespace {

/* ---- whose it is ---- */

SERRY_RANKS_TEST(Pipe, BelongsToWhoUsesItFirst, .ranks({ 3 }))
{
    Pipe p = make_pipe_of_all();
    int me = serry_rank(), x = 0;
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
        Pipe p = make_pipe_of_all();
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
            EXPECT_TRUE(e == SERRY_OK || (e == SERRY_ECLOSED && round % 3 == 0))
                << serry_err_detail();
            must_close(p.b);
        }
    }
    barrier();
}

} // namespace
