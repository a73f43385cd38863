/* mpi/transport.cc: the far transport by itself, started by an MPI's launcher: the bodies of
 * conformance/transport.cc, as they are, and what only this transport has. There is no world and no
 * agent: the processes of MPI are the ranks.
 *
 *     mpirun -n 3 ./transport openmpi [--gtest_...]
 */
#include "support/ranks.h"

#include "core/core.h"
extern "C" {
#include "core/member.h"
#include "start/plugin.h"
}

#include <functional>

namespace {

const sri_mpi_plugin *plugin;

/* All run all bodies, in the same order. */
void far_body(const serry_test::Cases &cases, void (*body)())
{
    int n = serry_size();
    if (std::find(cases.counts_.begin(), cases.counts_.end(), n) == cases.counts_.end()) {
        GTEST_SKIP() << "not for " << n << " ranks";
    }
    sri_mpi_text why;
    ASSERT_EQ(plugin->barrier(&why), 0) << why.text;
    body();
    ASSERT_EQ(plugin->barrier(&why), 0) << why.text;
}

} // namespace

#undef SERRY_RANKS_TEST
#define SERRY_RANKS_TEST(suite, name, ...)                                                         \
    static void far_body_##suite##_##name();                                                       \
    TEST(suite, name)                                                                              \
    {                                                                                              \
        far_body(Cases() __VA_ARGS__, far_body_##suite##_##name);                                  \
    }                                                                                              \
    static void far_body_##suite##_##name()

#include "conformance/transport.cc"

namespace {

struct Ended {
    int peer;
    uint64_t token;
    bool sending, ok;
};

/* The seam, with bulk transfers. */
class BulkSeam : public Seam {
public:
    BulkSeam() { t->sink.bulk_done = done; }
    void wait_ended(size_t n)
    {
        wait_until([&] { return ended.size() >= n; });
    }
    static std::vector<Ended> ended;

private:
    static void done(void *, int peer, uint64_t token, bool sending, bool ok)
    {
        ended.push_back({ peer, token, sending, ok });
    }
};

std::vector<Ended> BulkSeam::ended;

/* To the next and from the previous, some at a time, begun at either end first. */
SERRY_RANKS_TEST(TransportBulk, MovesBodiesOfAnyLengthAsTheyLie, .ranks({ 2, 3, 4 }))
{
    BulkSeam seam;
    seam.ended.clear();
    int me = serry_rank(), n = serry_size(), next = (me + 1) % n, previous = (me + n - 1) % n;
    const std::vector<size_t> sizes = { 0, 1, 1000, 70000, 1u << 20, 3333333, 8u << 20, 65537 };
    std::vector<Bytes> out, in;
    for (size_t i = 0; i < sizes.size(); i++) {
        out.push_back(bytes_of(sizes[i], (uint64_t)me * 100 + i));
        in.push_back(Bytes(sizes[i] + 16, 0xee));
    }
    ASSERT_TRUE(seam.t->ops->bulk(seam.t, next));
    for (size_t round = 0; round < 2; round++) {
        for (size_t i = 0; i < sizes.size(); i++) {
            size_t k = round ? sizes.size() - 1 - i : i; /* tokens tell them apart */
            uint64_t token = (uint64_t)(7 * round + 1) << 32 | (k + 1);
            if (round == 0)
                ASSERT_TRUE(seam.t->ops->bulk_send(seam.t, next, token, out[k].data(), sizes[k]));
            ASSERT_TRUE(seam.t->ops->bulk_recv(seam.t, previous, token, in[k].data(), sizes[k]));
        }
        for (size_t i = 0; round == 1 && i < sizes.size(); i++) {
            uint64_t token = (uint64_t)8 << 32 | (i + 1);
            ASSERT_TRUE(seam.t->ops->bulk_send(seam.t, next, token, out[i].data(), sizes[i]));
        }
        seam.wait_ended(2 * sizes.size() * (round + 1));
        for (size_t i = 0; i < sizes.size(); i++) {
            Bytes expected = bytes_of(sizes[i], (uint64_t)previous * 100 + i);
            expected.resize(sizes[i] + 16, 0xee);
            EXPECT_EQ(in[i] == expected, true) << i;
            in[i].assign(sizes[i] + 16, 0xee);
        }
    }
    for (const Ended &e : seam.ended) {
        EXPECT_TRUE(e.ok);
        EXPECT_EQ(e.peer, e.sending ? next : previous);
    }
    EXPECT_EQ(seam.ended.size(), 4 * sizes.size());
}

SERRY_RANKS_TEST(TransportBulk, OneTakenBackIsBegunAnewElsewhere, .ranks({ 2 }))
{
    BulkSeam seam;
    seam.ended.clear();
    Bytes bytes = bytes_of(1u << 20, 5), first(1u << 20, 0xee), second(1u << 20, 0xee);
    for (uint64_t token = 1; token <= 20; token++) {
        if (serry_rank() == 0) {
            EXPECT_EQ(seam.receive(1).aux, token);
            ASSERT_TRUE(seam.t->ops->bulk_send(seam.t, 1, token, bytes.data(), bytes.size()));
            seam.wait_ended(token);
        } else {
            ASSERT_TRUE(seam.t->ops->bulk_recv(seam.t, 0, token, first.data(), first.size()));
            seam.poll();
            ASSERT_TRUE(seam.t->ops->bulk_back(seam.t, 0, token));
            ASSERT_TRUE(seam.t->ops->bulk_recv(seam.t, 0, token, second.data(), second.size()));
            ASSERT_EQ(seam.send(0, token), SRI_SENT);
            seam.wait_ended(token);
            EXPECT_TRUE(second == bytes);
            EXPECT_TRUE(first == Bytes(1u << 20, 0xee));
            second.assign(1u << 20, 0xee);
        }
    }
    for (const Ended &e : seam.ended)
        EXPECT_TRUE(e.ok);
}

/* Whether it can be taken back or not, the bytes come, once. */
SERRY_RANKS_TEST(TransportBulk, OneTakenBackWhileItMayComeIsNotLost, .ranks({ 2 }))
{
    BulkSeam seam;
    seam.ended.clear();
    std::mt19937 random(7);
    Bytes bytes = bytes_of(300000, 5), first(300000), second(300000);
    size_t back = 0;
    for (uint64_t token = 1; token <= 200; token++) {
        if (serry_rank() == 0) {
            EXPECT_EQ(seam.receive(1).aux, token);
            ASSERT_TRUE(seam.t->ops->bulk_send(seam.t, 1, token, bytes.data(), bytes.size()));
            seam.wait_ended(token);
            continue;
        }
        first.assign(300000, 0);
        second.assign(300000, 0);
        ASSERT_TRUE(seam.t->ops->bulk_recv(seam.t, 0, token, first.data(), first.size()));
        ASSERT_EQ(seam.send(0, token), SRI_SENT);
        dawdle(random, 60);
        if (token % 2)
            seam.poll();
        bool again = seam.ended.size() < token && seam.t->ops->bulk_back(seam.t, 0, token);
        if (again)
            ASSERT_TRUE(seam.t->ops->bulk_recv(seam.t, 0, token, second.data(), second.size()));
        back += again;
        seam.wait_ended(token);
        EXPECT_TRUE((again ? second : first) == bytes) << token;
    }
    for (const Ended &e : seam.ended)
        EXPECT_TRUE(e.ok);
}

bool count_frame(void *ctx, const sri_arrival *)
{
    ++*static_cast<int *>(ctx);
    return true;
}

/* What was sent and never looked at is fetched, by all together: nothing of it comes later. */
SERRY_RANKS_TEST(TransportPart, LeavesNothingUnderWay, .ranks({ 2, 3, 4 }))
{
    sri_transport *t = sri_world.transport;
    int late = 0, n = serry_size(), sent = 0;
    for (int round = 0; round < 5; round++) {
        for (int i = 0; i < 25 * n; i++) {
            Bytes bytes = bytes_of(static_cast<size_t>(i) % 4 == 0 ? 9000 : 50, 3);
            sri_frame f = frame_of(bytes, 1);
            int to = i % n;
            sent += to != serry_rank() && t->ops->send(t, to, &f) == SRI_SENT;
        }
        EXPECT_GT(sent, 0);
        double begun = serry_time();
        plugin->part(t);
        EXPECT_LT(serry_time() - begun, 4) << "somebody was given up";
        t->sink = {};
        t->sink.ctx = &late;
        t->sink.deliver = count_frame;
        t->sink.fate = [](void *, int, sri_fate, int) {};
        sri_mpi_text why;
        ASSERT_EQ(plugin->barrier(&why), 0) << why.text;
        for (int i = 0; i < 1000; i++)
            t->ops->poll(t);
        EXPECT_EQ(late, 0) << "round " << round;
        ASSERT_EQ(plugin->barrier(&why), 0) << why.text;
    }
}

/* Last, for it ends what there is between these two. */
SERRY_RANKS_TEST(TransportGone, EndsWhatIsUnderWayAndTakesNothingMore, .ranks({ 2 }))
{
    BulkSeam seam;
    seam.ended.clear();
    Bytes bytes(1u << 20);
    int other = 1 - serry_rank();
    ASSERT_TRUE(seam.t->ops->bulk_recv(seam.t, other, 77, bytes.data(), bytes.size()));
    ASSERT_TRUE(seam.t->ops->present(seam.t, other));
    seam.t->ops->gone(seam.t, other);
    seam.poll();
    ASSERT_EQ(seam.ended.size(), 1u);
    EXPECT_FALSE(seam.ended[0].ok);
    EXPECT_EQ(seam.ended[0].token, 77u);
    EXPECT_FALSE(seam.t->ops->present(seam.t, other));
    EXPECT_FALSE(seam.t->ops->bulk(seam.t, other));
    EXPECT_EQ(seam.try_send(other, frame_of({}, 1)), SRI_GONE);
    EXPECT_FALSE(seam.t->ops->bulk_recv(seam.t, other, 78, bytes.data(), bytes.size()));
}

bool far_deliver(void *, const sri_arrival *)
{
    return true;
}

void far_fate(void *, int, sri_fate, int)
{
}

} // namespace

int main(int argc, char **argv)
{
    testing::InitGoogleTest(&argc, argv);
    sri_mpi_text why;
    if (argc < 2 || sri_plugin_load(argv[1], &plugin) != SERRY_OK) {
        fprintf(stderr, "%s\n", argc < 2 ? "usage: transport PLUGIN" : serry_err_detail());
        return 2;
    }
    if (plugin->start(&why) != 0) {
        fprintf(stderr, "%s\n", why.text);
        return 2;
    }
    std::vector<int> numbers;
    for (int i = 0; i < plugin->size_of(); i++)
        numbers.push_back(i);
    sri_sink sink = {};
    sink.deliver = far_deliver;
    sink.fate = far_fate;
    if (plugin->open(&sri_world.transport, numbers.data(), plugin->size_of(), plugin->rank(), 16384,
                     &sink, &why)
        != 0) {
        fprintf(stderr, "%s\n", why.text);
        return 2;
    }
    sri_world.rank = plugin->rank();
    sri_world.size = plugin->size_of();
    if (sri_member_set(true) != SERRY_OK)
        return 2;
    int failed = RUN_ALL_TESTS();
    plugin->part(sri_world.transport);
    sri_world.transport->ops->close(sri_world.transport, false);
    plugin->end(true);
    return failed;
}
