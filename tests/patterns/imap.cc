// ctest: pool timeout=180 alone
/* Lazy maps: order, bounds, failures, ends. */
#include "patterns/pool_test.h"

using namespace serry_test;
using namespace pool_test;

namespace {

/* Numbers up to n; says how far it has been read. */
struct Source {
    size_t n;
    size_t read = 0;  /* items given */
    size_t asked = 0; /* calls */
    bool in_order = true;
    size_t wrong = SIZE_MAX; /* this one is too long */
    size_t len = sizeof(int);
    bool vary = false; /* the length: 4 + index % 3 * 4 */
};

bool next_number(void *ctx, size_t index, void *item, size_t cap, size_t *len)
{
    Source &s = *(Source *)ctx;
    s.asked++;
    s.in_order = s.in_order && index == s.read;
    if (index >= s.n)
        return false;
    int value = (int)index;
    size_t size = s.vary ? 4 + index % 3 * 4 : s.len;
    memset(item, 0, size < cap ? size : cap);
    memcpy(item, &value, sizeof value);
    *len = index == s.wrong ? cap + 1 : size;
    s.read++;
    return true;
}

serry_results *imap(serry_pool *p, serry_task_fn fn, Source *s, const serry_imap_options &o = {})
{
    serry_results *it = nullptr;
    EXPECT_EQ(serry_pool_imap(&it, p, fn, next_number, s, &o), SERRY_OK) << serry_err_detail();
    return it;
}

/* All of n come, each once; in order if it is to be so. */
void expect_all(serry_results *it, size_t n, bool ordered)
{
    std::vector<bool> seen(n);
    for (size_t k = 0; k < n; k++) {
        int value = -1;
        size_t index = SIZE_MAX, len = 0;
        ASSERT_EQ(serry_results_next(it, &value, sizeof value, &len, &index, 20), SERRY_OK)
            << serry_err_detail();
        ASSERT_EQ(len, sizeof value);
        ASSERT_EQ((size_t)value, index);
        ASSERT_LT(index, n);
        ASSERT_FALSE(seen[index]);
        seen[index] = true;
        if (ordered) {
            ASSERT_EQ(index, k);
        }
    }
    int none = 7;
    for (int again = 0; again < 2; again++)
        EXPECT_EQ(serry_results_next(it, &none, sizeof none, nullptr, nullptr, 20), SERRY_ECLOSED);
    EXPECT_EQ(none, 7);
}

int a_number(serry_task *t, const void *in, size_t)
{
    return give(t, in, sizeof(int));
}

void expect_imaps(serry_pool *p)
{
    for (bool unordered : { false, true })
        for (size_t chunk : { 0, 1, 7, 100 })
            for (size_t n : { 0, 1, 10, 1000 }) {
                Source s = { n };
                serry_imap_options o = {};
                o.unordered = unordered;
                o.chunk = chunk;
                serry_results *it = imap(p, a_number, &s, o);
                expect_all(it, n, !unordered);
                EXPECT_TRUE(s.in_order);
                EXPECT_EQ(s.asked, n + 1);
                serry_results_free(it);
            }
}

SERRY_RANKS_TEST(Imap, GivesOrderedAndUnorderedResults, // test_imap, test_imap_unordered
                 .ranks({ 1, 3 }).both_ways())
{
    with_pool(options(2), expect_imaps);
}

SERRY_RANKS_TEST(Imap, ReadsNoMoreThanIsInFlight, .ranks({ 1 }).directly())
{
    serry_pool *p = make_pool();
    for (bool unordered : { false, true }) {
        Source s = { 1000 };
        serry_imap_options o = {};
        o.unordered = unordered;
        o.in_flight = 5;
        serry_results *it = imap(p, a_number, &s, o);
        EXPECT_LE(s.read, 5u);
        for (size_t k = 0; k < 1000; k++) {
            int value;
            ASSERT_EQ(serry_results_next(it, &value, sizeof value, nullptr, nullptr, 20), SERRY_OK);
            ASSERT_LE(s.read, k + 6);
        }
        serry_results_free(it);
        Source few = { 1000 }; /* by default: 4 for each worker, at least 16 */
        it = imap(p, a_number, &few, {});
        EXPECT_EQ(few.read, 16u);
        serry_results_free(it);
    }
    end_pool(p);
}

/* One that is stuck does not keep the others from coming, if their order does not matter. */
SERRY_RANKS_TEST(Imap, UnorderedResultsOvertake, .ranks({ 1 }).directly())
{
    serry_pool *p = make_pool();
    Source s = { 10 };
    serry_imap_options o = {};
    o.unordered = true;
    serry_results *it = imap(
        p,
        [](serry_task *t, const void *in, size_t len) {
            return *(const int *)in == 0 ? gated(t, in, len) : give(t, in, len);
        },
        &s, o);
    int value = -1;
    for (int k = 0; k < 9; k++) {
        ASSERT_EQ(serry_results_next(it, &value, sizeof value, nullptr, nullptr, 20), SERRY_OK);
        EXPECT_NE(value, 0);
    }
    EXPECT_EQ(serry_results_next(it, &value, sizeof value, nullptr, nullptr, 0.05),
              SERRY_ETIMEDOUT);
    EXPECT_EQ(serry_results_next(it, &value, sizeof value, nullptr, nullptr, SERRY_NOWAIT),
              SERRY_ETIMEDOUT);
    board().open = 1;
    ASSERT_EQ(serry_results_next(it, &value, sizeof value, nullptr, nullptr, 20), SERRY_OK);
    EXPECT_EQ(value, 0);
    EXPECT_EQ(serry_results_next(it, &value, sizeof value, nullptr, nullptr, 20), SERRY_ECLOSED);
    serry_results_free(it);
    end_pool(p);
}

/* ---- failures ---- */

int third_fails(serry_task *t, const void *in, size_t)
{
    int x = *(const int *)in;
    return x % 3 == 2 ? serry_task_fail(t, "no %d", x) : give(t, &x, sizeof x);
}

void expect_failures(serry_pool *p)
{
    for (bool unordered : { false, true })
        for (size_t chunk : { 1, 5 }) {
            Source s = { 30 };
            serry_imap_options o = {};
            o.unordered = unordered;
            o.chunk = chunk;
            serry_results *it = imap(p, third_fails, &s, o);
            std::vector<int> seen(30);
            for (size_t k = 0; k < 30; k++) {
                size_t index = 99;
                int value = -1;
                serry_err e = serry_results_next(it, &value, sizeof value, nullptr, &index, 20);
                ASSERT_LT(index, 30u);
                ASSERT_EQ(e, index % 3 == 2 ? SERRY_ETASK : SERRY_OK) << serry_err_detail();
                if (e != SERRY_OK) {
                    ASSERT_EQ(serry_err_detail(), "no " + std::to_string(index));
                } else {
                    ASSERT_EQ((size_t)value, index);
                }
                if (!unordered) {
                    ASSERT_EQ(index, k);
                }
                ASSERT_EQ(seen[index]++, 0);
            }
            EXPECT_EQ(serry_results_next(it, nullptr, 0, nullptr, nullptr, 20), SERRY_ECLOSED);
            serry_results_free(it);
        }
}

SERRY_RANKS_TEST(Imap, TellsOfFailuresAndGoesOn, // test_map_exception
                 .ranks({ 1, 2 }))
{
    with_pool(options(2), expect_failures);
}

int third_dies(serry_task *t, const void *in, size_t)
{
    int x = *(const int *)in;
    if (x == 3)
        raise(SIGKILL);
    return give(t, &x, sizeof x);
}

SERRY_RANKS_TEST(Imap, TellsOfDeathsAndGoesOn, .ranks({ 1 }).directly())
{
    serry_pool *p = make_pool();
    for (size_t chunk : { 1, 4 }) {
        Source s = { 10 };
        serry_imap_options o = {};
        o.chunk = chunk;
        serry_results *it = imap(p, third_dies, &s, o);
        for (int k = 0; k < 10; k++) {
            int value = -1;
            size_t index = 99;
            ASSERT_EQ(serry_results_next(it, &value, sizeof value, nullptr, &index, 20),
                      k == 3 ? SERRY_EDIED : SERRY_OK)
                << serry_err_detail();
            ASSERT_EQ(index, (size_t)k);
            ASSERT_EQ(value, k == 3 ? -1 : k);
        }
        EXPECT_EQ(serry_results_next(it, nullptr, 0, nullptr, nullptr, 20), SERRY_ECLOSED);
        serry_results_free(it);
    }
    end_pool(p);
}

/* A source that fails ends: what it has given comes first, once each; its ctx says why it ended. */
SERRY_RANKS_TEST(Imap, GivesWhatCameBeforeTheSourceFailed, // test_imap*_handle_iterable_exception
                 .ranks({ 1 }).directly())
{
    struct Failing {
        size_t at;
        std::string error;
    };
    serry_pool *p = make_pool();
    for (bool unordered : { false, true })
        for (size_t at : { 0, 3, 50 }) {
            Failing f = { at, "" };
            serry_imap_options o = {};
            o.unordered = unordered;
            o.chunk = 2;
            serry_results *it = nullptr;
            auto next = [](void *ctx, size_t index, void *item, size_t, size_t *len) {
                Failing *g = (Failing *)ctx;
                if (index == g->at) {
                    g->error = "it is broken";
                    return false;
                }
                int value = (int)index;
                memcpy(item, &value, *len = sizeof value);
                return true;
            };
            ASSERT_EQ(serry_pool_imap(&it, p, a_number, next, &f, &o), SERRY_OK);
            expect_all(it, at, !unordered);
            EXPECT_EQ(f.error, "it is broken");
            serry_results_free(it);
            expect_works(p, 20);
        }
    end_pool(p);
}

SERRY_RANKS_TEST(Imap, RefusesItemsThatAreTooLong, .ranks({ 1 }).directly())
{
    serry_pool *p = make_pool();
    for (size_t chunk : { 1, 3 }) {
        Source s = { 10 };
        s.wrong = 4;
        serry_imap_options o = {};
        o.chunk = chunk;
        o.item_cap = 64;
        serry_results *it = imap(p, a_number, &s, o);
        for (int k = 0; k < 10; k++) {
            int value = -1;
            size_t index = 99;
            ASSERT_EQ(serry_results_next(it, &value, sizeof value, nullptr, &index, 20),
                      k == 4 ? SERRY_ELIMIT : SERRY_OK)
                << k << serry_err_detail();
            ASSERT_EQ(index, (size_t)k);
        }
        EXPECT_EQ(serry_results_next(it, nullptr, 0, nullptr, nullptr, 20), SERRY_ECLOSED);
        serry_results_free(it);
    }
    end_pool(p);
}

/* ---- sizes ---- */

SERRY_RANKS_TEST(Imap, CarriesItemsOfAnyLength, .ranks({ 1 }).directly())
{
    serry_pool *p = make_pool();
    for (size_t chunk : { 1, 4 }) {
        Source s = { 100 };
        s.vary = true;
        serry_imap_options o = {};
        o.chunk = chunk;
        serry_results *it = imap(p, echo, &s, o);
        for (size_t k = 0; k < 100; k++) {
            int value[4] = { -1 };
            size_t len = 0;
            ASSERT_EQ(serry_results_next(it, value, sizeof value, &len, nullptr, 20), SERRY_OK);
            ASSERT_EQ(len, 4 + k % 3 * 4);
            ASSERT_EQ((size_t)value[0], k);
        }
        serry_results_free(it);
    }
    Source large = { 3 };
    large.len = 1000000;
    serry_imap_options o = {};
    o.item_cap = 1000000;
    serry_results *it = imap(p, echo, &large, o);
    std::vector<char> out(1000000);
    size_t len = 0, index = 9;
    int value;
    /* No room: told how much is needed, and kept. */
    EXPECT_EQ(serry_results_next(it, out.data(), 10, &len, &index, 20), SERRY_ETRUNC);
    EXPECT_EQ(len, 1000000u);
    EXPECT_EQ(index, 0u);
    EXPECT_EQ(serry_results_next(it, out.data(), 10, nullptr, nullptr, 20), SERRY_ETRUNC);
    for (int k = 0; k < 3; k++) {
        EXPECT_EQ(serry_results_next(it, out.data(), out.size(), nullptr, nullptr, 20), SERRY_OK);
        memcpy(&value, out.data(), sizeof value);
        EXPECT_EQ(value, k);
    }
    serry_results_free(it);
    end_pool(p);
}

/* ---- ends ---- */

SERRY_RANKS_TEST(Imap, FreedWithdrawsWhatHasNotBegun, .ranks({ 1 }).directly())
{
    serry_pool *p = make_pool(options(1));
    Source s = { 1000 };
    serry_imap_options o = {};
    o.in_flight = 100;
    serry_results *it = imap(p, gated, &s, o);
    EXPECT_TRUE(wait_for([] { return board().begun == 1; }));
    serry_results_free(it);
    board().open = 1;
    expect_works(p);
    end_pool(p);
    EXPECT_LE(board().begun, 2); /* over socket lanes one more may be with the worker */
    serry_results_free(nullptr);
}

SERRY_RANKS_TEST(Imap, EndsWithItsPool, .ranks({ 1 }).directly())
{
    /* Terminated: those under way are cancelled, no more are read. */
    serry_pool *p = make_pool(options(1));
    Source s = { 1000 };
    serry_imap_options o = {};
    o.in_flight = 3;
    serry_results *it = imap(p, gated, &s, o);
    EXPECT_TRUE(wait_for([] { return board().begun == 1; }));
    EXPECT_EQ(serry_pool_terminate(p), SERRY_OK);
    serry_pool_destroy(p);
    size_t index;
    for (size_t k = 0; k < 3; k++) {
        EXPECT_EQ(serry_results_next(it, nullptr, 0, nullptr, &index, 20), SERRY_ECANCELLED);
        EXPECT_EQ(index, k);
    }
    EXPECT_EQ(serry_results_next(it, nullptr, 0, nullptr, &index, 20), SERRY_ECANCELLED);
    EXPECT_EQ(serry_results_next(it, nullptr, 0, nullptr, &index, 20), SERRY_ECLOSED);
    EXPECT_EQ(s.read, 3u);
    serry_results_free(it);
    /* Closed: those under way come, no more are read. */
    board().open = 1;
    p = make_pool(options(1));
    Source t = { 1000 };
    it = imap(p, a_number, &t, o);
    EXPECT_EQ(serry_pool_close(p), SERRY_OK);
    expect_all(it, 3, true);
    EXPECT_EQ(t.read, 3u);
    serry_results_free(it);
    EXPECT_EQ(serry_pool_imap(&it, p, a_number, next_number, &t, nullptr), SERRY_ECLOSED);
    end_pool(p);
}

SERRY_RANKS_TEST(Imap, RefusesBadArguments, .ranks({ 1 }).directly())
{
    serry_pool *p = make_pool(options(1));
    Source s = { 10 };
    serry_results *it = nullptr;
    EXPECT_EQ(serry_pool_imap(nullptr, p, a_number, next_number, &s, nullptr), SERRY_EINVAL);
    EXPECT_EQ(serry_pool_imap(&it, nullptr, a_number, next_number, &s, nullptr), SERRY_EINVAL);
    EXPECT_EQ(serry_pool_imap(&it, p, nullptr, next_number, &s, nullptr), SERRY_EINVAL);
    EXPECT_EQ(serry_pool_imap(&it, p, a_number, nullptr, &s, nullptr), SERRY_EINVAL);
    serry_imap_options o = {};
    o.item_cap = SIZE_MAX / 2;
    EXPECT_EQ(serry_pool_imap(&it, p, a_number, next_number, &s, &o), SERRY_ELIMIT);
    o.item_cap = 0;
    o.chunk = o.in_flight = SIZE_MAX / 4;
    EXPECT_EQ(serry_pool_imap(&it, p, a_number, next_number, &s, &o), SERRY_EINVAL);
    EXPECT_EQ(it, nullptr);
    EXPECT_EQ(s.read, 0u);
    it = imap(p, a_number, &s);
    int value;
    EXPECT_EQ(serry_results_next(nullptr, &value, sizeof value, nullptr, nullptr, 1), SERRY_EINVAL);
    EXPECT_EQ(serry_results_next(it, nullptr, 4, nullptr, nullptr, 1), SERRY_EINVAL);
    EXPECT_EQ(serry_results_next(it, &value, sizeof value, nullptr, nullptr, NAN), SERRY_EINVAL);
    expect_all(it, 10, true);
    serry_results_free(it);
    end_pool(p);
}

} // namespace
