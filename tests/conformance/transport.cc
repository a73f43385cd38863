// ctest: transport nodes
/* What transport/transport.h promises of frames, for each transport there is: those of Cases in
 * support/ranks.h. Another one passes when it is added there. */
#include "conformance/seam.h"

#include <algorithm>

using namespace serry_test;

namespace {

/* ---- frames ---- */

/* All small ones, and those around the places where something is rounded or cut. */
std::vector<size_t> sizes_up_to(size_t max)
{
    std::vector<size_t> sizes;
    for (size_t s = 0; s <= 200; s++)
        sizes.push_back(s);
    for (size_t p = 256; p < max; p *= 2) {
        for (size_t s : { p - 17, p - 16, p - 1, p, p + 1, p + 16 })
            sizes.push_back(std::min(s, max));
    }
    for (size_t back : { 17, 16, 15, 1, 0 })
        sizes.push_back(max - back);
    return sizes;
}

/* The i-th frame from one rank to another: all about it follows from these numbers. */
struct Expected {
    size_t size, head_len;
    uint8_t kind, flags;
    uint64_t aux;
    Bytes bytes;

    Expected(int from, int to, size_t i, size_t n)
        : size(n), head_len(std::min<size_t>(n, i % (SRI_HEAD_MAX + 1))),
          kind((uint8_t)(1 + i % SRI_KIND_FEED)), flags((uint8_t)(i * 5 & ~(size_t)SRI_FLAG_SOON)),
          aux((uint64_t)from << 56 | (uint64_t)to << 48 | i << 24 | n),
          bytes(bytes_of(n, (uint64_t)from * 1000 + i))
    {
    }
};

bool send_expected(Seam &seam, int to, size_t i, size_t size)
{
    Expected e(serry_rank(), to, i, size);
    sri_frame f = frame_of(e.bytes, e.aux, e.head_len);
    f.kind = e.kind;
    f.flags = e.flags;
    sri_sent sent = seam.try_send(to, f);
    EXPECT_TRUE(sent == SRI_SENT || sent == SRI_FULL) << sent;
    return sent == SRI_SENT;
}

void expect_frame(const sri_arrival &a, size_t i, size_t size)
{
    Expected e(a.source, serry_rank(), i, size);
    EXPECT_EQ(a.kind, e.kind) << "frame " << i;
    EXPECT_EQ(a.flags, e.flags) << "frame " << i;
    EXPECT_EQ(a.aux, e.aux) << "frame " << i;
    ASSERT_EQ(a.len, e.size) << "frame " << i;
    EXPECT_TRUE(a.len == 0 || memcmp(a.bytes, e.bytes.data(), a.len) == 0) << "frame " << i;
}

SERRY_RANKS_TEST(Transport, SaysWhoItIs)
{
    sri_transport *t = sri_world.transport;
    if (sri_world.places.nodes == 1)
        EXPECT_STREQ(t->ops->name, getenv("SERRY_LANES"));
    EXPECT_EQ(t->rank, serry_rank());
    EXPECT_EQ(t->size, serry_size());
    EXPECT_GE(t->frame_max, 4096u);
    EXPECT_TRUE(t->ops->present(t, SRI_AGENT));
    /* Everybody is still here, for nobody goes before all have said so. */
    Seam seam;
    for (int r = 0; r < serry_size(); r++) {
        EXPECT_TRUE(r == serry_rank() || t->ops->present(t, r)) << r;
        if (r != serry_rank())
            ASSERT_EQ(seam.send(r, 1), SRI_SENT);
    }
    for (int r = 0; r < serry_size(); r++) {
        if (r != serry_rank())
            EXPECT_EQ(seam.receive(r).aux, 1u);
    }
}

/* Everybody to everybody at once, in any order of peers. */
SERRY_RANKS_TEST(Transport, CarriesFramesOfAllKindsAndSizesWholeAndInOrder, .ranks({ 2, 3, 7 }))
{
    Seam seam;
    int me = serry_rank(), n = serry_size();
    std::vector<size_t> sizes = sizes_up_to(seam.t->frame_max);
    std::vector<size_t> sent((size_t)n), got((size_t)n);
    std::mt19937 random((unsigned)me);
    seam.on_frame = [&](const sri_arrival &a) {
        size_t i = got[(size_t)a.source]++;
        EXPECT_LT(i, sizes.size());
        if (i < sizes.size())
            expect_frame(a, i, sizes[i]);
        return true;
    };
    auto all = [&](const std::vector<size_t> &counts) {
        for (int r = 0; r < n; r++) {
            if (r != me && counts[(size_t)r] < sizes.size())
                return false;
        }
        return true;
    };
    while (!all(sent)) {
        bool any = false;
        for (int k = 0; k < n; k++) {
            int to = (int)(random() % (unsigned)n);
            while (to != me && sent[(size_t)to] < sizes.size() && random() % 8
                   && send_expected(seam, to, sent[(size_t)to], sizes[sent[(size_t)to]])) {
                sent[(size_t)to]++;
                any = true;
            }
        }
        if (!any)
            seam.poll();
    }
    seam.wait_until([&] { return all(got); });
}

SERRY_RANKS_TEST(Transport, LeavesTheSendersMemoryAlone, .ranks({ 2 }))
{
    Seam seam;
    int other = 1 - serry_rank();
    Bytes bytes = bytes_of(seam.t->frame_max, 3);
    ASSERT_EQ(seam.send(other, 0, bytes), SRI_SENT);
    EXPECT_EQ(bytes, bytes_of(seam.t->frame_max, 3));
    std::fill(bytes.begin(), bytes.end(), 0xee); /* it was borrowed during send only */
    EXPECT_EQ(seam.receive(other).bytes, bytes_of(seam.t->frame_max, 3));
}

SERRY_RANKS_TEST(Transport, MaySendFromWithinADelivery, .ranks({ 2 }))
{
    Seam seam;
    const uint64_t last = 5000;
    uint64_t at = 0;
    if (serry_rank() == 0)
        ASSERT_EQ(seam.send(1, 1), SRI_SENT);
    seam.on_frame = [&](const sri_arrival &a) {
        EXPECT_GT(a.aux, at);
        at = a.aux;
        sri_frame f = frame_of({}, at + 1);
        if (at < last)
            EXPECT_EQ(seam.try_send(a.source, f), SRI_SENT) << "with one frame under way";
        return true;
    };
    seam.wait_until([&] { return at >= last - 1; });
}

/* Of a burst only the last frame rings. */
SERRY_RANKS_TEST(Transport, FramesToBeFollowedSoonArriveWithTheLast, .ranks({ 2 }))
{
    Seam seam;
    std::mt19937 random(4);
    uint64_t next = 0;
    for (int burst = 0; burst < 300; burst++) {
        uint64_t last = next + random() % 30;
        size_t size = burst % 3 ? 8 : seam.t->frame_max;
        for (; next <= last; next++) {
            if (serry_rank() == 0) {
                Bytes bytes = bytes_of(size, next);
                sri_frame f = frame_of(bytes, next);
                f.flags = next < last ? SRI_FLAG_SOON : 0;
                ASSERT_EQ(seam.send(1, f), SRI_SENT);
            } else {
                Arrived a = seam.receive(0);
                ASSERT_EQ(a.aux, next);
                ASSERT_EQ(a.bytes, bytes_of(size, next));
            }
        }
        if (serry_rank() == 1)
            ASSERT_EQ(seam.send(0, next), SRI_SENT);
        else
            ASSERT_EQ(seam.receive(1).aux, next);
    }
}

/* ---- full lanes ---- */

SERRY_RANKS_TEST(Transport, IsFullInTheEndAndHasRoomAgainAfterAPoll, .ranks({ 2 }))
{
    Seam seam;
    std::string full = rank_dir() + "/full";
    const uint64_t limit = 100000;
    Bytes bytes = bytes_of(1000, 1);
    if (serry_rank() == 0) {
        /* Lanes that are made at first use may be full before that: one frame makes it. */
        ASSERT_EQ(seam.send(1, 0, bytes), SRI_SENT);
        uint64_t n = 1;
        while (n < limit && seam.try_send(1, frame_of(bytes, n)) == SRI_SENT)
            n++;
        ASSERT_LT(n, limit) << "a lane without an end";
        for (int i = 0; i < 10; i++)
            EXPECT_EQ(seam.try_send(1, frame_of(bytes, n)), SRI_FULL);
        write_file(full, std::to_string(n));
        /* As many again, each when there is room. */
        for (uint64_t i = n; i < 2 * n; i++)
            ASSERT_EQ(seam.send(1, i, bytes), SRI_SENT);
        EXPECT_EQ(seam.receive(1).aux, 2 * n);
    } else {
        /* Does not poll until the lane is full. */
        ASSERT_TRUE(wait_for([&] { return !read_file(full).empty(); }, patience(10)));
        uint64_t n = std::stoull(read_file(full));
        for (uint64_t i = 0; i < 2 * n; i++) {
            Arrived a = seam.receive(0);
            ASSERT_EQ(a.aux, i);
            ASSERT_EQ(a.bytes, bytes);
        }
        ASSERT_EQ(seam.send(0, 2 * n), SRI_SENT);
    }
}

/* Both press, neither polls but now and then, sizes are any. */
SERRY_RANKS_TEST(Transport, LosesNothingWhenAllPressAtOnce, .ranks({ 2, 3 }))
{
    Seam seam;
    int me = serry_rank(), n = serry_size(), next = (me + 1) % n, previous = (me + n - 1) % n;
    const size_t frames = 6000;
    auto size_of = [&](int from, size_t i) {
        size_t x = i * 2654435761u + (size_t)from * 40503u;
        return i % 5 == 0 ? x % (seam.t->frame_max + 1) : x % 300;
    };
    size_t got = 0;
    std::mt19937 random((unsigned)me);
    seam.on_frame = [&](const sri_arrival &a) {
        EXPECT_EQ(a.source, previous);
        if (!testing::Test::HasFailure())
            expect_frame(a, got, size_of(a.source, got));
        got++;
        return true;
    };
    for (size_t i = 0; i < frames;) {
        if (send_expected(seam, next, i, size_of(me, i)))
            i++;
        else
            seam.wait_news();
        if (random() % 64 == 0)
            seam.poll();
        if (random() % 512 == 0)
            dawdle(random, 200);
    }
    seam.wait_until([&] { return got == frames; });
}

/* ---- the sink says stop ---- */

SERRY_RANKS_TEST(Transport, PollEndsWhenTheSinkSaysStopAndLosesNothing, .ranks({ 2, 3, 7 }))
{
    Seam seam;
    const size_t frames = 300;
    int n = serry_size();
    if (serry_rank() != 0) {
        for (size_t i = 0; i < frames; i++)
            ASSERT_EQ(seam.send(0, i, bytes_of(i % 50, i)), SRI_SENT);
        EXPECT_EQ(seam.receive(0).aux, frames);
        return;
    }
    std::map<int, size_t> got;
    size_t total = 0, in_this_poll = 0;
    seam.on_frame = [&](const sri_arrival &a) {
        in_this_poll++;
        total++;
        EXPECT_EQ(a.aux, got[a.source]++);
        return a.aux % 3 == 0; /* go on, then stop, stop */
    };
    while (total < frames * (size_t)(n - 1)) {
        size_t before = total;
        in_this_poll = 0;
        seam.wait_news();
        if (total > before) {
            EXPECT_LE(in_this_poll, (size_t)(2 * (n - 1))) << "poll went on after a stop";
        }
    }
    for (int r = 1; r < n; r++)
        ASSERT_EQ(seam.send(r, frames), SRI_SENT);
}

SERRY_RANKS_TEST(Transport, AfterAStopWhatIsLeftCountsAsNews, .ranks({ 2 }))
{
    Seam seam;
    const uint64_t frames = 500;
    if (serry_rank() == 1) {
        for (uint64_t i = 0; i < frames; i++)
            ASSERT_EQ(seam.send(0, i), SRI_SENT);
        write_file(rank_dir() + "/sent", "all");
        EXPECT_EQ(seam.receive(0).aux, frames);
        return;
    }
    uint64_t got = 0;
    seam.on_frame = [&](const sri_arrival &a) {
        EXPECT_EQ(a.aux, got++);
        return false;
    };
    ASSERT_TRUE(wait_for([&] { return read_file(rank_dir() + "/sent") == "all" || seam.poll(); },
                         patience(10)));
    /* Nobody rings any more: each frame must be found by itself. */
    while (got < frames) {
        uint64_t before = got;
        seam.wait_news();
        EXPECT_LE(got, before + 1);
    }
    ASSERT_EQ(seam.send(1, frames), SRI_SENT);
}

/* ---- peers that are not there ---- */

/* Across nodes a started process with such a number may be about to be heard of. */
SERRY_RANKS_TEST(Transport, ARankThatNeverWasIsGone, .ranks({ 1, 2 }).on_one_node())
{
    Seam seam;
    for (int peer : { serry_size(), 4000, 1 << 20, INT32_MAX, -2, INT32_MIN }) {
        EXPECT_EQ(seam.send(peer, 0), SRI_GONE) << peer;
        EXPECT_FALSE(seam.t->ops->present(seam.t, peer)) << peer;
    }
}

} // namespace
