/* fault/bad_objects_sync.h: the tables of lock, semaphore, event, condition and barrier. */
#ifndef SERRY_TEST_BAD_OBJECTS_SYNC_H
#define SERRY_TEST_BAD_OBJECTS_SYNC_H

#include "fault/bad_objects.h"

#include <map>

namespace bad_objects {

template <typename Options>
Options named(const char *name, int node)
{
    Options o = {};
    o.name = name;
    o.node = node;
    return o;
}

/* ---- lock ---- */

inline uint64_t make_lock()
{
    serry_lock l = {};
    EXPECT_EQ(serry_lock_create(&l, nullptr), SERRY_OK) << serry_err_detail();
    return l.id;
}

/* Nobody holds it. */
inline void check_lock(uint64_t id)
{
    EXPECT_EQ(serry_lock_release({ id }), SERRY_EPERM);
    ASSERT_EQ(serry_lock_acquire({ id }, SERRY_NOWAIT), SERRY_OK) << serry_err_detail();
    EXPECT_EQ(serry_lock_release({ id }), SERRY_OK) << serry_err_detail();
}

inline const Class lock_class = {
    "lock",
    [](uint64_t *id, const char *name, int node) {
        auto o = named<serry_lock_options>(name, node);
        return serry_lock_create((serry_lock *)id, &o);
    },
    make_lock,
    [](uint64_t id) { EXPECT_EQ(serry_lock_destroy({ id }), SERRY_OK); },
    check_lock,
    {
        { "acquire", [](const Args &a) { return serry_lock_acquire({ a.id }, a.timeout); }, 0,
          true },
        { "release", [](const Args &a) { return serry_lock_release({ a.id }); } },
        { "destroy", [](const Args &a) { return serry_lock_destroy({ a.id }); } },
    },
};

/* ---- semaphore ---- */

inline uint64_t make_semaphore()
{
    serry_semaphore s = {};
    EXPECT_EQ(serry_semaphore_create(&s, 2, nullptr), SERRY_OK) << serry_err_detail();
    return s.id;
}

/* Both permits are free. */
inline void check_semaphore(uint64_t id)
{
    int value = -1;
    EXPECT_EQ(serry_semaphore_value({ id }, &value), SERRY_OK) << serry_err_detail();
    EXPECT_EQ(value, 2);
    for (int i = 0; i < 2; i++)
        ASSERT_EQ(serry_semaphore_acquire({ id }, SERRY_NOWAIT), SERRY_OK) << serry_err_detail();
    EXPECT_EQ(serry_semaphore_acquire({ id }, SERRY_NOWAIT), SERRY_ETIMEDOUT);
    for (int i = 0; i < 2; i++)
        ASSERT_EQ(serry_semaphore_release({ id }), SERRY_OK) << serry_err_detail();
}

inline serry_err create_semaphore(uint64_t *id, int value, const char *name, int node)
{
    auto o = named<serry_semaphore_options>(name, node);
    return serry_semaphore_create((serry_semaphore *)id, value, &o);
}

inline const Class semaphore_class = {
    "semaphore",
    [](uint64_t *id, const char *name, int node) { return create_semaphore(id, 1, name, node); },
    make_semaphore,
    [](uint64_t id) { EXPECT_EQ(serry_semaphore_destroy({ id }), SERRY_OK); },
    check_semaphore,
    {
        { "acquire", [](const Args &a) { return serry_semaphore_acquire({ a.id }, a.timeout); }, 0,
          true },
        { "release", [](const Args &a) { return serry_semaphore_release({ a.id }); } },
        { "value", [](const Args &a) { return serry_semaphore_value({ a.id }, out<int>()); } },
        { "destroy", [](const Args &a) { return serry_semaphore_destroy({ a.id }); } },
    },
    false,
    { { "value -1", [] { return create_semaphore(out<uint64_t>(), -1, nullptr, 0); } },
      { "value INT_MIN",
        [] { return create_semaphore(out<uint64_t>(), INT32_MIN, nullptr, 0); } } },
};

/* ---- event ---- */

inline uint64_t make_event()
{
    serry_event e = {};
    EXPECT_EQ(serry_event_create(&e, nullptr), SERRY_OK) << serry_err_detail();
    return e.id;
}

/* It is clear. */
inline void check_event(uint64_t id)
{
    EXPECT_FALSE(serry_event_is_set({ id }));
    EXPECT_EQ(serry_event_wait({ id }, SERRY_NOWAIT), SERRY_ETIMEDOUT);
    ASSERT_EQ(serry_event_set({ id }), SERRY_OK) << serry_err_detail();
    EXPECT_TRUE(serry_event_is_set({ id }));
    EXPECT_EQ(serry_event_wait({ id }, SERRY_FOREVER), SERRY_OK) << serry_err_detail();
    ASSERT_EQ(serry_event_clear({ id }), SERRY_OK) << serry_err_detail();
}

inline const Class event_class = {
    "event",
    [](uint64_t *id, const char *name, int node) {
        auto o = named<serry_event_options>(name, node);
        return serry_event_create((serry_event *)id, &o);
    },
    make_event,
    [](uint64_t id) { EXPECT_EQ(serry_event_destroy({ id }), SERRY_OK); },
    check_event,
    {
        { "set", [](const Args &a) { return serry_event_set({ a.id }); } },
        { "clear", [](const Args &a) { return serry_event_clear({ a.id }); } },
        { "is_set", [](const Args &a) { return yes(serry_event_is_set({ a.id })); }, 0, false,
          SERRY_OK, true },
        { "wait", [](const Args &a) { return serry_event_wait({ a.id }, a.timeout); }, 0, true },
        { "destroy", [](const Args &a) { return serry_event_destroy({ a.id }); } },
    },
};

/* ---- condition ---- */

/* The lock of each condition. */
inline std::map<uint64_t, serry_lock> lock_of;

inline uint64_t make_condition()
{
    serry_lock l = { make_lock() };
    serry_condition c = {};
    EXPECT_EQ(serry_condition_create(&c, l, nullptr), SERRY_OK) << serry_err_detail();
    lock_of[c.id] = l;
    return c.id;
}

inline void end_condition(uint64_t id)
{
    EXPECT_EQ(serry_condition_destroy({ id }), SERRY_OK) << serry_err_detail();
    EXPECT_EQ(serry_lock_destroy(lock_of[id]), SERRY_OK) << serry_err_detail();
}

/* Nobody waits, nobody holds the lock. */
inline void check_condition(uint64_t id)
{
    check_lock(lock_of[id].id);
    ASSERT_EQ(serry_lock_acquire(lock_of[id], SERRY_NOWAIT), SERRY_OK) << serry_err_detail();
    EXPECT_EQ(serry_condition_notify({ id }, 1), SERRY_OK) << serry_err_detail();
    EXPECT_EQ(serry_condition_notify_all({ id }), SERRY_OK) << serry_err_detail();
    EXPECT_EQ(serry_condition_wait({ id }, SERRY_NOWAIT), SERRY_ETIMEDOUT)
        << "a notification was left over";
    EXPECT_EQ(serry_lock_release(lock_of[id]), SERRY_OK) << serry_err_detail();
}

inline bool never(void *)
{
    return false;
}

/* It lives where its lock lives: there is no node to be wrong. */
inline const Class condition_class = {
    "condition",
    nullptr,
    make_condition,
    end_condition,
    check_condition,
    {
        { "wait", [](const Args &a) { return serry_condition_wait({ a.id }, a.timeout); }, 0,
          true },
        { "wait_for",
          [](const Args &a) {
              return serry_condition_wait_for({ a.id }, a.null == 0 ? nullptr : never, nullptr,
                                              a.timeout);
          },
          1, true },
        { "notify", [](const Args &a) { return serry_condition_notify({ a.id }, 1); } },
        { "notify_all", [](const Args &a) { return serry_condition_notify_all({ a.id }); } },
        { "destroy", [](const Args &a) { return serry_condition_destroy({ a.id }); } },
    },
};

/* ---- barrier ---- */

inline uint64_t make_barrier()
{
    serry_barrier b = {};
    EXPECT_EQ(serry_barrier_create(&b, 1, nullptr), SERRY_OK) << serry_err_detail();
    return b.id;
}

/* It is whole, and nobody waits. */
inline void check_barrier(uint64_t id)
{
    int n = -1, index = -1;
    EXPECT_FALSE(serry_barrier_is_broken({ id }));
    EXPECT_EQ(serry_barrier_waiting({ id }, &n), SERRY_OK) << serry_err_detail();
    EXPECT_EQ(n, 0);
    ASSERT_EQ(serry_barrier_wait({ id }, &index, SERRY_NOWAIT), SERRY_OK) << serry_err_detail();
    EXPECT_EQ(index, 0);
}

inline serry_err create_barrier(uint64_t *id, int parties, const serry_barrier_options &o)
{
    return serry_barrier_create((serry_barrier *)id, parties, &o);
}

inline const Class barrier_class = {
    "barrier",
    [](uint64_t *id, const char *name, int node) {
        return create_barrier(id, 1, named<serry_barrier_options>(name, node));
    },
    make_barrier,
    [](uint64_t id) { EXPECT_EQ(serry_barrier_destroy({ id }), SERRY_OK); },
    check_barrier,
    {
        { "wait", [](const Args &a) { return serry_barrier_wait({ a.id }, out<int>(), a.timeout); },
          0, true },
        { "reset", [](const Args &a) { return serry_barrier_reset({ a.id }); } },
        { "abort", [](const Args &a) { return serry_barrier_abort({ a.id }); } },
        { "waiting", [](const Args &a) { return serry_barrier_waiting({ a.id }, out<int>()); } },
        { "is_broken", [](const Args &a) { return yes(serry_barrier_is_broken({ a.id })); }, 0,
          false, SERRY_OK, true },
        { "destroy", [](const Args &a) { return serry_barrier_destroy({ a.id }); } },
    },
    false,
    { { "0 parties", [] { return create_barrier(out<uint64_t>(), 0, {}); } },
      { "-1 parties", [] { return create_barrier(out<uint64_t>(), -1, {}); } },
      { "a NaN for a timeout",
        [] {
            serry_barrier_options o = {};
            o.timeout = std::nan("");
            return create_barrier(out<uint64_t>(), 1, o);
        } },
      { "NULL for an action's argument",
        [] {
            serry_barrier_options o = {};
            o.action = [](const void *, size_t) { return 0; };
            o.arg_len = 5;
            return create_barrier(out<uint64_t>(), 1, o);
        } } },
};

} // namespace bad_objects

#endif
