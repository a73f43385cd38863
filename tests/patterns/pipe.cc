// ctest: pipe timeout=180
/* Pipes as their users see them, over both kinds of lanes: messages, handles, bad input. */
#include "patterns/pipe_test.h"

#include <cmath>

using namespace serry_test;
using namespace pipe_test;

namespace {

/* ---- connections ---- */

SERRY_RANKS_TEST(Pipe, EchoesWhateverIsSent, .ranks({ 1 }))
{
    Pipe p = make_pipe();
    serry_process child = start(echo, { p.b, {}, 0, 0 });
    for (size_t len :
         { 1u, 4u, 127u, 128u, 4096u, 16384u, 16385u, 65536u, 65537u, 1u << 20, 16u << 20 }) {
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
        ASSERT_EQ(serry_process_start(&children[i], takes_from_queue, &q, sizeof q, nullptr),
                  SERRY_OK);
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
