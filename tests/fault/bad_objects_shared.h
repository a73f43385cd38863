/* fault/bad_objects_shared.h: the tables of value, array, list and dict. */
#ifndef SERRY_TEST_BAD_OBJECTS_SHARED_H
#define SERRY_TEST_BAD_OBJECTS_SHARED_H

#include "fault/bad_objects.h"

namespace bad_objects {

/* With a name and a node. */
struct SharedOptions {
    serry_shared_options o = {};
    SharedOptions(const char *name, int node)
    {
        o.name = name;
        o.node = node;
    }
};

/* ---- value ---- */

inline serry_err create_value(uint64_t *id, serry_type type, const char *name, int node)
{
    SharedOptions o(name, node);
    return serry_value_create((serry_value *)id, type, nullptr, &o.o);
}

inline uint64_t make_value()
{
    serry_value v = {};
    double x = 2.5;
    EXPECT_EQ(serry_value_create(&v, SERRY_DOUBLE, &x, nullptr), SERRY_OK) << serry_err_detail();
    return v.id;
}

inline void check_value(uint64_t id)
{
    double x = 0, delta = 1, back = -1;
    ASSERT_EQ(serry_value_get({ id }, &x), SERRY_OK) << serry_err_detail();
    EXPECT_EQ(x, 2.5);
    EXPECT_EQ(serry_value_add({ id }, &delta, nullptr), SERRY_OK) << serry_err_detail();
    EXPECT_EQ(serry_value_add({ id }, &back, &x), SERRY_OK) << serry_err_detail();
    EXPECT_EQ(x, 3.5);
}

inline const Class value_class = {
    "value",
    [](uint64_t *id, const char *name, int node) {
        return create_value(id, SERRY_DOUBLE, name, node);
    },
    make_value,
    [](uint64_t id) { EXPECT_EQ(serry_value_destroy({ id }), SERRY_OK); },
    check_value,
    {
        { "get", [](const Args &a) { return serry_value_get({ a.id }, a.p(0, out<double>())); },
          1 },
        { "set", [](const Args &a) { return serry_value_set({ a.id }, a.p(0, in())); }, 1 },
        { "add",
          [](const Args &a) { return serry_value_add({ a.id }, a.p(0, in()), out<double>()); }, 1 },
        { "compare_set",
          [](const Args &a) {
              return serry_value_compare_set({ a.id }, a.p(0, in()), a.p(1, in()), out<bool>());
          },
          2 },
        { "destroy", [](const Args &a) { return serry_value_destroy({ a.id }); } },
    },
    false,
    { { "no type", [] { return create_value(out<uint64_t>(), (serry_type)0, nullptr, 0); } },
      { "type 1000", [] { return create_value(out<uint64_t>(), (serry_type)1000, nullptr, 0); } } },
};

/* ---- array ---- */

inline serry_err create_array(uint64_t *id, serry_type type, const char *name, int node)
{
    SharedOptions o(name, node);
    return serry_array_create((serry_array *)id, type, 8, &o.o);
}

inline uint64_t make_array()
{
    serry_array v = {};
    EXPECT_EQ(serry_array_create(&v, SERRY_DOUBLE, 8, nullptr), SERRY_OK) << serry_err_detail();
    EXPECT_EQ(serry_array_set(v, 0, 8, in()), SERRY_OK) << serry_err_detail();
    return v.id;
}

inline void check_array(uint64_t id)
{
    double x[8] = {};
    size_t n = 0;
    EXPECT_EQ(serry_array_len({ id }, &n), SERRY_OK) << serry_err_detail();
    EXPECT_EQ(n, 8u);
    ASSERT_EQ(serry_array_get({ id }, 0, 8, x), SERRY_OK) << serry_err_detail();
    EXPECT_EQ(memcmp(x, in(), sizeof x), 0);
    EXPECT_EQ(serry_array_set({ id }, 3, 4, x + 3), SERRY_OK) << serry_err_detail();
}

inline const Class array_class = {
    "array",
    [](uint64_t *id, const char *name, int node) {
        return create_array(id, SERRY_DOUBLE, name, node);
    },
    make_array,
    [](uint64_t id) { EXPECT_EQ(serry_array_destroy({ id }), SERRY_OK); },
    check_array,
    {
        { "len", [](const Args &a) { return serry_array_len({ a.id }, out<size_t>()); } },
        { "get",
          [](const Args &a) {
              return serry_array_get({ a.id }, 1, a.size(2), a.p(0, out<double>()));
          },
          1, false, SERRY_EINVAL },
        { "get from far",
          [](const Args &a) { return serry_array_get({ a.id }, a.size(1), 2, out<double>()); }, 0,
          false, SERRY_EINVAL },
        { "set",
          [](const Args &a) { return serry_array_set({ a.id }, 1, a.size(2), a.p(0, in())); }, 1,
          false, SERRY_EINVAL },
        { "set far", [](const Args &a) { return serry_array_set({ a.id }, a.size(1), 2, in()); }, 0,
          false, SERRY_EINVAL },
        { "add",
          [](const Args &a) { return serry_array_add({ a.id }, 1, a.size(2), a.p(0, in())); }, 1,
          false, SERRY_EINVAL },
        { "destroy", [](const Args &a) { return serry_array_destroy({ a.id }); } },
    },
    false,
    { { "no type", [] { return create_array(out<uint64_t>(), (serry_type)0, nullptr, 0); } },
      { "type -1", [] { return create_array(out<uint64_t>(), (serry_type)-1, nullptr, 0); } } },
};

/* ---- list ---- */

inline uint64_t make_list()
{
    serry_list l = {};
    EXPECT_EQ(serry_list_create(&l, nullptr), SERRY_OK) << serry_err_detail();
    for (int i = 0; i < 3; i++)
        EXPECT_EQ(serry_list_append(l, in() + i, 8), SERRY_OK) << serry_err_detail();
    return l.id;
}

inline void check_list(uint64_t id)
{
    size_t n = 0;
    double x = 0;
    EXPECT_EQ(serry_list_len({ id }, &n), SERRY_OK) << serry_err_detail();
    ASSERT_EQ(n, 3u);
    for (size_t i = 0; i < 3; i++) {
        ASSERT_EQ(serry_list_get({ id }, i, &x, 8, nullptr), SERRY_OK) << serry_err_detail();
        EXPECT_EQ(x, in()[i]);
    }
    EXPECT_EQ(serry_list_append({ id }, &x, 8), SERRY_OK) << serry_err_detail();
    EXPECT_EQ(serry_list_pop({ id }, SIZE_MAX, &x, 8, nullptr), SERRY_OK) << serry_err_detail();
}

inline const Class list_class = {
    "list",
    [](uint64_t *id, const char *name, int node) {
        SharedOptions o(name, node);
        return serry_list_create((serry_list *)id, &o.o);
    },
    make_list,
    [](uint64_t id) { EXPECT_EQ(serry_list_destroy({ id }), SERRY_OK); },
    check_list,
    {
        { "len", [](const Args &a) { return serry_list_len({ a.id }, out<size_t>()); } },
        { "append",
          [](const Args &a) { return serry_list_append({ a.id }, a.p(0, in()), a.size(8)); }, 1,
          false, SERRY_ELIMIT },
        { "insert",
          [](const Args &a) { return serry_list_insert({ a.id }, 1, a.p(0, in()), a.size(8)); }, 1,
          false, SERRY_ELIMIT },
        { "insert far",
          [](const Args &a) { return serry_list_insert({ a.id }, a.size(1), in(), 8); }, 0, false,
          SERRY_EINVAL },
        { "set", [](const Args &a) { return serry_list_set({ a.id }, 1, a.p(0, in()), a.size(8)); },
          1, false, SERRY_ELIMIT },
        { "set far", [](const Args &a) { return serry_list_set({ a.id }, a.size(1), in(), 8); }, 0,
          false, SERRY_EINVAL },
        { "get",
          [](const Args &a) {
              return serry_list_get({ a.id }, a.size(1), a.p(0, out<double>()), 8, nullptr);
          },
          1, false, SERRY_EINVAL },
        { "pop",
          [](const Args &a) {
              return serry_list_pop({ a.id }, a.size(1), a.p(0, out<double>()), 8, nullptr);
          },
          1, false, SERRY_EINVAL },
        { "clear", [](const Args &a) { return serry_list_clear({ a.id }); } },
        { "destroy", [](const Args &a) { return serry_list_destroy({ a.id }); } },
    },
};

/* ---- dict ---- */

inline uint64_t make_dict()
{
    serry_dict d = {};
    EXPECT_EQ(serry_dict_create(&d, nullptr), SERRY_OK) << serry_err_detail();
    EXPECT_EQ(serry_dict_put(d, "one", in(), 8), SERRY_OK) << serry_err_detail();
    EXPECT_EQ(serry_dict_put(d, "two", in() + 1, 8), SERRY_OK) << serry_err_detail();
    return d.id;
}

inline void check_dict(uint64_t id)
{
    char **keys = nullptr;
    size_t n = 0;
    double x = 0;
    ASSERT_EQ(serry_dict_keys({ id }, &keys, &n), SERRY_OK) << serry_err_detail();
    ASSERT_EQ(n, 2u);
    EXPECT_STREQ(keys[0], "one");
    EXPECT_STREQ(keys[1], "two");
    serry_strings_free(keys, n);
    ASSERT_EQ(serry_dict_get({ id }, "two", &x, 8, nullptr), SERRY_OK) << serry_err_detail();
    EXPECT_EQ(x, in()[1]);
    EXPECT_EQ(serry_dict_put({ id }, "three", in(), 8), SERRY_OK) << serry_err_detail();
    EXPECT_EQ(serry_dict_del({ id }, "three"), SERRY_OK) << serry_err_detail();
}

/* An absurd key is one that is too long. */
inline const char *key(const Args &a)
{
    static const std::string longer(SERRY_KEY_MAX + 1, 'k');
    return a.p(0, a.absurd ? longer.c_str() : "one");
}

inline const Class dict_class = {
    "dict",
    [](uint64_t *id, const char *name, int node) {
        SharedOptions o(name, node);
        return serry_dict_create((serry_dict *)id, &o.o);
    },
    make_dict,
    [](uint64_t id) { EXPECT_EQ(serry_dict_destroy({ id }), SERRY_OK); },
    check_dict,
    {
        { "len", [](const Args &a) { return serry_dict_len({ a.id }, out<size_t>()); } },
        { "put", [](const Args &a) { return serry_dict_put({ a.id }, key(a), a.p(1, in()), 8); }, 2,
          false, SERRY_ELIMIT },
        { "put of much",
          [](const Args &a) { return serry_dict_put({ a.id }, "one", in(), a.size(8)); }, 0, false,
          SERRY_ELIMIT },
        { "put of no key",
          [](const Args &a) { return serry_dict_put({ a.id }, a.absurd ? "" : "one", in(), 8); }, 0,
          false, SERRY_EINVAL },
        { "get",
          [](const Args &a) {
              return serry_dict_get({ a.id }, key(a), a.p(1, out<double>()), 8, nullptr);
          },
          2, false, SERRY_ELIMIT },
        { "del", [](const Args &a) { return serry_dict_del({ a.id }, key(a)); }, 1, false,
          SERRY_ELIMIT },
        { "compare_put",
          [](const Args &a) {
              return serry_dict_compare_put({ a.id }, key(a), a.p(1, in()), 8, a.p(2, in() + 1), 8,
                                            out<bool>());
          },
          3, false, SERRY_ELIMIT },
        { "keys",
          [](const Args &a) {
              return serry_dict_keys({ a.id }, a.p(0, out<char **>()), out<size_t>());
          },
          1 },
        { "clear", [](const Args &a) { return serry_dict_clear({ a.id }); } },
        { "destroy", [](const Args &a) { return serry_dict_destroy({ a.id }); } },
    },
};

} // namespace bad_objects

#endif
