// ctest: timeout=60
/* Links over a transport, here one in memory: frames cut and put together again, what there is no
 * room for, goodbyes, and nonsense. */
#include "unit/link_test.h"

#include <deque>

using namespace link_test;

namespace {

class Net;

/* A transport of one node: its peers are the other nodes of the same net. */
struct Memory {
    sri_transport t;
    Net *net;
    int node;
};

class Net {
public:
    Net(int n, size_t frame_max) : max(frame_max), inbox(static_cast<size_t>(n)) {}

    struct Packet {
        int source;
        unsigned flags;
        uint64_t aux;
        std::string bytes;
    };

    size_t max;
    size_t room = SIZE_MAX;      /* packets that fit into an inbox */
    sri_sent refusal = SRI_FULL; /* of what does not */
    std::vector<std::deque<Packet>> inbox;
    int open_ones = 0;
    bool refuse_open = false;

    static serry_err open(sri_transport **t, const sri_sink *sink, void *ctx)
    {
        auto *where = static_cast<std::pair<Net *, int> *>(ctx);
        if (where->first->refuse_open)
            return SERRY_ESYS;
        auto *m = new Memory();
        m->t.ops = &ops();
        m->t.sink = *sink;
        m->t.frame_max = where->first->max;
        m->t.rank = where->second;
        m->net = where->first;
        m->node = where->second;
        m->net->open_ones++;
        *t = &m->t;
        return SERRY_OK;
    }

private:
    static Memory &of(sri_transport *t) { return *reinterpret_cast<Memory *>(t); }

    static sri_sent send(sri_transport *t, int peer, const sri_frame *f)
    {
        Net &net = *of(t).net;
        EXPECT_LE(f->head_len + f->body_len, net.max);
        EXPECT_LE(f->head_len, static_cast<size_t>(SRI_HEAD_MAX));
        EXPECT_EQ(f->fd, -1);
        EXPECT_GE(f->kind, 1);
        EXPECT_LE(f->kind, SRI_KIND_LAST);
        auto &in = net.inbox[static_cast<size_t>(peer)];
        if (in.size() >= net.room)
            return net.refusal;
        Packet p = { of(t).node, f->flags, f->aux, {} };
        if (f->head_len)
            p.bytes.append(static_cast<const char *>(f->head), f->head_len);
        if (f->body_len)
            p.bytes.append(static_cast<const char *>(f->body), f->body_len);
        in.push_back(std::move(p));
        return SRI_SENT;
    }

    static bool poll(sri_transport *t)
    {
        auto &in = of(t).net->inbox[static_cast<size_t>(of(t).node)];
        int n = 0;
        for (; n < 10 && !in.empty(); n++) {
            Packet p = std::move(in.front());
            in.pop_front();
            std::vector<char> storage(p.bytes.size() + 16);
            auto at = reinterpret_cast<uintptr_t>(storage.data());
            char *aligned = storage.data() + (16 - at % 16) % 16;
            memcpy(aligned, p.bytes.data(), p.bytes.size());
            sri_arrival a = {};
            a.source = p.source;
            a.kind = SRI_KIND_ROUTE;
            a.flags = static_cast<uint8_t>(p.flags);
            a.bytes = reinterpret_cast<uint8_t *>(aligned);
            a.len = p.bytes.size();
            a.fd = -1;
            EXPECT_TRUE(t->sink.deliver(t->sink.ctx, &a));
        }
        return n > 0;
    }

    static void close(sri_transport *t, bool inherited)
    {
        EXPECT_FALSE(inherited);
        of(t).net->open_ones--;
        delete &of(t);
    }

    static const sri_transport_ops &ops()
    {
        static sri_transport_ops o = [] {
            sri_transport_ops x = {};
            x.name = "memory";
            x.send = send;
            x.poll = poll;
            x.close = close;
            return x;
        }();
        return o;
    }
};

class LinkTransport : public testing::Test {
protected:
    void open(int n, size_t frame_max)
    {
        net = std::make_unique<Net>(n, frame_max);
        for (int i = 0; i < n; i++) {
            sri_links *l = nullptr;
            std::pair<Net *, int> where = { net.get(), i };
            ASSERT_EQ(sri_links_over(&l, Net::open, &where, i, n), SERRY_OK) << serry_err_detail();
            nodes.push_back(std::make_unique<Node>());
            nodes.back()->listen_to(l);
        }
    }
    void TearDown() override
    {
        nodes.clear();
        if (net)
            EXPECT_EQ(net->open_ones, 0);
    }
    Node &node(size_t i) { return *nodes[i]; }
    std::vector<Node *> all()
    {
        std::vector<Node *> ns;
        for (auto &n : nodes)
            ns.push_back(n.get());
        return ns;
    }
    void expect_delivered(const std::vector<size_t> &lengths)
    {
        ASSERT_EQ(node(1).got.size(), lengths.size());
        for (unsigned k = 0; k < lengths.size(); k++)
            ASSERT_TRUE(is_frame(node(1).got[k], 0, pattern(lengths[k], k), k));
    }

    std::unique_ptr<Net> net;
    std::vector<std::unique_ptr<Node>> nodes;
};

TEST_F(LinkTransport, FramesOfAnyLengthAndCutComeWhole)
{
    for (size_t max : { size_t{ 33 }, size_t{ 48 }, size_t{ 96 }, size_t{ 4096 } }) {
        open(2, max);
        std::vector<size_t> lengths;
        for (size_t len = 0; len < 300; len++)
            lengths.push_back(len);
        for (size_t len : { 4063u, 4064u, 4065u, 8159u, 8160u, 8161u, 100000u })
            lengths.push_back(len);
        for (unsigned k = 0; k < lengths.size(); k++)
            ASSERT_TRUE(node(0).send(1, pattern(lengths[k], k), k, k % 3 * lengths[k] / 2));
        ASSERT_TRUE(run(all(), [&] { return node(1).n_got == lengths.size(); }));
        expect_delivered(lengths);
        nodes.clear();
    }
}

TEST_F(LinkTransport, WhatThereIsNoRoomForGoesOnLaterInOrder)
{
    open(2, 128);
    std::vector<size_t> lengths;
    for (size_t k = 0; k < 400; k++)
        lengths.push_back(k * 37 % 700);
    for (size_t room : { 1u, 2u, 7u }) {
        net->room = room;
        node(1).got.clear();
        node(1).n_got = 0;
        for (unsigned k = 0; k < lengths.size(); k++) {
            ASSERT_TRUE(node(0).send(1, pattern(lengths[k], k), k, k % 4 * lengths[k] / 3));
            if (k % 11 == 0)
                node(k / 11 % 2).poll();
        }
        EXPECT_GT(node(0).links->ops->backlog(node(0).links, 1), 0u);
        ASSERT_TRUE(run(all(), [&] { return node(1).n_got == lengths.size(); }));
        EXPECT_EQ(node(0).links->ops->backlog(node(0).links, 1), 0u);
        expect_delivered(lengths);
    }
}

TEST_F(LinkTransport, BothMaySendMuchBeforeEitherReads)
{
    open(2, 4096);
    net->room = 3;
    std::string big = pattern(3000000, 1);
    ASSERT_TRUE(node(0).send(1, big, 1));
    ASSERT_TRUE(node(1).send(0, big, 1));
    ASSERT_TRUE(run(all(), [&] { return node(0).n_got == 1 && node(1).n_got == 1; }));
    EXPECT_TRUE(is_frame(node(0).got[0], 1, big, 1));
    EXPECT_TRUE(is_frame(node(1).got[0], 0, big, 1));
}

TEST_F(LinkTransport, GoodbyeComesBehindEverythingAndIsToldOnce)
{
    open(3, 64);
    net->room = 2;
    std::string text = pattern(1000, 1);
    ASSERT_TRUE(node(0).send(1, text, 1));
    node(0).links->ops->bye(node(0).links);
    node(0).links->ops->bye(node(0).links);
    EXPECT_TRUE(node(0).send(1, "after it", 2));
    ASSERT_TRUE(run(all(), [&] { return node(1).lost.size() == 1 && node(2).lost.size() == 1; }));
    ASSERT_EQ(node(1).got.size(), 1u);
    EXPECT_TRUE(is_frame(node(1).got[0], 0, text, 1));
    EXPECT_TRUE(node(1).lost[0].orderly);
    EXPECT_EQ(node(1).lost[0].node, 0);
    EXPECT_TRUE(node(1).send(0, "to nobody"));
    EXPECT_EQ(node(1).links->ops->backlog(node(1).links, 0), 0u);
    ASSERT_TRUE(node(1).send(2, "we two"));
    ASSERT_TRUE(run(all(), [&] { return node(2).n_got == 1; }));
    EXPECT_EQ(node(1).lost.size(), 1u);
    EXPECT_TRUE(node(0).lost.empty());
}

TEST_F(LinkTransport, ClosingSendsWhatWasKeptButNotForEver)
{
    open(2, 64);
    net->room = 1;
    ASSERT_TRUE(node(0).send(1, pattern(500, 1), 1));
    sri_ns before = sri_now();
    node(0).links->ops->close(node(0).links); /* nobody reads */
    node(0).links = nullptr;
    EXPECT_LT(static_cast<double>(sri_now() - before) * 1e-9, patience(5));

    nodes.clear();
    open(2, 64);
    ASSERT_TRUE(node(0).send(1, pattern(500, 1), 1));
    net->room = 1;
    ASSERT_TRUE(node(0).send(1, pattern(500, 2), 2));
    net->room = SIZE_MAX;
    node(0).links->ops->close(node(0).links);
    node(0).links = nullptr;
    ASSERT_TRUE(run({ &node(1) }, [&] { return node(1).n_got == 2; }));
}

TEST_F(LinkTransport, APeerThatTheTransportKnowsIsGoneIsLostAfterWhatItSent)
{
    open(3, 64);
    for (unsigned k = 0; k < 50; k++)
        ASSERT_TRUE(node(1).send(0, pattern(10, k), k));
    net->room = 0;
    net->refusal = SRI_GONE;
    EXPECT_TRUE(node(0).send(1, "are you there?"));
    net->room = SIZE_MAX;
    EXPECT_TRUE(node(0).lost.empty()) << "not before poll";
    ASSERT_TRUE(run(all(), [&] { return node(0).lost.size() == 1; }));
    EXPECT_EQ(node(0).n_got, 50u);
    EXPECT_FALSE(node(0).lost[0].orderly);
}

/* The other side may not know: what it goes on to send is not taken. */
TEST_F(LinkTransport, OneThatIsCutIsLostSoonHoweverMuchStillComes)
{
    open(3, 4096);
    sri_links *l = node(0).links;
    for (unsigned k = 0; k < 100; k++)
        ASSERT_TRUE(node(1).send(0, pattern(50, k), k));
    l->ops->cut(l, 1, "it was enough");
    l->ops->cut(l, 1, "once is enough");
    node(0).poll();
    ASSERT_TRUE(node(0).lost_of(1));
    EXPECT_EQ(node(0).lost_of(1)->why, "it was enough");
    EXPECT_EQ(node(0).n_got, 0u);
    ASSERT_TRUE(node(2).send(0, pattern(90, 4), 4));
    ASSERT_TRUE(run(all(), [&] { return node(0).n_got == 1; }));
}

TEST_F(LinkTransport, NonsenseEndsThatLinkAlone)
{
    struct {
        const char *what;
        std::string bytes;
        unsigned flags;
    } cases[] = {
        { "no head", "short", 0 },
        { "no mark", std::string(64, 'x'), 0 },
        { "nothing", "", SRI_FLAG_MORE },
        { "an end of nothing", std::string(32, '\0'), SRI_FLAG_MORE },
    };
    for (auto &c : cases) {
        open(3, 64);
        net->inbox[0].push_back({ 2, c.flags, 0, c.bytes });
        ASSERT_TRUE(run(all(), [&] { return node(0).lost.size() == 1; })) << c.what;
        EXPECT_EQ(node(0).lost[0].node, 2) << c.what;
        EXPECT_FALSE(node(0).lost[0].orderly) << c.what;
        ASSERT_TRUE(node(2).send(0, "not listened to"));
        ASSERT_TRUE(node(1).send(0, "others", 1));
        ASSERT_TRUE(run(all(), [&] { return node(0).n_got == 1; })) << c.what;
        EXPECT_EQ(node(0).got[0].node, 1);
        nodes.clear();
    }
}

TEST_F(LinkTransport, PiecesThatDoNotAddUpEndThatLink)
{
    for (int spoil = 0; spoil < 3; spoil++) {
        open(2, 64);
        ASSERT_TRUE(node(0).send(1, pattern(200, 1), 1));
        auto &in = net->inbox[1];
        if (spoil == 0)
            in.erase(in.begin() + 1); /* a piece is missing */
        else if (spoil == 1)
            in.insert(in.begin() + 1, in[1]);
        else
            in.back().bytes += "x";
        ASSERT_TRUE(run(all(), [&] { return node(1).lost.size() == 1; })) << spoil;
        EXPECT_EQ(node(1).n_got, 0u);
        nodes.clear();
    }
}

TEST_F(LinkTransport, FramesFromNobodyAreNotHeard)
{
    open(2, 64);
    for (int source : { -1, 0, 2, 77 })
        net->inbox[0].push_back({ source, 0, 0, std::string(40, 'x') });
    while (node(0).poll())
        ;
    EXPECT_EQ(node(0).n_got, 0u);
    EXPECT_TRUE(node(0).lost.empty());
}

TEST_F(LinkTransport, AnOpeningThatFailsLeavesNothing)
{
    net = std::make_unique<Net>(2, 64);
    std::pair<Net *, int> where = { net.get(), 0 };
    sri_links *l = nullptr;
    net->refuse_open = true;
    EXPECT_EQ(sri_links_over(&l, Net::open, &where, 0, 2), SERRY_ESYS);
    net->refuse_open = false;
    EXPECT_EQ(sri_links_over(&l, Net::open, &where, 2, 2), SERRY_EINVAL);
    net->max = 32;
    EXPECT_EQ(sri_links_over(&l, Net::open, &where, 0, 2), SERRY_EINTERNAL);
    EXPECT_EQ(l, nullptr);
}

} // namespace
