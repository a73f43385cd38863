// ctest: timeout=120 nodes
/* The collectives: results against what one process computes alone, at all sizes that take another
 * way (in one piece, down a tree, in parts), every root, in place; and ranks that do not take part.
 */
#include "support/ranks.h"

#include <algorithm>
#include <csignal>
#include <cstdint>
#include <cstring>
#include <numeric>
#include <unistd.h>

using namespace serry_test;

namespace {

/* Around the borders of the algorithms; the last ones are not multiples of anything. */
const std::vector<size_t> lengths = { 0, 1, 8, 100, 8192, 8193, 65536, 65537, 300001 };

/* Bytes that differ between ranks and places. */
std::vector<uint8_t> bytes_of(int rank, size_t n)
{
    std::vector<uint8_t> b(n);
    for (size_t i = 0; i < n; i++)
        b[i] = static_cast<uint8_t>(i * 7 + i / 253 + static_cast<size_t>(rank) * 101);
    return b;
}

std::vector<uint8_t> all_bytes(size_t n)
{
    std::vector<uint8_t> all;
    for (int r = 0; r < serry_size(); r++) {
        std::vector<uint8_t> b = bytes_of(r, n);
        all.insert(all.end(), b.begin(), b.end());
    }
    return all;
}

SERRY_RANKS_TEST(Collective, ABarrierIsPassedByNobodyBeforeAllAreThere)
{
    int n = serry_size(), next = (serry_rank() + 1) % n;
    for (int round = 0; round < 50; round++) {
        /* Sent before the barrier, so it is here behind it. */
        ASSERT_EQ(serry_send(next, round, &round, sizeof round), SERRY_OK) << serry_err_detail();
        ASSERT_EQ(serry_world_barrier(), SERRY_OK) << serry_err_detail();
        int got = -1;
        ASSERT_EQ(serry_recv(SERRY_ANY, round, &got, sizeof got, nullptr, 5), SERRY_OK)
            << serry_err_detail();
        EXPECT_EQ(got, round);
    }
}

SERRY_RANKS_TEST(Collective, BcastReachesAllFromEveryRoot)
{
    for (size_t len : lengths)
        for (int root = 0; root < serry_size(); root++) {
            std::vector<uint8_t> buf = bytes_of(serry_rank(), len);
            ASSERT_EQ(serry_world_bcast(buf.data(), len, root), SERRY_OK) << serry_err_detail();
            ASSERT_EQ(buf, bytes_of(root, len)) << len << " bytes of root " << root;
        }
}

SERRY_RANKS_TEST(Collective, GatherCollectsInTheOrderOfRanks)
{
    size_t n = static_cast<size_t>(serry_size());
    for (size_t len : lengths)
        for (int root = 0; root < serry_size(); root++) {
            std::vector<uint8_t> in = bytes_of(serry_rank(), len), out(n * len, 0xee);
            bool here = serry_rank() == root;
            ASSERT_EQ(serry_world_gather(in.data(), len, here ? out.data() : nullptr, root),
                      SERRY_OK)
                << serry_err_detail();
            if (here)
                ASSERT_EQ(out, all_bytes(len)) << len << " bytes to root " << root;
            /* In place: the root's part lies at the start of out. */
            std::fill(out.begin(), out.end(), uint8_t{ 0xee });
            std::copy(in.begin(), in.end(), out.begin());
            ASSERT_EQ(serry_world_gather(out.data(), len, out.data(), root), SERRY_OK);
            if (here)
                ASSERT_EQ(out, all_bytes(len)) << len << " bytes in place";
        }
}

SERRY_RANKS_TEST(Collective, ScatterGivesEachItsPart)
{
    for (size_t len : lengths)
        for (int root = 0; root < serry_size(); root++) {
            std::vector<uint8_t> in, out(len, 0xee);
            bool here = serry_rank() == root;
            if (here)
                in = all_bytes(len);
            ASSERT_EQ(serry_world_scatter(here ? in.data() : nullptr, len, out.data(), root),
                      SERRY_OK)
                << serry_err_detail();
            ASSERT_EQ(out, bytes_of(serry_rank(), len)) << len << " bytes of root " << root;
            if (!here)
                in.assign(len, 0xee);
            ASSERT_EQ(serry_world_scatter(in.data(), len, in.data(), root), SERRY_OK);
            in.resize(len);
            ASSERT_EQ(in, out) << len << " bytes in place";
        }
}

SERRY_RANKS_TEST(Collective, AllgatherGivesEverybodyEverything)
{
    size_t n = static_cast<size_t>(serry_size());
    for (size_t len : lengths) {
        std::vector<uint8_t> in = bytes_of(serry_rank(), len), out(n * len, 0xee);
        ASSERT_EQ(serry_world_allgather(in.data(), len, out.data()), SERRY_OK)
            << serry_err_detail();
        ASSERT_EQ(out, all_bytes(len)) << len;
        std::copy(in.begin(), in.end(), out.begin());
        ASSERT_EQ(serry_world_allgather(out.data(), len, out.data()), SERRY_OK);
        ASSERT_EQ(out, all_bytes(len)) << len << " bytes in place";
    }
}

SERRY_RANKS_TEST(Collective, AlltoallTransposes)
{
    int n = serry_size(), me = serry_rank();
    for (size_t len : lengths) {
        std::vector<uint8_t> in, expected, out(static_cast<size_t>(n) * len, 0xee);
        for (int k = 0; k < n; k++) {
            std::vector<uint8_t> to = bytes_of(me * 16 + k, len), from = bytes_of(k * 16 + me, len);
            in.insert(in.end(), to.begin(), to.end());
            expected.insert(expected.end(), from.begin(), from.end());
        }
        ASSERT_EQ(serry_world_alltoall(in.data(), len, out.data()), SERRY_OK) << serry_err_detail();
        ASSERT_EQ(out, expected) << len;
        ASSERT_EQ(serry_world_alltoall(in.data(), len, in.data()), SERRY_OK);
        ASSERT_EQ(in, expected) << len << " bytes in place";
    }
}

/* ---- reductions ---- */

template <typename T>
T element(int rank, size_t i)
{
    /* Small whole numbers, so that floating-point sums and products are exact in any order. */
    return static_cast<T>((static_cast<size_t>(rank) * 5 + i) % 3 + 1);
}
template <>
serry_double_int element(int rank, size_t i)
{
    serry_double_int d;
    memset(&d, 0, sizeof d);
    d.value = static_cast<double>((static_cast<size_t>(rank) + i) % 2);
    d.index = rank;
    return d;
}

template <typename T, typename F>
void check_reduction(serry_type type, serry_op op, size_t n, F f)
{
    int me = serry_rank(), size = serry_size();
    std::vector<T> in(n), expected(n), out(n);
    for (size_t i = 0; i < n; i++) {
        in[i] = element<T>(me, i);
        expected[i] = element<T>(0, i);
        for (int r = 1; r < size; r++)
            expected[i] = f(expected[i], element<T>(r, i));
    }
    auto same = [&](const std::vector<T> &a) {
        return memcmp(a.data(), expected.data(), n * sizeof(T)) == 0;
    };
    ASSERT_EQ(serry_world_allreduce(in.data(), out.data(), n, type, op), SERRY_OK)
        << serry_err_detail();
    EXPECT_TRUE(n == 0 || same(out))
        << "allreduce of type " << type << ", op " << op << ", n " << n;
    for (int root : { 0, size - 1, size / 2 }) {
        std::vector<T> at_root(n);
        ASSERT_EQ(
            serry_world_reduce(in.data(), me == root ? at_root.data() : nullptr, n, type, op, root),
            SERRY_OK)
            << serry_err_detail();
        if (me == root)
            EXPECT_TRUE(n == 0 || same(at_root)) << "reduce of type " << type << ", op " << op;
    }
    ASSERT_EQ(serry_world_allreduce(in.data(), in.data(), n, type, op), SERRY_OK);
    EXPECT_TRUE(n == 0 || same(in)) << "in place";
}

template <typename T>
void check_numbers(serry_type type, size_t n)
{
    check_reduction<T>(type, SERRY_SUM, n, [](T a, T b) { return static_cast<T>(a + b); });
    check_reduction<T>(type, SERRY_PROD, n, [](T a, T b) { return static_cast<T>(a * b); });
    check_reduction<T>(type, SERRY_MIN, n, [](T a, T b) { return std::min(a, b); });
    check_reduction<T>(type, SERRY_MAX, n, [](T a, T b) { return std::max(a, b); });
}

template <typename T>
void check_bits(serry_type type, size_t n)
{
    check_reduction<T>(type, SERRY_AND, n, [](T a, T b) { return static_cast<T>(a & b); });
    check_reduction<T>(type, SERRY_OR, n, [](T a, T b) { return static_cast<T>(a | b); });
    check_reduction<T>(type, SERRY_XOR, n, [](T a, T b) { return static_cast<T>(a ^ b); });
}

SERRY_RANKS_TEST(Collective, ReductionsOfAllTypesAndOperationsAgree)
{
    for (size_t n : { size_t{ 0 }, size_t{ 1 }, size_t{ 33 }, size_t{ 1000 } }) {
        check_numbers<uint8_t>(SERRY_BYTE, n);
        check_numbers<int32_t>(SERRY_INT32, n);
        check_numbers<int64_t>(SERRY_INT64, n);
        check_numbers<float>(SERRY_FLOAT, n);
        check_numbers<double>(SERRY_DOUBLE, n);
        check_bits<uint8_t>(SERRY_BYTE, n);
        check_bits<int32_t>(SERRY_INT32, n);
        check_bits<int64_t>(SERRY_INT64, n);
        using D = serry_double_int;
        check_reduction<D>(SERRY_DOUBLE_INT, SERRY_MINLOC, n, [](const D &a, const D &b) {
            return a.value < b.value || (a.value == b.value && a.index <= b.index) ? a : b;
        });
        check_reduction<D>(SERRY_DOUBLE_INT, SERRY_MAXLOC, n, [](const D &a, const D &b) {
            return a.value > b.value || (a.value == b.value && a.index <= b.index) ? a : b;
        });
    }
}

SERRY_RANKS_TEST(Collective, LongVectorsAreReducedInParts)
{
    check_numbers<double>(SERRY_DOUBLE, 8192);
    check_numbers<double>(SERRY_DOUBLE, 100003);
    check_numbers<uint8_t>(SERRY_BYTE, 70001);
}

SERRY_RANKS_TEST(Collective, AllreduceGivesTheSameBitsEverywhere)
{
    for (size_t n : { size_t{ 1 }, size_t{ 17 }, size_t{ 50000 } }) {
        std::vector<double> in(n), out(n);
        for (size_t i = 0; i < n; i++)
            in[i] = 1.0 / (static_cast<double>(serry_rank()) * 3 + static_cast<double>(i) + 0.7);
        ASSERT_EQ(serry_world_allreduce(in.data(), out.data(), n, SERRY_DOUBLE, SERRY_SUM),
                  SERRY_OK);
        std::vector<double> of_root = out;
        ASSERT_EQ(serry_world_bcast(of_root.data(), n * sizeof(double), 0), SERRY_OK);
        EXPECT_EQ(memcmp(out.data(), of_root.data(), n * sizeof(double)), 0) << n;
    }
}

SERRY_RANKS_TEST(Collective, TreesOfSeveralLevelsReachAll, .ranks({ 20 }).on(shm))
{
    for (int round = 0; round < 20; round++) {
        int64_t mine = serry_rank() + round, sum = 0;
        ASSERT_EQ(serry_world_allreduce(&mine, &sum, 1, SERRY_INT64, SERRY_SUM), SERRY_OK);
        EXPECT_EQ(sum, 20 * 19 / 2 + 20 * round);
        ASSERT_EQ(serry_world_barrier(), SERRY_OK);
        std::vector<uint8_t> one = bytes_of(serry_rank(), 5), all(100);
        ASSERT_EQ(serry_world_gather(one.data(), 5, all.data(), round), SERRY_OK);
        if (serry_rank() == round)
            EXPECT_EQ(all, all_bytes(5));
        ASSERT_EQ(serry_world_bcast(&sum, sizeof sum, round), SERRY_OK);
    }
}

/* ---- misuse ---- */

SERRY_RANKS_TEST(Collective, BadArgumentsAreRefusedAndTheNextCallWorks)
{
    int n = serry_size();
    double x = 1, y = 0;
    EXPECT_EQ(serry_world_bcast(&x, sizeof x, n), SERRY_EINVAL);
    EXPECT_NE(std::string(serry_err_detail()).find(std::to_string(n)), std::string::npos);
    EXPECT_EQ(serry_world_bcast(&x, sizeof x, -1), SERRY_EINVAL);
    EXPECT_EQ(serry_world_bcast(nullptr, 1, 0), SERRY_EINVAL);
    EXPECT_EQ(serry_world_gather(nullptr, 1, &y, 0), SERRY_EINVAL);
    EXPECT_EQ(serry_world_allgather(&x, 1, nullptr), SERRY_EINVAL);
    EXPECT_EQ(serry_world_alltoall(nullptr, 1, &y), SERRY_EINVAL);
    EXPECT_EQ(serry_world_scatter(&x, 1, nullptr, 0), SERRY_EINVAL);
    EXPECT_EQ(serry_world_allreduce(&x, &y, 1, SERRY_DOUBLE, SERRY_AND), SERRY_EINVAL);
    EXPECT_EQ(serry_world_allreduce(&x, &y, 1, SERRY_FLOAT, SERRY_MINLOC), SERRY_EINVAL);
    EXPECT_EQ(serry_world_allreduce(&x, &y, 1, SERRY_DOUBLE_INT, SERRY_SUM), SERRY_EINVAL);
    EXPECT_EQ(serry_world_allreduce(&x, &y, 1, static_cast<serry_type>(0), SERRY_SUM),
              SERRY_EINVAL);
    EXPECT_EQ(serry_world_allreduce(&x, &y, 1, SERRY_DOUBLE, static_cast<serry_op>(99)),
              SERRY_EINVAL);
    EXPECT_EQ(serry_world_allreduce(nullptr, &y, 1, SERRY_DOUBLE, SERRY_SUM), SERRY_EINVAL);
    ASSERT_EQ(serry_world_allreduce(&x, &y, 1, SERRY_DOUBLE, SERRY_SUM), SERRY_OK);
    EXPECT_EQ(y, n);
}

SERRY_RANKS_TEST(Collective, MessagesOfTheUserDoNotInterfere)
{
    int n = serry_size(), me = serry_rank();
    std::vector<serry_request> rs(static_cast<size_t>(n));
    std::vector<int> got(rs.size(), -1);
    for (size_t i = 0; i < rs.size(); i++)
        ASSERT_EQ(serry_irecv(&rs[i], SERRY_ANY, SERRY_ANY, &got[i], sizeof got[i]), SERRY_OK);
    ASSERT_EQ(serry_world_barrier(), SERRY_OK);
    int64_t one = 1, sum = 0;
    ASSERT_EQ(serry_world_allreduce(&one, &sum, 1, SERRY_INT64, SERRY_SUM), SERRY_OK);
    EXPECT_EQ(sum, n);
    for (int i = 0; i < n; i++)
        ASSERT_EQ(serry_send(i, 0, &me, sizeof me), SERRY_OK);
    ASSERT_EQ(serry_wait_all(rs.data(), rs.size(), nullptr, 10), SERRY_OK);
    std::sort(got.begin(), got.end());
    for (int i = 0; i < n; i++)
        EXPECT_EQ(got[static_cast<size_t>(i)], i);
}

/* ---- ranks that are missing ---- */

SERRY_RANKS_TEST(Collective, ARankMayFinalizeWhileOthersAreStillAtIt, .ranks({ 2, 3, 7 }))
{
    /* The root is done, and on its way out, long before the last leaf has its data; nobody may take
     * that for a failure. finalize follows at once. */
    std::vector<uint8_t> buf = bytes_of(serry_rank(), 40000);
    for (int i = 0; i < 20; i++)
        ASSERT_EQ(serry_world_bcast(buf.data(), buf.size(), 0), SERRY_OK) << serry_err_detail();
    EXPECT_EQ(buf, bytes_of(0, 40000));
}

SERRY_RANKS_TEST(Collective, WhoeverWaitsForARankThatFinalizedFails,
                 .ranks({ 2, 3, 7 }).in_own_world())
{
    if (serry_rank() == serry_size() - 1)
        return;
    EXPECT_EQ(serry_world_barrier(), SERRY_EDIED);
    EXPECT_NE(std::string(serry_err_detail()), "");
    double x = 1, y;
    EXPECT_EQ(serry_world_allreduce(&x, &y, 1, SERRY_DOUBLE, SERRY_SUM), SERRY_EDIED);
    EXPECT_EQ(serry_world_bcast(&x, sizeof x, 0), SERRY_EDIED);
}

SERRY_RANKS_BODY(barrier_with_a_death)
{
    /* Rank 1 does not die before all are through the first barrier. */
    char through = 0;
    ASSERT_EQ(serry_world_barrier(), SERRY_OK);
    if (serry_rank() == 1) {
        for (int i = 0; i < serry_size() - 1; i++)
            ASSERT_EQ(serry_recv(SERRY_ANY, 1, &through, 1, nullptr, 10), SERRY_OK);
        raise(SIGKILL);
    }
    ASSERT_EQ(serry_send(1, 1, &through, 1), SERRY_OK);
    EXPECT_EQ(serry_world_barrier(), SERRY_EDIED);
    EXPECT_STREQ(serry_err_detail(), "rank 1 was killed by signal 9");
    EXPECT_EQ(serry_world_barrier(), SERRY_EDIED) << "and from then on";
    /* Messages among the living go on. */
    int x = 0, n = serry_size(), me = serry_rank(), partner = n - 1;
    if (n > 2 && me == 0)
        EXPECT_EQ(serry_send(partner, 0, &x, sizeof x), SERRY_OK);
    if (n > 2 && me == partner)
        EXPECT_EQ(serry_recv(0, 0, &x, sizeof x, nullptr, 10), SERRY_OK);
    note("survived");
}

class CollectiveDeath : public testing::TestWithParam<std::tuple<Lanes, int>> {};

TEST_P(CollectiveDeath, EndsTheCallsOfAllOthers)
{
    auto [lanes, n] = GetParam();
    RankOptions o;
    o.run_flags = { "--keep-going" };
    RanksResult r = try_ranks(n, lanes, "barrier_with_a_death", o);
    EXPECT_EQ(r.of(Record::failure).size(), 0u) << r.program;
    for (const Record &f : r.of(Record::failure))
        ADD_FAILURE() << "rank " << f.rank << ": " << f.text;
    EXPECT_EQ(r.notes().size(), static_cast<size_t>(n - 1)) << r.program;
}

INSTANTIATE_TEST_SUITE_P(Lanes, CollectiveDeath,
                         testing::Combine(testing::Values(shm, serry_test::socket),
                                          testing::Values(2, 3, 7)),
                         [](const auto &p) {
                             return std::string(std::get<0>(p.param) == shm ? "shm" : "socket")
                                    + "_" + std::to_string(std::get<1>(p.param));
                         });

} // namespace
