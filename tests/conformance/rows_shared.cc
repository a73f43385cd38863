// ctest: shared timeout=120
/* What Python's own tests ask of shared values and arrays with locks, and of waiting for several
 * pipes, and no other test here does; docs/conformance.md has the whole list. */
#include "conformance/process_test.h"

#include <random>

using namespace serry_test;

namespace {

/* ---- values and arrays under a lock ---- */

enum { ROUNDS = 100, LENGTH = 10 };

struct Locked {
    serry_lock l;
    serry_value v;
    serry_array a;
};

Locked make_locked()
{
    Locked x = {};
    EXPECT_EQ(serry_lock_create(&x.l, nullptr), SERRY_OK) << serry_err_detail();
    EXPECT_EQ(serry_value_create(&x.v, SERRY_INT32, nullptr, nullptr), SERRY_OK);
    EXPECT_EQ(serry_array_create(&x.a, SERRY_DOUBLE, LENGTH, nullptr), SERRY_OK);
    return x;
}

/* By two steps, between which others would come if there were no lock. */
int count_up(const void *arg, size_t len)
{
    Locked x = argument<Locked>(arg, len);
    for (int i = 0; i < ROUNDS; i++) {
        int32_t n = -1;
        EXPECT_EQ(serry_lock_acquire(x.l, patience(20)), SERRY_OK) << serry_err_detail();
        EXPECT_EQ(serry_value_get(x.v, &n), SERRY_OK) << serry_err_detail();
        n++;
        EXPECT_EQ(serry_value_set(x.v, &n), SERRY_OK) << serry_err_detail();
        EXPECT_EQ(serry_lock_release(x.l), SERRY_OK) << serry_err_detail();
    }
    return 0;
}

PROCESS_TEST(AValueUnderALockLosesNothing)
{
    Locked x = make_locked();
    serry_process ps[4];
    for (serry_process &p : ps)
        p = start_with(count_up, x);
    for (serry_process p : ps)
        EXPECT_EQ(join(p), 0);
    int32_t n = -1;
    EXPECT_EQ(serry_value_get(x.v, &n), SERRY_OK) << serry_err_detail();
    EXPECT_EQ(n, 4 * ROUNDS);
}

int rotate(const void *arg, size_t len)
{
    Locked x = argument<Locked>(arg, len);
    for (int i = 0; i < ROUNDS; i++) {
        double all[LENGTH];
        EXPECT_EQ(serry_lock_acquire(x.l, patience(20)), SERRY_OK) << serry_err_detail();
        EXPECT_EQ(serry_array_get(x.a, 0, LENGTH, all), SERRY_OK) << serry_err_detail();
        double first = all[0];
        memmove(all, all + 1, sizeof all - sizeof first);
        all[LENGTH - 1] = first;
        EXPECT_EQ(serry_array_set(x.a, 0, LENGTH, all), SERRY_OK) << serry_err_detail();
        EXPECT_EQ(serry_lock_release(x.l), SERRY_OK) << serry_err_detail();
    }
    return 0;
}

PROCESS_TEST(AnArrayUnderALockLosesNothing)
{
    Locked x = make_locked();
    double all[LENGTH];
    for (int i = 0; i < LENGTH; i++)
        all[i] = i;
    EXPECT_EQ(serry_array_set(x.a, 0, LENGTH, all), SERRY_OK) << serry_err_detail();
    serry_process ps[3];
    for (serry_process &p : ps)
        p = start_with(rotate, x);
    for (serry_process p : ps)
        EXPECT_EQ(join(p), 0);
    EXPECT_EQ(serry_array_get(x.a, 0, LENGTH, all), SERRY_OK) << serry_err_detail();
    for (int i = 0; i < LENGTH; i++)
        EXPECT_EQ(all[i], (i + 3 * ROUNDS) % LENGTH);
}

/* ---- waiting for several pipes ---- */

struct Sender {
    serry_conn c;
    int number;
};

int send_slowly(const void *arg, size_t len)
{
    Sender s = argument<Sender>(arg, len);
    std::mt19937 dice((unsigned)s.number);
    for (int i = 0; i < 10; i++) {
        usleep(dice() % 8000); /* a slow writer is what this is about */
        EXPECT_EQ(serry_conn_send(s.c, &i, sizeof i, patience(20)), SERRY_OK) << serry_err_detail();
    }
    return s.number;
}

PROCESS_TEST(SlowPipesArePolledUntilEachEnds)
{
    const int n = 4;
    serry_conn readers[n];
    serry_process ps[n];
    int seen[n] = {}, open = n;
    for (int i = 0; i < n; i++) {
        Sender s = { {}, i };
        ASSERT_EQ(serry_pipe_create(&readers[i], &s.c, false), SERRY_OK) << serry_err_detail();
        ps[i] = start_with(send_slowly, s);
    }
    bool ended[n] = {};
    double begin = serry_time();
    for (int i = 0; open > 0 && serry_time() - begin < patience(20); i = (i + 1) % n) {
        if (ended[i] || serry_conn_poll(readers[i], 0.001) == SERRY_ETIMEDOUT)
            continue;
        int value = -1;
        serry_err e = serry_conn_recv(readers[i], &value, sizeof value, nullptr, SERRY_NOWAIT);
        if (e == SERRY_OK) {
            EXPECT_EQ(value, seen[i]++);
        } else {
            EXPECT_EQ(e, SERRY_ECLOSED) << serry_err_detail();
            ended[i] = true;
            open--;
        }
    }
    for (int i = 0; i < n; i++) {
        EXPECT_EQ(seen[i], 10) << "of writer " << i;
        EXPECT_EQ(join(ps[i]), i);
        EXPECT_EQ(serry_conn_close(readers[i]), SERRY_OK) << serry_err_detail();
    }
}

int send_one_and_wait(const void *arg, size_t len)
{
    Sender s = argument<Sender>(arg, len);
    EXPECT_EQ(serry_conn_send(s.c, &s.number, sizeof s.number, patience(20)), SERRY_OK);
    return hear<int>(0, 9);
}

PROCESS_TEST(APollForAMessageEndsWithTheProcess)
{
    for (bool killed : { false, true }) {
        serry_conn mine;
        Sender s = { {}, 5 };
        ASSERT_EQ(serry_pipe_create(&mine, &s.c, false), SERRY_OK) << serry_err_detail();
        serry_process p = start_with(send_one_and_wait, s);
        int value = -1;
        ASSERT_EQ(serry_conn_poll(mine, patience(20)), SERRY_OK) << serry_err_detail();
        ASSERT_EQ(serry_conn_recv(mine, &value, sizeof value, nullptr, SERRY_NOWAIT), SERRY_OK);
        EXPECT_EQ(value, 5);
        EXPECT_EQ(serry_conn_poll(mine, 0.01), SERRY_ETIMEDOUT) << "it lives and says nothing";
        if (killed)
            EXPECT_EQ(serry_process_kill(p), SERRY_OK) << serry_err_detail();
        else
            tell(info_of(p).rank, 9, 4);
        EXPECT_EQ(serry_conn_poll(mine, patience(20)), SERRY_OK) << serry_err_detail();
        EXPECT_EQ(serry_conn_recv(mine, &value, sizeof value, nullptr, SERRY_NOWAIT),
                  killed ? SERRY_EDIED : SERRY_ECLOSED);
        EXPECT_EQ(join(p), killed ? -SIGKILL : 4);
        EXPECT_EQ(serry_conn_close(mine), SERRY_OK) << serry_err_detail();
    }
}

} // namespace
