// ctest: shared timeout=120
/* Lists and dicts as their users see them, over both kinds of lanes. */
#include "patterns/shared_test.h"

#include <algorithm>
#include <deque>
#include <map>
#include <random>
#include <thread>

using namespace serry_test;
using namespace shared_test;

namespace {

using Strings = std::vector<std::string>;

void expect_detail(const std::string &part)
{
    EXPECT_NE(std::string(serry_err_detail()).find(part), std::string::npos) << serry_err_detail();
}

/* ---- lists ---- */

void extend(serry_list l, const Strings &items)
{
    for (const std::string &i : items)
        append(l, i);
}

Strings range(int from, int to)
{
    Strings s;
    for (int i = from; i < to; i++)
        s.push_back(std::to_string(i));
    return s;
}

SERRY_RANKS_TEST(List, DoesWhatListsDo, .ranks({ 1 }))
{
    serry_list a = make_list();
    extend(a, range(0, 10));
    EXPECT_EQ(all(a), range(0, 10));
    serry_list b = make_list();
    EXPECT_EQ(all(b), Strings());
    extend(b, range(0, 5));
    EXPECT_EQ(at(b, 2), "2");
    EXPECT_EQ(Strings({ at(b, 2), at(b, 3), at(b, 4) }), range(2, 5));
    /* b *= 2 */
    extend(b, all(b));
    EXPECT_EQ(all(b), Strings({ "0", "1", "2", "3", "4", "0", "1", "2", "3", "4" }));
    /* b + [5, 6] */
    Strings sum = all(b);
    sum.push_back("5");
    sum.push_back("6");
    extend(b, { "5", "6" });
    EXPECT_EQ(all(b), sum);
    EXPECT_EQ(all(a), range(0, 10));
    EXPECT_EQ(serry_list_set(a, 3, "three", 5), SERRY_OK);
    EXPECT_EQ(serry_list_insert(a, 0, "first", 5), SERRY_OK);
    EXPECT_EQ(serry_list_insert(a, len(a), "last", 4), SERRY_OK);
    EXPECT_EQ(serry_list_insert(a, 6, "middle", 6), SERRY_OK);
    EXPECT_EQ(all(a), Strings({ "first", "0", "1", "2", "three", "4", "middle", "5", "6", "7", "8",
                                "9", "last" }));
    EXPECT_EQ(pop(a), "last");
    EXPECT_EQ(pop(a, 0), "first");
    EXPECT_EQ(pop(a, 5), "middle");
    EXPECT_EQ(pop(a, len(a) - 1), "9");
    EXPECT_EQ(all(a), Strings({ "0", "1", "2", "three", "4", "5", "6", "7", "8" }));
    EXPECT_EQ(serry_list_clear(a), SERRY_OK);
    EXPECT_EQ(len(a), 0u);
    EXPECT_EQ(serry_list_clear(a), SERRY_OK);
    append(a, "again");
    EXPECT_EQ(all(a), Strings({ "again" }));
}

/* A loop over indices sees what came after it began. */
SERRY_RANKS_TEST(List, ALoopSeesLaterWrites, .ranks({ 1 }))
{
    serry_list a = make_list();
    extend(a, range(0, 10));
    Strings seen;
    for (size_t i = 0; i < len(a); i++) {
        seen.push_back(at(a, i));
        if (i == 4) {
            EXPECT_EQ(serry_list_set(a, 0, "100", 3), SERRY_OK);
            EXPECT_EQ(serry_list_set(a, 7, "seven", 5), SERRY_OK);
            append(a, "10");
        }
    }
    Strings want = range(0, 11);
    want[7] = "seven";
    EXPECT_EQ(seen, want);
    EXPECT_EQ(at(a, 0), "100");
}

SERRY_RANKS_TEST(List, HoldsLists, .ranks({ 1 }))
{
    serry_list outer = make_list();
    for (int i = 0; i < 2; i++) {
        serry_list inner = make_list();
        extend(inner, range(0, 4));
        append(outer, handle(inner));
    }
    append(from<serry_list>(at(outer, 0)), "change");
    EXPECT_EQ(all(from<serry_list>(at(outer, 0))), Strings({ "0", "1", "2", "3", "change" }));
    EXPECT_EQ(all(from<serry_list>(at(outer, 1))), range(0, 4));
    /* One of a second level, reached by two ways. */
    serry_list third = make_list();
    append(from<serry_list>(at(outer, 1)), handle(third));
    append(third, "deep");
    serry_list again = from<serry_list>(at(from<serry_list>(at(outer, 1)), 4));
    EXPECT_EQ(all(again), Strings({ "deep" }));
    /* One that contains itself ends like any other, now or with the world. */
    serry_list self = make_list(), other = make_list();
    append(self, handle(self));
    append(other, handle(other));
    EXPECT_EQ(from<serry_list>(at(from<serry_list>(at(self, 0)), 0)).id, self.id);
    EXPECT_EQ(serry_list_destroy(self), SERRY_OK);
    EXPECT_EQ(serry_list_destroy(outer), SERRY_OK);
    EXPECT_EQ(all(again), Strings({ "deep" }));
}

SERRY_RANKS_TEST(List, ItemsHaveAnyLength, .ranks({ 1 }).timeout(60))
{
    serry_list l = make_list();
    append(l, "");
    const size_t lengths[] = { 1, 127, 128, 129, 16000, 16400, 70000, 3000000 };
    for (size_t n : lengths) {
        std::vector<char> item(n, (char)n), got(n + 1, 'x');
        size_t len = 0;
        EXPECT_EQ(serry_list_append(l, item.data(), n), SERRY_OK);
        EXPECT_EQ(serry_list_get(l, shared_test::len(l) - 1, got.data(), n + 1, &len), SERRY_OK);
        EXPECT_EQ(len, n);
        EXPECT_EQ(memcmp(got.data(), item.data(), n), 0);
        EXPECT_EQ(got[n], 'x');
    }
    size_t n = 9;
    EXPECT_EQ(serry_list_get(l, 0, nullptr, 0, &n), SERRY_OK);
    EXPECT_EQ(n, 0u);
    EXPECT_EQ(serry_list_get(l, 0, nullptr, 0, nullptr), SERRY_OK);
    EXPECT_EQ(at(l, 0), "");
    for (size_t want : lengths) {
        std::vector<char> got(want);
        EXPECT_EQ(serry_list_pop(l, 1, got.data(), want, nullptr), SERRY_OK);
        EXPECT_EQ(got[want - 1], (char)want);
    }
    EXPECT_EQ(pop(l), "");
    EXPECT_EQ(len(l), 0u);
}

SERRY_RANKS_TEST(List, WhatDoesNotFitStays, .ranks({ 1 }))
{
    serry_list l = make_list();
    extend(l, { "short", "much longer" });
    char item[32] = "untouched";
    size_t n = 0;
    EXPECT_EQ(serry_list_get(l, 1, item, 5, &n), SERRY_ETRUNC);
    EXPECT_EQ(n, 11u);
    n = 0;
    EXPECT_EQ(serry_list_pop(l, SIZE_MAX, item, 10, &n), SERRY_ETRUNC);
    EXPECT_EQ(n, 11u);
    expect_detail("11");
    n = 0;
    EXPECT_EQ(serry_list_pop(l, 0, nullptr, 0, &n), SERRY_ETRUNC);
    EXPECT_EQ(n, 5u);
    /* Without a length exactly that many are expected. */
    EXPECT_EQ(serry_list_get(l, 0, item, 6, nullptr), SERRY_EINVAL);
    EXPECT_EQ(serry_list_pop(l, 0, item, 4, nullptr), SERRY_EINVAL);
    expect_detail("5 bytes");
    EXPECT_STREQ(item, "untouched");
    EXPECT_EQ(all(l), Strings({ "short", "much longer" }));
    EXPECT_EQ(serry_list_pop(l, 0, item, 5, nullptr), SERRY_OK);
    EXPECT_EQ(std::string(item), "shortched");
    EXPECT_EQ(all(l), Strings({ "much longer" }));
}

SERRY_RANKS_TEST(List, AnIndexThatIsNotThereIsAnError, .ranks({ 1 }))
{
    serry_list l = make_list();
    char item[32] = "x";
    size_t n = 7;
    EXPECT_EQ(serry_list_pop(l, SIZE_MAX, item, sizeof item, &n), SERRY_EINVAL);
    expect_detail("empty");
    EXPECT_EQ(serry_list_get(l, 0, item, sizeof item, &n), SERRY_EINVAL);
    EXPECT_EQ(serry_list_set(l, 0, "a", 1), SERRY_EINVAL);
    EXPECT_EQ(serry_list_insert(l, 1, "a", 1), SERRY_EINVAL);
    extend(l, range(0, 3));
    for (size_t i : { size_t(3), size_t(4), SIZE_MAX / 2, SIZE_MAX - 1 }) {
        EXPECT_EQ(serry_list_get(l, i, item, sizeof item, &n), SERRY_EINVAL);
        expect_detail("3 items");
        EXPECT_EQ(serry_list_pop(l, i, item, sizeof item, &n), SERRY_EINVAL);
        EXPECT_EQ(serry_list_set(l, i, "a", 1), SERRY_EINVAL);
        EXPECT_EQ(serry_list_insert(l, i + 1, "a", 1), SERRY_EINVAL);
    }
    /* Only pop has a last one. */
    EXPECT_EQ(serry_list_get(l, SIZE_MAX, item, sizeof item, &n), SERRY_EINVAL);
    EXPECT_EQ(serry_list_set(l, SIZE_MAX, "a", 1), SERRY_EINVAL);
    EXPECT_EQ(n, 7u);
    EXPECT_STREQ(item, "x");
    EXPECT_EQ(all(l), range(0, 3));
}

/* Against the same steps on a deque, at the ends and anywhere. */
SERRY_RANKS_TEST(List, IsALikenessOfADeque, .ranks({ 1 }).timeout(60))
{
    std::mt19937 random(7);
    serry_list l = make_list();
    std::deque<std::string> model;
    for (int step = 0; step < 3000; step++) {
        bool shrink = step / 750 % 2;
        size_t where[] = { 0, model.size(), random() % (model.size() + 1) };
        size_t i = where[random() % 3];
        std::string item = std::to_string(step);
        if (random() % 3 == 0 && i < model.size()) {
            EXPECT_EQ(serry_list_set(l, i, item.data(), item.size()), SERRY_OK);
            model[i] = item;
        } else if (random() % 8 < (shrink ? 6 : 2) && i < model.size()) {
            ASSERT_EQ(pop(l, i), model[i]);
            model.erase(model.begin() + (long)i);
        } else {
            EXPECT_EQ(serry_list_insert(l, i, item.data(), item.size()), SERRY_OK);
            model.insert(model.begin() + (long)i, item);
        }
        if (!model.empty()) {
            size_t k = random() % model.size();
            ASSERT_EQ(at(l, k), model[k]) << "after step " << step;
        }
    }
    EXPECT_EQ(all(l), Strings(model.begin(), model.end()));
}

struct Pair {
    serry_list l;
    serry_dict d;
};

int change_both(const void *arg, size_t)
{
    Pair p = *(const Pair *)arg;
    append(p.l, "child");
    EXPECT_EQ(pop(p.l, 0), "parent");
    put(p.d, "child", "was here");
    put(p.d, "both", "child");
    EXPECT_EQ(serry_dict_del(p.d, "parent"), SERRY_OK);
    return 0;
}

SERRY_RANKS_TEST(List, ChangedByAChildAsTheDict, .ranks({ 1, 2 }))
{
    Pair p = { make_list(), make_dict() };
    extend(p.l, { "parent", "stays" });
    put(p.d, "parent", "1");
    put(p.d, "both", "parent");
    EXPECT_EQ(join(start(change_both, p)), 0);
    EXPECT_EQ(all(p.l), Strings({ "stays", "child" }));
    EXPECT_EQ(keys(p.d), Strings({ "both", "child" }));
    EXPECT_EQ(at(p.d, "both"), "child");
    EXPECT_EQ(at(p.d, "child"), "was here");
}

SERRY_RANKS_TEST(List, TheSameNameIsTheSameList)
{
    serry_list l = make_list("names");
    append(l, std::to_string(serry_rank()));
    barrier();
    Strings items = all(l), want = range(0, serry_size());
    std::sort(items.begin(), items.end());
    EXPECT_EQ(items, want);
    EXPECT_EQ(make_list("names").id, l.id);
    EXPECT_NE(make_list("other names").id, l.id);
}

/* ---- dicts ---- */

SERRY_RANKS_TEST(Dict, DoesWhatDictsDo, .ranks({ 1 }))
{
    serry_dict d = make_dict();
    std::map<std::string, std::string> model;
    for (int i = 65; i < 70; i++) {
        put(d, std::to_string(i), std::string(1, (char)i));
        model[std::to_string(i)] = std::string(1, (char)i);
    }
    EXPECT_EQ(len(d), 5u);
    EXPECT_EQ(keys(d), Strings({ "65", "66", "67", "68", "69" }));
    /* values and items, by keys */
    std::map<std::string, std::string> copy;
    for (const std::string &k : keys(d))
        copy[k] = at(d, k);
    EXPECT_EQ(copy, model);
    EXPECT_TRUE(has_key(d, "65"));
    EXPECT_FALSE(has_key(d, "6"));
    EXPECT_FALSE(has_key(d, "655"));
    EXPECT_EQ(serry_dict_clear(d), SERRY_OK);
    EXPECT_EQ(keys(d), Strings());
    EXPECT_EQ(len(d), 0u);
    EXPECT_EQ(serry_dict_clear(d), SERRY_OK);
    EXPECT_FALSE(has_key(d, "65"));
    put(d, "65", "back");
    EXPECT_EQ(at(d, "65"), "back");
}

SERRY_RANKS_TEST(Dict, KeysStayInTheOrderTheyCame, .ranks({ 1 }))
{
    serry_dict d = make_dict();
    for (const char *k : { "z", "a", "m", "b" })
        put(d, k, "1");
    put(d, "a", "changed, of another length");
    EXPECT_EQ(keys(d), Strings({ "z", "a", "m", "b" }));
    EXPECT_EQ(serry_dict_del(d, "z"), SERRY_OK);
    put(d, "z", "2");
    EXPECT_EQ(keys(d), Strings({ "a", "m", "b", "z" }));
    EXPECT_EQ(at(d, "a"), "changed, of another length");
}

SERRY_RANKS_TEST(Dict, NoSuchKeyIsItsOwnError, .ranks({ 1 }))
{
    serry_dict d = make_dict();
    char value[8] = "x";
    size_t n = 5;
    EXPECT_EQ(serry_dict_get(d, "missing", value, sizeof value, &n), SERRY_ENOKEY);
    expect_detail("'missing'");
    EXPECT_EQ(serry_dict_del(d, "missing"), SERRY_ENOKEY);
    expect_detail("'missing'");
    put(d, "there", "yes");
    EXPECT_EQ(serry_dict_del(d, "there"), SERRY_OK);
    EXPECT_EQ(serry_dict_del(d, "there"), SERRY_ENOKEY);
    EXPECT_EQ(n, 5u);
    EXPECT_STREQ(value, "x");
}

SERRY_RANKS_TEST(Dict, KeysHaveALimit, .ranks({ 1 }))
{
    serry_dict d = make_dict();
    std::string most(SERRY_KEY_MAX, 'k'), more(SERRY_KEY_MAX + 1, 'k');
    size_t n = 0;
    for (size_t i : { 1, 7, 8, 9, 40, 48, 49, 1016, 1020, SERRY_KEY_MAX }) {
        put(d, most.substr(0, i), std::to_string(i));
        EXPECT_EQ(at(d, most.substr(0, i)), std::to_string(i));
    }
    EXPECT_EQ(keys(d).back(), most);
    for (const std::string &wrong : { std::string(), more, std::string(100000, 'k') }) {
        serry_err e = wrong.empty() ? SERRY_EINVAL : SERRY_ELIMIT;
        EXPECT_EQ(serry_dict_put(d, wrong.c_str(), "v", 1), e);
        EXPECT_EQ(serry_dict_get(d, wrong.c_str(), nullptr, 0, &n), e);
        EXPECT_EQ(serry_dict_del(d, wrong.c_str()), e);
        EXPECT_EQ(serry_dict_compare_put(d, wrong.c_str(), nullptr, 0, "v", 1, nullptr), e);
        if (!wrong.empty())
            expect_detail("1023");
    }
    EXPECT_EQ(len(d), 10u);
    EXPECT_EQ(serry_dict_del(d, most.c_str()), SERRY_OK);
    EXPECT_EQ(serry_dict_get(d, most.c_str(), nullptr, 0, &n), SERRY_ENOKEY);
    /* Any bytes but 0. */
    put(d, "\x01 \xff\n'\"", "odd");
    EXPECT_EQ(at(d, keys(d).back()), "odd");
}

SERRY_RANKS_TEST(Dict, WhatDoesNotFitIsTold, .ranks({ 1 }))
{
    serry_dict d = make_dict();
    put(d, "k", "a value");
    char value[16] = "untouched";
    size_t n = 0;
    EXPECT_EQ(serry_dict_get(d, "k", value, 6, &n), SERRY_ETRUNC);
    EXPECT_EQ(n, 7u);
    EXPECT_EQ(serry_dict_get(d, "k", value, 8, nullptr), SERRY_EINVAL);
    EXPECT_STREQ(value, "untouched");
    EXPECT_EQ(serry_dict_get(d, "k", value, 7, nullptr), SERRY_OK);
    put(d, "empty", "");
    EXPECT_EQ(at(d, "empty"), "");
    EXPECT_EQ(serry_dict_get(d, "empty", nullptr, 0, nullptr), SERRY_OK);
    std::string large(2000000, 'v'), got(2000000, 'x');
    EXPECT_EQ(serry_dict_put(d, "large", large.data(), large.size()), SERRY_OK);
    EXPECT_EQ(serry_dict_get(d, "large", &got[0], got.size(), &n), SERRY_OK);
    EXPECT_TRUE(got == large);
}

SERRY_RANKS_TEST(Dict, ComparePutPutsOnlyOverWhatIsExpected, .ranks({ 1 }))
{
    serry_dict d = make_dict();
    bool done = true;
    EXPECT_EQ(serry_dict_compare_put(d, "k", "old", 3, "new", 3, &done), SERRY_OK);
    EXPECT_FALSE(done);
    EXPECT_EQ(serry_dict_compare_put(d, "k", "", 0, "new", 3, &done), SERRY_OK);
    EXPECT_FALSE(done) << "no value is not an empty one";
    EXPECT_FALSE(has_key(d, "k"));
    EXPECT_EQ(serry_dict_compare_put(d, "k", nullptr, 0, "", 0, &done), SERRY_OK);
    EXPECT_TRUE(done);
    EXPECT_EQ(at(d, "k"), "");
    EXPECT_EQ(serry_dict_compare_put(d, "k", nullptr, 0, "two", 3, &done), SERRY_OK);
    EXPECT_FALSE(done);
    EXPECT_EQ(serry_dict_compare_put(d, "k", "", 0, "three", 5, &done), SERRY_OK);
    EXPECT_TRUE(done);
    EXPECT_EQ(serry_dict_compare_put(d, "k", "thre", 4, "four", 4, &done), SERRY_OK);
    EXPECT_FALSE(done);
    EXPECT_EQ(serry_dict_compare_put(d, "k", "three", 5, "f", 1, nullptr), SERRY_OK);
    EXPECT_EQ(at(d, "k"), "f");
    /* Of any length, with a key of any length. */
    std::string key(500, 'k'), first(300000, '1'), second(200000, '2');
    EXPECT_EQ(serry_dict_compare_put(d, key.c_str(), nullptr, 0, first.data(), first.size(), &done),
              SERRY_OK);
    EXPECT_TRUE(done);
    EXPECT_EQ(serry_dict_compare_put(d, key.c_str(), first.data(), first.size(), second.data(),
                                     second.size(), &done),
              SERRY_OK);
    EXPECT_TRUE(done);
    EXPECT_EQ(serry_dict_compare_put(d, key.c_str(), first.data(), first.size(), "x", 1, &done),
              SERRY_OK);
    EXPECT_FALSE(done);
    std::string got(200000, 0);
    EXPECT_EQ(serry_dict_get(d, key.c_str(), &got[0], got.size(), nullptr), SERRY_OK);
    EXPECT_TRUE(got == second);
}

/* The keys of one moment; what changes meanwhile shows as keys that are gone. */
SERRY_RANKS_TEST(Dict, ALoopOverKeysToleratesChanges, .ranks({ 1 }))
{
    serry_dict d = make_dict();
    for (const std::string &k : range(0, 100))
        put(d, k, "v" + k);
    char **strings = nullptr;
    size_t n = 0, seen = 0, gone = 0;
    ASSERT_EQ(serry_dict_keys(d, &strings, &n), SERRY_OK);
    ASSERT_EQ(n, 100u);
    EXPECT_EQ(strings[n], nullptr);
    for (size_t i = 0; i < n; i++) {
        if (i == 50) {
            EXPECT_EQ(serry_dict_clear(d), SERRY_OK);
            put(d, "70", "new");
            put(d, "another", "new");
        }
        char value[8];
        size_t len = 0;
        serry_err e = serry_dict_get(d, strings[i], value, sizeof value, &len);
        seen += e == SERRY_OK;
        gone += e == SERRY_ENOKEY;
    }
    serry_strings_free(strings, n);
    EXPECT_EQ(seen, 51u);
    EXPECT_EQ(gone, 49u);
    EXPECT_EQ(keys(d), Strings({ "70", "another" }));
    /* n may be left out: there is a NULL at the end. */
    ASSERT_EQ(serry_dict_keys(d, &strings, nullptr), SERRY_OK);
    EXPECT_STREQ(strings[1], "another");
    EXPECT_EQ(strings[2], nullptr);
    serry_strings_free(strings, 2);
    serry_strings_free(nullptr, 0);
}

SERRY_RANKS_TEST(Dict, HoldsDictsThatOutliveIt, .ranks({ 1 }))
{
    serry_dict pets = make_dict(), d = make_dict();
    for (const char *who : { "ferrets", "hamsters" }) {
        serry_dict inner = make_dict();
        put(pets, who, handle(inner));
        put(inner, "number", who);
    }
    put(d, "pets", handle(pets));
    serry_dict first = from<serry_dict>(at(from<serry_dict>(at(d, "pets")), "ferrets"));
    put(first, "colour", "blue");
    EXPECT_EQ(at(from<serry_dict>(at(pets, "ferrets")), "colour"), "blue");
    EXPECT_EQ(serry_dict_destroy(pets), SERRY_OK);
    EXPECT_EQ(at(first, "number"), "ferrets");
    size_t n = 9;
    EXPECT_EQ(serry_dict_len(from<serry_dict>(at(d, "pets")), &n), SERRY_EHANDLE);
    EXPECT_EQ(serry_dict_destroy(d), SERRY_OK);
    EXPECT_EQ(keys(first), Strings({ "number", "colour" }));
}

int put_into_both(const void *arg, size_t)
{
    Pair p = *(const Pair *)arg;
    serry_queue q = from<serry_queue>(at(p.l, 0)), r = from<serry_queue>(at(p.d, "queue"));
    serry_lock lock = from<serry_lock>(at(p.d, "lock"));
    EXPECT_EQ(serry_lock_acquire(lock, SERRY_FOREVER), SERRY_OK) << serry_err_detail();
    EXPECT_EQ(serry_queue_put(q, "via list", 8, SERRY_FOREVER), SERRY_OK);
    EXPECT_EQ(serry_queue_put(r, "via dict", 8, SERRY_FOREVER), SERRY_OK);
    EXPECT_EQ(serry_lock_release(lock), SERRY_OK);
    return 0;
}

SERRY_RANKS_TEST(Dict, HoldsQueuesAndLocks, .ranks({ 1 }))
{
    Pair p = { make_list(), make_dict() };
    serry_queue q[2];
    serry_lock lock;
    for (serry_queue &one : q)
        ASSERT_EQ(serry_queue_create(&one, nullptr), SERRY_OK);
    ASSERT_EQ(serry_lock_create(&lock, nullptr), SERRY_OK);
    append(p.l, handle(q[0]));
    put(p.d, "queue", handle(q[1]));
    put(p.d, "lock", handle(lock));
    EXPECT_EQ(join(start(put_into_both, p)), 0);
    char item[8];
    EXPECT_EQ(serry_queue_get(q[0], item, 8, nullptr, SERRY_NOWAIT), SERRY_OK);
    EXPECT_EQ(std::string(item, 8), "via list");
    EXPECT_EQ(serry_queue_get(q[1], item, 8, nullptr, SERRY_NOWAIT), SERRY_OK);
    EXPECT_EQ(std::string(item, 8), "via dict");
    EXPECT_EQ(serry_lock_acquire(lock, SERRY_NOWAIT), SERRY_OK);
    EXPECT_EQ(serry_lock_release(lock), SERRY_OK);
}

int use_namespace(const void *arg, size_t)
{
    serry_dict n = *(const serry_dict *)arg;
    EXPECT_EQ(at(n, "name"), "Bob");
    EXPECT_EQ(serry_dict_del(n, "name"), SERRY_OK);
    put(n, "job", "Builder");
    put(n, "_hidden", "hidden");
    return 0;
}

SERRY_RANKS_TEST(Dict, IsANamespace, .ranks({ 1 }))
{
    serry_dict n = make_dict("a namespace");
    put(n, "name", "Bob");
    EXPECT_EQ(join(start(use_namespace, n)), 0);
    EXPECT_FALSE(has_key(n, "name"));
    EXPECT_EQ(at(n, "job"), "Builder");
    Strings shown = keys(n);
    shown.erase(std::remove_if(shown.begin(), shown.end(),
                               [](const std::string &k) { return k[0] == '_'; }),
                shown.end());
    EXPECT_EQ(shown, Strings({ "job" }));
}

/* Against the same steps on a map. */
SERRY_RANKS_TEST(Dict, IsALikenessOfAMap, .ranks({ 1 }).timeout(60))
{
    std::mt19937 random(11);
    serry_dict d = make_dict();
    std::map<std::string, std::string> model;
    Strings order;
    for (int step = 0; step < 3000; step++) {
        std::string key = "key " + std::to_string(random() % 300);
        std::string value((size_t)(random() % 40), (char)('a' + step % 26));
        bool there = model.count(key) != 0;
        if (random() % 3 == 0) {
            ASSERT_EQ(serry_dict_del(d, key.c_str()), there ? SERRY_OK : SERRY_ENOKEY);
            model.erase(key);
            order.erase(std::remove(order.begin(), order.end(), key), order.end());
        } else {
            put(d, key, value);
            if (!there)
                order.push_back(key);
            model[key] = value;
        }
        key = "key " + std::to_string(random() % 300);
        if (model.count(key))
            ASSERT_EQ(at(d, key), model[key]) << "after step " << step;
        else
            ASSERT_FALSE(has_key(d, key)) << "after step " << step;
    }
    EXPECT_EQ(keys(d), order);
    EXPECT_EQ(len(d), model.size());
}

SERRY_RANKS_TEST(Dict, ThreadsOfAProcessShareOne, .ranks({ 1, 2 }))
{
    serry_dict d = make_dict("threads");
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; t++) {
        threads.emplace_back([=] {
            std::string mine = std::to_string(serry_rank()) + "." + std::to_string(t);
            for (int i = 0; i < 200; i++) {
                put(d, mine, std::to_string(i));
                ASSERT_EQ(at(d, mine), std::to_string(i));
            }
        });
    }
    for (std::thread &t : threads)
        t.join();
    barrier();
    EXPECT_EQ(len(d), 4u * (size_t)serry_size());
}

} // namespace
