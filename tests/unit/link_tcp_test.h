/* unit/link_tcp_test.h: nodes linked by TCP over loopback, in this process and in others. */
#ifndef SERRY_TEST_LINK_TCP_TEST_H
#define SERRY_TEST_LINK_TCP_TEST_H

#include "unit/link_test.h"

extern "C" {
#include "agent/link_tcp.h"
#include "agent/link_tcp_hello.h"
}

#include <csignal>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

namespace link_test {

using Key = std::array<uint8_t, SRI_LINK_KEY>;

inline Key some_key(uint8_t first)
{
    Key key;
    for (size_t i = 0; i < key.size(); i++)
        key[i] = static_cast<uint8_t>(first + i);
    return key;
}

struct Opened {
    serry_err err = SERRY_EINTERNAL;
    std::string detail;
    double seconds = 0;
    sri_links *links = nullptr;
};

/* The listeners of a world's nodes, and what is needed to open the links of one. */
class World {
public:
    explicit World(int n, const char *interface = "lo") : size(n), key(some_key(7))
    {
        addresses.resize(static_cast<size_t>(n));
        listeners.assign(static_cast<size_t>(n), -1);
        for (size_t i = 0; i < addresses.size(); i++)
            EXPECT_EQ(sri_links_tcp_listen(interface, &listeners[i], addresses[i].data()), SERRY_OK)
                << serry_err_detail();
    }
    World(const World &) = delete;
    ~World()
    {
        for (int fd : listeners) {
            if (fd >= 0)
                close(fd);
        }
    }

    int take_listener(int node)
    {
        int fd = listeners[static_cast<size_t>(node)];
        listeners[static_cast<size_t>(node)] = -1;
        return fd;
    }

    Opened open(int node, int listener, double seconds, const Key &with) const
    {
        Opened o;
        sri_ns before = sri_now();
        o.err = sri_links_tcp_open(
            &o.links, listener, node, size,
            reinterpret_cast<const char(*)[SRI_LINK_ADDRESS]>(addresses.data()), with.data(),
            heartbeat, before + static_cast<sri_ns>(patience(seconds) * 1e9));
        o.seconds = static_cast<double>(sri_now() - before) * 1e-9;
        if (o.err != SERRY_OK)
            o.detail = serry_err_detail();
        return o;
    }
    Opened open(int node, double seconds = 30)
    {
        return open(node, take_listener(node), seconds, key);
    }

    /* Nodes first .. last, in threads. */
    std::vector<Opened> open_all(int first, int last, double seconds = 30)
    {
        std::vector<Opened> all(static_cast<size_t>(last - first + 1));
        std::vector<std::thread> threads;
        for (int i = first; i <= last; i++)
            threads.emplace_back(
                [&, i] { all[static_cast<size_t>(i - first)] = open(i, seconds); });
        for (auto &t : threads)
            t.join();
        return all;
    }

    /* A connected socket to where a node listens, blocking. */
    int dial(int node) const
    {
        sockaddr_storage to;
        socklen_t len;
        EXPECT_EQ(link_tcp_parse(addresses[static_cast<size_t>(node)].data(), &to, &len), SERRY_OK);
        int fd = socket(to.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        EXPECT_EQ(connect(fd, reinterpret_cast<sockaddr *>(&to), len), 0) << strerror(errno);
        timeval limit = { static_cast<time_t>(patience(20)), 0 };
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
        return fd;
    }

    int size;
    Key key;
    double heartbeat = 0;
    std::vector<std::array<char, SRI_LINK_ADDRESS>> addresses;
    std::vector<int> listeners;
};

/* Exactly so many bytes; less at the end of the stream. */
inline std::string read_bytes(int fd, size_t n)
{
    std::string all(n, '\0');
    size_t at = 0;
    while (at < n) {
        ssize_t got = recv(fd, &all[at], n - at, 0);
        if (got <= 0)
            break;
        at += static_cast<size_t>(got);
    }
    all.resize(at);
    return all;
}

inline void write_bytes(int fd, const void *bytes, size_t n)
{
    EXPECT_EQ(send(fd, bytes, n, MSG_NOSIGNAL), static_cast<ssize_t>(n)) << strerror(errno);
}

/* What a node that dials says and hears, by hand. */
struct Handshake {
    link_hello mine = {}, theirs = {};
    link_proofs proofs = {};
    std::string proof; /* of theirs */
    link_verdict verdict = {};

    bool greet(int fd, int from, int to, int nodes)
    {
        EXPECT_EQ(link_hello_make(&mine, from, to, nodes), SERRY_OK);
        return greet_again(fd);
    }
    bool greet_again(int fd)
    {
        write_bytes(fd, &mine, sizeof mine);
        std::string hello = read_bytes(fd, sizeof theirs);
        if (hello.size() != sizeof theirs)
            return false;
        memcpy(&theirs, hello.data(), sizeof theirs);
        if (theirs.refusal)
            return false;
        proof = read_bytes(fd, LINK_PROOF_LEN);
        return proof.size() == LINK_PROOF_LEN;
    }
    void prove(const Key &key) { link_hello_prove(&proofs, key.data(), &mine, &theirs); }
    bool judge(int fd, const void *my_proof)
    {
        write_bytes(fd, my_proof, LINK_PROOF_LEN);
        std::string v = read_bytes(fd, sizeof verdict);
        if (v.size() != sizeof verdict)
            return false;
        memcpy(&verdict, v.data(), sizeof verdict);
        return true;
    }
    /* All of it, as it should be. */
    bool through(int fd, int from, int to, int nodes, const Key &key)
    {
        if (!greet(fd, from, to, nodes))
            return false;
        prove(key);
        return memcmp(proof.data(), proofs.acceptor, LINK_PROOF_LEN) == 0
               && judge(fd, proofs.dialler) && verdict.refusal == LINK_WELCOME;
    }
};

/* A node in a process of its own, killed by the destructor at the latest. */
class Child {
public:
    explicit Child(const std::function<void()> &body)
    {
        pid = fork();
        if (pid == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            body();
            _exit(0);
        }
    }
    Child(const Child &) = delete;
    ~Child() { kill(); }
    void kill()
    {
        if (pid > 0) {
            ::kill(pid, SIGKILL);
            waitpid(pid, nullptr, 0);
        }
        pid = -1;
    }
    void signal(int number) const { ::kill(pid, number); }
    pid_t pid;
};

/* A process that is that node until it is killed: polls, answers each frame with the same bytes.
 * Made before the nodes of this process are opened. */
inline std::unique_ptr<Child> echo_node(World &w, int node)
{
    auto child = std::make_unique<Child>([&w, node] {
        for (int i = 0; i < w.size; i++) {
            if (i != node)
                close(w.take_listener(i));
        }
        Node me;
        Opened o = w.open(node, 60);
        if (o.err != SERRY_OK)
            _exit(1);
        me.listen_to(o.links);
        me.keep = false;
        me.on_frame = [&me](const sri_link_arrival &f) {
            me.send(f.node, std::string(reinterpret_cast<const char *>(f.bytes), f.len), f.aux);
        };
        run(
            { &me }, [] { return false; }, 3600);
    });
    close(w.take_listener(node));
    return child;
}

} // namespace link_test

#endif
