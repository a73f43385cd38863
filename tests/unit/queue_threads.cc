// ctest: tsan processors=2
/* The cells of a queue's writers and readers between its home and members, all of them threads. */
#include "home_threads.h"

#include "patterns/queue_wire.h"

#include <deque>

using namespace home_threads;

namespace {

constexpr int writers = 2, readers = 2;
constexpr unsigned items = 4000; /* of each writer */

class Writer : public Member {
public:
    using Member::Member;

    void open()
    {
        queue_wire_open in = { QUEUE_WRITER, 0 };
        auto opened = call(QUEUE_OP_OPEN, bytes_of(in)).as<queue_wire_opened>();
        ASSERT_TRUE(opened.shared);
        credit_ = cell(opened.cell);
    }

    /* As serry_queue_put: on a credit, or by asking. */
    serry_err put(uint64_t item)
    {
        bool closed = false;
        if (queue_post(credit_, &closed)) {
            post(QUEUE_OP_PUT, bytes_of(item));
            return SERRY_OK;
        }
        if (closed)
            return SERRY_ECLOSED;
        if (now_and_then(8))
            return call(QUEUE_OP_PUT, bytes_of(item), true).err;
        if (now_and_then(8))
            return call_for((unsigned)random() % 50, QUEUE_OP_PUT, bytes_of(item)).err;
        return call(QUEUE_OP_PUT, bytes_of(item)).err;
    }

private:
    sri_atomic_u64 *credit_ = nullptr;
};

class Reader : public Member {
public:
    Reader(Home &home, int mine, uint64_t id) : Member(home, mine, id)
    {
        fed = [this](const std::string &bytes) { arrived(bytes); };
    }

    void open()
    {
        queue_wire_open in = { QUEUE_READER, 0 };
        auto opened = call(QUEUE_OP_OPEN, bytes_of(in)).as<queue_wire_opened>();
        ASSERT_TRUE(opened.shared);
        word_ = cell(opened.cell);
    }

    /* As serry_queue_get: what has been fed, or by asking. */
    serry_err get(uint64_t *item)
    {
        uint64_t again = 0;
        for (;;) {
            while (poll())
                ;
            if (take(item))
                return SERRY_OK;
            if (ahead_ && !now_and_then(4)) {
                ahead_ = false;
                for (int i = 0; i < 100 && stock_.empty(); i++)
                    poll();
                continue;
            }
            Answer a = now_and_then(8) ? call(QUEUE_OP_WANT, bytes_of(again), true)
                       : now_and_then(8)
                           ? call_for((unsigned)random() % 50, QUEUE_OP_WANT, bytes_of(again))
                           : call(QUEUE_OP_WANT, bytes_of(again));
            if (a.err != SERRY_OK)
                return a.err;
            again = 1;
        }
    }

private:
    struct Entry {
        queue_wire_feed head;
        uint64_t item;
    };

    void arrived(const std::string &bytes)
    {
        Entry e = {};
        ASSERT_GE(bytes.size(), sizeof e.head);
        memcpy(&e.head, bytes.data(), sizeof e.head);
        if (e.head.what != QUEUE_FEED_ITEM)
            return;
        ASSERT_EQ(bytes.size(), sizeof e.head + sizeof e.item);
        memcpy(&e.item, bytes.data() + sizeof e.head, sizeof e.item);
        stock_.push_back(e);
        ahead_ = e.head.ahead;
    }

    /* What was fed and not taken is the queue's again. */
    void give_back()
    {
        stock_.clear();
        ahead_ = false;
        post(QUEUE_OP_RETURN);
    }

    bool take(uint64_t *item)
    {
        while (!stock_.empty()) {
            Entry e = stock_.front();
            uint64_t word = queue_read(word_);
            if (e.head.epoch != queue_read_epoch(word) || e.head.seq != queue_read_taken(word)) {
                stock_.pop_front(); /* it was recalled */
                ahead_ = false;
                continue;
            }
            if (now_and_then(32)) {
                give_back(); /* while it is being taken: one of the two is first */
                stock_.push_back(e);
                dawdle(20000);
            }
            dawdle(50);
            if (!queue_taken(word_, &word, e.head.epoch))
                continue;
            stock_.pop_front();
            if (e.head.ask || (word & QUEUE_READ_NOTIFY))
                post(QUEUE_OP_TAKEN);
            *item = e.item;
            return true;
        }
        return false;
    }

    sri_atomic_u64 *word_ = nullptr;
    std::deque<Entry> stock_;
    bool ahead_ = false;
};

class QueueThreads : public testing::TestWithParam<uint64_t> {};

/* Each item comes out once, and with it what its writer had written before; and none is left when
 * all is said and done. */
TEST_P(QueueThreads, LoseNothingAndDoubleNothing)
{
    Home home(writers + readers);
    uint64_t id = home.object(SRI_TYPE_QUEUE, GetParam());
    ASSERT_NE(id, 0u);
    home.start();
    std::vector<unsigned> written(writers * items); /* plain memory */
    std::vector<std::atomic<unsigned>> got(writers * items);
    std::atomic<int> writing{ writers };
    in_threads(writers + readers, [&](int rank) {
        if (rank < writers) {
            Writer me(home, rank, id);
            me.open();
            for (unsigned i = 0; i < items;) {
                unsigned n = (unsigned)rank * items + i;
                written[n] = n + 1;
                serry_err e = me.put(n);
                ASSERT_TRUE(e == SERRY_OK || e == SERRY_ETIMEDOUT) << e;
                i += e == SERRY_OK;
                me.dawdle(me.now_and_then(64) ? 20000 : 200);
            }
            if (--writing == 0) {
                EXPECT_EQ(me.call(QUEUE_OP_CLOSE).err, SERRY_OK);
                EXPECT_EQ(me.put(0), SERRY_ECLOSED);
            }
            return;
        }
        Reader me(home, rank, id);
        me.open();
        for (;;) {
            uint64_t item = 0;
            serry_err e = me.get(&item);
            if (e == SERRY_ECLOSED)
                break;
            if (e == SERRY_ETIMEDOUT)
                continue;
            ASSERT_EQ(e, SERRY_OK);
            ASSERT_LT(item, writers * items);
            EXPECT_EQ(written[item], item + 1);
            EXPECT_EQ(got[item]++, 0u) << "item " << item << " came twice";
            me.dawdle(me.now_and_then(64) ? 20000 : 200);
        }
    });
    for (size_t i = 0; i < got.size(); i++)
        ASSERT_EQ(got[i], 1u) << "item " << i;
}

INSTANTIATE_TEST_SUITE_P(Capacities, QueueThreads, testing::Values(0, 1, 3, 64, 1000));

} // namespace
