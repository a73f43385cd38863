// ctest: timeout=120
/* What errors say: each names the kind of object and its name, or its number if it has none, what
 * is the matter, and the time that was waited. One table of object and error, gone through with
 * names and without, by the rank that made the objects and by one that was only given the handles.
 */
#include "patterns/sync_test.h"

#include <functional>
#include <regex>

using namespace serry_test;

namespace {

/* What the rows are about. The rank that does not ask holds the lock; the queue `full` has one item
 * of 4 bytes, `jobs` none, `list` one item; the semaphore has no permit, the event is clear. */
struct Things {
    serry_lock lock, free_lock;
    serry_semaphore semaphore, filled;
    serry_event event;
    serry_condition condition;
    serry_barrier barrier, broken;
    serry_queue jobs, full, closed;
    serry_conn end, other_end;
    serry_value value;
    serry_array array;
    serry_list list;
    serry_dict dict;
    serry_lock no_lock;
    serry_semaphore no_semaphore;
    serry_event no_event;
    serry_queue no_queue;
    serry_list no_list;
};

void must(serry_err e)
{
    ASSERT_EQ(e, SERRY_OK) << serry_err_detail();
}

/* The address of options with that name, if there are to be names. */
template <typename Options>
struct Named {
    Options o = {};
    Named(bool named, const char *name) { o.name = named ? name : nullptr; }
    operator const Options *() const { return &o; }
};

Things make_things(bool named)
{
    Things t = {};
    uint32_t four = 4;
    double three = 3;
    using Shared = Named<serry_shared_options>;
    must(serry_lock_create(&t.lock, Named<serry_lock_options>(named, "gate")));
    must(serry_lock_create(&t.free_lock, Named<serry_lock_options>(named, "free")));
    must(serry_semaphore_create(&t.semaphore, 0, Named<serry_semaphore_options>(named, "cups")));
    Named<serry_semaphore_options> bounded(named, "filled");
    bounded.o.bounded = true;
    must(serry_semaphore_create(&t.filled, 1, bounded));
    must(serry_event_create(&t.event, Named<serry_event_options>(named, "go")));
    must(serry_condition_create(&t.condition, t.free_lock,
                                Named<serry_condition_options>(named, "news")));
    must(serry_barrier_create(&t.barrier, 2, Named<serry_barrier_options>(named, "line")));
    must(serry_barrier_create(&t.broken, 2, Named<serry_barrier_options>(named, "broken")));
    must(serry_barrier_abort(t.broken));
    must(serry_queue_create(&t.jobs, Named<serry_queue_options>(named, "jobs")));
    Named<serry_queue_options> one(named, "full");
    one.o.capacity = 1;
    must(serry_queue_create(&t.full, one));
    must(serry_queue_put(t.full, &four, sizeof four, SERRY_NOWAIT));
    must(serry_queue_create(&t.closed, Named<serry_queue_options>(named, "closed")));
    must(serry_queue_close(t.closed));
    must(serry_pipe_create(&t.end, &t.other_end, true));
    must(serry_value_create(&t.value, SERRY_DOUBLE, &three, Shared(named, "depth")));
    must(serry_array_create(&t.array, SERRY_DOUBLE, 10, Shared(named, "row")));
    must(serry_list_create(&t.list, Shared(named, "todo")));
    must(serry_list_append(t.list, "item", 4));
    must(serry_dict_create(&t.dict, Shared(named, "space")));
    must(serry_dict_put(t.dict, "key", "value", 5));
    must(serry_lock_create(&t.no_lock, nullptr));
    must(serry_lock_destroy(t.no_lock));
    must(serry_semaphore_create(&t.no_semaphore, 0, nullptr));
    must(serry_semaphore_destroy(t.no_semaphore));
    must(serry_event_create(&t.no_event, nullptr));
    must(serry_event_destroy(t.no_event));
    must(serry_queue_create(&t.no_queue, nullptr));
    must(serry_queue_destroy(t.no_queue));
    must(serry_list_create(&t.no_list, nullptr));
    must(serry_list_destroy(t.no_list));
    return t;
}

void end_things(const Things &t)
{
    must(serry_condition_destroy(t.condition));
    must(serry_lock_destroy(t.lock));
    must(serry_lock_destroy(t.free_lock));
    must(serry_semaphore_destroy(t.semaphore));
    must(serry_semaphore_destroy(t.filled));
    must(serry_event_destroy(t.event));
    must(serry_barrier_destroy(t.barrier));
    must(serry_barrier_destroy(t.broken));
    must(serry_queue_destroy(t.jobs));
    must(serry_queue_destroy(t.full));
    must(serry_queue_destroy(t.closed));
    must(serry_conn_close(t.end));
    must(serry_value_destroy(t.value));
    must(serry_array_destroy(t.array));
    must(serry_list_destroy(t.list));
    must(serry_dict_destroy(t.dict));
}

bool never(void *)
{
    return false;
}

char small[1];
size_t len;
double numbers[20];
constexpr double moment = 0.02;
const char after[] = ", after 0.02 s";

struct Row {
    const char *kind, *name; /* a name of nullptr: it never has one */
    serry_err e;
    std::string says; /* a regular expression; HOLDER: the rank that holds the lock */
    std::function<serry_err(const Things &)> call;
};

#define CALL(expression)                                                                           \
    [](const Things &t) {                                                                          \
        (void)t;                                                                                   \
        return (expression);                                                                       \
    }

/* The caller holds the free lock during the call. */
template <typename Call>
std::function<serry_err(const Things &)> holding(Call call)
{
    return [call](const Things &t) {
        must(serry_lock_acquire(t.free_lock, SERRY_FOREVER));
        serry_err e = call(t);
        std::string said = serry_err_detail();
        must(serry_lock_release(t.free_lock));
        EXPECT_EQ(said, serry_err_detail()) << "a call that succeeds leaves the text alone";
        return e;
    };
}

const Row rows[] = {
    { "lock", "gate", SERRY_ETIMEDOUT, "held by rank HOLDER", CALL(serry_lock_acquire(t.lock, 0)) },
    { "lock", "gate", SERRY_ETIMEDOUT, std::string("held by rank HOLDER") + after,
      CALL(serry_lock_acquire(t.lock, moment)) },
    { "lock", "gate", SERRY_EPERM, "this process does not hold it",
      CALL(serry_lock_release(t.lock)) },
    { "lock", "free", SERRY_EDEADLOCK, "this thread holds it already, and it is not recursive",
      holding(CALL(serry_lock_acquire(t.free_lock, SERRY_FOREVER))) },
    { "lock", "free", SERRY_ETIMEDOUT, "this thread holds it already",
      holding(CALL(serry_lock_acquire(t.free_lock, 0))) },
    { "lock", nullptr, SERRY_EHANDLE, "", CALL(serry_lock_acquire(t.no_lock, 0)) },

    { "semaphore", "cups", SERRY_ETIMEDOUT, "no permit is free",
      CALL(serry_semaphore_acquire(t.semaphore, 0)) },
    { "semaphore", "cups", SERRY_ETIMEDOUT, std::string("no permit is free") + after,
      CALL(serry_semaphore_acquire(t.semaphore, moment)) },
    { "semaphore", "filled", SERRY_EINVAL, "its value is 1 already, the most it may be",
      CALL(serry_semaphore_release(t.filled)) },
    { "semaphore", nullptr, SERRY_EHANDLE, "", CALL(serry_semaphore_release(t.no_semaphore)) },

    { "event", "go", SERRY_ETIMEDOUT, "clear", CALL(serry_event_wait(t.event, 0)) },
    { "event", "go", SERRY_ETIMEDOUT, std::string("clear") + after,
      CALL(serry_event_wait(t.event, moment)) },
    { "event", nullptr, SERRY_EHANDLE, "", CALL(serry_event_set(t.no_event)) },

    { "lock", "free", SERRY_EPERM, "this process does not hold it",
      CALL(serry_condition_wait(t.condition, moment)) },
    { "condition", "news", SERRY_ETIMEDOUT, "not notified",
      holding(CALL(serry_condition_wait(t.condition, 0))) },
    { "condition", "news", SERRY_ETIMEDOUT, std::string("not notified") + after,
      holding(CALL(serry_condition_wait(t.condition, moment))) },
    { "condition", "news", SERRY_ETIMEDOUT, std::string("what is waited for is not true") + after,
      holding(CALL(serry_condition_wait_for(t.condition, never, nullptr, moment))) },

    { "barrier", "line", SERRY_ETIMEDOUT, "0 of 2 parties are here",
      CALL((must(serry_barrier_reset(t.barrier)), serry_barrier_wait(t.barrier, nullptr, 0))) },
    { "barrier", "line", SERRY_ETIMEDOUT, std::string("1 of 2 parties came") + after,
      CALL(
          (must(serry_barrier_reset(t.barrier)), serry_barrier_wait(t.barrier, nullptr, moment))) },
    { "barrier", "broken", SERRY_EBROKEN, "broken: aborted by rank 0",
      CALL(serry_barrier_wait(t.broken, nullptr, moment)) },

    { "queue", "jobs", SERRY_ETIMEDOUT, "empty", CALL(serry_queue_get(t.jobs, small, 1, &len, 0)) },
    { "queue", "jobs", SERRY_ETIMEDOUT, std::string("empty") + after,
      CALL(serry_queue_get(t.jobs, small, 1, &len, moment)) },
    { "queue", "jobs", SERRY_EINVAL, "task_done: all items are done already",
      CALL(serry_queue_task_done(t.jobs)) },
    { "queue", "full", SERRY_ETIMEDOUT, "full, with 1 item",
      CALL(serry_queue_put(t.full, small, 1, 0)) },
    { "queue", "full", SERRY_ETIMEDOUT, std::string("full, with 1 item") + after,
      CALL(serry_queue_put(t.full, small, 1, moment)) },
    { "queue", "full", SERRY_ETIMEDOUT, std::string("1 item is not done") + after,
      CALL(serry_queue_join(t.full, moment)) },
    { "queue", "full", SERRY_ETRUNC, "the item has 4 bytes, the buffer 1",
      CALL(serry_queue_get(t.full, small, 1, &len, moment)) },
    { "queue", "closed", SERRY_ECLOSED, "closed", CALL(serry_queue_put(t.closed, small, 1, 0)) },
    { "queue", "closed", SERRY_ECLOSED, "closed",
      CALL(serry_queue_get(t.closed, small, 1, &len, 0)) },
    { "queue", nullptr, SERRY_EHANDLE, "", CALL(serry_queue_put(t.no_queue, small, 1, 0)) },

    { "array", "row", SERRY_EINVAL, "3 elements from 9 on, it has 10",
      CALL(serry_array_get(t.array, 9, 3, numbers)) },
    { "list", "todo", SERRY_EINVAL, "index 5, it has 1 item",
      CALL(serry_list_get(t.list, 5, small, 1, &len)) },
    { "list", "todo", SERRY_ETRUNC, "the item has 4 bytes, the buffer 1",
      CALL(serry_list_get(t.list, 0, small, 1, &len)) },
    { "list", nullptr, SERRY_EHANDLE, "", CALL(serry_list_append(t.no_list, small, 1)) },
    { "dict", "space", SERRY_ENOKEY, "no key 'other'",
      CALL(serry_dict_get(t.dict, "other", small, 1, &len)) },
    { "dict", "space", SERRY_EINVAL, "the value has 5 bytes, 1 are expected",
      CALL(serry_dict_get(t.dict, "key", small, 1, nullptr)) },
};

/* How one is called that has no name, as an expression: lock #3, lock #3 of node 0. */
std::string numbered(const char *kind)
{
    return std::string(kind) + " #[0-9]+" + (serry_nodes() > 1 ? " of node 0" : "");
}

std::string called(const Row &row, bool named)
{
    if (named && row.name)
        return std::string(row.kind) + " \"" + row.name + "\"";
    return numbered(row.kind);
}

void expect_said(const Row &row, bool named, int holder)
{
    std::string says = row.says, rank = "HOLDER", of = called(row, named);
    if (says.find(rank) != std::string::npos)
        says.replace(says.find(rank), rank.size(), std::to_string(holder));
    says = row.e == SERRY_EHANDLE ? of + "(: destroyed| was destroyed, or never was)"
                                  : of + ": " + says;
    EXPECT_TRUE(std::regex_match(serry_err_detail(), std::regex(says)))
        << "said: " << serry_err_detail() << "\nexpected: " << says;
}

/* asks: goes through the table; the other one holds the lock meanwhile. */
void go_through(const Things &t, bool named, int asks)
{
    int me = serry_rank(), holder = 1 - asks;
    if (me == holder)
        must(serry_lock_acquire(t.lock, SERRY_FOREVER));
    barrier();
    for (const Row &row : rows) {
        if (me != asks)
            break;
        EXPECT_EQ(row.call(t), row.e) << row.kind << ": " << row.says << ": " << serry_err_detail();
        expect_said(row, named, holder);
    }
    barrier();
    if (me == holder)
        must(serry_lock_release(t.lock));
    barrier();
}

SERRY_RANKS_TEST(ErrorTexts, NameTheObjectAndWhatIsTheMatter, .ranks({ 2 }))
{
    for (bool named : { true, false }) {
        Things t = {};
        if (serry_rank() == 0) {
            t = make_things(named);
            must(serry_send(1, 0, &t, sizeof t));
        } else {
            must(serry_recv(0, 0, &t, sizeof t, nullptr, SERRY_FOREVER));
        }
        barrier();
        go_through(t, named, 0);
        go_through(t, named, 1);
        if (serry_rank() == 0)
            end_things(t);
        barrier();
    }
}

/* ---- pipes, which have no names ---- */

void expect_matches(const std::string &expression)
{
    EXPECT_TRUE(std::regex_match(serry_err_detail(), std::regex(expression)))
        << "said: " << serry_err_detail() << "\nexpected: " << expression;
}

SERRY_RANKS_TEST(ErrorTexts, OfPipesGiveTheirNumber, .ranks({ 1 }))
{
    serry_conn in, out;
    const std::string of = numbered("pipe") + ": ";
    must(serry_pipe_create(&in, &out, false));
    EXPECT_EQ(serry_conn_recv(in, small, 1, &len, moment), SERRY_ETIMEDOUT);
    expect_matches(of + "no message came" + after);
    EXPECT_EQ(serry_conn_poll(in, 0), SERRY_ETIMEDOUT);
    expect_matches(of + "no message came");
    EXPECT_EQ(serry_conn_recv(out, small, 1, &len, 0), SERRY_EPERM);
    expect_matches(of + "this end only sends");
    must(serry_conn_send(out, "four", 4, 1));
    EXPECT_EQ(serry_conn_recv(in, small, 1, &len, 1), SERRY_ETRUNC);
    expect_matches(of + "the message has 4 bytes, the buffer 1");
    must(serry_conn_close(out));
    char four[4];
    must(serry_conn_recv(in, four, 4, &len, 1));
    EXPECT_EQ(serry_conn_recv(in, small, 1, &len, 1), SERRY_ECLOSED);
    expect_matches(of + "the other end is closed");
    must(serry_conn_close(in));
}

/* ---- pools ---- */

int waits_for_ever(serry_task *t, const void *, size_t)
{
    (void)t;
    for (;;)
        usleep(1000);
    return 0;
}

SERRY_RANKS_TEST(ErrorTexts, OfPoolsAndTheirTasks, .ranks({ 1 }))
{
    for (const char *name : { "work", (const char *)nullptr }) {
        serry_pool *pool;
        serry_future *f;
        const std::string of = (name ? "pool \"work\"" : numbered("pool")) + ": ";
        serry_pool_options o = {};
        o.workers = 1;
        o.isolate = true;
        o.name = name;
        must(serry_pool_create(&pool, &o));
        EXPECT_EQ(serry_pool_join(pool, 1), SERRY_ESTATE);
        expect_matches(of + "neither closed nor terminated");
        must(serry_pool_submit(&f, pool, waits_for_ever, nullptr, 0));
        EXPECT_EQ(serry_future_get(f, nullptr, 0, nullptr, 0), SERRY_ETIMEDOUT);
        expect_matches(of + "the task has not ended");
        EXPECT_EQ(serry_future_get(f, nullptr, 0, nullptr, moment), SERRY_ETIMEDOUT);
        expect_matches(of + "the task has not ended" + after);
        must(serry_pool_close(pool));
        EXPECT_EQ(serry_pool_join(pool, moment), SERRY_ETIMEDOUT);
        expect_matches(of + "not ended" + after);
        EXPECT_EQ(serry_pool_submit(&f, pool, waits_for_ever, nullptr, 0), SERRY_ECLOSED);
        expect_matches(of + "closed, it takes no more tasks");
        must(serry_pool_terminate(pool));
        EXPECT_EQ(serry_pool_submit(&f, pool, waits_for_ever, nullptr, 0), SERRY_ECLOSED);
        expect_matches(of + "terminated, it takes no more tasks");
        serry_future_free(f);
        serry_pool_destroy(pool);
    }
}

/* ---- messages ---- */

SERRY_RANKS_TEST(ErrorTexts, OfMessagesSayFromWhomWithWhichTagAndHowLong, .ranks({ 2 }))
{
    int other = 1 - serry_rank(), x;
    serry_request r[2];
    EXPECT_EQ(serry_recv(other, 7, &x, sizeof x, nullptr, 0), SERRY_ETIMEDOUT);
    EXPECT_EQ(serry_err_detail(), "no message of rank " + std::to_string(other) + ", tag 7");
    EXPECT_EQ(serry_recv(SERRY_ANY, 7, &x, sizeof x, nullptr, moment), SERRY_ETIMEDOUT);
    EXPECT_EQ(serry_err_detail(), std::string("no message of any rank, tag 7") + after);
    EXPECT_EQ(serry_probe(SERRY_ANY, SERRY_ANY, nullptr, moment), SERRY_ETIMEDOUT);
    EXPECT_EQ(serry_err_detail(), std::string("no message of any rank, any tag") + after);
    must(serry_irecv(&r[0], other, 7, &x, sizeof x));
    must(serry_irecv(&r[1], SERRY_ANY, 8, &x, sizeof x));
    EXPECT_EQ(serry_wait(&r[1], nullptr, 0), SERRY_ETIMEDOUT);
    EXPECT_STREQ(serry_err_detail(), "a receive of any rank, tag 8, did not finish");
    std::string first = "2 requests did not finish, the first of them a receive of rank "
                        + std::to_string(other) + ", tag 7" + after;
    EXPECT_EQ(serry_wait_all(r, 2, nullptr, moment), SERRY_ETIMEDOUT);
    EXPECT_EQ(serry_err_detail(), first);
    EXPECT_EQ(serry_wait_any(r, 2, nullptr, nullptr, moment), SERRY_ETIMEDOUT);
    EXPECT_EQ(serry_err_detail(), first);
    must(serry_cancel(&r[0]));
    must(serry_cancel(&r[1]));
    barrier();
}

} // namespace
