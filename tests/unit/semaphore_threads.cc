// ctest: tsan processors=2
/* The cells of a semaphore between its home and members, all of them threads. */
#include "home_threads.h"

#include "patterns/semaphore_wire.h"

using namespace home_threads;

namespace {

constexpr int members = 4;
constexpr unsigned rounds = 3000;

class User : public Member {
public:
    using Member::Member;

    void open()
    {
        auto opened = call(SEM_OP_OPEN).as<sem_wire_opened>();
        ASSERT_TRUE(opened.shared);
        cell_ = cell(opened.cell);
    }

    /* As serry_semaphore_acquire: the cell, and then the home. */
    serry_err acquire(bool patiently)
    {
        if (semaphore_take(cell_, object))
            return SERRY_OK;
        if (!patiently && now_and_then(4))
            return call(SEM_OP_ACQUIRE, {}, true).err;
        if (!patiently && now_and_then(4))
            return call_for((unsigned)random() % 50, SEM_OP_ACQUIRE).err;
        return call(SEM_OP_ACQUIRE).err;
    }

    void release()
    {
        bool waited = false;
        if (!semaphore_give(cell_, object, &waited)) {
            EXPECT_EQ(call(SEM_OP_RELEASE).err, SERRY_OK);
        } else if (waited) {
            post(SEM_OP_LOOK);
        }
    }

    int64_t value() { return call(SEM_OP_VALUE).as<int64_t>(); }

private:
    sri_atomic_u64 *cell_ = nullptr;
};

class SemaphoreThreads : public testing::Test {
protected:
    uint64_t make(int value)
    {
        sem_wire_settings settings = {};
        settings.value = value;
        uint64_t id = home_.object(SRI_TYPE_SEMAPHORE, settings);
        EXPECT_NE(id, 0u);
        home_.start();
        return id;
    }

    /* Members acquire, in all the ways there are: `hold` with the permit, then release, or die and
     * begin anew; `rest` before the next time. */
    void take_turns(uint64_t id, const std::function<void(User &, int rank)> &hold,
                    const std::function<void(User &)> &rest)
    {
        in_threads(members, [&](int rank) {
            User me(home_, rank, id);
            me.open();
            for (unsigned i = 0; i < rounds; i++) {
                serry_err e = me.acquire(false);
                if (e == SERRY_ETIMEDOUT)
                    continue;
                ASSERT_EQ(e, SERRY_OK);
                hold(me, rank);
                if (me.now_and_then(64)) {
                    me.die(); /* and its permit goes back */
                    me.open();
                } else {
                    me.release();
                }
                rest(me);
            }
        });
    }

    /* Once nobody uses it. */
    void expect_value(uint64_t id, int64_t value)
    {
        in_threads(1, [&](int rank) {
            User me(home_, rank, id);
            me.die(); /* numbers begin anew */
            me.open();
            EXPECT_EQ(me.value(), value) << "one was lost, or there is one too many";
        });
    }

    Home home_{ members };
};

TEST_F(SemaphoreThreads, WithOnePermitSeeWhatWasDoneBefore)
{
    uint64_t id = make(1);
    uint64_t done = 0, sum = 0;
    std::vector<uint64_t> mine(members);
    take_turns(
        id,
        [&](User &me, int rank) {
            done++; /* plain memory */
            mine[(size_t)rank]++;
            me.dawdle(300);
        },
        [](User &me) { me.dawdle(300); });
    for (uint64_t m : mine)
        sum += m;
    EXPECT_EQ(done, sum);
    EXPECT_GT(done, 0u);
    expect_value(id, 1);
}

TEST_F(SemaphoreThreads, AreNeverMoreThanThereArePermits)
{
    constexpr int permits = 2;
    uint64_t id = make(permits);
    std::atomic<int> inside{ 0 };
    take_turns(
        id,
        [&](User &me, int) {
            EXPECT_LE(++inside, permits);
            me.dawdle(300);
            inside--;
        },
        [&](User &me) {
            if (me.now_and_then(64)) {
                int64_t value = me.value();
                EXPECT_GE(value, 0);
                EXPECT_LE(value, permits);
            }
        });
    expect_value(id, permits);
}

/* Released by one and acquired by another: what was written before the n-th release is seen behind
 * the n-th acquire. */
TEST_F(SemaphoreThreads, AsACounterCarryWhatWasWrittenBefore)
{
    uint64_t id = make(0);
    std::vector<unsigned> written(rounds);
    in_threads(2, [&](int rank) {
        User me(home_, rank, id);
        me.open();
        for (unsigned i = 0; i < rounds; i++) {
            if (rank == 0) {
                written[i] = i + 1;
                me.release();
            } else {
                ASSERT_EQ(me.acquire(true), SERRY_OK);
                ASSERT_EQ(written[i], i + 1);
            }
            me.dawdle(me.now_and_then(16) ? 3000 : 100);
        }
    });
}

} // namespace
