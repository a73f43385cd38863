// ctest: tsan processors=2
/* The grant words of a pool between its home and workers, all of them threads. */
#include "home_threads.h"

#include "patterns/pool_wire.h"

#include <algorithm>
#include <deque>
#include <map>

using namespace home_threads;

namespace {

constexpr int workers = 3; /* ranks 1 to 3; rank 0 is the owner */
constexpr int retries = 1;
constexpr size_t under_way = 96;                 /* items at once: their outcomes fit one frame */
constexpr uint64_t may_wait = UINT64_C(1) << 32; /* in an item: its task may wait for others */

/* What is known of an item. Memory that is no atomic is the tasks' own: two at one item at once, or
 * one that begins after the owner was told that none will, race. */
struct Item {
    enum State { fresh, begun, ended, taken }; /* taken: by the owner, who has cancelled it */
    State state = fresh;
    unsigned runs = 0;               /* to the end */
    std::atomic<unsigned> told{ 0 }; /* in a message of results */
    std::atomic<unsigned> killed{ 0 };
    unsigned outcomes = 0;
    bool dead = false; /* its outcome is SERRY_EDIED */
    bool withdrawn = false;
};

struct Habits {
    bool die = false;
    bool detach = false;
};

/* As pool_worker.c, pool_task.c and pool_hold.c. */
class Worker : public Member {
public:
    Worker(Home &home, int mine, uint64_t id, std::vector<Item> &items, Habits habits)
        : Member(home, mine, id), items_(items), habits_(habits)
    {
        fed = [this](const std::string &bytes) { arrived(bytes); };
    }

    /* Until the pool wants no more. */
    void live()
    {
        steps_linger(16);
        while (!ended_) {
            try {
                open();
                attach();
                while (!ended_)
                    once();
            } catch (const Died &) {
                if (running_)
                    items_[culprit_].killed.fetch_add(1, std::memory_order_relaxed);
                forget();
                die();
            }
        }
    }

private:
    struct Died {};
    struct Chunk {
        pool_wire_chunk is;
        std::vector<uint64_t> items;
        bool skip;
    };
    struct Run {
        pool_wire_run is;
        std::vector<uint32_t> items;
    };

    void open()
    {
        pool_wire_hello in = { POOL_ROLE_SERVER, 1, -1, 0 };
        auto hello = call(POOL_OP_HELLO, bytes_of(in)).as<pool_wire_welcome>();
        ASSERT_TRUE(hello.has_cell);
        grant_ = cell(hello.cell);
        open_ = true; /* what came before was for one that has died */
    }

    void forget()
    {
        open_ = attached_ = running_ = waits_ = false;
        inbox_.clear();
        out_.clear();
        current_ = nullptr;
        depth_ = 0;
    }

    void may_die()
    {
        if (habits_.die && now_and_then(200))
            throw Died();
    }

    void attach()
    {
        attached_ = true;
        post(POOL_OP_ATTACH);
    }

    void detach()
    {
        attached_ = false;
        inbox_.clear();
        if (!current_)
            flush();
        uint64_t v = pool_take_back(grant_);
        pool_wire_detach out = { pool_grant_epoch(v), pool_grant_started(v) };
        may_die();
        dawdle(2000);
        post(POOL_OP_DETACH, bytes_of(out));
        may_die();
    }

    void arrived(const std::string &bytes)
    {
        pool_wire_feed head;
        ASSERT_GE(bytes.size(), sizeof head);
        memcpy(&head, bytes.data(), sizeof head);
        if (!open_)
            return;
        if (head.kind == POOL_FEED_CHUNK) {
            take_in(bytes);
        } else if (head.kind == POOL_FEED_STOP) {
            for (Chunk &c : inbox_)
                c.skip |= c.is.call == head.call;
            if (current_ && current_->is.call == head.call)
                current_->skip = true;
        } else if (head.kind == POOL_FEED_END) {
            ended_ = true;
        }
    }

    void take_in(const std::string &bytes)
    {
        Chunk c = {};
        ASSERT_GE(bytes.size(), sizeof c.is);
        memcpy(&c.is, bytes.data(), sizeof c.is);
        if (!attached_ || pool_grant_epoch(step_look(grant_)) != c.is.epoch)
            return; /* taken back while it was on its way */
        c.items.resize(c.is.count);
        ASSERT_EQ(bytes.size(), sizeof c.is + c.is.count * sizeof(uint64_t));
        memcpy(c.items.data(), bytes.data() + sizeof c.is, c.is.count * sizeof(uint64_t));
        inbox_.push_back(c);
    }

    void once()
    {
        if (!inbox_.empty()) {
            run();
            idle_ = Patience();
        } else if (!poll()) {
            idle_.spend("a task");
        }
        if (habits_.detach && now_and_then(64)) {
            detach();
            dawdle(2000);
            attach();
        }
    }

    void run()
    {
        Chunk c = inbox_.front();
        inbox_.pop_front();
        waits_ = false;
        current_ = &c;
        run_all(c);
        current_ = nullptr;
        while (inbox_.empty() && poll())
            ;
        if (inbox_.empty() || now_and_then(2))
            flush();
    }

    void run_all(Chunk &c)
    {
        bool grows = false; /* the last run */
        for (uint32_t k = 0; k < c.is.count; k++) {
            uint32_t seq = (c.is.seq + k) & POOL_SEQ_MASK;
            if (c.skip) {
                if (pool_take(grant_, c.is.epoch, c.is.count - k, false)) {
                    running_ = false;
                    out_.push_back({ { seq, c.is.count - k, 0, SERRY_ECANCELLED, 0 }, {} });
                }
                return;
            }
            may_die();
            if (!pool_take(grant_, c.is.epoch, 1, true))
                return;
            running_ = true;
            culprit_ = (uint32_t)c.items[k];
            may_die();
            if (task(c, k))
                return; /* the rest went back when it waited */
            may_die();
            if (!grows)
                out_.push_back({ { seq, 0, 0, SERRY_OK, 0 }, {} });
            grows = true;
            out_.back().is.count++;
            out_.back().items.push_back(culprit_);
            if ((c.is.flags & POOL_CALL_SINGLE) || now_and_then(6)) {
                flush();
                grows = false;
                while (poll())
                    ;
            }
        }
    }

    /* True: it has waited, and told its end itself. */
    bool task(Chunk &c, uint32_t k)
    {
        uint32_t number = (uint32_t)c.items[k];
        Item &item = items_[number];
        EXPECT_TRUE(item.state == Item::fresh || (habits_.die && item.state != Item::taken))
            << "item " << number << " is " << item.state;
        item.state = Item::begun;
        dawdle(now_and_then(16) ? 30000 : 500);
        if (habits_.detach && now_and_then(64) && depth_ == 0) {
            detach(); /* as when a task waits for others of another pool */
            dawdle(2000);
            attach();
        }
        bool held = (c.items[k] & may_wait) && depth_ < 2 && now_and_then(32);
        if (held)
            wait_for_others(c, number);
        item.state = Item::ended;
        item.runs++;
        if (held)
            send_late(number);
        return held;
    }

    void take_back(uint16_t op)
    {
        inbox_.clear();
        uint64_t v = pool_take_back(grant_);
        pool_wire_hold out = { pool_grant_epoch(v), pool_grant_started(v), 0, 0 };
        may_die();
        dawdle(2000);
        post(op, bytes_of(out));
    }

    void wait_for_others(Chunk &c, uint32_t number)
    {
        waits_ = true;
        flush();
        take_back(POOL_OP_HOLD);
        running_ = false;
        depth_++;
        current_ = nullptr;
        for (unsigned i = 0, n = (unsigned)random() % 100; i < n; i++) {
            poll();
            if (!inbox_.empty())
                run();
            may_die();
        }
        flush();
        take_back(POOL_OP_RESUME);
        current_ = &c;
        running_ = true; /* from here on its death is this task's */
        culprit_ = number;
        may_die();
        dawdle(2000);
    }

    void send_late(uint32_t number)
    {
        struct {
            pool_wire_results head;
            pool_wire_run run;
        } out = { { spent(1) }, { 0, 1, 0, SERRY_OK, 0 } };
        may_die();
        depth_--;
        running_ = false;
        items_[number].told.fetch_add(1, std::memory_order_relaxed);
        post(POOL_OP_LATE, bytes_of(out));
        waits_ = false;
    }

    /* Longer than it is true: so it pays to take items back. */
    static sri_ns spent(size_t tasks) { return (sri_ns)tasks * SRI_MS(1); }

    void flush()
    {
        may_die();
        if (!waits_) {
            pool_pause(grant_);
            running_ = false;
        }
        dawdle(200);
        may_die();
        if (out_.empty())
            return;
        size_t tasks = 0;
        std::string bytes;
        for (const Run &r : out_) {
            bytes += bytes_of(r.is);
            tasks += r.items.size();
            for (uint32_t number : r.items)
                items_[number].told.fetch_add(1, std::memory_order_relaxed);
        }
        pool_wire_results head = { spent(tasks) };
        post(POOL_OP_RESULTS, bytes_of(head) + bytes);
        out_.clear();
        may_die();
    }

    std::vector<Item> &items_;
    const Habits habits_;
    sri_atomic_u64 *grant_ = nullptr;
    bool open_ = false, attached_ = false, ended_ = false;
    bool running_ = false; /* what the home should find if this process died now, */
    uint32_t culprit_ = 0; /* and at which item */
    bool waits_ = false;   /* the item that the word says runs is one that has waited */
    unsigned depth_ = 0;
    std::deque<Chunk> inbox_;
    Chunk *current_ = nullptr;
    std::vector<Run> out_;
    Patience idle_;
};

class Owner : public Member {
public:
    Owner(Home &home, uint64_t id, std::vector<Item> &items) : Member(home, 0, id), items_(items)
    {
        fed = [this](const std::string &bytes) { arrived(bytes); };
    }

    bool all_given() const { return given_ == items_.size(); }

    /* Gives as many items as that, at most; the number of their call. */
    uint32_t give(size_t n, uint32_t flags, uint64_t marks)
    {
        n = std::min(n, items_.size() - given_);
        Patience patience;
        while (out_ + n > under_way)
            if (!poll())
                patience.spend("outcomes");
        pool_wire_call in = {};
        in.call = ++number_;
        in.flags = flags | POOL_CALL_KEEP_GOING;
        in.n = in.count = (uint32_t)n;
        in.item_size = sizeof(uint64_t);
        in.chunk = (uint32_t)random() % 9; /* 0: as the home thinks best */
        in.fn.module = in.fn.offset = 64;
        std::string bytes = bytes_of(in);
        for (size_t i = 0; i < n; i++)
            bytes += bytes_of((given_ + i) | marks);
        calls_[number_] = { given_, n };
        given_ += n;
        out_ += n;
        post(POOL_OP_CALL, bytes);
        return number_;
    }

    void withdraw(uint32_t number)
    {
        auto c = calls_.find(number);
        if (c == calls_.end())
            return;
        for (size_t i = 0; i < c->second.n; i++)
            items_[c->second.first + i].withdrawn = true;
        pool_wire_of of = { number, 0 };
        post(POOL_OP_WITHDRAW, bytes_of(of));
    }

    /* A call of one item. True: nobody is at it, nor will be. */
    bool cancel(uint32_t number)
    {
        auto c = calls_.find(number);
        if (c == calls_.end())
            return false;
        Item &item = items_[c->second.first];
        pool_wire_of of = { number, 0 };
        Answer a = call(POOL_OP_CANCEL, bytes_of(of));
        EXPECT_TRUE(a.err == SERRY_OK || a.err == SERRY_ESTATE) << a.err;
        if (a.err != SERRY_OK)
            return false;
        EXPECT_NE(item.state, Item::begun);
        item.state = Item::taken;
        item.withdrawn = true;
        return true;
    }

    void finish()
    {
        Patience patience;
        while (out_ > 0)
            if (!poll())
                patience.spend("the last outcomes");
        post(POOL_OP_CLOSE);
    }

private:
    struct Call {
        size_t first, n, got = 0;
    };

    void arrived(const std::string &bytes)
    {
        pool_wire_feed head;
        ASSERT_GE(bytes.size(), sizeof head);
        memcpy(&head, bytes.data(), sizeof head);
        ASSERT_EQ(head.kind, POOL_FEED_RESULTS) << bytes.substr(sizeof head);
        for (size_t at = sizeof head, padded = 0; at < bytes.size(); at += padded) {
            pool_wire_outcome oc;
            ASSERT_GE(bytes.size() - at, sizeof oc);
            memcpy(&oc, bytes.data() + at, sizeof oc);
            at += sizeof oc;
            ASSERT_TRUE(pool_wire_payload(oc.count, oc.size, bytes.size() - at, &padded));
            outcome(oc);
        }
    }

    void outcome(const pool_wire_outcome &oc)
    {
        auto c = calls_.find(oc.call);
        if (c == calls_.end()) {
            EXPECT_EQ(oc.count, 0u) << "outcomes of a call that is over";
            return;
        }
        Call &of = c->second;
        ASSERT_LE(oc.first + oc.count, of.n);
        for (uint32_t i = 0; i < oc.count; i++) {
            Item &item = items_[of.first + oc.first + i];
            item.outcomes++;
            item.dead = oc.status == SERRY_EDIED;
            EXPECT_TRUE(item.dead || oc.status == SERRY_OK) << oc.status;
        }
        of.got += oc.count;
        if (oc.count == 0 || of.got == of.n) {
            out_ -= of.n;
            calls_.erase(c);
        }
    }

    std::vector<Item> &items_;
    size_t given_ = 0, out_ = 0;
    uint32_t number_ = 0;
    std::map<uint32_t, Call> calls_;
};

class PoolThreads : public testing::Test {
protected:
    /* Workers live as they do until the owner has done what it does. */
    void work(std::vector<Item> &items, Habits habits, const std::function<void(Owner &)> &owner)
    {
        Home home(1 + workers);
        pool_wire_create settings = {};
        settings.served = 1;
        settings.workers = workers;
        settings.retries = retries;
        uint64_t id = home.object(SRI_TYPE_POOL, settings);
        ASSERT_NE(id, 0u);
        home.start();
        in_threads(1 + workers, [&](int rank) {
            if (rank == 0) {
                Owner me(home, id, items);
                owner(me);
                me.finish();
            } else {
                Worker(home, rank, id, items, habits).live();
            }
        });
    }

    /* Each has been done once and its result has come once, or it was handed back undone. */
    static void expect_done_once(const std::vector<Item> &items)
    {
        size_t back = 0;
        for (size_t i = 0; i < items.size(); i++) {
            const Item &item = items[i];
            ASSERT_LE(item.outcomes, 1u) << "item " << i;
            ASSERT_EQ(item.runs, item.outcomes) << "item " << i;
            ASSERT_EQ(item.told, item.outcomes) << "item " << i;
            ASSERT_TRUE(item.outcomes == 1 || item.withdrawn) << "item " << i << " was lost";
            ASSERT_FALSE(item.dead);
            back += item.outcomes == 0;
        }
        testing::Test::RecordProperty("handed_back", std::to_string(back));
    }
};

TEST_F(PoolThreads, DoEachTaskOnceOrHandItBack)
{
    std::vector<Item> items(20000);
    Habits habits;
    habits.detach = true;
    work(items, habits, [](Owner &me) {
        while (!me.all_given()) {
            uint32_t number = me.give(1 + me.random() % 40, 0, may_wait);
            me.dawdle(me.now_and_then(4) ? 100000 : 1000);
            if (me.now_and_then(8))
                me.withdraw(number);
        }
    });
    expect_done_once(items);
}

/* Who has cancelled a task has it to himself: nobody is at it, and nobody will be. */
TEST_F(PoolThreads, LetGoWhatIsCancelled)
{
    std::vector<Item> items(6000);
    Habits habits;
    habits.detach = true;
    size_t cancelled = 0;
    work(items, habits, [&](Owner &me) {
        std::deque<uint32_t> numbers;
        while (!me.all_given()) {
            numbers.push_back(me.give(1, me.now_and_then(2) ? POOL_CALL_SINGLE : 0, may_wait));
            if (numbers.size() > 12 || me.now_and_then(4)) {
                cancelled += me.cancel(numbers.front());
                numbers.pop_front();
            }
        }
    });
    EXPECT_GT(cancelled, 0u);
    expect_done_once(items);
}

/* The word of one that died says what it was at. That is tried again as often as is allowed, all
 * else it had as if nothing had been. */
TEST_F(PoolThreads, TryAgainWhatTheDeadWereAt)
{
    std::vector<Item> items(6000);
    Habits habits;
    habits.die = habits.detach = true;
    work(items, habits, [](Owner &me) {
        while (!me.all_given())
            me.give(1 + me.random() % 40, 0, may_wait);
    });
    size_t tried_again = 0;
    for (size_t i = 0; i < items.size(); i++) {
        const Item &item = items[i];
        ASSERT_EQ(item.outcomes, 1u) << "item " << i;
        ASSERT_EQ(item.told, item.dead ? 0u : 1u) << "item " << i;
        ASSERT_EQ(item.killed > retries, item.dead) << "item " << i << ": " << item.killed;
        ASSERT_LE(item.killed, retries + 1u) << "item " << i;
        tried_again += item.killed > 0 && !item.dead;
    }
    EXPECT_GT(tried_again, 0u);
}

} // namespace
