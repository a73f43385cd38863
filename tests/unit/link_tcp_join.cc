// ctest: timeout=120 processors=2
/* Links over TCP, how they come about: who has the key and who has not, who is missing, who dies on
 * the way, and who has no business there. */
#include "unit/link_tcp_test.h"

#include <atomic>
#include <sys/resource.h>

using namespace link_test;

namespace {

void close_all(std::vector<Opened> &all)
{
    for (Opened &o : all) {
        if (o.links)
            o.links->ops->close(o.links);
        o.links = nullptr;
    }
}

void expect_linked(std::vector<Opened> all)
{
    for (const Opened &o : all)
        EXPECT_EQ(o.err, SERRY_OK) << o.detail;
    close_all(all);
}

void expect_failed(const Opened &o, serry_err err, const char *says = "")
{
    EXPECT_EQ(o.err, err) << o.detail;
    EXPECT_NE(o.detail.find(says), std::string::npos) << o.detail;
}

/* Whose time is up second may see that the first has given up. */
void expect_out_of_time(const Opened &o, const char *says)
{
    expect_failed(o, o.err == SERRY_EDIED ? SERRY_EDIED : SERRY_ETIMEDOUT, says);
}

/* A node whose links are being opened by a thread, while the test plays others. */
class Opening {
public:
    Opening(World &w, int node, double seconds = 30)
        : thread_([this, &w, node, seconds] { opened_ = w.open(node, seconds); })
    {
    }
    Opening(const Opening &) = delete;
    ~Opening()
    {
        if (thread_.joinable())
            thread_.join();
    }

    Opened end()
    {
        thread_.join();
        return opened_;
    }

private:
    Opened opened_;
    std::thread thread_;
};

/* A hello of node 1 to node 0. */
link_hello some_hello(int from = 1, int to = 0)
{
    link_hello h = {};
    EXPECT_EQ(link_hello_make(&h, from, to, 2), SERRY_OK);
    return h;
}

class LinkTcpJoin : public testing::Test {
protected:
    void SetUp() override { before_ = serry_test::count_fds(); }
    void TearDown() override
    {
        EXPECT_EQ(serry_test::count_fds(), before_) << serry_test::describe_fds();
    }

private:
    int before_ = 0;
};

TEST_F(LinkTcpJoin, OneNodeAloneIsLinkedAtOnce)
{
    World w(1);
    expect_linked(w.open_all(0, 0));
}

TEST_F(LinkTcpJoin, EveryPairIsLinked)
{
    for (int n : { 2, 3, 16 }) {
        World w(n);
        expect_linked(w.open_all(0, n - 1));
    }
}

TEST_F(LinkTcpJoin, ByInterfaceNameAndByAddressOfBothFamilies)
{
    for (const char *interface : { "lo", "127.0.0.1", "::1" }) {
        World w(2, interface);
        EXPECT_EQ(w.addresses[0][0] == '[', interface[0] == ':') << w.addresses[0].data();
        expect_linked(w.open_all(0, 1));
    }
    World w(2, nullptr);
    expect_linked(w.open_all(0, 1));
}

TEST_F(LinkTcpJoin, AnInterfaceThatIsNotThereIsNamed)
{
    int fd = -7;
    char address[SRI_LINK_ADDRESS] = "as it was";
    EXPECT_EQ(sri_links_tcp_listen("no0such", &fd, address), SERRY_EINVAL);
    EXPECT_NE(strstr(serry_err_detail(), "no0such"), nullptr) << serry_err_detail();
    EXPECT_NE(strstr(serry_err_detail(), "lo"), nullptr) << serry_err_detail();
    EXPECT_EQ(sri_links_tcp_listen("203.0.113.77", &fd, address), SERRY_ESYS);
    EXPECT_NE(strstr(serry_err_detail(), "203.0.113.77"), nullptr) << serry_err_detail();
    EXPECT_EQ(fd, -7);
    EXPECT_STREQ(address, "as it was");
}

TEST_F(LinkTcpJoin, WhatIsNoAddressIsRefused)
{
    for (const char *text :
         { "", "127.0.0.1", "127.0.0.1:", "127.0.0.1:0", "127.0.0.1:65536", "::1:80", "[::1]",
           "[127.0.0.1]:80", "host:80", "127.0.0.1:8a", ":80", "[:80", "1.2.3.4:-5" }) {
        World w(2);
        strcpy(w.addresses[0].data(), text);
        Opened o = w.open(1);
        EXPECT_EQ(o.err, SERRY_EINVAL) << text;
    }
}

TEST_F(LinkTcpJoin, BadNumbersAreRefusedAndTheListenerIsTaken)
{
    World w(2);
    sri_links *l = nullptr;
    auto *addresses = reinterpret_cast<const char(*)[SRI_LINK_ADDRESS]>(w.addresses.data());
    EXPECT_EQ(sri_links_tcp_open(&l, w.take_listener(0), 2, 2, addresses, w.key.data(), 0, 0),
              SERRY_EINVAL);
    EXPECT_EQ(sri_links_tcp_open(&l, w.take_listener(1), 1, 2, addresses, w.key.data(), -1, 0),
              SERRY_EINVAL);
    EXPECT_EQ(l, nullptr);
}

TEST_F(LinkTcpJoin, WhoIsMissingIsNamed)
{
    World w(4);
    std::vector<Opened> all = w.open_all(0, 1, 0.7);
    for (Opened &o : all) {
        expect_out_of_time(o, "nodes 2, 3 ");
        EXPECT_LT(o.seconds, patience(0.7) + 5);
    }
    close_all(all);
}

TEST_F(LinkTcpJoin, AHostThatRefusesIsTriedUntilTheDeadlineAndTheReasonIsTold)
{
    World w(2);
    close(w.take_listener(0));
    Opened o = w.open(1, 0.5);
    expect_failed(o, SERRY_ETIMEDOUT, "node 0 ");
    expect_failed(o, SERRY_ETIMEDOUT, "refused");
}

TEST_F(LinkTcpJoin, WhoHasAnotherKeyIsNotLinked)
{
    World w(3);
    std::vector<Opened> all(3);
    std::vector<std::thread> threads;
    for (int i = 0; i < 3; i++) {
        threads.emplace_back([&, i] {
            all[static_cast<size_t>(i)] =
                w.open(i, w.take_listener(i), 1, i == 2 ? some_key(8) : w.key);
        });
    }
    for (auto &t : threads)
        t.join();
    for (size_t i = 0; i < 2; i++)
        expect_out_of_time(all[i], "node 2 is not linked");
    expect_failed(all[2], SERRY_ETIMEDOUT, "key");
}

TEST_F(LinkTcpJoin, StrangersDelayNobody)
{
    World w(3);
    std::vector<int> strangers;
    for (int i = 0; i < 200; i++) {
        int fd = w.dial(i % 2);
        std::string garbage = pattern(static_cast<size_t>(i), static_cast<unsigned>(i));
        if (i % 4 == 1)
            write_bytes(fd, garbage.data(), garbage.size());
        link_hello half = {};
        memcpy(half.magic, LINK_HELLO_MAGIC, 8);
        if (i % 4 == 2)
            write_bytes(fd, &half, 8 + static_cast<size_t>(i) % 56);
        strangers.push_back(fd);
    }
    std::vector<Opened> all = w.open_all(0, 2);
    for (const Opened &o : all)
        EXPECT_LT(o.seconds, patience(5));
    expect_linked(all);
    for (int fd : strangers)
        close(fd);
}

TEST_F(LinkTcpJoin, StrangersWhoGoOnComingDelayNobody)
{
    World w(2);
    std::atomic<bool> stop{ false };
    std::atomic<unsigned> strangers{ 0 };
    int guard = dup(w.listeners[0]); /* so that dialling goes on to work */
    std::thread flood([&] {
        std::vector<int> fds;
        for (unsigned i = 0; !stop; i++) {
            int fd = w.dial(0);
            std::string garbage = pattern(i % 300, i);
            /* It may be thrown out before it speaks. */
            (void)!send(fd, garbage.data(), garbage.size(), MSG_NOSIGNAL);
            fds.push_back(fd);
            strangers++;
            if (fds.size() > 100) {
                close(fds.front());
                fds.erase(fds.begin());
            }
        }
        for (int fd : fds)
            close(fd);
    });
    Opening first(w, 0);
    EXPECT_TRUE(serry_test::wait_for([&] { return strangers > 200; }));
    Opened one = w.open(1);
    Opened zero = first.end();
    stop = true;
    flood.join();
    close(guard);
    expect_linked({ zero, one });
}

TEST_F(LinkTcpJoin, AProofThatComesBackToItsReceiverOrIsUsedAgainIsWorthNothing)
{
    World w(3);
    Opening zero(w, 0, 4);
    Handshake reflected;
    int fd = w.dial(0);
    ASSERT_TRUE(reflected.greet(fd, 1, 0, 3));
    ASSERT_TRUE(reflected.judge(fd, reflected.proof.data()));
    EXPECT_EQ(reflected.verdict.refusal, LINK_NO_KEY);
    close(fd);

    Handshake good;
    int link = w.dial(0);
    ASSERT_TRUE(good.through(link, 1, 0, 3, w.key));
    Handshake replayed = good;
    fd = w.dial(0);
    ASSERT_TRUE(replayed.greet_again(fd));
    EXPECT_NE(memcmp(replayed.theirs.nonce, good.theirs.nonce, sizeof good.theirs.nonce), 0);
    ASSERT_TRUE(replayed.judge(fd, good.proofs.dialler));
    EXPECT_EQ(replayed.verdict.refusal, LINK_NO_KEY);
    close(fd);
    expect_failed(zero.end(), SERRY_ETIMEDOUT, "node 2 ");
    close(link);
}

TEST_F(LinkTcpJoin, ANumberThatIsTakenIsRefused)
{
    World w(3);
    Opening zero(w, 0, 3);
    Handshake first;
    int link = w.dial(0);
    ASSERT_TRUE(first.through(link, 1, 0, 3, w.key));
    Opened second = w.open(1);
    expect_failed(second, SERRY_EINVAL, "already");
    expect_failed(zero.end(), SERRY_ETIMEDOUT);
    close(link);
}

TEST_F(LinkTcpJoin, AnotherVersionIsASentenceOnBothSides)
{
    World w(2);
    Opening zero(w, 0, 1);
    link_hello h = some_hello(), theirs;
    h.version = 9;
    int fd = w.dial(0);
    write_bytes(fd, &h, sizeof h);
    std::string answer = read_bytes(fd, 1000);
    ASSERT_EQ(answer.size(), sizeof h) << "a hello, and then the end";
    memcpy(&theirs, answer.data(), sizeof theirs);
    EXPECT_EQ(theirs.refusal, LINK_OTHER_VERSION);
    close(fd);
    expect_failed(zero.end(), SERRY_ETIMEDOUT, "version 9");

    World v(2);
    Opening one(v, 1);
    timeval limit = { 20, 0 };
    pollfd ready = { v.listeners[0], POLLIN, 0 };
    ASSERT_EQ(poll(&ready, 1, static_cast<int>(patience(20) * 1000)), 1);
    int guest = accept(v.listeners[0], nullptr, nullptr);
    ASSERT_GE(guest, 0);
    setsockopt(guest, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    read_bytes(guest, sizeof h);
    h = some_hello(0, 1);
    h.version = 9;
    write_bytes(guest, &h, sizeof h);
    expect_failed(one.end(), SERRY_EINVAL, "version 9");
    close(guest);
}

TEST_F(LinkTcpJoin, OtherWorldsAndOtherNodesAreRefused)
{
    World w(3);
    Opening zero(w, 0, 1.5);
    struct {
        int from, to, nodes;
        link_refusal why;
    } cases[] = { { 1, 0, 4, LINK_OTHER_WORLD },
                  { 5, 0, 3, LINK_OTHER_WORLD },
                  { 2, 1, 3, LINK_OTHER_NODE },
                  { 0, 0, 3, LINK_OTHER_NODE } };
    for (auto &c : cases) {
        Handshake h;
        int fd = w.dial(0);
        EXPECT_FALSE(h.greet(fd, c.from, c.to, c.nodes));
        EXPECT_EQ(h.theirs.refusal, static_cast<uint32_t>(c.why));
        close(fd);
    }
    expect_failed(zero.end(), SERRY_ETIMEDOUT);
}

TEST_F(LinkTcpJoin, ANodeThatDiesOnceLinkedEndsTheWaitForOthers)
{
    World w(3);
    Opening zero(w, 0, 60);
    Handshake h;
    int fd = w.dial(0);
    ASSERT_TRUE(h.through(fd, 1, 0, 3, w.key));
    close(fd);
    Opened o = zero.end();
    expect_failed(o, SERRY_EDIED, "node 1 ");
    EXPECT_LT(o.seconds, patience(10));
}

TEST_F(LinkTcpJoin, ANodeThatBreaksOffMayComeAgain)
{
    World w(2);
    Opening zero(w, 0);
    for (size_t part : { size_t{ 0 }, size_t{ 10 }, sizeof(link_hello) }) {
        link_hello h = some_hello();
        int fd = w.dial(0);
        write_bytes(fd, &h, part);
        close(fd);
    }
    Opened one = w.open(1);
    expect_linked({ zero.end(), one });
}

TEST_F(LinkTcpJoin, WhoIsLinkedEarlyMaySendToWhoIsNot)
{
    World w(3);
    Opening zero(w, 0);
    Handshake h;
    int fd = w.dial(0);
    ASSERT_TRUE(h.through(fd, 1, 0, 3, w.key));
    link_head head = {};
    head.mark = LINK_TCP_FRAME;
    head.len = 16;
    std::string text = pattern(16, 1);
    write_bytes(fd, &head, sizeof head);
    write_bytes(fd, text.data(), text.size());
    Handshake second;
    int other = w.dial(0);
    ASSERT_TRUE(second.through(other, 2, 0, 3, w.key));
    Opened o = zero.end();
    ASSERT_EQ(o.err, SERRY_OK) << o.detail;
    Node node;
    node.listen_to(o.links);
    EXPECT_TRUE(run({ &node }, [&] { return node.got.size() == 1; }));
    EXPECT_EQ(node.got[0].bytes, text);
    close(fd);
    close(other);
}

TEST_F(LinkTcpJoin, GarbageAtEveryStepOfJoiningHarmsNobody)
{
    World w(2);
    Opening zero(w, 0, 60);
    for (unsigned seed = 0; seed < 200; seed++) {
        int fd = w.dial(0);
        link_hello h = some_hello();
        std::string noise = pattern(sizeof h + seed % 100, seed);
        if (seed % 3 == 1) /* a good beginning */
            noise.replace(0, 16, reinterpret_cast<char *>(&h), 16);
        if (seed % 3 == 2) /* a good hello, a bad proof */
            noise.replace(0, sizeof h, reinterpret_cast<char *>(&h), sizeof h);
        write_bytes(fd, noise.data(), noise.size());
        if (seed % 2)
            shutdown(fd, SHUT_WR);
        close(fd);
    }
    Opened one = w.open(1);
    expect_linked({ zero.end(), one });
}

TEST_F(LinkTcpJoin, WithoutDescriptorsForStrangersItGoesOnOnceThereAreSome)
{
    World w(2);
    std::vector<int> strangers;
    for (int i = 0; i < 30; i++)
        strangers.push_back(w.dial(0));
    /* In a process of its own: the limit holds for all. */
    Child child([&] {
        rlimit few = { static_cast<rlim_t>(strangers.back() + 8), 4096 };
        setrlimit(RLIMIT_NOFILE, &few);
        Opened o = w.open(0);
        _exit(o.err == SERRY_OK ? 0 : 1);
    });
    for (int fd : strangers)
        close(fd); /* the other process has them, too */
    close(w.take_listener(0));
    Opened one = w.open(1);
    EXPECT_EQ(one.err, SERRY_OK) << one.detail;
    int status = -1;
    EXPECT_EQ(waitpid(child.pid, &status, 0), child.pid);
    EXPECT_EQ(status, 0);
    child.pid = -1;
    if (one.links)
        one.links->ops->close(one.links);
}

} // namespace
