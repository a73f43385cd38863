/* conformance/seam.h: a rank's transport, used as the core uses it: for the time a Seam lives, what
 * arrives comes to it. Frames of the agent and fates are handed on to the core.
 *
 * Make it before any serry call of the body that may poll: earlier frames are the core's. */
#ifndef SERRY_TEST_SEAM_H
#define SERRY_TEST_SEAM_H

#include "core/core.h"
#include "support/ranks.h"
#include "transport/transport.h"

#include <cstring>
#include <deque>
#include <functional>
#include <map>
#include <random>
#include <stdexcept>
#include <vector>

namespace serry_test {

using Bytes = std::vector<uint8_t>;

inline Bytes bytes_of(size_t size, uint64_t seed)
{
    Bytes b(size);
    for (size_t i = 0; i < size; i++)
        b[i] = (uint8_t)(seed * 37 + i * 11 + (i >> 7));
    return b;
}

/* Any number of microseconds below `most`, on the processor: not to wait for anything, but so that
 * two processes meet in ever other ways. */
inline void dawdle(std::mt19937 &random, unsigned most)
{
    sri_ns until = sri_now() + SRI_US(random() % most);
    while (sri_now() < until)
        ;
}

/* The same in much smaller steps: up to about as many nanoseconds. */
inline void falter(std::mt19937 &random, unsigned most)
{
    for (volatile unsigned n = (unsigned)random() % (most + 1); n > 0; n = n - 1)
        ;
}

struct Arrived {
    int source;
    uint8_t kind, flags;
    uint64_t aux;
    Bytes bytes;
    int fd;
};

struct Fate {
    int rank;
    sri_fate fate;
    int code;
    size_t frames_before; /* from that rank */
};

/* A frame over bytes that the caller keeps. */
inline sri_frame frame_of(const Bytes &bytes, uint64_t aux, size_t head_len = 0)
{
    sri_frame f = {};
    f.kind = SRI_KIND_DATA;
    f.aux = aux;
    f.head = bytes.data();
    f.head_len = head_len;
    f.body = bytes.data() + head_len;
    f.body_len = bytes.size() - head_len;
    f.fd = -1;
    return f;
}

class Seam {
public:
    Seam() : t(sri_world.transport), core_(t->sink)
    {
        t->sink.ctx = this;
        t->sink.deliver = deliver;
        t->sink.fate = fate;
    }
    ~Seam() { t->sink = core_; }
    Seam(const Seam &) = delete;
    Seam &operator=(const Seam &) = delete;

    bool poll() { return t->ops->poll(t); }
    sri_sent try_send(int peer, const sri_frame &f) { return t->ops->send(t, peer, &f); }

    /* Polls, and sleeps where that brings nothing. What a sleeper was not woken for and finds only
     * after the deadline, long after, is a wake-up lost. */
    void wait_news()
    {
        sri_ns deadline = sri_now() + (sri_ns)(patience(10) * 1e9);
        while (!poll()) {
            falter(random_, faltering);
            if (!t->ops->arm(t))
                continue;
            slept++;
            t->ops->sleep(t, deadline);
            if (sri_now() < deadline)
                continue;
            ADD_FAILURE() << (poll() ? "there was news, and nobody rang" : "nothing came");
            throw std::runtime_error("no news in time");
        }
    }

    void wait_until(const std::function<bool()> &cond)
    {
        while (!cond())
            wait_news();
    }

    /* Sends, waiting while the lane is full. */
    sri_sent send(int peer, const sri_frame &f)
    {
        sri_sent sent;
        while ((sent = try_send(peer, f)) == SRI_FULL)
            wait_news();
        return sent;
    }

    sri_sent send(int peer, uint64_t aux, const Bytes &bytes = {})
    {
        return send(peer, frame_of(bytes, aux));
    }

    /* The next frame of that rank. */
    Arrived receive(int source)
    {
        wait_until([&] { return !from[source].empty(); });
        Arrived a = std::move(from[source].front());
        from[source].pop_front();
        return a;
    }

    const Fate *fate_of(int rank, sri_fate what) const
    {
        for (const Fate &f : fates) {
            if (f.rank == rank && f.fate == what)
                return &f;
        }
        return nullptr;
    }

    sri_transport *const t;
    std::map<int, std::deque<Arrived>> from; /* arrived and not yet received */
    std::map<int, size_t> count;             /* arrived, by source */
    std::vector<Fate> fates;
    std::function<bool(const sri_arrival &)> on_frame; /* if set, instead of keeping it */
    size_t slept = 0;
    unsigned faltering = 0; /* nanoseconds before it goes to sleep, at most */

private:
    static bool deliver(void *ctx, const sri_arrival *a)
    {
        Seam *s = static_cast<Seam *>(ctx);
        if (a->source == SRI_AGENT)
            return s->core_.deliver(s->core_.ctx, a);
        s->count[a->source]++;
        EXPECT_EQ((uintptr_t)a->bytes % 16, 0u);
        EXPECT_EQ(a->fd, -1);
        if (s->on_frame)
            return s->on_frame(*a);
        s->from[a->source].push_back(
            { a->source, a->kind, a->flags, a->aux, Bytes(a->bytes, a->bytes + a->len), a->fd });
        return true;
    }

    static void fate(void *ctx, int rank, sri_fate what, int code)
    {
        Seam *s = static_cast<Seam *>(ctx);
        s->fates.push_back({ rank, what, code, s->count[rank] });
        s->core_.fate(s->core_.ctx, rank, what, code);
    }

    sri_sink core_;
    std::mt19937 random_;
};

} // namespace serry_test

#endif
