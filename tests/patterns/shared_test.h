/* patterns/shared_test.h: what the tests of shared objects share: making them, and processes that
 * are given some. */
#ifndef SERRY_SHARED_TEST_H
#define SERRY_SHARED_TEST_H

#include "support/started.h"

#include <cstring>
#include <string>
#include <vector>

namespace shared_test {

inline serry_shared_options named(const char *name)
{
    serry_shared_options o = {};
    o.name = serry_test::own_name(name);
    return o;
}

inline serry_value make_value(serry_type type, const void *initial = nullptr,
                              const char *name = nullptr)
{
    serry_value v = {};
    serry_shared_options o = named(name);
    EXPECT_EQ(serry_value_create(&v, type, initial, &o), SERRY_OK) << serry_err_detail();
    return v;
}

inline serry_array make_array(serry_type type, size_t n, const char *name = nullptr)
{
    serry_array a = {};
    serry_shared_options o = named(name);
    EXPECT_EQ(serry_array_create(&a, type, n, &o), SERRY_OK) << serry_err_detail();
    return a;
}

inline serry_list make_list(const char *name = nullptr)
{
    serry_list l = {};
    serry_shared_options o = named(name);
    EXPECT_EQ(serry_list_create(&l, &o), SERRY_OK) << serry_err_detail();
    return l;
}

inline serry_dict make_dict(const char *name = nullptr)
{
    serry_dict d = {};
    serry_shared_options o = named(name);
    EXPECT_EQ(serry_dict_create(&d, &o), SERRY_OK) << serry_err_detail();
    return d;
}

template <class T>
T get(serry_value v)
{
    T is = {};
    EXPECT_EQ(serry_value_get(v, &is), SERRY_OK) << serry_err_detail();
    return is;
}

template <class T>
void set(serry_value v, T to)
{
    EXPECT_EQ(serry_value_set(v, &to), SERRY_OK) << serry_err_detail();
}

template <class T>
std::vector<T> slice(serry_array a, size_t first, size_t n)
{
    std::vector<T> is(n);
    EXPECT_EQ(serry_array_get(a, first, n, is.data()), SERRY_OK) << serry_err_detail();
    return is;
}

template <class T>
void put(serry_array a, size_t first, const std::vector<T> &to)
{
    EXPECT_EQ(serry_array_set(a, first, to.size(), to.data()), SERRY_OK) << serry_err_detail();
}

inline size_t len(serry_array a)
{
    size_t n = 12345;
    EXPECT_EQ(serry_array_len(a, &n), SERRY_OK) << serry_err_detail();
    return n;
}

inline size_t len(serry_list l)
{
    size_t n = 12345;
    EXPECT_EQ(serry_list_len(l, &n), SERRY_OK) << serry_err_detail();
    return n;
}

inline size_t len(serry_dict d)
{
    size_t n = 12345;
    EXPECT_EQ(serry_dict_len(d, &n), SERRY_OK) << serry_err_detail();
    return n;
}

inline void append(serry_list l, const std::string &item)
{
    EXPECT_EQ(serry_list_append(l, item.data(), item.size()), SERRY_OK) << serry_err_detail();
}

inline std::string at(serry_list l, size_t i)
{
    char item[256];
    size_t n = 0;
    EXPECT_EQ(serry_list_get(l, i, item, sizeof item, &n), SERRY_OK) << serry_err_detail();
    return std::string(item, n);
}

inline std::string pop(serry_list l, size_t i = SIZE_MAX)
{
    char item[256];
    size_t n = 0;
    EXPECT_EQ(serry_list_pop(l, i, item, sizeof item, &n), SERRY_OK) << serry_err_detail();
    return std::string(item, n);
}

/* All items: a loop over the indices, as programs do it. */
inline std::vector<std::string> all(serry_list l)
{
    std::vector<std::string> items;
    for (size_t i = 0, n = len(l); i < n; i++)
        items.push_back(at(l, i));
    return items;
}

inline void put(serry_dict d, const std::string &key, const std::string &value)
{
    EXPECT_EQ(serry_dict_put(d, key.c_str(), value.data(), value.size()), SERRY_OK)
        << serry_err_detail();
}

inline std::string at(serry_dict d, const std::string &key)
{
    char value[256];
    size_t n = 0;
    EXPECT_EQ(serry_dict_get(d, key.c_str(), value, sizeof value, &n), SERRY_OK)
        << serry_err_detail();
    return std::string(value, n);
}

inline bool has_key(serry_dict d, const std::string &key)
{
    size_t n = 0;
    serry_err e = serry_dict_get(d, key.c_str(), nullptr, 0, &n);
    EXPECT_TRUE(e == SERRY_OK || e == SERRY_ETRUNC || e == SERRY_ENOKEY) << serry_err_detail();
    return e != SERRY_ENOKEY;
}

inline std::vector<std::string> keys(serry_dict d)
{
    char **strings = nullptr;
    size_t n = 0;
    EXPECT_EQ(serry_dict_keys(d, &strings, &n), SERRY_OK) << serry_err_detail();
    std::vector<std::string> all(strings, strings + n);
    serry_strings_free(strings, n);
    return all;
}

/* A handle as an item or a value, and back. */
template <class Handle>
std::string handle(Handle h)
{
    return std::string((const char *)&h, sizeof h);
}

template <class Handle>
Handle from(const std::string &bytes)
{
    Handle h = {};
    EXPECT_EQ(bytes.size(), sizeof h);
    if (bytes.size() == sizeof h)
        memcpy(&h, bytes.data(), sizeof h);
    return h;
}

inline int join(serry_process p)
{
    return serry_test::end_of(p, SERRY_FOREVER);
}

} // namespace shared_test

#endif
