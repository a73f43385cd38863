/* fault/bad_objects_pool.h: the tables of pool, future and results. */
#ifndef SERRY_TEST_BAD_OBJECTS_POOL_H
#define SERRY_TEST_BAD_OBJECTS_POOL_H

#include "fault/bad_objects.h"

namespace bad_objects {

/* Pointers, carried as ids. */
template <typename T>
T *object(uint64_t id)
{
    return reinterpret_cast<T *>(id);
}

template <typename T>
uint64_t id_of(T *p)
{
    return reinterpret_cast<uint64_t>(p);
}

inline int double_it(serry_task *t, const void *in, size_t)
{
    double x = *(const double *)in * 2;
    return serry_task_return(t, &x, sizeof x) != SERRY_OK;
}

inline serry_task_fn task(const Args &a, int k)
{
    return k == a.null ? nullptr : double_it;
}

/* ---- pool ---- */

inline serry_pool *new_pool()
{
    serry_pool *p = nullptr;
    serry_pool_options o = {};
    o.workers = serry_size() == 1 ? 1 : 0; /* in a larger world the ranks work */
    EXPECT_EQ(serry_pool_create(&p, &o), SERRY_OK) << serry_err_detail();
    return p;
}

inline void check_pool(uint64_t id)
{
    double y[3] = {};
    ASSERT_EQ(serry_pool_map(object<serry_pool>(id), double_it, in(), 8, 3, y, 8, nullptr),
              SERRY_OK)
        << serry_err_detail();
    for (int i = 0; i < 3; i++)
        EXPECT_EQ(y[i], in()[i] * 2);
}

inline serry_map_options map_options(const Args &a)
{
    serry_map_options o = {};
    o.timeout = std::isnan(a.timeout) ? a.timeout : 0;
    return o;
}

/* No more items than there are. */
inline bool none(void *, size_t, void *, size_t, size_t *)
{
    return false;
}

inline serry_err create_pool(void (*change)(serry_pool_options *))
{
    serry_pool_options o = {};
    change(&o);
    return serry_pool_create(out<serry_pool *>(), &o);
}

inline const Class pool_class = {
    "pool",
    nullptr,
    [] { return id_of(new_pool()); },
    [](uint64_t id) { serry_pool_destroy(object<serry_pool>(id)); },
    check_pool,
    {
        { "map",
          [](const Args &a) {
              serry_map_options o = map_options(a);
              return serry_pool_map(object<serry_pool>(a.id), task(a, 0), a.p(1, in()), 8,
                                    a.size(2), a.p(2, out<double>()), 8, &o);
          },
          3, true, SERRY_EINVAL },
        { "map_async",
          [](const Args &a) {
              serry_map_options o = map_options(a);
              return serry_pool_map_async(a.p(0, out<serry_future *>()), object<serry_pool>(a.id),
                                          task(a, 1), a.p(2, in()), 8, a.size(2),
                                          a.p(3, out<double>() + 8), 8, &o);
          },
          4, true, SERRY_EINVAL },
        { "apply",
          [](const Args &a) {
              return serry_pool_apply(object<serry_pool>(a.id), task(a, 0), a.p(1, in()), a.size(8),
                                      a.p(2, out<double>()), 8, nullptr, a.timeout);
          },
          3, true, SERRY_ELIMIT },
        { "submit",
          [](const Args &a) {
              return serry_pool_submit(a.p(0, out<serry_future *>()), object<serry_pool>(a.id),
                                       task(a, 1), a.p(2, in()), a.size(8));
          },
          3, false, SERRY_ELIMIT },
        { "imap",
          [](const Args &a) {
              return serry_pool_imap(a.p(0, out<serry_results *>()), object<serry_pool>(a.id),
                                     task(a, 1), a.null == 2 ? nullptr : none, nullptr, nullptr);
          },
          3 },
        { "stats",
          [](const Args &a) {
              return serry_pool_stats(object<serry_pool>(a.id), a.p(0, out<serry_worker_stats>()),
                                      1, out<size_t>() + 16);
          },
          1 },
        { "close", [](const Args &a) { return serry_pool_close(object<serry_pool>(a.id)); } },
        { "join",
          [](const Args &a) { return serry_pool_join(object<serry_pool>(a.id), a.timeout); }, 0,
          true },
        { "terminate",
          [](const Args &a) { return serry_pool_terminate(object<serry_pool>(a.id)); } },
    },
    false,
    { { "NULL", [] { return serry_pool_create(nullptr, nullptr); } },
      { "a long name",
        [] {
            return create_pool([](auto *o) {
                static const std::string long_name(64, 'x');
                o->name = long_name.c_str();
            });
        } },
      { "-1 retries", [] { return create_pool([](auto *o) { o->retries = -1; }); } },
      { "a NaN for the task's time",
        [] { return create_pool([](auto *o) { o->task_timeout = std::nan(""); }); } },
      { "a NaN for the delay",
        [] { return create_pool([](auto *o) { o->retry_delay = std::nan(""); }); } },
      { "NULL for the initializer's argument",
        [] { return create_pool([](auto *o) { o->init_len = 4; }); } } },
    true
};

/* ---- future ---- */

/* The pool of each future, or of each results. */
inline std::map<uint64_t, serry_pool *> pool_of;

inline uint64_t make_future()
{
    serry_future *f = nullptr;
    serry_pool *p = new_pool();
    EXPECT_EQ(serry_pool_submit(&f, p, double_it, in(), 8), SERRY_OK) << serry_err_detail();
    pool_of[id_of(f)] = p;
    return id_of(f);
}

inline void check_future(uint64_t id)
{
    double y = 0;
    ASSERT_EQ(serry_future_get(object<serry_future>(id), &y, 8, nullptr, patience(20)), SERRY_OK)
        << serry_err_detail();
    EXPECT_EQ(y, in()[0] * 2);
    EXPECT_TRUE(serry_future_done(object<serry_future>(id)));
    EXPECT_STREQ(serry_future_error(object<serry_future>(id)), "");
}

inline const Class future_class = {
    "future",
    nullptr,
    make_future,
    [](uint64_t id) {
        serry_future_free(object<serry_future>(id));
        serry_pool_destroy(pool_of[id]);
    },
    check_future,
    {
        { "get",
          [](const Args &a) {
              return serry_future_get(object<serry_future>(a.id), a.p(0, out<double>()), 8, nullptr,
                                      a.timeout);
          },
          1, true },
        { "cancel", [](const Args &a) { return serry_future_cancel(object<serry_future>(a.id)); } },
        { "on_done",
          [](const Args &a) {
              serry_future_fn fn = [](void *, serry_future *) { ADD_FAILURE() << "called"; };
              return serry_future_on_done(object<serry_future>(a.id), a.null == 0 ? nullptr : fn,
                                          nullptr);
          },
          1 },
        { "wait",
          [](const Args &a) {
              serry_future *f = object<serry_future>(a.id);
              return serry_future_wait(a.p(0, &f), 1, SERRY_ALL, out<size_t>(), a.timeout);
          },
          1, true },
    },
    false,
    { { "a wait for none", [] { return serry_future_wait(nullptr, 0, SERRY_ALL, nullptr, 0); } } },
    true
};

/* ---- results ---- */

/* Without end. */
inline bool next_item(void *, size_t index, void *item, size_t, size_t *len)
{
    double x = (double)index;
    memcpy(item, &x, sizeof x);
    *len = sizeof x;
    return true;
}

inline uint64_t make_results()
{
    serry_results *it = nullptr;
    serry_pool *p = new_pool();
    EXPECT_EQ(serry_pool_imap(&it, p, double_it, next_item, nullptr, nullptr), SERRY_OK)
        << serry_err_detail();
    pool_of[id_of(it)] = p;
    return id_of(it);
}

/* None was skipped: index and result go together. */
inline void check_results(uint64_t id)
{
    static std::map<uint64_t, size_t> taken;
    double y = 0;
    size_t index = 0;
    ASSERT_EQ(serry_results_next(object<serry_results>(id), &y, 8, nullptr, &index, patience(20)),
              SERRY_OK)
        << serry_err_detail();
    EXPECT_EQ(index, taken[id]++);
    EXPECT_EQ(y, (double)index * 2);
}

inline const Class results_class = {
    "results",
    nullptr,
    make_results,
    [](uint64_t id) {
        serry_results_free(object<serry_results>(id));
        serry_pool_destroy(pool_of[id]);
    },
    check_results,
    {
        { "next",
          [](const Args &a) {
              return serry_results_next(object<serry_results>(a.id), a.p(0, out<double>()), 8,
                                        nullptr, out<size_t>() + 8, a.timeout);
          },
          1, true },
    },
    false,
    {},
    true
};

} // namespace bad_objects

#endif
