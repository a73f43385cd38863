/* patterns/condition_test.h: what the tests of conditions share. */
#ifndef SERRY_CONDITION_TEST_H
#define SERRY_CONDITION_TEST_H

#include "patterns/lock_test.h"

namespace condition_test {

using namespace lock_test;

struct Job {
    serry_lock l;
    serry_condition c;
    double timeout;
    int n;
};

inline serry_condition make_condition(serry_lock l, const char *name = nullptr)
{
    serry_condition c = {};
    serry_condition_options o = {};
    o.name = serry_test::own_name(name);
    EXPECT_EQ(serry_condition_create(&c, l, &o), SERRY_OK) << serry_err_detail();
    return c;
}

inline Job make_job(bool recursive, double timeout = SERRY_FOREVER)
{
    Job job = {};
    job.l = make_lock(nullptr, recursive);
    job.c = make_condition(job.l);
    job.timeout = timeout;
    return job;
}

inline serry_err wait(const Job &job)
{
    return serry_condition_wait(job.c, job.timeout);
}

inline void notify(const Job &job, int n)
{
    EXPECT_EQ(acquire(job.l), SERRY_OK);
    EXPECT_EQ(serry_condition_notify(job.c, n), SERRY_OK) << serry_err_detail();
    EXPECT_EQ(release(job.l), SERRY_OK);
}

inline void notify_all(const Job &job)
{
    EXPECT_EQ(acquire(job.l), SERRY_OK);
    EXPECT_EQ(serry_condition_notify_all(job.c), SERRY_OK) << serry_err_detail();
    EXPECT_EQ(release(job.l), SERRY_OK);
}

/* Waits once under the lock; what wait said is the result. */
inline serry_err wait_once(const Job &job)
{
    EXPECT_EQ(acquire(job.l), SERRY_OK);
    serry_err e = wait(job);
    board().awake++;
    my_turn(job.n);
    EXPECT_EQ(release(job.l), SERRY_OK) << serry_err_detail();
    return e;
}

inline int waiter(const void *arg, size_t)
{
    return (int)wait_once(*(const Job *)arg);
}

inline bool await_awake(int n)
{
    return await([=] { return board().awake >= n; });
}

} // namespace condition_test

#endif
