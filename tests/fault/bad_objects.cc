// ctest: timeout=120
/* Bad input to each operation of each object, by the tables of bad_objects*.h and those here. */
#include "fault/bad_objects.h"
#include "fault/bad_objects_pool.h"
#include "fault/bad_objects_shared.h"
#include "fault/bad_objects_sync.h"

using namespace bad_objects;

namespace {

/* ---- process ---- */

enum { TAG_GO = 31 };

int wait_for_word(const void *arg, size_t)
{
    int parent = *(const int *)arg, code = 0;
    serry_err e = serry_recv(parent, TAG_GO, &code, sizeof code, nullptr, patience(20));
    return e == SERRY_OK ? code : 99;
}

uint64_t make_process()
{
    serry_process p = {};
    int me = serry_rank();
    EXPECT_EQ(serry_process_start(&p, wait_for_word, &me, sizeof me, nullptr), SERRY_OK)
        << serry_err_detail();
    return p.id;
}

void end_process(uint64_t id)
{
    serry_process_info info;
    int code = 7;
    ASSERT_EQ(serry_process_info_of({ id }, &info), SERRY_OK) << serry_err_detail();
    EXPECT_EQ(serry_send(info.rank, TAG_GO, &code, sizeof code), SERRY_OK) << serry_err_detail();
    EXPECT_EQ(serry_process_join({ id }, &code, patience(20)), SERRY_OK) << serry_err_detail();
    EXPECT_EQ(code, 7);
}

void check_process(uint64_t id)
{
    EXPECT_TRUE(serry_process_is_alive({ id }));
    EXPECT_EQ(serry_process_join({ id }, nullptr, SERRY_NOWAIT), SERRY_ETIMEDOUT);
}

const Class process_class = {
    "process",
    [](uint64_t *id, const char *name, int node) {
        serry_process_options o = {};
        o.name = name;
        o.node = node;
        return serry_process_start((serry_process *)id, wait_for_word, nullptr, 0, &o);
    },
    make_process,
    end_process,
    check_process,
    {
        { "join", [](const Args &a) { return serry_process_join({ a.id }, out<int>(), a.timeout); },
          0, true },
        { "is_alive", [](const Args &a) { return yes(serry_process_is_alive({ a.id })); }, 0, false,
          SERRY_OK, true },
        { "info_of",
          [](const Args &a) {
              return serry_process_info_of({ a.id }, a.p(0, out<serry_process_info>()));
          },
          1 },
        { "signal", [](const Args &a) { return serry_process_signal({ a.id }, SIGKILL); } },
        { "terminate", [](const Args &a) { return serry_process_terminate({ a.id }); } },
        { "kill", [](const Args &a) { return serry_process_kill({ a.id }); } },
        { "wait_any",
          [](const Args &a) {
              serry_process p = { a.id };
              return serry_process_wait_any(a.p(0, &p), 1, out<size_t>(), a.timeout);
          },
          1, true },
    },
    true
};

/* ---- queue ---- */

/* With two items in it, and room for three more. */
uint64_t make_queue()
{
    serry_queue q = {};
    serry_queue_options o = {};
    o.capacity = 5;
    EXPECT_EQ(serry_queue_create(&q, &o), SERRY_OK) << serry_err_detail();
    for (int i = 0; i < 2; i++)
        EXPECT_EQ(serry_queue_put(q, in() + i, 8, SERRY_NOWAIT), SERRY_OK) << serry_err_detail();
    return q.id;
}

void check_queue(uint64_t id)
{
    double x = 0;
    size_t n = 0;
    for (int i = 0; i < 2; i++) {
        ASSERT_EQ(serry_queue_get({ id }, &x, 8, nullptr, SERRY_NOWAIT), SERRY_OK)
            << serry_err_detail();
        EXPECT_EQ(x, in()[i]);
        ASSERT_EQ(serry_queue_put({ id }, &x, 8, SERRY_NOWAIT), SERRY_OK) << serry_err_detail();
    }
    EXPECT_EQ(serry_queue_size({ id }, &n), SERRY_OK) << serry_err_detail();
    EXPECT_EQ(n, 2u);
}

const Class queue_class = {
    "queue",
    [](uint64_t *id, const char *name, int node) {
        auto o = named<serry_queue_options>(name, node);
        return serry_queue_create((serry_queue *)id, &o);
    },
    make_queue,
    [](uint64_t id) { EXPECT_EQ(serry_queue_destroy({ id }), SERRY_OK); },
    check_queue,
    {
        { "put",
          [](const Args &a) {
              return serry_queue_put({ a.id }, a.p(0, in()), a.size(8), a.timeout);
          },
          1, true, SERRY_ELIMIT },
        { "get",
          [](const Args &a) {
              return serry_queue_get({ a.id }, a.p(0, out<double>()), 8, nullptr, a.timeout);
          },
          1, true },
        { "size", [](const Args &a) { return serry_queue_size({ a.id }, out<size_t>()); } },
        { "task_done", [](const Args &a) { return serry_queue_task_done({ a.id }); } },
        { "join", [](const Args &a) { return serry_queue_join({ a.id }, a.timeout); }, 0, true },
        { "close", [](const Args &a) { return serry_queue_close({ a.id }); } },
        { "destroy", [](const Args &a) { return serry_queue_destroy({ a.id }); } },
    },
};

/* ---- pipe ---- */

/* The other end of each. */
std::map<uint64_t, serry_conn> other_end;

uint64_t make_pipe()
{
    serry_conn a = {}, b = {};
    EXPECT_EQ(serry_pipe_create(&a, &b, true), SERRY_OK) << serry_err_detail();
    other_end[a.id] = b;
    return a.id;
}

void end_pipe(uint64_t id)
{
    EXPECT_EQ(serry_conn_close({ id }), SERRY_OK) << serry_err_detail();
    EXPECT_EQ(serry_conn_close(other_end[id]), SERRY_OK) << serry_err_detail();
}

/* Nothing is in it, and it carries something in both directions. */
void check_pipe(uint64_t id)
{
    double x = 0;
    for (auto [from, to] : { std::pair<serry_conn, serry_conn>({ id }, other_end[id]),
                             std::pair<serry_conn, serry_conn>(other_end[id], { id }) }) {
        EXPECT_EQ(serry_conn_poll(to, SERRY_NOWAIT), SERRY_ETIMEDOUT);
        ASSERT_EQ(serry_conn_send(from, in() + 1, 8, SERRY_FOREVER), SERRY_OK)
            << serry_err_detail();
        ASSERT_EQ(serry_conn_recv(to, &x, 8, nullptr, SERRY_FOREVER), SERRY_OK)
            << serry_err_detail();
        EXPECT_EQ(x, in()[1]);
    }
}

const Class pipe_class = {
    "pipe",
    nullptr,
    make_pipe,
    end_pipe,
    check_pipe,
    {
        { "send",
          [](const Args &a) {
              return serry_conn_send({ a.id }, a.p(0, in()), a.size(8), a.timeout);
          },
          1, true, SERRY_ELIMIT },
        { "recv",
          [](const Args &a) {
              return serry_conn_recv({ a.id }, a.p(0, out<double>()), 8, nullptr, a.timeout);
          },
          1, true },
        { "poll", [](const Args &a) { return serry_conn_poll({ a.id }, a.timeout); }, 0, true },
        { "give", [](const Args &a) { return serry_conn_give({ a.id }, serry_rank()); } },
        { "close", [](const Args &a) { return serry_conn_close({ a.id }); } },
    },
    false,
    { { "NULL for one end", [] { return serry_pipe_create(out<serry_conn>(), nullptr, true); } },
      { "NULL for the other",
        [] { return serry_pipe_create(nullptr, out<serry_conn>(), false); } } },
};

/* ---- all ---- */

const std::vector<const Class *> classes = { &process_class,   &queue_class,     &event_class,
                                             &value_class,     &array_class,     &list_class,
                                             &dict_class,      &lock_class,      &pipe_class,
                                             &condition_class, &semaphore_class, &barrier_class };

std::vector<const Class *> others_than(const Class &c)
{
    std::vector<const Class *> others;
    for (const Class *one : classes) {
        if (one != &c)
            others.push_back(one);
    }
    return others;
}

BAD_OBJECTS_TEST(Process, process_class)
BAD_OBJECTS_TEST(Queue, queue_class)
BAD_OBJECTS_TEST(Lock, lock_class)
BAD_OBJECTS_TEST(Semaphore, semaphore_class)
BAD_OBJECTS_TEST(Event, event_class)
BAD_OBJECTS_TEST(Condition, condition_class)
BAD_OBJECTS_TEST(Barrier, barrier_class)
BAD_OBJECTS_TEST(Value, value_class)
BAD_OBJECTS_TEST(Array, array_class)
BAD_OBJECTS_TEST(List, list_class)
BAD_OBJECTS_TEST(Dict, dict_class)
BAD_OBJECTS_TEST(Pipe, pipe_class)
BAD_OBJECTS_TEST(Pool, pool_class)
BAD_OBJECTS_TEST(Future, future_class)
BAD_OBJECTS_TEST(Results, results_class)

SERRY_RANKS_TEST(BadObjects, AConditionIsOfALockOnly, .ranks({ 1 }))
{
    serry_lock gone = { make_lock() };
    ASSERT_EQ(serry_lock_destroy(gone), SERRY_OK);
    std::vector<uint64_t> bad = nonsense(gone.id);
    bad.push_back(gone.id);
    Strangers strangers(others_than(lock_class));
    for (auto stranger : strangers.all)
        bad.push_back(stranger.second);
    for (uint64_t id : bad)
        refuse("condition.create, lock " + std::to_string(id), SERRY_EHANDLE,
               [&] { return serry_condition_create(out<serry_condition>(), { id }, nullptr); });
}

} // namespace
