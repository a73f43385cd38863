/* unit/home_threads.h: a home in one thread and members in others, with lanes between them: what
 * processes share, under ThreadSanitizer. */
#ifndef SERRY_TEST_HOME_THREADS_H
#define SERRY_TEST_HOME_THREADS_H

#include "support/home.h"
#include "support/lane.h"
#include "support/program.h"
#include "support/steps.h"

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <gtest/gtest.h>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

namespace home_threads {

constexpr uint64_t member_died = 1; /* aux of a frame of kind EVENT to the agent */

/* Whoever waits longer than any machine takes has been forgotten. */
class Patience {
public:
    void spend(const char *what)
    {
        std::this_thread::yield();
        if (++spent_ % 1024 == 0 && std::chrono::steady_clock::now() > end_) {
            fprintf(stderr, "nothing ever came: %s\n", what);
            abort();
        }
    }

private:
    unsigned spent_ = 0;
    std::chrono::steady_clock::time_point end_ =
        std::chrono::steady_clock::now() + std::chrono::seconds((int)serry_test::patience(45));
};

using Lane = std::unique_ptr<lane_pair, void (*)(lane_pair *)>;

/* The agent, and its lanes. */
class Home {
public:
    explicit Home(int members)
    {
        for (int i = 0; i < members; i++) {
            to_.push_back(Lane(lane_create(), lane_destroy));
            from_.push_back(Lane(lane_create(), lane_destroy));
        }
        home_ = home_create(members, send, this);
    }
    Home(const Home &) = delete;
    ~Home()
    {
        stop();
        home_destroy(home_);
    }

    /* Before it runs. */
    template <class Settings>
    uint64_t object(unsigned type, const Settings &settings)
    {
        return home_object(home_, type, &settings, sizeof settings);
    }

    void start()
    {
        thread_ = std::thread([this] { run(); });
    }
    /* Everything that was sent has been dealt with. */
    void stop()
    {
        stop_ = true;
        if (thread_.joinable())
            thread_.join();
    }

    lane_pair *to(int rank) { return to_[(size_t)rank].get(); }
    lane_pair *from(int rank) { return from_[(size_t)rank].get(); }
    sri_atomic_u64 *cell(uint32_t number) { return home_cell(home_, number); }

private:
    static bool send(void *ctx, int rank, const sri_frame *f)
    {
        return lane_write(static_cast<Home *>(ctx)->to(rank), f);
    }

    bool round()
    {
        bool any = false;
        for (int rank = 0; rank < (int)from_.size(); rank++) {
            lane_record r;
            while (lane_peek(from(rank), &r) == 1) {
                any = true;
                if (r.kind == SRI_KIND_EVENT)
                    home_gone(home_, rank);
                else
                    home_request(home_, rank, r.aux, r.bytes, r.size);
                lane_next(from(rank), &r);
            }
        }
        home_round(home_);
        return any;
    }

    void run()
    {
        bool last = false;
        while (!last) {
            last = stop_;
            while (round())
                ;
            std::this_thread::yield();
        }
    }

    test_home *home_;
    std::vector<Lane> to_, from_;
    std::thread thread_;
    std::atomic<bool> stop_{ false };
};

struct Answer {
    serry_err err;
    std::string bytes;
    template <class T>
    T as() const
    {
        T t = {};
        EXPECT_EQ(bytes.size(), sizeof t);
        memcpy(&t, bytes.data(), bytes.size() < sizeof t ? bytes.size() : sizeof t);
        return t;
    }
};

/* A member, as a thread: what the core does for it, and no more. */
class Member {
public:
    Member(Home &home, int mine, uint64_t id)
        : rank(mine), object(id), random((unsigned)mine + 1), home_(home)
    {
    }

    const int rank;
    uint64_t object; /* to which what is said goes */
    std::mt19937 random;
    std::function<void(const std::string &)> fed; /* what was fed */

    void post(uint16_t op, const std::string &args = {}) { send(0, op, 0, args); }
    uint32_t start(uint16_t op, const std::string &args = {}, bool nowait = false)
    {
        send(++number_, op, nowait ? SRI_REQUEST_NOWAIT : 0, args);
        return number_;
    }
    Answer finish(uint32_t number)
    {
        Patience patience;
        while (answered_ != number) {
            if (!poll())
                patience.spend("an answer");
        }
        return answer_;
    }
    Answer call(uint16_t op, const std::string &args = {}, bool nowait = false)
    {
        return finish(start(op, args, nowait));
    }
    /* As a call with a deadline that has come after so many rounds. */
    Answer call_for(unsigned rounds, uint16_t op, const std::string &args = {})
    {
        uint32_t number = start(op, args);
        for (unsigned i = 0; i < rounds && answered_ != number; i++)
            poll();
        if (answered_ != number)
            post(SRI_OP_CANCEL, bytes_of((uint64_t)number));
        return finish(number);
    }
    /* This process has died, and its rank begins anew: nothing of before is answered. */
    void die()
    {
        sri_frame f = {};
        f.kind = SRI_KIND_EVENT;
        f.aux = member_died;
        f.fd = -1;
        write(f);
    }

    /* Takes what has come. */
    bool poll()
    {
        lane_record r;
        if (lane_peek(home_.to(rank), &r) != 1)
            return false;
        std::string bytes(reinterpret_cast<const char *>(r.bytes), r.size);
        unsigned kind = r.kind;
        uint64_t aux = r.aux;
        lane_next(home_.to(rank), &r);
        if (kind == SRI_KIND_REPLY) {
            answered_ = (uint32_t)aux;
            answer_ = { (serry_err)(aux >> 32), bytes };
        } else if (kind == SRI_KIND_FEED && fed) {
            fed(bytes);
        }
        return true;
    }

    sri_atomic_u64 *cell(uint32_t number) { return home_.cell(number); }
    /* Once in so many times. */
    bool now_and_then(unsigned times) { return random() % times == 0; }
    void dawdle(unsigned most)
    {
        for (volatile unsigned n = (unsigned)random() % (most + 1); n > 0; n = n - 1)
            ;
    }

    template <class T>
    static std::string bytes_of(const T &t)
    {
        return std::string(reinterpret_cast<const char *>(&t), sizeof t);
    }

private:
    void send(uint32_t number, uint16_t op, unsigned flags, const std::string &args)
    {
        sri_request_head head = { number, op, (uint16_t)flags };
        sri_frame f = {};
        f.kind = SRI_KIND_REQUEST;
        f.aux = object;
        f.head = &head;
        f.head_len = sizeof head;
        f.body = args.data();
        f.body_len = args.size();
        f.fd = -1;
        write(f);
    }
    void write(const sri_frame &f)
    {
        Patience patience;
        while (!lane_write(home_.from(rank), &f)) {
            if (!poll())
                patience.spend("room");
        }
    }

    Home &home_;
    uint32_t number_ = 0;
    uint32_t answered_ = 0;
    Answer answer_ = {};
};

/* Runs body(rank) in as many threads, all at once. */
template <class Body>
void in_threads(int n, Body body)
{
    std::atomic<int> there{ 0 };
    std::vector<std::thread> threads;
    for (int rank = 0; rank < n; rank++) {
        threads.emplace_back([&, rank] {
            there++;
            while (there < n)
                std::this_thread::yield();
            body(rank);
        });
    }
    for (auto &t : threads)
        t.join();
}

} // namespace home_threads

#endif
