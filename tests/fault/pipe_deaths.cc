// ctest: pipe slow timeout=180
/* Processes at the ends of pipes that die: what came through is a beginning of what was sent, then
 * the death is told, and nobody waits for ever. */
#include "base/point.h"
#include "fault/fault.h"
#include "patterns/pipe_test.h"

#include <thread>

using namespace serry_test;
using pipe_test::make_pipe;
using pipe_test::Pipe;

namespace {

/* told: how far the victim has got, by a pipe of its own. */
struct Job {
    serry_conn c, told;
    int point, count, n, to;
    size_t len;
};

serry_process start(serry_process_fn fn, const Job &job)
{
    return serry_test::start<Job>(fn, job);
}

serry_err send(serry_conn c, int value, size_t len = sizeof(int))
{
    std::vector<uint8_t> v(len, (uint8_t)value);
    memcpy(v.data(), &value, sizeof value);
    return serry_conn_send(c, v.data(), len, patience(20));
}

/* One message, checked to be whole. */
serry_err recv(serry_conn c, int *value, double timeout = patience(20))
{
    static thread_local std::vector<uint8_t> buf(2u << 20);
    size_t len = 0;
    serry_err e = serry_conn_recv(c, buf.data(), buf.size(), &len, timeout);
    if (e != SERRY_OK)
        return e;
    EXPECT_GE(len, sizeof *value);
    memcpy(value, buf.data(), sizeof *value);
    for (size_t i = sizeof *value; i < len; i++) {
        if (buf[i] != (uint8_t)*value) {
            ADD_FAILURE() << "message " << *value << " is torn at " << i;
            break;
        }
    }
    return SERRY_OK;
}

/* Receives numbers from `from` on until the end; returns how many, and the end's error. */
int drain(serry_conn c, int from, serry_err *end)
{
    int n = 0, value = -1;
    while ((*end = recv(c, &value)) == SERRY_OK) {
        EXPECT_EQ(value, from + n);
        if (value != from + n)
            break;
        n++;
    }
    EXPECT_NE(*end, SERRY_ETIMEDOUT) << serry_err_detail();
    return n;
}

/* What a process that has ended had told of. It may have died before it used its end at all, which
 * is still the maker's then. */
int count_told(const Pipe &told)
{
    int n = 0, value = -1;
    serry_err e;
    while ((e = recv(told.a, &value, 0.2)) == SERRY_OK) {
        EXPECT_EQ(value, n);
        n++;
    }
    return n;
}

/* The end is told again and again, in each call, and soon. */
void expect_over(serry_conn c, serry_err want)
{
    int value;
    for (int i = 0; i < 2; i++) {
        EXPECT_EQ(recv(c, &value), want) << serry_err_detail();
        EXPECT_EQ(serry_conn_poll(c, 0), SERRY_OK);
        EXPECT_EQ(send(c, 1), want) << serry_err_detail();
    }
}

size_t length_of(const Job &job, int i)
{
    return job.len       ? job.len
           : i % 50 == 7 ? 100000
           : i % 20 == 3 ? 30000
                         : 4 + (size_t)(i * 37 % 300);
}

int writer(const void *arg, size_t)
{
    Job job = *(const Job *)arg;
    sri_point_choose(job.point, (unsigned)job.count);
    for (int i = 0; i < job.n; i++) {
        if (send(job.c, i, length_of(job, i)) != SERRY_OK || send(job.told, i) != SERRY_OK)
            return 1;
    }
    return 0;
}

int reader(const void *arg, size_t)
{
    Job job = *(const Job *)arg;
    sri_point_choose(job.point, (unsigned)job.count);
    int value;
    for (int i = 0; i < job.n; i++) {
        if (recv(job.c, &value) != SERRY_OK || value != i || send(job.told, i) != SERRY_OK)
            return 1;
    }
    return 0;
}

/* ---- at any point ---- */

/* What a writer that dies at a point has told of has arrived, and perhaps one more. */
int writer_dies(int point, int count)
{
    Pipe p = make_pipe(), told = make_pipe();
    const int n = 60;
    int code = -1;
    serry_process child = start(writer, { p.b, told.b, point, count, n, 0, 0 });
    serry_err end = SERRY_OK;
    int got = drain(p.a, 0, &end);
    code = end_of(child);
    int said = count_told(told);
    EXPECT_TRUE(got == said || got == said + 1) << got << " came, " << said << " were told of";
    EXPECT_TRUE(code == 0 || code == -SIGKILL) << code;
    serry_err want = code == 0 ? SERRY_ECLOSED : SERRY_EDIED;
    if (got > 0) {
        EXPECT_EQ(end, want);
        expect_over(p.a, want);
    }
    return code;
}

int reader_dies(int point, int count)
{
    Pipe p = make_pipe(), told = make_pipe();
    const int n = 60;
    serry_process child = start(reader, { p.b, told.b, point, count, n, 0, 0 });
    serry_err e = SERRY_OK;
    int sent = 0;
    Job job = {};
    while (sent < n && (e = send(p.a, sent, length_of(job, sent))) == SERRY_OK)
        sent++;
    int code = end_of(child);
    EXPECT_TRUE(code == 0 || code == -SIGKILL) << code;
    int said = count_told(told);
    if (code == 0) {
        EXPECT_EQ(said, n);
    } else {
        EXPECT_LE(said, sent);
    }
    /* Who died before its first use was never an owner. */
    if (said > 0)
        expect_over(p.a, code == 0 ? SERRY_ECLOSED : SERRY_EDIED);
    return code;
}

/* The lanes' points, where there are lanes with points, and the pipe's own. A child that dies
 * before it has used its end leaves it to the maker, who has not: nobody is to be waited for then.
 */
template <class Dies>
void sweep(Dies dies)
{
    for (int point = 80; point <= 89; point++) {
        for (int count : { 2, 3, 7, 40 })
            dies(point, count);
    }
    const char *lanes = getenv("SERRY_LANES");
    if (lanes && strcmp(lanes, "socket") == 0)
        return;
    for (int point = 1; point < 20; point++) {
        for (int count : { 40, 90 })
            dies(point, count);
    }
}

SERRY_RANKS_TEST(PipeDeaths, AWriterMayDieAnywhere, .ranks({ 1 }).timeout(150))
{
    sweep(writer_dies);
}

SERRY_RANKS_TEST(PipeDeaths, AReaderMayDieAnywhere, .ranks({ 1 }).timeout(150))
{
    sweep(reader_dies);
}

SERRY_RANKS_TEST(PipeDeaths, HappenWhereTheyAreWanted, .ranks({ 1 }))
{
    for (int point : { 84, 85 })
        EXPECT_EQ(writer_dies(point, 7), -SIGKILL) << point;
    EXPECT_EQ(reader_dies(89, 7), -SIGKILL);
    EXPECT_EQ(writer_dies(81, 2), -SIGKILL); /* the second pipe's first use */
    EXPECT_EQ(reader_dies(80, 2), -SIGKILL);
}

/* ---- at any time ---- */

int keep_writing(const void *arg, size_t)
{
    Job job = *(const Job *)arg;
    for (int i = 0;; i++) {
        if (send(job.c, i, length_of(job, i)) != SERRY_OK)
            return 1;
        if (i == 0 && job.told.id && send(job.told, 1) != SERRY_OK)
            return 2;
    }
}

int keep_reading(const void *arg, size_t)
{
    Job job = *(const Job *)arg;
    int value;
    for (int i = 0;; i++) {
        if (recv(job.c, &value) != SERRY_OK || value != i)
            return 1;
        if (i == 0 && job.told.id && send(job.told, 1) != SERRY_OK)
            return 2;
    }
}

/* Both ways at once, with data in flight. */
int keep_both(const void *arg, size_t)
{
    std::thread t([&] { keep_reading(arg, sizeof(Job)); });
    keep_writing(arg, sizeof(Job));
    t.join();
    return 1;
}

SERRY_RANKS_TEST(PipeDeaths, AWriterIsKilledAtAnyTime, .ranks({ 1 }).timeout(100))
{
    for (int round = 0; round < 40; round++) {
        Pipe p = make_pipe();
        size_t len = round % 4 == 0 ? 4 : round % 4 == 1 ? 40000 : round % 4 == 2 ? 1000000 : 0;
        serry_process child = start(keep_writing, { p.b, {}, 0, 0, 0, 0, len });
        int value = -1, n = 1;
        ASSERT_EQ(recv(p.a, &value), SERRY_OK);
        std::thread killer([&] {
            nap(0, 0.01);
            EXPECT_EQ(serry_process_kill(child), SERRY_OK);
        });
        serry_err end = SERRY_OK;
        n += drain(p.a, 1, &end);
        EXPECT_EQ(end, SERRY_EDIED) << "after " << n << ": " << serry_err_detail();
        EXPECT_TRUE(has(serry_err_detail(), "killed by signal 9")) << serry_err_detail();
        killer.join();
        EXPECT_EQ(end_of(child), -SIGKILL);
        expect_over(p.a, SERRY_EDIED);
        EXPECT_EQ(serry_conn_close(p.a), SERRY_OK);
        EXPECT_EQ(send(p.a, 1), SERRY_EHANDLE);
    }
}

SERRY_RANKS_TEST(PipeDeaths, AReaderIsKilledAtAnyTime, .ranks({ 1 }).timeout(100))
{
    const size_t lengths[] = { 4, 40000, 1000000, 0 };
    for (int round = 0; round < 40; round++) {
        Pipe p = make_pipe(), told = make_pipe();
        Job job = { p.b, told.b, 0, 0, 0, 0, lengths[round % 4] };
        serry_process child = start(keep_reading, job);
        bool early = round % 8 == 0; /* it may not even have used its end */
        std::thread killer([&] {
            int value;
            if (!early)
                EXPECT_EQ(recv(told.a, &value), SERRY_OK);
            nap(0, 0.01);
            EXPECT_EQ(serry_process_kill(child), SERRY_OK);
        });
        serry_err e;
        int n = 0;
        for (;; n++) {
            std::vector<uint8_t> v(length_of(job, n), (uint8_t)n);
            memcpy(v.data(), &n, sizeof n);
            e = serry_conn_send(p.a, v.data(), v.size(), early ? patience(0.3) : patience(20));
            if (e != SERRY_OK)
                break;
        }
        killer.join();
        EXPECT_EQ(end_of(child), -SIGKILL);
        if (early && e == SERRY_ETIMEDOUT) { /* then it is the maker's, with all that was sent */
            int value = -1;
            for (int i = 0; i < n; i++) {
                ASSERT_EQ(recv(p.b, &value), SERRY_OK) << i << ": " << serry_err_detail();
                ASSERT_EQ(value, i);
            }
            continue;
        }
        EXPECT_EQ(e, SERRY_EDIED) << "after " << n << ": " << serry_err_detail();
        expect_over(p.a, SERRY_EDIED);
    }
}

SERRY_RANKS_TEST(PipeDeaths, WithDataInFlightBothWays, .ranks({ 1 }).timeout(100))
{
    for (int round = 0; round < 20; round++) {
        Pipe p = make_pipe();
        Job job = { p.b, {}, 0, 0, 0, 0, round % 2 ? size_t(0) : size_t(30000) };
        serry_process child = start(keep_both, job);
        int value = -1;
        ASSERT_EQ(recv(p.a, &value), SERRY_OK);
        std::thread sender([&] {
            serry_err e;
            for (int i = 0; (e = send(p.a, i, length_of(job, i))) == SERRY_OK; i++)
                ;
            EXPECT_EQ(e, SERRY_EDIED) << serry_err_detail();
        });
        std::thread killer([&] {
            nap(0, 0.02);
            EXPECT_EQ(serry_process_kill(child), SERRY_OK);
        });
        serry_err end = SERRY_OK;
        drain(p.a, 1, &end);
        EXPECT_EQ(end, SERRY_EDIED);
        sender.join();
        killer.join();
        EXPECT_EQ(end_of(child), -SIGKILL);
    }
}

/* A signal that would end a program that writes to a closed pipe is not raised. */
SERRY_RANKS_TEST(PipeDeaths, RaiseNoSigpipe, .ranks({ 1 }))
{
    ASSERT_EQ(signal(SIGPIPE, [](int) { ADD_FAILURE() << "SIGPIPE"; }), SIG_DFL);
    Pipe p = make_pipe(), told = make_pipe();
    int value;
    serry_process child = start(keep_reading, { p.b, told.b, 0, 0, 0, 0, 0 });
    for (int i = 0; i < 100; i++)
        ASSERT_EQ(send(p.a, i), SERRY_OK);
    ASSERT_EQ(recv(told.a, &value), SERRY_OK);
    EXPECT_EQ(serry_process_kill(child), SERRY_OK);
    serry_err e;
    for (int i = 100; (e = send(p.a, i)) == SERRY_OK; i++)
        ;
    EXPECT_EQ(end_of(child), -SIGKILL);
    ASSERT_NE(signal(SIGPIPE, SIG_DFL), SIG_ERR);
}

/* ---- those that wait ---- */

int use_and_stay(const void *arg, size_t)
{
    Job job = *(const Job *)arg;
    int value;
    if (send(job.c, 1) != SERRY_OK)
        return 1;
    SERRY_IGNORE(recv(job.told, &value, SERRY_FOREVER));
    return 0;
}

/* In 50 ms by the promise; a busy machine gets more. */
SERRY_RANKS_TEST(PipeDeaths, AreToldToWhoWaits, .ranks({ 1 }))
{
    std::vector<double> times;
    for (int round = 0; round < 15; round++) {
        Pipe p = make_pipe(), q = make_pipe();
        serry_process child = start(use_and_stay, { p.b, q.b, 0, 0, 0, 0, 0 });
        int value;
        ASSERT_EQ(recv(p.a, &value), SERRY_OK);
        double killed = 0;
        std::thread killer([&] {
            nap(0.005, 0.02);
            killed = serry_time();
            EXPECT_EQ(serry_process_kill(child), SERRY_OK);
        });
        if (round % 3 == 0)
            EXPECT_EQ(recv(p.a, &value), SERRY_EDIED);
        else if (round % 3 == 1)
            EXPECT_EQ(serry_conn_poll(p.a, patience(20)), SERRY_OK);
        else
            EXPECT_EQ(send(p.a, 1, 1000000), SERRY_EDIED);
        double now = serry_time();
        killer.join();
        times.push_back(now - killed);
        EXPECT_EQ(end_of(child), -SIGKILL);
    }
    EXPECT_LT(median(times), 0.05 * patience(1));
}

/* The maker is killed: its end is dead if it has used it; if not, who comes may still use it. */
int make_and_die(const void *arg, size_t)
{
    Job job = *(const Job *)arg;
    Pipe p = make_pipe();
    int value = 0;
    if (job.n)
        SERRY_CHECK(serry_conn_send(p.a, &value, sizeof value, SERRY_FOREVER));
    SERRY_CHECK(serry_conn_send(job.c, &p, sizeof p, SERRY_FOREVER));
    SERRY_IGNORE(serry_conn_recv(job.c, &value, sizeof value, nullptr, SERRY_FOREVER));
    return 0;
}

SERRY_RANKS_TEST(PipeDeaths, OfTheMaker, .ranks({ 1 }))
{
    for (int used = 0; used < 2; used++) {
        Pipe p = make_pipe(), q = {};
        int value = -1;
        serry_process maker = start(make_and_die, { p.b, {}, 0, 0, used, 0, 0 });
        ASSERT_EQ(serry_conn_recv(p.a, &q, sizeof q, nullptr, SERRY_FOREVER), SERRY_OK);
        EXPECT_EQ(serry_process_kill(maker), SERRY_OK);
        EXPECT_EQ(end_of(maker), -SIGKILL);
        if (used)
            EXPECT_EQ(recv(q.b, &value), SERRY_OK);
        EXPECT_EQ(recv(q.b, &value), SERRY_EDIED) << serry_err_detail();
        EXPECT_EQ(send(q.b, 1), SERRY_EDIED);
        if (used) {
            EXPECT_EQ(send(q.a, 1), SERRY_EPERM);
            continue;
        }
        EXPECT_EQ(send(q.a, 3), SERRY_OK) << serry_err_detail();
        EXPECT_EQ(recv(q.b, &value), SERRY_OK) << serry_err_detail();
        EXPECT_EQ(value, 3);
    }
}

/* ---- giving and dying ---- */

int take_some_and_give(const void *arg, size_t)
{
    Job job = *(const Job *)arg;
    int value;
    for (int i = 0; i < job.n; i++) {
        if (recv(job.c, &value) != SERRY_OK || value != i)
            return 1;
    }
    sri_point_choose(job.point, (unsigned)job.count);
    return serry_conn_give(job.c, job.to) == SERRY_OK ? 0 : 2;
}

/* A giver that dies at any point: the new owner, if it has become that, gets a run of what the
 * giver had not taken, without a gap; then everything, or SERRY_EDIED. */
SERRY_RANKS_TEST(PipeDeaths, AGiverMayDieAnywhere, .ranks({ 1 }).timeout(100))
{
    const int n = 200, taken = 50;
    int died = 0;
    for (int point : { 86, 87, 88 }) {
        for (int count : { 1, 2, 30, 140 }) {
            Pipe p = make_pipe();
            serry_process child =
                start(take_some_and_give, { p.b, {}, point, count, taken, serry_rank(), 0 });
            int sent = 0;
            Job job = {};
            serry_err e = SERRY_OK;
            while (sent < n && (e = send(p.a, sent, length_of(job, sent))) == SERRY_OK)
                sent++;
            int code = end_of(child);
            EXPECT_TRUE(code == 0 || code == -SIGKILL) << code;
            died += code != 0;
            if (code == 0)
                ASSERT_EQ(e, SERRY_OK) << serry_err_detail();
            int value = -1;
            serry_err first = recv(p.b, &value);
            if (first == SERRY_EPERM) { /* it died with the end in its hands */
                EXPECT_NE(code, 0);
                expect_over(p.a, SERRY_EDIED);
                continue;
            }
            int next = taken;
            while (first == SERRY_OK) {
                ASSERT_EQ(value, next);
                if (++next == sent && code == 0)
                    break;
                first = recv(p.b, &value);
            }
            if (code != 0)
                EXPECT_EQ(first, SERRY_EDIED) << serry_err_detail();
            else
                EXPECT_EQ(next, n);
        }
    }
    EXPECT_GT(died, 3);
}

/* The writer dies while the other end is on its way. */
SERRY_RANKS_TEST(PipeDeaths, OfTheWriterWhileTheOtherEndIsGiven, .ranks({ 1 }).timeout(100))
{
    for (int round = 0; round < 20; round++) {
        Pipe p = make_pipe(), told = make_pipe();
        size_t len = round % 2 ? 0 : 4;
        int value = -1, last = 20 + round * 10 - 1;
        serry_process w = start(keep_writing, { p.a, told.b, 0, 0, 0, 0, len });
        serry_process g = start(take_some_and_give, { p.b, {}, 0, 0, last + 1, serry_rank(), 0 });
        ASSERT_EQ(recv(told.a, &value), SERRY_OK);
        nap(0, 0.03);
        EXPECT_EQ(serry_process_kill(w), SERRY_OK);
        EXPECT_EQ(end_of(w), -SIGKILL);
        int code = end_of(g);
        if (code != 0)
            continue; /* it was too early */
        serry_err e;
        while ((e = recv(p.b, &value)) == SERRY_OK) {
            ASSERT_EQ(value, last + 1);
            last = value;
        }
        EXPECT_EQ(e, SERRY_EDIED) << serry_err_detail();
    }
}

/* A new owner that dies before it has read anything, or in the middle. */
SERRY_RANKS_TEST(PipeDeaths, OfTheNewOwner, .ranks({ 1 }).timeout(100))
{
    for (int round = 0; round < 20; round++) {
        Pipe p = make_pipe(), q = make_pipe();
        serry_process child = start(use_and_stay, { q.b, q.b, 0, 0, 0, 0, 0 });
        int value;
        ASSERT_EQ(recv(q.a, &value), SERRY_OK);
        serry_process w = start(keep_writing, { p.a, {}, 0, 0, 0, 0, 0 });
        for (int i = 0; i < round; i++)
            ASSERT_EQ(recv(p.b, &value), SERRY_OK);
        std::thread killer([&] {
            nap(0, 0.01);
            EXPECT_EQ(serry_process_kill(child), SERRY_OK);
        });
        serry_err e = serry_conn_give(p.b, rank_of(child));
        EXPECT_TRUE(e == SERRY_OK || e == SERRY_EDIED) << serry_err_detail();
        killer.join();
        EXPECT_EQ(end_of(child), -SIGKILL);
        if (e == SERRY_OK) {
            EXPECT_EQ(end_of(w), 1); /* its send has failed */
        } else {
            EXPECT_EQ(recv(p.b, &value), SERRY_OK);
            EXPECT_EQ(serry_conn_close(p.b), SERRY_OK);
            EXPECT_EQ(end_of(w), 1);
        }
    }
}

/* ---- ranks ---- */

SERRY_RANKS_BODY(rank_1_dies_with_pipes)
{
    Pipe p[3] = {};
    int me = serry_rank();
    if (me == 0)
        for (Pipe &one : p)
            one = make_pipe();
    ASSERT_EQ(serry_world_bcast(p, sizeof p, 0), SERRY_OK);
    if (me == 1) {
        for (int i = 0; i < 500; i++)
            ASSERT_EQ(send(p[i % 3].b, i / 3), SERRY_OK);
        raise(SIGKILL);
    }
    for (int k = 0; k < 3; k++) {
        serry_err end = SERRY_OK;
        EXPECT_EQ(drain(p[k].a, 0, &end), 500 / 3 + (k < 500 % 3));
        EXPECT_EQ(end, SERRY_EDIED) << serry_err_detail();
        EXPECT_TRUE(has(serry_err_detail(), "rank 1")) << serry_err_detail();
        expect_over(p[k].a, SERRY_EDIED);
    }
}

TEST(PipeDeaths, OfALaunchedRank)
{
    for (Lanes lanes : { shm, socket }) {
        RankOptions o;
        o.run_flags = { "--keep-going" };
        RanksResult r = try_ranks(2, lanes, "rank_1_dies_with_pipes", o);
        EXPECT_TRUE(hand_on(r)) << name_of(lanes);
        EXPECT_FALSE(r.program.timed_out) << r.program;
        EXPECT_EQ(r.program.code, 128 + SIGKILL) << r.program;
        EXPECT_TRUE(r.program.left_behind.empty()) << r.program;
    }
}

} // namespace
