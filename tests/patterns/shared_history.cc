// ctest: shared slow timeout=180
/* Shared objects under the hands of many at once: nothing is lost, nothing done in halves, and what
 * all have seen can be put into one order. */
#include "patterns/shared_test.h"

#include <algorithm>
#include <random>
#include <set>
#include <time.h>

using namespace serry_test;
using namespace shared_test;

namespace {

/* ---- nothing is lost ---- */

const int n_adds = 10000;

SERRY_RANKS_TEST(SharedHistory, NoAddIsLost, .ranks({ 8 }).timeout(100))
{
    serry_value v = make_value(SERRY_INT64, nullptr, "sum");
    serry_array a = make_array(SERRY_INT32, 3, "sums");
    int64_t one = 1, before = -1, last = -1;
    int32_t ones[3] = { 1, 2, 3 };
    for (int i = 0; i < n_adds; i++) {
        ASSERT_EQ(serry_value_add(v, &one, &before), SERRY_OK) << serry_err_detail();
        ASSERT_GT(before, last);
        last = before;
        if (i % 10 == 0)
            ASSERT_EQ(serry_array_add(a, 0, 3, ones), SERRY_OK);
    }
    barrier();
    EXPECT_EQ(get<int64_t>(v), (int64_t)n_adds * serry_size());
    int32_t tenth = n_adds / 10 * serry_size();
    EXPECT_EQ(slice<int32_t>(a, 0, 3), (std::vector<int32_t>{ tenth, 2 * tenth, 3 * tenth }));
}

SERRY_RANKS_TEST(SharedHistory, NoCompareSetIsLost, .ranks({ 4 }).timeout(100))
{
    const int n = 1000;
    serry_value v = make_value(SERRY_DOUBLE, nullptr, "product");
    serry_dict d = make_dict("counts");
    for (int i = 0; i < n; i++) {
        for (bool done = false; !done;) {
            double is = get<double>(v), next = is + 1;
            ASSERT_EQ(serry_value_compare_set(v, &is, &next, &done), SERRY_OK);
        }
        for (bool done = false; !done;) {
            char text[16];
            size_t len = 0;
            serry_err e = serry_dict_get(d, "count", text, sizeof text, &len);
            ASSERT_TRUE(e == SERRY_OK || e == SERRY_ENOKEY) << serry_err_detail();
            std::string next = std::to_string(1 + (e ? 0 : std::stoi(std::string(text, len))));
            ASSERT_EQ(serry_dict_compare_put(d, "count", e ? nullptr : text, len, next.data(),
                                             next.size(), &done),
                      SERRY_OK);
        }
    }
    barrier();
    EXPECT_EQ(get<double>(v), n * serry_size());
    EXPECT_EQ(at(d, "count"), std::to_string(n * serry_size()));
}

/* Each appends its own numbers and takes what it gets: all come out once, each rank's in order when
 * read from the front. */
SERRY_RANKS_TEST(SharedHistory, NoItemIsLostOrDoubled, .ranks({ 4 }).timeout(100))
{
    const int n = 1500;
    serry_list l = make_list("items"), out = make_list("taken");
    std::mt19937 random((unsigned)serry_rank());
    int taken = 0;
    for (int i = 0; i < n; i++) {
        int item[2] = { serry_rank(), i };
        ASSERT_EQ(serry_list_append(l, item, sizeof item), SERRY_OK);
        if (random() % 2 == 0)
            continue;
        serry_err e = serry_list_pop(l, random() % 2 ? 0 : SIZE_MAX, item, sizeof item, nullptr);
        if (e == SERRY_OK) {
            taken++;
            ASSERT_EQ(serry_list_append(out, item, sizeof item), SERRY_OK);
        } else {
            ASSERT_EQ(e, SERRY_EINVAL) << serry_err_detail(); /* empty */
        }
    }
    barrier();
    if (serry_rank() == 0) {
        std::set<std::string> seen;
        std::vector<int> last((size_t)serry_size(), -1);
        for (const std::string &item : all(out))
            EXPECT_TRUE(seen.insert(item).second);
        for (const std::string &item : all(l)) {
            EXPECT_TRUE(seen.insert(item).second);
            int was[2];
            memcpy(was, item.data(), sizeof was);
            ASSERT_TRUE(was[0] >= 0 && was[0] < serry_size());
            EXPECT_GT(was[1], last[(size_t)was[0]]);
            last[(size_t)was[0]] = was[1];
        }
        EXPECT_EQ(seen.size(), (size_t)(n * serry_size()));
    }
}

/* ---- nothing is done in halves ---- */

/* Within a piece all elements are of one writer; so also a value, an item, a dict's value. */
SERRY_RANKS_TEST(SharedHistory, SlicesAreNeverTorn, .ranks({ 4 }).timeout(100))
{
    const size_t piece = SERRY_SLICE_ATOMIC / 4, n = 2 * piece + 100;
    serry_array a = make_array(SERRY_INT32, n, "large");
    serry_list l = make_list("one item");
    serry_dict d = make_dict("one key");
    std::vector<int32_t> x(n), y(n);
    std::string bytes(100000, 'a'), got(100000, 0);
    if (serry_rank() == 0) {
        append(l, "");
        EXPECT_EQ(serry_list_set(l, 0, bytes.data(), bytes.size()), SERRY_OK);
        EXPECT_EQ(serry_dict_put(d, "k", bytes.data(), bytes.size()), SERRY_OK);
    }
    barrier();
    for (int round = 0; round < 12; round++) {
        if (serry_rank() % 2 == 0) {
            std::fill(x.begin(), x.end(), 1000 * serry_rank() + round);
            std::fill(bytes.begin(), bytes.end(), (char)('a' + round));
            put(a, 0, x);
            EXPECT_EQ(serry_list_set(l, 0, bytes.data(), bytes.size()), SERRY_OK);
            EXPECT_EQ(serry_dict_put(d, "k", bytes.data(), bytes.size()), SERRY_OK);
            continue;
        }
        y = slice<int32_t>(a, 0, n);
        for (size_t i = 0; i < n; i++)
            ASSERT_EQ(y[i], y[i / piece * piece]) << "element " << i;
        ASSERT_EQ(serry_list_get(l, 0, &got[0], got.size(), nullptr), SERRY_OK);
        EXPECT_EQ(got, std::string(got.size(), got[0]));
        ASSERT_EQ(serry_dict_get(d, "k", &got[0], got.size(), nullptr), SERRY_OK);
        EXPECT_EQ(got, std::string(got.size(), got[0]));
    }
}

/* ---- one order for all ---- */

/* An operation on one cell, as it was seen from outside. absent: a dict's key that is not there. */
enum Kind { read_it, write_it, swap_it, add_it, delete_it };
const int absent = -1;

struct Step {
    int kind, arg, to;  /* written; expected and desired; added */
    int result;         /* read, or before, or done */
    int64_t begin, end; /* ns */
};

/* Could it have happened now, in this state? If so *state is the state after it. */
bool could_be(const Step &s, int *state)
{
    switch (s.kind) {
    case read_it:
        return s.result == *state;
    case write_it:
        *state = s.arg;
        return true;
    case swap_it: {
        bool done = *state == s.arg;
        if (done)
            *state = s.to;
        return s.result == (int)done;
    }
    case add_it: {
        bool same = s.result == *state;
        *state += s.arg;
        return same;
    }
    default: {
        bool there = *state != absent;
        *state = absent;
        return s.result == (int)there;
    }
    }
}

/* Is there an order of all steps that keeps those apart which did not overlap, and explains what
 * each has seen? The search of Wing and Gong: what has been tried from a set of done steps and a
 * state is not tried again. At most 64 steps. */
class Order {
public:
    Order(const std::vector<Step> &steps, int state) : steps_(steps) { found_ = search(0, state); }
    bool found() const { return found_; }

private:
    bool search(uint64_t done, int state)
    {
        if (done == (steps_.size() == 64 ? ~UINT64_C(0) : (UINT64_C(1) << steps_.size()) - 1))
            return true;
        if (!tried_.insert({ done, state }).second)
            return false;
        int64_t first_end = INT64_MAX;
        for (size_t i = 0; i < steps_.size(); i++) {
            if (!(done >> i & 1))
                first_end = std::min(first_end, steps_[i].end);
        }
        for (size_t i = 0; i < steps_.size(); i++) {
            int next = state;
            if (!(done >> i & 1) && steps_[i].begin <= first_end && could_be(steps_[i], &next)
                && search(done | UINT64_C(1) << i, next))
                return true;
        }
        return false;
    }

    const std::vector<Step> &steps_;
    std::set<std::pair<uint64_t, int>> tried_;
    bool found_;
};

TEST(SharedOrder, IsFoundWhereThereIsOne)
{
    /* The read that ended before the write began saw 0; one that overlaps it may see either. */
    std::vector<Step> steps = { { write_it, 5, 0, 0, 10, 20 }, { read_it, 0, 0, 0, 1, 5 },
                                { read_it, 0, 0, 0, 12, 18 },  { read_it, 0, 0, 5, 12, 18 },
                                { swap_it, 5, 6, 1, 19, 30 },  { add_it, 1, 0, 6, 31, 32 } };
    EXPECT_TRUE(Order(steps, 0).found());
}

TEST(SharedOrder, IsNotFoundWhereThereIsNone)
{
    std::vector<Step> late = { { write_it, 5, 0, 0, 10, 20 }, { read_it, 0, 0, 0, 21, 25 } };
    EXPECT_FALSE(Order(late, 0).found()) << "a read behind the write that does not see it";
    std::vector<Step> back = { { write_it, 5, 0, 0, 10, 40 },
                               { read_it, 0, 0, 5, 11, 15 },
                               { read_it, 0, 0, 0, 21, 25 } };
    EXPECT_FALSE(Order(back, 0).found()) << "seen, and then not seen any more";
    std::vector<Step> twice = { { swap_it, 0, 1, 1, 1, 9 }, { swap_it, 0, 2, 1, 1, 9 } };
    EXPECT_FALSE(Order(twice, 0).found()) << "two have taken the same";
    std::vector<Step> lost = { { add_it, 1, 0, 0, 1, 9 }, { add_it, 1, 0, 0, 1, 9 } };
    EXPECT_FALSE(Order(lost, 0).found()) << "a lost update";
}

int64_t now()
{
    timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

Step random_step(std::mt19937 &random, bool of_a_value)
{
    const int kinds[] = { read_it, write_it, swap_it, swap_it, of_a_value ? add_it : delete_it };
    Step s = {};
    s.kind = kinds[random() % 5];
    s.arg = (int)(random() % 3);
    s.to = (int)(random() % 3);
    if (s.kind == swap_it && !of_a_value && random() % 3 == 0)
        s.arg = absent;
    return s;
}

void step_on_value(serry_value v, Step *s)
{
    int32_t arg = s->arg, to = s->to, is = -100;
    bool done = false;
    serry_err e = SERRY_OK;
    s->begin = now();
    switch (s->kind) {
    case read_it:
        e = serry_value_get(v, &is);
        break;
    case write_it:
        e = serry_value_set(v, &arg);
        break;
    case swap_it:
        e = serry_value_compare_set(v, &arg, &to, &done);
        break;
    default:
        e = serry_value_add(v, &arg, &is);
        break;
    }
    s->end = now();
    s->result = s->kind == swap_it ? (int)done : is;
    EXPECT_EQ(e, SERRY_OK) << serry_err_detail();
}

void step_on_dict(serry_dict d, Step *s)
{
    bool done = false;
    int is = absent;
    serry_err e = SERRY_OK;
    const int *expected = s->arg == absent ? nullptr : &s->arg;
    s->begin = now();
    switch (s->kind) {
    case read_it:
        e = serry_dict_get(d, "key", &is, sizeof is, nullptr);
        break;
    case write_it:
        e = serry_dict_put(d, "key", &s->arg, sizeof s->arg);
        break;
    case swap_it:
        e = serry_dict_compare_put(d, "key", expected, expected ? sizeof *expected : 0, &s->to,
                                   sizeof s->to, &done);
        break;
    default:
        e = serry_dict_del(d, "key");
        break;
    }
    s->end = now();
    if (s->kind == delete_it)
        done = e == SERRY_OK;
    s->result = s->kind == read_it ? is : (int)done;
    EXPECT_TRUE(e == SERRY_OK
                || (e == SERRY_ENOKEY && (s->kind == read_it || s->kind == delete_it)))
        << serry_err_detail();
}

/* Rounds of some steps by all at once; rank 0 looks for an order of each. */
template <class Step_fn, class State_fn>
void expect_order(bool of_a_value, Step_fn step, State_fn state)
{
    const int n = 60 / serry_size();
    std::mt19937 random((unsigned)serry_rank() + 77);
    int overlaps = 0;
    for (int round = 0; round < 60; round++) {
        std::vector<Step> mine, all((size_t)(n * serry_size()));
        int before = state();
        barrier();
        for (int i = 0; i < n; i++) {
            mine.push_back(random_step(random, of_a_value));
            step(&mine.back());
        }
        ASSERT_EQ(serry_world_gather(mine.data(), mine.size() * sizeof(Step), all.data(), 0),
                  SERRY_OK);
        if (serry_rank() == 0) {
            ASSERT_TRUE(Order(all, before).found()) << "round " << round;
            for (size_t i = 0; i < all.size(); i++) {
                for (size_t j = (i / (size_t)n + 1) * (size_t)n; j < all.size(); j++)
                    overlaps += all[i].begin < all[j].end && all[j].begin < all[i].end;
            }
        }
        barrier();
    }
    if (serry_rank() == 0)
        EXPECT_GT(overlaps, 100) << "they took turns: nothing was tried";
}

SERRY_RANKS_TEST(SharedHistory, AValueHasOneOrderForAll, .ranks({ 2, 4 }).timeout(100))
{
    serry_value v = make_value(SERRY_INT32, nullptr, "ordered");
    expect_order(
        true, [v](Step *s) { step_on_value(v, s); }, [v] { return (int)get<int32_t>(v); });
}

SERRY_RANKS_TEST(SharedHistory, AKeyHasOneOrderForAll, .ranks({ 2, 4 }).timeout(100))
{
    serry_dict d = make_dict("ordered");
    expect_order(
        false, [d](Step *s) { step_on_dict(d, s); },
        [d] {
            int is = absent;
            serry_err e = serry_dict_get(d, "key", &is, sizeof is, nullptr);
            EXPECT_TRUE(e == SERRY_OK || e == SERRY_ENOKEY);
            return is;
        });
}

/* What one has done before it says so by a message, the other sees. */
SERRY_RANKS_TEST(SharedHistory, AMessageComesBehindWhatWasDone, .ranks({ 2 }))
{
    serry_value v = make_value(SERRY_INT32, nullptr, "flag");
    serry_list l = make_list("told");
    for (int i = 1; i <= 500; i++) {
        if (serry_rank() == 0) {
            set(v, i);
            append(l, std::to_string(i));
            ASSERT_EQ(serry_send(1, 0, nullptr, 0), SERRY_OK);
            ASSERT_EQ(serry_recv(1, 0, nullptr, 0, nullptr, SERRY_FOREVER), SERRY_OK);
        } else {
            ASSERT_EQ(serry_recv(0, 0, nullptr, 0, nullptr, SERRY_FOREVER), SERRY_OK);
            ASSERT_EQ(get<int32_t>(v), i);
            ASSERT_EQ(at(l, (size_t)i - 1), std::to_string(i));
            ASSERT_EQ(serry_send(0, 0, nullptr, 0), SERRY_OK);
        }
    }
}

} // namespace
