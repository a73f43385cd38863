// ctest: timeout=120
/* Wrong arguments: each gives its error and a text that says what is wrong, changes nothing, and
 * leaves the world as usable as before. (Those of `serry run`: conformance/launcher.cc.) */
#include "fault/fault.h"

#include <cmath>
#include <functional>

using namespace serry_test;

namespace {

const double nan_ = std::nan("");
char byte_ = 0;

int end_at_once(const void *, size_t)
{
    return 0;
}

/* Things to misuse. */
struct World {
    serry_process self = serry_process_self();
    serry_process ended = {};
    serry_queue queue = {}, destroyed = {}, named = {};
    serry_request finished = {};
    int n = serry_size();

    World()
    {
        serry_queue_options o = {};
        o.name = "bad input";
        o.capacity = 5;
        EXPECT_EQ(serry_queue_create(&named, &o), SERRY_OK) << serry_err_detail();
        EXPECT_EQ(serry_queue_create(&queue, nullptr), SERRY_OK) << serry_err_detail();
        EXPECT_EQ(serry_queue_create(&destroyed, nullptr), SERRY_OK) << serry_err_detail();
        EXPECT_EQ(serry_queue_destroy(destroyed), SERRY_OK);
        EXPECT_EQ(serry_process_start(&ended, end_at_once, nullptr, 0, nullptr), SERRY_OK);
        EXPECT_EQ(serry_process_join(ended, nullptr, SERRY_FOREVER), SERRY_OK);
        EXPECT_EQ(serry_irecv(&finished, serry_rank(), 99, &byte_, 1), SERRY_OK);
        serry_request copy = finished;
        EXPECT_EQ(serry_cancel(&copy), SERRY_OK);
    }
};

struct Case {
    const char *what;
    serry_err expected;
    std::function<serry_err(World &)> call;
};

serry_err start(const void *arg, size_t len, const char *name, int node)
{
    serry_process p = {};
    serry_process_options o = {};
    o.name = name;
    o.node = node;
    serry_err e = serry_process_start(&p, end_at_once, arg, len, &o);
    EXPECT_EQ(p.id, 0u) << "set though it failed";
    return e;
}

serry_err make_queue(const char *name, size_t capacity, int node)
{
    serry_queue q = {};
    serry_queue_options o = {};
    o.name = name;
    o.capacity = capacity;
    o.node = node;
    serry_err e = serry_queue_create(&q, &o);
    EXPECT_EQ(q.id, 0u) << "set though it failed";
    return e;
}

const std::string long_name(100, 'x');
const size_t huge = SIZE_MAX / 2;

const std::vector<Case> message_cases = {
    { "send to a rank beyond", SERRY_EINVAL,
      [](World &w) { return serry_send(w.n + 1000, 0, &byte_, 1); } },
    { "send to the largest rank", SERRY_EINVAL,
      [](World &) { return serry_send(INT32_MAX, 0, &byte_, 1); } },
    { "send to any", SERRY_EINVAL, [](World &) { return serry_send(SERRY_ANY, 0, &byte_, 1); } },
    { "send to rank -3", SERRY_EINVAL, [](World &) { return serry_send(-3, 0, &byte_, 1); } },
    { "send with tag -1", SERRY_EINVAL, [](World &) { return serry_send(0, -1, &byte_, 1); } },
    { "send with the smallest tag", SERRY_EINVAL,
      [](World &) { return serry_send(0, INT32_MIN, &byte_, 1); } },
    { "send of NULL", SERRY_EINVAL, [](World &) { return serry_send(0, 0, nullptr, 1); } },
    { "send of too much", SERRY_ELIMIT, [](World &) { return serry_send(0, 0, &byte_, huge); } },
    { "isend into no request", SERRY_EINVAL,
      [](World &) { return serry_isend(nullptr, 0, 0, &byte_, 1); } },
    { "isend of NULL", SERRY_EINVAL,
      [](World &) {
          serry_request r;
          return serry_isend(&r, 0, 0, nullptr, 7);
      } },
    { "irecv into no request", SERRY_EINVAL,
      [](World &) { return serry_irecv(nullptr, 0, 0, &byte_, 1); } },
    { "irecv of rank -7", SERRY_EINVAL,
      [](World &) {
          serry_request r;
          return serry_irecv(&r, -7, 0, &byte_, 1);
      } },
    { "recv of rank -7", SERRY_EINVAL,
      [](World &) { return serry_recv(-7, 0, &byte_, 1, nullptr, 0); } },
    { "recv with tag -2", SERRY_EINVAL,
      [](World &) { return serry_recv(0, -2, &byte_, 1, nullptr, 0); } },
    { "recv into NULL", SERRY_EINVAL,
      [](World &) { return serry_recv(0, 0, nullptr, 1, nullptr, 0); } },
    { "recv with a NaN", SERRY_EINVAL,
      [](World &) { return serry_recv(0, 0, &byte_, 1, nullptr, nan_); } },
    { "recv with -1 s and nothing there", SERRY_ETIMEDOUT,
      [](World &) { return serry_recv(0, 77, &byte_, 1, nullptr, -1); } },
    { "recv with -infinity and nothing there", SERRY_ETIMEDOUT,
      [](World &) { return serry_recv(0, 77, &byte_, 1, nullptr, -INFINITY); } },
    { "probe with a NaN", SERRY_EINVAL, [](World &) { return serry_probe(0, 0, nullptr, nan_); } },
    { "probe of rank -9", SERRY_EINVAL, [](World &) { return serry_probe(-9, 0, nullptr, 0); } },
    { "sendrecv of NULL", SERRY_EINVAL,
      [](World &) { return serry_sendrecv(0, 0, nullptr, 1, 0, 0, &byte_, 1, nullptr); } },
    { "sendrecv into NULL", SERRY_EINVAL,
      [](World &) { return serry_sendrecv(0, 0, &byte_, 1, 0, 0, nullptr, 1, nullptr); } },
    { "sendrecv to any", SERRY_EINVAL,
      [](World &) { return serry_sendrecv(SERRY_ANY, 0, &byte_, 1, 0, 0, &byte_, 1, nullptr); } },
    { "wait for no request", SERRY_EINVAL,
      [](World &) { return serry_wait(nullptr, nullptr, SERRY_FOREVER); } },
    { "wait with a NaN", SERRY_EINVAL,
      [](World &w) { return serry_wait(&w.finished, nullptr, nan_); } },
    { "wait for a finished request", SERRY_EHANDLE,
      [](World &w) { return serry_wait(&w.finished, nullptr, SERRY_FOREVER); } },
    { "wait for nonsense", SERRY_EHANDLE,
      [](World &) {
          serry_request r = { UINT64_MAX };
          return serry_wait(&r, nullptr, SERRY_FOREVER);
      } },
    { "wait for a process", SERRY_EHANDLE,
      [](World &w) {
          serry_request r = { w.self.id };
          return serry_wait(&r, nullptr, SERRY_FOREVER);
      } },
    { "wait_any over NULL", SERRY_EINVAL,
      [](World &) {
          size_t which;
          return serry_wait_any(nullptr, 3, &which, nullptr, 0);
      } },
    { "wait_all over NULL", SERRY_EINVAL,
      [](World &) { return serry_wait_all(nullptr, 3, nullptr, 0); } },
    { "wait_all with a NaN", SERRY_EINVAL,
      [](World &w) { return serry_wait_all(&w.finished, 1, nullptr, nan_); } },
    { "cancel of no request", SERRY_EINVAL, [](World &) { return serry_cancel(nullptr); } },
    { "cancel of a finished request", SERRY_EHANDLE,
      [](World &w) { return serry_cancel(&w.finished); } },
};

const std::vector<Case> collective_cases = {
    { "bcast from a root beyond", SERRY_EINVAL,
      [](World &w) { return serry_world_bcast(&byte_, 1, w.n); } },
    { "bcast from root -1", SERRY_EINVAL,
      [](World &) { return serry_world_bcast(&byte_, 1, -1); } },
    { "bcast of NULL", SERRY_EINVAL, [](World &) { return serry_world_bcast(nullptr, 1, 0); } },
    { "allreduce of NULL", SERRY_EINVAL,
      [](World &) { return serry_world_allreduce(nullptr, &byte_, 1, SERRY_DOUBLE, SERRY_SUM); } },
    { "allreduce of no type", SERRY_EINVAL,
      [](World &) {
          double x = 0, y;
          return serry_world_allreduce(&x, &y, 1, (serry_type)1000, SERRY_SUM);
      } },
    { "allreduce by no operation", SERRY_EINVAL,
      [](World &) {
          double x = 0, y;
          return serry_world_allreduce(&x, &y, 1, SERRY_DOUBLE, (serry_op)1000);
      } },
    { "allreduce of too much", SERRY_ELIMIT,
      [](World &) {
          double x = 0, y;
          return serry_world_allreduce(&x, &y, huge, SERRY_DOUBLE, SERRY_SUM);
      } },
};

const std::vector<Case> process_cases = {
    { "start into nothing", SERRY_EINVAL,
      [](World &) { return serry_process_start(nullptr, end_at_once, nullptr, 0, nullptr); } },
    { "start of nothing", SERRY_EINVAL,
      [](World &) {
          serry_process p;
          return serry_process_start(&p, nullptr, nullptr, 0, nullptr);
      } },
    { "start with NULL of a length", SERRY_EINVAL,
      [](World &) { return start(nullptr, 5, nullptr, 0); } },
    { "start with too much", SERRY_ELIMIT,
      [](World &) { return start(&byte_, huge, nullptr, 0); } },
    { "start with an empty name", SERRY_EINVAL, [](World &) { return start(nullptr, 0, "", 0); } },
    { "start with a long name", SERRY_EINVAL,
      [](World &) { return start(nullptr, 0, long_name.c_str(), 0); } },
    { "start on another node", SERRY_EINVAL,
      [](World &) { return start(nullptr, 0, nullptr, 17); } },
    { "start on node -9", SERRY_EINVAL, [](World &) { return start(nullptr, 0, nullptr, -9); } },
    { "join of nothing", SERRY_EHANDLE,
      [](World &) { return serry_process_join(serry_process{}, nullptr, SERRY_FOREVER); } },
    { "join of nonsense", SERRY_EHANDLE,
      [](World &) {
          return serry_process_join(serry_process{ UINT64_MAX }, nullptr, SERRY_FOREVER);
      } },
    { "join of a queue", SERRY_EHANDLE,
      [](World &w) {
          return serry_process_join(serry_process{ w.queue.id }, nullptr, SERRY_FOREVER);
      } },
    { "join of oneself", SERRY_EINVAL,
      [](World &w) { return serry_process_join(w.self, nullptr, SERRY_FOREVER); } },
    { "join with a NaN", SERRY_EINVAL,
      [](World &w) { return serry_process_join(w.ended, nullptr, nan_); } },
    { "wait_any for none", SERRY_EINVAL,
      [](World &w) { return serry_process_wait_any(&w.ended, 0, nullptr, 0); } },
    { "wait_any over NULL", SERRY_EINVAL,
      [](World &) { return serry_process_wait_any(nullptr, 3, nullptr, 0); } },
    { "info into nothing", SERRY_EINVAL,
      [](World &w) { return serry_process_info_of(w.self, nullptr); } },
    { "info of nonsense", SERRY_EHANDLE,
      [](World &) {
          serry_process_info info;
          return serry_process_info_of(serry_process{ 12345 }, &info);
      } },
    { "signal -1", SERRY_EINVAL, [](World &w) { return serry_process_signal(w.self, -1); } },
    { "signal 65", SERRY_EINVAL, [](World &w) { return serry_process_signal(w.self, 65); } },
    { "kill of nothing", SERRY_EHANDLE,
      [](World &) { return serry_process_kill(serry_process{}); } },
    { "kill of an ended process", SERRY_ESTATE,
      [](World &w) { return serry_process_kill(w.ended); } },
};

const std::vector<Case> queue_cases = {
    { "create into nothing", SERRY_EINVAL,
      [](World &) { return serry_queue_create(nullptr, nullptr); } },
    { "create with a long name", SERRY_EINVAL,
      [](World &) { return make_queue(long_name.c_str(), 0, 0); } },
    { "create on another node", SERRY_EINVAL, [](World &) { return make_queue(nullptr, 0, 17); } },
    { "create with another capacity", SERRY_EINVAL,
      [](World &) { return make_queue("bad input", 6, 0); } },
    { "put of NULL", SERRY_EINVAL,
      [](World &w) { return serry_queue_put(w.queue, nullptr, 1, SERRY_FOREVER); } },
    { "put of too much", SERRY_ELIMIT,
      [](World &w) { return serry_queue_put(w.queue, &byte_, huge, SERRY_FOREVER); } },
    { "put with a NaN", SERRY_EINVAL,
      [](World &w) { return serry_queue_put(w.queue, &byte_, 1, nan_); } },
    { "put into nothing", SERRY_EHANDLE,
      [](World &) { return serry_queue_put(serry_queue{}, &byte_, 1, SERRY_FOREVER); } },
    { "put into nonsense", SERRY_EHANDLE,
      [](World &) {
          return serry_queue_put(serry_queue{ 0xdeadbeef }, &byte_, 1, SERRY_FOREVER);
      } },
    { "put into a process", SERRY_EHANDLE,
      [](World &w) {
          return serry_queue_put(serry_queue{ w.self.id }, &byte_, 1, SERRY_FOREVER);
      } },
    { "get with a NaN", SERRY_EINVAL,
      [](World &w) { return serry_queue_get(w.queue, &byte_, 1, nullptr, nan_); } },
    { "get into NULL", SERRY_EINVAL,
      [](World &w) { return serry_queue_get(w.queue, nullptr, 1, nullptr, 0); } },
    { "get of a destroyed one", SERRY_EHANDLE,
      [](World &w) { return serry_queue_get(w.destroyed, &byte_, 1, nullptr, SERRY_FOREVER); } },
    { "get of nonsense", SERRY_EHANDLE,
      [](World &w) {
          /* Its successor in the same place. */
          return serry_queue_get(serry_queue{ w.queue.id ^ 0x100 }, &byte_, 1, nullptr, 0);
      } },
    { "size of nothing", SERRY_EHANDLE,
      [](World &) {
          size_t n;
          return serry_queue_size(serry_queue{}, &n);
      } },
    { "task_done without a task", SERRY_EINVAL,
      [](World &w) { return serry_queue_task_done(w.named); } },
    { "join with a NaN", SERRY_EINVAL, [](World &w) { return serry_queue_join(w.queue, nan_); } },
    { "close of nothing", SERRY_EHANDLE, [](World &) { return serry_queue_close(serry_queue{}); } },
    { "destroy twice", SERRY_EHANDLE, [](World &w) { return serry_queue_destroy(w.destroyed); } },
};

void expect_usable(World &w)
{
    int me = serry_rank(), next = (me + 1) % w.n, before = (me + w.n - 1) % w.n, got = -1,
        code = -1;
    ASSERT_EQ(serry_sendrecv(next, 1, &me, sizeof me, before, 1, &got, sizeof got, nullptr),
              SERRY_OK)
        << serry_err_detail();
    ASSERT_EQ(got, before);
    int sum = 0;
    ASSERT_EQ(serry_world_allreduce(&me, &sum, 1, SERRY_INT32, SERRY_SUM), SERRY_OK)
        << serry_err_detail();
    ASSERT_EQ(sum, w.n * (w.n - 1) / 2);
    ASSERT_EQ(serry_queue_put(w.queue, &me, sizeof me, SERRY_FOREVER), SERRY_OK);
    ASSERT_EQ(serry_queue_get(w.queue, &got, sizeof got, nullptr, SERRY_FOREVER), SERRY_OK);
    ASSERT_EQ(got, me);
    serry_process p;
    ASSERT_EQ(serry_process_start(&p, end_at_once, nullptr, 0, nullptr), SERRY_OK)
        << serry_err_detail();
    ASSERT_EQ(serry_process_join(p, &code, SERRY_FOREVER), SERRY_OK);
    ASSERT_EQ(code, 0);
}

void refuse_all(const std::vector<Case> &cases)
{
    World w;
    ASSERT_NO_FATAL_FAILURE(expect_usable(w)); /* all lanes are there now */
    std::set<std::string> fds = open_fds();
    for (const Case &c : cases) {
        SERRY_IGNORE(serry_send(-9, 0, nullptr, 0)); /* a detail that is not the one to come */
        std::string other = serry_err_detail();
        serry_err e = c.call(w);
        EXPECT_EQ(e, c.expected) << c.what << " gives " << serry_err_name(e) << ": "
                                 << serry_err_detail();
        EXPECT_STRNE(serry_err_detail(), "") << c.what;
        EXPECT_NE(serry_err_detail(), other) << c.what;
    }
    EXPECT_EQ(open_fds(), fds);
    EXPECT_EQ(serry_process_children(nullptr, 0), 0u);
    ASSERT_NO_FATAL_FAILURE(expect_usable(w));
    EXPECT_EQ(serry_queue_destroy(w.queue), SERRY_OK);
}

SERRY_RANKS_TEST(BadInput, ToMessagesIsRefused, .ranks({ 1, 2 }))
{
    refuse_all(message_cases);
}

SERRY_RANKS_TEST(BadInput, ToCollectivesIsRefused, .ranks({ 1, 2, 3 }))
{
    /* All ranks make the same mistakes, as is usual; some that only one makes: conformance. */
    refuse_all(collective_cases);
}

SERRY_RANKS_TEST(BadInput, ToProcessesIsRefused, .ranks({ 1, 2 }))
{
    refuse_all(process_cases);
}

SERRY_RANKS_TEST(BadInput, ToProcessesByAgentIsRefused, .ranks({ 1 }).env("SERRY_START", "agent"))
{
    refuse_all(process_cases);
}

SERRY_RANKS_TEST(BadInput, ToQueuesIsRefused, .ranks({ 1, 2 }))
{
    refuse_all(queue_cases);
}

/* ---- truncation keeps the message, and outputs are set on success only ---- */

SERRY_RANKS_TEST(BadInput, ATooSmallBufferLosesNothing, .ranks({ 2 }))
{
    int other = 1 - serry_rank();
    std::vector<char> out(100000, 'o'), in(100000);
    for (size_t len : { size_t(10), size_t(3000), size_t(70000), out.size() }) {
        serry_request r;
        serry_status st = {};
        ASSERT_EQ(serry_isend(&r, other, 4, out.data(), len), SERRY_OK);
        for (size_t cap : { size_t(0), size_t(1), len - 1 }) {
            ASSERT_EQ(serry_recv(other, 4, in.data(), cap, &st, SERRY_FOREVER), SERRY_ETRUNC);
            ASSERT_EQ(st.len, len);
            ASSERT_TRUE(has(serry_err_detail(), std::to_string(len))) << serry_err_detail();
        }
        ASSERT_EQ(serry_recv(other, 4, in.data(), len, &st, SERRY_FOREVER), SERRY_OK);
        ASSERT_EQ(st.len, len);
        ASSERT_EQ(serry_wait(&r, nullptr, SERRY_FOREVER), SERRY_OK);
    }
}

SERRY_RANKS_TEST(BadInput, FailuresSetNothing, .ranks({ 1 }))
{
    size_t n = 77;
    int code = 77;
    serry_status st = { 77, 77, 77 };
    serry_queue q = { 0 };
    EXPECT_EQ(serry_recv(0, 1, &byte_, 1, &st, 0), SERRY_ETIMEDOUT);
    EXPECT_EQ(st.len, 77u);
    EXPECT_EQ(serry_process_join(serry_process{ 5 }, &code, 0), SERRY_EHANDLE);
    EXPECT_EQ(code, 77);
    EXPECT_EQ(serry_queue_size(q, &n), SERRY_EHANDLE);
    EXPECT_EQ(serry_queue_get(q, &byte_, 1, &n, 0), SERRY_EHANDLE);
    EXPECT_EQ(n, 77u);
}

} // namespace
