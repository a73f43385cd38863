// ctest: queue timeout=120 nodes own
/* What Python's own tests ask of queues and no other test here does; docs/conformance.md has the
 * whole list. */
#include "conformance/process_test.h"

using namespace serry_test;

namespace {

serry_queue make_queue(size_t capacity = 0)
{
    serry_queue q = {};
    serry_queue_options o = {};
    o.capacity = capacity;
    EXPECT_EQ(serry_queue_create(&q, &o), SERRY_OK) << serry_err_detail();
    return q;
}

serry_err put(serry_queue q, int value, double timeout = SERRY_NOWAIT)
{
    return serry_queue_put(q, &value, sizeof value, timeout);
}

int must_get(serry_queue q, double timeout = SERRY_NOWAIT)
{
    int value = -1;
    EXPECT_EQ(serry_queue_get(q, &value, sizeof value, nullptr, timeout), SERRY_OK)
        << serry_err_detail();
    return value;
}

size_t size_of(serry_queue q)
{
    size_t n = 12345;
    EXPECT_EQ(serry_queue_size(q, &n), SERRY_OK) << serry_err_detail();
    return n;
}

/* ---- an item that cannot be put ---- */

SERRY_RANKS_TEST(QueueRows, AnItemThatCannotBePutTakesNoRoom,
                 .ranks({ 1 }).env("SERRY_MAX_MESSAGE", "1000"))
{
    serry_queue q = make_queue(1);
    std::vector<char> large(1001);
    for (int i = 0; i < 20; i++) {
        EXPECT_EQ(serry_queue_put(q, large.data(), large.size(), SERRY_FOREVER), SERRY_ELIMIT);
        EXPECT_EQ(size_of(q), 0u);
        EXPECT_EQ(put(q, i), SERRY_OK) << "the room is lost in round " << i;
        EXPECT_EQ(serry_queue_put(q, large.data(), large.size(), SERRY_NOWAIT), SERRY_ELIMIT)
            << "not that it is full";
        EXPECT_EQ(must_get(q), i);
    }
}

/* ---- full and empty, for parent and child alike ---- */

int see_size(const void *arg, size_t len)
{
    serry_queue q = argument<serry_queue>(arg, len);
    for (;;) {
        int want = hear<int>(0, 1);
        if (want < 0)
            return 0;
        EXPECT_EQ(size_of(q), (size_t)want);
        int value;
        if (want == 0)
            EXPECT_EQ(serry_queue_get(q, &value, sizeof value, nullptr, SERRY_NOWAIT),
                      SERRY_ETIMEDOUT);
        tell(0, 2, want);
    }
}

PROCESS_TEST(AQueueIsAsEmptyForTheChildAsForTheParent)
{
    serry_queue q = make_queue();
    serry_process p = start_with(see_size, q);
    int child = info_of(p).rank;
    for (int n : { 0, 1, 2, 3 }) {
        EXPECT_EQ(size_of(q), (size_t)n);
        tell(child, 1, n);
        EXPECT_EQ(hear<int>(child, 2), n);
        EXPECT_EQ(put(q, n), SERRY_OK);
    }
    for (int n : { 3, 2, 1, 0 }) {
        EXPECT_EQ(must_get(q), 3 - n);
        tell(child, 1, n);
        EXPECT_EQ(hear<int>(child, 2), n);
    }
    tell(child, 1, -1);
    EXPECT_EQ(join(p), 0);
}

int fill(const void *arg, size_t len)
{
    serry_queue q = argument<serry_queue>(arg, len);
    for (int i = 1; i < 5; i++)
        EXPECT_EQ(put(q, i), SERRY_OK) << i;
    EXPECT_EQ(put(q, 5), SERRY_ETIMEDOUT);
    tell(0, 3, (int)size_of(q));
    EXPECT_EQ(hear<int>(0, 4), 0);
    EXPECT_EQ(must_get(q), 1) << "the parent has taken 0";
    EXPECT_EQ(put(q, 5), SERRY_OK);
    EXPECT_EQ(put(q, 6), SERRY_OK);
    EXPECT_EQ(put(q, 7), SERRY_ETIMEDOUT);
    return 0;
}

PROCESS_TEST(ABoundedQueueIsFullForParentAndChild)
{
    serry_queue q = make_queue(5);
    EXPECT_EQ(put(q, 0), SERRY_OK);
    serry_process p = start_with(fill, q);
    EXPECT_EQ(hear<int>(1, 3), 5);
    EXPECT_EQ(size_of(q), 5u);
    EXPECT_EQ(put(q, 9), SERRY_ETIMEDOUT);
    EXPECT_EQ(put(q, 9, 0.02), SERRY_ETIMEDOUT);
    EXPECT_EQ(must_get(q), 0);
    tell(1, 4, 0);
    EXPECT_EQ(join(p), 0);
    for (int i : { 2, 3, 4, 5, 6 })
        EXPECT_EQ(must_get(q), i);
    EXPECT_EQ(size_of(q), 0u);
}

/* ---- closed, and gone ---- */

SERRY_RANKS_TEST(QueueRows, AClosedQueueTellsWhatIsLeftInIt, .ranks({ 1 }))
{
    for (size_t capacity : { size_t(0), size_t(4) }) {
        serry_queue q = make_queue(capacity);
        for (int i = 0; i < 3; i++)
            EXPECT_EQ(put(q, i), SERRY_OK);
        for (int k = 0; k < 2; k++) {
            EXPECT_EQ(serry_queue_close(q), SERRY_OK) << serry_err_detail();
            EXPECT_EQ(size_of(q), 3u);
        }
        EXPECT_EQ(put(q, 3), SERRY_ECLOSED);
        EXPECT_STRNE(serry_err_detail(), "");
        for (int i = 0; i < 3; i++) {
            EXPECT_EQ(must_get(q), i);
            EXPECT_EQ(size_of(q), 2u - (size_t)i);
        }
        int value = 5;
        EXPECT_EQ(serry_queue_get(q, &value, sizeof value, nullptr, SERRY_FOREVER), SERRY_ECLOSED);
        EXPECT_EQ(value, 5);
        EXPECT_EQ(size_of(q), 0u);
        EXPECT_EQ(serry_queue_destroy(q), SERRY_OK) << serry_err_detail();
        size_t n = 77;
        EXPECT_EQ(serry_queue_size(q, &n), SERRY_EHANDLE);
        EXPECT_EQ(serry_queue_close(q), SERRY_EHANDLE);
        EXPECT_EQ(n, 77u);
    }
}

/* ---- tasks done ---- */

int do_tasks(const void *arg, size_t len)
{
    serry_queue q = argument<serry_queue>(arg, len);
    for (int i = 0; i < 10; i++) {
        must_get(q, patience(20));
        EXPECT_EQ(serry_queue_task_done(q), SERRY_OK) << serry_err_detail();
    }
    return 0;
}

int join_queue(const void *arg, size_t len)
{
    serry_queue q = argument<serry_queue>(arg, len);
    EXPECT_EQ(serry_queue_join(q, SERRY_NOWAIT), SERRY_ETIMEDOUT);
    tell(0, 5, 0);
    EXPECT_EQ(serry_queue_join(q, patience(20)), SERRY_OK) << serry_err_detail();
    return 0;
}

/* Whoever waits, whoever works: neither need be the one that made the queue or put the items. */
PROCESS_TEST(AnyProcessMayJoinAQueue)
{
    serry_queue q = make_queue();
    for (int i = 0; i < 20; i++)
        EXPECT_EQ(put(q, i), SERRY_OK);
    serry_process waiting = start_with(join_queue, q);
    hear<int>(1, 5);
    serry_process first = start_with(do_tasks, q);
    EXPECT_EQ(join(first), 0);
    EXPECT_EQ(serry_process_join(waiting, nullptr, SERRY_NOWAIT), SERRY_ETIMEDOUT)
        << "ten are left";
    serry_process second = start_with(do_tasks, q);
    EXPECT_EQ(join(second), 0);
    EXPECT_EQ(join(waiting), 0);
    EXPECT_EQ(serry_queue_join(q, SERRY_NOWAIT), SERRY_OK) << serry_err_detail();
}

} // namespace
