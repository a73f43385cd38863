// ctest: shared timeout=120
/* Wrong arguments: each gives its error and a text that says what is wrong, and changes nothing;
 * and what no library of ours would send does not harm a home. */
#include "core/service.h"
#include "patterns/shared_test.h"
#include "patterns/shared_wire.h"

#include <functional>
#include <random>

using namespace serry_test;
using namespace shared_test;

namespace {

const size_t huge = SIZE_MAX / 2;

/* Where outputs would go. */
struct Outputs {
    char bytes[64];
    size_t n = 77;
    bool done = true;
    char **keys = nullptr;
    Outputs() { memset(bytes, 'u', sizeof bytes); }
    bool untouched() const
    {
        for (char c : bytes) {
            if (c != 'u')
                return false;
        }
        return n == 77 && done && !keys;
    }
};

struct Operation {
    const char *what;
    unsigned type;
    std::function<serry_err(uint64_t id, Outputs &)> call;
};

const int64_t zeros[2] = { 0, 0 };

const std::vector<Operation> operations = {
    { "value_get", SRI_TYPE_VALUE,
      [](uint64_t id, Outputs &o) { return serry_value_get({ id }, o.bytes); } },
    { "value_set", SRI_TYPE_VALUE,
      [](uint64_t id, Outputs &) { return serry_value_set({ id }, zeros); } },
    { "value_add", SRI_TYPE_VALUE,
      [](uint64_t id, Outputs &o) { return serry_value_add({ id }, zeros, o.bytes); } },
    { "value_compare_set", SRI_TYPE_VALUE,
      [](uint64_t id, Outputs &o) {
          return serry_value_compare_set({ id }, zeros, zeros, &o.done);
      } },
    { "array_len", SRI_TYPE_ARRAY,
      [](uint64_t id, Outputs &o) { return serry_array_len({ id }, &o.n); } },
    { "array_get", SRI_TYPE_ARRAY,
      [](uint64_t id, Outputs &o) { return serry_array_get({ id }, 0, 1, o.bytes); } },
    { "array_get of none", SRI_TYPE_ARRAY,
      [](uint64_t id, Outputs &) { return serry_array_get({ id }, 0, 0, nullptr); } },
    { "array_set", SRI_TYPE_ARRAY,
      [](uint64_t id, Outputs &) { return serry_array_set({ id }, 0, 1, zeros); } },
    { "array_add", SRI_TYPE_ARRAY,
      [](uint64_t id, Outputs &) { return serry_array_add({ id }, 0, 1, zeros); } },
    { "list_len", SRI_TYPE_LIST,
      [](uint64_t id, Outputs &o) { return serry_list_len({ id }, &o.n); } },
    { "list_append", SRI_TYPE_LIST,
      [](uint64_t id, Outputs &) { return serry_list_append({ id }, "x", 1); } },
    { "list_insert", SRI_TYPE_LIST,
      [](uint64_t id, Outputs &) { return serry_list_insert({ id }, 0, "x", 1); } },
    { "list_set", SRI_TYPE_LIST,
      [](uint64_t id, Outputs &) { return serry_list_set({ id }, 0, "x", 1); } },
    { "list_get", SRI_TYPE_LIST,
      [](uint64_t id, Outputs &o) { return serry_list_get({ id }, 0, o.bytes, 64, &o.n); } },
    { "list_pop", SRI_TYPE_LIST,
      [](uint64_t id, Outputs &o) { return serry_list_pop({ id }, SIZE_MAX, o.bytes, 64, &o.n); } },
    { "list_clear", SRI_TYPE_LIST,
      [](uint64_t id, Outputs &) { return serry_list_clear({ id }); } },
    { "dict_len", SRI_TYPE_DICT,
      [](uint64_t id, Outputs &o) { return serry_dict_len({ id }, &o.n); } },
    { "dict_put", SRI_TYPE_DICT,
      [](uint64_t id, Outputs &) { return serry_dict_put({ id }, "key", "x", 1); } },
    { "dict_get", SRI_TYPE_DICT,
      [](uint64_t id, Outputs &o) { return serry_dict_get({ id }, "key", o.bytes, 64, &o.n); } },
    { "dict_del", SRI_TYPE_DICT,
      [](uint64_t id, Outputs &) { return serry_dict_del({ id }, "key"); } },
    { "dict_compare_put", SRI_TYPE_DICT,
      [](uint64_t id, Outputs &o) {
          return serry_dict_compare_put({ id }, "key", nullptr, 0, "x", 1, &o.done);
      } },
    { "dict_keys", SRI_TYPE_DICT,
      [](uint64_t id, Outputs &o) { return serry_dict_keys({ id }, &o.keys, &o.n); } },
    { "dict_clear", SRI_TYPE_DICT,
      [](uint64_t id, Outputs &) { return serry_dict_clear({ id }); } },
    { "value_destroy", SRI_TYPE_VALUE,
      [](uint64_t id, Outputs &) { return serry_value_destroy({ id }); } },
    { "array_destroy", SRI_TYPE_ARRAY,
      [](uint64_t id, Outputs &) { return serry_array_destroy({ id }); } },
    { "list_destroy", SRI_TYPE_LIST,
      [](uint64_t id, Outputs &) { return serry_list_destroy({ id }); } },
    { "dict_destroy", SRI_TYPE_DICT,
      [](uint64_t id, Outputs &) { return serry_dict_destroy({ id }); } },
};

/* One of each, with something in it. */
struct World {
    serry_value value;
    serry_array array;
    serry_list list;
    serry_dict dict;
    serry_queue queue = {};

    World()
    {
        int64_t seven = 7;
        value = make_value(SERRY_INT64, &seven);
        array = make_array(SERRY_INT64, 3);
        put(array, 0, std::vector<int64_t>{ 1, 2, 3 });
        list = make_list();
        append(list, "item");
        dict = make_dict();
        put(dict, "key", "value");
        EXPECT_EQ(serry_queue_create(&queue, nullptr), SERRY_OK);
    }

    void expect_unchanged() const
    {
        EXPECT_EQ(get<int64_t>(value), 7);
        EXPECT_EQ(slice<int64_t>(array, 0, 3), (std::vector<int64_t>{ 1, 2, 3 }));
        EXPECT_EQ(all(list), std::vector<std::string>{ "item" });
        EXPECT_EQ(keys(dict), std::vector<std::string>{ "key" });
        EXPECT_EQ(at(dict, "key"), "value");
    }

    void destroy() const
    {
        EXPECT_EQ(serry_value_destroy(value), SERRY_OK);
        EXPECT_EQ(serry_array_destroy(array), SERRY_OK);
        EXPECT_EQ(serry_list_destroy(list), SERRY_OK);
        EXPECT_EQ(serry_dict_destroy(dict), SERRY_OK);
        EXPECT_EQ(serry_queue_destroy(queue), SERRY_OK);
    }

    std::vector<std::pair<unsigned, uint64_t>> handles() const
    {
        return { { SRI_TYPE_VALUE, value.id },
                 { SRI_TYPE_ARRAY, array.id },
                 { SRI_TYPE_LIST, list.id },
                 { SRI_TYPE_DICT, dict.id },
                 { SRI_TYPE_QUEUE, queue.id } };
    }
};

void expect_no_handle(const Operation &op, uint64_t id, const std::string &which)
{
    Outputs o;
    EXPECT_EQ(op.call(id, o), SERRY_EHANDLE) << op.what << " of " << which;
    EXPECT_STRNE(serry_err_detail(), "") << op.what;
    EXPECT_TRUE(o.untouched()) << op.what << " of " << which;
}

SERRY_RANKS_TEST(SharedBadInput, AHandleThatNamesNoSuchThing, .ranks({ 1 }))
{
    World w, ended;
    ended.destroy();
    World after; /* in the places of those */
    for (const Operation &op : operations) {
        expect_no_handle(op, 0, "nothing");
        expect_no_handle(op, ~UINT64_C(0), "all ones");
        uint64_t nowhere = (uint64_t)op.type << 58 | UINT64_C(0xfffff0) << 24 | 1;
        expect_no_handle(op, nowhere, "what never was");
        for (auto [type, id] : w.handles()) {
            if (type != op.type)
                expect_no_handle(op, id, "an object of another class");
            else
                expect_no_handle(op, id + 1, "the next generation");
        }
        for (auto [type, id] : ended.handles()) {
            if (type == op.type)
                expect_no_handle(op, id, "a destroyed one");
        }
    }
    w.expect_unchanged();
    after.expect_unchanged();
}

/* Another process has destroyed what this one knows. */
int destroy_world(const void *arg, size_t)
{
    (*(const World *)arg).destroy();
    return 0;
}

SERRY_RANKS_TEST(SharedBadInput, AHandleDestroyedByAnother, .ranks({ 1 }))
{
    World w;
    w.expect_unchanged();
    ASSERT_EQ(join(start(destroy_world, w)), 0);
    for (const Operation &op : operations) {
        for (auto [type, id] : w.handles()) {
            if (type == op.type)
                expect_no_handle(op, id, "one destroyed elsewhere");
        }
    }
}

SERRY_RANKS_TEST(SharedBadInput, OutsideOfTheWorld, .ranks({ 1 }).without_init())
{
    auto expect_no_world = [] {
        for (const Operation &op : operations) {
            Outputs o;
            EXPECT_EQ(op.call((uint64_t)op.type << 58 | 1 << 24 | 1, o), SERRY_ESTATE) << op.what;
            EXPECT_TRUE(o.untouched()) << op.what;
        }
        serry_value v = {};
        serry_array a = {};
        serry_list l = {};
        serry_dict d = {};
        EXPECT_EQ(serry_value_create(&v, SERRY_BYTE, nullptr, nullptr), SERRY_ESTATE);
        EXPECT_EQ(serry_array_create(&a, SERRY_BYTE, 1, nullptr), SERRY_ESTATE);
        EXPECT_EQ(serry_list_create(&l, nullptr), SERRY_ESTATE);
        EXPECT_EQ(serry_dict_create(&d, nullptr), SERRY_ESTATE);
        EXPECT_EQ(v.id | a.id | l.id | d.id, 0u);
    };
    expect_no_world();
    ASSERT_EQ(serry_init(nullptr, nullptr), SERRY_OK);
    ASSERT_EQ(serry_finalize(), SERRY_OK);
    expect_no_world();
}

SERRY_RANKS_TEST(SharedBadInput, NoPlaceAndNothingToTake, .ranks({ 1 }))
{
    World w;
    Outputs o;
    const std::vector<std::pair<const char *, std::function<serry_err()>>> cases = {
        { "value_create",
          [&] { return serry_value_create(nullptr, SERRY_BYTE, nullptr, nullptr); } },
        { "value_get", [&] { return serry_value_get(w.value, nullptr); } },
        { "value_set", [&] { return serry_value_set(w.value, nullptr); } },
        { "value_add", [&] { return serry_value_add(w.value, nullptr, o.bytes); } },
        { "expected", [&] { return serry_value_compare_set(w.value, nullptr, zeros, &o.done); } },
        { "desired", [&] { return serry_value_compare_set(w.value, zeros, nullptr, &o.done); } },
        { "array_create", [&] { return serry_array_create(nullptr, SERRY_BYTE, 1, nullptr); } },
        { "array_get", [&] { return serry_array_get(w.array, 0, 1, nullptr); } },
        { "array_set", [&] { return serry_array_set(w.array, 0, 3, nullptr); } },
        { "array_add", [&] { return serry_array_add(w.array, 2, 1, nullptr); } },
        { "list_create", [&] { return serry_list_create(nullptr, nullptr); } },
        { "list_append", [&] { return serry_list_append(w.list, nullptr, 1); } },
        { "list_insert", [&] { return serry_list_insert(w.list, 0, nullptr, 1); } },
        { "list_set", [&] { return serry_list_set(w.list, 0, nullptr, huge); } },
        { "list_get", [&] { return serry_list_get(w.list, 0, nullptr, 4, &o.n); } },
        { "list_pop", [&] { return serry_list_pop(w.list, 0, nullptr, huge, &o.n); } },
        { "dict_create", [&] { return serry_dict_create(nullptr, nullptr); } },
        { "put's key", [&] { return serry_dict_put(w.dict, nullptr, "x", 1); } },
        { "put's value", [&] { return serry_dict_put(w.dict, "key", nullptr, 1); } },
        { "get's key", [&] { return serry_dict_get(w.dict, nullptr, o.bytes, 9, &o.n); } },
        { "get's value", [&] { return serry_dict_get(w.dict, "key", nullptr, 9, &o.n); } },
        { "del's key", [&] { return serry_dict_del(w.dict, nullptr); } },
        { "compare_put's key",
          [&] { return serry_dict_compare_put(w.dict, nullptr, "v", 1, "x", 1, &o.done); } },
        { "compare_put's expected",
          [&] { return serry_dict_compare_put(w.dict, "key", nullptr, 1, "x", 1, &o.done); } },
        { "compare_put's value",
          [&] { return serry_dict_compare_put(w.dict, "key", "value", 5, nullptr, 1, &o.done); } },
        { "dict_keys", [&] { return serry_dict_keys(w.dict, nullptr, &o.n); } },
    };
    for (const auto &[what, call] : cases) {
        EXPECT_EQ(call(), SERRY_EINVAL) << what;
        EXPECT_STRNE(serry_err_detail(), "") << what;
    }
    EXPECT_TRUE(o.untouched());
    w.expect_unchanged();
    /* Outputs nobody wants. */
    EXPECT_EQ(serry_array_len(w.array, nullptr), SERRY_OK);
    EXPECT_EQ(serry_list_len(w.list, nullptr), SERRY_OK);
    EXPECT_EQ(serry_dict_len(w.dict, nullptr), SERRY_OK);
    EXPECT_EQ(serry_list_get(w.list, 0, o.bytes, 4, nullptr), SERRY_OK);
    w.expect_unchanged();
}

SERRY_RANKS_TEST(SharedBadInput, AbsurdSizesAndTypes, .ranks({ 1 }))
{
    World w;
    serry_array a = {};
    serry_value v = {};
    EXPECT_EQ(serry_array_create(&a, SERRY_DOUBLE, SIZE_MAX, nullptr), SERRY_ELIMIT);
    EXPECT_EQ(serry_array_create(&a, SERRY_DOUBLE, SIZE_MAX / 8, nullptr), SERRY_ELIMIT);
    EXPECT_EQ(serry_array_create(&a, SERRY_BYTE, SIZE_MAX, nullptr), SERRY_ELIMIT);
    EXPECT_EQ(serry_array_create(&a, SERRY_BYTE, SIZE_MAX / 2, nullptr), SERRY_ENOMEM);
    EXPECT_EQ(serry_array_create(&a, SERRY_INT32, size_t(1) << 46, nullptr), SERRY_ENOMEM);
    EXPECT_STRNE(serry_err_detail(), "");
    for (int type : { 0, 7, -1, 1000, INT32_MIN, INT32_MAX }) {
        EXPECT_EQ(serry_array_create(&a, (serry_type)type, 1, nullptr), SERRY_EINVAL) << type;
        EXPECT_EQ(serry_value_create(&v, (serry_type)type, zeros, nullptr), SERRY_EINVAL) << type;
    }
    /* Nothing is read before a length is looked at. */
    for (size_t n : { huge, SIZE_MAX, size_t(1) << 40 }) {
        EXPECT_EQ(serry_list_append(w.list, "x", n), SERRY_ELIMIT);
        EXPECT_EQ(serry_list_insert(w.list, 0, "x", n), SERRY_ELIMIT);
        EXPECT_EQ(serry_list_set(w.list, 0, "x", n), SERRY_ELIMIT);
        EXPECT_EQ(serry_dict_put(w.dict, "key", "x", n), SERRY_ELIMIT);
        EXPECT_EQ(serry_dict_compare_put(w.dict, "key", "x", n, "x", 1, nullptr), SERRY_ELIMIT);
        EXPECT_EQ(serry_dict_compare_put(w.dict, "key", "x", 1, "x", n, nullptr), SERRY_ELIMIT);
        EXPECT_EQ(serry_dict_compare_put(w.dict, "key", "x", n, "x", n, nullptr), SERRY_ELIMIT);
        EXPECT_EQ(serry_array_set(w.array, 0, n, "x"), SERRY_EINVAL);
        EXPECT_EQ(serry_array_add(w.array, 1, n, "x"), SERRY_EINVAL);
    }
    EXPECT_EQ(a.id | v.id, 0u);
    w.expect_unchanged();
}

serry_err make_each(const serry_shared_options *o, int kind)
{
    serry_value v = {};
    serry_array a = {};
    serry_list l = {};
    serry_dict d = {};
    serry_err e = kind == 0   ? serry_value_create(&v, SERRY_BYTE, nullptr, o)
                  : kind == 1 ? serry_array_create(&a, SERRY_BYTE, 1, o)
                  : kind == 2 ? serry_list_create(&l, o)
                              : serry_dict_create(&d, o);
    EXPECT_EQ(v.id | a.id | l.id | d.id, 0u);
    return e;
}

SERRY_RANKS_TEST(SharedBadInput, NamesAndNodesThatCannotBe, .ranks({ 1 }).in_own_world())
{
    std::string too_long(64, 'n');
    for (int kind = 0; kind < 4; kind++) {
        serry_shared_options o = named("");
        EXPECT_EQ(make_each(&o, kind), SERRY_EINVAL);
        o = named(too_long.c_str());
        EXPECT_EQ(make_each(&o, kind), SERRY_EINVAL);
        o = named(nullptr);
        for (int node : { SERRY_NODE(1), SERRY_NODE(1000), -12345, 1 << 30 }) {
            o.node = node;
            EXPECT_EQ(make_each(&o, kind), SERRY_EINVAL) << node;
        }
    }
}

/* ---- what comes from a peer that is not well ---- */

void send_anything(uint64_t id, uint16_t op, const std::vector<uint64_t> &bytes, size_t len)
{
    sri_reply reply = {};
    ASSERT_EQ(sri_enter(), SERRY_OK);
    serry_err e = sri_service_call(id, op, nullptr, 0, bytes.data(), len, &reply, SRI_NEVER);
    sri_leave();
    sri_reply_fini(&reply);
    ASSERT_TRUE(e == SERRY_OK || e == SERRY_EINVAL || e == SERRY_ENOKEY) << serry_err_detail();
}

SERRY_RANKS_TEST(SharedBadInput, AnyBytesAreAnswered, .ranks({ 1 }).timeout(60))
{
    std::mt19937_64 random(5);
    World w;
    const uint64_t ends[] = { 0,
                              1,
                              2,
                              3,
                              4,
                              8,
                              1023,
                              1024,
                              1 << 20,
                              UINT32_MAX,
                              UINT64_MAX,
                              UINT64_MAX - 7,
                              UINT64_MAX / 2,
                              UINT64_MAX / 8 + 1 };
    for (int i = 0; i < 6000; i++) {
        auto [type, id] = w.handles()[random() % 4];
        std::vector<uint64_t> bytes(10);
        for (uint64_t &b : bytes)
            b = random() % 3 ? ends[random() % std::size(ends)] : random();
        uint16_t op = (uint16_t)(random() % 40 ? SHARED_OP_INFO + random() % 12 : random() % 2);
        ASSERT_NO_FATAL_FAILURE(send_anything(id, op, bytes, random() % (8 * bytes.size())));
    }
    /* All are still what they were, of whatever content. */
    set<int64_t>(w.value, 7);
    EXPECT_EQ(get<int64_t>(w.value), 7);
    EXPECT_EQ(len(w.array), 3u);
    put(w.array, 0, std::vector<int64_t>{ 1, 2, 3 });
    EXPECT_EQ(serry_list_clear(w.list), SERRY_OK);
    append(w.list, "item");
    EXPECT_EQ(keys(w.dict).size(), len(w.dict));
    EXPECT_EQ(serry_dict_clear(w.dict), SERRY_OK);
    put(w.dict, "key", "value");
    w.expect_unchanged();
}

SERRY_RANKS_TEST(SharedBadInput, KeysThatCannotBeAreRefused, .ranks({ 1 }))
{
    struct {
        uint64_t len;
        char key[24];
    } put = { 8, "1234567" }; /* a 0 in the key */
    serry_dict d = make_dict();
    ASSERT_EQ(sri_enter(), SERRY_OK);
    serry_err with_zero =
        sri_service_call(d.id, SHARED_OP_SET, nullptr, 0, &put, sizeof put, nullptr, SRI_NEVER);
    put.len = 0;
    serry_err empty =
        sri_service_call(d.id, SHARED_OP_SET, nullptr, 0, &put, sizeof put, nullptr, SRI_NEVER);
    put.len = 25;
    serry_err beyond =
        sri_service_call(d.id, SHARED_OP_SET, nullptr, 0, &put, sizeof put, nullptr, SRI_NEVER);
    sri_leave();
    EXPECT_EQ(with_zero, SERRY_EINVAL);
    EXPECT_EQ(empty, SERRY_EINVAL);
    EXPECT_EQ(beyond, SERRY_EINVAL);
    EXPECT_EQ(len(d), 0u);
}

} // namespace
