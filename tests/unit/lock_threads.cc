// ctest: tsan processors=2
/* A lock's word between its home and members, all of them threads. */
#include "home_threads.h"

#include "patterns/lock_wire.h"

using namespace home_threads;

namespace {

constexpr int members = 4;
constexpr unsigned rounds = 3000;

class Holder : public Member {
public:
    using Member::Member;

    void open()
    {
        auto opened = call(LOCK_OP_OPEN).as<lock_wire_opened>();
        ASSERT_TRUE(opened.shared);
        word_ = cell(opened.cell);
    }

    /* As serry_lock_acquire: the word, and then the home. */
    serry_err acquire()
    {
        for (int looks = 0; looks < 3; looks++) {
            uint64_t seen = step_look(word_);
            if (lock_take(word_, object, rank))
                return SERRY_OK;
            if ((seen & LOCK_DIED) && !(seen & LOCK_WAITERS)
                && lock_take_over(word_, seen, object, rank))
                return SERRY_EOWNERDIED;
        }
        if (now_and_then(8))
            return call(LOCK_OP_ACQUIRE, {}, true).err;
        if (now_and_then(8))
            return call_for((unsigned)random() % 50, LOCK_OP_ACQUIRE).err;
        return call(LOCK_OP_ACQUIRE).err;
    }

    void release()
    {
        if (!lock_give(word_, object, rank)) {
            EXPECT_EQ(call(LOCK_OP_RELEASE).err, SERRY_OK);
        }
    }

    /* The thread that holds it ends; or the process, and another has its rank. */
    void fall()
    {
        if (now_and_then(2)) {
            die();
            open();
        } else if (!lock_abandon(word_, object, rank)) {
            post(LOCK_OP_ABANDON);
        }
    }

private:
    sri_atomic_u64 *word_ = nullptr;
};

/* What the lock guards is plain memory: whoever comes in without having seen all that was done
 * before is a data race. */
TEST(LockThreads, LetInOneAtATimeWhoSeesWhatWasDoneBefore)
{
    Home home(members);
    uint64_t id = home.object(SRI_TYPE_LOCK, lock_wire_settings{});
    ASSERT_NE(id, 0u);
    home.start();
    uint64_t done = 0;
    bool inside = false;
    std::vector<uint64_t> mine(members);
    in_threads(members, [&](int rank) {
        Holder me(home, rank, id);
        me.open();
        for (unsigned i = 0; i < rounds; i++) {
            serry_err e = me.acquire();
            if (e == SERRY_ETIMEDOUT)
                continue;
            ASSERT_TRUE(e == SERRY_OK || e == SERRY_EOWNERDIED) << e;
            EXPECT_EQ(inside, e == SERRY_EOWNERDIED) << "round " << i << " of rank " << rank;
            inside = true;
            done++;
            mine[(size_t)rank]++;
            me.dawdle(300);
            if (me.now_and_then(16)) {
                me.fall();
            } else {
                inside = false;
                me.release();
            }
            me.dawdle(me.now_and_then(2) ? 10000 : 300); /* with nobody in line, and with all */
        }
    });
    home.stop();
    uint64_t sum = 0;
    for (uint64_t m : mine)
        sum += m;
    EXPECT_EQ(done, sum);
    EXPECT_GT(done, 0u);
}

} // namespace
