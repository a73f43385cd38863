/* unit/link_test.h: nodes of a test, each with its links and a record of what came. Nothing of
 * links blocks once they are open, so that one thread can play all nodes. */
#ifndef SERRY_TEST_LINK_TEST_H
#define SERRY_TEST_LINK_TEST_H

#include "agent/link.h"
#include "support/program.h"

#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <functional>
#include <memory>
#include <poll.h>
#include <string>
#include <vector>

namespace link_test {

using serry_test::patience;

/* The k-th of many texts of any length that are easily told apart. */
inline std::string pattern(size_t len, unsigned k)
{
    std::string text(len, '\0');
    uint64_t x = k * UINT64_C(0x9e3779b97f4a7c15) + len;
    size_t at = 0;
    for (; at + 8 <= len; at += 8) {
        x = x * UINT64_C(6364136223846793005) + 1;
        memcpy(&text[at], &x, 8);
    }
    for (; at < len; at++)
        text[at] = static_cast<char>(x >> 8 * (at % 8));
    return text;
}

struct Got {
    int node;
    unsigned kind, flags, op;
    int source, dest;
    uint64_t aux;
    std::string bytes;
};

struct Lost {
    int node;
    bool orderly;
    std::string why;
};

class Node {
public:
    Node() = default;
    Node(const Node &) = delete;
    ~Node()
    {
        if (links)
            links->ops->close(links);
    }

    void listen_to(sri_links *l)
    {
        links = l;
        links->sink = sink();
    }

    sri_link_sink sink()
    {
        sri_link_sink s = {};
        s.ctx = this;
        s.deliver = [](void *ctx, const sri_link_arrival *f) {
            Node *me = static_cast<Node *>(ctx);
            EXPECT_EQ(reinterpret_cast<uintptr_t>(f->bytes) % 16, 0u);
            for (const Lost &l : me->lost)
                EXPECT_NE(l.node, f->node) << "a frame after the end";
            me->n_got++;
            if (me->keep)
                me->got.push_back(
                    { f->node, f->kind, f->flags, f->op, f->source, f->dest, f->aux,
                      std::string(reinterpret_cast<const char *>(f->bytes), f->len) });
            if (me->on_frame)
                me->on_frame(*f);
        };
        s.lost = [](void *ctx, int node, bool orderly, const char *why) {
            static_cast<Node *>(ctx)->lost.push_back({ node, orderly, why });
        };
        return s;
    }

    /* A frame whose head is the first `cut` bytes. */
    bool send(int node, const std::string &bytes, uint64_t aux = 0, size_t cut = 0)
    {
        sri_link_frame f = {};
        f.kind = static_cast<uint8_t>(1 + aux % 8);
        f.flags = static_cast<uint8_t>(aux * 3);
        f.op = static_cast<uint16_t>(aux * 5);
        f.source = static_cast<int32_t>(aux) - 1;
        f.dest = 1 - static_cast<int32_t>(aux);
        f.aux = aux;
        f.head = bytes.data();
        f.head_len = std::min(cut, bytes.size());
        f.body = bytes.data() + f.head_len;
        f.body_len = bytes.size() - f.head_len;
        return links->ops->send(links, node, &f);
    }

    bool poll() { return links->ops->poll(links); }

    const Lost *lost_of(int node) const
    {
        for (const Lost &l : lost) {
            if (l.node == node)
                return &l;
        }
        return nullptr;
    }

    sri_links *links = nullptr;
    std::vector<Got> got;
    std::vector<Lost> lost;
    size_t n_got = 0;
    bool keep = true;
    std::function<void(const sri_link_arrival &)> on_frame;
};

/* Is it the frame that Node::send made of these? */
inline testing::AssertionResult is_frame(const Got &g, int node, const std::string &bytes,
                                         uint64_t aux)
{
    if (g.node != node || g.aux != aux || g.kind != 1 + aux % 8
        || g.flags != static_cast<uint8_t>(aux * 3) || g.op != static_cast<uint16_t>(aux * 5)
        || g.source != static_cast<int>(aux) - 1 || g.dest != 1 - static_cast<int>(aux))
        return testing::AssertionFailure() << "from node " << g.node << ", aux " << g.aux
                                           << " in place of " << node << ", " << aux;
    if (g.bytes != bytes)
        return testing::AssertionFailure()
               << g.bytes.size() << " bytes in place of " << bytes.size() << ", or others";
    return testing::AssertionSuccess();
}

/* Polls them all until it is so; false: not in time. */
inline bool run(const std::vector<Node *> &nodes, const std::function<bool()> &done,
                double seconds = 20)
{
    sri_ns end = sri_now() + static_cast<sri_ns>(patience(seconds) * 1e9);
    while (!done()) {
        bool any = false;
        for (Node *n : nodes)
            any |= n->links && n->poll();
        if (any)
            continue;
        if (sri_now() > end)
            return false;
        std::vector<pollfd> fds;
        int wait = 100;
        for (Node *n : nodes) {
            if (!n->links)
                continue;
            int fd = n->links->ops->fd(n->links);
            if (fd >= 0)
                fds.push_back({ fd, POLLIN, 0 });
            else
                wait = 0;
            wait = std::min(
                wait,
                static_cast<int>(std::min<sri_ns>(
                    100, std::max<sri_ns>(
                             0, (n->links->ops->deadline(n->links) - sri_now()) / 1000000 + 1))));
        }
        ::poll(fds.data(), fds.size(), wait);
    }
    return true;
}

} // namespace link_test

#endif
