/* support/fake_transport.h: a transport in memory for unit tests of the core: the test process is
 * rank 0 of a world whose other ranks are played by the test. Frames sent are recorded; arrivals
 * and fates are put into the inbox, or scripted for the moment at which the core goes to sleep. */
#ifndef SERRY_TEST_FAKE_TRANSPORT_H
#define SERRY_TEST_FAKE_TRANSPORT_H

#include "agent/protocol.h"
#include "core/core.h"
#include "core/message.h"
#include "core/progress.h"
#include "core/wait.h"
extern "C" {
#include "core/member.h"
}

#include <gtest/gtest.h>
#include <serry.h>

#include <algorithm>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <functional>
#include <mutex>
#include <set>
#include <string>
#include <vector>

namespace serry_test {

/* A frame on its way, copied. */
struct Frame {
    int peer;
    unsigned kind;
    unsigned flags;
    uint64_t aux;
    std::string bytes;

    /* The k-th 64-bit word of the bytes. */
    uint64_t word(size_t k) const
    {
        uint64_t w = 0;
        if (bytes.size() >= 8 * (k + 1))
            memcpy(&w, bytes.data() + 8 * k, 8);
        return w;
    }
};

inline std::string words(std::initializer_list<uint64_t> ws)
{
    std::string s;
    for (uint64_t w : ws)
        s.append(reinterpret_cast<const char *>(&w), 8);
    return s;
}

/* A bulk transfer that the core has begun. */
struct Bulk {
    int peer;
    uint64_t token;
    bool sending;
    const char *from; /* one of the two */
    char *into;
    size_t len;
    bool flows; /* cannot be taken back */
};

class FakeTransport {
public:
    static constexpr size_t frame_max = 4096;

    explicit FakeTransport(int size)
    {
        for (int i = 0; i < size; i++)
            present.insert(i);
        base_.t.ops = &ops();
        base_.t.sink = sri_progress_sink;
        base_.t.frame_max = frame_max;
        base_.t.size = size;
        base_.self = this;
        sri_world = {};
        sri_world.transport = &base_.t;
        sri_world.size = size;
        sri_world.parent = -1;
        sri_world.max_message = UINT64_C(1) << 32;
        sri_wait_reset();
        EXPECT_EQ(sri_message_init(), SERRY_OK);
        EXPECT_EQ(sri_member_set(true), SERRY_OK);
    }

    ~FakeTransport()
    {
        sri_message_fini();
        EXPECT_EQ(sri_member_set(false), SERRY_OK);
        sri_world.transport = nullptr;
    }

    /* ---- what the other ranks do ---- */

    void arrive(int source, unsigned kind, uint64_t aux, const std::string &bytes,
                unsigned flags = 0)
    {
        inbox_.push_back([=] {
            std::string storage(bytes.size() + 16, '\0');
            auto at = reinterpret_cast<uintptr_t>(storage.data());
            char *aligned = storage.data() + (16 - at % 16) % 16;
            memcpy(aligned, bytes.data(), bytes.size());
            sri_arrival a = {};
            a.source = source;
            a.kind = static_cast<uint8_t>(kind);
            a.flags = static_cast<uint8_t>(flags);
            a.aux = aux;
            a.bytes = reinterpret_cast<uint8_t *>(aligned);
            a.len = bytes.size();
            a.fd = -1;
            return base_.t.sink.deliver(base_.t.sink.ctx, &a);
        });
    }
    void message(int source, int tag, const std::string &bytes)
    {
        arrive(source, SRI_KIND_MESSAGE, static_cast<uint64_t>(tag), bytes);
    }
    void announce(int source, int tag, uint64_t token, uint64_t len)
    {
        arrive(source, SRI_KIND_ANNOUNCE, static_cast<uint64_t>(tag), words({ token, len }));
    }
    void fate(int rank, sri_fate f, int code)
    {
        inbox_.push_back([=] {
            present.erase(rank);
            while (Bulk *b = bulk_of(rank))
                bulk_ends(b, false);
            base_.t.sink.fate(base_.t.sink.ctx, rank, f, code);
            return true;
        });
    }

    /* ---- bulk transfers, if the test has set .bulk ---- */

    /* The oldest of a peer; nullptr: none. */
    Bulk *bulk_of(int peer)
    {
        for (Bulk &b : bulks) {
            if (b.peer == peer)
                return &b;
        }
        return nullptr;
    }
    /* Its bytes, if it receives, have begun to come. */
    void bulk_flows(int peer)
    {
        Bulk *b = bulk_of(peer);
        ASSERT_NE(b, nullptr);
        b->flows = true;
    }
    /* The oldest of a peer has moved its bytes, or has failed. */
    void bulk_end(int peer, const std::string &bytes, bool ok = true)
    {
        inbox_.push_back([=] {
            Bulk *b = bulk_of(peer);
            if (!b) {
                ADD_FAILURE() << "no transfer with rank " << peer;
                return true;
            }
            if (!b->sending) {
                EXPECT_TRUE(!ok || b->len == bytes.size()) << b->len << " " << bytes.size();
                memcpy(b->into, bytes.data(), std::min(b->len, bytes.size()));
            }
            bulk_ends(b, ok);
            return true;
        });
    }

    /* Runs when the core would sleep, one each time. */
    void when_asleep(std::function<void()> event)
    {
        std::lock_guard<std::mutex> lock(mutex_);
        script_.push_back(std::move(event));
    }

    /* All that has arrived is delivered. */
    void settle()
    {
        ASSERT_EQ(sri_enter(), SERRY_OK);
        while (sri_progress())
            ;
        sri_leave();
    }

    /* Takes the oldest frame sent. */
    Frame sent()
    {
        if (frames.empty()) {
            ADD_FAILURE() << "nothing was sent";
            return {};
        }
        Frame f = frames.front();
        frames.pop_front();
        return f;
    }

    std::deque<Frame> frames;
    size_t room = SIZE_MAX;                   /* frames until the lanes are full */
    bool bulk = false;                        /* there is a way for bulk transfers */
    bool bulk_refuses = false;                /* but none can be begun now */
    std::function<void()> bulk_begun = [] {}; /* called when one has been */
    std::vector<Bulk> bulks;
    std::set<int> present;
    std::set<int> limited;                        /* ranks to which no lane can be had */
    std::function<sri_sent(const Frame &)> agent; /* what is sent to it; empty: it refuses all */
    unsigned sleeps = 0;
    std::vector<sri_waiting> published;

private:
    struct Base {
        sri_transport t;
        FakeTransport *self;
    };
    Base base_ = {};
    std::deque<std::function<bool()>> inbox_;
    std::deque<std::function<void()>> script_;
    std::mutex mutex_;
    std::condition_variable changed_;
    bool woken_ = false;
    bool blocked_ = false; /* a sender was told that there is no room */

    static FakeTransport &of(sri_transport *t) { return *reinterpret_cast<Base *>(t)->self; }

    /* The agent of a world in which nothing was ever started or created, unless the test plays it.
     */
    sri_sent agent_refuses(const sri_frame *f)
    {
        sri_request_head head = {};
        if (agent) {
            std::string bytes(static_cast<const char *>(f->head), f->head_len);
            if (f->body_len)
                bytes.append(static_cast<const char *>(f->body), f->body_len);
            return agent({ SRI_AGENT, f->kind, f->flags, f->aux, bytes });
        }
        memcpy(&head, f->head, sizeof head);
        if (f->kind == SRI_KIND_REQUEST && head.number != 0)
            arrive(SRI_AGENT, SRI_KIND_REPLY, head.number | uint64_t{ SERRY_EHANDLE } << 32,
                   "none");
        return SRI_SENT;
    }

    static sri_sent send(sri_transport *t, int peer, const sri_frame *f)
    {
        FakeTransport &me = of(t);
        if (peer == SRI_AGENT)
            return me.agent_refuses(f);
        if (!me.present.count(peer))
            return SRI_GONE;
        if (me.limited.count(peer))
            return SRI_LIMIT;
        if (f->head_len + f->body_len > frame_max)
            ADD_FAILURE() << "a frame of " << f->head_len + f->body_len << " bytes";
        if (me.room == 0) {
            me.blocked_ = true;
            return SRI_FULL;
        }
        me.room--;
        Frame copy = { peer, f->kind, f->flags, f->aux, {} };
        if (f->head_len)
            copy.bytes.append(static_cast<const char *>(f->head), f->head_len);
        if (f->body_len)
            copy.bytes.append(static_cast<const char *>(f->body), f->body_len);
        me.frames.push_back(copy);
        return SRI_SENT;
    }

    static bool poll(sri_transport *t)
    {
        FakeTransport &me = of(t);
        bool moved = me.blocked_ && me.room > 0;
        if (moved)
            me.blocked_ = false;
        while (!me.inbox_.empty()) {
            auto next = std::move(me.inbox_.front());
            me.inbox_.pop_front();
            moved = true;
            if (!next())
                break;
        }
        return moved;
    }

    static bool arm(sri_transport *t)
    {
        FakeTransport &me = of(t);
        std::lock_guard<std::mutex> lock(me.mutex_);
        me.woken_ = false;
        return me.inbox_.empty() && !(me.blocked_ && me.room > 0);
    }

    static void sleep(sri_transport *t, sri_ns deadline)
    {
        FakeTransport &me = of(t);
        std::unique_lock<std::mutex> lock(me.mutex_);
        me.sleeps++;
        /* Nobody will ever come: a fault of the code under test. */
        auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(10);
        while (me.script_.empty() && !me.woken_) {
            if (deadline != SRI_NEVER && sri_now() >= deadline)
                return;
            if (std::chrono::steady_clock::now() > limit) {
                fprintf(stderr, "the core sleeps and nothing will wake it\n");
                abort();
            }
            me.changed_.wait_for(lock, std::chrono::milliseconds(1));
        }
        if (me.script_.empty())
            return;
        auto event = std::move(me.script_.front());
        me.script_.pop_front();
        lock.unlock();
        event();
    }

    void bulk_ends(Bulk *b, bool ok)
    {
        Bulk copy = *b;
        bulks.erase(bulks.begin() + (b - &bulks.front()));
        base_.t.sink.bulk_done(base_.t.sink.ctx, copy.peer, copy.token, copy.sending, ok);
    }

    bool bulk_begin(int peer, uint64_t token, const void *from, void *into, size_t len)
    {
        EXPECT_TRUE(bulk);
        if (bulk_refuses || !present.count(peer))
            return false;
        bulks.push_back({ peer, token, into == nullptr, static_cast<const char *>(from),
                          static_cast<char *>(into), len, false });
        bulk_begun();
        return true;
    }

    static bool bulk_send(sri_transport *t, int peer, uint64_t token, const void *bytes, size_t len)
    {
        return of(t).bulk_begin(peer, token, bytes, nullptr, len);
    }

    static bool bulk_recv(sri_transport *t, int peer, uint64_t token, void *bytes, size_t len)
    {
        return of(t).bulk_begin(peer, token, nullptr, bytes, len);
    }

    static bool bulk_to(sri_transport *t, int peer)
    {
        return of(t).bulk && of(t).present.count(peer) != 0;
    }

    static bool bulk_back(sri_transport *t, int peer, uint64_t token)
    {
        std::vector<Bulk> &all = of(t).bulks;
        for (auto b = all.begin(); b != all.end(); ++b) {
            if (b->peer == peer && b->token == token && !b->sending) {
                if (b->flows)
                    return false;
                all.erase(b);
                return true;
            }
        }
        ADD_FAILURE() << "takes back what it has not begun";
        return false;
    }

    static void wake(sri_transport *t)
    {
        FakeTransport &me = of(t);
        std::lock_guard<std::mutex> lock(me.mutex_);
        me.woken_ = true;
        me.changed_.notify_all();
    }

    static bool is_present(sri_transport *t, int peer) { return of(t).present.count(peer) != 0; }

    static int members(sri_transport *t) { return (int)of(t).present.size(); }

    static void publish(sri_transport *t, const sri_waiting *w) { of(t).published.push_back(*w); }

    static const sri_transport_ops &ops()
    {
        static sri_transport_ops o = [] {
            sri_transport_ops x = {};
            x.name = "fake";
            x.send = send;
            x.poll = poll;
            x.arm = arm;
            x.sleep = sleep;
            x.bulk_send = bulk_send;
            x.bulk_recv = bulk_recv;
            x.bulk = bulk_to;
            x.bulk_back = bulk_back;
            x.wake = wake;
            x.present = is_present;
            x.members = members;
            x.publish = publish;
            return x;
        }();
        return o;
    }
};

} // namespace serry_test

#endif
