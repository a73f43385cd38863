/* unit/routed_test.h: the composite transport over two transports played by the test: a near one,
 * which is also the way to the agent, and a far one. This member is rank 0 of node 0; ranks 1
 * (near), 2 and 3 (far) are launched, started processes have numbers from 4 on: even ones are near,
 * odd ones far. */
#ifndef SERRY_ROUTED_TEST_H
#define SERRY_ROUTED_TEST_H

#include "support/fake_transport.h"

extern "C" {
#include "transport/routed.h"
}

namespace routed_test {

using serry_test::Frame;
using serry_test::words;

/* One of the two below. */
struct Below {
    sri_transport t{};
    std::deque<Frame> sent;
    std::deque<std::function<void(sri_sink &)>> inbox;
    std::vector<int> given_up; /* by .gone */
    std::vector<sri_waiting> published;
    std::vector<uint64_t> bulks;
    size_t room = SIZE_MAX;
    bool quiet = true;
    sri_ns slept_until = 0;
    int closed = 0;
    bool inherited = false;
    unsigned polls = 0;
    bool stopped = false;
    bool refuse_bulk = false;
    int here = 2; /* members, as far as it knows */

    static Below &of(sri_transport *t) { return *reinterpret_cast<Below *>(t); }

    explicit Below(bool far)
    {
        static const sri_transport_ops near_ops = ops(false), far_ops = ops(true);
        t.ops = far ? &far_ops : &near_ops;
        t.frame_max = far ? 9000 : 16320;
        t.rank = 0;
        t.size = 4;
    }

    void arrive(int source, unsigned kind, uint64_t aux, const std::string &bytes,
                unsigned flags = 0)
    {
        inbox.push_back([=](sri_sink &sink) {
            auto *at = static_cast<uint8_t *>(aligned_alloc(16, (bytes.size() + 31) / 16 * 16));
            memcpy(at, bytes.data(), bytes.size());
            sri_arrival a{ source,
                           static_cast<uint8_t>(kind),
                           static_cast<uint8_t>(flags),
                           aux,
                           at,
                           bytes.size(),
                           -1 };
            stopped = !sink.deliver(sink.ctx, &a);
            free(at);
        });
    }
    void fate(int rank, sri_fate f, int code = 0)
    {
        inbox.push_back([=](sri_sink &sink) { sink.fate(sink.ctx, rank, f, code); });
    }

    static sri_transport_ops ops(bool far)
    {
        sri_transport_ops o{};
        o.name = far ? "far" : "near";
        o.send = [](sri_transport *t, int peer, const sri_frame *f) {
            Below &b = of(t);
            if (b.room == 0)
                return SRI_FULL;
            b.room--;
            Frame copy{ peer, f->kind, f->flags, f->aux, {} };
            if (f->head_len)
                copy.bytes.append(static_cast<const char *>(f->head), f->head_len);
            if (f->body_len)
                copy.bytes.append(static_cast<const char *>(f->body), f->body_len);
            EXPECT_LE(copy.bytes.size(), t->frame_max);
            b.sent.push_back(copy);
            return SRI_SENT;
        };
        o.poll = [](sri_transport *t) {
            Below &b = of(t);
            bool any = false;
            b.polls++;
            b.stopped = false;
            while (!b.inbox.empty() && !b.stopped) {
                auto next = b.inbox.front();
                b.inbox.pop_front();
                next(t->sink);
                any = true;
            }
            return any;
        };
        o.close = [](sri_transport *t, bool inherited) {
            of(t).closed++;
            of(t).inherited = inherited;
        };
        o.members = [](sri_transport *t) { return of(t).here; };
        if (far) {
            o.arm = [](sri_transport *t) { return of(t).quiet; };
            o.bulk = [](sri_transport *, int) { return true; };
            o.bulk_send = [](sri_transport *t, int, uint64_t token, const void *, size_t) {
                if (!of(t).refuse_bulk)
                    of(t).bulks.push_back(token);
                return !of(t).refuse_bulk;
            };
            o.bulk_recv = [](sri_transport *t, int, uint64_t token, void *, size_t) {
                of(t).bulks.push_back(token);
                return true;
            };
            o.bulk_back = [](sri_transport *t, int, uint64_t) {
                of(t).bulks.pop_back();
                return true;
            };
            o.gone = [](sri_transport *t, int peer) {
                of(t).given_up.push_back(peer);
                for (uint64_t token : of(t).bulks)
                    t->sink.bulk_done(t->sink.ctx, peer, token, true, false);
                of(t).bulks.clear();
            };
            return o;
        }
        o.arm = [](sri_transport *t) { return of(t).quiet && of(t).inbox.empty(); };
        o.sleep = [](sri_transport *t, sri_ns until) { of(t).slept_until = until; };
        o.wake = [](sri_transport *) {};
        o.present = [](sri_transport *, int peer) { return peer == 1 || peer == SRI_AGENT; };
        o.cell = [](sri_transport *, uint32_t) -> sri_atomic_u64 * { return nullptr; };
        o.ring_agent = [](sri_transport *) {};
        o.publish = [](sri_transport *t, const sri_waiting *w) { of(t).published.push_back(*w); };
        return o;
    }
};

class Routed : public testing::Test {
protected:
    static constexpr uint64_t window = 256 << 10, frame_cost = 64;

    Below near{ false }, far{ true };
    uint16_t node_of[4] = { 0, 0, 1, 1 };
    sri_places places{};
    sri_transport *t = nullptr;
    std::vector<Frame> got;
    std::vector<std::string> log; /* everything told, in order */
    bool go_on = true;

    void open(bool with_far)
    {
        places.nodes = 2;
        places.size = 4;
        places.node_of = node_of;
        sri_sink sink{};
        sink.ctx = this;
        sink.deliver = [](void *ctx, const sri_arrival *a) {
            auto *me = static_cast<Routed *>(ctx);
            EXPECT_EQ(reinterpret_cast<uintptr_t>(a->bytes) % 16, 0u);
            me->got.push_back({ a->source,
                                a->kind,
                                a->flags,
                                a->aux,
                                { reinterpret_cast<const char *>(a->bytes), a->len } });
            me->log.push_back("frame " + std::to_string(a->source));
            return me->go_on;
        };
        sink.fate = [](void *ctx, int rank, sri_fate f, int code) {
            const char *what[] = { "", "left", "died", "ended" };
            static_cast<Routed *>(ctx)->log.push_back(what[f] + (" " + std::to_string(rank))
                                                      + (code ? " " + std::to_string(code) : ""));
        };
        sink.bulk_done = [](void *ctx, int, uint64_t token, bool, bool ok) {
            static_cast<Routed *>(ctx)->log.push_back("bulk " + std::to_string(token)
                                                      + (ok ? "" : " failed"));
        };
        ASSERT_EQ(sri_routed_open(&t, &near.t, with_far ? &far.t : nullptr, &places, &sink),
                  SERRY_OK);
    }
    void TearDown() override
    {
        if (t)
            t->ops->close(t, false);
    }

    sri_sent send(int peer, const std::string &body, unsigned flags = 0,
                  const std::string &head = "", uint64_t aux = 7)
    {
        sri_frame f{};
        f.kind = SRI_KIND_MESSAGE;
        f.flags = static_cast<uint8_t>(flags);
        f.aux = aux;
        f.head = head.data();
        f.head_len = head.size();
        f.body = body.data();
        f.body_len = body.size();
        f.fd = -1;
        return t->ops->send(t, peer, &f);
    }
    bool poll() { return t->ops->poll(t); }
    void poll_for(sri_ns time)
    {
        for (sri_ns end = sri_now() + time; sri_now() < end;)
            poll();
    }
    /* Until it is so; false: it has not come to be. */
    template <class Condition>
    bool poll_until(const Condition &so)
    {
        for (sri_ns end = sri_now() + SRI_MS(5000); !so() && sri_now() < end;)
            poll();
        return so();
    }
    void publish(sri_wait_kind kind, int peer)
    {
        sri_waiting w{};
        w.kind = kind;
        w.peer = peer;
        t->ops->publish(t, &w);
    }
    void sleep()
    {
        if (t->ops->arm(t))
            t->ops->sleep(t, SRI_NEVER);
    }
    /* A frame of `source`, as our agent hands it over. */
    void routed(int source, const std::string &bytes, uint64_t taken = 0,
                unsigned kind = SRI_KIND_MESSAGE, uint64_t aux = 7, unsigned flags = 0)
    {
        sri_route r{ source, static_cast<uint8_t>(kind), static_cast<uint8_t>(flags) };
        near.arrive(SRI_AGENT, SRI_KIND_ROUTE, sri_route_pack(r), words({ aux, taken }) + bytes);
    }
    /* Takes the oldest frame that went to our agent. */
    sri_route take_routed(std::string *bytes = nullptr, uint64_t *taken = nullptr)
    {
        if (near.sent.empty()) {
            ADD_FAILURE() << "nothing was sent";
            return {};
        }
        Frame f = near.sent.front();
        near.sent.pop_front();
        EXPECT_EQ(f.peer, SRI_AGENT);
        EXPECT_EQ(f.kind, unsigned{ SRI_KIND_ROUTE });
        EXPECT_GE(f.bytes.size(), size_t{ SRI_ROUTE_HEAD });
        if (bytes)
            *bytes = f.bytes.substr(SRI_ROUTE_HEAD);
        if (taken)
            memcpy(taken, f.bytes.data() + 8, 8);
        return sri_route_unpack(f.aux);
    }
    /* The agent hands the fence back. */
    void return_fence()
    {
        ASSERT_FALSE(near.sent.empty()) << "no fence was sent";
        Frame f = near.sent.front();
        near.sent.pop_front();
        ASSERT_EQ(f.kind, unsigned{ SRI_KIND_ROUTE });
        ASSERT_EQ(sri_route_unpack(f.aux).rank, 0);
        near.arrive(SRI_AGENT, SRI_KIND_ROUTE, f.aux, f.bytes);
    }
    using Log = std::vector<std::string>;
};

} // namespace routed_test

#endif
