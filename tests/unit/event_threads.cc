// ctest: tsan processors=2
/* The words of events, and of a condition, between their home and members, all of them threads. */
#include "home_threads.h"

#include "patterns/condition_wire.h"
#include "patterns/event_wire.h"
#include "patterns/lock_wire.h"

using namespace home_threads;

namespace {

constexpr unsigned rounds = 1000;

class Waiter : public Member {
public:
    using Member::Member;

    sri_atomic_u64 *open(uint64_t id)
    {
        object = id;
        auto opened = call(EVENT_OP_OPEN).as<event_wire_opened>();
        EXPECT_TRUE(opened.shared);
        return cell(opened.word);
    }

    /* As serry_event_wait in a process with threads: looks for a while, then asks to be told. One
     * without looks until it is woken; that nobody oversleeps is for real processes to show. */
    void wait(uint64_t id, const sri_atomic_u64 *word)
    {
        uint64_t began = event_read(word);
        unsigned looks = now_and_then(4) ? 0 : 100000;
        if (began & 1)
            return;
        while (looks-- > 0) {
            if (event_word_lets_go(event_read(word), began))
                return;
            std::this_thread::yield();
        }
        object = id;
        EXPECT_EQ(call(EVENT_OP_WAIT, bytes_of(began)).err, SERRY_OK);
    }

    /* By a step, or as a member of another node. */
    void set(uint64_t id, sri_atomic_u64 *word)
    {
        object = id;
        if (now_and_then(2)) {
            EXPECT_EQ(call(EVENT_OP_SET).err, SERRY_OK);
            return;
        }
        uint64_t was;
        EXPECT_TRUE(event_set(word, id, &was));
        dawdle(100);
        if (!(was & EVENT_SET) && was & EVENT_HOME)
            post(EVENT_OP_WAS_SET);
    }
    void clear(uint64_t id, sri_atomic_u64 *word)
    {
        object = id;
        if (now_and_then(2)) {
            EXPECT_EQ(call(EVENT_OP_CLEAR).err, SERRY_OK);
            return;
        }
        EXPECT_TRUE(event_clear(word, id));
    }
};

/* Three hand the turn round, each with an event of its own: what was written before the set is seen
 * by whoever was let go. */
TEST(EventThreads, LetGoWhoSeesWhatWasWrittenBefore)
{
    constexpr int members = 3;
    Home home(members);
    uint64_t ids[members];
    for (uint64_t &id : ids) {
        id = home.object(SRI_TYPE_EVENT, uint64_t{});
        ASSERT_NE(id, 0u);
    }
    home.start();
    uint64_t turns = 0; /* plain memory */
    in_threads(members, [&](int rank) {
        Waiter me(home, rank, ids[rank]);
        uint64_t mine = ids[rank], next = ids[(rank + 1) % members];
        sri_atomic_u64 *word = me.open(mine), *theirs = me.open(next);
        for (unsigned i = 0; i < rounds; i++) {
            if (rank != 0 || i != 0)
                me.wait(mine, word);
            EXPECT_EQ(turns++, i * members + (unsigned)rank);
            if (rank != 0 || i != 0)
                me.clear(mine, word);
            me.dawdle(300);
            me.set(next, theirs);
        }
    });
}

/* Set for a moment only: who began to wait before is let go. */
TEST(EventThreads, SetForAMomentLetGoAll)
{
    constexpr int members = 4;
    Home home(members);
    uint64_t id = home.object(SRI_TYPE_EVENT, uint64_t{});
    ASSERT_NE(id, 0u);
    home.start();
    std::atomic<unsigned> begun{ 0 }, waiting{ 0 }, over{ 0 };
    in_threads(members, [&](int rank) {
        Waiter me(home, rank, id);
        sri_atomic_u64 *word = me.open(id);
        for (unsigned i = 1; i <= rounds / 4; i++) {
            Patience patience;
            if (rank == 0) {
                begun = i;
                while (waiting < i * (members - 1))
                    patience.spend("those who wait");
                me.dawdle(2000);
                me.set(id, word);
                me.clear(id, word);
                while (over < i * (members - 1))
                    patience.spend("those who were let go");
            } else {
                while (begun < i)
                    patience.spend("the next round");
                uint64_t began = event_read(word);
                waiting++;
                unsigned looks = (unsigned)me.random() % 200;
                while (!event_word_lets_go(event_read(word), began) && looks-- > 0)
                    me.poll();
                EXPECT_EQ(me.call(EVENT_OP_WAIT, Member::bytes_of(began)).err, SERRY_OK);
                over++;
            }
        }
    });
}

/* A condition and its lock: a notifier that reads of nobody who waits has nobody to notify. */
class Turn : public Member {
public:
    using Member::Member;

    void open(uint64_t lock, uint64_t condition)
    {
        lock_ = lock;
        condition_ = condition;
        object = lock;
        word_ = cell(call(LOCK_OP_OPEN).as<lock_wire_opened>().cell);
        object = condition;
        waiting_ = cell(call(CONDITION_OP_OPEN).as<condition_wire_opened>().cell);
    }
    void acquire()
    {
        object = lock_;
        if (!lock_take(word_, lock_, rank)) {
            EXPECT_EQ(call(LOCK_OP_ACQUIRE).err, SERRY_OK);
        }
    }
    void release()
    {
        object = lock_;
        if (!lock_give(word_, lock_, rank)) {
            EXPECT_EQ(call(LOCK_OP_RELEASE).err, SERRY_OK);
        }
    }
    void wait()
    {
        object = condition_;
        auto ticket = call(CONDITION_OP_ENTER).as<uint64_t>();
        release();
        object = condition_;
        EXPECT_EQ(call(CONDITION_OP_AWAIT, bytes_of(ticket)).err, SERRY_OK);
        acquire();
        object = condition_;
        post(CONDITION_OP_DONE, bytes_of(ticket));
    }
    void notify_all()
    {
        object = condition_;
        if (!condition_nobody(waiting_, condition_)) {
            EXPECT_EQ(call(CONDITION_OP_NOTIFY, bytes_of(CONDITION_ALL)).err, SERRY_OK);
        }
    }

private:
    uint64_t lock_ = 0, condition_ = 0;
    sri_atomic_u64 *word_ = nullptr, *waiting_ = nullptr;
};

TEST(ConditionThreads, HideNobodyWhoWaits)
{
    constexpr int members = 3;
    Home home(members);
    uint64_t lock = home.object(SRI_TYPE_LOCK, lock_wire_settings{});
    uint64_t condition = home.object(SRI_TYPE_CONDITION, condition_wire_settings{ lock });
    ASSERT_NE(lock, 0u);
    ASSERT_NE(condition, 0u);
    home.start();
    unsigned turn = 0; /* plain memory */
    in_threads(members, [&](int rank) {
        Turn me(home, rank, lock);
        me.open(lock, condition);
        for (unsigned i = 0; i < rounds; i++) {
            me.acquire();
            while (turn % members != (unsigned)rank)
                me.wait();
            turn++;
            me.notify_all();
            me.release();
        }
    });
    EXPECT_EQ(turn, rounds * members);
}

} // namespace
