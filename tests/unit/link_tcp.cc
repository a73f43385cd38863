// ctest: timeout=240 processors=2
/* Links over TCP: order and length of frames, both directions at once, and what the others see when
 * a node is lost, is silent, says goodbye, or sends nonsense. */
#include "unit/link_tcp_test.h"

#include <malloc.h>

using namespace link_test;

namespace {

class LinkTcp : public testing::Test {
protected:
    void SetUp() override { before_ = serry_test::count_fds(); }
    void TearDown() override
    {
        nodes.clear();
        EXPECT_EQ(serry_test::count_fds(), before_) << serry_test::describe_fds();
    }

    /* Opens the nodes first .. last of a world; node(i) is the one of number first + i. */
    void open(World &w, int first, int last)
    {
        std::vector<Opened> all = w.open_all(first, last, 60);
        for (Opened &o : all) {
            ASSERT_EQ(o.err, SERRY_OK) << o.detail;
            nodes.push_back(std::make_unique<Node>());
            nodes.back()->listen_to(o.links);
        }
    }
    void open(int n)
    {
        World w(n);
        open(w, 0, n - 1);
    }
    Node &node(size_t i) { return *nodes[i]; }
    std::vector<Node *> all()
    {
        std::vector<Node *> ns;
        for (auto &n : nodes)
            ns.push_back(n.get());
        return ns;
    }

    std::vector<std::unique_ptr<Node>> nodes;

private:
    int before_ = 0;
};

TEST_F(LinkTcp, FramesOfEveryPairComeWholeAndInOrder)
{
    open(4);
    const unsigned n = 700;
    auto length = [](unsigned k) { return size_t{ k } * 37 % (k % 50 == 0 ? 200000 : 3000); };
    for (unsigned k = 0; k < n; k++) {
        for (int from = 0; from < 4; from++) {
            for (int to = 0; to < 4; to++) {
                if (to != from)
                    ASSERT_TRUE(
                        node(static_cast<size_t>(from)).send(to, pattern(length(k), k), k, k % 40));
            }
        }
        if (k % 100 == 0)
            node(k / 100 % 4).poll();
    }
    ASSERT_TRUE(run(
        all(),
        [&] {
            for (auto &x : nodes) {
                if (x->n_got < 3 * n)
                    return false;
            }
            return true;
        },
        60));
    for (auto &x : nodes) {
        unsigned next[4] = {};
        for (const Got &g : x->got) {
            unsigned k = next[g.node]++;
            ASSERT_TRUE(is_frame(g, g.node, pattern(length(k), k), k));
        }
        EXPECT_TRUE(x->lost.empty());
    }
}

TEST_F(LinkTcp, EveryLengthArrives)
{
    open(2);
    std::vector<size_t> lengths;
    for (size_t around : { size_t{ 0 }, size_t{ 16 }, size_t{ 64 }, LINK_TCP_SHORT, LINK_TCP_BUFFER,
                           size_t{ 1 } << 20, size_t{ 64 } << 20 }) {
        for (size_t d = 0; d < 35; d += 1 + d / 3) {
            if (around + d >= 17)
                lengths.push_back(around + d - 17);
        }
        lengths.push_back(around);
    }
    unsigned k = 0;
    for (size_t len : lengths) {
        if (len > (size_t{ 2 } << 20) && k % 3)
            continue; /* not all of the longest */
        std::string text = pattern(len, k);
        ASSERT_TRUE(node(k % 2).send(1 - static_cast<int>(k % 2), text, k, k % 7 ? len / 2 : len));
        Node &to = node(1 - k % 2);
        ASSERT_TRUE(run(all(), [&] { return to.got.size() == 1; }));
        ASSERT_TRUE(is_frame(to.got[0], static_cast<int>(k % 2), text, k)) << len;
        to.got.clear();
        k++;
    }
}

TEST_F(LinkTcp, BothMaySendMuchBeforeEitherReads)
{
    open(2);
    std::string big = pattern(size_t{ 32 } << 20, 3);
    for (unsigned k = 0; k < 4; k++) {
        for (int from = 0; from < 2; from++) {
            ASSERT_TRUE(node(static_cast<size_t>(from)).send(1 - from, big, k));
            ASSERT_TRUE(node(static_cast<size_t>(from)).send(1 - from, "small", k));
        }
    }
    for (int i = 0; i < 2; i++) {
        sri_links *l = node(static_cast<size_t>(i)).links;
        EXPECT_GT(l->ops->backlog(l, 1 - i), big.size());
        EXPECT_EQ(l->ops->backlog(l, i), 0u);
    }
    ASSERT_TRUE(run(
        all(), [&] { return node(0).n_got == 8 && node(1).n_got == 8; }, 60));
    for (int i = 0; i < 2; i++) {
        Node &x = node(static_cast<size_t>(i));
        EXPECT_EQ(x.links->ops->backlog(x.links, 1 - i), 0u);
        for (unsigned k = 0; k < 8; k++)
            ASSERT_TRUE(is_frame(x.got[k], 1 - i, k % 2 ? "small" : big, k / 2));
    }
}

TEST_F(LinkTcp, ANodeThatDoesNotReadDelaysNoOther)
{
    open(3);
    std::string text = pattern(100000, 1);
    for (unsigned k = 0; k < 200; k++) {
        ASSERT_TRUE(node(0).send(1, text, k));
        ASSERT_TRUE(node(0).send(2, text, k));
    }
    /* Node 1 does nothing. */
    EXPECT_TRUE(run({ &node(0), &node(2) }, [&] { return node(2).n_got == 200; }));
    EXPECT_GT(node(0).links->ops->backlog(node(0).links, 1), 0u);
    EXPECT_TRUE(run(all(), [&] { return node(1).n_got == 200; }));
    for (unsigned k = 0; k < 200; k++)
        ASSERT_TRUE(is_frame(node(1).got[k], 0, text, k));
}

TEST_F(LinkTcp, TheDescriptorIsReadableWhenThereIsSomethingToDo)
{
    open(2);
    while (node(0).poll() || node(1).poll())
        ;
    pollfd p = { node(1).links->ops->fd(node(1).links), POLLIN, 0 };
    EXPECT_EQ(::poll(&p, 1, 0), 0);
    EXPECT_EQ(node(1).links->ops->deadline(node(1).links), SRI_NEVER);
    ASSERT_TRUE(node(0).send(1, "x"));
    EXPECT_EQ(::poll(&p, 1, static_cast<int>(patience(10) * 1000)), 1);
    EXPECT_TRUE(node(1).poll());
    EXPECT_EQ(node(1).got.size(), 1u);
    EXPECT_EQ(::poll(&p, 1, 0), 0);
    EXPECT_FALSE(node(1).poll());
}

TEST_F(LinkTcp, WhoIsPolledMayAnswer)
{
    open(2);
    for (size_t i = 0; i < 2; i++) {
        node(i).on_frame = [this, i](const sri_link_arrival &f) {
            if (f.aux > 0)
                node(i).send(f.node, std::string(f.len, 'a'), f.aux - 1);
        };
    }
    ASSERT_TRUE(node(0).send(1, pattern(1000, 1), 1000));
    EXPECT_TRUE(run(all(), [&] { return node(0).n_got + node(1).n_got == 1001; }));
}

/* ---- the end of a node ---- */

/* Node 2 is a process of its own, nodes 0 and 1 are here. */
TEST_F(LinkTcp, AKilledNodeIsLostAfterWhatItSentAndTheOthersGoOn)
{
    World w(3);
    auto child = echo_node(w, 2);
    open(w, 0, 1);
    for (unsigned k = 0; k < 100; k++)
        ASSERT_TRUE(node(0).send(2, pattern(5000, k), k));
    ASSERT_TRUE(run(all(), [&] { return node(0).n_got == 100; }));
    child->kill();
    sri_ns killed = sri_now();
    ASSERT_TRUE(run(all(), [&] { return node(0).lost.size() == 1 && node(1).lost.size() == 1; }));
    EXPECT_LT(static_cast<double>(sri_now() - killed) * 1e-9, patience(5));
    for (size_t i = 0; i < 2; i++) {
        EXPECT_EQ(node(i).lost[0].node, 2);
        EXPECT_FALSE(node(i).lost[0].orderly);
        EXPECT_FALSE(node(i).lost[0].why.empty());
    }
    EXPECT_TRUE(node(0).send(2, "to nobody"));
    EXPECT_EQ(node(0).links->ops->backlog(node(0).links, 2), 0u);
    ASSERT_TRUE(node(0).send(1, "still here"));
    EXPECT_TRUE(run(all(), [&] { return node(1).n_got == 1; }));
    EXPECT_EQ(node(0).lost.size(), 1u) << "told once";
}

TEST_F(LinkTcp, ANodeKilledInTheMiddleOfMuchIsLost)
{
    World w(2);
    auto child = echo_node(w, 1);
    open(w, 0, 0);
    node(0).keep = false;
    std::string big = pattern(size_t{ 16 } << 20, 1);
    for (unsigned k = 0; k < 8; k++)
        ASSERT_TRUE(node(0).send(1, big, k));
    ASSERT_TRUE(run(all(), [&] { return node(0).n_got >= 1; }));
    child->kill();
    ASSERT_TRUE(run(all(), [&] { return node(0).lost.size() == 1; }));
    EXPECT_FALSE(node(0).lost[0].orderly);
    EXPECT_EQ(node(0).links->ops->backlog(node(0).links, 1), 0u);
}

/* By one side, which is told soon whatever the other does, and after what had come. */
TEST_F(LinkTcp, OneThatIsCutEndsOnBothSidesAfterWhatWasSent)
{
    open(3);
    sri_links *l = node(0).links;
    ASSERT_TRUE(node(1).send(0, pattern(5000, 1), 1));
    pollfd arrived = { l->ops->fd(l), POLLIN, 0 };
    ASSERT_EQ(::poll(&arrived, 1, static_cast<int>(patience(5000))), 1);
    ASSERT_TRUE(node(0).send(1, pattern(70, 2), 2));
    l->ops->cut(l, 1, "it was enough");
    l->ops->cut(l, 1, "once is enough");
    ASSERT_TRUE(node(0).send(1, pattern(80, 3), 3));
    ASSERT_TRUE(run({ &node(0) }, [&] { return node(0).lost_of(1); }));
    EXPECT_EQ(node(0).lost_of(1)->why, "it was enough");
    EXPECT_FALSE(node(0).lost_of(1)->orderly);
    ASSERT_EQ(node(0).got.size(), 1u);
    EXPECT_TRUE(is_frame(node(0).got[0], 1, pattern(5000, 1), 1));
    ASSERT_TRUE(run(all(), [&] { return node(1).lost_of(0); }));
    ASSERT_EQ(node(1).got.size(), 1u);
    EXPECT_TRUE(is_frame(node(1).got[0], 0, pattern(70, 2), 2));
    ASSERT_TRUE(node(2).send(0, pattern(90, 4), 4));
    ASSERT_TRUE(run(all(), [&] { return node(0).n_got == 2; }));
    EXPECT_EQ(node(2).lost.size(), 0u);
}

TEST_F(LinkTcp, ASilentHostIsLostByTheHeartbeatAndAnIdleOneIsNot)
{
    World w(4);
    w.heartbeat = patience(1.5);
    auto silent = echo_node(w, 3);
    auto idle = echo_node(w, 2);
    open(w, 0, 1);
    double seconds = 2 * w.heartbeat;
    sri_ns end = sri_now() + static_cast<sri_ns>(seconds * 1e9);
    run(all(), [&] { return sri_now() > end; });
    EXPECT_TRUE(node(0).lost.empty()) << node(0).lost[0].why;
    EXPECT_TRUE(node(1).lost.empty()) << node(1).lost[0].why;

    silent->signal(SIGSTOP);
    sri_ns stopped = sri_now();
    ASSERT_TRUE(run(all(), [&] { return node(0).lost_of(3) && node(1).lost_of(3); }));
    double took = static_cast<double>(sri_now() - stopped) * 1e-9;
    EXPECT_GT(took, 0.5 * w.heartbeat);
    EXPECT_LT(took, 1.5 * w.heartbeat + patience(5));
    EXPECT_FALSE(node(0).lost_of(3)->orderly);
    EXPECT_NE(node(0).lost_of(3)->why.find("nothing was heard"), std::string::npos);
    EXPECT_EQ(node(0).lost_of(2), nullptr);
    silent->signal(SIGCONT);

    ASSERT_TRUE(node(0).send(2, "are you there?"));
    EXPECT_TRUE(run(all(), [&] { return node(0).n_got == 1; }));
}

TEST_F(LinkTcp, WhoWasAwayHimselfReadsBeforeHeHoldsAnotherForSilent)
{
    World w(2);
    w.heartbeat = patience(0.3);
    Opened zero;
    std::thread t([&] { zero = w.open(0); });
    Handshake h;
    int fd = w.dial(0);
    EXPECT_TRUE(h.through(fd, 1, 0, 2, w.key));
    t.join();
    ASSERT_EQ(zero.err, SERRY_OK) << zero.detail;
    Node away;
    away.listen_to(zero.links);
    link_head alive = {};
    alive.mark = LINK_TCP_WORD;
    alive.op = LINK_TCP_ALIVE;
    write_bytes(fd, &alive, sizeof alive);
    usleep(static_cast<useconds_t>(2.5 * w.heartbeat * 1e6)); /* we are away */
    away.poll();
    away.poll();
    EXPECT_TRUE(away.lost.empty()) << away.lost[0].why;
    EXPECT_TRUE(run({ &away }, [&] { return away.lost.size() == 1; }));
    EXPECT_FALSE(read_bytes(fd, sizeof alive).empty()) << "it spoke itself";
    close(fd);
}

TEST_F(LinkTcp, GoodbyeComesBehindEverythingAndIsNoFailure)
{
    open(3);
    for (unsigned k = 0; k < 20; k++) {
        ASSERT_TRUE(node(0).send(1, pattern(1000000, k), k));
        ASSERT_TRUE(node(1).send(0, pattern(1000000, k), k)); /* that nobody will read */
    }
    std::thread closer([&] {
        node(0).links->ops->bye(node(0).links);
        node(0).links->ops->bye(node(0).links);
        node(0).links->ops->close(node(0).links);
        node(0).links = nullptr;
    });
    bool ended = run({ &node(1), &node(2) },
                     [&] { return node(1).lost.size() == 1 && node(2).lost.size() == 1; });
    closer.join();
    ASSERT_TRUE(ended);
    for (size_t i = 1; i < 3; i++) {
        EXPECT_EQ(node(i).lost[0].node, 0);
        EXPECT_TRUE(node(i).lost[0].orderly) << node(i).lost[0].why;
    }
    ASSERT_EQ(node(1).got.size(), 20u);
    for (unsigned k = 0; k < 20; k++)
        ASSERT_TRUE(is_frame(node(1).got[k], 0, pattern(1000000, k), k));
    ASSERT_TRUE(node(1).send(2, "we two"));
    EXPECT_TRUE(run(all(), [&] { return node(2).n_got == 1; }));
}

TEST_F(LinkTcp, AnEndWithoutGoodbyeIsAFailureUnlessWeSaidIt)
{
    open(3);
    node(2).links->ops->bye(node(2).links);
    node(0).links->ops->close(node(0).links);
    node(0).links = nullptr;
    ASSERT_TRUE(run(all(), [&] { return node(1).lost_of(0) && node(2).lost_of(0); }));
    EXPECT_FALSE(node(1).lost_of(0)->orderly);
    EXPECT_TRUE(node(2).lost_of(0)->orderly);
    EXPECT_EQ(node(1).lost_of(2), nullptr) << "goodbye is not yet the end";
}

TEST_F(LinkTcp, ClosingTowardsWhoDoesNotReadTakesAboutASecond)
{
    open(2);
    ASSERT_TRUE(node(0).send(1, pattern(size_t{ 64 } << 20, 1)));
    node(0).links->ops->bye(node(0).links);
    sri_ns before = sri_now();
    node(0).links->ops->close(node(0).links);
    node(0).links = nullptr;
    EXPECT_LT(static_cast<double>(sri_now() - before) * 1e-9, patience(3));
    EXPECT_TRUE(run({ &node(1) }, [&] { return node(1).lost.size() == 1; }));
    EXPECT_FALSE(node(1).lost[0].orderly) << "its goodbye was behind what did not go out";
    EXPECT_EQ(node(1).n_got, 0u) << "a frame is whole or not there";
}

/* ---- nonsense ---- */

/* Node 2 of 3 is a socket held by hand. */
class LinkTcpNonsense : public LinkTcp {
protected:
    void SetUp() override
    {
        LinkTcp::SetUp();
        World w(3);
        std::vector<Opened> opened(2);
        std::thread zero([&] { opened[0] = w.open(0); });
        std::thread one([&] { opened[1] = w.open(1); });
        for (int i = 0; i < 2; i++) {
            Handshake h;
            fd[i] = w.dial(i);
            EXPECT_TRUE(h.through(fd[i], 2, i, 3, w.key));
        }
        zero.join();
        one.join();
        for (Opened &o : opened) {
            ASSERT_EQ(o.err, SERRY_OK) << o.detail;
            nodes.push_back(std::make_unique<Node>());
            nodes.back()->listen_to(o.links);
        }
    }
    void TearDown() override
    {
        close(fd[0]);
        close(fd[1]);
        LinkTcp::TearDown();
    }
    /* Node 0 loses node 2, and nothing else happens to anybody. */
    void expect_that_link_alone_ends(const std::string &what)
    {
        ASSERT_TRUE(run(all(), [&] { return node(0).lost_of(2) != nullptr; })) << what;
        EXPECT_FALSE(node(0).lost_of(2)->orderly) << what;
        size_t before = node(1).n_got;
        ASSERT_TRUE(node(0).send(1, "others", 1));
        ASSERT_TRUE(run(all(), [&] { return node(1).n_got == before + 1; })) << what;
        EXPECT_EQ(node(0).lost.size(), 1u) << what;
        EXPECT_TRUE(node(1).lost.empty()) << what;
    }
    static std::string frame(uint64_t announced, const std::string &bytes)
    {
        link_head head = {};
        head.mark = LINK_TCP_FRAME;
        head.kind = 1;
        head.len = announced;
        return std::string(reinterpret_cast<char *>(&head), sizeof head) + bytes;
    }
    int fd[2] = { -1, -1 };
};

TEST_F(LinkTcpNonsense, AnImpossibleLengthEndsThatLink)
{
    std::string good = frame(16, pattern(16, 1));
    std::string bad = good + frame(UINT64_MAX - 5, "x");
    write_bytes(fd[0], bad.data(), bad.size());
    expect_that_link_alone_ends("a length near 2^64");
    EXPECT_EQ(node(0).n_got, 1u) << "what was good before it is delivered";
}

TEST_F(LinkTcpNonsense, ALengthThatIsAnnouncedTakesNoMemory)
{
    struct mallinfo2 before = mallinfo2();
    std::string bad = frame(uint64_t{ 1 } << 45, std::string(300000, 'x'));
    write_bytes(fd[0], bad.data(), bad.size());
    sri_ns end = sri_now() + SRI_MS(200);
    run(all(), [&] { return sri_now() > end; });
    struct mallinfo2 after = mallinfo2();
    EXPECT_LT(after.uordblks + after.hblkhd, before.uordblks + before.hblkhd + (4 << 20));
    EXPECT_TRUE(node(0).lost.empty());
    shutdown(fd[0], SHUT_WR);
    expect_that_link_alone_ends("the end in the middle of a frame");
    EXPECT_EQ(node(0).n_got, 0u);
}

TEST_F(LinkTcpNonsense, AFrameThatComesByteByByteIsWhole)
{
    std::string text = pattern(100, 9);
    std::string bytes = frame(text.size(), text + std::string(12, '\0'));
    for (char c : bytes) {
        write_bytes(fd[0], &c, 1);
        node(0).poll();
    }
    ASSERT_TRUE(run(all(), [&] { return node(0).n_got == 1; }));
    EXPECT_EQ(node(0).got[0].bytes, text);
}

TEST_F(LinkTcpNonsense, AnUnknownWordEndsThatLink)
{
    link_head head = {};
    head.mark = LINK_TCP_WORD;
    head.op = 99;
    write_bytes(fd[0], &head, sizeof head);
    expect_that_link_alone_ends("word 99");
}

/* Random bytes, some behind good frames and good heads, cut anywhere. */
class LinkTcpFuzz : public LinkTcpNonsense, public testing::WithParamInterface<unsigned> {};

TEST_P(LinkTcpFuzz, EndsThatLinkAlone)
{
    unsigned seed = GetParam();
    std::string bytes;
    for (unsigned i = 0; i < seed % 5; i++)
        bytes += frame(16 * i, pattern(16 * i, i));
    size_t good = bytes.size();
    std::string noise = seed % 2 ? pattern(64 + seed * 7, seed) : frame(seed * 1000 + 40, "");
    if (seed % 2 == 0) { /* a good head in which one byte is another */
        noise[seed * 5 % noise.size()] = static_cast<char>(seed * 11 + 1);
        noise += pattern(seed * 100, seed);
    }
    bytes += noise;
    write_bytes(fd[0], bytes.data(), bytes.size());
    shutdown(fd[0], SHUT_WR);
    expect_that_link_alone_ends("seed " + std::to_string(seed));
    for (size_t i = 0; good && i < seed % 5; i++)
        EXPECT_EQ(node(0).got[i].bytes, pattern(16 * i, static_cast<unsigned>(i)));
}

INSTANTIATE_TEST_SUITE_P(Seeds, LinkTcpFuzz, testing::Range(0u, 60u));

} // namespace
