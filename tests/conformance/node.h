/* conformance/node.h: a node in one process: an agent's host and the members that join it, so that
 * a test has both ends of a local transport in hand. */
#ifndef SERRY_TEST_NODE_H
#define SERRY_TEST_NODE_H

#include "base/fds.h"
#include "support/program.h"
#include "transport/local/local.h"

#include <cerrno>
#include <cstring>
#include <deque>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <functional>
#include <map>
#include <memory>
#include <poll.h>
#include <string>
#include <thread>
#include <unistd.h>
#include <vector>

namespace serry_test {

using Bytes = std::vector<uint8_t>;

struct Arrived {
    int source;
    uint8_t kind;
    uint64_t aux;
    Bytes bytes;
    int fd;
};

struct Told {
    int rank;
    sri_fate fate;
    int code;
};

/* Keeps all that comes. */
struct Sink {
    std::deque<Arrived> frames;
    std::vector<Told> fates;
    bool stop = false; /* after each frame */

    ~Sink() { clear(); }

    void clear()
    {
        for (Arrived &a : frames)
            sri_close(&a.fd);
        frames.clear();
    }

    sri_sink seam()
    {
        sri_sink s = {};
        s.ctx = this;
        s.deliver = [](void *ctx, const sri_arrival *a) {
            Sink *me = static_cast<Sink *>(ctx);
            me->frames.push_back(
                { a->source, a->kind, a->aux, Bytes(a->bytes, a->bytes + a->len), a->fd });
            return !me->stop;
        };
        s.fate = [](void *ctx, int rank, sri_fate fate, int code) {
            static_cast<Sink *>(ctx)->fates.push_back({ rank, fate, code });
        };
        return s;
    }
};

sri_frame frame_of(const Bytes &bytes, uint64_t aux, uint8_t kind = SRI_KIND_REQUEST, int fd = -1)
{
    sri_frame f = {};
    f.kind = kind;
    f.aux = aux;
    f.body = bytes.data();
    f.body_len = bytes.size();
    f.fd = fd;
    return f;
}

class Node;

struct Member {
    Sink sink;
    sri_transport *t = nullptr;
    int rank;
};

class Node : public testing::TestWithParam<const char *> {
protected:
    void SetUp() override
    {
        before_ = count_fds();
        sri_sink s = sink_.seam();
        bool shm = GetParam() == std::string("shm");
        ASSERT_EQ(shm ? sri_host_create_shm(&host_, 4, &s) : sri_host_create_socket(&host_, 4, &s),
                  SERRY_OK)
            << serry_err_detail();
    }

    void TearDown() override
    {
        for (auto &m : members_) {
            if (m->t)
                m->t->ops->close(m->t, false);
        }
        if (host_)
            host_->transport.ops->close(&host_->transport, false);
        for (auto &[rank, fd] : sockets_)
            sri_close(&fd);
        members_.clear();
        sink_.clear();
        EXPECT_EQ(count_fds(), before_) << describe_fds();
    }

    /* Seats a rank; the end of the member-to-be is returned. */
    int seat(int rank)
    {
        int pair[2] = { -1, -1 };
        EXPECT_EQ(sri_socket_pair(pair), SERRY_OK);
        sockets_[rank] = pair[0];
        EXPECT_EQ(host_->ops->seat(host_, rank, pair[0]), SERRY_OK) << serry_err_detail();
        return pair[1];
    }

    void unseat(int rank)
    {
        host_->ops->unseat(host_, rank);
        sri_close(&sockets_[rank]);
    }

    void welcome(int rank, const std::string &refusal = "", uint32_t version = SRI_JOIN_VERSION)
    {
        sri_packet_head head = {};
        head.kind = SRI_KIND_JOIN;
        head.mark = SRI_PACKET_MARK;
        sri_welcome w = {};
        w.version = version;
        w.rank = rank;
        w.size = 4;
        w.parent = -1;
        int fds[SRI_FDS_MAX], n = 0;
        if (refusal.empty()) {
            host_->ops->welcome(host_, rank, &w, fds, &n);
        } else {
            w.err = SERRY_ELIMIT;
            refusal.copy(w.text, sizeof w.text - 1);
        }
        EXPECT_EQ(sri_packet_send(sockets_[rank], &head, sizeof head, &w, sizeof w, fds, n), 0);
    }

    void await_hello(int rank)
    {
        size_t before = sink_.frames.size();
        ASSERT_TRUE(wait_for([&] {
            host_->ops->readable(host_, rank);
            return sink_.frames.size() > before;
        }));
        ASSERT_EQ(sink_.frames.back().kind, SRI_KIND_JOIN);
        EXPECT_EQ(sink_.frames.back().source, rank);
        sri_close(&sink_.frames.back().fd);
        sink_.frames.pop_back();
    }

    Member &join(int rank, int socket)
    {
        members_.push_back(std::make_unique<Member>());
        Member &m = *members_.back();
        m.rank = rank;
        std::thread joiner([&] {
            sri_sink s = m.sink.seam();
            sri_welcome w;
            EXPECT_EQ(sri_local_join(socket, SRI_JOIN_MEMBER, &s, &m.t, &w), SERRY_OK)
                << serry_err_detail();
            EXPECT_EQ(w.rank, rank);
        });
        await_hello(rank);
        welcome(rank);
        joiner.join();
        return m;
    }

    Member &join(int rank) { return join(rank, seat(rank)); }

    /* One round of the agent's loop. */
    bool agent_round()
    {
        size_t before = sink_.frames.size();
        bool any = agent()->ops->poll(agent());
        for (auto &[rank, fd] : sockets_) {
            if (fd >= 0)
                host_->ops->readable(host_, rank);
        }
        return any || sink_.frames.size() > before;
    }

    bool round()
    {
        bool any = agent_round();
        for (auto &m : members_)
            any |= m->t->ops->poll(m->t);
        return any;
    }

    bool until(const std::function<bool()> &cond)
    {
        return wait_for([&] { return cond() || (round(), cond()); });
    }

    /* Sends, and goes round while the lane is full. */
    sri_sent send(sri_transport *from, int to, const sri_frame &f)
    {
        sri_sent sent = SRI_FULL;
        wait_for([&] {
            sent = from->ops->send(from, to, &f);
            if (sent == SRI_FULL)
                round();
            return sent != SRI_FULL;
        });
        return sent;
    }

    sri_transport *agent() { return &host_->transport; }

    sri_host *host_ = nullptr;
    Sink sink_;
    std::vector<std::unique_ptr<Member>> members_;
    std::map<int, int> sockets_;
    int before_;
};

} // namespace serry_test

#endif
